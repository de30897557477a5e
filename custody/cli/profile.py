"""The profile: one TOML file that says who connects, to what, and what is trusted. Flags override it."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from custody.cli.faults import UsageError
from signers.statements.identifiers import Digest, EntityId
from signers.statements.network import Network

PROFILE_VARIABLE: Final = "BAILEE_PROFILE"
DEFAULT_PROFILE: Final = Path("~/.config/bailee/profile.toml")
DEFAULT_RECORD: Final = Path("~/.local/state/bailee/record.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of the profile, and the flag of the same name."""

    read: Callable[[str], object]
    allowed: str
    """What it may be, for the message that refuses it and for the flag's help."""


SETTINGS: Final[Mapping[str, Setting]] = {
    "server": Setting(read=str, allowed="HOST:PORT of the service"),
    "server_name": Setting(read=str, allowed="the DNS name in the service's certificate"),
    "authority": Setting(read=Path, allowed="PEM file of the authority that signed that certificate"),
    "certificate": Setting(read=Path, allowed="PEM file of your certificate"),
    "private_key": Setting(read=Path, allowed="PEM file of its private key"),
    "network": Setting(read=Network, allowed="mainnet, testnet or regtest"),
    "policy_digest": Setting(read=Digest, allowed="64 lower-case hex digits, from the policy's admins"),
    "policy_file": Setting(read=Path, allowed="file of the signed policy; asked of the service where absent"),
    "entity": Setting(read=EntityId, allowed="your entity, 3 to 40 of a-z, 0-9 and hyphen"),
    "key_file": Setting(read=Path, allowed="your key, as `bailee key new` makes it"),
    "passphrase_file": Setting(read=Path, allowed="file with its passphrase; asked for where absent"),
    "record_file": Setting(read=Path, allowed=f"what was signed and seen; {DEFAULT_RECORD} where absent"),
}


class Profile:
    """The settings of one command."""

    def __init__(self, values: Mapping[str, Any], *, source: str) -> None:
        self._values = values
        self._source = source

    @classmethod
    def load(cls, path: Path | None, overrides: Mapping[str, str | None]) -> "Profile":
        """Read the file, then the flags.

        Args:
            path: the file; `BAILEE_PROFILE`, else the default one, where absent. The default one may lack.
            overrides: the flags that were given.

        Raises:
            UsageError: no such file, not TOML, an unknown setting, or a value that is not allowed.
        """
        named = path or _path_of(os.environ.get(PROFILE_VARIABLE))
        file = (named or DEFAULT_PROFILE).expanduser()
        written: dict[str, Any] = {}
        if named is not None or file.exists():
            written = _read_file(file)
        values: dict[str, Any] = {}
        for name, value in written.items():
            values[name] = _value(name, value, where=str(file), base=file.parent)
        for name, flag in overrides.items():
            if flag is not None:
                values[name] = _value(name, flag, where=f"--{name.replace('_', '-')}", base=Path())
        return cls(values, source=str(file))

    def need(self, name: str) -> Any:
        """A setting that the command cannot do without.

        Raises:
            UsageError: it is nowhere.
        """
        if name not in self._values:
            flag = name.replace("_", "-")
            raise UsageError(
                f"{name} is missing ({SETTINGS[name].allowed}): set it in {self._source} or by --{flag}"
            )
        return self._values[name]

    def get(self, name: str) -> Any:
        """A setting, or `None`."""
        return self._values.get(name)

    @property
    def network(self) -> Network:
        """The chains it is about."""
        network: Network = self.need("network")
        return network

    @property
    def record_file(self) -> Path:
        """Where the record of what was signed and seen lies."""
        return self.get("record_file") or DEFAULT_RECORD.expanduser()


def _path_of(text: str | None) -> Path | None:
    return Path(text) if text else None


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"there is no profile {file}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error


def _value(name: str, value: object, *, where: str, base: Path) -> object:
    setting = SETTINGS.get(name)
    if setting is None:
        raise UsageError(f"{where}: unknown setting {name}; allowed are {', '.join(SETTINGS)}")
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where}: {name} is {setting.allowed}, not {value!r}")
    try:
        read = setting.read(value)
    except ValueError as error:
        raise UsageError(f"{where}: {name} is {setting.allowed}, not {value!r}") from error
    # A path in a profile is relative to the profile; one in a flag to where the command runs.
    return base / read.expanduser() if isinstance(read, Path) else read
