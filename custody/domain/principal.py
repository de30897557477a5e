"""Who calls, and which accounts that caller may know of."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from signers.statements.identifiers import EntityId


@final
class Role(StrEnum):
    """In which capacity a principal may call. The configuration grants roles; statements authorise."""

    CUSTODIAN = "custodian"
    PLEDGOR = "pledgor"
    SECURED_PARTY = "secured-party"
    APPROVER = "approver"
    PUBLISHER = "publisher"
    AUDITOR = "auditor"


SEES_EVERY_ACCOUNT: Final = frozenset({Role.CUSTODIAN, Role.AUDITOR, Role.APPROVER})
"""An approver must see what it signs, and accounts choose no approvers of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller, by its client certificate."""

    name: str
    """The certificate's one DNS name, such as `margin-engine.broker-one`."""
    entity: EntityId | None
    """The legal entity it acts for; `None` for custody's own workers."""
    roles: frozenset[Role]
