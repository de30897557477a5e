"""Read transactions with python-bitcoinlib, for the side that judges. embit has no part in it."""

from bitcoin.core import CTransaction, CTxIn, b2lx
from bitcoin.core.script import SIGHASH_ALL, SIGVERSION_WITNESS_V0, CScript, SignatureHash
from bitcoin.core.serialize import SerializationError

from signers.bitcoin.coins import Coin, Outpoint, SpentOutput
from signers.statements.amounts import Sats
from signers.statements.identifiers import TxId
from signers.statements.refusals import Refusal, Tag, refuse_unless


def read_transaction(data: bytes, *, tag: Tag) -> CTransaction:
    """A transaction that is its own serialisation, so that no two byte strings are taken for one.

    Args:
        data: the serialised transaction.
        tag: how to refuse what is none.

    Raises:
        Refusal: `tag`.
    """
    try:
        transaction = CTransaction.deserialize(data)
        again = transaction.serialize()
    except (SerializationError, ValueError, AssertionError) as error:
        raise Refusal(tag, f"not a transaction: {type(error).__name__}: {error}") from error
    refuse_unless(again == data, tag, "a transaction is not its own serialisation")
    return transaction


def txid_of(transaction: CTransaction) -> TxId:
    """The id, as people write it."""
    return TxId(b2lx(transaction.GetTxid()))


def outpoint_of(txin: CTxIn) -> Outpoint:
    """What an input of a transaction spends.

    Raises:
        Refusal: `input-not-ours` for the null outpoint, which only a coinbase has.
    """
    try:
        return Outpoint(txid=TxId(b2lx(txin.prevout.hash)), index=txin.prevout.n)
    except ValueError as error:
        raise Refusal(Tag.INPUT_NOT_OURS, str(error)) from error


def sats_of(units: int, *, tag: Tag) -> Sats:
    """An output's value.

    Raises:
        Refusal: `tag` for what cannot exist: it is a signed 64-bit integer on the wire.
    """
    try:
        return Sats(units)
    except ValueError as error:
        raise Refusal(tag, str(error)) from error


def read_coin(coin: Coin) -> SpentOutput:
    """What the coin is, by the transaction that made it.

    Raises:
        Refusal: `prevout-lie`.
    """
    transaction = read_transaction(coin.previous_transaction, tag=Tag.PREVOUT_LIE)
    txid = txid_of(transaction)
    if not 0 <= coin.index < len(transaction.vout):
        raise Refusal(Tag.PREVOUT_LIE, f"{txid} has no output {coin.index}")
    output = transaction.vout[coin.index]
    return SpentOutput(
        outpoint=Outpoint(txid=txid, index=coin.index),
        value=sats_of(output.nValue, tag=Tag.PREVOUT_LIE),
        script=bytes(output.scriptPubKey),
    )


def sighash(transaction: CTransaction, index: int, *, witness_script: bytes, value: Sats) -> bytes:
    """The BIP-143 hash of one input, SIGHASH_ALL: 32 bytes."""
    digest = SignatureHash(
        CScript(witness_script),
        transaction,
        index,
        SIGHASH_ALL,
        amount=value.units,
        sigversion=SIGVERSION_WITNESS_V0,
    )
    return bytes(digest)
