"""The order in which legs go, by exposure and by margin, and the way back as it is written."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.core.leg_margin import MarginAfter, Tied, margin_after
from hedger.core.legs import Interim, leg_order, unwind, unwind_text
from hedger.margin_tables import margin_terms
from pricing.contracts import Kind, Side
from risk.bands import Bands
from risk.costs import MarginRates
from risk.margin_terms import MarginModel
from tests.builders import listing, perpetual
from tests.hedger.rig import VENUE, Rig

PERP = listing(perpetual(), "BTC-PERPETUAL", lot="10", minimum="10", ticks="0:0.5")


def bands(half: list[float]) -> Bands:
    edge = np.array(half)
    return Bands(np.zeros(edge.size), -edge, edge, -0.5 * edge, 0.5 * edge)


def each(margin: Sequence[float]) -> MarginAfter:
    """Margin that adds up leg by leg, and never misses."""
    return MarginAfter(lambda done: Tied(sum(margin[i] for i in done)), may_miss=False)


def outside(place: list[float], half: list[float]) -> float:
    """The definition, word for word: the sum over rows of how far outside, in widths."""
    return sum(max(abs(x) - h, 0.0) / (2 * h) for x, h in zip(place, half, strict=True))


def places(order: Sequence[int], effects: np.ndarray, value: np.ndarray) -> list[list[float]]:
    found = [list(value)]
    for i in order:
        found.append([x + e for x, e in zip(found[-1], effects[i], strict=True)])
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_the_order_of_legs_has_the_least_interim_risk(k: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    effects, value, half = draw.normal(size=(k, 3)), draw.normal(size=3), [1.0, 2.0, 0.5]

    def worst(order: Sequence[int]) -> float:
        return max((outside(x, half) for x in places(order, effects, value)[1:-1]), default=0.0)

    chosen = leg_order(effects, value, bands(half), each([0.0] * k), [True] * k)
    assert sorted(chosen.legs) == list(range(k))
    assert worst(chosen.legs) == pytest.approx(min(map(worst, itertools.permutations(range(k)))), abs=1e-8)
    told = [outside(x, half) for x in places(chosen.legs, effects, value)]
    assert [x.out for x in chosen.states] == pytest.approx(told, abs=1e-8)
    # Convex: a leg filled in part is nowhere further out than the worse of its ends.
    for one, other in itertools.pairwise(places(chosen.legs, effects, value)):
        share = float(draw.uniform())
        between = [x + share * (y - x) for x, y in zip(one, other, strict=True)]
        assert outside(between, half) <= chosen.worst + 1e-8


@settings(max_examples=40, deadline=None)
@given(st.integers(7, 14), st.integers(0, 10**6))
def test_beyond_six_legs_the_best_next_one_is_taken_each_time(k: int, seed: int) -> None:
    """The definition, leg by leg; coarse numbers, so that many are level and margin decides."""
    draw = np.random.default_rng(seed)
    effects, value, half = draw.integers(-2, 3, (k, 3)) / 1.0, draw.integers(-3, 4, 3) / 1.0, [1.0, 2.0, 0.5]
    margin, longs = draw.integers(0, 3, k).tolist(), draw.integers(0, 2, k).astype(bool).tolist()
    order: list[int] = []
    while len(order) < k:
        left = [i for i in range(k) if i not in order]

        def worth(i: int) -> tuple[float, float, bool, int]:
            place = (value + effects[[*order, i]].sum(axis=0)).tolist()
            tied = sum(margin[j] for j in [*order, i])
            return round(outside(place, half), 9), tied, not longs[i], i

        order.append(min(left, key=worth))
    assert leg_order(effects, value, bands(half), each(margin), longs).legs == tuple(order)


def test_ties_go_by_margin_then_to_longs() -> None:
    def order(margin: Sequence[float], longs: Sequence[bool]) -> tuple[int, ...]:
        k = len(margin)
        return leg_order(np.zeros((k, 1)), np.zeros(1), bands([1.0]), each(margin), longs).legs

    assert order([500.0, 0.0, 0.0], [True, False, True]) == (2, 1, 0)
    assert order([math.nan, 10.0, 5.0], [True] * 3)[-1] == 0
    assert order([0.0] * 9, [i % 2 == 0 for i in range(9)]) == (0, 2, 4, 6, 8, 1, 3, 5, 7)
    assert order([], []) == ()


@pytest.mark.parametrize("k", [3, 8])
def test_what_a_venue_would_refuse_for_margin_comes_last_whatever_the_exposure(k: int) -> None:
    """Leg 0 lowers the exposure most, and needs money that only the other legs free."""
    effects, value = np.zeros((k, 1)), np.array([5.0])
    effects[0] = -4.0

    def after(done: Sequence[int]) -> Tied:
        free = 100.0 + 50.0 * sum(i != 0 for i in done) - 180.0 * (0 in done)
        return Tied(100.0 - free, max(-free, 0.0))

    chosen = leg_order(effects, value, bands([1.0]), MarginAfter(after), [True] * k)
    assert chosen.legs.index(0) >= 2
    assert all(x.short_usd == 0.0 for x in chosen.states)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10**6))
def test_among_orders_of_equal_exposure_the_least_margin_is_tied_up(k: int, seed: int) -> None:
    margin = np.random.default_rng(seed).normal(size=k).round(1).tolist()

    def most(order: Sequence[int]) -> float:
        return float(np.cumsum([0.0, *(margin[i] for i in order[:-1])]).max())

    chosen = leg_order(np.zeros((k, 1)), np.zeros(1), bands([1.0]), each(margin), [True] * k).legs
    assert most(chosen) == pytest.approx(min(map(most, itertools.permutations(range(k)))), abs=0.02)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**9))
def test_the_order_is_the_first_of_all_orders_by_the_four_measures_in_turn(k: int, seed: int) -> None:
    """Margin that adds up in no way at all, is unknown here and missing there, and rows that are not known:
    every order is looked at, by its worst place between the ends."""
    draw = np.random.default_rng(seed)
    effects, value = draw.integers(-3, 4, (k, 2)).astype(float), draw.integers(-4, 5, 2).astype(float)
    effects[draw.random((k, 2)) < 0.02] = math.nan
    missing = draw.random() < 0.5
    sets = [frozenset(s) for n in range(k + 1) for s in itertools.combinations(range(k), n)]
    table = {
        s: Tied(
            float(draw.choice([0.0, 1.0, 2.0, -1.0, math.nan])),
            float(draw.choice([0.0, 0.0, 1.0, 2.0])) if missing else 0.0,
        )
        for s in sets
    }
    longs, half = (draw.random(k) < 0.5).tolist(), [1.0, 2.0]

    def out(done: frozenset[int]) -> float:
        place = [x + sum(effects[i, row] for i in done) for row, x in enumerate(value)]
        return math.inf if any(map(math.isnan, place)) else round(outside(place, half), 9)

    def worth(order: Sequence[int]) -> tuple[float, float, float, tuple[tuple[bool, int], ...]]:
        between = [frozenset(order[:n]) for n in range(1, k)]
        tied = (1e15 if math.isnan(table[s].tied) else max(table[s].tied, 0.0) for s in between)
        return (
            max((table[s].short for s in between), default=0.0),
            max(map(out, between), default=0.0),
            max(tied, default=0.0),
            tuple((not longs[i], i) for i in order),
        )

    chosen = leg_order(effects, value, bands(half), MarginAfter(lambda done: table[frozenset(done)]), longs)
    assert worth(chosen.legs) == min(map(worth, itertools.permutations(range(k))))


# ---------------------------------------------------------------------------------------- margin of a venue


def marked(rows: dict[str, str]) -> Rig:
    rig = Rig(rows)
    rig.mark()
    return rig


def test_margin_by_the_venues_model_is_its_published_formula() -> None:
    """Standard margin of calls sold, in coin: max(0.15 - OTM/U, 0.10) + mark; the premium comes in. Bought
    options tie up their premium, and nothing else. Source: see `risk.standard_margin`."""
    rig = marked({"BTC-PERPETUAL": "10"})
    snapshot = rig.state.snapshot
    terms = margin_terms("deribit", rig.now_ns)
    assert snapshot is not None and terms is not None
    universe = snapshot.market.universe
    row = next(
        i
        for i, x in enumerate(universe.listings)
        if x.contract.kind is Kind.OPTION and x.contract.underlying == "BTC" and universe.sign[i] > 0
    )
    price, spot = float(snapshot.valuation.price[row]), snapshot.spot["BTC"]
    forward, strike = float(snapshot.valuation.forward[row]), float(universe.strike[row])
    model = {VENUE: (MarginModel.STANDARD, terms)}

    def tied(units: float) -> float:
        after = margin_after(snapshot, [row], np.array([units]), model, MarginRates())
        assert after([]) == Tied(0.0, 0.0)
        return after([0]).tied / spot

    share = max(0.15 - max(strike - forward, 0.0) / forward, 0.10)
    # Before, only a perpetual of 10 USD stands in the same coin.
    assert tied(-2.0) == pytest.approx(2.0 * (share + price) - 2.0 * price, rel=1e-6)
    assert tied(2.0) == pytest.approx(2.0 * price, rel=1e-6)
    assert margin_after(snapshot, [row], np.array([-2.0]), model, MarginRates())([0]).short == pytest.approx(
        max(2.0 * share * spot, 0.0), rel=1e-3
    )  # the account has nothing


def test_without_a_model_margin_is_the_share_of_what_is_opened() -> None:
    rig = marked({"BTC-PERPETUAL": "1000"})
    snapshot = rig.state.snapshot
    assert snapshot is not None
    row = snapshot.market.universe.positions[(VENUE, "BTC-PERPETUAL")]
    rates = MarginRates(perpetual=0.02)
    basis = snapshot.spot["BTC"] / float(snapshot.valuation.forward[row])
    sold = margin_after(snapshot, [row], np.array([-400.0]), {}, rates)([0])
    more = margin_after(snapshot, [row], np.array([500.0]), {}, rates)([0])
    assert (sold.tied, more.tied) == pytest.approx((-8.0 * basis, 10.0 * basis), rel=1e-9)
    assert sold.short == more.short == 0.0


# --------------------------------------------------------------------------------------------- the way back


def test_the_unwind_takes_back_what_was_done_the_last_first() -> None:
    legs = [
        (PERP, Side.BUY, Decimal(100), Decimal("70000")),
        (PERP, Side.SELL, Decimal(50), Decimal("70100")),
    ]
    back = unwind(legs, 10.0)
    assert [(x.side, x.quantity) for x in back] == [(Side.BUY, Decimal(50)), (Side.SELL, Decimal(100))]
    assert [x.limit_price for x in back] == [Decimal("70170.0"), Decimal("69930.0")]  # 10 bps worse, on tick
    line = "if it stops after leg 1: sell 100 BTC-PERPETUAL on deribit at 69930.0"
    assert unwind_text(back) == (line,)
    states = [Interim(0.0, 0.0, 0.0), Interim(1.25, 1200.0, 300.0), Interim(0.0, math.nan, 0.0)]
    place = "rows 1.25 band widths outside, margin +1,200 USD, 300 USD missing"
    assert unwind_text(back, states) == (f"{line} ({place})",)


def test_unknown_margin_is_said_and_not_counted_as_nothing() -> None:
    def after(done: Sequence[int]) -> Tied:
        return Tied(math.nan if done else 0.0)

    found = leg_order(np.zeros((2, 1)), np.zeros(1), bands([1.0]), MarginAfter(after), [True, True])
    assert math.isnan(found.states[1].margin_usd)
    legs = [(PERP, Side.BUY, Decimal(10), Decimal("70000"))] * 2
    assert "margin unknown" in unwind_text(unwind(legs, 10.0), found.states)[0]
