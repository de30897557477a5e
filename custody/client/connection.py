"""One mutually authenticated connection to the service."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc

from custody.client.errors import BaileeError

DEADLINE_SECONDS = 10.0
ATTEMPTS = 4
_BACKOFF_SECONDS = 0.1
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
RECONNECT_MILLISECONDS_MAX = 2_000
"""gRPC's own pause grows to two minutes: so long would a service that is back still be called unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who connects (its certificate names the principal), and which authority vouches for the service.

    Attributes:
        authority: PEM of the authority that signed the service's certificate. No other one is accepted.
        certificate: PEM of the client's certificate.
        private_key: PEM of its private key.
        server_name: the DNS name that the service's certificate must carry; the target's host where empty.
    """

    authority: Path
    certificate: Path
    private_key: Path
    server_name: str = ""

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Read the files, all PEM."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.authority.read_bytes(),
            private_key=self.private_key.read_bytes(),
            certificate_chain=self.certificate.read_bytes(),
        )


def new_request_id() -> str:
    """A fresh id for one change. Keep it to ask again: the same id never has a second effect."""
    return str(uuid.uuid4())


class Connection:
    """A channel on which every call has a deadline and every error is typed.

    Calls that find the service unavailable are asked again a few times. That is safe for changes too: they
    carry a request id, and one id has one effect.
    """

    def __init__(
        self, target: str, credentials: Credentials, *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._deadline_seconds = deadline_seconds
        options: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_reconnect_backoff_ms", RECONNECT_MILLISECONDS_MAX),
        ]
        if credentials.server_name:
            options.append(("grpc.ssl_target_name_override", credentials.server_name))
        self.channel = grpc.aio.secure_channel(target, credentials.channel_credentials(), options=options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    async def call(
        self, method: Callable[..., Any], request: object, *, deadline_seconds: float = 0.0
    ) -> Any:
        """One unary call.

        Args:
            method: of a generated stub over `channel`.
            request: its message.
            deadline_seconds: for each attempt; the connection's own where 0.

        Raises:
            BaileeError: the service refused, or stayed unavailable.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await method(request, timeout=deadline_seconds or self._deadline_seconds)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == ATTEMPTS:
                    raise BaileeError.of(error) from error
            # Full jitter keeps clients that lost the same server from returning as one.
            await asyncio.sleep(random.uniform(0, _BACKOFF_SECONDS * 2**attempt))  # noqa: S311 - not a secret
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def stream(
        self, method: Callable[..., Any], request: object, *, deadline_seconds: float
    ) -> AsyncIterator[Any]:
        """One server stream, until its deadline or the caller leaves.

        Raises:
            BaileeError: as `call`; nothing is asked again, because events could be missed in between.
        """
        call = method(request, timeout=deadline_seconds)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise BaileeError.of(error) from error
        finally:
            call.cancel()
