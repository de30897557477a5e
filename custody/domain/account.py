"""A pledge account: its parties, its way to active, and what halts it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self, final

from custody.domain.errors import AccountHalted, AccountNotActive, LedgerInvariant, StateConflict
from custody.domain.identifiers import Etag, etag_of
from signers.statements.account import Enforcement, Party
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    GENESIS,
    AccountId,
    Digest,
    EntityId,
    EthereumAddress,
    ScriptPubKey,
    Seconds,
    SignerId,
)


@final
class AccountState(StrEnum):
    """Where an account stands on its way to hold coins."""

    CREATING_KEYS = "creating-keys"
    AWAITING_SIGNATURES = "awaiting-signatures"
    COSIGNING = "cosigning"
    PROVING_OWNERSHIP = "proving-ownership"
    ACTIVE = "active"


ONBOARDING: Final = tuple(state for state in AccountState if state is not AccountState.ACTIVE)


@final
class Halt(StrEnum):
    """Why nothing flows out of an account and nothing more is lent against it."""

    REORG_SHORTFALL = "reorg-shortfall"
    """A reorganisation removed what was lent against or paid out. Filling the shortfall lifts it."""
    UNKNOWN_SPEND = "unknown-spend"
    """Coins left in a transaction that is no attempt of ours."""
    FINALITY_REORG = "finality-reorg"
    """A chain took back what it had called final."""
    RECONCILIATION = "reconciliation"
    """Ledger and chain disagree."""
    AWAITING_RECONCILIATION = "awaiting-reconciliation"
    """The custodian lifted another one. Ledger and chain found equal lifts this one."""


LIFTABLE: Final = frozenset({Halt.UNKNOWN_SPEND, Halt.FINALITY_REORG, Halt.RECONCILIATION})
"""Halts that a person lifts once it has looked. The others are lifted by what ends their cause."""


@dataclass(frozen=True, kw_only=True)  # without slots, so that `changed` copies all fields at once
class PledgeAccount:
    """What is asked of an account at every change: small, and read under its row."""

    account: AccountId
    pledgor: Party
    secured_party: Party
    custodian: Party
    enforcement: Enforcement
    policy_digest: Digest
    state: AccountState
    halts: frozenset[Halt] = frozenset()
    sequence: int = 0
    """Counts every change of the account, without gaps."""
    encumbrance_sequence: int = 0
    encumbrance_head: Digest = GENESIS
    statement_digest: Digest | None = None
    script_pubkey: ScriptPubKey | None = None
    """Known from the prepared statement on; given as an address to pay to once the account is active."""
    ethereum_address: EthereumAddress | None = None
    created_at: Seconds
    updated_at: Seconds

    def changed(self, **fields: Any) -> Self:
        """As `dataclasses.replace`, at a third of its price: all changes of an account come through here."""
        if not fields.keys() <= self.__dict__.keys():
            raise TypeError(f"no fields of an account: {sorted(fields.keys() - self.__dict__.keys())}")
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, **fields)
        return copy

    @property
    def parties(self) -> tuple[Party, Party, Party]:
        """Pledgor, secured party, custodian."""
        return self.pledgor, self.secured_party, self.custodian

    @property
    def halted(self) -> bool:
        """Whether anything halts it."""
        return bool(self.halts)

    @property
    def etag(self) -> Etag:
        """Covers the statement, the state and what halts it, not the signatures collected."""
        return etag_of(self.statement_digest, " ".join((self.state, *sorted(self.halts))))

    def party(self, entity: EntityId | None) -> Party | None:
        """The party that is this entity; `None` if it is none of them."""
        return next((party for party in self.parties if party.entity == entity), None)

    def require_state(self, state: AccountState) -> None:
        """Raise `StateConflict` unless the account stands in exactly this state."""
        if self.state is not state:
            raise StateConflict(
                f"{self.account} is {self.state}, not {state}", data={"state": self.state.value}
            )

    def require_active(self) -> None:
        """Raise `AccountNotActive` before the addresses are proven."""
        if self.state is not AccountState.ACTIVE:
            raise AccountNotActive(f"{self.account} is {self.state}", data={"state": self.state.value})

    def require_unhalted(self) -> None:
        """Raise `AccountNotActive` or `AccountHalted`."""
        self.require_active()
        if self.halts:
            reasons = ",".join(sorted(self.halts))
            raise AccountHalted(f"{self.account} is halted: {reasons}", data={"halts": reasons})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipProof:
    """One signer's part of the proof that the account can be spent from.

    The parts are opaque here: an adapter joined and verified them (BIP-322, EIP-191) before `activate`.
    """

    signer: SignerId
    bitcoin: bytes
    """Its ECDSA signature over the input of the BIP-322 `to_sign` transaction: DER, then SIGHASH_ALL."""
    ethereum: bytes | None
    """The holder's 65-byte EIP-191 signature; `None` of any other signer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboarding:
    """What was gathered on the way: keys, the statement with its signatures, proofs."""

    account: AccountId
    keys: tuple[Envelope, ...] = ()
    """Account-key statements, one per signer and asset."""
    statement: Envelope | None = None
    proofs: tuple[OwnershipProof, ...] = ()

    @property
    def prepared(self) -> Envelope:
        """The statement, with its signatures so far.

        Raises:
            LedgerInvariant: there is none.
        """
        if self.statement is None:
            raise LedgerInvariant(f"{self.account} has no statement")
        return self.statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """An account with what was gathered while onboarding it."""

    account: PledgeAccount
    onboarding: Onboarding


@dataclass(frozen=True, slots=True)
class Watched:
    """Where an active account's coins arrive."""

    account: AccountId
    script_pubkey: ScriptPubKey
    ethereum_address: EthereumAddress

    def location(self, asset: Asset) -> str:
        """The script or address, as the chain names it."""
        return self.script_pubkey if asset is Asset.BTC else self.ethereum_address
