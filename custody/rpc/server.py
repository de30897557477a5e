"""The gRPC server: every service, health for each, reflection, and a stop that cuts nobody off."""

from dataclasses import dataclass
from typing import Final

import grpc
from bailee.custody.v1 import (
    account_service_pb2_grpc,
    approval_service_pb2_grpc,
    collateral_service_pb2_grpc,
    lien_service_pb2_grpc,
    policy_service_pb2_grpc,
    price_service_pb2_grpc,
    withdrawal_service_pb2_grpc,
)
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from custody.rpc.account_service import AccountService
from custody.rpc.approval_service import ApprovalService
from custody.rpc.backend import Backend
from custody.rpc.collateral_service import CollateralService
from custody.rpc.interceptors import OURS, DeadlineLimits, Edge
from custody.rpc.lien_service import LienService
from custody.rpc.policy_service import PolicyService
from custody.rpc.price_service import PriceService
from custody.rpc.principals import Directory
from custody.rpc.withdrawal_service import WithdrawalService

SERVICES: Final = tuple(
    f"{OURS}{name}Service"
    for name in ("Account", "Approval", "Collateral", "Lien", "Policy", "Price", "Withdrawal")
)
"""Full names of the services; a test holds them equal to those of the protos."""

MESSAGE_BYTES_MAX: Final = 2 * 1024 * 1024 + 128 * 1024
"""PublishPrices with 32 envelopes of 64 KiB is the largest valid request."""

_METADATA_BYTES_MAX: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTerms:
    """Where and within which bounds to serve."""

    address: str
    """Such as `127.0.0.1:7443`; port 0 takes a free one."""
    credentials: grpc.ServerCredentials
    directory: Directory
    deadlines: DeadlineLimits
    concurrent_calls_max: int
    calls_per_caller_max: int


class Server:
    """Custody's gRPC server."""

    def __init__(self, backend: Backend, terms: ServerTerms) -> None:
        """Bind `port`; nothing is answered before `start`.

        Raises:
            OSError: the address is taken, or the credentials are unusable.
        """
        self._backend = backend
        self._health = health.aio.HealthServicer()
        self._server = aio.server(
            interceptors=[
                Edge(terms.directory, terms.deadlines, calls_per_caller_max=terms.calls_per_caller_max)
            ],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
            maximum_concurrent_rpcs=terms.concurrent_calls_max,
        )
        self._add_services()
        try:
            self.port: int = self._server.add_secure_port(terms.address, terms.credentials)
        except RuntimeError as error:
            raise OSError(f"{terms.address} is taken, or the TLS files are unusable") from error

    def _add_services(self) -> None:
        backend, server = self._backend, self._server
        account_service_pb2_grpc.add_AccountServiceServicer_to_server(AccountService(backend), server)
        approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(ApprovalService(backend), server)
        collateral_service_pb2_grpc.add_CollateralServiceServicer_to_server(
            CollateralService(backend), server
        )
        lien_service_pb2_grpc.add_LienServiceServicer_to_server(LienService(backend), server)
        policy_service_pb2_grpc.add_PolicyServiceServicer_to_server(PolicyService(backend), server)
        price_service_pb2_grpc.add_PriceServiceServicer_to_server(PriceService(backend), server)
        withdrawal_service_pb2_grpc.add_WithdrawalServiceServicer_to_server(
            WithdrawalService(backend), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME),
            server,
        )

    async def start(self) -> None:
        """Answer calls, and say so to whoever asks for our health."""
        await self._server.start()
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, *, grace_seconds: float) -> None:
        """Say that we are going, end the streams, let calls under way finish, then close.

        Args:
            grace_seconds: how long calls under way may take.
        """
        await self._health.enter_graceful_shutdown()
        self._backend.feed.stop()
        await self._server.stop(grace_seconds)
