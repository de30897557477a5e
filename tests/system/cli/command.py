"""The `bailee` command as people run it: a process each time, which knows nothing but a profile."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.guides import Told, read

BAILEE = Path(sys.executable).with_name("bailee")
PATIENCE_SECONDS = 90.0
_COMMAND_SECONDS = 60.0
_POLL_SECONDS = 0.5  # each look is a process: looking all the time would only slow down what is awaited


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.exit_code == 0, self.stderr
        return json.loads(self.stdout)

    @property
    def error(self) -> Any:
        assert self.exit_code != 0, self.stdout
        assert self.stdout == ""
        return json.loads(self.stderr)["error"]


@dataclass(kw_only=True)
class Command:
    """Runs it as anybody.

    Attributes:
        profiles: by name of the part that a person plays.
        home: an empty home folder, so that nothing of this machine's user is read.
        done: every command that succeeded, or that somebody watches.
    """

    profiles: Mapping[str, Path]
    home: Path
    done: set[Told] = field(default_factory=set)

    def run(self, who: str, *words: object, as_json: bool = True) -> Ended:
        """Run a command as somebody."""
        argv = self._argv(who, words, as_json=as_json)
        process = subprocess.run(
            argv,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if process.returncode == 0:
            self._note(argv)
        return Ended(exit_code=process.returncode, stdout=process.stdout, stderr=process.stderr)

    def __call__(self, who: str, *words: object) -> Any:
        """The JSON that a command prints; it has to succeed."""
        return self.run(who, *words).json

    def until(self, who: str, *words: object, holds: Callable[[Any], bool]) -> Any:
        """Run a reading command again and again until what it prints holds."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not holds(seen := self(who, *words)):
            assert time.monotonic() < give_up_at, f"{words}: {seen}"
            time.sleep(_POLL_SECONDS)
        return seen

    @contextmanager
    def watching(self, who: str, *words: object) -> Iterator[list[Any]]:
        """Run a command that goes on printing one JSON document a line, until Ctrl-C."""
        argv = self._argv(who, words, as_json=True)
        process = subprocess.Popen(
            argv, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._note(argv)
        lines: list[Any] = []
        assert process.stdout is not None
        stdout = process.stdout
        reading = threading.Thread(target=lambda: lines.extend(map(json.loads, stdout)), daemon=True)
        reading.start()
        try:
            yield lines
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=_COMMAND_SECONDS) == 128 + signal.SIGINT
        finally:
            process.kill()
            process.wait()
            reading.join()
            assert process.stderr is not None
            assert process.stderr.read() == ""
            process.stderr.close()

    def _argv(self, who: str, words: tuple[object, ...], *, as_json: bool) -> list[str]:
        flags = ("--json",) if as_json else ()
        return [str(BAILEE), *map(str, words), *flags, "--profile", str(self.profiles[who])]

    def _note(self, argv: Sequence[str]) -> None:
        done = read(" ".join(argv[1:]))
        assert done is not None, argv
        self.done.add(done)

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home)}
