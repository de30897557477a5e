"""The withdrawal's table: total, with a way out of every state and a way back from every crash."""

import subprocess
import sys

import pytest

from custody.domain.errors import StateConflict
from custody.domain.withdrawal_states import (
    ENDS,
    OPEN,
    RECOVERY,
    TRANSITIONS,
    WithdrawalEvent,
    WithdrawalState,
    diagram,
    step,
)

S, E = WithdrawalState, WithdrawalEvent


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("event", E)
def test_every_pair_has_an_answer(state: WithdrawalState, event: WithdrawalEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert step(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(StateConflict) as refused:
        step(state, event)
    assert refused.value.data == {"state": state.value}


def test_every_state_that_is_no_end_says_what_a_restart_does() -> None:
    assert set(RECOVERY) == OPEN == set(S) - ENDS
    assert all(RECOVERY.values())


def test_every_state_is_reached_and_every_open_one_leads_to_an_end() -> None:
    reached, edge = {S.REQUESTED}, {S.REQUESTED}
    while edge := {after for (before, _), after in TRANSITIONS.items() if before in edge} - reached:
        reached |= edge
    assert reached == set(S)
    ending = set(ENDS)
    while more := {b for (b, _), after in TRANSITIONS.items() if after in ending} - ending:
        ending |= more
    assert ending == set(S)


def test_what_signers_may_have_heard_of_cannot_be_cancelled() -> None:
    cancelled = {before for (before, event) in TRANSITIONS if event is E.CANCELLED}
    assert cancelled == {S.REQUESTED, S.AWAITING_SIGNATURES}


def test_nothing_ends_unpaid_once_it_is_signed() -> None:
    unpaid = {before for (before, event) in TRANSITIONS if event in (E.CANCELLED, E.LAPSED)}
    assert unpaid.isdisjoint({S.SIGNED, S.BROADCAST, S.CONFIRMING, S.SETTLED})


def test_settled_is_reopened_by_a_reorganisation_and_by_nothing_else() -> None:
    assert {event: after for (before, event), after in TRANSITIONS.items() if before is S.SETTLED} == {
        E.REORGED: S.BROADCAST
    }


def test_the_diagram_has_one_line_per_row() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert sum(": " in line for line in lines) == len(TRANSITIONS)


def test_the_module_prints_its_diagram() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "custody.domain.withdrawal_states"], capture_output=True, text=True, check=True
    )
    assert printed.stdout == diagram()
