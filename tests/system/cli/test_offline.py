"""What people do on their own machines before the service exists."""

from pathlib import Path
from typing import Any

import pytest

from deploy.localnet.localnet import Localnet
from tests.system.cli.cast import ADMINS, AUDITOR
from tests.system.cli.command import Command

pytestmark = pytest.mark.system


def test_the_admins_sign_the_very_policy_that_the_network_runs(
    bailee: Command, localnet: Localnet, signed_policy: Path
) -> None:
    pinned = ("--network", "regtest", "--policy-digest", localnet.policy.digest)
    shown = bailee(ADMINS[0], "policy", "show", signed_policy, *pinned)
    assert shown == bailee(AUDITOR, "policy", "show")


def test_a_key_is_made_once_and_read_again(made_key: tuple[Any, Any]) -> None:
    made, shown = made_key
    assert made == shown
