"""All real parts of a deployment on one machine, as one context manager."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.localnet.anvil import Anvil
from deploy.localnet.bitcoind import CUSTODY_METHODS, READ_METHODS, Bitcoind
from deploy.localnet.certificates import CertificateAuthority
from deploy.localnet.custody_process import custody_configuration
from deploy.localnet.openbao import OpenBao
from deploy.localnet.people import Person, gather
from deploy.localnet.policy import signed_policy
from deploy.localnet.ports import Ports
from deploy.localnet.processes import ManagedProcess, Supervisor
from deploy.localnet.profiles import write_profiles
from deploy.localnet.service_process import ServiceProcess
from deploy.localnet.signer_process import signer_configuration
from deploy.localnet.state import DEFAULT_FOLDER, StateFolder, write_private
from deploy.localnet.toolchain import Toolchain
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Ed25519Key

SIGNERS: Final = (1, 2, 3)
OPENBAOS: Final = (0, *SIGNERS)
CUSTODY_NAME: Final = "custody.bailee"


class EventKind(Enum):
    """What happened to a part."""

    FETCHING = "fetching"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of progress.

    Attributes:
        part: as `bitcoind` or `openbao-2`.
        elapsed_seconds: since the localnet began to start.
    """

    kind: EventKind
    part: str
    elapsed_seconds: float


class Localnet:
    """A whole network on 127.0.0.1.

    Usable after `start` or inside `with`; nothing of it runs after `stop`, an exception, or the death of this
    process. Parts are driven freely: `net.bitcoind.mine(1)`, `net.openbao[2].kill()`, `net.anvil.reorg(2)`.

    Args:
        folder: the state folder; emptied at the start, kept after the end.
        on_event: progress, from several threads, one at a time.

    Raises:
        StateFolderRefusedError: on entering: another localnet runs in the folder, or it holds foreign files.
        ToolMissingError: on entering: a node's program is not to be had.
        ProcessFailedError: on entering: a part did not come up.
    """

    state: StateFolder
    supervisor: Supervisor
    ports: Ports
    certificates: CertificateAuthority
    bitcoind: Bitcoind
    anvil: Anvil
    openbao: tuple[OpenBao, ...]
    people: Mapping[str, Person]
    policy: Envelope
    profiles: Mapping[str, Path]
    signers: Mapping[int, ServiceProcess]
    custody: ServiceProcess

    def __init__(
        self, *, folder: Path = DEFAULT_FOLDER, on_event: Callable[[Event], None] = lambda _event: None
    ) -> None:
        self._folder = folder
        self._on_event = on_event
        self._began_at = 0.0
        self._stack = ExitStack()
        self._record_lock = threading.Lock()
        self._event_lock = threading.Lock()
        self._endpoints: dict[str, str] = {}
        self._is_ready = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoints(self) -> dict[str, str]:
        """Addresses by part, for people and for `localnet.json`."""
        return dict(self._endpoints)

    def add_endpoint(self, name: str, address: str) -> None:
        self._endpoints[name] = address
        self._write_record()

    def start(self) -> None:
        """Take the state folder, then bring the nodes up, then the services on them."""
        self._began_at = time.monotonic()
        with ExitStack() as stack:
            self.state = stack.enter_context(StateFolder(self._folder))
            self.ports = stack.enter_context(Ports())
            self.supervisor = stack.enter_context(Supervisor(on_change=self._write_record))
            self._write_record()
            self.certificates = CertificateAuthority(
                folder=self.state.folder("certificates"), private_folder=self.state.folder("deliverer")
            )
            self._start_nodes()
            self._start_services()
            self._is_ready = True
            self._write_record()
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """End every process, the last started first, and give the folder up."""
        self._is_ready = False
        self._stack.close()
        self._emit(EventKind.STOPPED, "localnet")

    def ended_processes(self) -> tuple[ManagedProcess, ...]:
        """Those that were started and do not run: unexpected, unless the caller stopped them."""
        return tuple(process for process in self.supervisor.processes if process.exit_code is not None)

    def _start_nodes(self) -> None:
        """The nodes know nothing of each other: all at once, first failure counts."""
        self.openbao = tuple(self._create_openbao(number) for number in OPENBAOS)
        starts = [
            self._start_bitcoind,
            self._start_anvil,
            *(self._openbao_start(bao) for bao in self.openbao),
        ]
        _all_at_once(starts, on_failure=self.supervisor.close)

    def _start_services(self) -> None:
        """People and their policy, then signers and custody, which need each other to be ready."""
        self.people = gather(folder=self.state.folder("people"), certificates=self.certificates)
        keys = [Ed25519Key(bao.access.signing_public_key.hex()) for bao in self.openbao]
        self.policy = signed_policy(people=self.people, signers=keys[1:], attestation=keys[0])
        policy_file = self.state.folder("policy") / "policy.json"
        write_private(policy_file, self.policy.to_json())
        ports = {number: self.ports.port(f"signer-{number}") for number in SIGNERS}
        self.signers = {number: self._create_signer(number, ports, policy_file) for number in SIGNERS}
        self.custody = self._create_custody(ports, policy_file)
        self.profiles = write_profiles(
            folder=self.state.folder("profiles"),
            people=self.people.values(),
            server=self.custody.target,
            server_name=CUSTODY_NAME,
            policy_file=policy_file,
            policy_digest=self.policy.digest,
        )
        services = (*self.signers.values(), self.custody)
        for service in services:
            self._emit(EventKind.STARTING, service.name)
            service.launch()
        for service in services:
            service.wait_until_ready()
            self.add_endpoint(service.name, service.target)
            self._emit(EventKind.READY, service.name)

    def _create_signer(self, number: int, ports: Mapping[int, int], policy_file: Path) -> ServiceProcess:
        name = f"signer-{number}"
        folder = self.state.folder(name)
        certificate = self.certificates.issue(f"{name}.bailee", server=True)
        secret_id_file = folder / "wrapped-secret-id"
        configuration = signer_configuration(
            number=number,
            ports=ports,
            folder=folder,
            secret_id_file=secret_id_file,
            policy_file=policy_file,
            policy_digest=self.policy.digest,
            certificate=certificate,
            custody_name=CUSTODY_NAME,
            openbao=self.openbao[number],
            bitcoin=self.bitcoind.users[name],
            ethereum_url=self.anvil.url,
        )
        return ServiceProcess(
            name=name,
            module="signers.main",
            folder=folder,
            log_file=self.state.logs / f"{name}.log",
            configuration=configuration,
            certificate=certificate,
            openbao=self.openbao[number],
            secret_id_file=secret_id_file,
            port=ports[number],
            supervisor=self.supervisor,
        )

    def _create_custody(self, signer_ports: Mapping[int, int], policy_file: Path) -> ServiceProcess:
        folder = self.state.folder("custody")
        certificate = self.certificates.issue(CUSTODY_NAME, server=True)
        secret_id_file = folder / "wrapped-secret-id"
        port = self.ports.port("custody")
        configuration = custody_configuration(
            folder=folder,
            secret_id_file=secret_id_file,
            port=port,
            policy_file=policy_file,
            policy_digest=self.policy.digest,
            certificate=certificate,
            people=self.people.values(),
            signer_ports=signer_ports,
            openbao=self.openbao[0],
            bitcoin=self.bitcoind.users["custody"],
            ethereum_url=self.anvil.url,
        )
        return ServiceProcess(
            name="custody",
            module="custody.main",
            folder=folder,
            log_file=self.state.logs / "custody.log",
            configuration=configuration,
            certificate=certificate,
            openbao=self.openbao[0],
            secret_id_file=secret_id_file,
            port=port,
            supervisor=self.supervisor,
        )

    def _start_bitcoind(self) -> None:
        command = self._toolchain().bitcoind()
        self.bitcoind = Bitcoind(
            command=command,
            folder=self.state.folder("bitcoind"),
            credentials_folder=self.state.folder("credentials"),
            log_file=self.state.logs / "bitcoind.log",
            port=self.ports.port("bitcoind"),
            users={"custody": CUSTODY_METHODS, **{f"signer-{number}": READ_METHODS for number in SIGNERS}},
            supervisor=self.supervisor,
        )
        self._bring_up("bitcoind", self.bitcoind.url, self.bitcoind.start)

    def _start_anvil(self) -> None:
        command = self._toolchain().anvil()
        self.anvil = Anvil(
            command=command,
            folder=self.state.folder("anvil"),
            log_file=self.state.logs / "anvil.log",
            port=self.ports.port("anvil"),
            supervisor=self.supervisor,
        )
        self._bring_up("anvil", self.anvil.url, self.anvil.start)

    def _create_openbao(self, number: int) -> OpenBao:
        name = f"openbao-{number}"
        return OpenBao(
            number=number,
            command=self._toolchain().openbao(),
            folder=self.state.folder(name),
            deliverer_folder=self.state.folder("deliverer"),
            log_folder=self.state.logs,
            port=self.ports.port(name),
            cluster_port=self.ports.port(f"{name}-cluster"),
            certificate=self.certificates.issue(f"{name}.bailee", server=True, by_address=True),
            supervisor=self.supervisor,
        )

    def _openbao_start(self, bao: OpenBao) -> Callable[[], None]:
        def start_and_set_up() -> None:
            bao.start()
            bao.set_up()

        return lambda: self._bring_up(bao.name, bao.url, start_and_set_up)

    def _bring_up(self, part: str, address: str, start: Callable[[], None]) -> None:
        self._emit(EventKind.STARTING, part)
        start()
        self.add_endpoint(part, address)
        self._emit(EventKind.READY, part)

    def _toolchain(self) -> Toolchain:
        return Toolchain(
            supervisor=self.supervisor,
            log_folder=self.state.logs,
            on_fetch=lambda tool: self._emit(EventKind.FETCHING, tool),
        )

    def _emit(self, kind: EventKind, part: str) -> None:
        elapsed_seconds = time.monotonic() - self._began_at
        with self._event_lock:
            self._on_event(Event(kind=kind, part=part, elapsed_seconds=elapsed_seconds))

    def _write_record(self) -> None:
        with self._record_lock:
            running = {process.name: process.identity for process in self.supervisor.processes}
            self.state.write_record(
                processes={name: identity for name, identity in running.items() if identity is not None},
                endpoints=self._endpoints,
                is_ready=self._is_ready,
            )


def _all_at_once(starts: Sequence[Callable[[], None]], *, on_failure: Callable[[], None]) -> None:
    """Run all; at the first failure, or an interrupt, make the others give up, and raise it."""
    with ThreadPoolExecutor(max_workers=len(starts), thread_name_prefix="start") as pool:
        futures = [pool.submit(start) for start in starts]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            on_failure()
            raise
