"""What `make dev` prints for a newcomer, pasted word for word; then the network is taken down again."""

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.cli.cast import OPERATIONS, PLEDGOR
from tests.system.localnet.running import REPOSITORY, Owner, Owners, eventually, nothing_runs

pytestmark = pytest.mark.system

READY_SECONDS = 120.0
PASTED_SECONDS = 240.0
EXIT_SECONDS = 60.0
ACCOUNT = "client-one-broker-one"
_PASTED = re.compile(r"^  # ([^:\n]+): [^\n]+\n  (\S[^\n]+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Dev:
    """A running `make dev`.

    Attributes:
        screen: everything it printed until it was ready.
    """

    owner: Owner
    screen: str

    @property
    def told(self) -> dict[str, str]:
        """What it tells each kind of user to try."""
        return dict(_PASTED.findall(self.screen))

    def paste(self, line: str, *, answer: str = "") -> subprocess.CompletedProcess[str]:
        """Run a line in a shell, at whose terminal a person sits and answers."""
        person, terminal = pty.openpty()
        try:
            os.write(person, answer.encode())
            return subprocess.run(
                ["bash", "-o", "pipefail", "-c", line],
                cwd=REPOSITORY,
                stdin=terminal,
                capture_output=True,
                text=True,
                timeout=PASTED_SECONDS,
                check=False,
            )
        finally:
            os.close(person)
            os.close(terminal)

    def bailee(self, who: str, *words: str) -> str:
        """The line of a command as somebody."""
        profile = self.owner.state / "profiles" / f"{who}.toml"
        command = Path(sys.executable).with_name("bailee")
        return shlex.join([str(command), *words, "--profile", str(profile)])

    def wallet(self, *words: str) -> str:
        """The line of a wallet's command."""
        folder = ("--folder", str(self.owner.state))
        return shlex.join([sys.executable, "-m", "deploy.localnet.wallet", *folder, *words])

    def out(self, line: str) -> str:
        """What a line prints; it has to succeed."""
        ended = self.paste(line)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.strip()


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    owners = Owners(folder)
    try:
        owner = owners.up("net", "-m", "deploy.localnet", "up", "--folder", "{state}", "--block-seconds", "1")
        in_time = eventually(lambda: "BAILEE_PROFILE=" in owners.log("net"), deadline_seconds=READY_SECONDS)
        assert in_time, owners.log("net")
        yield Dev(owner=owner, screen=owners.log("net"))
        owner.process.send_signal(signal.SIGINT)
        assert owner.process.wait(timeout=EXIT_SECONDS) == 0
        assert nothing_runs(owner)
    finally:
        owners.close()


def test_the_first_screen_says_where_everything_is(dev: Dev) -> None:
    lines = dict(re.findall(r"^  (\S+) +(\S+)$", dev.screen, re.MULTILINE))
    addresses = dev.owner.record.endpoints
    assert set(addresses) >= {"bitcoind", "anvil", "openbao-0", "signer-1", "signer-2", "signer-3", "custody"}
    folders = {"certificates": "ca.pem", "profiles": f"{PLEDGOR}.toml", "logs": "custody.log"}
    assert lines == {**addresses, **{name: str(dev.owner.state / name) for name in folders}}
    for name, file in folders.items():
        assert (Path(lines[name]) / file).is_file()


def test_every_kind_of_user_is_told_something(dev: Dev) -> None:
    assert set(dev.told) == {
        "custodian's operations",
        "pledgor",
        "margin engine",
        "price publisher",
        "auditor",
        "operator",
        "approver",
    }


@pytest.mark.parametrize(
    ("who", "shows"),
    [
        ("custodian's operations", rf"{ACCOUNT} +ACTIVE +client-one +broker-one"),
        ("pledgor", r"bitcoin address +bcrt1q"),
        ("margin engine", r"BTC lending value +468,000\.\d\d HKD"),
        ("price publisher", r"feed-one-btc +780,000\.00 HKD"),
        ("auditor", r"1\.50000000 BTC \(150000000 sat\) +pending +available"),
        ("operator", r"signer-3 .* serving"),
        ("approver", r"approved by +custodian-one"),
    ],
)
def test_the_first_command_of_each_shows_what_it_is_for(dev: Dev, who: str, shows: str) -> None:
    ended = dev.paste(dev.told[who], answer="y\n")
    assert ended.returncode == 0, ended.stderr
    assert re.search(shows, ended.stdout), ended.stdout


@pytest.mark.slow
def test_the_page_about_it_can_be_pasted(dev: Dev, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs/guides/local-network.md").read_text(encoding="utf-8")
    lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
    script = "\n".join(line for line in lines if line != "make dev")
    for shown, here in (
        (".venv/bin/", f"{Path(sys.executable).parent}/"),
        ("-m deploy.localnet.wallet", f"-m deploy.localnet.wallet --folder {dev.owner.state}"),
        (".localnet/", f"{dev.owner.state}/"),
        ("proof.txt", str(tmp_path / "proof.txt")),
    ):
        assert shown in script
        script = script.replace(shown, here)
    ended = dev.paste(f"set -euo pipefail\n{script}", answer="y\n" * 9)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"state +SETTLED", ended.stdout)
    assert len(re.findall(r"signer-\d +signed ", ended.stdout)) == 2


def test_an_approver_who_says_no_has_signed_nothing(dev: Dev) -> None:
    ended = dev.paste(dev.told["approver"].replace("client-cold-btc", "client-cold-eth"), answer="n\n")
    assert ended.returncode == 1
    assert "NOT_CONFIRMED nothing was signed" in ended.stderr
    shown = dev.out(dev.bailee(PLEDGOR, "destination", "show", ACCOUNT, "client-cold-eth"))
    assert re.search(r"approved by +nobody", shown)


def test_the_agreement_opens_another_account(dev: Dev) -> None:
    agreement = str(dev.owner.state / "agreement.toml")
    made = dev.out(dev.bailee(OPERATIONS, "account", "create", "second", "--agreement", agreement))
    assert "CREATING_KEYS" in made


@pytest.mark.parametrize(
    ("asset", "amount"), [pytest.param("BTC", "0.25BTC", marks=pytest.mark.slow), ("ETH", "1.5ETH")]
)
def test_a_wallet_of_one_s_own_pays_and_proves(dev: Dev, asset: str, amount: str) -> None:
    address = dev.out(dev.wallet("new", asset))
    assert dev.out(dev.wallet("balance", address)) == f"0{asset}"
    dev.out(dev.wallet("pay", address, amount))
    # Nobody mines for it: blocks come by themselves.
    assert eventually(lambda: dev.out(dev.wallet("balance", address)) == amount)
    entry = (ACCOUNT, f"my-{asset.lower()}-wallet", address)
    message = dev.bailee(PLEDGOR, "destination", "prove-message", *entry)
    proof = dev.out(f"{message} | {dev.wallet('prove', address)}")
    proposed = dev.out(dev.bailee(PLEDGOR, "destination", "propose", *entry, "--proof", proof))
    assert "PENDING_APPROVAL" in proposed
