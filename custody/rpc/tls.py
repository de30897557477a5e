"""TLS 1.3 with client certificates, and nothing older (ADR 0014)."""

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

_PROBE_SECONDS: Final = 5.0
_HANDSHAKE: Final = b"\x16"
"""Content type of a TLS record (RFC 5246, 6.2.1); an alert is 0x15."""


class WeakTls(Exception):  # noqa: N818 - named by what is the case
    """An older TLS can be negotiated: grpc was loaded before `custody.tls_floor`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of one endpoint."""

    certificate: Path
    """Our own, with any intermediates."""
    key: Path
    authority: Path
    """Whose client certificates count."""


def require_tls_1_3(port: int, *, host: str = "127.0.0.1") -> None:
    """Say a TLS 1.2 hello to our own server. Blocks for at most a few seconds.

    The first record of the answer decides: an alert turns the hello away, a handshake goes along with it.

    Raises:
        WeakTls: it goes along.
        OSError: nobody answers there.
    """
    with socket.create_connection((host, port), timeout=_PROBE_SECONDS) as connection:
        connection.sendall(_client_hello())
        answer = connection.recv(1)
    if answer == _HANDSHAKE:
        raise WeakTls(f"port {port} speaks TLS 1.2")


def _client_hello() -> bytes:
    """What a client says first that knows TLS 1.2 and nothing newer."""
    context = ssl.create_default_context()
    context.check_hostname = False  # it says hello and listens no further
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(heard, said).do_handshake()
    return said.read()


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that demand a client certificate of the authority.

    Raises:
        OSError: a file cannot be read.
    """
    return grpc.ssl_server_credentials(
        [(files.key.read_bytes(), files.certificate.read_bytes())],
        root_certificates=files.authority.read_bytes(),
        require_client_auth=True,
    )
