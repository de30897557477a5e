"""Custody as a process, with nodes, signers and OpenBao that never answer: `python -m … FOLDER [ENDS]`.

A composition root of tests: everything but the outermost adapters is what `custody.main` serves.
"""

import custody.tls_floor  # noqa: F401 - before anything imports grpc

# isort: split
import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any, Never

from custody import configuration, logs, main
from custody.adapters.sqlite.store import SqliteStore
from custody.application.ports.attestation import AttestationUnavailable
from custody.application.ports.chains import ChainUnavailable
from custody.application.ports.signers import SignerUnavailable
from custody.domain.errors import StoreUnavailable
from custody.workers.chain_health import ChainHealth
from tests.factories import build_world
from tests.unit.custody.rpc.scenario import Scenario


class Silent:
    """Every method of a port raises what the port raises when nobody answers."""

    def __init__(self, error: Exception, **known: Any) -> None:
        self._error = error
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> Any:
        async def silent(*_: object, **__: object) -> Never:
            raise self._error

        return silent


async def never() -> None:
    await asyncio.Event().wait()


async def soon() -> None:
    await asyncio.sleep(0.2)


async def serve(folder: Path, ends: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    told = configuration.read(folder / "custody.toml")
    world = build_world()
    store = await SqliteStore.open(told.state_folder / "custody.sqlite")
    if store.projection.policy() is None:
        await Scenario(world=world, store=store, now=world.now).build()
    chain: Any = Silent(ChainUnavailable(answered=0, needed=1, causes=["silent"]))
    signers: Any = Silent(SignerUnavailable(world.signers[0].signer, "silent"), ids=())
    attestor: Any = Silent(AttestationUnavailable("silent"), public_key=world.attestation.public_key)
    faulty: Any = Silent(RuntimeError("a fault of the program"))
    adapters = main.Adapters(
        store=store,
        bitcoin=faulty if ends == "worker" else chain,
        ethereum=chain,
        signers=signers,
        attestor=attestor,
        lives={"store": store.stopped, "attestation": soon if ends == "attestation" else never},
    )
    if ends == "store":
        asyncio.get_running_loop().call_later(0.2, store._break, StoreUnavailable("the disk is gone"))
    try:
        health = ChainHealth()
        await main.serve(told, adapters, health, main.workers(adapters, health), stop)
    finally:
        await store.close()


if __name__ == "__main__":
    logs.configure("INFO")
    try:
        asyncio.run(serve(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
    except main.PartEnded as error:
        sys.stderr.write(f"ended: {error}\n")
        os._exit(1)
