"""On a real node: addresses, payouts of every pair, replacement, conflicts, dust, and an anchor's spend."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from bitcoin.core import COutPoint, CTransaction, CTxIn, CTxOut, lx
from bitcoin.core.script import CScript

from deploy.localnet.bitcoind import Bitcoind
from deploy.localnet.json_rpc import RpcError
from signers.bitcoin.coins import PREVIOUS_BYTES_MAX, Coin, Outpoint, dust_limit, require_confirmed
from signers.bitcoin.construct import UnsignedPayout, build_payout
from signers.bitcoin.node import BitcoinNode, NodeUnavailable, NodeUnfit
from signers.bitcoin.sign import combine, sign_payout
from signers.bitcoin.verify import VerifiedPayout, verify_payout
from signers.statements import multisig
from signers.statements.allowlist import BitcoinDestination
from signers.statements.amounts import Sats
from signers.statements.identifiers import ScriptPubKey
from signers.statements.network import Network
from tests.signers.bitcoin import material
from tests.signers.bitcoin.conftest import address_of
from tests.signers.bitcoin.material import Payment

pytestmark = pytest.mark.system


@pytest.fixture
def node(bitcoind: Bitcoind) -> Iterator[BitcoinNode]:
    user = bitcoind.users["signer-1"]
    made = BitcoinNode.connect(
        user.url, network=Network.REGTEST, user=user.username, password=user.password_file.read_text()
    )
    yield made
    made.close()


@pytest.fixture
def account(request: pytest.FixtureRequest) -> material.Material:
    """An account of this test alone, so that tests do not share coins."""
    return material.make(material.name_of(request.node.name))


def fund(bitcoind: Bitcoind, account: material.Material, value: int) -> Coin:
    """A confirmed coin of the account."""
    txid = bitcoind.send(address=address_of(bitcoind, account.script), amount_sats=value)
    bitcoind.mine()
    made = bitcoind.call("getrawtransaction", txid, True)
    (index,) = (
        output["n"] for output in made["vout"] if output["scriptPubKey"]["hex"] == account.script.hex()
    )
    return Coin(previous_transaction=bytes.fromhex(made["hex"]), index=index)


def outpoint(coin: Coin) -> Outpoint:
    return Outpoint(txid=material.txid_of(coin), index=coin.index)


def pay(
    account: material.Material, coins: tuple[Coin, ...], amount: int, fee: int, **changes: Any
) -> Payment:
    return Payment(
        material=account,
        intent=material.intent(
            account,
            anchor=material.outpoint_anchor(coins[0]),
            amount=Sats(amount),
            fee_cap=Sats(50_000),
            **changes,
        ),
        coins=coins,
        fee=Sats(fee),
    )


async def signed(payment: Payment, *pair: int) -> tuple[VerifiedPayout, str]:
    """The payout as two signers make it: verified, and as text for a node."""
    payout: UnsignedPayout = build_payout(**payment.arguments)
    verified = verify_payout(payout.transaction, **payment.arguments)
    partials = [
        await sign_payout(payout=payout, verified=verified, key=key.public, sign=key.sign)
        for key in (payment.material.cosigners[index] for index in pair)
    ]
    return verified, combine(verified, *partials).hex()


@pytest.mark.parametrize("name", ["client-one", "client-two", "client-three"])
def test_the_script_is_that_of_the_address_bitcoind_derives(bitcoind: Bitcoind, name: str) -> None:
    account = material.make(name)
    descriptor = multisig.descriptor(account.account.bitcoin.keys)
    checked = bitcoind.call("getdescriptorinfo", descriptor)["descriptor"]
    assert bitcoind.call("deriveaddresses", checked) == [address_of(bitcoind, account.script)]


async def test_the_node_is_fit_and_agrees_on_the_tip(bitcoind: Bitcoind, node: BitcoinNode) -> None:
    await node.check()
    info = bitcoind.call("getblockchaininfo")
    tip = await node.tip()
    assert (tip.height, tip.block_hash) == (bitcoind.height(), bitcoind.tip())
    assert (tip.time, tip.median_time_past) == (info["time"], info["mediantime"])


async def test_a_node_of_another_chain_is_refused(bitcoind: Bitcoind) -> None:
    user = bitcoind.users["signer-1"]
    node = BitcoinNode.connect(
        user.url, network=Network.MAINNET, user=user.username, password=user.password_file.read_text()
    )
    with pytest.raises(NodeUnfit):
        await node.check()
    node.close()


async def test_a_wrong_password_is_unavailable(bitcoind: Bitcoind, tmp_path: Path) -> None:
    node = BitcoinNode.connect(bitcoind.url, network=Network.REGTEST, user="signer-1", password="wrong")
    with pytest.raises(NodeUnavailable):
        await node.check()
    node.close()


@pytest.mark.parametrize("pair", list(combinations(range(3), 2)))
async def test_every_pair_spends_to_the_satoshi(
    bitcoind: Bitcoind, node: BitcoinNode, account: material.Material, pair: tuple[int, int]
) -> None:
    coins = (fund(bitcoind, account, 700_000), fund(bitcoind, account, 500_000))
    verified, raw = await signed(pay(account, coins, 900_000, 3_000), *pair)
    for spent in verified.spent:
        require_confirmed(spent, await node.confirmed_output(spent.outpoint))
    (accepted,) = bitcoind.call("testmempoolaccept", [raw])
    assert accepted["allowed"], accepted
    assert Decimal(str(accepted["fees"]["base"])) == Decimal("0.00003")
    assert bitcoind.call("sendrawtransaction", raw) == verified.txid
    bitcoind.mine()
    decoded = bitcoind.call("decoderawtransaction", raw)
    change = next(out["n"] for out in decoded["vout"] if out["scriptPubKey"]["hex"] == account.script.hex())
    left = await node.confirmed_output(Outpoint(txid=verified.txid, index=change))
    assert left is not None
    assert (left.value, left.script) == (Sats(297_000), account.script)
    assert [await node.confirmed_output(outpoint(coin)) for coin in coins] == [None, None]


async def test_a_coin_in_a_transaction_as_long_as_a_block_holds_is_paid_out(
    bitcoind: Bitcoind, node: BitcoinNode, account: material.Material
) -> None:
    """Nodes relay none over 400,000 units; a miner may include it, and who pays us may be one."""
    source = bitcoind.wallet_call("listunspent", 1)[0]
    spent = CTxIn(COutPoint(lx(source["txid"]), source["vout"]))
    outputs = [CTxOut(500_000, CScript(account.script)), CTxOut(0, CScript(b"\x6a" + bytes(999_000)))]
    made = CTransaction([spent], outputs)
    raw = bitcoind.wallet_call("signrawtransactionwithwallet", made.serialize().hex())["hex"]
    bitcoind.call("generateblock", bitcoind.new_address(), [raw])
    without_witnesses = CTransaction.deserialize(bytes.fromhex(raw)).serialize({"include_witness": False})
    assert 999_000 < len(without_witnesses) <= PREVIOUS_BYTES_MAX
    coin = Coin(previous_transaction=without_witnesses, index=0)
    verified, payout = await signed(pay(account, (coin,), 400_000, 3_000), 0, 1)
    require_confirmed(verified.spent[0], await node.confirmed_output(outpoint(coin)))
    assert bitcoind.call("sendrawtransaction", payout) == verified.txid


async def test_a_higher_fee_replaces_and_a_conflict_never_confirms(
    bitcoind: Bitcoind, account: material.Material
) -> None:
    """Disjoint as pairs of two of three can be: both attempts are valid, and the anchor lets one through."""
    coins = (fund(bitcoind, account, 700_000), fund(bitcoind, account, 500_000))
    _, first = await signed(pay(account, coins[:1], 400_000, 1_000), 0, 1)
    second, bumped = await signed(pay(account, coins, 400_000, 20_000), 1, 2)
    bitcoind.call("sendrawtransaction", first)
    assert bitcoind.call("sendrawtransaction", bumped) == second.txid
    assert bitcoind.mempool() == {second.txid}
    with pytest.raises(RpcError):
        bitcoind.call("sendrawtransaction", first)
    bitcoind.mine()
    with pytest.raises(RpcError):
        bitcoind.call("sendrawtransaction", first)


SCRIPTS = {
    "p2wpkh": "0014" + "77" * 20,
    "p2wsh": "0020" + "77" * 32,
    "p2tr": "5120" + "77" * 32,
    "p2pkh": "76a914" + "77" * 20 + "88ac",
    "p2sh": "a914" + "77" * 20 + "87",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_the_smallest_payout_is_relayed(
    bitcoind: Bitcoind, account: material.Material, script: str
) -> None:
    coin = fund(bitcoind, account, 100_000)
    limit = dust_limit(ScriptPubKey(script).raw)
    where = BitcoinDestination(script_pubkey=ScriptPubKey(script))
    _, raw = await signed(pay(account, (coin,), limit.units, 2_000, destination=where), 0, 2)
    (accepted,) = bitcoind.call("testmempoolaccept", [raw])
    assert accepted["allowed"], accepted


async def test_the_smallest_change_is_relayed(bitcoind: Bitcoind, account: material.Material) -> None:
    coin = fund(bitcoind, account, 100_000)
    _, raw = await signed(pay(account, (coin,), 100_000 - 2_000 - 330, 2_000), 0, 1)
    (accepted,) = bitcoind.call("testmempoolaccept", [raw])
    assert accepted["allowed"], accepted


async def test_an_anchor_is_spent_at_finality_and_reopened_by_a_reorganisation(
    bitcoind: Bitcoind, node: BitcoinNode, account: material.Material
) -> None:
    coin = fund(bitcoind, account, 100_000)
    anchor = outpoint(coin)
    _, raw = await signed(pay(account, (coin,), 50_000, 2_000), 0, 1)
    assert not await node.anchor_spent_at_finality(anchor, depth=1)
    txid = bitcoind.call("sendrawtransaction", raw)
    assert not await node.anchor_spent_at_finality(anchor, depth=1)
    bitcoind.mine()
    assert await node.anchor_spent_at_finality(anchor, depth=1)
    assert not await node.anchor_spent_at_finality(anchor, depth=3)
    bitcoind.mine(2)
    assert await node.anchor_spent_at_finality(anchor, depth=3)
    bitcoind.reorg(3)
    assert txid in bitcoind.mempool()
    assert not await node.anchor_spent_at_finality(anchor, depth=1)
    bitcoind.mine()
    assert await node.anchor_spent_at_finality(anchor, depth=1)


async def test_a_new_process_finds_an_old_spend(
    bitcoind: Bitcoind, node: BitcoinNode, account: material.Material
) -> None:
    coin = fund(bitcoind, account, 100_000)
    _, raw = await signed(pay(account, (coin,), 50_000, 2_000), 0, 1)
    bitcoind.call("sendrawtransaction", raw)
    bitcoind.mine(6)
    assert await node.anchor_spent_at_finality(outpoint(coin), depth=6)
    assert not await node.anchor_spent_at_finality(outpoint(coin), depth=7)


async def test_a_node_that_restarts_is_unavailable_and_comes_back(bitcoind: Bitcoind) -> None:
    cookie = bitcoind._folder / "regtest/.cookie"
    node = BitcoinNode.connect(bitcoind.url, network=Network.REGTEST, cookie_file=cookie)
    before = await node.tip()
    bitcoind.stop()
    with pytest.raises(NodeUnavailable):
        await node.tip()
    bitcoind.start()
    assert await node.tip() == before
    node.close()
