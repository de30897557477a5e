"""One valid request, one mutation, exactly one broken rule."""

import pytest
from bailee.custody.v1 import account_service_pb2, amount_pb2, price_service_pb2, withdrawal_service_pb2
from google.protobuf.message import Message

from tests.unit.proto.descriptors import broken_rules

REQUEST_ID = "1b4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b"


def valid_withdrawal() -> withdrawal_service_pb2.CreateWithdrawalRequest:
    request = withdrawal_service_pb2.CreateWithdrawalRequest(
        parent="accounts/client-one", withdrawal_id="w-1", request_id=REQUEST_ID
    )
    request.withdrawal.destination = "accounts/client-one/destinations/treasury"
    request.withdrawal.amount.asset = amount_pb2.ASSET_BTC
    request.withdrawal.amount.units = "150000"
    request.withdrawal.fee_cap.asset = amount_pb2.ASSET_BTC
    request.withdrawal.fee_cap.units = "2000"
    return request


def valid_account() -> account_service_pb2.CreateAccountRequest:
    request = account_service_pb2.CreateAccountRequest(account_id="client-one", request_id=REQUEST_ID)
    request.account.pledgor.entity = "client-one"
    request.account.pledgor.public_key = b"\x01" * 32
    request.account.secured_party.entity = "broker-one"
    request.account.secured_party.public_key = b"\x02" * 32
    request.account.enforcement.bitcoin_script_pubkey = b"\x00\x14" + b"\x03" * 20
    request.account.enforcement.ethereum_address = b"\x04" * 20
    return request


def mutate(message: Message, path: str, value: object) -> None:
    """Sets the field at a dotted path; None clears it."""
    *outer, last = path.split(".")
    for name in outer:
        message = getattr(message, name)
    if value is None:
        message.ClearField(last)
    else:
        setattr(message, last, value)


def test_the_baselines_are_valid() -> None:
    assert broken_rules(valid_withdrawal()) == []
    assert broken_rules(valid_account()) == []


@pytest.mark.parametrize(
    ("path", "value", "broken"),
    [
        *(
            ("request_id", value, ("request_id", "string.pattern"))
            for value in (
                REQUEST_ID.upper(),
                "1b4e28ba-2fa1-11d2-883f-0016d3cca427",  # version 1
                "1b4e28ba-2fa1-4d3b-c3f5-ef19b5a7633b",  # another variant
                " " + REQUEST_ID[:-1],
            )
        ),
        *(
            ("withdrawal.amount.units", value, ("withdrawal.amount.units", "string.pattern"))
            for value in (
                "",
                "-1",
                "+1",
                "01",
                "1.0",
                "1e5",
                " 1",
                "1\n",
                "\N{ARABIC-INDIC DIGIT THREE}",
                "0x10",
            )
        ),
        ("withdrawal.amount.units", "0", ("withdrawal.amount", "amount.positive")),
        ("withdrawal.fee_cap.units", "0", ("withdrawal.fee_cap", "amount.positive")),
        ("withdrawal.fee_cap.asset", amount_pb2.ASSET_ETH, ("withdrawal", "withdrawal.fee_asset")),
        ("withdrawal.fee_cap", None, ("withdrawal.fee_cap", "required")),
        ("withdrawal.destination", "0x" + "ab" * 20, ("withdrawal.destination", "string.pattern")),
        ("parent", "customers/client-one", ("parent", "string.pattern")),
        ("parent", "accounts/-", ("parent", "string.pattern")),
        ("withdrawal_id", "w/1", ("withdrawal_id", "string.pattern")),
        ("withdrawal_id", "W-1", ("withdrawal_id", "string.pattern")),
    ],
)
def test_one_mutation_of_a_withdrawal(path: str, value: object, broken: tuple[str, str]) -> None:
    request = valid_withdrawal()
    mutate(request, path, value)
    assert broken_rules(request) == [broken]


@pytest.mark.parametrize(
    ("path", "value", "broken"),
    [
        ("account.secured_party.entity", "client-one", ("account", "account.parties_differ")),
        ("account.secured_party.public_key", b"\x01" * 32, ("account", "account.parties_differ")),
        ("account.pledgor.public_key", b"\x01" * 33, ("account.pledgor.public_key", "bytes.len")),
        ("account.pledgor", None, ("account.pledgor", "required")),
        (
            "account.enforcement.ethereum_address",
            None,
            ("account.enforcement.ethereum_address", "bytes.len"),
        ),
    ],
)
def test_one_mutation_of_an_account(path: str, value: object, broken: tuple[str, str]) -> None:
    request = valid_account()
    mutate(request, path, value)
    assert broken_rules(request) == [broken]


def test_prices_are_bounded_in_number_and_size() -> None:
    request = price_service_pb2.PublishPricesRequest(request_id=REQUEST_ID, envelopes=[b"{}"] * 32)
    assert broken_rules(request) == []
    request.envelopes.append(b"{}")
    assert broken_rules(request) == [("envelopes", "repeated.max_items")]
    request.envelopes[:] = [b"x" * 65537]
    assert broken_rules(request) == [("envelopes", "bytes.max_len")]
