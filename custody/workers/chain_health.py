"""Whether the ledger follows what custody's own nodes agree on. Watchers say it; who lends or pays asks."""

from typing import Final

from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds

SILENCE_SECONDS_MAX: Final = 120
"""How long a chain may go unseen; a node's restart is shorter. Beyond it the ledger may be a view that is
kept from moving: the owner of a node that is needed only has to stop answering."""


class ChainHealth:
    """In memory on purpose: after a restart the first ticks of each watcher say it again.

    Until a watcher has reached the nodes' tip, its chain counts as disputed: nothing leaves on a chain nobody
    has looked at, and nothing is lent against an old view of one.
    """

    def __init__(self) -> None:
        self._disputed = dict.fromkeys(Asset, "not looked at since the start")
        self._seen_at: dict[Asset, Seconds] = {}

    def disputed(self, *, now: Seconds) -> frozenset[Asset]:
        """Chains whose values are DISPUTED and from which nothing leaves."""
        return frozenset(asset for asset in Asset if self.why(asset, now=now) is not None)

    def why(self, asset: Asset, *, now: Seconds) -> str | None:
        """What a person reads of it; `None` while the ledger follows what the nodes agree on."""
        if asset in self._disputed:
            return self._disputed[asset]
        silence = now - self._seen_at[asset]
        return f"not seen for {silence} s" if silence > SILENCE_SECONDS_MAX else None

    def agree(self, asset: Asset, *, now: Seconds) -> None:
        """The nodes agree, and the ledger stands at their tip."""
        self._seen_at[asset] = now
        self._disputed.pop(asset, None)

    def disagree(self, asset: Asset, detail: str) -> None:
        """The nodes disagree, or the chain broke with what is recorded."""
        self._disputed[asset] = detail
