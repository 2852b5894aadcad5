"""What risk costs, and which rows pay for their hedge: by hand, by integration, by trying every choice."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from hedger.policy.benefit import RiskFactors, Worth, risk_cost_usd, variance_usd2
from hedger.policy.triggering import Priced, weigh
from hedger.sections.policy import RiskConfig

DAY = 1.0 / 365.0


def test_a_days_delta_by_hand() -> None:
    """100,000 USD of delta at 60 %: a day's sd is 100,000 x 0.6 / sqrt(365) = 3,140.56 USD, its variance
    9,863,014; at 1e-5 per USD that costs 49.315 USD."""
    risk = RiskConfig(risk_aversion=1e-5, delta_holding_h=24.0)
    assert risk_cost_usd([RiskFactors(1e5, 0.0, 0.0, 0.6)], risk) == pytest.approx(49.31507, rel=1e-6)


def test_a_weeks_gamma_and_vega_by_hand() -> None:
    """Gamma of 100,000 USD per 1 % is G = 1e7 USD: G sigma^2 H = 1e7 x 0.25 x 7/365 = 47,945.2 USD, variance
    half its square, 1.149371e9. Vega of 5,000 USD a point is V = 500,000 USD: 3 points a day are 0.03 x
    sqrt(7) over a week, sd 39,686 USD, variance 1.575e9. At 1e-6: 0.5e-6 x 2.724371e9 = 1,362.19 USD."""
    risk = RiskConfig(risk_aversion=1e-6, option_holding_h=168.0, vol_sd_points_per_day=3.0)
    cost = risk_cost_usd([RiskFactors(0.0, 1e7, 5e5, 0.5)], risk)
    assert cost == pytest.approx(1362.1856, rel=1e-6)


@pytest.mark.parametrize(
    ("d", "g", "vol", "days"), [(1e5, 0.0, 0.6, 1), (0.0, 1e7, 0.5, 7), (3e5, -2e7, 0.8, 3)]
)
def test_the_variance_is_that_of_the_integral(d: float, g: float, vol: float, days: float) -> None:
    """P&L = D r + G r^2 / 2 with r normal: mean and square by quadrature."""
    sd = vol * math.sqrt(days * DAY)

    def moment(k: int) -> float:
        def inside(z: float) -> float:
            pnl = (d * sd * z + 0.5 * g * (sd * z) ** 2) / 1e5
            return pnl**k * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

        return float(quad(inside, -12, 12, epsabs=1e-10, epsrel=1e-11, limit=200)[0])

    exact = (moment(2) - moment(1) ** 2) * 1e10
    assert variance_usd2(RiskFactors(d, g, 0.0, vol), days * DAY, days * DAY, 0.0) == pytest.approx(
        exact, rel=1e-8
    )


def test_worth_at_its_edge_and_break_even() -> None:
    """Delta from 100,000 to 50,000 USD saves three quarters of 49.31507 USD."""
    risk = RiskConfig(risk_aversion=1e-5, delta_holding_h=24.0)
    before, after = [RiskFactors(1e5, 0.0, 0.0, 0.6)], [RiskFactors(5e4, 0.0, 0.0, 0.6)]
    saved = risk_cost_usd(before, risk) - risk_cost_usd(after, risk)
    dear = Worth(saved, 37.0)
    assert dear.benefit_usd == pytest.approx(36.98630, rel=1e-6) and dear.yes is False
    assert Worth(saved, dear.break_even_usd).yes is True
    assert Worth(saved, dear.break_even_usd * (1 + 1e-12)).yes is False
    assert Worth(saved, 18.5, benefit_min=2.0).yes is False
    assert Worth(saved, 18.49, benefit_min=2.0).yes is True
    assert Worth(-1.0, 0.0).break_even_usd == 0.0, "a hedge that adds risk is not worth a price"
    assert Worth(math.nan, 1.0).yes is None


def test_risk_without_a_vol_is_not_known() -> None:
    assert math.isnan(risk_cost_usd([RiskFactors(1.0, 0.0, 0.0, math.nan)], RiskConfig()))


# ------------------------------------------------------------------------------------------- which rows pay

ROWS = ("delta:BTC", "gamma:BTC", "vega:BTC", "vega:BTC:7-30d")


def test_rows_that_one_option_serves_are_judged_together() -> None:
    """Total vega and its bucket need the same option: leaving out one of them alone saves nothing."""

    def price(rows: frozenset[str]) -> Priced:
        option = bool(rows & {"vega:BTC", "vega:BTC:7-30d"})
        return Priced(
            10.0 * ("delta:BTC" in rows) + 500.0 * option,
            1000.0 - 40.0 * ("delta:BTC" in rows) - 90.0 * option,
        )

    rows = frozenset({"delta:BTC", "vega:BTC", "vega:BTC:7-30d"})
    kept, verdict = weigh(rows, rows, price, RiskConfig())
    assert kept == {"delta:BTC"}
    (sticky,) = verdict.sticky
    assert set(sticky.rows) == {"vega:BTC", "vega:BTC:7-30d"}
    assert (sticky.cost_usd, sticky.worth_usd) == (500.0, 90.0)
    assert (verdict.worth_usd, verdict.cost_usd) == (40.0, 10.0)


def test_gamma_and_vega_that_only_pay_through_each_other() -> None:
    """One option serves both: each alone costs nothing to leave out, together they do not pay."""

    def price(rows: frozenset[str]) -> Priced:
        option = bool(rows & {"gamma:BTC", "vega:BTC"})
        return Priced(500.0 * option, 1000.0 - 90.0 * option)

    rows = frozenset({"gamma:BTC", "vega:BTC"})
    kept, verdict = weigh(rows, rows, price, RiskConfig())
    assert kept == frozenset()
    assert verdict.sticky_rows == rows


def test_rows_that_must_be_hedged_are_never_left_out() -> None:
    def price(rows: frozenset[str]) -> Priced:
        return Priced(100.0 * len(rows), 1000.0 - len(rows))

    kept, verdict = weigh(frozenset(ROWS), frozenset({"gamma:BTC"}), price, RiskConfig())
    assert kept == set(ROWS) - {"gamma:BTC"} and verdict.sticky_rows == {"gamma:BTC"}


def test_a_worth_that_is_not_known_decides_nothing() -> None:
    kept, verdict = weigh(frozenset(ROWS), frozenset(ROWS), lambda _: Priced(1.0, math.nan), RiskConfig())
    assert kept == set(ROWS) and not verdict.known and verdict.reason


@given(
    st.lists(st.floats(0, 100), min_size=3, max_size=3), st.lists(st.floats(0, 100), min_size=3, max_size=3)
)
def test_of_independent_rows_those_stay_that_pay(costs: list[float], worths: list[float]) -> None:
    """Costs and benefits that add up: the rows kept are the best of all choices."""
    names = ("delta:BTC", "gamma:ETH", "theta:SOL")

    def price(rows: frozenset[str]) -> Priced:
        on = [name in rows for name in names]
        return Priced(float(np.dot(on, costs)), 1000.0 - float(np.dot(on, worths)))

    kept, _ = weigh(frozenset(names), frozenset(names), price, RiskConfig())
    every = [frozenset(c) for n in range(4) for c in combinations(names, n)]
    best = min(price(c).cost_usd + price(c).risk_usd for c in every)
    assert price(kept).cost_usd + price(kept).risk_usd == pytest.approx(best, abs=1e-9)
