"""Imported before grpc, which reads its environment once: nothing below TLS 1.3 can be negotiated.

Before anything else that speaks TLS, too: Python's own contexts, and with them those of every library, write
each connection's secrets to the file that SSLKEYLOGFILE names.

grpc has no setting for the lowest version, only for the ciphers of TLS 1.2. The one left to it needs a
pre-shared key, which nobody has. `signers.service.server.require_tls_1_3` tries whether that holds.
"""

import os

os.environ.setdefault(
    "GRPC_VERBOSITY", "ERROR"
)  # it writes past the log, for one a line per refused handshake
os.environ["GRPC_SSL_CIPHER_SUITES"] = "PSK-AES128-CBC-SHA"
os.environ.pop("SSLKEYLOGFILE", None)
