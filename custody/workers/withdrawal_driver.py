"""Drive open withdrawals: plan, announce, attempt, sign, broadcast. One step of each per tick.

Every step writes its intention down by a use case before anybody outside hears of it, and asks only what
may be asked twice: signers answer the same receipt and the same signatures again, nodes say that they have
a transaction already. So a crash anywhere is answered by doing the same step again;
`custody.domain.withdrawal_states.RECOVERY` says which.

What happens to a transaction in a block is the watchers' to see.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from custody.application import attempts, planning, receipts, withdrawals
from custody.application.ports.chains import (
    BitcoinChain,
    BroadcastRejected,
    ChainError,
    EthereumChain,
    FeeTooLow,
    WrongNetwork,
)
from custody.application.ports.signers import SignerAnswerInvalid, SignerError, SignerRefused, Signers
from custody.application.ports.store import Store, UnitOfWork
from custody.application.ports.verification import PayoutVerifier, TransactionInvalid
from custody.domain.deposit import Coin, Outpoint
from custody.domain.errors import CustodyError, StoreUnavailable
from custody.domain.withdrawal import Attempt, Withdrawal
from custody.domain.withdrawal_states import SPENDABLE, WithdrawalState
from custody.workers.chain_health import ChainHealth
from custody.workers.coin_selection import CoinsInsufficient, InputsTooLong, select_coins
from custody.workers.fees import FeesUnaffordable
from custody.workers.outflow_case import OutflowCase, read_case
from custody.workers.pauses import Pauses
from custody.workers.pricing import FeePricing
from custody.workers.run_loop import Clock
from custody.workers.signing import Signing
from signers.statements.amounts import Amount, Asset, Sats
from signers.statements.envelope import Envelope
from signers.statements.identifiers import IntentId, Seconds, SignerId, TxId
from signers.statements.intent import Anchor, NonceAnchor, OutpointAnchor
from signers.statements.refusals import Tag

REBROADCAST_SECONDS: Final = 60
BUMP_AFTER_SECONDS: Final = 3600
"""What waited this long is attempted again, if the estimate rose and the cap allows a higher fee."""
TIMELOCK_RETRY_SECONDS: Final = 5
PASSING: Final = frozenset({Tag.TIMELOCK_RUNNING, Tag.STALE_TIP, Tag.CLOCK_SKEW})
"""Refusals that pass by themselves: asked again soon, without a growing pause."""

Step = Callable[[OutflowCase], Awaitable[bool]]
_log = structlog.get_logger(__name__)


class WithdrawalDriver:
    """Takes every open withdrawal one step further.

    Args:
        store: the ledger.
        bitcoin: what the nodes agree on.
        ethereum: likewise.
        signers: the signers of the policy.
        verifier: reads what they signed.
        health: a chain whose nodes disagree, or are silent, is left alone.
        clock: the time.
        pauses: when what failed is tried again.
    """

    name = "withdrawal-driver"

    def __init__(
        self,
        *,
        store: Store,
        bitcoin: BitcoinChain,
        ethereum: EthereumChain,
        signers: Signers,
        verifier: PayoutVerifier,
        health: ChainHealth,
        clock: Clock,
        pauses: Pauses | None = None,
    ) -> None:
        self._store = store
        self._bitcoin = bitcoin
        self._ethereum = ethereum
        self._signers = signers
        self._health = health
        self._clock = clock
        self._pauses = pauses or Pauses()
        self._pricing = FeePricing(bitcoin=bitcoin, ethereum=ethereum)
        self._signing = Signing(store=store, bitcoin=bitcoin, signers=signers, verifier=verifier, clock=clock)
        self._steps: Mapping[WithdrawalState, Step] = {
            WithdrawalState.REQUESTED: self._plan,
            WithdrawalState.ANNOUNCING: self._announce,
            WithdrawalState.TIMELOCKED: self._begin_attempt,
            WithdrawalState.SIGNING: self._sign,
            WithdrawalState.SIGNED: self._broadcast,
            WithdrawalState.BROADCAST: self._broadcast_again,
        }

    async def tick(self) -> bool:
        """One step of every open withdrawal that is due.

        Raises:
            StoreUnavailable: the store has stopped.
            WrongNetwork: a node is of another chain.
        """
        progress = False
        for withdrawal in await self._store.read(withdrawals.to_drive):
            step = self._steps.get(withdrawal.state)
            idle = step is None or withdrawal.asset in self._health.disputed(now=self._clock())
            if not idle and self._pauses.due(_key(withdrawal), now=self._clock()):
                progress |= await self._try(withdrawal)
        return progress

    async def _try(self, withdrawal: Withdrawal) -> bool:
        try:
            case = await self._store.read(lambda snapshot: read_case(snapshot, withdrawal))
            step = self._steps.get(case.withdrawal.state)
            if case.account.halted:
                # Nothing more leaves it; what a node already has is past halting.
                step = self._remind if case.withdrawal.state in SPENDABLE else None
            if step is None:
                return False
            progress = await step(case)
        except (StoreUnavailable, WrongNetwork):
            raise
        except (
            ChainError,
            SignerError,
            CustodyError,
            CoinsInsufficient,
            FeesUnaffordable,
            InputsTooLong,
            TransactionInvalid,
        ) as error:
            _log.warning("failed", **_named(withdrawal), error=type(error).__name__, detail=str(error))
            self._pauses.failed(_key(withdrawal), now=self._clock())
            return False
        except Exception:  # noqa: BLE001 - one withdrawal's edge: nobody else's waits for it
            # A fault of this program: as after a crash, the step on record is done again.
            _log.critical("unforeseen fault, it alone waits", **_named(withdrawal), exc_info=True)
            self._pauses.failed(_key(withdrawal), now=self._clock())
            return False
        if progress:
            self._pauses.worked(_key(withdrawal))
        return progress

    async def _plan(self, case: OutflowCase) -> bool:
        """REQUESTED: choose coins and anchor, write the intent."""
        anchor: Anchor
        withdrawal = case.withdrawal
        if withdrawal.asset is Asset.BTC:
            coins = await self._choose_coins(case)
            first = coins[0].outpoint
            anchor = OutpointAnchor(txid=first.txid, index=first.index)
        else:
            coins, anchor = (), NonceAnchor(chain_id=case.policy.network.chain_id, nonce=case.next_nonce)
        command = planning.PlanWithdrawal(
            account=withdrawal.account,
            withdrawal=withdrawal.withdrawal,
            intent=IntentId(str(uuid.uuid4())),
            anchor=anchor,
            coins=tuple(coin.outpoint for coin in coins),
        )
        await self._store.execute(lambda uow: planning.plan(uow, command, now=self._clock()))
        return True

    async def _choose_coins(self, case: OutflowCase) -> tuple[Coin, ...]:
        """Coins that cover amount and fee cap, and that signers can be shown: attempts spend all of them."""
        needed = Sats(case.withdrawal.held.units)
        sizes: dict[TxId, int] = {}
        while True:
            coins = select_coins(case.confirmed_coins, needed, anchor=case.bound_anchor, sizes=sizes)
            unknown = [coin for coin in coins if coin.outpoint.txid not in sizes]
            if not unknown:
                return coins
            made_by = await self._signing.previous(unknown)
            for coin, previous in zip(unknown, made_by, strict=True):
                sizes[coin.outpoint.txid] = len(previous.transaction)

    async def _announce(self, case: OutflowCase) -> bool:
        """ANNOUNCING: one signer that has not answered. Each pauses by itself: none holds up the others."""
        withdrawal = case.withdrawal
        heard = {answer.signer for answer in withdrawal.announcements}
        for terms in case.policy.signers:
            subject = (*_key(withdrawal), terms.signer)
            if terms.signer in heard or not self._pauses.due(subject, now=self._clock()):
                continue
            if await self._ask(case, terms.signer, self._announce_to):
                self._pauses.worked(subject)
            return True
        return False

    async def _announce_to(self, case: OutflowCase, signer: SignerId) -> None:
        receipt = await self._signers.announce(
            signer, intent=case.intent_envelope, release=case.release, allowlist_entry=case.allowlist_entry
        )
        command = self._answer(case, receipt)

        def record(uow: UnitOfWork) -> None:
            heard = receipts.record_announcement(uow, command, now=self._clock()).announcements
            if all(answer.signer != signer for answer in heard):
                raise SignerAnswerInvalid(signer, "the receipt is another signer's")

        await self._store.execute(record)

    async def _begin_attempt(self, case: OutflowCase) -> bool:
        """TIMELOCKED: once the time is over, write the attempt down before any signer is asked for it."""
        ends = case.withdrawal.timelock_ends_at
        if ends is None or self._clock() < ends:
            return False
        return await self._attempt(case)

    async def _attempt(self, case: OutflowCase) -> bool:
        # On record it ends with the signers' word alone, so none begins that they cannot be asked for.
        await self._signing.inputs(case.planned_coins)
        return await self._begin(case, fee=await self._pricing.next_fee(case), inputs=case.withdrawal.coins)

    async def _begin(self, case: OutflowCase, *, fee: Amount, inputs: tuple[Outpoint, ...]) -> bool:
        command = attempts.BeginAttempt(
            account=case.withdrawal.account,
            withdrawal=case.withdrawal.withdrawal,
            fee=fee,
            inputs=inputs,
        )
        await self._store.execute(lambda uow: attempts.begin_attempt(uow, command, now=self._clock()))
        return True

    async def _sign(self, case: OutflowCase) -> bool:
        """SIGNING: one signer for the attempt on record; with enough of them the transaction is complete."""
        await self._remind(case)
        for signer in self._signing.order(case):
            subject = (*_key(case.withdrawal), signer)
            if not self._pauses.due(subject, now=self._clock()):
                continue
            if await self._ask(case, signer, self._signing.ask):
                self._pauses.worked(subject)
            return True
        return False

    async def _ask(
        self,
        case: OutflowCase,
        signer: SignerId,
        question: Callable[[OutflowCase, SignerId], Awaitable[None]],
    ) -> bool:
        """Ask one signer; a refusal is written down, and what fails makes this signer alone pause.

        A use case that refuses the answer (`CustodyError`) says that the signer's receipt is not one.
        """
        subject = (*_key(case.withdrawal), signer)
        try:
            await question(case, signer)
        except SignerRefused as refusal:
            _log.warning("refused", **_named(case.withdrawal), signer=signer, detail=str(refusal))
            await self._record_refusal(case, refusal)
            self._pause_after(refusal, subject)
        except (StoreUnavailable, ChainError, InputsTooLong):
            raise
        except (SignerError, TransactionInvalid, CustodyError) as error:
            _log.warning(
                "failed",
                **_named(case.withdrawal),
                signer=signer,
                error=type(error).__name__,
                detail=str(error),
            )
            self._pauses.failed(subject, now=self._clock())
        except Exception:  # noqa: BLE001 - one signer's edge: the others may have all that is needed
            _log.critical(
                "unforeseen fault, it alone waits", **_named(case.withdrawal), signer=signer, exc_info=True
            )
            self._pauses.failed(subject, now=self._clock())
        else:
            return True
        return False

    async def _record_refusal(self, case: OutflowCase, refusal: SignerRefused) -> None:
        if refusal.receipt is None:
            return
        command = self._answer(case, refusal.receipt)
        try:
            await self._store.execute(lambda uow: receipts.record_refusal(uow, command, now=self._clock()))
        except StoreUnavailable:
            raise
        except CustodyError as error:
            # A receipt that does not verify proves nothing and is not kept; the refusal itself was heard.
            _log.warning(
                "refusal was not recorded",
                **_named(case.withdrawal),
                signer=refusal.signer,
                detail=str(error),
            )

    def _pause_after(self, refusal: SignerRefused, subject: tuple[str, str, SignerId]) -> None:
        now = self._clock()
        if refusal.tag in PASSING:
            self._pauses.wait(subject, seconds=TIMELOCK_RETRY_SECONDS, now=now)
        else:
            self._pauses.failed(subject, now=now)

    async def _broadcast(self, case: OutflowCase) -> bool:
        """SIGNED: hand the transaction on record to the nodes, or attempt again if they ask for more."""
        attempt = case.attempt
        try:
            await self._send(case, attempt)
        except FeeTooLow as refused:
            _log.info("fee too low", **_named(case.withdrawal), detail=str(refused))
            return await self._attempt(case)
        command = attempts.MarkBroadcast(
            account=case.withdrawal.account, withdrawal=case.withdrawal.withdrawal, attempt=attempt.number
        )
        await self._store.execute(lambda uow: attempts.mark_broadcast(uow, command, now=self._clock()))
        return True

    async def _broadcast_again(self, case: OutflowCase) -> bool:
        """BROADCAST: nodes forget, signers are left half asked, and what costs too little by now waits."""
        now, attempt = self._clock(), case.attempt
        self._pauses.wait(_key(case.withdrawal), seconds=REBROADCAST_SECONDS, now=now)
        refused = await self._send_again(case, case.withdrawal.payout)
        if attempt.raw is None:
            return await self._begin(case, fee=attempt.fee, inputs=attempt.inputs)
        if not refused and not self._waited_long(attempt, now):
            return False
        return await self._pricing.worth_bumping(case, refused=refused) and await self._attempt(case)

    async def _remind(self, case: OutflowCase) -> bool:
        """Whatever else happens, nodes are given again what they had, now and then."""
        subject = (*_key(case.withdrawal), "sent")
        if self._pauses.due(subject, now=self._clock()):
            self._pauses.wait(subject, seconds=REBROADCAST_SECONDS, now=self._clock())
            await self._send_again(case, case.withdrawal.sent)
        return False

    async def _send_again(self, case: OutflowCase, attempt: Attempt | None) -> bool:
        """Whether nodes refuse an attempt for its fee."""
        try:
            if attempt is not None:
                await self._send(case, attempt)
        except BroadcastRejected as error:
            # An earlier attempt may stand in a block already: the watcher will say so.
            _log.info("not taken again", **_named(case.withdrawal), detail=str(error))
            return isinstance(error, FeeTooLow)
        return False

    async def _send(self, case: OutflowCase, attempt: Attempt) -> None:
        if attempt.raw is None:
            raise TransactionInvalid(f"attempt {attempt.number} has no transaction on record")
        chain = self._bitcoin if case.withdrawal.asset is Asset.BTC else self._ethereum
        sent = await chain.broadcast(attempt.raw)
        if sent != attempt.transaction_id:
            raise TransactionInvalid(f"attempt {attempt.number} went out as {sent}")

    def _waited_long(self, attempt: Attempt, now: Seconds) -> bool:
        # A reorganisation can lead back to one that overtook its own broadcast.
        return now - (attempt.broadcast_at or attempt.created_at) >= BUMP_AFTER_SECONDS

    def _answer(self, case: OutflowCase, receipt: Envelope) -> receipts.RecordAnswer:
        return receipts.RecordAnswer(
            account=case.withdrawal.account, withdrawal=case.withdrawal.withdrawal, envelope=receipt
        )


def _key(withdrawal: Withdrawal) -> tuple[str, str]:
    return withdrawal.withdrawal, withdrawal.account


def _named(withdrawal: Withdrawal) -> dict[str, str]:
    """What a log line is about."""
    return {"account": withdrawal.account, "withdrawal": withdrawal.withdrawal}
