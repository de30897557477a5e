"""`bailee-signer --config FILE`: one signer process, wired here and nowhere else."""

from __future__ import annotations

import signers.tls_floor  # noqa: F401 - before anything imports grpc

# isort: split
import argparse
import asyncio
import logging
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from signers import configuration, logs, wiring
from signers.bitcoin.node import NodeUnfit as BitcoinUnfit
from signers.configuration import Configuration, ConfigurationInvalid
from signers.ethereum.node import NodeUnfit as EthereumUnfit
from signers.journal import JournalUnusable
from signers.keys.ecdsa import SigningLibraryUnfit
from signers.keys.port import KeysError
from signers.keys.single_holder import SingleHolder
from signers.keys.transit import TransitKey
from signers.keys.vault_statement import VaultStatementSigner
from signers.keys.vault_transit import VaultTransitKeys
from signers.lifetime import Ending, Exit, follow
from signers.process_hardening import Hardening, ProcessNotHardened, harden_process, require_locked
from signers.rules.bitcoin_chain import BitcoinChain
from signers.rules.ethereum_chain import EthereumChain
from signers.rules.policy import PolicyUnfit, read_policy
from signers.rules.reconciliation import Reconciliation
from signers.rules.signer import Signer
from signers.service.server import SignerServer, WeakTls, require_tls_1_3
from signers.statements.amounts import Asset
from signers.statements.identifiers import Ed25519Key, Seconds
from signers.statements.refusals import Refusal
from signers.vault import VaultError, VaultSession
from signers.wiring import SignerUnfit

_UNFIT = (
    BitcoinUnfit,
    ConfigurationInvalid,
    EthereumUnfit,
    PolicyUnfit,
    ProcessNotHardened,
    Refusal,
    SignerUnfit,
    SigningLibraryUnfit,
    WeakTls,
)
_LOST = (JournalUnusable, KeysError, OSError, RuntimeError, VaultError)

_log = logging.getLogger("signers.main")  # also when it runs as `python -m`


def main() -> None:
    """Harden, read the configuration, serve until told to stop."""
    parser = argparse.ArgumentParser(prog="bailee-signer", description="One signer of a Bailee deployment.")
    parser.add_argument("--config", type=Path, required=True, help="TOML file; signers/README.md lists it")
    file: Path = parser.parse_args().config
    try:
        # Before any secret is read, and before any thread starts.
        hardening = harden_process()
        os.umask(0o077)
        config = configuration.read(file)
        logs.configure(level=config.log_level, signer=config.signer)
        require_locked(hardening, config.network)
        status = asyncio.run(serve(config, hardening))
    except _UNFIT as error:
        status = _failed(error, Exit.UNFIT)
    except _LOST as error:
        status = _failed(error, Exit.LOST)
    sys.exit(status)


async def serve(config: Configuration, hardening: Hardening) -> Exit:
    """One life of the process: open everything, answer, close everything in reverse."""
    async with AsyncExitStack() as opened:
        vault = await VaultSession.open(wiring.vault_settings(config))
        opened.push_async_callback(vault.close)
        signer = await compose(config, vault, opened)
        _say_what_this_is(signer, hardening)
        ending = Ending(vault)
        tls, callers = wiring.tls(config), wiring.callers(config)
        server = SignerServer(signer, tls=tls, callers=callers, on_fatal=ending.cannot_go_on)
        opened.push_async_callback(server.stop)
        port = await server.start(config.listen)
        await asyncio.to_thread(require_tls_1_3, config.listen.rpartition(":")[0], port, tls=tls)
        _log.info("listening on port %d", port)
        following = asyncio.create_task(
            follow(signer, server, every_seconds=config.watch_seconds, ending=ending)
        )
        ending.comes_with(following)
        status = await ending.wait()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return status


async def compose(config: Configuration, vault: VaultSession, opened: AsyncExitStack) -> Signer:
    """The signer: every part made once, and handed to whatever needs it."""
    own_id, network = config.signer, config.network
    policy, policy_envelope = read_policy(
        config.policy_file.read_bytes(),
        network=network,
        pinned=config.policy_digest,
        at=_wall_clock(),
    )
    mount = config.vault.transit_mount
    statement_key = TransitKey(mount=mount, name=config.vault.statement_key)
    statements = await VaultStatementSigner.open(vault=vault, key=statement_key)
    wiring.require_named(policy, config, Ed25519Key(statements.public_key.hex()))
    keys = await VaultTransitKeys.open(
        vault=vault,
        wrapping_key=TransitKey(mount=mount, name=config.vault.wrapping_key),
        store_file=config.state_folder / "keys.db",
    )
    opened.push_async_callback(keys.close)
    joint = SingleHolder(own_id=own_id, holder_id=config.ethereum_key_holder, keys=keys)
    participants = tuple(terms.signer for terms in policy.signers)
    bitcoin, ethereum = await wiring.nodes(config, opened)
    journal = wiring.journal(config, policy)
    opened.callback(journal.close)
    peers = wiring.peer_client(config)
    opened.push_async_callback(peers.close)
    peer_keys = {terms.signer: terms.public_key for terms in policy.signers if terms.signer != own_id}
    return Signer(
        id=own_id,
        network=network,
        policy=policy,
        policy_envelope=policy_envelope,
        journal=journal,
        statements=statements,
        keys=keys,
        joint=joint,
        chains={
            Asset.BTC: BitcoinChain(own_id=own_id, node=bitcoin, keys=keys),
            Asset.ETH: EthereumChain(
                own_id=own_id, network=network, node=ethereum, joint=joint, participants=participants
            ),
        },
        peers=peers,
        reconciliation=Reconciliation(
            own_id=own_id, network=network, journal=journal, peer_keys=peer_keys, peers=peers
        ),
        clockwork=wiring.clockwork(config),
        wall_clock=_wall_clock,
    )


def _wall_clock() -> Seconds:
    return Seconds(int(time.time()))


def _say_what_this_is(signer: Signer, hardening: Hardening) -> None:
    _log.info("signer %s of policy %s on %s", signer.id, signer.policy_digest, signer.network)
    _log.info("process: %s", hardening.summary())
    # Said at every start: nobody may take the ETH key for a shared one.
    _log.warning(
        "ETH custody is %s: %s holds every ETH key whole and could sign alone; there is no threshold signing",
        signer.ethereum_custody,
        signer.joint.holder,
    )


def _failed(error: BaseException, status: Exit) -> Exit:
    """One plain line: what is wrong is for the operator, and a traceback would not say it better."""
    sys.stderr.write(f"bailee-signer: {type(error).__name__}: {error}\n")
    return status


if __name__ == "__main__":
    main()
