"""Commands that need no service: keys, policies, ownership messages, statements, and the profile."""

from collections.abc import Callable
from pathlib import Path

import pytest

from custody.cli.addresses import destination_text
from custody.cli.documents import write_envelope
from custody.client import load_key
from signers.statements.allowlist import ownership_message
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope, public_key_of
from signers.statements.policy import Policy
from tests.factories import Person, World
from tests.unit.custody.cli.conftest import PASSPHRASE, Bailee, key_file
from tests.unit.custody.client.fake_service import FakeCustody

Profiles = Callable[[Person], Path]


def passphrase_file(tmp_path: Path, text: bytes = PASSPHRASE) -> Path:
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_bytes(text)
    return file


# Keys.


def test_a_key_is_made_and_shown(bailee: Bailee, tmp_path: Path) -> None:
    file, secret = tmp_path / "key.pem", passphrase_file(tmp_path)
    made = bailee("key", "new", file, "--passphrase-file", secret, "--json")
    assert made.exit_code == 0
    assert made.json.keys() == {"file", "key_id", "public_key"}
    assert public_key_of(load_key(file, PASSPHRASE)) == made.json["public_key"]
    assert bailee("key", "show", file, "--passphrase-file", secret, "--json").json == made.json


def test_a_key_is_never_overwritten(bailee: Bailee, tmp_path: Path) -> None:
    file, secret = tmp_path / "key.pem", passphrase_file(tmp_path)
    bailee("key", "new", file, "--passphrase-file", secret)
    assert bailee("key", "new", file, "--passphrase-file", secret).exit_code == 2


@pytest.mark.parametrize(
    ("passphrase", "mode", "why"),
    [(b"short", 0o600, "at least 12"), (PASSPHRASE, 0o644, "open to others"), (b"x" * 1025, 0o600, "longer")],
)
def test_a_bad_passphrase_file_makes_no_key(
    bailee: Bailee, tmp_path: Path, passphrase: bytes, mode: int, why: str
) -> None:
    secret = passphrase_file(tmp_path, passphrase)
    secret.chmod(mode)
    run = bailee("key", "new", tmp_path / "key.pem", "--passphrase-file", secret, "--json")
    assert (run.exit_code, run.error["reason"]) == (2, "USAGE")
    assert why in run.error["message"]
    assert not (tmp_path / "key.pem").exists()


def test_nobody_to_ask_for_a_passphrase_is_said(bailee: Bailee, tmp_path: Path) -> None:
    run = bailee("key", "new", tmp_path / "key.pem", "--json")
    assert run.exit_code == 2
    assert "--passphrase-file" in run.error["message"]


def test_a_wrong_passphrase_is_said(bailee: Bailee, tmp_path: Path) -> None:
    file, secret = tmp_path / "key.pem", passphrase_file(tmp_path)
    bailee("key", "new", file, "--passphrase-file", secret)
    secret.write_bytes(b"another passphrase")
    run = bailee("key", "show", file, "--passphrase-file", secret, "--json")
    assert run.exit_code == 2
    assert "wrong passphrase" in run.error["message"]


# Policies: drafted, signed by two admins on two machines, merged, shown.

TERMS = """
network = "regtest"
admin_quorum = 2
custody_attestation_key = "{attestation}"
allowlist_approvers = 2
allowlist_cooling_seconds = 86400
intent_lifetime_max_seconds = 604800

[prices]
currency = "USD"
publishers_min = 3
age_max_seconds = 60
spread_max_bps = 200
{keys}{signers}
[[tiers]]
up_to = "1 BTC"
approvers = 2
timelock_seconds = 600
timelock_blocks = 1

[[tiers]]
up_to = "10 ETH"
approvers = 2
timelock_seconds = 600
timelock_blocks = 10

[[limits]]
window_seconds = 86400
total = "12 BTC"
fee_cap = "100000 sat"

[[limits]]
window_seconds = 86400
total = "120 ETH"
fee_cap = "0.05 ETH"

[[assets]]
asset = "BTC"
haircut_bps = 6000
confirmations = 6
finality_depth = 100

[[assets]]
asset = "ETH"
haircut_bps = 6500
confirmations = 0
finality_depth = 0
"""


@pytest.fixture
def terms(world: World, tmp_path: Path) -> Path:
    people = [("policy-admin", world.admins), ("approver", world.approvers), ("publisher", world.publishers)]
    keys = "".join(
        f'\n[[keys]]\nentity = "{p.entity}"\npublic_key = "{p.public_key}"\nrole = "{role}"\n'
        for role, group in people
        for p in group
    )
    signers = "".join(
        f'\n[[signers]]\nsigner = "{s.signer}"\noperator = "operator-{i}"\ncloud = "cloud-{i}"\n'
        f'vault_holders = ["holder-{i}"]\npublic_key = "{s.public_key}"\n'
        for i, s in enumerate(world.signers)
    )
    file = tmp_path / "terms.toml"
    file.write_text(TERMS.format(attestation=world.attestation.public_key, keys=keys, signers=signers))
    return file


@pytest.fixture
def draft(bailee: Bailee, terms: Path, tmp_path: Path) -> Path:
    assert bailee("policy", "draft", terms, "--out", tmp_path / "policy.json").exit_code == 0
    return tmp_path / "policy.json"


def test_a_policy_is_drafted_signed_merged_and_shown(
    bailee: Bailee, draft: Path, world: World, key_folder: Path, tmp_path: Path
) -> None:
    envelope = Envelope.from_json(draft.read_bytes())
    assert envelope.signatures == ()
    copies = []
    for admin in world.admins[:2]:
        copies.append(tmp_path / f"{admin.entity}.json")
        run = bailee(
            *("policy", "sign", draft, "--out", copies[-1], "--digest", envelope.digest, "--json"),
            *("--network", "regtest", "--key-file", key_file(key_folder, admin.key)),
            *("--passphrase-file", key_folder / "passphrase"),
        )
        assert (run.exit_code, run.json["digest"]) == (0, envelope.digest)
    pinned = ("--network", "regtest", "--policy-digest", envelope.digest, "--json")
    short = bailee("policy", "show", copies[0], *pinned)
    assert (short.exit_code, short.error["reason"]) == (1, "VERIFICATION_FAILED")
    assert "policy-quorum" in short.error["message"]
    assert bailee("policy", "merge", *copies, "--out", tmp_path / "signed.json", "--json").exit_code == 0
    shown = bailee("policy", "show", tmp_path / "signed.json", *pinned)
    assert shown.exit_code == 0
    assert shown.json["statement"]["tiers"][0]["up_to"] == {"asset": "BTC", "units": "100000000"}
    assert shown.json["digest"] == envelope.digest


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('up_to = "1 BTC"', 'up_to = "1"', "is no amount"),
        ('up_to = "1 BTC"', "up_to = 1", "with its unit"),
        ("haircut_bps = 6000", "haircut_bps = 5999", "6000..10000"),
        ("admin_quorum = 2", "admin_quorum = 9", "not reachable"),
        ("admin_quorum = 2", "admin_quorum = 2.0", "not an integer"),
        ("admin_quorum = 2", "admins = 2", "unknown fields"),
        ('network = "regtest"', 'network = "moon"', "network"),
        ("[prices]", "[[prices]]", "prices"),
    ],
)
def test_terms_that_cannot_stand_are_refused(
    bailee: Bailee, terms: Path, tmp_path: Path, before: str, after: str, why: str
) -> None:
    terms.write_text(terms.read_text().replace(before, after))
    run = bailee("policy", "draft", terms, "--out", tmp_path / "policy.json", "--json")
    assert run.exit_code in {1, 2}
    assert why in run.error["message"]
    assert not (tmp_path / "policy.json").exists()


def sign(
    bailee: Bailee, draft: Path, person: Person, key_folder: Path, *more: object
) -> tuple[int, str, bytes]:
    run = bailee(
        *("policy", "sign", draft, "--network", "regtest", "--json", *more),
        *("--key-file", key_file(key_folder, person.key), "--passphrase-file", key_folder / "passphrase"),
    )
    return run.exit_code, "" if run.exit_code == 0 else run.error["message"], draft.read_bytes()


def test_a_policy_is_signed_only_by_an_admin_and_only_as_pinned(
    bailee: Bailee, draft: Path, world: World, key_folder: Path
) -> None:
    before, digest = draft.read_bytes(), Envelope.from_json(draft.read_bytes()).digest
    code, why, after = sign(bailee, draft, world.approvers[0], key_folder, "--digest", digest)
    assert (code, after) == (1, before)
    assert "no admin" in why
    code, why, after = sign(bailee, draft, world.admins[0], key_folder, "--digest", "00" * 32)
    assert (code, after) == (1, before)
    assert "not 0000" in why
    code, why, after = sign(bailee, draft, world.admins[0], key_folder)
    assert (code, after) == (2, before)
    assert "--digest" in why


# Ownership messages.


@pytest.mark.parametrize("asset", list(Asset))
def test_the_ownership_message_is_the_signers(bailee: Bailee, world: World, asset: Asset) -> None:
    where = world.destination(asset)
    run = bailee(
        *("destination", "prove-message", "acct-client-one", "cold-store"),
        *(destination_text(where, world.network), "--network", "regtest"),
    )
    assert run.exit_code == 0
    entry = world.allowlist_entry(asset, destination_id="cold-store")
    message = ownership_message(
        network=entry.network,
        account=entry.account,
        destination_id=entry.destination_id,
        destination=where,
    )
    assert run.stdout == message + "\n"


# Any statement.


@pytest.fixture
def envelopes(world: World, tmp_path: Path) -> dict[str, Path]:
    made = {
        "policy": world.policy_envelope,
        "account": world.account_envelope,
        "entry": world.allowlist_envelope(Asset.BTC),
        "intent": world.intent_envelope(Asset.ETH),
        "release": world.release_envelope(world.intent(Asset.ETH)),
        "encumbrance": world.encumbrances()[0],
        "price": world.prices(Asset.BTC)[0],
        "receipt": world.announce_receipts(world.intent(Asset.BTC))[0],
        "forged": world.sign(world.intent(Asset.ETH), world.stranger),
        "unsigned": world.intent(Asset.ETH).envelope(),
    }
    files = {}
    for name, envelope in made.items():
        files[name] = tmp_path / f"{name}.json"
        write_envelope(files[name], envelope)
    return files


@pytest.mark.parametrize(
    "name", ["policy", "account", "entry", "intent", "release", "encumbrance", "price", "receipt"]
)
def test_a_statement_is_decoded_and_every_signature_named(
    bailee: Bailee, world: World, envelopes: dict[str, Path], name: str
) -> None:
    run = bailee(
        *("statement", "show", envelopes[name], "--account-file", envelopes["account"], "--json"),
        *("--network", "regtest", "--policy-digest", world.policy.digest),
        *("--policy-file", envelopes["policy"]),
    )
    assert run.exit_code == 0, run.stderr
    assert run.json.keys() == {"digest", "signatures", "statement", "type"}
    assert all(signature["valid"] and signature["by"] for signature in run.json["signatures"])


@pytest.mark.parametrize(("name", "why"), [("forged", "not by a key"), ("unsigned", "not signed")])
def test_what_does_not_verify_is_shown_and_fails(
    bailee: Bailee, world: World, envelopes: dict[str, Path], name: str, why: str
) -> None:
    run = bailee("statement", "show", envelopes[name], "--json")
    assert run.exit_code == 1
    assert run.json["digest"] == world.intent(Asset.ETH).digest
    assert why in run.error["message"]


def test_bytes_that_are_no_envelope_fail(bailee: Bailee, tmp_path: Path) -> None:
    file = tmp_path / "nothing.json"
    file.write_text("{}")
    run = bailee("statement", "show", file, "--json")
    assert (run.exit_code, run.error["reason"]) == (1, "statement-malformed")


# The profile.


def test_a_setting_that_is_missing_is_named_with_what_is_allowed(bailee: Bailee) -> None:
    run = bailee("account", "list", "--json")
    assert run.exit_code == 2
    assert "authority is missing (PEM file" in run.error["message"]
    assert "--authority" in run.error["message"]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ('network = "moon"', "network is mainnet, testnet or regtest, not 'moon'"),
        ('policy_digest = "AB"', "64 lower-case hex digits"),
        ('entity = "X"', "3 to 40 of a-z"),
        ("server = 7", "HOST:PORT"),
        ('sever = "a:1"', "unknown setting sever; allowed are server,"),
        ("network = ", "is not TOML"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed(
    bailee: Bailee, tmp_path: Path, written: str, why: str
) -> None:
    file = tmp_path / "profile.toml"
    file.write_text(written)
    run = bailee("account", "list", "--profile", file, "--json")
    assert run.exit_code == 2
    assert why in run.error["message"]


def test_a_bad_flag_is_named_too(bailee: Bailee) -> None:
    run = bailee("account", "list", "--network", "moon", "--json")
    assert run.exit_code == 2
    assert "--network: network is mainnet" in run.error["message"]


def test_a_profile_that_is_asked_for_must_be_there(
    bailee: Bailee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILEE_PROFILE", str(tmp_path / "nowhere.toml"))
    run = bailee("account", "list", "--json")
    assert run.exit_code == 2
    assert "there is no profile" in run.error["message"]


def test_the_environment_names_the_profile_and_flags_override_it(
    bailee: Bailee, profile: Profiles, custody: FakeCustody, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILEE_PROFILE", str(profile(world.pledgor)))
    assert bailee("account", "list", "--json").exit_code == 0
    other = bailee("account", "list", "--policy-digest", "00" * 32, "--json")
    assert (other.exit_code, other.error["reason"]) == (1, "VERIFICATION_FAILED")


@pytest.mark.parametrize("arguments", [["nonsense"], ["account", "show"], ["account", "show", "a", "b"]])
def test_a_command_that_does_not_exist_is_a_usage_error(bailee: Bailee, arguments: list[str]) -> None:
    assert bailee(*arguments).exit_code == 2


def test_the_policy_statement_is_read_as_written(draft: Path) -> None:
    assert Policy.parse(Envelope.from_json(draft.read_bytes()).payload).version == 1
