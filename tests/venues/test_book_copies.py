"""Changes laid over a copy: none missing, none twice, whichever came first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from venues.book_chain import Broken, ChainedBook
from venues.book_copies import BookCopies
from venues.wire.quotes import BookChange


def change(number: int, previous: int) -> BookChange:
    """Every update puts one bid: its number is its size."""
    return BookChange("X", number, False, number, previous, [(100.0 - number, float(number))], [])


def copy(number: int) -> BookChange:
    levels = [(100.0 - n, float(n)) for n in range(1, number + 1)]
    return BookChange("X", number, True, number, None, levels, [(1000.0, 1.0)])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 12))
def test_the_book_is_the_same_whenever_the_copy_was_taken_and_came(last: int, taken: int, came: int) -> None:
    taken = min(taken, last)
    came = max(min(came, last), taken)
    copies, book = BookCopies(), ChainedBook()
    copies.want("X")
    parts = []
    for number in range(1, last + 1):
        parts += copies.hear(change(number, number - 1))
        if number == came:
            parts += copies.copy(copy(taken))
    assert all(book.apply(part) is None for part in parts)
    assert sorted(zip(*book.ladders(100)[0], strict=True)) == sorted(
        (100.0 - n, float(n)) for n in range(1, last + 1)
    )


def test_a_change_may_begin_before_the_copy_as_long_as_it_reaches_over_it() -> None:
    copies, book = BookCopies(), ChainedBook()
    copies.want("X")
    parts = copies.copy(copy(5)) + copies.hear(change(8, 3)) + copies.hear(change(9, 8))
    assert [book.apply(part) for part in parts] == [None, None, None]


def test_a_change_behind_the_copy_with_one_missing_between_is_a_gap() -> None:
    copies, book = BookCopies(), ChainedBook()
    copies.want("X")
    parts = copies.copy(copy(5)) + copies.hear(change(7, 6))
    assert [book.apply(part) for part in parts] == [None, Broken.GAP]


def test_after_a_loss_nothing_passes_until_the_next_copy() -> None:
    copies = BookCopies()
    copies.want("X")
    copies.copy(copy(5))
    copies.lose("X")
    assert copies.hear(change(6, 5)) == [] and copies.waits("X")
    assert [x.change_id for x in copies.copy(copy(6))] == [6]
    assert not copies.waits("X")
