"""The one Bitcoin script of a pledge account: `wsh(sortedmulti(2, three keys))`.

Sources: BIP-67 (key order), BIP-141 (P2WSH), BIP-383 (descriptor). Small enough to derive from the standard
library, so that anyone who reads an account statement can check its address without a Bitcoin library.
"""

import hashlib
from collections.abc import Sequence

from signers.statements.identifiers import CompressedKey, ScriptPubKey

THRESHOLD = 2
KEYS = 3


def witness_script(keys: Sequence[CompressedKey]) -> bytes:
    """`OP_2 <key> <key> <key> OP_3 OP_CHECKMULTISIG` over the keys in BIP-67 order.

    Raises:
        ValueError: not exactly three distinct keys. Two equal keys would let one holder sign alone.
    """
    if len(keys) != KEYS or len(set(keys)) != KEYS:
        raise ValueError("a pledge account has exactly three distinct keys")
    pushes = b"".join(bytes([33]) + key.raw for key in sorted(keys))
    return bytes([0x50 + THRESHOLD]) + pushes + bytes([0x50 + KEYS, 0xAE])


def script_pubkey(keys: Sequence[CompressedKey]) -> ScriptPubKey:
    """`OP_0 <SHA-256 of the witness script>`."""
    return ScriptPubKey("0020" + hashlib.sha256(witness_script(keys)).hexdigest())


def descriptor(keys: Sequence[CompressedKey]) -> str:
    """The output descriptor, without checksum, that stock Bitcoin Core recovers the account with."""
    witness_script(keys)
    return f"wsh(sortedmulti({THRESHOLD},{','.join(sorted(keys))}))"
