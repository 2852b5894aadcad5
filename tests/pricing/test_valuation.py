"""Valuation: what one order unit is worth in both numeraires, why a listing has none, no NaN that spreads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pricing.contracts import Kind
from pricing.market import ForwardKind
from pricing.settlement import WINDOW_YEARS
from pricing.universe import FloatArray
from pricing.valuation import MarkStatus, Numeraire, UnitGreeks, Valuation, VolSource, value
from tests.builders import (
    AGE_S_MAX,
    DAY_NS,
    NAN,
    NOW_NS,
    Quote,
    after,
    future,
    listing,
    market_of,
    option,
    perpetual,
    plain_black,
    spot,
)

INDEX = 60_000.0
FORWARD = 61_200.0
STRIKE, DAYS, VOL = 64_000.0, 20.0, 0.55
YEARS = DAYS / 365
CALL = Quote(
    listing(option(STRIKE, "C", DAYS)),
    mark_iv=VOL,
    forward=FORWARD,
    forward_kind=ForwardKind.SYNTHETIC,
    index=INDEX,
)
LINEAR_CALL = replace(CALL, listing=listing(option(STRIKE, "C", DAYS, inverse=False)))
PERP = Quote(listing(perpetual()), mark=60_100.0, bid=60_099.0, ask=60_101.0, index=INDEX)


def valued(*quotes: Quote) -> Valuation:
    return value(market_of(quotes), AGE_S_MAX)


def slope(f: Callable[[float], float], x: float, step: float) -> float:
    """First derivative, error of order step^4."""
    return (8 * (f(x + step) - f(x - step)) - f(x + 2 * step) + f(x - 2 * step)) / (12 * step)


def bend(f: Callable[[float], float], x: float, step: float) -> float:
    """Second derivative, error of order step^4."""
    ends = f(x + 2 * step) + f(x - 2 * step)
    return (-ends + 16 * (f(x + step) + f(x - step)) - 30 * f(x)) / (12 * step**2)


def row(greeks: UnitGreeks, i: int = 0) -> tuple[float, float, float, float]:
    return tuple(float(getattr(greeks, name)[i]) for name in UnitGreeks.__slots__)  # type: ignore[return-value]


# --------------------------------------------------------------------------------------------- values, Greeks
@pytest.mark.parametrize(("right", "sign"), [("C", 1), ("P", -1)])
def test_values_of_options_in_coin_and_in_dollars(right: str, sign: int) -> None:
    """A coin option is quoted as V/F and worth that many coins at the index; a dollar option is worth V."""
    v = valued(
        replace(CALL, listing=listing(option(STRIKE, right, DAYS))),
        replace(CALL, listing=listing(option(STRIKE, right, DAYS, inverse=False))),
    )
    dollars = plain_black(FORWARD, STRIKE, YEARS, VOL, sign)
    assert v.status.tolist() == [MarkStatus.OK] * 2
    assert v.price == pytest.approx([dollars / FORWARD, dollars], rel=1e-11)
    assert v.value_usd == pytest.approx([dollars / FORWARD * INDEX, dollars], rel=1e-11)
    assert v.vol.tolist() == [VOL, VOL]
    assert v.years == pytest.approx(YEARS, rel=1e-14)
    assert v.spot_of_listing().tolist() == [INDEX, INDEX]


@pytest.mark.parametrize(("right", "sign"), [("C", 1), ("P", -1)])
@pytest.mark.parametrize("inverse", [True, False])
def test_greeks_of_options_are_differences_of_the_textbook_formula(
    right: str, sign: int, inverse: bool
) -> None:
    """USD: delta (times F/S for a dollar option), gamma, vega, theta plain. Coin: of V/F; delta of V/S."""

    def at(forward: float = FORWARD, vol: float = VOL, years: float = YEARS) -> float:
        return plain_black(forward, STRIKE, years, vol, sign)

    v = valued(replace(CALL, listing=listing(option(STRIKE, right, DAYS, inverse=inverse))))
    ratio = FORWARD / INDEX
    delta = slope(at, FORWARD, 20.0)
    vega = slope(lambda x: at(vol=x), VOL, 1e-3)
    theta = -slope(lambda x: at(years=x), YEARS, 1e-4)
    assert row(v.greeks(Numeraire.USD)) == pytest.approx(
        (delta if inverse else delta * ratio, bend(at, FORWARD, 60.0), vega, theta), rel=1e-6
    )
    if inverse:
        in_coin = slope(lambda x: at(math.exp(x)) / math.exp(x), math.log(FORWARD), 1e-3)
    else:
        in_coin = slope(lambda x: at(ratio * math.exp(x)) / math.exp(x), math.log(INDEX), 1e-3)
    bent = FORWARD**2 * bend(lambda f: at(f) / f, FORWARD, 60.0)
    assert row(v.greeks(Numeraire.COIN)) == pytest.approx(
        (in_coin, bent, vega / FORWARD, theta / FORWARD), rel=1e-6
    )


@pytest.mark.parametrize(
    ("contract", "usd", "coin"),
    [
        (perpetual(), 1 / FORWARD, (1 / FORWARD, -2 / FORWARD)),
        (future(90), 1 / FORWARD, (1 / FORWARD, -2 / FORWARD)),
        (perpetual(inverse=False), FORWARD / INDEX, (FORWARD / INDEX, 0.0)),
        (future(90, inverse=False), FORWARD / INDEX, (FORWARD / INDEX, 0.0)),
        (spot(), 1.0, (0.0, 0.0)),
    ],
)
@pytest.mark.parametrize("size", ["1", "0.01", "100"])
def test_units_without_an_option(contract: object, usd: float, coin: tuple[float, float], size: str) -> None:
    """Theory 1.5: Q/F, q F/S, 1 and 0; gamma only in coin and only of inverse contracts."""
    item = listing(contract, size=size)  # type: ignore[arg-type]
    v = valued(Quote(item, mark=FORWARD, index=INDEX))
    units = float(size)
    assert row(v.usd) == pytest.approx((usd * units, 0.0, 0.0, 0.0), rel=1e-14)
    assert row(v.coin) == pytest.approx((coin[0] * units, coin[1] * units, 0.0, 0.0), rel=1e-14)
    is_spot = item.contract.kind is Kind.SPOT
    assert v.value_usd.tolist() == [INDEX * units if is_spot else 0.0]
    assert v.price.tolist() == [INDEX if is_spot else FORWARD]
    assert math.isnan(v.vol[0])


@pytest.mark.parametrize("inverse", [True, False])
def test_a_contract_of_a_hundredth_of_a_coin_is_a_hundredth(inverse: bool) -> None:
    """OKX: 0.01 BTC per contract. The quotation stays per coin, values and Greeks are per contract."""
    contract = option(STRIKE, "P", DAYS, inverse=inverse)
    v = valued(
        replace(CALL, listing=listing(contract)),
        replace(CALL, listing=listing(contract, venue="okx", size="0.01")),
    )
    assert v.price[1] == v.price[0]
    assert v.value_usd[1] == pytest.approx(0.01 * v.value_usd[0], rel=1e-15)
    for greeks in (v.usd, v.coin):
        assert row(greeks, 1) == pytest.approx([0.01 * g for g in row(greeks, 0)], rel=1e-15)


# --------------------------------------------------------------------------------------------------- statuses
GOOD_INDEX = Quote(listing(spot(), "INDEX"), index=INDEX)


@pytest.mark.parametrize(
    ("quote", "status"),
    [
        (CALL, MarkStatus.OK),
        (LINEAR_CALL, MarkStatus.OK),
        (PERP, MarkStatus.OK),
        (replace(CALL, bid=0.9, ask=0.1, mark=7.0), MarkStatus.OK),
        (replace(CALL, age_s=None), MarkStatus.NOT_QUOTED),
        (replace(PERP, age_s=None), MarkStatus.NOT_QUOTED),
        (replace(CALL, age_s=600.0), MarkStatus.OK),
        (replace(CALL, age_s=600.5), MarkStatus.STALE),
        (replace(PERP, age_s=600.5), MarkStatus.STALE),
        (replace(PERP, age_s=-3600.0), MarkStatus.STALE),
        (replace(CALL, listing=listing(option(STRIKE, "C", 0))), MarkStatus.EXPIRED),
        (replace(CALL, listing=listing(option(STRIKE, "C", -1)), age_s=None), MarkStatus.EXPIRED),
        (replace(PERP, listing=listing(future(-1))), MarkStatus.EXPIRED),
        (replace(CALL, forward=NAN), MarkStatus.NO_FORWARD),
        (replace(CALL, forward=0.0), MarkStatus.NO_FORWARD),
        (replace(CALL, forward=-FORWARD), MarkStatus.NO_FORWARD),
        (replace(CALL, forward=math.inf), MarkStatus.NO_FORWARD),
        (replace(CALL, forward=INDEX * 1.51), MarkStatus.NO_FORWARD),
        (replace(CALL, forward=INDEX / 1.51), MarkStatus.NO_FORWARD),
        (replace(CALL, forward=INDEX * 1.49), MarkStatus.OK),
        (replace(PERP, mark=NAN, bid=NAN), MarkStatus.NO_PRICE),
        (replace(PERP, mark=0.0, ask=NAN), MarkStatus.NO_PRICE),
        (replace(PERP, mark=6.01), MarkStatus.NO_PRICE),
        (replace(PERP, mark=601_000.0), MarkStatus.NO_PRICE),
        (replace(PERP, mark=NAN), MarkStatus.OK),
        (replace(CALL, mark_iv=NAN), MarkStatus.NO_VOL),
        (replace(CALL, mark_iv=0.0), MarkStatus.NO_VOL),
    ],
)
def test_each_reason(quote: Quote, status: MarkStatus) -> None:
    """Beside a good index; whatever cannot be valued is NaN throughout, never zero."""
    v = valued(quote, GOOD_INDEX)
    assert v.status.tolist() == [status, MarkStatus.OK]
    results = [v.price, v.value_usd, v.forward]
    results += [getattr(g, name) for g in (v.usd, v.coin) for name in UnitGreeks.__slots__]
    finite = {bool(np.isfinite(array[0])) for array in results}
    assert finite == {status is MarkStatus.OK}


@pytest.mark.parametrize("index", [NAN, 0.0, -1.0, math.inf])
@pytest.mark.parametrize("quote", [CALL, LINEAR_CALL, PERP, Quote(listing(spot()), bid=1.0, ask=2.0)])
def test_without_an_index_nothing_is_valued(quote: Quote, index: float) -> None:
    v = valued(replace(quote, index=index))
    assert v.status.tolist() == [MarkStatus.NO_INDEX]
    assert np.isnan([v.usd.delta[0], v.coin.delta[0], v.value_usd[0]]).all()


@pytest.mark.parametrize("age_s", [None, 9_999.0])
def test_a_coin_needs_no_quote_of_its_own(age_s: float | None) -> None:
    """Spot is worth the index, which others tell."""
    v = valued(Quote(listing(spot()), age_s=age_s), PERP)
    assert v.status.tolist() == [MarkStatus.OK] * 2
    assert (v.price[0], v.value_usd[0], v.usd.delta[0]) == (INDEX, INDEX, 1.0)


def test_reasons_in_words() -> None:
    assert MarkStatus.NOT_QUOTED.reason == "not_quoted"
    assert VolSource.IMPLIED_MID.label == "implied_mid"


# ------------------------------------------------------------------------------------------------------- vols
@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize(
    ("news", "vol", "source"),
    [
        ({}, 0.55, VolSource.VENUE_MARK),
        ({"mark": NAN, "bid": NAN}, 0.55, VolSource.VENUE_MARK),
        ({"mark_iv": NAN}, 0.60, VolSource.IMPLIED_MARK),
        ({"mark_iv": 0.0}, 0.60, VolSource.IMPLIED_MARK),
        ({"mark_iv": -0.5}, 0.60, VolSource.IMPLIED_MARK),
        ({"mark_iv": 0.0099}, 0.60, VolSource.IMPLIED_MARK),
        ({"mark_iv": 462.0}, 0.60, VolSource.IMPLIED_MARK),
        ({"mark_iv": math.inf}, 0.60, VolSource.IMPLIED_MARK),
        ({"mark_iv": 0.01}, 0.01, VolSource.VENUE_MARK),
        ({"mark_iv": 5.0}, 5.0, VolSource.VENUE_MARK),
        ({"mark_iv": NAN, "mark": NAN}, 0.65, VolSource.IMPLIED_MID),
        ({"mark_iv": NAN, "mark": 0.0}, 0.65, VolSource.IMPLIED_MID),
        ({"mark_iv": NAN, "mark": 1e9}, 0.65, VolSource.IMPLIED_MID),
        ({"mark_iv": 9.0, "mark": -0.1}, 0.65, VolSource.IMPLIED_MID),
        ({"mark_iv": NAN, "mark": NAN, "bid": NAN}, NAN, VolSource.NONE),
        ({"mark_iv": NAN, "mark": NAN, "ask": 0.0}, NAN, VolSource.NONE),
    ],
)
def test_where_a_vol_comes_from(news: dict[str, float], vol: float, source: VolSource, inverse: bool) -> None:
    """Venue's mark vol 0.55, the mark stands for 0.60, the mid for 0.65: they cannot be mistaken."""
    unit = FORWARD if inverse else 1.0
    marked, mid = (plain_black(FORWARD, STRIKE, YEARS, x, 1) / unit for x in (0.60, 0.65))
    quote = replace(
        CALL if inverse else LINEAR_CALL, mark=marked, bid=mid * 0.99, ask=mid * 1.01, mark_iv=0.55
    )
    v = valued(replace(quote, **news))  # type: ignore[arg-type]
    assert v.vol_source.tolist() == [source]
    assert v.vol.tolist() == [pytest.approx(vol, rel=1e-9, nan_ok=True)]
    assert v.status.tolist() == [MarkStatus.NO_VOL if source is VolSource.NONE else MarkStatus.OK]


def test_an_absurd_implied_vol_is_no_vol() -> None:
    """A mark that stands for 600 % asks the mid, and where that does too nothing is left."""
    dear = plain_black(FORWARD, STRIKE, YEARS, 6.0, 1) / FORWARD
    fair = plain_black(FORWARD, STRIKE, YEARS, 0.5, 1) / FORWARD
    quote = replace(CALL, mark_iv=NAN, mark=dear, bid=fair * 0.99, ask=fair * 1.01)
    v = valued(
        quote, replace(quote, listing=listing(CALL.listing.contract, "X"), bid=dear * 0.99, ask=dear * 1.01)
    )
    assert v.vol_source.tolist() == [VolSource.IMPLIED_MID, VolSource.NONE]
    assert v.status.tolist() == [MarkStatus.OK, MarkStatus.NO_VOL]


# ------------------------------------------------------------------------------------------ settlement window
HALF_WAY = 0.25 / 24  # a quarter of an hour before expiry, days


@pytest.mark.parametrize("right", ["C", "P"])
@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize("so_far", [60_100.0, None, NAN, math.inf, 0.0, -1.0])
def test_inside_the_window_the_average_counts(right: str, inverse: bool, so_far: float | None) -> None:
    """V = (1 - u) Black(F, K', a third of the variance), K' = (K - u A)/(1 - u); the index stands in for A.

    theta = -vol^2 F^2 gamma/2 in USD; the coin Greeks are those of v = V/F (dollar options: delta of V/S).
    """
    forward, strike, vol, u = 60_020.0, 60_050.0, 0.6, 0.5
    sign = 1 if right == "C" else -1
    average = so_far if so_far == 60_100.0 else INDEX
    quote = Quote(
        listing(option(strike, right, HALF_WAY, inverse=inverse)),
        mark_iv=vol,
        forward=forward,
        forward_kind=ForwardKind.INDEX,
        index=INDEX,
    )
    averages = {} if so_far is None else {("BTC", after(HALF_WAY)): so_far}
    v = value(market_of([quote], settlement_average=averages), AGE_S_MAX)
    struck_at = (strike - u * average) / (1 - u)

    def at(f: float = forward, s: float = vol) -> float:
        return (1 - u) * plain_black(f, struck_at, HALF_WAY / 365 / 3, s, sign)

    assert v.in_window.tolist() == [True]
    assert v.status.tolist() == [MarkStatus.OK]
    unit = forward if inverse else 1.0
    assert v.price[0] == pytest.approx(at() / unit, rel=1e-9)
    assert v.value_usd[0] == pytest.approx(at() / unit * (INDEX if inverse else 1.0), rel=1e-9)
    delta, gamma, vega = slope(at, forward, 2.0), bend(at, forward, 5.0), slope(lambda s: at(s=s), vol, 1e-3)
    theta = -0.5 * vol**2 * forward**2 * gamma
    usd = (delta if inverse else delta * forward / INDEX, gamma, vega, theta)
    assert row(v.usd) == pytest.approx(usd, rel=1e-5)
    if inverse:
        in_coin = slope(lambda x: at(math.exp(x)) / math.exp(x), math.log(forward), 3e-5)
    else:
        ratio = forward / INDEX
        in_coin = slope(lambda x: at(ratio * math.exp(x)) / math.exp(x), math.log(INDEX), 3e-5)
    bent = forward**2 * bend(lambda f: at(f) / f, forward, 5.0)
    assert row(v.coin) == pytest.approx((in_coin, bent, vega / forward, theta / forward), rel=1e-5)


def test_where_the_window_begins() -> None:
    window = 30 * 60 * 10**9 / DAY_NS
    days = [window * 2, window + 1e-9, window, window / 2, 0.0]
    quotes = [replace(CALL, listing=listing(option(STRIKE, "C", d), f"C{d}"), forward=INDEX) for d in days]
    v = valued(*quotes)
    assert pytest.approx(30 / (365 * 24 * 60)) == WINDOW_YEARS
    assert v.in_window.tolist() == [False, False, True, True, False]
    assert v.status.tolist() == [MarkStatus.OK] * 4 + [MarkStatus.EXPIRED]


def test_averages_belong_to_their_coin_and_expiry() -> None:
    """Deep in the money nothing is left to chance: V = (1 - u) F + u A - K."""
    strikes = {"BTC": 50_000.0, "ETH": 1_500.0}
    index = {"BTC": INDEX, "ETH": 2_000.0}
    days = [HALF_WAY, HALF_WAY / 2]
    quotes = [
        Quote(
            listing(option(strikes[u], "C", d, u, inverse=False)),
            mark_iv=0.5,
            forward=index[u],
            forward_kind=ForwardKind.INDEX,
            index=index[u],
        )
        for u in ("BTC", "ETH")
        for d in days
    ]
    averages = {("BTC", after(days[0])): 61_000.0, ("ETH", after(days[1])): 2_100.0}
    v = value(market_of(quotes, settlement_average=averages), AGE_S_MAX)
    expected = [
        0.5 * INDEX + 0.5 * 61_000 - 50_000,
        0.25 * INDEX + 0.75 * INDEX - 50_000,
        0.5 * 2_000 + 0.5 * 2_000 - 1_500,
        0.25 * 2_000 + 0.75 * 2_100 - 1_500,
    ]
    assert v.value_usd == pytest.approx(expected, rel=1e-9)
    assert v.usd.delta == pytest.approx([0.5, 0.25, 0.5, 0.25], rel=1e-9)
    assert v.coin.delta == pytest.approx(
        [
            d - x / s
            for d, x, s in zip((0.5, 0.25, 0.5, 0.25), expected, (INDEX, INDEX, 2e3, 2e3), strict=True)
        ]
    )


# -------------------------------------------------------------------------------------------------- isolation
def sound_market() -> list[Quote]:
    """Every kind of listing on two coins; a chain that needs parity, another beside it that is published."""
    quotes: list[Quote] = []
    for coin, index in (("BTC", INDEX), ("ETH", 2_000.0)):
        base = Quote(CALL.listing, index=index)
        for contract in (
            perpetual(coin),
            perpetual(coin, inverse=False),
            future(30, coin),
            future(90, coin, inverse=False),
            spot(coin),
        ):
            price = index * 1.01
            quotes.append(
                replace(base, listing=listing(contract), mark=price, bid=price * 0.999, ask=price * 1.001)
            )
        for days, kind in ((3.0, ForwardKind.INDEX), (30.0, ForwardKind.SYNTHETIC)):
            for k in (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2):
                for right, sign in (("C", 1), ("P", -1)):
                    v = plain_black(index, index * k, days / 365, 0.6, sign) / index
                    item = listing(option(index * k, right, days, coin))
                    quotes.append(
                        replace(
                            base,
                            listing=item,
                            mark=v,
                            mark_iv=0.6,
                            bid=v * 0.98,
                            ask=v * 1.02,
                            forward=index,
                            forward_kind=kind,
                        )
                    )
    return quotes


SOUND = sound_market()
SOUND_VALUES = value(market_of(SOUND), AGE_S_MAX)
NOT_ARRAYS = ("universe", "now_ns", "usd", "coin", "spot", "expiries")
ARRAYS = [f.name for f in fields(Valuation) if f.name not in NOT_ARRAYS]
JUNK_NUMBERS = st.one_of(
    st.sampled_from([NAN, math.inf, -math.inf, 0.0, -1.0, 1e300, -1e300, 1e-300, 5e-324, 1e9, 462.0]),
    st.floats(allow_nan=True, allow_infinity=True),
)
FIELDS = ["bid", "ask", "mark", "mark_iv", "forward", "index", "funding_rate", "bid_size", "ask_size"]


def columns(v: Valuation) -> FloatArray:
    """Every number of a valuation, (columns, n)."""
    greeks = [getattr(g, name) for g in (v.usd, v.coin) for name in UnitGreeks.__slots__]
    return np.array([*(getattr(v, name) for name in ARRAYS), *greeks], dtype=np.float64)


@settings(max_examples=300)
@given(
    st.integers(0, len(SOUND) - 1),
    st.dictionaries(st.sampled_from(FIELDS), JUNK_NUMBERS, min_size=1),
    st.sampled_from([0.0, 700.0, -1e6]),
)
@example(at=35, junk={"bid": NAN, "ask": NAN, "mark": 5e-324}, age_s=0.0)  # a ratio to it is 0 or infinite
def test_one_junk_listing_never_contaminates_another(at: int, junk: dict[str, float], age_s: float) -> None:
    """All others keep their values; the junk one is OK with finite numbers, or has a reason and NaN only."""
    quotes = list(SOUND)
    quotes[at] = replace(quotes[at], age_s=age_s, **junk)  # type: ignore[arg-type]
    v = value(market_of(quotes), AGE_S_MAX)
    others = np.arange(len(SOUND)) != at
    assert np.all(SOUND_VALUES.status == MarkStatus.OK)
    np.testing.assert_allclose(columns(v)[:, others], columns(SOUND_VALUES)[:, others], rtol=1e-9)
    mine = np.array([*row(v.usd, at), *row(v.coin, at), v.price[at], v.value_usd[at], v.forward[at]])
    if v.status[at] == MarkStatus.OK:
        assert np.isfinite(mine).all()
    else:
        assert np.isnan(mine).all()


def test_a_market_without_listings() -> None:
    assert len(value(market_of([]), AGE_S_MAX).status) == 0


def test_now_is_the_markets_time() -> None:
    """Years run from now_ns, not from the quote's stamp."""
    v = valued(replace(CALL, age_s=300.0))
    assert v.now_ns == NOW_NS
    assert v.years[0] == pytest.approx(YEARS, rel=1e-14)
