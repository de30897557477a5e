"""What an attempt offers the network: the nodes' estimate, within what is left of the intent's fee cap."""

from typing import Final

from custody.application.ports.chains import BitcoinChain, EthereumChain
from custody.workers.coin_selection import Budget, FeesUnaffordable, bitcoin_fee, ethereum_fee, payout_vsize
from custody.workers.outflow_case import OutflowCase
from signers.statements.allowlist import BitcoinDestination
from signers.statements.amounts import Amount, Asset, Sats

TARGET_BLOCKS: Final = 6
BUMP_PER_CENT: Final = 25
"""A new attempt is worth its fee when the estimate is this much above what was offered."""


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
        budget = _budget(case)
        fee: Amount | None
        if case.withdrawal.asset is Asset.BTC:
            fee = await self._bitcoin_fee(case, budget)
        else:
            fee = ethereum_fee(quote=await self._ethereum.fee_quote(), budget=budget)
        if fee is None:
            raise FeesUnaffordable(f"{budget.left_units} of the fee cap are left and buy no attempt now")
        return fee

    async def worth_bumping(self, case: OutflowCase, *, refused: bool) -> bool:
        """Whether a new attempt within the cap is worth its fee.

        Args:
            case: with the latest attempt.
            refused: nodes ask for more than that offers, so that anything more helps; otherwise it must be
                markedly more.
        """
        try:
            fee = await self.next_fee(case)
        except FeesUnaffordable:
            return False
        return refused or fee.units * 100 >= case.attempt.fee.units * (100 + BUMP_PER_CENT)

    async def _bitcoin_fee(self, case: OutflowCase, budget: Budget) -> Sats | None:
        destination = case.withdrawal.destination
        if not isinstance(destination, BitcoinDestination):
            raise FeesUnaffordable(f"{destination.asset} has no Bitcoin fee")
        total = sum(coin.amount.units for coin in case.planned_coins)
        return bitcoin_fee(
            rate=await self._bitcoin.fee_rate(target_blocks=TARGET_BLOCKS),
            vsize=payout_vsize(inputs=len(case.planned_coins), destination=destination.script_pubkey),
            surplus_sats=total - case.withdrawal.amount.units,
            budget=budget,
        )


def _budget(case: OutflowCase) -> Budget:
    attempts = case.withdrawal.attempts
    spent = sum(attempt.fee.units for attempt in attempts)
    return Budget(
        left_units=max(0, case.withdrawal.fee_cap.units - spent),
        previous_units=attempts[-1].fee.units if attempts else 0,
    )
