"""A margin engine installs `bailee[client]`, an approver `bailee[cli]`: nothing else may be needed."""

import subprocess
import sys

import pytest

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


def test_the_check_notices_what_is_not_installed() -> None:
    program = _PROGRAM.format(absent=("cryptography",), module="custody.client", ours=OURS)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "cryptography" in done.stderr
