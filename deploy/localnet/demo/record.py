"""What the demo did: told to the console as it happens, and written down as evidence."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Evidence = dict[str, Any]


@dataclass
class Step:
    """One thing that was shown."""

    name: str
    ok: bool = False
    seconds: float = 0.0
    evidence: Evidence = field(default_factory=dict)


class Recorder:
    """Steps in order."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._console = Console(highlight=False)

    def say(self, line: str) -> None:
        """One line about what happens now."""
        self._console.print(f"    {line}")

    def chapter(self, title: str) -> None:
        """What the next steps are about."""
        self._console.print(f"\n[bold]{title}[/bold]")

    @contextmanager
    def step(self, name: str) -> Iterator[Evidence]:
        """Run one step; what it leaves in the evidence is written down, whether it succeeds or not."""
        step = Step(name)
        self.steps.append(step)
        self._console.print(f"  [cyan]•[/cyan] {name}")
        began_at = time.monotonic()
        try:
            yield step.evidence
            step.ok = True
        finally:
            step.seconds = round(time.monotonic() - began_at, 2)
            mark = "[green]✓[/green]" if step.ok else "[red]✗[/red]"
            self._console.print(f"    {mark} {step.seconds:.1f} s")

    def summarise(self) -> None:
        """A table of everything that was shown."""
        table = Table("step", "", "seconds", "evidence", title="What was shown")
        for step in self.steps:
            shown = ", ".join(f"{key} {_short(value)}" for key, value in list(step.evidence.items())[:2])
            table.add_row(step.name, "✓" if step.ok else "✗", f"{step.seconds:.1f}", shown)
        self._console.print()
        self._console.print(table)

    def write(self, file: Path) -> None:
        """`{"steps": [{"name", "ok", "seconds", "evidence"}]}`."""
        file.parent.mkdir(parents=True, exist_ok=True)
        steps = [vars(step) for step in self.steps]
        file.write_text(json.dumps({"steps": steps}, indent=2) + "\n", encoding="utf-8")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 20 else f"{text[:17]}…"
