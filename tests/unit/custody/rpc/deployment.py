"""A whole service in this process: real store, real gRPC server, real mutual TLS."""

import asyncio
import hashlib
import secrets
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from custody.adapters.sqlite.store import SqliteStore
from custody.configuration import Limits
from custody.domain.principal import Principal, Role
from custody.rpc.backend import Backend
from custody.rpc.feed import Feed
from custody.rpc.interceptors import DeadlineLimits
from custody.rpc.pagination import KEY_BYTES, PageTokens
from custody.rpc.principals import Directory
from custody.rpc.reports import Reports
from custody.rpc.server import SERVICES, Server, ServerTerms
from custody.rpc.tls import TlsFiles, server_credentials
from signers.statements.identifiers import Seconds
from tests.factories import build_world
from tests.unit.custody.rpc.pki import Authority, Identity
from tests.unit.custody.rpc.scenario import Scenario

AUTHORITY = Authority()
SERVER_NAME = "custody.test"
STRANGER = "stranger.test"
"""Certified by the authority, and no principal."""
BYSTANDER = "bystander.test"
"""A principal that no service lists."""
LIMITS = Limits()
"""As an operator has them who says nothing else."""
_identities: dict[str, Identity] = {}

R = TypeVar("R", bound=Message)


def identity(name: str) -> Identity:
    """The certificate of a name; made once, keys are slow."""
    if name not in _identities:
        _identities[name] = AUTHORITY.issue(name)
    return _identities[name]


@dataclass
class Refused:
    """An error as a client reads it."""

    code: grpc.StatusCode
    message: str
    info: Any
    """The one google.rpc.ErrorInfo."""
    fields: set[tuple[str, str]]
    """Path and rule of every field violation."""
    preconditions: list[str]
    retry_after_ms: int | None

    @property
    def paths(self) -> set[str]:
        return {path for path, _ in self.fields}

    @property
    def reason(self) -> str:
        return str(self.info.reason)

    @classmethod
    def read(cls, error: aio.AioRpcError) -> "Refused":
        """Parse the status; there is exactly one ErrorInfo of our domain, whatever was refused."""
        metadata = dict(error.trailing_metadata() or ())
        status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
        assert status.code == error.code().value[0]
        assert status.message == error.details()
        infos: list[Any] = []
        fields: set[tuple[str, str]] = set()
        preconditions: list[str] = []
        retry = None
        for detail in status.details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                info = error_details_pb2.ErrorInfo()
                assert detail.Unpack(info)
                infos.append(info)
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad = error_details_pb2.BadRequest()
                detail.Unpack(bad)
                fields.update((each.field, each.reason) for each in bad.field_violations)
            elif detail.Is(error_details_pb2.PreconditionFailure.DESCRIPTOR):
                failure = error_details_pb2.PreconditionFailure()
                detail.Unpack(failure)
                preconditions += [each.type for each in failure.violations]
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                info = error_details_pb2.RetryInfo()
                detail.Unpack(info)
                retry = info.retry_delay.ToMilliseconds()
        assert len(infos) == 1
        assert infos[0].domain == "bailee"
        return cls(error.code(), status.message, infos[0], fields, preconditions, retry)


@dataclass
class Deployment:
    """The service and everything to call it with."""

    scenario: Scenario
    store: SqliteStore
    server: Server
    directory: Directory
    feed: Feed
    path: Path
    channels: dict[str, aio.Channel] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.server.port

    def channel(self, word: str) -> aio.Channel:
        """As one of the scenario's principals, or as a raw certificate name."""
        if word not in self.channels:
            name = f"{word}.test" if "." not in word else word
            self.channels[word] = self.connect(identity(name))
        return self.channels[word]

    def connect(self, who: Identity | None) -> aio.Channel:
        credentials = grpc.ssl_channel_credentials(
            AUTHORITY.certificate, who.key if who else None, who.certificate if who else None
        )
        return aio.secure_channel(
            f"127.0.0.1:{self.port}",
            credentials,
            options=[("grpc.ssl_target_name_override", SERVER_NAME), ("grpc.use_local_subchannel_pool", 1)],
        )

    async def call(
        self, word: str, method: str, request: Message | bytes, *, seconds: float | None = 5.0
    ) -> bytes:
        """Call `LienService/ReserveLien` and the like; raw bytes both ways."""
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        multicallable: Any = self.channel(word).unary_unary(f"/bailee.custody.v1.{method}")
        return bytes(await multicallable(raw, timeout=seconds))

    async def ask(self, word: str, method: str, request: Message, answer: type[R]) -> R:
        return answer.FromString(await self.call(word, method, request))

    async def refused(
        self, word: str, method: str, request: Message | bytes, *, seconds: float | None = 5.0
    ) -> Refused:
        """The refusal of a call that must be refused."""
        try:
            await self.call(word, method, request, seconds=seconds)
        except aio.AioRpcError as error:
            return Refused.read(error)
        raise AssertionError(f"{method} was answered")

    async def refused_unchanged(self, word: str, method: str, request: Message | bytes) -> Refused:
        """The refusal of a call that must be refused and write nothing."""
        before = self.dump()
        refused = await self.refused(word, method, request)
        assert self.dump() == before
        return refused

    def demote(self, word: str) -> None:
        """From now on one of the scenario's principals may look at every account, and do nothing."""
        principal = self.scenario.principals[word]
        looking = replace(principal, roles=frozenset({Role.AUDITOR}))
        self.directory._principals[principal.name] = looking

    def dump(self) -> str:
        """A digest of every row of every table: equal if and only if nothing was written."""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()
        finally:
            connection.close()


@asynccontextmanager
async def deployed(
    folder: Path, stage: Callable[[Scenario], Awaitable[None]] = Scenario.build
) -> AsyncIterator[Deployment]:
    """A service over a fresh store that `stage` has filled."""
    world = build_world()
    store = await SqliteStore.open(folder / "custody.sqlite")
    scenario = Scenario(world=world, store=store, now=world.now)
    await stage(scenario)
    await scenario.look()
    feed = Feed(store)
    listening = asyncio.create_task(feed.run())
    terms = _terms(folder, scenario)
    server = Server(_backend(scenario, feed), terms)
    await server.start()
    deployment = Deployment(
        scenario=scenario,
        store=store,
        server=server,
        directory=terms.directory,
        feed=feed,
        path=folder / "custody.sqlite",
    )
    try:
        yield deployment
    finally:
        for channel in deployment.channels.values():
            await channel.close()
        await server.stop(grace_seconds=0.1)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await store.close()


def _backend(scenario: Scenario, feed: Feed) -> Backend:
    return Backend(
        store=scenario.store,
        clock=lambda: Seconds(scenario.now),
        disputed=lambda: scenario.disputed,
        custodian=scenario.world.custodian.party,
        feed=feed,
        reports=Reports(),
        tokens=PageTokens(secrets.token_bytes(KEY_BYTES)),
    )


def _terms(folder: Path, scenario: Scenario) -> ServerTerms:
    certificate, key = identity(SERVER_NAME).write(folder, "server")
    authority = folder / "authority.pem"
    authority.write_bytes(AUTHORITY.certificate)
    every = [
        *scenario.principals.values(),
        Principal(name=BYSTANDER, entity=None, roles=frozenset()),
    ]
    listed = frozenset(principal.name for principal in every) - {BYSTANDER}
    return ServerTerms(
        address="127.0.0.1:0",
        credentials=server_credentials(TlsFiles(certificate=certificate, key=key, authority=authority)),
        directory=Directory(every, allowed=dict.fromkeys(SERVICES, listed)),
        deadlines=DeadlineLimits(unary_seconds_max=60, stream_seconds_max=120),
        concurrent_calls_max=LIMITS.concurrent_calls_max,
        calls_per_caller_max=LIMITS.calls_per_caller_max,
    )
