"""What a signer says of its own decisions, and what signers say of each other's journals."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, final

from signers.statements.account import EthereumCustody
from signers.statements.identifiers import GENESIS, AccountId, Digest, Nonce, Seconds, SignerId
from signers.statements.refusals import Tag
from signers.statements.statement import Statement, payload_type


@final
class Act(StrEnum):
    """What a signer did with an intent."""

    ANNOUNCED = "announced"
    SIGNED = "signed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Statement):
    """Why a signer announced, signed or refused. Signed by its statement key.

    Raises:
        ValueError: a refusal without its tag, or a tag without a refusal.
    """

    TYPE: ClassVar[str] = payload_type("receipt")

    signer: SignerId
    act: Act
    account: AccountId
    intent_digest: Digest
    tags: tuple[Tag, ...]
    """The rules that refused; empty otherwise."""
    inputs: tuple[Digest, ...]
    """Digests of every statement that was looked at."""
    transaction: Digest | None
    """Signed: SHA-256 of the transaction without its signatures, as the signer built it."""
    ethereum_custody: EthereumCustody | None
    """For an outflow of ETH: how the key is held."""
    journal_sequence: int
    journal_head: Digest
    """The signer's journal after this decision was written down."""
    at: Seconds

    def __post_init__(self) -> None:
        if (self.act is Act.REFUSED) is not bool(self.tags):
            raise ValueError("exactly a refusal has tags")
        if (self.act is Act.SIGNED) is (self.transaction is None):
            raise ValueError("exactly a signature names its transaction")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHead(Statement):
    """The highest head of a peer's journal that this signer has seen. Signed by the witness."""

    TYPE: ClassVar[str] = payload_type("journal-head")

    subject: SignerId
    """Whose journal."""
    witness: SignerId
    """Who says so."""
    nonce: Nonce
    """The subject's fresh challenge, so that an old answer does not pass for a new one."""
    sequence: int
    """0 where nothing was ever seen."""
    head: Digest
    """`GENESIS` where nothing was ever seen."""

    def __post_init__(self) -> None:
        if (self.sequence == 0) is not (self.head == GENESIS):
            raise ValueError("exactly an unseen journal has sequence 0 and no head")
