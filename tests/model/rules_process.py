"""What happens to custody itself: prices come and age, clients ask again, processes end."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.machine import LedgerMachine


class ProcessRules(LedgerMachine):
    """Prices, repeated requests, ends and starts."""

    @rule(
        level_bps=st.sampled_from([10_000, 5_000, 14_000]), fate=st.sampled_from(["agree", "differ", "age"])
    )
    def prices_change(self, level_bps: int, fate: str) -> None:
        self.publish_prices(level_bps=level_bps, apart=fate == "differ")
        if fate == "age":
            self.pass_time(61)

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def somebody_asks_again(self, data: st.DataObject) -> None:
        self.ask_again(data.draw(st.sampled_from(self.answered)))
        self.note("asked again")

    @rule()
    def restart(self) -> None:
        """A new process over the same file, with the product's own store."""
        before = self.custody.account
        assert self.run(self.house.start_the_real_store()) == before

    @rule(at=st.integers(0, 60))
    def die(self, at: int) -> None:
        """The process ends in the middle of something, and the next one goes on."""
        if self.run(self.house.work_until_killed(at)):
            self.note("killed")
        self.watch()

    @rule()
    def reconcile(self) -> None:
        """Asked the other way round, the chains say what the ledger says."""
        self.watch()
        assert not self.run(self.house.reconciler.tick())
