"""What was asked of custody and granted, by the answers its callers got, and what follows for its books."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from bitcoin.core import CTransaction

from custody.adapters.ethereum_node import transaction_hash
from custody.domain.identifiers import WithdrawalId
from signers.statements.amounts import Amount, Asset
from signers.statements.identifiers import IntentId, Seconds
from signers.statements.intent import Intent
from tests.model.bitcoin_truth import BitcoinTruth
from tests.model.ethereum_truth import EthereumTruth
from tests.unit.custody.workers.fake_signers import FakeSigners


@dataclass(frozen=True)
class LienClaim:
    """A lien that stands."""

    amount: Amount
    posted: bool
    expires_at: Seconds


@dataclass(frozen=True)
class OutflowClaim:
    """A withdrawal that was granted and neither cancelled nor lapsed."""

    amount: Amount
    fee_cap: Amount
    intent: IntentId | None = None

    @property
    def held(self) -> int:
        return (self.amount + self.fee_cap).units


@dataclass(frozen=True)
class Spend:
    """A payout as a chain has it, of whichever attempt."""

    withdrawal: WithdrawalId
    paid: int
    fee: int
    settled: bool


@dataclass
class Claims:
    """Only what the machine itself heard; nothing is read from custody."""

    liens: dict[str, LienClaim] = field(default_factory=dict)
    outflows: dict[WithdrawalId, OutflowClaim] = field(default_factory=dict)

    def lent(self, asset: Asset, *, posted: bool) -> int:
        return sum(
            each.amount.units
            for each in self.liens.values()
            if each.amount.asset is asset and each.posted is posted
        )

    def withdrawal_of(self, intent: Intent) -> WithdrawalId:
        (name,) = (name for name, each in self.outflows.items() if each.intent == intent.intent)
        return name


def attempts(signers: FakeSigners) -> dict[str, Intent]:
    """Every transaction that any signer has put a signature to, and the intent it pays."""
    found: dict[str, Intent] = {}
    for signer in signers.each.values():
        for made, intent in signer.signed.items():
            if intent.asset is Asset.BTC:
                found[_txid(made)] = intent
            else:
                found[transaction_hash(made)] = intent
    return found


@functools.lru_cache(maxsize=4096)
def _txid(unsigned: bytes) -> str:
    return str(CTransaction.deserialize(unsigned).GetTxid()[::-1].hex())


def bitcoin_spends(truth: BitcoinTruth, claims: Claims, signers: FakeSigners) -> list[Spend]:
    """The payouts on the chain. One that pays anything but what its intent says fails here."""
    signed, found = attempts(signers), []
    for each in truth.payouts:
        intent = signed[each.txid]
        assert intent.destination.kind == "bitcoin"
        assert each.paid_to(intent.destination.script_pubkey.raw) == [intent.amount.units]
        assert len(each.made.vout) <= 2
        assert len(each.made.vout) - 1 == len(each.paid_to(truth.script))
        assert each.fee <= intent.fee_cap.units
        found.append(Spend(claims.withdrawal_of(intent), intent.amount.units, each.fee, each.settled))
    return found


def ethereum_spends(truth: EthereumTruth, claims: Claims, signers: FakeSigners, *, final: int) -> list[Spend]:
    """As `bitcoin_spends`; final is what stands at or below the block that the ledger calls so."""
    signed, found = attempts(signers), []
    for each in truth.transfers:
        intent = signed[each.tx_hash]
        assert intent.destination.kind == "ethereum"
        assert each.to == intent.destination.address
        assert each.value in (0, intent.amount.units)
        assert each.fee <= intent.fee_cap.units
        found.append(Spend(claims.withdrawal_of(intent), each.value, each.fee, each.height <= final))
    return found


def books(
    asset: Asset, claims: Claims, *, credited: int, pending: int, spends: list[Spend]
) -> Mapping[str, int]:
    """What every book must hold, from nothing but what came, what left and what is claimed."""
    settled = [each for each in spends if each.settled]
    paid, fees = sum(each.paid for each in settled), sum(each.fee for each in settled)
    gone = {each.withdrawal for each in settled}
    holds = sum(
        each.held for name, each in claims.outflows.items() if each.amount.asset is asset and name not in gone
    )
    reserved, posted = (claims.lent(asset, posted=each) for each in (False, True))
    net = credited - paid - fees - holds - reserved - posted
    return {
        "external": paid - credited - pending,
        "pending": pending,
        "available": max(0, net),
        "reserved": reserved,
        "posted": posted,
        "withdrawing": holds,
        "network_fees": fees,
        "reorg_shortfall": min(0, net),
    }
