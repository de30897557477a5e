"""Clone, empty the caches, and run the two commands as root and as an ordinary user; writes build/fresh.json.

Needs only Python's standard library. As an ordinary user it checks that user alone. As root it also checks
the user that BAILEE_FRESH_USER names (default: nobody), with the system's Python.
"""

import contextlib
import json
import os
import platform
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (("demo", "demo"), ("demo again", "demo"), ("test", "test"))
LIMITS_SECONDS = {"demo": 360, "demo again": 90, "test": 720}
COMMAND_SECONDS_MAX = 1800
GRACE_SECONDS = 10
TIMED_OUT = -1


def main() -> int:
    """0 if every command succeeded within its limit for every user."""
    users = [pwd.getpwuid(os.getuid()).pw_name]
    if os.getuid() == 0:
        users.append(os.environ.get("BAILEE_FRESH_USER", "nobody"))
    commit = _output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    runs = [run for user in users for run in _check(user, commit=commit)]
    report = {"commit": commit, "machine": machine(), "runs": runs}
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/fresh.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for run in runs:
        print(
            f"{run['user']:<10} {run['name']:<12} {run['seconds']:7.1f} s  {'ok' if run['ok'] else 'FAILED'}"
        )
    return 0 if all(run["ok"] for run in runs) else 1


def machine() -> dict[str, object]:
    """Where this runs. Each run names its own Python: the users' may differ."""
    cpus = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    names = (line.partition(":")[2].strip() for line in cpus if line.startswith("model name"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": next(names, platform.machine()),
        "python": platform.python_version(),
    }


def _check(user: str, *, commit: str) -> list[dict[str, object]]:
    folder = Path(tempfile.mkdtemp(prefix="bailee-fresh-"))
    try:
        clone = folder / "bailee"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        # The same for every user, whatever is committed meanwhile.
        subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", "--detach", commit], check=True)
        if (ROOT.parent / "shared").is_dir():
            (folder / "shared").symlink_to(ROOT.parent / "shared")
        home = folder / "home"
        home.mkdir()
        own = pwd.getpwnam(user)
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                os.chown(path, own.pw_uid, own.pw_gid)
        return [_run(user, name, target, clone=clone, home=home) for name, target in COMMANDS]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(user: str, name: str, target: str, *, clone: Path, home: Path) -> dict[str, object]:
    own = pwd.getpwnam(user)
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PIP_NO_CACHE_DIR": "1",
    }
    for inherited in ("PYTHONPATH", "VIRTUAL_ENV", "BAILEE_CACHE", "BITCOIND", "ANVIL"):
        environment.pop(inherited, None)
    identity: dict[str, Any] = {}
    if own.pw_uid != os.getuid():
        identity = {"user": own.pw_uid, "group": own.pw_gid, "extra_groups": []}
    python = _python(own.pw_uid)
    log = ROOT / "build" / f"fresh-{user}-{name.replace(' ', '-')}.log"
    log.parent.mkdir(exist_ok=True)
    began_at = time.monotonic()
    code = ended(
        ["make", target, f"PYTHON={python}"],
        folder=clone,
        environment=environment,
        log=log,
        seconds_max=COMMAND_SECONDS_MAX,
        **identity,
    )
    seconds = round(time.monotonic() - began_at, 1)
    ok = code == 0 and seconds <= LIMITS_SECONDS[name]
    return {
        "user": user,
        "python": _output(python, "--version").removeprefix("Python "),
        "name": name,
        "ok": ok,
        "exit": code,
        "seconds": seconds,
        "limit": LIMITS_SECONDS[name],
    }


def ended(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    seconds_max: float,
    **identity: Any,
) -> int:
    """Run a command to its end; its exit code, or `TIMED_OUT`. Nothing that it started outlives this call.

    Args:
        command: program and arguments.
        folder: its working directory.
        environment: the whole of it.
        log: gets stdout and stderr.
        seconds_max: after which it is ended with its whole process group.
        identity: `user`, `group` and `extra_groups` of `subprocess.Popen`, to run it as somebody else.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **identity,
        )
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=seconds_max)
        return TIMED_OUT
    finally:
        if process.returncode is None:
            _end_group(process)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    # The leader is not reaped before the end, so that its group id cannot mean anyone else's.
    os.killpg(process.pid, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _python(uid: int) -> str:
    """This Python for its own user; the system's for another, who may not reach into our home."""
    return sys.executable if uid == os.getuid() else "/usr/bin/python3"


if __name__ == "__main__":
    sys.exit(main())
