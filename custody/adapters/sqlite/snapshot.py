"""Reads over one connection. Every query is bounded, by its limit or by what it is about."""

# ruff: noqa: D102 - the methods are documented by the port
# ruff: noqa: S608 - only names of columns and marks of this package are put together

import functools
import json
from collections.abc import Collection, Sequence
from typing import Final

from custody.adapters.sqlite import documents, rows
from custody.adapters.sqlite.chain_queries import ChainQueries
from custody.adapters.sqlite.outflow_queries import OutflowQueries
from custody.adapters.sqlite.queries import FIRST, marks
from custody.application.ports.store import (
    ROWS_MAX,
    BatchHead,
    Change,
    Outcome,
    Position,
    RequestKey,
    Retraction,
    Scope,
    SignedPolicy,
    SignedReport,
)
from custody.domain.account import AccountState, Onboarding, PledgeAccount, Watched
from custody.domain.ledger import Balances, Cause, CauseKind, Posting
from custody.domain.lien import Lien
from custody.domain.price import PriceSet, PublishedPrice
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    Digest,
    EntityId,
    EthereumAddress,
    LienId,
    ScriptPubKey,
    Seconds,
)
from signers.statements.policy import Policy

_BALANCES: Final = f"SELECT {rows.BALANCE_COLUMNS} FROM balances WHERE account = ? AND asset = ?"
_LIEN: Final = f"{rows.LIEN_QUERY} WHERE l.account = ? AND l.lien = ?"


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


def retraction(retracts_from: int | None, sequence: int) -> Retraction | None:
    """What the change at this sequence retracts: everything before it, from there on."""
    return None if retracts_from is None else Retraction(retracts_from, sequence - 1)


class SqliteSnapshot(ChainQueries, OutflowQueries):
    """Implements `Snapshot`."""

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
            f"SELECT {rows.ACCOUNT_COLUMNS} FROM accounts WHERE state IN {marks(states)} ORDER BY account",
            *sorted(states),
        )
        return [rows.account(row) for row in found]

    def account_at(self, script_pubkey: ScriptPubKey, ethereum_address: EthereumAddress) -> AccountId | None:
        row = self._one(
            "SELECT account FROM accounts WHERE script_pubkey = ? OR ethereum_address = ?",
            str(script_pubkey),
            str(ethereum_address),
        )
        return None if row is None else AccountId(row[0])

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
            _BALANCES,
            str(account),
            str(asset),
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
            "SELECT position, sequence, kind, reference, at, retracts_from FROM changes"
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
                retraction=retraction(retracts_from, sequence),
            )
            for rowid, sequence, kind, reference, at, retracts_from in found
        ]

    def sequences_of(self, account: AccountId, cause: Cause) -> Sequence[int]:
        found = self._all(
            "SELECT sequence FROM changes WHERE account = ? AND kind = ? AND reference = ? ORDER BY sequence",
            account,
            str(cause.kind),
            str(cause.reference),
        )
        return [sequence for (sequence,) in found]

    # Liens.

    def lien(self, account: AccountId, lien: LienId) -> Lien | None:
        row = self._one(_LIEN, str(account), str(lien))
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
        row = self._one("SELECT sequence, digest FROM report_batches ORDER BY sequence DESC LIMIT 1")
        return None if row is None else BatchHead(sequence=row[0], digest=Digest(row[1]))

    def outcome(self, key: RequestKey) -> Outcome | None:
        row = self._one(
            "SELECT fingerprint, result FROM outcomes WHERE principal = ? AND method = ? AND request_id = ?",
            key.principal,
            key.method,
            str(key.request_id),
        )
        return None if row is None else Outcome(Digest(row[0]), documents.load_result(row[1]))
