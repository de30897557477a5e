"""Coins: covered, bounded, repeatable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.application.ports.signers import PREVIOUS_BYTES_TOTAL_MAX
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Coin, CoinOrigin, Outpoint
from custody.workers.coin_selection import CoinsInsufficient, InputsTooLong, select_coins
from signers.statements.amounts import Sats
from signers.statements.identifiers import AccountId, BlockHash, TxId

amounts = st.integers(1, 10**9)


def coin(index: int, sats: int) -> Coin:
    return Coin(
        outpoint=Outpoint(TxId(f"{index:064x}"), 0),
        account=AccountId("acct-client-one"),
        amount=Sats(sats),
        origin=CoinOrigin.DEPOSIT,
        block=BlockRef(1, BlockHash("01" * 32)),
    )


@given(st.lists(amounts, max_size=100), amounts)
def test_a_selection_covers_is_minimal_and_does_not_depend_on_order(units: list[int], needed: int) -> None:
    coins = [coin(index, each) for index, each in enumerate(units)]
    try:
        chosen = select_coins(coins, Sats(needed))
    except CoinsInsufficient:
        assert sum(sorted(units)[-64:]) < needed
        return
    total = sum(each.amount.units for each in chosen)
    assert total >= needed
    assert total - min(each.amount.units for each in chosen) < needed
    assert len(set(chosen)) == len(chosen) <= 64
    assert select_coins(coins[::-1], Sats(needed)) == chosen


@given(st.lists(amounts, min_size=1, max_size=100), amounts, st.data())
def test_a_selection_begins_with_the_anchor_and_takes_no_coin_too_many(
    units: list[int], needed: int, data: st.DataObject
) -> None:
    coins = [coin(index, each) for index, each in enumerate(units)]
    anchor = data.draw(st.sampled_from(coins))
    others = sorted((each.amount.units for each in coins if each != anchor), reverse=True)
    try:
        chosen = select_coins(coins, Sats(needed), anchor=anchor.outpoint)
    except CoinsInsufficient:
        assert anchor.amount.units + sum(others[:63]) < needed
        return
    assert chosen[0] == anchor
    without_last = sum(each.amount.units for each in chosen[:-1])
    assert without_last < needed <= without_last + chosen[-1].amount.units
    assert [each.amount.units for each in chosen[1:]] == others[: len(chosen) - 1]


def test_an_anchor_that_is_not_there_is_waited_for() -> None:
    with pytest.raises(CoinsInsufficient):
        select_coins([coin(1, 100)], Sats(1), anchor=coin(2, 100).outpoint)


def test_a_coin_whose_transaction_does_not_fit_is_left_out() -> None:
    coins = [coin(index, 100 - index) for index in range(5)]
    third = PREVIOUS_BYTES_TOTAL_MAX // 3
    sizes = {each.outpoint.txid: third for each in coins[:4]} | {coins[4].outpoint.txid: 2}
    assert select_coins(coins, Sats(297), sizes=sizes) == tuple(coins[:3])
    with pytest.raises(InputsTooLong):  # three thirds, and the other two beside them: two bytes are left over
        select_coins(coins, Sats(298), sizes=sizes)
    sizes[coins[0].outpoint.txid] -= 2
    assert select_coins(coins, Sats(298), sizes=sizes) == (*coins[:3], coins[4])
    with pytest.raises(InputsTooLong):
        select_coins(coins, Sats(400), sizes=sizes)
    with pytest.raises(CoinsInsufficient):  # not for their length
        select_coins(coins[:2], Sats(400), sizes=sizes)
