"""What goes on outside of custody while `make dev` is up: blocks are found, and prices are published."""

import asyncio
import contextlib
import itertools
from typing import Final

from deploy.localnet.demo.record import Recorder
from deploy.localnet.demo.stage import Stage, set_stage
from deploy.localnet.dev.first_account import open_first_account, write_agreement
from deploy.localnet.dev.first_commands import first_commands, near
from deploy.localnet.localnet import Localnet
from deploy.localnet.wallet import Wallets
from signers.statements.amounts import Asset

BLOCK_SECONDS: Final = 5
AGREEMENT_NAME: Final = "agreement.toml"
_LOOKS_PER_SECOND: Final = 2


async def live(net: Localnet) -> None:
    """Prepare what a newcomer finds, say what to try, and go on until a part of the network ends."""
    async with set_stage(net, Recorder()) as stage:
        await open_first_account(stage, Wallets.of(net.state.path))
        write_agreement(
            net.state.path / AGREEMENT_NAME,
            parties=stage.account.parties,
            enforcement=stage.account.enforcement,
        )
        print(_what_to_try(net), flush=True)
        await _find_blocks(stage)


async def _find_blocks(stage: Stage) -> None:
    """A block on each chain, again and again: a person who waits for one has nobody to ask."""
    for look in itertools.count(1):
        if stage.net.ended_processes():
            return
        await asyncio.sleep(1 / _LOOKS_PER_SECOND)
        if look % (BLOCK_SECONDS * _LOOKS_PER_SECOND) == 0:
            for asset in Asset:
                with contextlib.suppress(OSError):  # a node that has ended ends the network, with its name
                    await stage.mine(asset)


def _what_to_try(net: Localnet) -> str:
    commands = "\n".join(map(str, first_commands(net)))
    profiles = near(net.state.folder("profiles"))
    return f"""
Try, in another shell:

{commands}
A block comes every {BLOCK_SECONDS} s on each chain. To be somebody for a while, and to follow docs/guides:
  export BAILEE_PROFILE={profiles}/NAME.toml
"""
