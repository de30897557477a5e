"""A signer is deployed without custody: its tests pass in a tree that never had it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SUITES = ("tests/signers", "tests/unit/statements", "tests/contract/keys")


def test_the_signers_tests_pass_with_custody_deleted(tmp_path: Path) -> None:
    tree = tmp_path / "bailee"
    _copy_tracked(tree)
    shutil.rmtree(tree / "custody")
    python = _environment_without_this_tree(tmp_path / "venv")
    assert _run(python, "-c", "import custody", tree=tree).returncode == 1, "custody is still within reach"
    tests = _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *SUITES, tree=tree)
    assert tests.returncode == 0, tests.stdout[-4000:]


def _copy_tracked(tree: Path) -> None:
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in files.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def _environment_without_this_tree(folder: Path) -> Path:
    """What is installed, less our own editable install: `.pth` files below an added folder are not read."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin/python"


def _run(python: Path, *arguments: str, tree: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(tree), str(tree / "proto/gen"))),
        "BAILEE_SHARED": os.environ.get("BAILEE_SHARED", str(ROOT.parent / "shared")),
    }
    return subprocess.run(
        [str(python), *arguments],
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
