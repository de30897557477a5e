"""A gate at one state: the driver does not see the withdrawals that stand there, until it is opened.

What a withdrawal waits for in the world (people, blocks, time) holds it in some states only, and in `signed`
nothing does. Its two sides are two processes: the test closes it, custody's store is read through it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from custody.application import withdrawals
from custody.application.ports.store import Snapshot
from custody.domain.withdrawal_states import WithdrawalState
from custody.main import Adapters
from deploy.localnet.state import write_private

T = TypeVar("T")
_OPEN: Final = "open"


@dataclass(frozen=True)
class Gate:
    """Where it is closed, and how often the driver has looked since: a file each."""

    folder: Path

    @property
    def _closed_file(self) -> Path:
        return self.folder / "closed-at"

    @property
    def _looks_file(self) -> Path:
        return self.folder / "looks"

    def close_at(self, state: WithdrawalState | None) -> None:
        """Close it at that state alone; at none where `None`."""
        self._looks_file.unlink(missing_ok=True)
        write_private(self._closed_file, state.value if state is not None else _OPEN)

    @property
    def closed_at(self) -> WithdrawalState | None:
        """The one state at which withdrawals are held."""
        said = self._closed_file.read_text(encoding="ascii")
        return None if said == _OPEN else WithdrawalState(said)

    def look(self) -> None:
        """The driver has read its work list."""
        with self._looks_file.open("ab") as file:
            file.write(b".")

    @property
    def looks(self) -> int:
        """How many times it has, since the gate was last moved."""
        return self._looks_file.stat().st_size if self._looks_file.exists() else 0


class GatedStore:
    """The driver's store, with a work list that ends at the gate."""

    def __init__(self, store: Any, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """As the store, but for withdrawals that stand at the gate."""
        if query is not withdrawals.to_drive:
            return await self._store.read(query)  # type: ignore[no-any-return]
        closed_at = self._gate.closed_at
        self._gate.look()
        work = await self._store.read(withdrawals.to_drive)
        return [each for each in work if each.state is not closed_at]  # type: ignore[return-value]

    def execute(self, command: Callable[..., T]) -> Awaitable[Any]:
        """As the store."""
        return self._store.execute(command)  # type: ignore[no-any-return]


def gated(adapters: Adapters, gate: Gate) -> Adapters:
    """The same adapters, with the gate before the store."""
    store: Any = GatedStore(adapters.store, gate)
    return replace(adapters, store=store)
