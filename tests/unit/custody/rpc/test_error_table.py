"""The table from reasons to statuses is the one the protos promise, and every refusal has its row."""

import inspect
import re

import grpc
import pytest
from bailee.custody.v1 import errors_pb2
from google.rpc import error_details_pb2, status_pb2

from custody.domain import errors as domain
from custody.rpc import errors, fields, refusals
from custody.rpc.errors import TABLE, Detail, Violation
from tests.unit.custody.rpc.rows import METHODS
from tests.unit.proto.descriptors import PROTO

NEVER_A_CALLERS = {"TIP_MOVED"}
"""What only workers can be refused with."""


def reasons_of_the_proto() -> set[str]:
    return {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118


def refusals_of(*modules: object) -> list[type[domain.CustodyError]]:
    return [
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, domain.CustodyError) and hasattr(value, "reason")
    ]


def test_the_table_and_the_proto_name_the_same_reasons() -> None:
    assert TABLE.keys() == reasons_of_the_proto()


def test_every_refusal_has_a_row() -> None:
    found = {error.reason for error in refusals_of(domain, refusals)}
    assert found - NEVER_A_CALLERS <= TABLE.keys()
    assert TABLE.keys() <= found, "a row that nothing can reach"


@pytest.mark.parametrize("reason", sorted(TABLE))
def test_the_row_is_what_the_proto_says(reason: str) -> None:
    """The comment of each reason begins with its status code and names its details."""
    text = (PROTO / "bailee" / "custody" / "v1" / "errors.proto").read_text()
    found = re.search(r"((?:  // .*\n)+)  ERROR_REASON_" + reason + " =", text)
    assert found is not None
    comment, row = found[1], TABLE[reason]
    assert comment.lstrip(" /").startswith(row.code.name)
    assert ("RetryInfo" in comment) == (row.detail is Detail.RETRY)


def read(wire: errors.WireError) -> status_pb2.Status:
    ((key, value),) = wire.trailing_metadata
    assert key == "grpc-status-details-bin"
    return status_pb2.Status.FromString(value)


def test_a_refusal_is_bounded_however_much_it_has_to_say() -> None:
    """Headers are bounded by peers: beyond that a client sees INTERNAL and no reason."""
    error = domain.StatementSignature("x" * 10_000, field="envelope", data={"tag": "y" * 10_000})
    wire = errors.refusal(error, violations=[Violation("envelope", "z" * 10_000, "r")] * 500)
    assert wire is not None
    ((_, value),) = wire.trailing_metadata
    assert len(value) < 8 * 1024


@pytest.mark.parametrize("error", [domain.TipMoved("moved"), domain.LedgerInvariant("broken")])
def test_what_was_never_meant_for_a_caller_is_none(error: domain.CustodyError) -> None:
    assert errors.refusal(error, violations=()) is None


def test_an_unexpected_fault_says_a_number_and_nothing_else() -> None:
    status = read(errors.unexpected("c0ffee"))
    assert (status.code, status.message) == (grpc.StatusCode.INTERNAL.value[0], "internal error")
    info = error_details_pb2.ErrorInfo()
    (detail,) = status.details
    assert detail.Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "INTERNAL",
        "bailee",
        {"correlation_id": "c0ffee"},
    )


def test_every_path_of_a_command_leads_to_a_request() -> None:
    requests = [method.input_type for method in METHODS.values()]
    for paths in fields.PATHS.values():
        assert all(any(fields.resolves(path, request) for request in requests) for path in paths)
