"""Everybody who uses the localnet: their keys, certificates, and what custody is told about them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from custody.client import Credentials, load_key, new_key
from deploy.localnet.certificates import Certificate, CertificateAuthority
from deploy.localnet.state import write_private
from signers.statements.account import Party
from signers.statements.identifiers import Ed25519Key, EntityId


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part somebody plays.

    Attributes:
        name: the DNS name of the certificate: the principal.
        roles: what custody's configuration grants; nothing for who never connects.
        services: of custody, that it may call.
    """

    name: str
    entity: str
    roles: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


_READS: Final = ("collateral", "policy")

CAST: Final = (
    Part(
        name="operations.custodian-one",
        entity="custodian-one",
        roles=("custodian",),
        services=(*_READS, "account", "withdrawal"),
    ),
    Part(
        name="pledgor.client-one",
        entity="client-one",
        roles=("pledgor",),
        services=(*_READS, "account", "withdrawal"),
    ),
    Part(
        name="margin-engine.broker-one",
        entity="broker-one",
        roles=("secured-party",),
        services=(*_READS, "account", "lien", "withdrawal"),
    ),
    # A second client of a second broker, who must never see anything of the first.
    Part(
        name="pledgor.client-two",
        entity="client-two",
        roles=("pledgor",),
        services=(*_READS, "account", "withdrawal"),
    ),
    Part(
        name="margin-engine.broker-two",
        entity="broker-two",
        roles=("secured-party",),
        services=(*_READS, "account", "lien", "withdrawal"),
    ),
    *(
        Part(name=f"approver.{entity}", entity=entity, roles=("approver",), services=(*_READS, "approval"))
        for entity in ("custodian-one", "trustee-one", "administrator-one")
    ),
    *(
        Part(name=f"feed.{entity}", entity=entity, roles=("publisher",), services=(*_READS, "price"))
        for entity in ("feed-one", "feed-two", "feed-three")
    ),
    Part(name="auditor.auditor-one", entity="auditor-one", roles=("auditor",), services=_READS),
    # Policy admins sign offline and never connect.
    *(Part(name=f"admin.{entity}", entity=entity) for entity in ("custodian-one", "trustee-one")),
)


@dataclass(frozen=True, kw_only=True)
class Person:
    """One of the cast, with its files. The key file is encrypted; its passphrase lies beside it."""

    part: Part
    public_key: Ed25519Key
    key_file: Path
    passphrase_file: Path
    certificate: Certificate

    @property
    def entity(self) -> EntityId:
        return EntityId(self.part.entity)

    @property
    def party(self) -> Party:
        """As account statements name it."""
        return Party(entity=self.entity, public_key=self.public_key)

    @property
    def credentials(self) -> Credentials:
        """For `custody.client.Connection`."""
        return Credentials(
            authority=self.certificate.authority_file,
            certificate=self.certificate.certificate_file,
            private_key=self.certificate.key_file,
            server_name="custody.bailee",
        )

    def key(self) -> Ed25519PrivateKey:
        """The private key, decrypted: only ever in the process that plays this person."""
        return load_key(self.key_file, self.passphrase_file.read_bytes())


def gather(*, folder: Path, certificates: CertificateAuthority) -> Mapping[str, Person]:
    """Make keys and certificates for the whole cast.

    Args:
        folder: gets one folder per person.
        certificates: issues them.

    Returns:
        Everybody, by the name of their part.
    """
    return {part.name: _equip(part, folder=folder / part.name, certificates=certificates) for part in CAST}


def _equip(part: Part, *, folder: Path, certificates: CertificateAuthority) -> Person:
    folder.mkdir(mode=0o700)
    passphrase_file, key_file = folder / "passphrase", folder / "key.pem"
    passphrase = secrets.token_urlsafe(24)
    write_private(passphrase_file, passphrase)
    return Person(
        part=part,
        public_key=new_key(key_file, passphrase.encode()),
        key_file=key_file,
        passphrase_file=passphrase_file,
        certificate=certificates.issue(part.name),
    )
