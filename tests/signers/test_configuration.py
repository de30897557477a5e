"""A setting that is wrong stops the start with its name and what is allowed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from signers.configuration import Configuration, ConfigurationInvalid, read
from signers.lifetime import Exit
from signers.statements.identifiers import Ed25519Key
from signers.statements.network import Network
from signers.wiring import SignerUnfit, callers, require_named
from tests.factories import build_world

README = Path(__file__).parents[2] / "signers" / "README.md"


def documented() -> str:
    """The file that signers/README.md shows, with digits where it has places for them."""
    (toml,) = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(toml).replace("<64 hex digits>", "ab" * 32)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "signer.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_documented_file_is_valid(tmp_path: Path) -> None:
    config = read(written(tmp_path, documented()))
    assert (config.network, config.signer, len(config.peers)) == (Network.REGTEST, "signer-1", 2)
    assert callers(config).custody == {"custody.bailee"}


def test_every_setting_is_documented() -> None:
    text = documented()
    names = set(Configuration.model_fields)
    assert not [name for name in names if name not in text]


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILEE_SIGNER__LISTEN", "127.0.0.1:9999")
    monkeypatch.setenv("BAILEE_SIGNER__BITCOIN__TIP_AGE_MAX_SECONDS", "60")
    config = read(written(tmp_path, documented()))
    assert (config.listen, config.bitcoin.tip_age_max_seconds) == ("127.0.0.1:9999", 60)
    assert config.bitcoin.user == "signer-1"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = read(written(tmp_path, documented()))
    assert config.tls.key == tmp_path / "signer-1.key"
    assert config.bitcoin.password_file == tmp_path / "bitcoin-password"
    assert config.state_folder == Path("/var/lib/bailee-signer")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('network = "regtest"', 'network = "simnet"', "network: Input should be 'mainnet', 'testnet' or"),
        ("ab" * 32, "AB" * 32, "policy_digest: text that matches [0-9a-f]{64}"),
        ('"' + "ab" * 32 + '"', "1", "policy_digest: text that matches [0-9a-f]{64}"),
        ('listen = "127.0.0.1:7001"', 'listen = "7001"', "listen: String should match pattern"),
        ('\nsigner = "signer-1"', '\nsigner = "Signer"', "signer: text that matches [a-z][a-z0-9-]{2,39}"),
        ('signer = "signer-3"', 'signer = "s"', "peers.1.signer: text that matches [a-z][a-z0-9-]{2,39}"),
        ('signer = "signer-3"', 'signer = "signer-2"', "peers: exactly the 2 other signers, each once"),
        ('signer = "signer-3"', 'signer = "signer-1"', "peers: exactly the 2 other signers, each once"),
        (
            '["custody.bailee"]',
            '["custody.bailee", "signer-2.bailee"]',
            "custody_certificate_names: a peer's",
        ),
        (
            "skew_max_seconds = 7200",
            "skew_max_seconds = 7201",
            "clock_skew_max_seconds: Input should be less",
        ),
        ('user = "signer-1"', "", "bitcoin: either cookie_file, or user and password_file"),
        ('url = "https://127.0.0.1:8201"', 'url = "http://127.0.0.1:8201"', "vault.url: String should match"),
        (
            'url = "http://127.0.0.1:8545"',
            'url = "ftp://127.0.0.1:8545"',
            "ethereum.url: String should match",
        ),
        (
            'url = "http://127.0.0.1:18443"',
            'url = "http://10.0.0.7:18443"',
            "bitcoin.url: String should match",
        ),
        ('network = "regtest"', 'network = "testnet"', "ethereum.url: https, outside of regtest"),
        ("watch_seconds", "watch_secondz", "watch_secondz: Extra inputs are not permitted"),
        ('role_id = "<role id>"', "", "vault.role_id: Field required"),
        ('network = "regtest"', "network = [", "signer.toml"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in documented()
    with pytest.raises(ConfigurationInvalid) as invalid:
        read(written(tmp_path, documented().replace(old, new)))
    (line,) = str(invalid.value).splitlines()[:1]
    assert said in line


def test_each_wrong_setting_has_a_line(tmp_path: Path) -> None:
    text = documented().replace('"regtest"', '"simnet"').replace("ab" * 32, "AB" * 32)
    with pytest.raises(ConfigurationInvalid) as invalid:
        read(written(tmp_path, text))
    assert [line.partition(":")[0] for line in str(invalid.value).splitlines()] == [
        "network",
        "policy_digest",
    ]


def test_a_fault_never_repeats_what_stood_there(tmp_path: Path) -> None:
    """It may be a secret in the wrong place."""
    with pytest.raises(ConfigurationInvalid) as invalid:
        read(written(tmp_path, documented().replace("ab" * 32, "hvs.secret")))
    assert "hvs." not in str(invalid.value)


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"absent\.toml is not a file"):
        read(tmp_path / "absent.toml")


def test_an_empty_list_of_callers_is_nobody(tmp_path: Path) -> None:
    text = documented().replace('["custody.bailee"]', "[]")
    assert callers(read(written(tmp_path, text))).custody == frozenset()


def test_a_start_that_cannot_be_says_why_in_one_line(tmp_path: Path) -> None:
    file = written(tmp_path, documented().replace('network = "regtest"', 'network = "simnet"'))
    told = subprocess.run(
        [sys.executable, "-m", "signers.main", "--config", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == Exit.UNFIT
    assert told.stderr.startswith("bailee-signer: ConfigurationInvalid: network: ")
    assert "mainnet" in told.stderr
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("wrong", ["key", "holder", "peers"])
def test_the_policy_must_mean_this_process(tmp_path: Path, wrong: str) -> None:
    world = build_world()
    text = documented()
    key = world.signers[0].public_key
    require_named(world.policy, read(written(tmp_path, text)), key)
    if wrong == "key":
        key = Ed25519Key(world.stranger.public_key)
    elif wrong == "holder":
        text = text.replace('ethereum_key_holder = "signer-1"', 'ethereum_key_holder = "signer-9"')
    else:
        text = text.replace('signer = "signer-3"', 'signer = "signer-9"')
    with pytest.raises(SignerUnfit):
        require_named(world.policy, read(written(tmp_path, text)), key)
