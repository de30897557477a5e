"""From settings to the parts they describe."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack

from signers.bitcoin.node import BitcoinNode
from signers.bitcoin.node import NodeUnavailable as BitcoinUnavailable
from signers.configuration import Configuration
from signers.ethereum.node import EthereumNode
from signers.ethereum.node import NodeUnavailable as EthereumUnavailable
from signers.journal import Journal
from signers.peers.client import PeerAddress, PeerClient
from signers.rules.policy import require_its_policy
from signers.rules.signer import Clockwork
from signers.service.server import Callers, Tls
from signers.statements.amounts import Asset
from signers.statements.identifiers import Ed25519Key, Seconds
from signers.statements.policy import Policy
from signers.statements.refusals import Refusal
from signers.vault import VaultSettings

_log = logging.getLogger(__name__)


class SignerUnfit(Exception):  # noqa: N818 - named for what is the case
    """This process is not the signer that the policy means, or not as the network demands."""


def vault_settings(config: Configuration) -> VaultSettings:
    """Where this signer's OpenBao is and how it logs in."""
    vault = config.vault
    return VaultSettings(
        url=vault.url,
        ca_file=vault.authority,
        role_name=vault.role_name,
        role_id=vault.role_id,
        wrapped_secret_id_file=vault.wrapped_secret_id_file,
        approle_mount=vault.approle_mount,
    )


def tls(config: Configuration) -> Tls:
    """This signer's certificate."""
    return Tls(certificate=config.tls.certificate, key=config.tls.key, authority=config.tls.authority)


def callers(config: Configuration) -> Callers:
    """Whose certificates may call what."""
    return Callers(
        custody=frozenset(config.custody_certificate_names),
        peers={peer.certificate_name: peer.signer for peer in config.peers},
    )


def peer_client(config: Configuration) -> PeerClient:
    """The other signers' addresses, and this signer's certificate to call them with."""
    addresses = [
        PeerAddress(signer=peer.signer, target=peer.target, certificate_name=peer.certificate_name)
        for peer in config.peers
    ]
    files = config.tls
    return PeerClient(addresses, certificate=files.certificate, key=files.key, authority=files.authority)


def clockwork(config: Configuration) -> Clockwork:
    """How far clock and nodes may be apart."""
    return Clockwork(
        skew_max_seconds=Seconds(config.clock_skew_max_seconds),
        tip_age_max_seconds={
            Asset.BTC: Seconds(config.bitcoin.tip_age_max_seconds),
            Asset.ETH: Seconds(config.ethereum.tip_age_max_seconds),
        },
    )


def journal(config: Configuration, policy: Policy) -> Journal:
    """This signer's journal. Of another policy it is none, and no call may find that out first.

    Raises:
        JournalUnusable: as `Journal.open`.
        Refusal: `policy-digest`.
    """
    opened = Journal.open(config.state_folder / "journal.db")
    try:
        require_its_policy(opened, policy)
    except Refusal:
        opened.close()
        raise
    return opened


async def nodes(config: Configuration, opened: AsyncExitStack) -> tuple[BitcoinNode, EthereumNode]:
    """This signer's own nodes. One that is down may come back; one of another chain ends the start.

    Raises:
        NodeUnfit: of another chain, or without what a signer needs.
    """
    password = config.bitcoin.password_file
    bitcoin = BitcoinNode.connect(
        config.bitcoin.url,
        network=config.network,
        cookie_file=config.bitcoin.cookie_file,
        user=config.bitcoin.user,
        password=None if password is None else password.read_text(encoding="utf-8").strip(),
    )
    opened.callback(bitcoin.close)
    ethereum = EthereumNode.connect(config.ethereum.url, network=config.network)
    opened.push_async_callback(ethereum.close)
    for node in (bitcoin, ethereum):
        try:
            await node.check()
        except (BitcoinUnavailable, EthereumUnavailable) as error:
            _log.warning("a node does not answer yet: %s", error)
    return bitcoin, ethereum


def require_named(policy: Policy, config: Configuration, statement_key: Ed25519Key) -> None:
    """The policy names this signer with this very key, and its peers.

    Raises:
        SignerUnfit: it does not.
    """
    told = {config.signer, *(peer.signer for peer in config.peers)}
    named = {str(terms.signer) for terms in policy.signers}
    if told != named:
        raise SignerUnfit(f"the policy names the signers {sorted(named)}, the configuration {sorted(told)}")
    if config.ethereum_key_holder not in named:
        raise SignerUnfit(f"ethereum_key_holder {config.ethereum_key_holder} is no signer of the policy")
    if policy.signer(config.signer).public_key != statement_key:
        raise SignerUnfit(f"this Vault's statement key is {statement_key}, not the one in the policy")
