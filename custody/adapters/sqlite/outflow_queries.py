"""What may leave, and what is leaving: allowlists and withdrawals."""

# ruff: noqa: D102 - the methods are documented by the port
# ruff: noqa: S608 - only names of columns and marks of this package are put together

from collections.abc import Collection, Sequence
from typing import Any

from custody.adapters.sqlite import documents
from custody.adapters.sqlite.queries import FIRST, Queries, marks
from custody.application.ports.store import ROWS_MAX
from custody.domain.destination import AllowedDestination
from custody.domain.identifiers import TransactionId, WithdrawalId
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, DestinationId


class OutflowQueries(Queries):
    """The part of `Snapshot` that is about outflows."""

    def destination(self, account: AccountId, destination: DestinationId) -> AllowedDestination | None:
        row = self._one(
            "SELECT document FROM destinations WHERE account = ? AND destination = ?", account, destination
        )
        return None if row is None else documents.load(AllowedDestination, row[0])

    def destinations(
        self, account: AccountId, *, after: DestinationId | None, limit: int
    ) -> Sequence[AllowedDestination]:
        found = self._all(
            "SELECT document FROM destinations WHERE account = ? AND destination > ?"
            " ORDER BY destination LIMIT ?",
            account,
            after or FIRST,
            min(limit, ROWS_MAX),
        )
        return [documents.load(AllowedDestination, document) for (document,) in found]

    def withdrawal(self, account: AccountId, withdrawal: WithdrawalId) -> Withdrawal | None:
        row = self._one(
            "SELECT document FROM withdrawals WHERE account = ? AND withdrawal = ?", account, withdrawal
        )
        return None if row is None else documents.load(Withdrawal, row[0])

    def withdrawals(
        self, account: AccountId, *, after: WithdrawalId | None, limit: int
    ) -> Sequence[Withdrawal]:
        return self._withdrawals(
            "account = ? AND withdrawal > ? ORDER BY withdrawal LIMIT ?",
            account,
            after or FIRST,
            min(limit, ROWS_MAX),
        )

    def withdrawals_in(
        self, states: Collection[WithdrawalState], *, asset: Asset | None = None
    ) -> Sequence[Withdrawal]:
        return self._withdrawals(
            f"state IN {marks(states)} AND (? IS NULL OR asset = ?) ORDER BY updated_at, account, withdrawal",
            *sorted(states),
            asset,
            asset,
        )

    def withdrawals_confirmed_above(self, asset: Asset, height: int) -> Sequence[Withdrawal]:
        return self._withdrawals(
            "asset = ? AND confirmed_height > ? ORDER BY confirmed_height DESC, account, withdrawal",
            asset,
            height,
        )

    def open_withdrawal(self, account: AccountId, asset: Asset) -> Withdrawal | None:
        found = self._withdrawals(
            "account = ? AND asset = ? AND state NOT IN ('settled', 'cancelled', 'expired')"
            " ORDER BY created_at, withdrawal LIMIT 1",
            account,
            asset,
        )
        return found[0] if found else None

    def withdrawal_of(self, transaction_id: TransactionId) -> Withdrawal | None:
        row = self._one(
            "SELECT w.document FROM attempts a JOIN withdrawals w"
            " ON w.account = a.account AND w.withdrawal = a.withdrawal WHERE a.transaction_id = ?",
            transaction_id,
        )
        return None if row is None else documents.load(Withdrawal, row[0])

    def _withdrawals(self, condition: str, *values: Any) -> list[Withdrawal]:
        found = self._all(f"SELECT document FROM withdrawals WHERE {condition}", *values)
        return [documents.load(Withdrawal, document) for (document,) in found]
