"""Journeys 1, 2, 3 and 5 on the real network by the command alone: everybody a process, with a profile."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.localnet.demo.wallets import BitcoinWallet, EthereumWallet
from deploy.localnet.dev.first_account import write_agreement
from deploy.localnet.localnet import Localnet
from deploy.localnet.wallet import Wallet
from signers.statements.account import Enforcement
from signers.statements.amounts import Asset
from tests.guides import ROOT, told
from tests.system.cli.cast import ADMINS, APPROVERS, AUDITOR, ENGINE, FEEDS, OPERATIONS, PLEDGOR, STRANGER
from tests.system.cli.command import Command
from tests.system.localnet.running import eventually

pytestmark = pytest.mark.system

ACCOUNT: Final = "journeys-by-command"
PLEDGED: Final = {Asset.BTC: 150_000_000, Asset.ETH: 12 * 10**18}
PAID: Final = {Asset.BTC: 40_000_000, Asset.ETH: 4 * 10**18}
ASKED: Final = {Asset.BTC: ("0.4BTC", "50000sat"), Asset.ETH: ("4ETH", "0.01ETH")}
CREDIT_BLOCKS: Final = {Asset.BTC: 6, Asset.ETH: 3}
PRICES: Final = ("--btc", "780000", "--eth", "27000")
LENT: Final = 30_000_000
"""Satoshis under the posted lien."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An active account."""

    addresses: dict[Asset, str]
    wallets: dict[Asset, Wallet]
    """The pledgor's own, where coins may go."""
    events: list[Any]
    """What the margin engine's stream has printed so far."""


TAKEN_BACK_BLOCKS = 4
"""Finality is two blocks deep on this network."""


def each_asset(work: Callable[[Asset], Any]) -> dict[Asset, Any]:
    """Both chains at once, as their people would."""
    with ThreadPoolExecutor(len(Asset)) as pool:
        return dict(zip(Asset, pool.map(work, Asset), strict=True))


def mine(net: Localnet, asset: Asset, blocks: int = 1) -> None:
    (net.bitcoind if asset is Asset.BTC else net.anvil).mine(blocks)


def publish(bailee: Command) -> None:
    for feed in FEEDS:
        bailee(feed, "price", "publish", *PRICES)


def in_state(wanted: str, *path: str) -> Callable[[Any], bool]:
    def holds(document: Any) -> bool:
        for name in path:
            document = document[name]
        return bool(document["state"] == f"STATE_{wanted}")

    return holds


def all_deposits(wanted: str) -> Callable[[Any], bool]:
    return lambda found: [each["state"] for each in found["deposits"]] == [f"STATE_{wanted}"] * len(Asset)


def position(report: Any, asset: Asset) -> dict[str, Any]:
    (found,) = [each for each in report["statement"]["positions"] if each["asset"] == asset]
    return dict(found)


# 1. Onboard.


@pytest.fixture(scope="module")
def agreement(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("agreement") / "agreement.toml"
    enforcement = Enforcement(
        bitcoin=BitcoinWallet.new().destination.script_pubkey, ethereum=EthereumWallet.new().address
    )
    parties = [localnet.people[name].party for name in (PLEDGOR, ENGINE, OPERATIONS)]
    write_agreement(file, parties=parties, enforcement=enforcement)
    return file


@pytest.fixture(scope="module")
def opened(bailee: Command, agreement: Path) -> Iterator[Opened]:
    show = ("account", "show", ACCOUNT)
    created = bailee(OPERATIONS, "account", "create", ACCOUNT, "--agreement", agreement)
    assert created["state"] == "STATE_CREATING_KEYS"
    bailee.until(OPERATIONS, *show, holds=in_state("AWAITING_SIGNATURES"))
    assert bailee.run(PLEDGOR, "account", "verify", ACCOUNT).error["reason"] == "VERIFICATION_FAILED"
    for who in (OPERATIONS, PLEDGOR, ENGINE):
        bailee(who, "account", "sign", ACCOUNT, "--agreement", agreement)
    bailee.until(OPERATIONS, *show, holds=in_state("ACTIVE"))
    verified = bailee(PLEDGOR, "account", "verify", ACCOUNT, "--agreement", agreement)
    addresses = {Asset.BTC: verified["addresses"]["bitcoin"], Asset.ETH: verified["addresses"]["ethereum"]}
    wallets: dict[Asset, Wallet] = {Asset.BTC: BitcoinWallet.new(), Asset.ETH: EthereumWallet.new()}
    with bailee.watching(ENGINE, "watch", ACCOUNT) as events:
        yield Opened(addresses=addresses, wallets=wallets, events=events)


# 2. Pledge.


@pytest.fixture(scope="module")
def pledged(bailee: Command, localnet: Localnet, opened: Opened) -> Opened:
    publish(bailee)
    assert len(bailee(PLEDGOR, "price", "list")["prices"]) == len(FEEDS) * len(Asset)
    localnet.bitcoind.send(address=opened.addresses[Asset.BTC], amount_sats=PLEDGED[Asset.BTC])
    localnet.anvil.send(address=opened.addresses[Asset.ETH], amount_wei=PLEDGED[Asset.ETH])
    for asset in Asset:
        mine(localnet, asset)
    bailee.until(PLEDGOR, "deposit", "list", ACCOUNT, holds=all_deposits("PENDING"))
    for asset in Asset:
        mine(localnet, asset, CREDIT_BLOCKS[asset])
    seen = bailee.until(PLEDGOR, "deposit", "list", ACCOUNT, holds=all_deposits("CREDITED"))
    assert {d["amount"]["asset"]: int(d["amount"]["units"]) for d in seen["deposits"]} == {
        f"ASSET_{asset}": units for asset, units in PLEDGED.items()
    }
    return opened


def test_the_report_says_what_the_coins_lend(bailee: Command, pledged: Opened) -> None:
    sequence = bailee(ENGINE, "account", "show", ACCOUNT)["account_sequence"]
    report = bailee(ENGINE, "report", "show", ACCOUNT, "--min-sequence", sequence)
    for asset, price, haircut_bps in ((Asset.BTC, 780_000, 6000), (Asset.ETH, 27_000, 6500)):
        found = position(report, asset)
        coins_e8 = PLEDGED[asset] * 10**8 // (10**8 if asset is Asset.BTC else 10**18)
        assert found["confirmed"]["units"] == str(PLEDGED[asset])
        assert found["status"] == "ok"
        assert int(found["lending_value"]) == coins_e8 * price * (10_000 - haircut_bps) // 10_000
        assert [price["statement"]["publisher"] for price in report["prices"][asset]] == [
            "feed-one",
            "feed-three",
            "feed-two",
        ]


# 3. Borrow.


@pytest.fixture(scope="module")
def lent(bailee: Command, pledged: Opened) -> Opened:
    publish(bailee)
    reserved = bailee(ENGINE, "lien", "reserve", ACCOUNT, "order-one", "0.5BTC", "--seconds", 300)
    assert reserved["state"] == "STATE_RESERVED"
    posted = bailee(ENGINE, "lien", "post", ACCOUNT, "order-one", f"{LENT}sat")
    assert (posted["state"], posted["amount"]["units"]) == ("STATE_POSTED", str(LENT))
    bailee(ENGINE, "lien", "reserve", ACCOUNT, "order-two", "0.1BTC")
    assert bailee(ENGINE, "lien", "void", ACCOUNT, "order-two")["state"] == "STATE_VOIDED"
    assert bailee(ENGINE, "lien", "show", ACCOUNT, "order-one") == posted
    return pledged


def test_more_than_is_free_is_not_lent_against(bailee: Command, lent: Opened) -> None:
    error = bailee.run(ENGINE, "lien", "reserve", ACCOUNT, "too-much", "1.5BTC").error
    assert error["reason"] == "COLLATERAL_INSUFFICIENT"
    assert error["metadata"]["free_units"] == str(PLEDGED[Asset.BTC] - LENT)
    liens = {
        each["name"].rpartition("/")[2]: each for each in bailee(ENGINE, "lien", "list", ACCOUNT)["liens"]
    }
    assert {name: each["state"] for name, each in liens.items()} == {
        "order-one": "STATE_POSTED",
        "order-two": "STATE_VOIDED",
    }
    sequence = liens["order-two"]["account_sequence"]
    report = bailee(ENGINE, "report", "show", ACCOUNT, "--min-sequence", sequence)
    assert position(report, Asset.BTC)["posted"]["units"] == str(LENT)


# 5. Withdraw.


def destination(asset: Asset) -> str:
    return f"cold-{asset.lower()}"


def withdrawal(asset: Asset) -> str:
    return f"payout-{asset.lower()}"


@pytest.fixture(scope="module")
def allowed(bailee: Command, lent: Opened, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Destinations proven by their owner, approved by two entities, and cooled off."""

    def allow(asset: Asset) -> None:
        wallet, where = lent.wallets[asset], (ACCOUNT, destination(asset))
        message = bailee(PLEDGOR, "destination", "prove-message", *where, wallet.text)["message"]
        proof = tmp_path_factory.mktemp("proof") / "proof.txt"
        proof.write_text(wallet.prove(message) + "\n")
        proposed = bailee(PLEDGOR, "destination", "propose", *where, wallet.text, "--proof-file", proof)
        for who in APPROVERS:
            bailee(who, "destination", "approve", *where, "--digest", proposed["statement_digest"])
        bailee.until(PLEDGOR, "destination", "show", *where, holds=in_state("USABLE", "destination"))

    each_asset(allow)
    return lent


@pytest.fixture(scope="module")
def settled(bailee: Command, localnet: Localnet, allowed: Opened) -> dict[Asset, Any]:
    """Each withdrawal as it ended: asked, released, approved, announced, signed, broadcast, confirmed."""
    publish(bailee)
    regretted = (ACCOUNT, "changed-my-mind")
    small = ("--destination", destination(Asset.BTC), "--amount", "1000sat", "--fee-cap", "1000sat")
    bailee(PLEDGOR, "withdrawal", "request", *regretted, *small)
    assert bailee(PLEDGOR, "withdrawal", "cancel", *regretted)["state"] == "STATE_CANCELLED"

    def withdraw(asset: Asset) -> Any:
        what = (ACCOUNT, withdrawal(asset))
        show = ("withdrawal", "show", *what)
        amount, fee_cap = ASKED[asset]
        asked = ("--destination", destination(asset), "--amount", amount, "--fee-cap", fee_cap)
        bailee(PLEDGOR, "withdrawal", "request", *what, *asked)
        bailee(PLEDGOR, "withdrawal", "sign", *what, *asked)
        digest = bailee(ENGINE, *show)["intent"]["digest"]
        bailee(ENGINE, "withdrawal", "release", *what, "--digest", digest)
        for who in APPROVERS:
            bailee(who, "withdrawal", "approve", *what, "--digest", digest)
        for wanted, blocks in (("TIMELOCKED", 1), ("BROADCAST", 1), ("CONFIRMING", CREDIT_BLOCKS[asset])):
            bailee.until(PLEDGOR, *show, holds=in_state(wanted, "withdrawal"))
            mine(localnet, asset, blocks)
        return bailee.until(PLEDGOR, *show, holds=in_state("SETTLED", "withdrawal"))["withdrawal"]

    ended = each_asset(withdraw)
    bailee.until(ENGINE, "withdrawal", "settle", ACCOUNT, holds=lambda shown: shown["outstanding"] == [])
    return ended


@pytest.mark.parametrize("asset", list(Asset))
def test_what_was_asked_arrived_where_it_was_allowed(
    localnet: Localnet, opened: Opened, settled: dict[Asset, Any], asset: Asset
) -> None:
    wallet = opened.wallets[asset]
    if asset is Asset.ETH:
        assert localnet.anvil.balance_wei(wallet.text) == PAID[asset]
    else:
        assert localnet.bitcoind.balance_of(wallet.text) == PAID[asset]
    (attempt,) = settled[asset]["attempts"]
    assert attempt["state"] == "STATE_FINAL"


# What somebody sees who can only read.


@pytest.fixture(scope="module")
def audited(
    bailee: Command, settled: dict[Asset, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What each of the auditor's commands printed."""
    folder = tmp_path_factory.mktemp("audit")
    files = {name: folder / f"{name}.json" for name in ("intent", "account", "policy")}
    sequence = max(int(each["account_sequence"]) for each in settled.values())
    paid = (ACCOUNT, withdrawal(Asset.BTC))
    policy = bailee(AUDITOR, "policy", "show", "--out", files["policy"])
    pins = ("--policy-digest", policy["digest"], "--network", "regtest")
    offline = ("--account-file", files["account"], "--policy-file", files["policy"], *pins)
    return {
        "policy": policy,
        "account": bailee(AUDITOR, "account", "verify", ACCOUNT, "--out", files["account"]),
        "postings": bailee(AUDITOR, "postings", "list", ACCOUNT)["postings"],
        "report": bailee(AUDITOR, "report", "show", ACCOUNT, "--min-sequence", sequence),
        "destinations": bailee(AUDITOR, "destination", "list", ACCOUNT)["destinations"],
        "withdrawals": bailee(AUDITOR, "withdrawal", "list", ACCOUNT)["withdrawals"],
        "receipts": {
            asset: bailee(AUDITOR, "receipt", "show", ACCOUNT, withdrawal(asset))["receipts"]
            for asset in Asset
        },
        "shown": bailee(AUDITOR, "withdrawal", "show", *paid, "--out", files["intent"]),
        "offline": bailee(AUDITOR, "statement", "show", files["intent"], *offline),
    }


@pytest.mark.parametrize("asset", list(Asset))
def test_ledger_report_and_chain_agree_to_the_last_unit(
    localnet: Localnet, opened: Opened, settled: dict[Asset, Any], audited: dict[str, Any], asset: Asset
) -> None:
    fee = int(settled[asset]["attempts"][0]["fee"]["units"])
    books: Counter[str] = Counter()
    for posting in audited["postings"]:
        if posting["amount"]["asset"] == f"ASSET_{asset}":
            books[posting["debit"]] -= int(posting["amount"]["units"])
            books[posting["credit"]] += int(posting["amount"]["units"])
    assert books["network_fees"] == fee
    ledger = sum(units for book, units in books.items() if book not in {"external", "network_fees"})
    on_chain = localnet.bitcoind.balance_of if asset is Asset.BTC else localnet.anvil.balance_wei
    confirmed = int(position(audited["report"], asset)["confirmed"]["units"])
    assert ledger == on_chain(opened.addresses[asset]) == confirmed == PLEDGED[asset] - PAID[asset] - fee


def test_the_address_is_the_descriptor_s_by_the_node_s_own_word(
    localnet: Localnet, opened: Opened, audited: dict[str, Any]
) -> None:
    descriptor = audited["account"]["addresses"]["descriptor"]
    described = localnet.bitcoind.call("getdescriptorinfo", descriptor)["descriptor"]
    assert localnet.bitcoind.call("deriveaddresses", described) == [opened.addresses[Asset.BTC]]


@pytest.mark.parametrize("asset", list(Asset))
def test_the_signers_own_words_name_what_everybody_signed(
    settled: dict[Asset, Any], audited: dict[str, Any], asset: Asset
) -> None:
    said = [each["statement"] for each in audited["receipts"][asset]]
    assert {each["intent_digest"] for each in said} == {settled[asset]["intent_digest"]}
    announced = sorted(each["signer"] for each in said if each["act"] == "announced")
    assert announced == ["signer-1", "signer-2", "signer-3"]
    signed = {each["signer"] for each in said if each["act"] == "signed"}
    assert len(signed) == 2 if asset is Asset.BTC else signed == {"signer-1"}


def test_what_was_listed_is_what_was_done(audited: dict[str, Any], settled: dict[Asset, Any]) -> None:
    states = {each["name"].rpartition("/")[2]: each["state"] for each in audited["withdrawals"]}
    assert states == {
        **{withdrawal(asset): "STATE_SETTLED" for asset in Asset},
        "changed-my-mind": "STATE_CANCELLED",
    }
    assert audited["shown"]["withdrawal"] == settled[Asset.BTC]
    assert [sorted(each["approving_entities"]) for each in audited["destinations"]] == [
        ["custodian-one", "trustee-one"]
    ] * len(Asset)


def test_an_intent_is_checked_offline(audited: dict[str, Any], settled: dict[Asset, Any]) -> None:
    offline = audited["offline"]
    assert offline["digest"] == settled[Asset.BTC]["intent_digest"]
    assert sorted(each["by"] for each in offline["signatures"]) == [
        "approver custodian-one",
        "approver trustee-one",
        "pledgor client-one",
    ]


def test_the_stream_showed_the_margin_engine_coins_come_and_go(
    opened: Opened, audited: dict[str, Any]
) -> None:
    left = position(audited["report"], Asset.BTC)["confirmed"]["units"]

    def seen() -> list[str]:
        reports = [event["report"] for event in opened.events if event["report"] is not None]
        return [position(report, Asset.BTC)["confirmed"]["units"] for report in reports]

    assert eventually(lambda: seen()[-1] == left)
    assert {str(PLEDGED[Asset.BTC]), left} <= set(seen())
    assert {event["account"] for event in opened.events} <= {ACCOUNT, ""}


def test_a_stranger_sees_nothing_of_it(bailee: Command, opened: Opened) -> None:
    listed = bailee(STRANGER, "account", "list")["accounts"]
    assert listed == []
    for words in (("account", "verify"), ("report", "show"), ("postings", "list"), ("lien", "list")):
        assert bailee.run(STRANGER, *words, ACCOUNT).error["reason"] == "RESOURCE_NOT_FOUND"


def test_the_margin_engine_s_program_runs_as_the_guide_shows_it(
    bailee: Command, localnet: Localnet, settled: dict[Asset, Any], tmp_path: Path
) -> None:
    publish(bailee)
    said = bailee(ENGINE, "price", "list")["prices"]
    newest = max(price["statement"]["at"] for price in said)
    bailee.until(ENGINE, "report", "show", ACCOUNT, holds=lambda report: report["statement"]["at"] >= newest)
    page = (ROOT / "docs" / "guides" / "margin-engine.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    person = localnet.people[ENGINE]
    for shown, here in (
        ("ca.pem", person.certificate.authority_file),
        ("margin-engine.broker-one.pem", person.certificate.certificate_file),
        ("margin-engine.broker-one-key.pem", person.certificate.key_file),
        ("broker-one.passphrase", person.passphrase_file),
        ("broker-one.pem", person.key_file),
        ("record.db", tmp_path / "record.db"),
        ("custody.example:7443", localnet.custody.target),
        ("…64 hex digits…", localnet.policy.digest),
        ("acct-one", ACCOUNT),
    ):
        assert f'"{shown}"' in program
        program = program.replace(f'"{shown}"', f'"{here}"')
    program = program.replace("Network.TESTNET", "Network.REGTEST")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 0


def test_a_halt_that_the_custodian_lifts_ends_once_ledger_and_chain_agree(
    bailee: Command, localnet: Localnet, audited: dict[str, Any]
) -> None:
    """A chain takes back what it had called final, and then says the same again."""
    show = ("account", "show", ACCOUNT)
    localnet.anvil.reorg(TAKEN_BACK_BLOCKS)
    localnet.anvil.mine(TAKEN_BACK_BLOCKS)
    halted = bailee.until(OPERATIONS, *show, holds=in_state("HALTED"))
    assert halted["halts"] == ["HALT_FINALITY_REORG"]
    bailee(OPERATIONS, "account", "lift-halt", ACCOUNT, "finality-reorg")
    active = bailee.until(OPERATIONS, *show, holds=in_state("ACTIVE"))
    assert active["halts"] == []


def test_every_command_that_a_guide_tells_was_run(
    bailee: Command, audited: dict[str, Any], signed_policy: Path, made_key: tuple[Any, Any]
) -> None:
    pins = ("--network", "regtest", "--policy-digest", audited["policy"]["digest"])
    assert bailee(ADMINS[0], "policy", "show", signed_policy, *pins) == audited["policy"]
    assert sorted(str(each) for each in told() if not any(map(each.is_run_by, bailee.done))) == []
