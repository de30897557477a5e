"""Parts of the API's resources as tables show them. The service chose every value."""

from collections.abc import Collection, Mapping
from typing import Any

from custody.cli.quantities import amount_text
from custody.client import VerificationError, as_json
from signers.statements.amounts import Asset, amount_of, parse_units

Resource = Mapping[str, Any]


def document_of(resource: Any, *, without: Collection[str] = ()) -> dict[str, Any]:
    """A resource as JSON, without fields that a signed statement beside it has, or that nobody verified."""
    return {name: value for name, value in as_json(resource).items() if name not in without}


def amount_of_resource(document: Resource | None) -> str:
    """An amount in coin and in the smallest unit; `-` where there is none.

    Raises:
        VerificationError: it is no amount.
    """
    if document is None:
        return "-"
    try:
        asset = Asset(str(document["asset"]).removeprefix("ASSET_"))
        return amount_text(amount_of(asset, parse_units(str(document["units"]))))
    except (ValueError, IndexError) as error:
        raise VerificationError(f"{dict(document)} is no amount") from error


def state_of(document: Resource, name: str = "state", *, prefix: str = "STATE_") -> str:
    """An enum value without its prefix."""
    return str(document.get(name, "")).removeprefix(prefix)


def last_id(name: object) -> str:
    """The id at the end of a resource name."""
    return str(name).rpartition("/")[2]


def entity_of(document: Resource, party: str) -> str:
    """The entity of a party of an account."""
    return str(document.get(party, {}).get("entity", "-"))
