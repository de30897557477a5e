"""A Bitcoin chain in memory: real transactions, blocks matched by the product's own walk.

What is broadcast to it is verified by Bitcoin Core's interpreter before it is mined.
"""

import hashlib
from collections.abc import Collection

from bitcoin.core import (
    CBlock,
    COutPoint,
    CTransaction,
    CTxOut,
)

from custody.adapters.bitcoin_transactions import verify_spends
from custody.adapters.block_matching import match_block
from custody.application.ports.chains import (
    BitcoinWatch,
    BlockActivity,
    BlockHeader,
    BlockNotFound,
    BroadcastRejected,
    Confirmed,
    FeeRate,
    InMempool,
    NotSeen,
    TransactionNotFound,
    TransactionPlace,
    UnspentOutput,
    UnspentSet,
)
from custody.domain.deposit import Outpoint
from signers.statements.amounts import Sats
from signers.statements.identifiers import (
    BlockHash,
    ScriptPubKey,
    TxId,
)
from tests.unit.custody.adapters.blocks import block_of, header_of, transaction, txid_of

COINBASE = b"\x6a"


class FakeBitcoin:
    """A chain that the test mines, forks and pays on. Implements `BitcoinChain`."""

    def __init__(self) -> None:
        self.chain: list[CBlock] = []
        self.mempool: dict[TxId, CTransaction] = {}
        self.sent: list[TxId] = []
        self.rate = FeeRate(2000)
        self._made = 0
        self.mine(3)

    # What the test does.

    def mine(self, count: int = 1, *, drop: bool = False) -> None:
        """Blocks of which the first holds the mempool, unless that is dropped."""
        for _ in range(count):
            waiting = [] if drop else list(self.mempool.values())
            self.mempool = {}
            self._made += 1
            coinbase = transaction(outputs=[(COINBASE, 0)], nonce=self._made)
            parent = self.chain[-1].GetHash() if self.chain else b"\x00" * 32
            self.chain.append(block_of([coinbase, *waiting], parent=parent, time=self._made))

    def reorg(self, depth: int, *, drop: bool = False) -> None:
        """Replace the last blocks by one more; their transactions wait again unless dropped."""
        lost = [each for block in self.chain[-depth:] for each in block.vtx[1:]]
        del self.chain[-depth:]
        if not drop:
            self.mempool = {txid_of(each): each for each in lost} | self.mempool
        self.mine(depth + 1, drop=True) if drop else self._mine_empty(depth + 1)

    def _mine_empty(self, count: int) -> None:
        waiting, self.mempool = self.mempool, {}
        self.mine(count)
        self.mempool = waiting

    def pay(self, script: bytes, sats: int) -> Outpoint:
        """Somebody pays a script; in the next block."""
        self._made += 1
        source = Outpoint(TxId(hashlib.sha256(f"faucet {self._made}".encode()).hexdigest()), 0)
        made = transaction(spends=[source], outputs=[(script, sats)])
        self.mempool[txid_of(made)] = made
        return Outpoint(txid_of(made), 0)

    def put(self, made: CTransaction) -> TxId:
        """Anybody's transaction waits for the next block."""
        self.mempool[txid_of(made)] = made
        return txid_of(made)

    def paid_to(self, script: bytes) -> list[int]:
        """Every output of the chain at a script."""
        outputs = (out for block in self.chain for tx in block.vtx for out in tx.vout)
        return [out.nValue for out in outputs if bytes(out.scriptPubKey) == script]

    # The port.

    async def tip(self) -> BlockHeader:
        return self._header(len(self.chain) - 1)

    async def block_at(self, height: int) -> BlockHeader:
        if not 0 <= height < len(self.chain):
            raise BlockNotFound(str(height))
        return self._header(height)

    async def activity(self, block: BlockHeader, watch: BitcoinWatch) -> BlockActivity:
        if not block.height < len(self.chain) or self._header(block.height) != block:
            raise BlockNotFound(block.block_hash)
        return match_block(self.chain[block.height].serialize(), block=block, watch=watch)

    async def raw_transaction(self, txid: TxId, *, block: BlockHash | None = None) -> bytes:
        found = self._find(txid)
        if found is None:
            raise TransactionNotFound(txid)
        return bytes(found.serialize())

    async def place(self, txid: TxId) -> TransactionPlace:
        if txid in self.mempool:
            return InMempool()
        for height, block in enumerate(self.chain):
            if any(txid_of(each) == txid for each in block.vtx):
                return Confirmed(block=self._header(height).ref)
        return NotSeen()

    async def broadcast(self, raw: bytes) -> TxId:
        made = CTransaction.deserialize(raw)
        txid = txid_of(made)
        if not isinstance(await self.place(txid), NotSeen):
            return txid
        spent = [self._unspent(each.prevout) for each in made.vin]
        taken = {bytes(i.prevout.serialize()) for each in self.mempool.values() for i in each.vin}
        if None in spent or any(each.prevout.serialize() in taken for each in made.vin):
            raise BroadcastRejected(["bad-txns-inputs-missingorspent"])
        verify_spends(raw, [out for out in spent if out is not None])
        self.mempool[txid] = made
        self.sent.append(txid)
        return txid

    async def fee_rate(self, *, target_blocks: int) -> FeeRate:
        return self.rate

    async def unspent(self, scripts: Collection[ScriptPubKey]) -> UnspentSet:
        spent = {bytes(i.prevout.serialize()) for block in self.chain for tx in block.vtx for i in tx.vin}
        outputs = [
            UnspentOutput(
                outpoint=Outpoint(txid_of(tx), index),
                script=ScriptPubKey(bytes(out.scriptPubKey).hex()),
                amount=Sats(out.nValue),
                height=height,
            )
            for height, block in enumerate(self.chain)
            for tx in block.vtx
            for index, out in enumerate(tx.vout)
            if bytes(out.scriptPubKey).hex() in scripts
            and COutPoint(tx.GetTxid(), index).serialize() not in spent
        ]
        return UnspentSet(block=self._header(len(self.chain) - 1).ref, outputs=tuple(outputs))

    def _header(self, height: int) -> BlockHeader:
        return header_of(self.chain[height].get_header().serialize(), height=height)

    def _find(self, txid: TxId) -> CTransaction | None:
        mined = [each for block in self.chain for each in block.vtx]
        return next((each for each in [*mined, *self.mempool.values()] if txid_of(each) == txid), None)

    def _unspent(self, prevout: COutPoint) -> CTxOut | None:
        made = self._find(TxId(bytes(prevout.hash)[::-1].hex()))
        spent = any(i.prevout == prevout for block in self.chain for tx in block.vtx for i in tx.vin)
        return None if made is None or spent else made.vout[prevout.n]
