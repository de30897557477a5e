"""`AccountKeys` on OpenBao: keys made here, at rest as transit ciphertext, in the clear for one signature.

What it protects from: a stolen key store (it needs this OpenBao), a stolen OpenBao (it needs the store), a
row moved to another account (associated data), swap and core files (locked, non-dumpable memory). What it
does not protect from: whoever runs code in this process while it is logged in, or is root on its machine,
and so can ask for plaintext as this process does. No stock Vault signs secp256k1: that is why plaintext
comes here at all.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Final, Self

import rfc8785

from signers.keys.ecdsa import EcdsaSecret, check_signing_library, require_valid_signature
from signers.keys.port import KeyCorrupt, KeyRef, KeyUnknown, PublicKey, RecoverableSignature, require_digest
from signers.keys.store import KeyStore, WrappedKey
from signers.keys.transit import PlaintextMalformed, TransitKey
from signers.vault import VaultConnection, VaultRequestRefused, VaultSession

_PURPOSE: Final = "bailee-account-key-v1"


def associated_data(ref: KeyRef) -> bytes:
    """What a ciphertext is bound to: the RFC 8785 form of purpose, account, chain and key id."""
    return rfc8785.dumps(
        {"account": str(ref.account), "chain": ref.chain, "key_id": str(ref.key_id), "purpose": _PURPOSE}
    )


class VaultTransitKeys:
    """Keys of pledge accounts; see `signers.keys.port.AccountKeys`."""

    def __init__(self, *, vault: VaultSession, wrapping_key: TransitKey, store: KeyStore) -> None:
        """Use `open`, which checks what this relies on."""
        self._vault = vault
        self._wrapping_key = wrapping_key
        self._store = store

    @classmethod
    async def open(cls, *, vault: VaultSession, wrapping_key: TransitKey, store_file: Path) -> Self:
        """Checks the signing library and the wrapping key, and opens the store.

        Raises:
            SigningLibraryUnfit: coincurve is not the pinned one.
            TransitKeyUnfit: the wrapping key could leave OpenBao.
            KeyStoreUnfit, KeyStoreUnavailable: the file.
            VaultError: as `VaultSession.run`.
        """
        check_signing_library()
        await vault.run(wrapping_key.check_wrapping)
        store = await asyncio.to_thread(KeyStore, store_file)
        return cls(vault=vault, wrapping_key=wrapping_key, store=store)

    async def create_key(self, ref: KeyRef) -> PublicKey:
        """See the port; raises `VaultError` and `KeyStoreUnavailable` too, having handed out no key."""
        existing = await asyncio.to_thread(self._store.find, ref)
        if existing is not None:
            return existing.public_key
        return await self._vault.run(partial(self._create, ref))

    async def public_key(self, ref: KeyRef) -> PublicKey:
        """See the port; works while OpenBao is sealed."""
        return (await self._stored(ref)).public_key

    async def sign(self, ref: KeyRef, digest: bytes) -> RecoverableSignature:
        """See the port; also raises `VaultError`."""
        require_digest(digest)
        return await self._vault.run(partial(self._sign, await self._stored(ref), digest))

    async def close(self) -> None:
        """Closes the store."""
        await asyncio.to_thread(self._store.close)

    async def _stored(self, ref: KeyRef) -> WrappedKey:
        stored = await asyncio.to_thread(self._store.find, ref)
        if stored is None:
            raise KeyUnknown(ref)
        return stored

    def _create(self, ref: KeyRef, vault: VaultConnection) -> PublicKey:
        with EcdsaSecret.generate() as secret:
            public_key = secret.public_key()
            ciphertext = self._wrapping_key.wrap(vault, secret, associated_data=associated_data(ref))
        key = WrappedKey(ref=ref, public_key=public_key, ciphertext=ciphertext)
        # Coins may be sent to this key: prove that it comes back before anyone learns of it.
        self._unwrapped(key, vault).wipe()
        # Of two racing creations one row wins; the loser's key was never shown and is gone.
        return self._store.insert_or_find(key).public_key

    def _sign(self, key: WrappedKey, digest: bytes, vault: VaultConnection) -> RecoverableSignature:
        with self._unwrapped(key, vault) as secret:
            signature = secret.sign(digest)
        require_valid_signature(public_key=key.public_key, digest=digest, signature=signature)
        return signature

    def _unwrapped(self, key: WrappedKey, vault: VaultConnection) -> EcdsaSecret:
        try:
            secret = self._wrapping_key.unwrap(
                vault, key.ciphertext, associated_data=associated_data(key.ref)
            )
        except (VaultRequestRefused, PlaintextMalformed) as exc:
            raise KeyCorrupt(key.ref, reason=str(exc)) from exc
        if secret.public_key() != key.public_key:
            secret.wipe()
            raise KeyCorrupt(key.ref, reason="its public key is another")
        return secret
