"""Journey 3 by commands: liens."""

import pytest

from signers.statements.amounts import Sats
from signers.statements.encumbrance import Encumbrance
from tests.factories import BTC, World
from tests.unit.custody.cli.conftest import ACCOUNT, Play, statement
from tests.unit.custody.client.fake_service import FakeCustody


def test_liens_are_reserved_posted_and_voided(play: Play, custody: FakeCustody, world: World) -> None:
    engine = world.secured_party
    for arguments in (
        ("reserve", ACCOUNT, "lien-1", "0.1BTC", "--seconds", 60),
        ("post", ACCOUNT, "lien-1", "10000000sat"),
        ("void", ACCOUNT, "lien-1"),
    ):
        assert play(engine, "lien", *arguments).exit_code == 0
    methods = ("ReserveLien", "PostLien", "VoidLien")
    chain = [statement(custody.sent(method)[0], Encumbrance) for method in methods]
    assert [(s.sequence, s.amount) for s in chain] == [(i, Sats(BTC // 10)) for i in (1, 2, 3)]
    assert play(engine, "lien", "show", ACCOUNT, "lien-1").json["state"] == "STATE_VOIDED"
    assert len(play(engine, "lien", "list", ACCOUNT).json["liens"]) == 1


@pytest.mark.parametrize("command", [("show", ACCOUNT, "lien-1"), ("list", ACCOUNT)], ids=" ".join)
def test_a_lien_beside_another_statement_is_not_shown(
    play: Play, custody: FakeCustody, world: World, command: tuple[str, ...]
) -> None:
    play(world.secured_party, "lien", "reserve", ACCOUNT, "lien-1", "0.1BTC")
    custody.liens[f"{custody.name}/liens/lien-1"].amount.units = "1"
    run = play(world.pledgor, "lien", *command)
    assert (run.exit_code, run.stdout) == (1, "")
    assert "another amount is shown beside" in run.error["message"]


def test_every_command_remembers_the_chain(play: Play, custody: FakeCustody, world: World) -> None:
    """Each command is a process of its own: the record on disk is what keeps it from being led back."""
    play(world.secured_party, "lien", "reserve", ACCOUNT, "lien-1", "0.1BTC")
    old = custody.head
    play(world.secured_party, "lien", "post", ACCOUNT, "lien-1", "0.1BTC")
    custody.head = old
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = old
    run = play(world.secured_party, "lien", "reserve", ACCOUNT, "lien-2", "0.1BTC")
    assert run.exit_code == 1
    assert "went back" in run.error["message"]
