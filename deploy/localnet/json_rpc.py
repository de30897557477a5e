"""JSON-RPC over loopback HTTP, as both nodes speak it."""

import base64
import http.client
import itertools
import json
from decimal import Decimal
from typing import Any, Final

from deploy.localnet.ports import LOOPBACK

_TIMEOUT_SECONDS: Final = 60.0


class RpcError(Exception):
    """The node answered with an error.

    Attributes:
        method: what was called.
        code: the node's error code.
        message: the node's own words.
    """

    def __init__(self, *, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.method = method
        self.code = code
        self.message = message


class NotJsonError(OSError):
    """The answer was no JSON: refused credentials, or a server that is still starting."""


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} is no JSON-RPC parameter")


class JsonRpc:
    """A client that opens one connection per call, so that a node's restart is no event for it."""

    def __init__(self, *, port: int, path: str = "/", credentials: str | None = None) -> None:
        self._port = port
        self._path = path
        self._ids = itertools.count(1)
        self._headers = {"Content-Type": "application/json"}
        if credentials is not None:
            token = base64.b64encode(credentials.encode()).decode("ascii")
            self._headers["Authorization"] = f"Basic {token}"

    def call(self, method: str, *parameters: Any) -> Any:
        """The node's result; fractional numbers come as Decimal, and Decimal parameters go as text.

        Raises:
            RpcError: the node answered with an error.
            OSError: it could not be reached, or its answer was no JSON.
        """
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": parameters}
        body = json.dumps(request, default=_as_text)
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("POST", self._path, body=body, headers=self._headers)
            response = connection.getresponse()
            status, content = response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method}: {error!r}") from error
        finally:
            connection.close()
        return _result(method=method, status=status, content=content)


def _result(*, method: str, status: int, content: bytes) -> Any:
    try:
        answer = json.loads(content, parse_float=Decimal)
    except ValueError as error:
        raise NotJsonError(f"{method}: HTTP {status}: {content[:200]!r}") from error
    if answer.get("error") is not None:
        problem = answer["error"]
        raise RpcError(method=method, code=problem["code"], message=problem["message"])
    return answer["result"]
