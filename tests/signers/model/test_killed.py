"""A signer killed with SIGKILL between the journal and the signature."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from signers.journal import Attempted
from signers.rules.sign import sign
from signers.statements.amounts import Asset
from signers.statements.intent import Intent
from tests.signers.stage import Stage

DIES_WHILE_SIGNING = """
import asyncio, os, signal, sys
from pathlib import Path
from signers.rules.sign import sign
from signers.statements.amounts import Asset
from tests.signers.stage import Stage

async def main() -> None:
    stage = await Stage.set_up(Path(sys.argv[1]))
    intent, receipts = await stage.announced(Asset.BTC)
    stage.keys[0].before_signing = lambda: os.kill(os.getpid(), signal.SIGKILL)
    await sign(stage[0], stage.signing(intent, receipts))

asyncio.run(main())
"""


async def test_the_next_process_gives_the_one_signature(tmp_path: Path) -> None:
    dead = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", DIES_WHILE_SIGNING, str(tmp_path)], check=False
    )
    assert dead.returncode == -signal.SIGKILL
    # The same world over the same journals: nothing is onboarded or announced again.
    stage = await Stage.set_up(tmp_path, onboarded=False)
    stage.pass_timelock(Asset.BTC)
    intent: Intent = stage.intent(Asset.BTC)
    history = stage[0].journal.views.intents[intent.digest]
    (attempt,) = history.attempts
    assert isinstance(attempt.entry, Attempted)
    assert attempt.signed is None
    first = await sign(stage[0], stage.signing(intent, ()))
    assert first.transaction == attempt.entry.transaction.raw
    assert (await sign(stage[0], stage.signing(intent, ()))).signatures == first.signatures
    assert len(stage[0].journal.views.intents[intent.digest].attempts) == 1
    stage.close()
