"""The compiled loops against each policy written out path by path, with `risk.band_widths`' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from hedger.studies.frontier import Leg, ListedOption, Row, Setup, frontier
from hedger.studies.path_models import Heston, Merton, call_price, delta_vol, reversion_share, usual
from hedger.studies.path_policies import exposures, normal_cdf, totals, unwind
from hedger.studies.paths import simulate
from pricing.black76 import greeks
from risk.band_widths import landing, one_step_width, whalley_wilmott, zakamouline

PATHS, DAYS, CHECKS = 4, 5.0, 8
ONE = (Leg(-1.0, 100.0),)
PAIR = (Leg(-1.0, 100.0), Leg(0.8, 105.0))
OWNED = (Leg(1.5, 95.0),)
LISTED = ListedOption(102.0, max_quantity=1.0)


def setup(model: str = "gbm", legs: tuple[Leg, ...] = ONE, **changed: Any) -> Setup:
    made = Setup(
        usual(model, 0.6), legs, LISTED, days=DAYS, checks_per_day=CHECKS, paths=PATHS, seed=5,
        cost_bps=(5.0, 30.0), interval_h=(3.0, 12.0), width_coin=(0.03, 0.1), risk_aversion=(0.2, 4.0),
        lot=0.01,
    )  # fmt: skip
    return replace(made, **changed)


class Walk:
    """One path of a setup, hedged by hand."""

    def __init__(self, made: Setup, path: int) -> None:
        self.made, self.model = made, made.model
        paths = simulate(made.model, made.spot, made.years, made.steps, 1, made.seed, path)
        self.price, self.variance = paths.price[:, 0], paths.variance[:, 0]
        self.dt = made.years / made.steps
        self.vols = [float(delta_vol(made.model, self.variance[t], self.left(t))) for t in range(made.steps)]
        self.known: dict[tuple[int, float, float], tuple[float, float]] = {}
        self.fair: dict[int, float] = {}
        self.sold_at = {
            leg.strike: float(call_price(made.model, made.spot, leg.strike, made.years)) for leg in made.legs
        }
        self.begin()

    def begin(self) -> None:
        """Nothing held, nothing spent."""
        self.options = self.paid = self.option_cost = self.decisions = 0.0

    def left(self, t: int) -> float:
        return self.made.years - t * self.dt

    def vol(self, t: int) -> float:
        return self.vols[t]

    def exposure(self, t: int, vol: float | None = None, listed: bool = True) -> tuple[float, float]:
        """Delta and gamma of the book and of the listed options owned."""
        at = vol or self.vols[t]
        legs = [*self.made.legs, Leg(self.options if listed else 0.0, self.made.option.strike)]
        delta = gamma = 0.0
        for leg in legs:
            key = (t, leg.strike, at)
            if key not in self.known:
                g = greeks(self.price[t], leg.strike, self.left(t), at, 1.0)
                self.known[key] = float(g.delta), float(g.gamma)
            delta += leg.quantity * self.known[key][0]
            gamma += leg.quantity * self.known[key][1]
        return delta, gamma

    def lean(self, t: int) -> float:
        """Extra delta per gamma: how the vol at a fixed strike follows the price."""
        if not isinstance(self.model, Heston):
            return 0.0
        x = self.model.reversion * self.left(t)
        floating = float(reversion_share(self.model, self.left(t)))
        skew = (x - 1.0 + math.exp(-x)) / x**2
        beta = self.model.correlation * self.model.vol_of_vol * (floating - skew) / (2.0 * self.vol(t))
        vega_over_gamma = self.price[t] ** 2 * self.vol(t) * self.left(t)
        return float(vega_over_gamma * beta / self.price[t])

    def run(self, rule: Callable[[int, float], float]) -> tuple[float, float, float]:
        """(P&L before costs, turnover, trades) of a rule (step, held) -> to hold."""
        held = cash = turnover = trades = 0.0
        for t in range(self.made.steps + 1):
            new = rule(t, held) if t < self.made.steps else 0.0
            cash -= (new - held) * self.price[t]
            turnover += abs(new - held) * self.price[t]
            trades += new != held
            held = new
        book = sum(
            leg.quantity * (
                max(self.price[-1] - leg.strike, 0.0)
                - self.sold_at[leg.strike]
            )
            for leg in self.made.legs
        )  # fmt: skip
        book += self.options * max(self.price[-1] - self.made.option.strike, 0.0) - self.paid
        return cash + book, turnover, trades


def to_band(held: float, aim: float, outer: float, inner: float) -> float:
    gap = held - aim
    return aim + math.copysign(inner, gap) if abs(gap) > outer else held


def rule_of(row: Row, walk: Walk) -> Callable[[int, float], float]:
    made, setting = walk.made, dict(row.parameters)
    rate = row.cost_bps * 1e-4

    def every(hours: float) -> int:
        return round(hours / 24.0 * CHECKS)

    def lots(x: float) -> float:
        return round(x / made.lot) * made.lot if made.lot else x

    def rule(t: int, held: float) -> float:
        s, sigma = walk.price[t], walk.vol(t)
        delta, gamma = walk.exposure(t, listed=False)
        match row.policy:
            case "none":
                return held
            case "calendar":
                return -delta if t % every(setting["interval_h"]) == 0 else held
            case "fixed_centre" | "fixed_edge":
                w = setting["width_coin"]
                return to_band(held, -delta, w, w if row.policy == "fixed_edge" else 0.0)
            case "leland":
                dt = setting["interval_h"] / 24.0 / 365.0
                sign = math.copysign(1.0, -made.legs[0].quantity)
                more = sign * math.sqrt(2.0 / math.pi) * 2.0 * rate / (sigma * math.sqrt(dt))
                at = sigma * math.sqrt(1.0 + more)
                return -walk.exposure(t, at)[0] if t % every(setting["interval_h"]) == 0 else held
        aversion = setting["risk_aversion"]
        if row.policy == "zakamouline":
            band = zakamouline(gamma, s, rate, aversion, sigma, walk.left(t))
            centre = -walk.exposure(t, sigma * band.vol_factor)[0]
            return to_band(held, centre, band.half_width, band.half_width)
        if row.policy.startswith("whalley_wilmott"):
            w = float(whalley_wilmott(gamma, s, rate, aversion))
            return to_band(held, -delta, w, 0.0 if row.policy.endswith("centre") else w)
        if row.policy == "ours_mix" and t % CHECKS == 0:
            buy(walk, t, rate, aversion)
        delta, gamma = walk.exposure(t)
        least = max(float(one_step_width(s, rate, aversion, sigma, walk.left(t))), made.lot)
        w0 = max(float(whalley_wilmott(gamma, s, rate, aversion)), least)
        outer, inner = landing(w0, s, rate, made.fixed_cost_usd, made.lot)
        aim = -(delta + walk.lean(t) * gamma)
        new = to_band(held, aim, float(outer), float(inner))
        return lots(new) if new != held else held

    return rule


def buy(walk: Walk, t: int, rate: float, aversion: float) -> None:
    """Clips of the listed call one by one while the variance they remove is worth more than they cost."""
    option, model = walk.made.option, walk.model
    s, sigma, years = walk.price[t], walk.vol(t), walk.left(t)
    if years < option.days_min / 365.0:
        return
    unit = greeks(s, option.strike, years, sigma, 1.0)
    if t not in walk.fair:
        walk.fair[t] = float(call_price(model, s, option.strike, years, walk.variance[t]))
    fair = walk.fair[t]
    cost = option.half_spread_vol * float(unit.vega) + min(option.fee_rate * s, option.fee_cap * fair)
    unhedgeable = 2.0 * sigma_ref(model) ** 4 * walk.dt
    vol_variance = 0.0
    if isinstance(model, Merton):
        m, d = model.jump_mean, model.jump_sd
        unhedgeable += model.jumps_per_year * (m**4 + 6 * m**2 * d**2 + 3 * d**4)
    if isinstance(model, Heston):
        share = float(reversion_share(model, years))
        vol_variance = (share * model.vol_of_vol / (2 * sigma)) ** 2 * walk.variance[t]
        vol_variance *= 1 - model.correlation**2

    def penalty(gamma: float) -> float:
        """A year's cost of the delta band and of the variance no delta hedge takes away, at a gamma."""
        a = aversion * sigma**2 * s**2
        w = float(whalley_wilmott(gamma, s, rate, aversion))
        vega: float = s**2 * gamma * sigma * years
        band = a * w**2 / 2
        jumps = aversion / 2 * (0.5 * gamma * s**2) ** 2 * unhedgeable
        # half of its rate now: the vega falls to nothing
        return float(band + jumps + aversion / 4 * vega**2 * vol_variance)

    held = walk.options
    while True:
        gamma = walk.exposure(t)[1]
        side = math.copysign(1.0, -gamma)
        after = abs(gamma) - 0.5 * option.clip * float(unit.gamma)
        if after <= 0 or abs(walk.options + side * option.clip) > option.max_quantity + 1e-9:
            break
        step = 1e-5 * after  # marginal: a central difference of the penalty
        slope = (penalty(after + step) - penalty(after - step)) / (2 * step) * float(unit.gamma)
        # the gamma lasts until a move of one sigma has changed it by its own size
        later = [Leg(walk.options + 0.5 * side * option.clip, option.strike), *walk.made.legs]
        up, down = (
            sum(leg.quantity * float(greeks(s * by, leg.strike, years, sigma, 1.0).gamma) for leg in later)
            for by in (1 + 1e-5, 1 - 1e-5)
        )
        lasts = (after / (abs(up - down) / (2e-5 * s) * s * sigma)) ** 2
        if slope * min(years, lasts) <= cost:
            break
        walk.options += side * option.clip
        walk.paid += side * option.clip * fair
        walk.option_cost += option.clip * cost
    walk.decisions += walk.options != held


def sigma_ref(model: Any) -> float:
    return float(model.vol)


@pytest.mark.parametrize(
    ("model", "legs", "changed"),
    [
        ("gbm", ONE, {}),
        ("gbm", PAIR, {"lot": 0.0}),
        ("gbm", OWNED, {"fixed_cost_usd": 0.01}),
        ("heston", ONE, {}),
        ("heston", PAIR, {"fixed_cost_usd": 0.002}),
        ("jump", ONE, {"lot": 0.0}),
    ],
)
def test_every_policy_is_what_it_says(model: str, legs: tuple[Leg, ...], changed: dict[str, object]) -> None:
    made = setup(model, legs, **changed)
    rows = frontier(made)
    walks = [Walk(made, path) for path in range(PATHS)]
    assert {row.policy for row in rows} == set(made.policies)
    for row in rows:
        if row.refused:
            assert len(legs) > 1
            assert row.policy in ("leland", "zakamouline")
            assert math.isnan(row.sd_net)
            continue
        gross, cost, trades = np.empty(PATHS), np.empty(PATHS), np.empty(PATHS)
        for path, walk in enumerate(walks):
            walk.begin()
            gross[path], turnover, trades[path] = walk.run(rule_of(row, walk))
            trades[path] += walk.decisions
            cost[path] = (
                row.cost_bps * 1e-4 * turnover + made.fixed_cost_usd * trades[path] + walk.option_cost
            )
        net = gross - cost
        # a listed option's value is interpolated where the model adds to Black-Scholes
        loose = 2e-3 if row.policy == "ours_mix" and model != "gbm" else 1e-9
        assert row.trades == pytest.approx(trades.mean())
        assert row.mean_net == pytest.approx(net.mean(), abs=loose, rel=1e-9), row
        assert row.sd_net == pytest.approx(net.std(), rel=max(loose, 1e-9), abs=1e-9), row
        assert row.sd_gross == pytest.approx(gross.std(), rel=max(loose, 1e-9), abs=1e-9), row
        assert row.mean_cost == pytest.approx(cost.mean(), rel=max(loose, 1e-9), abs=1e-12), row
        worst = np.sort(net)[: max(round(0.05 * PATHS), 1)]
        assert row.es5_net == pytest.approx(worst.mean(), rel=1e-2 if loose > 1e-6 else 1e-9), row


def test_deltas_and_gammas_of_a_block() -> None:
    price = simulate(usual("gbm", 0.6), 100.0, 0.1, 40, 9, seed=3).price
    years = 0.1 - np.arange(40, dtype=np.float64) * 0.0025
    vol = np.linspace(0.05, 2.0, 40 * 9).reshape(40, 9)
    delta, gamma = np.empty((40, 9)), np.empty((40, 9))
    growth = np.exp(0.05 * years)
    exposures(price, vol, years, growth, np.array([-1.0, 0.8]), np.array([100.0, 105.0]), delta, gamma)
    w = vol * np.sqrt(years)[:, None]
    for wanted, found in ((ndtr, delta), (lambda d: np.exp(-(d**2) / 2) / math.sqrt(2 * math.pi), gamma)):
        total = np.zeros((40, 9))
        for quantity, strike in ((-1.0, 100.0), (0.8, 105.0)):
            d1 = np.log(price[:-1] * growth[:, None] / strike) / w + w / 2
            total += quantity * wanted(d1) / (1.0 if found is delta else price[:-1] * w)
        assert np.abs(found - total).max() < 1e-14


def test_normal_distribution() -> None:
    d = np.concatenate([np.linspace(-45, 45, 4001), [0.0, -1e-300, 1e100, -1e100]])
    found = np.array([normal_cdf(x) for x in d])
    assert found[:, 0] == pytest.approx(ndtr(d), rel=2e-13, abs=1e-200)
    assert found[:, 1] == pytest.approx(
        np.exp(-np.minimum(d**2, 1e4) / 2) / math.sqrt(2 * math.pi), rel=1e-12
    )


def test_unwinding_pays_for_what_is_held() -> None:
    done = totals(1, 2)
    done.hedge[:] = [[0.5, -0.25]]
    unwind(np.array([90.0, 120.0]), done.hedge, done.cash, done.turnover, done.trades)
    assert done.cash.tolist() == [[45.0, -30.0]]
    assert done.turnover.tolist() == [[45.0, 30.0]]
    assert done.trades.tolist() == [[1.0, 1.0]]
    assert not done.hedge.any()
