"""What time it is, as far as the own node agrees."""

from __future__ import annotations

from dataclasses import dataclass

from signers.journal import TimeSeen
from signers.rules.chains import Chain, Tip
from signers.rules.signer import Signer
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds
from signers.statements.refusals import Tag, refuse_unless


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time that clock and chain agree on, and the block it was compared with."""

    at: Seconds
    tip: Tip


async def trusted(signer: Signer, chain: Chain, asset: Asset) -> Moment:
    """The time to decide by: never before a decision that is journaled.

    Who sets the clock forward ends timelocks and cooling-offs early; who sets it back revives what has
    expired; who cuts the node off hides what has happened on the chain.

    Raises:
        Refusal: `clock-skew`, `stale-tip`, or `chain-id` where the node is on another chain.
        NodeUnavailable: it does not answer.
    """
    tip = await chain.tip()
    wall = signer.wall_clock()
    apart = abs(wall - tip.median_time_past)
    refuse_unless(
        apart <= signer.clockwork.skew_max_seconds,
        Tag.CLOCK_SKEW,
        f"the clock and the {asset} chain's median time past are {apart} s apart",
    )
    age = wall - tip.time
    refuse_unless(
        age <= signer.clockwork.tip_age_max_seconds[asset],
        Tag.STALE_TIP,
        f"the best {asset} block is {age} s old",
    )
    return Moment(at=signer.now(), tip=tip)


def remember(signer: Signer, moment: Moment, *, at_least_every_seconds: Seconds) -> None:
    """Raise the journaled high-water mark of time, if it is due."""
    if moment.at - signer.journal.views.high_water >= at_least_every_seconds:
        signer.journal.append(TimeSeen(), at=moment.at)
