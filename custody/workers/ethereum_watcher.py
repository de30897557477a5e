"""Follow Ethereum: every change of our accounts' balances, and what is final of it.

A deposit is a change of a balance, never a transaction found by its `to`: a transfer inside a contract call
or a validator's withdrawal names nobody. One tick: the nodes' agreed head → `chain_view` → our accounts'
proven states at the base, at the finalised block if it lies in between, and at the head → one delta →
`deposits.apply`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from custody.application import accounts, deposits
from custody.application.ports.chains import (
    BlockHeader,
    BlockNotFound,
    ChainDataInvalid,
    EthereumChain,
    ProvenState,
)
from custody.application.ports.store import Snapshot, Store, UnitOfWork
from custody.domain.account import Halt, Watched
from custody.domain.chain_view import BlockRef, Progress, Same
from custody.domain.deposit import (
    EthereumBlock,
    EthereumDelta,
    EthereumMovement,
    ExecutedOutflow,
    VerifiedBalance,
)
from custody.domain.errors import TipMoved
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import SPENDABLE
from custody.workers.chain_following import judged, view_of
from custody.workers.chain_health import ChainHealth
from custody.workers.run_loop import Clock
from signers.statements.amounts import Asset, Wei
from signers.statements.identifiers import AccountId
from signers.statements.intent import NonceAnchor

PROOFS_AT_ONCE: Final = 16

States = Mapping[AccountId, ProvenState]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """What one tick starts from."""

    blocks: Sequence[BlockRef]
    finalised: BlockRef | None
    watched: Sequence[Watched]
    final_states: States
    """As last proven, of the accounts that the ledger agreed with at `finalised`."""
    outflows: Mapping[AccountId, Sequence[Withdrawal]]
    """Withdrawals of which a transaction may turn up, also once more after a reorganisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A delta, and the accounts whose ether left in no transaction of ours."""

    delta: EthereumDelta
    unexplained: frozenset[AccountId]


class EthereumWatcher:
    """Brings the ledger to the nodes' Ethereum head and credits what is final.

    Args:
        store: the ledger.
        chain: what the nodes agree on.
        health: where it says whether they agree.
        clock: the time.
    """

    name = "ethereum-watcher"

    def __init__(self, *, store: Store, chain: EthereumChain, health: ChainHealth, clock: Clock) -> None:
        self._store = store
        self._chain = chain
        self._health = health
        self._clock = clock
        self._kept: dict[BlockRef, States] = {}
        """Our accounts' states at the blocks of the last tick: the next one starts from them."""

    async def tick(self) -> bool:
        """Apply everything up to the head.

        Raises:
            ChainError: the nodes gave no usable answer.
        """
        found = await judged(self._next(), Asset.ETH, health=self._health, clock=self._clock)
        if found is None:
            return False
        try:
            await self._store.execute(lambda uow: self._apply(uow, found))
        except TipMoved:
            self._kept.clear()
        return True

    def _apply(self, uow: UnitOfWork, found: _Found) -> None:
        now = self._clock()
        deposits.apply(uow, found.delta, now=now)
        for account in sorted(found.unexplained):
            accounts.halt(uow, account, Halt.UNKNOWN_SPEND, now=now)

    async def _next(self) -> _Found | None:
        head, finalised = await self._chain.head(), await self._finalised()
        recorded = await self._store.read(_recorded)
        if not recorded.blocks:
            return await self._first(head, finalised)
        view = await view_of(recorded.blocks, head, self._chain.block_at)
        tip = recorded.blocks[-1]
        if isinstance(view, Same):
            return await self._delta(recorded, base=tip, points=(), finalised=finalised)
        base = view.base if isinstance(view, Progress) else view.ancestor
        between = finalised is not None and base.height < finalised.height < head.height
        points = (finalised, head) if finalised is not None and between else (head,)
        return await self._delta(recorded, base=base, points=points, finalised=finalised)

    async def _finalised(self) -> BlockHeader | None:
        try:
            return await self._chain.finalised()
        except BlockNotFound:
            return None

    async def _first(self, head: BlockHeader, finalised: BlockHeader | None) -> _Found:
        """Nothing is recorded: begin at the finalised block, so that a later one is found on the record."""
        points = [head] if finalised is None or finalised.height >= head.height else [finalised, head]
        delta = EthereumDelta(
            expected_tip=None,
            base=None,
            blocks=tuple(EthereumBlock(block=each.ref, parent=_parent(each)) for each in points),
            finalised=points[0].ref if finalised is not None else None,
        )
        return _Found(delta=delta, unexplained=frozenset())

    async def _delta(
        self,
        recorded: _Recorded,
        *,
        base: BlockRef,
        points: Sequence[BlockHeader],
        finalised: BlockHeader | None,
    ) -> _Found | None:
        final = self._final_on_record(recorded, base=base, points=points, finalised=finalised)
        if not points and final is None:
            return None
        states: dict[BlockRef, States] = {}
        if points:
            base, old = await self._base(recorded, base)
            states[base] = old
        for point in points:
            states[point.ref] = await self._states(point, recorded.watched)
        blocks, unexplained = [], set()
        for (before, after), point in zip(pairwise(states.items()), points, strict=True):
            block, strangers = await self._block(
                recorded, point, since=before[0], old=before[1], new=after[1]
            )
            blocks.append(block)
            unexplained |= strangers
        balances = await self._balances(final, states, recorded.watched) if final is not None else ()
        self._kept = dict(list(states.items())[-2:]) if states else self._kept
        delta = EthereumDelta(
            expected_tip=recorded.blocks[-1],
            base=base,
            blocks=tuple(blocks),
            finalised=final,
            balances=balances,
        )
        return _Found(delta=delta, unexplained=frozenset(unexplained))

    async def _base(self, recorded: _Recorded, base: BlockRef) -> tuple[BlockRef, States]:
        """The states to start from; where the nodes have pruned them, those last proven final."""
        try:
            return base, await self._states_at(base, recorded.watched)
        except BlockNotFound:
            final = recorded.finalised
            if final is None or final not in recorded.blocks or final.height >= base.height:
                raise
            return final, recorded.final_states

    def _final_on_record(
        self,
        recorded: _Recorded,
        *,
        base: BlockRef,
        points: Sequence[BlockHeader],
        finalised: BlockHeader | None,
    ) -> BlockRef | None:
        """The highest block on record (after this delta) that is final, if that is news."""
        if finalised is None:
            return None
        kept = [block for block in recorded.blocks if block.height <= base.height]
        candidates = [*kept, *(point.ref for point in points)]
        final = max((each for each in candidates if each.height <= finalised.height), default=None)
        if final is None or (recorded.finalised is not None and final.height <= recorded.finalised.height):
            return None
        return final

    async def _block(
        self, recorded: _Recorded, point: BlockHeader, *, since: BlockRef, old: States, new: States
    ) -> tuple[EthereumBlock, set[AccountId]]:
        """What the blocks after `since` up to `point` did to us, and whom nothing of ours explains."""
        movements, unexplained = [], set()
        for account, after in new.items():
            before = old.get(account)
            if before is None or (before.balance, before.nonce) == (after.balance, after.nonce):
                continue
            outflows = await self._outflows(
                recorded.outflows.get(account, ()), since=since, until=point, before=before, after=after
            )
            left = sum(each.amount.units + each.fee.units for each in outflows)
            received = after.balance.units - before.balance.units + left
            if received < 0 or len(outflows) != after.nonce - before.nonce:
                unexplained.add(account)
            movements.append(
                EthereumMovement(account=account, received=Wei(max(0, received)), outflows=outflows)
            )
        # States are proven under the block; which transactions made them was asked afterwards, of whatever
        # chain there was by then. Nobody is halted for what the answers of two chains do not explain.
        if unexplained or any(each.outflows for each in movements):
            await self._require_still(point)
        block = EthereumBlock(block=point.ref, parent=_parent(point), movements=tuple(movements))
        return block, unexplained

    async def _require_still(self, point: BlockHeader) -> None:
        """Raise `ChainDataInvalid` where the nodes have another block at that height by now."""
        present = await self._chain.block_at(point.height)
        if present != point:
            raise ChainDataInvalid(f"block {point.height} became {present.block_hash}: the chain moved")

    async def _outflows(
        self,
        withdrawals: Sequence[Withdrawal],
        *,
        since: BlockRef,
        until: BlockHeader,
        before: ProvenState,
        after: ProvenState,
    ) -> tuple[ExecutedOutflow, ...]:
        """Our own transactions among those that used up the nonces in between."""
        found = []
        for withdrawal in withdrawals:
            anchor = withdrawal.anchor
            if not isinstance(anchor, NonceAnchor) or not before.nonce <= anchor.nonce < after.nonce:
                continue
            outflow = await self._executed(withdrawal, anchor.nonce, since=since, until=until)
            if outflow is not None:
                found.append(outflow)
        return tuple(found)

    async def _executed(
        self, withdrawal: Withdrawal, nonce: int, *, since: BlockRef, until: BlockHeader
    ) -> ExecutedOutflow | None:
        """The attempt that was executed; at most one can be, since all of them use one nonce.

        Raises:
            ChainDataInvalid: it stands outside the blocks in which the nonce was used up: the chain moved.
        """
        for attempt in withdrawal.attempts:
            if attempt.transaction_id is None:
                continue
            executed = await self._chain.executed(attempt.transaction_id)
            if executed is None:
                continue
            if not since.height < executed.block.height <= until.height:
                raise ChainDataInvalid(
                    f"{attempt.transaction_id} is in {executed.block.height}: the chain moved"
                )
            amount = Wei(withdrawal.amount.units) if executed.succeeded else Wei.zero()
            return ExecutedOutflow(
                transaction_id=attempt.transaction_id, nonce=nonce, amount=amount, fee=executed.fee
            )
        return None

    async def _balances(
        self, final: BlockRef, states: Mapping[BlockRef, States], watched: Sequence[Watched]
    ) -> tuple[VerifiedBalance, ...]:
        known = states.get(final)
        proven = known if known is not None else await self._states_at(final, watched)
        return tuple(
            VerifiedBalance(account=account, balance=state.balance, nonce=state.nonce)
            for account, state in proven.items()
        )

    async def _states_at(self, block: BlockRef, watched: Sequence[Watched]) -> States:
        """As `_states`, of a recorded block."""
        header = await self._chain.block_at(block.height)
        if header.ref != block:
            raise ChainDataInvalid(f"block {block.height} is {header.block_hash}: the chain moved")
        return await self._states(header, watched)

    async def _states(self, block: BlockHeader, watched: Sequence[Watched]) -> States:
        """Our accounts' proven states after a block: what is kept, and the nodes asked for the rest."""
        kept = self._kept.get(block.ref, {})
        slots = asyncio.Semaphore(PROOFS_AT_ONCE)

        async def prove(each: Watched) -> ProvenState:
            async with slots:
                return await self._chain.account_at(each.ethereum_address, block)

        missing = [each for each in watched if each.account not in kept]
        proven = await asyncio.gather(*(prove(each) for each in missing))
        return {**kept, **{each.account: state for each, state in zip(missing, proven, strict=True)}}


def _parent(block: BlockHeader) -> BlockRef:
    return BlockRef(block.height - 1, block.parent)


def _recorded(snapshot: Snapshot) -> _Recorded:
    watched, blocks, final = snapshot.watched(), snapshot.blocks(Asset.ETH), snapshot.finalised()
    outflows: dict[AccountId, list[Withdrawal]] = {}
    lowest = blocks[0].height if blocks else 0
    for withdrawal in (
        *snapshot.withdrawals_in(SPENDABLE, asset=Asset.ETH),
        *snapshot.withdrawals_confirmed_above(Asset.ETH, lowest),
    ):
        outflows.setdefault(withdrawal.account, []).append(withdrawal)
    return _Recorded(
        blocks=blocks,
        finalised=final,
        watched=watched,
        final_states=_final_states(snapshot, watched, final),
        outflows=outflows,
    )


def _final_states(snapshot: Snapshot, watched: Sequence[Watched], final: BlockRef | None) -> States:
    states = {}
    for each in watched:
        known = snapshot.finalised_balance(each.account)
        if known is not None and known.block == final:
            states[each.account] = ProvenState(
                address=each.ethereum_address,
                block=final,
                balance=known.balance,
                nonce=known.nonce,
            )
    return states
