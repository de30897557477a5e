"""Publish collateral reports: value all accounts when something changed, sign their root, record it.

Never on a read: a reader gets the latest batch, and its age says what it is worth. Where the nodes of a chain
disagree, or nobody has seen its tip for a while, its values are DISPUTED and lent against at nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from custody.application import reports
from custody.application.access import policy_in_force
from custody.application.ports.attestation import Attestor
from custody.application.ports.store import BatchHead, Position, Snapshot, Store
from custody.domain.errors import StatementStale
from custody.workers.chain_health import ChainHealth
from custody.workers.run_loop import Clock
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds
from signers.statements.policy import Policy
from signers.statements.report import AssetPosition, Report, ValueStatus

REVALUE_SECONDS: Final = 5
"""Prices age without anything being committed: how often that is looked at."""
REPUBLISH_SECONDS: Final = 300
"""A report is repeated after this long, so that its age tells a quiet account from a stopped service."""


class ReportPublisher:
    """Publishes a signed batch whenever a value changed.

    Args:
        store: the ledger.
        attestor: signs the root.
        health: which chains are disputed.
        clock: the time.
    """

    name = "report-publisher"

    def __init__(self, *, store: Store, attestor: Attestor, health: ChainHealth, clock: Clock) -> None:
        self._store = store
        self._attestor = attestor
        self._health = health
        self._clock = clock
        self._looked: tuple[Position, frozenset[Asset], Seconds] | None = None
        self._published: tuple[Report, ...] | None = None

    async def tick(self) -> bool:
        """Value, and publish if anything differs from the latest batch.

        Raises:
            AttestationUnavailable: nothing was signed.
        """
        now, position = self._clock(), self._store.projection.position
        disputed = self._health.disputed(now=now)
        if not self._stale(position, disputed, now):
            return False
        policy, head, values = await self._store.read(lambda snapshot: _values(snapshot, now))
        values = tuple(_disputed(report, disputed) for report in values)
        if not values or not self._news(values, now):
            self._looked = (position, disputed, now)
            return False
        await self._publish(values, head, policy=policy, now=now)
        self._published = values
        self._looked = (self._store.projection.position, disputed, now)
        return True

    def _stale(self, position: Position, disputed: frozenset[Asset], now: Seconds) -> bool:
        if self._looked is None:
            return True
        seen, before, at = self._looked
        return (seen, before) != (position, disputed) or now - at >= REVALUE_SECONDS

    def _news(self, values: Sequence[Report], now: Seconds) -> bool:
        if not self._published:
            return True
        latest = self._published[0].at
        return now - latest >= REPUBLISH_SECONDS or _timeless(values) != _timeless(self._published)

    async def _publish(
        self, values: Sequence[Report], head: BatchHead | None, *, policy: Policy, now: Seconds
    ) -> None:
        batch, leaves = reports.next_batch(values, head, policy=policy, now=now)
        envelope = await self._attestor.sign_batch(batch)
        command = reports.RecordBatch(envelope=envelope, reports=leaves)
        try:
            await self._store.execute(lambda uow: reports.record_batch(uow, command, now=now))
        except StatementStale:
            self._published = None
            raise


def _values(snapshot: Snapshot, now: Seconds) -> tuple[Policy, BatchHead | None, tuple[Report, ...]]:
    policy = policy_in_force(snapshot).policy
    return policy, snapshot.batch_head(), reports.collect(snapshot, now=now)


def _timeless(values: Sequence[Report]) -> list[Report]:
    return [replace(report, at=Seconds(0)) for report in values]


def _disputed(report: Report, disputed: frozenset[Asset]) -> Report:
    positions = tuple(
        _at_nothing(position) if position.asset in disputed else position for position in report.positions
    )
    return replace(report, positions=positions)


def _at_nothing(position: AssetPosition) -> AssetPosition:
    return replace(position, status=ValueStatus.DISPUTED, lending_value=reports.NOTHING)
