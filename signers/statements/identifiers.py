"""Names and fixed-width values as types: constructing one is checking it.

Each is a `str` in exactly one spelling (lower-case ASCII), so equality of text is equality of meaning.
"""

import hashlib
import re
from typing import ClassVar, NewType, Self

Seconds = NewType("Seconds", int)
"""Unix time, or a span of it, in whole seconds."""


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
            raise ValueError(f"{value[:72]!r} is not a valid {cls.__name__}")
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


class Ed25519Key(Text):
    """An Ed25519 public key (RFC 8032), 32 bytes in hexadecimal."""

    pattern = _hex(32)

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


class Currency(Text):
    """A reporting currency: an ISO 4217 code."""

    pattern = re.compile(r"[A-Z]{3}", re.ASCII)


class Proof(Text):
    """A printable signature of another scheme (BIP-322 base64, or EIP-191 hexadecimal)."""

    pattern = re.compile(r"[A-Za-z0-9+/=]{1,4096}", re.ASCII)


GENESIS: Digest = Digest("0" * 64)
"""What the first statement of a chain names as its predecessor."""
