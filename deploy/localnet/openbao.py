"""Four OpenBao servers, one per trust domain, and the trusted deliverer that sets them up.

Number 0 is custody's, 1 to 3 are the signers'. Each starts sealed, speaks TLS 1.3 only and writes an audit
log. The deliverer is the localnet: it keeps root tokens and unseal shares in a folder of its own, so that a
test can unwrap the real keys with them. **Production revokes the root token after the set-up and gives every
unseal share to another person.**
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import hvac
from hvac.exceptions import VaultError

from deploy.localnet.certificates import Certificate
from deploy.localnet.ports import LOOPBACK
from deploy.localnet.processes import ManagedProcess, ProcessSpec, Supervisor
from deploy.localnet.state import write_private

TRANSIT_MOUNT: Final = "transit"
WRAP_KEY: Final = "account-key-wrap"
STATEMENT_KEY: Final = "statements"
ATTESTATION_KEY: Final = "attestation"

_SHARES: Final = 3
_THRESHOLD: Final = 2
_TOKEN_PERIOD: Final = "1h"  # a signer renews well within it; a token nobody renews dies by itself
_SECRET_ID_TTL: Final = "10m"
_WRAPPING_TTL: Final = "5m"
_START_SECONDS: Final = 30.0
_REQUEST_SECONDS: Final = 20

# pebbledb persists every write and needs no election; OpenBao 2.7 serves from `file` no more.
_SERVER_CONFIGURATION: Final = """\
ui = false
log_level = "info"
default_lease_ttl = "1h"
max_lease_ttl = "24h"
api_addr = {api_address}
cluster_addr = {cluster_api_address}
storage "pebbledb" {{
  path = {data_folder}
}}
listener "tcp" {{
  address = {address}
  cluster_address = {cluster_address}
  tls_cert_file = {certificate_file}
  tls_key_file = {key_file}
  tls_min_version = "tls13"
}}
audit "file" "main" {{
  options {{
    file_path = {audit_file}
  }}
}}
"""
_OWN_TOKEN_RULES: Final = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
"""
# A process reads its keys' properties to refuse one that could be exported, deleted or backed up.
_SIGN_RULE: Final = """
path "{mount}/keys/{key}" {{ capabilities = ["read"] }}
path "{mount}/sign/{key}" {{ capabilities = ["update"] }}
"""
_WRAP_RULES: Final = """
path "{mount}/keys/{key}" {{ capabilities = ["read"] }}
path "{mount}/encrypt/{key}" {{ capabilities = ["update"] }}
path "{mount}/decrypt/{key}" {{ capabilities = ["update"] }}
"""


@dataclass(frozen=True, kw_only=True)
class VaultAccess:
    """What a process needs to log in, all of it public but the SecretID it is delivered.

    Attributes:
        url: of the server.
        authority_file: PEM, verifies the server.
        role_id: of its AppRole.
        role: name of its AppRole; the creation path of a genuine SecretID ends with `role/{role}/secret-id`.
        transit_mount: where its keys lie.
        wrap_key: AES-256-GCM key that wraps account keys, None for custody.
        signing_key: Ed25519 key: statements of a signer, attestations of custody.
        signing_public_key: its 32 raw bytes (RFC 8032).
    """

    url: str
    authority_file: Path
    role_id: str
    role: str
    transit_mount: str
    wrap_key: str | None
    signing_key: str
    signing_public_key: bytes


class OpenBao:
    """One server, its keys, and the delivery of its one role's SecretIDs.

    Args:
        number: 0 for custody's, else the signer's.
        deliverer_folder: gets root token and unseal shares.
    """

    def __init__(
        self,
        *,
        number: int,
        command: tuple[str, ...],
        folder: Path,
        deliverer_folder: Path,
        log_folder: Path,
        port: int,
        cluster_port: int,
        certificate: Certificate,
        supervisor: Supervisor,
    ) -> None:
        self.number = number
        self.name = f"openbao-{number}"
        self.role = "custody" if number == 0 else f"signer-{number}"
        self.url = f"https://{LOOPBACK}:{port}"
        self.audit_file = log_folder / f"{self.name}-audit.log"
        self.secrets_file = deliverer_folder / f"{self.name}.json"
        self._certificate = certificate
        self._access: VaultAccess | None = None
        configuration = folder / "server.hcl"
        write_private(configuration, self._configuration(folder, port, cluster_port))
        self.process: ManagedProcess = supervisor.process(
            ProcessSpec(
                name=self.name,
                command=(*command, "server", f"-config={configuration}"),
                log_file=log_folder / f"{self.name}.log",
                folder=folder,
            )
        )

    @property
    def access(self) -> VaultAccess:
        """What the process of this trust domain is configured with.

        Raises:
            RuntimeError: not set up yet.
        """
        if self._access is None:
            raise RuntimeError(f"{self.name} is not set up yet")
        return self._access

    @property
    def is_sealed(self) -> bool:
        return bool(self.client().sys.read_seal_status()["sealed"])

    def start(self) -> None:
        """Start and wait until it answers. It is sealed then; `unseal` follows.

        Raises:
            ProcessFailedError: it did not come up.
        """
        self.process.start()
        self.process.wait_until(self._answers, what="answering", deadline_seconds=_START_SECONDS)

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()

    def restart(self) -> None:
        """Stop and start; sealed then, as after every start."""
        self.stop()
        self.start()

    def seal(self) -> None:
        """Make it forget its master key, as an operator does in an emergency."""
        self.administrator().sys.seal()

    def unseal(self) -> None:
        """Enter the threshold of shares and wait until it serves."""
        client = self.client()
        for share in self._secrets()["unseal_shares"][:_THRESHOLD]:
            client.sys.submit_unseal_key(share)
        self.process.wait_until(self._serves, what="unsealed", deadline_seconds=_START_SECONDS)

    def set_up(self) -> None:
        """Initialise, unseal, and create mount, keys, policy and role: once in the life of a state folder."""
        initialised = self.client().sys.initialize(secret_shares=_SHARES, secret_threshold=_THRESHOLD)
        secrets = {"root_token": initialised["root_token"], "unseal_shares": initialised["keys_base64"]}
        write_private(self.secrets_file, json.dumps(secrets))
        self.unseal()
        self._access = self._create_keys_and_role()

    def administrator(self) -> Any:
        """An hvac client with the root token: the deliverer's, and the test's that unwraps real keys."""
        return self.client(token=self._secrets()["root_token"])

    def deliver_secret_id(self, file: Path) -> None:
        """Write a fresh response-wrapped SecretID for the process that is about to start.

        The wrapping token unwraps once, within minutes; the SecretID in it logs in once. The process reads
        the file, deletes it, and raises an alarm where somebody unwrapped before it did.

        Args:
            file: gets the wrapping token, mode 0600.
        """
        response = self.administrator().auth.approle.generate_secret_id(
            role_name=self.role, wrap_ttl=_WRAPPING_TTL
        )
        write_private(file, response["wrap_info"]["token"])

    def _create_keys_and_role(self) -> VaultAccess:
        client = self.administrator()
        client.sys.enable_secrets_engine("transit", path=TRANSIT_MOUNT)
        client.sys.enable_auth_method("approle")
        transit = client.secrets.transit
        wrap_key = None if self.number == 0 else WRAP_KEY
        signing_key = ATTESTATION_KEY if self.number == 0 else STATEMENT_KEY
        if wrap_key is not None:
            transit.create_key(wrap_key, key_type="aes256-gcm96", exportable=False)
        transit.create_key(signing_key, key_type="ed25519", exportable=False)
        public_key = transit.read_key(signing_key)["data"]["keys"]["1"]["public_key"]
        client.sys.create_or_update_policy(self.role, _policy(wrap_key=wrap_key, signing_key=signing_key))
        client.auth.approle.create_or_update_approle(
            self.role,
            bind_secret_id=True,
            secret_id_num_uses=1,
            secret_id_ttl=_SECRET_ID_TTL,
            token_policies=[self.role],
            token_no_default_policy=True,
            token_period=_TOKEN_PERIOD,
            token_type="service",
        )
        return VaultAccess(
            url=self.url,
            authority_file=self._certificate.authority_file,
            role_id=client.auth.approle.read_role_id(self.role)["data"]["role_id"],
            role=self.role,
            transit_mount=TRANSIT_MOUNT,
            wrap_key=wrap_key,
            signing_key=signing_key,
            signing_public_key=base64.b64decode(public_key, validate=True),
        )

    def client(self, *, token: str = "") -> Any:
        """An hvac client of this server, without a token unless given; hvac ships no types."""
        client = hvac.Client(
            self.url, token=token, verify=str(self._certificate.authority_file), timeout=_REQUEST_SECONDS
        )
        client.session.trust_env = False  # a developer's proxy is no way to loopback
        return client

    def _secrets(self) -> dict[str, Any]:
        secrets: dict[str, Any] = json.loads(self.secrets_file.read_text(encoding="ascii"))
        return secrets

    def _answers(self) -> bool:
        self.client().sys.read_seal_status()
        return True

    def _serves(self) -> bool:
        # An unsealed server still loads its mounts for a moment and answers 503.
        try:
            self.administrator().auth.token.lookup_self()
        except VaultError:
            return False
        return True

    def _configuration(self, folder: Path, port: int, cluster_port: int) -> str:
        return _SERVER_CONFIGURATION.format(
            api_address=json.dumps(self.url),
            cluster_api_address=json.dumps(f"https://{LOOPBACK}:{cluster_port}"),
            data_folder=json.dumps(str(folder / "data")),
            address=json.dumps(f"{LOOPBACK}:{port}"),
            cluster_address=json.dumps(f"{LOOPBACK}:{cluster_port}"),
            certificate_file=json.dumps(str(self._certificate.certificate_file)),
            key_file=json.dumps(str(self._certificate.key_file)),
            audit_file=json.dumps(str(self.audit_file)),
        )


def _policy(*, wrap_key: str | None, signing_key: str) -> str:
    """What the process of one trust domain may do: use its own keys, keep its own token. Nothing else."""
    rules = _OWN_TOKEN_RULES + _SIGN_RULE.format(mount=TRANSIT_MOUNT, key=signing_key)
    if wrap_key is not None:
        rules += _WRAP_RULES.format(mount=TRANSIT_MOUNT, key=wrap_key)
    return rules
