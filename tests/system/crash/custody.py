"""Custody with other ports for its withdrawal driver: `python -m tests.system.crash.custody --config FILE …`.

A composition root of tests. Everything is the product's, wired as `custody.main` wires it; only what the one
worker that moves coins is given goes through a gate, or may kill the process.
"""

import custody.tls_floor  # noqa: F401 - before anything imports grpc

# isort: split
import argparse
import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from custody import configuration, main
from custody.adapters.sqlite.store import SqliteStore
from custody.configuration import Configuration
from custody.workers.chain_health import ChainHealth
from tests.system.crash.gate import Gate, gated
from tests.system.crash.mortal_ports import Moments, mortal

Around = Callable[[main.Adapters], main.Adapters]
PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.005


def composed(around: Around) -> main.Composition:
    """As `custody.main.start`, with the driver's adapters wrapped."""

    async def start(told: Configuration, stop: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            store = await SqliteStore.open(told.state_folder / "custody.sqlite")
            stack.push_async_callback(store.close)
            policy = await main.pin(store, told)
            adapters = await main.connect(told, store, policy, stack)
            health = ChainHealth()
            driver = main.withdrawal_driver(around(adapters), health)
            staff = [driver if each.name == driver.name else each for each in main.workers(adapters, health)]
            await main.serve(told, adapters, health, staff, stop)

    return start


def life_after_life(file: Path, moments: Path) -> int:
    """Live until killed, and live again: each life is a process of its own, forked once all is imported.

    A life begins once a SecretID lies ready for it. One that ends otherwise than by SIGKILL was the last.

    Returns:
        The last one's exit status.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    secret_id_file = configuration.read(file).vault.wrapped_secret_id_file
    while True:
        while not secret_id_file.exists():
            if ended.is_set():
                return 0
            time.sleep(_POLL_SECONDS)
        # A fork copies one thread: locks that others hold would stay locked for ever.
        assert len(list(Path("/proc/self/task").iterdir())) == 1, "a thread was started before the fork"
        parent, child = os.getpid(), os.fork()
        if child == 0:
            _die_with(parent)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # The moments are read anew: the lives before have written theirs.
            sys.exit(main.live(file, composed(lambda adapters: mortal(adapters, Moments(moments)))))
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            return os.waitstatus_to_exitcode(status)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def run() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.system.crash.custody")
    parser.add_argument("--config", type=Path, required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--moments", type=Path, help="die at every moment that is not in this file yet")
    which.add_argument("--gate", type=Path, help="hold withdrawals where the gate in this folder is closed")
    arguments = parser.parse_args()
    if arguments.moments is not None:
        sys.exit(life_after_life(arguments.config, arguments.moments))
    sys.exit(main.live(arguments.config, composed(lambda adapters: gated(adapters, Gate(arguments.gate)))))


if __name__ == "__main__":
    run()
