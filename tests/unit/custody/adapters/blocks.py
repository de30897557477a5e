"""Bitcoin blocks of transactions, serialised: small ones made here, and a real one of mainnet."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from bitcoin.core import (
    CBlock,
    CMutableTransaction,
    CMutableTxIn,
    CMutableTxOut,
    COutPoint,
    CTransaction,
    CTxInWitness,
    CTxWitness,
)
from bitcoin.core.script import CScript, CScriptWitness

from custody.adapters.block_matching import header_hash, header_parent
from custody.application.ports.chains import BlockHeader
from custody.domain.deposit import Outpoint
from signers.statements.identifiers import TxId

REPOSITORY = Path(__file__).parents[4]
MAINNET_BLOCK = "mainnet_block_000000000000000000000c835b2adcaedc20fdf6ee440009c249452c726dafae.raw"


def mainnet_block_file() -> Path:
    """Where a block of 2,500 transactions is, if it is here at all."""
    shared = Path(os.environ.get("BAILEE_SHARED", REPOSITORY.parent / "shared"))
    return shared / "data" / MAINNET_BLOCK


def mainnet_block() -> bytes:
    """The block; the test is skipped where the shared data is absent."""
    path = mainnet_block_file()
    if not path.exists():
        pytest.skip(f"no {MAINNET_BLOCK} in {path.parent} (BAILEE_SHARED)")
    return path.read_bytes()


def transaction(
    *,
    spends: Sequence[Outpoint] = (),
    outputs: Sequence[tuple[bytes, int]],
    witness: bytes | None = None,
    nonce: int = 0,
) -> CTransaction:
    """A transaction of these inputs and (script, satoshi) outputs; without inputs a coinbase."""
    inputs = [CMutableTxIn(COutPoint(bytes.fromhex(each.txid)[::-1], each.index)) for each in spends]
    if not inputs:
        inputs = [CMutableTxIn(COutPoint(), CScript(nonce.to_bytes(8, "little")))]
    made = CMutableTransaction(inputs, [CMutableTxOut(value, CScript(script)) for script, value in outputs])
    if witness is not None:
        made.wit = CTxWitness([CTxInWitness(CScriptWitness([witness])) for _ in inputs])
    return CTransaction.from_tx(made)


def block_of(transactions: Sequence[CTransaction], *, parent: bytes = b"\x11" * 32, time: int = 0) -> CBlock:
    """A block over the transactions; its work is nobody's."""
    shell = CBlock(2, parent, b"\x00" * 32, time, 0x207FFFFF, 0, transactions)
    return CBlock(2, parent, shell.calc_merkle_root(), time, 0x207FFFFF, 0, transactions)


def header_of(raw: bytes, *, height: int = 1) -> BlockHeader:
    """The header that the bytes claim."""
    return BlockHeader(height=height, block_hash=header_hash(raw[:80]), parent=header_parent(raw[:80]))


def txid_of(made: CTransaction) -> TxId:
    """As people write it."""
    return TxId(made.GetTxid()[::-1].hex())
