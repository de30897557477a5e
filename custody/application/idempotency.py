"""One request id, one effect.

The key is (principal, method, request id). A success is recorded in the same transaction as its effect and is
answered again for ever; a refusal is not recorded, so it is evaluated again. Whether the caller may do it at
all is asked before `once`, so that who has lost a role is not answered for what it could do when it had it.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar, cast

from custody.application.ports.store import Outcome, RequestKey, UnitOfWork
from custody.domain.errors import RequestIdReused
from custody.domain.identifiers import RequestId
from custody.domain.principal import Principal
from signers.statements.amounts import Amount
from signers.statements.canonical import JSON
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest

T = TypeVar("T")


def once(
    uow: UnitOfWork,
    *,
    principal: Principal,
    method: str,
    request_id: RequestId,
    command: object,
    effect: Callable[[], T],
) -> T:
    """Do it, unless this request has done it: then answer what it answered.

    Args:
        uow: where the outcome is looked up and recorded.
        principal: the caller.
        method: the use case.
        request_id: the caller's key.
        command: everything the caller said; another body under the same key is refused.
        effect: does it.

    Raises:
        RequestIdReused: the key stands for another command.
    """
    key = RequestKey(principal.name, method, request_id)
    said = fingerprint(command)
    before = uow.outcome(key)
    if before is None:
        result = effect()
        uow.save_outcome(key, Outcome(said, result))
        return result
    if before.fingerprint != said:
        raise RequestIdReused(f"{request_id} was used for another {method}", field="request_id")
    return cast("T", before.result)


def fingerprint(command: object) -> Digest:
    """SHA-256 of the RFC 8785 form of a command, in which an envelope is its digest and its signatures.

    Commands hold ASCII text and integers only; for these, sorted keys without white space are that form.
    """
    return Digest.of(_encode(_plain(command)).encode())


_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def _plain(value: object) -> JSON:
    match value:
        case None | str() | bool() | int():
            return value
        case Envelope():
            return [value.digest, [[s.keyid, s.sig.hex()] for s in value.signatures]]
        case Amount():
            return {"asset": value.asset.value, "units": str(value.units)}
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(item) for item in value]
    return {name: _plain(getattr(value, name)) for name in _names(cast("Hashable", type(value)))}


@functools.cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))
