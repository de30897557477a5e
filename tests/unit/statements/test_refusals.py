"""A refusal keeps its tag, and what it quotes stays short."""

import pickle

import pytest

from signers.statements import canonical
from signers.statements.amounts import Asset
from signers.statements.intent import Intent
from signers.statements.refusals import DETAIL_CHARACTERS_MAX, Refusal, Tag, refuse_unless
from tests.factories import World


def test_a_refusal_survives_a_process_boundary() -> None:
    refusal = pickle.loads(pickle.dumps(Refusal(Tag.VELOCITY, "too much in a day")))
    assert isinstance(refusal, Refusal)
    assert (refusal.tag, refusal.detail) == (Tag.VELOCITY, "too much in a day")
    assert str(refusal) == "velocity: too much in a day"


def test_a_condition_that_holds_refuses_nothing() -> None:
    refuse_unless(True, Tag.VELOCITY, "never")
    with pytest.raises(Refusal):
        refuse_unless(False, Tag.VELOCITY, "always")


@pytest.mark.parametrize("field", ["x" * 60_000, "network"])
def test_a_detail_quotes_little_of_what_others_sent(world: World, field: str) -> None:
    document = canonical.parse(world.intent(Asset.BTC).payload())
    assert isinstance(document, dict)
    with pytest.raises(Refusal) as caught:
        Intent.parse(canonical.encode({**document, field: "y" * 2_000}))
    assert len(caught.value.detail) <= DETAIL_CHARACTERS_MAX
    assert len(str(caught.value)) <= DETAIL_CHARACTERS_MAX + 64
    assert str(caught.value).isprintable()


def test_a_detail_holds_no_control_character_of_others(world: World) -> None:
    document = canonical.parse(world.intent(Asset.BTC).payload())
    assert isinstance(document, dict)
    for changes in ({"account": "a\r\nb\u001b[2J"}, {"\r\nx": 1}, {"kind": "a\r\nb"}):
        with pytest.raises(Refusal) as caught:
            Intent.parse(canonical.encode({**document, **changes}))
        assert caught.value.detail.isprintable()


def test_tags_are_words_and_unique() -> None:
    assert len({tag.value for tag in Tag}) == len(Tag)
    assert all(set(tag.value) <= set("abcdefghijklmnopqrstuvwxyz-") for tag in Tag)
