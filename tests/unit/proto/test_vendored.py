"""What proto/third_party holds is what the pinned distributions carry."""

import ast
from pathlib import Path

import google.api  # type: ignore[import-untyped]
import protovalidate
import pytest
from bailee.buf.validate import validate_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from tests.unit.proto.descriptors import PROTO


def rules_of_the_wheel() -> FileDescriptorProto:
    """Reads the descriptor from the wheel's generated module, which only protobuf-py can load."""
    module = Path(protovalidate.__file__).parent / "_gen" / "buf" / "validate" / "validate_pb.py"
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "file_desc":
            return FileDescriptorProto.FromString(ast.literal_eval(node.args[0]))
    raise AssertionError(f"no descriptor in {module}")


def without_json_names(file: FileDescriptorProto) -> FileDescriptorProto:
    """Generators differ in whether they write the derived JSON names."""
    for field in [*file.extension, *(field for message in file.message_type for field in message.field)]:
        field.ClearField("json_name")
    return file


def test_the_validation_rules_are_those_that_are_enforced() -> None:
    ours = FileDescriptorProto.FromString(validate_pb2.DESCRIPTOR.serialized_pb)
    assert without_json_names(ours) == without_json_names(rules_of_the_wheel())


@pytest.mark.parametrize("name", ["field_behavior.proto", "resource.proto"])
def test_the_api_annotations_are_those_installed(name: str) -> None:
    installed = Path(next(iter(google.api.__path__))) / name
    assert (PROTO / "third_party" / "google" / "api" / name).read_bytes() == installed.read_bytes()
