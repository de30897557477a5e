"""Clone, empty the caches, and run the two commands as root and as an ordinary user; writes build/fresh.json.

Needs only Python's standard library. As an ordinary user it checks that user alone. As root it also checks
the user that BAILEE_FRESH_USER names (default: nobody), with the system's Python.
"""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (("demo", "demo"), ("demo again", "demo"), ("test", "test"))
LIMITS_SECONDS = {"demo": 360, "demo again": 90, "test": 720}
COMMAND_SECONDS_MAX = 1800


def main() -> int:
    """0 if every command succeeded within its limit for every user."""
    users = [pwd.getpwuid(os.getuid()).pw_name]
    if os.getuid() == 0:
        users.append(os.environ.get("BAILEE_FRESH_USER", "nobody"))
    runs = [run for user in users for run in _check(user)]
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/fresh.json").write_text(json.dumps({"runs": runs}, indent=2) + "\n", encoding="utf-8")
    for run in runs:
        print(
            f"{run['user']:<10} {run['name']:<12} {run['seconds']:7.1f} s  {'ok' if run['ok'] else 'FAILED'}"
        )
    return 0 if all(run["ok"] for run in runs) else 1


def _check(user: str) -> list[dict[str, object]]:
    folder = Path(tempfile.mkdtemp(prefix="bailee-fresh-"))
    try:
        clone = folder / "bailee"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
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
    log = ROOT / "build" / f"fresh-{user}-{name.replace(' ', '-')}.log"
    log.parent.mkdir(exist_ok=True)
    began_at = time.monotonic()
    with log.open("wb") as out:
        try:
            code = subprocess.run(
                ["make", target, f"PYTHON={_python(own.pw_uid)}"],
                cwd=clone,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS_MAX,
                check=False,
                **identity,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    seconds = round(time.monotonic() - began_at, 1)
    ok = code == 0 and seconds <= LIMITS_SECONDS[name]
    return {
        "user": user,
        "name": name,
        "ok": ok,
        "exit": code,
        "seconds": seconds,
        "limit": LIMITS_SECONDS[name],
    }


def _python(uid: int) -> str:
    """This Python for its own user; the system's for another, who may not reach into our home."""
    return sys.executable if uid == os.getuid() else "/usr/bin/python3"


if __name__ == "__main__":
    sys.exit(main())
