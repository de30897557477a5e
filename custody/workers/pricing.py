"""What an attempt offers the network: the nodes' estimate, within what is left of the intent's fee cap."""

from dataclasses import dataclass
from typing import Final

from custody.application.ports.chains import BitcoinChain, EthereumChain
from custody.workers.fees import (
    Budget,
    FeesUnaffordable,
    bitcoin_fee,
    ethereum_fee,
    fee_wanted,
    payout_vsize,
)
from custody.workers.outflow_case import OutflowCase
from signers.statements.allowlist import BitcoinDestination
from signers.statements.amounts import Amount, Asset

TARGET_BLOCKS: Final = 6
BUMP_PER_CENT: Final = 25
"""A new attempt is worth its fee when the estimate is this much above what was offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """What the next attempt could offer, in smallest units."""

    wanted_units: int
    """By the nodes' estimate alone."""
    fee: Amount | None
    """With what earlier attempts oblige it to and the cap allows; `None` where that buys nothing."""


class FeePricing:
    """Fees of attempts.

    Args:
        bitcoin: for its fee rate.
        ethereum: for its quote.
    """

    def __init__(self, *, bitcoin: BitcoinChain, ethereum: EthereumChain) -> None:
        self._bitcoin = bitcoin
        self._ethereum = ethereum

    async def next_fee(self, case: OutflowCase) -> Amount:
        """What the next attempt pays (BTC), or costs at most (ETH).

        Raises:
            FeesUnaffordable: what is left of the cap buys nothing that nodes would take, for now.
            ChainError: as the ports.
        """
        offer = await self._offer(case)
        if offer.fee is None:
            left = _budget(case).left_units
            raise FeesUnaffordable(f"{left} of the fee cap are left and buy no attempt now")
        return offer.fee

    async def worth_bumping(self, case: OutflowCase, *, refused: bool) -> bool:
        """Whether a new attempt within the cap is worth its fee.

        Args:
            case: with the latest attempt.
            refused: nodes ask for more than that offers, so that anything more helps; otherwise the estimate
                must be markedly above it.
        """
        offer = await self._offer(case)
        risen = offer.wanted_units * 100 >= case.attempt.fee.units * (100 + BUMP_PER_CENT)
        return offer.fee is not None and (refused or risen)

    async def _offer(self, case: OutflowCase) -> _Offer:
        budget = _budget(case)
        if case.withdrawal.asset is Asset.ETH:
            quote = await self._ethereum.fee_quote()
            return _Offer(wanted_units=fee_wanted(quote).units, fee=ethereum_fee(quote=quote, budget=budget))
        destination = case.withdrawal.destination
        if not isinstance(destination, BitcoinDestination):
            raise FeesUnaffordable(f"{destination.asset} has no Bitcoin fee")
        rate = await self._bitcoin.fee_rate(target_blocks=TARGET_BLOCKS)
        vsize = payout_vsize(inputs=len(case.planned_coins), destination=destination.script_pubkey)
        surplus = sum(coin.amount.units for coin in case.planned_coins) - case.withdrawal.amount.units
        fee = bitcoin_fee(rate=rate, vsize=vsize, surplus_sats=surplus, budget=budget)
        return _Offer(wanted_units=rate.fee(vsize).units, fee=fee)


def _budget(case: OutflowCase) -> Budget:
    attempts = case.withdrawal.attempts
    spent = sum(attempt.fee.units for attempt in attempts)
    return Budget(
        left_units=max(0, case.withdrawal.fee_cap.units - spent),
        previous_units=attempts[-1].fee.units if attempts else 0,
    )
