"""Onboarding, from the driver's side: keys, statement, co-signatures, proofs, active.

Every step may be repeated: what is on record already changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from custody.application.access import existing_account, onboarding_of, policy_in_force
from custody.application.journal import change
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.application.signed import read, require_same, require_single_signature
from custody.domain.account import (
    ONBOARDING,
    AccountState,
    Onboarding,
    OwnershipProof,
    PledgeAccount,
)
from custody.domain.errors import StatementMismatch, StatementSignature
from custody.domain.ledger import Cause, CauseKind
from signers.statements import quorum
from signers.statements.account import Account, AccountKey, EthereumTerms
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    CompressedKey,
    EcdsaSignature,
    Ed25519Key,
    Seconds,
    SignerId,
)
from signers.statements.multisig import KEYS
from signers.statements.network import Network
from signers.statements.policy import Policy
from signers.statements.refusals import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAccountKey:
    """Record a signer's fresh key."""

    account: AccountId
    envelope: Envelope
    """The account-key statement with its signer's signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareStatement:
    """Fix the statement that everybody signs."""

    account: AccountId
    statement: Account
    """Built by the driver from `keys_of`; the address of the Ethereum key was derived by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCosignature:
    """Record a signer's signature over the account statement."""

    account: AccountId
    envelope: Envelope
    """The statement with exactly one signature, the signer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOwnershipProof:
    """Record one signer's part of the ownership proofs, as it came."""

    account: AccountId
    proof: OwnershipProof


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateAccount:
    """Show the addresses: the driver has verified every signing pair (BIP-322) and the holder (EIP-191)."""

    account: AccountId


def in_onboarding(snapshot: Snapshot) -> Sequence[tuple[PledgeAccount, Onboarding]]:
    """The accounts on their way, with what was gathered; the driver's work list."""
    return [(each, onboarding_of(snapshot, each.account)) for each in snapshot.accounts_in(ONBOARDING)]


def keys_of(onboarding: Onboarding, *, network: Network) -> tuple[AccountKey, ...]:
    """The keys on record, as their signers stated them."""
    return tuple(read(AccountKey, envelope, network=network) for envelope in onboarding.keys)


def record_account_key(uow: UnitOfWork, command: RecordAccountKey, *, now: Seconds) -> PledgeAccount:
    """Keep a signer's key. A signer has one key per asset, it never changes, and no two are the same.

    Raises:
        AccountNotFound, StateConflict: no such account, or its keys are fixed.
        StatementMalformed, StatementMismatch: not a key of this account, another one than on record, or one
            that is on record for something else.
        StatementSignature: not signed by the signer it names.
    """
    account = existing_account(uow, command.account)
    policy = policy_in_force(uow).policy
    key = read(AccountKey, command.envelope, network=policy.network)
    if key.account != account.account:
        raise StatementMismatch(f"a key of {key.account}", field="envelope", tag=Tag.ACCOUNT_KEYS)
    signer_key = _signer_key(policy, key.signer)
    require_single_signature(command.envelope, signer_key, tag=Tag.ACCOUNT_KEYS, whose=key.signer)
    onboarding = onboarding_of(uow, account.account)
    for known in keys_of(onboarding, network=policy.network):
        if (known.signer, known.asset) == (key.signer, key.asset):
            require_same(command.envelope, known.digest, tag=Tag.ACCOUNT_KEYS)
            return account
        if known.public_key == key.public_key:
            raise StatementMismatch(
                f"the {key.asset} key of {key.signer} is the {known.asset} key of {known.signer}",
                field="envelope",
                tag=Tag.ACCOUNT_KEYS,
            )
    account.require_state(AccountState.CREATING_KEYS)
    uow.save_onboarding(replace(onboarding, keys=(*onboarding.keys, command.envelope)))
    return change(uow, account, Cause(CauseKind.ACCOUNT), now=now)


def statement_prepared(uow: UnitOfWork, command: PrepareStatement, *, now: Seconds) -> PledgeAccount:
    """Fix the account statement; the parties sign next.

    Raises:
        AccountNotFound, StateConflict: no such account, or another statement is fixed.
        StatementMismatch: it says something else than the account, its parties and its signers' keys, or its
            script or address is another account's.
    """
    account = existing_account(uow, command.account)
    if account.statement_digest == command.statement.digest:
        return account
    account.require_state(AccountState.CREATING_KEYS)
    onboarding = onboarding_of(uow, account.account)
    _require_agreement(command.statement, account, onboarding, policy_in_force(uow).policy)
    _require_own_addresses(uow, command.statement)
    uow.save_onboarding(replace(onboarding, statement=command.statement.envelope()))
    prepared = account.changed(
        state=AccountState.AWAITING_SIGNATURES,
        statement_digest=command.statement.digest,
        script_pubkey=command.statement.bitcoin.script_pubkey,
        ethereum_address=command.statement.ethereum.address,
    )
    return change(uow, prepared, Cause(CauseKind.ACCOUNT), now=now)


def _require_agreement(
    statement: Account, account: PledgeAccount, onboarding: Onboarding, policy: Policy
) -> None:
    said = (statement.account, statement.parties, statement.enforcement, statement.policy_digest)
    ours = (account.account, account.parties, account.enforcement, account.policy_digest)
    if said != ours or statement.network is not policy.network:
        raise StatementMismatch(
            "the statement says other terms than the account", field="statement", tag=Tag.ACCOUNT_CONFLICT
        )
    recorded = {
        (key.signer, key.asset, key.public_key, key.proof)
        for key in keys_of(onboarding, network=policy.network)
    }
    if not _stated_keys(statement) <= recorded or len(statement.bitcoin.cosigners) != KEYS:
        raise StatementMismatch(
            "the statement names a key that no signer made", field="statement", tag=Tag.ACCOUNT_KEYS
        )


def _require_own_addresses(uow: UnitOfWork, statement: Account) -> None:
    """Coins at one address are one client's: a signer that uses a key again gets no second account for it."""
    other = uow.account_at(statement.bitcoin.script_pubkey, statement.ethereum.address)
    if other is not None:
        raise StatementMismatch(
            f"its script or address is that of {other}", field="statement", tag=Tag.ACCOUNT_KEYS
        )


_StatedKey = tuple[SignerId, Asset, CompressedKey, EcdsaSignature]


def _stated_keys(statement: Account) -> set[_StatedKey]:
    bitcoin = {(c.signer, Asset.BTC, c.public_key, c.proof) for c in statement.bitcoin.cosigners}
    holder: EthereumTerms = statement.ethereum
    return bitcoin | {(holder.holder, Asset.ETH, holder.public_key, holder.proof)}


def record_cosignature(uow: UnitOfWork, command: RecordCosignature, *, now: Seconds) -> PledgeAccount:
    """Keep a signer's co-signature; with the last one the signers prove ownership next.

    Raises:
        AccountNotFound, StateConflict: no such account, or it is not being co-signed.
        StatementMismatch: other content than the account's statement.
        StatementSignature: not exactly one signature, or not of a signer of the policy.
    """
    account = existing_account(uow, command.account)
    require_same(command.envelope, account.statement_digest, tag=Tag.ACCOUNT_CONFLICT)
    policy = policy_in_force(uow).policy
    signer = next((s for s in policy.signers if command.envelope.signed_by(s.public_key)), None)
    if signer is None:
        raise StatementSignature(
            "not signed by a signer of the policy", field="envelope", tag=Tag.ACCOUNT_KEYS
        )
    require_single_signature(command.envelope, signer.public_key, tag=Tag.ACCOUNT_KEYS, whose=signer.signer)
    onboarding = onboarding_of(uow, account.account)
    statement = onboarding.prepared
    if statement.signed_by(signer.public_key):
        return account
    account.require_state(AccountState.COSIGNING)
    statement = statement.with_signatures_of([command.envelope])
    uow.save_onboarding(replace(onboarding, statement=statement))
    if not quorum.missing_signers(statement, policy):
        account = account.changed(state=AccountState.PROVING_OWNERSHIP)
    return change(uow, account, Cause(CauseKind.ACCOUNT), now=now)


def record_ownership_proof(uow: UnitOfWork, command: RecordOwnershipProof, *, now: Seconds) -> PledgeAccount:
    """Keep a signer's part of the proofs. A later one replaces it: nothing counts before `activate`.

    Raises:
        AccountNotFound, StateConflict: no such account, or it is not proving ownership.
        StatementMismatch: the policy does not name the signer.
    """
    account = existing_account(uow, command.account)
    _signer_key(policy_in_force(uow).policy, command.proof.signer)
    onboarding = onboarding_of(uow, account.account)
    if command.proof in onboarding.proofs:
        return account
    account.require_state(AccountState.PROVING_OWNERSHIP)
    others = tuple(proof for proof in onboarding.proofs if proof.signer != command.proof.signer)
    uow.save_onboarding(replace(onboarding, proofs=(*others, command.proof)))
    return change(uow, account, Cause(CauseKind.ACCOUNT), now=now)


def activate(uow: UnitOfWork, command: ActivateAccount, *, now: Seconds) -> PledgeAccount:
    """Make the account active. Only here its addresses become visible, and what is paid there counts.

    Bitcoin is watched for from the statement on, and what came early is credited with the next block.

    Raises:
        AccountNotFound, StateConflict: no such account, or it is not proving ownership.
        StatementSignature: a party, a signer or a part of a proof is missing.
    """
    account = existing_account(uow, command.account)
    if account.state is AccountState.ACTIVE:
        return account
    account.require_state(AccountState.PROVING_OWNERSHIP)
    policy = policy_in_force(uow).policy
    onboarding = onboarding_of(uow, account.account)
    envelope = onboarding.prepared
    statement = read(Account, envelope, network=policy.network)
    proven = {proof.signer: proof for proof in onboarding.proofs}
    missing = [
        *quorum.missing_parties(envelope, statement),
        *quorum.missing_signers(envelope, policy),
        *(c.signer for c in statement.bitcoin.cosigners if c.signer not in proven),
    ]
    holder = proven.get(statement.ethereum.holder)
    if missing or holder is None or holder.ethereum is None:
        raise StatementSignature(f"missing: {missing or 'the proof of the Ethereum key'}")
    return change(uow, account.changed(state=AccountState.ACTIVE), Cause(CauseKind.ACCOUNT), now=now)


def _signer_key(policy: Policy, signer: SignerId) -> Ed25519Key:
    try:
        return policy.signer(signer).public_key
    except LookupError as error:
        raise StatementMismatch(str(error), field="envelope", tag=Tag.ACCOUNT_KEYS) from error
