"""What a process does before it may hold a secret: no core dump, no debugger, no swap.

Call `harden_process` first in `main`, before any secret is read and before threads start.

What this stops: another process of the same user attaching with ptrace or reading `/proc/<pid>/mem`; a core
dump that carries keys; secrets written to a swap device. What it does not stop: root, the kernel, a
hypervisor, or code running inside this process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from signers.statements.network import Network

# <linux/prctl.h>, <sys/mman.h>, <linux/capability.h>
_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
_CAP_IPC_LOCK: Final = 14

_INITIAL_USER_NAMESPACE: Final = ("0", "0", str(2**32 - 1))


def _load_libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    libc.mlockall.argtypes = [ctypes.c_int]
    libc.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.munlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.getrandom.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint]
    libc.getrandom.restype = ctypes.c_ssize_t
    return libc


libc: Final = _load_libc()


class ProcessNotHardened(Exception):  # noqa: N818 - named for what is the case
    """This process could not be made fit to hold secrets; it must not start.

    Attributes:
        measure: What failed, e.g. `non-dumpable` or `whole-process memory lock`.
    """

    def __init__(self, *, measure: str, reason: str) -> None:
        super().__init__(f"process is not fit to hold keys: {measure}: {reason}")
        self.measure = measure


class MemoryLock(Enum):
    """How far memory is kept out of swap."""

    WHOLE_PROCESS = "whole-process"
    """Every page, present and future: also the copies that Python and HTTP libraries leave behind."""
    PER_SECRET = "per-secret"  # noqa: S105 - a mode, not a password
    """Only the pages of `signers.keys.secret`: transient copies elsewhere may be swapped."""


@dataclass(frozen=True, kw_only=True)
class Hardening:
    """What was achieved; start-up logs `summary()` and the parties may ask for it.

    Attributes:
        memory_lock: How far memory is locked.
        memory_lock_reason: Why it is not the whole process; empty when it is.
    """

    memory_lock: MemoryLock
    memory_lock_reason: str

    def summary(self) -> str:
        """One line for the start-up log."""
        line = f"non-dumpable, no core files, memory lock: {self.memory_lock.value}"
        return f"{line} ({self.memory_lock_reason})" if self.memory_lock_reason else line


def harden_process() -> Hardening:
    """Makes this process non-dumpable, without core files, with locked memory.

    Under a small RLIMIT_MEMLOCK only each secret's own page is locked, which the result says. Whether that is
    enough depends on the network, which nobody has read yet: see `require_locked`.

    Raises:
        ProcessNotHardened: a measure failed, or not even one page can be locked.
    """
    _forbid_core_files()
    _make_non_dumpable()
    lock, reason = _lock_whole_process(_raised_memlock_limit())
    if lock is MemoryLock.PER_SECRET:
        _prove_one_page_locks()
    return Hardening(memory_lock=lock, memory_lock_reason=reason)


def require_locked(hardening: Hardening, network: Network) -> None:
    """On mainnet no page of this process may reach a swap device.

    Raises:
        ProcessNotHardened: only the secrets' own pages are locked.
    """
    if network is Network.MAINNET and hardening.memory_lock is not MemoryLock.WHOLE_PROCESS:
        raise ProcessNotHardened(measure="whole-process memory lock", reason=hardening.memory_lock_reason)


def dumpable() -> int:
    """PR_GET_DUMPABLE of this process: at 0, the same user can neither dump nor trace it."""
    return int(libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))


def _forbid_core_files() -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as exc:
        raise ProcessNotHardened(measure="RLIMIT_CORE 0", reason=str(exc)) from exc


def _make_non_dumpable() -> None:
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise ProcessNotHardened(measure="non-dumpable", reason=_last_error())
    state = dumpable()
    # A sandbox may answer success and do nothing: believe the state read back, not the call's result.
    if state != 0:
        raise ProcessNotHardened(measure="non-dumpable", reason=f"PR_GET_DUMPABLE still says {state}")


def _raised_memlock_limit() -> int | None:
    """Raises the soft limit to the hard one; the limit in bytes, None where unlimited."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    return None if hard == resource.RLIM_INFINITY else hard


def _lock_whole_process(limit: int | None) -> tuple[MemoryLock, str]:
    # Under a finite limit mlockall may succeed today, and MCL_FUTURE then turns a later malloc or thread
    # start into a failure in the middle of a signature: lock the whole process only where no limit applies.
    if limit is not None and not _may_exceed_memlock_limit():
        reason = f"RLIMIT_MEMLOCK is {limit} bytes and CAP_IPC_LOCK is absent; set LimitMEMLOCK=infinity"
        return MemoryLock.PER_SECRET, reason
    # ONFAULT locks a page once it is touched: untouched arenas and thread stacks hold nothing.
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        return MemoryLock.PER_SECRET, f"mlockall: {_last_error()}"
    return MemoryLock.WHOLE_PROCESS, ""


def _may_exceed_memlock_limit() -> bool:
    """True if CAP_IPC_LOCK is effective where the kernel looks for it: in the initial user namespace."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        uid_map = Path("/proc/self/uid_map").read_text(encoding="ascii")
    except OSError:
        return False
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return tuple(uid_map.split()) == _INITIAL_USER_NAMESPACE and bool(int(effective, 16) >> _CAP_IPC_LOCK & 1)


def _prove_one_page_locks() -> None:
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    anchor = ctypes.c_char.from_buffer(page)
    try:
        if libc.mlock(ctypes.addressof(anchor), mmap.PAGESIZE) != 0:
            raise ProcessNotHardened(measure="memory lock of one page", reason=_last_error())
    finally:
        del anchor
        page.close()


def _last_error() -> str:
    return os.strerror(ctypes.get_errno())
