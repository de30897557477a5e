"""What every service stands on."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from google.protobuf.message import Message

from custody.application.access import policy_in_force
from custody.application.ports.store import SignedPolicy, Snapshot, Store, UnitOfWork
from custody.application.reads import Page
from custody.rpc.calls import Call
from custody.rpc.feed import Feed
from custody.rpc.pagination import PageTokens
from custody.rpc.reports import Reports
from signers.statements.account import Party
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds

T = TypeVar("T")
M = TypeVar("M", bound=Message)
K = TypeVar("K")

PAGE_BYTES_MAX: Final = 2 * 1024 * 1024
"""A page ends early rather than be larger than a client's default limit of 4 MiB for a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The store, the time, which chains are disputed, and who the custodian is."""

    store: Store
    clock: Callable[[], Seconds]
    disputed: Callable[[], Collection[Asset]]
    """Chains that lend nothing at this moment: their nodes disagree or are silent."""
    custodian: Party
    feed: Feed
    reports: Reports
    tokens: PageTokens

    async def execute(self, command: Callable[[UnitOfWork], T], *, validate_only: bool = False) -> T:
        """Run a command; it is durable when this returns, unless it was only to be validated."""
        return await self.store.execute(command, validate_only=validate_only)

    async def read(self, query: Callable[[Snapshot], T]) -> tuple[T, SignedPolicy]:
        """Run a query, together with the policy in force."""
        return await self.store.read(lambda view: (query(view), policy_in_force(view)))

    def page(
        self,
        page: Page[T, K],
        *,
        message: Callable[[T], M],
        key: Callable[[T], K],
        cursor: Callable[[K], str],
        request: Message,
        call: Call,
    ) -> tuple[Sequence[M], str]:
        """The messages of a page, as many as fit, and the token that goes on after them."""
        messages: list[M] = []
        size = 0
        for item in page.items:
            made = message(item)
            size += made.ByteSize()
            if messages and size > PAGE_BYTES_MAX:
                last = key(page.items[len(messages) - 1])
                return messages, self.tokens.encode(cursor(last), request, call)
            messages.append(made)
        after = None if page.next_after is None else cursor(page.next_after)
        return messages, self.tokens.encode(after, request, call)
