"""What must stand at our addresses by the ledger, for the reconciler to hold against the chains."""

from dataclasses import dataclass

from custody.application import settlement
from custody.application.access import existing_account
from custody.application.ports.store import Snapshot
from custody.domain.account import Halt, Watched
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Coin, FinalisedBalance
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, EthereumAddress, ScriptPubKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What stands at one account's addresses."""

    account: AccountId
    script: ScriptPubKey
    coins: tuple[Coin, ...]
    bitcoin_units: int
    """By the books: confirmed and pending, less what is leaving."""
    address: EthereumAddress
    proven: FinalisedBalance | None
    """What the ledger last agreed with. At another block than the finalised one it has refused that."""
    ethereum_units: int
    """By the books: confirmed. At a final block nothing is pending or leaving."""
    awaits: bool
    """Whether it opens once it was compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Every active account, and the blocks that the ledger stands at."""

    bitcoin_tip: BlockRef | None
    finalised: BlockRef | None
    expected: tuple[Expected, ...]


def ledger(snapshot: Snapshot) -> Ledger:
    """The ledger's side of a comparison, in one consistent view."""
    leaving = settlement.leaving(snapshot, Asset.BTC)
    return Ledger(
        bitcoin_tip=snapshot.tip(Asset.BTC),
        finalised=snapshot.finalised(),
        expected=tuple(
            _expected(snapshot, each, leaving=leaving.get(each.account, 0)) for each in snapshot.watched()
        ),
    )


def _expected(snapshot: Snapshot, each: Watched, *, leaving: int) -> Expected:
    bitcoin = snapshot.balances(each.account, Asset.BTC)
    ethereum = snapshot.balances(each.account, Asset.ETH)
    account = existing_account(snapshot, each.account)
    return Expected(
        account=each.account,
        script=each.script_pubkey,
        coins=tuple(snapshot.coins(each.account)),
        bitcoin_units=bitcoin.confirmed + bitcoin.pending - leaving,
        address=each.ethereum_address,
        proven=snapshot.finalised_balance(each.account),
        ethereum_units=ethereum.confirmed,
        awaits=Halt.AWAITING_RECONCILIATION in account.halts,
    )
