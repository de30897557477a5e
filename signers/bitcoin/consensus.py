"""Bitcoin Core's own script interpreter, through libbitcoinkernel: the last word before a broadcast."""

from collections.abc import Sequence

import pbk
from pbk.script import PrecomputedTransactionData

from signers.bitcoin.coins import SpentOutput
from signers.statements.refusals import Refusal, Tag, refuse_unless


def require_spendable(transaction: bytes, spent: Sequence[SpentOutput]) -> None:
    """Refuse a transaction whose inputs do not all satisfy the scripts they spend, by all consensus rules.

    Args:
        transaction: serialised, with its witnesses.
        spent: the spent outputs, in the order of the inputs.

    Raises:
        Refusal: `signature-invalid`.
    """
    try:
        parsed = pbk.Transaction(transaction)
    except RuntimeError as error:
        raise Refusal(Tag.SIGNATURE_INVALID, "libbitcoinkernel reads no transaction in it") from error
    refuse_unless(
        len(parsed.inputs) == len(spent), Tag.SIGNATURE_INVALID, "not one spent output for each input"
    )
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(each.script), each.value.units) for each in spent]
    precomputed = PrecomputedTransactionData(parsed, outputs)
    for index, each in enumerate(spent):
        refuse_unless(
            _satisfies(each, parsed, precomputed, index),
            Tag.SIGNATURE_INVALID,
            f"input {index} does not verify",
        )


def _satisfies(
    each: SpentOutput, transaction: pbk.Transaction, precomputed: PrecomputedTransactionData, index: int
) -> bool:
    """`verify` answers falsy for a failed script and raises only where it could not run: both are a no."""
    try:
        answer = pbk.ScriptPubkey(each.script).verify(
            each.value.units, transaction, precomputed, index, pbk.ScriptVerificationFlags.ALL
        )
    except pbk.ScriptVerifyException:
        return False
    return answer is True or answer == 1
