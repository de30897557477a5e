"""What Ethereum says of the account: counted anew from every block, by nothing of custody's."""

from dataclasses import dataclass, field

from custody.domain.chain_view import BlockRef
from signers.statements.identifiers import EthereumAddress, TxId
from tests.unit.custody.workers.fake_ethereum import EthereumBlock, FakeEthereum, decoded


@dataclass(frozen=True)
class Transfer:
    """A transaction of the account, as a block executed it."""

    tx_hash: TxId
    to: EthereumAddress
    value: int
    """What arrived; 0 where it failed."""
    fee: int
    height: int


@dataclass
class EthereumTruth:
    """Counts what the latest view did at one address."""

    address: EthereumAddress
    view: list[EthereumBlock] = field(default_factory=list)
    node_final: int = 0
    """The height of what the node called final."""
    heads: list[BlockRef] = field(default_factory=list)
    """Where custody has looked."""

    def look(self, chain: FakeEthereum, *, final: int) -> None:
        """Custody has followed the chain to where it is."""
        self.view = list(chain.blocks)
        self.node_final = final
        self.heads.append(self.view[-1].header.ref)

    def came(self, *, above: int, up_to: int | None = None) -> int:
        """Wei that came in blocks `above < height <= up_to` by no transaction of ours."""
        blocks = self.view[above + 1 : None if up_to is None else up_to + 1]
        return sum(wei for block in blocks for to, wei in block.payments if to == self.address)

    @property
    def transfers(self) -> list[Transfer]:
        """Every transaction of the account."""
        found = []
        for block in self.view:
            for tx_hash, raw in block.transfers.items():
                fields, sender = decoded(raw)
                executed = block.executed[tx_hash]
                if sender == self.address:
                    found.append(
                        Transfer(
                            tx_hash=tx_hash,
                            to=EthereumAddress(fields["to"].hex()),
                            value=fields["value"] if executed.succeeded else 0,
                            fee=executed.fee.units,
                            height=block.header.height,
                        )
                    )
        return found

    def stands_at(self, block: BlockRef) -> int:
        """The balance after a block, from nothing."""
        came = self.came(above=-1, up_to=block.height)
        return came - sum(each.value + each.fee for each in self.transfers if each.height <= block.height)

    def holds(self, block: BlockRef) -> bool:
        """Whether the view has exactly this block."""
        return block.height < len(self.view) and self.view[block.height].header.ref == block

    def final_at_least(self) -> int:
        """The highest block that custody has stood at and that is final by now: what it must know of."""
        known = [head.height for head in self.heads if self.holds(head) and head.height <= self.node_final]
        return max(known, default=-1)
