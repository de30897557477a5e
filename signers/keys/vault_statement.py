"""`StatementSigner` on OpenBao: Ed25519 in this signer's transit engine; the key never leaves it."""

from __future__ import annotations

from functools import partial
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signers.keys.port import SigningFailed
from signers.keys.transit import TransitKey
from signers.statements.identifiers import Ed25519Key
from signers.vault import VaultSession

_MESSAGE_BYTES_MAX: Final = 1 << 20


class VaultStatementSigner:
    """Signs receipts and co-signatures; see `signers.keys.port.StatementSigner`."""

    def __init__(self, *, vault: VaultSession, key: TransitKey, version: int, public_key: bytes) -> None:
        """Use `open`, which reads the public key."""
        self._vault = vault
        self._key = key
        self._version = version
        self._public_key = public_key

    @classmethod
    async def open(cls, *, vault: VaultSession, key: TransitKey, version: int = 1) -> Self:
        """Reads the public key of one version and keeps to that version.

        A rotation in OpenBao must not change who this signer is to its peers: the policy pins the public key.

        Raises:
            TransitKeyUnfit: not Ed25519, exportable, or without that version.
            VaultError: as `VaultSession.run`.
        """
        public_key = await vault.run(partial(key.statement_public_key, version=version))
        return cls(vault=vault, key=key, version=version, public_key=public_key)

    @property
    def key_id(self) -> str:
        """The hint under which envelopes name the key."""
        return Ed25519Key(self._public_key.hex()).key_id

    @property
    def public_key(self) -> bytes:
        """Ed25519 public key, 32 bytes."""
        return self._public_key

    async def sign(self, message: bytes) -> bytes:
        """See the port; also raises `VaultError`."""
        if not 0 < len(message) <= _MESSAGE_BYTES_MAX:
            raise ValueError(f"a statement has 1 to {_MESSAGE_BYTES_MAX} bytes, not {len(message)}")
        signature = await self._vault.run(lambda vault: self._key.sign(vault, message, version=self._version))
        try:
            Ed25519PublicKey.from_public_bytes(self._public_key).verify(signature, message)
        except InvalidSignature as exc:
            raise SigningFailed("OpenBao's signature does not verify under this signer's public key") from exc
        return signature
