"""What every statement has in common."""

from dataclasses import dataclass
from typing import ClassVar, Self

from signers.statements import canonical, schema
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest
from signers.statements.network import Network
from signers.statements.refusals import Refusal, Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A typed, versioned statement. Its JSON object has exactly the fields of its dataclass."""

    TYPE: ClassVar[str]
    """The DSSE payload type; it carries the version."""

    network: Network
    """The chains it speaks of; a statement of another network is refused."""

    def payload(self) -> bytes:
        """The canonical bytes (RFC 8785)."""
        return canonical.encode(schema.to_json(self))

    def envelope(self) -> Envelope:
        """The unsigned envelope."""
        return Envelope(self.TYPE, self.payload())

    @property
    def digest(self) -> Digest:
        """SHA-256 of the PAE of type and payload."""
        return self.envelope().digest

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read canonical bytes as this statement.

        Raises:
            Refusal: `statement-malformed`, `statement-non-canonical` or `statement-duplicate-key`.
        """
        try:
            return schema.from_json(cls, canonical.parse(payload))
        except schema.Mismatch as error:
            raise Refusal(Tag.STATEMENT_MALFORMED, str(error)) from error

    @classmethod
    def read(cls, envelope: Envelope, *, network: Network) -> Self:
        """Read an envelope's payload as this statement, of this network. Signatures are not looked at.

        Raises:
            Refusal: as `parse`, `statement-type` or `statement-network`.
        """
        if envelope.payload_type != cls.TYPE:
            raise Refusal(Tag.STATEMENT_TYPE, f"{envelope.payload_type[:72]!r} where {cls.TYPE} is expected")
        statement = cls.parse(envelope.payload)
        if statement.network is not network:
            raise Refusal(Tag.STATEMENT_NETWORK, f"statement of {statement.network}, not of {network}")
        return statement


def payload_type(name: str) -> str:
    """The payload type of version 1 of a statement."""
    return f"application/vnd.bailee.{name}.v1+json"
