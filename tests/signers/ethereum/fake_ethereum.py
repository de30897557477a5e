"""An Ethereum node in memory, below web3: blocks, nonces and balances as a test sets them."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from web3 import AsyncBaseProvider

START_TIME = 1_790_000_000
BLOCK_SECONDS = 12
FINALITY_BLOCKS = 2


@dataclass
class State:
    """Accounts after one block."""

    nonces: dict[str, int] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)


class FakeEthereum(AsyncBaseProvider):
    """Its latest block is the last; two below it is the finalised one."""

    def __init__(self, *, chain_id: int = 31_337) -> None:
        super().__init__()
        self.chain_id = chain_id
        self.states = [State()]
        self.fault: Exception | None = None
        self.answers: dict[str, Any] = {}

    # What a test does with it.

    def mine(self, count: int = 1) -> None:
        for _ in range(count):
            last = self.states[-1]
            self.states.append(State(dict(last.nonces), dict(last.balances)))

    def roll_back(self, count: int) -> None:
        del self.states[-count:]

    def pay_in(self, address: str, wei: int) -> None:
        """In a block of its own."""
        self.mine()
        balances = self.states[-1].balances
        balances[address] = balances.get(address, 0) + wei

    def pay_out(self, address: str, wei: int = 0) -> None:
        """A transaction of the account, in a block of its own."""
        self.mine()
        state = self.states[-1]
        state.nonces[address] = state.nonces.get(address, 0) + 1
        state.balances[address] = state.balances.get(address, 0) - wei

    # What a node answers.

    async def make_request(self, method: Any, params: Any) -> Any:
        if self.fault is not None:
            raise self.fault
        if "finalized" in params and self._at("finalized") < 0:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -39_001, "message": "block not found"}}
        if method in self.answers:
            return {"jsonrpc": "2.0", "id": 1, **self.answers[method]}
        return {"jsonrpc": "2.0", "id": 1, "result": getattr(self, f"_{method}")(*params)}

    def _at(self, block: str) -> int:
        return len(self.states) - 1 - (FINALITY_BLOCKS if block == "finalized" else 0)

    def _eth_chainId(self) -> str:  # noqa: N802 - the method's name
        return hex(self.chain_id)

    def _eth_getBlockByNumber(self, block: str, _: bool) -> Any:  # noqa: N802 - the method's name
        height = self._at(block)
        return {
            "number": hex(height),
            "hash": "0x" + hashlib.sha256(b"%d" % height).hexdigest(),
            "timestamp": hex(START_TIME + BLOCK_SECONDS * height),
        }

    def _eth_getTransactionCount(self, address: str, block: str) -> str:  # noqa: N802 - the method's name
        return hex(self.states[self._at(block)].nonces.get(address.lower().removeprefix("0x"), 0))

    def _eth_getBalance(self, address: str, block: str) -> str:  # noqa: N802 - the method's name
        return hex(self.states[self._at(block)].balances.get(address.lower().removeprefix("0x"), 0))
