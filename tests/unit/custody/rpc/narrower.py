"""What a field's rule lets through and its type does not."""

from typing import Any

from google.protobuf.descriptor import Descriptor

from tests.unit.proto.mutations import Mutation, leaves

_WEAK_KEYS = {
    "small-order-zero": b"\x00" * 32,
    "the-identity": b"\x01" + b"\x00" * 31,
    "of-order-eight": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "a-second-spelling": (2**255 - 19 + 2).to_bytes(32, "little"),
    "no-point": b"\xff" * 32,
}
_ODD_SCRIPTS = {
    "burns-it": b"\x6a\x14" + b"\x11" * 20,
    "no-script": b"\x00" * 34,
    "a-wrong-length": b"\x00\x15" + b"\x11" * 21,
    "anyones-next-version": b"\x52\x20" + b"\x11" * 32,
    "anyones-short-taproot": b"\x51\x14" + b"\x11" * 20,
    "no-ending": b"\x76\xa9\x14" + b"\x11" * 20 + b"\x88\xad",
}
NARROWER: dict[str, tuple[str, dict[str, Any]]] = {
    "public_key": ("FIELD_INVALID", _WEAK_KEYS),
    "bitcoin_script_pubkey": ("FIELD_INVALID", _ODD_SCRIPTS),
    "units": ("FIELD_INVALID", {"more-than-can-exist": "9" * 38}),
    "etag": ("FIELD_INVALID", {"another-services": "W/abc", "upper-case": "AB" * 16}),
    "page_token": ("PAGE_TOKEN_INVALID", {"made-up": "abc", "no-base64": "\N{SNOWMAN}"}),
    "envelope": ("STATEMENT_MALFORMED", {"no-envelope": b"{}"}),
    "envelopes": ("STATEMENT_MALFORMED", {"no-envelope": [b"{}"]}),
}
"""By a field's name: the reason, and values that its rule lets through."""


def refused_by_type(request: Descriptor) -> list[Mutation]:
    """One bad value at least for every field whose type is narrower than its rule."""
    return [
        Mutation(path, value, reason, f"{path}[0]" if field.is_repeated else path, why)
        for path, field in leaves(request)
        if field.name in NARROWER
        for reason, values in [NARROWER[field.name]]
        for why, value in values.items()
    ]
