"""Writes of one command, and what the projection learns once they are committed."""

# ruff: noqa: D102 - the methods are documented by the port
# ruff: noqa: S608 - only names of tables and marks of this package are put together

import json
import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from custody.adapters.sqlite import documents, rows
from custody.adapters.sqlite.snapshot import SqliteSnapshot, position, retraction
from custody.application.ports.store import (
    Change,
    Outcome,
    PricesPublished,
    ReportPublished,
    RequestKey,
    SignedPolicy,
    SignedReport,
)
from custody.domain.account import Onboarding, PledgeAccount
from custody.domain.chain_view import WINDOW_BLOCKS, BlockRef
from custody.domain.deposit import Coin, Deposit, FinalisedBalance
from custody.domain.destination import AllowedDestination
from custody.domain.ledger import Balances, Entry, LedgerViolation
from custody.domain.lien import Lien
from custody.domain.price import PublishedPrice
from custody.domain.withdrawal import Withdrawal
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId
from signers.statements.report import ReportBatch

_PUT_ACCOUNT = (
    "UPDATE accounts SET state = ?, halts = ?, sequence = ?, encumbrance_sequence = ?, encumbrance_head = ?,"
    " statement_digest = ?, script_pubkey = ?, ethereum_address = ?, updated_at = ?"
    " WHERE account = ? AND sequence = ?"
)
_PUT_BALANCES = "INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_CHANGE = (
    "INSERT INTO changes (account, sequence, kind, reference, at, retracts_from) VALUES (?, ?, ?, ?, ?, ?)"
)
_ADD_POSTING = "INSERT INTO postings VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_ENCUMBRANCE = "INSERT INTO encumbrances VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_PUT_LIEN = "INSERT OR REPLACE INTO liens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

NONE_KNOWN: Final[Mapping[AccountId, PledgeAccount]] = MappingProxyType({})


class SqliteUnitOfWork(SqliteSnapshot):
    """Implements `UnitOfWork` inside one savepoint of the writer's transaction.

    Args:
        connection: inside the transaction.
        policy: the policy in force.
        accounts: accounts as they stand. The one process that writes them need not read them again: `append`
            writes an account only where the record is at the sequence that the command decided on.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        policy: SignedPolicy | None,
        accounts: Mapping[AccountId, PledgeAccount] = NONE_KNOWN,
    ) -> None:
        super().__init__(connection)
        self._accounts = accounts
        self.pinned = policy
        self.accounts_written: dict[AccountId, PledgeAccount] = {}
        self.changes_written: list[Change] = []
        self.reports_written: list[ReportPublished] = []
        self.prices_written: list[PublishedPrice] = []

    @property
    def notices(self) -> list[Change | ReportPublished | PricesPublished]:
        """What subscribers hear, once this is committed."""
        prices = [PricesPublished(tuple(self.prices_written))] if self.prices_written else []
        return [*self.changes_written, *prices, *self.reports_written]

    def policy(self) -> SignedPolicy | None:
        return self.pinned

    def account(self, account: AccountId) -> PledgeAccount | None:
        known = self.accounts_written.get(account) or self._accounts.get(account)
        return known or super().account(account)

    def pin_policy(self, policy: SignedPolicy) -> None:
        self._execute(
            "INSERT INTO policies VALUES (?, ?, ?)",
            (policy.digest, policy.envelope.to_json(), policy.pinned_at),
        )
        self.pinned = policy

    def add_account(self, account: PledgeAccount) -> None:
        values = (*rows.account_terms(account), *rows.account_changes(account))
        self._execute(
            f"INSERT INTO accounts ({rows.ACCOUNT_COLUMNS}) VALUES ({', '.join('?' * len(values))})",
            values,
        )

    def append(self, account: PledgeAccount, entry: Entry, *, balances: Balances | None = None) -> None:
        execute, name, sequence = self._execute, str(account.account), account.sequence
        if entry.movements:
            self._post(account.account, sequence, entry, balances)
        cause = entry.cause
        cursor = execute(
            _ADD_CHANGE,
            (name, sequence, str(cause.kind), str(cause.reference), entry.at, entry.retracts_from),
        )
        updated = execute(_PUT_ACCOUNT, (*rows.account_changes(account), name, sequence - 1))
        if updated.rowcount != 1:
            raise LedgerViolation(f"{name} was not read at sequence {sequence - 1}")
        self.accounts_written[account.account] = account
        self.changes_written.append(
            Change(
                position=position(cursor.lastrowid or 0),
                account=account.account,
                sequence=sequence,
                cause=cause,
                at=entry.at,
                retraction=retraction(entry.retracts_from, sequence),
            )
        )

    def _post(self, account: AccountId, sequence: int, entry: Entry, balances: Balances | None) -> None:
        asset = entry.movements[0].amount.asset
        books = (balances or self.balances(account, asset)).after(entry.movements)
        name = str(account)
        self._execute(
            _PUT_BALANCES,
            (
                name,
                str(asset),
                str(books.external),
                str(books.pending),
                str(books.available),
                str(books.reserved),
                str(books.posted),
                str(books.withdrawing),
                str(books.network_fees),
                str(books.reorg_shortfall),
            ),
        )
        for index, moved in enumerate(entry.movements):
            self._execute(
                _ADD_POSTING,
                (
                    name,
                    sequence,
                    index,
                    str(asset),
                    str(moved.debit),
                    str(moved.credit),
                    str(moved.amount.units),
                ),
            )

    def save_onboarding(self, onboarding: Onboarding) -> None:
        self._execute(
            "INSERT OR REPLACE INTO onboardings VALUES (?, ?)",
            (onboarding.account, documents.dump(onboarding)),
        )

    def save_destination(self, destination: AllowedDestination) -> None:
        self._execute(
            "INSERT OR REPLACE INTO destinations VALUES (?, ?, ?)",
            (destination.account, destination.destination_id, documents.dump(destination)),
        )

    def save_lien(self, lien: Lien) -> None:
        account, name = str(lien.account), str(lien.lien)
        self._execute(
            _ADD_ENCUMBRANCE,
            (account, lien.encumbrance_sequence, name, str(lien.digest), lien.envelope.to_json()),
        )
        self._execute(
            _PUT_LIEN,
            (
                account,
                name,
                str(lien.amount.asset),
                str(lien.amount.units),
                str(lien.state),
                lien.encumbrance_sequence,
                lien.account_sequence,
                lien.expires_at,
                lien.posted_at,
                lien.ended_at,
                lien.created_at,
                lien.updated_at,
            ),
        )

    def save_deposit(self, deposit: Deposit) -> None:
        self._put("deposits", rows.deposit_row(deposit))

    def save_coin(self, coin: Coin) -> None:
        self._put("coins", rows.coin_row(coin))

    def _put(self, table: str, values: rows.Row) -> None:
        self._execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(values))})", values)

    def add_blocks(self, asset: Asset, blocks: Sequence[BlockRef]) -> None:
        for block in blocks:
            self._execute(
                "INSERT INTO blocks VALUES (?, ?, ?)", (asset.value, block.height, block.block_hash)
            )
        if blocks:
            # By rows, not by height: catching up with Ethereum may skip heights.
            self._execute(
                "DELETE FROM blocks WHERE asset = ? AND height <= (SELECT height FROM blocks"
                " WHERE asset = ? ORDER BY height DESC LIMIT 1 OFFSET ?)",
                (asset.value, asset.value, WINDOW_BLOCKS),
            )

    def drop_blocks_above(self, asset: Asset, height: int) -> None:
        self._execute("DELETE FROM blocks WHERE asset = ? AND height > ?", (asset.value, height))

    def save_finalised(self, block: BlockRef) -> None:
        self._put("finality", (1, block.height, block.block_hash))

    def save_finalised_balance(self, balance: FinalisedBalance) -> None:
        self._put(
            "finalised_balances",
            (
                balance.account,
                balance.block.height,
                balance.block.block_hash,
                str(balance.balance.units),
                balance.nonce,
            ),
        )

    def save_withdrawal(self, withdrawal: Withdrawal) -> None:
        confirmation = withdrawal.confirmation
        self._put(
            "withdrawals",
            (
                withdrawal.account,
                withdrawal.withdrawal,
                withdrawal.asset.value,
                withdrawal.state.value,
                confirmation.block.height if confirmation else None,
                withdrawal.created_at,
                withdrawal.updated_at,
                documents.dump(withdrawal),
            ),
        )
        for attempt in withdrawal.attempts:
            if attempt.transaction_id is not None:
                self._execute(
                    "INSERT INTO attempts VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    (attempt.transaction_id, withdrawal.account, withdrawal.withdrawal),
                )

    def save_price(self, price: PublishedPrice) -> None:
        self._put("prices", (price.publisher, price.asset.value, documents.dump(price)))
        self.prices_written.append(price)

    def save_batch(self, batch: ReportBatch, envelope: Envelope, reports: Sequence[SignedReport]) -> None:
        self._execute(
            "INSERT INTO report_batches VALUES (?, ?, ?, ?)",
            (batch.sequence, envelope.digest, envelope.to_json(), batch.at),
        )
        for report in reports:
            self._put(
                "reports",
                (
                    report.account,
                    batch.sequence,
                    report.report,
                    report.account_sequence,
                    report.leaf_index,
                    report.tree_size,
                    json.dumps(report.path),
                    report.at,
                ),
            )
            self.reports_written.append(ReportPublished(report))

    def save_outcome(self, key: RequestKey, outcome: Outcome) -> None:
        self._execute(
            "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)",
            (
                key.principal,
                key.method,
                str(key.request_id),
                str(outcome.fingerprint),
                documents.dump_result(outcome.result),
            ),
        )
