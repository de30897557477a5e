"""Who acts for a party: its entity in its own role, and nobody else of the same entity."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from custody.application import consents, destinations, liens, withdrawals
from custody.application.access import acting_party
from custody.domain.errors import PrincipalNotAllowed
from custody.domain.principal import Principal, Role
from custody.domain.withdrawal import Withdrawal
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.encumbrance import EncumbranceKind
from signers.statements.identifiers import DestinationId
from tests.factories import BTC, ETH
from tests.unit.custody.scenario import Custody, active, unchanged


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


# Every use case that a party has.


@dataclass(frozen=True)
class Awaiting:
    """A withdrawal of the pledgor that awaits its signatures."""

    custody: Custody
    present: Withdrawal
    asked: list[Callable[[Principal], Any]] = field(default_factory=list)
    """What was done, to be done again."""

    @classmethod
    def build(cls) -> "Awaiting":
        custody = active()
        made = custody.request(Sats(BTC // 2), Sats(50_000))
        coins = [coin.outpoint for coin in custody.ask(lambda uow: uow.coins(custody.account_id))]
        return cls(custody, custody.plan(made, *coins))

    def act(self, use_case: Callable[..., Any], command: object, principal: Principal, **more: Any) -> Any:
        self.asked.append(lambda by: self.custody.do(use_case, command, principal=by, **more))
        return self.asked[-1](principal)

    def create(self, principal: Principal) -> Any:
        command = self.custody.withdrawal_command(Wei(ETH), Wei(ETH // 100), withdrawal="w-2")
        return self.act(withdrawals.create, command, principal)

    def cancel(self, principal: Principal) -> Any:
        command = withdrawals.CancelWithdrawal(
            request_id=self.custody.fresh(),
            account=self.custody.account_id,
            withdrawal=self.present.withdrawal,
            etag=self.present.etag,
        )
        return self.act(withdrawals.cancel, command, principal)

    def sign(self, principal: Principal) -> Any:
        world = self.custody.world
        envelope = world.sign(self.custody.intent(self.present), world.pledgor)
        command = self.custody.consent(consents.SignWithdrawal, self.present, envelope)
        return self.act(consents.sign, command, principal)

    def release(self, principal: Principal) -> Any:
        envelope = self.custody.world.release_envelope(self.custody.intent(self.present))
        command = self.custody.consent(consents.ReleaseWithdrawal, self.present, envelope)
        return self.act(
            consents.release, command, principal, prices=self.custody.prices(), disputed=frozenset()
        )

    def allow(self, principal: Principal) -> Any:
        world = self.custody.world
        entry = world.allowlist_entry(Asset.BTC, destination_id=DestinationId("second-wallet"))
        command = destinations.CreateDestination(
            request_id=self.custody.fresh(),
            account=self.custody.account_id,
            destination_id=entry.destination_id,
            envelope=world.sign(entry, world.pledgor),
        )
        return self.act(destinations.create, command, principal)

    def reserve(self, principal: Principal) -> Any:
        statement = self.custody.statement(EncumbranceKind.RESERVE, "lien-1", Sats(BTC // 4))
        command = self.custody.lien_command(liens.ReserveLien, statement)
        return self.act(liens.reserve, command, principal, prices=self.custody.prices(), disputed=frozenset())


ACTS = [
    ("create", "pledgor"),
    ("cancel", "pledgor"),
    ("cancel", "custodian"),
    ("sign", "pledgor"),
    ("release", "engine"),
    ("allow", "pledgor"),
    ("reserve", "engine"),
]


@pytest.mark.parametrize(("act", "who"), ACTS)
def test_a_party_acts_in_its_own_role_alone(act: str, who: str) -> None:
    at = Awaiting.build()
    party: Principal = getattr(at.custody, who)
    beside = replace(party, name=f"other.{who}", roles=frozenset(Role) - party.roles)
    unchanged(at.custody, lambda: getattr(at, act)(beside), PrincipalNotAllowed)
    assert getattr(at, act)(party)


@pytest.mark.parametrize(
    ("act", "who"), [each for each in ACTS if each[0] != "create"]
)  # any party may create
def test_a_replay_by_who_acts_for_another_party_now(act: str, who: str) -> None:
    at = Awaiting.build()
    party: Principal = getattr(at.custody, who)
    answer = getattr(at, act)(party)
    assert at.asked[-1](party) == answer
    moved = replace(at.custody.pledgor if who == "engine" else at.custody.engine, name=party.name)
    unchanged(at.custody, lambda: at.asked[-1](moved), PrincipalNotAllowed)
