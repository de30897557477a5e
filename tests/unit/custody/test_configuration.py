"""A bad setting stops the start with its name and what is allowed."""

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from custody import configuration
from custody.configuration import Configuration, ConfigurationInvalid, read
from custody.domain.principal import Role
from custody.rpc.server import SERVICES
from signers.statements.network import Network

EXAMPLE = Path(configuration.__file__).with_name("configuration.example.toml")


def write(folder: Path, *changes: tuple[str, str]) -> Path:
    """The example with each pattern replaced exactly once."""
    text = EXAMPLE.read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, count=1, flags=re.MULTILINE)
        assert count == 1, pattern
    file = folder / "custody.toml"
    file.write_text(text)
    return file


def test_the_example_is_valid_and_says_every_setting(tmp_path: Path) -> None:
    read(write(tmp_path))
    document = tomllib.loads(EXAMPLE.read_text())

    def missing(model: type[BaseModel], told: Any, path: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            inner = next((a for a in (field.annotation, *get_args(field.annotation)) if _is_model(a)), None)
            items = told.get(name) if isinstance(told, dict) else None
            if items is None:
                found.append(f"{path}{name}")
            elif inner is not None:
                first = items[0] if isinstance(items, list) else items
                found += missing(inner, first, f"{path}{name}.")
        return found

    assert missing(Configuration, document, "") == []


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    told = read(write(tmp_path))
    assert told.tls.key == tmp_path / "tls" / "custody.key"
    assert told.bitcoin.nodes[0].secret_file == tmp_path / "secrets" / "bitcoin-a"
    assert read(
        write(tmp_path, ('state_folder = "custody"', 'state_folder = "/srv/x"'))
    ).state_folder == Path("/srv/x")


def test_principals_and_lists_as_the_edge_takes_them(tmp_path: Path) -> None:
    told = read(write(tmp_path))
    assert {p.name: p.roles for p in told.known_principals} == {
        "operations.custodian-one": {Role.CUSTODIAN},
        "margin-engine.broker-one": {Role.SECURED_PARTY},
    }
    assert set(told.allowed) == set(SERVICES)
    assert told.allowed["bailee.custody.v1.LienService"] == {"margin-engine.broker-one"}
    assert told.allowed["bailee.custody.v1.PriceService"] == frozenset()


def test_a_service_that_is_left_out_has_no_callers(tmp_path: Path) -> None:
    told = read(write(tmp_path, (r"^lien = .*$", "")))
    assert told.allowed["bailee.custody.v1.LienService"] == frozenset()


def test_the_environment_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILEE_CUSTODY__LISTEN", "127.0.0.1:9")
    monkeypatch.setenv("BAILEE_CUSTODY__LIMITS__CONCURRENT_CALLS_MAX", "7")
    told = read(write(tmp_path))
    assert (told.listen, told.limits.concurrent_calls_max, told.network) == (
        "127.0.0.1:9",
        7,
        Network.REGTEST,
    )


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        (r'^network = .*$', 'network = "signet"', "network: Input should be 'mainnet', 'testnet' or"),
        (r"^listen = .*$", "", "listen: Field required"),
        (r"^listen = .*$", 'listen = "127.0.0.1"', "listen: String should match pattern"),
        (r"^log_level = .*$", 'log_level = "LOUD"', "(DEBUG|INFO|WARNING|ERROR)"),
        (r"^log_level = .*$", 'log_levle = "INFO"', "log_levle: Extra inputs are not permitted"),
        (r"^policy_digest = .*$", 'policy_digest = "ABC"', "policy_digest: text that matches [0-9a-f]{64}"),
        (r"^policy_digest = .*$", "policy_digest = 1", "policy_digest: text that matches [0-9a-f]{64}"),
        (r"^public_key = .*$", 'public_key = "12"', "custodian.public_key: text that matches [0-9a-f]{64}"),
        (r"roles = \[\"custodian\"\]", 'roles = ["root"]', "principals.0.roles.0: Input should be"),
        (r"^lien = .*$", 'lien = ["nobody.known"]', "services.lien: nobody.known is no name of principals"),
        (r"^lien = .*$", 'liens = []', "services.liens: Extra inputs are not permitted"),
        (r'^name = "margin-engine.broker-one"$', 'name = "operations.custodian-one"', "principals: each"),
        (r"^needed = 2$", "needed = 1", "bitcoin: needed: more than half of the 2 nodes, at most all"),
        (r"^needed = 2$", "needed = 3", "bitcoin: needed: more than half of the 2 nodes, at most all"),
        (r'^name = "bitcoin-b"$', 'name = "bitcoin-a"', "bitcoin: nodes: each has a name of its own"),
        (r"^url = .*bitcoin-a.*$", 'url = "ftp://bitcoin-a"', "bitcoin.nodes.0.url: String should match"),
        (r"^url = .*bitcoin-a.*$", 'url = "http://bitcoin-a:8332"', "bitcoin-a is https:, or insecure"),
        (r"^url = .*openbao.*$", 'url = "http://127.0.0.1:1"', "vault.url: String should match pattern"),
        (r'^signer = "signer-2"$', 'signer = "signer-1"', "signers: exactly 3, each with a name"),
        (r"^concurrent_calls_max = .*$", "concurrent_calls_max = 0", "limits.concurrent_calls_max: Input"),
        ("^single_holder_ethereum = true", "single_holder_ethereum = false", "insecure.single_holder"),
        (r"^network = .*$", 'network = "mainnet"', "insecure.single_holder_ethereum: not on mainnet"),
        (r"^network = .*$", "network = [", "custody.toml"),
    ],
)  # fmt: skip
def test_one_wrong_setting(pattern: str, replacement: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        read(write(tmp_path, (pattern, replacement)))
    assert said in str(caught.value)


def test_a_single_node_must_be_asked_for(tmp_path: Path) -> None:
    alone = [
        (r'\[\[ethereum.nodes\]\]\nname = "ethereum-b"\nurl = .*$', ""),
        (r"\[ethereum\]\nneeded = 2", "[ethereum]\nneeded = 1"),
    ]
    with pytest.raises(ConfigurationInvalid, match=r"ethereum.nodes: at least 2, or insecure.one_node"):
        read(write(tmp_path, *alone))
    assert read(write(tmp_path, *alone, ("one_node = false", "one_node = true"))).ethereum.needed == 1


@pytest.mark.parametrize("switch", ["one_node", "plain_http_nodes", "single_holder_ethereum"])
def test_no_insecure_switch_on_mainnet(switch: str, tmp_path: Path) -> None:
    changes = [
        ('network = "regtest"', 'network = "mainnet"'),
        ("single_holder_ethereum = true", "single_holder_ethereum = false"),
        (f"{switch} = false", f"{switch} = true"),
    ]
    with pytest.raises(ConfigurationInvalid, match=f"insecure.{switch}: not on mainnet"):
        read(write(tmp_path, *changes))


def test_a_fault_never_repeats_what_stood_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        read(write(tmp_path, (r"^policy_digest = .*$", 'policy_digest = "hvs.secret-in-the-wrong-place"')))
    assert "hvs." not in str(caught.value)


def test_no_file() -> None:
    with pytest.raises(ConfigurationInvalid, match="is not a file"):
        read(Path("/nonexistent/custody.toml"))
