"""Exactly that refusal, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from signers.statements.refusals import Refusal, Tag


@contextmanager
def refused(tag: Tag) -> Iterator[None]:
    """The block is refused by exactly this rule."""
    with pytest.raises(Refusal) as caught:
        yield
    assert caught.value.tag is tag, caught.value
