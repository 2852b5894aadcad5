"""Many shocks at once against the book revalued by an own formula, and against one shock at a time."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vollib.black import black

from pricing.settlement import WINDOW_YEARS
from pricing.valuation import MarkStatus, Numeraire, value
from risk.costs import reference_price
from risk.exposures import ExposureSettings, expose
from risk.repricing import METRICS, Holding, Repriced, reprice
from risk.scenarios import Moneyness, Shock, shocked_valuation, unit_pnl, vol_shift
from tests.builders import AGE_S_MAX, Quote, listing, market_of, option, perpetual, spot
from tests.risk.test_exposures import CASH, COIN, INDEX, LEGS, USD, market
from tests.risk.test_scenarios import SHOCKS, wealth

QUANTITIES = np.array([leg.quantity for leg in LEGS])
UNDERLYINGS = ("BTC", "ETH")


def after(shocks: list[Shock], settings: ExposureSettings = USD) -> Repriced:
    known = market(LEGS)
    found = reprice(
        known,
        value(known, AGE_S_MAX),
        [Holding(QUANTITIES, CASH)],
        dict.fromkeys(UNDERLYINGS, shocks),
        settings,
    )
    return found[0]


@pytest.mark.parametrize("settings", [USD, COIN], ids=["USD", "coin"])
def test_the_pnl_is_the_book_revalued_by_hand(settings: ExposureSettings) -> None:
    found = after(list(SHOCKS.values()), settings)
    for u, coin in enumerate(UNDERLYINGS):
        now = wealth(coin, Shock(), settings.numeraire)
        for i, shock in enumerate(SHOCKS.values()):
            expected = wealth(coin, shock, settings.numeraire) - now
            size = 1e9 if settings is USD else 1e9 / INDEX[coin]  # of the book's parts, gross
            assert found.pnl[u, i] == pytest.approx(expected, rel=1e-8, abs=1e-12 * size)


@pytest.mark.parametrize("settings", [USD, COIN], ids=["USD", "coin"])
def test_every_cell_is_the_shocked_market_valued(settings: ExposureSettings) -> None:
    """Element by element, with skew, term and forwards of their own, and options inside their window."""
    minute = 1.0 / 24 / 60
    options = [
        listing(option(59_000.0, "C", 10 * minute)),
        listing(option(61_000.0, "P", 40 * minute, inverse=False)),
        listing(option(60_500.0, "P", 12.0)),
        listing(option(58_000.0, "C", 80.0, inverse=False)),
    ]
    quotes = [
        Quote(x, mark=0.01, mark_iv=0.5 + 0.1 * i, forward=60_100.0, index=60_000.0)
        for i, x in enumerate(options)
    ]
    quotes.append(Quote(listing(perpetual()), bid=60_099.0, ask=60_101.0, mark=60_100.0, index=60_000.0))
    known = market_of(quotes)
    plain = value(known, AGE_S_MAX)
    assert (plain.status == MarkStatus.OK).all() and plain.years[0] < WINDOW_YEARS < plain.years[1]
    q = np.array([-3.0, 5.0, -7.0, 11.0, -20_000.0])
    shocks = [
        Shock(0.01 * i, 0.02 * i, hours, 0.001 * i, 0.03 * i, -0.04 * i)
        for i in (-8, -1, 0, 3, 9)
        for hours in (0.0, 0.1, 0.3, 5.0)
    ]
    (found,) = reprice(known, plain, [Holding(q, {})], {"BTC": shocks}, settings)
    for i, shock in enumerate(shocks):
        gains = unit_pnl(plain, shocked_valuation(known, plain, shock), settings.numeraire) * q
        assert found.pnl[0, i] == pytest.approx(
            math.fsum(gains), rel=1e-9, abs=1e-10 * np.abs(gains).sum() + 1e-9
        )


def test_an_option_in_a_crash_as_vollib_and_fifty_digits_value_it() -> None:
    """Short two inverse puts, a week later, 20 % lower, vol up by 15 points: coin times the new index."""
    x = listing(option(55_000.0, "P", 30.0))
    known = market_of([Quote(x, mark=0.02, mark_iv=0.6, forward=60_600.0, index=60_000.0)])
    shock = Shock(spot=-0.2, vol=0.15, hours=7 * 24.0)
    (found,) = reprice(known, value(known, AGE_S_MAX), [Holding(np.array([-2.0]), {})], {"BTC": [shock]}, USD)
    before = black("p", 60_600.0, 55_000.0, 30 / 365, 0.0, 0.6) / 60_600.0 * 60_000.0
    later = black("p", 48_480.0, 55_000.0, 23 / 365, 0.0, 0.75) / 48_480.0 * 48_000.0
    assert found.pnl[0, 0] == pytest.approx(-2.0 * (later - before), rel=1e-10)
    with mpmath.workdps(50):
        w = mpmath.mpf("0.75") * mpmath.sqrt(mpmath.mpf(23) / 365)
        d1 = mpmath.log(mpmath.mpf(48480) / 55000) / w + w / 2
        exact = 55000 * mpmath.ncdf(w - d1) - 48480 * mpmath.ncdf(-d1)
    assert later == pytest.approx(float(exact) / 48_480.0 * 48_000.0, rel=1e-12)
    assert found.vega[0, 0] < 0 and found.gamma[0, 0] < 0 < found.delta[0, 0]


def test_the_cell_of_nothing_holds_the_greeks_of_the_exposures() -> None:
    known = market(LEGS)
    rows = expose(QUANTITIES, CASH, value(known, AGE_S_MAX), reference_price(known), UNDERLYINGS, USD)
    found = after([Shock()])
    for u, (coin, s) in enumerate(INDEX.items()):
        gamma = rows.row(f"gamma:{coin}") + rows.row(f"gamma_expiring:{coin}")
        assert found.pnl[u, 0] == 0.0
        assert found.delta[u, 0] == pytest.approx(rows.row(f"delta:{coin}") * s, rel=1e-12)
        assert found.gamma[u, 0] == pytest.approx(gamma * s * s / 100, rel=1e-12)
        assert found.vega[u, 0] == pytest.approx(rows.row(f"vega:{coin}") / 100, rel=1e-12)


def test_delta_in_every_cell_is_the_slope_of_the_pnl() -> None:
    h = 1e-5
    for move in (-0.3, -0.02, 0.0, 0.15):
        cells = [Shock(move + d, 0.05, 5.0) for d in (h, -h, 0.0)]
        found = after(cells)
        slope = (found.pnl[:, 0] - found.pnl[:, 1]) / (2 * h) * (1 + move)
        np.testing.assert_allclose(found.delta[:, 2], slope, rtol=1e-5, atol=5.0)
        coins = after(cells, COIN)
        slope = (coins.pnl[:, 0] - coins.pnl[:, 1]) / (2 * h) * (1 + move)
        np.testing.assert_allclose(coins.delta[:, 2], slope, rtol=1e-5, atol=1e-3)


def test_what_expired_leaves_what_it_paid() -> None:
    """Two calls struck at 50,000, settled at 66,000: 2 x 16/66 coins, which move with the index; the dollars
    of a linear one do not."""
    coin, dollar = listing(option(50_000.0, "C", 1.0)), listing(option(50_000.0, "C", 1.0, inverse=False))
    known = market_of([
        Quote(x, mark=mark, mark_iv=0.6, forward=60_000.0, index=60_000.0)
        for x, mark in ((coin, 0.17), (dollar, 10_000.0))
    ])  # fmt: skip
    shock = Shock(spot=0.1, hours=30.0)
    plain = value(known, AGE_S_MAX)
    for q, expected in ((np.array([2.0, 0.0]), 2 * 16 / 66 * 66_000.0), (np.array([0.0, 2.0]), 0.0)):
        (found,) = reprice(known, plain, [Holding(q, {})], {"BTC": [shock]}, USD)
        assert found.delta[0, 0] == pytest.approx(expected, rel=1e-12)
        assert found.gamma[0, 0] == found.vega[0, 0] == 0.0
        gone = float(plain.value_usd @ q)
        assert found.pnl[0, 0] == pytest.approx(2 * 16_000.0 - gone, rel=1e-9)


def test_a_trade_costs_its_premium_and_what_the_ticket_says() -> None:
    """Two calls bought at 0.05 coin for 100 USD of costs, and half a coin sold for dollars at 60,000."""
    x, coin = listing(option(62_000.0, "C", 30.0)), listing(spot())
    known = market_of([
        Quote(x, mark=0.05, mark_iv=0.6, forward=60_000.0, index=60_000.0),
        Quote(coin, bid=59_999.0, ask=60_001.0, mark=60_000.0, index=60_000.0),
    ])  # fmt: skip
    plain, shock = value(known, AGE_S_MAX), Shock(spot=0.1)
    paid = {("BTC", "BTC"): 2 * 0.05, ("BTC", "USDC"): -0.5 * 60_000.0}
    holding = Holding(np.array([2.0, -0.5]), {"BTC": 1.0}, paid, {"BTC": 100.0})
    (found,) = reprice(known, plain, [holding], {"BTC": [shock, Shock()]}, USD)
    v = [black("c", f, 62_000.0, 30 / 365, 0.0, 0.6) for f in (60_000.0, 66_000.0)]
    by_hand = 2 * (v[1] - v[0]) + (1.0 - 0.1 - 0.5) * 6_000.0 - 100.0
    assert found.pnl[0].tolist() == pytest.approx([by_hand, -100.0], rel=1e-9)


def test_what_cannot_be_valued_is_in_no_cell_and_an_unknown_index_in_none_that_is_known() -> None:
    quoted, silent = listing(option(60_000.0, "C", 10.0)), listing(option(61_000.0, "C", 10.0))
    told = Quote(quoted, mark=0.02, mark_iv=0.6, forward=60_000.0, index=60_000.0)
    known = market_of([told, Quote(silent, age_s=2 * AGE_S_MAX)])
    plain = value(known, AGE_S_MAX)
    both, one = Holding(np.array([1.0, 5.0]), {}), Holding(np.array([1.0, 0.0]), {})
    with_it, without = reprice(known, plain, [both, one], {"BTC": [Shock(spot=-0.1)]}, USD)
    assert with_it.pnl[0, 0] == without.pnl[0, 0] < 0
    blind = value(known, AGE_S_MAX, index=np.array([math.nan]))
    (found,) = reprice(known, blind, [Holding(np.zeros(2), {"BTC": 1.0})], {"BTC": [Shock(spot=-0.1)]}, USD)
    assert math.isnan(found.pnl[0, 0])


def test_shocks_must_be_as_many_for_every_coin() -> None:
    known = market(LEGS)
    terms = known, value(known, AGE_S_MAX), [Holding(QUANTITIES, CASH)]
    with pytest.raises(ValueError, match="shocks by underlying"):
        reprice(*terms, {"BTC": [Shock()], "ETH": []}, USD)
    with pytest.raises(ValueError, match="unlisted"):
        reprice(*terms, {"DOGE": [Shock()]}, USD)
    (found,) = reprice(*terms, {"BTC": [], "ETH": []}, USD)
    assert found.pnl.shape == (2, 0)
    with pytest.raises(ValueError, match="shocks by underlying"):
        reprice(*terms, {"BTC": [Shock()]}, USD, count=2)


def test_a_book_without_underlyings_has_as_many_outcomes_as_there_are_shocks() -> None:
    """Their sum over no coin is 0 in each of them."""
    known = market(LEGS)
    nothing = Holding(np.zeros(QUANTITIES.size), {"USDC": 5000.0})
    (found,) = reprice(known, value(known, AGE_S_MAX), [nothing], {}, USD, count=3)
    assert found.underlyings == () and [found.of(m).shape for m in METRICS] == [(0, 3)] * 4
    assert found.pnl.sum(axis=0).tolist() == [0.0, 0.0, 0.0]


MOVES = st.builds(
    Shock,
    spot=st.floats(-0.9, 3.0),
    vol=st.floats(-1.0, 2.0),
    hours=st.floats(0.0, 400 * 24.0),
    skew=st.floats(-0.3, 0.3),
    term=st.floats(-0.5, 0.5),
)


@given(MOVES, st.sampled_from([USD, COIN]))
def test_the_pnl_is_finite_and_linear_in_the_book(shock: Shock, settings: ExposureSettings) -> None:
    known = market(LEGS)
    plain = value(known, AGE_S_MAX)
    odd = np.arange(len(LEGS)) % 2 == 1
    half, other = np.where(odd, QUANTITIES, 0.0), np.where(odd, 0.0, QUANTITIES)
    whole, first, second, none = reprice(
        known,
        plain,
        [Holding(QUANTITIES, {}), Holding(half, {}), Holding(other, {}), Holding(np.zeros(len(LEGS)), {})],
        {name: [shock, Shock()] for name in UNDERLYINGS},
        settings,
    )
    assert np.isfinite(whole.pnl).all() and (whole.pnl[:, 1] == 0.0).all() and (none.pnl == 0.0).all()
    size = np.abs(first.pnl) + np.abs(second.pnl) + 1.0
    assert (np.abs(first.pnl + second.pnl - whole.pnl) <= 1e-9 * size).all()


# ---------------------------------------------------------------------------------------------- skew and term


def test_the_shift_of_a_vol_by_hand() -> None:
    """F 100, vol 50 %, a quarter of a year: one sd is 25 %, e^-0.25 = 0.7788; 30 d / 91.25 d = 0.3288."""
    strike = np.array([100.0, 100 * math.exp(-0.25), 100 * math.exp(0.25), 1.0])
    known = Moneyness(strike, np.full(4, 100.0), np.full(4, 0.25), np.full(4, 0.5))
    assert vol_shift(0.1, 0.04, 0.0, known) == pytest.approx([0.1, 0.14, 0.06, 0.18], rel=1e-12)
    falls = math.sqrt(30 / 91.25) - 1
    assert vol_shift(0.0, 0.0, 0.1, known) == pytest.approx([0.1 * falls] * 4, rel=1e-12)
    short = Moneyness(np.array([100.0]), np.array([100.0]), np.array([1e-6]), np.array([0.5]))
    assert vol_shift(0.1, 0.0, 0.1, short) == pytest.approx([0.1 * math.sqrt(30)], rel=1e-12)


def test_a_steeper_skew_costs_whoever_is_short_of_puts_and_long_of_calls() -> None:
    """The risk reversal: each leg's vol as the skew moves it, valued by vollib."""
    listings = [listing(option(54_000.0, "P", 30.0)), listing(option(66_000.0, "C", 30.0))]
    known = market_of([Quote(x, mark=0.02, mark_iv=0.6, forward=60_000.0, index=60_000.0) for x in listings])
    (found,) = reprice(
        known, value(known, AGE_S_MAX), [Holding(np.array([-1.0, 1.0]), {})], {"BTC": [Shock(skew=0.05)]}, USD
    )
    deviation = 0.6 * math.sqrt(30 / 365)
    expected = 0.0
    for q, flag, strike in ((-1.0, "p", 54_000.0), (1.0, "c", 66_000.0)):
        vol = 0.6 - 0.05 * math.log(strike / 60_000.0) / deviation
        now, then = (black(flag, 60_000.0, strike, 30 / 365, 0.0, x) for x in (0.6, vol))
        expected += q * (then - now)
    assert found.pnl[0, 0] == pytest.approx(expected, rel=1e-9) and expected < -300


def test_numeraires_agree_on_the_coins_gained() -> None:
    """W/S after less W/S before, from the USD figures."""
    shock = Shock(spot=-0.25, vol=0.1, hours=5.0)
    usd, coin = after([shock]), after([shock], COIN)
    for u, (name, s) in enumerate(INDEX.items()):
        before, now = wealth(name, Shock(), Numeraire.USD), wealth(name, shock, Numeraire.USD)
        assert usd.pnl[u, 0] == pytest.approx(now - before, rel=1e-8)
        assert coin.pnl[u, 0] == pytest.approx(now / (0.75 * s) - before / s, rel=1e-8)
