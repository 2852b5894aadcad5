"""Drift, expected excess and the projected breach, against revaluation by other means."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from scipy.integrate import quad

from hedger.moment import Memory
from hedger.optimizer import HedgeProblem, Ladder
from hedger.policy.policy import due
from hedger.policy.triggering import moment_of, near_vol
from hedger.policy.waiting import cheapest_per_unit, expected_excess, exposures_later
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.settings import Settings
from pricing.market import ForwardKind, Market
from pricing.valuation import Numeraire
from risk.book import Book, CashKey, Position
from tests.builders import NAN, Quote, after, future, listing, market_of, option, perpetual
from tests.hedger.moments import policy
from tests.hedger.own import black

SPOT, FORWARD, VOL = 50_000.0, 51_000.0, 0.6
YEAR_H = 365 * 24


def quote(kind: str, strike: float, days: float, *, inverse: bool = True) -> Quote:
    contract = option(strike, kind, days, inverse=inverse)
    price = 0.02 if inverse else 1_000.0
    return Quote(
        listing(contract), price, price * 1.1, price * 1.05, VOL, FORWARD, SPOT,
        forward_kind=ForwardKind.SYNTHETIC,
    )  # fmt: skip


CALL, PUT = quote("C", 52_000.0, 30), quote("P", 48_000.0, 10)
LINEAR = quote("C", 50_000.0, 30, inverse=False)
SOON, DEAD = quote("C", 45_000.0, 0.75), quote("P", 40_000.0, 0.5)
PERP = Quote(listing(perpetual(), lot="10"), 49_999.5, 50_000.5, 50_000.0, index=SPOT)
DATED = Quote(listing(future(0.75), lot="10"), 50_099.5, 50_100.5, 50_100.0, index=SPOT)
FLAT = Quote(listing(perpetual(inverse=False), lot="0.001"), 49_999.5, 50_000.5, 50_000.0, index=SPOT)
QUOTES = (CALL, PUT, LINEAR, SOON, DEAD, PERP, DATED, FLAT)


def book_of(*positions: tuple[Quote, object], **cash: object) -> Book:
    held = [Position(q.listing, "", Decimal(str(amount))) for q, amount in positions]
    balances: dict[CashKey, Decimal] = {("deribit", "", name): Decimal(str(x)) for name, x in cash.items()}
    return Book.of(held, balances)


def snapshot_of(book: Book, market: Market | None = None, numeraire: Numeraire = Numeraire.USD) -> Snapshot:
    return take_snapshot(book, market or market_of(QUOTES), Settings(numeraire=numeraire))


# --------------------------------------------------------------------------------------------------- drift


def test_the_drift_of_every_greek_is_that_of_the_formula_a_day_later() -> None:
    book = book_of((CALL, -10), (PUT, 4), (LINEAR, 2), (PERP, 100_000), BTC=3)
    now = snapshot_of(book)
    later = dict(zip(now.exposure.rows, exposures_later(now, 24.0), strict=False))
    held = (
        (CALL, -10.0, 52_000.0, 30, 1, 1.0),
        (PUT, 4.0, 48_000.0, 10, -1, 1.0),
        (LINEAR, 2.0, 50_000.0, 30, 1, FORWARD / SPOT),
    )
    expected = dict.fromkeys(("delta", "gamma", "vega", "theta"), 0.0)
    for _, quantity, strike, days, sign, per_spot in held:
        greeks = black(FORWARD, strike, (days - 1) / 365, VOL, sign)
        expected["delta"] += quantity * greeks.delta * per_spot
        for name in ("gamma", "vega", "theta"):
            expected[name] += quantity * getattr(greeks, name)
    expected["delta"] += 3 + 100_000 / 50_000.0
    for name, x in expected.items():
        assert later[f"{name}:BTC"] == pytest.approx(x, rel=1e-9), name


def test_what_expires_meanwhile_pays_out_at_its_forward() -> None:
    """A call of 45,000 pays 1 - 45/51 coin, which count in delta from then on; a put of 40,000 nothing; the
    future's gain is in the balance already."""
    now = snapshot_of(book_of((SOON, 10), (DEAD, -10), (DATED, 100_000), BTC=1))
    later = dict(zip(now.exposure.rows, exposures_later(now, 24.0), strict=False))
    assert later["delta:BTC"] == pytest.approx(1 + 10 * (1 - 45 / 51), rel=1e-12)
    for name in ("gamma", "gamma_expiring", "vega", "theta"):
        assert later[f"{name}:BTC"] == 0.0
    kept = dict(zip(now.exposure.rows, exposures_later(now, 6.0), strict=False))
    greeks = black(FORWARD, 45_000.0, 12 / YEAR_H, VOL, 1)
    put = black(FORWARD, 40_000.0, 6 / YEAR_H, VOL, -1)
    assert kept["delta:BTC"] == pytest.approx(
        1 + 10 * greeks.delta - 10 * put.delta + 100_000 / 50_100.0, rel=1e-9
    )


def test_an_option_that_enters_its_last_days_changes_its_row() -> None:
    near = quote("C", 51_000.0, 2.5)
    now = snapshot_of(book_of((near, 1)), market_of((*QUOTES, near)))
    later = dict(zip(now.exposure.rows, exposures_later(now, 24.0), strict=False))
    assert now.exposure.row("gamma:BTC") > 0 and now.exposure.row("gamma_expiring:BTC") == 0
    assert later["gamma:BTC"] == 0.0
    assert later["gamma_expiring:BTC"] == pytest.approx(
        black(FORWARD, 51_000.0, 1.5 / 365, VOL, 1).gamma, rel=1e-9
    )


def test_no_time_is_no_drift() -> None:
    now = snapshot_of(
        book_of((CALL, -10), (PUT, 4), (LINEAR, 2), (PERP, 100_000), (FLAT, -1), BTC=3, USDC=500)
    )
    assert exposures_later(now, 0.0) == pytest.approx(now.exposure.value, rel=1e-12)


# ------------------------------------------------------------------------------------------ expected excess


@pytest.mark.parametrize("mean", [-30.0, 0.0, 9.0, 10.0, 11.0, 25.0])
@pytest.mark.parametrize("sd", [0.1, 3.0, 20.0])
def test_the_expected_excess_is_that_of_the_integral(mean: float, sd: float) -> None:
    trigger, landing = 10.0, 4.0

    def inside(x: float) -> float:
        return (x - landing) * math.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))

    top = max(mean, trigger) + 12 * sd
    points = sorted({min(max(mean + k * sd, trigger), top) for k in (-4, -1, 0, 1, 4)})
    exact = quad(inside, trigger, top, points=points, epsabs=1e-12, limit=400)[0]
    found = expected_excess(*(np.array([x]) for x in (mean, sd, trigger, landing)))
    assert found[0] == pytest.approx(exact, rel=1e-8, abs=1e-10)


def test_without_a_move_the_excess_is_what_it_is() -> None:
    mean = np.array([12.0, 10.0, 9.0, 1e9, np.nan, 12.0])
    sd = np.array([0.0, 0.0, 0.0, 5.0, 0.0, np.nan])
    trigger = np.array([10.0, 10.0, 10.0, np.inf, 10.0, 10.0])
    found = expected_excess(mean, sd, trigger, np.array([4.0, 4.0, 4.0, np.inf, 4.0, 4.0]))
    np.testing.assert_array_equal(found, [8.0, 0.0, 0.0, 0.0, np.nan, np.nan])


def test_the_cheapest_single_instrument_of_each_side() -> None:
    """A: +2 a unit at 6 to buy and 10 to sell; B: -1 at 4 and 2, not to be bought; C only to be bought."""

    def column(*numbers: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array(numbers)

    problem = HedgeProblem(
        rows=["delta:BTC", "gamma:BTC", "theta:BTC"],
        exposure=np.zeros(3),
        lower=-np.ones(3),
        upper=np.ones(3),
        columns=["A", "B", "C"],
        per_unit=np.array([[2.0, -1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
        ladders=[
            Ladder(column(5.0), column(6.0), column(5.0), column(10.0)),
            Ladder(column(5.0), column(4.0), column(5.0), column(2.0)),
            Ladder(column(5.0), column(7.0), column(), column()),
        ],
        lot=np.ones(3),
        min_size=np.ones(3),
        max_buy=column(math.inf, 0.0, math.inf),
        max_sell=np.full(3, math.inf),
    )
    up, down = cheapest_per_unit(problem)
    assert up.tolist() == [2.0, 7.0, math.inf], "selling B at 2 is cheaper than buying A at 3"
    assert down.tolist() == [5.0, math.inf, math.inf], "B may not be bought"


# ----------------------------------------------------------------------------------- the projected breach


def moved(market: Market, book: Book, size: float, numeraire: Numeraire) -> Snapshot:
    """The book in the market with index, forwards and marks of futures moved together, valued anew."""
    option = market.universe.is_option
    scaled = {
        name: np.where(option & (name != "forward") & (name != "index"), x, x * (1 + size))
        for name in ("index", "forward", "bid", "ask", "mark")
        if (x := getattr(market, name)) is not None
    }
    there = replace(market, **scaled)
    return take_snapshot(book, there, Settings(numeraire=numeraire), marked=True)


@pytest.mark.parametrize("numeraire", list(Numeraire))
def test_the_slope_of_delta_is_that_of_the_book_valued_anew(numeraire: Numeraire) -> None:
    market = market_of(QUOTES)
    book = book_of((CALL, -10), (PUT, 4), (LINEAR, 2), (PERP, -100_000), (FLAT, -1.5), BTC=3, USDC=70_000)
    book = book.opened_at({q.listing.key: q.mark for q in (PERP, FLAT)})
    here = take_snapshot(book, market, Settings(numeraire=numeraire), marked=True)
    (u,) = moment_of(here).underlyings
    step = 1e-5
    up, down = (moved(market, book, s, numeraire).exposure.row("delta:BTC") for s in (step, -step))
    assert u.delta_slope == pytest.approx((up - down) / (2 * step * SPOT), rel=1e-6)
    assert here.exposure.row("delta:BTC") == pytest.approx((up + down) / 2, rel=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_projected_breach_is_one_in_the_book_valued_anew(sign: int) -> None:
    """Bands laid around the delta after a move: the trigger says what the revaluation shows, unless the edge
    lies within what the third order makes of the move."""
    market, checked = market_of(QUOTES), 0
    for quantity in (-30, -5, 12):
        book = book_of((CALL, quantity), (PUT, 4), BTC=1)
        here = take_snapshot(book, market, Settings(), marked=True)
        (u,) = moment_of(here).underlyings
        assert u.vol == pytest.approx(VOL)
        now = here.exposure.row("delta:BTC")
        for sigmas, hours in ((1.0, 1.0), (2.0, 4.0), (1.5, 12.0)):
            move = sigmas * VOL * math.sqrt(hours / YEAR_H)
            there = [moved(market, book, s, Numeraire.USD).exposure.row("delta:BTC") for s in (move, -move)]
            reach = max(sign * (x - now) for x in there)
            third = abs(there[0] + there[1] - 2 * now)
            for share in (0.3, 0.8, 1.25, 3.0):
                edge = now + sign * share * reach
                if abs((share - 1.0) * reach) <= third:
                    continue
                outer = (-math.inf, edge) if sign > 0 else (edge, math.inf)
                inner = (-math.inf, now) if sign > 0 else (now, math.inf)
                banded = replace(here, bands=here.bands.with_row(0, outer, inner))
                when = policy({"projected_breach": {"sigmas": sigmas, "horizon_h": hours}})
                decision = due(moment_of(banded), when, Memory())
                assert decision.due is any(sign * x > sign * edge for x in there), (quantity, sigmas, share)
                checked += 1
    assert checked >= 24


def test_the_vol_of_the_next_hours_is_at_the_money_of_a_near_expiry() -> None:
    """Strikes 50,000 at 60 % and 52,000 at 70 %, ten days out; the forward lies half way between them."""
    low, high = quote("C", 50_000.0, 10), replace(quote("C", 52_000.0, 10), mark_iv=0.7)
    far, dying = replace(quote("C", 51_000.0, 60), mark_iv=0.9), replace(SOON, mark_iv=2.0)
    snapshot = snapshot_of(book_of(BTC=1), market_of((low, high, far, dying, PERP)))
    assert near_vol(snapshot.valuation, "BTC") == pytest.approx(0.65)
    only = snapshot_of(book_of(BTC=1), market_of((dying, PERP)))
    assert near_vol(only.valuation, "BTC") == pytest.approx(2.0)
    assert math.isnan(near_vol(snapshot_of(book_of(BTC=1), market_of((PERP,))).valuation, "BTC"))


def test_what_a_moment_holds() -> None:
    old = replace(PERP, age_s=120.0)
    snapshot = snapshot_of(book_of((CALL, 1), (SOON, -1), (PERP, 10), BTC=1), market_of((CALL, SOON, old)))
    (u,) = moment_of(snapshot).underlyings
    assert u.mark_age_s == pytest.approx(120.0)
    assert [p.symbol for p in u.in_play] == [SOON.listing.symbol, CALL.listing.symbol]
    assert u.in_play[0].hours == pytest.approx(18.0) and u.in_play[0].forward == FORWARD
    assert (after(0.75) - snapshot.market.now_ns) / 3.6e12 == pytest.approx(18.0)
    assert u.rows == tuple(r for r, b in zip(snapshot.exposure.rows, snapshot.bands.banded, strict=True) if b)
    unmarked = snapshot_of(book_of(BTC=1), market_of((replace(CALL, index=NAN), PERP)))
    assert math.isnan(moment_of(unmarked).underlyings[0].mark_age_s)
