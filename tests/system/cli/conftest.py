"""Everybody of the shared network, at the command line; and what they do offline."""

from pathlib import Path
from typing import Any

import pytest
import tomlkit

from deploy.localnet.localnet import Localnet
from deploy.localnet.state import write_private
from signers.statements import schema
from signers.statements.policy import Policy
from tests.system.cli.cast import ADMINS, PLEDGOR
from tests.system.cli.command import Command

_AMOUNTS = {"tiers": ("up_to",), "limits": ("total", "fee_cap")}
_UNITS = {"BTC": "sat", "ETH": "wei"}


@pytest.fixture(scope="session")
def bailee(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(profiles=localnet.profiles, home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def made_key(bailee: Command, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A new key as it was made, and as it is read again."""
    folder = tmp_path_factory.mktemp("key")
    write_private(folder / "passphrase", "a passphrase of some length")
    words = (folder / "key.pem", "--passphrase-file", folder / "passphrase")
    return bailee(PLEDGOR, "key", "new", *words), bailee(PLEDGOR, "key", "show", *words)


@pytest.fixture(scope="session")
def signed_policy(bailee: Command, localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's own policy, written again from its terms and signed by its admins, as the guide says."""
    folder = tmp_path_factory.mktemp("policy")
    terms, draft, merged = (folder / name for name in ("terms.toml", "policy.json", "merged.json"))
    terms.write_text(tomlkit.dumps(_terms(Policy.parse(localnet.policy.payload))))
    digest = bailee(ADMINS[0], "policy", "draft", terms, "--out", draft)["digest"]
    copies = []
    for admin in ADMINS:
        copies.append(folder / f"policy.{admin}.json")
        key = ("--key-file", localnet.people[admin].key_file, "--network", "regtest")
        bailee(admin, "policy", "sign", draft, "--out", copies[-1], "--digest", digest, *key)
    bailee(ADMINS[0], "policy", "merge", *copies, "--out", merged)
    return merged


def _terms(policy: Policy) -> dict[str, Any]:
    """As people write them: amounts with their unit, and nothing that goes without saying."""
    document: Any = schema.to_json(policy)
    for table, names in _AMOUNTS.items():
        for row in document[table]:
            row |= {name: f"{row[name]['units']} {_UNITS[row[name]['asset']]}" for name in names}
    for row in document["keys"]:
        assert row.pop("revoked_at") is None
    del document["version"], document["previous"]
    return dict(document)
