"""What is built from intent and fee, and what is refused instead."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from signers.ethereum.address import address_of, require_address
from signers.ethereum.construct import build_payout
from signers.ethereum.sign import assemble
from signers.ethereum.verify import verify_payout, verify_signed
from signers.statements.allowlist import EthereumDestination
from signers.statements.amounts import Sats, Wei
from signers.statements.identifiers import AccountId, CompressedKey, EthereumAddress
from signers.statements.network import Network
from signers.statements.refusals import Refusal, Tag
from tests.signers.bitcoin import material as btc
from tests.signers.ethereum.material import GWEI, MATERIAL, Payment, payment


def test_baseline_pays_exactly_what_is_said() -> None:
    built = build_payout(**payment().arguments)
    assert built.payload[0] == 2
    fields = rlp.decode(built.payload[1:])
    assert [int.from_bytes(item, "big") for item in fields[:5]] == [31_337, 7, 4 * GWEI, 32 * GWEI, 21_000]
    assert fields[5:] == [b"\x77" * 20, (10**18).to_bytes(8, "big"), b"", []]
    assert built.fee_max == Wei(21_000 * 32 * GWEI)


def test_a_higher_fee_replaces_a_transaction_at_the_nodes() -> None:
    """Nodes ask for a tenth more of both figures."""
    first = build_payout(**payment().arguments)
    bumped = build_payout(**payment().but(fee=Wei(21_000 * 36 * GWEI)).arguments)
    assert 10 * bumped.max_fee_per_gas >= 11 * first.max_fee_per_gas
    assert 10 * bumped.max_priority_fee_per_gas >= 11 * first.max_priority_fee_per_gas


TERMS: list[tuple[str, Any, Tag]] = [
    ("fee above the cap", lambda p: p.but(fee=Wei(p.intent.fee_cap.units + 1)), Tag.FEE_CAP),
    ("cap below the fee", lambda p: p.but_intent(fee_cap=Wei(p.fee.units - 1)), Tag.FEE_CAP),
    ("a fee that buys no gas", lambda p: p.but(fee=Wei(0)), Tag.AMOUNT),
    ("a fee that is no multiple", lambda p: p.but(fee=Wei(p.fee.units + 1)), Tag.AMOUNT),
    ("another account", lambda p: p.but_intent(account=AccountId("client-two")), Tag.ACCOUNT_UNKNOWN),
    ("another network", lambda p: p.but_intent(network=Network.TESTNET), Tag.STATEMENT_NETWORK),
    (
        "an anchor of another chain",
        lambda p: p.but_intent(anchor=btc.nonce_anchor(7, Network.MAINNET)),
        Tag.CHAIN_ID,
    ),
    (
        "the account itself",
        lambda p: p.but_intent(destination=EthereumDestination(address=p.account.ethereum.address)),
        Tag.DESTINATION,
    ),
    (
        "an intent of bitcoin",
        lambda p: p.but(
            intent=btc.intent(
                MATERIAL,
                anchor=btc.outpoint_anchor(btc.coin(MATERIAL.script, 1)),
                amount=Sats(1),
                fee_cap=Sats(1),
            )
        ),
        Tag.NONCE,
    ),
    ("an address of another key", lambda p: p.but(account=with_address(p, "66" * 20)), Tag.ACCOUNT_KEYS),
]


def with_address(of: Payment, address: str) -> Any:
    ethereum = replace(of.account.ethereum, address=EthereumAddress(address))
    return replace(of.account, ethereum=ethereum)


@pytest.mark.parametrize(("mutate", "tag"), [row[1:] for row in TERMS], ids=[row[0] for row in TERMS])
def test_terms_are_refused(mutate: Any, tag: Tag) -> None:
    with pytest.raises(Refusal) as refused:
        build_payout(**mutate(payment()).arguments)
    assert refused.value.tag is tag


@given(
    st.integers(1, 10**26),
    st.integers(1, 10**15).map(lambda price: 21_000 * price),
    st.integers(0, 2**53 - 1),
    st.binary(min_size=20, max_size=20),
)
def test_what_is_built_is_accepted_and_exact(amount: int, fee: int, nonce: int, to: bytes) -> None:
    case = (
        payment()
        .but(fee=Wei(fee))
        .but_intent(
            amount=Wei(amount),
            fee_cap=Wei(fee),
            anchor=btc.nonce_anchor(nonce),
            destination=EthereumDestination(address=EthereumAddress(to.hex())),
        )
    )
    built = build_payout(**case.arguments)
    verified = verify_payout(built.payload, **case.arguments)
    assert verified.digest == built.digest
    verify_signed(assemble(built, MATERIAL.holder.recoverable(built.digest)), **case.arguments)
    assert (built.amount, built.fee_max) == (Wei(amount), Wei(fee))


@dataclass(frozen=True)
class Known:
    key: str
    address: str


# Private keys 1 and 2: the addresses every Ethereum library gives them.
KNOWN = [
    Known(
        "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        "7e5f4552091a69125d5dfcb7b8c2659029395bdf",
    ),
    Known(
        "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
        "2b5ad5c4795c026514f8317c7a215e218dccd6cf",
    ),
]


@pytest.mark.parametrize("known", KNOWN, ids=["1", "2"])
def test_known_addresses(known: Known) -> None:
    assert address_of(CompressedKey(known.key)) == known.address


def test_an_address_of_the_own_key_is_accepted() -> None:
    require_address(MATERIAL.account)


def test_a_key_off_the_curve_has_no_address() -> None:
    with pytest.raises(ValueError, match="public key"):
        address_of(CompressedKey("02" + "ff" * 32))
