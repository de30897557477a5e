"""The shape of every statement: each field present, of its type, within its bounds, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from signers.statements import canonical, schema
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.canonical import INTEGER_MAX
from signers.statements.identifiers import SECONDS_MAX
from signers.statements.intent import Intent
from signers.statements.policy import Policy
from signers.statements.refusals import Refusal, Tag
from signers.statements.report import Report
from signers.statements.statement import Statement
from tests.factories import World
from tests.unit.statements.refusing import refused
from tests.unit.statements.samples import samples

Path = tuple[str | int, ...]

OF_NO_FIELD: list[Any] = [
    True,
    -1,
    INTEGER_MAX,
    [],
    {},
    [None],
    {"kind": []},
    {"kind": {}},
    {"kind": None},
    {"asset": "BTC", "units": 1},
    {"asset": [], "units": "1"},
    "",
    "A",
    "\u0000",
    "AB" * 32,
    "0X" + "ab" * 31,
    "x" * 5000,
    " single-holder",
    "9" * 39,
    "01",
    "-1",
]
"""Values of the wrong shape. Where a field happens to allow one, another statement is read."""


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every value within a document."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from paths(inner, (*at, name))


def firsts(document: Any) -> Iterator[Path]:
    """Every value, of arrays only within their first element: the others have the same type."""
    return (path for path in paths(document) if all(step == 0 for step in path if isinstance(step, int)))


def changed(value: Any, path: Path, other: Any) -> Any:
    """The document with one value replaced."""
    if not path:
        return other
    name, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {**value, name: changed(value[name], rest, other)}
    return [changed(item, rest, other) if index == name else item for index, item in enumerate(value)]


def found(document: Any, path: Path) -> Any:
    """What stands at a path."""
    for name in path:
        document = document[name]
    return document


def parse(like: Statement, document: Any) -> Statement:
    return type(like).parse(canonical.encode(document))


def test_no_field_may_be_missing_at_any_depth(world: World) -> None:
    for sample in samples(world):
        document = json.loads(sample.payload())
        for *path, name in filter(None, paths(document)):
            if isinstance(name, str):
                inner = {key: value for key, value in found(document, tuple(path)).items() if key != name}
                with refused(Tag.STATEMENT_MALFORMED):
                    parse(sample, changed(document, tuple(path), inner))


def test_no_field_may_be_added_at_any_depth(world: World) -> None:
    for sample in samples(world):
        document = json.loads(sample.payload())
        for path in paths(document):
            inner = found(document, path)
            if isinstance(inner, dict):
                with refused(Tag.STATEMENT_MALFORMED):
                    parse(sample, changed(document, path, {**inner, "extra": None}))


def test_no_value_may_have_another_shape(world: World) -> None:
    for sample in samples(world):
        document = json.loads(sample.payload())
        for path in firsts(document):
            for value in OF_NO_FIELD:
                if value != found(document, path):
                    _is_refused_or_another(sample, canonical.encode(changed(document, path, value)))


def _is_refused_or_another(sample: Statement, payload: bytes) -> None:
    try:
        parsed = type(sample).parse(payload)
    except Refusal:
        return
    assert parsed != sample
    assert parsed.payload() == payload


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("network",), "Regtest"),
        (("network",), "signet"),
        (("network",), None),
        (("account",), "Acct-client-one"),
        (("account",), "ab"),
        (("account",), "a" * 41),
        (("account",), "acct_client"),
        (("account",), "1acct"),
        (("account",), "acct\n"),
        (("account",), "acc\u0000t"),
        (("intent",), "00000000-0000-1000-8000-000000000000"),
        (("intent",), "00000000-0000-4000-c000-000000000000"),
        (("intent",), "{00000000-0000-4000-8000-000000000000}"),
        (("kind",), "enforcement"),
        (("policy_digest",), "ab" * 31),
        (("policy_digest",), "ab" * 33),
        (("policy_digest",), "AB" * 32),
        (("policy_digest",), "0x" + "ab" * 31),
        (("destination", "kind"), "ethereum"),
        (("destination", "kind"), ["bitcoin"]),
        (("destination", "kind"), {"bitcoin": 1}),
        (("destination", "kind"), True),
        (("destination", "kind"), None),
        (("destination", "script_pubkey"), ""),
        (("destination", "script_pubkey"), "0"),
        (("destination", "script_pubkey"), "AB"),
        (("destination", "script_pubkey"), "ab" * 84),
        (("amount", "units"), 1),
        (("amount", "units"), "0"),
        (("amount", "units"), "01"),
        (("amount", "units"), "+1"),
        (("amount", "units"), "-1"),
        (("amount", "units"), "1.0"),
        (("amount", "units"), "1e3"),
        (("amount", "units"), "1_000"),
        (("amount", "units"), " 1"),
        (("amount", "units"), ""),
        (("amount", "units"), str(Sats.maximum + 1)),
        (("amount", "units"), "9" * 5000),
        (("amount", "asset"), "btc"),
        (("amount", "asset"), "ETH"),
        (("amount", "asset"), None),
        (("anchor", "index"), -1),
        (("anchor", "index"), "0"),
        (("anchor", "index"), True),
        (("anchor", "index"), 2**32 - 1),
        (("expires_at",), SECONDS_MAX + 1),
        (("expires_at",), None),
        (("created_at",), -1),
        (("created_at",), False),
    ],
)
def test_one_wrong_value_of_an_intent_is_refused(world: World, path: Path, value: Any) -> None:
    intent = world.intent(Asset.BTC)
    document = json.loads(intent.payload())
    assert Intent.parse(canonical.encode(document)) == intent
    with refused(Tag.STATEMENT_MALFORMED):
        Intent.parse(canonical.encode(changed(document, path, value)))


@pytest.mark.parametrize("value", [None, 0, 1, "true", [], {}])
def test_a_boolean_is_true_or_false(world: World, value: Any) -> None:
    report = world.report()
    document = json.loads(report.payload())
    assert Report.parse(canonical.encode({**document, "halted": True})).halted is True
    with refused(Tag.STATEMENT_MALFORMED):
        Report.parse(canonical.encode({**document, "halted": value}))


@pytest.mark.parametrize("value", [None, 0, "Single-Holder", "two-of-three", ["single-holder"], {}])
def test_a_literal_is_one_of_its_words(world: World, value: Any) -> None:
    document = json.loads(world.report().payload())
    with refused(Tag.STATEMENT_MALFORMED):
        Report.parse(canonical.encode({**document, "ethereum_custody": value}))


def test_an_optional_time_is_null_or_a_time(world: World) -> None:
    document = json.loads(world.policy.payload())
    last = next(i for i, key in enumerate(world.policy.keys) if key.revoked_at is not None)
    for value, accepted in ((None, True), (0, True), (True, False), ("", False), ([], False), (-1, False)):
        again = canonical.encode(changed(document, ("keys", last, "revoked_at"), value))
        if accepted:
            assert Policy.parse(again).keys[last].revoked_at == value
        else:
            with refused(Tag.STATEMENT_MALFORMED):
                Policy.parse(again)


def test_an_array_has_a_bound(world: World) -> None:
    document = json.loads(world.policy.payload())
    holders = [f"holder-{index}" for index in range(schema.ITEMS_MAX + 1)]
    path = ("signers", 0, "vault_holders")
    full = Policy.parse(canonical.encode(changed(document, path, holders[:-1])))
    assert len(full.signers[0].vault_holders) == schema.ITEMS_MAX
    with refused(Tag.STATEMENT_MALFORMED):
        Policy.parse(canonical.encode(changed(document, path, holders)))


@pytest.mark.parametrize("document", [None, True, 1, "intent", []])
def test_a_statement_is_an_object(world: World, document: Any) -> None:
    with refused(Tag.STATEMENT_MALFORMED):
        Intent.parse(canonical.encode(document))


@pytest.mark.parametrize("value", [1.5, b"bytes", [1], {"a": 1}, {1}, object()])
def test_what_has_no_place_in_a_statement_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        schema.to_json(value)


def test_an_amount_names_its_asset() -> None:
    assert schema.to_json(Sats(1)) == {"asset": "BTC", "units": "1"}
    assert schema.to_json(Wei(1)) == {"asset": "ETH", "units": "1"}
