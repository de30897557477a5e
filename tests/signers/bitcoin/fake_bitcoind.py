"""A bitcoind in memory: real blocks and transactions, no rules, reorganisations on demand."""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bitcoin.core import CBlock, CMutableTransaction, COutPoint, CTransaction, CTxIn, CTxOut, b2lx, lx
from bitcoin.core.script import CScript
from bitcoin_core_rpc import FetchError, RpcError

from signers.bitcoin.coins import Outpoint
from signers.statements.identifiers import TxId
from signers.statements.network import Network

NOT_FOUND = -5
START_TIME = 1_790_000_000
BLOCK_SECONDS = 600


@dataclass
class FakeBlock:
    hash: str
    raw: bytes
    transactions: list[CTransaction]
    time: int


@dataclass
class FakeBitcoind:
    """Call it as `BitcoinNode` calls a node."""

    chain: str = "regtest"
    genesis: str = Network.REGTEST.bitcoin_genesis
    index: dict[str, Any] = field(default_factory=lambda: {"txindex": {"synced": True}})
    down: bool = False
    blocks: list[FakeBlock] = field(default_factory=list)
    stale: list[FakeBlock] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    _serial: int = 0

    def __post_init__(self) -> None:
        self.blocks.append(FakeBlock(self.genesis, b"", [], START_TIME))

    # What a test does with it.

    def mine(self, count: int = 1, *, transactions: Sequence[CTransaction] = ()) -> None:
        """Blocks on top; the first has the transactions."""
        for _ in range(count):
            self._serial += 1
            coinbase = CTransaction([CTxIn(COutPoint(), CScript(struct.pack("<I", self._serial)))], [])
            body = [coinbase, *transactions]
            time = START_TIME + BLOCK_SECONDS * len(self.blocks)
            block = CBlock(hashPrevBlock=lx(self.blocks[-1].hash), nTime=time, nNonce=self._serial, vtx=body)
            self.blocks.append(FakeBlock(b2lx(block.GetHash()), block.serialize(), body, time))
            transactions = ()

    def roll_back(self, count: int) -> None:
        """Take blocks off the best chain."""
        self.stale.extend(self.blocks[-count:])
        del self.blocks[-count:]

    def coin(self, script: bytes = b"\x51", value: int = 100_000) -> Outpoint:
        """A confirmed output, in a block of its own."""
        self._serial += 1
        nowhere = hashlib.sha256(struct.pack("<I", self._serial)).digest()
        made = CTransaction([CTxIn(COutPoint(nowhere, 0))], [CTxOut(value, CScript(script))])
        self.mine(transactions=[made])
        return Outpoint(txid=TxId(b2lx(made.GetTxid())), index=0)

    def spending(self, outpoint: Outpoint) -> CTransaction:
        """A transaction that spends it."""
        return CTransaction(
            [CTxIn(COutPoint(lx(outpoint.txid), outpoint.index))], [CTxOut(1_000, CScript(b"\x6a"))]
        )

    def mentioning(self, outpoint: Outpoint) -> CTransaction:
        """A transaction that has the outpoint's 36 bytes in a script and spends something else."""
        transaction = CMutableTransaction()
        transaction.vin = [CTxIn(COutPoint(bytes(31) + b"\x01", 0))]
        data = lx(outpoint.txid) + struct.pack("<I", outpoint.index)
        transaction.vout = [CTxOut(0, CScript(b"\x6a" + bytes([len(data)]) + data))]
        return CTransaction.from_tx(transaction)

    # What a node answers.

    def __call__(self, method: str, parameters: Sequence[Any]) -> Any:
        self.calls.append(method)
        if self.down:
            raise FetchError("connection refused")
        return getattr(self, f"_{method}")(*parameters)

    def _getblockchaininfo(self) -> Any:
        times = sorted(block.time for block in self.blocks[-11:])
        return {
            "chain": self.chain,
            "blocks": len(self.blocks) - 1,
            "bestblockhash": self.blocks[-1].hash,
            "time": self.blocks[-1].time,
            "mediantime": times[len(times) // 2],
        }

    def _getindexinfo(self, _: str) -> Any:
        return self.index

    def _getblockhash(self, height: int) -> str:
        if not 0 <= height < len(self.blocks):
            raise RpcError("Block height out of range", -8)
        return self.blocks[height].hash

    def _getblockheader(self, block_hash: str) -> Any:
        for height, block in enumerate(self.blocks):
            if block.hash == block_hash:
                return {"height": height, "confirmations": len(self.blocks) - height}
        if any(block.hash == block_hash for block in self.stale):
            return {"height": 0, "confirmations": -1}
        raise RpcError("Block not found", NOT_FOUND)

    def _getblock(self, block_hash: str, _: int) -> str:
        for block in [*self.blocks, *self.stale]:
            if block.hash == block_hash:
                return block.raw.hex()
        raise RpcError("Block not found", NOT_FOUND)

    def _getrawtransaction(self, txid: str, _: bool) -> Any:
        for block in [*self.blocks, *self.stale]:
            if any(b2lx(each.GetTxid()) == txid for each in block.transactions):
                return {"txid": txid, "blockhash": block.hash}
        raise RpcError("No such mempool or blockchain transaction", NOT_FOUND)

    def _gettxout(self, txid: str, index: int, _: bool) -> Any:
        wanted, found = COutPoint(lx(txid), index), None
        for height, block in enumerate(self.blocks):
            for transaction in block.transactions:
                if any(txin.prevout == wanted for txin in transaction.vin):
                    return None
                if b2lx(transaction.GetTxid()) == txid and index < len(transaction.vout):
                    found = (height, transaction.vout[index])
        if found is None:
            return None
        height, output = found
        return {
            "bestblock": self.blocks[-1].hash,
            "confirmations": len(self.blocks) - height,
            "value": Decimal(output.nValue) / 10**8,
            "scriptPubKey": {"hex": bytes(output.scriptPubKey).hex()},
        }
