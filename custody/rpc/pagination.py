"""Page tokens: opaque, bounded, and good only for the caller and request they were given to.

A token is a cursor under a MAC over everything that must not change between two pages. The key is made at
every start, so a listing that spans a restart begins again; nothing else depends on it.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from google.protobuf.message import Message

from custody.rpc.calls import Call
from custody.rpc.refusals import PageTokenInvalid

PAGE_SIZE_DEFAULT: Final = 50
KEY_BYTES: Final = 32
_MAC_BYTES: Final = 16
_CURSOR_BYTES_MAX: Final = 256


class PageTokens:
    """Makes tokens and takes them back."""

    def __init__(self, key: bytes) -> None:
        """Hold a secret of `KEY_BYTES` random bytes."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key of page tokens is {KEY_BYTES} bytes")
        self._key = key

    def encode(self, cursor: str | None, request: Message, call: Call) -> str:
        """The token that continues `request` after `cursor`; empty where nothing follows."""
        if cursor is None:
            return ""
        raw = cursor.encode()
        if not 0 < len(raw) <= _CURSOR_BYTES_MAX:
            raise ValueError(f"a cursor is 1 to {_CURSOR_BYTES_MAX} bytes")
        return base64.urlsafe_b64encode(self._mac(raw, request, call) + raw).rstrip(b"=").decode()

    def decode(self, request: Message, call: Call) -> str | None:
        """The cursor that the request's `page_token` carries; `None` for the first page.

        Raises:
            PageTokenInvalid: made up, altered, or of another method, request or caller.
        """
        token: str = getattr(request, "page_token")  # noqa: B009 - every List request has the field
        if not token:
            return None
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise PageTokenInvalid("not a page token", field="page_token") from error
        mac, raw = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not raw or not hmac.compare_digest(mac, self._mac(raw, request, call)):
            raise PageTokenInvalid("not a page token of this request", field="page_token")
        return raw.decode()

    def _mac(self, cursor: bytes, request: Message, call: Call) -> bytes:
        """Covers method, caller and every field but the page's own two: a page may be of another size."""
        asked = type(request)()
        asked.CopyFrom(request)
        asked.ClearField("page_token")
        asked.ClearField("page_size")
        parts = (
            call.method.encode(),
            call.principal.name.encode(),
            asked.SerializeToString(deterministic=True),
            cursor,
        )
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, framed, hashlib.sha256)[:_MAC_BYTES]


def page_size(request: Message) -> int:
    """How many items at most: what the request asks for, or the default."""
    return getattr(request, "page_size") or PAGE_SIZE_DEFAULT  # noqa: B009 - every List request has the field
