"""The log under the journal: what survives, what is noticed, what is refused."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from signers.journal import (
    Announced,
    Attempted,
    Conflict,
    Hex,
    Journal,
    JournalCorrupt,
    JournalInUse,
    JournalUnusable,
    Point,
    Record,
    TimeSeen,
    document,
)
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import GENESIS, BlockHash, Digest, Seconds
from signers.statements.intent import OutpointAnchor
from tests.factories import World, build_world

AT = Seconds(1_790_000_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def announced(world: World) -> Announced:
    intent = world.intent(Asset.BTC)
    return Announced(
        intent=document(world.approve(intent)),
        release=document(world.release_envelope(intent)),
        allowlist_entry=document(world.allowlist_envelope(Asset.BTC)),
        seen_at=Point(height=7, block_hash=BlockHash("ab" * 32)),
    )


def attempted(world: World, *, fee: int = 1_000, anchored: bool = True) -> Attempted:
    anchor = world.intent(Asset.BTC).anchor
    assert isinstance(anchor, OutpointAnchor)
    return Attempted(
        intent_digest=world.intent(Asset.BTC).digest,
        transaction_digest=Digest(f"{fee:064x}"),
        transaction=Hex("00" * 90),
        fee=Sats(fee),
        inputs=(anchor,) if anchored else (),
    )


def test_records_are_chained_and_read_again(path: Path) -> None:
    world = build_world()
    journal = Journal.open(path)
    first = journal.append(announced(world), at=AT)
    second = journal.append(attempted(world), at=AT)
    assert (first.previous, second.previous) == (GENESIS, first.head)
    journal.close()
    again = Journal.open(path)
    assert (again.sequence, again.head) == (2, second.head)
    assert again.head_at(1) == first.head
    assert again.head_at(3) is None
    (history,) = again.views.live()
    assert history.intent == world.intent(Asset.BTC)
    assert [attempt.entry for attempt in history.attempts] == [attempted(world)]
    again.close()


def test_a_record_reads_back_as_it_was_written() -> None:
    record = Record(sequence=1, previous=GENESIS, at=AT, entry=announced(build_world()))
    assert Record.from_bytes(record.to_bytes()) == record


def test_the_file_is_of_this_user_alone(path: Path) -> None:
    journal = Journal.open(path)
    journal.append(TimeSeen(), at=AT)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}
    journal.close()
    path.chmod(0o640)
    with pytest.raises(JournalUnusable, match="0600"):
        Journal.open(path)


def test_a_link_is_not_followed(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(JournalUnusable):
        Journal.open(path)


def test_two_processes_cannot_share_a_journal(path: Path) -> None:
    journal = Journal.open(path)
    code = f"from pathlib import Path; from signers.journal import Journal; Journal.open(Path({str(path)!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert JournalInUse.__name__ in other.stderr
    journal.close()


def tampered(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change the file as someone who owns the machine would: past the triggers."""
    connection = sqlite3.connect(path)
    connection.executescript("DROP TRIGGER record_is_final; DROP TRIGGER record_stays;")
    change(connection)
    connection.commit()
    connection.close()


TAMPERINGS: dict[str, Callable[[sqlite3.Connection], object]] = {
    "another time": lambda c: c.execute(
        "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), '1790000001', '1790000009') AS BLOB)"
    ),
    "a record removed": lambda c: c.execute("DELETE FROM record WHERE sequence = 2"),
    "the first removed": lambda c: c.execute("DELETE FROM record WHERE sequence = 1"),
    "another head": lambda c: c.execute(f"UPDATE record SET head = '{'ab' * 32}' WHERE sequence = 2"),
    "renumbered": lambda c: c.execute("UPDATE record SET sequence = sequence + 1 WHERE sequence = 3"),
    "a copy appended": lambda c: c.execute(
        "INSERT INTO record SELECT 4, body, head FROM record WHERE sequence = 3"
    ),
    "not a record": lambda c: c.execute("INSERT INTO record VALUES (4, x'00', 'no')"),
}


@pytest.mark.parametrize("change", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_stops_the_start(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    journal = Journal.open(path)
    for second in range(3):
        journal.append(TimeSeen(), at=Seconds(AT + second))
    journal.close()
    Journal.open(path).close()
    tampered(path, change)
    with pytest.raises(JournalCorrupt):
        Journal.open(path)


def test_rubbish_is_no_journal(path: Path) -> None:
    path.write_bytes(b"\x00" * 4096)
    path.chmod(0o600)
    with pytest.raises(JournalCorrupt):
        Journal.open(path)


def test_records_cannot_be_changed_or_removed_by_accident(path: Path) -> None:
    journal = Journal.open(path)
    journal.append(TimeSeen(), at=AT)
    journal.close()
    connection = sqlite3.connect(path)
    for statement in ("UPDATE record SET head = ''", "DELETE FROM record"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            connection.execute(statement)
    connection.close()


def test_after_a_failed_write_nothing_is_accepted(path: Path) -> None:
    journal = Journal.open(path)
    journal._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalUnusable):
        journal.append(TimeSeen(), at=AT)
    journal._connection.execute("PRAGMA query_only = OFF")
    with pytest.raises(JournalUnusable, match="earlier"):
        journal.append(TimeSeen(), at=AT)
    journal.close()


def test_an_entry_that_contradicts_the_journal_is_not_written(path: Path) -> None:
    world = build_world()
    journal = Journal.open(path)
    with pytest.raises(Conflict):
        journal.append(attempted(world), at=AT)
    journal.append(announced(world), at=AT)
    for entry in (
        announced(world),
        attempted(world, fee=50_001),
        attempted(world, anchored=False),
    ):
        with pytest.raises(Conflict):
            journal.append(entry, at=AT)
    assert journal.sequence == 1
    journal.close()


def test_what_was_appended_is_synced_to_the_disk(path: Path) -> None:
    """A killed process loses nothing either way; a machine that loses power would."""
    journal = Journal.open(path)
    (level,) = journal._connection.execute("PRAGMA synchronous").fetchone()
    assert level == 2, "FULL: the write-ahead log is synced before an append returns"
    journal.close()


def test_what_was_appended_survives_sigkill(path: Path) -> None:
    """Each append is on disk when it returns: the process tells its head and is killed at once."""
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from signers.journal import Journal, TimeSeen
        journal = Journal.open(Path({str(path)!r}))
        for second in range(100_000):
            record = journal.append(TimeSeen(), at=1_790_000_000 + second)
            print(record.sequence, record.head, flush=True)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = next(line for number, line in enumerate(process.stdout) if number == 20)
    os.kill(process.pid, signal.SIGKILL)
    told = [line, *process.stdout.readlines()]
    process.wait()
    process.stdout.close()
    sequence, head = next(each.split() for each in reversed(told) if each.endswith("\n"))
    journal = Journal.open(path)
    assert journal.sequence >= int(sequence)
    assert journal.head_at(int(sequence)) == head
    journal.close()
