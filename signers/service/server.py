"""The gRPC server: mutual TLS 1.3, small messages, no reflection."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from bailee.signer.v1 import signer_pb2, signer_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # no types
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped] # no types

from signers.rules.signer import Signer
from signers.service.edge import Edge
from signers.service.peer_service import PeerService
from signers.service.signer_service import SignerService
from signers.statements.identifiers import SignerId

SIGNER_SERVICE: Final = signer_pb2.DESCRIPTOR.services_by_name["SignerService"].full_name
PEER_SERVICE: Final = signer_pb2.DESCRIPTOR.services_by_name["PeerService"].full_name

REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
"""A signing request carries up to 64 whole previous transactions."""
_CALLS_MAX: Final = 512
"""More than all callers' slots: bounds what is turned away at once."""
_SHUTDOWN_SECONDS: Final = 10.0
_HANDSHAKE_SECONDS: Final = 5.0
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
    ("grpc.max_send_message_length", REQUEST_BYTES_MAX),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 0),
)


class WeakTls(Exception):  # noqa: N818 - named for what is the case
    """The server would talk to a client by an older protocol than TLS 1.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of this signer's certificate, and of the authority whose certificates it believes."""

    certificate: Path
    key: Path
    authority: Path

    def server_credentials(self) -> grpc.ServerCredentials:
        """A client without a certificate of our authority gets no further than the handshake."""
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_credentials([pair], self.authority.read_bytes(), require_client_auth=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Whose certificates may call what. An empty list is nobody."""

    custody: frozenset[str]
    peers: Mapping[str, SignerId]


class SignerServer:
    """The server of one signer."""

    def __init__(
        self, signer: Signer, *, tls: Tls, callers: Callers, on_fatal: Callable[[Exception], None]
    ) -> None:
        allowed = {SIGNER_SERVICE: callers.custody, PEER_SERVICE: frozenset(callers.peers)}
        edge = Edge(callers=allowed, on_fatal=on_fatal)
        self._server = grpc.aio.server(
            interceptors=[edge], options=_OPTIONS, maximum_concurrent_rpcs=_CALLS_MAX
        )
        self._credentials = tls.server_credentials()
        self._health = health_aio.HealthServicer()
        signer_pb2_grpc.add_SignerServiceServicer_to_server(SignerService(signer), self._server)
        signer_pb2_grpc.add_PeerServiceServicer_to_server(
            PeerService(signer, peers=callers.peers), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, address: str) -> int:
        """Listen.

        Args:
            address: `host:port`; port 0 takes a free one.

        Returns:
            The port.

        Raises:
            RuntimeError: the address is taken.
        """
        port = self._server.add_secure_port(address, self._credentials)
        await self._server.start()
        await self.show_ready(ready=False)
        return port

    async def show_ready(self, *, ready: bool) -> None:
        """Health: peers are answered at once, custody once the journal is confirmed."""
        states = health_pb2.HealthCheckResponse
        await self._health.set(PEER_SERVICE, states.SERVING)
        for service in ("", SIGNER_SERVICE):
            await self._health.set(service, states.SERVING if ready else states.NOT_SERVING)

    async def stop(self) -> None:
        """Take no new calls, let those under way end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_SHUTDOWN_SECONDS)


def require_tls_1_3(host: str, port: int, *, tls: Tls) -> None:
    """Try to get in with TLS 1.2.

    grpc has no setting for the lowest version, so `signers.main` leaves it no usable cipher below 1.3;
    whether that held is seen here and not assumed.

    Raises:
        WeakTls: the handshake succeeded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(tls.certificate, tls.key)  # else a missing certificate would be what fails
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with contextlib.suppress(ssl.SSLError, ConnectionResetError):
        with (
            socket.create_connection((host, port), timeout=_HANDSHAKE_SECONDS) as raw,
            context.wrap_socket(raw),
        ):
            pass
        raise WeakTls(f"{host}:{port} accepted TLS 1.2")
