"""How much may leave in a while, and what it may cost."""

from __future__ import annotations

from signers.journal import IntentHistory
from signers.rules.signer import Signer
from signers.statements.amounts import Amount
from signers.statements.identifiers import Digest, Seconds
from signers.statements.intent import Intent
from signers.statements.refusals import Tag, refuse_unless


def require_fee_cap(signer: Signer, intent: Intent) -> None:
    """The intent does not promise more to the network than the policy lets it.

    A miner in league with custody would take it all as fee.

    Raises:
        Refusal: `fee-cap`.
    """
    allowed = signer.policy.limit_of(intent.asset).fee_cap
    refuse_unless(
        intent.fee_cap.units <= allowed.units,
        Tag.FEE_CAP,
        f"{intent.fee_cap} where the policy allows {allowed}",
    )


def require_velocity(signer: Signer, intent: Intent, at: Seconds) -> None:
    """Announced amounts and fee caps within the policy's window, this intent included, stay within its limit.

    Announced ones count, confirmed or not: what was announced can leave.

    Raises:
        Refusal: `velocity`.
    """
    limit = signer.policy.limit_of(intent.asset)
    announced = signer.journal.views.announced_units(
        intent.account, intent.asset, since=Seconds(at - limit.window_seconds)
    )
    total = announced + intent.amount.units + intent.fee_cap.units
    refuse_unless(
        total <= limit.total.units,
        Tag.VELOCITY,
        f"{total} within {limit.window_seconds} s where {limit.total} may leave",
    )


def require_fee_budget(history: IntentHistory, transaction_digest: Digest, fee: Amount) -> None:
    """All distinct attempts of an intent together cost at most its fee cap.

    Raises:
        Refusal: `fee-budget`.
    """
    if history.attempt(transaction_digest) is not None:
        return
    total = history.fees_units + fee.units
    refuse_unless(
        total <= history.intent.fee_cap.units,
        Tag.FEE_BUDGET,
        f"{len(history.attempts) + 1} attempts cost {total} where {history.intent.fee_cap} are allowed",
    )
