"""What a client signed and saw, so that custody can neither lead it back nor make it say two things.

Without a record a service that shows an old head of the encumbrance chain gets a second statement signed for
a sequence that already has one, and can afterwards present the history in which a posted lien never was.
"""

from dataclasses import dataclass
from typing import Final, final

from custody.client.errors import VerificationError
from custody.client.record_file import RecordFile
from signers.statements.amounts import Amount, Asset, amount_of
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Ed25519Key, Seconds
from signers.statements.intent import Intent

LINKS_KEPT: Final = 1_000
"""How many of the newest batches are told apart; reports of older ones are too old to be taken."""
_ENCUMBRANCE: Final = (
    "SELECT sequence, digest, envelope, request_id, account_sequence FROM encumbrance"
    " WHERE root = ? AND key = ? AND account = ? "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMark:
    """The newest report of an account that was verified."""

    sequence: int
    """Of its batch."""
    digest: Digest
    """Of its batch."""
    account_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedEncumbrance:
    """One statement of the chain of encumbrances, as it was signed."""

    sequence: int
    digest: Digest
    envelope: bytes
    request_id: str
    """Under which it was sent; asked again under the same, it has one effect."""
    account_sequence: int
    """The account's sequence after the service accepted it; 0 before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingLien:
    """What this party's own statements leave of a lien."""

    amount: Amount
    expires_at: Seconds | None
    """When a reservation lapses by itself; `None` once posted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRelease:
    """A release that was signed, and can therefore be used."""

    intent: Intent
    withdrawal: str
    expires_at: Seconds
    """When no signer announces on it any more."""

    @property
    def held(self) -> Amount:
        """Amount and fee cap: the most that can leave on it."""
        return self.intent.amount + self.intent.fee_cap


@final
class SigningRecord(RecordFile):
    """What is remembered, by the root policy's digest and the key that signed, so that deployments never mix.

    Each method is one short transaction, on disk before it returns.
    """

    def batch(self, account: str) -> BatchMark | None:
        """The newest report seen of an account."""
        row = self.row(
            "SELECT sequence, digest, account_sequence FROM batch WHERE root = ? AND account = ?",
            self.root,
            account,
        )
        return (
            None
            if row is None
            else BatchMark(sequence=row[0], digest=Digest(row[1]), account_sequence=row[2])
        )

    def batches(self) -> dict[str, BatchMark]:
        """The newest report seen of each account, by its id."""
        rows = self.rows(
            "SELECT account, sequence, digest, account_sequence FROM batch WHERE root = ?",
            self.root,
        )
        return {
            account: BatchMark(sequence=sequence, digest=Digest(digest), account_sequence=account_sequence)
            for account, sequence, digest, account_sequence in rows
        }

    def see_batch(self, account: str, mark: BatchMark, *, previous: Digest) -> None:
        """Remember a report, unless a newer one of the account is known, and its batch with the one before.

        Raises:
            VerificationError: another batch of one of these two numbers is known, from whichever account's
                report. Both are signed: keep them.
        """
        with self.transaction():
            for sequence, digest in ((mark.sequence - 1, previous), (mark.sequence, mark.digest)):
                self._link(sequence, digest)
            self.write(
                "INSERT INTO batch VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " sequence = excluded.sequence, digest = excluded.digest,"
                " account_sequence = excluded.account_sequence WHERE excluded.sequence > sequence",
                *(self.root, account, mark.sequence, mark.digest, mark.account_sequence),
            )
            self.write(
                "DELETE FROM link WHERE root = ? AND sequence < ?", self.root, mark.sequence - LINKS_KEPT
            )

    def _link(self, sequence: int, digest: Digest) -> None:
        known = self.row("SELECT digest FROM link WHERE root = ? AND sequence = ?", self.root, sequence)
        if known is None:
            self.write("INSERT INTO link VALUES (?, ?, ?)", self.root, sequence, digest)
        elif known[0] != digest:
            raise VerificationError(f"two different batches {sequence} are signed: {known[0]} and {digest}")

    def bind(self, key: Ed25519Key, subject: str, *, digest: Digest, envelope: bytes) -> None:
        """Bind a subject to the one statement that this key signs about it, for ever. Before signing.

        Args:
            key: who signs.
            subject: a resource name: an account, a destination, a withdrawal.
            digest: of the statement.
            envelope: the statement, to hand in the same one again.

        Raises:
            VerificationError: this key signed another statement about it.
        """
        with self.transaction():
            bound = self.bound(key, subject)
            if bound is None:
                self.write(
                    "INSERT INTO subject VALUES (?, ?, ?, ?, ?)", self.root, key, subject, digest, envelope
                )
            elif bound[0] != digest:
                raise VerificationError(
                    f"{subject}: this key signed {bound[0]} already, and now {digest} is asked"
                )

    def bound(self, key: Ed25519Key, subject: str) -> tuple[Digest, bytes] | None:
        """Digest and envelope of the statement that this key signed about a subject."""
        row = self.row(
            "SELECT digest, envelope FROM subject WHERE root = ? AND key = ? AND subject = ?",
            *(self.root, key, subject),
        )
        return None if row is None else (Digest(row[0]), bytes(row[1]))

    def signed_about(self, subject: str) -> set[Digest]:
        """Digests of the statements that any key signed here about a subject."""
        rows = self.rows(
            "SELECT digest FROM subject WHERE root = ? AND subject = ?",
            self.root,
            subject,
        )
        return {Digest(digest) for (digest,) in rows}

    def head(self, key: Ed25519Key, account: str) -> SignedEncumbrance | None:
        """The latest encumbrance that the service accepted."""
        return self._encumbrance(
            "AND outcome = 'accepted' ORDER BY sequence DESC LIMIT 1", self.root, key, account
        )

    def pending(self, key: Ed25519Key, account: str) -> SignedEncumbrance | None:
        """The encumbrance that was signed and whose outcome is not known."""
        return self._encumbrance("AND outcome = 'pending'", self.root, key, account)

    def refused(self, key: Ed25519Key, account: str, digest: str) -> bool:
        """Whether the service said that it refused this statement."""
        found = self._encumbrance("AND outcome = 'refused' AND digest = ?", self.root, key, account, digest)
        return found is not None

    def accepted(self, key: Ed25519Key, account: str, sequence: int) -> SignedEncumbrance | None:
        """The encumbrance of that place that the service accepted."""
        return self._encumbrance(
            "AND outcome = 'accepted' AND sequence = ?", self.root, key, account, sequence
        )

    def encumbering_key(self, account: str) -> Ed25519Key | None:
        """The key by which encumbrances of an account were signed here."""
        row = self.row(
            "SELECT key FROM encumbrance WHERE root = ? AND account = ? LIMIT 1", self.root, account
        )
        return None if row is None else Ed25519Key(row[0])

    def standing(self, key: Ed25519Key, account: str, *, sequence: int) -> list[StandingLien] | None:
        """The liens that stand after the encumbrance of that place.

        Returns:
            `None` unless it is the latest one and this record has it and every one before it.
        """
        if self._stood(key, account) != sequence:
            return None
        rows = self.rows(
            "SELECT asset, units, expires_at FROM lien WHERE root = ? AND key = ? AND account = ?",
            *(self.root, key, account),
        )
        return [
            StandingLien(amount=amount_of(Asset(asset), int(units)), expires_at=expires_at)
            for asset, units, expires_at in rows
        ]

    def begin(self, key: Ed25519Key, account: str, statement: SignedEncumbrance) -> bool:
        """Write an encumbrance down before it leaves.

        Returns:
            False where another process of this party began one meanwhile: settle that one first.
        """
        with self.transaction():
            head, pending = self.head(key, account), self.pending(key, account)
            if pending is not None or (head is not None and head.sequence >= statement.sequence):
                return False
            self._insert(key, account, statement, "pending")
            return True

    def adopt(self, key: Ed25519Key, account: str, statement: SignedEncumbrance) -> None:
        """Take over an encumbrance that another process of this party signed, as the chain's head."""
        with self.transaction():
            self._insert(key, account, statement, "accepted")
            self._stand(key, account, statement.digest)

    def accept(self, key: Ed25519Key, account: str, digest: Digest, *, account_sequence: int) -> None:
        """The service accepted it."""
        with self.transaction():
            self.write(
                "UPDATE encumbrance SET outcome = 'accepted', account_sequence = ?"
                " WHERE root = ? AND key = ? AND account = ? AND digest = ?",
                *(account_sequence, self.root, key, account, digest),
            )
            self._stand(key, account, digest)

    def refuse(self, key: Ed25519Key, account: str, digest: Digest) -> None:
        """The service says that it refused it. Kept, to notice if it acts on it after all."""
        self.write(
            "UPDATE encumbrance SET outcome = 'refused'"
            " WHERE root = ? AND key = ? AND account = ? AND digest = ? AND outcome = 'pending'",
            *(self.root, key, account, digest),
        )

    def release(self, release: SignedRelease) -> None:
        """Count a release from now on. Before it is sent; one that stands already keeps the later expiry.

        Its intent was bound to the withdrawal before, by `bind`.
        """
        intent, held = release.intent, release.held
        self.write(
            "INSERT INTO release VALUES (?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET"
            " expires_at = max(expires_at, excluded.expires_at), ended = 0",
            *(self.root, intent.digest, intent.account, release.withdrawal),
            *(held.asset.value, str(held.units), release.expires_at),
        )

    def outstanding(self, account: str) -> list[SignedRelease]:
        """The releases on which coins can still leave."""
        rows = self.rows(
            "SELECT (SELECT envelope FROM subject WHERE subject.root = release.root"
            "   AND subject.digest = release.intent_digest), withdrawal, expires_at FROM release"
            " WHERE root = ? AND account = ? AND ended = 0",
            *(self.root, account),
        )
        return [
            SignedRelease(
                intent=Intent.parse(Envelope.from_json(envelope).payload),
                withdrawal=withdrawal,
                expires_at=Seconds(expires_at),
            )
            for envelope, withdrawal, expires_at in rows
        ]

    def end_release(self, intent_digest: Digest) -> None:
        """Nothing more can leave on it."""
        self.write(
            "UPDATE release SET ended = 1 WHERE root = ? AND intent_digest = ?", self.root, intent_digest
        )

    def _stood(self, key: Ed25519Key, account: str) -> int:
        row = self.row(
            "SELECT sequence FROM standing WHERE root = ? AND key = ? AND account = ?",
            *(self.root, key, account),
        )
        return 0 if row is None else int(row[0])

    def _stand(self, key: Ed25519Key, account: str, digest: Digest) -> None:
        """Carry an accepted encumbrance over to what stands. Past a gap it is not known what stands."""
        accepted = self._encumbrance("AND digest = ?", self.root, key, account, digest)
        if accepted is None or accepted.sequence != self._stood(key, account) + 1:
            return
        whose = (self.root, key, account)
        statement = Encumbrance.parse(Envelope.from_json(accepted.envelope).payload)
        amount = statement.amount
        self.write(
            "DELETE FROM lien WHERE root = ? AND key = ? AND account = ? AND lien = ?", *whose, statement.lien
        )
        if statement.kind is not EncumbranceKind.VOID:
            self.write(
                "INSERT INTO lien VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(*whose, statement.lien, amount.asset.value, str(amount.units), statement.expires_at),
            )
        self.write(
            "INSERT INTO standing VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence",
            *(*whose, accepted.sequence),
        )

    def _insert(self, key: Ed25519Key, account: str, statement: SignedEncumbrance, outcome: str) -> None:
        self.write(
            "INSERT INTO encumbrance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (root, key, account, digest) DO UPDATE SET"
            " outcome = excluded.outcome, account_sequence = excluded.account_sequence",
            *(self.root, key, account, statement.sequence, statement.digest),
            *(statement.envelope, statement.request_id, outcome, statement.account_sequence),
        )

    def _encumbrance(self, sql: str, *values: object) -> SignedEncumbrance | None:
        row = self.row(_ENCUMBRANCE + sql, *values)
        if row is None:
            return None
        return SignedEncumbrance(
            sequence=row[0],
            digest=Digest(row[1]),
            envelope=bytes(row[2]),
            request_id=row[3],
            account_sequence=row[4],
        )
