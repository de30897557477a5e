"""`make bench`: one JSON document with the machine, each figure, its floor and the ratio."""

import asyncio
import json
import os
import platform
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.bench import blocks, holds, reports, reservations
from tests.bench.accounts import Book
from tests.bench.calls import serving


async def measure() -> list[Mapping[str, object]]:
    """Every figure, one after the other."""
    book = Book()
    figures = [blocks.measure(), await holds.measure(book)]
    async with serving(book) as service:
        figures += [await reports.measure(book, service), await reservations.measure(book, service)]
    return figures


def main() -> None:
    """Measure everything and print it."""
    machine = {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    json.dump({"machine": machine, "figures": asyncio.run(measure())}, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _processor() -> str:
    told = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    names = (line.partition(":")[2].strip() for line in told if line.startswith("model name"))
    return next(names, platform.machine())


if __name__ == "__main__":
    main()
