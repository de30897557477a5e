"""What is installed, and what the papers say about it."""

import re
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

from custody.domain.withdrawal_states import diagram

ROOT = Path(__file__).parents[2]
PERMISSIVE_OR_MPL = re.compile(
    r"(MIT|BSD|ISC|Apache|PSF|Python Software Foundation|MPL|Mozilla Public|CC0|CNRI|Public Domain)\b.*"
    r"|[23]-Clause BSD License"
)
COPYLEFT = {"python-bitcoinlib": "GNU Lesser General Public License v3 or later (LGPLv3+)"}
"""As README.md says."""


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


def licences(distribution: Distribution) -> list[str]:
    """As its metadata says: an SPDX expression, else classifiers, else free text."""
    metadata = distribution.metadata
    if metadata["License-Expression"]:
        return re.split(r" AND | OR ", metadata["License-Expression"])
    classifiers = metadata.get_all("Classifier") or []
    said = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")]
    return said or [metadata["License"] or "none"]


def test_every_dependency_but_the_one_that_the_readme_names_is_permissive_or_mpl() -> None:
    said = {each.name: licences(each) for each in distributions()}
    others = {name: texts for name, texts in said.items() if not all(map(PERMISSIVE_OR_MPL.fullmatch, texts))}
    assert others == {name: [licence] for name, licence in COPYLEFT.items()}
    assert all(name in (ROOT / "README.md").read_text(encoding="utf-8") for name in COPYLEFT)
