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

from deploy.localnet.localnet import Localnet
from deploy.localnet.state import Record, read_record
from tests.system.localnet.running import (
    PLAIN_OWNER,
    REPOSITORY,
    Owner,
    Owners,
    eventually,
    nothing_runs,
    processes_naming,
)

pytestmark = pytest.mark.system
NODES = {"bitcoind", "anvil", "openbao-0", "openbao-1", "openbao-2", "openbao-3"}
PARTS = {*NODES, "signer-1", "signer-2", "signer-3", "custody"}
EXIT_SECONDS = 60.0


def _slow(*values: object) -> Iterator[ParameterSet]:
    """The other ways to the same end: each brings a whole network up."""
    return (pytest.param(value, marks=pytest.mark.slow) for value in values)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owners]:
    """Where the networks live that several tests look at."""
    started = Owners(tmp_path_factory.mktemp("lives"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def up(lives: Owners) -> Owner:
    """A network of the command line. `down` ends it in the last test about it."""
    return lives.up("up")


@pytest.fixture(scope="module")
def killed(lives: Owners) -> Owner:
    """One whose command was killed."""
    owner = lives.up("killed")
    owner.process.kill()
    owner.process.wait(timeout=EXIT_SECONDS)
    return owner


@pytest.fixture(scope="module")
def again(lives: Owners, killed: Owner) -> Owner:
    """One of a program, in the folder of the one that was killed."""
    return lives.up("killed", "-c", PLAIN_OWNER, "{state}", "wait")


def recorded(net: Localnet) -> Record:
    record = read_record(net.state.path)
    assert record is not None
    return record


def test_all_parts_are_recorded_while_they_run(up: Owner) -> None:
    assert set(up.record.processes) >= PARTS
    assert set(up.record.endpoints) >= PARTS
    assert all(identity.is_alive() for identity in up.record.processes.values())
    assert all(
        address.rpartition("//")[2].startswith("127.0.0.1:") for address in up.record.endpoints.values()
    )


def test_the_state_is_for_this_user_alone(up: Owner) -> None:
    for path in (up.state, *up.state.rglob("*")):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_state_folder_holds_one_localnet(up: Owner, owners: Owners) -> None:
    second = owners.start("second", "-m", "deploy.localnet", "up", "--folder", str(up.state))
    assert second.wait(timeout=EXIT_SECONDS) == 1
    assert "held by a running localnet" in owners.log("second")
    assert all(identity.is_alive() for identity in up.record.processes.values())


def test_two_localnets_share_nothing(up: Owner, localnet: Localnet) -> None:
    other = recorded(localnet)
    assert set(up.record.endpoints.values()).isdisjoint(other.endpoints.values())
    pids = [{identity.pid for identity in record.processes.values()} for record in (up.record, other)]
    assert pids[0].isdisjoint(pids[1])


def test_down_ends_its_own_localnet_and_no_other(up: Owner, localnet: Localnet) -> None:
    answer = _down(up.state)
    assert answer.returncode == 0
    # Its owner alone had to be ended: it ended its parts itself.
    assert answer.stdout == "ended: localnet\n"
    assert up.process.wait(timeout=EXIT_SECONDS) == 128 + signal.SIGTERM
    assert nothing_runs(up)
    other = recorded(localnet)
    assert set(other.processes) >= PARTS
    assert all(identity.is_alive() for identity in other.processes.values())
    assert _down(up.state).stdout == f"nothing runs in {up.state}\n"


def test_a_kill_of_the_command_leaves_nothing(killed: Owner) -> None:
    assert eventually(lambda: nothing_runs(killed))


def test_it_starts_again_in_the_folder_of_one_that_was_killed(killed: Owner, again: Owner) -> None:
    assert again.state == killed.state
    assert again.record.owner != killed.record.owner
    assert set(again.record.processes) >= PARTS
    assert all(identity.is_alive() for identity in again.record.processes.values())
    assert not any(identity.is_alive() for identity in killed.record.processes.values())


def test_a_kill_of_a_program_without_handlers_leaves_nothing(again: Owner) -> None:
    again.process.kill()
    assert again.process.wait(timeout=EXIT_SECONDS) == -signal.SIGKILL
    assert eventually(lambda: nothing_runs(again))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_command_leaves_nothing(owners: Owners, number: signal.Signals) -> None:
    owner = owners.up("net")
    owner.process.send_signal(number)
    owner.process.wait(timeout=EXIT_SECONDS)
    assert eventually(lambda: nothing_runs(owner))


@pytest.mark.slow
def test_a_signal_to_a_program_without_handlers_leaves_nothing(owners: Owners) -> None:
    owner = owners.up("net", "-c", PLAIN_OWNER, "{state}", "wait")
    owner.process.send_signal(signal.SIGTERM)
    assert owner.process.wait(timeout=EXIT_SECONDS) == -signal.SIGTERM
    assert eventually(lambda: nothing_runs(owner))


@pytest.mark.parametrize(
    ("ending", "code"), [("raise", 1), pytest.param("return", 0, marks=pytest.mark.slow)]
)
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


def _down(state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.localnet", "down", "--folder", str(state)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=EXIT_SECONDS,
        check=False,
    )
