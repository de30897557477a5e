"""Ask one signer to sign the attempt on record, and complete the transaction when enough have.

BTC: two of the three signers, whichever answer. ETH: the one signer that holds the key (single-holder).
"""

from collections.abc import Sequence

from custody.application import attempts, withdrawals
from custody.application.ports.chains import BitcoinChain, TransactionNotFound
from custody.application.ports.signers import (
    PREVIOUS_BYTES_TOTAL_MAX,
    BitcoinAttempt,
    PreviousOutput,
    Signers,
)
from custody.application.ports.store import Store, UnitOfWork
from custody.application.ports.verification import (
    BitcoinPayout,
    EthereumPayout,
    PayoutVerifier,
    SignedTransaction,
    TransactionInvalid,
)
from custody.domain.deposit import Coin
from custody.domain.withdrawal import PartialSignatures
from custody.workers.coin_selection import InputsTooLong
from custody.workers.outflow_case import OutflowCase
from custody.workers.run_loop import Clock
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, SignerId
from signers.statements.multisig import THRESHOLD


class Signing:
    """The SIGNING step.

    Args:
        store: the ledger.
        bitcoin: has the previous transactions.
        signers: the signers of the policy.
        verifier: reads what they signed.
        clock: the time.
    """

    def __init__(
        self, *, store: Store, bitcoin: BitcoinChain, signers: Signers, verifier: PayoutVerifier, clock: Clock
    ) -> None:
        self._store = store
        self._bitcoin = bitcoin
        self._signers = signers
        self._verifier = verifier
        self._clock = clock

    def order(self, case: OutflowCase) -> Sequence[SignerId]:
        """Whom to ask, the most useful first.

        BTC: who has not signed; once enough have, one of them again, since a restart forgot the transaction
        that they constructed, and then the others, in case one of the two signed rubbish. Nobody is asked who
        has said that it never will: that word ends the withdrawal, and another question could only undo it.
        """
        forgone = case.withdrawal.forgone
        willing = [
            signer
            for signer in withdrawals.could_sign(case.statement, case.withdrawal.asset)
            if signer not in forgone
        ]
        if case.withdrawal.asset is Asset.ETH:
            return willing
        signed = [partial.signer for partial in case.attempt.partials]
        missing = [signer for signer in willing if signer not in signed]
        return missing if len(signed) < THRESHOLD else [*signed, *missing]

    async def ask(self, case: OutflowCase, signer: SignerId) -> None:
        """Ask one signer, write down what it signed, and complete the transaction if that is possible.

        Raises:
            SignerError: as the port.
            TransactionInvalid: what it signed is not the attempt on record.
            ChainError, InputsTooLong: the inputs cannot be shown, and the signer could still sign.
        """
        if case.withdrawal.asset is Asset.BTC:
            await self._ask_bitcoin(case, signer)
        else:
            await self._ask_ethereum(case, signer)

    async def _ask_bitcoin(self, case: OutflowCase, signer: SignerId) -> None:
        coins = _coins_of_attempt(case)
        others = [partial for partial in case.attempt.partials if partial.signer != signer]
        answer = await self._signers.sign_bitcoin(
            signer,
            intent_digest=_digest(case),
            fee=Sats(case.attempt.fee.units),
            inputs=await self._inputs_for(case, signer, coins),
            announce_receipts=_receipts(case),
            partials=others,
        )
        await self._store.execute(lambda uow: self._record_partial(uow, case, answer))
        if len(others) + 1 < THRESHOLD:
            return
        payout = BitcoinPayout(
            account=case.statement, intent=case.intent, coins=coins, fee=Sats(case.attempt.fee.units)
        )
        complete = self._verifier.assemble_bitcoin(
            payout=payout, unsigned=answer.unsigned, partials=[*others, answer.partial]
        )
        await self._store.execute(lambda uow: self._record_complete(uow, case, complete))

    async def _ask_ethereum(self, case: OutflowCase, signer: SignerId) -> None:
        fee = Wei(case.attempt.fee.units)
        answer = await self._signers.sign_ethereum(
            signer, intent_digest=_digest(case), fee=fee, announce_receipts=_receipts(case)
        )
        payout = EthereumPayout(account=case.statement, intent=case.intent, fee=fee)
        complete = self._verifier.verify_ethereum(payout=payout, raw=answer.raw)

        def record(uow: UnitOfWork) -> None:
            # An Ethereum signature is the whole transaction: there are no parts to keep beside it.
            self._record(uow, case, PartialSignatures(signer=signer, signatures=()), answer.receipt)
            self._record_complete(uow, case, complete)

        await self._store.execute(record)

    async def previous(self, coins: Sequence[Coin]) -> tuple[PreviousOutput, ...]:
        """Each coin, with the transaction that made it.

        Raises:
            ChainError: one is not to be had.
        """
        # One after the other: as many at once as a payout may have inputs would fill the queue to a node.
        return tuple([await self._previous(coin) for coin in coins])

    async def inputs(self, coins: Sequence[Coin]) -> tuple[PreviousOutput, ...]:
        """What signers are shown of an attempt that spends these coins.

        Raises:
            ChainError: a transaction that made one is not to be had.
            InputsTooLong: together they are more than a signer takes.
        """
        shown = await self.previous(coins)
        size = sum(len(each.transaction) for each in shown)
        if size > PREVIOUS_BYTES_TOTAL_MAX:
            raise InputsTooLong(f"{size} bytes of previous transactions")
        return shown

    async def _inputs_for(
        self, case: OutflowCase, signer: SignerId, coins: Sequence[Coin]
    ) -> tuple[PreviousOutput, ...]:
        try:
            return await self.inputs(coins)
        except (TransactionNotFound, InputsTooLong):
            signed = any(answer.signer == signer for answer in case.withdrawal.signed_receipts)
            if signed or self._clock() < case.withdrawal.expires_at:
                raise
        # What cannot be shown cannot be signed, and the hold waits for the signers' word. One that never
        # attempted it says that it never will (ADR 17), whatever it is shown.
        return ()

    async def _previous(self, coin: Coin) -> PreviousOutput:
        block = coin.block.block_hash if coin.block is not None else None
        raw = await self._bitcoin.raw_transaction(coin.outpoint.txid, block=block)
        return PreviousOutput(transaction=raw, index=coin.outpoint.index)

    def _record_partial(self, uow: UnitOfWork, case: OutflowCase, answer: BitcoinAttempt) -> None:
        self._record(uow, case, answer.partial, answer.receipt)

    def _record(
        self, uow: UnitOfWork, case: OutflowCase, partial: PartialSignatures, receipt: Envelope
    ) -> None:
        command = attempts.RecordSignatures(
            account=case.withdrawal.account,
            withdrawal=case.withdrawal.withdrawal,
            attempt=case.attempt.number,
            partial=partial,
            receipt=receipt,
        )
        attempts.record_signatures(uow, command, now=self._clock())

    def _record_complete(self, uow: UnitOfWork, case: OutflowCase, complete: SignedTransaction) -> None:
        command = attempts.RecordTransaction(
            account=case.withdrawal.account,
            withdrawal=case.withdrawal.withdrawal,
            attempt=case.attempt.number,
            transaction_id=complete.transaction_id,
            raw=complete.raw,
        )
        attempts.record_transaction(uow, command, now=self._clock())


def _coins_of_attempt(case: OutflowCase) -> tuple[Coin, ...]:
    by_outpoint = {coin.outpoint: coin for coin in case.planned_coins}
    try:
        return tuple(by_outpoint[outpoint] for outpoint in case.attempt.inputs)
    except KeyError as error:
        raise TransactionInvalid(f"{error} is no coin on record") from error


def _digest(case: OutflowCase) -> Digest:
    return case.intent_envelope.digest


def _receipts(case: OutflowCase) -> tuple[Envelope, ...]:
    return tuple(answer.envelope for answer in case.withdrawal.announcements)
