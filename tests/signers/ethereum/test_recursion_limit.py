"""No library may take away the bound that keeps nested JSON from killing the process."""

import subprocess
import sys

PROGRAM = """
import sys
before = sys.getrecursionlimit()
import signers.ethereum.eip191, signers.ethereum.node, signers.ethereum.sign, signers.ethereum.verify
import signers.bitcoin.bip322, signers.bitcoin.node
assert sys.getrecursionlimit() == before, sys.getrecursionlimit()
from signers.statements import canonical
from signers.statements.refusals import Refusal, Tag
try:
    canonical.parse(b"[" * canonical.PAYLOAD_BYTES_MAX)
except Refusal as refusal:
    assert refusal.tag is Tag.STATEMENT_MALFORMED
    print("refused")
"""


def test_nested_json_is_refused_by_a_process_that_speaks_ethereum() -> None:
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.strip()) == (0, "refused"), run.stderr
