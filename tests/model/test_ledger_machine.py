"""Any interleaving of both chains' blocks and forks, liens, withdrawals, repeats and crashes."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.rules_liens import LienRules
from tests.model.rules_process import ProcessRules
from tests.model.rules_withdrawals import WithdrawalRules


class Everything(LienRules, WithdrawalRules, ProcessRules):
    """All rules over one account."""


TestEverything = Everything.TestCase
TestEverything.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.slow
def test_many_more_interleavings() -> None:
    run_state_machine_as_test(
        Everything, settings=settings(max_examples=300, stateful_step_count=60, deadline=None)
    )
