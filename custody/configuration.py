"""What custody is told: one TOML file, environment over it (`BAILEE_CUSTODY__...`), secrets only as files.

A setting that is wrong stops the start with its name and what is allowed. `configuration.example.toml` beside
this module is the documented file; `bailee-custody --example` prints it.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from custody.domain.principal import Principal, Role
from signers.statements.account import Party
from signers.statements.identifiers import Digest, Ed25519Key, EntityId, SignerId, Text
from signers.statements.network import Network
from signers.statements.policy import SIGNERS

_DNS_NAME = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
_ADDRESS = Annotated[str, Field(pattern=r"^[A-Za-z0-9.\[\]:-]+:[0-9]{1,5}$")]
_LABEL = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
_HTTPS = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.\[\]:-]+$")]
_HTTP = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._/-]*)?$")]


def _text(kind: type[Text]) -> BeforeValidator:
    """One of the statements' own types. A fault says what is allowed, never what stood there."""

    def check(value: object) -> Text:
        allowed = f"text that matches {kind.pattern.pattern}"
        if not isinstance(value, str) or not kind.pattern.fullmatch(value):
            raise ValueError(allowed)
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"a valid {kind.__name__}, {allowed}") from None

    return BeforeValidator(check)


_DIGEST = Annotated[Digest, _text(Digest)]
_KEY = Annotated[Ed25519Key, _text(Ed25519Key)]
_ENTITY = Annotated[EntityId, _text(EntityId)]
_SIGNER = Annotated[SignerId, _text(SignerId)]


class ConfigurationInvalid(Exception):  # noqa: N818 - named for what is the case
    """A setting is missing, unknown or wrong. The message names each one and what is allowed."""


class Section(BaseModel):
    """A table of the file. A name that is not known is an error, never ignored."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Tls(Section):
    """Custody's certificate, for its callers and for the signers."""

    certificate: Path
    """PEM, with any intermediates."""
    key: Path
    authority: Path
    """PEM of the authority whose certificates are believed."""


class Limits(Section):
    """Bounds of the gRPC edge."""

    unary_deadline_seconds_max: Annotated[float, Field(gt=0, le=600)] = 60.0
    stream_deadline_seconds_max: Annotated[float, Field(gt=0, le=7 * 24 * 3600)] = 24 * 3600.0
    concurrent_calls_max: Annotated[int, Field(ge=1, le=100_000)] = 1024
    calls_per_caller_max: Annotated[int, Field(ge=1, le=100_000)] = 128
    """Of those: more than a margin engine has in flight, too few to keep others out."""
    shutdown_grace_seconds: Annotated[float, Field(ge=0, le=300)] = 10.0


class Custodian(Section):
    """The custodian, as it stands in every account statement."""

    entity: _ENTITY
    public_key: _KEY
    """Ed25519, hexadecimal. Its private half is a person's, not this process's."""


class PrincipalTerms(Section):
    """One caller."""

    name: _DNS_NAME
    """The one DNS name of its client certificate."""
    entity: _ENTITY | None = None
    """The legal entity it acts for."""
    roles: tuple[Role, ...] = ()


class Services(Section):
    """Who may call each service, `AccountService` as `account`: names of principals. Left out is nobody."""

    account: tuple[_DNS_NAME, ...] = ()
    approval: tuple[_DNS_NAME, ...] = ()
    collateral: tuple[_DNS_NAME, ...] = ()
    lien: tuple[_DNS_NAME, ...] = ()
    policy: tuple[_DNS_NAME, ...] = ()
    price: tuple[_DNS_NAME, ...] = ()
    withdrawal: tuple[_DNS_NAME, ...] = ()


class Node(Section):
    """A node of custody's own."""

    name: _LABEL
    """For logs; the URL is never in one."""
    url: _HTTP
    user: str | None = None
    secret_file: Path | None = None
    """The user's password; without a user `user:password`, as bitcoind's `.cookie`."""


class Nodes(Section):
    """The nodes of one chain, and how many of them must agree."""

    nodes: Annotated[tuple[Node, ...], Field(min_length=1, max_length=9)]
    needed: Annotated[int, Field(ge=1, le=9)]
    """More than half of them."""

    @model_validator(mode="after")
    def _a_majority(self) -> Self:
        if not len(self.nodes) // 2 < self.needed <= len(self.nodes):
            raise ValueError(f"needed: more than half of the {len(self.nodes)} nodes, at most all")
        if len({node.name for node in self.nodes}) != len(self.nodes):
            raise ValueError("nodes: each has a name of its own")
        return self


class Signer(Section):
    """One signer of the policy."""

    signer: _SIGNER
    target: _ADDRESS
    certificate_name: _DNS_NAME
    """The DNS name that its certificate must carry."""


class Vault(Section):
    """Custody's own OpenBao, which holds the attestation key."""

    url: _HTTPS
    authority: Path
    role_name: str
    role_id: str
    wrapped_secret_id_file: Path
    """Gets the wrapping token of a fresh SecretID before every start; removed when read."""
    transit_mount: str = "transit"
    attestation_key: str
    """Name of the Ed25519 key in transit."""


class Insecure(Section):
    """Switches for development. Each must be set by name, and none can be on mainnet."""

    one_node: bool = False
    """Follow a chain by a single node, which can then lie about it alone."""
    single_holder_ethereum: bool = False
    """Accept that one signer holds each Ethereum key whole, and could take the coins alone. This version has
    no other way: without the switch it does not start."""
    plain_http_nodes: bool = False
    """Talk to nodes beyond this machine without TLS."""


class Configuration(BaseSettings):
    """Everything custody is told."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="BAILEE_CUSTODY__",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
    )

    network: Network
    state_folder: Path
    """The database; of this user alone."""
    policy_file: Path
    """The policy's envelope."""
    policy_digest: _DIGEST
    """Pins the policy: the file may come from anyone."""
    listen: _ADDRESS
    tls: Tls
    custodian: Custodian
    principals: tuple[PrincipalTerms, ...]
    services: Services
    limits: Limits = Limits()
    bitcoin: Nodes
    ethereum: Nodes
    signers: tuple[Signer, ...]
    vault: Vault
    insecure: Insecure = Insecure()
    watch_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """How long a worker that found nothing to do waits before it looks again."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @model_validator(mode="after")
    def _signers_are_the_set(self) -> Self:
        for names in (
            [each.signer for each in self.signers],
            [each.certificate_name for each in self.signers],
        ):
            if len(names) != SIGNERS or len(set(names)) != SIGNERS:
                raise ValueError(f"signers: exactly {SIGNERS}, each with a name and certificate of its own")
        return self

    @model_validator(mode="after")
    def _services_list_principals(self) -> Self:
        known = [each.name for each in self.principals]
        if len(set(known)) != len(known):
            raise ValueError("principals: each name once")
        for service, names in self.services:
            strangers = sorted(set(names) - set(known))
            if strangers:
                raise ValueError(f"services.{service}: {', '.join(strangers)} is no name of principals")
        return self

    @model_validator(mode="after")
    def _no_insecure_mainnet(self) -> Self:
        on = [name for name, value in self.insecure if value]
        if self.network is Network.MAINNET and on:
            raise ValueError(f"insecure.{on[0]}: not on mainnet")
        if not self.insecure.single_holder_ethereum:
            raise ValueError(
                "insecure.single_holder_ethereum: this version holds each Ethereum key whole at one signer;"
                " true accepts that, and mainnet refuses it"
            )
        for chain, terms in (("bitcoin", self.bitcoin), ("ethereum", self.ethereum)):
            if len(terms.nodes) == 1 and not self.insecure.one_node:
                raise ValueError(f"{chain}.nodes: at least 2, or insecure.one_node")
            self._require_private(chain, terms)
        return self

    def _require_private(self, chain: str, terms: Nodes) -> None:
        for node in terms.nodes:
            host = node.url.partition("//")[2].partition("/")[0].rpartition(":")[0]
            local = host in {"127.0.0.1", "localhost", "[::1]"}
            if node.url.startswith("http:") and not local and not self.insecure.plain_http_nodes:
                raise ValueError(f"{chain}.nodes: {node.name} is https:, or insecure.plain_http_nodes")

    @property
    def host(self) -> str:
        """Where `listen` can be reached from this machine."""
        host = self.listen.rpartition(":")[0].strip("[]")
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - told to, not chosen

    @property
    def custodian_party(self) -> Party:
        """The custodian as statements name it."""
        return Party(entity=self.custodian.entity, public_key=self.custodian.public_key)

    @property
    def known_principals(self) -> tuple[Principal, ...]:
        """Everybody who may connect."""
        return tuple(
            Principal(name=each.name, entity=each.entity, roles=frozenset(each.roles))
            for each in self.principals
        )

    @property
    def allowed(self) -> Mapping[str, frozenset[str]]:
        """The allow-lists, by full service name."""
        return {
            f"bailee.custody.v1.{name.title()}Service": frozenset(listed) for name, listed in self.services
        }

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not a source here
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not a source here
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over the file that `read` names; nothing else."""
        return env_settings, init_settings


def example() -> str:
    """The documented configuration."""
    return resources.files("custody").joinpath("configuration.example.toml").read_text(encoding="utf-8")


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
