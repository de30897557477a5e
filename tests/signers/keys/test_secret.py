import base64
import copy
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signers.keys import secret as secret_module
from signers.keys.secret import SecretBytes, SecretMalformed, SecretMemoryUnavailable, SecretWiped


def page_flags(secret: SecretBytes) -> set[str]:
    """The kernel's flags of the mapping that holds the secret (proc(5), VmFlags)."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split(maxsplit=1)[0]
        if "-" in head:
            start, end = (int(edge, 16) for edge in head.split("-"))
            inside = start <= secret._address < end
        elif inside and head == "VmFlags:":
            return set(line.split()[1:])
    raise AssertionError("the secret's mapping is not listed")


def test_leaving_the_context_zeroes_the_memory() -> None:
    with SecretBytes.random(32) as secret:
        view = secret.view()
        assert bytes(view) != bytes(32)
    assert bytes(view) == bytes(32)
    assert secret.wiped


def test_an_error_inside_the_context_zeroes_the_memory() -> None:
    secret = SecretBytes.random(32)
    view = secret.view()
    with pytest.raises(ZeroDivisionError), secret:
        raise ZeroDivisionError
    assert bytes(view) == bytes(32)


def test_garbage_collection_zeroes_the_memory() -> None:
    secret = SecretBytes.random(32)
    view = secret.view()
    del secret
    assert bytes(view) == bytes(32)


def test_its_page_is_locked_in_no_dump_and_wiped_in_a_child() -> None:
    with SecretBytes.random(32) as secret:
        assert {"lo", "dd", "wf"} <= page_flags(secret)


def test_wiping_one_secret_leaves_another_locked() -> None:
    with SecretBytes.random(32) as kept, SecretBytes.random(32) as wiped:
        wiped.wipe()
        assert "lo" in page_flags(kept)


def test_a_forked_child_sees_zeros() -> None:
    with SecretBytes.random(32) as secret:
        child = os.fork()
        if child == 0:
            os._exit(0 if bytes(secret.view()) == bytes(32) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert bytes(secret.view()) != bytes(32)


def test_two_random_secrets_differ() -> None:
    with SecretBytes.random(32) as one, SecretBytes.random(32) as other:
        assert one.view() != other.view()


def test_a_wiped_secret_answers_nothing() -> None:
    secret = SecretBytes.random(32)
    secret.wipe()
    secret.wipe()
    with pytest.raises(SecretWiped):
        secret.view()
    with pytest.raises(SecretWiped):
        secret.to_base64()
    with pytest.raises(SecretWiped), secret:
        pass


def test_it_shows_nothing_of_itself() -> None:
    with SecretBytes.random(32) as secret:
        for shown in (repr(secret), str(secret), f"{secret}"):
            assert shown == "SecretBytes(32 bytes, live)"
    assert repr(secret) == "SecretBytes(32 bytes, wiped)"


def test_it_cannot_be_copied_pickled_or_turned_into_bytes() -> None:
    with SecretBytes.random(32) as secret:
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps, bytes):
            with pytest.raises(TypeError):
                attempt(secret)


@given(content=st.binary(min_size=1, max_size=100))
def test_base64_goes_in_and_out_unchanged(content: bytes) -> None:
    encoded = base64.b64encode(content).decode()
    with SecretBytes.from_base64(encoded, length=len(content)) as secret:
        assert bytes(secret.view()) == content
        assert secret.to_base64() == encoded


VALID = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        VALID[:-4],
        VALID + "AAAA",
        VALID[:-2] + "A=" + "A",
        "!" + VALID[1:],
        "=" + VALID[1:],
        VALID[:4] + "AA==" + VALID[8:],
        VALID[:-1] + "A",
        "é" + VALID[1:],
        VALID[:-4] + "AA==",
    ],
)
def test_what_is_not_the_base64_of_32_bytes_is_refused_without_repeating_it(encoded: str) -> None:
    with pytest.raises(SecretMalformed) as refused:
        SecretBytes.from_base64(encoded, length=32)
    assert str(refused.value) == "not the base64 of 32 bytes"


@pytest.mark.parametrize("length", [0, -1, 4097])
def test_lengths_are_bounded(length: int) -> None:
    with pytest.raises(ValueError, match="1 to 4096"):
        SecretBytes(length)


class _Refusing:
    """The C library where a limit is reached."""

    def mlock(self, address: int, length: int) -> int:
        return -1


def test_without_a_locked_page_there_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_module, "libc", _Refusing())
    with pytest.raises(SecretMemoryUnavailable):
        SecretBytes.random(32)
