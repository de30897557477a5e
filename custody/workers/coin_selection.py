"""Which coins a withdrawal sets aside. Pure."""

from collections.abc import Sequence

from custody.application.planning import COINS_MAX
from custody.domain.deposit import Coin, Outpoint
from signers.statements.amounts import Sats


class CoinsInsufficient(Exception):  # noqa: N818 - named by what happened, as the ports' conditions are
    """The account's confirmed coins do not cover amount and fee cap within one transaction, for now."""


def select_coins(
    coins: Sequence[Coin], needed: Sats, *, anchor: Outpoint | None = None, coins_max: int = COINS_MAX
) -> tuple[Coin, ...]:
    """The fewest coins that cover `needed`: the anchor, then the largest first, ties by outpoint.

    Args:
        coins: the account's confirmed coins that nothing else has set aside.
        needed: amount and fee cap together, so that no attempt runs short.
        anchor: the coin that must be among them, where signers may be bound to one.
        coins_max: how many inputs a signer takes.

    Returns:
        The intent's anchor first.

    Raises:
        CoinsInsufficient: they do not cover it, or the anchor is not among them.
    """
    if anchor is not None and all(coin.outpoint != anchor for coin in coins):
        raise CoinsInsufficient(f"signers may be bound to {anchor}, which is not confirmed deep enough")
    chosen: list[Coin] = []
    total = 0
    for coin in sorted(coins, key=lambda each: (each.outpoint != anchor, -each.amount.units, each.outpoint)):
        if total >= needed.units or len(chosen) == coins_max:
            break
        chosen.append(coin)
        total += coin.amount.units
    if total < needed.units:
        raise CoinsInsufficient(f"{len(chosen)} coins of {total} sat do not cover {needed}")
    return tuple(chosen)
