"""What every `BitcoinView` promises: the same tests on the node in memory and on a real one."""

import hashlib
from collections.abc import Iterator
from typing import Protocol

import pytest
from bitcoin.core import (
    COutPoint,
    CTransaction,
    CTxIn,
    CTxInWitness,
    CTxOut,
    CTxWitness,
    b2lx,
    lx,
)
from bitcoin.core.script import CScript, CScriptWitness

from deploy.localnet.bitcoind import Bitcoind
from signers.bitcoin.coins import ConfirmedOutput, Outpoint
from signers.bitcoin.node import BitcoinNode, BitcoinView
from signers.statements.amounts import Sats
from signers.statements.identifiers import TxId
from signers.statements.network import Network
from tests.signers.bitcoin.conftest import address_of
from tests.signers.bitcoin.fake_bitcoind import FakeBitcoind

ANYONE = b"\x51"
SCRIPT = bytes.fromhex("0020") + hashlib.sha256(ANYONE).digest()
VALUE = 100_000


class Chain(Protocol):
    """What happens to the node that the view looks at."""

    view: BitcoinView

    def coin(self) -> Outpoint:
        """A confirmed output of `VALUE` to `SCRIPT`."""

    def spend(self, outpoint: Outpoint) -> None:
        """In a block of its own."""

    def mine(self, count: int) -> None: ...

    def undo(self, count: int) -> None:
        """Replace the last blocks by one more; whatever was spent in them is unspent."""


class Fake:
    def __init__(self) -> None:
        self._node = FakeBitcoind()
        self._node.mine(5)
        self.view: BitcoinView = BitcoinNode(self._node, network=Network.REGTEST)

    def coin(self) -> Outpoint:
        return self._node.coin(SCRIPT, VALUE)

    def spend(self, outpoint: Outpoint) -> None:
        self._node.mine(transactions=[self._node.spending(outpoint)])

    def mine(self, count: int) -> None:
        self._node.mine(count)

    def undo(self, count: int) -> None:
        self._node.roll_back(count)
        self._node.mine(count + 1)


class Real:
    def __init__(self, node: Bitcoind) -> None:
        user = node.users["signer-1"]
        self._node = node
        self._spends: list[str] = []
        self.view: BitcoinView = BitcoinNode.connect(
            user.url, network=Network.REGTEST, user=user.username, password=user.password_file.read_text()
        )

    def coin(self) -> Outpoint:
        address = address_of(self._node, SCRIPT)
        txid = self._node.send(address=address, amount_sats=VALUE)
        self._node.mine()
        outputs = self._node.call("getrawtransaction", txid, True)["vout"]
        (index,) = (each["n"] for each in outputs if each["scriptPubKey"]["hex"] == SCRIPT.hex())
        return Outpoint(txid=TxId(txid), index=index)

    def spend(self, outpoint: Outpoint) -> None:
        transaction = CTransaction(
            [CTxIn(COutPoint(lx(outpoint.txid), outpoint.index))],
            [CTxOut(VALUE - 2_000, CScript(SCRIPT))],
            witness=CTxWitness([CTxInWitness(CScriptWitness([ANYONE]))]),
        )
        self._node.call("sendrawtransaction", transaction.serialize().hex())
        self._spends.append(b2lx(transaction.GetTxid()))
        self._node.mine()

    def mine(self, count: int) -> None:
        self._node.mine(count)

    def undo(self, count: int) -> None:
        self._node.reorg(count, drop=self._spends)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.system)])
def chain(request: pytest.FixtureRequest) -> Iterator[Chain]:
    made: Chain = Fake() if request.param == "fake" else Real(request.getfixturevalue("bitcoind"))
    yield made
    made.view.close()  # type: ignore[attr-defined] # a view is asked, a node is closed


async def test_tip_rises_with_the_chain(chain: Chain) -> None:
    before = await chain.view.tip()
    chain.mine(2)
    after = await chain.view.tip()
    assert after.height == before.height + 2
    assert after.block_hash != before.block_hash
    assert after.median_time_past <= after.time


async def test_a_confirmed_output_until_it_is_spent(chain: Chain) -> None:
    outpoint = chain.coin()
    height = (await chain.view.tip()).height
    expected = ConfirmedOutput(value=Sats(VALUE), script=SCRIPT, height=height)
    assert await chain.view.confirmed_output(outpoint) == expected
    chain.mine(3)
    assert await chain.view.confirmed_output(outpoint) == expected
    chain.spend(outpoint)
    assert await chain.view.confirmed_output(outpoint) is None


async def test_what_never_was_is_no_output(chain: Chain) -> None:
    nowhere = Outpoint(txid=TxId("ab" * 32), index=0)
    assert await chain.view.confirmed_output(nowhere) is None
    assert not await chain.view.anchor_spent_at_finality(nowhere, depth=1)


async def test_a_spend_is_final_at_its_depth(chain: Chain) -> None:
    anchor = chain.coin()
    assert not await chain.view.anchor_spent_at_finality(anchor, depth=1)
    chain.spend(anchor)
    assert await chain.view.anchor_spent_at_finality(anchor, depth=1)
    for _ in range(2):
        assert not await chain.view.anchor_spent_at_finality(anchor, depth=3)
        chain.mine(1)
    assert await chain.view.anchor_spent_at_finality(anchor, depth=3)


async def test_a_spend_that_nobody_watched_is_found(chain: Chain) -> None:
    anchor = chain.coin()
    chain.mine(3)
    chain.spend(anchor)
    chain.mine(4)
    assert await chain.view.anchor_spent_at_finality(anchor, depth=5)
    assert not await chain.view.anchor_spent_at_finality(anchor, depth=6)


async def test_a_reorganisation_reopens_the_anchor(chain: Chain) -> None:
    anchor = chain.coin()
    chain.spend(anchor)
    chain.mine(2)
    assert await chain.view.anchor_spent_at_finality(anchor, depth=3)
    chain.undo(3)
    assert not await chain.view.anchor_spent_at_finality(anchor, depth=1)
    assert await chain.view.confirmed_output(anchor) is not None
    chain.spend(anchor)
    assert await chain.view.anchor_spent_at_finality(anchor, depth=1)
