"""The full matrix: every process is killed in every state of a withdrawal, on both chains.

One withdrawal of each asset per process. A gate in custody holds both in each state in turn. There the
process is killed. What takes the withdrawals further is then done without it, as far as that can be: one that
needs it stands still, one that does not goes on. Then it is brought back. At last, all of them at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pytest

from custody.domain.withdrawal_states import OPEN, WithdrawalState
from deploy.localnet.demo.payout import FINALITY_BLOCKS, TIMELOCK_BLOCKS, Payout, look, reach
from deploy.localnet.demo.stage import state, until
from signers.statements.amounts import Asset
from tests.system.crash.gate import Gate
from tests.system.crash.outage import bring_back, kill
from tests.system.crash.scene import Scene, ask_for, consent, custody_composed
from tests.system.crash.verdict import require_paid_once

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

LIFE: Final = tuple(each for each in WithdrawalState if each in OPEN)
"""The states in their order. Whoever adds one gives it a place in `ONWARD`."""
PARTS: Final = (
    "custody",
    *(f"signer-{number}" for number in (1, 2, 3)),
    *(f"openbao-{number}" for number in (0, 1, 2, 3)),
    "bitcoind",
    "anvil",
)
NODES: Final = {Asset.BTC: "bitcoind", Asset.ETH: "anvil"}
LOOKS: Final = 4
"""How often the driver reads its work list before it has certainly tried, and met what is down."""


async def _nothing(_scene: Scene, _payout: Payout) -> None:
    """The driver does it all, once the gate is open."""


async def _consent(scene: Scene, payout: Payout) -> None:
    await consent(scene.stage, payout)


async def _mine_the_timelock(scene: Scene, payout: Payout) -> None:
    await scene.stage.mine(payout.asset, TIMELOCK_BLOCKS)


async def _mine_its_block(scene: Scene, payout: Payout) -> None:
    """Nobody else sends anything: what waits for a block is this. A lost mempool has to be filled again."""
    net = scene.net
    mempool = net.bitcoind.mempool if payout.asset is Asset.BTC else net.anvil.mempool
    await until(
        lambda: asyncio.to_thread(mempool),
        lambda waiting: len(waiting) == 1,
        what=f"the transaction of {payout.name} to wait for a block",
    )
    await scene.stage.mine(payout.asset)


async def _mine_to_finality(scene: Scene, payout: Payout) -> None:
    await scene.stage.mine(payout.asset, FINALITY_BLOCKS[payout.asset])


@dataclass(frozen=True, kw_only=True)
class Onward:
    """What the world does to take a withdrawal out of a state.

    Attributes:
        does: it.
        by: the part it is done by.
    """

    does: Callable[[Scene, Payout], Awaitable[None]]
    by: Callable[[Asset], str]


ONWARD: Final[Mapping[WithdrawalState, Onward]] = {
    WithdrawalState.REQUESTED: Onward(does=_nothing, by=lambda _: ""),
    WithdrawalState.AWAITING_SIGNATURES: Onward(does=_consent, by=lambda _: "custody"),
    WithdrawalState.ANNOUNCING: Onward(does=_nothing, by=lambda _: ""),
    WithdrawalState.TIMELOCKED: Onward(does=_nothing, by=lambda _: ""),
    WithdrawalState.SIGNING: Onward(does=_mine_the_timelock, by=NODES.__getitem__),
    WithdrawalState.SIGNED: Onward(does=_nothing, by=lambda _: ""),
    WithdrawalState.BROADCAST: Onward(does=_mine_its_block, by=NODES.__getitem__),
    WithdrawalState.CONFIRMING: Onward(does=_mine_to_finality, by=NODES.__getitem__),
}


def needed(part: str, state: WithdrawalState, asset: Asset) -> bool:
    """Whether nothing leads out of that state without the part."""
    kind, _, number = part.partition("-")
    of_a_signer = kind in {"signer", "openbao"} and number != "0"
    match state:
        case WithdrawalState.REQUESTED:  # coins are chosen by the length of the transactions that made them
            return part == "custody" or (part == NODES[asset] and asset is Asset.BTC)
        case WithdrawalState.AWAITING_SIGNATURES:
            return part == "custody"
        case WithdrawalState.ANNOUNCING:  # to every signer, which looks at its own node
            return of_a_signer or part in {"custody", NODES[asset]}
        case WithdrawalState.SIGNING:  # two of three signers, but of an Ethereum key the only one that has it
            holder = of_a_signer and number == "1" and asset is Asset.ETH
            return holder or part in {"custody", NODES[asset]}
        case _:
            return part in {"custody", NODES[asset]}


@pytest.fixture(scope="module")
def gate(scene: Scene) -> Iterator[Gate]:
    gate = Gate(scene.net.state.folder("gate"))
    gate.close_at(None)
    with custody_composed(scene.net, "--gate", str(gate.folder)) as custody:
        custody.start()
        yield gate


async def test_every_state_and_every_process_has_its_place(scene: Scene) -> None:
    assert set(ONWARD) == set(LIFE)
    assert set(PARTS) == {process.name for process in scene.net.supervisor.processes}


@pytest.mark.parametrize("down", [*((part,) for part in PARTS), PARTS], ids=[*PARTS, "all"])
async def test_killed_in_every_state_it_pays_exactly_once_on_each_chain(
    scene: Scene, gate: Gate, down: Collection[str]
) -> None:
    stage, payouts = scene.stage, scene.payouts()
    gate.close_at(LIFE[0])
    for payout in payouts:
        await ask_for(stage, payout)
    for here, following in pairwise([*LIFE, WithdrawalState.SETTLED]):
        for payout in payouts:
            await reach(stage, payout, here.name)
        await asyncio.to_thread(kill, scene.net, down)
        gate.close_at(following)
        waiting = [each for each in payouts if any(needed(part, here, each.asset) for part in down)]
        postponed = [each for each in payouts if ONWARD[here].by(each.asset) in down]
        for payout in payouts:
            if payout not in postponed:
                await ONWARD[here].does(scene, payout)
            if payout not in waiting:
                await reach(stage, payout, following.name)
        if "custody" not in down:
            await until(lambda: _looks(gate), lambda count: count >= LOOKS, what="the driver to try")
            for payout in waiting:
                assert state(await look(stage, payout)) == here.name, f"without {down}?"
        await asyncio.to_thread(bring_back, scene.net, down)
        for payout in postponed:
            await ONWARD[here].does(scene, payout)
    await require_paid_once(scene, *payouts)
    assert scene.net.ended_processes() == (), "no other part goes down with it"


async def _looks(gate: Gate) -> int:
    return gate.looks
