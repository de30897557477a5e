"""What the suite does to a Bitcoin chain, fake or real, beside asking the port."""

import secrets
from typing import Protocol

from embit.networks import NETWORKS
from embit.script import Script

from custody.adapters.bitcoin_node import BitcoinNode
from custody.adapters.bitcoin_nodes import BitcoinNodes
from custody.adapters.block_matching import transaction_id
from custody.adapters.json_rpc import Endpoint, JsonRpc
from custody.application.ports.chains import BitcoinChain
from custody.domain.deposit import Outpoint
from deploy.localnet.bitcoind import Bitcoind
from signers.statements.identifiers import TxId
from signers.statements.network import Network
from tests.unit.custody.adapters.blocks import transaction, txid_of
from tests.unit.custody.workers.fake_bitcoin import FakeBitcoin

ANYONE = b"\x51"


def fresh_script() -> bytes:
    """A P2WSH script of nobody."""
    return b"\x00\x20" + secrets.token_bytes(32)


class BitcoinHarness(Protocol):
    """A chain under the test's hand."""

    chain: BitcoinChain

    def pay(self, script: bytes, sats: int) -> Outpoint:
        """Somebody pays a script; it waits for a block."""

    def mine(self, count: int = 1) -> None:
        """Blocks with what waits."""

    def reorg(self, depth: int, *, drop: TxId | None = None) -> None:
        """Replace the last blocks by one more."""

    def unsent(self, script: bytes, sats: int) -> tuple[bytes, bytes]:
        """Two valid transactions over the same coin that nobody has sent; the first pays the script."""

    def free_of_charge(self, script: bytes) -> bytes:
        """A valid transaction that pays the script and no fee."""

    def close(self) -> None:
        """Give up what is held."""


class FakeBitcoinHarness:
    """The chain of the unit tests."""

    def __init__(self) -> None:
        self.fake = FakeBitcoin()
        self.chain: BitcoinChain = self.fake

    def pay(self, script: bytes, sats: int) -> Outpoint:
        return self.fake.pay(script, sats)

    def mine(self, count: int = 1) -> None:
        self.fake.mine(count)

    def reorg(self, depth: int, *, drop: TxId | None = None) -> None:
        self.fake.reorg(depth, drop=drop is not None)

    def unsent(self, script: bytes, sats: int) -> tuple[bytes, bytes]:
        source = self.fake.put(transaction(outputs=[(ANYONE, sats + 1000)], nonce=secrets.randbits(62)))
        self.fake.mine()
        spends = [Outpoint(source, 0)]
        payments = [transaction(spends=spends, outputs=[(script, sats - each)]) for each in (0, 1)]
        return payments[0].serialize(), payments[1].serialize()

    def free_of_charge(self, script: bytes) -> bytes:
        source = self.fake.put(transaction(outputs=[(ANYONE, 50_000)], nonce=secrets.randbits(62)))
        self.fake.mine()
        return bytes(transaction(spends=[Outpoint(source, 0)], outputs=[(script, 50_000)]).serialize())

    def close(self) -> None:
        return None


class RealBitcoinHarness:
    """A regtest bitcoind, asked as custody asks it."""

    def __init__(self, bitcoind: Bitcoind) -> None:
        self.bitcoind = bitcoind
        user = bitcoind.users["custody"]
        endpoint = Endpoint(name="bitcoind", url=user.url, user=user.username, secret_file=user.password_file)
        self.rpc = JsonRpc(endpoint)
        self.chain: BitcoinChain = BitcoinNodes([BitcoinNode(self.rpc, network=Network.REGTEST)], needed=1)

    def pay(self, script: bytes, sats: int) -> Outpoint:
        txid = self.bitcoind.send(address=_address(script), amount_sats=sats)
        outputs = self.bitcoind.call("getrawtransaction", txid, True)["vout"]
        index = next(out["n"] for out in outputs if out["scriptPubKey"]["hex"] == script.hex())
        return Outpoint(TxId(txid), index)

    def mine(self, count: int = 1) -> None:
        self.bitcoind.mine(count)

    def reorg(self, depth: int, *, drop: TxId | None = None) -> None:
        self.bitcoind.reorg(depth, drop=() if drop is None else (drop,))

    def unsent(self, script: bytes, sats: int) -> tuple[bytes, bytes]:
        coin = self.bitcoind.wallet_call("listunspent", 1)[0]
        spends = {"inputs": [{"txid": coin["txid"], "vout": coin["vout"]}], "add_to_wallet": False}
        made = [
            self.bitcoind.wallet_call(
                "send",
                {_address(script): (sats - each) / 10**8},
                None,
                "unset",
                None,
                {**spends, "fee_rate": 2 + each},
            )["hex"]
            for each in (0, 1)
        ]
        return bytes.fromhex(made[0]), bytes.fromhex(made[1])

    def free_of_charge(self, script: bytes) -> bytes:
        coin = self.bitcoind.wallet_call("listunspent", 1)[0]
        inputs = [{"txid": coin["txid"], "vout": coin["vout"]}]
        made = self.bitcoind.call("createrawtransaction", inputs, {_address(script): coin["amount"]})
        return bytes.fromhex(self.bitcoind.wallet_call("signrawtransactionwithwallet", made)["hex"])

    def close(self) -> None:
        self.rpc.close()


def _address(script: bytes) -> str:
    return str(Script(script).address(NETWORKS["regtest"]))


def id_of(raw: bytes) -> TxId:
    """The id of a serialised transaction."""
    return transaction_id(raw)


__all__ = ["BitcoinHarness", "FakeBitcoinHarness", "RealBitcoinHarness", "fresh_script", "id_of", "txid_of"]
