"""DSSE envelopes: a payload, its type, and who signed it.

Source: DSSE v1.0.2, https://github.com/secure-systems-lab/dsse. Signatures are Ed25519 (RFC 8032) over
the pre-authentication encoding (PAE) of type and payload. A digest is of the PAE, never of the envelope,
so adding a signature changes no digest.
"""

import binascii
import functools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from signers.statements.canonical import refuse_deep_nesting
from signers.statements.identifiers import Digest, Ed25519Key, KeyId
from signers.statements.refusals import Refusal, Tag

ENVELOPE_BYTES_MAX: Final = 128 * 1024
SIGNATURES_MAX: Final = 64

_PAYLOAD_TYPE: Final = re.compile(r"[!-~]{1,128}", re.ASCII)


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: length-framed, so no two pairs share one encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an envelope."""

    keyid: KeyId
    """A hint which key to try; the key itself comes from a policy or an account statement."""

    sig: bytes
    """64 bytes of Ed25519."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with the signatures collected so far.

    Raises:
        ValueError: a payload type that is not 1..128 printable ASCII characters (a lone surrogate has no
            PAE), or more than `SIGNATURES_MAX` signatures.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...] = ()

    def __post_init__(self) -> None:
        if not _PAYLOAD_TYPE.fullmatch(self.payload_type):
            raise ValueError("payloadType is 1..128 printable ASCII characters")
        if len(self.signatures) > SIGNATURES_MAX:
            raise ValueError(f"an envelope holds at most {SIGNATURES_MAX} signatures")

    @property
    def digest(self) -> Digest:
        """SHA-256 of the PAE: the one name of what is signed."""
        return Digest.of(self.message)

    @property
    def message(self) -> bytes:
        """What each signature covers."""
        return pae(self.payload_type, self.payload)

    def signed_by(self, key: Ed25519Key) -> bool:
        """Whether one of the signatures is `key`'s and valid.

        A signature that claims this key and is invalid counts as absent here; where a wrong signature must be
        told apart, ask `verify`.
        """
        return any(s.keyid == key.key_id and verify(key, s.sig, self.message) for s in self.signatures)

    def with_signature(self, signature: Signature) -> Self:
        """The same payload with one more signature; one that stands already is not added twice.

        Raises:
            ValueError: the envelope is full.
        """
        if signature in self.signatures:
            return self
        return replace(self, signatures=(*self.signatures, signature))

    def with_signatures_of(self, others: Iterable["Envelope"]) -> Self:
        """Gather the signatures of envelopes that carry the same payload.

        Raises:
            ValueError: one of them carries another payload, or together they are too many.
        """
        merged = self
        for other in others:
            if other.message != self.message:
                raise ValueError("envelopes of different statements do not merge")
            for signature in other.signatures:
                merged = merged.with_signature(signature)
        return merged

    def to_json(self) -> bytes:
        """The JSON form that travels and is stored. Base64 and hexadecimal need no escaping in it."""
        signatures = [
            b'{"keyid":"%b","sig":"%b"}' % (s.keyid.encode(), _base64(s.sig)) for s in self.signatures
        ]
        return b'{"payload":"%b","payloadType":%b,"signatures":[%b]}' % (
            _base64(self.payload),
            _quoted(self.payload_type),
            b",".join(signatures),
        )

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read an envelope as it travels.

        Raises:
            Refusal: `statement-malformed` or `statement-duplicate-key`.
        """
        if len(data) > ENVELOPE_BYTES_MAX:
            raise Refusal(
                Tag.STATEMENT_MALFORMED, f"envelope of {len(data)} bytes, at most {ENVELOPE_BYTES_MAX}"
            )
        refuse_deep_nesting(data)
        try:
            fields = _fields(_decode(data.decode("ascii")), {"payload", "payloadType", "signatures"})
            signatures = fields["signatures"]
            if not isinstance(signatures, list):
                raise TypeError("signatures is an array")
            payload_type = fields["payloadType"]
            if not isinstance(payload_type, str):
                raise TypeError("payloadType is a string")
            return cls(payload_type, _raw(fields["payload"]), tuple(map(_signature, signatures)))
        except (ValueError, TypeError, RecursionError) as error:
            raise Refusal(Tag.STATEMENT_MALFORMED, f"not a DSSE envelope: {error}") from error


def sign(key: Ed25519PrivateKey, envelope: Envelope) -> Envelope:
    """The envelope with `key`'s signature added."""
    public = public_key_of(key)
    return envelope.with_signature(Signature(public.key_id, key.sign(envelope.message)))


def public_key_of(key: Ed25519PrivateKey) -> Ed25519Key:
    """The public half, as statements name it."""
    return Ed25519Key(key.public_key().public_bytes_raw().hex())


def verify(key: Ed25519Key, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is `key`'s over `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refusal(Tag.STATEMENT_DUPLICATE_KEY, "an object of the envelope names a field twice")
    return value


_decode: Final = json.JSONDecoder(object_pairs_hook=_object).decode


def _fields(value: object, names: set[str]) -> dict[str, object]:
    if not isinstance(value, dict) or value.keys() != names:
        raise ValueError(f"exactly the fields {sorted(names)} are expected")
    return value


def _signature(value: object) -> Signature:
    fields = _fields(value, {"keyid", "sig"})
    if not isinstance(fields["keyid"], str):
        raise TypeError("keyid is a string")
    sig = _raw(fields["sig"])
    if len(sig) != 64:
        raise ValueError("sig is 64 bytes")
    return Signature(KeyId(fields["keyid"]), sig)


def _raw(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError("base64 is a string")
    raw = binascii.a2b_base64(value)
    if _base64(raw).decode() != value:
        raise ValueError("base64 is not in its canonical spelling")
    return raw


@functools.lru_cache(maxsize=64)
def _quoted(text: str) -> bytes:
    return json.dumps(text).encode()


def _base64(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False)
