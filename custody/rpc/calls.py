"""One call as its handler sees it."""

import asyncio
from dataclasses import dataclass, field

from custody.domain.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who calls what, and until when. Handed to a service's method in place of gRPC's context."""

    principal: Principal
    method: str
    """Such as `bailee.custody.v1.LienService/ReserveLien`: part of the idempotency key."""
    deadline: float
    """By the event loop's clock; after it nobody reads the answer."""

    def remaining_seconds(self) -> float:
        """Time left; 0 when none is."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What the access log says of a call once it ended."""

    method: str
    correlation_id: str
    """Random; also in an unexpected error's metadata."""
    started: float
    principal: str = ""
    code: str = "OK"
    reason: str = ""
    messages: int = field(default=0)
    """Messages sent on a stream."""
