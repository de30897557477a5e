"""The pages for people: their links lead somewhere, and the make targets they name exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guides import PAGES, ROOT

MORE = ("custody/README.md", "signers/README.md", "docs/threat-model.md", "SECURITY.md")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def links() -> Iterator[tuple[Path, str]]:
    for page in (*PAGES, *(ROOT / name for name in MORE)):
        for target in _LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in target:
                yield page, target


def anchors(page: Path) -> set[str]:
    """As the usual renderers make them from headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("page", "target"), sorted(links()), ids=lambda each: str(each).rpartition("/")[2])
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    there = (page.parent / name).resolve() if name else page
    assert there.exists()
    assert not anchor or anchor in anchors(there)


def test_the_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {t for page in PAGES for t in re.findall(r"\bmake ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert named >= {"demo", "dev", "down", "test"}
    assert {each for each in named if not re.search(rf"^{each}:", makefile, re.MULTILINE)} == set()
