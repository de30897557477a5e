"""What a report may say of the encumbrances and liens that were signed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from custody.client import (
    BaileeError,
    MarginEngine,
    Reader,
    SigningRecord,
    TrustRoot,
    VerificationError,
)
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import GENESIS
from signers.statements.report import AssetPosition
from tests.factories import BTC, World
from tests.unit.custody.client.borrowing import TENTH
from tests.unit.custody.client.fake_service import HELD, FakeCustody


def under(custody: FakeCustody, *, reserved: int = 0, posted: int = 0) -> tuple[AssetPosition, AssetPosition]:
    """Positions with these satoshi under liens, whatever was signed."""
    free = HELD[Asset.BTC] - reserved - posted
    bitcoin = custody.position(
        Asset.BTC, reserved=Sats(reserved), posted=Sats(posted), free=Sats(free), confirmed=Sats(2 * BTC)
    )
    return bitcoin, custody.position(Asset.ETH)


# The head of the chain.


async def test_a_report_on_another_statement_of_that_place_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(encumbrance_head="ab" * 32)
    with pytest.raises(VerificationError, match="another encumbrance 1"):
        await engine.report(account)


async def test_a_report_that_drops_an_encumbrance_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(
        encumbrance_head=GENESIS, encumbrance_sequence=0, positions=under(custody)
    )
    with pytest.raises(VerificationError, match="dropped encumbrance 1"):
        await engine.report(account)


async def test_a_report_on_an_encumbrance_that_nobody_signed_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    """An invented head ahead of the known one would take every lien out of sight."""
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(
        encumbrance_head="ab" * 32, encumbrance_sequence=2, positions=under(custody)
    )
    with pytest.raises(VerificationError, match="encumbrance 2, which is not this party's"):
        await engine.report(account)
    custody.account.encumbrance_sequence, custody.account.encumbrance_digest = 2, "ab" * 32
    with pytest.raises(VerificationError, match="shows no statement"):
        await engine.report(account)


async def test_a_report_from_before_the_encumbrance_is_no_lie(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    before = custody.make_report()
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = before
    assert (await engine.report(account)).encumbrance_sequence == 0


# Liens. The chain's head is the right one in all of these.


async def test_a_report_with_the_liens_that_were_signed_is_accepted(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    await engine.post(account, "lien-1", Sats(BTC // 20))
    await engine.reserve(account, "lien-2", TENTH)
    await engine.reserve(account, "lien-3", TENTH)
    await engine.void(account, "lien-3")
    custody.report = custody.make_report(batch=6)
    position = (await engine.report(account)).positions[0]
    assert (position.reserved, position.posted) == (TENTH, Sats(BTC // 20))


@pytest.mark.parametrize(
    ("liens", "why"),
    [
        ({"reserved": 0, "posted": BTC // 10}, "0 sat reserved, where 10000000 was signed"),
        ({"reserved": BTC // 10 - 1, "posted": BTC // 10}, "9999999 sat reserved"),
        ({"reserved": BTC // 10 + 1, "posted": BTC // 10}, "10000001 sat reserved"),
        ({"reserved": BTC // 10, "posted": 0}, "0 sat posted, where 10000000 was signed"),
        ({"reserved": BTC // 10, "posted": BTC // 10 + 1}, "10000001 sat posted"),
        ({"reserved": BTC // 5, "posted": 0}, "0 sat posted"),
    ],
)
async def test_a_report_with_other_liens_is_refused(
    engine: MarginEngine, custody: FakeCustody, account: str, liens: dict[str, int], why: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    await engine.post(account, "lien-1", TENTH)
    await engine.reserve(account, "lien-2", TENTH)
    custody.report = custody.make_report(batch=6, positions=under(custody, **liens))
    with pytest.raises(VerificationError, match=why):
        await engine.report(account)


@pytest.mark.parametrize(("seconds", "refused"), [(30, False), (31, True)])
async def test_a_reservation_is_free_only_once_it_lapsed(
    engine: MarginEngine, custody: FakeCustody, account: str, seconds: int, refused: bool
) -> None:
    await engine.reserve(account, "lien-1", TENTH, seconds=seconds)
    for batch, reserved in enumerate((TENTH.units, 0), start=6):
        custody.report = custody.make_report(batch=batch, positions=under(custody, reserved=reserved))
        if refused and not reserved:
            with pytest.raises(VerificationError, match="reserved, where"):
                await engine.report(account)
        else:
            await engine.report(account)


async def test_every_client_of_the_machine_knows_the_liens_that_were_signed_on_it(
    engine: MarginEngine, reader: Reader, custody: FakeCustody, account: str
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(batch=6, positions=under(custody))
    with pytest.raises(VerificationError, match="0 sat reserved"):
        await reader.report(account)


async def test_liens_are_remembered_across_a_restart(
    another: Callable[[SigningRecord | None], MarginEngine],
    custody: FakeCustody,
    trust: TrustRoot,
    account: str,
    tmp_path: Path,
) -> None:
    file = tmp_path / "record.db"
    with SigningRecord(file, root=trust.policy_digest) as before:
        await another(before).reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(batch=6, positions=under(custody))
    with (
        SigningRecord(file, root=trust.policy_digest) as after,
        pytest.raises(VerificationError, match="0 sat reserved"),
    ):
        await another(after).report(account)


async def test_a_record_that_lacks_a_statement_does_not_judge_the_liens(
    engine: MarginEngine,
    another: Callable[[SigningRecord | None], MarginEngine],
    custody: FakeCustody,
    account: str,
) -> None:
    """Another machine of this party signed in between: its statements verify, its voids are not shown."""
    await engine.reserve(account, "lien-1", TENTH)
    await another(None).void(account, "lien-1")
    await another(None).reserve(account, "lien-2", TENTH)
    custody.report = custody.make_report(batch=6)
    assert (await engine.report(account)).encumbrance_sequence == 3


async def test_a_report_on_a_statement_that_is_on_its_way_is_no_lie(
    engine: MarginEngine, custody: FakeCustody, account: str
) -> None:
    custody.lost["ReserveLien"] = 1
    with pytest.raises(BaileeError):
        await engine.reserve(account, "lien-1", TENTH)
    custody.report = custody.make_report(batch=6)
    assert (await engine.report(account)).encumbrance_sequence == 1
    assert custody.sent("ListLiens") == []


async def test_a_lien_is_voided_by_what_this_party_signed_and_not_by_what_is_shown(
    engine: MarginEngine, custody: FakeCustody, account: str, world: World
) -> None:
    await engine.reserve(account, "lien-1", TENTH)
    forged = world.encumbrance(amount=Sats(1))
    custody.liens[f"{custody.name}/liens/lien-1"].envelope = world.sign(forged, world.stranger).to_json()
    with pytest.raises(VerificationError, match="has not signed"):
        await engine.void(account, "lien-1")
