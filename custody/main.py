"""`bailee-custody`: the composition root, and the only place that wires.

`start`: open the store → `pin` the policy → `connect` the adapters → `serve`: feed, workers and server until
the process is told to end, or one of them ends. Whatever ends by itself ends the process: the supervisor that
starts it again is the recovery, and every step is safe to be killed anywhere.
"""

import custody.tls_floor  # noqa: F401 - before anything imports grpc

# isort: split
import argparse
import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from custody import configuration, logs, memory
from custody.adapters.bitcoin_node import BitcoinNode
from custody.adapters.bitcoin_nodes import BitcoinNodes
from custody.adapters.ethereum_node import EthereumNode
from custody.adapters.ethereum_nodes import EthereumNodes
from custody.adapters.json_rpc import Endpoint, JsonRpc
from custody.adapters.signer_client import SignerClients, SignerEndpoint, TlsIdentity
from custody.adapters.sqlite.store import SqliteStore
from custody.adapters.vault import LoginFailed, VaultAttestor, VaultSettings
from custody.adapters.verification import Accounts, Payouts
from custody.application import policy as policies
from custody.application.ports.attestation import Attestor
from custody.application.ports.chains import BitcoinChain, EthereumChain
from custody.application.ports.signers import Signers
from custody.application.ports.store import Store
from custody.configuration import Configuration, ConfigurationInvalid, Nodes
from custody.domain.errors import CustodyError
from custody.rpc.backend import Backend
from custody.rpc.codec.values import parse_envelope
from custody.rpc.feed import Feed
from custody.rpc.interceptors import DeadlineLimits
from custody.rpc.pagination import KEY_BYTES, PageTokens
from custody.rpc.principals import Directory
from custody.rpc.reports import Reports
from custody.rpc.server import Server, ServerTerms
from custody.rpc.tls import TlsFiles, WeakTls, require_tls_1_3, server_credentials
from custody.workers.bitcoin_watcher import BitcoinWatcher
from custody.workers.chain_health import ChainHealth
from custody.workers.ethereum_watcher import EthereumWatcher
from custody.workers.expiry import Expiry
from custody.workers.last_words import LastWords
from custody.workers.onboarding_driver import OnboardingDriver
from custody.workers.reconciler import Reconciler
from custody.workers.report_publisher import ReportPublisher
from custody.workers.run_loop import Worker, run
from custody.workers.withdrawal_driver import WithdrawalDriver
from signers.statements.identifiers import Seconds
from signers.statements.policy import Policy

RECURSION_LIMIT: Final = 1_000
"""Python's own. py_ecc, which eth-account loads, sets 100,000: nested JSON would then end the process."""

STEP_SECONDS: Final = 2.0
"""What the workers' steps under way get to end by themselves; cancelled anywhere they are safe too."""
_log = structlog.get_logger("custody.main")


Life = Callable[[], Coroutine[Any, Any, None]]
Composition = Callable[[Configuration, asyncio.Event], Awaitable[None]]
"""Be custody under a configuration until an event is set: `start`, or what a test composes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """The outside world. A test puts its own around, or in the place of, any of them."""

    store: Store
    bitcoin: BitcoinChain
    ethereum: EthereumChain
    signers: Signers
    attestor: Attestor
    lives: Mapping[str, Life]
    """What the adapters themselves live by: the end of any of these is the end of the process."""


class PartEnded(Exception):  # noqa: N818 - named by what happened
    """A part that the process lives by has ended by itself."""


async def start(told: Configuration, stop: asyncio.Event) -> None:
    """Be custody until `stop` is set.

    Raises:
        ConfigurationInvalid, CustodyError, LoginFailed: it cannot start.
        PartEnded: it cannot go on.
    """
    async with AsyncExitStack() as stack:
        store = await SqliteStore.open(told.state_folder / "custody.sqlite")
        stack.push_async_callback(store.close)
        policy = await pin(store, told)
        adapters = await connect(told, store, policy, stack)
        health = ChainHealth()
        await serve(told, adapters, health, workers(adapters, health), stop)


async def pin(store: Store, told: Configuration) -> Policy:
    """Put the policy of the configuration in force; custody does nothing without one."""
    command = policies.PinPolicy(
        envelope=parse_envelope(told.policy_file.read_bytes(), field="policy_file"),
        digest=told.policy_digest,
        network=told.network,
    )
    now = clock()
    policy = (await store.execute(lambda uow: policies.pin(uow, command, now=now))).policy
    named = sorted(terms.signer for terms in policy.signers)
    if sorted(each.signer for each in told.signers) != named:
        raise ConfigurationInvalid(f"signers: the policy names {', '.join(named)}")
    return policy


async def connect(told: Configuration, store: SqliteStore, policy: Policy, stack: AsyncExitStack) -> Adapters:
    """The real nodes, signers and OpenBao, to be closed by `stack`."""
    tls = TlsIdentity(
        authority=told.tls.authority.read_bytes(),
        certificate=told.tls.certificate.read_bytes(),
        key=told.tls.key.read_bytes(),
    )
    endpoints = [
        SignerEndpoint(signer=each.signer, target=each.target, certificate_name=each.certificate_name)
        for each in told.signers
    ]
    signers = SignerClients(endpoints, identity=tls)
    stack.push_async_callback(signers.close)
    vault = VaultSettings(
        url=told.vault.url,
        authority_file=told.vault.authority,
        role_id=told.vault.role_id,
        role=told.vault.role_name,
        wrapped_secret_id_file=told.vault.wrapped_secret_id_file,
        transit_mount=told.vault.transit_mount,
        attestation_key=told.vault.attestation_key,
        public_key=policy.custody_attestation_key,
    )
    attestor = VaultAttestor(vault)
    await attestor.log_in()
    stack.push_async_callback(attestor.close)
    bitcoin = [BitcoinNode(rpc, network=told.network) for rpc in nodes(told.bitcoin, stack)]
    ethereum = [EthereumNode(rpc, network=told.network) for rpc in nodes(told.ethereum, stack)]
    return Adapters(
        store=store,
        bitcoin=BitcoinNodes(bitcoin, needed=told.bitcoin.needed),
        ethereum=EthereumNodes(ethereum, needed=told.ethereum.needed),
        signers=signers,
        attestor=attestor,
        lives={"store": store.stopped, "attestation": attestor.renew_until_lost},
    )


def nodes(terms: Nodes, stack: AsyncExitStack) -> Sequence[JsonRpc]:
    """The JSON-RPC of each node."""
    found = [
        JsonRpc(Endpoint(name=node.name, url=node.url, user=node.user, secret_file=node.secret_file))
        for node in terms.nodes
    ]
    for rpc in found:
        stack.callback(rpc.close)
    return found


def workers(adapters: Adapters, health: ChainHealth) -> Sequence[Worker]:
    """What custody does by itself."""
    a = adapters
    return (
        BitcoinWatcher(store=a.store, chain=a.bitcoin, health=health, clock=clock),
        EthereumWatcher(store=a.store, chain=a.ethereum, health=health, clock=clock),
        OnboardingDriver(store=a.store, signers=a.signers, verifier=Accounts(), clock=clock),
        withdrawal_driver(adapters, health),
        ReportPublisher(store=a.store, attestor=a.attestor, health=health, clock=clock),
        Reconciler(store=a.store, bitcoin=a.bitcoin, ethereum=a.ethereum, clock=clock),
        Expiry(store=a.store, clock=clock),
        LastWords(store=a.store, signers=a.signers, clock=clock),
    )


def withdrawal_driver(adapters: Adapters, health: ChainHealth) -> WithdrawalDriver:
    """The one worker that makes coins move."""
    return WithdrawalDriver(
        store=adapters.store,
        bitcoin=adapters.bitcoin,
        ethereum=adapters.ethereum,
        signers=adapters.signers,
        verifier=Payouts(),
        health=health,
        clock=clock,
    )


def serving(told: Configuration, store: Store, feed: Feed, health: ChainHealth) -> Server:
    """The server over this store."""
    backend = Backend(
        store=store,
        clock=clock,
        disputed=lambda: health.disputed(now=clock()),
        custodian=told.custodian_party,
        feed=feed,
        reports=Reports(),
        tokens=PageTokens(secrets.token_bytes(KEY_BYTES)),
    )
    files = TlsFiles(certificate=told.tls.certificate, key=told.tls.key, authority=told.tls.authority)
    terms = ServerTerms(
        address=told.listen,
        credentials=server_credentials(files),
        directory=Directory(told.known_principals, allowed=told.allowed),
        deadlines=DeadlineLimits(
            unary_seconds_max=told.limits.unary_deadline_seconds_max,
            stream_seconds_max=told.limits.stream_deadline_seconds_max,
        ),
        concurrent_calls_max=told.limits.concurrent_calls_max,
        calls_per_caller_max=told.limits.calls_per_caller_max,
    )
    return Server(backend, terms)


async def serve(
    told: Configuration,
    adapters: Adapters,
    health: ChainHealth,
    staff: Sequence[Worker],
    stop: asyncio.Event,
) -> None:
    """Feed, workers and server, until `stop` or until one of them ends.

    Args:
        told: the configuration.
        adapters: the outside world.
        health: what the watchers among the staff say of the chains.
        staff: what custody does by itself.
        stop: set it to end.

    Raises:
        PartEnded: one of them did; the others were stopped.
        WeakTls: an older TLS can be negotiated.
    """
    feed, halt = Feed(adapters.store), asyncio.Event()
    server = serving(told, adapters.store, feed, health)
    lives = {**adapters.lives, "feed": feed.run}
    for worker in staff:
        lives[worker.name] = partial(run, worker, interval_seconds=told.watch_seconds, stop=halt)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop, grace_seconds=0)
        await asyncio.to_thread(require_tls_1_3, server.port, host=told.host)
        tasks = [asyncio.create_task(life(), name=name) for name, life in lives.items()]
        stack.push_async_callback(cancelled, tasks)
        _log.info("serving", port=server.port, **said(told))
        fault = await first_to_end(tasks, stop)
        _log.info("stopping", because=fault.get_name() if fault else "told to")
        grace = told.limits.shutdown_grace_seconds
        await server.stop(grace_seconds=0 if fault else grace)
        halt.set()
        await asyncio.wait(tasks[len(adapters.lives) + 1 :], timeout=STEP_SECONDS)
    if fault is not None:
        raise PartEnded(fault.get_name()) from (None if fault.cancelled() else fault.exception())


async def first_to_end(tasks: Sequence[asyncio.Task[None]], stop: asyncio.Event) -> asyncio.Task[None] | None:
    """The task that ended by itself; `None` once `stop` is set."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return next((task for task in tasks if task.done()), None)


async def cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel what still runs, and wait for it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def said(told: Configuration) -> dict[str, object]:
    """What a start says of itself: which network, which policy, and every comfort that costs security."""
    return {
        "network": told.network.value,
        "policy": told.policy_digest,
        "ethereum_keys": "single-holder: one signer holds each key whole and could take the coins alone",
        "insecure": sorted(name for name, on in told.insecure if on),
    }


def clock() -> Seconds:
    """Unix time."""
    return Seconds(int(time.time()))


async def until_signalled(told: Configuration, life: Composition) -> None:
    """Live that life; SIGTERM and SIGINT end it gracefully."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await life(told, stop)


def live(file: Path, life: Composition = start) -> int:
    """One life of the process under that configuration.

    Returns:
        The exit status: 0 told to end, 1 a part ended, 2 it could not start.
    """
    sys.setrecursionlimit(RECURSION_LIMIT)
    os.umask(0o077)
    try:
        told = configuration.read(file)
        logs.configure(told.log_level)
        memory.settle()
        asyncio.run(until_signalled(told, life))
    except PartEnded as error:
        _log.critical("ended", part=str(error), exc_info=error.__cause__)
        return 1
    except (ConfigurationInvalid, CustodyError, LoginFailed, WeakTls, OSError) as error:
        sys.stderr.write(f"bailee-custody cannot start: {error}\n")
        return 2
    return 0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="bailee-custody", description="Custody of pledged BTC and ETH.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", type=Path, metavar="FILE", help="the configuration (TOML)")
    which.add_argument("--example", action="store_true", help="print a documented configuration")
    arguments = parser.parse_args()
    if arguments.example:
        sys.stdout.write(configuration.example())
        return
    sys.exit(live(arguments.config))


if __name__ == "__main__":
    main()
