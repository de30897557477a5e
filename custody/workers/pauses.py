"""How often something is tried again: growing pauses per subject, in memory.

Nothing is lost with it: after a restart everything is simply tried at once.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from signers.statements.identifiers import Seconds

PAUSE_SECONDS_MIN: Final = 2
PAUSE_SECONDS_MAX: Final = 300
SUBJECTS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Pause:
    failures: int
    until: Seconds


class Pauses:
    """When each subject may be tried again."""

    def __init__(self) -> None:
        self._pauses: dict[Hashable, _Pause] = {}

    def due(self, subject: Hashable, *, now: Seconds) -> bool:
        """Whether it may be tried."""
        pause = self._pauses.get(subject)
        return pause is None or now >= pause.until

    def failed(self, subject: Hashable, *, now: Seconds) -> None:
        """It did not work: wait twice as long as before."""
        before = self._pauses.get(subject)
        failures = min(before.failures + 1 if before else 1, 16)
        seconds = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN << (failures - 1))
        self.wait(subject, seconds=seconds, now=now, failures=failures)

    def wait(self, subject: Hashable, *, seconds: int, now: Seconds, failures: int = 0) -> None:
        """Do not try it for a while, without that being a failure."""
        if len(self._pauses) >= SUBJECTS_MAX and subject not in self._pauses:
            self._pauses = {key: each for key, each in self._pauses.items() if each.until > now}
        self._pauses[subject] = _Pause(failures, Seconds(now + seconds))

    def worked(self, subject: Hashable) -> None:
        """It worked: the next time at once."""
        self._pauses.pop(subject, None)
