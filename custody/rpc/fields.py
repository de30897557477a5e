"""Which field of a request a refusal is about: use cases speak of commands, callers of requests."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.descriptor import Descriptor

from custody.domain.errors import CustodyError
from custody.rpc.errors import Violation
from custody.rpc.validation import RequestInvalid

PATHS: Final[Mapping[str, Sequence[str]]] = {
    "account": ("parent", "account_id", "name"),
    "lien": ("lien_id", "name"),
    "withdrawal": ("withdrawal_id", "name"),
    "destination_id": ("destination_id", "withdrawal.destination", "name"),
    "amount": ("withdrawal.amount", "envelope"),
    "fee_cap": ("withdrawal.fee_cap",),
    "pledgor": ("account.pledgor",),
    "secured_party": ("account.secured_party",),
    "custodian": ("account",),
    "enforcement.bitcoin": ("account.enforcement.bitcoin_script_pubkey",),
}
"""Where a command's field comes from: the first path that the request has. Others keep their name."""


def violations(error: CustodyError, request: Descriptor) -> tuple[Violation, ...]:
    """The fields that a refusal is about, by their paths in the request; none where it is about none."""
    if isinstance(error, RequestInvalid):
        return error.violations
    if not error.field:
        return ()
    rule = error.tag.value if error.tag else ""
    for path in PATHS.get(error.field, (error.field,)):
        if resolves(path, request):
            return (Violation(path, error.message, rule),)
    return ()


def resolves(path: str, message: Descriptor) -> bool:
    """Whether a path such as `envelopes[2]` or `withdrawal.amount` names a field of the message."""
    head, _, rest = path.partition(".")
    field = message.fields_by_name.get(head.partition("[")[0])
    if field is None:
        return False
    if not rest:
        return True
    return field.message_type is not None and resolves(rest, field.message_type)
