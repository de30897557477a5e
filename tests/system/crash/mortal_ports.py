"""Ports of the withdrawal driver around whose every call the process can be killed.

A *moment* is before or after one call, named by what the driver had done since it last read the store: of
which asset in which state, and the calls of that step up to this one. The first life that comes to a moment
ends there, so life after life the driver gets one moment further, and a call that is new in it needs no entry
in any list to be killed around. The verifier is left as it is: it only computes, between moments of others.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from custody.application.ports.chains import ChainError
from custody.application.ports.signers import SignerError
from custody.domain.errors import CustodyError
from custody.main import Adapters
from custody.workers.outflow_case import OutflowCase


class Moments:
    """Where lives have ended: one line of a file each, on disk before the process dies there.

    Args:
        file: created where it is missing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        file.touch(mode=0o600)
        self._known = set(read(file))

    def come_to(self, moment: str) -> None:
        """Die here, unless a life did before."""
        if moment in self._known:
            return
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, f"{moment}\n".encode())
        os.fsync(descriptor)
        os.kill(os.getpid(), signal.SIGKILL)


def read(file: Path) -> tuple[str, ...]:
    """The moments at which lives have ended, in order."""
    return tuple(file.read_text(encoding="utf-8").splitlines())


class Course:
    """What the driver is doing, as its calls tell."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self._subject = ""
        self._calls: list[str] = []

    async def through(self, call: str, ask: Callable[[], Awaitable[Any]], *, anew: bool) -> Any:
        """Make one call, with a moment on either side of it.

        Args:
            call: its name.
            ask: makes it.
            anew: whether a new step begins with it.
        """
        if anew:
            self._subject, self._calls = "", []
        self._calls.append(call)
        step = f"{self._subject}{' > '.join(self._calls)}"
        self._moments.come_to(f"before {step}")
        try:
            answer = await ask()
        except (ChainError, CustodyError, SignerError) as error:
            self._calls[-1] += f" ({type(error).__name__})"
            self._moments.come_to(f"after {step} ({type(error).__name__})")
            raise
        if isinstance(answer, OutflowCase):
            self._subject = f"{answer.withdrawal.asset} {answer.withdrawal.state}: "
            self._calls = []
        self._moments.come_to(f"after {step}")
        return answer


class Mortal:
    """One port, every call of which takes its course."""

    def __init__(self, port: Any, name: str, course: Course) -> None:
        self._port = port
        self._name = name
        self._course = course

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._port, method)

        async def mortal(*arguments: Any, **named: Any) -> Any:
            return await self._course.through(
                f"{self._name}.{method}{self._subject(arguments)}",
                lambda: call(*arguments, **named),
                anew=(self._name, method) == ("store", "read"),
            )

        return mortal

    def _subject(self, arguments: tuple[Any, ...]) -> str:
        """Which signer is asked; which use case the store runs, by the function that hands it over."""
        if self._name == "signers":
            return f"({arguments[0]})"
        if self._name == "store":
            outer = arguments[0].__qualname__.partition(".<locals>")[0]
            return f"({outer.rpartition('.')[2].lstrip('_')})"
        return ""


def mortal(adapters: Adapters, moments: Moments) -> Adapters:
    """The same adapters, each of which can be died around."""
    course = Course(moments)
    names = [field.name for field in fields(adapters) if field.name != "lives"]
    ports: dict[str, Any] = {name: Mortal(getattr(adapters, name), name, course) for name in names}
    return replace(adapters, **ports)
