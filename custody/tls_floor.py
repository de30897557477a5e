"""Imported before grpc, which reads its environment once, when it is loaded: no TLS below 1.3 (ADR 0014).

gRPC has no setting for the lowest version, only for the ciphers of TLS 1.2. The one that is left needs a
pre-shared key, which nobody has. `custody.rpc.tls.require_tls_1_3` tries whether that holds.

Before anything else that speaks TLS, too: Python's own contexts, and with them those of every library, write
each connection's secrets to the file that SSLKEYLOGFILE names.

gRPC writes a line past the log for each handshake it refuses, unless it is told to be quiet.
"""

import os

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-AES128-CBC-SHA"
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ.pop("SSLKEYLOGFILE", None)
