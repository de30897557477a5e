"""Collateral reports: value every account as one batch, sign its root once, keep the latest of each.

`collect` is a computation over one snapshot; the publisher's Merkle tree and the attestation key's signature
happen outside; `record_batch` checks both before anybody can read the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from custody.application import settlement
from custody.application.access import policy_in_force
from custody.application.ports.store import BatchHead, SignedReport, Snapshot, UnitOfWork
from custody.application.prices import quoted
from custody.application.signed import read, require_single_signature
from custody.domain.account import AccountState, PledgeAccount
from custody.domain.chain_view import BlockRef
from custody.domain.errors import FieldInvalid, StatementMismatch, StatementStale
from signers.statements.amounts import Amount, Asset, amount_of
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, BlockHash, Digest, Seconds, Value
from signers.statements.merkle import MerkleTree
from signers.statements.policy import Policy
from signers.statements.refusals import Tag
from signers.statements.report import AssetPosition, ChainPoint, Report, ReportBatch, ValueStatus
from signers.statements.valuation import Quote, lending_value, market_value

NOTHING = Value("0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBatch:
    """Publish a signed batch."""

    envelope: Envelope
    """The report-batch statement with exactly one signature, the attestation key's."""
    reports: tuple[bytes, ...]
    """The reports' canonical bytes in order of account id: the leaves."""


def collect(snapshot: Snapshot, *, now: Seconds) -> tuple[Report, ...]:
    """The report of every active account, in order of account id.

    Args:
        snapshot: one consistent view.
        now: the time that prices are fresh or stale at.

    Returns:
        None while a chain has no tip on record: a report says where it looked.
    """
    signed = policy_in_force(snapshot)
    bitcoin, ethereum = snapshot.tip(Asset.BTC), snapshot.finalised()
    if bitcoin is None or ethereum is None:
        return ()
    seen = {Asset.BTC: _point(bitcoin), Asset.ETH: _point(ethereum)}
    known = snapshot.prices()
    leaving = {asset: settlement.leaving(snapshot, asset) for asset in Asset}
    quotes = {
        terms.asset: quoted(known, terms.asset, policy=signed.policy, now=now)
        for terms in signed.policy.assets
    }
    return tuple(
        Report(
            network=signed.policy.network,
            account=account.account,
            account_sequence=account.sequence,
            at=now,
            currency=signed.policy.prices.currency,
            policy_digest=signed.digest,
            encumbrance_head=account.encumbrance_head,
            encumbrance_sequence=account.encumbrance_sequence,
            ethereum_custody="single-holder",
            halted=account.halted,
            positions=tuple(
                _position(
                    snapshot,
                    account,
                    each,
                    seen[asset],
                    policy=signed.policy,
                    leaving=amount_of(asset, leaving[asset].get(account.account, 0)),
                )
                for asset, each in quotes.items()
            ),
        )
        for account in snapshot.accounts_in({AccountState.ACTIVE})
    )


def _position(
    snapshot: Snapshot,
    account: PledgeAccount,
    quote: Quote,
    seen_at: ChainPoint,
    *,
    policy: Policy,
    leaving: Amount,
) -> AssetPosition:
    asset = leaving.asset
    books = snapshot.balances(account.account, asset)
    confirmed = amount_of(asset, max(0, books.confirmed - leaving.units))
    haircut = policy.terms_of(asset).haircut_bps
    known = quote.price
    lent = known is not None and quote.status is ValueStatus.OK
    return AssetPosition(
        asset=asset,
        confirmed=confirmed,
        pending=amount_of(asset, books.pending),
        reserved=amount_of(asset, books.reserved),
        posted=amount_of(asset, books.posted),
        withdrawing=amount_of(asset, books.withdrawing - leaving.units),
        leaving=leaving,
        free=amount_of(asset, books.available),
        shortfall=amount_of(asset, books.shortfall),
        status=quote.status,
        price=known,
        price_at=quote.at,
        price_sources=quote.sources,
        price_set=quote.price_set,
        haircut_bps=haircut,
        market_value=NOTHING if known is None else market_value(confirmed, known),
        lending_value=lending_value(confirmed, known, haircut_bps=haircut) if lent and known else NOTHING,
        capital_value=NOTHING,
        seen_at=seen_at,
    )


def _point(block: BlockRef) -> ChainPoint:
    return ChainPoint(height=block.height, block_hash=BlockHash(block.block_hash))


def next_batch(
    reports: Sequence[Report], head: BatchHead | None, *, policy: Policy, now: Seconds
) -> tuple[ReportBatch, tuple[bytes, ...]]:
    """The batch to sign over these reports, and its leaves.

    Args:
        reports: what `collect` returned; at least one.
        head: the latest batch on record.
        policy: whose network the batch is of.
        now: the time.
    """
    leaves = tuple(report.payload() for report in reports)
    batch = ReportBatch(
        network=policy.network,
        sequence=head.sequence + 1 if head else 1,
        previous=head.digest if head else GENESIS,
        root=MerkleTree(leaves).root,
        size=len(leaves),
        at=now,
    )
    return batch, leaves


def record_batch(uow: UnitOfWork, command: RecordBatch, *, now: Seconds) -> BatchHead:
    """Check a signed batch against its leaves and publish it; the one on record again changes nothing.

    Raises:
        FieldInvalid: no leaves.
        StatementMalformed, StatementMismatch: not a batch over these leaves.
        StatementSignature: not signed by the attestation key that the policy names.
        StatementStale: it does not continue the batches on record.
    """
    policy = policy_in_force(uow).policy
    batch = read(ReportBatch, command.envelope, network=policy.network)
    require_single_signature(
        command.envelope,
        policy.custody_attestation_key,
        tag=Tag.SIGNATURE_INVALID,
        whose="the attestation key",
    )
    digest, head = command.envelope.digest, uow.batch_head()
    if head is not None and head.digest == digest:
        return head
    _require_next(batch, head)
    reports = _signed_reports(command, batch, policy=policy, now=now)
    uow.save_batch(batch, command.envelope, reports)
    return BatchHead(sequence=batch.sequence, digest=digest)


def _require_next(batch: ReportBatch, head: BatchHead | None) -> None:
    expected: tuple[int, Digest] = (head.sequence + 1, head.digest) if head else (1, GENESIS)
    if (batch.sequence, batch.previous) != expected:
        raise StatementStale(f"batch {batch.sequence} where {expected[0]} is next", field="envelope")


def _signed_reports(
    command: RecordBatch, batch: ReportBatch, *, policy: Policy, now: Seconds
) -> list[SignedReport]:
    if not command.reports:
        raise FieldInvalid("a batch has at least one report", field="reports")
    tree = MerkleTree(command.reports)
    if (batch.root, batch.size) != (tree.root, tree.size):
        raise StatementMismatch("the batch is over other reports", field="reports")
    reports = [Report.parse(leaf) for leaf in command.reports]
    if any(report.network is not policy.network for report in reports):
        raise StatementMismatch("a report of another network", field="reports", tag=Tag.STATEMENT_NETWORK)
    return [
        SignedReport(
            account=report.account,
            report=leaf,
            account_sequence=report.account_sequence,
            batch=command.envelope,
            leaf_index=index,
            tree_size=tree.size,
            path=tree.path(index),
            at=now,
        )
        for index, (report, leaf) in enumerate(zip(reports, command.reports, strict=True))
    ]
