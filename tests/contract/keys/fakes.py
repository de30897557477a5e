"""The keys port in memory, for tests of whatever uses it. Held to the same contract as the real one."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signers.keys.ecdsa import EcdsaSecret
from signers.keys.port import KeyRef, KeyUnknown, PublicKey, RecoverableSignature, require_digest


class InMemoryAccountKeys:
    """`AccountKeys` without a Vault and without a disk."""

    def __init__(self) -> None:
        self._secrets: dict[KeyRef, EcdsaSecret] = {}

    async def create_key(self, ref: KeyRef) -> PublicKey:
        if ref not in self._secrets:
            self._secrets[ref] = EcdsaSecret.generate()
        return self._secrets[ref].public_key()

    async def public_key(self, ref: KeyRef) -> PublicKey:
        return self._of(ref).public_key()

    async def sign(self, ref: KeyRef, digest: bytes) -> RecoverableSignature:
        require_digest(digest)
        return self._of(ref).sign(digest)

    def _of(self, ref: KeyRef) -> EcdsaSecret:
        if ref not in self._secrets:
            raise KeyUnknown(ref)
        return self._secrets[ref]


class InMemoryStatementSigner:
    """`StatementSigner` without a Vault."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    @property
    def key_id(self) -> str:
        return hashlib.sha256(self.public_key).hexdigest()[:32]

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, message: bytes) -> bytes:
        if not 0 < len(message) <= 1 << 20:
            raise ValueError("a statement has 1 to 1048576 bytes")
        return self._key.sign(message)
