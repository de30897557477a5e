"""Build the one transaction that an intent, its coins and a fee determine.

Nothing here is chosen: every signer that is given the same intent, coins and fee builds the same bytes.
Version 2, lock time 0, every input replaceable (BIP-125), the payout, what is left back to the account's own
script, inputs and outputs in the order of BIP-69. Signature hashes are BIP-143, SIGHASH_ALL.

Library: embit. `verify` judges the result with others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from embit.base import EmbitError
from embit.script import Script
from embit.transaction import SIGHASH, Transaction, TransactionInput, TransactionOutput

from signers.bitcoin import coins as form
from signers.bitcoin.coins import Coin, Outpoint, SpentOutput
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.amounts import Sats
from signers.statements.identifiers import TxId
from signers.statements.intent import Intent
from signers.statements.refusals import Refusal, Tag, refuse_unless


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedPayout:
    """A payout without witnesses, as this signer built it."""

    transaction: bytes
    """The serialised transaction. Its double SHA-256 is the id it keeps when it is signed."""
    txid: TxId
    spent: tuple[SpentOutput, ...]
    """In the order of the inputs."""
    witness_script: bytes
    """Of every input alike."""
    sighashes: tuple[bytes, ...]
    """What is signed for each input: 32 bytes, BIP-143, SIGHASH_ALL."""


def build_payout(*, intent: Intent, account: Account, coins: tuple[Coin, ...], fee: Sats) -> UnsignedPayout:
    """The payout of `intent` out of `coins` at exactly `fee`.

    Args:
        intent: what to pay, to where, and the outpoint every attempt spends.
        account: whose coins.
        coins: the inputs, in any order.
        fee: what the network receives. What the coins hold beyond amount and fee is change.

    Raises:
        Refusal: `prevout-lie`, `input-not-ours`, `anchor-mismatch`, `transaction-shape` (a coin twice, none
            or too many), `amount` (too little, or an output that nodes would not relay as dust), or as
            `coins.require_terms`.
    """
    anchor = form.anchor_outpoint(form.require_terms(intent, account, fee))
    spent = _open_all(coins, account)
    refuse_unless(
        anchor in {each.outpoint for each in spent}, Tag.ANCHOR_MISMATCH, f"{anchor} is not among the inputs"
    )
    change = _change(spent, form.amount_of_intent(intent), fee)
    outputs = _outputs(intent, account, change)
    transaction = Transaction(
        version=form.VERSION,
        vin=[_input(each.outpoint) for each in spent],
        vout=outputs,
        locktime=form.LOCK_TIME,
    )
    witness_script = multisig.witness_script(account.bitcoin.keys)
    return UnsignedPayout(
        transaction=transaction.serialize(),
        txid=TxId(transaction.txid().hex()),
        spent=spent,
        witness_script=witness_script,
        sighashes=sighashes(transaction, witness_script, spent),
    )


def sighashes(
    transaction: Transaction, witness_script: bytes, spent: Sequence[SpentOutput]
) -> tuple[bytes, ...]:
    """The BIP-143 hash of every input, SIGHASH_ALL: 32 bytes each."""
    script = Script(witness_script)
    return tuple(
        transaction.sighash_segwit(index, script, each.value.units, SIGHASH.ALL)
        for index, each in enumerate(spent)
    )


def _open_all(coins: tuple[Coin, ...], account: Account) -> tuple[SpentOutput, ...]:
    """Read all coins, in the order of BIP-69, and refuse any that is not the account's."""
    form.require_bounded(coins)
    spent = sorted((_open(coin) for coin in coins), key=lambda each: each.outpoint)
    refuse_unless(
        len({each.outpoint for each in spent}) == len(spent), Tag.TRANSACTION_SHAPE, "a coin stands twice"
    )
    for each in spent:
        refuse_unless(
            each.script == form.account_script(account),
            Tag.INPUT_NOT_OURS,
            f"{each.outpoint} is locked by another script",
        )
    return tuple(spent)


def _open(coin: Coin) -> SpentOutput:
    previous = _parse(coin.previous_transaction)
    txid = TxId(previous.txid().hex())
    refuse_unless(0 <= coin.index < len(previous.vout), Tag.PREVOUT_LIE, f"{txid} has no output {coin.index}")
    output = previous.vout[coin.index]
    return SpentOutput(
        outpoint=Outpoint(txid=txid, index=coin.index),
        value=_value(output.value),
        script=output.script_pubkey.data,
    )


def _parse(data: bytes) -> Transaction:
    """Read a transaction that is its own serialisation.

    embit reads past the end of its input without a word, so only bytes that it would write again count.
    """
    try:
        transaction = Transaction.parse(data)
        again = transaction.serialize()
    except (EmbitError, ValueError, RuntimeError, OverflowError) as error:
        raise Refusal(Tag.PREVOUT_LIE, f"a previous transaction does not parse: {error}") from error
    refuse_unless(again == data, Tag.PREVOUT_LIE, "a previous transaction is not its own serialisation")
    return transaction


def _value(units: int) -> Sats:
    try:
        return Sats(units)
    except ValueError as error:
        raise Refusal(Tag.PREVOUT_LIE, str(error)) from error


def _change(spent: Sequence[SpentOutput], amount: Sats, fee: Sats) -> Sats:
    total, needed = sum(each.value.units for each in spent), amount.units + fee.units
    refuse_unless(total >= needed, Tag.AMOUNT, f"the coins hold {total} sat of {needed}")
    refuse_unless(total <= Sats.maximum, Tag.PREVOUT_LIE, f"the coins hold {total} sat, more than exist")
    return Sats(total - needed)


def _outputs(intent: Intent, account: Account, change: Sats) -> list[TransactionOutput]:
    """Payout and change, in the order of BIP-69.

    Dust is refused, never left to the fee: the fee is what was stated, and nothing else.
    """
    wanted = [(form.amount_of_intent(intent), form.destination_script(intent))]
    if change:
        wanted.append((change, form.account_script(account)))
    for value, script in wanted:
        limit = form.dust_limit(script)
        refuse_unless(value >= limit, Tag.AMOUNT, f"an output of {value} is below the dust limit, {limit}")
    ordered = sorted(wanted, key=lambda output: (output[0].units, output[1]))
    return [TransactionOutput(value.units, Script(script)) for value, script in ordered]


def _input(outpoint: Outpoint) -> TransactionInput:
    return TransactionInput(outpoint.txid.raw, outpoint.index, sequence=form.SEQUENCE)
