"""Every line is one JSON object, whoever wrote it; what could carry secrets is not written."""

import json
import subprocess
import sys
from typing import Any

SAID = """
import logging
import structlog
from custody import logs

ours = structlog.get_logger("custody.rpc")
logs.configure("{level}")
ours.debug("detail", number=1)
ours.info("call", code="OK")
ours.warning("%s of %s", 1, 2)
try:
    raise LookupError("nowhere")
except LookupError as error:
    ours.error("unexpected", exc_info=error)
logging.getLogger("grpc").warning("reset by %s", "peer")
logging.getLogger("hvac").debug("X-Vault-Token: not for logs")
"""


def lines(level: str) -> list[dict[str, Any]]:
    told = subprocess.run(
        [sys.executable, "-c", SAID.format(level=level)], capture_output=True, text=True, check=True
    )
    assert told.stdout == ""
    return [json.loads(line) for line in told.stderr.splitlines()]


def test_ours_and_other_libraries_lines_look_alike() -> None:
    told = lines("INFO")
    assert [(each["logger"], each["level"], each["event"]) for each in told] == [
        ("custody.rpc", "info", "call"),
        ("custody.rpc", "warning", "1 of 2"),
        ("custody.rpc", "error", "unexpected"),
        ("grpc", "warning", "reset by peer"),
    ]
    assert told[0]["code"] == "OK"
    assert "LookupError: nowhere" in told[2]["exception"]
    assert all(each["timestamp"].endswith("Z") for each in told)


def test_details_are_written_where_asked_for_and_headers_never() -> None:
    told = lines("DEBUG")
    assert told[0]["event"] == "detail"
    assert not any("Vault" in each["event"] for each in told)
