"""The fixed form of every payout of ether."""

from typing import Final

from signers.ethereum.address import require_address
from signers.statements.account import Account
from signers.statements.amounts import Wei
from signers.statements.identifiers import EthereumAddress
from signers.statements.intent import Intent, NonceAnchor
from signers.statements.refusals import Refusal, Tag, refuse_unless

TYPE: Final = 2
"""EIP-1559, in the envelope of EIP-2718."""

GAS: Final = 21_000
"""What a transfer without data costs. A destination whose code needs more cannot be paid."""

_TIP_DIVISOR: Final = 8


def max_fee_per_gas(fee: Wei) -> int:
    """What a unit of gas may cost, in wei, so that all of it costs at most `fee`."""
    return fee.units // GAS


def max_priority_fee_per_gas(fee: Wei) -> int:
    """The tip for a unit of gas, in wei: an eighth of the most it may cost, at least one wei.

    A fixed share, because nodes replace a transaction only where both figures rise by a tenth: a higher fee
    alone then makes the next attempt.
    """
    return max(1, max_fee_per_gas(fee) // _TIP_DIVISOR)


def require_terms(intent: Intent, account: Account, fee: Wei) -> NonceAnchor:
    """The anchor of an intent that can be paid from this account in ether, at this fee.

    Raises:
        Refusal: `statement-network`, `account-unknown` (the intent is another account's), `account-keys` (the
            account's address is not its key's), `nonce` (the anchor is none), `chain-id`, `destination` (the
            account itself), `fee-cap`, or `amount` (a fee that is no whole number of wei for a unit of gas).
    """
    refuse_unless(
        intent.network is account.network, Tag.STATEMENT_NETWORK, f"{intent.network}, {account.network}"
    )
    refuse_unless(intent.account == account.account, Tag.ACCOUNT_UNKNOWN, f"an intent of {intent.account}")
    require_address(account)
    anchor = intent.anchor
    if not isinstance(anchor, NonceAnchor):
        raise Refusal(Tag.NONCE, f"an intent of {intent.asset} uses no nonce")
    chain_id = intent.network.chain_id
    refuse_unless(anchor.chain_id == chain_id, Tag.CHAIN_ID, f"{anchor.chain_id}, not {chain_id}")
    refuse_unless(
        destination_address(intent) != account.ethereum.address,
        Tag.DESTINATION,
        "the destination is the account itself",
    )
    cap = intent.fee_cap
    refuse_unless(isinstance(cap, Wei) and fee <= cap, Tag.FEE_CAP, f"{fee} above {cap}")
    refuse_unless(
        bool(fee) and fee.units % GAS == 0, Tag.AMOUNT, f"a fee of {fee} is no multiple of {GAS} gas"
    )
    return anchor


def destination_address(intent: Intent) -> EthereumAddress:
    """The address that the intent pays.

    Raises:
        Refusal: `destination` where it is no address.
    """
    if intent.destination.kind != "ethereum":
        raise Refusal(Tag.DESTINATION, f"{intent.destination.kind} is not an address")
    return intent.destination.address


def amount_of_intent(intent: Intent) -> Wei:
    """What the intent pays."""
    if not isinstance(intent.amount, Wei):
        raise Refusal(Tag.AMOUNT, f"{intent.amount} is not ether")
    return intent.amount
