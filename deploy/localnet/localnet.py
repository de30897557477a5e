"""All real parts of a deployment on one machine, as one context manager."""

import threading
import time
from collections.abc import Callable, Sequence
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
from deploy.localnet.openbao import OpenBao
from deploy.localnet.ports import Ports
from deploy.localnet.processes import ManagedProcess, Supervisor
from deploy.localnet.state import DEFAULT_FOLDER, StateFolder
from deploy.localnet.toolchain import Toolchain

SIGNERS: Final = (1, 2, 3)
OPENBAOS: Final = (0, *SIGNERS)


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
        """Signers, then custody, on top of the nodes."""

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
            certificate=self.certificates.issue(f"{name}.bailee", server=True),
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
