"""Drivers outlive what nobody foresaw. A test that does not ask for that must not overlook it."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """What was logged. Fails where a driver met a fault of ours; a test that means it clears the log."""
    with capture_logs() as lines:
        yield lines
    met = [line for line in lines if line["log_level"] == "critical"]
    assert not met, met
