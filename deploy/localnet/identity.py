"""Which process a pid means: a pid alone is reused by the kernel, a pid with its start time is not."""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

_STATE_FIELD = 0
_START_TICKS_FIELD = 19


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command name, or None where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name may itself hold spaces and brackets: everything after the last bracket is fields.
    return stat.rpartition(")")[2].split()


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """One process of one boot of this machine (see proc(5)).

    Attributes:
        pid: process id.
        start_ticks: start time in clock ticks since boot.
        boot_id: the kernel's random id of this boot.
    """

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """The identity of a live process.

        Raises:
            ProcessLookupError: no such process.
        """
        fields = _stat_fields(pid)
        if fields is None:
            raise ProcessLookupError(pid)
        return cls(pid=pid, start_ticks=int(fields[_START_TICKS_FIELD]), boot_id=_boot_id())

    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        fields = _stat_fields(self.pid)
        return (
            fields is not None
            and int(fields[_START_TICKS_FIELD]) == self.start_ticks
            and fields[_STATE_FIELD] not in {"Z", "X"}
            and _boot_id() == self.boot_id
        )

    def end(self, *, grace_seconds: float) -> bool:
        """Ask this process to end, then kill it; never touch another that got its pid.

        Returns:
            Whether there was something to end.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # The handle pins the process; only now does a comparison of the start time mean anything.
            if not self.is_alive():
                return False
            for number, wait_seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
                signal.pidfd_send_signal(handle, number)
                if _wait_for_exit(handle, wait_seconds):
                    break
            return True
        finally:
            os.close(handle)


def _wait_for_exit(handle: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    return bool(poller.poll(seconds * 1000))
