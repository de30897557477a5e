"""Every RPC × every rule of its fields: the right status, ErrorInfo and field, and not a byte written."""

import re

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from custody.domain.identifiers import RequestId, WithdrawalId
from signers.statements.identifiers import AccountId, DestinationId, EntityId, LienId, Text
from tests.unit.custody.rpc.conftest import At
from tests.unit.custody.rpc.narrower import NARROWER, refused_by_type
from tests.unit.custody.rpc.rows import METHODS, ROWS
from tests.unit.proto import descriptors as api
from tests.unit.proto.mutations import Mutation, apply, leaves, mutations, reported_rule, rule_ids

CASES = [
    pytest.param(name, mutation, id=f"{name}-{mutation}")
    for name, method in METHODS.items()
    for mutation in mutations(method.input_type)
]


READS = [name for name, method in METHODS.items() if api.is_read(method)]


def test_every_rpc_has_a_row() -> None:
    assert ROWS.keys() == METHODS.keys()


def test_every_write_has_another_body() -> None:
    assert {name for name, row in ROWS.items() if row.other is not None} == METHODS.keys() - set(READS)


@pytest.mark.parametrize("name", METHODS)
def test_every_rule_has_a_mutation(name: str) -> None:
    request = METHODS[name].input_type
    covered = {(m.path, m.rule) for m in mutations(request)} | {
        (m.reported, m.rule) for m in mutations(request)
    }
    assert {(path, reported_rule(rule)) for path, rule in rule_ids(request)} <= covered


@pytest.mark.parametrize("name", METHODS)
def test_every_field_has_a_rule(name: str) -> None:
    """A field that nothing bounds is a field that nobody thought about; a switch has nothing to bound."""
    request = METHODS[name].input_type
    ruled = {path for path, _ in rule_ids(request)}
    free = {
        path
        for path, field in leaves(request)
        if path not in ruled and field.type != field.TYPE_BOOL and not path.endswith("address")
    }
    assert free == set()


@pytest.mark.parametrize("name", [name for name in READS if not METHODS[name].server_streaming])
async def test_the_baseline_is_answered(name: str, at: At) -> None:
    """Of writes `test_once_again_once_only_and_never_otherwise` says it, of the stream its own tests."""
    row = ROWS[name]
    service = await at(row)
    before = service.dump()
    await service.call(row.caller, name, row.request(service.scenario))
    assert service.dump() == before


@pytest.mark.parametrize(("name", "mutation"), CASES)
async def test_one_wrong_field(name: str, mutation: Mutation, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    apply(request, mutation)
    before = service.dump()

    refused = await service.refused(row.caller, name, request)

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert (mutation.reported, mutation.rule) in refused.fields
    assert service.dump() == before


# What no rule of the protos says, and the types of the domain do.

IDS: dict[str, type[Text]] = {
    "request_id": RequestId,
    "account_id": AccountId,
    "destination_id": DestinationId,
    "lien_id": LienId,
    "withdrawal_id": WithdrawalId,
    "entity": EntityId,
}
NAMES = {"name", "parent", "accounts", "destination"}
COLLECTIONS = "destinations|liens|withdrawals"
BY_TYPE = [
    pytest.param(name, mutation, id=f"{name}-{mutation}")
    for name, method in METHODS.items()
    for mutation in refused_by_type(method.input_type)
]


def is_as_wide_as_its_type(field: FieldDescriptor) -> bool:
    """Whether the rule lets through exactly what the field's type takes."""
    of = api.rules(field)
    pattern = of.repeated.items.string.pattern if field.is_repeated else of.string.pattern
    if field.name in IDS:
        return pattern == f"^{IDS[field.name].pattern.pattern}$"
    if field.name in NAMES:
        each = AccountId.pattern.pattern
        known = pattern.replace(each, "{id}")
        return known == "^policies/(current|[1-9][0-9]{0,9})$" or bool(
            re.fullmatch(rf"\^accounts/{{id}}(/({COLLECTIONS})/{{id}}|/collateralReport)?\$", known)
        )
    return field.name == "ethereum_address" and of.bytes.len == 20


@pytest.mark.parametrize("name", METHODS)
def test_every_type_is_as_wide_as_its_rule_or_has_a_mutation(name: str) -> None:
    """A type that refuses what a rule lets through would otherwise answer with a fault of ours."""
    typed = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
    unknown = {
        path
        for path, field in leaves(METHODS[name].input_type)
        if field.type in typed and field.name not in NARROWER and not is_as_wide_as_its_type(field)
    }
    assert unknown == set()


@pytest.mark.parametrize(("name", "mutation"), BY_TYPE)
async def test_one_value_that_its_type_refuses(name: str, mutation: Mutation, at: At) -> None:
    row = ROWS[name]
    service = await at(row)
    request = row.request(service.scenario)
    apply(request, mutation)
    before = service.dump()

    refused = await service.refused(row.caller, name, request)

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, mutation.rule)
    assert refused.paths == {mutation.reported}
    assert service.dump() == before
