"""Journey 3: liens that hold, whoever races."""

import asyncio

from custody.client import BaileeError
from deploy.localnet.demo.pledging import PLEDGED, position_of
from deploy.localnet.demo.stage import ACCOUNT, Stage, refused, state
from signers.statements.amounts import Asset, Sats

LENT = Sats(30_000_000)


async def borrow(stage: Stage) -> None:
    """Reserve, post, void; two reservations race for what there is once."""
    stage.record.chapter("3. Borrow")
    engine = stage.margin_engine
    with stage.record.step("a lien is reserved before the order, posted in part at the fill") as evidence:
        reserved = await engine.reserve(ACCOUNT, "order-one", Sats(50_000_000))
        posted = await engine.post(ACCOUNT, "order-one", LENT)
        evidence |= {"lien": posted.name, "reserved": reserved.amount.units, "posted": posted.amount.units}
        evidence["statement_digest"] = posted.statement_digest
    with stage.record.step("an order is abandoned and its lien voided") as evidence:
        await engine.reserve(ACCOUNT, "order-two", Sats(10_000_000))
        voided = await engine.void(ACCOUNT, "order-two")
        evidence |= {"lien": voided.name, "state": state(voided)}
    with stage.record.step("two racing reservations cannot both have the same coins") as evidence:
        most = Sats((PLEDGED[Asset.BTC].units - LENT.units) * 2 // 3)
        answers = await asyncio.gather(
            *(engine.reserve(ACCOUNT, f"race-{name}", most) for name in ("a", "b")), return_exceptions=True
        )
        lost = [answer for answer in answers if isinstance(answer, BaileeError)]
        if len(lost) != 1 or lost[0].reason != "COLLATERAL_INSUFFICIENT":
            raise AssertionError(f"one of two must be refused: {answers}")
        winner = "race-a" if isinstance(answers[1], BaileeError) else "race-b"
        evidence |= {"each": str(most.units), "won": winner, "refused": lost[0].reason}
        await engine.void(ACCOUNT, winner)
    with stage.record.step("a reservation of more than is free is refused") as evidence:
        error = await refused(engine.reserve(ACCOUNT, "too-much", PLEDGED[Asset.BTC]))
        position = await position_of(stage, Asset.BTC, lambda each: each.posted == LENT)
        evidence |= {"refused": error.reason, "free": str(position.free.units)}
