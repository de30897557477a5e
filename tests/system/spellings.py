"""How a secret may be written down: what a search for it has to look for."""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from embit.ec import PrivateKey
from embit.networks import NETWORKS

NETWORK_NAMES = ("main", "test")
"""Networks whose WIF prefixes differ; regtest writes as the test network does."""
STRUCTURES = {"PKCS#8": PrivateFormat.PKCS8, "SEC1": PrivateFormat.TraditionalOpenSSL}


def of_bytes(raw: bytes) -> dict[str, bytes]:
    """As any program writes bytes."""
    return {
        "raw": raw,
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "base64": base64.b64encode(raw).rstrip(b"="),
        "base64url": base64.urlsafe_b64encode(raw).rstrip(b"="),
    }


def of_key(raw: bytes) -> dict[str, bytes]:
    """As wallets and libraries write a secp256k1 private key of 32 bytes."""
    spellings = of_bytes(raw) | {"decimal": str(int.from_bytes(raw, "big")).encode()}
    for network in NETWORK_NAMES:
        for compressed in (True, False):
            name = f"WIF {network}{'' if compressed else ' uncompressed'}"
            key = PrivateKey(raw, compressed, NETWORKS[network])
            spellings[name] = key.wif().encode()
    for name, structure in STRUCTURES.items():
        der = written(raw, Encoding.DER, structure)
        # The PEM's lines without its first and last: those are everybody's.
        body = written(raw, Encoding.PEM, structure).partition(b"\n")[2].rpartition(b"\n-")[0]
        spellings |= {
            f"{name} DER": der,
            f"{name} base64": base64.b64encode(der),
            f"{name} PEM": body,
            f"{name} PEM in JSON": json.dumps(body.decode())[1:-1].encode(),
        }
    return spellings


def written(raw: bytes, encoding: Encoding, structure: PrivateFormat) -> bytes:
    """The key as the library writes it to a file."""
    key = ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256K1())
    return key.private_bytes(encoding, structure, NoEncryption())


def of_deliverer(secrets_file: Path) -> dict[str, bytes]:
    """The root token and the unseal shares of one OpenBao."""
    secrets = json.loads(secrets_file.read_text(encoding="ascii"))
    needles = {f"{secrets_file.stem} root": secrets["root_token"].encode()}
    for number, share in enumerate(secrets["unseal_shares"]):
        spellings = of_bytes(base64.b64decode(share, validate=True))
        needles |= {f"{secrets_file.stem} share {number} {name}": text for name, text in spellings.items()}
    return needles
