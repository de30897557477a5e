"""The one folder a localnet keeps everything in, and who holds it."""

import fcntl
import json
import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from deploy.localnet.identity import ProcessIdentity

DEFAULT_FOLDER: Final = Path(".localnet")
_LOCK_NAME: Final = "lock"
_RECORD_NAME: Final = "localnet.json"
_OWNER_GRACE_SECONDS: Final = 45.0
_PART_GRACE_SECONDS: Final = 5.0


class StateFolderRefusedError(Exception):
    """The folder is another localnet's, or not a localnet's at all."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What runs in a state folder, written for another shell to read.

    Attributes:
        owner: the process that runs the localnet.
        processes: its running parts by name.
        endpoints: addresses by name, of the parts that came up.
        is_ready: whether the start is complete.
    """

    owner: ProcessIdentity
    processes: Mapping[str, ProcessIdentity]
    endpoints: Mapping[str, str]
    is_ready: bool

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Raises KeyError, TypeError or ValueError where the text is no record."""
        value: dict[str, Any] = json.loads(text)
        return cls(
            owner=ProcessIdentity(**value["owner"]),
            processes={name: ProcessIdentity(**identity) for name, identity in value["processes"].items()},
            endpoints=dict(value["endpoints"]),
            is_ready=bool(value["is_ready"]),
        )


class StateFolder:
    """A state folder held by this process, emptied of the run before.

    Raises:
        StateFolderRefusedError: another localnet holds it, or it has contents that no localnet made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock = threading.Lock()
        self._owner = ProcessIdentity.of(os.getpid())
        self._descriptor = _acquire(self.path)
        _end_left_over_processes(self.path)
        _empty(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def logs(self) -> Path:
        return self.folder("logs")

    def folder(self, name: str) -> Path:
        """A folder of that name for this user alone, made at the first call."""
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def write_record(
        self, *, processes: Mapping[str, ProcessIdentity], endpoints: Mapping[str, str], is_ready: bool
    ) -> None:
        """Replace what `localnet.json` says; a no-op once the folder is given up."""
        record = Record(owner=self._owner, processes=processes, endpoints=endpoints, is_ready=is_ready)
        with self._lock:
            if self._descriptor >= 0:
                write_private(self.path / _RECORD_NAME, record.to_json())

    def close(self) -> None:
        """Give the folder up; logs and data stay to be looked at until the next start."""
        with self._lock:
            if self._descriptor >= 0:
                (self.path / _RECORD_NAME).unlink(missing_ok=True)
                os.close(self._descriptor)
                self._descriptor = -1


def write_private(path: Path, content: str | bytes) -> None:
    """Write a whole file that only this user can read, replacing what was there at once or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
    partial.replace(path)


def read_record(path: Path) -> Record | None:
    """What runs in that state folder; None where nothing was recorded.

    Raises:
        StateFolderRefusedError: what was recorded is unreadable.
    """
    record_file = path / _RECORD_NAME
    try:
        return Record.from_json(record_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise StateFolderRefusedError(f"{record_file} is no record of a localnet: {error!r}") from error


def end_localnet(path: Path) -> tuple[str, ...]:
    """End exactly the processes of the localnet in that folder: its owner first, which ends its parts itself.

    Returns:
        Names of what had to be ended here: "localnet", and parts that survived it.
    """
    record = read_record(path)
    if record is None:
        return ()
    ended = ["localnet"] if record.owner.end(grace_seconds=_OWNER_GRACE_SECONDS) else []
    return (*ended, *_end_parts(record))


def _end_parts(record: Record) -> tuple[str, ...]:
    return tuple(
        name for name, identity in record.processes.items() if identity.end(grace_seconds=_PART_GRACE_SECONDS)
    )


def _acquire(path: Path) -> int:
    if path.is_dir() and any(path.iterdir()) and not (path / _LOCK_NAME).exists():
        raise StateFolderRefusedError(f"{path} holds files that no localnet made; choose an empty folder")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    descriptor = os.open(path / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StateFolderRefusedError(f"{path} is held by a running localnet; `make down` ends it") from error
    return descriptor


def _end_left_over_processes(path: Path) -> None:
    # The lock is ours, so the owner in an old record is gone, and its parts with it unless the kernel lagged.
    record = read_record(path)
    if record is not None:
        _end_parts(record)


def _empty(path: Path) -> None:
    for entry in path.iterdir():
        if entry.name == _LOCK_NAME:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
