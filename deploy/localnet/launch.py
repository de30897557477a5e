"""Become the given command, tied to the life of the process that asked for it.

Run as `python -I -S launch.py PARENT_PID COMMAND [ARGUMENT...]`. A program of its own and not a `preexec_fn`:
code between fork and exec of a process with threads may deadlock.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT_GONE_EXIT_CODE = 125


def main(arguments: list[str]) -> None:
    """Arm the death signal, then exec; never returns."""
    parent_pid, command = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # A parent that died before the signal was armed will never send it.
    if os.getppid() != parent_pid:
        sys.exit(PARENT_GONE_EXIT_CODE)
    # Parts hold keys: no core files, nothing readable by other users.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    os.execv(command[0], command)  # the command is the localnet's own


if __name__ == "__main__":
    main(sys.argv[1:])
