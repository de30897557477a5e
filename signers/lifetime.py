"""How the process ends: told to, or because it cannot go on."""

from __future__ import annotations

import asyncio
import logging
import signal
from enum import IntEnum

from signers.journal import JournalUnusable
from signers.rules import watch
from signers.rules.signer import Signer
from signers.service.server import SignerServer
from signers.statements.refusals import Refusal
from signers.vault import VaultSession, VaultUnavailable

_log = logging.getLogger(__name__)


class Exit(IntEnum):
    """The exit status of a signer."""

    TOLD = 0
    """SIGTERM or SIGINT."""
    UNFIT = 2
    """It may not start as it is: a person has to change something."""
    LOST = 3
    """It could not go on: start it again, with a freshly delivered SecretID."""


class Ending:
    """Waits for whichever reason to end comes first."""

    def __init__(self, vault: VaultSession) -> None:
        """Take over SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        self._vault = vault
        self._decided: asyncio.Future[Exit] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._decide, Exit.TOLD, f"told by {number.name}")

    def cannot_go_on(self, error: Exception) -> None:
        """Nothing more may be decided by this process."""
        self._decide(Exit.LOST, str(error))

    def comes_with(self, task: asyncio.Task[None]) -> None:
        """A task without which the process is of no use; where it ends by itself, so does the process."""

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled():
                self.cannot_go_on(RuntimeError(f"{done.get_name()} ended: {done.exception()}"))

        task.add_done_callback(ended)

    async def wait(self) -> Exit:
        """The reason, once there is one."""
        lost = asyncio.create_task(self._vault.wait_until_lost())
        lost.add_done_callback(lambda done: None if done.cancelled() else self.cannot_go_on(done.result()))
        try:
            return await self._decided
        finally:
            lost.cancel()

    def _decide(self, status: Exit, why: str) -> None:
        if not self._decided.done():
            _log.info("ending: %s", why)
            self._decided.set_result(status)


async def follow(signer: Signer, server: SignerServer, *, every_seconds: float, ending: Ending) -> None:
    """Do what is to do between calls, until cancelled. A round that fails is followed by the next."""
    while True:
        try:
            confirmed = await watch.tick(signer)
            await server.show_ready(ready=confirmed)
        except (JournalUnusable, Refusal) as error:
            ending.cannot_go_on(error)
            return
        except VaultUnavailable as error:
            _log.warning("nothing is followed while the Vault does not answer: %s", error)
        await asyncio.sleep(every_seconds)
