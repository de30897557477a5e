"""What the command prints: errors, and documents for machines."""

from collections.abc import Iterator
from typing import Any

import pytest
from bailee.custody.v1.collateral_service_pb2 import WatchCollateralResponse
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2
from typer.core import TyperGroup
from typer.main import get_command

from custody.cli.main import build
from tests.factories import World
from tests.unit.custody.cli.conftest import ACCOUNT, Play
from tests.unit.custody.client.fake_service import WITHDRAWAL, FakeCustody, Refused, failed


def test_a_refusal_has_reason_data_fields_and_a_hint(play: Play, custody: FakeCustody, world: World) -> None:
    custody.failures["ReserveLien"] = [
        failed("COLLATERAL_INSUFFICIENT", metadata={"free_units": "5"}, message="6 asked, 5 free")
    ]
    run = play(world.secured_party, "lien", "reserve", ACCOUNT, "lien-1", "6sat")
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.error == {
        "reason": "COLLATERAL_INSUFFICIENT",
        "message": "6 asked, 5 free",
        "fields": {},
        "metadata": {"free_units": "5"},
        "hint": "`bailee report show` has the free quantity",
    }


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.parametrize("seconds", [2**62, -(2**62)])
def test_a_time_that_no_calendar_has_does_not_verify(
    play: Play, custody: FakeCustody, world: World, seconds: int, json: bool
) -> None:
    for withdrawal in custody.withdrawals.values():
        withdrawal.update_time.seconds = seconds
    heartbeat = WatchCollateralResponse.Heartbeat(server_time=Timestamp(seconds=seconds))
    custody.events = [WatchCollateralResponse(heartbeat=heartbeat)]
    for command in (("withdrawal", "list", ACCOUNT), ("watch", "--seconds", 3)):
        run = play(world.pledgor, *command, json=json)
        assert (run.exit_code, run.stdout) == (1, "")
        assert "VERIFICATION_FAILED" in run.stderr


def test_a_message_of_the_service_cannot_forge_the_screen(
    play: Play, custody: FakeCustody, world: World
) -> None:
    forged = Refused(code_pb2.NOT_FOUND, "RESOURCE_NOT_FOUND", message="gone\x1b[2K\r[bold]approved[/bold]")
    custody.failures["GetAccount"] = [forged]
    run = play(world.pledgor, "account", "show", ACCOUNT, json=False)
    assert run.exit_code == 1
    assert "\x1b" not in run.stderr
    assert "[bold]approved[/bold]" in run.stderr


def test_an_id_that_cannot_be_one_is_a_usage_error(play: Play, world: World) -> None:
    run = play(world.pledgor, "account", "show", "../etc")
    assert (run.exit_code, run.error["reason"]) == (2, "USAGE")


# The machine output is an interface.

KEYS = {
    ("account", "show", ACCOUNT): {"name", "state", "missing_signatures", "statement_digest", "etag"},
    ("account", "list"): {"accounts"},
    ("account", "verify", ACCOUNT): {"digest", "type", "statement", "addresses", "compared_with"},
    ("policy", "show"): {"digest", "type", "statement"},
    ("destination", "show", ACCOUNT, "client-wallet-btc"): {"destination", "entry"},
    ("destination", "list", ACCOUNT): {"destinations"},
    ("price", "list"): {"prices"},
    ("deposit", "list", ACCOUNT): {"deposits"},
    ("lien", "list", ACCOUNT): {"liens"},
    ("withdrawal", "show", ACCOUNT, WITHDRAWAL): {"withdrawal", "intent"},
    ("withdrawal", "list", ACCOUNT): {"withdrawals"},
    ("report", "show", ACCOUNT): {
        "digest",
        "type",
        "statement",
        "prices",
        "lending_values_now",
        "not_verified",
    },
    ("postings", "list", ACCOUNT): {"postings"},
    ("receipt", "show", ACCOUNT, WITHDRAWAL): {"receipts"},
}


@pytest.mark.parametrize("command", list(KEYS), ids=" ".join)
def test_the_machine_output_keeps_its_shape_and_is_repeatable(
    play: Play, world: World, command: tuple[str, ...]
) -> None:
    first, second = (play(world.pledgor, *command) for _ in range(2))
    assert first.exit_code == 0, first.stderr
    assert first.stdout == second.stdout
    assert first.json.keys() >= KEYS[command]
    if "name" not in KEYS[command]:
        assert first.json.keys() == KEYS[command]


@pytest.mark.parametrize("command", list(KEYS), ids=" ".join)
def test_people_get_text(play: Play, world: World, command: tuple[str, ...]) -> None:
    run = play(world.pledgor, *command, json=False)
    assert (run.exit_code, run.stderr) == (0, "")
    assert run.stdout.strip()


def leaves(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from leaves(below, *words, name)
    else:
        yield " ".join(words), command


def test_every_command_has_json() -> None:
    every = dict(leaves(get_command(build())))
    assert set(every) > {"watch", "account list", "withdrawal sign"}
    without = [
        words
        for words, command in every.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    ]
    assert without == []
