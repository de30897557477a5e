"""Tags, the table of signers/README.md and the marked tests say the same."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from signers.statements.refusals import Tag

TESTS = Path(__file__).parent
README = TESTS.parents[1] / "signers" / "README.md"
ROW = re.compile(r"\| `([a-z-]+)` \| ([^|]+) \| `([a-z_/]+\.py)::(test_[a-z0-9_]+)` \|")
NAMED = re.compile(r"`(?:[A-Za-z_]+\.)+([a-z_]+)(?:\(\w+\))?`|`(require_[a-z_]+)`")
NO_FUNCTIONS = {"reason", "signer"}
"""`ErrorInfo.reason` and the domain `bailee.signer`."""


@dataclass(frozen=True)
class Marked:
    """A test that is about a refusal."""

    file: str
    name: str
    tags: frozenset[Tag]
    asserted: frozenset[Tag]
    """What its `with refused(...)` blocks name; all of its own where a parameter names it."""


def marked_tests() -> Iterator[Marked]:
    """Every test that asserts a refusal or carries a mark: it is to do both."""
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name[:5] != "test_":
                continue
            marks = [mark for mark in node.decorator_list if _calls(mark, "refuses")]
            blocks = [call for call in ast.walk(node) if _calls(call, "refused")]
            if marks or blocks:
                tags = frozenset(tag for mark in marks for tag in _named(mark))
                by_parameter = any(
                    isinstance(argument, ast.Name) for call in blocks for argument in _arguments(call)
                )
                asserted = tags if by_parameter else frozenset(t for call in blocks for t in _named(call))
                yield Marked(file.relative_to(TESTS).as_posix(), node.name, tags, asserted)


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _arguments(node: ast.AST) -> list[ast.expr]:
    assert isinstance(node, ast.Call)
    return node.args


def _named(call: ast.AST) -> Iterator[Tag]:
    for argument in _arguments(call):
        if isinstance(argument, ast.Attribute):
            yield Tag[argument.attr]


MARKED = list(marked_tests())
ROWS = ROW.findall(README.read_text(encoding="utf-8"))


def test_every_tag_has_a_row_and_every_row_a_tag() -> None:
    assert [row[0] for row in ROWS] == [tag.value for tag in Tag]


def test_every_tag_has_a_marked_test() -> None:
    assert {tag for test in MARKED for tag in test.tags} == set(Tag)


@pytest.mark.parametrize("test", MARKED, ids=lambda test: test.name)
def test_what_a_test_asserts_is_its_mark_and_nothing_else(test: Marked) -> None:
    assert test.tags
    assert test.asserted == test.tags


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_a_test_of_its_tag(row: tuple[str, str, str, str]) -> None:
    tag, _, file, name = row
    assert any((test.file, test.name) == (file, name) and Tag(tag) in test.tags for test in MARKED)


def test_every_function_that_the_readme_names_exists() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in README.parent.rglob("*.py"))
    text = README.read_text(encoding="utf-8")
    named = {dotted or bare for dotted, bare in NAMED.findall(text)} - NO_FUNCTIONS
    assert len(named) > 20
    assert not [name for name in named if not re.search(rf"\bdef {name}\b", source)]
