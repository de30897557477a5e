"""The rules of the API that hold for every RPC, request and resource there is."""

import importlib
import re
from collections.abc import Callable

import pytest
from google.api import field_behavior_pb2, resource_pb2  # type: ignore[import-untyped]
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from tests.unit.proto import descriptors as api

METHODS = api.methods()
CUSTODY_METHODS = [method for method in METHODS if method.full_name.startswith(api.CUSTODY)]
WRITES = [method for method in CUSTODY_METHODS if not api.is_read(method)]
RESOURCES = [
    message for message in api.messages() if message.GetOptions().HasExtension(resource_pb2.resource)
]
APPEND_ONLY = {"Posting", "CollateralReport"}


def named(items: list[MethodDescriptor] | list[Descriptor]) -> Callable[..., pytest.MarkDecorator]:
    return lambda argument: pytest.mark.parametrize(argument, items, ids=[item.full_name for item in items])


def of_request(request: Descriptor, broken: Callable[[FieldDescriptor], bool]) -> list[str]:
    return [field.full_name for field in api.request_fields(request) if broken(field)]


def test_every_service_is_found() -> None:
    assert {method.containing_service.full_name for method in METHODS} == {
        f"bailee.custody.v1.{name}Service"
        for name in ("Account", "Collateral", "Lien", "Price", "Withdrawal", "Approval", "Policy")
    } | {"bailee.signer.v1.SignerService", "bailee.signer.v1.PeerService"}


@named(METHODS)("method")
def test_every_request_field_says_who_sets_it(method: MethodDescriptor) -> None:
    assert of_request(method.input_type, lambda field: not api.behaviors(field)) == []


@named(METHODS)("method")
def test_every_request_field_is_bounded(method: MethodDescriptor) -> None:
    unbounded = of_request(
        method.input_type, lambda field: not api.is_output_only(field) and not api.is_bounded(field)
    )
    assert unbounded == []


@named(METHODS)("method")
def test_every_integer_of_a_request_has_an_upper_limit(method: MethodDescriptor) -> None:
    numbers = {
        FieldDescriptor.TYPE_INT32: "int32",
        FieldDescriptor.TYPE_UINT32: "uint32",
        FieldDescriptor.TYPE_UINT64: "uint64",
    }

    def unlimited(field: FieldDescriptor) -> bool:
        kind = numbers.get(field.type)
        if kind is None or api.is_output_only(field):
            return False
        return not getattr(api.rules(field), kind).HasField("lte")

    assert of_request(method.input_type, unlimited) == []


@named(METHODS)("method")
def test_enums_of_a_request_are_known_and_specified(method: MethodDescriptor) -> None:
    def lax(field: FieldDescriptor) -> bool:
        if field.enum_type is None or api.is_output_only(field):
            return False
        rule = api.rules(field).enum
        return not (rule.defined_only and 0 in rule.not_in)

    assert of_request(method.input_type, lax) == []


@named(METHODS)("method")
def test_required_is_enforced_not_only_said(method: MethodDescriptor) -> None:
    """An empty request is refused on each of its required fields and on no other."""
    empty = message_factory.GetMessageClass(method.input_type)()
    assert {field for field, _ in api.broken_rules(empty)} == {
        field.name for field in method.input_type.fields if api.is_required(field)
    }


@named(WRITES)("method")
def test_every_write_requires_a_request_id(method: MethodDescriptor) -> None:
    field = method.input_type.fields_by_name["request_id"]
    assert api.is_required(field)
    assert api.rules(field).string.len == 36


@named(CUSTODY_METHODS)("method")
def test_reads_are_declared_and_named_as_reads(method: MethodDescriptor) -> None:
    assert api.is_read(method) == bool(re.match(r"(Get|List|Watch)[A-Z]", method.name))


@named(CUSTODY_METHODS)("method")
def test_no_service_mixes_reads_and_writes(method: MethodDescriptor) -> None:
    assert {api.is_read(other) for other in method.containing_service.methods} == {api.is_read(method)}


@named(WRITES)("method")
def test_decisions_on_what_was_read_carry_its_etag(method: MethodDescriptor) -> None:
    decides = re.match(r"Sign|Release|Cancel|Approve|Lift", method.name) is not None
    assert ("etag" in method.input_type.fields_by_name) == decides


@named(WRITES)("method")
def test_creates_can_be_tried_without_effect(method: MethodDescriptor) -> None:
    creates = re.match(r"Create|Reserve", method.name) is not None
    assert ("validate_only" in method.input_type.fields_by_name) == creates


@named([method for method in CUSTODY_METHODS if method.name.startswith("List")])("method")
def test_every_list_is_paged(method: MethodDescriptor) -> None:
    assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
    assert "next_page_token" in method.output_type.fields_by_name


@named(RESOURCES)("resource")
def test_resources_follow_the_aips(resource: Descriptor) -> None:
    name = resource.fields_by_name["name"]
    assert name.number == 1
    assert api.behaviors(name) == {field_behavior_pb2.IDENTIFIER}
    assert [field.name for field in resource.fields if not api.behaviors(field)] == []
    assert "create_time" in resource.fields_by_name
    if resource.name not in APPEND_ONLY:
        assert {"update_time", "etag"} <= set(resource.fields_by_name)


@named(RESOURCES)("resource")
def test_states_are_output_only(resource: Descriptor) -> None:
    if "state" in resource.fields_by_name:
        state = resource.fields_by_name["state"]
        assert api.is_output_only(state)
        assert state.enum_type is not None
        assert state.enum_type.containing_type is resource
        assert state.enum_type.values_by_number[0].name == "STATE_UNSPECIFIED"


def test_no_message_has_a_floating_point_number_or_a_map() -> None:
    refused = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}
    for message in api.messages():
        assert [field.full_name for field in message.fields if field.type in refused] == []
        assert not message.GetOptions().map_entry


def test_signers_know_nothing_of_custody() -> None:
    signer = importlib.import_module("bailee.signer.v1.signer_pb2").DESCRIPTOR
    assert [file.name for file in signer.dependencies if "custody" in file.name] == []


def test_what_signers_answer_is_bounded() -> None:
    """A signer can be compromised: custody and its peers validate what it sends."""
    answers = [method.output_type for method in METHODS if method not in CUSTODY_METHODS]
    assert [
        name for answer in answers for name in of_request(answer, lambda field: not api.is_bounded(field))
    ] == []


def test_the_bound_check_sees_an_unbounded_field() -> None:
    deposit = importlib.import_module("bailee.custody.v1.deposit_pb2").Deposit.DESCRIPTOR
    assert not api.is_bounded(deposit.fields_by_name["transaction_id"])
