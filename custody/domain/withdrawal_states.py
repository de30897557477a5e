"""The life of a withdrawal: one literal table, and what a restart does in each state.

`python -m custody.domain.withdrawal_states` prints the diagram that custody/README.md shows.
"""

import sys
from enum import StrEnum
from typing import Final, final

from custody.domain.errors import StateConflict


@final
class WithdrawalState(StrEnum):
    """Where a withdrawal stands."""

    REQUESTED = "requested"
    """Amount and fee cap are held; coins and anchor are being chosen."""
    AWAITING_SIGNATURES = "awaiting-signatures"
    """The intent is fixed; maker, secured party and approvers sign in any order."""
    ANNOUNCING = "announcing"
    """Everybody signed; the signers journal the intent. No way back from here, only through."""
    TIMELOCKED = "timelocked"
    """Every signer announced; the policy's timelock runs."""
    SIGNING = "signing"
    """An attempt is on record; the signers construct and sign it."""
    SIGNED = "signed"
    """The whole transaction is on record and verified; no node has it from us yet."""
    BROADCAST = "broadcast"
    """A node has it."""
    CONFIRMING = "confirming"
    """It is in a block."""
    SETTLED = "settled"
    """It is final and posted. A reorganisation from below opens it again."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@final
class WithdrawalEvent(StrEnum):
    """What happens to a withdrawal."""

    PLANNED = "planned"
    COLLECTED = "collected"
    """A signature came in and others are missing."""
    COMPLETED = "completed"
    """The last missing signature came in."""
    ANSWERED = "answered"
    """A signer's receipt or refusal, or its part of a signature, was written down."""
    ANNOUNCED = "announced"
    """The last signer's announcement was written down."""
    ATTEMPTED = "attempted"
    FINISHED = "finished"
    """The attempt's transaction is complete."""
    SENT = "sent"
    CONFIRMED = "confirmed"
    FINALISED = "finalised"
    REORGED = "reorged"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"


_S, _E = WithdrawalState, WithdrawalEvent

TRANSITIONS: Final[dict[tuple[WithdrawalState, WithdrawalEvent], WithdrawalState]] = {
    (_S.REQUESTED, _E.PLANNED): _S.AWAITING_SIGNATURES,
    (_S.REQUESTED, _E.CANCELLED): _S.CANCELLED,
    (_S.REQUESTED, _E.LAPSED): _S.EXPIRED,
    (_S.AWAITING_SIGNATURES, _E.COLLECTED): _S.AWAITING_SIGNATURES,
    (_S.AWAITING_SIGNATURES, _E.COMPLETED): _S.ANNOUNCING,
    (_S.AWAITING_SIGNATURES, _E.CANCELLED): _S.CANCELLED,
    (_S.AWAITING_SIGNATURES, _E.LAPSED): _S.EXPIRED,
    (_S.ANNOUNCING, _E.ANSWERED): _S.ANNOUNCING,
    (_S.ANNOUNCING, _E.ANNOUNCED): _S.TIMELOCKED,
    (_S.ANNOUNCING, _E.LAPSED): _S.EXPIRED,
    (_S.TIMELOCKED, _E.ANSWERED): _S.TIMELOCKED,
    (_S.TIMELOCKED, _E.ATTEMPTED): _S.SIGNING,
    (_S.TIMELOCKED, _E.LAPSED): _S.EXPIRED,
    # No row begins another attempt here: whoever signed this one may publish it, so its transaction goes on
    # record before the next one is asked for.
    (_S.SIGNING, _E.ANSWERED): _S.SIGNING,
    (_S.SIGNING, _E.FINISHED): _S.SIGNED,
    # Only on the signed word of every signer that could sign: see `withdrawals.expire_due`.
    (_S.SIGNING, _E.LAPSED): _S.EXPIRED,
    (_S.SIGNING, _E.CONFIRMED): _S.CONFIRMING,
    (_S.SIGNED, _E.SENT): _S.BROADCAST,
    # Nodes have come to ask for a higher fee than it pays.
    (_S.SIGNED, _E.ATTEMPTED): _S.SIGNING,
    (_S.SIGNED, _E.CONFIRMED): _S.CONFIRMING,
    (_S.BROADCAST, _E.SENT): _S.BROADCAST,
    (_S.BROADCAST, _E.ATTEMPTED): _S.SIGNING,
    (_S.BROADCAST, _E.CONFIRMED): _S.CONFIRMING,
    (_S.CONFIRMING, _E.FINALISED): _S.SETTLED,
    (_S.CONFIRMING, _E.REORGED): _S.BROADCAST,
    (_S.SETTLED, _E.REORGED): _S.BROADCAST,
}

RECOVERY: Final[dict[WithdrawalState, str]] = {
    _S.REQUESTED: "plan again: nothing was written but the hold",
    _S.AWAITING_SIGNATURES: "wait: signatures on record stay, the intent lapses by itself",
    _S.ANNOUNCING: "announce to every signer without a receipt on record: they answer the same receipt again",
    _S.TIMELOCKED: "wait for the timelock, then write the attempt down",
    _S.SIGNING: "ask for the attempt on record again: signers answer the same signatures",
    _S.SIGNED: "broadcast the transaction on record; attempt again if nodes ask for a higher fee",
    _S.BROADCAST: "broadcast the transaction again: a node that has it says so; finish the latest attempt",
    _S.CONFIRMING: "wait: the watcher settles it or opens it again",
}
"""What the driver does after a restart, for every state that is not an end."""

ENDS: Final = frozenset({_S.SETTLED, _S.CANCELLED, _S.EXPIRED})
OPEN: Final = frozenset(set(WithdrawalState) - ENDS)
LAPSABLE: Final = frozenset(before for before, event in TRANSITIONS if event is _E.LAPSED)
SPENDABLE: Final = frozenset({_S.SIGNING, _S.SIGNED, _S.BROADCAST})
"""A transaction of ours may turn up in a block, of whichever attempt."""


def step(state: WithdrawalState, event: WithdrawalEvent) -> WithdrawalState:
    """Where the event leads.

    Raises:
        StateConflict: the table has no such row.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise StateConflict(
            f"a withdrawal that is {state} cannot be {event}", data={"state": state.value}
        ) from None


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> requested"]
    name = {state: state.value.replace("-", "_") for state in WithdrawalState}
    lines += [
        f"    {name[before]} --> {name[after]}: {event}" for (before, event), after in TRANSITIONS.items()
    ]
    lines += [f"    {name[state]} --> [*]" for state in WithdrawalState if state in ENDS]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(diagram())
