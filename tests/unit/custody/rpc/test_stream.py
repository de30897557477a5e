"""WatchCollateral: a snapshot, then every change; and reads of one's own writes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from bailee.custody.v1 import cause_pb2
from bailee.custody.v1 import collateral_service_pb2 as rpc
from bailee.custody.v1.collateral_report_pb2 import CollateralReport
from bailee.custody.v1.lien_pb2 import Lien
from grpc import aio

from custody.application.ports.store import Change, Position, Retraction, SignedReport, Snapshot
from custody.domain.account import Halt
from custody.domain.errors import SubscriberTooSlow
from custody.domain.ledger import Cause, CauseKind
from custody.rpc import feed as feeds
from custody.rpc import watch
from custody.rpc.codec import accounts as codec
from custody.rpc.feed import merge
from signers.statements.identifiers import AccountId, LienId, Seconds
from tests.factories import BTC
from tests.unit.custody.rpc.deployment import Deployment, Refused
from tests.unit.custody.rpc.rows import ACCOUNT, ROWS
from tests.unit.custody.rpc.scenario import NEIGHBOUR

Response = rpc.WatchCollateralResponse
REPORT = f"{ACCOUNT}/collateralReport"


class Stream:
    """A stream as a client reads it."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def next(self) -> Response:
        async with asyncio.timeout(5):
            data = await self._call.read()
        assert data is not aio.EOF
        return Response.FromString(data)

    async def change(self) -> Response:
        """The next event that is no heartbeat."""
        while True:
            event = await self.next()
            if not event.HasField("heartbeat"):
                return event

    async def snapshot(self) -> list[Response]:
        """Everything up to the heartbeat that ends it."""
        events = []
        while True:
            events.append(await self.next())
            if events[-1].HasField("heartbeat"):
                return events

    async def refused(self) -> Refused:
        try:
            while True:
                await self.next()
        except aio.AioRpcError as error:
            return Refused.read(error)


async def until(holds: Callable[[], bool]) -> None:
    """What the service does on its own side has no event to wait for here."""
    end = asyncio.get_running_loop().time() + 10
    while not holds():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(service: Deployment, word: str, *accounts: str) -> AsyncIterator[Stream]:
    call: Any = service.channel(word).unary_stream("/bailee.custody.v1.CollateralService/WatchCollateral")
    stream = call(rpc.WatchCollateralRequest(accounts=accounts).SerializeToString(), timeout=60)
    try:
        yield Stream(stream)
    finally:
        stream.cancel()


async def reserve(service: Deployment, lien: str) -> Lien:
    """One more lien, by the RPC."""
    said = service.scenario.world.encumbrance(service.scenario.encumbrances[-1], lien=LienId(lien))
    request = ROWS["LienService/ReserveLien"].request(service.scenario)
    request.lien_id = lien  # type: ignore[attr-defined]
    request.envelope = service.scenario.world.sign(said, service.scenario.world.secured_party).to_json()  # type: ignore[attr-defined]
    made = await service.ask("secured", "LienService/ReserveLien", request, Lien)
    service.scenario.encumbrances.append(said)
    return made


async def test_a_snapshot_of_what_is_asked_for_ends_with_a_heartbeat(deployment: Deployment) -> None:
    async with watching(deployment, "secured", ACCOUNT) as stream:
        first, heartbeat = await stream.snapshot()
        assert first.snapshot.account.name == ACCOUNT
        assert first.snapshot.report.name == REPORT
        assert first.account_sequence == first.snapshot.account.account_sequence
        assert heartbeat.account_sequence == 0
        assert heartbeat.heartbeat.server_time.seconds == deployment.scenario.now
        assert first.position == heartbeat.position != ""


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ("auditor", [ACCOUNT, f"accounts/{NEIGHBOUR}"]),
        ("pledgor", [ACCOUNT]),
        ("neighbour", [f"accounts/{NEIGHBOUR}"]),
        ("publisher", []),
    ],
)
async def test_an_empty_request_is_everything_in_scope(
    word: str, seen: list[str], deployment: Deployment
) -> None:
    async with watching(deployment, word) as stream:
        *accounts, _ = await stream.snapshot()
        assert [event.snapshot.account.name for event in accounts] == seen


async def test_an_account_that_is_not_active_has_no_report(deployment: Deployment) -> None:
    async with watching(deployment, "neighbour") as stream:
        (only, _) = await stream.snapshot()
        assert not only.snapshot.HasField("report")


async def test_a_change_and_then_the_report_that_covers_it(deployment: Deployment) -> None:
    async with watching(deployment, "secured") as stream:
        await stream.snapshot()
        lien = await reserve(deployment, "lien-2")
        changed = await stream.change()
        assert (changed.change.cause, changed.change.resource) == (cause_pb2.CAUSE_LIEN, lien.name)
        assert changed.account_sequence == lien.account_sequence
        assert changed.change.report.account_sequence < lien.account_sequence
        assert changed.change.skipped == 0

        await deployment.scenario.publish_reports()
        covered = await stream.change()
        assert covered.change.cause == cause_pb2.CAUSE_REPORT
        assert covered.change.report.account_sequence == lien.account_sequence
        assert covered.account_sequence == changed.account_sequence
        assert covered.position == changed.position


async def test_another_price_is_a_change_of_nothing_but_the_value(deployment: Deployment) -> None:
    async with watching(deployment, "secured") as stream:
        await stream.snapshot()
        await deployment.scenario.publish_reports()
        event = await stream.change()
        assert event.change.cause == cause_pb2.CAUSE_PRICE


async def test_no_change_is_skipped_or_doubled(deployment: Deployment) -> None:
    async with watching(deployment, "secured") as stream:
        (first, _) = await stream.snapshot()
        for number in range(2, 22):
            await reserve_small(deployment, f"lien-{number}")
        sequences = [first.account_sequence]
        while sequences[-1] < first.account_sequence + 20:
            event = await stream.change()
            assert event.account_sequence == sequences[-1] + event.change.skipped + 1
            sequences.append(event.account_sequence)


async def reserve_small(service: Deployment, lien: str) -> None:
    await service.scenario.reserve(LienId(lien), BTC // 1000)


async def test_an_account_that_opens_later_joins(deployment: Deployment) -> None:
    async with watching(deployment, "custodian") as stream:
        await stream.snapshot()
        await deployment.call(
            "custodian",
            "AccountService/CreateAccount",
            ROWS["AccountService/CreateAccount"].request(deployment.scenario),
        )
        event = await stream.change()
        assert (event.change.account, event.change.cause) == (
            "accounts/acct-brand-new",
            cause_pb2.CAUSE_ACCOUNT,
        )
        assert not event.change.HasField("report")


async def test_nobody_hears_of_another_tenant(deployment: Deployment) -> None:
    async with watching(deployment, "neighbour") as stream:
        await stream.snapshot()
        await reserve(deployment, "lien-2")
        await deployment.call(
            "custodian",
            "AccountService/CreateAccount",
            ROWS["AccountService/CreateAccount"].request(deployment.scenario),
        )
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await stream.next()


async def test_an_account_out_of_scope_is_not_found(deployment: Deployment) -> None:
    for account in (f"accounts/{NEIGHBOUR}", "accounts/nobody-has-it"):
        async with watching(deployment, "secured", ACCOUNT, account) as stream:
            assert (await stream.refused()).reason == "RESOURCE_NOT_FOUND"


async def test_a_heartbeat_when_nothing_changes(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HEARTBEAT_SECONDS", 0.05)
    async with watching(deployment, "secured") as stream:
        await stream.snapshot()
        for _ in range(3):
            assert (await stream.next()).HasField("heartbeat")


async def test_more_streams_than_one_caller_may_hold(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "STREAMS_PER_PRINCIPAL_MAX", 1)
    async with watching(deployment, "secured") as first:
        await first.snapshot()
        async with watching(deployment, "secured") as second:
            refused = await second.refused()
            assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert refused.retry_after_ms == 1000
        async with watching(deployment, "pledgor") as other:
            await other.snapshot()
    await until(lambda: not deployment.feed._mailboxes)  # the server has heard that they are gone
    async with watching(deployment, "secured") as again:
        await again.snapshot()


async def test_a_feed_that_fell_behind_lets_everybody_start_over(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(deployment, "secured") as stream:
        await stream.snapshot()
        for subscription in deployment.store._subscriptions:
            subscription.end(SubscriberTooSlow("too slow"))
        assert (await stream.refused()).reason == "OVERLOADED"
    async with watching(deployment, "secured") as again:
        await again.snapshot()
        await reserve(deployment, "lien-2")
        assert (await again.change()).change.cause == cause_pb2.CAUSE_LIEN


# A slow reader.


def change(sequence: int, kind: CauseKind, account: str = "acct-one") -> Change:
    return Change(
        position=Position(str(sequence)),
        account=AccountId(account),
        sequence=sequence,
        cause=Cause(kind, f"r{sequence}"),
        at=Seconds(sequence),
    )


def test_the_latest_change_stands_for_the_earlier_ones() -> None:
    later = change(2, CauseKind.LIEN)
    assert merge(change(1, CauseKind.LIEN), later) == later
    assert merge(None, later) == later
    assert merge(later, None) == later
    assert merge(None, None) is None


@pytest.mark.parametrize("retracting", [CauseKind.DEPOSIT_REVERSED, CauseKind.WITHDRAWAL_REOPENED])
def test_what_retracts_is_never_stood_for_by_what_does_not(retracting: CauseKind) -> None:
    reversed_, later = change(1, retracting), change(2, CauseKind.LIEN)
    merged = merge(reversed_, later)
    assert merged is not None
    assert (merged.sequence, merged.cause) == (2, reversed_.cause)
    assert merge(change(1, CauseKind.LIEN), change(2, retracting)) == change(2, retracting)


def test_of_what_retracts_nothing_is_lost() -> None:
    reversed_ = replace(change(7, CauseKind.DEPOSIT_REVERSED), retraction=Retraction(3, 6))
    reopened = replace(change(9, CauseKind.WITHDRAWAL_REOPENED), retraction=Retraction(5, 8))
    for second in (reopened, replace(reopened, cause=Cause(CauseKind.LIEN, "r9"), retraction=None)):
        merged = merge(reversed_, second)
        assert merged is not None
        assert merged.cause.kind in {CauseKind.DEPOSIT_REVERSED, CauseKind.WITHDRAWAL_REOPENED}
        assert merged.retraction == Retraction(3, 8 if second is reopened else 6)


async def test_a_reorganisation_names_the_reports_that_it_retracts(deployment: Deployment) -> None:
    """The deposit was seen and credited, and much has happened since."""
    scenario = deployment.scenario
    seen_at = await deployment.store.read(_first_deposit)
    async with watching(deployment, "secured") as stream:
        await stream.snapshot()
        await scenario.reorganise_bitcoin()
        event = await stream.change()
        assert event.change.cause == cause_pb2.CAUSE_DEPOSIT_REVERSED
        said = event.change.retraction
        assert said.first_account_sequence == seen_at
        assert said.last_account_sequence < event.account_sequence
        await scenario.halt(Halt.RECONCILIATION)
        later = await stream.change()
        assert not later.change.HasField("retraction")


def _first_deposit(view: Snapshot) -> int:
    changes = view.changes(AccountId("acct-client-one"), after=0, limit=1000)
    return next(each.sequence for each in changes if each.cause.kind is CauseKind.DEPOSIT)


async def test_a_mailbox_holds_one_event_per_account_however_many_come() -> None:
    mailbox = feeds.Mailbox(lambda _: True)
    for number in range(1, 10_001):
        mailbox.put(AccountId(f"acct-{number % 3}"), change(number, CauseKind.LIEN, f"acct-{number % 3}"))
    taken = [await mailbox.take(seconds=1) for _ in range(3)]
    assert await mailbox.take(seconds=0.01) is None
    assert sorted(each[1].sequence for each in taken if each and each[1]) == [9998, 9999, 10_000]


async def test_a_slow_reader_is_told_how_much_it_missed(deployment: Deployment) -> None:
    """Nothing is read while the changes come: what the stream says next stands for them."""
    async with watching(deployment, "secured") as stream:
        (first, _) = await stream.snapshot()
        (mailbox,) = deployment.feed._mailboxes
        for sequence in range(first.account_sequence + 1, first.account_sequence + 6):
            mailbox.put(deployment.scenario.account, change(sequence, CauseKind.LIEN))
        event = await stream.change()
        assert (event.account_sequence, event.change.skipped) == (first.account_sequence + 5, 4)


# Reads of one's own writes.


async def report(service: Deployment, sequence: int, *, seconds: float = 5.0) -> CollateralReport:
    request = rpc.GetCollateralReportRequest(name=REPORT, min_account_sequence=sequence)
    raw = await service.call("secured", "CollateralService/GetCollateralReport", request, seconds=seconds)
    return CollateralReport.FromString(raw)


async def test_a_read_waits_for_the_report_that_covers_a_write(deployment: Deployment) -> None:
    lien = await reserve(deployment, "lien-2")
    waiting = asyncio.ensure_future(report(deployment, lien.account_sequence))
    await until(lambda: deployment.scenario.account in deployment.feed._reports)
    assert not waiting.done()
    await deployment.scenario.publish_reports()
    assert (await waiting).account_sequence == lien.account_sequence
    assert (await report(deployment, lien.account_sequence)).account_sequence == lien.account_sequence
    assert deployment.feed._reports == {}


async def test_a_read_that_waits_in_vain_says_so_before_its_deadline(deployment: Deployment) -> None:
    request = rpc.GetCollateralReportRequest(name=REPORT, min_account_sequence=10_000)
    refused = await deployment.refused(
        "secured", "CollateralService/GetCollateralReport", request, seconds=0.5
    )
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "SEQUENCE_NOT_REACHED")
    assert refused.retry_after_ms is not None
    assert int(refused.info.metadata["account_sequence"]) > 0
    assert deployment.feed._reports == {}


async def test_a_report_of_an_account_that_is_not_active(deployment: Deployment) -> None:
    request = rpc.GetCollateralReportRequest(name=f"accounts/{NEIGHBOUR}/collateralReport")
    refused = await deployment.refused("neighbour", "CollateralService/GetCollateralReport", request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_NOT_ACTIVE")


async def test_a_report_is_made_into_a_message_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = codec.report

    def counted(of: SignedReport) -> CollateralReport:
        made.append(of)
        return make(of)

    monkeypatch.setattr(codec, "report", counted)
    await deployment.scenario.publish_reports()
    for _ in range(5):
        await report(deployment, 0)
    async with watching(deployment, "secured") as stream:
        await stream.snapshot()
    assert len(made) == 1
