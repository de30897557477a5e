"""After the whole main job nothing secret lies anywhere it must not, and the search would have found it."""

import secrets
import shutil
import sys
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.localnet.processes import ManagedProcess, ProcessSpec
from tests.system.demo.played import SIGNERS, Played
from tests.system.search import TOKEN, found, holding
from tests.system.spellings import STRUCTURES, of_deliverer, of_key, written

pytestmark = pytest.mark.system

IN_ARGUMENTS, IN_ENVIRONMENT = b"planted-in-the-arguments", b"planted-in-the-environment"


def test_account_keys_are_nowhere(played: Played) -> None:
    keys = [key for number in SIGNERS for key in played.private_keys(number)]
    assert len(keys) == 4, "three for BTC and one for ETH"
    needles = {
        f"key {number} {name}": text for number, key in enumerate(keys) for name, text in of_key(key).items()
    }
    assert found(played.net, needles) == []


def test_root_tokens_and_unseal_shares_are_only_with_the_deliverer(played: Played) -> None:
    needles: dict[str, bytes] = {}
    for bao in played.net.openbao:
        needles |= of_deliverer(bao.secrets_file)
    assert found(played.net, needles, apart=("deliverer",)) == []


def test_no_token_of_anybody_lies_anywhere_but_the_roots_with_the_deliverer(played: Played) -> None:
    assert holding(played.net, TOKEN) == {bao.secrets_file for bao in played.net.openbao}


def test_no_delivered_secret_id_is_left(played: Played) -> None:
    assert list(played.net.state.path.rglob("wrapped-secret-id*")) == []


def test_signers_are_not_dumpable(played: Played) -> None:
    # Only a process can ask for its own PR_GET_DUMPABLE: each signer does at its start, and says what it saw.
    for number in SIGNERS:
        log = (played.net.state.logs / f"signer-{number}.log").read_text()
        assert "process: non-dumpable, no core files" in log


# The search itself.


def test_a_key_is_found_in_a_file_however_it_is_written(played: Played) -> None:
    raw = secrets.token_bytes(32)
    spellings = of_key(raw)
    files = {f"{name} PEM": written(raw, Encoding.PEM, each) for name, each in STRUCTURES.items()}
    folder = played.net.state.folder("planted")
    try:
        for name, text in spellings.items():
            (folder / name.replace(" ", "-")).write_bytes(files.get(name, b"before " + text + b" after"))
        seen = found(played.net, spellings)
    finally:
        shutil.rmtree(folder)
    assert {f"{name} in {folder / name.replace(' ', '-')}" for name in spellings} <= set(seen)


@pytest.fixture
def planted(played: Played) -> Iterator[ManagedProcess]:
    """One more process of the network, with a known word in its arguments and one in its environment."""
    process = played.net.supervisor.process(
        ProcessSpec(
            name="planted",
            command=(sys.executable, "-c", "import time; time.sleep(600)", IN_ARGUMENTS.decode()),
            log_file=played.net.state.logs / "planted.log",
            folder=played.net.state.path,
            environment={"PLANTED": IN_ENVIRONMENT.decode()},
        )
    )
    process.start()
    yield process
    process.kill()


def test_arguments_and_environments_of_the_network_s_processes_are_searched(
    played: Played, planted: ManagedProcess
) -> None:
    needles = {"argument": IN_ARGUMENTS, "variable": IN_ENVIRONMENT}
    assert sorted(found(played.net, needles)) == [
        f"argument in /proc/{planted.pid}/cmdline",
        f"variable in /proc/{planted.pid}/environ",
    ]


@pytest.mark.parametrize("kind", ["s", "b", "r", "hvs", "hvb", "hvr"])
@pytest.mark.parametrize(
    "around", ['{{"token":"{}"}}', "TOKEN={}", "-token={}", "\x00{}\x00", "{}.namespace"]
)
def test_a_token_is_known_by_its_shape(kind: str, around: str) -> None:
    assert TOKEN.search(around.format(f"{kind}.Lx1Jv0aB3cD5eF7gH9iJ1kL3").encode())


@pytest.mark.parametrize(
    "text", ["signers.statements", "s.short", "vault:v1:" + 40 * "A", "a.b.c.d" + 30 * "x"]
)
def test_other_words_are_no_tokens(text: str) -> None:
    assert not TOKEN.search(text.encode())
