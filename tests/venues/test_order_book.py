"""Order books against a naive model: a dict of prices, sorted each time somebody looks."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.book_chain import Broken, ChainedBook
from venues.order_book import BookSide
from venues.wire.quotes import BookChange

#: Few prices, so that levels meet; sizes with many zeros, so that levels go.
PRICES = st.integers(1, 12).map(lambda n: n / 8)
SIZES = st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0])
LEVELS = st.lists(st.tuples(PRICES, SIZES), max_size=12)
#: A copy names a price once.
COPY = st.dictionaries(PRICES, SIZES, max_size=12).map(lambda levels: list(levels.items()))
SIGNS = st.sampled_from([-1, +1])


def shown(model: dict[float, float], sign: int) -> tuple[list[float], list[float]]:
    """Best first: asks from below, bids from above."""
    prices = sorted(model, reverse=sign < 0)
    return prices, [model[p] for p in prices]


def put(model: dict[float, float], price: float, size: float) -> None:
    model.pop(price, None)
    if size > 0:
        model[price] = size


@given(SIGNS, COPY, st.lists(LEVELS, max_size=6))
def test_a_side_is_what_a_dictionary_would_be(
    sign: int, snapshot: list[tuple[float, float]], messages: list[list[tuple[float, float]]]
) -> None:
    side, model = BookSide(sign), {price: size for price, size in snapshot if size > 0}
    side.load(snapshot, whole=True)
    assert side.top(100) == shown(model, sign)
    for message in messages:
        side.lay(message)
        for price, size in message:
            put(model, price, size)
        assert side.top(100) == shown(model, sign)
        assert side.top(3) == tuple(part[:3] for part in shown(model, sign))


@given(COPY, COPY, st.lists(st.tuples(LEVELS, LEVELS), max_size=5))
def test_a_book_is_known_until_it_crosses_and_crosses_when_its_sides_meet(
    bids: list[tuple[float, float]],
    asks: list[tuple[float, float]],
    later: list[tuple[list[tuple[float, float]], list[tuple[float, float]]]],
) -> None:
    book, sides = ChainedBook(), ({}, {})  # type: tuple[ChainedBook, tuple[dict[float, float], ...]]
    crossed = False
    for number, message in enumerate([(bids, asks), *later], start=1):
        first = number == 1
        change = BookChange("X", number, first, number, None if first else number - 1, *message)
        for model, levels in zip(sides, message, strict=True):
            for price, size in levels:
                put(model, price, size)
        told = book.apply(change)
        crossed = crossed or bool(sides[0] and sides[1] and max(sides[0]) >= min(sides[1]))
        assert told is (Broken.CROSSED if crossed else None)
        if not crossed:
            assert book.ladders(100) == (shown(sides[0], -1), shown(sides[1], +1))
    if crossed:
        assert book.ladders(100) == (([], []), ([], []))


@pytest.mark.parametrize("sign", [-1, +1])
def test_ten_thousand_levels_come_and_go(sign: int) -> None:
    side = BookSide(sign)
    side.load([], whole=True)
    prices = [float(Decimal(n) / 10) for n in range(1, 10_001)]
    side.lay([(p, 1.0) for p in prices[::2]])
    side.lay([(p, 2.0) for p in prices[1::2]])
    side.lay([(p, 0.0) for p in prices[::2]])
    left, sizes = side.top(20_000)
    assert left == sorted(prices[1::2], reverse=sign < 0) and set(sizes) == {2.0}
