"""Custody as a process: TLS 1.3 and nothing older, health, reflection, and how it ends."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from bailee.custody.v1 import collateral_service_pb2 as rpc
from bailee.custody.v1 import lien_service_pb2 as lien_rpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # type: ignore[import-untyped]

from custody import configuration
from custody.rpc.server import SERVICES
from signers.statements.envelope import Envelope
from tests.factories import build_world
from tests.unit.custody.rpc.deployment import AUTHORITY, SERVER_NAME, Refused, identity
from tests.unit.custody.rpc.rows import ACCOUNT, METHODS

ROOT = Path(__file__).parents[4]
START_SECONDS = 30.0


@dataclass
class Running:
    process: subprocess.Popen[str]
    port: int
    folder: Path

    def channel(self, name: str) -> aio.Channel:
        who = identity(name)
        credentials = grpc.ssl_channel_credentials(AUTHORITY.certificate, who.key, who.certificate)
        return aio.secure_channel(
            f"127.0.0.1:{self.port}",
            credentials,
            options=[("grpc.ssl_target_name_override", SERVER_NAME), ("grpc.use_local_subchannel_pool", 1)],
        )

    def end(self) -> tuple[int, str]:
        """Its exit status and the rest of what it said."""
        assert self.process.stderr is not None
        deadline = threading.Timer(START_SECONDS, self.process.kill)
        deadline.start()
        # `communicate` with a timeout reads past the buffer in which lines may wait since the port's.
        said = self.process.stderr.read()
        deadline.cancel()
        return self.process.wait(timeout=START_SECONDS), said


def write_configuration(folder: Path) -> None:
    """The documented example, made true for the scenario's people."""
    world = build_world()
    text = configuration.example()
    identity(SERVER_NAME).write(folder, "server")
    (folder / "authority.pem").write_bytes(AUTHORITY.certificate)
    for pattern, replacement in (
        (r'^listen = .*$', 'listen = "127.0.0.1:0"'),
        (r'^certificate = .*$', 'certificate = "server.pem"'),
        (r'^key = .*$', 'key = "server.key"'),
        (r'^authority = "tls/authority.pem"$', 'authority = "authority.pem"'),
        (r'^policy_digest = .*$', f'policy_digest = "{world.policy.digest}"'),
        (r'^public_key = .*$', f'public_key = "{world.custodian.public_key}"'),
        (r'^name = "margin-engine.broker-one"$', 'name = "secured.test"'),
        (r'"margin-engine.broker-one"', '"secured.test"'),
        (r"^shutdown_grace_seconds = .*$", "shutdown_grace_seconds = 5.0"),
    ):  # fmt: skip
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, pattern
    (folder / "custody.toml").write_text(text)
    (folder / "policy.json").write_bytes(world.policy_envelope.to_json())


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    write_configuration(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.custody.rpc.process", str(folder), *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Running(process, _port(process), folder)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    before = []
    for line in process.stderr:
        before.append(line)
        if '"serving"' in line:
            return int(json.loads(line)["port"])
    raise AssertionError("".join(before))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("process")) as process:
        yield process


# TLS.


def handshake(service: Running, version: str) -> subprocess.CompletedProcess[bytes]:
    certificate, key = identity("secured.test").write(service.folder, "client")
    trust = ["-CAfile", str(service.folder / "authority.pem"), "-cert", str(certificate), "-key", str(key)]
    return subprocess.run(
        ["openssl", "s_client", version, "-connect", f"127.0.0.1:{service.port}", "-alpn", "h2", *trust],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )


def test_tls_1_3_is_spoken(service: Running) -> None:
    done = handshake(service, "-tls1_3")
    assert b"New, TLSv1.3" in done.stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_1", "-tls1"])
def test_nothing_older_is(version: str, service: Running) -> None:
    done = handshake(service, version)
    assert b"Cipher is (NONE)" in done.stdout
    assert done.returncode != 0


def test_a_server_that_would_speak_tls_1_2_does_not_serve(tmp_path: Path) -> None:
    """grpc loaded before the floor: the start notices, whatever the reason."""
    write_configuration(tmp_path)
    script = (
        "import grpc, runpy, sys; sys.argv[1:] = [sys.argv[1]]; runpy.run_module('{}', run_name='__main__')"
    )
    done = python("-c", script.format("tests.unit.custody.rpc.process"), str(tmp_path))
    assert done.returncode != 0
    assert "speaks TLS 1.2" in done.stderr


# Health and reflection.


@pytest.mark.parametrize("name", ["secured.test", SERVER_NAME], ids=["a-principal", "our-own-certificate"])
async def test_health_for_every_service(name: str, service: Running) -> None:
    async with service.channel(name) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for each in ("", *SERVICES):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=each), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="bailee.unknown"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def listed(channel: aio.Channel) -> list[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def ask() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    answers = [answer async for answer in stub.ServerReflectionInfo(ask(), timeout=5)]
    return [each.name for each in answers[0].list_services_response.service]


async def test_reflection_names_every_service(service: Running) -> None:
    async with service.channel("secured.test") as channel:
        assert set(SERVICES) <= set(await listed(channel))


async def test_reflection_is_for_principals(service: Running) -> None:
    async def silence() -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield None  # the refusal comes before a question

    async with service.channel("stranger.test") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        ended = await _outcome(_rest(stub.ServerReflectionInfo(silence(), timeout=5)))
    assert Refused.read(ended).reason == "CERTIFICATE_REQUIRED"


async def test_a_method_that_is_not(service: Running) -> None:
    async with service.channel("secured.test") as channel:
        call: Any = channel.unary_unary("/bailee.custody.v1.LienService/Rehypothecate")
        with pytest.raises(aio.AioRpcError) as caught:
            await call(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_protos_services_are_served() -> None:
    assert {method.containing_service.full_name for method in METHODS.values()} == set(SERVICES)


async def test_nested_json_ends_its_call_and_not_the_process(service: Running) -> None:
    """One caller's 64 KiB of brackets must not cost everybody the service."""
    async with service.channel("secured.test") as channel:
        call: Any = channel.unary_unary("/bailee.custody.v1.LienService/ReserveLien")
        for data in (b"[" * 65_536, Envelope("any", b"[" * 49_000).to_json()):
            request = lien_rpc.ReserveLienRequest(
                parent=ACCOUNT, lien_id="lien-2", request_id=str(uuid.uuid4()), envelope=data
            )
            refused = Refused.read(await _outcome(call(request.SerializeToString(), timeout=5)))
            assert refused.reason == "STATEMENT_MALFORMED"
    assert service.process.poll() is None


def test_the_recursion_limit_is_pythons_own() -> None:
    """Whatever the libraries made of it while they were loaded."""
    script = (
        "import sys, custody.main as m; sys.argv[1:] = ['--config', 'none']\n"
        "try: m.main()\nexcept SystemExit as end: code = end.code\n"
        "print(code, sys.getrecursionlimit())"
    )
    assert python("-c", script).stdout.split() == ["2", "1000"]


# The end.


@asynccontextmanager
async def watching(channel: aio.Channel) -> AsyncIterator[Any]:
    """A stream past its snapshot."""
    call: Any = channel.unary_stream("/bailee.custody.v1.CollateralService/WatchCollateral")
    stream = call(rpc.WatchCollateralRequest().SerializeToString(), timeout=60)
    while not rpc.WatchCollateralResponse.FromString(await stream.read()).HasField("heartbeat"):
        pass
    yield stream
    stream.cancel()


async def test_sigterm_ends_streams_finishes_calls_and_exits_with_0(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        async with process.channel("secured.test") as channel, watching(channel) as stream:
            call: Any = channel.unary_unary("/bailee.custody.v1.CollateralService/GetCollateralReport")
            request = rpc.GetCollateralReportRequest(
                name=f"{ACCOUNT}/collateralReport", min_account_sequence=10**6
            )
            under_way = asyncio.ensure_future(_outcome(call(request.SerializeToString(), timeout=2.0)))
            await _admitted_after(channel)
            process.process.send_signal(signal.SIGTERM)

            ended = await _outcome(_rest(stream))
            assert (ended.code(), Refused.read(ended).reason) == (grpc.StatusCode.UNAVAILABLE, "STOPPING")
            assert Refused.read(await under_way).reason == "SEQUENCE_NOT_REACHED"
        assert process.end()[0] == 0


async def _admitted_after(channel: aio.Channel) -> None:
    """Once this answers, the service has begun what was sent before it on the same connection."""
    quick: Any = channel.unary_unary("/bailee.custody.v1.CollateralService/ListAccounts")
    await quick(rpc.ListAccountsRequest().SerializeToString(), timeout=10)


async def _rest(stream: Any) -> None:
    while True:
        await stream.read()


async def _outcome(call: Any) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("attestation", {"attestation"}),
        ("store", {"store", "feed"}),
        ("worker", {"bitcoin-watcher", "reconciler", "withdrawal-driver"}),
    ],
)
def test_a_part_that_ends_ends_the_process(part: str, named: set[str], tmp_path: Path) -> None:
    """A worker that goes on after an unknown state is worse than a process that is started again."""
    with running(tmp_path, part) as process:
        status, said = process.end()
    assert status == 1
    assert any(f'"because": "{name}"' in said for name in named)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'proto' / 'gen'}"},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def test_a_second_process_on_the_same_database_does_not_start(service: Running) -> None:
    done = python("-m", "custody.main", "--config", str(service.folder / "custody.toml"))
    assert done.returncode == 2
    assert "cannot start: another process has custody.sqlite open" in done.stderr


def test_a_bad_setting_stops_the_start_with_its_name(tmp_path: Path) -> None:
    write_configuration(tmp_path)
    file = tmp_path / "custody.toml"
    file.write_text(file.read_text().replace('network = "regtest"', 'network = "signet"'))
    done = python("-m", "custody.main", "--config", str(file))
    assert done.returncode == 2
    assert "network: Input should be 'mainnet', 'testnet' or 'regtest'" in done.stderr
