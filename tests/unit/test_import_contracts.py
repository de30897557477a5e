"""The contracts in pyproject.toml name everything that they are about."""

import pkgutil
import tomllib
from pathlib import Path
from typing import Any

import signers

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def contract(name: str) -> dict[str, Any]:
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (found,) = (each for each in contracts if each["name"] == name)
    return dict(found)


def test_custody_shares_nothing_of_the_signers_but_the_statements() -> None:
    parts = {f"signers.{part.name}" for part in pkgutil.iter_modules(signers.__path__)}
    forbidden = contract("custody shares only the statements with the signers")["forbidden_modules"]
    assert set(forbidden) == parts - {"signers.statements"}
