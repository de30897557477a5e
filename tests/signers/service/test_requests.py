"""Every RPC × every rule of its fields, who calls, until when: the right refusal, and not a byte written."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import FieldDescriptor

from signers.service.edge import DEADLINE_SECONDS_MAX
from signers.statements.refusals import Tag
from tests.signers.service.rows import METHODS, PEER, ROWS, Served
from tests.signers.service.test_edge import details, fails
from tests.signers.service.wire import CUSTODY
from tests.unit.proto import descriptors as api
from tests.unit.proto.mutations import Mutation, apply, leaves, mutations, reported_rule, rule_ids

MUTATIONS = [
    pytest.param(name, mutation, id=f"{name}-{mutation}")
    for name, method in METHODS.items()
    for mutation in mutations(method.input_type)
]
STATEMENTS = [
    pytest.param(name, path, field.is_repeated, id=f"{name}-{path}")
    for name, method in METHODS.items()
    for path, field in leaves(method.input_type)
    if field.type == FieldDescriptor.TYPE_BYTES and "." not in path and field.name != "nonce"
]
"""Fields that carry an envelope: their rule bounds it, and the statements' own parser reads it."""
STRANGER = "margin-engine.broker-one"

in_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """Shared: for tests that leave it as it was, and check that they do."""
    async with AsyncExitStack() as opened:
        yield await Served.set_up(tmp_path_factory.mktemp("served"), opened)


def test_every_rpc_has_a_row() -> None:
    assert ROWS.keys() == METHODS.keys()


@pytest.mark.parametrize("name", METHODS)
def test_every_rule_has_a_mutation(name: str) -> None:
    request = METHODS[name].input_type
    found = mutations(request)
    covered = {(each.path, each.rule) for each in found} | {(each.reported, each.rule) for each in found}
    assert {(path, reported_rule(rule)) for path, rule in rule_ids(request)} <= covered


@pytest.mark.parametrize("name", METHODS)
def test_every_field_has_a_rule(name: str) -> None:
    """A field that nothing bounds is a field that nobody thought about."""
    request = METHODS[name].input_type
    assert {path for path, _ in leaves(request)} == {path for path, _ in rule_ids(request)}


@pytest.mark.parametrize("name", METHODS)
@in_module
async def test_the_baseline_is_answered_and_asked_again_writes_nothing(name: str, served: Served) -> None:
    row = ROWS[name]
    first = await served.call(row.caller, name, row.request(served))
    before = served.journal
    assert await served.call(row.caller, name, row.request(served)) == first
    assert served.journal == before


@pytest.mark.parametrize(("name", "mutation"), MUTATIONS)
@in_module
async def test_one_wrong_field(name: str, mutation: Mutation, served: Served) -> None:
    row = ROWS[name]
    request = row.request(served)
    apply(request, mutation)
    assert (mutation.reported.replace("[0]", ""), mutation.rule) in api.broken_rules(request)
    before = served.journal
    error = await fails(served.call(row.caller, name, request))
    info, fields = details(error)
    assert (error.code(), info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "request-invalid")
    assert mutation.reported in fields
    assert served.journal == before


@pytest.mark.parametrize(("name", "path", "repeated"), STATEMENTS)
@in_module
async def test_one_field_that_is_no_statement(name: str, path: str, repeated: bool, served: Served) -> None:
    row = ROWS[name]
    request: Any = row.request(served)
    if repeated:
        getattr(request, path)[0] = b"{}"
    else:
        setattr(request, path, b"{}")
    before = served.journal
    error = await fails(served.call(row.caller, name, request))
    assert (error.code(), details(error)[0].reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        Tag.STATEMENT_MALFORMED.value,
    )
    assert served.journal == before


@pytest.mark.parametrize("seconds", [None, DEADLINE_SECONDS_MAX + 10])
@pytest.mark.parametrize("name", METHODS)
@in_module
async def test_a_call_without_a_deadline_or_with_a_distant_one(
    name: str, seconds: float | None, served: Served
) -> None:
    row, before = ROWS[name], served.journal
    error = await fails(served.call(row.caller, name, row.request(served), seconds=seconds))
    assert (error.code(), details(error)[0].reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "deadline-required",
    )
    assert served.journal == before


@pytest.mark.parametrize(
    ("name", "caller"),
    [
        (name, caller)
        for name in METHODS
        for caller in (CUSTODY, PEER, STRANGER)
        if caller != ROWS[name].caller
    ],
)
@in_module
async def test_everybody_else_is_refused(name: str, caller: str, served: Served) -> None:
    row, before = ROWS[name], served.journal
    error = await fails(served.call(caller, name, row.request(served)))
    assert (error.code(), details(error)[0].reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "caller-not-allowed",
    )
    assert served.journal == before
