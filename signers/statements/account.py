"""The account statement, and each signer's fresh key in it."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Literal

from coincurve import PublicKey
from coincurve.ecdsa import cdata_to_der, deserialize_compact

from signers.statements import canonical, multisig
from signers.statements.amounts import Asset
from signers.statements.envelope import pae
from signers.statements.identifiers import (
    AccountId,
    CompressedKey,
    Digest,
    EcdsaSignature,
    Ed25519Key,
    EntityId,
    EthereumAddress,
    ScriptPubKey,
    Seconds,
    SignerId,
)
from signers.statements.network import Network
from signers.statements.statement import Statement, payload_type

POSSESSION_TYPE = payload_type("possession")

EthereumCustody = Literal["single-holder"]
"""How the ETH key is held. `single-holder`: one signer alone could sign. Said plainly wherever it matters."""


def possession_challenge(
    *, network: Network, account: AccountId, signer: SignerId, asset: Asset, public_key: CompressedKey
) -> bytes:
    """The 32 bytes a fresh account key signs to prove that its signer holds it.

    SHA-256 of the PAE of a payload of its own type. A transaction's hash is a double SHA-256 or a Keccak of
    something else, so this signature can never serve as one. The key itself is part of the challenge: else
    anyone recovers, from an arbitrary r and s (SEC 1, 4.1.6), a key that they verify under and nobody holds.
    """
    payload = canonical.encode(
        {
            "account": account,
            "asset": asset.value,
            "network": network.value,
            "public_key": public_key,
            "signer": signer,
        }
    )
    return hashlib.sha256(pae(POSSESSION_TYPE, payload)).digest()


def proves_possession(key: CompressedKey, proof: EcdsaSignature, challenge: bytes) -> bool:
    """Whether `proof` is `key`'s ECDSA signature (low-S) over the 32-byte `challenge`."""
    try:
        der = cdata_to_der(deserialize_compact(proof.raw))
        return PublicKey(key.raw).verify(der, challenge, hasher=None)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey(Statement):
    """A key that one signer generated for one account. Signed by that signer's statement key."""

    TYPE: ClassVar[str] = payload_type("account-key")

    account: AccountId
    signer: SignerId
    asset: Asset
    public_key: CompressedKey
    proof: EcdsaSignature
    """The fresh key's signature over `possession_challenge`."""

    def __post_init__(self) -> None:
        challenge = possession_challenge(
            network=self.network,
            account=self.account,
            signer=self.signer,
            asset=self.asset,
            public_key=self.public_key,
        )
        if not proves_possession(self.public_key, self.proof, challenge):
            raise ValueError("proof of possession does not verify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A party of the control agreement."""

    entity: EntityId
    public_key: Ed25519Key


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinCosigner:
    """One of the three keys of the account's script."""

    signer: SignerId
    public_key: CompressedKey
    proof: EcdsaSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinTerms:
    """`wsh(sortedmulti(2, …))` over one key of each signer. Change returns to it."""

    cosigners: tuple[BitcoinCosigner, ...]
    script_pubkey: ScriptPubKey

    def __post_init__(self) -> None:
        if multisig.script_pubkey(self.keys) != self.script_pubkey:
            raise ValueError("script_pubkey is not that of the cosigners' keys")
        if len({cosigner.signer for cosigner in self.cosigners}) != multisig.KEYS:
            raise ValueError("each signer holds exactly one key")

    @property
    def keys(self) -> tuple[CompressedKey, ...]:
        """The keys in the order of the statement (the script sorts them itself)."""
        return tuple(cosigner.public_key for cosigner in self.cosigners)

    def key_of(self, signer: SignerId) -> CompressedKey:
        """The one key of a signer.

        Raises:
            LookupError: it is no cosigner.
        """
        for cosigner in self.cosigners:
            if cosigner.signer == signer:
                return cosigner.public_key
        raise LookupError(f"{signer} is no cosigner")


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumTerms:
    """One externally owned account: the SFC circular of 15 Aug 2025 bars contracts for cold wallets."""

    custody: EthereumCustody
    holder: SignerId
    public_key: CompressedKey
    proof: EcdsaSignature
    address: EthereumAddress
    """Of `public_key`. Keccak is not in the standard library: signers and the SDK check it, not this type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """The secured party's own destinations, fixed for ever: where enforcement may send, and nowhere else."""

    bitcoin: ScriptPubKey
    ethereum: EthereumAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Account(Statement):
    """One pledge account. Signed by all three parties and every signer; an address is worth nothing before.

    Raises:
        ValueError: keys that coincide, or a proof of possession that does not verify.
    """

    TYPE: ClassVar[str] = payload_type("account")

    account: AccountId
    pledgor: Party
    secured_party: Party
    custodian: Party
    policy_digest: Digest
    """The root policy: version 1 of the chain of policies this account stands under."""
    bitcoin: BitcoinTerms
    ethereum: EthereumTerms
    enforcement: Enforcement
    created_at: Seconds

    def __post_init__(self) -> None:
        if len({party.entity for party in self.parties}) != 3:
            raise ValueError("the three parties are three entities")
        if len({party.public_key for party in self.parties}) != 3:
            raise ValueError("the three parties have three keys")
        keys = [*self.bitcoin.keys, self.ethereum.public_key]
        if len(set(keys)) != len(keys):
            raise ValueError("every key of an account is its own")
        if self.ethereum.holder not in {cosigner.signer for cosigner in self.bitcoin.cosigners}:
            raise ValueError("the holder of the ETH key is one of the signers")
        for signer, asset, key, proof in self._possessions():
            challenge = possession_challenge(
                network=self.network, account=self.account, signer=signer, asset=asset, public_key=key
            )
            if not proves_possession(key, proof, challenge):
                raise ValueError(f"{signer} has not proven possession of its {asset} key")

    def _possessions(self) -> list[tuple[SignerId, Asset, CompressedKey, EcdsaSignature]]:
        eth = self.ethereum
        cosigners = [(c.signer, Asset.BTC, c.public_key, c.proof) for c in self.bitcoin.cosigners]
        return [*cosigners, (eth.holder, Asset.ETH, eth.public_key, eth.proof)]

    @property
    def parties(self) -> tuple[Party, Party, Party]:
        """Pledgor, secured party, custodian."""
        return self.pledgor, self.secured_party, self.custodian

    def could_sign(self, asset: Asset) -> tuple[SignerId, ...]:
        """Whose signatures an outflow can carry. ETH: the one signer that holds the key (single-holder)."""
        if asset is Asset.ETH:
            return (self.ethereum.holder,)
        return tuple(cosigner.signer for cosigner in self.bitcoin.cosigners)

    @property
    def bitcoin_ownership_message(self) -> str:
        """What every cosigner signs by BIP-322 to show that it can spend. The digest binds every term."""
        return f"{self._ownership_message} bitcoin {self.bitcoin.script_pubkey}"

    @property
    def ethereum_ownership_message(self) -> str:
        """What the holder signs by EIP-191 (version 0x45, "personal_sign") for the address."""
        return f"{self._ownership_message} ethereum {self.ethereum.address}"

    @property
    def _ownership_message(self) -> str:
        return f"bailee account {self.network.value} {self.account} {self.digest}"

    def party(self, entity: EntityId) -> Party:
        """The party that is this entity.

        Raises:
            LookupError: it is none of them.
        """
        for party in self.parties:
            if party.entity == entity:
                return party
        raise LookupError(f"{entity} is no party of {self.account}")
