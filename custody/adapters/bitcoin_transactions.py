"""Join two signers' signatures to a transaction that the network will take, and know so before sending it.

A second implementation beside the signers' own: they construct with embit, this decodes with
python-bitcoinlib, compares the transaction with intent and attempt, and has Bitcoin Core's interpreter
(libbitcoinkernel) verify every input. Nothing is broadcast, or written down as complete, that did not pass.

Sources: BIP-141 and BIP-143 (witness), BIP-67 (key order), Bitcoin Core's policy (strict DER, low S:
BIP-66, BIP-146).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import pbk
from bitcoin.core import (
    CMutableTransaction,
    COutPoint,
    CTransaction,
    CTxInWitness,
    CTxOut,
    CTxWitness,
)
from bitcoin.core.script import SIGHASH_ALL, CScriptWitness
from bitcoin.core.serialize import SerializationError
from coincurve.ecdsa import cdata_to_der, der_to_cdata, serialize_compact
from pbk.script import PrecomputedTransactionData

from custody.application.ports.verification import BitcoinPayout, SignedTransaction, TransactionInvalid
from custody.domain.deposit import Coin, Outpoint
from custody.domain.withdrawal import PartialSignatures
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.allowlist import BitcoinDestination
from signers.statements.identifiers import CompressedKey, SignerId, TxId
from signers.statements.secp256k1 import HALF_ORDER

_VERSION: Final = 2


def assemble(
    *, payout: BitcoinPayout, unsigned: bytes, partials: Sequence[PartialSignatures]
) -> SignedTransaction:
    """The transaction with the signatures of the first pair of signers that verifies.

    Every pair is tried: a signer that answers rubbish must not stop the two that answer well.

    Args:
        payout: what it must do.
        unsigned: the transaction as a signer constructed it, without witnesses.
        partials: what the signers signed of it, at least two of them.

    Raises:
        TransactionInvalid: it does something else, or no pair of signatures verifies.
    """
    transaction = _decode(unsigned)
    coins = _coins_spent(transaction, payout)
    _check_outputs(transaction, payout, coins)
    faults = []
    for pair in combinations(partials, 2):
        try:
            return _assemble_pair(transaction, payout.account, coins, pair)
        except TransactionInvalid as error:
            faults.append(f"{pair[0].signer}+{pair[1].signer}: {error}")
    raise TransactionInvalid("; ".join(faults) or "fewer than two signers signed")


def _decode(unsigned: bytes) -> CTransaction:
    try:
        transaction = CTransaction.deserialize(unsigned)
    except (SerializationError, ValueError, MemoryError) as error:
        raise TransactionInvalid(f"no transaction: {error}") from error
    if transaction.serialize() != unsigned or not transaction.wit.is_null():
        raise TransactionInvalid("not the canonical form of an unsigned transaction")
    if transaction.nVersion != _VERSION or transaction.nLockTime != 0:
        raise TransactionInvalid(f"version {transaction.nVersion}, lock time {transaction.nLockTime}")
    return transaction


def _outpoint(prevout: COutPoint) -> Outpoint:
    return Outpoint(TxId(prevout.hash[::-1].hex()), prevout.n)


def _coins_spent(transaction: CTransaction, payout: BitcoinPayout) -> tuple[Coin, ...]:
    """The attempt's coins in the order of the inputs: each once, none else."""
    by_outpoint = {coin.outpoint: coin for coin in payout.coins}
    spent = [_outpoint(each.prevout) for each in transaction.vin]
    if len(spent) != len(by_outpoint) or set(spent) != set(by_outpoint):
        raise TransactionInvalid("its inputs are not the attempt's coins")
    if any(bytes(each.scriptSig) for each in transaction.vin):
        raise TransactionInvalid("an input carries a scriptSig")
    return tuple(by_outpoint[outpoint] for outpoint in spent)


def _check_outputs(transaction: CTransaction, payout: BitcoinPayout, coins: Sequence[Coin]) -> None:
    """One payout, and the rest back to the account at exactly the fee on record."""
    destination = payout.intent.destination
    if not isinstance(destination, BitcoinDestination):
        raise TransactionInvalid(f"an intent of {destination.asset}")
    change = sum(coin.amount.units for coin in coins) - payout.intent.amount.units - payout.fee.units
    if change < 0:
        raise TransactionInvalid("the coins do not cover amount and fee")
    expected = [(payout.intent.amount.units, destination.script_pubkey.raw)]
    if change:
        expected.append((change, payout.account.bitcoin.script_pubkey.raw))
    found = [(output.nValue, bytes(output.scriptPubKey)) for output in transaction.vout]
    if sorted(found) != sorted(expected):
        raise TransactionInvalid("its outputs are not the payout and the change at the fee on record")


def _assemble_pair(
    transaction: CTransaction,
    account: Account,
    coins: Sequence[Coin],
    pair: tuple[PartialSignatures, PartialSignatures],
) -> SignedTransaction:
    first, second = sorted(pair, key=lambda partial: _key_of(account, partial.signer))
    if first.signer == second.signer or any(len(each.signatures) != len(coins) for each in pair):
        raise TransactionInvalid("not one signature for each input of two signers")
    for signature in (*first.signatures, *second.signatures):
        _check_encoding(signature)
    script = multisig.witness_script(account.bitcoin.keys)
    signed = CMutableTransaction.from_tx(transaction)
    # CHECKMULTISIG takes one element more than it needs (an empty one, BIP-147) and the signatures in the
    # keys' order.
    signed.wit = CTxWitness(
        [
            CTxInWitness(CScriptWitness([b"", one, two, script]))
            for one, two in zip(first.signatures, second.signatures, strict=True)
        ]
    )
    raw = signed.serialize()
    verify_spends(raw, [CTxOut(coin.amount.units, account.bitcoin.script_pubkey.raw) for coin in coins])
    return SignedTransaction(
        raw=raw, transaction_id=TxId(transaction.GetTxid()[::-1].hex()), signers=(first.signer, second.signer)
    )


def _key_of(account: Account, signer: SignerId) -> CompressedKey:
    try:
        return account.bitcoin.key_of(signer)
    except LookupError as error:
        raise TransactionInvalid(f"{account.account}: {error}") from error


def _check_encoding(signature: bytes) -> None:
    """Strict DER, low S, SIGHASH_ALL: nodes relay nothing else, other hash types leave outputs uncovered."""
    try:
        der, hash_type = signature[:-1], signature[-1]
        parsed = der_to_cdata(der)
        low = int.from_bytes(serialize_compact(parsed)[32:], "big") <= HALF_ORDER
    except (ValueError, IndexError) as error:
        raise TransactionInvalid(f"a malformed signature: {error}") from error
    if cdata_to_der(parsed) != der or not low or hash_type != SIGHASH_ALL:
        raise TransactionInvalid("a signature that nodes would not relay")


def verify_spends(raw: bytes, spent: Sequence[CTxOut]) -> None:
    """Have Bitcoin Core's interpreter verify every input by all consensus rules.

    Args:
        raw: the transaction, serialised with witnesses.
        spent: the outputs it spends, in the order of its inputs.

    Raises:
        TransactionInvalid: an input does not verify.
    """
    try:
        parsed = pbk.Transaction(raw)
    except RuntimeError as error:
        raise TransactionInvalid("libbitcoinkernel reads no transaction in it") from error
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(bytes(out.scriptPubKey)), out.nValue) for out in spent]
    if len(parsed.inputs) != len(outputs):
        raise TransactionInvalid("not one spent output for each input")
    precomputed = PrecomputedTransactionData(parsed, outputs)
    for index, out in enumerate(spent):
        if not _verifies(parsed, precomputed, index, out):
            raise TransactionInvalid(f"input {index} does not verify")


def _verifies(
    transaction: pbk.Transaction, precomputed: PrecomputedTransactionData, index: int, out: CTxOut
) -> bool:
    """Falsy is a failed script, an exception one that could not be run: both are a no."""
    try:
        answer = pbk.ScriptPubkey(bytes(out.scriptPubKey)).verify(
            out.nValue, transaction, precomputed, index, pbk.ScriptVerificationFlags.ALL
        )
    except pbk.ScriptVerifyException:
        return False
    return bool(answer == 1)
