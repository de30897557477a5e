import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from deploy.localnet.identity import ProcessIdentity
from deploy.localnet.processes import (
    ClosingError,
    ManagedProcess,
    ProcessFailedError,
    ProcessSpec,
    Supervisor,
)
from tests.system.localnet.running import eventually

pytestmark = pytest.mark.system
SLEEP = "import time; print('up', flush=True); time.sleep(600)"
IGNORE_TERMINATION = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
SPAWN_ANOTHER = (
    "import subprocess, sys, time\n"
    "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True)\n"
    "time.sleep(600)"
)


def child(
    supervisor: Supervisor, folder: Path, program: str, *, grace_seconds: float = 10.0
) -> ManagedProcess:
    return supervisor.process(
        ProcessSpec(
            name="child",
            command=(sys.executable, "-c", program),
            log_file=folder / "child.log",
            folder=folder,
            grace_seconds=grace_seconds,
        )
    )


def wrote(process: ManagedProcess) -> str:
    log = process.spec.log_file
    return log.read_text(encoding="utf-8") if log.exists() else ""


def start_and_wait(process: ManagedProcess) -> None:
    process.start()
    process.wait_until(lambda: "\n" in wrote(process), what="up", deadline_seconds=30)


def test_a_child_is_stopped_by_sigterm(supervisor: Supervisor, tmp_path: Path) -> None:
    process = child(supervisor, tmp_path, SLEEP)
    start_and_wait(process)
    process.stop()
    assert process.exit_code == -signal.SIGTERM
    assert process.identity is None


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    process = child(supervisor, tmp_path, IGNORE_TERMINATION, grace_seconds=0.2)
    start_and_wait(process)
    process.stop()
    assert process.exit_code == -signal.SIGKILL


def test_kill_is_sigkill_at_once_and_the_child_may_start_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    process = child(supervisor, tmp_path, SLEEP)
    start_and_wait(process)
    first = process.identity
    process.kill()
    assert process.exit_code == -signal.SIGKILL
    process.start()
    assert process.is_running
    assert process.identity != first


def test_grandchildren_end_with_the_group(supervisor: Supervisor, tmp_path: Path) -> None:
    process = child(supervisor, tmp_path, SPAWN_ANOTHER)
    start_and_wait(process)
    grandchild = ProcessIdentity.of(int(wrote(process)))
    process.stop()
    assert eventually(lambda: not grandchild.is_alive())


def test_a_child_outlives_the_thread_that_started_it(supervisor: Supervisor, tmp_path: Path) -> None:
    process = child(supervisor, tmp_path, SLEEP)
    starter = threading.Thread(target=process.start)
    starter.start()
    starter.join()
    process.wait_until(lambda: "up" in wrote(process), what="up", deadline_seconds=30)
    assert process.is_running


def test_the_environment_is_built_from_scratch(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "not for children")
    process = child(supervisor, tmp_path, "import os; print(*sorted(os.environ))")
    process.start()
    assert process.wait(deadline_seconds=30) == 0
    # LC_CTYPE is Python's own addition in the C locale.
    assert set(wrote(process).split()) <= {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TMPDIR",
        "PYTHONPATH",
    }


def test_a_child_writes_files_for_its_user_alone_and_no_core(supervisor: Supervisor, tmp_path: Path) -> None:
    program = "import os, resource; print(oct(os.umask(0)), resource.getrlimit(resource.RLIMIT_CORE))"
    process = child(supervisor, tmp_path, program)
    process.start()
    process.wait(deadline_seconds=30)
    assert wrote(process).strip() == "0o77 (0, 0)"


def test_a_child_that_ends_early_is_reported_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    process = child(supervisor, tmp_path, "raise SystemExit('bad setting')")
    process.start()
    with pytest.raises(ProcessFailedError, match=r"ended with code 1 before it was ready(.|\n)*bad setting"):
        process.wait_until(lambda: False, what="ready", deadline_seconds=30)


def test_readiness_has_a_deadline(supervisor: Supervisor, tmp_path: Path) -> None:
    process = child(supervisor, tmp_path, SLEEP)
    process.start()
    with pytest.raises(ProcessFailedError, match="not ready within"):
        process.wait_until(lambda: False, what="ready", deadline_seconds=0.1)


def test_a_command_that_fails_raises(supervisor: Supervisor, tmp_path: Path) -> None:
    spec = child(supervisor, tmp_path, "raise SystemExit(3)").spec
    with pytest.raises(ProcessFailedError, match="ended with code 3"):
        supervisor.run(spec, deadline_seconds=30)


def test_a_command_that_hangs_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    spec = child(supervisor, tmp_path, SLEEP).spec
    with pytest.raises(ProcessFailedError, match="still running after"):
        supervisor.run(spec, deadline_seconds=0.2)


def test_closing_ends_all_and_refuses_new_ones(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        process = child(supervisor, tmp_path, SLEEP)
        start_and_wait(process)
    assert not process.is_running
    with pytest.raises(ClosingError):
        process.start()


def test_a_reused_pid_is_another_process() -> None:
    me = ProcessIdentity.of(os.getpid())
    imposter = ProcessIdentity(pid=me.pid, start_ticks=me.start_ticks - 1, boot_id=me.boot_id)
    assert me.is_alive()
    assert not imposter.is_alive()
    assert not imposter.end(grace_seconds=0)


def test_a_process_of_an_earlier_boot_is_not_alive() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert not ProcessIdentity(pid=me.pid, start_ticks=me.start_ticks, boot_id="earlier").is_alive()


def test_no_process_has_no_identity() -> None:
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(2**22 + 1)  # above the kernel's greatest pid
