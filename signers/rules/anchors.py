"""Which intents are live: whose anchor is not spent at finality on this signer's own node.

Expiry, a failed broadcast or custody's word end nothing: a transaction that was signed once can be confirmed
at any time, until another one has spent its anchor for good.
"""

from __future__ import annotations

from typing import Final

from signers.journal import AnchorFinal, AnchorReopened, IntentHistory, Point
from signers.rules.signer import Signer
from signers.statements.account import Account
from signers.statements.amounts import Asset
from signers.statements.intent import Intent
from signers.statements.refusals import Tag, refuse_unless

REOPENED_WITHIN_BLOCKS: Final = {Asset.BTC: 2016, Asset.ETH: 50_400}
"""How deep a reorganisation is looked for under an intent that has ended: two weeks and one."""


async def require_free(signer: Signer, intent: Intent, account: Account, tip: Point) -> None:
    """No other intent of the account and asset is live, unless it spends the same anchor.

    The same anchor means a replacement: of the two, one can confirm. It needs its own complete approvals.

    Raises:
        Refusal: `anchor-busy`.
    """
    for history in list(signer.journal.views.of_account(intent.account, intent.asset)):
        current = await observe(signer, history, account, tip)
        refuse_unless(
            not current.live or current.intent.anchor == intent.anchor,
            Tag.ANCHOR_BUSY,
            f"intent {current.intent.intent} is live on another anchor",
        )


async def observe(signer: Signer, history: IntentHistory, account: Account, tip: Point) -> IntentHistory:
    """Hold what the journal says of an anchor against the own node, and write down what changed."""
    entry = await (_ended if history.live else _back)(signer, history, account, tip)
    if entry is None:
        return history
    signer.journal.append(entry, at=signer.wall_clock())
    return signer.journal.views.intents[history.digest]


async def _ended(signer: Signer, history: IntentHistory, account: Account, tip: Point) -> AnchorFinal | None:
    final = await signer.chains[history.intent.asset].anchor_is_final(
        history.intent,
        account,
        depth=signer.policy.terms_of(history.intent.asset).finality_depth,
        since_height=history.entry.seen_at.height,
    )
    return AnchorFinal(intent_digest=history.digest, seen_at=tip) if final else None


async def _back(
    signer: Signer, history: IntentHistory, account: Account, tip: Point
) -> AnchorReopened | None:
    """An anchor that is unspent again is one whose payout can confirm again."""
    assert history.final is not None  # noqa: S101 - asked only of an intent that has ended
    if tip.height - history.final.height > REOPENED_WITHIN_BLOCKS[history.intent.asset]:
        return None
    is_open = await signer.chains[history.intent.asset].anchor_is_open(history.intent, account)
    return AnchorReopened(intent_digest=history.digest, seen_at=tip) if is_open else None


def account_of(signer: Signer, history: IntentHistory) -> Account:
    """The account of an announced intent."""
    cosigned = signer.journal.views.accounts[history.intent.account]
    return Account.read(cosigned.statement.envelope, network=signer.network)
