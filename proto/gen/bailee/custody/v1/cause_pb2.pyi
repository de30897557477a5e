from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAUSE_UNSPECIFIED: _ClassVar[Cause]
    CAUSE_ACCOUNT: _ClassVar[Cause]
    CAUSE_DEPOSIT: _ClassVar[Cause]
    CAUSE_DEPOSIT_REVERSED: _ClassVar[Cause]
    CAUSE_LIEN: _ClassVar[Cause]
    CAUSE_WITHDRAWAL: _ClassVar[Cause]
    CAUSE_WITHDRAWAL_REOPENED: _ClassVar[Cause]
    CAUSE_PRICE: _ClassVar[Cause]
    CAUSE_DESTINATION: _ClassVar[Cause]
    CAUSE_REPORT: _ClassVar[Cause]
    CAUSE_HALT: _ClassVar[Cause]
    CAUSE_HALT_LIFTED: _ClassVar[Cause]
CAUSE_UNSPECIFIED: Cause
CAUSE_ACCOUNT: Cause
CAUSE_DEPOSIT: Cause
CAUSE_DEPOSIT_REVERSED: Cause
CAUSE_LIEN: Cause
CAUSE_WITHDRAWAL: Cause
CAUSE_WITHDRAWAL_REOPENED: Cause
CAUSE_PRICE: Cause
CAUSE_DESTINATION: Cause
CAUSE_REPORT: Cause
CAUSE_HALT: Cause
CAUSE_HALT_LIFTED: Cause
