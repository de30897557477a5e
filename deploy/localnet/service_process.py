"""What the product's own processes have in common: a TOML file, a delivered SecretID, a health service."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import grpc
import tomlkit
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # no types

from deploy.localnet.certificates import Certificate
from deploy.localnet.openbao import OpenBao
from deploy.localnet.ports import LOOPBACK
from deploy.localnet.processes import ManagedProcess, ProcessSpec, Supervisor
from deploy.localnet.state import write_private

_READY_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 2.0


class ServiceProcess:
    """`bailee-signer` or `bailee-custody`, configured and supervised.

    Args:
        name: of the part, such as `signer-2`.
        module: what `python -m` runs, unless told to `run_as` another.
        configuration: its settings, as its TOML file says them.
        certificate: its own, whose name callers expect.
        openbao: of its trust domain; gets a fresh SecretID delivered from it at every start.
        secret_id_file: where its configuration says the wrapped SecretID lies.
        port: where it answers.
    """

    def __init__(
        self,
        *,
        name: str,
        module: str,
        folder: Path,
        log_file: Path,
        configuration: Mapping[str, Any],
        certificate: Certificate,
        openbao: OpenBao,
        secret_id_file: Path,
        port: int,
        supervisor: Supervisor,
    ) -> None:
        self.name = name
        self.target = f"{LOOPBACK}:{port}"
        self.configuration_file = folder / f"{name}.toml"
        self.certificate = certificate
        self.secret_id_file = secret_id_file
        self._openbao = openbao
        write_private(self.configuration_file, tomlkit.dumps(configuration))
        self.process: ManagedProcess = supervisor.process(
            ProcessSpec(
                name=name,
                command=self._command(module),
                log_file=log_file,
                folder=folder,
            )
        )

    def run_as(self, module: str, *arguments: str) -> None:
        """From the next start on, run another composition of the same part under the same configuration.

        Args:
            module: what `python -m` runs.
            arguments: beside `--config`.
        """
        self.process.spec = replace(self.process.spec, command=self._command(module, *arguments))

    def deliver(self) -> None:
        """Leave a fresh SecretID where the next start looks for it."""
        self._openbao.deliver_secret_id(self.secret_id_file)

    def launch(self) -> None:
        """Deliver a fresh SecretID and start, without waiting."""
        self.deliver()
        self.process.start()

    def wait_until_ready(self) -> None:
        """Wait for its health service to say SERVING.

        Raises:
            ProcessFailedError: it ended, or did not say so in time.
        """
        self.process.wait_until(self._serves, what="serving", deadline_seconds=_READY_SECONDS)

    def start(self) -> None:
        """Launch, and wait until it serves."""
        self.launch()
        self.wait_until_ready()

    def stop(self) -> None:
        """SIGTERM, as an operator would."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def _command(self, module: str, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", module, "--config", str(self.configuration_file), *arguments)

    def _serves(self) -> bool:
        return is_serving(self.target, caller=self.certificate, name=self.certificate.name)


def is_serving(target: str, *, caller: Certificate, name: str) -> bool:
    """What the health service of a process says (grpc.health.v1); no answer is no.

    Args:
        target: host and port.
        caller: any certificate of the authority may ask.
        name: that the process's own certificate must carry.
    """
    credentials = grpc.ssl_channel_credentials(
        root_certificates=caller.authority_file.read_bytes(),
        private_key=caller.key_file.read_bytes(),
        certificate_chain=caller.certificate_file.read_bytes(),
    )
    options = [("grpc.ssl_target_name_override", name)]
    with grpc.secure_channel(target, credentials, options=options) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_PROBE_SECONDS
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
