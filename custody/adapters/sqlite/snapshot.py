"""Reads over one connection. Every query is bounded, by its limit or by what it is about."""

# ruff: noqa: D102 - the methods are documented by the port
# ruff: noqa: S608 - only names of columns and marks of this package are put together

import functools
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from custody.adapters.sqlite import documents, rows
from custody.application.ports.store import (
    ROWS_MAX,
    BatchHead,
    Change,
    Outcome,
    Position,
    RequestKey,
    Scope,
    SignedPolicy,
    SignedReport,
)
from custody.domain.account import AccountState, Onboarding, PledgeAccount, Watched
from custody.domain.chain_view import BlockRef
from custody.domain.collateral import PriceSet, PublishedPrice
from custody.domain.deposit import Coin, Deposit, FinalisedBalance, Outpoint
from custody.domain.destination import AllowedDestination
from custody.domain.identifiers import DepositId, TransactionId, WithdrawalId
from custody.domain.ledger import Balances, Cause, CauseKind, Posting
from custody.domain.lien import Lien
from custody.domain.outflow import Withdrawal
from custody.domain.withdrawal import WithdrawalState
from signers.statements.amounts import Asset, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    BlockHash,
    DestinationId,
    Digest,
    EntityId,
    LienId,
    Seconds,
)
from signers.statements.policy import Policy

FIRST: Final = ""
"""Less than every id."""


@functools.lru_cache(maxsize=16)
def read_policy(digest: str, envelope: bytes, pinned_at: Seconds) -> SignedPolicy:
    """The policy of a row; parsed once.

    Raises:
        Refusal: the database holds another statement than was pinned.
    """
    signed = Envelope.from_json(envelope)
    return SignedPolicy(
        policy=Policy.parse(signed.payload), envelope=signed, digest=Digest(digest), pinned_at=pinned_at
    )


def position(rowid: int) -> Position:
    """The opaque token of a change. Readers may not compute with it: other stores number otherwise."""
    return Position(f"s{rowid:x}")


class SqliteSnapshot:
    """Implements `Snapshot` on a connection that stands inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def _one(self, sql: str, *values: Any) -> Any:
        return self._execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> Iterator[Any]:
        return iter(self._execute(sql, values).fetchall())

    def policy(self) -> SignedPolicy | None:
        row = self._one("SELECT digest, envelope, pinned_at FROM policies ORDER BY pinned_at DESC LIMIT 1")
        return None if row is None else read_policy(*row)

    # Accounts.

    def account(self, account: AccountId) -> PledgeAccount | None:
        row = self._one(f"SELECT {rows.ACCOUNT_COLUMNS} FROM accounts WHERE account = ?", str(account))
        return None if row is None else rows.account(row)

    def onboarding(self, account: AccountId) -> Onboarding | None:
        row = self._one("SELECT document FROM onboardings WHERE account = ?", account)
        return None if row is None else documents.load(Onboarding, row[0])

    def accounts(
        self, scope: EntityId | Scope, *, after: AccountId | None, limit: int
    ) -> Sequence[PledgeAccount]:
        columns, start, bound = rows.ACCOUNT_COLUMNS, after or FIRST, min(limit, ROWS_MAX)
        if scope is Scope.EVERY:
            found = self._all(
                f"SELECT {columns} FROM accounts WHERE account > ? ORDER BY account LIMIT ?", start, bound
            )
        else:
            found = self._all(
                f"SELECT {columns} FROM accounts WHERE account > ? AND (pledgor = ? OR secured_party = ?)"
                " ORDER BY account LIMIT ?",
                start,
                scope,
                scope,
                bound,
            )
        return [rows.account(row) for row in found]

    def accounts_in(self, states: Collection[AccountState]) -> Sequence[PledgeAccount]:
        found = self._all(
            f"SELECT {rows.ACCOUNT_COLUMNS} FROM accounts WHERE state IN {_marks(states)} ORDER BY account",
            *sorted(states),
        )
        return [rows.account(row) for row in found]

    def watched(self) -> Sequence[Watched]:
        found = self.accounts_in({AccountState.ACTIVE})
        return [
            Watched(account.account, account.script_pubkey, account.ethereum_address)
            for account in found
            if account.script_pubkey is not None and account.ethereum_address is not None
        ]

    # The ledger.

    def balances(self, account: AccountId, asset: Asset) -> Balances:
        row = self._one(
            f"SELECT {rows.BALANCE_COLUMNS} FROM balances WHERE account = ? AND asset = ?",
            str(account),
            asset.value,
        )
        return rows.balances(asset, row)

    def postings(self, account: AccountId, *, after: tuple[int, int] | None, limit: int) -> Sequence[Posting]:
        found = self._all(
            f"{rows.POSTING_QUERY} WHERE p.account = ? AND (p.sequence, p.posting) > (?, ?)"
            " ORDER BY p.sequence, p.posting LIMIT ?",
            account,
            *(after or (0, -1)),
            min(limit, ROWS_MAX),
        )
        return [rows.posting(row) for row in found]

    def changes(self, account: AccountId, *, after: int, limit: int) -> Sequence[Change]:
        found = self._all(
            "SELECT position, sequence, kind, reference, at FROM changes"
            " WHERE account = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            account,
            after,
            min(limit, ROWS_MAX),
        )
        return [
            Change(
                position=position(rowid),
                account=account,
                sequence=sequence,
                cause=Cause(CauseKind(kind), reference),
                at=at,
            )
            for rowid, sequence, kind, reference, at in found
        ]

    # The allowlist and liens.

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

    def lien(self, account: AccountId, lien: LienId) -> Lien | None:
        row = self._one(f"{rows.LIEN_QUERY} WHERE l.account = ? AND l.lien = ?", str(account), str(lien))
        return None if row is None else rows.lien(row)

    def liens(self, account: AccountId, *, after: LienId | None, limit: int) -> Sequence[Lien]:
        found = self._all(
            f"{rows.LIEN_QUERY} WHERE l.account = ? AND l.lien > ? ORDER BY l.lien LIMIT ?",
            account,
            after or FIRST,
            min(limit, ROWS_MAX),
        )
        return [rows.lien(row) for row in found]

    def lapsed_liens(self, *, now: Seconds, limit: int) -> Sequence[Lien]:
        found = self._all(
            f"{rows.LIEN_QUERY} WHERE l.state = 'reserved' AND l.expires_at <= ?"
            " ORDER BY l.expires_at, l.account, l.lien LIMIT ?",
            now,
            min(limit, ROWS_MAX),
        )
        return [rows.lien(row) for row in found]

    # Deposits, coins, chains.

    def deposit(self, account: AccountId, deposit: DepositId) -> Deposit | None:
        row = self._one(
            f"SELECT {rows.DEPOSIT_COLUMNS} FROM deposits WHERE account = ? AND deposit = ?",
            account,
            deposit,
        )
        return None if row is None else rows.deposit(row)

    def deposits(self, account: AccountId, *, after: DepositId | None, limit: int) -> Sequence[Deposit]:
        found = self._all(
            f"SELECT {rows.DEPOSIT_COLUMNS} FROM deposits WHERE account = ? AND deposit > ?"
            " ORDER BY deposit LIMIT ?",
            account,
            after or FIRST,
            min(limit, ROWS_MAX),
        )
        return [rows.deposit(row) for row in found]

    def pending_deposits(
        self, asset: Asset, *, up_to: int, account: AccountId | None = None
    ) -> Sequence[Deposit]:
        found = self._all(
            f"SELECT {rows.DEPOSIT_COLUMNS} FROM deposits"
            " WHERE state = 'pending' AND asset = ? AND height <= ? AND (? IS NULL OR account = ?)"
            " ORDER BY height, deposit",
            asset,
            up_to,
            account,
            account,
        )
        return [rows.deposit(row) for row in found]

    def deposits_above(self, asset: Asset, height: int) -> Sequence[Deposit]:
        found = self._all(
            f"SELECT {rows.DEPOSIT_COLUMNS} FROM deposits"
            " WHERE state <> 'reversed' AND asset = ? AND height > ? ORDER BY height DESC, deposit",
            asset,
            height,
        )
        return [rows.deposit(row) for row in found]

    def coin(self, outpoint: Outpoint) -> Coin | None:
        row = self._one(
            f"SELECT {rows.COIN_COLUMNS} FROM coins WHERE txid = ? AND output_index = ?",
            outpoint.txid,
            outpoint.index,
        )
        return None if row is None else rows.coin(row)

    def coins(self, account: AccountId) -> Sequence[Coin]:
        found = self._all(
            f"SELECT {rows.COIN_COLUMNS} FROM coins"
            " WHERE account = ? AND height IS NOT NULL AND spent_height IS NULL"
            " ORDER BY txid, output_index",
            account,
        )
        return [rows.coin(row) for row in found]

    def coins_above(self, height: int) -> Sequence[Coin]:
        columns = rows.COIN_COLUMNS
        found = self._all(
            f"SELECT {columns} FROM coins WHERE height > ?"
            f" UNION SELECT {columns} FROM coins WHERE spent_height > ?",
            height,
            height,
        )
        return [rows.coin(row) for row in found]

    def blocks(self, asset: Asset) -> Sequence[BlockRef]:
        found = self._all("SELECT height, block_hash FROM blocks WHERE asset = ? ORDER BY height", asset)
        return [BlockRef(height, BlockHash(block_hash)) for height, block_hash in found]

    def tip(self, asset: Asset) -> BlockRef | None:
        row = self._one(
            "SELECT height, block_hash FROM blocks WHERE asset = ? ORDER BY height DESC LIMIT 1", asset
        )
        return None if row is None else rows.block(*row)

    def finalised(self) -> BlockRef | None:
        row = self._one("SELECT height, block_hash FROM finality")
        return None if row is None else rows.block(*row)

    def finalised_balance(self, account: AccountId) -> FinalisedBalance | None:
        row = self._one(
            "SELECT height, block_hash, balance, nonce FROM finalised_balances WHERE account = ?", account
        )
        if row is None:
            return None
        height, block_hash, balance, nonce = row
        return FinalisedBalance(
            account=account,
            block=BlockRef(height, BlockHash(block_hash)),
            balance=Wei(int(balance)),
            nonce=nonce,
        )

    # Withdrawals.

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
            f"state IN {_marks(states)} AND (? IS NULL OR asset = ?)"
            " ORDER BY updated_at, account, withdrawal",
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

    # Prices, reports, requests.

    def prices(self) -> PriceSet:
        found = self._all("SELECT document FROM prices ORDER BY publisher, asset")
        return PriceSet(tuple(documents.load(PublishedPrice, document) for (document,) in found))

    def report(self, account: AccountId) -> SignedReport | None:
        row = self._one(
            "SELECT r.report, r.account_sequence, b.envelope, r.leaf_index, r.tree_size, r.path, r.at"
            " FROM reports r JOIN report_batches b ON b.sequence = r.batch WHERE r.account = ?",
            account,
        )
        if row is None:
            return None
        report, sequence, batch, index, size, path, at = row
        return SignedReport(
            account=account,
            report=report,
            account_sequence=sequence,
            batch=Envelope.from_json(batch),
            leaf_index=index,
            tree_size=size,
            path=tuple(map(Digest, json.loads(path))),
            at=at,
        )

    def batch_head(self) -> BatchHead | None:
        row = self._one("SELECT sequence, digest, at FROM report_batches ORDER BY sequence DESC LIMIT 1")
        return None if row is None else BatchHead(sequence=row[0], digest=Digest(row[1]), at=row[2])

    def outcome(self, key: RequestKey) -> Outcome | None:
        row = self._one(
            "SELECT fingerprint, result FROM outcomes WHERE principal = ? AND method = ? AND request_id = ?",
            key.principal,
            key.method,
            str(key.request_id),
        )
        return None if row is None else Outcome(Digest(row[0]), documents.load_result(row[1]))


def _marks(values: Collection[object]) -> str:
    return f"({', '.join('?' * len(values))})"
