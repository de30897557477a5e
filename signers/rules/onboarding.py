"""Before an address is shown: fresh keys, a co-signed account statement, proof that it can be spent from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from signers.journal import AccountCosigned, AccountKeyCreated, Hex, OwnershipProven, document
from signers.keys.port import KeyRef, NotHolder, RecoverableSignature
from signers.rules.chains import key_ref
from signers.rules.decision import Declined
from signers.rules.signer import Signer
from signers.statements import quorum
from signers.statements.account import Account, AccountKey, possession_challenge
from signers.statements.account import EthereumCustody as _EthereumCustody
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, CompressedKey, Digest, EcdsaSignature, SignerId
from signers.statements.network import Network
from signers.statements.refusals import Refusal, Tag, refuse_unless

CUSTODY_ALLOWED_ON_MAINNET: Final[frozenset[_EthereumCustody]] = frozenset()
"""None of the ways that exist today: a single holder could sign alone."""


ACCOUNT_KEYS_MAX: Final = 100_000
"""Custody names the accounts; this bounds what it can make a signer store."""


class CapacityReached(Exception):  # noqa: N818 - named for what is the case
    """As many account keys as one signer keeps exist already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldElsewhere:
    """This signer made no key: another one holds it whole."""

    holder: SignerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """This signer's parts of the proofs for one account."""

    bitcoin: bytes
    """DER and the byte SIGHASH_ALL."""
    ethereum: bytes | None
    """r ‖ s ‖ v, of the holder only."""


async def create_account_key(signer: Signer, account: AccountId, asset: Asset) -> Envelope | HeldElsewhere:
    """This signer's fresh key of an account, and its proof of possession. Asked again: the same.

    Raises:
        Declined: `journal-behind`, or `account-mode` where the network does not allow a single holder.
        CapacityReached: there are too many keys.
    """
    try:
        signer.require_ready()
        async with signer.locks.of(account):
            return await _created(signer, account, asset)
    except Refusal as refusal:
        raise Declined(refusal, None) from refusal


async def _created(signer: Signer, account: AccountId, asset: Asset) -> Envelope | HeldElsewhere:
    if (known := signer.journal.views.account_keys.get((account, asset))) is not None:
        return known.statement.envelope
    if len(signer.journal.views.account_keys) >= ACCOUNT_KEYS_MAX:
        raise CapacityReached(f"{ACCOUNT_KEYS_MAX} account keys exist")
    ref = key_ref(account, asset)
    try:
        public_key = await _public_key(signer, ref, asset)
    except NotHolder as elsewhere:
        return HeldElsewhere(holder=SignerId(elsewhere.holder))
    statement = AccountKey(
        network=signer.network,
        account=account,
        signer=signer.id,
        asset=asset,
        public_key=public_key,
        proof=await _possession(signer, ref, asset, account, public_key),
    )
    envelope = await signer.sealed(statement)
    created = AccountKeyCreated(
        account=account, asset=asset, public_key=public_key, statement=document(envelope)
    )
    signer.journal.append(created, at=signer.wall_clock())
    return envelope


async def _public_key(signer: Signer, ref: KeyRef, asset: Asset) -> CompressedKey:
    if asset is Asset.BTC:
        return CompressedKey((await signer.keys.create_key(ref)).hex())
    require_mode(signer.network, signer.ethereum_custody)
    joint = await signer.joint.joint_keygen(ref, signer.participants)
    return CompressedKey(joint.public_key.hex())


async def _possession(
    signer: Signer, ref: KeyRef, asset: Asset, account: AccountId, public_key: CompressedKey
) -> EcdsaSignature:
    challenge = possession_challenge(
        network=signer.network, account=account, signer=signer.id, asset=asset, public_key=public_key
    )
    signature: RecoverableSignature
    if asset is Asset.BTC:
        signature = await signer.keys.sign(ref, challenge)
    else:
        signature = await signer.joint.joint_sign(ref, challenge, signer.participants)
    return EcdsaSignature(signature.compact().hex())


async def cosign_account(signer: Signer, envelope: Envelope, account_keys: Iterable[Envelope]) -> Envelope:
    """Check an account statement and sign it.

    Returns:
        The statement with this signer's signature alone.

    Raises:
        Declined: a rule refused.
    """
    try:
        signer.require_ready()
        account = Account.read(envelope, network=signer.network)
        async with signer.locks.of(account.account):
            _cosigned(signer, envelope, account, tuple(account_keys))
    except Refusal as refusal:
        raise Declined(refusal, None) from refusal
    return await signer.countersigned(account.envelope())


def _cosigned(
    signer: Signer, envelope: Envelope, account: Account, account_keys: tuple[Envelope, ...]
) -> None:
    if _is_cosigned(signer, account):
        return
    require_mode(signer.network, account.ethereum.custody)
    require_policy(signer, account)
    require_parties(signer, envelope, account)
    require_own_keys(signer, account)
    require_vouched_keys(signer, account, account_keys)
    for chain in signer.chains.values():
        chain.require_address(account)
    cosigned = AccountCosigned(
        account=account.account, account_digest=account.digest, statement=document(envelope)
    )
    signer.journal.append(cosigned, at=signer.wall_clock())


def _is_cosigned(signer: Signer, account: Account) -> bool:
    """Whether exactly this was co-signed before.

    Raises:
        Refusal: `account-conflict` where something else was: an account's terms are fixed for ever.
    """
    known = signer.journal.views.accounts.get(account.account)
    refuse_unless(
        known is None or known.account_digest == account.digest,
        Tag.ACCOUNT_CONFLICT,
        f"{account.account} was co-signed with other terms",
    )
    return known is not None


def require_mode(network: Network, custody: _EthereumCustody) -> None:
    """Mainnet does not let one signer hold an ETH key.

    Raises:
        Refusal: `account-mode`.
    """
    refuse_unless(
        network is not Network.MAINNET or custody in CUSTODY_ALLOWED_ON_MAINNET,
        Tag.ACCOUNT_MODE,
        f"{custody} custody of ETH is not allowed on {network}",
    )


def require_policy(signer: Signer, account: Account) -> None:
    """The account stands under the policy that this signer follows, with its signers and no others.

    Raises:
        Refusal: `account-policy` or `account-mode`.
    """
    refuse_unless(
        account.policy_digest == signer.policy_digest,
        Tag.ACCOUNT_POLICY,
        f"under policy {account.policy_digest}, not {signer.policy_digest}",
    )
    cosigners = {cosigner.signer for cosigner in account.bitcoin.cosigners}
    refuse_unless(
        cosigners == set(signer.participants),
        Tag.ACCOUNT_POLICY,
        f"signers {sorted(cosigners)} where the policy names {sorted(signer.participants)}",
    )
    mode, holder = signer.ethereum_custody, signer.joint.holder
    refuse_unless(
        (account.ethereum.custody, account.ethereum.holder) == (mode, holder),
        Tag.ACCOUNT_MODE,
        f"{account.ethereum.custody} at {account.ethereum.holder} where {mode} at {holder} is set up",
    )


def require_parties(signer: Signer, envelope: Envelope, account: Account) -> None:
    """All three parties signed, with keys that are nobody else's, and no machine's.

    Raises:
        Refusal: `account-parties` or `policy-shared-key`.
    """
    missing = quorum.missing_parties(envelope, account)
    refuse_unless(not missing, Tag.ACCOUNT_PARTIES, f"not signed by {', '.join(missing)}")
    parties = {party.public_key: party.entity for party in account.parties}
    for key in signer.policy.keys:
        # One key under two entities would let one hand ask and approve.
        refuse_unless(
            parties.get(key.public_key, key.entity) == key.entity,
            Tag.POLICY_SHARED_KEY,
            f"the key of {parties.get(key.public_key)} stands in the policy under {key.entity}",
        )
    # A custody host that signs for a party would be one.
    machines = signer.policy.machine_keys.intersection(parties)
    refuse_unless(not machines, Tag.POLICY_SHARED_KEY, f"a machine's key is a party's: {sorted(machines)}")


def require_own_keys(signer: Signer, account: Account) -> None:
    """The keys that the account names under this signer are the ones it made for it.

    Raises:
        Refusal: `account-keys`.
    """
    for asset, named in _keys_of(account, signer.id).items():
        known = signer.journal.views.account_keys.get((account.account, asset))
        refuse_unless(
            known is not None and known.public_key == named,
            Tag.ACCOUNT_KEYS,
            f"{named} is not the {asset} key made here for {account.account}",
        )


def _keys_of(account: Account, signer: SignerId) -> dict[Asset, CompressedKey]:
    """Of a cosigner, as every signer of the policy is: `require_policy` has seen to it."""
    keys = {Asset.BTC: account.bitcoin.key_of(signer)}
    if account.ethereum.holder == signer:
        keys[Asset.ETH] = account.ethereum.public_key
    return keys


def require_vouched_keys(signer: Signer, account: Account, envelopes: tuple[Envelope, ...]) -> None:
    """Every signer vouched for its keys: custody cannot put three keys of its own into an account.

    Raises:
        Refusal: `account-keys`.
    """
    vouched = {_vouched(signer, account, envelope) for envelope in envelopes}
    named = {
        (participant, asset, key)
        for participant in signer.participants
        for asset, key in _keys_of(account, participant).items()
    }
    refuse_unless(
        named <= vouched,
        Tag.ACCOUNT_KEYS,
        f"{len(named - vouched)} keys stand in the account that their signers have not vouched for",
    )


def _vouched(signer: Signer, account: Account, envelope: Envelope) -> tuple[SignerId, Asset, CompressedKey]:
    statement = AccountKey.read(envelope, network=signer.network)
    try:
        terms = signer.policy.signer(statement.signer)
    except LookupError as error:
        raise Refusal(Tag.ACCOUNT_KEYS, str(error)) from error
    refuse_unless(
        envelope.signed_by(terms.public_key) and statement.account == account.account,
        Tag.ACCOUNT_KEYS,
        f"an account key that {statement.signer} has not signed for {account.account}",
    )
    return statement.signer, statement.asset, statement.public_key


async def prove_ownership(signer: Signer, account: AccountId, account_digest: Digest) -> Ownership:
    """Sign the ownership messages that the account statement alone determines. Asked again: the same.

    Raises:
        Declined: `account-unknown`, `account-conflict` or `journal-behind`.
    """
    try:
        signer.require_ready()
        async with signer.locks.of(account):
            proven = await _proven(signer, account, account_digest)
    except Refusal as refusal:
        raise Declined(refusal, None) from refusal
    ethereum = None if proven.ethereum is None else proven.ethereum.raw
    return Ownership(bitcoin=proven.bitcoin.raw, ethereum=ethereum)


async def _proven(signer: Signer, account_id: AccountId, account_digest: Digest) -> OwnershipProven:
    account = _cosigned_account(signer, account_id, account_digest)
    if (known := signer.journal.views.ownership.get(account_id)) is not None:
        return known
    bitcoin = await signer.chains[Asset.BTC].prove_ownership(account)
    ethereum = await signer.chains[Asset.ETH].prove_ownership(account)
    assert bitcoin is not None  # noqa: S101 - every signer holds a BTC key of every account it co-signed
    proven = OwnershipProven(
        account=account_id,
        account_digest=account_digest,
        bitcoin=Hex(bitcoin.hex()),
        ethereum=None if ethereum is None else Hex(ethereum.hex()),
    )
    signer.journal.append(proven, at=signer.wall_clock())
    return proven


def _cosigned_account(signer: Signer, account: AccountId, account_digest: Digest) -> Account:
    known = signer.journal.views.accounts.get(account)
    if known is None:
        raise Refusal(Tag.ACCOUNT_UNKNOWN, f"{account} was not co-signed here")
    refuse_unless(
        known.account_digest == account_digest,
        Tag.ACCOUNT_CONFLICT,
        f"{account} was co-signed as {known.account_digest}",
    )
    return Account.read(known.statement.envelope, network=signer.network)
