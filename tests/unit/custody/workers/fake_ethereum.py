"""An Ethereum chain in memory: balances by block, signed transfers executed."""

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import rlp
from eth_account import Account as EthereumAccount

from custody.adapters.ethereum_node import transaction_hash
from custody.application.ports.chains import (
    BlockHeader,
    BlockNotFound,
    BroadcastRejected,
    Executed,
    FeeQuote,
    FeeTooLow,
    ProvenState,
)
from signers.statements.amounts import Wei
from signers.statements.identifiers import (
    BlockHash,
    EthereumAddress,
    TxId,
)


@dataclass(frozen=True)
class EthereumBlock:
    header: BlockHeader
    balances: dict[EthereumAddress, tuple[int, int]]
    payments: tuple[tuple[EthereumAddress, int], ...] = ()
    """What came to whom by no transaction of theirs, in wei; negative where it was taken."""
    transfers: dict[TxId, bytes] = field(default_factory=dict)
    executed: dict[TxId, Executed] = field(default_factory=dict)


class FakeEthereum:
    """A chain of balances that the test mines, forks and pays on. Implements `EthereumChain`."""

    def __init__(self) -> None:
        self.blocks: list[EthereumBlock] = []
        self.waiting: list[tuple[EthereumAddress, int]] = []
        self.mempool: dict[TxId, bytes] = {}
        self.known: dict[TxId, bytes] = {}
        """Whatever was ever sent. Somebody has kept it, and can bring it to a validator again."""
        self.final_behind = 2
        self.failing = False
        self.pruned_below = 0
        self.sent: list[TxId] = []
        self.quote = FeeQuote(base_fee_per_gas_wei=10**9, priority_fee_per_gas_wei=10**8)
        self._final = 0
        self._made = 0
        self.mine(4)

    def mine(self, count: int = 1) -> None:
        """Blocks of which the first executes what waits."""
        for _ in range(count):
            (payments, self.waiting), (transfers, self.mempool) = (self.waiting, []), (self.mempool, {})
            self.add(payments, transfers.values())

    def add(self, payments: Iterable[tuple[EthereumAddress, int]], transfers: Iterable[bytes]) -> None:
        """A block of these payments and of those of the signed transfers that can be executed in it."""
        self._made += 1
        before = self.blocks[-1] if self.blocks else None
        header = BlockHeader(
            height=len(self.blocks),
            block_hash=BlockHash(hashlib.sha256(f"eth {self._made}".encode()).hexdigest()),
            parent=before.header.block_hash if before else BlockHash("00" * 32),
        )
        block = EthereumBlock(header, dict(before.balances) if before else {}, tuple(payments))
        for address, wei in block.payments:
            balance, nonce = block.balances.get(address, (0, 0))
            block.balances[address] = (balance + wei, nonce)
        for raw in transfers:
            self._execute(block, raw)
        self.blocks.append(block)
        self._final = max(self._final, len(self.blocks) - 1 - self.final_behind)

    def fork(self, depth: int) -> list[EthereumBlock]:
        """Take the last blocks away, and what was called final with them. Returns them."""
        lost = self.blocks[-depth:]
        del self.blocks[-depth:]
        self._final = min(self._final, len(self.blocks) - 1)
        return lost

    def reorg(self, depth: int) -> None:
        """Replace the last blocks by one more, all empty; nothing waits again."""
        self.fork(depth)
        self.mine(depth + 1)

    def pay(self, address: EthereumAddress, wei: int) -> None:
        """From a contract, say: no transaction names the address. Negative: taken away, no nonce used."""
        self.waiting.append((address, wei))

    def balance(self, address: EthereumAddress) -> int:
        return self.blocks[-1].balances.get(address, (0, 0))[0]

    def final_nonce(self, address: EthereumAddress) -> int:
        """How many transactions of an address are final."""
        return self.blocks[self._final].balances.get(address, (0, 0))[1]

    def _execute(self, block: EthereumBlock, raw: bytes) -> None:
        fields, sender = decoded(raw)
        balance, nonce = block.balances.get(sender, (0, 0))
        base, most = self.quote.base_fee_per_gas_wei, fields["maxFeePerGas"]
        if fields["nonce"] != nonce or base > most or fields["value"] + 21_000 * most > balance:
            return
        fee = 21_000 * min(most, base + fields["maxPriorityFeePerGas"])
        value = 0 if self.failing else fields["value"]
        block.balances[sender] = (balance - value - fee, nonce + 1)
        to = EthereumAddress(fields["to"].hex())
        received, theirs = block.balances.get(to, (0, 0))
        block.balances[to] = (received + value, theirs)
        txid = transaction_hash(raw)
        block.transfers[txid] = raw
        block.executed[txid] = Executed(block=block.header, succeeded=not self.failing, fee=Wei(fee))

    async def head(self) -> BlockHeader:
        return self.blocks[-1].header

    async def finalised(self) -> BlockHeader:
        return self.blocks[self._final].header

    async def block_at(self, height: int) -> BlockHeader:
        if not 0 <= height < len(self.blocks):
            raise BlockNotFound(str(height))
        return self.blocks[height].header

    async def account_at(self, address: EthereumAddress, block: BlockHeader) -> ProvenState:
        if block.height < self.pruned_below or (await self.block_at(block.height)) != block:
            raise BlockNotFound(f"no state at {block.height}")
        balance, nonce = self.blocks[block.height].balances.get(address, (0, 0))
        return ProvenState(address=address, block=block.ref, balance=Wei(balance), nonce=nonce)

    async def fee_quote(self) -> FeeQuote:
        return self.quote

    async def broadcast(self, raw: bytes) -> TxId:
        txid = transaction_hash(raw)
        if txid in self.mempool or await self.executed(txid) is not None:
            return txid
        fields, sender = decoded(raw)
        if self.blocks[-1].balances.get(sender, (0, 0))[1] > fields["nonce"]:
            raise BroadcastRejected(["nonce too low"])
        if fields["maxFeePerGas"] < self.quote.base_fee_per_gas_wei:
            raise FeeTooLow(["max fee per gas less than block base fee"])
        for other in [each for each in self.mempool.values() if _conflict(each, raw)]:
            if fields["maxFeePerGas"] * 10 < decoded(other)[0]["maxFeePerGas"] * 11:
                raise FeeTooLow(["replacement transaction underpriced"])
            del self.mempool[transaction_hash(other)]
        self.mempool[txid] = self.known[txid] = raw
        self.sent.append(txid)
        return txid

    async def executed(self, tx_hash: TxId) -> Executed | None:
        return next((each.executed[tx_hash] for each in self.blocks if tx_hash in each.executed), None)


def _conflict(one: bytes, other: bytes) -> bool:
    (first, sender), (second, another) = decoded(one), decoded(other)
    return (first["nonce"], sender) == (second["nonce"], another)


@functools.lru_cache(maxsize=4096)
def decoded(raw: bytes) -> tuple[dict[str, Any], EthereumAddress]:
    """The fields of a signed type 2 transfer, and who sent it."""
    _, nonce, priority, fee, _, to, value, *_ = rlp.decode(raw[1:])
    names = ("nonce", "maxPriorityFeePerGas", "maxFeePerGas", "value")
    numbers = (int.from_bytes(each, "big") for each in (nonce, priority, fee, value))
    sender = EthereumAccount.recover_transaction(raw)
    return {**dict(zip(names, numbers, strict=True)), "to": to}, EthereumAddress(sender[2:].lower())
