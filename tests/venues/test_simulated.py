"""The simulated market: one seed is one market, prices admit no arbitrage, books are sound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtr

from pricing.contracts import Kind, Option, Right
from pricing.daycount import years_between
from pricing.errors import InputError
from pricing.market import Depth, Flag, ForwardKind, Market, Marks
from pricing.universe import FloatArray
from venues.deribit_names import forward_kind, parse_name
from venues.simulated import START_NS, SimulatedMarket
from venues.simulated_books import BookSettings, Grid, expiries, strikes
from venues.simulated_law import (
    DEFAULT_COINS,
    DEFAULT_SETTINGS,
    CoinSettings,
    SimulationSettings,
    path,
    smile_variance,
)
from venues.simulated_tape import QUOTE_COLUMNS, tape_frames
from venues.tape import verify, write
from venues.tape_schema import DEPTH_SCHEMA, QUOTE_SCHEMA

HOUR, DAY = 3600.0, 86_400.0


def undiscounted_black(forward: float, strike: float, years: float, vol: float, sign: float) -> float:
    """The textbook form, apart from the house's own kernel."""
    deviation = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + 0.5 * deviation
    return float(sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation))))


def implied(mark: float, forward: float, strike: float, years: float, sign: float) -> tuple[float, float]:
    """Vol behind a coin price, and the price's slope in it, by bisection and differences."""

    def excess(vol: float) -> float:
        return undiscounted_black(forward, strike, years, vol, sign) / forward - mark

    vol = float(brentq(excess, 0.01, 5.0, xtol=1e-14, rtol=1e-14))
    return vol, (excess(vol + 1e-5) - excess(vol - 1e-5)) / 2e-5


def content(marks: Marks) -> bytes:
    """All bytes of a batch, depth included."""
    parts = [getattr(marks, f.name) for f in fields(marks) if f.name not in ("seq", "now_ns", "depth")]
    for row, book in marks.depth.items():
        parts += [np.array([row]), *(array for side in book for array in (side.price, side.size))]
    return b"".join(p.tobytes() for p in parts) + f"{marks.seq} {marks.now_ns}".encode()


def several(seed: int) -> Iterator[tuple[SimulatedMarket, Marks]]:
    """A market in calm, hours later, fallen and recovered."""
    market = SimulatedMarket(seed)
    yield market, market.marks()
    yield market, market.step(7 * HOUR)
    market.shock(-0.12)
    yield market, market.step(5.0)
    market.shock(0.2, "ETH")
    yield market, market.step(2 * DAY)


def on_grid(values: FloatArray, step: Decimal) -> bool:
    return all(Decimal(repr(v)) % step == 0 for v in values.tolist())


# ------------------------------------------------------------------------------------------------ determinism


def test_one_seed_is_one_market_to_the_byte() -> None:
    first, second = (b"".join(content(m) for _, m in several(11)) for _ in range(2))
    assert first == second
    assert first != b"".join(content(m) for _, m in several(12))


def test_asking_for_marks_advances_nothing() -> None:
    market = SimulatedMarket(1)
    before = market.marks()
    assert market.marks() is before and market.now_ns == START_NS and before.seq == 0
    after = market.step(1.5)
    assert market.marks() is after and after.seq == 1
    assert after.now_ns == market.now_ns == START_NS + 1_500_000_000
    assert (after.venue_ns == market.now_ns).all()


def test_a_batch_cannot_be_changed_by_its_reader() -> None:
    marks = SimulatedMarket(1).marks()
    with pytest.raises(ValueError, match="read-only"):
        marks.bid[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        marks.depth[0][0].price[0] = 1.0


def test_the_path_is_the_index_of_the_market() -> None:
    market = SimulatedMarket(5)
    spots = [market.conditions().spot]
    for _ in range(20):
        market.step(150.0)
        spots.append(market.conditions().spot)
    assert np.array_equal(path(5, 20, 150.0).spot, spots)


def test_one_law_whatever_the_books() -> None:
    """Fewer strikes and wider books leave the indices where they were."""
    small = replace(DEFAULT_SETTINGS, strikes_per_expiry=3, books=BookSettings(profile=(1.0,)))
    one, other = SimulatedMarket(5), SimulatedMarket(5, settings=small)
    one.step(HOUR)
    other.step(HOUR)
    assert np.array_equal(one.conditions().spot, other.conditions().spot)


# ----------------------------------------------------------------------------------------------- the listings


def test_listings_are_deribits_in_name_and_terms() -> None:
    market = SimulatedMarket(1)
    u = market.universe
    assert all(parse_name(x.symbol) == x.contract for x in u.listings)
    assert {x.venue for x in u.listings} == {"simulated"}
    for coin in ("BTC", "ETH"):
        mine = u.where_underlying(coin)
        assert [(mine & (u.kind == k)).sum() for k in (Kind.SPOT, Kind.PERPETUAL, Kind.FUTURE)] == [1, 1, 3]
        assert 200 <= (mine & u.is_option).sum() <= 300
        option = next(
            x for x in u.listings if x.contract.underlying == coin and isinstance(x.contract, Option)
        )
        assert (option.fees.taker, option.fees.cap) == (Decimal("0.0003"), Decimal("0.125"))
    days = years_between(START_NS, u.expiry_ns[u.is_option]) * 365
    assert 0.5 < days.min() < 1.5 and 160 < days.max() < 190
    assert (u.expiry_ns[u.is_option] % (86_400 * 10**9) == 8 * 3600 * 10**9).all()


def test_calendar_takes_days_then_fridays_then_month_ends() -> None:
    # 2026-03-02 12:00 is a Monday; 24 April and 26 June 2026 are the last Fridays of their months
    stamps = [(e - START_NS) / 86_400e9 for e in expiries(START_NS, (1, 2, 11, 53, 116, 116.2))]
    assert stamps == pytest.approx([20 / 24, 44 / 24, 10 + 20 / 24, 52 + 20 / 24, 115 + 20 / 24])


@given(hours=st.integers(0, 24 * 366))
def test_whenever_it_starts_every_expiry_lies_ahead_at_eight(hours: int) -> None:
    start = START_NS - 12 * 3600 * 10**9 + hours * 3600 * 10**9  # midnight and on: 08:00 sharp is among them
    found = np.array(expiries(start, DEFAULT_SETTINGS.tenor_days))
    days = (found - start) / 86_400e9
    assert (days >= 0.5).all() and days.max() < 200 and len(found) >= 7
    assert (found // 10**9 % 86_400 == 8 * 3600).all()


@pytest.mark.parametrize("deviation", [0.02, 0.1, 0.4])
def test_strikes_are_round_and_span_the_width(deviation: float) -> None:
    found = np.array(strikes(70_123.0, deviation, 14, 3.0, 500.0))
    assert (found % 500 == 0).all() and (np.diff(found) > 0).all() and 10 <= len(found) <= 14
    assert np.log(found[[0, -1]] / 70_123.0) == pytest.approx(
        [-3 * deviation, 3 * deviation], abs=0.6 * deviation
    )


# ------------------------------------------------------------------------------------------------- the prices


@pytest.mark.parametrize("seed", [1, 2])
def test_put_call_parity_of_the_marks(seed: int) -> None:
    for market, marks in several(seed):
        at = {row: i for i, row in enumerate(marks.rows.tolist())}
        pairs = 0
        for row, i in at.items():
            contract = market.universe.listings[row].contract
            if isinstance(contract, Option) and contract.right is Right.CALL:
                put = replace(contract, right=Right.PUT)
                j = at[row + 1]
                assert market.universe.listings[row + 1].contract == put
                parity = 1.0 - contract.strike / marks.forward[i]
                assert marks.mark[i] - marks.mark[j] == pytest.approx(parity, abs=1e-8 + 1e-14)
                assert marks.mark_iv[i] == marks.mark_iv[j] and marks.forward[i] == marks.forward[j]
                pairs += 1
        assert pairs > 150


def test_marks_invert_to_their_vol() -> None:
    """By another formula and solver, to what eight decimals of the mark can tell."""
    for market, marks in several(3):
        u, told = market.universe, 0
        for i, row in enumerate(marks.rows.tolist()):
            f, k, sign = float(marks.forward[i]), float(u.strike[row]), float(u.sign[row])
            if sign == 0 or sign * (k - f) < 0 or marks.mark[i] < 1e-6:
                continue
            years = float(years_between(market.now_ns, int(u.expiry_ns[row])))
            vol, slope = implied(float(marks.mark[i]), f, k, years, sign)
            assert abs(vol - marks.mark_iv[i]) * slope <= 0.5e-8 * 1.01 + 1e-13
            told += 1
        assert told > 150


def test_marks_lie_on_the_published_smile() -> None:
    for market, marks in several(4):
        u = market.universe
        for coin in u.underlyings:
            rows = (u.is_option & u.where_underlying(coin))[marks.rows]
            years = years_between(market.now_ns, u.expiry_ns[marks.rows[rows]])
            k = np.log(u.strike[marks.rows[rows]] / marks.forward[rows])
            assert np.sqrt(market.implied_variance(coin, years, k) / years) == pytest.approx(
                marks.mark_iv[rows]
            )


def admits_butterfly(strike: FloatArray, total_variance: FloatArray) -> bool:
    """Whether calls on a forward of 1 are not convex, or their slope leaves [-1, 0], beyond rounding."""
    w = np.sqrt(total_variance)
    d1 = -np.log(strike) / w + 0.5 * w
    call = ndtr(d1) - strike * ndtr(d1 - w)
    slope = np.diff(call) / np.diff(strike)
    slack = 4e-15 / np.diff(strike).min()
    return bool(np.diff(slope).min() < -slack or slope.min() < -1 - slack or slope.max() > slack)


def test_no_butterfly_and_no_calendar_arbitrage() -> None:
    years = np.array([1 / 8760, 1 / 365, 3 / 365, 10 / 365, 30 / 365, 90 / 365, 0.5, 2.0])
    k = np.linspace(-4.0, 4.0, 4001)
    for market, _ in several(6):
        for coin in market.universe.underlyings:
            assert (np.diff(market.implied_variance(coin, years[:, None], k), axis=0) > 0).all()
            for t in years:
                # strikes within eight deviations: beyond, the textbook form has no digits left
                deviation = math.sqrt(float(market.implied_variance(coin, t, np.array(0.0))))
                strike = np.exp(np.linspace(-8 * deviation, 8 * deviation, 2001))
                assert not admits_butterfly(strike, market.implied_variance(coin, t, np.log(strike)))


def test_the_arbitrage_check_sees_arbitrage() -> None:
    strike = np.exp(np.linspace(-1.6, 1.6, 2001))
    bent = smile_variance(np.array(0.04), np.log(strike), np.array(-0.3), np.array(5.0))
    assert admits_butterfly(strike, bent)


def test_the_term_structure_runs_from_the_vol_of_now_to_the_long_run() -> None:
    market = SimulatedMarket(6)
    market.shock(-0.3)
    now, at_the_money = market.conditions().vol, np.array(0.0)
    jumps, far = DEFAULT_SETTINGS.jump_variance(), DEFAULT_SETTINGS.total_vol()
    for i, coin in enumerate(DEFAULT_COINS):
        years = np.array([1e-6, 0.05, 0.2, 1.0, 50.0])
        vol = np.sqrt(market.implied_variance(coin.name, years, at_the_money) / years) / coin.iv_over_vol
        assert (np.diff(vol) < 0).all()
        assert vol[[0, -1]] == pytest.approx([math.sqrt(now[i] ** 2 + jumps[i]), far[i]], rel=2e-3)
        down, up = market.implied_variance(coin.name, np.array(0.1), np.array([-0.1, 0.1]))
        assert down > up


def test_forwards_are_the_futures_where_listed() -> None:
    market = SimulatedMarket(9)
    marks, u = market.step(HOUR), market.universe
    symbol_mark = {u.listings[r].symbol: marks.mark[i] for i, r in enumerate(marks.rows.tolist())}
    kinds = set()
    for i, row in enumerate(marks.rows.tolist()):
        name = market.forward_names[row]
        assert marks.forward_kind[i] == forward_kind(name)
        assert (name is None) == math.isnan(marks.forward[i]) == math.isnan(marks.mark_iv[i])
        if marks.forward_kind[i] == ForwardKind.LISTED_FUTURE:
            assert name is not None and marks.forward[i] == symbol_mark[name]
        kinds.add(ForwardKind(marks.forward_kind[i]))
    assert kinds == {ForwardKind.NONE, ForwardKind.LISTED_FUTURE, ForwardKind.SYNTHETIC}


def test_funding_follows_the_premium() -> None:
    market = SimulatedMarket(8)
    signs = set()
    for _ in range(60):
        marks = market.step(2 * HOUR)
        for coin in ("BTC", "ETH"):
            i = int(
                np.flatnonzero(marks.rows == market.universe.positions["simulated", f"{coin}-PERPETUAL"])[0]
            )
            premium, rate = marks.mark[i] / marks.index[i] - 1.0, marks.funding_rate[i]
            expected = math.copysign(max(abs(premium) - 2.5e-4, 0.0), premium)
            assert rate == pytest.approx(np.clip(expected, -5e-3, 5e-3), abs=1e-7)
            signs.add(float(np.sign(rate)))
        assert np.isfinite(marks.funding_rate).sum() == 2
    assert signs == {-1.0, 0.0, 1.0}


# -------------------------------------------------------------------------------------------------- the books


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    seconds=st.floats(1e-3, 5 * DAY),
    move=st.floats(-1.0, 1.0),
    coin=st.sampled_from([None, "BTC", "ETH"]),
)
def test_books_are_sound_whatever_happens(seed: int, seconds: float, move: float, coin: str | None) -> None:
    market = SimulatedMarket(seed)
    market.shock(move, coin)
    marks, u = market.step(seconds), market.universe
    assert set(marks.depth) == set(marks.rows.tolist())
    for i, row in enumerate(marks.rows.tolist()):
        bids, asks = marks.depth[row]
        lot = float(u.lot[row])
        assert len(asks.price) == 5 and len(bids.price) <= 5
        assert (np.diff(asks.price) > 0).all() and (np.diff(bids.price) < 0).all()
        assert (asks.size >= lot).all() and (bids.size >= lot).all()
        assert marks.ask[i] == asks.price[0] and marks.ask_size[i] == asks.size[0]
        assert marks.mark[i] <= asks.price[0]
        if len(bids.price):
            assert bids.price[-1] > 0 and bids.price[0] <= marks.mark[i] and bids.price[0] < asks.price[0]
            assert marks.bid[i] == bids.price[0] and marks.bid_size[i] == bids.size[0]
        else:
            assert math.isnan(marks.bid[i]) and math.isnan(marks.bid_size[i])


def test_prices_on_ticks_and_sizes_on_lots_to_the_decimal() -> None:
    for market, marks in several(10):
        for row, (bids, asks) in marks.depth.items():
            listing = market.universe.listings[row]
            for price in np.concatenate([bids.price, asks.price]).tolist():
                assert Decimal(repr(price)) % listing.tick_steps.at(Decimal(repr(price))) == 0
            assert on_grid(np.concatenate([bids.size, asks.size]), listing.lot)


def test_ladders_around_the_step_of_the_tick() -> None:
    """Around 0.005, where an option's tick grows from 0.0001 to 0.0005; worked by hand."""
    universe = SimulatedMarket(1).universe
    option = int(np.flatnonzero(universe.is_option)[0])
    one = type(universe).of([universe.listings[option]])
    books = Grid.of(one).ladders(
        np.array([0.00484]), np.array([[0.0001, 0.0003]]), np.array([0.0001]), np.full((1, 2, 3), 0.26)
    )
    # touches 0.00474 and 0.00514, rounded outward; the asks' levels step by 0.0005
    assert books.bid.tolist() == [[0.0047, 0.0046, 0.0045]]
    assert books.ask.tolist() == [[0.0055, 0.006, 0.0065]]
    assert books.ask_size.tolist() == [[0.3, 0.3, 0.3]]
    on_tick = Grid.of(one).ladders(np.array([0.01]), np.zeros((1, 2)), np.array([0.0]), np.ones((1, 2, 2)))
    assert (on_tick.bid.tolist(), on_tick.ask.tolist()) == ([[0.0095, 0.009]], [[0.0105, 0.011]])
    low = Grid.of(one).ladders(
        np.array([0.00021]), np.array([[0.0001, 0.0001]]), np.array([0.0]), np.full((1, 2, 3), 0.01)
    )
    assert low.bid[0, 0] == 0.0001 and np.isnan(low.bid[0, 1:]).all() and np.isnan(low.bid_size[0, 1:]).all()
    assert low.ask.tolist() == [[0.0004, 0.0005, 0.0006]]


def test_some_far_options_have_no_bid_and_most_can_be_traded() -> None:
    market = SimulatedMarket(7)
    flags = Market.empty(market.universe).apply(market.step(60.0)).flags(60.0)
    option = market.universe.is_option
    assert (flags[option] == Flag.OK).mean() > 0.9
    assert 1 <= (flags == Flag.NO_BID).sum() <= 40
    assert set(np.unique(flags)) == {Flag.OK, Flag.NO_BID}
    assert (flags[~option] == Flag.OK).all()


def test_spreads_in_vol_widen_to_the_wings_and_to_short_expiries() -> None:
    settings_ = replace(DEFAULT_SETTINGS, books=BookSettings(width_noise=0.0))
    market = SimulatedMarket(7, settings=settings_)
    marks, u = market.marks(), market.universe
    width = marks.ask - marks.bid
    step = 1e-4
    f, k = marks.forward, u.strike
    years = years_between(market.now_ns, u.expiry_ns)
    vega = np.array(
        [
            (undiscounted_black(a, b, t, v + step, 1.0) - undiscounted_black(a, b, t, v - step, 1.0))
            / (2 * step * a)
            if o
            else np.nan
            for a, b, t, v, o in zip(f, k, years, marks.mark_iv, u.is_option, strict=True)
        ]
    )
    with np.errstate(invalid="ignore"):
        outside = (u.sign * (k - f) > 0) & np.isfinite(width) & u.where_underlying("BTC")
        z = np.abs(np.log(k / f)) / (marks.mark_iv * np.sqrt(years))
        near, far = outside & (z < 0.7), outside & (z > 1.8)
        short, long = years < 5 / 365, years > 50 / 365
    in_vol = width / vega
    assert np.median(in_vol[near & short]) > 2.5 * np.median(in_vol[near & long])
    assert np.median(in_vol[far & short]) > np.median(in_vol[near & short])
    assert np.median(in_vol[near & long]) < 0.02
    perp = u.positions["simulated", "BTC-PERPETUAL"]
    assert width[perp] / marks.mark[perp] < 3e-5


def touch_width(book: tuple[Depth, Depth]) -> float:
    bids, asks = book
    return float(asks.price[0] - bids.price[0]) if len(bids.price) else math.nan


def test_stress_widens_spreads_and_thins_depth_then_passes() -> None:
    market = SimulatedMarket(2)
    u = market.universe
    assert market.conditions().calm
    calm = market.step(1.0).depth
    market.shock(-0.10, "BTC")
    assert market.conditions().stress[0] == DEFAULT_SETTINGS.stress_max and market.conditions().stress[1] == 0
    hit = market.step(1.0).depth
    for coin, wider, thinner in (("BTC", (2.0, 4.5), (0.1, 0.35)), ("ETH", (0.9, 1.1), (0.8, 1.25))):
        for kind in (Kind.PERPETUAL, Kind.FUTURE, Kind.OPTION):
            rows = np.flatnonzero(u.where_underlying(coin) & (u.kind == kind)).tolist()
            widths = np.nanmedian([touch_width(hit[r]) / touch_width(calm[r]) for r in rows])
            sizes = np.median([hit[r][1].size.sum() / calm[r][1].size.sum() for r in rows])
            # the tick is the floor of every width: options and perpetuals cannot widen in full
            low = wider[0] * (0.75 if kind is Kind.OPTION else 1.0)
            assert low <= widths <= wider[1] * (1.5 if kind is Kind.PERPETUAL else 1.0), (coin, kind, widths)
            assert thinner[0] * 0.9 <= sizes <= thinner[1] * 1.4, (coin, kind, sizes)
    market.step(12 * HOUR)
    assert market.conditions().calm


def test_a_shock_moves_index_vol_premium_and_basis() -> None:
    market = SimulatedMarket(2)
    before = market.conditions()
    marks = market.marks()
    market.shock(-0.10, "ETH")
    after = market.conditions()
    assert np.log(after.spot / before.spot) == pytest.approx([0.0, -0.10])
    assert after.vol[1] > before.vol[1] + 0.05 and after.vol[0] == before.vol[0]
    assert after.premium[1] < before.premium[1] - 1e-3 and after.basis[1] < before.basis[1]
    assert after.jumps == 1 and not after.calm
    assert market.marks() is marks  # the batch already given stays; the next step shows the jump
    index = market.universe.positions["simulated", "ETH_USDC"]
    assert math.log(market.step(0.5).index[index] / marks.index[index]) == pytest.approx(-0.10, abs=2e-3)


# -------------------------------------------------------------------------------------------------- the world


def test_returns_have_the_configured_law() -> None:
    """Six years of hours: vol, jump frequency, correlation, fat tails, vol that clusters."""
    hourly = replace(DEFAULT_SETTINGS, step_s_max=HOUR)
    years = 6
    walk = path(20, 8760 * years, HOUR, hourly)
    returns = np.diff(np.log(walk.spot), axis=0)
    assert returns.std(axis=0) * math.sqrt(8760) == pytest.approx(hourly.total_vol(), rel=0.12)
    assert np.sqrt(walk.variance.mean(axis=0)) == pytest.approx([c.vol for c in DEFAULT_COINS], rel=0.12)
    assert np.corrcoef(returns.T)[0, 1] == pytest.approx(hourly.correlation, abs=0.04)
    expected = hourly.jumps_per_year * years
    assert abs(walk.jumps.sum() - expected) < 3.5 * math.sqrt(expected)
    with_jump = returns[walk.jumps > 0]
    assert np.abs(with_jump).mean() > 2.0 * np.abs(returns).mean()
    assert ((returns / returns.std(axis=0)) ** 4).mean() > 4.0
    days = (returns**2).reshape(-1, 24, 2).sum(axis=1)
    assert np.corrcoef(days[:-1, 0], days[1:, 0])[0, 1] > 0.1
    kicks = np.diff(walk.variance, axis=0)[walk.jumps == 0]
    for i, coin in enumerate(DEFAULT_COINS):
        assert np.corrcoef(kicks[:, i], returns[walk.jumps == 0, i])[0, 1] == pytest.approx(
            coin.spot_vol, abs=0.06
        )
    assert walk.premium.std(axis=0) == pytest.approx([hourly.premium_sd] * 2, rel=0.15)


def test_the_index_has_no_drift() -> None:
    """The mean of S_T/S_0 over many short worlds is 1: the fall that jumps bring is paid back."""
    coins = tuple(replace(coin, jump_mean=-0.05, variance_per_jump=0.01) for coin in DEFAULT_COINS)
    wild = replace(DEFAULT_SETTINGS, coins=coins, step_s_max=HOUR, jumps_per_year=200.0)
    ends = np.array([path(seed, 48, HOUR, wild).spot[[0, -1]] for seed in range(400)])
    growth = ends[:, 1] / ends[:, 0]
    assert growth.mean(axis=0) == pytest.approx([1.0, 1.0], abs=3.0 * growth.std() / math.sqrt(400))


def test_expired_listings_stay_listed_but_are_quoted_no_more() -> None:
    market = SimulatedMarket(3)
    u = market.universe
    known = Market.empty(u).apply(market.marks())
    first = int(u.expiry_ns[u.is_option].min())
    dead = u.expiry_ns == first
    last = market.step((first - START_NS) / 1e9 - 1.0)  # a second to live: still quoted
    assert np.isin(np.flatnonzero(dead), last.rows).all() and np.isfinite(last.mark).all()
    known = known.apply(last)
    assert (known.flags(60.0)[dead] != Flag.EXPIRED).all()
    marks = market.step(1.0)
    assert market.now_ns == first and not np.isin(np.flatnonzero(dead), marks.rows).any()
    assert len(marks.rows) == len(u) - dead.sum() and market.universe is u
    known = known.apply(marks)
    assert (known.flags(60.0)[dead] == Flag.EXPIRED).all()
    assert (known.flags(60.0)[~dead & u.is_option] == Flag.OK).mean() > 0.9


def test_a_market_outlives_its_last_expiry() -> None:
    market = SimulatedMarket(3, settings=replace(DEFAULT_SETTINGS, step_s_max=HOUR))
    marks = market.step(200 * DAY)
    kinds = {market.universe.listings[r].contract.kind for r in marks.rows.tolist()}
    assert kinds == {Kind.SPOT, Kind.PERPETUAL} and np.isfinite(marks.bid).all()


def test_one_coin_is_a_market_too() -> None:
    alone = SimulationSettings(coins=(DEFAULT_COINS[1],))
    marks = SimulatedMarket(1, settings=alone).step(60.0)
    assert np.isfinite(marks.mark).all()


# --------------------------------------------------------------------------------------------------- the tape


def test_tape_frames_hold_what_was_shown(tmp_path: Path) -> None:
    market, twin = SimulatedMarket(13), SimulatedMarket(13)
    listings, quotes, depth = tape_frames(market, 3, 600.0)
    shown = [twin.step(600.0) for _ in range(3)]
    assert listings == market.universe.listings
    assert quotes.columns == QUOTE_COLUMNS and depth.columns == list(DEPTH_SCHEMA)
    assert {**quotes.schema} == {name: kind for name, kind in QUOTE_SCHEMA.items() if name != "flag"}
    assert {**depth.schema} == {**DEPTH_SCHEMA}
    assert quotes["seq"].to_list() == [m.seq for m in shown for _ in m.rows]
    assert quotes["mark"].to_list() == np.concatenate([m.mark for m in shown]).tolist()
    missing = int(np.isnan(np.concatenate([m.bid for m in shown])).sum())
    assert quotes["bid"].null_count() == quotes["bid_size"].null_count() == missing > 0
    book = shown[1].depth[1]
    one = depth.filter((depth["seq"] == shown[1].seq) & (depth["symbol"] == "BTC-PERPETUAL"))
    assert one["price"].to_list() == [*book[0].price.tolist(), *book[1].price.tolist()]
    assert (
        one["side"].to_list() == ["bid"] * 5 + ["ask"] * 5 and one["level"].to_list() == [0, 1, 2, 3, 4] * 2
    )
    write(tmp_path / "tape", listings, quotes, depth)
    assert verify(tmp_path / "tape") == []


def test_a_tape_of_no_steps_is_empty() -> None:
    _, quotes, depth = tape_frames(SimulatedMarket(1), 0, 60.0)
    assert quotes.height == depth.height == 0
    assert {**quotes.schema} == {name: kind for name, kind in QUOTE_SCHEMA.items() if name != "flag"}
    assert {**depth.schema} == {**DEPTH_SCHEMA}


# --------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_a_step_must_pass_time(seconds: float) -> None:
    market = SimulatedMarket(1)
    with pytest.raises(ValueError, match="must be positive and finite"):
        market.step(seconds)
    assert market.now_ns == START_NS


def test_shocks_are_finite_and_name_a_coin() -> None:
    market = SimulatedMarket(1)
    with pytest.raises(ValueError, match="DOGE"):
        market.shock(-0.1, "DOGE")
    with pytest.raises(ValueError, match="finite"):
        market.shock(math.nan)
    assert market.conditions().calm


def test_settings_that_would_break_the_market_are_refused() -> None:
    btc, eth = DEFAULT_COINS
    with pytest.raises(ValueError, match="else arbitrage"):
        replace(btc, wings=1.7)
    with pytest.raises(ValueError, match="must be positive"):
        CoinSettings("BTC", 0.0, 0.5, btc.books)
    with pytest.raises(InputError, match="VENUE_TERMS_UNKNOWN"):  # no fees, ticks and lots are known
        SimulatedMarket(1, settings=SimulationSettings(coins=(replace(btc, name="DOGE"),)))
    with pytest.raises(ValueError, match="sorted by name"):
        SimulationSettings(coins=(eth, btc))
    with pytest.raises(ValueError, match="outside their ranges"):
        SimulationSettings(correlation=1.0)
    with pytest.raises(ValueError, match="variance_per_jump"):
        SimulationSettings(jumps_per_year=500.0)
    with pytest.raises(ValueError, match="width_noise"):
        BookSettings(width_noise=1.0)
    with pytest.raises(ValueError, match="at least 1"):
        expiries(START_NS, (0.5,))
