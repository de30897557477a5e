"""What one signer answers about one account stops that account alone, also after a restart."""

import re
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import rlp
from coincurve import PrivateKey

from custody.adapters.ethereum_transactions import TRANSACTION_BYTES_MAX
from custody.application.ports.signers import (
    BitcoinAttempt,
    CreatedKey,
    EthereumAttempt,
    HeldBy,
    SignerAnswerInvalid,
)
from custody.domain.account import AccountState
from custody.domain.errors import StatementMismatch
from custody.domain.withdrawal_states import WithdrawalState
from custody.main import RECURSION_LIMIT
from signers.statements.account import AccountKey
from signers.statements.amounts import Asset, Wei
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Digest, SignerId
from tests.factories import SignerParty, World
from tests.unit.custody.workers.fake_signers import FakeSigners
from tests.unit.custody.workers.payout import assert_paid_once, funded, journey
from tests.unit.custody.workers.stage import Stage
from tests.unit.custody.workers.test_onboarding_driver import drive, sign_by_parties, state

SECOND = AccountId("acct-two")
UNFORESEEN = "a bug of ours"
DEPTH_MAX = 370
"""What fits into a transaction."""

Lines = list[MutableMapping[str, Any]]
Answer = Callable[[World, SignerParty], CreatedKey | HeldBy]


def key_of_second(world: World, party: SignerParty, asset: Asset, key: PrivateKey) -> CreatedKey:
    """As a signer would vouch for it: every proof is genuine."""
    public_key, proof = world.possession(key, signer=party.signer, asset=asset, account=SECOND)
    said = AccountKey(
        network=world.network,
        account=SECOND,
        signer=party.signer,
        asset=asset,
        public_key=public_key,
        proof=proof,
    )
    return CreatedKey(world.cosign(said, party))


def fresh(world: World, party: SignerParty) -> PrivateKey:
    """The signer's BTC key of the second account."""
    return PrivateKey(world.derived(f"second account, {party.signer}"))


class OneLies(FakeSigners):
    """Honest about the world's account; asked for the second one's Ethereum key they answer otherwise."""

    answer: Answer

    async def create_account_key(
        self, signer: SignerId, *, account: AccountId, asset: Asset
    ) -> CreatedKey | HeldBy:
        if account != SECOND:
            return await super().create_account_key(signer, account=account, asset=asset)
        party = self.each[signer].party
        if asset is Asset.ETH:
            return self.answer(self.world, party)
        return key_of_second(self.world, party, Asset.BTC, fresh(self.world, party))


def held_by_nobody(world: World, party: SignerParty) -> HeldBy:
    return HeldBy(SignerId("nobody"))


def its_bitcoin_key(world: World, party: SignerParty) -> CreatedKey:
    return key_of_second(world, party, Asset.ETH, fresh(world, party))


def the_first_accounts_key(world: World, party: SignerParty) -> CreatedKey:
    return key_of_second(world, party, Asset.ETH, party.ethereum_key)


def a_key_of_the_other_asset(world: World, party: SignerParty) -> CreatedKey:
    return key_of_second(world, party, Asset.BTC, fresh(world, party))


def a_bug(world: World, party: SignerParty) -> CreatedKey:
    raise KeyError(UNFORESEEN)


def beginning(answer: Answer) -> Stage:
    """Two accounts without keys."""
    stage = Stage(active=False)
    stage.signers = OneLies(stage.world, stage.clock, is_final=stage.is_final)
    stage.signers.answer = answer
    stage.start()
    stage.custody.pin()
    stage.custody.create_account()
    stage.custody.create_account(account=SECOND)
    return stage


@dataclass(frozen=True)
class Case:
    answer: Answer
    says: str


CASES = {
    "held by nobody": Case(held_by_nobody, f"{SignerAnswerInvalid.__name__}: .*held by nobody"),
    "one key twice": Case(its_bitcoin_key, f"{StatementMismatch.__name__}: the ETH key .* is the BTC key"),
    "another account's key": Case(
        the_first_accounts_key,
        f"{StatementMismatch.__name__}: its script or address is that of acct-client-one",
    ),
    "the other asset's key": Case(
        a_key_of_the_other_asset, f"{SignerAnswerInvalid.__name__}: .*asked for its ETH key"
    ),
    "unforeseen": Case(a_bug, "unforeseen fault, it alone waits"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_another_account_is_opened_all_the_same(case: Case, lines: Lines) -> None:
    stage = beginning(case.answer)
    await drive(stage)
    assert state(stage) is AccountState.AWAITING_SIGNATURES
    sign_by_parties(stage)
    stage.start()
    stage.pass_time(400)
    lines.clear()
    await drive(stage)
    assert state(stage) is AccountState.ACTIVE
    stuck = stage.custody.ask(lambda uow: uow.account(SECOND))
    assert stuck.state is AccountState.CREATING_KEYS
    (line,) = (each for each in lines if each["account"] == SECOND)  # tried once, then it pauses
    assert re.search(case.says, f"{line['event']} {line.get('error')}: {line.get('detail')}")
    lines.clear()


async def test_once_the_fault_is_mended_the_account_goes_on(lines: Lines) -> None:
    """Nothing of it was written, so nothing has to be cleaned up."""
    stage = beginning(a_bug)
    await drive(stage)
    (line,) = (each for each in lines if each["log_level"] == "critical")
    assert line["exc_info"] is True
    lines.clear()
    assert isinstance(stage.signers, OneLies)
    stage.signers.answer = lambda world, party: key_of_second(
        world, party, Asset.ETH, PrivateKey(world.derived("second account, its own"))
    )
    stage.pass_time(400)
    await drive(stage)
    assert stage.custody.ask(lambda uow: uow.account(SECOND)).state is AccountState.AWAITING_SIGNATURES


def a_list(content: bytes) -> bytes:
    """An RLP list around encoded items."""
    size = len(content)
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return (bytes([0xC0 + size]) if size < 56 else bytes([0xF7 + len(length)]) + length) + content


def nested(raw: bytes, depth: int) -> bytes:
    """The transaction with an access list that goes so deep."""
    items = [rlp.encode(field) for field in rlp.decode(raw[1:])]
    items[8] = b"\xc0"
    for _ in range(depth):
        items[8] = a_list(items[8])
    return b"\x02" + a_list(b"".join(items))


@pytest.fixture
def recursion_of_a_process() -> Iterator[None]:
    """As `custody.main` limits it; py_ecc, which tests import, allows a hundred times more."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("recursion_of_a_process")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("depth", [1, DEPTH_MAX])
async def test_another_withdrawal_is_paid_all_the_same(
    monkeypatch: pytest.MonkeyPatch, depth: int, restarted: bool
) -> None:
    """The holder of the Ethereum key answers with a list within a list within a list."""
    stage = await funded(Asset.ETH)
    honest = stage.signers.sign_ethereum

    async def deep(
        signer: SignerId, *, intent_digest: Digest, fee: Wei, announce_receipts: Sequence[Envelope]
    ) -> EthereumAttempt:
        answer = await honest(
            signer, intent_digest=intent_digest, fee=fee, announce_receipts=announce_receipts
        )
        raw = nested(answer.raw, depth)
        assert len(raw) <= TRANSACTION_BYTES_MAX
        return EthereumAttempt(raw=raw, receipt=answer.receipt)

    monkeypatch.setattr(stage.signers, "sign_ethereum", deep)
    await journey(stage, Asset.ETH)
    assert stage.state(Asset.ETH) is WithdrawalState.SIGNING
    if restarted:
        stage.start()
    stage.request(Asset.BTC)
    await journey(stage, Asset.BTC)
    assert_paid_once(stage, Asset.BTC)
    assert stage.state(Asset.ETH) is WithdrawalState.SIGNING


async def test_a_bug_that_one_signers_answer_meets_leaves_it_to_the_other_two(
    monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    stage = await funded(Asset.BTC)
    honest, first = stage.signers.sign_bitcoin, stage.world.signers[0].signer

    async def broken(signer: SignerId, **named: Any) -> BitcoinAttempt:
        if signer == first:
            raise KeyError(UNFORESEEN)
        return await honest(signer, **named)

    monkeypatch.setattr(stage.signers, "sign_bitcoin", broken)
    await journey(stage, Asset.BTC)
    assert_paid_once(stage, Asset.BTC)
    assert {each["signer"] for each in lines if each["log_level"] == "critical"} == {first}
    lines.clear()


async def test_a_bug_that_one_withdrawal_meets_leaves_the_other_one_alone(
    monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    stage = await funded(Asset.ETH)
    stage.request(Asset.BTC)

    async def broken(*_: object, **__: object) -> EthereumAttempt:
        raise KeyError(UNFORESEEN)

    monkeypatch.setattr(stage.signers, "sign_ethereum", broken)
    await journey(stage, Asset.ETH)
    await journey(stage, Asset.BTC)
    assert_paid_once(stage, Asset.BTC)
    assert stage.state(Asset.ETH) is WithdrawalState.SIGNING
    assert {each["withdrawal"] for each in lines if each["log_level"] == "critical"} == {"out-eth"}
    lines.clear()
    monkeypatch.undo()
    stage.pass_time(400)
    await stage.drive()
    await stage.settle(Asset.ETH)
    assert_paid_once(stage, Asset.ETH)
