"""Keys of people: Ed25519, at rest as encrypted PKCS#8 (RFC 5958) files that only their owner can read."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signers.statements.envelope import public_key_of
from signers.statements.identifiers import Ed25519Key

PASSPHRASE_BYTES_MIN = 12


def new_key(path: Path, passphrase: bytes) -> Ed25519Key:
    """Generate a key and write it encrypted, readable by its owner only; never over an existing file.

    Returns:
        The public key, to hand to whoever writes the policy or opens the account.

    Raises:
        FileExistsError: there is a file already.
        ValueError: the passphrase is shorter than `PASSPHRASE_BYTES_MIN`.
    """
    if len(passphrase) < PASSPHRASE_BYTES_MIN:
        raise ValueError(f"a passphrase has at least {PASSPHRASE_BYTES_MIN} bytes")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return public_key_of(key)


def load_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Read a key file.

    Raises:
        PermissionError: others than its owner can read it.
        ValueError: the passphrase is wrong, the file is not encrypted, or it is no Ed25519 key.
    """
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} is readable by others than its owner: chmod 600")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except TypeError as error:
        raise ValueError(f"{path} is not encrypted") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is not an Ed25519 key")  # noqa: TRY004 - the file is wrong, not the call
    return key
