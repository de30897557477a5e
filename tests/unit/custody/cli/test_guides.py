"""Every command and option that a guide tells its reader to type exists."""

import re
from pathlib import Path

import pytest

from tests.unit.custody.cli.conftest import Bailee

GUIDES = Path(__file__).parents[4] / "docs" / "guides"
_COMMAND = re.compile(r"\bbailee ((?:[a-z]+ [a-z-]+|watch)\b)([^`\n|]*)")
_NOUNS = (
    r"key|policy|account|destination|price|deposit|lien|withdrawal|report|postings|receipt|statement|watch"
)


def told() -> set[tuple[str, str]]:
    """Commands with the options they are shown with."""
    found = set()
    for guide in GUIDES.glob("*.md"):
        text = guide.read_text(encoding="utf-8").replace("\\\n", " ")
        for command, rest in _COMMAND.findall(text):
            if re.match(_NOUNS, command):
                found.add((command, " ".join(sorted(set(re.findall(r"--[a-z-]+", rest))))))
    return found


def test_the_guides_tell_every_kind_of_reader_something() -> None:
    names = {guide.stem for guide in GUIDES.glob("*.md")}
    assert names >= {"margin-engine", "approver", "pledgor", "auditor", "operator"}
    assert len(told()) > 30


@pytest.mark.parametrize(("command", "options"), sorted(told()))
def test_what_a_guide_tells_exists(bailee: Bailee, command: str, options: str) -> None:
    run = bailee(*command.split(), "--help")
    assert run.exit_code == 0, f"bailee {command}"
    for option in options.split():
        assert re.search(rf"{option}\b", run.stdout), f"bailee {command} {option}"
