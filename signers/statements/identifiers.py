"""Names and fixed-width values as types: constructing one is checking it.

Each is a `str` in exactly one spelling (lower-case ASCII), so equality of text is equality of meaning.
"""

import hashlib
import re
from typing import ClassVar, NewType, Self

Seconds = NewType("Seconds", int)
"""Unix time, or a span of it, in whole seconds."""

SECONDS_MAX: Seconds = Seconds(253_402_300_799)
"""The end of the year 9999: later times do not exist in RFC 3339, Protobuf or Python's calendar."""


class Text(str):
    """A string that matches its type's pattern.

    Raises:
        ValueError: it does not.
    """

    __slots__ = ()
    pattern: ClassVar[re.Pattern[str]]

    def __new__(cls, value: str) -> Self:
        """Check, then hold."""
        if not cls.pattern.fullmatch(value):
            raise ValueError(f"{value[:72]!r} is not a valid {cls.__name__} ({cls.pattern.pattern})")
        return super().__new__(cls, value)

    @property
    def raw(self) -> bytes:
        """The bytes a hexadecimal value stands for."""
        return bytes.fromhex(self.removeprefix("0x"))


def _hex(count: int) -> re.Pattern[str]:
    return re.compile(f"[0-9a-f]{{{2 * count}}}", re.ASCII)


_NAME = re.compile(r"[a-z][a-z0-9-]{2,39}", re.ASCII)


class AccountId(Text):
    """A pledge account."""

    pattern = _NAME


class EntityId(Text):
    """A legal entity: what a quorum counts."""

    pattern = _NAME


class SignerId(Text):
    """One signer of the signer set."""

    pattern = _NAME


class DestinationId(Text):
    """An allowlisted destination of one account."""

    pattern = _NAME


class LienId(Text):
    """A lien of one account."""

    pattern = _NAME


class Label(Text):
    """A name that only people read: a cloud, a holder."""

    pattern = _NAME


class IntentId(Text):
    """A version 4 UUID (RFC 9562) in lower case."""

    pattern = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)


class Digest(Text):
    """SHA-256 in hexadecimal."""

    pattern = _hex(32)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The digest of these bytes, which needs no check."""
        return str.__new__(cls, hashlib.sha256(data).hexdigest())


class Nonce(Text):
    """32 random bytes in hexadecimal."""

    pattern = _hex(32)


class TxId(Text):
    """A Bitcoin transaction id as people write it (byte-reversed), in hexadecimal."""

    pattern = _hex(32)


class BlockHash(Text):
    """A block hash: Bitcoin's as people write it (byte-reversed), Ethereum's without 0x."""

    pattern = _hex(32)


class ScriptPubKey(Text):
    """An output script in hexadecimal, at most 83 bytes (more is non-standard)."""

    pattern = re.compile(r"(?:[0-9a-f]{2}){1,83}", re.ASCII)


class EthereumAddress(Text):
    """A 20-byte address in lower case, without 0x and without a display checksum."""

    pattern = _hex(20)


class CompressedKey(Text):
    """A compressed secp256k1 public key (SEC 1), 33 bytes in hexadecimal."""

    pattern = re.compile(r"0[23][0-9a-f]{64}", re.ASCII)


class EcdsaSignature(Text):
    """A compact secp256k1 signature r ‖ s, 64 bytes in hexadecimal."""

    pattern = _hex(64)


class KeyId(Text):
    """A hint which key signed: the first 16 bytes of SHA-256 of the public key. Never proof of anything."""

    pattern = _hex(16)


_ED25519_FIELD = 2**255 - 19
_ED25519_ORDER_8_Y = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_ED25519_WEAK_Y = frozenset(
    {0, 1, _ED25519_FIELD - 1, _ED25519_ORDER_8_Y, _ED25519_FIELD - _ED25519_ORDER_8_Y}
)
"""The y of the eight points of small order, all-zero bytes among them."""


class Ed25519Key(Text):
    """An Ed25519 public key (RFC 8032), 32 bytes in hexadecimal.

    Anyone makes signatures that verify under a key of small order, and a y at or above the field's prime is a
    second spelling of another key. OpenSSL verifies under both, so both are refused here.
    """

    pattern = _hex(32)

    def __new__(cls, value: str) -> Self:
        """Check, then hold."""
        key = super().__new__(cls, value)
        y = int.from_bytes(key.raw, "little") & (2**255 - 1)
        if y >= _ED25519_FIELD or y in _ED25519_WEAK_Y:
            raise ValueError(f"{value} is a weak or non-canonical Ed25519 key")
        return key

    @property
    def key_id(self) -> KeyId:
        """The hint under which envelopes name this key."""
        return KeyId(hashlib.sha256(self.raw).hexdigest()[:32])


class Value(Text):
    """A value of money: a decimal integer of 1e-8 of the reporting currency."""

    pattern = re.compile(r"0|[1-9][0-9]{0,37}", re.ASCII)

    @property
    def units(self) -> int:
        """The integer itself."""
        return int(self)

    # Text compares letter by letter, where 9 is more than 10: a median of prices would be wrong unseen.
    def __lt__(self, other: str) -> bool:
        return self.units < _units(other)

    def __le__(self, other: str) -> bool:
        return self.units <= _units(other)

    def __gt__(self, other: str) -> bool:
        return self.units > _units(other)

    def __ge__(self, other: str) -> bool:
        return self.units >= _units(other)


def _units(value: str) -> int:
    if not isinstance(value, Value):
        raise TypeError(f"a Value compares with a Value, not with {type(value).__name__}")
    return value.units


class Currency(Text):
    """A reporting currency: an ISO 4217 code."""

    pattern = re.compile(r"[A-Z]{3}", re.ASCII)


class Proof(Text):
    """A printable signature of another scheme (BIP-322 base64, or EIP-191 hexadecimal)."""

    pattern = re.compile(r"[A-Za-z0-9+/=]{1,4096}", re.ASCII)


GENESIS: Digest = Digest("0" * 64)
"""What the first statement of a chain names as its predecessor."""
