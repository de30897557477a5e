"""The encumbrance chain of an account, as its secured party keeps it.

The service orders what it is sent and says where the chain stands; it could say so falsely. Therefore a
statement is written down before it leaves; one whose outcome is unknown is sent again, byte for byte, before
anything else is signed; the head never goes back; and a head that this record does not know counts only when
the service shows its statement, signed by this party's own key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bailee.custody.v1 import account_pb2, lien_pb2

from custody.client.errors import VerificationError
from custody.client.signing_record import SignedEncumbrance, SigningRecord, StandingLien
from signers.statements.canonical import INTEGER_MAX
from signers.statements.encumbrance import Encumbrance
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, AccountId, Digest, Ed25519Key, Seconds
from signers.statements.network import Network
from signers.statements.refusals import Refusal
from signers.statements.report import AssetPosition, Report


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands."""

    sequence: int
    digest: Digest


START: Final = Head(0, GENESIS)
CHAIN_RACES_MAX: Final = 16
"""How often other processes of this party may be first before that is no race any more."""
LAPSE_TOLERANCE_SECONDS: Final = 30
"""How much older than its contents a report's time can be: what lapsed in between has been freed in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncumbranceChain:
    """One account's chain: pure checks over the record and what the service shows. It sends nothing."""

    network: Network
    account: AccountId
    key: Ed25519Key
    """The secured party's."""
    record: SigningRecord

    def moved(self) -> VerificationError:
        """The error of a chain that never stands still."""
        return VerificationError(f"the chain of {self.account} moved {CHAIN_RACES_MAX} times meanwhile")

    def known(self) -> Head | None:
        """The latest head on record."""
        head = self.record.head(self.key, self.account)
        return None if head is None else Head(head.sequence, head.digest)

    def told(self, resource: account_pb2.Account) -> Head:
        """The head that the service tells.

        Raises:
            VerificationError: no head at all.
        """
        try:
            digest = Digest(resource.encumbrance_digest) if resource.encumbrance_digest else GENESIS
        except ValueError as error:
            raise VerificationError(f"encumbrance head: {error}") from error
        if (resource.encumbrance_sequence == 0) is not (digest == GENESIS):
            raise VerificationError(f"encumbrance head {resource.encumbrance_sequence} is {digest}")
        return Head(resource.encumbrance_sequence, digest)

    def follow(self, told: Head, liens: list[lien_pb2.Lien], *, before: Head) -> Head:
        """Accept the head that the service tells, if it stands on this party's own signatures.

        Args:
            told: by the account.
            liens: of the account, as they stood at `told`.
            before: the head on record before the service was asked; others may share the record.

        Returns:
            The head on record now.

        Raises:
            VerificationError: the chain went back, forked, or stands on something this party never signed.
        """
        if told.sequence < before.sequence:
            raise VerificationError(
                f"the chain of {self.account} went back from {before.sequence} to {told.sequence}"
            )
        self._require_latest(told, liens)
        known = self.known() or START
        if told.sequence <= known.sequence:
            accepted = self.record.accepted(self.key, self.account, told.sequence)
            if accepted is not None and accepted.digest != told.digest:
                raise VerificationError(f"the chain of {self.account} has two statements {told.sequence}")
            return known
        shown = self._shown(told, liens)
        if told.sequence == known.sequence + 1 and shown[0].previous != known.digest:
            raise VerificationError(f"statement {told.sequence} does not continue the chain on record")
        refused = self.record.refused(self.key, self.account, told.digest)
        self.record.adopt(
            self.key,
            self.account,
            SignedEncumbrance(
                sequence=told.sequence,
                digest=told.digest,
                envelope=shown[1],
                request_id="",
                account_sequence=0,
            ),
        )
        if refused:  # said once: the record stands on it now, as the service does
            raise VerificationError(f"the service acted on {told.digest}, which it said it had refused")
        return told

    def require_accepted(self, resource: lien_pb2.Lien, statement: Encumbrance) -> None:
        """Raise `VerificationError` unless the service answers with exactly the statement it was sent."""
        expected = (f"accounts/{self.account}/liens/{statement.lien}", statement.digest, statement.sequence)
        answered = (resource.name, resource.statement_digest, resource.encumbrance_sequence)
        if answered != expected or not 0 < resource.account_sequence <= INTEGER_MAX:
            raise VerificationError(f"the service answers with {answered}, where {expected} was sent")

    def is_behind(self, report: Report) -> bool:
        """Whether the report stands on a statement that this record has not seen yet."""
        pending = self.record.pending(self.key, self.account)
        on_its_way = pending is not None and pending.digest == report.encumbrance_head
        return report.encumbrance_sequence > (self.known() or START).sequence and not on_its_way

    def check(self, report: Report) -> None:
        """Compare a verified report with the chain on record, and with the liens that stand by it.

        Raises:
            VerificationError: the report stands on another statement of the same place or on none of this
                party's, has dropped one that the service had accepted, stands on one that it said it had
                refused, or has other liens than this party signed.
        """
        sequence, head = report.encumbrance_sequence, self.record.head(self.key, self.account)
        if self.record.refused(self.key, self.account, report.encumbrance_head):
            raise VerificationError(f"the report stands on {report.encumbrance_head}, said to be refused")
        if self.is_behind(report):
            raise VerificationError(f"the report stands on encumbrance {sequence}, which is not this party's")
        accepted = self.record.accepted(self.key, self.account, sequence)
        if accepted is not None and accepted.digest != report.encumbrance_head:
            raise VerificationError(f"the report stands on another encumbrance {sequence}")
        if head is None:
            return
        covers = 0 < head.account_sequence <= report.account_sequence
        if covers and sequence < head.sequence:
            raise VerificationError(f"the report has dropped encumbrance {head.sequence}")
        liens = self.record.standing(self.key, self.account, sequence=sequence)
        if liens is not None:
            for position in report.positions:
                _check_liens(position, liens, at=report.at)

    def _shown(self, told: Head, liens: list[lien_pb2.Lien]) -> tuple[Encumbrance, bytes]:
        """The statement behind a head. It is the latest one of its lien, for it is the latest of all."""
        for lien in liens:
            if lien.statement_digest == told.digest:
                statement, envelope = self.own(lien.envelope)
                if (statement.sequence, statement.digest) == (told.sequence, told.digest):
                    return statement, envelope
        raise VerificationError(f"the service shows no statement for encumbrance {told.sequence}")

    def _require_latest(self, head: Head, liens: list[lien_pb2.Lien]) -> None:
        """A lien of a later statement gives an old head away."""
        latest = max((lien.encumbrance_sequence for lien in liens), default=0)
        if latest > head.sequence:
            raise VerificationError(
                f"a lien stands on encumbrance {latest}, the head is told as {head.sequence}"
            )

    def own(self, envelope: bytes) -> tuple[Encumbrance, bytes]:
        """A statement of this chain that this party signed.

        Raises:
            VerificationError: it is not.
        """
        try:
            signed = Envelope.from_json(envelope)
            statement = Encumbrance.read(signed, network=self.network)
        except Refusal as error:
            raise VerificationError(f"encumbrance: {error}") from error
        if statement.account != self.account or not signed.signed_by(self.key):
            raise VerificationError("an encumbrance that this party has not signed for this account")
        return statement, envelope


def _check_liens(position: AssetPosition, liens: Iterable[StandingLien], *, at: Seconds) -> None:
    """A reservation that has lapsed stands until custody has freed it: then either is right."""
    posted = least = most = 0
    for lien in liens:
        if lien.amount.asset is not position.asset:
            continue
        if lien.expires_at is None:
            posted += lien.amount.units
            continue
        most += lien.amount.units
        if lien.expires_at > at + LAPSE_TOLERANCE_SECONDS:
            least += lien.amount.units
    if position.posted.units != posted:
        raise VerificationError(f"{position.asset}: {position.posted} posted, where {posted} was signed")
    if not least <= position.reserved.units <= most:
        signed = f"{most}" if least == most else f"{least} to {most}"
        raise VerificationError(f"{position.asset}: {position.reserved} reserved, where {signed} was signed")
