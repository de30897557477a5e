"""Drivers outlive what nobody foresaw. A test that does not ask for that must not overlook it."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_unforeseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails where a driver met a fault of the program; a test that means it clears the log."""
    yield
    met = [record for record in caplog.get_records("call") if record.levelno >= logging.CRITICAL]
    assert not met, [record.getMessage() for record in met]
