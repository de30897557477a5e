"""JSON-RPC over HTTP to one node, for both chains: bounded threads, bounded answers, bounded waiting.

The standard library's blocking client in a small pool of threads of its own. Answers are read and decoded in
the thread too, so a block of megabytes never stands on the event loop. Every call made here may be repeated.
"""

import asyncio
import http.client
import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

Json = None | bool | int | Decimal | str | list["Json"] | dict[str, "Json"]
T = TypeVar("T")

ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""A full Bitcoin block is 8 MB of hexadecimal; nothing asked for here is longer."""
THREADS_MAX: Final = 4
FRACTION_CHARS_MAX: Final = 40
"""And how many places from its point a fraction may begin: `1e999999` is short, its integer is not."""
WAITING_MAX: Final = 64
"""Calls in flight or waiting for a thread; more are refused rather than queued for ever."""


_UNUSABLE: Final = (
    OSError,
    http.client.HTTPException,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)
"""What sending, parsing or reading may raise for what is no answer, or nests or counts without end."""


class RpcUnavailable(Exception):  # noqa: N818 - named by what happened, as the ports' conditions are
    """No usable answer: no connection, no answer in time, or not JSON-RPC."""


class RpcError(Exception):
    """The node answered with an error.

    Attributes:
        code: JSON-RPC's.
        message: the node's words.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one node answers."""

    name: str
    """For people: logs and errors carry it, never the URL, which may hold a token."""
    url: str
    """http:// or https://, host, port and path; no user part."""
    user: str | None = None
    secret_file: Path | None = None
    """The user's password; without a user `user:password`, as bitcoind's `.cookie`. Read on connecting."""
    timeout_seconds: float = 20.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise ValueError(f"the URL of node {self.name} is http(s)://host[:port]/path, without a user")


class JsonRpc:
    """One node's JSON-RPC.

    Args:
        endpoint: where.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._pool = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix=f"rpc-{endpoint.name}")
        self._local = threading.local()
        self._ids = count(1)
        self._waiting = 0

    async def call(
        self,
        method: str,
        *params: Json,
        read: Callable[[Json], T],
        timeout_seconds: float | None = None,
    ) -> T:
        """Call `method` and read its result.

        Args:
            method: the RPC's name.
            params: its positional parameters.
            read: turns the result into what is wanted; runs in the thread. What it raises for a result of the
                wrong form (`ValueError`, `TypeError`, `LookupError`, `ArithmeticError`) counts as no usable
                answer.
            timeout_seconds: where this call may take longer than the endpoint's others.

        Raises:
            RpcError: the node answered with an error.
            RpcUnavailable: it did not answer, not in time, or not in JSON-RPC.
        """
        if self._waiting >= WAITING_MAX:
            raise RpcUnavailable(f"{self.endpoint.name}: {self._waiting} calls are waiting already")
        limit = timeout_seconds or self.endpoint.timeout_seconds
        self._waiting += 1
        try:
            async with asyncio.timeout(limit + 1):
                return await asyncio.get_running_loop().run_in_executor(
                    self._pool, self._call, method, params, read, limit
                )
        except TimeoutError as error:
            raise RpcUnavailable(f"{self.endpoint.name}: {method} took more than {limit} s") from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Start nothing more; a call under way ends by its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, method: str, params: tuple[Json, ...], read: Callable[[Json], T], limit: float) -> T:
        body = json.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params})
        try:
            answer = self._exchange(body.encode(), limit)
            return read(_result(answer))
        except _UNUSABLE as error:
            self._disconnect()
            raise RpcUnavailable(
                f"{self.endpoint.name}: {method}: {type(error).__name__}: {str(error)[:200]}"
            ) from error

    def _exchange(self, body: bytes, limit: float) -> bytes:
        """One request; once more on a new connection if the node had closed the idle one."""
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None:
            try:
                return self._request(kept, body, limit)
            except (ConnectionError, http.client.BadStatusLine):
                self._disconnect()
        self._local.connection = self._connect(limit)
        return self._request(self._local.connection, body, limit)

    def _connect(self, limit: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.endpoint.url)
        host = str(parts.hostname)
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, parts.port, timeout=limit, context=context)
        return http.client.HTTPConnection(host, parts.port, timeout=limit)

    def _request(self, connection: http.client.HTTPConnection, body: bytes, limit: float) -> bytes:
        connection.timeout = limit
        if connection.sock is not None:
            connection.sock.settimeout(limit)
        parts = urlsplit(self.endpoint.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, self._headers(fresh=connection.sock is None))
        response = connection.getresponse()
        answer = response.read(ANSWER_BYTES_MAX + 1)
        if len(answer) > ANSWER_BYTES_MAX:
            raise ValueError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        if not answer or response.status in {401, 403}:
            raise ValueError(f"HTTP status {response.status}")
        return answer

    def _headers(self, *, fresh: bool) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self.endpoint.secret_file is not None:
            if fresh or not hasattr(self._local, "authorization"):
                secret = self.endpoint.secret_file.read_bytes().strip()
                user = self.endpoint.user
                pair = secret if user is None else f"{user}:".encode() + secret
                self._local.authorization = f"Basic {b64encode(pair).decode()}"
            headers["Authorization"] = self._local.authorization
        return headers

    def _disconnect(self) -> None:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()


def _result(answer: bytes) -> Json:
    """The result of an answer.

    Raises:
        RpcError: it is an error.
        ValueError: it is neither.
    """
    document = json.loads(answer, parse_float=_fraction, parse_constant=_refuse_constant)
    if not isinstance(document, dict):
        raise TypeError("the answer is not an object")
    error = document.get("error")
    if error is not None:
        if not isinstance(error, dict):
            raise ValueError(f"an error that is not an object: {str(error)[:100]}")
        raise RpcError(as_int(error.get("code", 0)), str(error.get("message", ""))[:500])
    if "result" not in document:
        raise ValueError("the answer has no result")
    result: Json = document["result"]
    return result


def _fraction(text: str) -> Decimal:
    """A number with a point or an exponent, of a size that costs nothing to calculate with."""
    number = Decimal(text)
    if len(text) > FRACTION_CHARS_MAX or abs(number.adjusted()) > FRACTION_CHARS_MAX:
        raise ValueError(f"{text[:72]} is no amount, rate or difficulty")
    return number


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def as_str(value: Json) -> str:
    """A string.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"a string is expected, not {type(value).__name__}")
    return value


def as_int(value: Json) -> int:
    """An integer, never a boolean.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"an integer is expected, not {type(value).__name__}")
    return value


def as_object(value: Json) -> dict[str, Json]:
    """An object.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, dict):
        raise TypeError(f"an object is expected, not {type(value).__name__}")
    return value


def as_list(value: Json) -> list[Json]:
    """An array.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, list):
        raise TypeError(f"an array is expected, not {type(value).__name__}")
    return value
