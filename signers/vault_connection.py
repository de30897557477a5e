"""Blocking access to one OpenBao: pinned TLS, AppRole login by a response-wrapped SecretID, typed failures.

Requests carry tokens and plaintext, and the libraries' exceptions carry requests. So every failure is rebuilt
here as a `VaultError` without the request, its answer, the server's text or a chained cause.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import hvac
import hvac.exceptions
import requests
from requests.adapters import HTTPAdapter

_WRAPPING_TOKEN: Final = re.compile(r"[A-Za-z0-9._-]{16,512}", re.ASCII)
_WRAPPED_FILE_BYTES_MAX: Final = 1024
_RENEWAL_SHARE: Final = 2 / 3
_Value = TypeVar("_Value")


class VaultError(Exception):
    """OpenBao did not do what was asked. Messages never carry tokens, plaintext or the server's text."""


class VaultUnavailable(VaultError):  # noqa: N818 - named for what is the case
    """OpenBao cannot answer now; callers answer UNAVAILABLE."""


class VaultSealed(VaultUnavailable):
    """OpenBao is up but sealed; its holders must unseal it."""


class VaultSessionLost(VaultUnavailable):
    """This session's token is gone. Only a restart with a freshly delivered SecretID helps."""


class VaultDenied(VaultError):  # noqa: N818 - named for what is the case
    """The token may not do this: the policy of the role is wrong, or the token was revoked."""


class VaultRequestRefused(VaultError):  # noqa: N818 - named for what is the case
    """OpenBao understood and refused: unknown key, wrong associated data, tampered ciphertext."""


class VaultAnswerUnfit(VaultError):  # noqa: N818 - named for what is the case
    """OpenBao's answer lacks what it must contain."""


class SecretIdNotDelivered(VaultError):  # noqa: N818 - named for what is the case
    """There is no usable wrapped SecretID: no file, or one that others could have read."""


class SecretIdIntercepted(VaultError):  # noqa: N818 - named for what is the case
    """ALARM: the wrapped SecretID was already unwrapped, has expired, or is not the one to be delivered.

    A wrapping token opens once. If it is spent, someone else may hold this signer's SecretID: revoke the
    role's SecretIDs, read the audit log, then deliver a new one.
    """


class VaultLoginRefused(VaultError):  # noqa: N818 - named for what is the case
    """The AppRole login failed, or gave a token this signer must not run on (root, or not renewable)."""


@dataclass(frozen=True, kw_only=True)
class VaultSettings:
    """Where a signer's OpenBao is and how it logs in.

    Attributes:
        url: `https://host:port`.
        ca_file: PEM of the only authority that this server's certificate may come from.
        role_name: AppRole role; the wrapping token must have been made by its SecretID path.
        role_id: RoleID of that role.
        wrapped_secret_id_file: The delivered wrapping token; mode 0600, removed when read.
        approle_mount: Mount point of the AppRole method.
        request_seconds_max: Time limit of connecting, and of waiting for each answer.
        threads: Requests under way at once.
        requests_max: Requests under way and waiting; more are refused with `VaultUnavailable`.
    """

    url: str
    ca_file: Path
    role_name: str
    role_id: str = field(repr=False)
    wrapped_secret_id_file: Path
    approle_mount: str = "approle"
    request_seconds_max: float = 5.0
    threads: int = 4
    requests_max: int = 64

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https://[A-Za-z0-9.\[\]:-]+", self.url):
            raise ValueError("vault url must be https://host:port")
        if not (0 < self.request_seconds_max <= 60 and 1 <= self.threads <= self.requests_max <= 1024):
            raise ValueError(
                "vault limits: 0 < request_seconds_max <= 60, 1 <= threads <= requests_max <= 1024"
            )


@dataclass(frozen=True, kw_only=True)
class Lease:
    """How long the token lives, on the monotonic clock, counted from before it was asked for."""

    ttl_seconds: int
    granted_at: float

    @property
    def renew_at(self) -> float:
        """When to ask for more."""
        return self.granted_at + self.ttl_seconds * _RENEWAL_SHARE

    @property
    def expires_at(self) -> float:
        """When OpenBao stops accepting the token."""
        return self.granted_at + self.ttl_seconds


class Answer:
    """A JSON answer of OpenBao, read strictly. It may hold a secret: it shows nothing of itself."""

    __slots__ = ("_body", "_operation")

    def __init__(self, operation: str, body: object) -> None:
        """Wraps what hvac returned: a dict, or a response object where there was no JSON."""
        self._operation = operation
        self._body = body

    def text(self, *path: str) -> str:
        """The string at `path`.

        Raises:
            VaultAnswerUnfit: there is none.
        """
        return self._at(path, str)

    def texts(self, *path: str) -> tuple[str, ...]:
        """The list of strings at `path`; raises as `text`."""
        values = self._at(path, list)
        if not all(isinstance(value, str) for value in values):
            raise VaultAnswerUnfit(f"{self._operation}: {'.'.join(path)} is not a list of strings")
        return tuple(values)

    def number(self, *path: str) -> int:
        """The integer at `path`; raises as `text`."""
        return self._at(path, int)

    def boolean(self, *path: str) -> bool:
        """The truth value at `path`; raises as `text`."""
        return self._at(path, bool)

    def _at(self, path: tuple[str, ...], kind: type[_Value]) -> _Value:
        value: object = self._body
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        if type(value) is not kind:
            raise VaultAnswerUnfit(
                f"{self._operation}: the answer has no {kind.__name__} at {'.'.join(path)}"
            )
        return value


class VaultConnection:
    """Blocking calls to one OpenBao. Only for the threads of a `VaultSession`."""

    def __init__(self, settings: VaultSettings) -> None:
        """Prepares TLS and the pool; connects on the first call.

        Raises:
            ValueError: `ca_file` cannot be read.
        """
        self._settings = settings
        self._http = requests.Session()
        # Nothing of the environment may steer this: no proxy, no .netrc, no other CA bundle, no VAULT_TOKEN.
        self._http.trust_env = False
        # Not as hvac's argument: it drops that for the session's own, by default every public authority.
        self._http.verify = str(settings.ca_file)
        self._http.mount("https://", _PinnedTls(settings))
        self._client = hvac.Client(
            url=settings.url,
            token="",
            cert="",
            timeout=settings.request_seconds_max,
            allow_redirects=False,  # a redirect would hand the token to another host
            session=self._http,
        )

    def call(self, operation: str, request: Callable[[Any], Any]) -> Answer:
        """Makes one request with the session's hvac client.

        Args:
            operation: What is asked, for messages; no secrets.
            request: Takes the `hvac.Client`, returns its answer.

        Raises:
            VaultUnavailable: unreachable, overloaded or in error; `VaultSealed` when sealed.
            VaultDenied: the token may not.
            VaultRequestRefused: the request itself was refused.
        """
        try:
            return Answer(operation, request(self._client))
        except hvac.exceptions.VaultError as exc:
            failure = _typed(operation, exc)
        except requests.exceptions.RequestException as exc:
            failure = VaultUnavailable(f"{operation}: {type(exc).__name__}")
        # Raised outside the handlers: a cause or context would keep the request, its secret headers and body.
        raise failure

    def log_in(self) -> Lease:
        """Steps 1 and 2 of the module's docstring."""
        self._require_unsealed()  # before the delivered token is taken: a sealed server must not cost it
        wrapping_token = _take_wrapping_token(self._settings.wrapped_secret_id_file)
        self._require_own_unspent(wrapping_token)
        return self._log_in_with(self._unwrap(wrapping_token))

    def renew(self) -> Lease:
        """Extends the token."""
        granted_at = time.monotonic()
        answer = self.call("token renewal", lambda client: client.auth.token.renew_self())
        return Lease(ttl_seconds=answer.number("auth", "lease_duration"), granted_at=granted_at)

    def close(self) -> None:
        """Drops token and connections."""
        self._client.token = ""
        self._http.close()

    def _require_unsealed(self) -> None:
        status = self.call("seal status", lambda client: client.sys.read_seal_status())
        if status.boolean("sealed"):
            raise VaultSealed("seal status: OpenBao is sealed")

    def _require_own_unspent(self, wrapping_token: str) -> None:
        alarm: str | None = None
        expected = f"auth/{self._settings.approle_mount}/role/{self._settings.role_name}/secret-id"
        try:
            lookup = self.call(
                "wrapping token lookup",
                lambda client: client.adapter.post("/v1/sys/wrapping/lookup", json={"token": wrapping_token}),
            )
        except (VaultRequestRefused, VaultDenied):
            alarm = "the wrapping token is spent, expired or unknown"
        else:
            # A token that wraps something else was put in place of ours: unwrapping it proves nothing.
            if lookup.text("data", "creation_path") != expected:
                alarm = "the wrapping token was not made by this role's SecretID path"
        if alarm is not None:
            raise SecretIdIntercepted(f"possible interception of the SecretID: {alarm}")

    def _unwrap(self, wrapping_token: str) -> str:
        self._client.token = wrapping_token
        try:
            answer = self.call("SecretID unwrapping", lambda client: client.sys.unwrap())
            return answer.text("data", "secret_id")
        except (VaultRequestRefused, VaultDenied):
            pass
        finally:
            self._client.token = ""
        raise SecretIdIntercepted(
            "possible interception of the SecretID: it was unwrapped between two requests"
        )

    def _log_in_with(self, secret_id: str) -> Lease:
        granted_at = time.monotonic()
        settings = self._settings
        try:
            answer = self.call(
                "AppRole login",
                lambda client: client.auth.approle.login(
                    role_id=settings.role_id, secret_id=secret_id, mount_point=settings.approle_mount
                ),
            )
        except (VaultRequestRefused, VaultDenied):
            answer = None
        if answer is None:
            raise VaultLoginRefused("AppRole login: RoleID or SecretID refused")
        if "root" in answer.texts("auth", "policies"):
            raise VaultLoginRefused("AppRole login: the token carries the root policy")
        lease = Lease(ttl_seconds=answer.number("auth", "lease_duration"), granted_at=granted_at)
        if not answer.boolean("auth", "renewable") or lease.ttl_seconds < 1:
            raise VaultLoginRefused("AppRole login: the token is not renewable")
        return lease


class _PinnedTls(HTTPAdapter):
    """TLS 1.3 to a server whose certificate comes from one authority; no retries behind the caller's back."""

    def __init__(self, settings: VaultSettings) -> None:
        # Bare, as the default one writes the connection's secrets wherever SSLKEYLOGFILE says.
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            self._context.load_verify_locations(cafile=str(settings.ca_file))
        except OSError as exc:
            raise ValueError(f"vault ca_file {settings.ca_file} is not a readable PEM certificate") from exc
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        super().__init__(pool_connections=1, pool_maxsize=settings.threads, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Hands urllib3 this adapter's own TLS settings."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


def _typed(operation: str, error: hvac.exceptions.VaultError) -> VaultError:
    """The typed failure of an HTTP status. The server's text stays out of it: it may repeat what was sent."""
    match error:
        case hvac.exceptions.VaultDown() if "sealed" in " ".join(error.errors or ()).lower():
            return VaultSealed(f"{operation}: OpenBao is sealed")
        case hvac.exceptions.Forbidden() | hvac.exceptions.Unauthorized():
            return VaultDenied(f"{operation}: permission denied")
        case hvac.exceptions.InvalidRequest() | hvac.exceptions.InvalidPath():
            return VaultRequestRefused(f"{operation}: refused")
        case _:
            return VaultUnavailable(f"{operation}: {type(error).__name__}")


def _take_wrapping_token(path: Path) -> str:
    """Reads the delivered token and removes the file, so that nothing of it outlives the login on disk."""
    try:
        token = _read_private_file(path)
        path.unlink()
    except OSError as exc:
        raise SecretIdNotDelivered(f"no wrapped SecretID at {path}: {exc.strerror}") from exc
    if not _WRAPPING_TOKEN.fullmatch(token):
        raise SecretIdNotDelivered(f"{path} did not contain a wrapping token")
    return token


def _read_private_file(path: Path) -> str:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        private = stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 == 0
        if not private or status.st_uid != os.geteuid():
            # Left in place: whoever could read it may have copied it, and the operator should see why.
            raise SecretIdNotDelivered(f"{path} must be a regular file of this user with mode 0600")
        return os.read(handle, _WRAPPED_FILE_BYTES_MAX).decode("ascii", errors="replace").strip()
    finally:
        os.close(handle)
