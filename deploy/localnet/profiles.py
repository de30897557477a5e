"""A profile of the `bailee` command for each person: `bailee … --profile FILE` is then that person."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import tomlkit

from deploy.localnet.people import Person
from deploy.localnet.state import write_private
from signers.statements.identifiers import Digest
from signers.statements.network import Network


def write_profiles(
    *,
    folder: Path,
    people: Iterable[Person],
    server: str,
    server_name: str,
    policy_file: Path,
    policy_digest: Digest,
) -> Mapping[str, Path]:
    """Write NAME.toml for everybody, as `bailee` reads it; see docs/guides/margin-engine.md.

    Args:
        folder: gets the profiles.
        people: whose.
        server: host and port of custody.
        server_name: the DNS name in custody's certificate.
        policy_file: only for those who never connect; the others are to verify what custody hands out.
        policy_digest: what everybody pins.

    Returns:
        The files, by the name of the part.
    """
    profiles = {}
    for person in people:
        connects = bool(person.part.services)
        settings = {"network": Network.REGTEST.value, "policy_digest": policy_digest}
        if connects:
            settings |= _connection(person, server=server, server_name=server_name)
        else:
            settings["policy_file"] = str(policy_file)
        if "auditor" not in person.part.roles:  # who only reads needs no key
            settings |= _key(person)
        profiles[person.part.name] = folder / f"{person.part.name}.toml"
        write_private(profiles[person.part.name], tomlkit.dumps(settings))
    return profiles


def _connection(person: Person, *, server: str, server_name: str) -> dict[str, str]:
    certificate = person.certificate
    return {
        "server": server,
        "server_name": server_name,
        "authority": str(certificate.authority_file),
        "certificate": str(certificate.certificate_file),
        "private_key": str(certificate.key_file),
        "record_file": str(person.key_file.with_name("record.db")),
    }


def _key(person: Person) -> dict[str, str]:
    return {
        "entity": person.entity,
        "key_file": str(person.key_file),
        "passphrase_file": str(person.passphrase_file),
    }
