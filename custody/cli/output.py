"""What a command prints: JSON for programs, tables for people, nothing a service could forge on a screen."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from custody.cli.faults import Fault

R = TypeVar("R")
_PIPE_WIDTH: Final = 1000
"""Where nobody looks at a screen, nothing is broken into lines."""


def printable(value: object) -> str:
    """Text without anything that moves a cursor or turns the direction of writing: a service chose it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value))


class Output:
    """Standard output and standard error of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, value: Any) -> None:
        """One JSON document, keys in order; only called where `as_json`."""
        sys.stdout.write(json.dumps(value, indent=2, sort_keys=True) + "\n")

    def line(self, value: Any) -> None:
        """One JSON document on one line, written at once."""
        sys.stdout.write(json.dumps(value, sort_keys=True) + "\n")
        sys.stdout.flush()

    def text(self, text: str) -> None:
        """One line, exactly as it is."""
        sys.stdout.write(printable(text) + "\n")
        sys.stdout.flush()

    def pairs(self, pairs: Mapping[str, object], *, to_error: bool = False) -> None:
        """Names and what they are, one per line."""
        width = max(map(len, pairs), default=0)
        console = _console(to_error=to_error)
        for name, value in pairs.items():
            line = Text.assemble((printable(name).ljust(width), "bold"), "  ", printable(value))
            console.print(line, soft_wrap=True)  # a descriptor or digest is copied whole

    def document(self, value: Mapping[str, Any], pairs: Mapping[str, object]) -> None:
        """One thing: its document for programs, names and what they are for people."""
        if self.as_json:
            self.result(value)
        else:
            self.pairs(pairs)

    def listing(
        self,
        name: str,
        rows: Sequence[R],
        columns: Mapping[str, Callable[[R], object]],
        *,
        document: Callable[[R], Any] = lambda row: row,
    ) -> None:
        """Several things of a kind: their documents under one name for programs, a table for people.

        Args:
            name: of the kind, in the plural.
            rows: the things.
            columns: each heading, and what stands under it.
            document: of a row, where a row is not its own document.
        """
        if self.as_json:
            self.result({name: [document(row) for row in rows]})
        else:
            self.table(columns, [[cell(row) for cell in columns.values()] for row in rows])

    def table(self, columns: Iterable[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under columns, or that there are none."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            table.add_column(Text(column), overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console = _console()
        console.print(table if table.row_count else Text("none", style="dim"))

    def fault(self, fault: Fault) -> None:
        """Why the command ends, on standard error."""
        if self.as_json:
            sys.stderr.write(json.dumps(fault.as_json(), sort_keys=True) + "\n")
            return
        console = _console(to_error=True)
        console.print(Text.assemble((printable(fault.reason), "bold red"), " ", printable(fault.message)))
        for name, value in {**fault.fields, **fault.metadata}.items():
            console.print(Text(f"  {printable(name)}: {printable(value)}"))
        if fault.hint:
            console.print(Text.assemble(("hint: ", "bold"), fault.hint))


def _console(*, to_error: bool = False) -> Console:
    stream = sys.stderr if to_error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _PIPE_WIDTH, highlight=False)
