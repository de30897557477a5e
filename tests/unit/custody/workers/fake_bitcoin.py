"""A Bitcoin chain in memory: real transactions, blocks matched by the product's own walk.

What is broadcast to it is verified by Bitcoin Core's interpreter before it is mined.
"""

import hashlib
from collections.abc import Collection, Iterable

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
    FeeRate,
    FeeTooLow,
    TransactionNotFound,
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
RELAY = FeeRate(1000)


class FakeBitcoin:
    """A chain that the test mines, forks and pays on. Implements `BitcoinChain`."""

    def __init__(self) -> None:
        self.chain: list[CBlock] = []
        self.mempool: dict[TxId, CTransaction] = {}
        self.known: dict[TxId, CTransaction] = {}
        """Whatever was ever paid or sent. Somebody has kept it, and can bring it to a miner again."""
        self.sent: list[TxId] = []
        self.rate = FeeRate(2000)
        self.minimum = FeeRate(1000)
        """What the mempool asks for at least."""
        self._made = 0
        self.mine(3)

    # What the test does.

    def mine(self, count: int = 1, *, drop: bool = False) -> None:
        """Blocks of which the first holds the mempool, unless that is dropped."""
        for _ in range(count):
            waiting, self.mempool = self.mempool, {}
            self.add([] if drop else waiting.values())

    def add(self, transactions: Iterable[CTransaction]) -> None:
        """A block of those of the transactions that can stand in it, in this order."""
        self._made += 1
        standing: list[CTransaction] = []
        for each in transactions:
            if self._can_stand(each, [*self._mined(), *standing]):
                standing.append(each)
        coinbase = transaction(outputs=[(COINBASE, 0)], nonce=self._made)
        parent = self.chain[-1].GetHash() if self.chain else b"\x00" * 32
        self.chain.append(block_of([coinbase, *standing], parent=parent, time=self._made))

    def fork(self, depth: int) -> list[list[CTransaction]]:
        """Take the last blocks away. Returns what each of them held."""
        lost = [list(block.vtx[1:]) for block in self.chain[-depth:]]
        del self.chain[-depth:]
        return lost

    def reorg(self, depth: int, *, drop: bool = False) -> None:
        """Replace the last blocks by one more; their transactions wait again unless dropped."""
        lost = {txid_of(each): each for block in self.fork(depth) for each in block}
        waiting, self.mempool = ({} if drop else lost | self.mempool), {}
        self.mine(depth + 1)
        self.mempool = waiting

    def pay(self, script: bytes, sats: int) -> Outpoint:
        """Somebody pays a script; in the next block."""
        self._made += 1
        source = Outpoint(TxId(hashlib.sha256(f"faucet {self._made}".encode()).hexdigest()), 0)
        return Outpoint(self.put(transaction(spends=[source], outputs=[(script, sats)])), 0)

    def put(self, made: CTransaction) -> TxId:
        """Anybody's transaction waits for the next block."""
        self.mempool[txid_of(made)] = self.known[txid_of(made)] = made
        return txid_of(made)

    def paid_to(self, script: bytes) -> list[int]:
        """Every output of the chain at a script."""
        outputs = (out for block in self.chain for tx in block.vtx for out in tx.vout)
        return [out.nValue for out in outputs if bytes(out.scriptPubKey) == script]

    def spent_depth(self, outpoint: Outpoint) -> int:
        """Confirmations of what spends an output; 0 while nothing does."""
        wanted = COutPoint(bytes.fromhex(outpoint.txid)[::-1], outpoint.index)
        heights = (height for height, block in enumerate(self.chain) if wanted in _spent(block.vtx))
        return len(self.chain) - next(heights, len(self.chain))

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
        return bytes(found.serialize({"include_witness": False}))

    async def broadcast(self, raw: bytes) -> TxId:
        made = CTransaction.deserialize(raw)
        txid = txid_of(made)
        if txid in self.mempool or any(txid_of(each) == txid for each in self._mined()):
            return txid
        spent = [self._unspent(each.prevout) for each in made.vin]
        outputs = [out for out in spent if out is not None]
        if len(outputs) < len(spent):
            raise BroadcastRejected(["bad-txns-inputs-missingorspent"])
        verify_spends(raw, outputs)
        self._require_fee(made)
        for each in self._conflicts(made):
            del self.mempool[txid_of(each)]
        self.put(made)
        self.sent.append(txid)
        return txid

    def fee_of(self, made: CTransaction) -> int:
        """What a transaction of known coins pays."""
        given = sum(self.known[_txid(each.prevout)].vout[each.prevout.n].nValue for each in made.vin)
        return int(given - sum(out.nValue for out in made.vout))

    def _require_fee(self, made: CTransaction) -> None:
        """The mempool's minimum, and BIP-125's rules 3 and 4 for a replacement."""
        fee, vsize = self.fee_of(made), -(-made.calc_weight() // 4)
        if fee < self.minimum.fee(vsize).units:
            raise FeeTooLow(["mempool min fee not met"])
        conflicts = self._conflicts(made)
        if conflicts and fee < sum(map(self.fee_of, conflicts)) + RELAY.fee(vsize).units:
            raise FeeTooLow(["insufficient fee, rejecting replacement"])

    def _conflicts(self, made: CTransaction) -> list[CTransaction]:
        return [each for each in self.mempool.values() if _spent([made]) & _spent([each])]

    async def fee_rate(self, *, target_blocks: int) -> FeeRate:
        return self.rate

    async def unspent(self, scripts: Collection[ScriptPubKey]) -> UnspentSet:
        spent = _spent(self._mined())
        outputs = [
            UnspentOutput(
                outpoint=Outpoint(txid_of(tx), index),
                script=ScriptPubKey(bytes(out.scriptPubKey).hex()),
                amount=Sats(out.nValue),
            )
            for tx in self._mined()
            for index, out in enumerate(tx.vout)
            if bytes(out.scriptPubKey).hex() in scripts and COutPoint(tx.GetTxid(), index) not in spent
        ]
        return UnspentSet(block=self._header(len(self.chain) - 1).ref, outputs=tuple(outputs))

    def _header(self, height: int) -> BlockHeader:
        return header_of(self.chain[height].get_header().serialize(), height=height)

    def _mined(self) -> list[CTransaction]:
        return [each for block in self.chain for each in block.vtx]

    def _can_stand(self, made: CTransaction, before: list[CTransaction]) -> bool:
        """Nothing of it is spent, and what we know of the coins it spends stands there."""
        if _spent([made]) & _spent(before):
            return False
        there = {txid_of(each) for each in before}
        return all(_txid(each.prevout) in there or _txid(each.prevout) not in self.known for each in made.vin)

    def _find(self, txid: TxId) -> CTransaction | None:
        mined = (each for each in [*self._mined(), *self.mempool.values()] if txid_of(each) == txid)
        return next(mined, None)

    def _unspent(self, prevout: COutPoint) -> CTxOut | None:
        made = self._find(_txid(prevout))
        return None if made is None or prevout in _spent(self._mined()) else made.vout[prevout.n]


def _spent(transactions: Iterable[CTransaction]) -> set[COutPoint]:
    return {each.prevout for made in transactions for each in made.vin if not each.prevout.is_null()}


def _txid(prevout: COutPoint) -> TxId:
    return TxId(bytes(prevout.hash)[::-1].hex())
