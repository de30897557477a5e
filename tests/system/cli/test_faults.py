"""Asked wrongly, or refused: one clear error, as JSON for programs, and the exit status that says which."""

import subprocess
from pathlib import Path

import pytest

from deploy.localnet.localnet import Localnet
from tests.system.cli.cast import AUDITOR, ENGINE, FEEDS, OPERATIONS, PLEDGOR
from tests.system.cli.command import BAILEE, Command

pytestmark = pytest.mark.system

REFUSED, USAGE = 1, 2


@pytest.mark.parametrize(
    ("who", "words", "exit_code", "reason", "says"),
    [
        (PLEDGOR, "account show nobody-s", REFUSED, "RESOURCE_NOT_FOUND", "no account nobody-s"),
        (PLEDGOR, "account show Acct", USAGE, "USAGE", "'Acct' is not a valid AccountId ([a-z]"),
        (PLEDGOR, "price publish --btc 1", REFUSED, "PRINCIPAL_NOT_ALLOWED", "PriceService"),
        (FEEDS[0], "price publish --btc 1e5", USAGE, "USAGE", "write 100000 or 100000.25"),
        (FEEDS[0], "price publish", USAGE, "USAGE", "give --btc, --eth or both"),
        (ENGINE, "lien reserve acct one 5", USAGE, "USAGE", "write 0.5BTC"),
        (
            OPERATIONS,
            "account create acct --agreement nowhere.toml",
            USAGE,
            "USAGE",
            "nowhere.toml: No such file",
        ),
        (AUDITOR, "account list --policy-digest " + 64 * "0", REFUSED, "VERIFICATION_FAILED", "is pinned"),
        (AUDITOR, "account list --server 127.0.0.1:1", REFUSED, "UNAVAILABLE", "Connection refused"),
        (AUDITOR, "account list --server-name elsewhere.bailee", REFUSED, "UNAVAILABLE", "Hostname"),
        (AUDITOR, "withdrawal cancel acct one", REFUSED, "RESOURCE_NOT_FOUND", "no account acct"),
        (AUDITOR, "lien void acct one", USAGE, "USAGE", "key_file is missing"),
    ],
)
def test_an_error_says_what_is_wrong(
    bailee: Command, who: str, words: str, exit_code: int, reason: str, says: str
) -> None:
    ended = bailee.run(who, *words.split())
    assert ended.exit_code == exit_code
    assert ended.error["reason"] == reason
    assert says in ended.error["message"]


def test_for_people_it_is_a_line_and_a_hint(bailee: Command) -> None:
    ended = bailee.run(PLEDGOR, "account", "show", "nobody-s", as_json=False)
    assert (ended.exit_code, ended.stdout) == (REFUSED, "")
    assert ended.stderr.splitlines()[0] == "RESOURCE_NOT_FOUND no account nobody-s"
    assert ended.stderr.splitlines()[-1].startswith("hint: ")


def test_a_certificate_that_is_another_s_is_named(bailee: Command, localnet: Localnet) -> None:
    other = localnet.people[PLEDGOR].certificate.certificate_file
    ended = bailee.run(AUDITOR, "account", "list", "--certificate", other)
    assert (ended.exit_code, ended.error["reason"]) == (USAGE, "USAGE")
    assert f"is not the key of {other}" in ended.error["message"]


def test_nothing_is_signed_where_nobody_can_be_asked(
    bailee: Command, localnet: Localnet, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.json"
    policy.write_bytes(localnet.policy.to_json())
    ended = bailee.run("admin.trustee-one", "policy", "sign", policy)
    assert ended.exit_code == USAGE
    assert "--digest" in ended.error["message"]
    assert policy.read_bytes() == localnet.policy.to_json()


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_reader_that_has_seen_enough_ends_it_quietly(localnet: Localnet, flags: tuple[str, ...]) -> None:
    words = [str(BAILEE), "policy", "show", "--profile", str(localnet.profiles[AUDITOR]), *flags]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_watching_ends_in_order_when_its_time_is_over(bailee: Command) -> None:
    ended = bailee.run(AUDITOR, "watch", "--seconds", "1", as_json=False)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1].endswith("alive")
