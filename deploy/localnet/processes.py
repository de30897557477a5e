"""Child processes that cannot outlive the localnet.

Every child is killed by the kernel when the localnet dies, however it dies (PR_SET_PDEATHSIG: `launch.py`).
The kernel sends that signal when the *thread* that forked the child ends, so all children are forked by one
thread that lives as long as the process: parts may be started from any short-lived thread.

Children must not daemonise: the death signal does not reach a grandchild whose parent survives it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.localnet.identity import ProcessIdentity

PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")
_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_POLL_SECONDS: Final = 0.02
_KILL_WAIT_SECONDS: Final = 10.0
_LOG_TAIL_LINES: Final = 15
_LOG_TAIL_BYTES: Final = 16_384


class ProcessFailedError(Exception):
    """A child did not do what it was started for.

    Attributes:
        name: the part.
        reason: what was expected and did not happen.
        log_file: where it wrote.
    """

    def __init__(self, *, name: str, reason: str, log_file: Path) -> None:
        super().__init__(f"{name}: {reason}\n--- end of {log_file} ---\n{_tail(log_file)}")
        self.name = name
        self.reason = reason
        self.log_file = log_file


class ClosingError(Exception):
    """The localnet is being stopped; nothing more is started or waited for."""


def _tail(log_file: Path) -> str:
    if not log_file.exists():
        return "(nothing was written)"
    with log_file.open("rb") as stream:
        stream.seek(max(0, log_file.stat().st_size - _LOG_TAIL_BYTES))
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_TAIL_LINES:])


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment built from scratch: what the developer's shell holds (tokens, proxies) stays out."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return kept | dict(extra or {})


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How to run one child.

    Attributes:
        name: name of the part; also of its log.
        command: absolute program and its arguments. Never a secret: command lines are public.
        log_file: gets stdout and stderr, appended over restarts.
        folder: its working directory.
        environment: on top of the allow-list. Never a secret.
        grace_seconds: between SIGTERM and SIGKILL.
    """

    name: str
    command: Sequence[str]
    log_file: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = 10.0


class ManagedProcess:
    """One child under a `Supervisor`; may be started, ended and started again."""

    def __init__(self, *, spec: ProcessSpec, supervisor: "Supervisor") -> None:
        self.spec = spec
        self._supervisor = supervisor
        self._child: subprocess.Popen[bytes] | None = None
        self._identity: ProcessIdentity | None = None
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def identity(self) -> ProcessIdentity | None:
        """Of the running child, None while there is none."""
        return self._identity if self.is_running else None

    @property
    def pid(self) -> int:
        """Process id of the running child.

        Raises:
            ProcessFailedError: it does not run.
        """
        identity = self.identity
        if identity is None:
            raise ProcessFailedError(name=self.name, reason="is not running", log_file=self.spec.log_file)
        return identity.pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the last run, negative for a signal; None while running or never started."""
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        """Start the child; no-op while it runs.

        Raises:
            ClosingError: the localnet is being stopped.
        """
        with self._lock:
            if self.is_running:
                return
            child, identity = self._supervisor.fork(self.spec)
            self._child, self._identity = child, identity
        self._supervisor.changed()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after the grace."""
        self._end(signal.SIGTERM, self.spec.grace_seconds)

    def kill(self) -> None:
        """SIGKILL at once: the crash tests' way."""
        self._end(signal.SIGKILL, _KILL_WAIT_SECONDS)

    def restart(self) -> None:
        self.stop()
        self.start()

    def send_signal(self, number: signal.Signals) -> None:
        """Send the child one signal, as SIGSTOP to play a hanging process."""
        with self._lock:
            os.kill(self.pid, number)

    def wait_until(self, check: Callable[[], bool], *, what: str, deadline_seconds: float) -> None:
        """Poll until `check` holds; a connection refused counts as not yet.

        Raises:
            ProcessFailedError: the child ended, or the deadline passed.
            ClosingError: the localnet is being stopped.
        """
        give_up_at = time.monotonic() + deadline_seconds
        while True:
            if self._supervisor.is_closing:
                raise ClosingError
            if not self.is_running:
                reason = f"ended with code {self.exit_code} before it was {what}"
                raise ProcessFailedError(name=self.name, reason=reason, log_file=self.spec.log_file)
            try:
                if check():
                    return
            except OSError:
                pass  # refused, reset or timed out: it is still starting, and the deadline bounds that
            if time.monotonic() > give_up_at:
                reason = f"not {what} within {deadline_seconds:g} s"
                raise ProcessFailedError(name=self.name, reason=reason, log_file=self.spec.log_file)
            time.sleep(_POLL_SECONDS)

    def wait(self, *, deadline_seconds: float) -> int:
        """Wait for the child to end by itself; its exit code.

        Raises:
            ProcessFailedError: it still runs at the deadline; it is killed.
        """
        if self._child is None:
            raise ProcessFailedError(name=self.name, reason="was never started", log_file=self.spec.log_file)
        try:
            return self._child.wait(timeout=deadline_seconds)
        except subprocess.TimeoutExpired as error:
            self.kill()
            reason = f"still running after {deadline_seconds:g} s"
            raise ProcessFailedError(name=self.name, reason=reason, log_file=self.spec.log_file) from error

    def _end(self, number: signal.Signals, wait_seconds: float) -> None:
        with self._lock:
            child = self._child
            if child is None:
                return
            if child.poll() is None:
                _signal_group(child, number)
                try:
                    child.wait(timeout=wait_seconds)
                except subprocess.TimeoutExpired:
                    _signal_group(child, signal.SIGKILL)
                    child.wait(timeout=_KILL_WAIT_SECONDS)
        self._supervisor.changed()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The child leads its own session and is not reaped yet, so its group id cannot mean anyone else's.
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


class Supervisor:
    """Starts the children of one localnet and ends whatever is left of them.

    Args:
        on_change: called after every start and end, from the thread that caused it.
    """

    def __init__(self, *, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._processes: list[ManagedProcess] = []
        self._forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fork")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()

    @property
    def processes(self) -> tuple[ManagedProcess, ...]:
        """In order of creation, running or not."""
        with self._lock:
            return tuple(self._processes)

    def process(self, spec: ProcessSpec) -> ManagedProcess:
        """A new child, not started yet."""
        process = ManagedProcess(spec=spec, supervisor=self)
        with self._lock:
            self._processes.append(process)
        return process

    def run(self, spec: ProcessSpec, *, deadline_seconds: float) -> None:
        """Run a command to its end.

        Raises:
            ProcessFailedError: it ended with another code than 0, or not before the deadline.
        """
        process = self.process(spec)
        try:
            process.start()
            code = process.wait(deadline_seconds=deadline_seconds)
        finally:
            process.kill()
            with self._lock:
                self._processes.remove(process)
        if code != 0:
            raise ProcessFailedError(name=spec.name, reason=f"ended with code {code}", log_file=spec.log_file)

    def fork(self, spec: ProcessSpec) -> tuple[subprocess.Popen[bytes], ProcessIdentity]:
        """Start a child in the thread that outlives it. For `ManagedProcess`."""
        try:
            forking = self._forker.submit(self._fork, spec)
        except RuntimeError as error:  # how an executor says that it was shut down
            raise ClosingError from error
        return forking.result()

    def changed(self) -> None:
        self._on_change()

    def close(self) -> None:
        """End all children, the last created first; nothing can be started afterwards. Again: a no-op."""
        self._closing.set()
        # Forks are serialised by one thread: once it is done no child is on its way.
        self._forker.shutdown(wait=True)
        for process in reversed(self.processes):
            process.stop()

    def _fork(self, spec: ProcessSpec) -> tuple[subprocess.Popen[bytes], ProcessIdentity]:
        if self.is_closing:
            raise ClosingError
        descriptor = os.open(spec.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *spec.command],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd=spec.folder,
                env=environment(spec.environment),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return child, ProcessIdentity.of(child.pid)
