"""A key that signs nothing before it is written down: one statement about each resource, for ever."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client.signing_record import SigningRecord
from signers.statements.envelope import Envelope, public_key_of, sign
from signers.statements.statement import Statement


class RecordedKey:
    """A private key and the record of what it signed.

    Args:
        key: the private key.
        record: what was signed.
    """

    def __init__(self, key: Ed25519PrivateKey, record: SigningRecord) -> None:
        self._key = key
        self._record = record
        self.public_key = public_key_of(key)

    def sign_about(self, subject: str, statement: Statement) -> bytes:
        """Bind, then sign.

        Raises:
            VerificationError: this key is bound to another statement about the subject; nothing was signed.
        """
        self.bind(subject, statement)
        return self.sign(statement)

    def bind(self, subject: str, statement: Statement) -> None:
        """Write down that this key signs this statement about a resource, and never another one.

        Raises:
            VerificationError: it is bound to another one.
        """
        envelope = statement.envelope()
        self._record.bind(self.public_key, subject, digest=envelope.digest, envelope=envelope.to_json())

    def bound(self, subject: str) -> Envelope | None:
        """The statement about a resource that this key is bound to, without its signature."""
        before = self._record.bound(self.public_key, subject)
        return None if before is None else Envelope.from_json(before[1])

    def sign(self, statement: Statement) -> bytes:
        """The statement in an envelope with this key's signature alone. The caller has written it down."""
        return sign(self._key, statement.envelope()).to_json()
