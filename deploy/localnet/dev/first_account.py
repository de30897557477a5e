"""What a newcomer finds: one pledge account, coins in it, and destinations that wait for their approvers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import tomlkit
from embit.networks import NETWORKS
from embit.script import Script
from eth_utils.address import to_checksum_address

from deploy.localnet.demo.onboarding import DESTINATIONS, open_account, propose
from deploy.localnet.demo.pledging import position_of
from deploy.localnet.demo.stage import Stage
from deploy.localnet.state import write_private
from deploy.localnet.wallet import Wallets, written
from signers.statements.account import Enforcement, Party
from signers.statements.amounts import Amount, Asset, Sats, Wei

AGREEMENT_NAME: Final = "agreement.toml"
_PLEDGED: Final[Mapping[Asset, Amount]] = {Asset.BTC: Sats(150_000_000), Asset.ETH: Wei(12 * 10**18)}
_CREDIT_BLOCKS: Final = {Asset.BTC: 6, Asset.ETH: 3}


async def open_first_account(stage: Stage, wallets: Wallets) -> None:
    """Journeys 1 and 2, up to where somebody has to decide."""
    await open_account(stage)
    await _propose_destinations(stage, wallets)
    await _pledge(stage, wallets)


def write_agreement(file: Path, *, parties: Sequence[Party], enforcement: Enforcement) -> None:
    """What the three parties agreed, as `bailee account create --agreement` reads it.

    Args:
        file: to write.
        parties: pledgor, secured party, custodian.
        enforcement: the secured party's own addresses.
    """
    document: dict[str, dict[str, str]] = {
        role: {"entity": party.entity, "public_key": party.public_key}
        for role, party in zip(("pledgor", "secured_party", "custodian"), parties, strict=True)
    }
    document["enforcement"] = {
        "bitcoin": str(Script(enforcement.bitcoin.raw).address(NETWORKS["regtest"])),
        "ethereum": to_checksum_address(enforcement.ethereum.raw),
    }
    write_private(file, tomlkit.dumps(document))


async def _propose_destinations(stage: Stage, wallets: Wallets) -> None:
    with stage.record.step(
        "the pledgor proposes two destinations; the approvers are yours to play"
    ) as evidence:
        for asset, destination_id in DESTINATIONS.items():
            wallet = wallets.new(asset)
            evidence[destination_id] = await propose(stage, asset, wallet)
            stage.record.say(f"{destination_id} {wallet.text}")


async def _pledge(stage: Stage, wallets: Wallets) -> None:
    amounts = " and ".join(written(amount) for amount in _PLEDGED.values())
    with stage.record.step(f"{amounts} are pledged, credited and reported"):
        addresses = {Asset.BTC: stage.bitcoin_address, Asset.ETH: stage.ethereum_address}
        for asset, amount in _PLEDGED.items():
            wallets.pay(addresses[asset], amount)
            await stage.mine(asset, 1 + _CREDIT_BLOCKS[asset])
        for asset, amount in _PLEDGED.items():
            await position_of(stage, asset, lambda each, pledged=amount: each.confirmed == pledged)
