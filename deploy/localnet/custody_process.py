"""The custody process of the localnet."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.localnet.bitcoind import BitcoinRpcUser
from deploy.localnet.certificates import Certificate
from deploy.localnet.openbao import OpenBao
from deploy.localnet.people import Person
from deploy.localnet.ports import LOOPBACK
from signers.statements.identifiers import Digest
from signers.statements.network import Network


def custody_configuration(
    *,
    folder: Path,
    secret_id_file: Path,
    port: int,
    policy_file: Path,
    policy_digest: Digest,
    certificate: Certificate,
    people: Iterable[Person],
    signer_ports: Mapping[int, int],
    openbao: OpenBao,
    bitcoin: BitcoinRpcUser,
    ethereum_url: str,
) -> Mapping[str, Any]:
    """What `bailee-custody` is told; see `custody.configuration`."""
    callers = [person for person in people if person.part.services]
    custodian = next(person for person in callers if person.part.name == "operations.custodian-one")
    services = sorted({service for person in callers for service in person.part.services})
    access = openbao.access
    return {
        "network": Network.REGTEST.value,
        "state_folder": str(folder),
        "policy_file": str(policy_file),
        "policy_digest": policy_digest,
        "listen": f"{LOOPBACK}:{port}",
        "tls": {
            "certificate": str(certificate.certificate_file),
            "key": str(certificate.key_file),
            "authority": str(certificate.authority_file),
        },
        "custodian": {"entity": custodian.entity, "public_key": custodian.public_key},
        "principals": [
            {"name": person.part.name, "entity": person.entity, "roles": list(person.part.roles)}
            for person in callers
        ],
        "services": {
            service: [person.part.name for person in callers if service in person.part.services]
            for service in services
        },
        "bitcoin": {
            "needed": 1,
            "nodes": [
                {
                    "name": "bitcoind",
                    "url": bitcoin.url,
                    "user": bitcoin.username,
                    "secret_file": str(bitcoin.password_file),
                }
            ],
        },
        "ethereum": {"needed": 1, "nodes": [{"name": "anvil", "url": ethereum_url}]},
        "signers": [
            {
                "signer": f"signer-{number}",
                "target": f"{LOOPBACK}:{signer_port}",
                "certificate_name": f"signer-{number}.bailee",
            }
            for number, signer_port in signer_ports.items()
        ],
        "vault": {
            "url": access.url,
            "authority": str(access.authority_file),
            "role_name": access.role,
            "role_id": access.role_id,
            "wrapped_secret_id_file": str(secret_id_file),
            "transit_mount": access.transit_mount,
            "attestation_key": access.signing_key,
        },
        "watch_seconds": 0.2,
        # One machine, one node of each chain, and no threshold signing for ETH yet: said where it is allowed.
        "insecure": {"one_node": True, "single_holder_ethereum": True},
    }
