"""Where a network shows what it holds: files, environments and command lines."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from deploy.localnet.localnet import Localnet

TOKEN: Final = re.compile(rb"(?<![A-Za-z0-9.])(?:hv[sbr]|[sbr])\.[A-Za-z0-9]{24,}(?![A-Za-z0-9])")
"""Any OpenBao token by its shape: of service, batch or recovery, whoever it was given to."""


def found(net: Localnet, needles: Mapping[str, bytes], *, apart: Collection[str] = ()) -> list[str]:
    """Where any needle lies.

    Args:
        net: the running network; this process is searched too.
        needles: what is looked for, by a name that may be shown.
        apart: folders of the state that may hold it.
    """
    return [
        f"{what} in {place}"
        for place, data in _places(net, apart=apart)
        for what, needle in needles.items()
        if needle in data
    ]


def holding(net: Localnet, shape: re.Pattern[bytes]) -> set[Path]:
    """Every place with something of that shape in it."""
    return {place for place, data in _places(net, apart=()) if shape.search(data)}


def _places(net: Localnet, *, apart: Collection[str]) -> Iterator[tuple[Path, bytes]]:
    state = net.state.path
    for file in state.rglob("*"):
        if file.is_file() and not set(file.relative_to(state).parts) & set(apart):
            yield file, file.read_bytes()
    running = [process.pid for process in net.supervisor.processes if process.is_running]
    for pid in (*running, os.getpid()):
        command_line, environment = Path(f"/proc/{pid}/cmdline"), Path(f"/proc/{pid}/environ")
        yield command_line, command_line.read_bytes()
        try:
            yield environment, environment.read_bytes()
        except PermissionError:
            # A non-dumpable process hides its environment even from its own user: what we want.
            continue
