"""Envelopes into statements; every refusal becomes a typed error of custody that keeps its tag."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from custody.domain.errors import StatementMismatch, StatementSignature, from_refusal
from signers.statements.envelope import Envelope, verify
from signers.statements.identifiers import Digest, Ed25519Key, Seconds
from signers.statements.network import Network
from signers.statements.policy import Policy, Role
from signers.statements.refusals import Refusal, Tag
from signers.statements.statement import Statement

S = TypeVar("S", bound=Statement)


@contextmanager
def refusals(*, field: str) -> Iterator[None]:
    """Raise a `Refusal` of the statements' rules as the `CustodyError` it means, about `field`."""
    try:
        yield
    except Refusal as refusal:
        raise from_refusal(refusal, field=field) from refusal


def read(statement: type[S], envelope: Envelope, *, network: Network, field: str = "envelope") -> S:
    """The statement that an envelope carries. Signatures are not looked at.

    Raises:
        StatementMalformed: not a canonical statement of this type.
        StatementMismatch: of another network.
    """
    try:
        return statement.read(envelope, network=network)
    except Refusal as refusal:
        raise from_refusal(refusal, field=field) from refusal


def require_single_signature(
    envelope: Envelope, key: Ed25519Key, *, tag: Tag, whose: str, field: str = "envelope"
) -> None:
    """Raise `StatementSignature` unless exactly one signature stands, this key's, and it is valid."""
    if len(envelope.signatures) != 1:
        raise StatementSignature(
            f"{len(envelope.signatures)} signatures where {whose} signs alone", field=field, tag=tag
        )
    if not verify(key, envelope.signatures[0].sig, envelope.message):
        raise StatementSignature(f"not signed by {whose}", field=field, tag=tag)


def without_revoked(envelope: Envelope, *, policy: Policy, maker: Ed25519Key, now: Seconds) -> Envelope:
    """The envelope without the approvals of keys that are revoked by now.

    Whoever reads it refuses it whole for one of them, signers included; what was said with such a key does
    not count any more, and somebody has to say it again.

    Args:
        envelope: with the signatures gathered so far.
        policy: when each key is revoked.
        maker: whose own signature stands among the approvals, and stays.
        now: the time.
    """
    revoked = {
        key.public_key.key_id
        for key in policy.keys
        if key.role is Role.APPROVER and key.revoked_at is not None and now >= key.revoked_at
    }
    kept = (s for s in envelope.signatures if s.keyid not in revoked or s.keyid == maker.key_id)
    return replace(envelope, signatures=tuple(kept))


def require_same(envelope: Envelope, digest: Digest | None, *, tag: Tag, field: str = "envelope") -> None:
    """Raise `StatementMismatch` unless the envelope carries the statement on record."""
    if envelope.digest != digest:
        raise StatementMismatch(
            f"carries {envelope.digest}, not the {digest} on record",
            field=field,
            tag=tag,
            data={"digest": digest or ""},
        )
