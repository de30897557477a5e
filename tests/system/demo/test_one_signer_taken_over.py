"""What whoever owns one signer with its OpenBao can take: no bitcoin, and today, said plainly, the ether.

The attacker reads the signer's keys in the clear, builds any transaction and hands it to the nodes; neither
custody nor the other signers are asked.
"""

import asyncio
from decimal import Decimal
from typing import Any, Final

import pytest
from embit.descriptor import Descriptor
from embit.ec import PrivateKey
from embit.script import Witness, p2wpkh
from embit.transaction import SIGHASH, Transaction, TransactionInput, TransactionOutput
from eth_account import Account as EthAccount

from custody.client import Connection, Reader, TrustRoot
from deploy.localnet.anvil import CHAIN_ID
from deploy.localnet.demo.stage import ACCOUNT, state, until
from signers.statements.amounts import Asset
from signers.statements.network import Network
from tests.system.demo.played import SIGNERS, Played

pytestmark = pytest.mark.system

HOLDER: Final = 1
"""The signer that holds the ether keys of this network."""
FEE_SATS: Final = 1_000
TRANSFER_GAS: Final = 21_000
GWEI: Final = 10**9


@pytest.mark.parametrize("number", SIGNERS)
@pytest.mark.parametrize("times", [1, 2])
def test_one_key_spends_no_bitcoin(played: Played, number: int, times: int) -> None:
    (raw,) = played.private_keys(number, chain=Asset.BTC.value)
    spend = _bitcoin_spend(played, [PrivateKey(raw)] * times)
    (verdict,) = played.net.bitcoind.call("testmempoolaccept", [spend])
    assert not verdict["allowed"]
    assert "script-verify-flag-failed" in verdict["reject-reason"]


def test_two_keys_would_so_the_transaction_above_lacks_nothing_else(played: Played) -> None:
    keys = [
        PrivateKey(raw) for number in (1, 2) for raw in played.private_keys(number, chain=Asset.BTC.value)
    ]
    (verdict,) = played.net.bitcoind.call("testmempoolaccept", [_bitcoin_spend(played, keys)])
    assert verdict["allowed"], verdict


def test_the_other_signers_hold_no_ether_key(played: Played) -> None:
    for number in SIGNERS:
        assert bool(played.private_keys(number, chain=Asset.ETH.value)) is (number == HOLDER)


def test_the_holders_ether_key_takes_the_ether_and_custody_halts_the_account(played: Played) -> None:
    """Succeeds until threshold keys replace `single-holder`. Last here: nothing is left after it."""
    anvil, address = played.net.anvil, played.evidence("ethereum_address")
    (raw,) = played.private_keys(HOLDER, chain=Asset.ETH.value)
    thief = EthAccount.create()
    fee = 2 * GWEI * TRANSFER_GAS
    loot = anvil.balance_wei(address) - fee
    signed = EthAccount.from_key(raw).sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": int(anvil.call("eth_getTransactionCount", address, "latest"), 16),
            "to": thief.address,
            "value": loot,
            "gas": TRANSFER_GAS,
            "maxPriorityFeePerGas": 2 * GWEI,
            "maxFeePerGas": 2 * GWEI,
        }
    )
    anvil.call("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
    anvil.mine(4)
    assert anvil.balance_wei(thief.address) == loot > 0
    assert asyncio.run(_state_once(played, "HALTED")) == "HALTED"


async def _state_once(played: Played, wanted: str) -> str:
    person = played.net.people["auditor.auditor-one"]
    policy = played.net.policy
    trust = TrustRoot.load(policy.to_json(), network=Network.REGTEST, policy_digest=policy.digest)
    async with Connection(played.net.custody.target, person.credentials) as connection:
        reader = Reader(connection, trust)
        found = await until(
            lambda: reader.account(ACCOUNT), lambda account: state(account) == wanted, what=f"to be {wanted}"
        )
    return state(found)


def _bitcoin_spend(played: Played, keys: list[PrivateKey]) -> str:
    """The account's first coin, to the attacker, signed by these keys in the script's order."""
    net = played.net
    address, descriptor = played.evidence("bitcoin_address"), played.evidence("descriptor")
    found: dict[str, Any] = net.bitcoind.call("scantxoutset", "start", [f"addr({address})"])
    coin = found["unspents"][0]
    value = int(Decimal(coin["amount"]) * 10**8)
    script = Descriptor.from_string(descriptor.split("#")[0]).witness_script()
    thief = p2wpkh(PrivateKey(b"\x07" * 32))
    transaction = Transaction(
        vin=[TransactionInput(bytes.fromhex(coin["txid"]), coin["vout"])],
        vout=[TransactionOutput(value - FEE_SATS, thief)],
    )
    digest = transaction.sighash_segwit(0, script, value)
    ordered = sorted(keys, key=lambda key: key.sec())
    signatures = [bytes(key.sign(digest).serialize()) + bytes([SIGHASH.ALL]) for key in ordered]
    transaction.vin[0].witness = Witness([b"", *signatures, script.data])
    return str(transaction.serialize().hex())
