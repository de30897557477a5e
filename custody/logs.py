"""One JSON object per line on standard error, whoever wrote it."""

import logging
import sys
from typing import Final

import structlog

_WIRE_LOGGERS: Final = ("urllib3", "hvac", "asyncio")
"""Libraries whose DEBUG lines carry URLs and headers, and with them tokens."""


def configure(level: str) -> None:
    """Write what is at or above `level`, our own events and those of libraries, in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=_StandardError,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _WIRE_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))


class _StandardError(structlog.WriteLogger):
    """Where our own events go: straight there, for by way of `logging` a line costs three times as much."""

    def __init__(self, name: str) -> None:
        super().__init__(sys.stderr)
        self.name = name
