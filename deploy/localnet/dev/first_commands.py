"""One command to try for each kind of user, to be pasted into another shell."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.localnet.demo.onboarding import DESTINATIONS
from deploy.localnet.demo.stage import ACCOUNT, PRICES_HKD
from deploy.localnet.dev.first_account import AGREEMENT_NAME
from deploy.localnet.localnet import Localnet
from deploy.localnet.state import DEFAULT_FOLDER
from signers.statements.amounts import Asset


@dataclass(frozen=True, kw_only=True)
class FirstCommand:
    """Something to paste.

    Attributes:
        who: the kind of user.
        shows: what they will see.
        command: its words.
    """

    who: str
    shows: str
    command: Sequence[str]

    def __str__(self) -> str:
        return f"  # {self.who}: {self.shows}\n  {shlex.join(self.command)}\n"


def first_commands(net: Localnet) -> Sequence[FirstCommand]:
    """One for everybody. Each succeeds now, in any order; only the approver is asked something."""

    def bailee(person: str, *words: str) -> Sequence[str]:
        return (_beside_python("bailee"), *words, "--profile", near(net.profiles[person]))

    prices = ("--btc", str(PRICES_HKD[Asset.BTC]), "--eth", str(PRICES_HKD[Asset.ETH]))
    return (
        FirstCommand(
            who="custodian's operations",
            shows="the accounts, and who has yet to sign",
            command=bailee("operations.custodian-one", "account", "list"),
        ),
        FirstCommand(
            who="pledgor",
            shows="where to send coins, after everything behind the addresses verified",
            command=bailee(
                "pledgor.client-one",
                *("account", "verify", ACCOUNT),
                *("--agreement", near(net.state.path / AGREEMENT_NAME)),
            ),
        ),
        FirstCommand(
            who="margin engine",
            shows="what the coins are worth to lend against, signed",
            command=bailee("margin-engine.broker-one", "report", "show", ACCOUNT),
        ),
        FirstCommand(
            who="price publisher",
            shows="one signed price per asset, beside those of its own feed",
            command=bailee("feed.feed-one", "price", "publish", *prices),
        ),
        FirstCommand(
            who="auditor",
            shows="every movement there ever was",
            command=bailee("auditor.auditor-one", "postings", "list", ACCOUNT),
        ),
        FirstCommand(
            who="operator",
            shows="every process, and whether it serves",
            command=(near(Path(sys.executable)), "-m", "deploy.localnet", "status", *_folder(net)),
        ),
        FirstCommand(
            who="approver",
            shows="exactly what a signature would allow; y signs it",
            command=bailee(
                "approver.custodian-one", "destination", "approve", ACCOUNT, DESTINATIONS[Asset.BTC]
            ),
        ),
    )


def near(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _beside_python(name: str) -> str:
    return near(Path(sys.executable).with_name(name))


def _folder(net: Localnet) -> Sequence[str]:
    is_default = net.state.path == DEFAULT_FOLDER.resolve()
    return () if is_default else ("--folder", near(net.state.path))
