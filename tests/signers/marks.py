"""Which test shows which refusal. `test_tags.py` holds marks, tags and README.md's table in bijection."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from signers.rules.decision import Declined
from signers.statements.refusals import Refusal, Tag

P = ParamSpec("P")
R = TypeVar("R")


def refuses(*tags: Tag) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The test makes exactly one change to a valid baseline and gets exactly this refusal."""
    if not tags:
        raise ValueError("a mark names a tag")

    def mark(test: Callable[P, R]) -> Callable[P, R]:
        return test

    return mark


@contextmanager
def refused(tag: Tag) -> Iterator[None]:
    """The block is refused by exactly this rule."""
    try:
        yield
    except (Refusal, Declined) as error:
        refusal = error.refusal if isinstance(error, Declined) else error
        assert refusal.tag is tag, f"refused by {refusal}"
    else:
        raise AssertionError(f"nothing refused; {tag.value} is due")
