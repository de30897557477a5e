"""The block walk against python-bitcoinlib's objects: the same matches; anything else is refused."""

import random

import pytest
from bitcoin.core import (
    CBlock,
    CMutableTransaction,
    CMutableTxIn,
    CMutableTxOut,
    COutPoint,
    CTransaction,
)
from bitcoin.core.script import CScript
from hypothesis import given
from hypothesis import strategies as st

from custody.adapters.block_matching import match_block, transaction_id, without_witnesses
from custody.application.ports.chains import (
    BitcoinWatch,
    BlockActivity,
    BlockHeader,
    ChainDataInvalid,
    outpoint_wire,
)
from custody.domain.deposit import Outpoint
from signers.statements.identifiers import TxId
from tests.unit.custody.adapters.blocks import block_of, header_of, mainnet_block, transaction, txid_of

OURS, THEIRS = b"\x00\x20" + b"\x01" * 32, b"\x00\x20" + b"\x02" * 32
NOTHING = Outpoint(TxId("00" * 32), 0xFFFFFFFF)
ELSEWHERE = Outpoint(TxId("ab" * 32), 7)


def watch(*scripts: bytes, outpoints: tuple[Outpoint, ...] = ()) -> BitcoinWatch:
    return BitcoinWatch(scripts=set(scripts), outpoints={outpoint_wire(each) for each in outpoints})


def naive(
    raw: bytes, watched: BitcoinWatch, header: BlockHeader
) -> list[tuple[str, list[str], list[tuple[int, int]]]]:
    """What a plain reading of a library's objects finds."""
    known = set(watched.outpoints)
    found: list[tuple[str, list[str], list[tuple[int, int]]]] = []
    for each in CBlock.deserialize(raw).vtx:
        txid = txid_of(each)
        spends = [
            f"{bytes(i.prevout.hash)[::-1].hex()}:{i.prevout.n}"
            for i in each.vin
            if bytes(i.prevout.hash) + i.prevout.n.to_bytes(4, "little") in known
        ]
        arrivals = [
            (n, out.nValue) for n, out in enumerate(each.vout) if bytes(out.scriptPubKey) in watched.scripts
        ]
        known |= {outpoint_wire(Outpoint(txid, n)) for n, _ in arrivals}
        if spends or arrivals:
            found.append((txid, spends, arrivals))
    return found


def plain(activity: BlockActivity) -> list[tuple[str, list[str], list[tuple[int, int]]]]:
    return [
        (
            each.txid,
            [str(o) for o in each.spends],
            [(a.outpoint.index, a.amount.units) for a in each.arrivals],
        )
        for each in activity.transactions
    ]


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
def test_a_mainnet_block_matches_as_a_library_reads_it(share: float) -> None:
    raw = mainnet_block()
    header, block = header_of(raw), CBlock.deserialize(raw)
    chosen = random.Random(7)
    scripts = {bytes(o.scriptPubKey) for tx in block.vtx for o in tx.vout if chosen.random() < share}
    scripts = {script for script in scripts if 0 < len(script) <= 83}
    spent = {
        bytes(i.prevout.hash) + i.prevout.n.to_bytes(4, "little")
        for tx in block.vtx[1:]
        for i in tx.vin
        if chosen.random() < share
    }
    watched = BitcoinWatch(scripts=scripts, outpoints=spent)
    assert plain(match_block(raw, block=header, watch=watched)) == naive(raw, watched, header)


def test_every_transaction_id_of_a_mainnet_block() -> None:
    for each in CBlock.deserialize(mainnet_block()).vtx[:500]:
        assert transaction_id(each.serialize()) == txid_of(each)
        assert transaction_id(each.serialize({"include_witness": False})) == txid_of(each)


def test_every_transaction_of_a_mainnet_block_without_its_witnesses() -> None:
    for each in CBlock.deserialize(mainnet_block()).vtx[:500]:
        plain_bytes = each.serialize({"include_witness": False})
        assert without_witnesses(each.serialize()) == without_witnesses(plain_bytes) == plain_bytes


@pytest.mark.parametrize("witness", [None, b"", b"w" * 390_000])
def test_witnesses_are_no_part_of_what_signers_are_shown(witness: bytes | None) -> None:
    made = transaction(spends=[ELSEWHERE], outputs=[(OURS, 5), (b"\x6a" * 300, 0)], witness=witness)
    shown = without_witnesses(made.serialize())
    assert shown == made.serialize({"include_witness": False})
    assert transaction_id(shown) == txid_of(made)


def test_a_coin_that_is_spent_in_the_block_that_made_it() -> None:
    arrival = transaction(outputs=[(THEIRS, 5), (OURS, 1000)], nonce=1)
    spend = transaction(spends=[Outpoint(txid_of(arrival), 1)], outputs=[(THEIRS, 900)], witness=b"w")
    raw = block_of([arrival, spend]).serialize()
    found = match_block(raw, block=header_of(raw), watch=watch(OURS))
    assert [each.txid for each in found.transactions] == [txid_of(arrival), txid_of(spend)]
    assert found.transactions[1].spends == (Outpoint(txid_of(arrival), 1),)


def test_a_transaction_that_spends_and_pays_us_is_one_activity() -> None:
    both = transaction(spends=[ELSEWHERE], outputs=[(OURS, 10), (OURS, 20)])
    raw = block_of([transaction(outputs=[(THEIRS, 1)]), both]).serialize()
    (only,) = match_block(raw, block=header_of(raw), watch=watch(OURS, outpoints=(ELSEWHERE,))).transactions
    assert only.spends == (ELSEWHERE,)
    assert [arrival.amount.units for arrival in only.arrivals] == [10, 20]


@pytest.fixture
def raw() -> bytes:
    coinbase = transaction(outputs=[(OURS, 50)], nonce=1)
    others = [
        transaction(spends=[Outpoint(TxId(f"{n:064x}"), n)], outputs=[(THEIRS, n)], witness=b"x" * n)
        for n in (1, 300)
    ]
    return bytes(block_of([coinbase, *others]).serialize())


def refused(raw: bytes, header: BlockHeader, because: str) -> None:
    with pytest.raises(ChainDataInvalid, match=because):
        match_block(raw, block=header, watch=watch(OURS))


def test_the_baseline_is_accepted(raw: bytes) -> None:
    assert len(match_block(raw, block=header_of(raw), watch=watch(OURS)).transactions) == 1


def test_another_header_is_refused(raw: bytes) -> None:
    changed = bytearray(raw)
    changed[70] ^= 1
    refused(bytes(changed), header_of(raw), "not those of block")


def test_another_parent_than_the_chain_says_is_refused(raw: bytes) -> None:
    header = header_of(raw)
    other = BlockHeader(height=header.height, block_hash=header.block_hash, parent=header.block_hash)
    refused(raw, other, "not those of block")


def test_a_changed_output_is_refused(raw: bytes) -> None:
    changed = bytearray(raw)
    changed[changed.index(OURS) + 5] ^= 1
    refused(bytes(changed), header_of(raw), "not those of block")


def test_a_transaction_left_out_is_refused(raw: bytes) -> None:
    block = CBlock.deserialize(raw)
    fewer = raw[:80] + b"\x02" + b"".join(each.serialize() for each in block.vtx[:-1])
    refused(fewer, header_of(raw), "not those of block")


def test_a_repeated_last_transaction_is_refused() -> None:
    """CVE-2012-2459: the root is the same with the last transaction twice."""
    spends = [transaction(spends=[Outpoint(TxId("ab" * 32), n)], outputs=[(OURS, n)]) for n in (2, 3)]
    transactions = [transaction(outputs=[(OURS, 1)]), *spends]
    honest = block_of(transactions)
    doubled = CBlock(
        2, honest.hashPrevBlock, honest.hashMerkleRoot, 0, 0x207FFFFF, 0, [*transactions, transactions[-1]]
    )
    assert doubled.calc_merkle_root() == honest.hashMerkleRoot
    refused(doubled.serialize(), header_of(honest.serialize()), "repeats")


def test_two_transaction_ids_that_read_as_one_transaction_are_refused() -> None:
    """CVE-2017-12842: a block of two, of which a liar shows the Merkle tree's next level as one transaction.

    A few seconds of hashing find a lock time with which both ids together are 64 bytes of a transaction.
    """
    coinbase = CMutableTransaction(
        [CMutableTxIn(COutPoint(), CScript(b"\x03\x08\x00\x00"))],
        [CMutableTxOut(50 * 10**8, CScript(b"\x51"))],
    )
    coinbase.nVersion = 2
    deposit = CMutableTransaction(
        [CMutableTxIn(COutPoint(bytes.fromhex("ab" * 32), 7))],
        [CMutableTxOut(10**8, CScript(OURS))],
        nLockTime=3_767_143,
    )
    deposit.nVersion = 2
    honest = block_of([CTransaction.from_tx(coinbase), CTransaction.from_tx(deposit)])
    raw, ids = honest.serialize(), coinbase.GetTxid() + deposit.GetTxid()
    assert transaction_id(ids) == honest.hashMerkleRoot[::-1].hex()
    assert len(match_block(raw, block=header_of(raw), watch=watch(OURS)).transactions) == 1
    refused(raw[:80] + b"\x01" + ids, header_of(raw), "not exactly the first transaction is a coinbase")


@pytest.mark.parametrize(
    "transactions",
    [
        [transaction(spends=[ELSEWHERE], outputs=[(OURS, 1)])],
        [transaction(outputs=[(OURS, 1)]), transaction(outputs=[(OURS, 1)], nonce=1)],
        [transaction(spends=[ELSEWHERE], outputs=[(OURS, 1)]), transaction(outputs=[(OURS, 1)])],
        [transaction(spends=[NOTHING, ELSEWHERE], outputs=[(OURS, 1)])],
    ],
    ids=["none", "two", "the-second", "with-another-input"],
)
def test_exactly_the_first_transaction_is_a_coinbase(transactions: list[CTransaction]) -> None:
    raw = block_of(transactions).serialize()
    refused(raw, header_of(raw), "not exactly the first transaction is a coinbase")


def test_bytes_after_the_block_are_refused(raw: bytes) -> None:
    refused(raw + b"\x00", header_of(raw), "bytes follow")


def test_a_count_that_cannot_fit_is_refused(raw: bytes) -> None:
    refused(raw[:80] + b"\xff" + b"\xff" * 8 + raw[81:], header_of(raw), "do not fit")


def test_an_oversized_block_is_refused(raw: bytes) -> None:
    refused(raw + b"\x00" * 4_000_000, header_of(raw), "a block of")


@given(st.data())
def test_any_cut_or_flip_is_refused_or_harmless(data: st.DataObject) -> None:
    """Whatever is done to the bytes, the answer is a typed refusal, or exactly the honest one."""
    honest = block_of(
        [transaction(outputs=[(OURS, 9)], witness=b"w"), transaction(spends=[ELSEWHERE], outputs=[(OURS, 1)])]
    ).serialize()
    header, watched = header_of(honest), watch(OURS, outpoints=(ELSEWHERE,))
    expected = match_block(honest, block=header, watch=watched)
    changed = bytearray(honest[: data.draw(st.integers(0, len(honest)))])
    if changed:
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(0, 255))
    try:
        found = match_block(bytes(changed), block=header, watch=watched)
    except ChainDataInvalid:
        return
    # Witnesses are not under the transactions' ids, and nothing is read from them.
    assert found == expected


@given(st.binary(max_size=200))
def test_no_bytes_are_a_transaction_by_accident(raw: bytes) -> None:
    try:
        transaction_id(raw)
    except ChainDataInvalid:
        return
    assert len(raw) >= 10
