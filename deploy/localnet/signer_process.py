"""One signer process of the localnet, in its own trust domain as far as one machine allows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from deploy.localnet.bitcoind import BitcoinRpcUser
from deploy.localnet.certificates import Certificate
from deploy.localnet.openbao import OpenBao
from deploy.localnet.ports import LOOPBACK
from signers.statements.identifiers import Digest
from signers.statements.network import Network

ETHEREUM_KEY_HOLDER: Final = "signer-1"


def signer_configuration(
    *,
    number: int,
    ports: Mapping[int, int],
    folder: Path,
    secret_id_file: Path,
    policy_file: Path,
    policy_digest: Digest,
    certificate: Certificate,
    custody_name: str,
    openbao: OpenBao,
    bitcoin: BitcoinRpcUser,
    ethereum_url: str,
) -> Mapping[str, Any]:
    """What `bailee-signer` is told; see `signers.configuration`."""
    access = openbao.access
    return {
        "network": Network.REGTEST.value,
        "signer": f"signer-{number}",
        "state_folder": str(folder),
        "policy_file": str(policy_file),
        "policy_digest": policy_digest,
        "ethereum_key_holder": ETHEREUM_KEY_HOLDER,
        "listen": f"{LOOPBACK}:{ports[number]}",
        "custody_certificate_names": [custody_name],
        "tls": {
            "certificate": str(certificate.certificate_file),
            "key": str(certificate.key_file),
            "authority": str(certificate.authority_file),
        },
        "peers": [
            {
                "signer": f"signer-{peer}",
                "target": f"{LOOPBACK}:{ports[peer]}",
                "certificate_name": f"signer-{peer}.bailee",
            }
            for peer in ports
            if peer != number
        ],
        "vault": {
            "url": access.url,
            "authority": str(access.authority_file),
            "role_name": access.role,
            "role_id": access.role_id,
            "wrapped_secret_id_file": str(secret_id_file),
            "transit_mount": access.transit_mount,
            "wrapping_key": access.wrap_key,
            "statement_key": access.signing_key,
        },
        "bitcoin": {
            "url": bitcoin.url,
            "user": bitcoin.username,
            "password_file": str(bitcoin.password_file),
            # Blocks come when they are asked for, so a tip may be old without anything being wrong.
            "tip_age_max_seconds": 24 * 3600,
        },
        "ethereum": {"url": ethereum_url, "tip_age_max_seconds": 24 * 3600},
        "watch_seconds": 0.5,
    }
