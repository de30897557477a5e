"""Custody is killed before and after every port call of the withdrawal driver, on both chains at once.

Real processes, real SIGKILL: a life ends at the first moment that none ended at before, and the next one
begins. The two withdrawals are driven through all of it, so each is interrupted everywhere.
"""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

import pytest

from deploy.localnet.demo.payout import FINALITY_BLOCKS, TIMELOCK_BLOCKS, look
from deploy.localnet.demo.stage import state, until
from signers.statements.amounts import Asset
from tests.system.crash import mortal_ports
from tests.system.crash.scene import Scene, ask_for, consent, custody_composed, deliveries
from tests.system.crash.verdict import require_paid_once

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="package")]

SIGNERS: Final = ("signer-1", "signer-2", "signer-3")
REFUSED: Final = " (SignerRefused)"
ASKED_TO_SIGN: Final = {Asset.BTC: SIGNERS, Asset.ETH: SIGNERS[:1]}

_BITCOIN_ATTEMPT = "BTC signing: bitcoin.raw_transaction > signers.sign_bitcoin"
STEPS: Final = (
    "store.read(to_drive)",
    "store.read(try)",
    "BTC requested: bitcoin.raw_transaction > store.execute(plan)",
    *(f"BTC announcing: signers.announce({each}) > store.execute(announce_to)" for each in SIGNERS),
    "BTC timelocked: bitcoin.raw_transaction > bitcoin.fee_rate > store.execute(begin)",
    *(f"{_BITCOIN_ATTEMPT}({each}){REFUSED} > store.execute(record_refusal)" for each in SIGNERS),
    *(f"{_BITCOIN_ATTEMPT}({each}) > store.execute(ask_bitcoin)" for each in SIGNERS[:2]),
    # The transaction that both signed was not yet written down: one of them is asked once more.
    f"{_BITCOIN_ATTEMPT}(signer-1) > store.execute(ask_bitcoin) > store.execute(ask_bitcoin)",
    "BTC signed: bitcoin.broadcast > store.execute(broadcast)",
    "BTC broadcast: bitcoin.broadcast",
    "ETH requested: store.execute(plan)",
    *(f"ETH announcing: signers.announce({each}) > store.execute(announce_to)" for each in SIGNERS),
    "ETH timelocked: ethereum.fee_quote > store.execute(begin)",
    f"ETH signing: signers.sign_ethereum(signer-1){REFUSED} > store.execute(record_refusal)",
    "ETH signing: signers.sign_ethereum(signer-1) > store.execute(ask_ethereum)",
    "ETH signed: ethereum.broadcast > store.execute(broadcast)",
    "ETH broadcast: ethereum.broadcast",
)
"""What the driver does for one withdrawal of each asset. Every call is killed around, here or not: this is
what must have been among them."""

BROADCAST_AGAIN: Final = ("after BTC broadcast: bitcoin.broadcast", "after ETH broadcast: ethereum.broadcast")


async def test_killed_around_every_port_call_it_pays_exactly_once_on_each_chain(scene: Scene) -> None:
    stage = scene.stage
    file = scene.net.state.folder("crash") / "moments"
    payouts = scene.payouts()
    lives_before = _lives(scene)
    with custody_composed(scene.net, "--moments", str(file)) as custody, deliveries(custody):
        custody.start()
        for payout in payouts:
            await ask_for(stage, payout)
        for payout in payouts:
            await consent(stage, payout)
        # No block passes, so no signer's timelock does: all that can be asked refuse, and are killed around.
        for payout in payouts:
            await until(
                lambda payout=payout: look(stage, payout),  # type: ignore[misc] # a default binds it
                lambda seen, asset=payout.asset: _waits_for_blocks(seen, asset),  # type: ignore[misc]
                what=f"{payout.name} to be refused by all while its timelock runs",
                seconds=120.0,
            )
        for payout in payouts:
            await stage.mine(payout.asset, TIMELOCK_BLOCKS)
        # A block ends this state, so none comes before all of it was killed around.
        await until(
            lambda: asyncio.to_thread(mortal_ports.read, file),
            lambda died_at: set(BROADCAST_AGAIN) <= set(died_at),
            what="both transactions to be broadcast again",
            seconds=120.0,
        )
        for payout in payouts:
            await stage.mine(payout.asset, 1 + FINALITY_BLOCKS[payout.asset])
        await require_paid_once(scene, *payouts)
        died_at = mortal_ports.read(file)
        lives = _lives(scene) - lives_before
    assert set(_moments()) - set(died_at) == set()
    assert len(set(died_at)) == len(died_at) == lives - 1, (
        "every life but the last ended at a moment of its own"
    )


def _moments() -> Iterator[str]:
    """Before and after every call of every step."""
    for step in STEPS:
        subject, colon, calls = step.rpartition(": ")
        course = calls.split(" > ")
        for done in range(len(course)):
            before = [*course[:done], course[done].removesuffix(REFUSED)]
            yield f"before {subject}{colon}{' > '.join(before)}"
            yield f"after {subject}{colon}{' > '.join(course[: done + 1])}"


def _waits_for_blocks(withdrawal: Any, asset: Asset) -> bool:
    refused_by = {each.signer for each in withdrawal.refusals if each.tag == "timelock-running"}
    return state(withdrawal) == "SIGNING" and refused_by == set(ASKED_TO_SIGN[asset])


def _lives(scene: Scene) -> int:
    """How often custody has begun to serve."""
    return (scene.net.state.logs / "custody.log").read_text().count('"event": "serving"')
