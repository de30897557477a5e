"""`make check-fresh`: what it says of the machine, and what is left of a command that takes too long."""

import os
import time
from pathlib import Path

import pytest

from deploy import check_fresh
from deploy.check_fresh import TIMED_OUT, ended, machine

PATIENCE_SECONDS = 30.0


def run(script: str, *, folder: Path, seconds_max: float) -> int:
    return ended(
        ["bash", "-c", script],
        folder=folder,
        environment=dict(os.environ),
        log=folder / "log",
        seconds_max=seconds_max,
    )


def is_alive(pid: int) -> bool:
    """A zombie that its new parent has yet to wait for runs no more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_command_s_own_exit_code_is_told(tmp_path: Path) -> None:
    assert run("echo said; exit 7", folder=tmp_path, seconds_max=PATIENCE_SECONDS) == 7
    assert (tmp_path / "log").read_text() == "said\n"


@pytest.mark.parametrize("deaf", ["", "trap '' TERM; "])
def test_whatever_a_command_started_ends_with_it_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: str
) -> None:
    monkeypatch.setattr(check_fresh, "GRACE_SECONDS", 0.2)
    script = f"{deaf}sleep 600 & echo $! >child; bash -c 'sleep 600 & echo $! >grandchild; wait' & wait"
    assert run(script, folder=tmp_path, seconds_max=1.0) == TIMED_OUT
    pids = [int((tmp_path / name).read_text()) for name in ("child", "grandchild")]
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while any(map(is_alive, pids)) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    assert [pid for pid in pids if is_alive(pid)] == []


def test_the_machine_is_named() -> None:
    told = machine()
    assert set(told) == {"cores", "processor", "python"}
    assert all(told.values())
