"""The surface refitted: a full chain from nothing, and one expiry that moved, beside scipy's least squares.

Ours and scipy's fit the same smiles: the same quotes, weights, start and tests for arbitrage; scipy with its
own Huber loss and the exact derivatives, and where a smile has arbitrage again with the same penalties. The
row `whole_refit` is all of `refit` beside it: bids and asks to vols, what moved and what did not, the fits,
room between neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.optimize import least_squares

from pricing import svi
from pricing.flat import FloatArray
from pricing.forwards import forwards
from pricing.implied import implied_vol
from pricing.market import Market
from pricing.surface import FitStatus, Surface, SurfaceSettings, refit
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings

AGE_S_MAX = 600.0
HUBER = 1.5  # half spreads
CHAIN = "smiles of a chain of 1,600 options, from nothing"
MOVED = "smile of the one expiry that moved, from the one before"
ARBITRAGE = "a smile with butterfly arbitrage to remove"

#: Axel Vogt's smile: Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", section 5.
VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])

_moments: list[tuple[Market, Market]] = []


def moments() -> tuple[Market, Market]:
    """A simulated market of two coins; and the same with one expiry quoted a little higher."""
    if not _moments:
        source = SimulatedMarket(3, settings=SimulationSettings(strikes_per_expiry=48))
        market = Market.empty(source.universe).apply(source.step(60.0))
        universe = market.universe
        third = np.unique(universe.expiry_ns[universe.is_option])[3]
        rows = universe.is_option & (universe.expiry_ns == third) & (universe.underlying == 0)
        scale = np.where(rows, 1.02, 1.0)
        _moments.append((market, replace(market, bid=market.bid * scale, ask=market.ask * scale)))
    return _moments[0]


def forward_of(market: Market) -> FloatArray:
    return forwards(market, AGE_S_MAX).forward


def surface_of(market: Market, previous: Surface | None = None) -> Surface:
    return refit(previous, market, forward_of(market), AGE_S_MAX)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What one smile is fitted to: log-moneyness, total variance, half its spread; and where it is tested."""

    k: FloatArray
    w: FloatArray
    half: FloatArray
    k_low: float
    k_high: float
    years: float
    parameters: FloatArray


def problems(market: Market, surface: Surface) -> list[Problem]:
    """Of every smile that was fitted to quotes."""
    universe, found = market.universe, []
    for underlying, smiles in surface.smiles.items():
        for smile in smiles:
            if smile.status not in (FitStatus.FITTED, FitStatus.CARRIED):
                continue
            mine = (universe.expiry_ns == smile.expiry_ns) & universe.is_option
            mine &= universe.underlying == universe.underlyings.index(underlying)
            outside = np.where(
                universe.sign > 0, universe.strike >= smile.forward, universe.strike < smile.forward
            )
            rows = np.flatnonzero(mine & outside & np.isin(universe.strike, smile.strikes))
            rows = rows[np.argsort(universe.strike[rows])]
            strike, sign = universe.strike[rows], universe.sign[rows]
            bid, ask = (
                implied_vol(side[rows] * smile.forward, smile.forward, strike, smile.years, sign)[0]
                for side in (market.bid, market.ask)
            )
            vol = np.clip(market.mark_iv[rows], bid, ask)  # the mark vol, which every option here has
            half = np.maximum(0.5 * (ask - bid), SurfaceSettings().half_spread_min)
            w, half_w = vol * vol * smile.years, 2.0 * vol * half * smile.years
            k = np.log(strike / smile.forward)
            found.append(Problem(k, w, half_w, smile.k_low, smile.k_high, smile.years, smile.parameters))
    return found


def w_of(p: FloatArray, k: FloatArray) -> FloatArray:
    u = k - p[3]
    return np.asarray(p[0] + p[1] * (p[2] * u + np.sqrt(u * u + p[4] * p[4])))


EMPTY, NONE, OPEN = np.empty(0), np.zeros(svi.FINE), np.full(svi.FINE, np.inf)


def ours(problem: Problem, first: FloatArray) -> FloatArray:
    p = np.empty(svi.PARAMETERS)
    svi.fit(problem.k, problem.w, problem.half, first, problem.k_low, problem.k_high, NONE, OPEN, p)
    return p


def scipys(problem: Problem, first: FloatArray) -> FloatArray:
    """As one writes it with scipy: a trust-region fit within bounds, Huber's loss, exact derivatives."""
    k, w, weight = problem.k, problem.w, 1.0 / problem.half
    reach = problem.k_high - problem.k_low

    def residuals(p: FloatArray) -> FloatArray:
        return np.asarray(weight * (w_of(p, k) - w))

    def jacobian(p: FloatArray) -> FloatArray:
        u = k - p[3]
        root = np.sqrt(u * u + p[4] * p[4])
        rows = (np.ones_like(k), p[2] * u + root, p[1] * u, -p[1] * (p[2] + u / root), p[1] * p[4] / root)
        return np.asarray(weight[:, None] * np.stack(rows, axis=1))

    start = first
    if not start.size:
        start = np.empty(svi.PARAMETERS)
        svi.start(k, w, weight, start)
    lower = np.array([-np.inf, svi.B_MIN, -svi.RHO_MAX, problem.k_low - reach, svi.S_MIN * reach])
    upper = np.array([np.inf, np.inf, svi.RHO_MAX, problem.k_high + reach, 10.0 * reach])
    bounds = (lower, upper)
    start = np.clip(start, lower + 1e-12, upper - 1e-12)
    tolerances = {"ftol": svi.TOLERANCE, "xtol": 1e-8, "gtol": 1e-8}
    p = least_squares(
        residuals, start, jacobian, bounds, loss="huber", f_scale=HUBER, x_scale="jac", **tolerances
    ).x
    if svi.is_free(p, problem.k_low, problem.k_high, NONE, OPEN):
        return np.asarray(p)
    level, short = float(np.median(w)), np.empty(svi.RESIDUALS)
    for penalty in svi.PENALTIES:

        def penalised(p: FloatArray, weight: float = penalty * np.sqrt(k.size)) -> FloatArray:
            svi.penalties(p, problem.k_low, problem.k_high, NONE, OPEN, level, weight, short)
            return np.concatenate([residuals(p), short])

        p = least_squares(penalised, p, "2-point", bounds, x_scale="jac", **tolerances).x
        if svi.is_free(p, problem.k_low, problem.k_high, NONE, OPEN):
            break
    return np.asarray(p)


def agree(found: FloatArray, problem: Problem) -> None:
    """Within a tenth of a vol point at every quote: the same smile."""
    vols = [np.sqrt(w_of(p, problem.k) / problem.years) for p in (found, problem.parameters)]
    assert np.max(np.abs(vols[0] - vols[1])) < 0.001


def moved() -> tuple[Problem, FloatArray]:
    """The smile that moved, and its parameters before."""
    market, later = moments()
    before = surface_of(market)
    after = surface_of(later, before)
    at = next(i for i, s in enumerate(after.smiles["BTC"]) if s.status == FitStatus.FITTED)
    known = problems(later, Surface(after.now_ns, {"BTC": (after.smiles["BTC"][at],)}))
    return known[0], before.smiles["BTC"][at].parameters


def arbitrage() -> Problem:
    """Thirty-one quotes on Vogt's smile, T = 1, half a spread of one vol point."""
    k = np.linspace(-1.2, 1.2, 31)
    w = w_of(VOGT, k)
    return Problem(k, w, 0.02 * np.sqrt(w), -1.2, 1.2, 1.0, VOGT)


@pytest.mark.benchmark(group=CHAIN)
def test_ours_fits(benchmark: BenchmarkFixture) -> None:
    market, _ = moments()
    known = problems(market, surface_of(market))
    found = benchmark(lambda: [ours(problem, EMPTY) for problem in known])
    for p, problem in zip(found, known, strict=True):
        agree(p, problem)


@pytest.mark.benchmark(group=CHAIN)
def test_scipy_fits(benchmark: BenchmarkFixture) -> None:
    market, _ = moments()
    known = problems(market, surface_of(market))
    found = benchmark(lambda: [scipys(problem, EMPTY) for problem in known])
    for p, problem in zip(found, known, strict=True):
        agree(p, problem)


@pytest.mark.benchmark(group=CHAIN)
def test_whole_refit(benchmark: BenchmarkFixture) -> None:
    market, _ = moments()
    assert 1_550 < int((market.universe.is_option & market.quoted).sum()) < 1_650
    forward = forward_of(market)
    found = benchmark(lambda: refit(None, market, forward, AGE_S_MAX))
    assert all(
        smile.free_of_arbitrage for smiles in found.smiles.values() for smile in smiles if smile.status
    )


@pytest.mark.benchmark(group=MOVED)
def test_ours_fit(benchmark: BenchmarkFixture) -> None:
    problem, first = moved()
    agree(benchmark(lambda: ours(problem, first)), problem)


@pytest.mark.benchmark(group=MOVED)
def test_scipy_fit(benchmark: BenchmarkFixture) -> None:
    problem, first = moved()
    agree(benchmark(lambda: scipys(problem, first)), problem)


@pytest.mark.benchmark(group=MOVED)
def test_whole_refit_of_one(benchmark: BenchmarkFixture) -> None:
    market, later = moments()
    before, forward = surface_of(market), forward_of(later)
    found = benchmark(lambda: refit(before, later, forward, AGE_S_MAX))
    fitted = [s for smiles in found.smiles.values() for s in smiles if s.status == FitStatus.FITTED]
    assert len(fitted) == 1


@pytest.mark.benchmark(group=ARBITRAGE)
def test_ours_repair(benchmark: BenchmarkFixture) -> None:
    problem = arbitrage()
    found = benchmark(lambda: ours(problem, EMPTY))
    assert svi.is_free(found, problem.k_low, problem.k_high, NONE, OPEN)


@pytest.mark.benchmark(group=ARBITRAGE)
def test_scipy_repair(benchmark: BenchmarkFixture) -> None:
    problem = arbitrage()
    found = benchmark(lambda: scipys(problem, EMPTY))
    assert svi.is_free(found, problem.k_low, problem.k_high, NONE, OPEN)
