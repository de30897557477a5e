"""An Ethereum chain in memory: balances by block, signed transfers executed."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import rlp
from eth_account import Account as EthereumAccount

from custody.adapters.ethereum_node import transaction_hash
from custody.application.ports.chains import (
    AccountState,
    BlockHeader,
    BlockNotFound,
    BroadcastRejected,
    Executed,
    FeeQuote,
)
from signers.statements.amounts import Wei
from signers.statements.identifiers import (
    BlockHash,
    EthereumAddress,
    TxId,
)


@dataclass(frozen=True)
class _EthereumBlock:
    header: BlockHeader
    balances: dict[EthereumAddress, tuple[int, int]]
    executed: dict[TxId, Executed] = field(default_factory=dict)


class FakeEthereum:
    """A chain of balances that the test mines, forks and pays on. Implements `EthereumChain`."""

    def __init__(self) -> None:
        self.blocks: list[_EthereumBlock] = []
        self.waiting: list[tuple[EthereumAddress, int]] = []
        self.mempool: dict[TxId, bytes] = {}
        self.final_behind = 2
        self.failing = False
        self.pruned_below = 0
        self.sent: list[TxId] = []
        self._made = 0
        self.mine(4)

    def mine(self, count: int = 1) -> None:
        """Blocks of which the first executes what waits."""
        for _ in range(count):
            self._made += 1
            before = self.blocks[-1] if self.blocks else None
            header = BlockHeader(
                height=len(self.blocks),
                block_hash=BlockHash(hashlib.sha256(f"eth {self._made}".encode()).hexdigest()),
                parent=before.header.block_hash if before else BlockHash("00" * 32),
            )
            block = _EthereumBlock(header, dict(before.balances) if before else {})
            for address, wei in self.waiting:
                balance, nonce = block.balances.get(address, (0, 0))
                block.balances[address] = (balance + wei, nonce)
            for raw in self.mempool.values():
                self._execute(block, raw)
            self.waiting, self.mempool = [], {}
            self.blocks.append(block)

    def reorg(self, depth: int) -> None:
        """Replace the last blocks by one more, all empty; nothing waits again."""
        del self.blocks[-depth:]
        self.mine(depth + 1)

    def pay(self, address: EthereumAddress, wei: int) -> None:
        """From a contract, say: no transaction names the address. Negative: taken away, no nonce used."""
        self.waiting.append((address, wei))

    def balance(self, address: EthereumAddress) -> int:
        return self.blocks[-1].balances.get(address, (0, 0))[0]

    def _execute(self, block: _EthereumBlock, raw: bytes) -> None:
        fields, sender = _decoded(raw)
        balance, nonce = block.balances.get(sender, (0, 0))
        if fields["nonce"] != nonce:
            return
        fee = 21_000 * min(fields["maxFeePerGas"], 10**9 + fields["maxPriorityFeePerGas"])
        value = 0 if self.failing else fields["value"]
        block.balances[sender] = (balance - value - fee, nonce + 1)
        to = EthereumAddress(fields["to"].hex())
        received, theirs = block.balances.get(to, (0, 0))
        block.balances[to] = (received + value, theirs)
        txid = transaction_hash(raw)
        block.executed[txid] = Executed(
            tx_hash=txid, block=block.header, succeeded=not self.failing, fee=Wei(fee)
        )

    async def head(self) -> BlockHeader:
        return self.blocks[-1].header

    async def finalised(self) -> BlockHeader:
        return self.blocks[max(0, len(self.blocks) - 1 - self.final_behind)].header

    async def block_at(self, height: int) -> BlockHeader:
        if not 0 <= height < len(self.blocks):
            raise BlockNotFound(str(height))
        return self.blocks[height].header

    async def account_at(self, address: EthereumAddress, block: BlockHeader) -> AccountState:
        if block.height < self.pruned_below or (await self.block_at(block.height)) != block:
            raise BlockNotFound(f"no state at {block.height}")
        balance, nonce = self.blocks[block.height].balances.get(address, (0, 0))
        return AccountState(address=address, block=block.ref, balance=Wei(balance), nonce=nonce)

    async def fee_quote(self) -> FeeQuote:
        return FeeQuote(base_fee_per_gas_wei=10**9, priority_fee_per_gas_wei=10**8)

    async def broadcast(self, raw: bytes) -> TxId:
        txid = transaction_hash(raw)
        if txid in self.mempool or await self.executed(txid) is not None:
            return txid
        fields, sender = _decoded(raw)
        if self.blocks[-1].balances.get(sender, (0, 0))[1] > fields["nonce"]:
            raise BroadcastRejected(["nonce too low"])
        self.mempool[txid] = raw
        self.sent.append(txid)
        return txid

    async def executed(self, tx_hash: TxId) -> Executed | None:
        return next((each.executed[tx_hash] for each in self.blocks if tx_hash in each.executed), None)


def _decoded(raw: bytes) -> tuple[dict[str, Any], EthereumAddress]:
    _, nonce, priority, fee, _, to, value, *_ = rlp.decode(raw[1:])
    names = ("nonce", "maxPriorityFeePerGas", "maxFeePerGas", "value")
    numbers = (int.from_bytes(each, "big") for each in (nonce, priority, fee, value))
    sender = EthereumAccount.recover_transaction(raw)
    return {**dict(zip(names, numbers, strict=True)), "to": to}, EthereumAddress(sender[2:].lower())
