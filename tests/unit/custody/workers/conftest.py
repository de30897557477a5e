"""Drivers outlive what nobody foresaw. A test that does not ask for that must not overlook it."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged. A fault of the program fails the test, unless it means that and clears the list."""
    with capture_logs() as logged:
        yield logged
    assert not [line for line in logged if line["log_level"] == "critical"]
