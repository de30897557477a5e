"""Custody's own OpenBao: one login with a delivered SecretID, and attestations signed by its transit key.

The deliverer leaves a response-wrapped SecretID in a file that only this user can read. It unwraps once:
where somebody unwrapped it before, the login fails and that is an alarm. The key never leaves OpenBao, which
is checked before custody serves, and signs reports only, never anything that moves coins.
"""

import asyncio
import base64
import binascii
import os
import ssl
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import hvac
import requests
import structlog
from hvac.exceptions import VaultError as HvacError
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException

from custody.application.ports.attestation import AttestationUnavailable
from signers.statements.envelope import Envelope, Signature, verify
from signers.statements.identifiers import Ed25519Key
from signers.statements.report import ReportBatch

REQUEST_SECONDS: Final = 10
_RENEWAL_RETRY_SECONDS: Final = 2.0
_WRAPPED_FILE_BYTES_MAX: Final = 1024
_KEY_TYPE: Final = "ed25519"
_KEY_FLAWS: Final = ("exportable", "allow_plaintext_backup", "deletion_allowed", "derived")
_FAULTS: Final = (HvacError, RequestException, KeyError, TypeError, ValueError)

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class LoginFailed(Exception):  # noqa: N818 - named by what happened, as the ports' conditions are
    """Custody could not log in, or what it logged in to is unfit.

    A SecretID that somebody unwrapped before is an alarm, not a retry.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """How custody reaches its OpenBao."""

    url: str
    authority_file: Path
    """PEM of the authority that certifies the server."""
    role_id: str
    role: str
    """Name of the AppRole: a genuine SecretID was made under it."""
    wrapped_secret_id_file: Path
    """Gets the wrapping token of a fresh SecretID before every start; it is removed when read."""
    transit_mount: str
    attestation_key: str
    """Name of the Ed25519 key in transit."""
    public_key: Ed25519Key
    """Of that key, as the policy pins it."""


class VaultAttestor:
    """Implements `Attestor`. `log_in` once, keep `renew_until_lost` running.

    Args:
        settings: where and who.
    """

    def __init__(self, settings: VaultSettings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="vault")
        self._client: Any = _client(settings)
        self._lease_seconds = 0

    @property
    def public_key(self) -> Ed25519Key:
        """The key that the policy names as custody's."""
        return self._settings.public_key

    async def log_in(self) -> None:
        """Unwrap the delivered SecretID, log in with it, and look at the key.

        Raises:
            LoginFailed: nothing was delivered to this user alone, it was unwrapped before, OpenBao refused; a
                token with the root policy, or one that cannot be renewed; a key that is not Ed25519, or that
                could leave OpenBao or be deleted.
        """
        try:
            await self._run(self._log_in)
            await self._run(self._require_fit_key)
        except (*_FAULTS, OSError) as error:
            raise LoginFailed(f"{self._settings.role}: {type(error).__name__}: {error}") from error

    async def renew_until_lost(self) -> None:
        """Renew the token at two thirds of its life; returns when it is lost, and the process must end."""
        clock = asyncio.get_running_loop().time
        expires = clock() + self._lease_seconds
        renew = clock() + self._lease_seconds * 2 / 3
        while clock() < expires:
            await asyncio.sleep(max(0.0, renew - clock()))
            try:
                self._lease_seconds = await self._run(self._renew)
            except _FAULTS as error:
                _log.warning("attestation token was not renewed", error=type(error).__name__)
                renew = min(clock() + _RENEWAL_RETRY_SECONDS, expires)
                continue
            expires = clock() + self._lease_seconds
            renew = clock() + self._lease_seconds * 2 / 3
        _log.critical("attestation token is lost: restart with a freshly delivered SecretID")

    async def sign_batch(self, batch: ReportBatch) -> Envelope:
        """As the port says."""
        envelope = batch.envelope()
        try:
            signature = await self._run(lambda: self._sign(envelope.message))
        except (*_FAULTS, binascii.Error) as error:
            raise AttestationUnavailable(f"{type(error).__name__}: {error}") from error
        if not verify(self.public_key, signature, envelope.message):
            raise AttestationUnavailable("the signature is not of the key that the policy names")
        return envelope.with_signature(Signature(self.public_key.key_id, signature))

    async def close(self) -> None:
        """Revoke the token where OpenBao still answers."""
        try:
            await self._run(self._client.auth.token.revoke_self)
        except _FAULTS as error:
            _log.warning("attestation token was not revoked", error=type(error).__name__)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _log_in(self) -> None:
        settings = self._settings
        wrapping = _read_private(settings.wrapped_secret_id_file)
        settings.wrapped_secret_id_file.unlink()
        if self._wrapping_path(wrapping) != f"auth/approle/role/{settings.role}/secret-id":
            raise ValueError("the wrapping token was not made for this role")
        self._client.token = wrapping  # OpenBao unwraps for who carries the token, not for who names it
        try:
            secret_id = self._client.sys.unwrap()["data"]["secret_id"]
        finally:
            self._client.token = ""
        auth = self._client.auth.approle.login(role_id=settings.role_id, secret_id=secret_id)["auth"]
        if "root" in auth["policies"]:
            raise ValueError("the token carries the root policy")
        self._lease_seconds = int(auth["lease_duration"])
        if auth["renewable"] is not True or self._lease_seconds < 1:
            raise ValueError("the token is not renewable")

    def _require_fit_key(self) -> None:
        """The policy binds this key to custody's name: nobody may have a copy of it."""
        name = self._settings.attestation_key
        answer = self._client.secrets.transit.read_key(name, mount_point=self._settings.transit_mount)
        data = answer["data"]
        if data["type"] != _KEY_TYPE:
            raise ValueError(f"transit key {name} is {data['type']}, not {_KEY_TYPE}")
        for flaw in _KEY_FLAWS:
            if data[flaw] is not False:
                raise ValueError(f"transit key {name} is {flaw.replace('_', ' ')}")

    def _wrapping_path(self, token: str) -> str:
        answer = self._client.adapter.post("/v1/sys/wrapping/lookup", json={"token": token})
        return str(answer["data"]["creation_path"])

    def _renew(self) -> int:
        return int(self._client.auth.token.renew_self()["auth"]["lease_duration"])

    def _sign(self, message: bytes) -> bytes:
        settings = self._settings
        answer = self._client.secrets.transit.sign_data(
            name=settings.attestation_key,
            hash_input=base64.b64encode(message).decode(),
            mount_point=settings.transit_mount,
        )
        # vault:v<version>:<base64>
        return base64.b64decode(answer["data"]["signature"].rsplit(":", 1)[1], validate=True)


class _PinnedTls(HTTPAdapter):
    """TLS 1.3 to a server whose certificate comes from one authority; no retries behind the caller's back."""

    def __init__(self, authority_file: Path) -> None:
        # Bare, as the default one writes the connection's secrets wherever SSLKEYLOGFILE says.
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.load_verify_locations(cafile=authority_file)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Hands urllib3 this adapter's own TLS settings."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


def _client(settings: VaultSettings) -> Any:
    session = requests.Session()
    # Nothing of the environment may steer this: no proxy, no .netrc, no other CA bundle, no VAULT_TOKEN.
    session.trust_env = False
    # Not as hvac's argument: it drops that for the session's own, by default every public authority.
    session.verify = str(settings.authority_file)
    session.mount("https://", _PinnedTls(settings.authority_file))
    return hvac.Client(
        settings.url,
        token="",
        cert="",
        timeout=REQUEST_SECONDS,
        allow_redirects=False,  # a redirect would hand the token to another host
        session=session,
    )


def _read_private(path: Path) -> str:
    """The text of a file that is this user's alone; what others could read stays where it is, to be seen."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        private = stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 == 0
        if not private or status.st_uid != os.geteuid():
            raise ValueError(f"{path} must be a regular file of this user with mode 0600")
        return os.read(handle, _WRAPPED_FILE_BYTES_MAX).decode("ascii").strip()
    finally:
        os.close(handle)
