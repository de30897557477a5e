"""An intent of ether of the account that the Bitcoin tests use: the valid baseline that tests mutate."""

from dataclasses import dataclass, replace
from typing import Any

from signers.statements.account import Account
from signers.statements.amounts import Wei
from signers.statements.intent import Intent
from tests.signers.bitcoin import material

MATERIAL = material.make()
GWEI = 10**9


@dataclass(frozen=True)
class Payment:
    """Arguments of `build_payout` and of what verifies."""

    account: Account
    intent: Intent
    fee: Wei

    @property
    def arguments(self) -> dict[str, Any]:
        return {"intent": self.intent, "account": self.account, "fee": self.fee}

    def but(self, **changes: Any) -> "Payment":
        """The same payment with one thing changed."""
        return replace(self, **changes)

    def but_intent(self, **changes: Any) -> "Payment":
        """The same payment with one thing of its intent changed."""
        return replace(self, intent=replace(self.intent, **changes))


def payment() -> Payment:
    """1 ETH at nonce 7, at 32 gwei of at most 40 gwei for a unit of gas."""
    return Payment(
        account=MATERIAL.account,
        intent=material.intent(
            MATERIAL,
            anchor=material.nonce_anchor(7),
            amount=Wei(10**18),
            fee_cap=Wei(21_000 * 40 * GWEI),
        ),
        fee=Wei(21_000 * 32 * GWEI),
    )
