"""Which coins a withdrawal sets aside, how large its transaction is, and what it pays the network. Pure.

Sources: BIP-141 (weight and virtual size), BIP-125 (replacement), Bitcoin Core's policy (dust at 3 sat per
byte).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from custody.application.planning import COINS_MAX
from custody.application.ports.chains import FeeQuote, FeeRate
from custody.application.ports.signers import PREVIOUS_BYTES_TOTAL_MAX
from custody.domain.deposit import Coin, Outpoint
from signers.statements.amounts import Sats, Wei
from signers.statements.identifiers import ScriptPubKey, TxId

CHANGE_DUST_SATS: Final = 330
"""A P2WSH output: 43 bytes, and 67 to spend it, at 3 sat per byte."""
RELAY_RATE: Final = FeeRate(1000)
"""The least that nodes relay, and what a replacement adds at least."""
TRANSFER_GAS: Final = 21_000
ETHEREUM_BUMP_PER_CENT: Final = 10
"""Nodes take a replacement where both of its fees are a tenth higher."""

_OVERHEAD_BYTES: Final = 4 + 1 + 1 + 4
_INPUT_BYTES: Final = 32 + 4 + 1 + 4
_OUTPUT_BYTES: Final = 8 + 1
_CHANGE_SCRIPT_BYTES: Final = 34
_MARKER_BYTES: Final = 2
# Stack size, the empty element, two signatures of at most 72 bytes, the script of three keys; each with its
# length.
_WITNESS_BYTES: Final = 1 + 1 + 2 * (1 + 72) + (1 + 105)


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


def payout_vsize(*, inputs: int, destination: ScriptPubKey) -> int:
    """Virtual bytes of a payout with change from `inputs` coins of a 2-of-3 script; never too few."""
    base = _OVERHEAD_BYTES + inputs * _INPUT_BYTES
    base += _OUTPUT_BYTES + len(destination.raw) + _OUTPUT_BYTES + _CHANGE_SCRIPT_BYTES
    witness = _MARKER_BYTES + inputs * _WITNESS_BYTES
    return -(-(4 * base + witness) // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an attempt may pay."""

    left_units: int
    """The fee cap less the fees of all earlier attempts: signers count every attempt they signed."""
    previous_units: int
    """The fee of the latest attempt; 0 before the first."""


def bitcoin_fee(*, rate: FeeRate, vsize: int, surplus_sats: int, budget: Budget) -> Sats | None:
    """What a Bitcoin attempt pays, or `None` where the budget allows none that nodes would take.

    Args:
        rate: the nodes' estimate.
        vsize: of the transaction with change.
        surplus_sats: what the inputs hold beyond the amount, from which fee and change come.
        budget: how much is allowed.
    """
    floor = RELAY_RATE.fee(vsize).units
    if budget.previous_units:
        floor += budget.previous_units
    if floor > budget.left_units:
        return None
    fee = min(max(rate.fee(vsize).units, floor), budget.left_units, surplus_sats)
    change = surplus_sats - fee
    if 0 < change < CHANGE_DUST_SATS:
        # No node relays a change this small: give it to the fee, or keep the fee lower so that it is not
        # small.
        fee = surplus_sats if surplus_sats <= budget.left_units else surplus_sats - CHANGE_DUST_SATS
    return Sats(fee) if floor <= fee <= surplus_sats else None


def fee_wanted(quote: FeeQuote) -> Wei:
    """The most an Ethereum attempt should be allowed to cost, a multiple of its gas.

    The fee per gas leaves room for the base fee to double, and is at least eight times the tip: signers tip
    an eighth.
    """
    base, tip = quote.base_fee_per_gas_wei, quote.priority_fee_per_gas_wei
    return Wei(max(2 * base + tip, 8 * tip) * TRANSFER_GAS)


def ethereum_fee(*, quote: FeeQuote, budget: Budget) -> Wei | None:
    """What is wanted, within the budget; `None` where that allows none that nodes would take."""
    least = max(quote.base_fee_per_gas_wei + 1, _bumped(budget.previous_units // TRANSFER_GAS)) * TRANSFER_GAS
    most = budget.left_units // TRANSFER_GAS * TRANSFER_GAS
    if least > most:
        return None
    return Wei(min(max(fee_wanted(quote).units, least), most))


def _bumped(per_gas_wei: int) -> int:
    return -(-per_gas_wei * (100 + ETHEREUM_BUMP_PER_CENT) // 100) + (8 if per_gas_wei else 0)


class FeesUnaffordable(Exception):  # noqa: N818 - named by what happened, as the ports' conditions are
    """What is left of the fee cap buys no attempt that nodes would take, for now."""
