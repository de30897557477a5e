"""How much of the service one caller can hold: the calls it has open, of whatever kind, are counted."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from custody.rpc.refusals import Overloaded


class Occupancy:
    """Counts what each caller holds open."""

    def __init__(self, what: str) -> None:
        """Of nothing yet.

        Args:
            what: is counted, in the plural; for the refusal.
        """
        self._what = what
        self._held: Counter[str] = Counter()

    @contextmanager
    def one_of(self, caller: str, *, most: int) -> Iterator[None]:
        """Hold one more for as long as the block takes.

        Raises:
            Overloaded: the caller holds `most` already.
        """
        if self._held[caller] >= most:
            raise Overloaded(f"{caller} holds {most} {self._what} already")
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
