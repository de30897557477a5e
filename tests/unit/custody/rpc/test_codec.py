"""Every state, cause, role and asset of the domain has its value in the protos, and the other way round."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, get_args

import bdkpython as bdk
import pytest
from bailee.custody.v1 import account_pb2, amount_pb2, cause_pb2, deposit_pb2, destination_pb2, lien_pb2
from bailee.custody.v1.withdrawal_pb2 import Withdrawal

from custody.domain.account import AccountState, Halt
from custody.domain.deposit import DepositState
from custody.domain.destination import DestinationState
from custody.domain.errors import FieldInvalid
from custody.domain.ledger import CauseKind
from custody.domain.lien import LienState
from custody.domain.withdrawal import Capacity
from custody.domain.withdrawal_states import WithdrawalState
from custody.rpc.codec import accounts, addresses, ledger, names, values, withdrawals
from signers.statements import multisig
from signers.statements.account import EthereumCustody
from signers.statements.amounts import Asset
from signers.statements.identifiers import EthereumAddress, ScriptPubKey
from signers.statements.network import Network
from signers.statements.receipt import Act
from tests.factories import build_world

ONLY_ON_THE_WIRE: dict[str, set[str]] = {
    "State": {"STATE_HALTED"},
    "Cause": {"CAUSE_PRICE", "CAUSE_REPORT"},
    "EthereumKeyCustody": {"ETHEREUM_KEY_CUSTODY_THRESHOLD"},
}
"""What no value of the domain stands behind: halted is a set of reasons; the stream has causes of its own."""


@pytest.mark.parametrize(
    ("table", "domain", "wire"),
    [
        (accounts.STATES, AccountState, account_pb2.Account.State),
        (accounts.HALTS, Halt, account_pb2.Account.Halt),
        (accounts.DESTINATION_STATES, DestinationState, destination_pb2.Destination.State),
        (ledger.DEPOSIT_STATES, DepositState, deposit_pb2.Deposit.State),
        (ledger.LIEN_STATES, LienState, lien_pb2.Lien.State),
        (ledger.CAUSES, CauseKind, cause_pb2.Cause),
        (withdrawals.STATES, WithdrawalState, Withdrawal.State),
        (withdrawals.ROLES, Capacity, Withdrawal.Role),
        (withdrawals.ACTS, Act, Withdrawal.Receipt.Act),
        (values.ASSETS, Asset, amount_pb2.Asset),
        (values.NETWORKS, Network, amount_pb2.Network),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_both_sides_name_the_same(table: Mapping[Any, int], domain: type[Enum], wire: Any) -> None:
    assert set(table) == set(domain)
    numbers = list(table.values())
    assert len(set(numbers)) == len(numbers)
    extra = ONLY_ON_THE_WIRE.get(wire.DESCRIPTOR.name, set()) if 0 not in numbers else set()
    named = {wire.Name(number) for number in numbers}
    unspecified = wire.Name(0)
    assert set(wire.keys()) - named - {unspecified} <= extra
    for value, number in table.items():
        assert wire.Name(number).endswith(value.name)


def test_ethereum_custody() -> None:
    assert set(accounts.ETHEREUM_CUSTODY) == set(get_args(EthereumCustody))


SCRIPTS = {
    "p2wpkh": b"\x00\x14" + b"\x11" * 20,
    "p2wsh": b"\x00\x20" + b"\x22" * 32,
    "p2tr": b"\x51\x20" + b"\x33" * 32,
    "p2pkh": b"\x76\xa9\x14" + b"\x44" * 20 + b"\x88\xac",
    "p2sh": b"\xa9\x14" + b"\x55" * 20 + b"\x87",
}


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize(
    ("network", "theirs"),
    [
        (Network.MAINNET, bdk.Network.BITCOIN),
        (Network.TESTNET, bdk.Network.TESTNET4),
        (Network.REGTEST, bdk.Network.REGTEST),
    ],
)
def test_addresses_agree_with_another_library(kind: str, network: Network, theirs: bdk.Network) -> None:
    script = bdk.Script(SCRIPTS[kind])
    assert addresses.bitcoin(ScriptPubKey(SCRIPTS[kind].hex()), network) == str(
        bdk.Address.from_script(script, theirs)
    )


@pytest.mark.parametrize(
    ("script", "network", "address"),
    [  # BIP-350, test vectors for v0-v16 native segregated witness addresses
        (
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            Network.MAINNET,
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        ),
        (
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
            Network.TESTNET,
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        ),
        (
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            Network.MAINNET,
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ),
        (
            "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
            Network.TESTNET,
            "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        ),
    ],
)
def test_the_vectors_of_bip_350(script: str, network: Network, address: str) -> None:
    assert addresses.bitcoin(ScriptPubKey(script), network) == address


@pytest.mark.parametrize(
    "script", ["6a", "00", "0013" + "11" * 19, "0014" + "11" * 21, "5101aa", "5220" + "11" * 32, "00" * 83]
)
def test_a_script_without_an_address(script: str) -> None:
    assert addresses.bitcoin(ScriptPubKey(script), Network.MAINNET) == ""


def test_the_vector_of_bip_380() -> None:
    assert addresses.with_checksum("raw(deadbeef)") == "raw(deadbeef)#89f8spxm"


def test_the_descriptor_checksum_agrees_with_another_library() -> None:
    for number in range(20):
        text = multisig.descriptor(build_world(seed=str(number)).account.bitcoin.keys)
        assert addresses.with_checksum(text) == str(bdk.Descriptor(text, bdk.NetworkKind.TEST))


def test_the_checksum_of_eip_55() -> None:
    for text in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ):
        assert addresses.ethereum(EthereumAddress(text[2:].lower())) == text


BELOW_AN_ACCOUNT = [names.parse_destination, names.parse_lien, names.parse_withdrawal]


@pytest.mark.parametrize(
    ("parse", "name"),
    [
        *(
            (parse, name)
            for parse in BELOW_AN_ACCOUNT
            for name in ("accounts/abc", "accounts/abc/unknowns/def")
        ),
        *(
            (parse, name)
            for parse in (*BELOW_AN_ACCOUNT, names.parse_account, names.parse_policy)
            for name in ("", "accounts", "customers/a")
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_name_is_refused_even_where_a_pattern_was_forgotten(parse: Any, name: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        parse(name, field="name")
    assert refused.value.field == "name"
