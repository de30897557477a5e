"""Encrypted PKCS#8 (RFC 5958) with a key derivation that costs an attacker something.

The `cryptography` library writes PBES2 with 2,048 rounds of PBKDF2, which a stolen file does not survive for
long. The structure here is the same (RFC 8018: PBES2, PBKDF2-HMAC-SHA256, AES-256-CBC), so OpenSSL and
`cryptography` read it; only the number of rounds is ours.
"""

import base64
import os
from typing import Final

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.x509 import ObjectIdentifier

PBKDF2_ROUNDS: Final = 600_000
"""OWASP Password Storage Cheat Sheet (2023) for PBKDF2-HMAC-SHA256; a quarter of a second per guess here."""

_PBES2: Final = ObjectIdentifier("1.2.840.113549.1.5.13")
_PBKDF2: Final = ObjectIdentifier("1.2.840.113549.1.5.12")
_HMAC_SHA256: Final = ObjectIdentifier("1.2.840.113549.2.9")
_AES_256_CBC: Final = ObjectIdentifier("2.16.840.1.101.3.4.1.42")


@asn1.sequence
class _Prf:
    algorithm: ObjectIdentifier
    parameters: asn1.Null


@asn1.sequence
class _Pbkdf2Parameters:
    salt: bytes
    iterations: int
    prf: _Prf


@asn1.sequence
class _Derivation:
    algorithm: ObjectIdentifier
    parameters: _Pbkdf2Parameters


@asn1.sequence
class _Encryption:
    algorithm: ObjectIdentifier
    initialisation_vector: bytes


@asn1.sequence
class _Pbes2Parameters:
    derivation: _Derivation
    encryption: _Encryption


@asn1.sequence
class _Algorithm:
    algorithm: ObjectIdentifier
    parameters: _Pbes2Parameters


@asn1.sequence
class _EncryptedPrivateKeyInfo:
    algorithm: _Algorithm
    encrypted: bytes


def encrypted_pem(key: Ed25519PrivateKey, passphrase: bytes) -> bytes:
    """The key as `ENCRYPTED PRIVATE KEY` PEM."""
    salt, vector = os.urandom(16), os.urandom(16)
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    derivation = _Derivation(
        algorithm=_PBKDF2,
        parameters=_Pbkdf2Parameters(
            salt=salt,
            iterations=PBKDF2_ROUNDS,
            prf=_Prf(algorithm=_HMAC_SHA256, parameters=asn1.Null()),
        ),
    )
    encryption = _Encryption(algorithm=_AES_256_CBC, initialisation_vector=vector)
    der = asn1.encode_der(
        _EncryptedPrivateKeyInfo(
            algorithm=_Algorithm(
                algorithm=_PBES2,
                parameters=_Pbes2Parameters(derivation=derivation, encryption=encryption),
            ),
            encrypted=_encrypt(plain, passphrase, salt=salt, vector=vector),
        )
    )
    label = b"ENCRYPTED PRIVATE KEY-----\n"
    return b"-----BEGIN " + label + base64.encodebytes(der) + b"-----END " + label


def _encrypt(plain: bytes, passphrase: bytes, *, salt: bytes, vector: bytes) -> bytes:
    secret = PBKDF2HMAC(hashes.SHA256(), 32, salt, PBKDF2_ROUNDS).derive(passphrase)
    padder = padding.PKCS7(algorithms.AES.block_size).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
    return encryptor.update(padded) + encryptor.finalize()
