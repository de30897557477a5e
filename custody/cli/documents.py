"""Files that people write and exchange: terms in TOML, statements in envelopes."""

import tomllib
from pathlib import Path
from typing import Any, NoReturn

from custody.cli.addresses import parse_bitcoin, parse_ethereum
from custody.cli.faults import UsageError
from custody.cli.quantities import parse_amount
from custody.client import Agreement
from signers.statements import canonical
from signers.statements.account import Enforcement, Party
from signers.statements.envelope import ENVELOPE_BYTES_MAX, Envelope
from signers.statements.identifiers import GENESIS, Ed25519Key, EntityId
from signers.statements.network import Network
from signers.statements.policy import Policy

_AMOUNTS = {"tiers": ("up_to",), "limits": ("total", "fee_cap")}


def read_toml(file: Path) -> dict[str, Any]:
    """A TOML document. Raises `UsageError` where it is none."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"), parse_float=_refuse_float)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error


def _refuse_float(text: str) -> NoReturn:
    raise UsageError(f"{text} is not an integer")


def read_envelope(file: Path) -> Envelope:
    """An envelope. Raises `Refusal` where it is none."""
    with file.open("rb") as opened:
        return Envelope.from_json(opened.read(ENVELOPE_BYTES_MAX + 1))


def write_envelope(file: Path, envelope: Envelope) -> None:
    """Write an envelope; a reader sees the old file or the new one, never a part."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_bytes(envelope.to_json() + b"\n")
    partial.replace(file)


def read_policy_terms(file: Path) -> Policy:
    """A policy from its terms.

    The document has the statement's own fields (docs/guides/custodian.md shows one). Amounts are written with
    their unit; `version` is 1, `previous` none and `revoked_at` never unless said.

    Raises:
        UsageError: not TOML, or an amount without its unit.
        Refusal: a field that is missing, unknown or wrong, by its path.
    """
    terms: dict[str, Any] = {"version": 1, "previous": str(GENESIS), **read_toml(file)}
    for table, names in _AMOUNTS.items():
        terms[table] = [_with_amounts(row, names, at=table) for row in _rows(terms, table)]
    terms["keys"] = [{"revoked_at": None, **row} for row in _rows(terms, "keys")]
    try:
        payload = canonical.encode(terms)
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error
    return Policy.parse(payload)


def read_agreement(file: Path, network: Network) -> Agreement:
    """What the three parties agreed: `[pledgor]`, `[secured_party]`, `[custodian]`, `[enforcement]`.

    Raises:
        UsageError: something is missing, unknown or wrong.
    """
    document = read_toml(file)
    _require_fields(document, {"pledgor", "secured_party", "custodian", "enforcement"}, at=str(file))
    enforcement = _fields(document["enforcement"], {"bitcoin", "ethereum"}, at="enforcement")
    return Agreement(
        pledgor=_party(document, "pledgor"),
        secured_party=_party(document, "secured_party"),
        custodian=_party(document, "custodian"),
        enforcement=Enforcement(
            bitcoin=parse_bitcoin(enforcement["bitcoin"], network),
            ethereum=parse_ethereum(enforcement["ethereum"]),
        ),
    )


def _party(document: dict[str, Any], name: str) -> Party:
    fields = _fields(document[name], {"entity", "public_key"}, at=name)
    try:
        return Party(entity=EntityId(fields["entity"]), public_key=Ed25519Key(fields["public_key"]))
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


def _rows(terms: dict[str, Any], table: str) -> list[dict[str, Any]]:
    rows = terms.get(table, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{table} is an array of tables: [[{table}]]")
    return rows


def _with_amounts(row: dict[str, Any], names: tuple[str, ...], *, at: str) -> dict[str, Any]:
    amounts = {}
    for name in names:
        if not isinstance(row.get(name), str):
            raise UsageError(f"{at}.{name} is an amount with its unit, such as '0.5 BTC'")
        amount = parse_amount(row[name])
        amounts[name] = {"asset": amount.asset.value, "units": str(amount.units)}
    return {**row, **amounts}


def _fields(value: object, names: set[str], *, at: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise UsageError(f"{at} is a table of text: [{at}]")
    _require_fields(value, names, at=at)
    return value


def _require_fields(value: dict[str, Any], names: set[str], *, at: str) -> None:
    if value.keys() != names:
        raise UsageError(f"{at} has exactly {', '.join(sorted(names))}, not {', '.join(sorted(value))}")
