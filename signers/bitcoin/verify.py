"""Judge a payout by its bytes alone: what does this transaction do, and is that what the intent says?

The judge does not know how the transaction was built. It reads the bytes and the previous transactions with
python-bitcoinlib, and accepts exactly one byte string for given intent, coins and fee. Whatever it accepts is
sealed in a `VerifiedPayout`, the only thing that `sign` signs.
"""

from dataclasses import dataclass

from bitcoin.core import CTransaction

from signers.bitcoin import coins as form
from signers.bitcoin.coins import Coin, Outpoint, SpentOutput
from signers.bitcoin.decode import outpoint_of, read_coin, read_transaction, sats_of, sighash, txid_of
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.amounts import Sats
from signers.statements.identifiers import CompressedKey, TxId
from signers.statements.intent import Intent
from signers.statements.refusals import Refusal, Tag, refuse_unless


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPayout:
    """A payout that this module has accepted; it alone makes them."""

    transaction: bytes
    """Serialised, without witnesses."""
    txid: TxId
    spent: tuple[SpentOutput, ...]
    """In the order of the inputs."""
    witness_script: bytes
    keys: tuple[CompressedKey, ...]
    """The account's keys in the order of the script."""
    sighashes: tuple[bytes, ...]
    """What a signature of each input covers, by this side's own computation."""


@dataclass(frozen=True, slots=True)
class _Output:
    value: Sats
    script: bytes


def verify_payout(
    transaction: bytes, *, intent: Intent, account: Account, coins: tuple[Coin, ...], fee: Sats
) -> VerifiedPayout:
    """Accept the payout of `intent` out of exactly `coins` at exactly `fee`, and no other transaction.

    Raises:
        Refusal: `prevout-lie`, `input-not-ours`, `anchor-mismatch`, `destination`, `amount`,
            `change-not-ours`, `fee-cap`, `transaction-shape`, or as `coins.require_terms`.
    """
    anchor = form.anchor_outpoint(form.require_terms(intent, account, fee))
    form.require_bounded(coins)
    decoded = read_transaction(transaction, tag=Tag.TRANSACTION_SHAPE)
    spent = _spent(decoded, coins, account, anchor)
    outputs = _read_outputs(decoded)
    _require_outputs(outputs, intent, account)
    _require_fee(spent, outputs, intent, fee)
    _require_shape(decoded, spent, coins, outputs)
    witness_script = multisig.witness_script(account.bitcoin.keys)
    return VerifiedPayout(
        transaction=transaction,
        txid=txid_of(decoded),
        spent=spent,
        witness_script=witness_script,
        keys=form.script_keys(account),
        sighashes=tuple(
            sighash(decoded, index, witness_script=witness_script, value=each.value)
            for index, each in enumerate(spent)
        ),
    )


def _spent(
    decoded: CTransaction, coins: tuple[Coin, ...], account: Account, anchor: Outpoint
) -> tuple[SpentOutput, ...]:
    """What the inputs spend. Each must be a coin that was handed over in full, and the account's.

    An input of another account signed under this intent would pay one pledgor's debt with another's coins.
    """
    known = {each.outpoint: each for each in map(read_coin, coins)}
    spent = []
    for txin in decoded.vin:
        outpoint = outpoint_of(txin)
        if outpoint not in known:
            raise Refusal(Tag.INPUT_NOT_OURS, f"nobody handed over {outpoint}")
        refuse_unless(
            known[outpoint].script == form.account_script(account),
            Tag.INPUT_NOT_OURS,
            f"{outpoint} is locked by another script",
        )
        spent.append(known[outpoint])
    refuse_unless(
        anchor in {each.outpoint for each in spent}, Tag.ANCHOR_MISMATCH, f"{anchor} is not among the inputs"
    )
    return tuple(spent)


def _read_outputs(decoded: CTransaction) -> tuple[_Output, ...]:
    return tuple(
        _Output(sats_of(txout.nValue, tag=Tag.AMOUNT), bytes(txout.scriptPubKey)) for txout in decoded.vout
    )


def _require_outputs(outputs: tuple[_Output, ...], intent: Intent, account: Account) -> None:
    """Exactly the payout, and at most one output besides, which returns to the account."""
    to_destination = [each for each in outputs if each.script == form.destination_script(intent)]
    refuse_unless(bool(to_destination), Tag.DESTINATION, "no output pays the destination")
    amount = form.amount_of_intent(intent)
    payout = next((each for each in to_destination if each.value == amount), None)
    if payout is None:
        raise Refusal(Tag.AMOUNT, f"{to_destination[0].value} where {amount} is due")
    others = list(outputs)
    others.remove(payout)
    for each in others:
        refuse_unless(
            each.script == form.account_script(account),
            Tag.CHANGE_NOT_OURS,
            f"{each.value} go to {each.script.hex()}",
        )
    refuse_unless(len(others) <= 1, Tag.TRANSACTION_SHAPE, f"change in {len(others)} outputs")


def _require_fee(
    spent: tuple[SpentOutput, ...], outputs: tuple[_Output, ...], intent: Intent, fee: Sats
) -> None:
    """What the inputs hold beyond the outputs is the stated fee, and within the cap."""
    paid = sum(each.value.units for each in spent) - sum(each.value.units for each in outputs)
    refuse_unless(paid >= 0, Tag.AMOUNT, f"the outputs exceed the inputs by {-paid} sat")
    refuse_unless(paid <= intent.fee_cap.units, Tag.FEE_CAP, f"a fee of {paid} sat above {intent.fee_cap}")
    refuse_unless(paid == fee.units, Tag.AMOUNT, f"a fee of {paid} sat where {fee} was stated")


def _require_shape(
    decoded: CTransaction,
    spent: tuple[SpentOutput, ...],
    coins: tuple[Coin, ...],
    outputs: tuple[_Output, ...],
) -> None:
    """The one form of a payout: every other spelling of the same payments is refused."""
    outpoints = [each.outpoint for each in spent]
    faults = {
        "version": decoded.nVersion != form.VERSION,
        "lock time": decoded.nLockTime != form.LOCK_TIME,
        "sequence": any(txin.nSequence != form.SEQUENCE for txin in decoded.vin),
        "input script": any(len(txin.scriptSig) for txin in decoded.vin),
        "witness": decoded.has_witness(),
        "inputs other than the coins": len(outpoints) != len(coins),
        "input twice": len(set(outpoints)) != len(outpoints),
        "order of inputs": outpoints != sorted(outpoints),
        "order of outputs": list(outputs)
        != sorted(outputs, key=lambda each: (each.value.units, each.script)),
    }
    found = [name for name, present in faults.items() if present]
    refuse_unless(not found, Tag.TRANSACTION_SHAPE, ", ".join(found))
