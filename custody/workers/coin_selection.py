"""Which coins a withdrawal sets aside. Pure."""

from collections.abc import Mapping, Sequence

from custody.application.planning import COINS_MAX
from custody.application.ports.signers import PREVIOUS_BYTES_TOTAL_MAX
from custody.domain.deposit import Coin, Outpoint
from signers.statements.amounts import Sats
from signers.statements.identifiers import TxId


class CoinsInsufficient(Exception):  # noqa: N818 - named by what happened, as the ports' conditions are
    """The account's confirmed coins do not cover amount and fee cap within one transaction, for now."""


class InputsTooLong(Exception):  # noqa: N818 - as above
    """The transactions that made the coins do not fit into one request to a signer."""


def select_coins(
    coins: Sequence[Coin],
    needed: Sats,
    *,
    anchor: Outpoint | None = None,
    coins_max: int = COINS_MAX,
    sizes: Mapping[TxId, int] | None = None,
) -> tuple[Coin, ...]:
    """The fewest coins that cover `needed`: the anchor, then the largest first, ties by outpoint.

    Signers are shown the whole transaction that made each coin. One that does not fit beside those chosen
    before it is left out: whoever pays us chooses its length, and signers cannot be asked for more.

    Args:
        coins: the account's confirmed coins that nothing else has set aside.
        needed: amount and fee cap together, so that no attempt runs short.
        anchor: the coin that must be among them, where signers may be bound to one.
        coins_max: how many inputs a signer takes.
        sizes: bytes, without witnesses, of the transactions that made the coins; what is not known counts 0.

    Returns:
        The intent's anchor first.

    Raises:
        CoinsInsufficient: they do not cover it, or the anchor is not among them.
        InputsTooLong: they would, were the transactions that made them shorter.
    """
    if anchor is not None and all(coin.outpoint != anchor for coin in coins):
        raise CoinsInsufficient(f"signers may be bound to {anchor}, which is not confirmed deep enough")
    known = sizes or {}
    chosen: list[Coin] = []
    total, bytes_left, left_out = 0, PREVIOUS_BYTES_TOTAL_MAX, 0
    for coin in sorted(coins, key=lambda each: (each.outpoint != anchor, -each.amount.units, each.outpoint)):
        if total >= needed.units or len(chosen) == coins_max:
            break
        size = known.get(coin.outpoint.txid, 0)
        if size > bytes_left:
            left_out += 1
            continue
        chosen.append(coin)
        total += coin.amount.units
        bytes_left -= size
    if total < needed.units and left_out:
        raise InputsTooLong(
            f"{len(chosen)} coins of {total} sat do not cover {needed}; with the transactions of {left_out}"
            f" others signers would be shown more than {PREVIOUS_BYTES_TOTAL_MAX} bytes"
        )
    if total < needed.units:
        raise CoinsInsufficient(f"{len(chosen)} coins of {total} sat do not cover {needed}")
    return tuple(chosen)
