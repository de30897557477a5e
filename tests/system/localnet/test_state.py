import os
import stat
from pathlib import Path

import pytest

from deploy.localnet.identity import ProcessIdentity
from deploy.localnet.state import (
    Record,
    StateFolder,
    StateFolderRefusedError,
    end_localnet,
    read_record,
    write_private,
)

pytestmark = pytest.mark.system


def record_of(owner: ProcessIdentity) -> Record:
    return Record(
        owner=owner, processes={"part": owner}, endpoints={"part": "http://127.0.0.1:1"}, is_ready=True
    )


def test_it_is_emptied_at_the_start_and_kept_at_the_end(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state") as state:
        write_private(state.logs / "part.log", "words")
    assert (tmp_path / "state/logs/part.log").read_text() == "words"
    with StateFolder(tmp_path / "state") as state:
        assert [entry.name for entry in state.path.iterdir()] == ["lock"]


def test_a_folder_with_foreign_files_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StateFolderRefusedError, match="no localnet made"):
        StateFolder(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_held_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state") as state:
        write_private(state.path / "data", "x")
        with pytest.raises(StateFolderRefusedError, match="running localnet"):
            StateFolder(tmp_path / "state")
        assert (state.path / "data").read_text() == "x"


def test_emptying_does_not_follow_links_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    with StateFolder(tmp_path / "state") as state:
        (state.path / "link").symlink_to(outside)
    with StateFolder(tmp_path / "state"):
        assert (outside / "file").read_text() == "stays"


def test_private_files_are_private_and_whole(tmp_path: Path) -> None:
    write_private(tmp_path / "key", "one")
    write_private(tmp_path / "key", b"two")
    assert (tmp_path / "key").read_text() == "two"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_record_reads_as_it_was_written(tmp_path: Path) -> None:
    record = record_of(ProcessIdentity.of(os.getpid()))
    (tmp_path / "localnet.json").write_text(record.to_json())
    assert read_record(tmp_path) == record


def test_a_mangled_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "localnet.json").write_text('{"owner": 1}')
    with pytest.raises(StateFolderRefusedError, match="no record"):
        read_record(tmp_path)


def test_down_spares_a_process_that_got_a_recorded_pid(tmp_path: Path) -> None:
    me = ProcessIdentity.of(os.getpid())
    stranger = ProcessIdentity(pid=me.pid, start_ticks=me.start_ticks - 1, boot_id=me.boot_id)
    (tmp_path / "localnet.json").write_text(record_of(stranger).to_json())
    assert end_localnet(tmp_path) == ()


def test_down_where_nothing_is_recorded_ends_nothing(tmp_path: Path) -> None:
    assert end_localnet(tmp_path) == ()
