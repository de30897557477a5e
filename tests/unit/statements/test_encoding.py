"""One meaning, one byte string, one digest: for every type, against an encoder written independently."""

import importlib
import json
import pickle
import pkgutil
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import signers.statements
from signers.statements.network import Network
from signers.statements.refusals import Refusal, Tag
from signers.statements.statement import Statement
from tests.factories import World, build_world
from tests.unit.statements import second_encoder
from tests.unit.statements.examples import examples
from tests.unit.statements.refusing import refused
from tests.unit.statements.samples import samples
from tests.unit.statements.strategies import any_statement, statements

TYPES = sorted(statements, key=lambda cls: cls.__name__)


def all_statement_types() -> set[type[Statement]]:
    names = [module.name for module in pkgutil.iter_modules(signers.statements.__path__)]
    modules = [importlib.import_module(f"signers.statements.{name}") for name in names]
    members = [member for module in modules for member in vars(module).values()]
    return {m for m in members if isinstance(m, type) and issubclass(m, Statement) and m is not Statement}


def test_every_type_is_tested_and_encoded_twice() -> None:
    assert all_statement_types() == set(statements) == set(second_encoder.PAYLOAD_TYPES)


def test_every_type_has_its_own_payload_type() -> None:
    assert {cls: cls.TYPE for cls in TYPES} == second_encoder.PAYLOAD_TYPES
    assert len({cls.TYPE for cls in TYPES}) == len(TYPES)


@pytest.mark.parametrize("cls", TYPES)
@given(data=st.data())
@examples(60)
def test_both_encoders_agree_and_parsing_gives_back_the_statement(
    cls: type[Statement], data: st.DataObject
) -> None:
    statement = data.draw(statements[cls])
    payload = statement.payload()
    assert payload == second_encoder.encode(statement)
    assert statement.digest == second_encoder.digest(statement)
    parsed = cls.parse(payload)
    assert parsed == statement
    assert hash(parsed) == hash(statement)
    assert (parsed.payload(), parsed.digest) == (payload, statement.digest)
    assert cls.read(statement.envelope(), network=statement.network) == statement


@given(statement=any_statement)
@examples(60)
def test_a_payload_is_what_any_json_reader_reads(statement: Statement) -> None:
    assert json.loads(statement.payload()) == second_encoder.document(statement)


@given(statement=any_statement)
@examples(60)
def test_a_statement_survives_a_process_boundary(statement: Statement) -> None:
    # The opposite direction, pickles of others, is never read.
    again = pickle.loads(pickle.dumps(statement))
    assert again == statement
    assert type(again) is type(statement)
    assert again.digest == statement.digest


@given(statement=any_statement, data=st.data())
@examples(250)
def test_a_changed_byte_is_refused_or_another_statement(statement: Statement, data: st.DataObject) -> None:
    payload = bytearray(statement.payload())
    position = data.draw(st.integers(0, len(payload) - 1))
    payload[position] ^= data.draw(st.integers(1, 255))
    _is_refused_or_differs(statement, bytes(payload))


@given(statement=any_statement, data=st.data())
@examples(200)
def test_an_inserted_or_removed_byte_is_refused_or_another_statement(
    statement: Statement, data: st.DataObject
) -> None:
    payload = statement.payload()
    position = data.draw(st.integers(0, len(payload)))
    middle = data.draw(st.sampled_from([b"", b" ", b"0", b'"', b",", b"\x00", b"\n", b"a"]))
    changed = payload[:position] + middle + payload[position + (not middle) :]
    if changed != payload:
        _is_refused_or_differs(statement, changed)


def test_every_byte_of_one_sample_of_every_type_counts(world: World) -> None:
    source = random.Random("bytes")
    assert {type(sample) for sample in samples(world)} == set(TYPES)
    for sample in samples(world):
        payload = sample.payload()
        for position in range(len(payload)):
            changed = bytearray(payload)
            changed[position] ^= source.randint(1, 127)
            _is_refused_or_differs(sample, bytes(changed))


def _is_refused_or_differs(statement: Statement, payload: bytes) -> None:
    try:
        parsed = type(statement).parse(payload)
    except Refusal:
        return
    assert parsed != statement
    assert parsed.digest != statement.digest
    assert parsed.payload() == payload


def test_a_statement_of_another_type_is_refused(world: World) -> None:
    for sample in samples(world):
        for cls in set(TYPES) - {type(sample)}:
            with refused(Tag.STATEMENT_TYPE):
                cls.read(sample.envelope(), network=world.network)


def test_a_payload_never_passes_as_another_type(world: World) -> None:
    for sample in samples(world):
        for cls in set(TYPES) - {type(sample)}:
            with refused(Tag.STATEMENT_MALFORMED):
                cls.parse(sample.payload())


def test_a_statement_of_another_network_is_refused(world: World) -> None:
    for sample in samples(world):
        for network in set(Network) - {sample.network}:
            with refused(Tag.STATEMENT_NETWORK):
                type(sample).read(sample.envelope(), network=network)


def test_signing_changes_no_digest(world: World) -> None:
    assert world.policy_envelope.digest == world.policy.digest
    assert world.account_envelope.digest == world.account.digest


def test_the_same_seed_is_the_same_world_and_another_is_another() -> None:
    first, again, other = build_world(), build_world(), build_world(seed="other")
    assert first.policy_envelope == again.policy_envelope
    assert first.account_envelope == again.account_envelope
    assert {first.policy.digest, first.account.digest}.isdisjoint({other.policy.digest, other.account.digest})
