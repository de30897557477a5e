"""Memory for secrets that can be wiped, which Python's `bytes` and `str` cannot.

A `SecretBytes` owns whole pages, so that unlocking or wiping it never touches a neighbour (an `mlock` on a
`bytearray` covers whatever else shares its page, and the first `munlock` there unlocks all of it).
"""

from __future__ import annotations

import binascii
import ctypes
import mmap
import os
from types import TracebackType
from typing import Final, NoReturn, Self

from signers.process_hardening import libc

_MADV_WIPEONFORK: Final = 18  # <sys/mman.h>; Linux 4.14; not named by the mmap module of Python 3.11
_SECRET_BYTES_MAX: Final = 4096


class SecretMemoryUnavailable(Exception):  # noqa: N818 - named for what is the case
    """No locked page could be had for a secret; nothing was stored."""


class SecretWiped(Exception):  # noqa: N818 - named for what is the case
    """A secret was asked for after it had been wiped."""


class SecretMalformed(Exception):  # noqa: N818 - named for what is the case
    """What should have become a secret has the wrong form. Carries nothing of it."""


class SecretBytes:
    """A fixed number of secret bytes on pages of their own: locked, in no dump, zero in a forked child.

    Use as a context manager; leaving it, `wipe()` or garbage collection overwrites the pages with zeros.
    It does not copy, pickle, compare, hash by content or show its content.
    """

    __slots__ = ("_address", "_length", "_pages")

    def __init__(self, length: int) -> None:
        """Allocates `length` (1..4096) zero bytes.

        Raises:
            SecretMemoryUnavailable: the page could not be locked or kept out of dumps and forks.
        """
        if not 1 <= length <= _SECRET_BYTES_MAX:
            raise ValueError(f"a secret has 1 to {_SECRET_BYTES_MAX} bytes, not {length}")
        pages = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        anchor = ctypes.c_char.from_buffer(pages)
        address = ctypes.addressof(anchor)
        del anchor
        if libc.mlock(address, length) != 0:
            reason = os.strerror(ctypes.get_errno())
            pages.close()
            raise SecretMemoryUnavailable(f"mlock of {length} bytes: {reason}")
        try:
            pages.madvise(mmap.MADV_DONTDUMP)
            pages.madvise(_MADV_WIPEONFORK)
        except OSError as exc:
            pages.close()
            raise SecretMemoryUnavailable(f"madvise: {exc.strerror}") from exc
        self._pages: mmap.mmap | None = pages
        self._address = address
        self._length = length

    @classmethod
    def random(cls, length: int) -> Self:
        """Fills a new secret by getrandom(2), the source of `os.urandom`, without a copy in `bytes`.

        Raises:
            SecretMemoryUnavailable: no locked page, or the kernel gave fewer bytes than asked.
        """
        secret = cls(length)
        if libc.getrandom(secret._address, length, 0) != length:
            secret.wipe()
            raise SecretMemoryUnavailable("getrandom gave fewer bytes than asked")
        return secret

    @classmethod
    def from_base64(cls, encoded: str, *, length: int) -> Self:
        """Decodes standard padded base64 of exactly `length` bytes, three bytes at a time.

        The caller's `str` cannot be wiped; decoding by pieces at least leaves no decoded copy beside it.

        Raises:
            SecretMalformed: not canonical base64 of `length` bytes.
            SecretMemoryUnavailable: no locked page.
        """
        quads = -(-length // 3)
        if len(encoded) != 4 * quads:
            raise SecretMalformed(f"not the base64 of {length} bytes")
        secret = cls(length)
        if not secret._decode(encoded, quads):
            secret.wipe()
            raise SecretMalformed(f"not the base64 of {length} bytes")
        return secret

    def _decode(self, encoded: str, quads: int) -> bool:
        pages = self._live()
        for quad in range(quads):
            start = 3 * quad
            expected = min(3, self._length - start)
            try:
                piece = binascii.a2b_base64(encoded[4 * quad : 4 * quad + 4], strict_mode=True)
            except (binascii.Error, ValueError):
                return False
            if len(piece) != expected:
                return False
            pages[start : start + expected] = piece
        return True

    def to_base64(self) -> str:
        """Standard padded base64, for Vault's JSON alone: it cannot be wiped, so never keep or log it."""
        pages = self._live()
        with memoryview(pages) as whole, whole[: self._length] as secret:
            return binascii.b2a_base64(secret, newline=False).decode("ascii")

    def view(self) -> memoryview:
        """A writable view for a C function to read; release it before the secret is wiped.

        Raises:
            SecretWiped: the secret is gone.
        """
        with memoryview(self._live()) as whole:
            return whole[: self._length]

    @property
    def wiped(self) -> bool:
        """True once the content is gone for good."""
        return self._pages is None

    def wipe(self) -> None:
        """Overwrites the pages with zeros, unlocks and returns them. Idempotent."""
        pages, self._pages = self._pages, None
        if pages is None:
            return
        # A call through the C boundary: no compiler proves it useless and drops it.
        ctypes.memset(self._address, 0, len(pages))
        libc.munlock(self._address, self._length)
        try:
            pages.close()
        except BufferError:
            return  # a view is still out: its owner sees zeros, and the page goes when the view goes

    def _live(self) -> mmap.mmap:
        if self._pages is None:
            raise SecretWiped("the secret has been wiped")
        return self._pages

    def __len__(self) -> int:
        return self._length

    def __enter__(self) -> Self:
        self._live()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        # __init__ may have failed before the slot existed.
        if hasattr(self, "_pages"):
            self.wipe()

    def __repr__(self) -> str:
        return f"SecretBytes({self._length} bytes, {'wiped' if self.wiped else 'live'})"

    def _refuse_copy(self, *_: object) -> NoReturn:
        raise TypeError("a secret is neither copied, pickled nor turned into bytes")

    __bytes__ = _refuse_copy
    __copy__ = _refuse_copy
    __deepcopy__ = _refuse_copy
    __reduce__ = _refuse_copy
    __reduce_ex__ = _refuse_copy
