"""Which intents are live: whose anchor is not spent at finality on this signer's own node.

Expiry, a failed broadcast or custody's word end nothing: a transaction that was signed once can be confirmed
at any time, until another one has spent its anchor for good.
"""

from __future__ import annotations

from typing import Final

from signers.journal import AnchorFinal, AnchorReopened, AnchorSeenSpent, IntentHistory, Point
from signers.rules.chains import AnchorSeen, AnchorState, Chain
from signers.rules.signer import Signer
from signers.statements.account import Account
from signers.statements.amounts import Asset
from signers.statements.identifiers import Digest
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
    if history.final is not None and _beyond_recall(history, tip):
        return history
    chain = signer.chains[history.intent.asset]
    seen = await chain.see_anchor(history.intent, account, made_in=history.made_in)
    entry = await _change(signer, chain, history, seen, tip)
    if entry is None:
        return history
    signer.journal.append(entry, at=signer.wall_clock())
    return signer.journal.views.intents[history.digest]


def _beyond_recall(history: IntentHistory, tip: Point) -> bool:
    assert history.final is not None  # noqa: S101 - asked only of an intent that has ended
    return tip.height - history.final.height > REOPENED_WITHIN_BLOCKS[history.intent.asset]


Change = AnchorSeenSpent | AnchorFinal | AnchorReopened | None


async def _change(
    signer: Signer, chain: Chain, history: IntentHistory, seen: AnchorSeen, tip: Point
) -> Change:
    match seen.state:
        case AnchorState.OPEN:
            return _open(history, seen.at)
        case AnchorState.UNKNOWN:
            reopened = AnchorReopened(intent_digest=history.digest, made_in=history.made_in)
            return reopened if history.spent is not None or history.final is not None else None
        case AnchorState.FINAL:
            ended = AnchorFinal(intent_digest=history.digest, seen_at=seen.at)
            return ended if history.live else None
        case AnchorState.SPENT:
            return await _spent(signer, chain, history, seen.at, tip)


def _open(history: IntentHistory, made_in: Point) -> Change:
    moved = history.intent.asset is Asset.BTC and made_in != history.made_in
    if moved or history.spent is not None or history.final is not None:
        return AnchorReopened(intent_digest=history.digest, made_in=made_in)
    return None


async def _spent(signer: Signer, chain: Chain, history: IntentHistory, spent_by: Point, tip: Point) -> Change:
    """Count confirmations from a block that is still in the chain; start over where it is not."""
    if history.spent is None or not await chain.holds(history.spent):
        return AnchorSeenSpent(intent_digest=history.digest, spent_by=spent_by)
    depth = signer.policy.terms_of(history.intent.asset).finality_depth
    # ETH says 0: only its own finality, which `see_anchor` reports, ends an intent there.
    deep_enough = depth > 0 and tip.height - history.spent.height + 1 >= depth
    if history.live and deep_enough:
        return AnchorFinal(intent_digest=history.digest, seen_at=tip)
    return None


def account_of(signer: Signer, history: IntentHistory) -> Account:
    """The account of an announced intent."""
    cosigned = signer.journal.views.accounts[history.intent.account]
    return Account.read(cosigned.statement.envelope, network=signer.network)


def live_digests(signer: Signer) -> tuple[Digest, ...]:
    """The intents to keep an eye on."""
    return tuple(history.digest for history in signer.journal.views.live())
