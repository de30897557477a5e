"""The books: they balance, they do not go below nothing, and a shortfall is one number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain.ledger import (
    BOOKS,
    Balances,
    Book,
    LedgerViolation,
    Movement,
    free_quantity,
    give,
    take,
)
from signers.statements.amounts import Asset, Sats, Wei

FUNDED = Balances(Asset.BTC, external=-10, available=10)
LENT = Balances(Asset.BTC, external=-10, available=3, posted=7)
MAY_BE_NEGATIVE = {Book.EXTERNAL, Book.REORG_SHORTFALL}


def test_a_movement_leaves_the_sum_at_zero() -> None:
    after = FUNDED.after([Movement(Book.AVAILABLE, Book.RESERVED, Sats(4))])
    assert after == Balances(Asset.BTC, external=-10, available=6, reserved=4)


@pytest.mark.parametrize("book", [book for book in BOOKS if book not in MAY_BE_NEGATIVE])
def test_no_book_of_ours_goes_below_nothing(book: Book) -> None:
    with pytest.raises(LedgerViolation):
        Balances(Asset.BTC).after([Movement(book, Book.EXTERNAL, Sats(1))])


def test_the_world_may_owe() -> None:
    after = Balances(Asset.BTC).after([Movement(Book.EXTERNAL, Book.PENDING, Sats(1))])
    assert (after.external, after.pending) == (-1, 1)


def test_a_movement_of_another_asset_is_refused() -> None:
    with pytest.raises(LedgerViolation, match="in the books of BTC"):
        FUNDED.after([Movement(Book.AVAILABLE, Book.RESERVED, Wei(1))])


@pytest.mark.parametrize(
    ("debit", "credit", "units"), [(Book.PENDING, Book.PENDING, 1), (Book.PENDING, Book.AVAILABLE, 0)]
)
def test_a_movement_moves_something_somewhere(debit: Book, credit: Book, units: int) -> None:
    with pytest.raises(LedgerViolation, match="moves nothing"):
        Movement(debit, credit, Sats(units))


def test_nothing_is_available_beside_a_shortfall() -> None:
    with pytest.raises(LedgerViolation, match="beside a shortfall"):
        Balances(Asset.BTC, external=-1, available=2, reorg_shortfall=-1)


def test_a_shortfall_is_never_a_surplus() -> None:
    with pytest.raises(LedgerViolation, match="beyond its bound"):
        Balances(Asset.BTC, external=-1, reorg_shortfall=1)


def test_books_that_do_not_sum_to_zero_do_not_exist() -> None:
    with pytest.raises(LedgerViolation, match="do not balance"):
        Balances(Asset.BTC, available=1)


def test_what_is_taken_comes_from_available_first() -> None:
    after = LENT.after(take(LENT, Book.EXTERNAL, Sats(10)))
    assert after == Balances(Asset.BTC, posted=7, reorg_shortfall=-7)
    assert (after.shortfall, after.confirmed) == (7, 0)


def test_what_is_given_fills_the_shortfall_first() -> None:
    short = Balances(Asset.BTC, external=-10, pending=10, posted=7, reorg_shortfall=-7)
    assert short.after(give(short, Book.PENDING, Sats(10))) == LENT


def test_free_is_what_is_available_and_nothing_while_halted() -> None:
    assert free_quantity(LENT, halted=False) == Sats(3)
    assert free_quantity(LENT, halted=True) == Sats(0)


@given(
    lent=st.integers(0, 50), available=st.integers(0, 50), lost=st.integers(1, 100), back=st.integers(1, 100)
)
def test_taking_and_giving_depend_only_on_their_sums(lent: int, available: int, lost: int, back: int) -> None:
    """The free number is what came in less what is held; where that is negative it is a shortfall."""
    books = Balances(Asset.BTC, external=-(lent + available), available=available, posted=lent)
    books = books.after(take(books, Book.EXTERNAL, Sats(lost)))
    books = books.after(give(books, Book.EXTERNAL, Sats(back)))
    net = available - lost + back
    assert (books.available, books.shortfall) == (max(0, net), max(0, -net))
