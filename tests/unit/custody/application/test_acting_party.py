"""Who acts for a party: its entity in its own role, and nobody else of the same entity."""

from dataclasses import replace

import pytest

from custody.application.access import acting_party
from custody.domain.errors import PrincipalNotAllowed
from custody.domain.principal import Role
from tests.unit.custody.scenario import active


def test_each_party_acts_for_itself() -> None:
    custody = active()
    for principal, party in (
        (custody.pledgor, custody.account.pledgor),
        (custody.engine, custody.account.secured_party),
        (custody.custodian, custody.account.custodian),
    ):
        assert acting_party(custody.account, principal) == party


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PLEDGOR])
def test_another_role_of_the_pledgors_entity_is_not_the_pledgor(role: Role) -> None:
    custody = active()
    with pytest.raises(PrincipalNotAllowed):
        acting_party(custody.account, replace(custody.pledgor, roles=frozenset({role})))
