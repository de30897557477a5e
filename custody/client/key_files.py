"""Keys of people: Ed25519, at rest as encrypted PKCS#8 (RFC 5958) files that only their owner can read."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.pkcs8 import encrypted_pem
from signers.statements.envelope import public_key_of
from signers.statements.identifiers import Ed25519Key

PASSPHRASE_BYTES_MIN = 12
_FILE_BYTES_MAX = 16 * 1024


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
    pem = encrypted_pem(key, passphrase)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return public_key_of(key)


def load_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Read a key file.

    Raises:
        PermissionError: others than its owner can read or change it.
        ValueError: the passphrase is wrong, the file is not encrypted, or it is no Ed25519 key.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        # Of the opened file, not of the path: the two could be exchanged in between.
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise PermissionError(f"{path} is open to others than its owner: chmod 600")
        pem = file.read(_FILE_BYTES_MAX)
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except TypeError as error:
        raise ValueError(f"{path} is not encrypted") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path}: wrong passphrase, or no encrypted PKCS#8 key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is not an Ed25519 key")  # noqa: TRY004 - the file is wrong, not the call
    return key
