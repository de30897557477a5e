"""One payout: what each of its people does for it, and where it stands. System tests repeat it."""

from dataclasses import dataclass
from typing import Any, Final

from deploy.localnet.demo.onboarding import DESTINATIONS
from deploy.localnet.demo.stage import ACCOUNT, Stage, state, until
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.intent import Intent
from signers.statements.receipt import Act

FEE_CAPS: Final[dict[Asset, Amount]] = {Asset.BTC: Sats(50_000), Asset.ETH: Wei(10**16)}
FINALITY_BLOCKS: Final = {Asset.BTC: 6, Asset.ETH: 3}
"""Mined on the block of a transaction, they make it final."""
TIMELOCK_BLOCKS: Final = 2
"""Mined after the last announcement, they end the signers' timelock."""
APPROVERS: Final = ("custodian-one", "trustee-one")
_PATIENCE_SECONDS: Final = 90.0


@dataclass(frozen=True, kw_only=True)
class Payout:
    """What the pledgor asks for, to its own wallet of that asset."""

    name: str
    amount: Amount

    @property
    def asset(self) -> Asset:
        """What leaves."""
        return self.amount.asset

    @property
    def fee_cap(self) -> Amount:
        """The most its attempts may cost together."""
        return FEE_CAPS[self.asset]

    @property
    def destination_id(self) -> str:
        """Where to."""
        return DESTINATIONS[self.asset]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What left."""

    amount: Amount
    fee: Amount
    transaction_id: str


async def request(stage: Stage, payout: Payout, *, request_id: str = "") -> Any:
    """The pledgor asks for it."""
    return await stage.pledgor.request_withdrawal(
        ACCOUNT,
        payout.name,
        destination_id=payout.destination_id,
        amount=payout.amount,
        fee_cap=payout.fee_cap,
        request_id=request_id,
    )


async def agree(stage: Stage, payout: Payout) -> Intent:
    """The pledgor signs the intent that was written for it, and the secured party releases it."""
    await stage.pledgor.sign_withdrawal(
        ACCOUNT,
        payout.name,
        destination_id=payout.destination_id,
        amount=payout.amount,
        fee_cap=payout.fee_cap,
    )
    intent = await stage.margin_engine.intent(ACCOUNT, payout.name)
    await stage.margin_engine.release(ACCOUNT, payout.name, intent_digest=intent.digest)
    return intent


async def approve(stage: Stage, payout: Payout, entity: str) -> None:
    """One entity reads the intent and approves it."""
    approver = stage.approvers[entity]
    read = await approver.intent(ACCOUNT, payout.name)
    await approver.approve_withdrawal(ACCOUNT, payout.name, intent_digest=read.digest)


async def receipts(stage: Stage, payout: Payout, act: Act) -> dict[str, str]:
    """Digests of the signers' verified receipts of one kind, by signer."""
    said = await stage.auditor.receipts(ACCOUNT, payout.name)
    return {each.signer: each.digest for each in said if each.act is act}


async def look(stage: Stage, payout: Payout) -> Any:
    """The withdrawal as the pledgor sees it."""
    return await stage.pledgor.withdrawal(ACCOUNT, payout.name)


async def reach(stage: Stage, payout: Payout, wanted: str) -> Any:
    """The withdrawal, once it is in that state."""
    return await until(
        lambda: look(stage, payout),
        lambda withdrawal: state(withdrawal) == wanted,
        what=f"{payout.name} to be {wanted}",
        seconds=_PATIENCE_SECONDS,
    )
