"""The commands that README and guides tell their readers to type."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md")))
_NOUNS = "key|policy|account|destination|price|deposit|lien|withdrawal|report|postings|receipt|statement"
_LINE = re.compile(rf"((?:{_NOUNS}) [a-z-]+|watch)\b(.*)", re.DOTALL)
_EVERYWHERE = {"--json", "--profile"}
_IN_TEXT = re.compile(r"\bbailee ([^`\n|#]+)")


@dataclass(frozen=True, order=True)
class Told:
    """A command without what differs from reader to reader.

    Attributes:
        command: as `lien reserve`.
        options: names, in order.
    """

    command: str
    options: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.command, *self.options))

    def is_run_by(self, run: "Told") -> bool:
        """Whether it is this very command, with these options or more."""
        return self.command == run.command and set(self.options) <= set(run.options)


def read(words: str) -> Told | None:
    """The command that stands after `bailee`; None for an option of `bailee` itself, or a placeholder."""
    match = _LINE.match(words)
    if match is None:
        return None
    options = set(re.findall(r"--[a-z-]+", match[2])) - _EVERYWHERE
    return Told(command=match[1], options=tuple(sorted(options)))


def told() -> set[Told]:
    """Every one of them."""
    texts = [page.read_text(encoding="utf-8").replace("\\\n", " ") for page in PAGES]
    return {found for text in texts for words in _IN_TEXT.findall(text) if (found := read(words))}
