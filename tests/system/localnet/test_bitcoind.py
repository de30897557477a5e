import time

import pytest

from deploy.localnet.bitcoind import Bitcoind, BitcoinRpcUser
from deploy.localnet.json_rpc import JsonRpc, NotJsonError, RpcError
from deploy.localnet.localnet import Localnet

pytestmark = pytest.mark.system
AMOUNT_SATS = 123_456_789


@pytest.fixture
def bitcoind(localnet: Localnet) -> Bitcoind:
    return localnet.bitcoind


def confirmations(bitcoind: Bitcoind, txid: str) -> int:
    return int(bitcoind.wallet_call("gettransaction", txid)["confirmations"])


def as_user(bitcoind: Bitcoind, user: BitcoinRpcUser, *, password: str | None = None) -> JsonRpc:
    secret = user.password_file.read_text(encoding="ascii") if password is None else password
    return JsonRpc(port=int(bitcoind.url.rpartition(":")[2]), credentials=f"{user.username}:{secret}")


def pay(bitcoind: Bitcoind) -> str:
    return bitcoind.send(address=bitcoind.new_address(), amount_sats=AMOUNT_SATS)


def test_the_pledgor_has_mature_coins(bitcoind: Bitcoind) -> None:
    assert bitcoind.balance_sats() > 100 * 10**8


def test_the_chains_time_does_not_run_ahead_of_the_clock(bitcoind: Bitcoind) -> None:
    bitcoind.mine()
    chain = bitcoind.call("getblockchaininfo")
    assert chain["mediantime"] <= time.time()


def test_a_payment_is_exact_and_confirms(bitcoind: Bitcoind) -> None:
    txid = pay(bitcoind)
    assert txid in bitcoind.mempool()
    (block,) = bitcoind.mine()
    assert bitcoind.tip() == block
    assert confirmations(bitcoind, txid) == 1
    outputs = bitcoind.call("getrawtransaction", txid, 1)["vout"]
    assert AMOUNT_SATS in [int(output["value"] * 10**8) for output in outputs]


def test_mining_is_not_the_pledgors_income(bitcoind: Bitcoind) -> None:
    before = bitcoind.balance_sats()
    bitcoind.mine(101)
    assert bitcoind.balance_sats() == before


def test_a_reorg_replaces_blocks_by_a_longer_chain(bitcoind: Bitcoind) -> None:
    txid = pay(bitcoind)
    replaced = (*bitcoind.mine(), *bitcoind.mine())
    height = bitcoind.height()
    new = bitcoind.reorg(2)
    assert bitcoind.height() == height + 1
    assert len(new) == 3
    assert set(new).isdisjoint(replaced)
    assert [bitcoind.call("getblockheader", block)["confirmations"] for block in replaced] == [-1, -1]
    assert txid in bitcoind.mempool()
    bitcoind.mine()
    assert confirmations(bitcoind, txid) == 1


def test_a_reorg_drops_a_transaction_its_descendants_and_no_other(bitcoind: Bitcoind) -> None:
    balance = bitcoind.balance_sats()
    dropped = bitcoind.send(address=bitcoind.new_address(), amount_sats=balance - 10**6)
    descendant = bitcoind.wallet_call(
        "sendall", [bitcoind.new_address()], None, "unset", 2, {"minconf": 0, "add_to_wallet": True}
    )["txid"]
    bitcoind.call("sendrawtransaction", bitcoind.wallet_call("gettransaction", descendant)["hex"])
    bitcoind.mine()
    bitcoind.reorg(1, drop=[dropped])
    assert bitcoind.mempool() == frozenset()
    bitcoind.mine(3)
    assert confirmations(bitcoind, dropped) == 0
    assert confirmations(bitcoind, descendant) == 0
    assert bitcoind.balance_sats() == balance


def test_a_dropped_transaction_leaves_others_waiting(bitcoind: Bitcoind) -> None:
    dropped, kept = pay(bitcoind), pay(bitcoind)
    if kept in bitcoind.call("getmempooldescendants", dropped):
        dropped, kept = kept, dropped
    bitcoind.mine(2)
    bitcoind.reorg(2, drop=[dropped])
    assert bitcoind.mempool() == {kept}
    bitcoind.mine()
    assert confirmations(bitcoind, kept) == 1


@pytest.mark.parametrize("depth", [0, 10**6])
def test_an_impossible_depth_is_refused_and_nothing_replaced(bitcoind: Bitcoind, depth: int) -> None:
    tip = bitcoind.tip()
    with pytest.raises(ValueError, match="depth"):
        bitcoind.reorg(depth)
    assert bitcoind.tip() == tip


def test_a_restart_keeps_chain_and_mempool(bitcoind: Bitcoind) -> None:
    txid, tip = pay(bitcoind), bitcoind.tip()
    bitcoind.restart()
    assert bitcoind.tip() == tip
    assert bitcoind.mempool() == {txid}
    bitcoind.mine()


def test_a_crash_keeps_the_wallet_and_the_confirmed(bitcoind: Bitcoind) -> None:
    txid = pay(bitcoind)
    bitcoind.mine()
    bitcoind.kill()
    bitcoind.start()
    bitcoind.mine()
    assert confirmations(bitcoind, txid) >= 1


def test_every_process_has_its_own_password(bitcoind: Bitcoind) -> None:
    assert set(bitcoind.users) == {"custody", "signer-1", "signer-2", "signer-3"}
    passwords = {user.password_file.read_text(encoding="ascii") for user in bitcoind.users.values()}
    assert len(passwords) == 4


@pytest.mark.parametrize("name", ["custody", "signer-1", "signer-2", "signer-3"])
def test_everyone_reads_the_chain(bitcoind: Bitcoind, name: str) -> None:
    assert as_user(bitcoind, bitcoind.users[name]).call("getblockcount") == bitcoind.height()


def test_custody_broadcasts(bitcoind: Bitcoind) -> None:
    with pytest.raises(RpcError, match="TX decode failed"):
        as_user(bitcoind, bitcoind.users["custody"]).call("sendrawtransaction", "00")


@pytest.mark.parametrize(
    "method", ["sendrawtransaction", "invalidateblock", "stop", "listwallets", "setmocktime"]
)
def test_a_signer_only_reads(bitcoind: Bitcoind, method: str) -> None:
    with pytest.raises(NotJsonError, match="HTTP 403"):
        as_user(bitcoind, bitcoind.users["signer-1"]).call(method)


@pytest.mark.parametrize("method", ["invalidateblock", "stop", "listwallets", "setmocktime"])
def test_custody_has_no_wallet_and_does_not_steer_the_node(bitcoind: Bitcoind, method: str) -> None:
    with pytest.raises(NotJsonError, match="HTTP 403"):
        as_user(bitcoind, bitcoind.users["custody"]).call(method)


def test_a_wrong_password_is_refused(bitcoind: Bitcoind) -> None:
    with pytest.raises(NotJsonError, match="HTTP 401"):
        as_user(bitcoind, bitcoind.users["signer-1"], password="wrong").call("getblockcount")
