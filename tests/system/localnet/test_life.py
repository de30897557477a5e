"""However a localnet ends, nothing of it runs afterwards."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from deploy.localnet.state import read_record
from tests.system.localnet.running import (
    PLAIN_OWNER,
    REPOSITORY,
    Owners,
    eventually,
    nothing_runs,
    processes_naming,
)

pytestmark = pytest.mark.system
NODES = {"bitcoind", "anvil", "openbao-0", "openbao-1", "openbao-2", "openbao-3"}
PARTS = {*NODES, "signer-1", "signer-2", "signer-3", "custody"}
EXIT_SECONDS = 60.0


def _slow(*numbers: signal.Signals) -> Iterator[ParameterSet]:
    """The other ways to the same end: each brings a whole network up."""
    return (pytest.param(number, marks=pytest.mark.slow) for number in numbers)


def test_all_parts_are_recorded_while_they_run(owners: Owners) -> None:
    owner = owners.up("net")
    assert set(owner.record.processes) >= PARTS
    assert set(owner.record.endpoints) >= PARTS
    assert all(identity.is_alive() for identity in owner.record.processes.values())
    assert all(
        address.rpartition("//")[2].startswith("127.0.0.1:") for address in owner.record.endpoints.values()
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, *_slow(signal.SIGINT, signal.SIGHUP)])
def test_a_signal_to_the_command_leaves_nothing(owners: Owners, number: signal.Signals) -> None:
    owner = owners.up("net")
    owner.process.send_signal(number)
    owner.process.wait(timeout=EXIT_SECONDS)
    assert eventually(lambda: nothing_runs(owner))


@pytest.mark.parametrize("number", [signal.SIGKILL, *_slow(signal.SIGTERM)])
def test_a_signal_to_a_program_without_handlers_leaves_nothing(
    owners: Owners, number: signal.Signals
) -> None:
    owner = owners.up("net", "-c", PLAIN_OWNER, "{state}", "wait")
    owner.process.send_signal(number)
    assert owner.process.wait(timeout=EXIT_SECONDS) == -number
    assert eventually(lambda: nothing_runs(owner))


@pytest.mark.parametrize(("ending", "code"), [("return", 0), ("raise", 1)])
def test_leaving_the_context_leaves_nothing(owners: Owners, tmp_path: Path, ending: str, code: int) -> None:
    process = owners.start("net", "-c", PLAIN_OWNER, "{state}", ending)
    assert process.wait(timeout=EXIT_SECONDS) == code, owners.log("net")
    # By then all have been waited for: no polling.
    assert processes_naming(tmp_path / "net") == []
    assert read_record(tmp_path / "net") is None


@pytest.mark.parametrize("number", [signal.SIGINT, *_slow(signal.SIGTERM, signal.SIGKILL)])
def test_a_signal_amid_the_start_leaves_nothing(
    owners: Owners, tmp_path: Path, number: signal.Signals
) -> None:
    state = tmp_path / "net"
    process = owners.start("net", "-m", "deploy.localnet", "up", "--folder", "{state}")
    assert eventually(lambda: any("bao server" in command for command in processes_naming(state)))
    process.send_signal(number)
    process.wait(timeout=EXIT_SECONDS)
    assert eventually(lambda: processes_naming(state) == [])


@pytest.mark.slow
def test_a_kill_amid_the_first_fetch_leaves_no_process_and_no_half_tool(
    owners: Owners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("BAILEE_CACHE", str(cache))
    monkeypatch.delenv("BITCOIND", raising=False)
    folders = os.environ["PATH"].split(os.pathsep)
    without_bitcoind = [folder for folder in folders if not (Path(folder) / "bitcoind").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(without_bitcoind))
    process = owners.start("net", "-m", "deploy.localnet", "up", "--folder", "{state}")
    assert eventually(lambda: any(cache.glob(".bitcoind-*/.apt/cache/archives/*.deb")))
    process.kill()
    process.wait(timeout=EXIT_SECONDS)
    assert eventually(lambda: processes_naming(cache) == [] and processes_naming(tmp_path / "net") == [])
    assert not any(folder.name.startswith("bitcoind") for folder in cache.iterdir() if folder.is_dir())
    owner = owners.up("net")
    assert set(owner.record.processes) >= PARTS
    assert list(cache.glob(".*")) == []


def test_a_part_that_cannot_start_ends_all_others(
    owners: Owners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITCOIND", "/bin/false")
    process = owners.start("net", "-m", "deploy.localnet", "up", "--folder", "{state}")
    assert process.wait(timeout=EXIT_SECONDS) == 1
    assert "bitcoind: ended with code 1" in owners.log("net")
    assert processes_naming(tmp_path / "net") == []


def test_down_ends_its_own_localnet_and_no_other(owners: Owners) -> None:
    mine, other = owners.up("mine"), owners.up("other")
    answer = _down(mine.state)
    assert answer.returncode == 0
    assert answer.stdout == "ended: localnet\n"
    assert mine.process.wait(timeout=EXIT_SECONDS) == 128 + signal.SIGTERM
    assert nothing_runs(mine)
    assert other.process.poll() is None
    assert all(identity.is_alive() for identity in other.record.processes.values())
    assert _down(mine.state).stdout == f"nothing runs in {mine.state}\n"


@pytest.mark.slow
def test_two_localnets_share_nothing(owners: Owners) -> None:
    one, two = owners.up("one"), owners.up("two")
    assert set(one.record.endpoints.values()).isdisjoint(two.record.endpoints.values())
    pids = [{identity.pid for identity in owner.record.processes.values()} for owner in (one, two)]
    assert pids[0].isdisjoint(pids[1])


def test_a_state_folder_holds_one_localnet(owners: Owners) -> None:
    owner = owners.up("net")
    second = owners.start("net", "-m", "deploy.localnet", "up", "--folder", "{state}")
    assert second.wait(timeout=EXIT_SECONDS) == 1
    assert "held by a running localnet" in owners.log("net")
    assert all(identity.is_alive() for identity in owner.record.processes.values())


def test_it_starts_again_in_the_folder_of_one_that_was_killed(owners: Owners) -> None:
    first = owners.up("net")
    first.process.kill()
    first.process.wait()
    second = owners.up("net")
    assert second.record.owner != first.record.owner
    assert set(second.record.processes) >= PARTS
    assert not any(identity.is_alive() for identity in first.record.processes.values())


def test_the_state_is_for_this_user_alone(owners: Owners) -> None:
    owner = owners.up("net")
    for path in (owner.state, *owner.state.rglob("*")):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def _down(state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.localnet", "down", "--folder", str(state)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=EXIT_SECONDS,
        check=False,
    )
