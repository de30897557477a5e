"""Every RPC × every rule of its fields: the right status, ErrorInfo and field, and not a byte written."""

import grpc
import pytest

from tests.unit.custody.rpc.conftest import At
from tests.unit.custody.rpc.mutations import Mutation, apply, leaves, mutations, reported_rule, rule_ids
from tests.unit.custody.rpc.rows import METHODS, ROWS
from tests.unit.proto import descriptors as api

CASES = [
    pytest.param(name, mutation, id=f"{name}-{mutation}")
    for name, method in METHODS.items()
    for mutation in mutations(method.input_type)
]


def test_every_rpc_has_a_row() -> None:
    assert ROWS.keys() == METHODS.keys()


def test_every_write_has_another_body() -> None:
    writes = {name for name, method in METHODS.items() if not api.is_read(method)}
    assert {name for name, row in ROWS.items() if row.other is not None} == writes


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


@pytest.mark.parametrize("name", METHODS)
async def test_the_baseline_is_answered(name: str, at: At) -> None:
    """Only validated where that is possible, so that the stage stays as it was."""
    row = ROWS[name]
    if row.other is not None or METHODS[name].server_streaming:
        return
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
