"""What happens on the chains: arrivals, blocks, forks, fees."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from custody.adapters.ethereum_node import transaction_hash
from custody.application import accounts
from custody.application.ports.chains import FeeQuote, FeeRate
from custody.domain.account import Halt
from signers.statements.amounts import Asset
from tests.model.machine import LedgerMachine
from tests.model.world import CONFIRMATIONS, DEPTH_MAX, FINAL_BEHIND, FINALITY, some

ASSETS = st.sampled_from(list(Asset))
COUNTS = st.sampled_from([1, 2, 3, CONFIRMATIONS - 1, CONFIRMATIONS, FINALITY])
SIZES = st.sampled_from(["some", "all", "more"])
"""So many units, exactly what is free, or that and one more."""
LOOK = st.sampled_from([True, True, True, False])
"""Whether custody looks at once, or only after what comes next."""
FATES = st.sampled_from(["again", "together", "later", "never"])
"""What becomes of lost blocks' transactions: in blocks like theirs, all in the first block, back in the
mempool, or never again."""


class ChainRules(LedgerMachine):
    """Both chains, and everybody who sends to the account."""

    @rule(asset=ASSETS, units=st.integers(600, 60_000))
    def arrive(self, asset: Asset, units: int) -> None:
        if asset is Asset.BTC:
            self.house.bitcoin.pay(self.bitcoin.script, units)
        else:
            self.house.ethereum.pay(self.ethereum.address, some(asset, units).units)

    @rule(asset=ASSETS, count=COUNTS, failing=st.sampled_from([False, False, True]), look=LOOK)
    def mine(self, asset: Asset, count: int, *, failing: bool = False, look: bool = True) -> None:
        """Blocks of which the first holds what waits; `failing`: an Ethereum transfer runs out of gas."""
        if asset is Asset.BTC:
            self.house.bitcoin.mine(count)
        else:
            self.house.ethereum.failing = failing
            self.house.ethereum.final_behind = FINAL_BEHIND
            self.house.ethereum.mine(min(count, 2 * FINAL_BEHIND))
            self.house.ethereum.failing = False
        if look:
            self.watch()

    @rule(asset=ASSETS, depth=st.integers(1, DEPTH_MAX), fate=FATES, look=LOOK)
    def fork(self, asset: Asset, depth: int, fate: str, *, look: bool = True) -> None:
        """Any depth; on Ethereum above what is final."""
        if asset is Asset.BTC:
            self._fork_bitcoin(depth, fate)
        else:
            self._fork_ethereum(1 + depth % FINAL_BEHIND, fate)
        self.note(f"{asset} fork, {fate}")
        if look:
            self.watch()

    @precondition(lambda self: self.bitcoin.payouts or self.bitcoin.arrivals)
    @rule(payout=st.booleans(), fate=FATES)
    def fork_below_what_happened(self, *, payout: bool, fate: str) -> None:
        """Bitcoin loses the block of the latest payout or arrival, with all after it."""
        events = (self.bitcoin.payouts if payout else self.bitcoin.arrivals) or self.bitcoin.arrivals
        depth = len(self.bitcoin.views[-1]) - max(each.height for each in events)
        self.fork(Asset.BTC, min(depth, DEPTH_MAX), fate)

    def _fork_bitcoin(self, depth: int, fate: str) -> None:
        chain = self.house.bitcoin
        lost = chain.fork(depth)
        everything = [each for block in lost for each in block]
        new = {"again": lost, "together": [everything]}.get(fate, [])
        if fate == "later":
            chain.mempool = {chain.put(each): each for each in everything} | chain.mempool
        for index in range(depth + 1):
            chain.add(new[index] if index < len(new) else ())

    def _fork_ethereum(self, depth: int, fate: str) -> None:
        chain = self.house.ethereum
        lost = [(list(each.payments), list(each.transfers.values())) for each in chain.fork(depth)]
        payments = [each for paid, _ in lost for each in paid]
        transfers = [raw for _, sent in lost for raw in sent]
        new = {"again": lost, "together": [(payments, transfers)]}.get(fate, [])
        if fate == "later":
            chain.waiting = payments + chain.waiting
            chain.mempool = {transaction_hash(raw): raw for raw in transfers} | chain.mempool
        for index in range(depth + 1):
            chain.add(*(new[index] if index < len(new) else ((), ())))

    @precondition(lambda self: not self.finality_broken)
    @rule(
        depth=st.integers(FINAL_BEHIND + 1, DEPTH_MAX),
        fate=FATES,
        lag=st.sampled_from([0, DEPTH_MAX]),
        looked_at=st.sampled_from([True, True, False]),
    )
    def break_finality(self, depth: int, fate: str, *, lag: int = 0, looked_at: bool = False) -> None:
        """Ethereum takes back what it called final, custody sees it, and perhaps a person does.

        With a lag nothing of the new branch is final before blocks are mined on it.
        """
        self.watch()
        self.house.ethereum.final_behind = FINAL_BEHIND + lag
        ancestor = len(self.house.ethereum.blocks) - 1 - depth
        self.finality_broken = ancestor < self.final
        self._fork_ethereum(depth, fate)
        self.watch()
        assert self.custody.account.halts == self.halts
        self.note("finality broken")
        if looked_at and self.finality_broken:
            self.a_person_looks()

    @precondition(lambda self: self.finality_broken)
    @rule()
    def a_person_looks(self) -> None:
        """The custodian lifts the halt; the comparison with the chains ends it."""
        self.watch()
        command = accounts.LiftHalt(
            request_id=self.custody.fresh(),
            account=self.custody.account_id,
            etag=self.custody.account.etag,
            halt=Halt.FINALITY_REORG,
        )
        self.custody.do(accounts.lift_halt, command, principal=self.custody.custodian)
        assert Halt.AWAITING_RECONCILIATION in self.custody.account.halts
        assert not self.run(self.house.reconciler.tick())
        self.finality_broken = False

    @precondition(lambda self: self.house.bitcoin.sent)
    @rule(data=st.data(), count=COUNTS)
    def a_miner_takes_what_somebody_kept(self, data: st.DataObject, count: int) -> None:
        """Any attempt that was ever sent, in whatever order they were made."""
        chain = self.house.bitcoin
        chain.add([chain.known[data.draw(st.sampled_from(chain.sent))]])
        chain.mine(count)
        self.watch()

    @rule(rate=st.sampled_from([1000, 1500, 3000, 8000, 30_000]), gwei=st.sampled_from([1, 2, 10]))
    def fees_change(self, rate: int, gwei: int) -> None:
        """Estimates, and what mempools ask for at least: what offers less is forgotten."""
        bitcoin, ethereum = self.house.bitcoin, self.house.ethereum
        bitcoin.rate = bitcoin.minimum = FeeRate(rate)
        for name, made in list(bitcoin.mempool.items()):
            if (
                name in bitcoin.sent
                and bitcoin.fee_of(made) < bitcoin.minimum.fee(-(-made.calc_weight() // 4)).units
            ):
                del bitcoin.mempool[name]
        ethereum.quote = FeeQuote(base_fee_per_gas_wei=gwei * 10**9, priority_fee_per_gas_wei=10**8)
