"""A margin engine installs `bailee[client]`, an approver `bailee[cli]`: nothing else may be needed."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

import custody.client
from tests.guides import PAGES

SERVICE_ONLY = (
    "bdkpython",
    "bip322_core",
    "bitcoin",
    "btclib",
    "eth_account",
    "grpc_health",
    "grpc_reflection",
    "hvac",
    "pbk",
    "pydantic_settings",
    "requests",
    "rlp",
    "structlog",
    "trie",
    "web3",
)
CLI_ONLY = ("embit", "rich", "typer")
OURS = (
    "custody.adapters",
    "custody.application",
    "custody.configuration",
    "custody.domain",
    "custody.main",
    "custody.rpc",
    "custody.workers",
    "deploy",
    "signers.bitcoin",
    "signers.ethereum",
    "signers.journal",
    "signers.keys",
    "signers.peers",
    "signers.rules",
    "signers.service",
)
_PROGRAM = """
import sys
for name in {absent}:
    sys.modules[name] = None  # an import of it fails, as where it is not installed
import {module}
loaded = [name for name in {ours} if name in sys.modules]
assert not loaded, loaded
"""


@pytest.mark.parametrize(
    ("module", "absent"),
    [("custody.client", SERVICE_ONLY + CLI_ONLY), ("custody.cli.main", SERVICE_ONLY)],
)
def test_it_imports_with_its_own_extra_alone(module: str, absent: tuple[str, ...]) -> None:
    program = _PROGRAM.format(absent=absent, module=module, ours=OURS)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def imported_by_guides() -> Iterator[tuple[str, str]]:
    """Module and name of every import in a guide's Python programs."""
    for page in PAGES:
        for block in page.read_text(encoding="utf-8").split("```python\n")[1:]:
            for node in ast.walk(ast.parse(block.partition("```")[0])):
                if isinstance(node, ast.Import):
                    yield from ((alias.name, "") for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield from ((node.module or "", alias.name) for alias in node.names)


def test_a_program_imports_from_the_sdk_alone() -> None:
    imports = set(imported_by_guides())
    ours = {name for module, name in imports if module == "custody.client"}
    assert "MarginEngine" in ours
    assert ours <= set(custody.client.__all__)
    others = {module.partition(".")[0] for module, _ in imports if module != "custody.client"}
    assert others <= sys.stdlib_module_names


def test_everything_that_the_sdk_names_is_there() -> None:
    assert [name for name in custody.client.__all__ if not hasattr(custody.client, name)] == []
    assert sorted(custody.client.__all__) == custody.client.__all__


def test_the_check_notices_what_is_not_installed() -> None:
    program = _PROGRAM.format(absent=("cryptography",), module="custody.client", ours=OURS)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "cryptography" in done.stderr
