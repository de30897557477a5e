"""Journey 1: a pledge account, and the destinations its coins may go to."""

import asyncio
from typing import Any, Final

from custody.client import Agreement
from deploy.localnet.demo.stage import ACCOUNT, Stage, state, until
from deploy.localnet.demo.wallets import BitcoinWallet, EthereumWallet
from signers.statements import multisig
from signers.statements.account import Enforcement
from signers.statements.allowlist import ownership_message
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, DestinationId, Digest

DESTINATIONS: Final = {Asset.BTC: "client-cold-btc", Asset.ETH: "client-cold-eth"}
_APPROVERS: Final = ("custodian-one", "trustee-one")


async def open_account(stage: Stage) -> None:
    """Keys at three signers, signatures of everybody, proofs of ownership; only then an address."""
    stage.record.chapter("1. Onboard")
    with stage.record.step("a pledge account is opened") as evidence:
        agreement = _agreement(stage)
        created = await stage.custodian.create_account(ACCOUNT, agreement=agreement)
        stage.record.say("three signers each create a key of their own for it; custody never sees one")
        proposed = await until(
            lambda: stage.custodian.account(ACCOUNT),
            lambda account: state(account) == "AWAITING_SIGNATURES",
            what="the account statement",
        )
        if created.HasField("bitcoin_address") or proposed.HasField("bitcoin_address"):
            raise AssertionError("an address was shown before its ownership was proven")
        evidence |= {"account": ACCOUNT, "statement_digest": proposed.statement_digest}
    with stage.record.step("all parties sign, the signers co-sign and prove ownership") as evidence:
        for party in (stage.custodian, stage.pledgor, stage.margin_engine):
            await party.sign_account(ACCOUNT, agreement=agreement)
        active = await until(
            lambda: stage.pledgor.account(ACCOUNT),
            lambda account: state(account) == "ACTIVE",
            what="an active account",
        )
        # The pledgor believes the statement and its signatures, not the address that custody shows.
        stage.account = await stage.pledgor.verified_account(ACCOUNT)
        derived = await asyncio.to_thread(_derive, stage)
        if active.bitcoin_address.display != derived:
            raise AssertionError(
                f"bitcoind derives {derived}, custody shows {active.bitcoin_address.display}"
            )
        stage.bitcoin_address, stage.ethereum_address = derived, active.ethereum_address.display
        evidence |= {
            "bitcoin_address": derived,
            "ethereum_address": stage.ethereum_address,
            "descriptor": active.bitcoin_descriptor,
            "ethereum_custody": stage.account.ethereum.custody,
        }
        stage.record.say(f"BTC {derived}")
        stage.record.say(
            f"ETH {stage.ethereum_address} (key held by one signer: {stage.account.ethereum.holder})"
        )


async def list_destinations(stage: Stage) -> None:
    """The pledgor's own wallets, proven by their keys and approved by two entities."""
    with stage.record.step("two destinations are proven, approved by two entities, and cool off") as evidence:
        wallets: dict[Asset, BitcoinWallet | EthereumWallet] = {
            Asset.BTC: BitcoinWallet.new(),
            Asset.ETH: EthereumWallet.new(),
        }
        stage.wallets = wallets
        digests = {}
        for asset, wallet in wallets.items():
            destination_id = DESTINATIONS[asset]
            digest = await propose(stage, asset, wallet)
            for entity in _APPROVERS:
                await stage.approvers[entity].approve_destination(
                    ACCOUNT, destination_id, entry_digest=digest
                )
            digests[destination_id] = digest
        addresses = {DESTINATIONS[asset]: wallet.text for asset, wallet in wallets.items()}
        evidence |= {"addresses": addresses, "statement_digests": digests}
        for destination_id in DESTINATIONS.values():
            await until(
                lambda name=destination_id: stage.pledgor.destination(ACCOUNT, name),  # type: ignore[misc]
                lambda destination: state(destination) == "USABLE",
                what=f"{destination_id} to cool off",
            )


async def propose(stage: Stage, asset: Asset, wallet: BitcoinWallet | EthereumWallet) -> Digest:
    """The pledgor proposes a wallet of its own, proven by its key; the digest that approvers sign."""
    destination_id = DESTINATIONS[asset]
    message = ownership_message(
        network=stage.trust.network,
        account=AccountId(ACCOUNT),
        destination_id=DestinationId(destination_id),
        destination=wallet.destination,
    )
    proposed: Any = await stage.pledgor.propose_destination(
        ACCOUNT, destination_id, wallet.destination, proof=wallet.prove(message)
    )
    return Digest(proposed.statement_digest)


def _agreement(stage: Stage) -> Agreement:
    """What the three parties signed on paper."""
    people = stage.net.people
    return Agreement(
        pledgor=people["pledgor.client-one"].party,
        secured_party=people["margin-engine.broker-one"].party,
        custodian=people["operations.custodian-one"].party,
        enforcement=Enforcement(
            bitcoin=BitcoinWallet.new().destination.script_pubkey, ethereum=EthereumWallet.new().address
        ),
    )


def _derive(stage: Stage) -> str:
    """The address that bitcoind derives from the descriptor of the verified statement."""
    plain = multisig.descriptor(stage.account.bitcoin.keys)
    described = stage.net.bitcoind.call("getdescriptorinfo", plain)["descriptor"]
    return str(stage.net.bitcoind.call("deriveaddresses", described)[0])
