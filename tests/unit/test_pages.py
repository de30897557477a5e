"""The pages for people: their links lead somewhere, and what they name exists."""

import pkgutil
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


def test_every_module_function_and_file_that_custodys_page_names_exists() -> None:
    custody = ROOT / "custody"
    named = re.findall(r"`([A-Za-z_./]+)`", (custody / "README.md").read_text(encoding="utf-8"))
    dotted = [name for name in named if "." in name and "/" not in name]
    paths = [name for name in named if "/" in name]
    bare = [name for name in named if "_" in name and name not in {*dotted, *paths}]
    assert (len(dotted) > 30, len(paths) > 2, len(bare) > 2) == (True, True, True)
    for name in dotted:
        assert pkgutil.resolve_name(name if name.startswith("tests.") else f"custody.{name}"), name
    assert [path for path in paths if not (custody / path).exists() and not (ROOT / path).exists()] == []
    files = [*custody.rglob("*.py"), *(ROOT / "tests/system/crash").glob("*.py")]
    source = "\n".join(text for file in files for text in (file.stem, file.read_text(encoding="utf-8")))
    assert [name for name in bare if not re.search(rf"\b{name}\b", source)] == []
