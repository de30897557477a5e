"""secp256k1 keys in wipeable memory, signing through coincurve's handle to libsecp256k1.

coincurve's own `PrivateKey` keeps the secret in immutable `bytes` for as long as Python pleases. Its cffi
handle accepts any buffer, so the library reads the key from the locked page itself and the signatures are
the same, byte for byte. The handle is not coincurve's public interface: `check_signing_library` pins version
and behaviour.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

import coincurve
from coincurve import GLOBAL_CONTEXT
from coincurve._libsecp256k1 import ffi, lib  # type: ignore[import-not-found] # an untyped extension

from signers.keys.port import PublicKey, RecoverableSignature, SigningFailed, require_digest
from signers.keys.secret import SecretBytes, SecretMalformed

COINCURVE_VERSION: Final = "21.0.0"

_SECRET_BYTES: Final = 32
_COMPRESSED_BYTES: Final = 33
_EC_COMPRESSED: Final = 258  # SECP256K1_EC_COMPRESSED of secp256k1.h
_DRAWS_MAX: Final = 8  # one draw is out of range with probability 2^-128

# RFC 6979 over secp256k1 with SHA-256: key 1, message "Satoshi Nakamoto" (a vector that
# several wallets share); the digest is the message's SHA-256.
_KNOWN_DIGEST: Final = bytes.fromhex("a0dc65ffca799873cbea0ac274015b9526505daaaed385155425f7337704883e")
_KNOWN_SIGNATURE: Final = bytes.fromhex(
    "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
    "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
)


class SigningLibraryUnfit(Exception):  # noqa: N818 - named for what is the case
    """coincurve is not the version, or does not behave as the version, that this code was written against."""


def check_signing_library() -> None:
    """Start-up check of version and of one known answer.

    Raises:
        SigningLibraryUnfit: either differs.
    """
    version = importlib.metadata.version("coincurve")
    if version != COINCURVE_VERSION:
        raise SigningLibraryUnfit(f"coincurve is {version}, this signer needs exactly {COINCURVE_VERSION}")
    with EcdsaSecret.from_base64("A" * 42 + "E=") as one:
        if one.sign(_KNOWN_DIGEST).compact() != _KNOWN_SIGNATURE:
            raise SigningLibraryUnfit("coincurve does not give the known RFC 6979 signature")


def require_valid_signature(*, public_key: PublicKey, digest: bytes, signature: RecoverableSignature) -> None:
    """Verifies a signature and its recovery id under `public_key`.

    Raises:
        SigningFailed: either is wrong.
    """
    recoverable = signature.compact() + bytes([signature.recovery_id])
    try:
        valid = coincurve.PublicKey(public_key).verify(signature.der(), digest, hasher=None)
        recovered = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    except ValueError as exc:
        raise SigningFailed("the signature does not verify") from exc
    if not valid or recovered.format(compressed=True) != public_key:
        raise SigningFailed("the signature does not verify under the expected key")


class EcdsaSecret:
    """A private key of secp256k1 in a `SecretBytes`. A context manager; wiped on exit."""

    __slots__ = ("_secret",)

    def __init__(self, secret: SecretBytes) -> None:
        """Takes ownership of 32 secret bytes, big-endian.

        Raises:
            SecretMalformed: not 32 bytes, zero, or not below the group order; the bytes are wiped.
        """
        self._secret = secret
        if len(secret) != _SECRET_BYTES or not self._in_range():
            secret.wipe()
            raise SecretMalformed("not a secp256k1 private key")

    @classmethod
    def generate(cls) -> Self:
        """A new key from the kernel's randomness (getrandom), drawn until in range.

        Raises:
            SecretMemoryUnavailable: no locked page.
            SecretMalformed: the kernel's randomness was out of range eight times, so it is no randomness.
        """
        for _ in range(_DRAWS_MAX - 1):
            try:
                return cls(SecretBytes.random(_SECRET_BYTES))
            except SecretMalformed:
                continue
        return cls(SecretBytes.random(_SECRET_BYTES))

    @classmethod
    def from_base64(cls, encoded: str) -> Self:
        """A key from Vault's base64.

        Raises:
            SecretMalformed: not base64 of a private key.
            SecretMemoryUnavailable: no locked page.
        """
        return cls(SecretBytes.from_base64(encoded, length=_SECRET_BYTES))

    def to_base64(self) -> str:
        """See `SecretBytes.to_base64`: for Vault's JSON alone."""
        return self._secret.to_base64()

    def public_key(self) -> PublicKey:
        """The compressed public key.

        Raises:
            SecretWiped: the key is gone.
        """
        point = ffi.new("secp256k1_pubkey *")
        with self._pointer() as secret:
            if not lib.secp256k1_ec_pubkey_create(GLOBAL_CONTEXT.ctx, point, secret):
                raise SigningFailed("the public key could not be computed")
        output = ffi.new(f"unsigned char[{_COMPRESSED_BYTES}]")
        length = ffi.new("size_t *", _COMPRESSED_BYTES)
        lib.secp256k1_ec_pubkey_serialize(GLOBAL_CONTEXT.ctx, output, length, point, _EC_COMPRESSED)
        return PublicKey(bytes(ffi.buffer(output, _COMPRESSED_BYTES)))

    def sign(self, digest: bytes) -> RecoverableSignature:
        """Deterministic (RFC 6979, no extra entropy), low-S, with recovery id. The caller verifies.

        Raises:
            SecretWiped: the key is gone.
            SigningFailed: libsecp256k1 refused.
            ValueError: `digest` is not 32 bytes.
        """
        require_digest(digest)
        recoverable = ffi.new("secp256k1_ecdsa_recoverable_signature *")
        with self._pointer() as secret:
            signed = lib.secp256k1_ecdsa_sign_recoverable(
                GLOBAL_CONTEXT.ctx, recoverable, digest, secret, ffi.NULL, ffi.NULL
            )
        if not signed:
            raise SigningFailed("libsecp256k1 refused to sign")
        return _signature(recoverable)

    def wipe(self) -> None:
        """Overwrites the key with zeros. Idempotent."""
        self._secret.wipe()

    def _in_range(self) -> bool:
        with self._pointer() as secret:
            return bool(lib.secp256k1_ec_seckey_verify(GLOBAL_CONTEXT.ctx, secret))

    @contextmanager
    def _pointer(self) -> Iterator[Any]:
        """The locked page as libsecp256k1 reads it: no copy is made."""
        with self._secret.view() as view, ffi.from_buffer(view, require_writable=True) as buffer:
            yield ffi.cast("unsigned char *", buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"EcdsaSecret({self._secret!r})"


def _signature(recoverable: Any) -> RecoverableSignature:
    compact = ffi.new("unsigned char[64]")
    recovery_id = ffi.new("int *")
    lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(
        GLOBAL_CONTEXT.ctx, compact, recovery_id, recoverable
    )
    raw = bytes(ffi.buffer(compact, 64))
    return RecoverableSignature(
        r=int.from_bytes(raw[:32], "big"), s=int.from_bytes(raw[32:], "big"), recovery_id=recovery_id[0]
    )
