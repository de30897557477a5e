"""What the signer service asks of its keys: the port, its values and its errors.

`AccountKeys` serves keys that one signer holds whole (BTC: one of three in a 2-of-3 script). `JointKeys`
serves keys that several signers hold together (ETH); it is phrased so that threshold ECDSA can replace its
first, single-holder implementation without a change of the callers. `StatementSigner` signs receipts and
co-signatures.

An implementation backed by OpenBao also raises `signers.vault.VaultUnavailable` (and its subclass
`VaultSealed`), which a caller answers with UNAVAILABLE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, NewType, Protocol

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from signers.statements.secp256k1 import HALF_ORDER, ORDER

Chain = Literal["BTC", "ETH"]
CHAINS: Final[tuple[Chain, ...]] = ("BTC", "ETH")

PublicKey = NewType("PublicKey", bytes)
"""A secp256k1 point, 33 bytes, compressed (SEC 1, section 2.3.3)."""

DIGEST_BYTES: Final = 32
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", re.ASCII)


class KeysError(Exception):
    """A key could not be made, found or used. Never carries secret material."""


class KeyUnknown(KeysError):  # noqa: N818 - named for what is the case
    """No key exists under this reference."""

    def __init__(self, ref: KeyRef) -> None:
        super().__init__(f"no key {ref}")
        self.ref = ref


class KeyCorrupt(KeysError):  # noqa: N818 - named for what is the case
    """What is stored under this reference is not that key (swapped, tampered with, damaged)."""

    def __init__(self, ref: KeyRef, *, reason: str) -> None:
        super().__init__(f"stored key {ref} is not usable: {reason}")
        self.ref = ref
        self.reason = reason


class SigningFailed(KeysError):  # noqa: N818 - named for what is the case
    """A signature was not produced, or did not verify under the expected public key and was discarded."""


class NotHolder(KeysError):  # noqa: N818 - named for what is the case
    """This signer takes part in the account but holds no share that could answer.

    Attributes:
        holder: The signer that does.
        asked: This signer.
    """

    def __init__(self, *, holder: str, asked: str) -> None:
        super().__init__(f"{asked} does not hold this key, {holder} does")
        self.holder = holder
        self.asked = asked


class ParticipantsRefused(KeysError):  # noqa: N818 - named for what is the case
    """The named participants are empty, repeated, or lack this signer or the holder."""


@dataclass(frozen=True, kw_only=True, order=True)
class KeyRef:
    """Names one key of one pledge account.

    Attributes:
        account: Account id.
        chain: Where the key's outputs or account live.
        key_id: Distinguishes keys of one account and chain, so that rotation has a name.

    Ids are 1 to 128 ASCII characters of `A-Za-z0-9._:/-`, starting with a letter or digit.
    """

    account: str
    chain: Chain
    key_id: str

    def __post_init__(self) -> None:
        if self.chain not in CHAINS:
            raise ValueError(f"chain must be one of {', '.join(CHAINS)}")
        for name, value in (("account", self.account), ("key_id", self.key_id)):
            if not _IDENTIFIER.fullmatch(value):
                raise ValueError(f"{name} is not 1 to 128 characters of A-Za-z0-9._:/-")

    def __str__(self) -> str:
        return f"{self.account} {self.chain} {self.key_id}"


@dataclass(frozen=True, kw_only=True)
class RecoverableSignature:
    """An ECDSA signature over secp256k1 with low S (BIP-62 rule 5, BIP-146, EIP-2).

    Attributes:
        r: 1 to n-1.
        s: 1 to n/2.
        recovery_id: 0 to 3; its lowest bit is Ethereum's y parity.
    """

    r: int
    s: int
    recovery_id: int

    def __post_init__(self) -> None:
        in_range = 1 <= self.r < ORDER and 1 <= self.s <= HALF_ORDER
        if not in_range or self.recovery_id not in range(4):
            raise ValueError("not a low-S secp256k1 signature with a recovery id")

    def der(self) -> bytes:
        """DER as Bitcoin wants it (BIP-66), without the sighash byte; at most 71 bytes."""
        return encode_dss_signature(self.r, self.s)

    def compact(self) -> bytes:
        """The numbers r and s, 32 big-endian bytes each."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big")


class JointMode(Enum):
    """How a joint key is held; named in every report, receipt and start-up line."""

    SINGLE_HOLDER = "single-holder"


@dataclass(frozen=True, kw_only=True)
class JointKey:
    """A key that the participants answer for together.

    Attributes:
        public_key: The account's key.
        holder: The one signer that has the whole key; None where no single signer has it.
        mode: How it is held.
    """

    public_key: PublicKey
    holder: str | None
    mode: JointMode


class AccountKeys(Protocol):
    """Keys that this signer holds whole."""

    async def create_key(self, ref: KeyRef) -> PublicKey:
        """The key of `ref`, made if it does not exist. Asked again: the same key.

        The key is on stable storage before this returns: an address must never outlive its key.
        """

    async def public_key(self, ref: KeyRef) -> PublicKey:
        """The public key of `ref`.

        Raises:
            KeyUnknown: it was never created.
        """

    async def sign(self, ref: KeyRef, digest: bytes) -> RecoverableSignature:
        """Signs a 32-byte digest deterministically (RFC 6979) and verifies the result before returning it.

        Raises:
            KeyUnknown: it was never created.
            KeyCorrupt: what is stored is not this key.
            SigningFailed: the result did not verify.
            ValueError: `digest` is not 32 bytes.
        """


class JointKeys(Protocol):
    """Keys that several signers hold together. Every participant calls with the same arguments."""

    @property
    def mode(self) -> JointMode:
        """How joint keys are held here."""

    @property
    def holder(self) -> str | None:
        """The signer that holds every joint key whole; None where no single signer does."""

    async def joint_keygen(self, ref: KeyRef, participants: tuple[str, ...]) -> JointKey:
        """The joint key of `ref`, made if it does not exist.

        Args:
            ref: An ETH reference.
            participants: Ids of the account's signers, this one among them, each once.

        Raises:
            NotHolder: this signer's part is empty; the holder answers.
            ParticipantsRefused: the participants cannot hold this key.
        """

    async def joint_sign(
        self, ref: KeyRef, digest: bytes, participants: tuple[str, ...]
    ) -> RecoverableSignature:
        """Signs a 32-byte digest with the joint key.

        Raises:
            NotHolder: as `joint_keygen`.
            ParticipantsRefused: as `joint_keygen`.
            KeyUnknown, KeyCorrupt, SigningFailed, ValueError: as `AccountKeys.sign`.
        """


class StatementSigner(Protocol):
    """Signs this signer's own statements: receipts and co-signatures."""

    @property
    def key_id(self) -> str:
        """The DSSE keyid: a hint for the reader, never evidence."""

    @property
    def public_key(self) -> bytes:
        """Ed25519 public key, 32 bytes."""

    async def sign(self, message: bytes) -> bytes:
        """Ed25519 (RFC 8032) over `message`, 64 bytes, verified before it is returned.

        Raises:
            SigningFailed: the result did not verify.
            ValueError: `message` is empty or longer than 1 MiB.
        """


def require_digest(digest: bytes) -> None:
    """Refuses anything but 32 bytes.

    Raises:
        ValueError: the length is another.
    """
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
