"""What has to hold before anything speaks TLS."""

import os
import subprocess
import sys
from pathlib import Path

PROBE = """
import custody.main
import os, ssl
from urllib3.util.ssl_ import create_urllib3_context
contexts = (ssl.create_default_context(), create_urllib3_context())
print([context.keylog_filename for context in contexts], "SSLKEYLOGFILE" in os.environ)
"""


def test_no_file_gets_the_secrets_of_any_connection(tmp_path: Path) -> None:
    """SSLKEYLOGFILE: whoever reads along and has that file reads tokens, keys and passwords."""
    told = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, "SSLKEYLOGFILE": str(tmp_path / "keys")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "[None, None] False"
