"""Whether custody's own nodes agree: said by each chain's watcher, heard by driver and publisher."""

from signers.statements.amounts import Asset


class ChainHealth:
    """In memory on purpose: after a restart the first tick of each watcher says it again.

    Until a watcher has spoken, its chain counts as disputed: nothing leaves on a chain nobody has looked at.
    """

    def __init__(self) -> None:
        self._disputed = dict.fromkeys(Asset, "not looked at since the start")

    @property
    def disputed(self) -> frozenset[Asset]:
        """Chains whose values are DISPUTED and from which nothing leaves."""
        return frozenset(self._disputed)

    def why(self, asset: Asset) -> str | None:
        """What a person reads of it; `None` while the nodes agree."""
        return self._disputed.get(asset)

    def agree(self, asset: Asset) -> None:
        """The nodes agree."""
        self._disputed.pop(asset, None)

    def disagree(self, asset: Asset, detail: str) -> None:
        """The nodes disagree, or the chain broke with what is recorded."""
        self._disputed[asset] = detail
