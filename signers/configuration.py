"""What a signer is told: one TOML file, environment over it (`BAILEE_SIGNER__...`), secrets only as files.

A setting that is wrong stops the start with its name and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from signers.statements.identifiers import Digest, SignerId, Text
from signers.statements.network import Network

_ADDRESS = Annotated[str, Field(pattern=r"^[A-Za-z0-9.\[\]:-]+:[0-9]{1,5}$")]
_DNS_NAME = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
_SECONDS = Annotated[int, Field(gt=0, le=30 * 24 * 3600)]

_HTTPS = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.\[\]:-]+$")]
_NODE = Annotated[
    str,
    Field(
        pattern=r"^(https://[A-Za-z0-9.\[\]:-]+|http://(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?)(/[A-Za-z0-9._/-]*)?$"
    ),
]
"""A password goes to it: https, or http that does not leave the machine."""

PEERS: Final = 2


def _text(kind: type[Text]) -> BeforeValidator:
    """One of the statements' own types. A fault says what is allowed, never what stood there."""

    def check(value: object) -> Text:
        if not isinstance(value, str) or not kind.pattern.fullmatch(value):
            raise ValueError(f"text that matches {kind.pattern.pattern}")
        return kind(value)

    return BeforeValidator(check)


_DIGEST = Annotated[Digest, _text(Digest)]
_SIGNER = Annotated[SignerId, _text(SignerId)]


class ConfigurationInvalid(Exception):  # noqa: N818 - named for what is the case
    """A setting is missing, unknown or wrong. The message names each one and what is allowed."""


class Section(BaseModel):
    """A table of the file. A name that is not known is an error, never ignored."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class TlsFiles(Section):
    """This signer's certificate; its one DNS name is what peers and custody know it by."""

    certificate: Path
    key: Path
    authority: Path
    """PEM of the authority whose certificates are believed."""


class Peer(Section):
    """Another signer of the policy."""

    signer: _SIGNER
    target: _ADDRESS
    certificate_name: _DNS_NAME


class Vault(Section):
    """This signer's own OpenBao."""

    url: _HTTPS
    authority: Path
    role_name: str
    role_id: str
    wrapped_secret_id_file: Path
    approle_mount: str = "approle"
    transit_mount: str = "transit"
    wrapping_key: str
    """Wraps account keys; AES-256-GCM, not exportable."""
    statement_key: str
    """Signs receipts and co-signatures; Ed25519, not exportable."""


class Bitcoin(Section):
    """This signer's own bitcoind: by its cookie file, or by `rpcauth` user and a file with the password."""

    url: _NODE
    cookie_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    tip_age_max_seconds: _SECONDS = 2 * 3600

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.cookie_file is None) is (self.user is None) or (self.user is None) is not (
            self.password_file is None
        ):
            raise ValueError("either cookie_file, or user and password_file")
        return self


class Ethereum(Section):
    """This signer's own Ethereum node."""

    url: _NODE
    tip_age_max_seconds: _SECONDS = 600


class Configuration(BaseSettings):
    """Everything a signer is told."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="BAILEE_SIGNER__",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
    )

    network: Network
    signer: _SIGNER
    state_folder: Path
    """Journal and wrapped keys; of this user alone."""
    policy_file: Path
    policy_digest: _DIGEST
    """Pins the policy: the file may come from anyone."""
    ethereum_key_holder: _SIGNER
    """The one signer that holds every ETH key whole. The same at all signers."""
    listen: _ADDRESS
    tls: TlsFiles
    custody_certificate_names: tuple[_DNS_NAME, ...]
    """Who may call SignerService; empty is nobody."""
    peers: tuple[Peer, ...]
    vault: Vault
    bitcoin: Bitcoin
    ethereum: Ethereum
    clock_skew_max_seconds: Annotated[int, Field(gt=0, le=7200)] = 7200
    watch_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @model_validator(mode="after")
    def _peers_are_the_others(self) -> Self:
        names = {peer.signer for peer in self.peers}
        certificates = {peer.certificate_name for peer in self.peers}
        if len(self.peers) != PEERS or self.signer in names or not len(names) == len(certificates) == PEERS:
            raise ValueError(f"peers: exactly the {PEERS} other signers, each once")
        if certificates.intersection(self.custody_certificate_names):
            raise ValueError("custody_certificate_names: a peer's certificate is not custody's")
        return self

    @model_validator(mode="after")
    def _ethereum_is_asked_in_private(self) -> Self:
        if self.network is not Network.REGTEST and not self.ethereum.url.startswith("https:"):
            raise ValueError("ethereum.url: https, outside of regtest")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - as below
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature; not a source here
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the file that `read` names; nothing else."""
        return env_settings, init_settings


def read(file: Path) -> Configuration:
    """The configuration that the file and the environment make. Relative paths are relative to the file.

    Raises:
        ConfigurationInvalid: with every setting that is wrong, and what is allowed. Never with a value, which
            may be a secret in the wrong place.
    """
    if not file.is_file():
        raise ConfigurationInvalid(f"{file} is not a file")
    try:
        told: Mapping[str, Any] = TomlConfigSettingsSource(Configuration, toml_file=file)()
        configuration = Configuration(**told)
    except ValidationError as error:
        raise ConfigurationInvalid("\n".join(_line(fault) for fault in _faults(error))) from None
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(f"{file}: {error}") from error
    anchored: Configuration = _anchored(configuration, file.parent)
    return anchored


def _faults(error: ValidationError) -> list[Any]:
    return list(error.errors(include_input=False, include_url=False, include_context=False))


def _line(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _anchored(section: Any, folder: Path) -> Any:
    """The same with every relative path under `folder`."""
    if isinstance(section, Path):
        return section if section.is_absolute() else folder / section
    if isinstance(section, tuple):
        return tuple(_anchored(item, folder) for item in section)
    if isinstance(section, BaseModel):
        changed = {name: _anchored(value, folder) for name, value in section}
        return section.model_copy(update=changed)
    return section
