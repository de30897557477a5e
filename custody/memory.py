"""The garbage collector of a process that serves."""

import gc
from typing import Final

_YOUNG_MAX: Final = 10_000
"""New objects before the youngest are looked at. Python says 700: a commit of 64 commands makes more."""


def settle() -> None:
    """Say that what is there now stays, once everything is loaded.

    Otherwise each full collection walks all modules again, and for that long (tens of milliseconds) no call
    is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, *gc.get_threshold()[1:])
