"""One signer's session with its own OpenBao: delivered SecretID, AppRole token, renewal, typed failures.

The life of a session:

1. A trusted deliverer leaves a response-wrapped SecretID in a file that only this user can read.
2. `VaultSession.open` takes the file away, checks that the wrapping token is unspent and was made by the
   SecretID path of this role, unwraps it, logs in and drops the SecretID.
3. The token is renewed at two thirds of its life. There is no second login: that takes a new SecretID.
4. When the token is gone the session is lost for good. Every call then raises `VaultSessionLost` and
   `wait_until_lost` returns, so that the process ends and is started with a fresh SecretID.

hvac blocks, so its calls run on a few threads of their own, bounded in number and in queue.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Self, TypeVar

from signers.vault_connection import (
    Answer,
    Lease,
    SecretIdIntercepted,
    SecretIdNotDelivered,
    VaultAnswerUnfit,
    VaultConnection,
    VaultDenied,
    VaultError,
    VaultLoginRefused,
    VaultRequestRefused,
    VaultSealed,
    VaultSessionLost,
    VaultSettings,
    VaultUnavailable,
)

__all__ = [
    "Answer",
    "SecretIdIntercepted",
    "SecretIdNotDelivered",
    "VaultAnswerUnfit",
    "VaultConnection",
    "VaultDenied",
    "VaultError",
    "VaultLoginRefused",
    "VaultRequestRefused",
    "VaultSealed",
    "VaultSession",
    "VaultSessionLost",
    "VaultSettings",
    "VaultUnavailable",
]

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

_RENEWAL_RETRY_SECONDS: Final = 1.0
_CLOSE_SECONDS_MAX: Final = 5.0


class VaultSession:
    """The async face of one login. Open it once per process, close it at the end."""

    def __init__(self, *, settings: VaultSettings, connection: VaultConnection) -> None:
        """Use `open`."""
        self._connection = connection
        self._slots = threading.BoundedSemaphore(settings.requests_max)
        self._pool = ThreadPoolExecutor(max_workers=settings.threads, thread_name_prefix="vault")
        self._lease: Lease | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._token_in_doubt = asyncio.Event()
        self._lost: asyncio.Future[VaultSessionLost] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, settings: VaultSettings) -> Self:
        """Logs in with the delivered SecretID and starts renewing.

        Raises:
            SecretIdNotDelivered: no wrapped SecretID, or one that others could have read.
            SecretIdIntercepted: the alarm; see there.
            VaultLoginRefused: OpenBao refused, or gave an unfit token.
            VaultSealed: sealed; the delivered SecretID was left in place.
            VaultUnavailable: not reachable. If the file is gone, a new SecretID must be delivered.
        """
        session = cls(settings=settings, connection=VaultConnection(settings))
        try:
            session._lease = await session._submit(session._connection.log_in)
        except BaseException:
            await session._end_threads()
            raise
        _log.info(
            "vault session opened: role %s, token ttl %d s", settings.role_name, session._lease.ttl_seconds
        )
        session._renewal = asyncio.create_task(session._keep_token(), name="vault-token-renewal")
        return session

    async def run(self, work: Callable[[VaultConnection], _Result]) -> _Result:
        """Runs blocking work with the connection on one of the session's threads.

        Work that decrypts a secret uses and wipes it inside `work`: cancelling the caller then leaves none
        behind.

        Raises:
            VaultSessionLost: the token is gone.
            VaultUnavailable: as `VaultConnection.call`, or too many requests wait.
            VaultError: as `VaultConnection.call`, and whatever `work` raises.
        """
        if self._lost.done():
            raise VaultSessionLost(str(self._lost.result()))
        if self._lease is None or time.monotonic() >= self._lease.expires_at:
            raise VaultSessionLost("the token has expired")
        try:
            return await self._submit(partial(work, self._connection))
        except VaultDenied:
            self._token_in_doubt.set()  # find out now whether the token was revoked, not at the next renewal
            raise

    async def wait_until_lost(self) -> VaultSessionLost:
        """Returns, with the reason, when the session can no longer be used. The process then ends."""
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        """Revokes the token where OpenBao still answers, and ends the threads. Idempotent."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
            self._renewal = None
            await self._revoke()
        self._lose("closed")
        await self._end_threads()

    async def _revoke(self) -> None:
        if self._lost.done():
            return
        revoke = partial(
            self._connection.call, "token revocation", lambda client: client.auth.token.revoke_self()
        )
        try:
            async with asyncio.timeout(_CLOSE_SECONDS_MAX):
                await self._submit(revoke)
        except (VaultError, TimeoutError) as exc:
            _log.warning("vault token was not revoked and lives until its ttl ends: %s", exc)

    async def _keep_token(self) -> None:
        reason = "the renewal stopped unexpectedly"
        try:
            reason = await self._renew_until_lost()
        except asyncio.CancelledError:
            reason = "closed"
            raise
        finally:
            if reason != "closed":
                self._lose(reason)

    async def _renew_until_lost(self) -> str:
        """Renews until it no longer can; the reason."""
        assert self._lease is not None  # noqa: S101 - open() sets it before this task starts
        renew_at = self._lease.renew_at
        while True:
            await self._sleep_until(renew_at)
            try:
                self._lease = await self._submit(self._connection.renew)
            except VaultUnavailable as exc:
                if time.monotonic() >= self._lease.expires_at:
                    return f"the token expired while OpenBao did not answer ({exc})"
                _log.warning("vault token renewal failed, trying again: %s", exc)
                renew_at = min(time.monotonic() + _RENEWAL_RETRY_SECONDS, self._lease.expires_at)
                continue
            except VaultError as exc:
                return f"the token cannot be renewed ({exc})"
            # At the token's maximum age every renewal grants less, down to nothing.
            if self._lease.ttl_seconds < 1:
                return "the token has reached its maximum age"
            renew_at = self._lease.renew_at

    async def _sleep_until(self, moment: float) -> None:
        self._token_in_doubt.clear()
        try:
            async with asyncio.timeout(max(0.0, moment - time.monotonic())):
                await self._token_in_doubt.wait()
        except TimeoutError:
            return

    def _lose(self, reason: str) -> None:
        if self._lost.done():
            return
        self._lost.set_result(VaultSessionLost(f"vault session lost: {reason}"))
        self._connection.close()
        if reason != "closed":
            _log.critical("vault session lost: %s; restart with a freshly delivered SecretID", reason)

    async def _submit(self, work: Callable[[], _Result]) -> _Result:
        if not self._slots.acquire(blocking=False):
            raise VaultUnavailable("too many requests wait for OpenBao")
        try:
            running = self._pool.submit(_without_frames, work)
        except RuntimeError:  # the pool was shut down
            self._slots.release()
            raise VaultSessionLost("the session is closed") from None
        # Released when the thread is free again, not when the caller stops waiting.
        running.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(running)

    async def _end_threads(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        self._connection.close()


def _without_frames(work: Callable[[], _Result]) -> _Result:
    """Runs `work`; a `VaultError` leaves without its traceback.

    The frames of a failed call hold tokens and plaintext as locals, and log renderers print locals.
    """
    try:
        return work()
    except VaultError as exc:
        failure = exc.with_traceback(None)
    raise failure
