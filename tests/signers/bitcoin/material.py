"""One pledge account with known keys, its coins, and an intent: the valid baseline that tests mutate."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from bitcoin.core import COutPoint, CTransaction, CTxIn, CTxInWitness, CTxOut, CTxWitness, b2lx
from bitcoin.core.script import CScript, CScriptWitness
from coincurve import PrivateKey
from eth_keys.main import KeyAPI

from signers.bitcoin.coins import Coin
from signers.statements import multisig
from signers.statements.account import (
    Account,
    BitcoinCosigner,
    BitcoinTerms,
    Enforcement,
    EthereumTerms,
    Party,
    possession_challenge,
)
from signers.statements.allowlist import BitcoinDestination, Destination, EthereumDestination
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.identifiers import (
    AccountId,
    CompressedKey,
    DestinationId,
    Digest,
    EcdsaSignature,
    Ed25519Key,
    EntityId,
    EthereumAddress,
    IntentId,
    ScriptPubKey,
    Seconds,
    SignerId,
    TxId,
)
from signers.statements.intent import Anchor, Intent, IntentKind, NonceAnchor, OutpointAnchor
from signers.statements.network import Network

SIGNERS = tuple(SignerId(f"signer-{number}") for number in (1, 2, 3))
PAYEE = ScriptPubKey("0014" + "77" * 20)
STRANGER = ScriptPubKey("0014" + "99" * 20)
PAYEE_ADDRESS = EthereumAddress("77" * 20)
NOW = Seconds(1_790_000_000)


@dataclass(frozen=True)
class Key:
    """A private key, and what statements and signers see of it."""

    private: PrivateKey

    @classmethod
    def named(cls, name: str) -> "Key":
        return cls(PrivateKey(hashlib.sha256(name.encode()).digest()))

    @property
    def public(self) -> CompressedKey:
        return CompressedKey(self.private.public_key.format(compressed=True).hex())

    def recoverable(self, digest: bytes) -> bytes:
        return self.private.sign_recoverable(digest, hasher=None)

    def compact(self, digest: bytes) -> EcdsaSignature:
        return EcdsaSignature(self.recoverable(digest)[:64].hex())

    @property
    def sign(self) -> Callable[[bytes], Awaitable[EcdsaSignature]]:
        async def sign(digest: bytes) -> EcdsaSignature:
            return self.compact(digest)

        return sign

    @property
    def sign_recoverably(self) -> Callable[[bytes], Awaitable[bytes]]:
        async def sign(digest: bytes) -> bytes:
            return self.recoverable(digest)

        return sign


@dataclass(frozen=True)
class Material:
    """An account with the keys behind it."""

    account: Account
    cosigners: tuple[Key, Key, Key]
    holder: Key

    @property
    def script(self) -> bytes:
        return self.account.bitcoin.script_pubkey.raw


def name_of(test: str) -> str:
    """An account id of one test alone."""
    return "test-" + hashlib.sha256(test.encode()).hexdigest()[:16]


def make(name: str = "client-one", network: Network = Network.REGTEST) -> Material:
    """An account whose keys follow from its name."""
    account = AccountId(name)
    cosigners = tuple(Key.named(f"{name} {signer} btc") for signer in SIGNERS)
    holder = Key.named(f"{name} eth")

    def proof(key: Key, signer: SignerId, asset: Asset) -> EcdsaSignature:
        challenge = possession_challenge(
            network=network, account=account, signer=signer, asset=asset, public_key=key.public
        )
        return key.compact(challenge)

    terms = tuple(
        BitcoinCosigner(signer=signer, public_key=key.public, proof=proof(key, signer, Asset.BTC))
        for signer, key in zip(SIGNERS, cosigners, strict=True)
    )
    statement = Account(
        network=network,
        account=account,
        pledgor=_party("pledgor"),
        secured_party=_party("secured-party"),
        custodian=_party("custodian"),
        policy_digest=Digest("ab" * 32),
        bitcoin=BitcoinTerms(
            cosigners=terms, script_pubkey=multisig.script_pubkey([key.public for key in cosigners])
        ),
        ethereum=EthereumTerms(
            custody="single-holder",
            holder=SIGNERS[0],
            public_key=holder.public,
            proof=proof(holder, SIGNERS[0], Asset.ETH),
            address=EthereumAddress(
                KeyAPI.PublicKey.from_compressed_bytes(holder.public.raw).to_canonical_address().hex()
            ),
        ),
        enforcement=Enforcement(
            bitcoin=ScriptPubKey("0014" + "55" * 20), ethereum=EthereumAddress("55" * 20)
        ),
        created_at=NOW,
    )
    return Material(statement, (cosigners[0], cosigners[1], cosigners[2]), holder)


def _party(name: str) -> Party:
    return Party(entity=EntityId(name), public_key=Ed25519Key(hashlib.sha256(name.encode()).hexdigest()))


def coin(script: bytes, *values: int, index: int = 0, seed: int = 0, witness: bool = True) -> Coin:
    """A coin made by a transaction with an output of each value, all to `script`."""
    transaction = CTransaction(
        [CTxIn(COutPoint(hashlib.sha256(f"funding {seed}".encode()).digest(), seed))],
        [CTxOut(value, CScript(script)) for value in values],
        witness=CTxWitness([CTxInWitness(CScriptWitness([b"\x01" * 64]))] if witness else []),
    )
    return Coin(previous_transaction=transaction.serialize(), index=index)


def txid_of(coin: Coin) -> TxId:
    return TxId(b2lx(CTransaction.deserialize(coin.previous_transaction).GetTxid()))


def outpoint_anchor(coin: Coin) -> OutpointAnchor:
    return OutpointAnchor(txid=txid_of(coin), index=coin.index)


def intent(
    material: Material,
    *,
    anchor: Anchor,
    amount: Amount,
    fee_cap: Amount,
    destination: Destination | None = None,
    **changes: Any,
) -> Intent:
    """An intent of the account."""
    where = destination or (
        BitcoinDestination(script_pubkey=PAYEE)
        if amount.asset is Asset.BTC
        else EthereumDestination(address=PAYEE_ADDRESS)
    )
    made = Intent(
        network=material.account.network,
        intent=IntentId("0190a0a0-0000-4000-8000-000000000001"),
        account=material.account.account,
        kind=IntentKind.WITHDRAWAL,
        maker=EntityId("pledgor"),
        destination_id=DestinationId("treasury"),
        destination=where,
        amount=amount,
        fee_cap=fee_cap,
        anchor=anchor,
        policy_digest=material.account.policy_digest,
        created_at=NOW,
        expires_at=Seconds(NOW + 3600),
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Payment:
    """Arguments of `build_payout` and `verify_payout`."""

    material: Material
    intent: Intent
    coins: tuple[Coin, ...]
    fee: Sats

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "intent": self.intent,
            "account": self.material.account,
            "coins": self.coins,
            "fee": self.fee,
        }

    def but(self, **changes: Any) -> "Payment":
        """The same payment with one thing changed."""
        return replace(self, **changes)

    def but_intent(self, **changes: Any) -> "Payment":
        """The same payment with one thing of its intent changed."""
        return replace(self, intent=replace(self.intent, **changes))


def payment() -> Payment:
    """0.6 BTC out of two coins of 0.5 and 0.3, at 2000 sat of at most 5000, with change."""
    material = make()
    coins = (
        coin(material.script, 50_000_000, seed=1),
        coin(material.script, 1_000, 30_000_000, index=1, seed=2),
    )
    return Payment(
        material=material,
        intent=intent(
            material,
            anchor=outpoint_anchor(coins[0]),
            amount=Sats(60_000_000),
            fee_cap=Sats(5_000),
        ),
        coins=coins,
        fee=Sats(2_000),
    )


def nonce_anchor(nonce: int, network: Network = Network.REGTEST) -> NonceAnchor:
    return NonceAnchor(chain_id=network.chain_id, nonce=nonce)


def wei(units: int) -> Wei:
    return Wei(units)
