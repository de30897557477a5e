"""Headers by their hash, accounts by their proof: one honest pair, and one lie each."""

from collections.abc import Sequence
from typing import Any

import pytest
import rlp
from eth_hash.backends.pysha3 import keccak256
from trie import HexaryTrie  # type: ignore[attr-defined] # exported without saying so

from custody.adapters.ethereum_node import next_base_fee
from custody.adapters.ethereum_proofs import (
    EMPTY_CODE,
    EMPTY_TRIE,
    Header,
    quantity,
    read_header,
    verify_account,
)
from custody.application.ports.chains import ChainDataInvalid, ProvenState
from signers.statements.amounts import Wei
from signers.statements.identifiers import EthereumAddress

OURS, ABSENT = EthereumAddress("a1" * 20), EthereumAddress("b2" * 20)
BALANCE, NONCE = 3 * 10**18, 7

FIELDS = [
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
]
QUANTITIES = {
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "baseFeePerGas",
    "blobGasUsed",
    "excessBlobGas",
}
SIZES = {"miner": 20, "logsBloom": 256, "nonce": 8}


def encoded(name: str, value: str) -> bytes:
    if name not in QUANTITIES:
        return bytes.fromhex(value[2:])
    number = int(value, 16)
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def sealed(fields: dict[str, Any]) -> dict[str, Any]:
    """With the hash that the fields have."""
    raw = rlp.encode([encoded(name, fields[name]) for name in FIELDS if name in fields])
    return {**fields, "hash": f"0x{keccak256(raw).hex()}"}


def header_fields(state_root: bytes, **changes: str) -> dict[str, Any]:
    fields = {
        name: hex(30_000_000) if name in QUANTITIES else f"0x{'07' * SIZES.get(name, 32)}" for name in FIELDS
    }
    fields |= {"stateRoot": f"0x{state_root.hex()}", "number": "0x64", "extraData": "0x"}
    return sealed({**fields, **changes})


def leaf(*, code: bytes = EMPTY_CODE, storage: bytes = EMPTY_TRIE) -> bytes:
    return bytes(rlp.encode([NONCE, BALANCE, storage, code]))


def state(accounts: dict[EthereumAddress, bytes]) -> HexaryTrie:
    trie = HexaryTrie({})
    for index in range(150):
        trie[keccak256(bytes([index]) * 20)] = leaf()
    for address, value in accounts.items():
        trie[keccak256(address.raw)] = value
    return trie


def proof_of(trie: HexaryTrie, address: EthereumAddress) -> list[bytes]:
    nodes = trie.get_proof(keccak256(address.raw))  # type: ignore[no-untyped-call] # it says no types
    return [rlp.encode(node) for node in nodes]


@pytest.fixture
def trie() -> HexaryTrie:
    return state({OURS: leaf()})


@pytest.fixture
def header(trie: HexaryTrie) -> Header:
    return read_header(header_fields(trie.root_hash))


@pytest.fixture
def proof(trie: HexaryTrie) -> list[bytes]:
    return proof_of(trie, OURS)


def refused(header: Header, proof: Sequence[bytes], because: str, address: EthereumAddress = OURS) -> None:
    with pytest.raises(ChainDataInvalid, match=because):
        verify_account(address=address, header=header, proof=proof)


def test_an_honest_proof_shows_balance_and_nonce(header: Header, proof: list[bytes]) -> None:
    assert verify_account(address=OURS, header=header, proof=proof) == ProvenState(
        address=OURS, block=header.block.ref, balance=Wei(BALANCE), nonce=NONCE
    )


def test_an_account_that_does_not_exist_is_proven_empty(trie: HexaryTrie, header: Header) -> None:
    found = verify_account(address=ABSENT, header=header, proof=proof_of(trie, ABSENT))
    assert (found.balance, found.nonce) == (Wei(0), 0)


@pytest.mark.parametrize("position", [0, 1, -1])
def test_a_tampered_node_is_refused(header: Header, proof: list[bytes], position: int) -> None:
    changed = bytearray(proof[position])
    changed[len(changed) // 2] ^= 1
    proof[position] = bytes(changed)
    refused(header, proof, "does not verify")


def test_a_higher_balance_in_the_leaf_is_refused(header: Header, proof: list[bytes]) -> None:
    path, _ = rlp.decode(proof[-1])
    proof[-1] = rlp.encode([path, rlp.encode([NONCE, BALANCE * 2, EMPTY_TRIE, EMPTY_CODE])])
    refused(header, proof, "does not verify")


@pytest.mark.parametrize("missing", [0, 1, -1])
def test_a_proof_with_a_gap_is_refused(header: Header, proof: list[bytes], missing: int) -> None:
    del proof[missing]
    refused(header, proof, "does not verify")


def test_no_proof_is_refused(header: Header) -> None:
    refused(header, [], "a proof of 0 nodes")


@pytest.mark.parametrize("junk", [b"junk", rlp.encode([b"\x20", b"value"])])
def test_a_node_that_proves_nothing_is_refused(header: Header, proof: list[bytes], junk: bytes) -> None:
    refused(header, [*proof, junk], "prove nothing")


def test_a_node_given_twice_is_refused(header: Header, proof: list[bytes]) -> None:
    refused(header, [*proof, proof[0]], "twice")


def test_a_longer_proof_than_any_real_one_is_refused(header: Header, proof: list[bytes]) -> None:
    refused(header, [*proof, *(bytes([n]) * 40 for n in range(64))], "nodes")


def test_a_larger_node_than_any_real_one_is_refused(header: Header, proof: list[bytes]) -> None:
    refused(header, [*proof[:-1], proof[-1] + b"\x00" * 600], "bytes")


def test_a_proof_of_another_account_is_refused(trie: HexaryTrie, header: Header) -> None:
    refused(header, proof_of(trie, OURS), "does not verify|prove nothing", address=ABSENT)


def test_a_proof_under_another_state_root_is_refused(proof: list[bytes]) -> None:
    refused(read_header(header_fields(b"\x01" * 32)), proof, "does not verify")


@pytest.mark.parametrize(
    "changes", [{"code": keccak256(b"\xef\x01\x00" + b"\x05" * 20)}, {"storage": b"\x09" * 32}]
)
def test_an_account_with_code_is_refused(changes: dict[str, bytes]) -> None:
    """EIP-7702: an externally owned account can delegate to code, and ours never do."""
    trie = state({OURS: leaf(**changes)})
    refused(read_header(header_fields(trie.root_hash)), proof_of(trie, OURS), "has code")


def test_a_header_is_read_by_its_21_fields(header: Header) -> None:
    assert (header.block.height, header.base_fee_per_gas_wei) == (100, 30_000_000)
    assert header.block.parent == "07" * 32


def test_a_header_of_an_earlier_fork_has_fewer_fields() -> None:
    fields = {name: value for name, value in header_fields(b"\x01" * 32).items() if name not in FIELDS[15:]}
    assert read_header(sealed(fields)).base_fee_per_gas_wei == 0


@pytest.mark.parametrize("name", FIELDS)
def test_a_header_with_one_field_changed_is_refused(name: str) -> None:
    fields = header_fields(b"\x01" * 32)
    value = fields[name]
    fields[name] = (
        hex(int(value, 16) + 1) if name in QUANTITIES else ("0x08" + value[4:] if value != "0x" else "0x08")
    )
    with pytest.raises(ChainDataInvalid, match="does not hash"):
        read_header(fields)


def test_a_header_with_a_field_of_a_later_fork_is_refused() -> None:
    fields = header_fields(b"\x01" * 32)
    raw = rlp.encode([*(encoded(name, fields[name]) for name in FIELDS), b"\x01" * 32])
    with pytest.raises(ChainDataInvalid, match="does not hash"):
        read_header({**fields, "blockAccessListHash": f"0x{'01' * 32}", "hash": f"0x{keccak256(raw).hex()}"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", "100"),
        ("number", "0x"),
        ("number", None),
        ("stateRoot", "0x12"),
        ("extraData", "0x" + "00" * 33),
        ("hash", 1),
    ],
)
def test_a_malformed_header_is_refused(name: str, value: object) -> None:
    with pytest.raises(ChainDataInvalid):
        read_header({**header_fields(b"\x01" * 32), name: value})  # type: ignore[dict-item] # malformed on purpose


@pytest.mark.parametrize("text", ["", "0x", "12", "0x1_0", "0x 1", "0xg", "0x" + "1" * 65, "-0x1"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(text)


@pytest.mark.parametrize(
    ("base", "used", "following"),
    [
        (1000, 15_000_000, 1000),
        (1000, 30_000_000, 1125),
        (1000, 0, 875),
        (1, 30_000_000, 2),
        (7, 15_000_001, 8),
    ],
)
def test_the_next_base_fee_is_that_of_eip_1559(base: int, used: int, following: int) -> None:
    header = read_header(header_fields(b"\x01" * 32, baseFeePerGas=hex(base), gasUsed=hex(used)))
    assert next_base_fee(header) == following
