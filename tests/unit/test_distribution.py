"""What is installed, and what the papers say about it."""

import subprocess
import sys
import zipfile
from pathlib import Path

from custody.domain.withdrawal_states import diagram

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_exactly_three_top_level_names(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"custody", "signers", "bailee"}


def test_the_diagram_in_the_readme_is_that_of_the_table() -> None:
    assert f"```mermaid\n{diagram()}```" in (ROOT / "custody/README.md").read_text()


def test_no_registry_host_is_written_down() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "http://" not in lock
    assert "https://" not in lock
    assert '"resolved"' not in (ROOT / "deploy/localnet/package-lock.json").read_text()
