"""Headers and account proofs of Ethereum, checked: a node's word about a balance counts for nothing.

Pure. A header's hash is recomputed from its RLP (Yellow Paper 4.4, and the fields that EIP-1559, 4895,
4844, 4788 and 7685 appended); an account is read out of the Merkle-Patricia proof under the header's state
root (EIP-1186).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import rlp
from eth_hash.backends.pysha3 import keccak256
from rlp.exceptions import RLPException
from trie import exceptions as trie_errors
from trie.hexary import HexaryTrie

from custody.adapters.json_rpc import Json, as_str
from custody.application.ports.chains import BlockHeader, ChainDataInvalid, ProvenState
from signers.statements.amounts import Wei
from signers.statements.identifiers import BlockHash, EthereumAddress

PROOF_NODES_MAX: Final = 64
"""A path has 64 nibbles; a real proof has fewer than a dozen nodes."""
NODE_BYTES_MAX: Final = 600
"""A full branch is 532 bytes."""
EXTRA_DATA_BYTES_MAX: Final = 32
EMPTY_CODE: Final = keccak256(b"")
EMPTY_TRIE: Final = keccak256(rlp.encode(b""))
_QUANTITY: Final = re.compile(r"0x[0-9a-f]{1,64}", re.ASCII)
_ABSENT: Final = (b"", b"", EMPTY_TRIE, EMPTY_CODE)

_HASH, _ADDRESS, _BLOOM, _NONCE, _INTEGER, _BYTES = 32, 20, 256, 8, None, -1
"""How many bytes a field has; an integer is as short as it can be; extra data is free up to its bound."""

_FIELDS: Final[tuple[tuple[str, int | None], ...]] = (
    ("parentHash", _HASH),
    ("sha3Uncles", _HASH),
    ("miner", _ADDRESS),
    ("stateRoot", _HASH),
    ("transactionsRoot", _HASH),
    ("receiptsRoot", _HASH),
    ("logsBloom", _BLOOM),
    ("difficulty", _INTEGER),
    ("number", _INTEGER),
    ("gasLimit", _INTEGER),
    ("gasUsed", _INTEGER),
    ("timestamp", _INTEGER),
    ("extraData", _BYTES),
    ("mixHash", _HASH),
    ("nonce", _NONCE),
)
_APPENDED: Final[tuple[tuple[str, int | None], ...]] = (
    ("baseFeePerGas", _INTEGER),
    ("withdrawalsRoot", _HASH),
    ("blobGasUsed", _INTEGER),
    ("excessBlobGas", _INTEGER),
    ("parentBeaconBlockRoot", _HASH),
    ("requestsHash", _HASH),
)
"""What later forks added, in their order: a header has the first few of them, and all since Prague."""

_PROOF_FAULTS = (
    RLPException,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    trie_errors.MissingTrieNode,
    trie_errors.BadTrieProof,
    trie_errors.InvalidNode,
    trie_errors.InvalidNibbles,
    trie_errors.ValidationError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is read of a header whose hash was recomputed."""

    block: BlockHeader
    state_root: bytes
    base_fee_per_gas_wei: int
    gas_limit: int
    gas_used: int


def quantity(value: Json) -> int:
    """A JSON-RPC quantity: 0x and hexadecimal digits.

    Raises:
        TypeError, ValueError: it is none, or longer than 32 bytes.
    """
    text = as_str(value)
    if not _QUANTITY.fullmatch(text):
        raise ValueError(f"{text[:72]!r} is not a quantity")
    return int(text, 16)


def data(value: Json, *, bytes_max: int) -> bytes:
    """JSON-RPC data: 0x and pairs of hexadecimal digits.

    Raises:
        TypeError, ValueError: it is none, or longer than `bytes_max`.
    """
    text = as_str(value)
    if not text.startswith("0x") or len(text) > 2 + 2 * bytes_max:
        raise ValueError(f"{text[:72]!r} is not data of at most {bytes_max} bytes")
    return bytes.fromhex(text[2:])


def read_header(fields: Mapping[str, Json]) -> Header:
    """A header as `eth_getBlockByNumber` gives it, proven to hash to what it claims.

    A field that this code does not know changes the hash, so a header of a later fork is refused, not
    guessed.

    Raises:
        ChainDataInvalid: a field is missing or malformed, or the hash is another.
    """
    try:
        encoded = [_encoded(fields, name, size) for name, size in _FIELDS]
        encoded += [_encoded(fields, name, size) for name, size in _APPENDED if fields.get(name) is not None]
        claimed = data(fields["hash"], bytes_max=32)
        if keccak256(rlp.encode(encoded)) != claimed:
            raise ChainDataInvalid(f"the header does not hash to {claimed.hex()}")
        return Header(
            block=BlockHeader(
                height=quantity(fields["number"]),
                block_hash=BlockHash(claimed.hex()),
                parent=BlockHash(encoded[0].hex()),
            ),
            state_root=encoded[3],
            base_fee_per_gas_wei=quantity(fields.get("baseFeePerGas") or "0x0"),
            gas_limit=quantity(fields["gasLimit"]),
            gas_used=quantity(fields["gasUsed"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ChainDataInvalid(f"a malformed header: {error}") from error


def _encoded(fields: Mapping[str, Json], name: str, size: int | None) -> bytes:
    if size is _INTEGER:
        number = quantity(fields[name])
        return number.to_bytes((number.bit_length() + 7) // 8, "big")
    raw = data(fields[name], bytes_max=EXTRA_DATA_BYTES_MAX if size == _BYTES else size)
    if size not in {_BYTES, len(raw)}:
        raise ValueError(f"{name} has {len(raw)} bytes")
    return raw


def verify_account(*, address: EthereumAddress, header: Header, proof: Sequence[bytes]) -> ProvenState:
    """The externally owned account that `proof` shows under the header's state root.

    Args:
        address: whose.
        header: a header from `read_header`.
        proof: the RLP nodes from the root down; for an account that does not exist, as far as its path goes.

    Raises:
        ChainDataInvalid: the proof is too large, incomplete, holds a node it does not need, or shows an
            account with code. With code (EIP-7702 included) somebody else's program could move what stands
            there.
    """
    if not 0 < len(proof) <= PROOF_NODES_MAX or any(len(node) > NODE_BYTES_MAX for node in proof):
        raise ChainDataInvalid(f"a proof of {len(proof)} nodes, {sum(map(len, proof))} bytes")
    nodes = _Nodes(proof)
    try:
        leaf = HexaryTrie(nodes, header.state_root)[keccak256(address.raw)]
        nonce, balance, storage_root, code_hash = rlp.decode(leaf) if leaf else _ABSENT
        state = ProvenState(
            address=address, block=header.block.ref, balance=Wei(_integer(balance)), nonce=_integer(nonce)
        )
    except _PROOF_FAULTS as error:
        raise ChainDataInvalid(f"the proof of {address} does not verify: {type(error).__name__}") from error
    if nodes.unused:
        raise ChainDataInvalid(f"the proof of {address} holds {len(nodes.unused)} nodes that prove nothing")
    if (code_hash, storage_root) != (EMPTY_CODE, EMPTY_TRIE):
        raise ChainDataInvalid(f"{address} has code")
    return state


class _Nodes(dict[bytes, bytes]):
    """The proof by hash, remembering what was not looked at: junk beside a proof is somebody probing."""

    def __init__(self, proof: Sequence[bytes]) -> None:
        super().__init__((keccak256(node), node) for node in proof)
        self.unused = set(self)
        if len(self.unused) != len(proof):
            raise ChainDataInvalid("the proof holds a node twice")

    def __getitem__(self, key: bytes) -> bytes:
        node = super().__getitem__(key)
        self.unused.discard(key)
        return node


def _integer(raw: bytes) -> int:
    """An RLP integer: at most 32 bytes, no leading zero. A list in its place fails as a `TypeError`."""
    if len(raw) > 32 or raw[:1] == b"\x00":
        raise ValueError("not an integer")
    return int.from_bytes(raw, "big")
