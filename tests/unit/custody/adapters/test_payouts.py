"""What signers signed, read by another implementation: the honest payout, and one lie or fault each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from bitcoin.core import CMutableTransaction, CTransaction
from bitcoin.core.script import CScript
from coincurve.ecdsa import der_to_cdata, serialize_compact

from custody.adapters import bitcoin_transactions, ethereum_transactions
from custody.adapters.bitcoin_transactions import assemble
from custody.application.ports.signers import PreviousOutput
from custody.application.ports.verification import (
    BitcoinPayout,
    EthereumPayout,
    TransactionInvalid,
)
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Coin, CoinOrigin, Outpoint
from custody.domain.withdrawal import PartialSignatures
from custody.workers.fees import payout_vsize
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.identifiers import BlockHash, SignerId
from signers.statements.intent import NonceAnchor, OutpointAnchor
from tests.factories import World, build_world
from tests.unit.custody.adapters.blocks import transaction, txid_of
from tests.unit.custody.workers.fake_signers import sign_payout, sign_transfer

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FEE = Sats(1000)


@dataclass(frozen=True)
class Signed:
    """An honest payout of two coins, signed by all three."""

    world: World
    payout: BitcoinPayout
    inputs: tuple[PreviousOutput, ...]
    unsigned: bytes
    partials: tuple[PartialSignatures, ...]


@pytest.fixture(scope="module")
def signed() -> Signed:
    world = build_world()
    script = world.account.bitcoin.script_pubkey.raw
    funding = [transaction(outputs=[(script, 40_000_000 + n)], nonce=n) for n in (1, 2)]
    inputs = tuple(PreviousOutput(transaction=each.serialize(), index=0) for each in funding)
    coins = tuple(coin_of(world, each) for each in funding)
    first = coins[0].outpoint
    intent = world.intent(Asset.BTC, anchor=OutpointAnchor(txid=first.txid, index=first.index))
    payout = BitcoinPayout(account=world.account, intent=intent, coins=coins, fee=FEE)
    parts = [sign_by(world, payout, inputs, n) for n in range(3)]
    return Signed(world, payout, inputs, parts[0][0], tuple(part for _, part in parts))


def coin_of(world: World, funding: CTransaction) -> Coin:
    return Coin(
        outpoint=Outpoint(txid_of(funding), 0),
        account=world.account.account,
        amount=Sats(funding.vout[0].nValue),
        origin=CoinOrigin.DEPOSIT,
        block=BlockRef(1, BlockHash("01" * 32)),
    )


def sign_by(
    world: World, payout: BitcoinPayout, inputs: tuple[PreviousOutput, ...], index: int
) -> tuple[bytes, PartialSignatures]:
    party = world.signers[index]
    unsigned, signatures = sign_payout(
        account=payout.account, intent=payout.intent, fee=payout.fee, inputs=inputs, key=party.bitcoin_key
    )
    return unsigned, PartialSignatures(signer=party.signer, signatures=signatures)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2), (2, 0)])
def test_every_pair_in_any_order_makes_a_transaction(signed: Signed, pair: tuple[int, int]) -> None:
    parts = [signed.partials[n] for n in pair]
    done = assemble(payout=signed.payout, unsigned=signed.unsigned, partials=parts)
    assert set(done.signers) == {part.signer for part in parts}
    parsed = CTransaction.deserialize(done.raw)
    assert done.transaction_id == txid_of(parsed)
    assert all(len(each.scriptWitness.stack) == 4 for each in parsed.wit.vtxinwit)


def test_the_size_is_never_underestimated(signed: Signed) -> None:
    done = assemble(payout=signed.payout, unsigned=signed.unsigned, partials=signed.partials[:2])
    parsed = CTransaction.deserialize(done.raw)
    weight = 3 * len(parsed.serialize({"include_witness": False})) + len(done.raw)
    destination = signed.world.destination(Asset.BTC)
    estimate = payout_vsize(inputs=2, destination=destination.script_pubkey)  # type: ignore[union-attr] # of BTC
    assert -(-weight // 4) <= estimate <= -(-weight // 4) + 4


def refused(because: str, **call: Any) -> None:
    with pytest.raises(TransactionInvalid, match=because):
        assemble(**call)


def corrupted(part: PartialSignatures, change: Callable[[bytes], bytes]) -> PartialSignatures:
    return replace(part, signatures=(change(part.signatures[0]), *part.signatures[1:]))


def high_s(signature: bytes) -> bytes:
    compact = bytes(serialize_compact(der_to_cdata(signature[:-1])))
    r, s = compact[:32].lstrip(b"\x00"), (ORDER - int.from_bytes(compact[32:], "big")).to_bytes(33, "big")
    s = s.lstrip(b"\x00")
    r, s = (b"\x00" + n if n[0] & 0x80 else n for n in (r, s))
    body = b"\x02" + bytes([len(r)]) + r + b"\x02" + bytes([len(s)]) + s
    return b"\x30" + bytes([len(body)]) + body + signature[-1:]


def flip(signature: bytes) -> bytes:
    return signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (flip, "does not verify"),
        (high_s, "would not relay"),
        (lambda s: s[:-1] + b"\x81", "would not relay"),
        (lambda s: s[:-1] + b"\x02", "would not relay"),
        (lambda s: s[:-1], "malformed|would not relay"),
        (lambda s: b"", "malformed"),
        (lambda s: b"\x00" * 71, "malformed|would not relay"),
    ],
)
def test_a_corrupted_signature_is_refused(
    signed: Signed, change: Callable[[bytes], bytes], because: str
) -> None:
    """python-bitcoinlib's own interpreter would accept the first: only libbitcoinkernel is asked."""
    parts = [signed.partials[0], corrupted(signed.partials[1], change)]
    refused(because, payout=signed.payout, unsigned=signed.unsigned, partials=parts)


def test_a_corrupted_signature_is_left_out_where_two_others_are_good(signed: Signed) -> None:
    parts = [corrupted(signed.partials[0], flip), *signed.partials[1:]]
    done = assemble(payout=signed.payout, unsigned=signed.unsigned, partials=parts)
    assert set(done.signers) == {part.signer for part in signed.partials[1:]}


def test_one_signer_is_not_enough(signed: Signed) -> None:
    refused("fewer than two", payout=signed.payout, unsigned=signed.unsigned, partials=signed.partials[:1])


def test_one_signer_twice_is_not_two(signed: Signed) -> None:
    parts = [signed.partials[0], signed.partials[0]]
    refused("two signers", payout=signed.payout, unsigned=signed.unsigned, partials=parts)


def test_one_signers_signature_under_anothers_name_is_refused(signed: Signed) -> None:
    parts = [signed.partials[0], replace(signed.partials[0], signer=signed.partials[1].signer)]
    refused("does not verify", payout=signed.payout, unsigned=signed.unsigned, partials=parts)


def test_a_signer_of_no_key_of_the_account_is_refused(signed: Signed) -> None:
    parts = [signed.partials[0], replace(signed.partials[1], signer=SignerId("signer-9"))]
    refused("no cosigner", payout=signed.payout, unsigned=signed.unsigned, partials=parts)


def test_a_signature_too_few_is_refused(signed: Signed) -> None:
    parts = [signed.partials[0], replace(signed.partials[1], signatures=signed.partials[1].signatures[:1])]
    refused("one signature for each input", payout=signed.payout, unsigned=signed.unsigned, partials=parts)


def edited(signed: Signed, edit: Callable[[CMutableTransaction], object]) -> bytes:
    made = CMutableTransaction.from_tx(CTransaction.deserialize(signed.unsigned))
    edit(made)
    return bytes(CTransaction.from_tx(made).serialize({"include_witness": False}))


@pytest.mark.parametrize(
    ("edit", "because"),
    [
        (lambda t: setattr(t.vout[0], "nValue", t.vout[0].nValue + 1), "its outputs"),
        (lambda t: setattr(t.vout[0], "scriptPubKey", CScript(b"\x00\x14" + b"\x66" * 20)), "its outputs"),
        (lambda t: t.vout.append(t.vout[0]), "its outputs"),
        (lambda t: t.vout.pop(), "its outputs"),
        (lambda t: t.vin.pop(), "its inputs"),
        (lambda t: t.vin.append(t.vin[0]), "its inputs"),
        (lambda t: setattr(t.vin[0], "scriptSig", CScript(b"\x51")), "scriptSig"),
        (lambda t: setattr(t, "nLockTime", 5), "lock time 5"),
        (lambda t: setattr(t, "nVersion", 1), "version 1"),
    ],
)
def test_a_transaction_that_does_something_else_is_refused(
    signed: Signed, edit: Callable[[CMutableTransaction], object], because: str
) -> None:
    refused(because, payout=signed.payout, unsigned=edited(signed, edit), partials=signed.partials)


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda p: replace(p, fee=Sats(FEE.units + 1)), "its outputs"),
        (lambda p: replace(p, coins=p.coins[:1]), "its inputs"),
        (lambda p: replace(p, fee=Sats(10**9)), "do not cover"),
    ],
)
def test_another_attempt_than_the_one_on_record_is_refused(
    signed: Signed, change: Callable[[BitcoinPayout], BitcoinPayout], because: str
) -> None:
    refused(because, payout=change(signed.payout), unsigned=signed.unsigned, partials=signed.partials)


def test_an_amount_that_lies_about_a_coin_is_refused(signed: Signed) -> None:
    """Signatures cover the amounts (BIP-143): a fee hidden in a lying amount does not verify."""
    coins = signed.payout.coins
    moved = tuple(
        replace(coin, amount=Sats(coin.amount.units + by)) for coin, by in zip(coins, (5, -5), strict=True)
    )
    lying = replace(signed.payout, coins=moved)
    refused("does not verify", payout=lying, unsigned=signed.unsigned, partials=signed.partials)


@pytest.mark.parametrize("cut", [0, 3, 50])
def test_what_is_no_transaction_is_refused(signed: Signed, cut: int) -> None:
    refused("no transaction", payout=signed.payout, unsigned=signed.unsigned[:cut], partials=signed.partials)


def test_bytes_after_the_transaction_are_refused(signed: Signed) -> None:
    refused(
        "no transaction|canonical",
        payout=signed.payout,
        unsigned=signed.unsigned + b"\x00",
        partials=signed.partials,
    )


def test_the_kernel_wants_one_output_for_each_input(signed: Signed) -> None:
    done = assemble(payout=signed.payout, unsigned=signed.unsigned, partials=signed.partials)
    with pytest.raises(TransactionInvalid, match="one spent output"):
        bitcoin_transactions.verify_spends(done.raw, [])


# Ethereum.


@pytest.fixture(scope="module")
def transfer() -> EthereumPayout:
    world = build_world()
    return EthereumPayout(account=world.account, intent=world.intent(Asset.ETH), fee=Wei(21_000 * 3 * 10**9))


def holder(payout: EthereumPayout) -> Any:
    return build_world().signers[0].ethereum_key


def test_an_honest_transfer_is_accepted(transfer: EthereumPayout) -> None:
    raw = sign_transfer(intent=transfer.intent, fee=transfer.fee, key=holder(transfer))
    done = ethereum_transactions.verify(payout=transfer, raw=raw)
    assert done.signers == (transfer.account.ethereum.holder,)
    assert done.raw == raw


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"chainId": 1}, "plain transfer"),
        ({"nonce": 1}, "plain transfer"),
        ({"to": b"\x66" * 20}, "plain transfer"),
        ({"value": 1}, "plain transfer"),
        ({"data": b"\x01"}, "plain transfer"),
        ({"accessList": [{"address": b"\x01" * 20, "storageKeys": []}]}, "plain transfer"),
        ({"gas": 21_001}, "may cost"),
        ({"maxFeePerGas": 3 * 10**9 + 1}, "may cost"),
    ],
)
def test_a_transfer_that_does_something_else_is_refused(
    transfer: EthereumPayout, changes: dict[str, Any], because: str
) -> None:
    raw = sign_transfer(intent=transfer.intent, fee=transfer.fee, key=holder(transfer), **changes)
    with pytest.raises(TransactionInvalid, match=because):
        ethereum_transactions.verify(payout=transfer, raw=raw)


def test_a_transfer_signed_by_another_key_is_refused(transfer: EthereumPayout) -> None:
    raw = sign_transfer(intent=transfer.intent, fee=transfer.fee, key=build_world().signers[1].ethereum_key)
    with pytest.raises(TransactionInvalid, match="signed by"):
        ethereum_transactions.verify(payout=transfer, raw=raw)


@pytest.mark.parametrize(
    "raw", [b"", b"\x02", b"\x01\xc0", b"\x02\xc0", b"\x02" + b"\xff" * 2000, b"\x02\xcc" + b"\x80" * 12]
)
def test_what_is_no_transfer_is_refused(transfer: EthereumPayout, raw: bytes) -> None:
    with pytest.raises(TransactionInvalid):
        ethereum_transactions.verify(payout=transfer, raw=raw)


def test_another_chain_id_than_the_networks_is_refused(transfer: EthereumPayout) -> None:
    other = replace(transfer.intent, anchor=NonceAnchor(chain_id=1, nonce=0))
    raw = sign_transfer(intent=other, fee=transfer.fee, key=holder(transfer), chainId=1)
    with pytest.raises(TransactionInvalid, match="plain transfer"):
        ethereum_transactions.verify(payout=replace(transfer, intent=other), raw=raw)
