"""Every command and option that a guide tells its reader to type exists; tests/system/cli runs them."""

import re

import pytest

from tests.guides import PAGES, Told, told
from tests.unit.custody.cli.conftest import Bailee


def test_the_guides_tell_every_kind_of_reader_something() -> None:
    names = {page.stem for page in PAGES}
    assert names >= {"README", "margin-engine", "approver", "pledgor", "auditor", "operator"}
    assert len(told()) > 30


@pytest.mark.parametrize("words", sorted(told()), ids=str)
def test_what_a_guide_tells_exists(bailee: Bailee, words: Told) -> None:
    run = bailee(*words.command.split(), "--help")
    assert run.exit_code == 0, f"bailee {words}"
    for option in words.options:
        assert re.search(rf"{option}\b", run.stdout), f"bailee {words}"
