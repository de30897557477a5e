"""Each case runs in a process of its own: what is done here cannot be undone."""

import ctypes
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from signers import process_hardening
from signers.process_hardening import ProcessNotHardened, harden_process
from signers.statements.network import Network

# As an ordinary user is: under a limit, without CAP_IPC_LOCK (out of the bounding set, gone after exec).
CONFINED = """
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(24, 14, 0, 0, 0)
resource.setrlimit(resource.RLIMIT_MEMLOCK, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2]])
"""

HARDEN = """
import json, re, resource
from signers.process_hardening import ProcessNotHardened, dumpable, harden_process, require_locked
from signers.statements.network import Network
answer = {}
try:
    done = harden_process()
    answer = {"lock": done.memory_lock.value, "summary": done.summary()}
    require_locked(done, Network("NETWORK"))
except ProcessNotHardened as refused:
    answer["refused"] = refused.measure
answer["dumpable"] = dumpable()
answer["core"] = resource.getrlimit(resource.RLIMIT_CORE)
answer["locked_kib"] = int(re.search(r"VmLck:\\s+(\\d+)", open("/proc/self/status").read())[1])
grown = bytearray(64 << 20)
print(json.dumps(answer))
"""


def harden_in_child(
    *, network: Network = Network.REGTEST, memlock_bytes: int | None = None
) -> dict[str, Any]:
    script = HARDEN.replace("NETWORK", network.value)
    command = [sys.executable, "-c", script]
    if memlock_bytes is not None:
        command = [sys.executable, "-c", CONFINED, str(memlock_bytes), script]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_process_is_non_dumpable_and_leaves_no_core() -> None:
    answer = harden_in_child()
    assert answer["dumpable"] == 0
    assert answer["core"] == [0, 0]


def test_the_result_says_what_the_kernel_says() -> None:
    answer = harden_in_child()
    assert (answer["lock"] == "whole-process") == (answer["locked_kib"] > 1024)


def test_under_a_small_limit_each_secret_is_locked_and_later_allocations_live() -> None:
    answer = harden_in_child(memlock_bytes=8 << 20)
    assert (answer["lock"], "refused" in answer) == ("per-secret", False)
    assert "RLIMIT_MEMLOCK is 8388608 bytes" in answer["summary"]
    assert (answer["dumpable"], answer["locked_kib"]) == (0, 0)


def test_mainnet_refuses_a_small_limit() -> None:
    answer = harden_in_child(network=Network.MAINNET, memlock_bytes=8 << 20)
    assert answer["refused"] == "whole-process memory lock"


def test_without_a_single_lockable_page_it_refuses_everywhere() -> None:
    answer = harden_in_child(memlock_bytes=0)
    assert answer["refused"] == "memory lock of one page"


class _Sandbox:
    """A C library whose prctl answers success and does nothing."""

    def prctl(self, option: int, *_: ctypes.c_ulong) -> int:
        return 1 if option == 3 else 0


def test_a_dumpable_flag_that_stays_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_hardening, "libc", _Sandbox())
    monkeypatch.setattr(process_hardening, "_forbid_core_files", lambda: None)
    with pytest.raises(ProcessNotHardened, match="PR_GET_DUMPABLE still says 1"):
        harden_process()
