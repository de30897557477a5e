"""Loopback ports that stay ours while the part behind them is down."""

import socket
import threading
from types import TracebackType
from typing import Final, Self

LOOPBACK: Final = "127.0.0.1"


class Ports:
    """Free TCP ports on 127.0.0.1, one per name, held until closed.

    Each port is bound here for the whole life of the localnet, without listening: the kernel then gives it to
    nobody who asks for any port, and refuses it to another localnet. It is bound exclusively first and marked
    reusable after, which Linux reads when the part itself binds with SO_REUSEADDR, as servers do: so the part
    can be killed and started again on the same port, and no moment lies between choosing a port and using it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: dict[str, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def port(self, name: str) -> int:
        """The port of that name, chosen at the first call."""
        with self._lock:
            if name not in self._sockets:
                self._sockets[name] = _bound_socket()
            number: int = self._sockets[name].getsockname()[1]
            return number

    def close(self) -> None:
        with self._lock:
            for held in self._sockets.values():
                held.close()
            self._sockets.clear()


def _bound_socket() -> socket.socket:
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        held.bind((LOOPBACK, 0))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        held.close()
        raise
    return held
