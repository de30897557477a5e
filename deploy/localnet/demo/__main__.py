"""`python -m deploy.localnet.demo`."""

import asyncio
import signal
import sys
from pathlib import Path
from types import FrameType

from deploy.localnet.demo.borrowing import borrow
from deploy.localnet.demo.onboarding import list_destinations, open_account
from deploy.localnet.demo.pledging import pledge
from deploy.localnet.demo.reconciling import reconcile
from deploy.localnet.demo.record import Recorder
from deploy.localnet.demo.stage import set_stage
from deploy.localnet.demo.withdrawing import withdraw
from deploy.localnet.localnet import Event, EventKind, Localnet
from signers.statements.amounts import Asset

STATE_FOLDER = Path(".localnet-demo")
EVIDENCE_FILE = Path("build/demo.json")


async def tell(net: Localnet, record: Recorder) -> None:
    """Journeys 1, 2, 3 and 5, then the reckoning."""
    async with set_stage(net, record) as stage:
        await open_account(stage)
        await list_destinations(stage)
        await pledge(stage)
        await borrow(stage)
        settled = {asset: await withdraw(stage, asset) for asset in Asset}
        await reconcile(stage, settled)


def main() -> int:
    """Run the demo; 0 if everything that was to be shown was shown."""
    signal.signal(signal.SIGTERM, _end)
    record = Recorder()
    net = Localnet(folder=STATE_FOLDER, on_event=lambda event: _show(record, event))
    try:
        record.chapter("A network of real nodes")
        with record.step("bitcoind, anvil, four OpenBao, three signers and custody start") as evidence:
            net.start()
            evidence |= {"policy_digest": net.policy.digest, "parts": len(net.endpoints)}
        asyncio.run(tell(net, record))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the edge of a process: say what broke, keep the evidence
        print(f"\n{type(error).__name__}: {error}\nlogs: {STATE_FOLDER}/logs", file=sys.stderr)
        return 1
    finally:
        net.stop()
        record.summarise()
        record.write(EVIDENCE_FILE)
    return 0


def _show(record: Recorder, event: Event) -> None:
    if event.kind in {EventKind.FETCHING, EventKind.READY}:
        record.say(f"{event.elapsed_seconds:5.1f} s  {event.part} {event.kind.value}")


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
