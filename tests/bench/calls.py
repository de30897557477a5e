"""The service under load: many unary calls in flight over one mutually authenticated connection."""

import asyncio
import os
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
from grpc import aio

from custody.rpc.interceptors import OURS
from tests.bench.accounts import ENGINE, Book
from tests.unit.custody.rpc.pki import Authority

SERVER_NAME = "custody.bench"
DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a round of calls came to."""

    seconds: float
    latencies_ms: tuple[float, ...]
    server_seconds: float
    """Processor time of the service."""

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and a connection to it."""

    channel: aio.Channel
    process: psutil.Process

    async def load(self, method: str, streams: Sequence[Iterable[bytes]]) -> Load:
        """Call as many at once as there are streams, the requests of each one after the other.

        Requests and responses stay bytes, so that the caller costs as little as it can.
        """
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(f"/{OURS}{method}")
        took: list[float] = []

        async def client(requests: Iterable[bytes]) -> None:
            for request in requests:
                asked_at = time.perf_counter()
                await call(request, timeout=DEADLINE_SECONDS)
                took.append((time.perf_counter() - asked_at) * 1000)

        spent, began_at = self._processor_seconds(), time.perf_counter()
        await asyncio.gather(*(client(requests) for requests in streams))
        seconds = time.perf_counter() - began_at
        return Load(
            seconds=seconds,
            latencies_ms=tuple(took),
            server_seconds=self._processor_seconds() - spent,
        )

    def _processor_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@asynccontextmanager
async def serving(book: Book) -> AsyncIterator[Service]:
    """The service over the book's database, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        book.write(folder / "custody.sqlite")
        authority = Authority()
        authority.issue(SERVER_NAME).write(folder, "server")
        (folder / "authority.pem").write_bytes(authority.certificate)
        with (folder / "service.log").open("wb") as log:
            command = ["-m", "tests.bench.service", str(folder), str(book.custody.now)]
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdin=PIPE, stdout=PIPE, stderr=log, env=os.environ
            )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(await process.stdout.readline())
            engine = authority.issue(ENGINE.name)
            credentials = grpc.ssl_channel_credentials(authority.certificate, engine.key, engine.certificate)
            options = [("grpc.ssl_target_name_override", SERVER_NAME)]
            async with aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
                yield Service(channel, psutil.Process(process.pid))
        finally:
            process.stdin.close()
            await process.wait()


def percentile_ms(loads: Collection[Load], share: float) -> float:
    """The latency that this share of all calls stayed below."""
    latencies = sorted(latency for load in loads for latency in load.latencies_ms)
    return round(latencies[int(len(latencies) * share)], 2)


def processor_us(loads: Collection[Load]) -> int:
    """Processor time of the service for one call."""
    return round(
        sum(load.server_seconds for load in loads) / sum(len(load.latencies_ms) for load in loads) * 1e6
    )


def busy(loads: Collection[Load]) -> float:
    """Share of the time that the service computed: near 1, a figure is its own and not its caller's."""
    return round(sum(load.server_seconds for load in loads) / sum(load.seconds for load in loads), 2)
