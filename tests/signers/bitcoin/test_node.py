"""The node's view on a bitcoind in memory: failures, the bounded search for a spend, and reorganisations."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from signers.bitcoin.coins import ConfirmedOutput, Outpoint
from signers.bitcoin.node import BitcoinNode, NodeUnavailable, NodeUnfit
from signers.statements.amounts import Sats
from signers.statements.identifiers import TxId
from signers.statements.network import Network
from tests.signers.bitcoin.fake_bitcoind import FakeBitcoind

SEARCH_BLOCKS = 5


@pytest.fixture
def chain() -> FakeBitcoind:
    made = FakeBitcoind()
    made.mine(20)
    return made


@pytest.fixture
def node(chain: FakeBitcoind) -> Iterator[BitcoinNode]:
    made = BitcoinNode(chain, network=Network.REGTEST, search_blocks_max=SEARCH_BLOCKS)
    yield made
    made.close()


async def settle(node: BitcoinNode, anchor: Outpoint, *, depth: int, calls: int = 20, since: int = 0) -> bool:
    """The answer once a bounded search has had its time."""
    for _ in range(calls):
        if await node.anchor_spent_at_finality(anchor, depth=depth, since_height=since):
            return True
    return False


async def test_a_fit_node_passes(node: BitcoinNode) -> None:
    await node.check()


@pytest.mark.parametrize(
    "changes",
    [{"chain": "main"}, {"genesis": "00" * 32}, {"index": {}}],
    ids=["another chain", "another genesis block", "no transaction index"],
)
async def test_an_unfit_node_is_refused(changes: dict[str, Any]) -> None:
    node = BitcoinNode(FakeBitcoind(**changes), network=Network.REGTEST)
    with pytest.raises(NodeUnfit):
        await node.check()


async def test_an_index_under_way_is_waited_for() -> None:
    node = BitcoinNode(FakeBitcoind(index={"txindex": {"synced": False}}), network=Network.REGTEST)
    with pytest.raises(NodeUnavailable):
        await node.check()


async def test_a_silent_node_is_unavailable(node: BitcoinNode, chain: FakeBitcoind) -> None:
    anchor, chain.down = chain.coin(), True
    for question in (
        node.check(),
        node.tip(),
        node.confirmed_output(anchor),
        node.anchor_spent_at_finality(anchor, depth=1),
    ):
        with pytest.raises(NodeUnavailable):
            await question


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"blocks": "7"},
        {"blocks": True, "bestblockhash": "ab" * 32, "time": 1, "mediantime": 1},
        {"blocks": 1, "bestblockhash": "AB" * 32, "time": 1, "mediantime": 1},
        {"blocks": 1, "bestblockhash": "ab" * 32, "time": Decimal(1), "mediantime": 1},
    ],
)
async def test_an_answer_of_another_form_is_unavailable(answer: Any) -> None:
    node = BitcoinNode(lambda _method, _parameters: answer, network=Network.REGTEST)
    with pytest.raises(NodeUnavailable):
        await node.tip()


@pytest.mark.parametrize("value", ["0.1", 0.1, Decimal("0.000000001"), Decimal("NaN"), Decimal(-1), None])
async def test_an_amount_of_another_form_is_unavailable(
    node: BitcoinNode, chain: FakeBitcoind, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    found = chain._gettxout
    monkeypatch.setattr(chain, "_gettxout", lambda *given: {**found(*given), "value": value})
    with pytest.raises(NodeUnavailable):
        await node.confirmed_output(chain.coin())


async def test_the_tip(node: BitcoinNode, chain: FakeBitcoind) -> None:
    tip = await node.tip()
    assert (tip.height, tip.block_hash, tip.time) == (20, chain.blocks[-1].hash, chain.blocks[-1].time)
    assert tip.median_time_past == chain.blocks[-6].time


async def test_a_confirmed_output(node: BitcoinNode, chain: FakeBitcoind) -> None:
    outpoint = chain.coin(b"\x51\x51", 12_345)
    chain.mine(3)
    assert await node.confirmed_output(outpoint) == ConfirmedOutput(
        value=Sats(12_345), script=b"\x51\x51", height=21
    )
    assert await node.confirmed_output(replace(outpoint, index=1)) is None
    assert await node.confirmed_output(Outpoint(txid=TxId("ab" * 32), index=0)) is None


async def test_an_unspent_anchor_is_not_spent(node: BitcoinNode, chain: FakeBitcoind) -> None:
    anchor = chain.coin()
    chain.mine(30)
    assert not await settle(node, anchor, depth=1)


async def test_an_anchor_nobody_has_seen_is_not_spent(node: BitcoinNode) -> None:
    assert not await settle(node, Outpoint(txid=TxId("ab" * 32), index=0), depth=1)


@pytest.mark.parametrize("depth", [1, 2, 6])
async def test_a_spend_is_final_at_the_depth_and_not_before(
    node: BitcoinNode, chain: FakeBitcoind, depth: int
) -> None:
    anchor = chain.coin()
    assert not await node.anchor_spent_at_finality(anchor, depth=depth)
    chain.mine(transactions=[chain.spending(anchor)])
    for _ in range(depth - 1):
        assert not await settle(node, anchor, depth=depth)
        chain.mine()
    assert await settle(node, anchor, depth=depth)


async def test_a_spend_in_the_block_that_made_the_anchor(node: BitcoinNode, chain: FakeBitcoind) -> None:
    anchor = chain.coin()
    made = chain.blocks[-1].transactions[1]
    chain.roll_back(1)
    chain.mine(transactions=[made, chain.spending(anchor)])
    assert await settle(node, anchor, depth=1)


async def test_a_search_is_bounded_and_goes_on_where_it_stopped(
    node: BitcoinNode, chain: FakeBitcoind
) -> None:
    anchor = chain.coin()
    chain.mine(23)
    chain.mine(transactions=[chain.spending(anchor)])
    answers = []
    for _ in range(5):
        before = chain.calls.count("getblock")
        answers.append(await node.anchor_spent_at_finality(anchor, depth=1))
        assert chain.calls.count("getblock") - before <= SEARCH_BLOCKS
    assert answers == [False, False, False, False, True]
    assert chain.calls.count("getblock") == 25


async def test_an_anchor_seen_unspent_is_not_searched_from_its_beginning(
    node: BitcoinNode, chain: FakeBitcoind
) -> None:
    anchor = chain.coin()
    chain.mine(200)
    assert not await node.anchor_spent_at_finality(anchor, depth=1)
    chain.mine(transactions=[chain.spending(anchor)])
    assert await node.anchor_spent_at_finality(anchor, depth=1)


async def test_a_hint_shortens_the_search_after_a_restart(node: BitcoinNode, chain: FakeBitcoind) -> None:
    anchor = chain.coin()
    chain.mine(400)
    height = len(chain.blocks) - 1
    chain.mine(transactions=[chain.spending(anchor)])
    assert await settle(node, anchor, depth=1, calls=30, since=height)
    assert chain.calls.count("getblock") <= 150


async def test_a_mention_of_the_anchor_is_no_spend(node: BitcoinNode, chain: FakeBitcoind) -> None:
    anchor = chain.coin()
    chain.mine(transactions=[chain.mentioning(anchor)])
    chain.mine(transactions=[chain.spending(anchor)])
    chain.mine(5)
    assert not await settle(node, anchor, depth=7)
    assert await settle(node, anchor, depth=6)


async def test_a_reorganisation_reopens_a_spend(node: BitcoinNode, chain: FakeBitcoind) -> None:
    anchor = chain.coin()
    chain.mine(transactions=[chain.spending(anchor)])
    chain.mine(2)
    assert await settle(node, anchor, depth=3)
    chain.roll_back(3)
    chain.mine(5)
    assert not await settle(node, anchor, depth=3)
    chain.mine(transactions=[chain.spending(anchor)])
    chain.mine(2)
    assert await settle(node, anchor, depth=3)


async def test_a_reorganisation_below_what_was_searched_starts_over(
    node: BitcoinNode, chain: FakeBitcoind
) -> None:
    """The spend lies, on the new chain, below the block up to which the old one had been looked through."""
    anchor = chain.coin()
    chain.mine(12)
    chain.mine(transactions=[chain.spending(anchor)])
    assert not await node.anchor_spent_at_finality(anchor, depth=1)
    assert not await node.anchor_spent_at_finality(anchor, depth=1)
    chain.roll_back(13)
    chain.mine(transactions=[chain.spending(anchor)])
    chain.mine(14)
    assert await settle(node, anchor, depth=10)


async def test_an_anchor_reorganised_away_is_not_spent(node: BitcoinNode, chain: FakeBitcoind) -> None:
    anchor = chain.coin()
    chain.roll_back(1)
    chain.mine(3)
    assert not await settle(node, anchor, depth=1)


async def test_blocks_that_do_not_follow_each_other_are_not_believed(
    node: BitcoinNode, chain: FakeBitcoind, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchor = chain.coin()
    chain.mine(transactions=[chain.spending(anchor)])
    honest = chain._getblock
    monkeypatch.setattr(chain, "_getblock", lambda _hash, _form: chain.blocks[3].raw.hex())
    assert not await settle(node, anchor, depth=1)
    monkeypatch.setattr(chain, "_getblock", honest)
    assert await settle(node, anchor, depth=1)


async def test_no_depth_is_no_finality(node: BitcoinNode, chain: FakeBitcoind) -> None:
    with pytest.raises(ValueError, match="confirmation"):
        await node.anchor_spent_at_finality(chain.coin(), depth=0)


@pytest.mark.parametrize(
    "url", ["http://node.example:8332", "http://10.0.0.1:8332", "ftp://127.0.0.1", "http://localhost.evil:1"]
)
def test_no_password_is_sent_in_the_clear(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        BitcoinNode.connect(url, network=Network.MAINNET, user="signer", password="secret")


def test_exactly_one_way_to_log_in(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="credentials"):
        BitcoinNode.connect("http://127.0.0.1:1", network=Network.REGTEST)
    with pytest.raises(ValueError, match="cookie"):
        BitcoinNode.connect(
            "http://127.0.0.1:1",
            network=Network.REGTEST,
            user="signer",
            password="secret",
            cookie_file=tmp_path / "cookie",
        )


async def test_a_node_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    cookie = tmp_path / "cookie"
    node = BitcoinNode.connect("http://127.0.0.1:1", network=Network.REGTEST, cookie_file=cookie)
    with pytest.raises(NodeUnavailable):
        await node.tip()
    cookie.write_text("__cookie__:secret")
    with pytest.raises(NodeUnavailable) as unavailable:
        await node.tip()
    assert "secret" not in str(unavailable.value)
