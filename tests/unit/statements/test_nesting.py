"""Deep nesting is refused before any parser recurses into it, whatever the recursion limit."""

import subprocess
import sys

import pytest

from signers.statements import canonical
from signers.statements.envelope import Envelope
from signers.statements.refusals import Refusal, Tag

HOSTILE = {
    "arrays": b"[" * 60_000,
    "objects": b'{"a":' * 10_000,
    "closed in a string first": b'["' + b"]" * 30_000 + b'",' + b"[" * 30_000,
    "escaped quote": b'["\\"' + b"]" * 100 + b'",' + b"[" * 30_000,
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
def test_a_payload_that_nests_deeply_is_malformed(document: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        canonical.parse(document)
    assert refused.value.tag is Tag.STATEMENT_MALFORMED


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE)
def test_an_envelope_that_nests_deeply_is_malformed(document: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        Envelope.from_json(document)
    assert refused.value.tag is Tag.STATEMENT_MALFORMED


def test_a_raised_recursion_limit_crashes_nothing() -> None:
    code = (
        "import sys; sys.setrecursionlimit(100_000)\n"
        "from signers.statements import canonical, refusals\n"
        "try: canonical.parse(b'[' * 60_000)\n"
        "except refusals.Refusal: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n"


def test_the_bound_itself_is_allowed() -> None:
    nested: canonical.JSON = []
    for _ in range(canonical.NESTING_MAX - 1):
        nested = [nested]
    assert canonical.parse(canonical.encode(nested)) == nested
