"""What goes on outside of custody while `make dev` is up: blocks are found, and prices are published."""

import asyncio
import contextlib
import time
from typing import Final

from deploy.localnet.demo.record import Recorder
from deploy.localnet.demo.stage import Stage, set_stage
from deploy.localnet.dev.first_account import AGREEMENT_NAME, open_first_account, write_agreement
from deploy.localnet.dev.first_commands import first_commands, near
from deploy.localnet.localnet import Localnet
from deploy.localnet.wallet import Wallets
from signers.statements.amounts import Asset

_LOOK_SECONDS: Final = 0.5


async def live(net: Localnet, *, block_seconds: float) -> None:
    """Prepare what a newcomer finds, say what to try, and go on until a part of the network ends."""
    async with set_stage(net, Recorder()) as stage:
        await open_first_account(stage, Wallets.of(net.state.path))
        write_agreement(
            net.state.path / AGREEMENT_NAME,
            parties=stage.account.parties,
            enforcement=stage.account.enforcement,
        )
        print(_what_to_try(net, block_seconds=block_seconds), flush=True)
        await _find_blocks(stage, every_seconds=block_seconds)


async def _find_blocks(stage: Stage, *, every_seconds: float) -> None:
    """A block on each chain, again and again: a person who waits for one has nobody to ask."""
    next_at = time.monotonic() + every_seconds
    while not stage.net.ended_processes():
        await asyncio.sleep(_LOOK_SECONDS)
        if time.monotonic() >= next_at:
            next_at += every_seconds
            for asset in Asset:
                with contextlib.suppress(OSError):  # a node that has ended ends the network, with its name
                    await stage.mine(asset)


def _what_to_try(net: Localnet, *, block_seconds: float) -> str:
    commands = "\n".join(map(str, first_commands(net)))
    profiles = near(net.state.folder("profiles"))
    return f"""
Try, in another shell:

{commands}
A block comes every {block_seconds:g} s on each chain. docs/guides/local-network.md goes on from here.
To be somebody for a while: export BAILEE_PROFILE={profiles}/NAME.toml
"""
