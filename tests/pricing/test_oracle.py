"""The oracle: sources combined, refused and judged, with every reason; hostile feeds end in a verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.daycount import NS_PER_SECOND
from pricing.market import ForwardKind, Market
from pricing.oracle import (
    GoodIndex,
    IndexReading,
    OracleSettings,
    Verdict,
    following,
    read_index,
    remember,
)
from pricing.valuation import MarkStatus, value
from tests.builders import (
    NAN,
    NOW_NS,
    Quote,
    future,
    listing,
    market_of,
    marks_of,
    option,
    perpetual,
    plain_black,
    spot,
)

INDEX = 60_000.0
LIMITS = OracleSettings()
STRIKES = [54_000.0, 57_000.0, 60_000.0, 63_000.0, 66_000.0]


def told(venue: str, index: float, age_s: float = 0.0) -> Quote:
    """A venue's perpetual, carrying nothing but its index."""
    return Quote(listing(perpetual(), venue=venue), index=index, age_s=age_s)


def spot_market(venue: str, middle: float, index: float = NAN) -> Quote:
    return Quote(listing(spot(), venue=venue), bid=middle * 0.9999, ask=middle * 1.0001, index=index)


def perpetual_book(middle: float, venue: str = "deribit") -> Quote:
    contract = listing(perpetual(), "BOOK", venue=venue)
    return Quote(contract, bid=middle * 0.9999, ask=middle * 1.0001)


def chain(forward: float, days: float, venue: str = "deribit") -> list[Quote]:
    """Calls and puts marked on a forward."""
    return [
        Quote(
            listing(option(strike, right, days), venue=venue),
            mark=plain_black(forward, strike, days / 365, 0.5, sign) / forward,
        )
        for strike in STRIKES
        for right, sign in (("C", 1), ("P", -1))
    ]


def reading(quotes: list[Quote], last: float | None = None, seconds: float = 1.0) -> IndexReading:
    before = {} if last is None else {"BTC": GoodIndex(last, NOW_NS - round(seconds * NS_PER_SECOND))}
    (found,) = read_index(market_of(quotes), LIMITS, before)
    assert found.underlying == "BTC"
    return found


def test_sources_that_agree_are_good_and_their_median_counts() -> None:
    found = reading([told("a", 60_000.0), told("b", 60_030.0, 5.0), told("c", 60_020.0), *chain(60_100.0, 7)])
    assert (found.value, found.age_s, found.verdict, found.reasons) == (60_020.0, 5.0, Verdict.GOOD, ())
    assert [s.name for s in found.sources] == ["a index", "b index", "c index"]
    assert not any(s.refused for s in found.sources)


def test_one_venue_alone_is_degraded_and_said_to_be() -> None:
    found = reading([told("a", INDEX)])
    assert (found.value, found.verdict) == (INDEX, Verdict.DEGRADED)
    assert found.reasons == ("1 source of 2: a index",)
    (alone,) = read_index(market_of([told("a", INDEX)]), replace(LIMITS, sources_min=1))
    assert alone.verdict is Verdict.GOOD


def test_a_spot_market_is_a_source_beside_an_index_and_never_alone() -> None:
    found = reading([told("a", INDEX), spot_market("b", 60_060.0)])
    assert found.value == pytest.approx(60_030.0)
    assert found.verdict is Verdict.GOOD
    own = reading([told("a", INDEX), spot_market("a", 60_060.0)])
    assert [s.name for s in own.sources] == ["a index"]  # a venue speaks once
    alone = reading([spot_market("a", INDEX)])
    assert math.isnan(alone.value)
    assert alone.verdict is Verdict.BAD


def test_an_old_source_is_refused_with_its_age() -> None:
    found = reading([told("a", INDEX), told("b", 50_000.0, 601.0), told("c", INDEX)])
    assert (found.value, found.verdict) == (INDEX, Verdict.DEGRADED)
    assert found.sources[1].refused == "601 s old, allowed 600"
    assert found.reasons == ("b index: 601 s old, allowed 600",)
    early = reading([told("a", INDEX), told("b", INDEX, -601.0)])  # a clock ahead is no fresher
    assert early.sources[1].refused.startswith("-601 s old")


def test_a_venue_that_is_down_is_not_asked_beside_one_that_is_not() -> None:
    """Its last word stands still, and the middle of both would follow the market half the way."""
    market = market_of([told("a", 60_000.0), told("b", 60_400.0), spot_market("c", 60_402.0)])
    assert read_index(market, LIMITS)[0].value == 60_400.0

    def without(*venues: str) -> Market:
        found = market
        for venue in venues:
            found = found.hearing(venue, False, NOW_NS)
        return found

    (found,) = read_index(without("b"), LIMITS)
    assert found.value == pytest.approx(60_201.0) and found.verdict is Verdict.DEGRADED
    assert found.sources[1].refused == "from before an outage of its venue"
    assert read_index(without("b", "c"), LIMITS)[0].value == 60_000.0
    # where no other index is told the last word is the best there is, and a market beside it no worse
    both = without("a", "b")
    assert read_index(both, LIMITS)[0].value == 60_400.0
    assert not any(source.refused for source in read_index(both, LIMITS)[0].sources)
    # up again it counts from its first word on
    later = NOW_NS + NS_PER_SECOND
    again = without("b").hearing("b", True, later)
    assert read_index(again, LIMITS)[0].value == pytest.approx(60_201.0)
    rows = [market.universe.positions[x.listing.key] for x in (told("b", 60_500.0),)]
    heard = again.apply(marks_of([told("b", 60_500.0)], rows, later, 9))
    assert read_index(heard, LIMITS)[0].value == 60_402.0


def test_what_is_left_over_from_before_an_outage_is_valued_where_the_index_has_gone() -> None:
    """2 % up elsewhere: forward, perpetual and the option's delta by erf move along; its vol stays."""
    call = Quote(
        listing(option(60_000.0, "C", 7), venue="a"),
        mark=0.03,
        mark_iv=0.5,
        forward=60_100.0,
        index=60_000.0,
        forward_kind=ForwardKind.SYNTHETIC,
    )
    perp = Quote(listing(perpetual(), venue="a"), 60_040.0, 60_060.0, 60_050.0, index=60_000.0)
    market = market_of([call, perp, told("b", 61_200.0)])
    option_row, perp_row = (market.universe.positions[x.listing.key] for x in (call, perp))

    def forward_and_delta(seen: Market) -> tuple[float, float, float]:
        readings = read_index(seen, LIMITS)
        valued = value(following(seen, readings), 600.0, index=np.array([x.value for x in readings]))
        assert valued.status[option_row] == MarkStatus.OK and valued.vol[option_row] == 0.5
        return valued.forward[option_row], valued.usd.delta[option_row], valued.forward[perp_row]

    down = market.hearing("a", False, NOW_NS)
    forward, delta, perpetual_price = forward_and_delta(down)
    assert forward == pytest.approx(60_100.0 * 1.02, rel=1e-12)
    assert perpetual_price == pytest.approx(60_050.0 * 1.02, rel=1e-12)
    total = 0.5 * math.sqrt(7 / 365)
    d1 = math.log(60_100.0 * 1.02 / 60_000.0) / total + total / 2
    assert delta == pytest.approx(0.5 * (1 + math.erf(d1 / math.sqrt(2))), rel=1e-9)
    assert forward_and_delta(market)[0] == 60_100.0
    # up again, the perpetual is quoted anew and the option is not yet
    later = NOW_NS + NS_PER_SECOND
    new = Quote(perp.listing, 61_290.0, 61_310.0, 61_300.0, index=61_200.0)
    again = down.hearing("a", True, later).apply(marks_of([new], [perp_row], later, 9))
    forward, _, perpetual_price = forward_and_delta(again)
    assert forward == pytest.approx(60_100.0 * 1.02, rel=1e-12) and perpetual_price == 61_300.0
    alone = market_of([call, perp]).hearing("a", False, NOW_NS)
    assert forward_and_delta_alone(alone) == (60_100.0, 60_050.0)


def forward_and_delta_alone(market: Market) -> tuple[float, float]:
    """Where nobody else tells the index nothing moves."""
    moved = following(market, read_index(market, LIMITS))
    return float(np.nanmax(moved.forward)), float(np.nanmax(moved.mark))


def test_nothing_fresh_is_bad_and_unknown_not_zero() -> None:
    for quotes in ([told("a", INDEX, 700.0)], [told("a", NAN)], [told("a", 0.0)], [told("a", math.inf)]):
        found = reading(quotes)
        assert math.isnan(found.value)
        assert math.isnan(found.age_s)
        assert found.verdict is Verdict.BAD
        assert found.reasons


def test_the_one_that_is_off_is_refused() -> None:
    found = reading([told("a", 60_000.0), told("b", 60_020.0), told("c", 61_000.0)])
    assert (found.value, found.verdict) == (60_010.0, Verdict.DEGRADED)
    assert found.sources[2].refused == "1.65% off the others, allowed 1.00%"


def test_two_that_disagree_are_bad_unless_the_forwards_decide() -> None:
    quotes = [told("a", 60_000.0), told("b", 63_000.0)]
    found = reading(quotes)
    assert found.verdict is Verdict.BAD
    assert found.reasons[0] == "sources disagree: a index 60000, b index 63000"
    decided = reading([*quotes, *chain(63_010.0, 2)])
    assert (decided.value, decided.verdict) == (63_000.0, Verdict.DEGRADED)
    assert "b index is nearest to the forwards" in decided.reasons[0]
    assert decided.sources[0].refused.startswith("4.76% off")


@pytest.mark.parametrize(
    ("forward", "days", "verdict"),
    [
        (61_100.0, 2.0, Verdict.GOOD),  # 1.8 %
        (61_400.0, 2.0, Verdict.BAD),  # 2.3 % two days before expiry: no basis
        (61_400.0, 30.0, Verdict.GOOD),
        (64_000.0, 30.0, Verdict.BAD),
        (57_000.0, 2.0, Verdict.BAD),
    ],
)
def test_parity_forwards_far_off_are_bad(forward: float, days: float, verdict: Verdict) -> None:
    found = reading([told("a", INDEX), told("b", INDEX), *chain(forward, days)])
    assert (found.value, found.verdict) == (INDEX, verdict)
    assert len(found.reasons) == (verdict is Verdict.BAD)


def test_one_junk_expiry_of_three_does_not_condemn_the_index() -> None:
    expiries = [*chain(70_000.0, 1), *chain(60_050.0, 2), *chain(60_100.0, 9)]
    assert reading([told("a", INDEX), told("b", INDEX), *expiries]).verdict is Verdict.GOOD
    assert reading([told("a", INDEX), told("b", INDEX), *chain(70_000.0, 1)]).verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(1.0, Verdict.BAD), (60.0, Verdict.BAD), (400.0, Verdict.DEGRADED)]
)
def test_an_unconfirmed_jump_is_bad_until_time_allows_it(seconds: float, verdict: Verdict) -> None:
    """7 % on one source: 3 % is allowed within a minute, 7.7 % in 400 s."""
    found = reading([told("a", 64_200.0)], INDEX, seconds)
    assert (found.value, found.verdict) == (64_200.0, verdict)
    said = any(
        "moved +7.00% from 60000, allowed 3.00%; no second source" in reason for reason in found.reasons
    )
    assert said == (verdict is Verdict.BAD)


def test_a_second_source_confirms_a_jump_and_a_book_half_does() -> None:
    both = reading([told("a", 54_000.0), told("b", 54_030.0)], INDEX)
    assert both.verdict is Verdict.GOOD
    assert both.reasons == ("moved -9.98% from 60000, allowed 3.00%; confirmed by 2 sources",)
    book = reading([told("a", 54_000.0), perpetual_book(54_010.0)], INDEX)
    assert book.verdict is Verdict.DEGRADED
    assert "confirmed by the perpetual's book alone" in book.reasons[1]
    other = reading([told("a", 54_000.0), perpetual_book(60_000.0)], INDEX)
    assert other.verdict is Verdict.BAD


def test_a_bad_value_is_not_remembered() -> None:
    market = market_of([told("a", 54_000.0)])
    before = {"BTC": GoodIndex(INDEX, NOW_NS - NS_PER_SECOND)}
    bad = read_index(market, LIMITS, before)
    assert remember(before, bad, NOW_NS) == before
    good = read_index(market_of([told("a", 60_010.0)]), LIMITS, before)
    assert remember(before, good, NOW_NS) == {"BTC": GoodIndex(60_010.0, NOW_NS)}


def test_quiet_rows_do_not_hold_the_index_back() -> None:
    """A venue's index is that of its newest quotes, not the median with rows of minutes ago."""
    quotes = [Quote(listing(option(k, "C", 9.0)), index=58_000.0, age_s=300.0) for k in STRIKES] + [
        told("deribit", INDEX)
    ]
    assert reading(quotes).value == INDEX


def test_each_underlying_is_judged_by_itself() -> None:
    quotes = [told("a", INDEX), told("b", INDEX), Quote(listing(perpetual("ETH"), venue="a"), index=NAN)]
    btc, eth = read_index(market_of(quotes), LIMITS)
    assert (btc.verdict, eth.verdict) == (Verdict.GOOD, Verdict.BAD)
    assert read_index(Market.empty(market_of(quotes).universe, NOW_NS), LIMITS)[0].verdict is Verdict.BAD


HOSTILE = st.one_of(
    st.sampled_from([NAN, math.inf, -math.inf, 0.0, -1.0, 5e-324, 1e300, 1e-14, 1e14]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(50_000.0, 70_000.0),
)


@given(
    st.lists(st.tuples(HOSTILE, st.sampled_from([0.0, 30.0, 601.0, -1e7])), min_size=1, max_size=5),
    st.lists(HOSTILE, max_size=10),
    st.one_of(st.none(), st.floats(1e-10, 1e12)),
)
def test_whatever_is_fed_a_verdict_with_reasons_comes_out(
    feeds: list[tuple[float, float]], marks: list[float], last: float | None
) -> None:
    """Good only if sound: a majority of the fresh sources lies within the limit of the value."""
    quotes = [told(f"v{i}", x, age) for i, (x, age) in enumerate(feeds)]
    quotes += [replace(q, mark=mark) for q, mark in zip(chain(INDEX, 3.0), marks, strict=False)]
    found = reading(quotes, last)
    fresh = [x for x, age in feeds if age in (0.0, 30.0) and 1e-15 < x < 1e15]
    assert np.isfinite(found.value) == bool(fresh)
    if found.verdict is not Verdict.GOOD:
        assert found.reasons
    else:
        near = [x for x in fresh if abs(x / found.value - 1.0) <= 2.1 * LIMITS.deviation_max]
        assert len(near) >= 2
        assert 2 * len(near) > len(fresh)


def test_without_parity_published_forwards_futures_and_perpetuals_stand_in() -> None:
    """An index a thousandfold off everything else is bad, whoever says so."""
    published = Quote(
        listing(option(60_000.0, "C", 3.0)), forward=60_050.0, forward_kind=ForwardKind.SYNTHETIC
    )
    for witness in (published, Quote(listing(future(3.0)), mark=60_050.0), perpetual_book(60_010.0)):
        assert reading([told("a", INDEX), told("b", INDEX), witness]).verdict is Verdict.GOOD
        off = reading([told("a", 61_900.0), told("b", 61_900.0), witness])
        assert off.verdict is Verdict.BAD
        assert "off the forward" in off.reasons[0]


def test_a_spot_market_against_a_coin_tells_no_dollars() -> None:
    odd = Quote(listing(spot("BTC", "ETH"), venue="b"), bid=20.0, ask=20.1)
    assert [s.name for s in reading([told("a", INDEX), odd]).sources] == ["a index"]


def test_a_row_stamped_ahead_does_not_become_the_index() -> None:
    ahead = Quote(listing(option(60_000.0, "C", 9.0), venue="a"), index=61_000.0, age_s=-300.0)
    found = reading([told("a", INDEX, 1.0), ahead])
    assert (found.value, found.age_s) == (INDEX, 1.0)


@pytest.mark.parametrize("published", [0.0, -1.0])
def test_a_published_forward_that_is_no_price_is_no_forward(published: float) -> None:
    """A venue that says 0 beside every option, whose marks are missing as well, must not stop the oracle."""
    junk = [replace(q, forward=published, mark=NAN, bid=NAN, ask=NAN) for q in chain(INDEX, 30.0)]
    plain = reading([told("deribit", INDEX), *junk])
    assert plain.value == INDEX and plain.verdict is Verdict.DEGRADED
    assert "1 source of 2" in plain.reasons[0] and len(plain.reasons) == 1
