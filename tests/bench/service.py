"""Custody's gRPC server in a process of its own, with an echo beside its services: `python -m … FOLDER NOW`.

The server is the product's: TLS 1.3 with client certificates, interceptor, access log, one event loop. No
workers run, and the clock stands still, so that prices stay fresh.
"""

import custody.tls_floor  # noqa: F401 - before anything imports grpc

# isort: split
import asyncio
import secrets
import sys
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, wrappers_pb2

from custody import logs, memory
from custody.adapters.sqlite.store import SqliteStore
from custody.configuration import Limits
from custody.rpc.backend import Backend
from custody.rpc.calls import Call
from custody.rpc.feed import Feed
from custody.rpc.interceptors import OURS, DeadlineLimits
from custody.rpc.pagination import KEY_BYTES, PageTokens
from custody.rpc.principals import Directory
from custody.rpc.reports import Reports
from custody.rpc.server import SERVICES, Server, ServerTerms
from custody.rpc.tls import TlsFiles, server_credentials
from signers.statements.identifiers import Seconds
from tests.bench.accounts import ENGINE
from tests.factories import build_world

ECHO: Final = f"{OURS}EchoService"


async def echo(request: wrappers_pb2.StringValue, context: Call) -> wrappers_pb2.StringValue:
    return request


class EchoingServer(Server):
    """The server with one more service, that answers what it was asked."""

    def _add_services(self) -> None:
        super()._add_services()
        kind = wrappers_pb2.StringValue
        handler: Any = grpc.unary_unary_rpc_method_handler(echo, kind.FromString, kind.SerializeToString)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(ECHO, {"Echo": handler}),)
        )


def declare_echo() -> None:
    """Make the echo known to whoever asks for its descriptor, as the interceptor does."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tests/bench/echo.proto",
        package=OURS.removesuffix("."),
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    text = f".{wrappers_pb2.StringValue.DESCRIPTOR.full_name}"
    file.service.add(name="EchoService").method.add(name="Echo", input_type=text, output_type=text)
    descriptor_pool.Default().Add(file)


async def serve(folder: Path, now: Seconds) -> None:
    """Say the port, then serve until standard input ends."""
    store = await SqliteStore.open(folder / "custody.sqlite")
    feed = Feed(store)
    backend = Backend(
        store=store,
        clock=lambda: now,
        disputed=frozenset,
        custodian=build_world().custodian.party,
        feed=feed,
        reports=Reports(),
        tokens=PageTokens(secrets.token_bytes(KEY_BYTES)),
    )
    server = EchoingServer(backend, terms(folder))
    listening = asyncio.create_task(feed.run())
    await server.start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(grace_seconds=0)
    listening.cancel()
    await store.close()


def terms(folder: Path) -> ServerTerms:
    files = TlsFiles(
        certificate=folder / "server.pem",
        key=folder / "server.key",
        authority=folder / "authority.pem",
    )
    limits = Limits()
    return ServerTerms(
        address="127.0.0.1:0",
        credentials=server_credentials(files),
        directory=Directory([ENGINE], allowed=dict.fromkeys((*SERVICES, ECHO), frozenset({ENGINE.name}))),
        deadlines=DeadlineLimits(
            unary_seconds_max=limits.unary_deadline_seconds_max,
            stream_seconds_max=limits.stream_deadline_seconds_max,
        ),
        concurrent_calls_max=limits.concurrent_calls_max,
        calls_per_caller_max=limits.calls_per_caller_max,
    )


if __name__ == "__main__":
    logs.configure("INFO")
    declare_echo()
    memory.settle()
    asyncio.run(serve(Path(sys.argv[1]), Seconds(int(sys.argv[2]))))
