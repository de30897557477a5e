"""Reads: reports never go back, streams say what was asked for, intents pay where the pledgor signed."""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from bailee.custody.v1 import cause_pb2, collateral_service_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from custody.client import (
    BaileeError,
    Connection,
    EventKind,
    Reader,
    SigningRecord,
    TrustRoot,
    VerificationError,
)
from custody.client.signing_record import LINKS_KEPT, BatchMark
from signers.statements.allowlist import BitcoinDestination
from signers.statements.amounts import Asset
from signers.statements.identifiers import Digest, EntityId
from tests.factories import World
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody, later

Response = collateral_service_pb2.WatchCollateralResponse


@pytest.fixture
def account(world: World) -> str:
    return world.account.account


async def test_a_newer_report_follows_an_older_one(
    reader: Reader, custody: FakeCustody, account: str
) -> None:
    assert (await reader.report(account)).account_sequence == 7
    custody.report = custody.make_report(batch=6, account_sequence=8)
    assert (await reader.report(account)).account_sequence == 8


async def test_the_same_report_again_is_no_step_back(reader: Reader, account: str) -> None:
    assert await reader.report(account) == await reader.report(account)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"batch": 4}, "reports went back"),
        ({"batch": 6, "account_sequence": 6}, "reports went back"),
        ({"batch": 5, "halted": True}, "two different batches"),
    ],
)
async def test_reports_never_go_back(
    reader: Reader, custody: FakeCustody, account: str, changes: dict[str, object], why: str
) -> None:
    await reader.report(account)
    custody.report = custody.make_report(**changes)  # type: ignore[arg-type]
    with pytest.raises(VerificationError, match=why):
        await reader.report(account)


async def test_a_report_from_the_future_is_refused(
    reader: Reader, custody: FakeCustody, account: str, world: World
) -> None:
    custody.report = custody.make_report(batch_changes={"at": later(world, 121)})
    with pytest.raises(VerificationError, match="still to come"):
        await reader.report(account)


async def test_a_report_that_does_not_cover_what_was_asked_is_refused(reader: Reader, account: str) -> None:
    with pytest.raises(VerificationError, match="does not cover"):
        await reader.report(account, min_account_sequence=8)


async def test_a_restart_remembers_what_it_saw(
    connection: Connection,
    trust: TrustRoot,
    custody: FakeCustody,
    account: str,
    clock: Callable[[], float],
    tmp_path: Path,
) -> None:
    file = tmp_path / "record.db"
    with SigningRecord(file, root=trust.policy_digest) as first:
        await Reader(connection, trust, record=first, clock=clock).report(account)
    custody.report = custody.make_report(batch=4)
    with (
        SigningRecord(file, root=trust.policy_digest) as again,
        pytest.raises(VerificationError, match="went back"),
    ):
        await Reader(connection, trust, record=again, clock=clock).report(account)


async def test_a_record_is_closed_at_the_end_of_its_block(record: SigningRecord, account: str) -> None:
    with record as same:
        assert same.batch(account) is None
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        record.batch(account)


async def test_a_newer_mark_is_never_replaced_by_an_older_one(record: SigningRecord, account: str) -> None:
    newer = BatchMark(sequence=9, digest=Digest("aa" * 32), account_sequence=9)
    older = replace(newer, sequence=8, digest=Digest("88" * 32))
    record.see_batch(account, newer, previous=older.digest)
    record.see_batch(account, older, previous=Digest("77" * 32))
    assert record.batch(account) == newer


# Batches follow one another, in whatever order and from whichever account they are seen.


@pytest.mark.parametrize(
    ("sequence", "digest", "previous"),
    [
        (5, "5a", "44"),
        (5, "55", "4a"),
        (6, "66", "5a"),
        (4, "4a", "33"),
    ],
)
async def test_a_batch_that_contradicts_another_is_refused(
    record: SigningRecord, account: str, sequence: int, digest: str, previous: str
) -> None:
    record.see_batch(
        account,
        BatchMark(sequence=5, digest=Digest("55" * 32), account_sequence=7),
        previous=Digest("44" * 32),
    )
    lie = BatchMark(sequence=sequence, digest=Digest(digest * 32), account_sequence=7)
    with pytest.raises(VerificationError, match="two different batches"):
        record.see_batch("acct-client-two", lie, previous=Digest(previous * 32))
    assert record.batch("acct-client-two") is None


async def test_batches_that_follow_one_another_are_seen(record: SigningRecord, account: str) -> None:
    for sequence in (5, 6, 4, 9, 3):
        mark = BatchMark(sequence=sequence, digest=Digest(f"{sequence}" * 64), account_sequence=7)
        record.see_batch(account, mark, previous=Digest(f"{sequence - 1}" * 64))


async def test_only_the_newest_batches_are_kept(record: SigningRecord, account: str) -> None:
    for sequence in (5, 5 + LINKS_KEPT + 1):
        mark = BatchMark(sequence=sequence, digest=Digest("55" * 32), account_sequence=7)
        record.see_batch(account, mark, previous=Digest("44" * 32))
    forgotten = BatchMark(sequence=5, digest=Digest("5a" * 32), account_sequence=7)
    record.see_batch("acct-client-two", forgotten, previous=Digest("4a" * 32))


async def test_a_report_whose_batch_does_not_continue_the_last_one_is_refused(
    reader: Reader, custody: FakeCustody, account: str
) -> None:
    await reader.report(account)
    custody.report = custody.make_report(batch=6, batch_changes={"previous": Digest("cd" * 32)})
    with pytest.raises(VerificationError, match="two different batches 5"):
        await reader.report(account)


# Age.


async def test_a_report_is_taken_as_long_as_custody_can_be_late(
    reader: Reader, custody: FakeCustody, account: str, world: World
) -> None:
    custody.report = custody.report_at(later(world, -900))
    await reader.report(account)
    custody.report = custody.report_at(later(world, -901), batch=6)
    with pytest.raises(VerificationError, match="901 s old"):
        await reader.report(account)


async def test_an_old_report_in_a_new_batch_is_still_old(
    reader: Reader, custody: FakeCustody, account: str, world: World
) -> None:
    custody.report = custody.report_at(later(world, -901), batch_changes={"at": world.now})
    with pytest.raises(VerificationError, match="901 s old"):
        await reader.report(account)


# The stream.


def snapshot(custody: FakeCustody) -> Response:
    return Response(
        snapshot=Response.Snapshot(account=custody.account, report=custody.report), account_sequence=7
    )


def change(custody: FakeCustody, **report: object) -> Response:
    made = custody.make_report(**report)  # type: ignore[arg-type]
    return Response(
        change=Response.Change(
            account=custody.name,
            cause=cause_pb2.CAUSE_DEPOSIT_REVERSED,
            resource=f"{custody.name}/deposits/d-one",
            report=made,
            skipped=2,
            retraction=Response.Retraction(first_account_sequence=3, last_account_sequence=6),
        ),
        account_sequence=8,
        position="p8",
    )


def retracting(custody: FakeCustody, first: int, last: int) -> Response:
    made = change(custody)
    made.change.retraction.CopyFrom(
        Response.Retraction(first_account_sequence=first, last_account_sequence=last)
    )
    return made


HEARTBEAT = Response(heartbeat=Response.Heartbeat())


async def test_the_stream_is_a_snapshot_then_changes(
    reader: Reader, custody: FakeCustody, account: str
) -> None:
    custody.events = [snapshot(custody), HEARTBEAT, change(custody, batch=6, account_sequence=8)]
    events = [event async for event in reader.watch(account)]
    assert [event.kind for event in events] == [
        EventKind.SNAPSHOT,
        EventKind.HEARTBEAT,
        EventKind.CHANGE,
    ]
    assert [event.retracted for event in events] == [None, None, (3, 6)]
    last = events[-1]
    assert (last.account, last.cause, last.skipped, last.account_sequence) == (
        account,
        "deposit_reversed",
        2,
        8,
    )
    assert last.report is not None
    assert last.report.account_sequence == 8


async def test_a_stream_that_goes_back_is_refused(reader: Reader, custody: FakeCustody, account: str) -> None:
    custody.events = [snapshot(custody), change(custody, batch=4)]
    with pytest.raises(VerificationError, match="went back"):
        [event async for event in reader.watch(account)]


async def test_the_account_s_sequence_never_falls_in_a_stream(
    reader: Reader, custody: FakeCustody, account: str
) -> None:
    behind = change(custody, batch=6)
    behind.account_sequence = 7
    custody.events = [snapshot(custody), change(custody, batch=6), HEARTBEAT, behind]
    with pytest.raises(VerificationError, match="event 7 of acct-client-one"):
        [event async for event in reader.watch(account)]


async def test_a_stream_may_be_behind_a_read_made_meanwhile(
    reader: Reader, custody: FakeCustody, account: str
) -> None:
    custody.events = [snapshot(custody), change(custody, batch=6)]
    stream = reader.watch(account)
    await anext(stream)
    custody.report = custody.make_report(batch=7, account_sequence=9)
    await reader.report(account)
    assert (await anext(stream)).report is not None


async def test_a_stream_ends_at_its_deadline(reader: Reader, custody: FakeCustody, account: str) -> None:
    def linger(context: grpc.ServicerContext) -> None:
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(timeout=10)

    custody.events, custody.end_stream = [snapshot(custody)], linger
    events = [event async for event in reader.watch(account, deadline_seconds=1.0)]
    assert [event.kind for event in events] == [EventKind.SNAPSHOT]


async def test_a_stream_that_the_service_ends_early_is_an_error(
    reader: Reader, custody: FakeCustody, account: str
) -> None:
    custody.events = [snapshot(custody)]
    custody.end_stream = lambda context: context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "so soon")
    with pytest.raises(BaileeError) as caught:
        [event async for event in reader.watch(account, deadline_seconds=60.0)]
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (lambda c: Response(), "no known kind"),
        (
            lambda c: Response(change=Response.Change(account="accounts/acct-client-two")),
            "was not asked for",
        ),
        (
            lambda c: Response(
                change=Response.Change(account="accounts/acct-client-two", report=c.make_report())
            ),
            "not of acct-client-two",
        ),
        (
            lambda c: Response(
                change=Response.Change(account=c.name, report=c.make_report(at=later(c.world, 1)))
            ),
            "younger than the batch",
        ),
        (lambda c: Response(heartbeat=Response.Heartbeat(server_time=Timestamp(seconds=2**62))), "no time"),
        (lambda c: retracting(c, 0, 7), "retracts 0 to 7"),
        (lambda c: retracting(c, 4, 3), "retracts 4 to 3"),
        (lambda c: retracting(c, 3, 8), "retracts 3 to 8"),
        (lambda c: Response(heartbeat=Response.Heartbeat(server_time=Timestamp(seconds=-1))), "no time"),
        (
            lambda c: Response(change=Response.Change(account=c.name, commit_time=Timestamp(seconds=2**62))),
            "no time",
        ),
    ],
)
async def test_a_false_event_ends_the_stream(
    reader: Reader,
    custody: FakeCustody,
    account: str,
    event: Callable[[FakeCustody], Response],
    why: str,
) -> None:
    custody.events = [event(custody)]
    with pytest.raises(VerificationError, match=why):
        [each async for each in reader.watch(account)]


# Intents and receipts.


async def test_an_intent_is_decoded_with_the_destination_that_the_pledgor_signed(
    reader: Reader, account: str, world: World
) -> None:
    assert await reader.intent(account, WITHDRAWAL) == world.intent(Asset.BTC)


async def test_an_intent_to_another_place_than_its_entry_is_refused(
    reader: Reader, custody: FakeCustody, account: str, world: World
) -> None:
    elsewhere = BitcoinDestination(script_pubkey=world.account.enforcement.bitcoin)
    custody.show_intent(world.intent(Asset.BTC, destination=elsewhere))
    with pytest.raises(VerificationError, match="another destination"):
        await reader.intent(account, WITHDRAWAL)


async def test_an_intent_whose_entry_the_pledgor_did_not_sign_is_refused(
    reader: Reader, custody: FakeCustody, account: str, world: World
) -> None:
    """A destination of custody's own, under the name of a real one."""
    elsewhere = BitcoinDestination(script_pubkey=world.account.enforcement.bitcoin)
    entry = world.allowlist_entry(Asset.BTC, destination=elsewhere)
    custody.show_entry(entry, by=world.stranger)
    custody.show_intent(world.intent(Asset.BTC, destination=elsewhere))
    with pytest.raises(VerificationError, match="pledgor has not signed"):
        await reader.intent(account, WITHDRAWAL)


async def test_an_intent_of_a_stranger_is_refused(
    reader: Reader, custody: FakeCustody, account: str, world: World
) -> None:
    custody.show_intent(world.intent(Asset.BTC, maker=EntityId("stranger-one")))
    with pytest.raises(VerificationError, match="no party"):
        await reader.intent(account, WITHDRAWAL)


async def test_no_intent_is_not_an_empty_intent(reader: Reader, custody: FakeCustody, account: str) -> None:
    custody.withdrawals[f"{custody.name}/withdrawals/{WITHDRAWAL}"].intent = b""
    with pytest.raises(VerificationError, match="no intent"):
        await reader.intent(account, WITHDRAWAL)


async def test_receipts_are_the_signers_own(reader: Reader, account: str) -> None:
    receipts = await reader.receipts(account, WITHDRAWAL)
    assert [receipt.signer for receipt in receipts] == ["signer-1", "signer-2", "signer-3"]


async def test_one_false_receipt_refuses_them_all(
    reader: Reader, custody: FakeCustody, account: str, world: World
) -> None:
    withdrawal = custody.withdrawals[f"{custody.name}/withdrawals/{WITHDRAWAL}"]
    withdrawal.receipts[1].envelope = withdrawal.receipts[0].envelope[:-1]
    with pytest.raises(VerificationError, match="receipt"):
        await reader.receipts(account, WITHDRAWAL)


async def test_the_evidence_of_a_report_is_signed_prices(reader: Reader, account: str) -> None:
    report = await reader.report(account)
    evidence = reader.evidence(report, await reader.verified_prices())
    assert {asset: len(prices) for asset, prices in evidence.items()} == {Asset.BTC: 3, Asset.ETH: 3}


async def test_a_price_that_nobody_signed_is_refused(
    reader: Reader, custody: FakeCustody, world: World
) -> None:
    custody.prices[0].envelope = custody.prices[1].envelope[:-1]
    with pytest.raises(VerificationError, match="price"):
        await reader.verified_prices()
