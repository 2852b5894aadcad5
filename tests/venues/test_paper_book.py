"""One order book on paper: what is taken is remembered, queues are joined at the back."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Side
from pricing.market import Depth
from tests import builders
from venues.paper_book import PaperBook
from venues.paper_terms import Queue

BUY, SELL = Side.BUY, Side.SELL
D = Decimal
NAN = builders.NAN
SECOND = 10**9


def book(queue: Queue | None = None, lot: str = "1") -> PaperBook:
    item = builders.listing(builders.perpetual(), lot=lot, ticks="0:0.5")
    return PaperBook(item, queue or Queue())


def show(
    held: PaperBook, bids: list[tuple[float, float]], asks: list[tuple[float, float]], now_ns: int = 0
) -> list[tuple[int, Decimal, Decimal]]:
    return [tuple(m) for m in held.show(now_ns, side(bids), side(asks))]  # type: ignore[misc]


def side(levels: list[tuple[float, float]]) -> Depth:
    return builders.side(levels)


def take(
    held: PaperBook, way: Side, quantity: int, limit: str, now_ns: int = 0
) -> list[tuple[Decimal, Decimal]]:
    return [(m.price, m.quantity) for m in held.take(now_ns, way, D(quantity), D(limit))]


BIDS, ASKS = [(100.0, 5.0), (99.5, 10.0)], [(100.5, 4.0), (101.0, 6.0), (102.0, 50.0)]


# --- takers


def test_a_taker_walks_the_depth_to_its_limit_and_no_further() -> None:
    held = book()
    show(held, BIDS, ASKS)
    assert take(held, BUY, 20, "101") == [(D("100.5"), D(4)), (D(101), D(6))]
    assert take(held, SELL, 7, "99") == [(D("100"), D(5)), (D("99.5"), D(2))]
    assert take(held, SELL, 7, "100") == []


def test_the_same_liquidity_is_never_taken_twice() -> None:
    held = book()
    show(held, BIDS, ASKS)
    assert take(held, BUY, 3, "100.5") == [(D("100.5"), D(3))]
    assert take(held, BUY, 3, "100.5") == [(D("100.5"), D(1))]
    show(held, BIDS, ASKS)
    assert take(held, BUY, 3, "100.5") == []


def test_a_level_refreshes_when_its_size_rises_and_not_when_it_falls() -> None:
    held = book()
    show(held, BIDS, ASKS)
    take(held, BUY, 3, "100.5")
    show(held, BIDS, [(100.5, 3.0)])  # three were taken of what are now three
    assert take(held, BUY, 9, "100.5") == []
    show(held, BIDS, [(100.5, 3.5)])
    assert take(held, BUY, 9, "100.5") == [(D("100.5"), D(3))]


def test_a_level_refreshes_when_its_price_went_away_and_came_back() -> None:
    held = book()
    show(held, BIDS, ASKS)
    take(held, BUY, 4, "100.5")
    show(held, BIDS, ASKS[1:])
    show(held, BIDS, ASKS)
    assert take(held, BUY, 4, "100.5") == [(D("100.5"), D(4))]


def test_time_refreshes_a_level_only_where_that_is_stated() -> None:
    for seconds, expected in ((None, D(0)), (60.0, D(4))):
        held = book(Queue(refresh_s=seconds))
        show(held, BIDS, ASKS)
        take(held, BUY, 4, "100.5", now_ns=1)
        show(held, BIDS, ASKS, now_ns=60 * SECOND)  # a nanosecond too early
        assert take(held, BUY, 4, "100.5") == []
        show(held, BIDS, ASKS, now_ns=60 * SECOND + 1)
        assert sum(q for _, q in take(held, BUY, 4, "100.5")) == expected


def test_a_crossed_or_locked_display_fills_nobody() -> None:
    held = book()
    show(held, BIDS, ASKS)
    held.rest(1, BUY, D(100), D(2))
    for best_ask in (100.0, 99.0):
        assert show(held, BIDS, [(best_ask, 50.0)]) == []
        assert held.crossed
        assert take(held, BUY, 5, "105") == []
    show(held, BIDS, ASKS)
    assert take(held, BUY, 5, "100.5") == [(D("100.5"), D(4))]


def test_levels_that_are_no_numbers_are_no_liquidity() -> None:
    held = book()
    show(held, [(NAN, 5.0), (99.0, -1.0)], [(100.5, NAN), (0.0, 3.0), (101.0, 1e308), (102.0, 2.0)])
    assert take(held, BUY, 9, "200") == [(D("102"), D(2))]
    assert take(held, SELL, 9, "1") == []


def test_only_whole_lots_trade() -> None:
    held = book(lot="10")
    show(held, BIDS, [(100.5, 19.9), (101.0, 29.999999999999996)])
    assert take(held, BUY, 50, "101") == [(D("100.5"), D(10)), (D(101), D(30))]


# --- makers


def test_a_maker_waits_behind_all_that_was_displayed() -> None:
    held = book()
    show(held, BIDS, ASKS)
    held.rest(1, BUY, D(100), D(3))
    assert held.trade(SELL, D(100), D(4)) == []  # five stood before it
    assert [tuple(m) for m in held.trade(SELL, D(100), D(2))] == [(1, D(100), D(1))]
    assert [tuple(m) for m in held.trade(SELL, D(100), D(9))] == [(1, D(100), D(2))]
    assert not held.resting


def test_trades_of_the_other_side_or_at_better_prices_do_not_advance_it() -> None:
    held = book()
    show(held, BIDS, ASKS)
    held.rest(1, BUY, D("99.5"), D(3))
    held.trade(BUY, D("100.5"), D(99))
    held.trade(SELL, D(100), D(99))
    assert held.resting[0].ahead == 10


def test_a_trade_through_its_price_fills_it_first_and_no_more_than_was_traded() -> None:
    held = book()
    show(held, BIDS, ASKS)
    held.rest(1, BUY, D(100), D(3))
    assert [tuple(m) for m in held.trade(SELL, D("99.5"), D(2))] == [(1, D(100), D(2))]


def test_two_makers_never_share_a_trade() -> None:
    held = book()
    show(held, BIDS, ASKS)
    held.rest(1, BUY, D(100), D(3))
    held.rest(2, BUY, D(100), D(3))
    # 5 ahead of both, then 3 of the first, then what is left goes to the second
    assert [tuple(m) for m in held.trade(SELL, D(100), D(9))] == [(1, D(100), D(3)), (2, D(100), D(1))]


def test_cancels_do_not_advance_a_risk_averse_maker_but_bound_what_is_ahead() -> None:
    held = book()
    show(held, [(100.0, 50.0)], ASKS)
    held.rest(1, BUY, D(100), D(3))
    show(held, [(100.0, 80.0)], ASKS)  # joined behind us
    show(held, [(100.0, 60.0)], ASKS)  # left: from behind, for all we may assume
    assert held.resting[0].ahead == 50
    show(held, [(100.0, 20.0)], ASKS)  # there are no fifty any more
    assert held.resting[0].ahead == 20
    show(held, [(99.0, 20.0)], ASKS)  # our price is displayed empty
    assert held.resting[0].ahead == 0


def test_a_stated_cancel_model_advances_it_by_its_share_of_unexplained_decreases() -> None:
    held = book(Queue(cancels_ahead=D("0.5")))
    show(held, [(100.0, 50.0)], ASKS)
    held.rest(1, BUY, D(100), D(3))
    held.trade(SELL, D(100), D(10))  # 40 ahead
    show(held, [(100.0, 30.0)], ASKS)  # 20 less, 10 of it explained: 5 were ahead
    assert held.resting[0].ahead == D("30")  # 35, but only 30 are displayed
    show(held, [(100.0, 20.0)], ASKS)
    assert held.resting[0].ahead == D("20")
    held = book(Queue(cancels_ahead=D("0.5")))
    show(held, [(100.0, 50.0)], ASKS)
    held.rest(1, BUY, D(100), D(3))
    show(held, [(100.0, 90.0)], ASKS)
    show(held, [(100.0, 70.0)], ASKS)
    assert held.resting[0].ahead == D("40")


def test_a_price_out_of_view_joins_the_back_when_it_comes_into_view() -> None:
    held = book()
    show(held, BIDS, ASKS)
    held.rest(1, BUY, D(98), D(1))
    assert held.trade(SELL, D(98), D(1000)) == []
    show(held, [(98.5, 1.0), (98.0, 7.0)], ASKS)
    assert held.trade(SELL, D(98), D(7)) == []
    assert [tuple(m) for m in held.trade(SELL, D(98), D(1))] == [(1, D(98), D(1))]


def test_without_trades_a_touch_that_reaches_the_price_fills_up_to_its_size_at_the_makers_price() -> None:
    held = book()
    show(held, BIDS, ASKS)
    held.rest(1, BUY, D(100), D(6))
    assert show(held, [(99.0, 5.0)], [(100.5, 9.0)]) == []
    assert show(held, [(99.0, 5.0)], [(99.5, 2.0), (100.0, 2.0), (101.0, 9.0)]) == [
        (1, D(100), D(2)),
        (1, D(100), D(2)),
    ]
    assert show(held, [(99.0, 5.0)], [(99.5, 2.0), (100.0, 2.0), (101.0, 9.0)]) == []  # taken already
    assert take(held, BUY, 9, "100") == []


levels = st.lists(st.integers(1, 30), min_size=1, max_size=4)


@given(
    st.lists(
        st.tuples(levels, levels, st.sampled_from([BUY, SELL]), st.integers(1, 60), st.integers(1, 8)),
        max_size=12,
    )
)
def test_nothing_is_filled_beyond_displayed_liquidity_that_nobody_took_nor_beyond_the_limit(
    steps: list[tuple[list[int], list[int], Side, int, int]],
) -> None:
    """Against a plain model: per price the display since it last rose, less what was taken since."""
    held = book()
    model: dict[tuple[Side, int], tuple[int, int]] = {}  # (size, taken)
    for bids, asks, way, quantity, limit in steps:
        fresh: dict[tuple[Side, int], tuple[int, int]] = {}
        for book_side, start, sign, sizes in ((BUY, 104, -1, bids), (SELL, 105, 1, asks)):
            for i, size in enumerate(sizes):
                key = (book_side, start + sign * i)
                old_size, taken = model.get(key, (0, 0))
                fresh[key] = (size, 0 if size > old_size else min(taken, size))
        model = fresh
        show(
            held,
            [(104.0 - i, float(x)) for i, x in enumerate(bids)],
            [(105.0 + i, float(x)) for i, x in enumerate(asks)],
        )
        price = 104 + limit if way is BUY else 105 - limit
        left = quantity
        expected = []
        other = SELL if way is BUY else BUY
        for key in sorted((k for k in model if k[0] is other), key=lambda k: k[1] * way.sign):
            size, taken = model[key]
            got = min(size - taken, left)
            if key[1] * way.sign <= price * way.sign and got > 0:
                model[key] = (size, taken + got)
                left -= got
                expected.append((D(key[1]), D(got)))
        assert take(held, way, quantity, str(price)) == expected
