"""The market: the newest quote wins, ages are ages, flags name the first reason, the index is a median."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.daycount import NS_PER_SECOND
from pricing.market import QUOTE_FIELDS, Flag, ForwardKind, Market, Marks
from pricing.universe import Universe
from tests.builders import (
    AGE_S_MAX,
    NAN,
    NOW_NS,
    Quote,
    future,
    listing,
    market_of,
    marks_of,
    option,
    perpetual,
    spot,
)

PERP = listing(perpetual())
CALL = listing(option(60_000, "C", 30))
PUT = listing(option(60_000, "P", 30))
SOUND = Quote(CALL, bid=0.04, ask=0.05, mark=0.045, mark_iv=0.5, forward=60_000.0, index=60_000.0)


def perp_market(count: int = 3) -> Market:
    return Market.empty(Universe.of(listing(perpetual(), f"P{i}") for i in range(count)))


def batch(stamped: list[tuple[int, int, float]], now_s: int = 1000, seq: int = 1) -> Marks:
    """Marks from (row, venue second, bid)."""
    quotes = [Quote(PERP, bid=bid) for _, _, bid in stamped]
    marks = marks_of(quotes, [row for row, _, _ in stamped], now_s * NS_PER_SECOND, seq)
    return replace(marks, venue_ns=np.array([s * NS_PER_SECOND for _, s, _ in stamped], dtype=np.int64))


def test_nothing_is_known_at_first() -> None:
    market = perp_market()
    assert all(np.isnan(getattr(market, name)).all() for name in QUOTE_FIELDS)
    assert not market.quoted.any()
    assert np.isnan(market.age_s).all()
    assert market.flags(AGE_S_MAX).tolist() == [Flag.NOT_QUOTED] * 3
    assert np.isnan(market.spot(AGE_S_MAX)).all()


def test_news_goes_over_what_was_known_and_the_old_market_stays() -> None:
    first = perp_market().apply(batch([(0, 10, 1.0), (1, 10, 2.0)], now_s=20))
    second = first.apply(batch([(1, 15, 3.0)], now_s=30, seq=2))
    assert first.bid.tolist()[:2] == [1.0, 2.0]
    assert second.bid.tolist()[:2] == [1.0, 3.0]
    assert math.isnan(second.bid[2])
    assert (second.seq, second.now_ns) == (2, 30 * NS_PER_SECOND)
    assert second.age_s.tolist()[:2] == [20.0, 15.0]


def test_a_null_in_the_news_is_unknown_and_not_what_stood_there_before() -> None:
    first = perp_market().apply(batch([(0, 10, 1.0)]))
    assert math.isnan(first.apply(batch([(0, 11, NAN)])).bid[0])


def test_older_rows_are_dropped_and_equal_stamps_replace() -> None:
    market = perp_market().apply(batch([(0, 10, 1.0), (1, 10, 2.0)]))
    later = market.apply(batch([(0, 9, 8.0), (1, 10, 9.0)]))
    assert later.bid.tolist()[:2] == [1.0, 9.0]
    assert (later.venue_ns[:2] == 10 * NS_PER_SECOND).all()


def test_a_stamp_no_clock_can_show_is_dropped_and_shuts_nothing_out() -> None:
    """One quote stamped five minutes ahead must not make all that follow it look old."""
    market = perp_market().apply(batch([(0, 10, 1.0)]))
    poisoned = market.apply(batch([(0, 1300, 7.0), (1, 1060, 2.0), (2, 1061, 3.0), (2, 9, 4.0)]))
    assert poisoned.bid[:3].tolist() == [1.0, 2.0, 4.0]
    alone = market.apply(batch([(2, 1000 + 3 * int(AGE_S_MAX), 3.0)]))
    assert alone.flags(AGE_S_MAX)[2] == Flag.STALE  # shown for what it is, never fresh
    assert alone.apply(batch([(2, 9, 5.0)])).bid[2] == 5.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.floats(1, 9)), max_size=12), st.data())
def test_however_news_is_cut_into_batches_the_newest_counts(
    stamped: list[tuple[int, int, float]], data: st.DataObject
) -> None:
    """A listing may stand in a batch several times; of equal stamps the last one counts."""
    market, left = perp_market(), list(stamped)
    while left:
        cut = data.draw(st.integers(1, len(left)))
        market, left = market.apply(batch(left[:cut])), left[cut:]
    for row in range(3):
        mine = [(s, i, bid) for i, (r, s, bid) in enumerate(stamped) if r == row]
        if mine:
            assert market.bid[row] == max(mine)[2]
        else:
            assert math.isnan(market.bid[row])


def test_depth_goes_with_its_quote() -> None:
    """A requoted listing loses its old depth, a dropped row brings none, others keep theirs."""
    deep = [
        replace(SOUND, listing=PERP, bids=[(p, 1.0), (p - 1, 2.0)], asks=[(p + 1, 3.0)]) for p in (10.0, 20.0)
    ]
    market = perp_market().apply(marks_of(deep, [0, 1]))
    assert market.book(0)[0].price.tolist() == [10.0, 9.0]
    assert market.book(1)[1].size.tolist() == [3.0]
    plain = market.apply(marks_of([replace(SOUND, bid=5.0, ask=6.0, bid_size=7.0)], [0]))
    bids, asks = plain.book(0)
    assert (bids.price.tolist(), bids.size.tolist(), asks.price.tolist()) == ([5.0], [7.0], [6.0])
    assert plain.book(1)[0].price.tolist() == [20.0, 19.0]
    stale = market.apply(marks_of([replace(deep[1], age_s=5.0)], [0]))
    assert stale.book(0)[0].price.tolist() == [10.0, 9.0]


def test_ages_and_the_edge_of_freshness() -> None:
    quotes = [replace(SOUND, listing=listing(perpetual(), f"P{a}"), age_s=a) for a in (0.0, 600.0, 600.001)]
    market = market_of([*quotes, Quote(PUT, age_s=None)])
    assert market.age_s[:3].tolist() == [0.0, 600.0, 600.001]
    assert math.isnan(market.age_s[3])
    assert market.fresh(AGE_S_MAX).tolist() == [True, True, False, False]


def test_a_stamp_from_the_future_is_not_fresh_for_ever() -> None:
    """A clock a little ahead is normal (the Binance recordings: 1.27 s); one of hours is broken."""
    quotes = [replace(SOUND, listing=listing(perpetual(), f"P{a}"), age_s=a) for a in (-1.27, -3600.0)]
    market = market_of(quotes)
    assert market.fresh(AGE_S_MAX).tolist() == [True, False]
    assert market.flags(AGE_S_MAX)[1] == Flag.STALE
    assert market.age_s[1] == -3600.0


@pytest.mark.parametrize(
    ("quote", "flag"),
    [
        (SOUND, Flag.OK),
        (replace(SOUND, mark=NAN, mark_iv=NAN), Flag.OK),
        (replace(SOUND, mark=0.04), Flag.OK),
        (replace(SOUND, mark=0.05 * (1 + 1e-13)), Flag.OK),
        (replace(SOUND, age_s=None), Flag.NOT_QUOTED),
        (replace(SOUND, age_s=601.0), Flag.STALE),
        (replace(SOUND, bid=NAN), Flag.NO_BID),
        (replace(SOUND, bid=0.0), Flag.NO_BID),
        (replace(SOUND, bid=-0.01), Flag.NO_BID),
        (replace(SOUND, ask=NAN), Flag.NO_ASK),
        (replace(SOUND, ask=math.inf), Flag.NO_ASK),
        (replace(SOUND, bid=math.inf), Flag.NO_BID),
        (replace(SOUND, bid_size=math.inf), Flag.NO_SIZE),
        (replace(SOUND, ask=0.0), Flag.NO_ASK),
        (replace(SOUND, bid_size=NAN), Flag.NO_SIZE),
        (replace(SOUND, ask_size=0.0), Flag.NO_SIZE),
        (replace(SOUND, bid=0.06), Flag.CROSSED),
        (replace(SOUND, bid=0.05), Flag.CROSSED),
        (replace(SOUND, mark=0.0399), Flag.MARK_OUTSIDE),
        (replace(SOUND, mark=0.0501), Flag.MARK_OUTSIDE),
        (replace(SOUND, mark=0.0), Flag.MARK_OUTSIDE),
        (replace(SOUND, mark_iv=0.009), Flag.ABSURD_VOL),
        (replace(SOUND, mark_iv=5.01), Flag.ABSURD_VOL),
        (replace(SOUND, mark_iv=-0.5), Flag.ABSURD_VOL),
        (replace(SOUND, listing=listing(option(60_000, "C", 0))), Flag.EXPIRED),
        (replace(SOUND, listing=listing(option(60_000, "C", -1))), Flag.EXPIRED),
        (replace(SOUND, listing=listing(future(-1))), Flag.EXPIRED),
        (replace(SOUND, listing=listing(option(60_000, "C", 1e-9))), Flag.OK),
    ],
)
def test_each_reason(quote: Quote, flag: Flag) -> None:
    assert market_of([quote]).flags(AGE_S_MAX).tolist() == [flag]


@pytest.mark.parametrize(
    ("bid", "ask", "mark"),
    [  # tickers as Deribit and Bybit sent them: BTC-PERPETUAL twice, BTCUSDT, BTCPERP
        (92283.5, 92284.0, 92281.78),
        (87002.5, 87003.0, 87006.21),
        (17215.5, 17216.0, 17217.33),
        (21213.0, 21213.5, 21209.47),
    ],
)
def test_a_perpetual_s_mark_lies_beside_its_touch(bid: float, ask: float, mark: float) -> None:
    """Venues reckon it from the index; an option with such a mark, or a perpetual far off, is not traded."""
    sound = Quote(listing(perpetual()), bid=bid, ask=ask, bid_size=1.0, ask_size=1.0, mark=mark)
    far = [replace(sound, mark=x) for x in (0.994 * bid, 1.006 * ask, 0.0)]
    quotes = [sound, replace(sound, listing=CALL), *far]
    for flag, quote in zip([Flag.OK] + [Flag.MARK_OUTSIDE] * 4, quotes, strict=True):
        assert market_of([quote]).flags(AGE_S_MAX).tolist() == [flag]


def test_the_first_reason_is_named() -> None:
    """Every fault at once, then mended one by one in the order of precedence."""
    expired = listing(option(60_000, "C", -1))
    quote = Quote(expired, bid=NAN, ask=NAN, bid_size=0.0, mark=9.0, mark_iv=9.0, age_s=None)
    repairs: list[tuple[Flag, dict[str, object]]] = [
        (Flag.NOT_QUOTED, {"age_s": 9_999.0}),
        (Flag.STALE, {"age_s": 0.0}),
        (Flag.EXPIRED, {"listing": CALL}),
        (Flag.NO_BID, {"bid": 0.05}),
        (Flag.NO_ASK, {"ask": 0.05}),
        (Flag.NO_SIZE, {"bid_size": 1.0}),
        (Flag.CROSSED, {"bid": 0.04}),
        (Flag.MARK_OUTSIDE, {"mark": 0.045}),
        (Flag.ABSURD_VOL, {"mark_iv": 0.5}),
    ]
    for flag, repair in repairs:
        assert market_of([quote]).flags(AGE_S_MAX).tolist() == [flag], flag.reason
        quote = replace(quote, **repair)  # type: ignore[arg-type]
    assert market_of([quote]).flags(AGE_S_MAX).tolist() == [Flag.OK]


def test_reasons_in_words() -> None:
    assert Flag.MARK_OUTSIDE.reason == "mark_outside"
    assert ForwardKind.LISTED_FUTURE.label == "listed_future"


def test_the_index_is_the_median_of_its_fresh_and_sound_rows() -> None:
    def rows(underlying: str, values: list[float], age_s: float = 0.0) -> list[Quote]:
        return [
            Quote(listing(perpetual(underlying), f"{underlying}{age_s}{i}"), index=x, age_s=age_s)
            for i, x in enumerate(values)
        ]

    quotes = rows("BTC", [60_000.0, 60_030.0, 60_010.0, NAN, 0.0, -5.0, math.inf])
    quotes += rows("BTC", [1.0, 2.0, 3.0, 4.0], age_s=601.0) + rows("ETH", [2_000.0, 2_010.0])
    quotes += rows("SOL", [NAN, 0.0]) + rows("XRP", [2.0], age_s=601.0)
    market = market_of(quotes)
    assert market.universe.underlyings == ("BTC", "ETH", "SOL", "XRP")
    index = market.spot(AGE_S_MAX)
    assert index[:2].tolist() == [60_010.0, 2_005.0]
    assert np.isnan(index[2:]).all()


def test_a_junk_index_does_not_move_the_median() -> None:
    """The chain's rows scatter by up to 114 bps (measured); one row in a hundred is a factor off."""
    quotes = [Quote(listing(spot(), f"S{i}"), index=60_000.0 + i) for i in range(101)]
    quotes[3] = replace(quotes[3], index=6.0)
    assert market_of(quotes).spot(AGE_S_MAX).tolist() == [pytest.approx(60_050.0, abs=1.0)]


def test_time_passes_without_news() -> None:
    market = replace(market_of([SOUND]), now_ns=NOW_NS + 601 * NS_PER_SECOND)
    assert market.flags(AGE_S_MAX).tolist() == [Flag.STALE]
