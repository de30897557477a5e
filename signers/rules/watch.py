"""What a signer does between calls, so that nothing of it hangs on custody asking.

Confirm the journal with the peers after a start, and pin the policy in a new one; follow their journals and
gather their announce receipts, so that each signer remembers the others' and knows of an intent while its
timelock still runs; see which anchors are spent for good; remember the time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from signers.journal import IntentHistory
from signers.peers.port import PeerUnavailable
from signers.rules import anchors, moment, receipts
from signers.rules.chains import NodeUnavailable
from signers.rules.moment import Moment
from signers.rules.policy import pin
from signers.rules.signer import Signer
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds, SignerId
from signers.statements.refusals import Refusal

HIGH_WATER_SECONDS: Final = Seconds(600)
PEER_SECONDS_MAX: Final = 10.0
"""What one peer may take of a round: so long it can hold the next one up."""

_log = logging.getLogger(__name__)


async def tick(signer: Signer) -> bool:
    """One round over everything that is open.

    Returns:
        Whether the journal is confirmed, so that the signer decides at all.

    Raises:
        Refusal: `policy-digest`, where the journal was kept under another policy.
    """
    await _confirm_journal(signer)
    if not signer.reconciliation.whole:
        return False
    pin(signer)
    for asset in signer.chains:
        await _follow_chain(signer, asset)
    await asyncio.gather(*(_follow_peer(signer, peer) for peer in signer.peer_ids))
    return True


async def _confirm_journal(signer: Signer) -> None:
    await asyncio.gather(*(_confirm_with(signer, peer) for peer in signer.reconciliation.silent))
    if signer.reconciliation.behind:
        _log.critical("journal is behind, everything is refused: %s", signer.reconciliation.behind)


async def _confirm_with(signer: Signer, peer: SignerId) -> None:
    try:
        await signer.reconciliation.ask(peer)
    except PeerUnavailable as error:
        _log.info("journal not confirmed: %s", error)


async def _follow_chain(signer: Signer, asset: Asset) -> None:
    try:
        now = await moment.trusted(signer, signer.chains[asset], asset)
        moment.remember(signer, now, at_least_every_seconds=HIGH_WATER_SECONDS)
        for history in signer.journal.views.live():
            if history.intent.asset is asset:
                await _observe(signer, history, now)
    except (NodeUnavailable, Refusal) as error:
        _log.warning("%s is not followed: %s", asset, error)


async def _observe(signer: Signer, history: IntentHistory, now: Moment) -> None:
    async with signer.locks.of(history.intent.account):
        current = signer.journal.views.intents[history.digest]
        await anchors.observe(signer, current, anchors.account_of(signer, current), now.tip.point)


async def _follow_peer(signer: Signer, peer: SignerId) -> None:
    """Its journal, and its receipts of everything live. What it does wrong stops nothing but its own."""
    try:
        async with asyncio.timeout(PEER_SECONDS_MAX):
            await signer.reconciliation.follow(peer, at=signer.wall_clock())
            for history in signer.journal.views.live():
                if peer in receipts.missing(signer, history):
                    await _gather(signer, history, peer)
    except (PeerUnavailable, TimeoutError) as error:
        _log.info("%s is not followed: %s %s", peer, type(error).__name__, error)
    except Refusal as refusal:
        _log.critical("%s is not followed: %s", peer, refusal)


async def _gather(signer: Signer, history: IntentHistory, peer: SignerId) -> None:
    try:
        await receipts.fetch(signer, history, peer)
    except Refusal as refusal:
        _log.warning("%s gave no receipt of %s: %s", peer, history.digest, refusal)
