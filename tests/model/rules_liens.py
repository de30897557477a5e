"""What the secured party does: reserve, post, void, or nothing until a reservation lapses."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from custody.application import liens
from custody.domain.errors import (
    AccountHalted,
    CollateralInsufficient,
    CustodyError,
    PricesStale,
    StateConflict,
)
from custody.domain.lien import Lien, LienState
from signers.statements.amounts import Amount, Asset, amount_of
from signers.statements.encumbrance import EncumbranceKind
from signers.statements.identifiers import LienId
from tests.model.claims import LienClaim
from tests.model.machine import LedgerMachine
from tests.model.rules_chains import ASSETS, SIZES
from tests.model.world import some

LIEN_SECONDS = 3600


class LienRules(LedgerMachine):
    """Each statement continues the account's chain; one that was refused is forgotten."""

    @rule(
        asset=ASSETS,
        units=st.integers(1, 60_000),
        size=SIZES,
        kept_percent=st.sampled_from([None, 1, 60, 100]),
        fresh=st.sampled_from([True, True, False]),
    )
    def reserve(
        self,
        asset: Asset,
        units: int,
        size: str,
        *,
        kept_percent: int | None = None,
        fresh: bool = True,
    ) -> None:
        """At fresh prices or at whatever there are, and perhaps post so much of it at once."""
        if fresh:
            self.publish_prices()
        free = self.free(asset)
        sizes = {"some": some(asset, units).units, "all": free or 1, "more": free + 1}
        amount = amount_of(asset, sizes[size])
        refusal: type[CustodyError] | None = None
        if self.halts:
            refusal = AccountHalted
        elif not self.priced:
            refusal = PricesStale
        elif amount.units > free:
            refusal = CollateralInsufficient
        name = self.name("lien")
        lien = self._say(
            liens.reserve,
            liens.ReserveLien,
            name,
            amount,
            refusal,
            prices=self.custody.prices(),
            disputed=self.custody.disputed,
        )
        if lien is not None:
            assert lien.expires_at == self.custody.now + LIEN_SECONDS
            self.claims.liens[name] = LienClaim(amount, posted=False, expires_at=lien.expires_at)
            if kept_percent is not None:
                self.keep(name, kept_percent)

    @precondition(lambda self: any(not each.posted for each in self.claims.liens.values()))
    @rule(data=st.data(), kept_percent=st.integers(1, 100))
    def post(self, data: st.DataObject, kept_percent: int) -> None:
        names = sorted(name for name, each in self.claims.liens.items() if not each.posted)
        self.keep(data.draw(st.sampled_from(names)), kept_percent)

    def keep(self, name: str, percent: int) -> None:
        """Post so much of a reservation; the rest is free again."""
        claim = self.claims.liens[name]
        kept = claim.amount.units * percent // 100 or 1
        amount = amount_of(claim.amount.asset, kept)
        refusal = StateConflict if self.custody.now >= claim.expires_at else None
        if self._say(liens.post, liens.PostLien, name, amount, refusal) is not None:
            self.claims.liens[name] = replace(claim, amount=amount, posted=True)
            self.note("posted wholly" if kept == claim.amount.units else "posted partly")

    @precondition(lambda self: self.claims.liens)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        self.give_back(data.draw(st.sampled_from(sorted(self.claims.liens))))

    def give_back(self, name: str) -> None:
        """Void a lien, reserved or posted."""
        claim = self.claims.liens[name]
        lien = self._say(liens.void, liens.VoidLien, name, claim.amount, None)
        assert lien is not None
        assert lien.state is LienState.VOIDED
        del self.claims.liens[name]

    def _say(
        self,
        use_case: Any,
        command_type: Any,
        name: str,
        amount: Amount,
        refusal: type[CustodyError] | None,
        **named: Any,
    ) -> Lien | None:
        kind = EncumbranceKind(use_case.__name__)
        statement = self.custody.statement(kind, name, amount)
        command = self.custody.lien_command(command_type, statement)
        done: Lien | None = self.ask(
            use_case,
            command,
            refusal=refusal,
            principal=self.custody.engine,
            other=replace(command, lien=LienId("another")),
            **named,
        )
        if done is not None:
            self.custody.encumbrance = statement
        return done
