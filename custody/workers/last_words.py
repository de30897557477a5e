"""Ask the signers for their last words on what ended unpaid, so that its release is counted no longer.

Each question is one that an honest signer can only refuse, whatever the clocks say: to announce an intent
that nobody has signed, to sign on an announcement that nobody has signed. Signers look at the time before
they look at either, so that once it is over the refusal says so, and says it for good.
"""

from typing import Final

import structlog

from custody.application import last_words
from custody.application.last_words import LAST, RecordLastWord
from custody.application.ports.signers import SignerError, SignerRefused, Signers
from custody.application.ports.store import Store
from custody.domain.errors import CustodyError, StoreUnavailable
from custody.domain.withdrawal import SignerAnswer, Withdrawal
from custody.workers.outflow_case import OutflowCase, read_case
from custody.workers.pauses import Pauses
from custody.workers.run_loop import Clock
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import SignerId
from signers.statements.receipt import Act

ROUND_SECONDS: Final = 300
"""Between two looks at what has ended: nobody waits for it but a release that is counted too long."""
_ROUND: Final = "round"
_log = structlog.get_logger(__name__)


class LastWords:
    """Asks every signer once that could have signed, until it answers.

    Args:
        store: the ledger.
        signers: the signers of the policy.
        clock: the time.
        pauses: when a signer that did not answer is asked again.
    """

    name = "last-words"

    def __init__(
        self,
        *,
        store: Store,
        signers: Signers,
        clock: Clock,
        pauses: Pauses | None = None,
    ) -> None:
        self._store = store
        self._signers = signers
        self._clock = clock
        self._pauses = pauses or Pauses()

    async def tick(self) -> bool:
        """One question to each signer that is still to be heard, now and then.

        Raises:
            StoreUnavailable: the store has stopped.
        """
        now = self._clock()
        if not self._pauses.due(_ROUND, now=now):
            return False
        for each in await self._store.read(lambda snapshot: last_words.unheard(snapshot, now=now)):
            for signer in each.signers:
                await self._hear(each.withdrawal, signer)
        self._pauses.wait(_ROUND, seconds=ROUND_SECONDS, now=now)
        return False

    async def _hear(self, withdrawal: Withdrawal, signer: SignerId) -> None:
        subject = (withdrawal.withdrawal, withdrawal.account, signer)
        if not self._pauses.due(subject, now=self._clock()):
            return
        try:
            case = await self._store.read(lambda snapshot: read_case(snapshot, withdrawal))
            act, receipt = await self._asked(case, signer)
            command = RecordLastWord(
                account=withdrawal.account, withdrawal=withdrawal.withdrawal, act=act, envelope=receipt
            )
            await self._store.execute(lambda uow: last_words.record(uow, command, now=self._clock()))
        except StoreUnavailable:
            raise
        except (SignerError, CustodyError) as error:
            _log.warning(
                "failed",
                account=withdrawal.account,
                withdrawal=withdrawal.withdrawal,
                signer=signer,
                error=type(error).__name__,
                detail=str(error),
            )
            self._pauses.failed(subject, now=self._clock())
        else:
            self._pauses.worked(subject)

    async def _asked(self, case: OutflowCase, signer: SignerId) -> tuple[Act, Envelope]:
        """What it did, and its receipt.

        Raises:
            SignerError: no answer, or a refusal that may pass.
        """
        announced = [each for each in case.withdrawal.announcements if each.signer == signer]
        try:
            if announced:
                return Act.SIGNED, await self._ask_to_sign(case, announced[0])
            return Act.ANNOUNCED, await self._ask_to_announce(case, signer)
        except SignerRefused as refusal:
            if refusal.tag not in LAST or refusal.receipt is None:
                raise
            return Act.REFUSED, refusal.receipt

    async def _ask_to_announce(self, case: OutflowCase, signer: SignerId) -> Envelope:
        """An intent that it knows it announces again; any other one lacks maker and approvers."""
        return await self._signers.announce(
            signer,
            intent=_unsigned(case.intent_envelope),
            release=case.release,
            allowlist_entry=case.allowlist_entry,
        )

    async def _ask_to_sign(self, case: OutflowCase, announced: SignerAnswer) -> Envelope:
        """On its own announcement without its signature, which is none, and without an input."""
        cap, digest = case.intent.fee_cap.units, case.intent_envelope.digest
        receipts = (_unsigned(announced.envelope),)
        if case.withdrawal.asset is Asset.ETH:
            ether = await self._signers.sign_ethereum(
                announced.signer, intent_digest=digest, fee=Wei(cap), announce_receipts=receipts
            )
            return ether.receipt
        bitcoin = await self._signers.sign_bitcoin(
            announced.signer, intent_digest=digest, fee=Sats(cap), inputs=(), announce_receipts=receipts
        )
        return bitcoin.receipt


def _unsigned(envelope: Envelope) -> Envelope:
    return Envelope(envelope.payload_type, envelope.payload)
