"""Localnets in processes of their own, and what is left of them on the machine."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.localnet.state import Record, read_record

REPOSITORY = Path(__file__).parents[3]
UP_SECONDS = 120.0
# A program that holds a localnet without any care for signals, and ends as its second argument says.
PLAIN_OWNER = """
import sys, threading
from pathlib import Path
from deploy.localnet.localnet import Localnet

with Localnet(folder=Path(sys.argv[1])):
    if sys.argv[2] == "raise":
        raise RuntimeError("on purpose")
    if sys.argv[2] == "wait":
        threading.Event().wait()
"""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process that runs a localnet, and what it recorded once that was up."""

    process: subprocess.Popen[bytes]
    state: Path
    record: Record


def eventually(holds: Callable[[], bool], *, deadline_seconds: float = 30.0) -> bool:
    give_up_at = time.monotonic() + deadline_seconds
    while not holds():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.02)
    return True


def processes_naming(path: Path) -> list[str]:
    """Command lines on this machine that name a state folder or something in it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if f"{path}/" in command or command.rstrip().endswith(str(path)):
            found.append(command)
    return found


def nothing_runs(owner: Owner) -> bool:
    survivors = [name for name, identity in owner.record.processes.items() if identity.is_alive()]
    return not survivors and not processes_naming(owner.state)


class Owners:
    """Starts them, and ends those that a failing test left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Run a Python command that gets the state folder of that name for `{state}`."""
        state = str(self._folder / name)
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *(state if word == "{state}" else word for word in command)],
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
                start_new_session=True,  # what it is sent must not reach this test
            )
        self._started.append(process)
        return process

    def up(self, name: str, *command: str) -> Owner:
        """Start and wait until its localnet is up; by default the one of the command line."""
        chosen = command or ("-m", "deploy.localnet", "up", "--folder", "{state}")
        process = self.start(name, *chosen)
        state = self._folder / name
        in_time = eventually(
            lambda: process.poll() is not None or _is_ready(state, process), deadline_seconds=UP_SECONDS
        )
        record = read_record(state)
        assert in_time, self.log(name)
        assert record is not None, self.log(name)
        assert record.owner.pid == process.pid, self.log(name)
        return Owner(process=process, state=state, record=record)

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(encoding="utf-8")

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


def _is_ready(state: Path, process: subprocess.Popen[bytes]) -> bool:
    # The record of an owner that was killed before stays until the next one empties the folder.
    record = read_record(state)
    return record is not None and record.is_ready and record.owner.pid == process.pid
