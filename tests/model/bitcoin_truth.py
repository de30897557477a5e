"""What Bitcoin says of the account: counted anew from every block, by nothing of custody's.

Custody was only ever shown certain views of the chain. Depth counts in those: what was deep enough in one of
them stays so until its block is missing from a later one.
"""

from dataclasses import dataclass, field

from bitcoin.core import CBlock, COutPoint, CTransaction

from tests.unit.custody.workers.fake_bitcoin import FakeBitcoin

View = tuple[bytes, ...]
"""The hash of every block, by height."""


@dataclass(frozen=True)
class Arrival:
    """An output that somebody paid us."""

    units: int
    height: int
    credited: bool


@dataclass(frozen=True)
class Payout:
    """A transaction that spent coins of ours."""

    made: CTransaction
    fee: int
    height: int
    settled: bool

    @property
    def txid(self) -> str:
        return str(self.made.GetTxid()[::-1].hex())

    def paid_to(self, script: bytes) -> list[int]:
        return [out.nValue for out in self.made.vout if bytes(out.scriptPubKey) == script]


@dataclass
class BitcoinTruth:
    """Counts what the latest view holds at one script."""

    script: bytes
    confirmations: int
    finality: int
    views: list[View] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
    coins: dict[COutPoint, int] = field(default_factory=dict)
    """Unspent, by outpoint."""
    blocks: dict[bytes, CBlock] = field(default_factory=dict)

    def look(self, chain: FakeBitcoin) -> None:
        """Custody has followed the chain to where it is."""
        self.blocks |= {block.GetHash(): block for block in chain.chain}
        self.views.append(tuple(block.GetHash() for block in chain.chain))
        self.arrivals, self.payouts, self.coins = [], [], {}
        for height, block_hash in enumerate(self.views[-1]):
            for made in self.blocks[block_hash].vtx[1:]:
                self._count(made, block_hash, height)

    def _count(self, made: CTransaction, block_hash: bytes, height: int) -> None:
        spent = [self.coins.pop(each.prevout) for each in made.vin if each.prevout in self.coins]
        ours = {
            COutPoint(made.GetTxid(), index): out.nValue
            for index, out in enumerate(made.vout)
            if bytes(out.scriptPubKey) == self.script
        }
        self.coins |= ours
        if spent:
            fee = sum(spent) - sum(out.nValue for out in made.vout)
            settled = self._was_deep(block_hash, height, self.finality)
            self.payouts.append(Payout(made, fee, height, settled))
        else:
            credited = self._was_deep(block_hash, height, self.confirmations)
            self.arrivals += [Arrival(units, height, credited) for units in ours.values()]

    def _was_deep(self, block_hash: bytes, height: int, depth: int) -> bool:
        """Whether some view, since the last one without the block, had so many from it to its tip."""
        deep = False
        for view in self.views:
            there = height < len(view) and view[height] == block_hash
            deep = there and (deep or len(view) - height >= depth)
        return deep
