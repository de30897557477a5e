"""TLS 1.3 with client certificates, and nothing older (ADR 0014)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

_CIPHER_SUITES: Final = "GRPC_SSL_CIPHER_SUITES"
_NO_TLS_1_2: Final = "ECDHE-PSK-AES128-CBC-SHA"
"""Needs a pre-shared key, which nobody has here: TLS 1.2 finds no cipher. TLS 1.3 has suites of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of one endpoint."""

    certificate: Path
    """Our own, with any intermediates."""
    key: Path
    authority: Path
    """Whose client certificates count."""


def require_tls_1_3() -> None:
    """Make gRPC of this process negotiate TLS 1.3 only.

    gRPC reads the setting when the first credentials of the process are made and never again: call this first
    thing. Every call checks the negotiated version too (`Directory.authenticate`), so that being late is a
    refusal and not a hole.
    """
    os.environ[_CIPHER_SUITES] = _NO_TLS_1_2


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
