"""One smile: its formula and its tests for arbitrage against 50-digit arithmetic, its fit against scipy's."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from pricing import svi
from pricing.flat import FloatArray

#: Axel Vogt's smile, with butterfly arbitrage: Gatheral and Jacquier (2014), section 5. (a, b, ρ, m, s).
VOGT = (-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
NOTHING_BELOW, NOTHING_ABOVE = np.zeros(svi.FINE), np.full(svi.FINE, np.inf)


def w_of(p: FloatArray, k: FloatArray) -> FloatArray:
    """Gatheral's formula."""
    a, b, rho, m, s = p
    return np.asarray(a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s**2)))


def exact(p: tuple[float, ...], k: float) -> tuple[float, float]:
    """w and Durrleman's g, the derivatives taken numerically in 50 digits."""
    with mpmath.workdps(50):
        a, b, rho, m, s = (mpmath.mpf(x) for x in p)

        def w(x: mpmath.mpf) -> mpmath.mpf:
            return a + b * (rho * (x - m) + mpmath.sqrt((x - m) ** 2 + s**2))

        x = mpmath.mpf(k)
        value, first, second = w(x), mpmath.diff(w, x), mpmath.diff(w, x, 2)
        g = (1 - x * first / (2 * value)) ** 2 - first**2 / 4 * (1 / value + mpmath.mpf(1) / 4) + second / 2
        return float(value), float(g)


def least_density(p: FloatArray, k_low: float, k_high: float) -> float:
    """Least K² d²C/dK² over the price, in 50 digits, where the smile is worst by exact g."""
    k = np.linspace(k_low, k_high, 401)
    worst = float(k[np.argmin([exact(tuple(p.tolist()), x)[1] for x in k.tolist()])])
    with mpmath.workdps(50):
        a, b, rho, m, s = (mpmath.mpf(x) for x in p.tolist())

        def call(strike: mpmath.mpf) -> mpmath.mpf:
            x = mpmath.log(strike)
            v = mpmath.sqrt(a + b * (rho * (x - m) + mpmath.sqrt((x - m) ** 2 + s**2)))
            d1 = -x / v + v / 2
            return mpmath.ncdf(d1) - strike * mpmath.ncdf(d1 - v)

        strike = mpmath.exp(mpmath.mpf(worst))
        return float(strike**2 * mpmath.diff(call, strike, 2))


def fitted(
    k: FloatArray,
    w: FloatArray,
    half: FloatArray,
    lower: FloatArray = NOTHING_BELOW,
    upper: FloatArray = NOTHING_ABOVE,
    first: FloatArray | None = None,
) -> tuple[FloatArray, int]:
    p = np.empty(svi.PARAMETERS)
    start = np.empty(0) if first is None else first
    code = svi.fit(k, w, half, start, float(k[0]), float(k[-1]), lower, upper, p)
    return p, code


@st.composite
def smiles(draw: st.DrawFn, skew: float = 0.8, share_max: float = 0.95) -> tuple[FloatArray, float]:
    """Parameters without arbitrage, as SSVI has them (Gatheral and Jacquier 2014, theorem 4.2), and √w(0).

    w(k) = θ/2 (1 + ρ φ k + √((φ k + ρ)² + 1 − ρ²)), θ φ (1 + |ρ|) < 4 and θ φ² (1 + |ρ|) <= 4.
    """
    theta = math.exp(draw(st.floats(math.log(1e-4), math.log(1.0))))
    rho = draw(st.floats(-skew, skew))
    share = draw(st.floats(0.05, share_max))
    phi = share * min(4.0 / (theta * (1.0 + abs(rho))), 2.0 / math.sqrt(theta * (1.0 + abs(rho))))
    root = math.sqrt(1.0 - rho * rho)
    p = np.array([theta / 2 * root * root, theta * phi / 2, rho, -rho / phi, root / phi])
    return p, math.sqrt(theta)


@given(smiles(), st.floats(-5.0, 5.0))
def test_variance_and_density_are_those_of_the_formula(smile: tuple[FloatArray, float], z: float) -> None:
    p, deviation = smile
    k = z * deviation
    w, g = exact(tuple(p.tolist()), k)
    assert svi.total_variance(p, k) == pytest.approx(w, rel=1e-12)
    assert svi.durrleman(p, k) == pytest.approx(g, rel=1e-9, abs=1e-9)


def test_a_variance_that_is_not_positive_has_no_density() -> None:
    assert svi.durrleman(np.array([-0.2, 0.1, 0.0, 0.0, 0.1]), 0.0) == -1.0


def test_the_published_example_of_butterfly_arbitrage_is_seen_and_repaired() -> None:
    p = np.array(VOGT)
    assert min(exact(VOGT, x)[1] for x in np.linspace(-1.5, 1.5, 301).tolist()) < -0.01
    assert svi.butterfly_margin(p, -1.5, 1.5) < -0.01
    assert not svi.is_free(p, -1.5, 1.5, NOTHING_BELOW, NOTHING_ABOVE)
    assert least_density(p, -1.5, 1.5) < -1e-4
    k = np.linspace(-1.5, 1.5, 31)
    w = w_of(p, k)
    found, code = fitted(k, w, np.full(31, 0.002))
    assert code == svi.REFITTED
    assert least_density(found, -1.5, 1.5) > 0.0
    assert np.max(np.abs(np.sqrt(w_of(found, k)) - np.sqrt(w))) < 0.02  # T = 1: two vol points of 24 to 41


def test_arbitrage_at_a_bend_narrower_than_the_grid_is_seen() -> None:
    """A smile of an hour, tested on the range of its neighbour of three years."""
    p = np.array([5.97e-5, 7.48e-3, -0.9, -5.19e-3, 8.64e-4])
    assert min(exact(tuple(p.tolist()), x)[1] for x in np.linspace(-0.0135, 0.0124, 201).tolist()) < -0.1
    assert svi.butterfly_margin(p, -2.31, 2.39) < -0.1


@given(smiles(), smiles(), st.floats(0.5, 4.0))
def test_the_room_between_two_smiles_is_the_least_there_is(
    one: tuple[FloatArray, float], other: tuple[FloatArray, float], reach: float
) -> None:
    lower, upper = one[0], other[0]
    ends = reach * max(one[1], other[1])
    near = [p[3] + p[4] * np.sinh(np.linspace(-9.0, 9.0, 4001)) for p in (lower, upper)]
    k = np.clip(np.concatenate([np.linspace(-ends, ends, 4001), *near]), -ends, ends)
    least = float(np.min(1.0 - w_of(lower, k) / w_of(upper, k)))
    found = svi.room(lower, upper, -ends, ends)
    assert found <= least + 2e-5 * (1.0 + abs(least))  # a tenth of what is left between two smiles
    assert found >= least - 1e-4 * (1.0 + abs(least))


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_normal_equations_are_solved(scale: float) -> None:
    rng = np.random.default_rng(3)
    for n in (1, 3, 5):
        root = rng.normal(size=(n, n)) + 2.0 * np.eye(n)
        A, b = root @ root.T * scale, rng.normal(size=n)
        wanted = np.linalg.solve(A, b)
        x = b.copy()
        assert svi.solve_normal(A.copy(), x, n)
        assert x == pytest.approx(wanted, rel=1e-8, abs=1e-12 / scale)
    assert not svi.solve_normal(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2), 2)
    assert not svi.solve_normal(np.full((2, 2), np.nan), np.ones(2), 2)


@given(smiles(skew=0.6, share_max=0.8), st.integers(8, 40), st.floats(1.0, 3.5))
def test_a_smile_is_found_from_its_own_variances(
    smile: tuple[FloatArray, float], count: int, reach: float
) -> None:
    """Whatever (a, b, ρ, m, s) come out: the vols at the strikes are those that went in."""
    p, deviation = smile
    k = deviation * np.linspace(-reach, reach, count)
    w = w_of(p, k)
    assume(w.min() > 0.05 * deviation**2)
    found, code = fitted(k, w, 2.0 * np.sqrt(w) * 0.005 * deviation)
    assert code == svi.FREE
    assert np.max(np.abs(np.sqrt(w_of(found, k) / w) - 1.0)) < 5e-3  # where it hardly bends; else below 1e-9
    again, _ = fitted(k, w, 2.0 * np.sqrt(w) * 0.005 * deviation, first=p)
    assert np.max(np.abs(np.sqrt(w_of(again, k) / w) - 1.0)) < 1e-9


def noisy(seed: int, count: int = 24) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Parameters, and quotes around them off by half a spread, one in five by ten."""
    rng = np.random.default_rng(seed)
    p = np.array([0.004, 0.05, -0.3, 0.02, 0.12])
    k = np.linspace(-0.3, 0.3, count)
    half = 2.0 * np.sqrt(w_of(p, k)) * rng.uniform(0.001, 0.004, count)
    off = rng.normal(0.0, 0.5, count) + np.where(rng.uniform(size=count) < 0.2, 10.0, 0.0)
    return p, k, w_of(p, k) + half * off, half


def huber(p: FloatArray, k: FloatArray, w: FloatArray, half: FloatArray) -> float:
    """Σ r² inside 1.5 half spreads, 3 |r| − 2.25 beyond."""
    r = np.abs((w_of(p, k) - w) / half)
    return float(np.sum(np.where(r <= 1.5, r * r, 1.5 * (2.0 * r - 1.5))))


@pytest.mark.parametrize("seed", range(12))
def test_the_fit_is_as_good_as_that_of_scipy(seed: int) -> None:
    """The same weights and Huber's loss, from the true parameters: scipy finds nothing much better."""
    p, k, w, half = noisy(seed)
    found, code = fitted(k, w, half)
    peer = least_squares(
        lambda x: (w_of(x, k) - w) / half, p, loss="huber", f_scale=1.5, method="trf",
        bounds=([-1, 0, -0.999, -1, 1e-4], [1, 2, 0.999, 1, 6]), xtol=1e-14, ftol=1e-14, max_nfev=500,
    )  # fmt: skip
    assert code == svi.FREE
    assert huber(found, k, w, half) <= 1.1 * huber(peer.x, k, w, half)


def test_dirty_variances_do_not_bend_the_smile() -> None:
    """One quote in ten, wherever it lies, at half to a twentieth, or double to twenty times, the variance.

    The fit is a descent, not a search of everything: in one chain of fifty it may end where it should not.
    """
    p = np.array([0.004, 0.05, -0.3, 0.02, 0.12])
    k = np.linspace(-0.3, 0.3, 30)
    clean = w_of(p, k)
    half = 2.0 * np.sqrt(clean) * 0.001  # 0.35 vol points for a month
    off = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        w = clean.copy()
        spoiled = rng.choice(30, 3, replace=False)
        w[spoiled] *= np.exp(rng.choice([-1.0, 1.0], 3) * rng.uniform(0.7, 3.0, 3))
        found, code = fitted(k, w, half)
        off.append(np.inf if code == svi.FAILED else np.max(np.abs(np.sqrt(w_of(found, k) / clean) - 1.0)))
    assert np.quantile(off, 0.98) < 5e-3


def test_a_tight_quote_counts_for_more_than_a_wide_one() -> None:
    """Two sets of quotes a vol point apart at the same strikes, one set ten times as tight."""
    p = np.array([0.004, 0.05, -0.3, 0.02, 0.12])
    k = np.repeat(np.linspace(-0.3, 0.3, 15), 2)
    vol = np.sqrt(w_of(p, k))
    wide = np.arange(30) % 2 == 1
    half = 2.0 * vol * np.where(wide, 0.01, 0.001)
    found, _ = fitted(k, (vol + np.where(wide, 0.01, 0.0)) ** 2, half)
    assert np.max(np.abs(np.sqrt(w_of(found, k)) - vol)) < 0.001


@given(smiles(), st.floats(0.7, 1.3), st.booleans())
def test_a_neighbour_is_kept_clear_of(smile: tuple[FloatArray, float], factor: float, above: bool) -> None:
    """Data that would cross a neighbour's variance: a smile that does not, or none."""
    p, deviation = smile
    k = deviation * np.linspace(-2.5, 2.5, 25)
    w = w_of(p, k)
    assume(w.min() > 0.05 * deviation**2)
    grid = np.linspace(k[0], k[-1], svi.FINE)
    bound = w_of(p, grid) * factor
    lower, upper = (NOTHING_BELOW, bound) if above else (bound, NOTHING_ABOVE)
    found, code = fitted(k, w, 2.0 * np.sqrt(w) * 0.005 * deviation, lower, upper)
    if factor > 1.001 if above else factor < 0.999:
        assert code == svi.FREE
    if code != svi.FAILED:
        assert (w_of(found, grid) >= lower * (1.0 - 1e-12)).all()
        assert (w_of(found, grid) <= upper * (1.0 + 1e-12)).all()
        assert found[1] * (1.0 + abs(found[2])) < 2.0
        assert min(exact(tuple(found.tolist()), x)[1] for x in grid[::12].tolist()) >= 0.0


def test_bounds_that_leave_no_room_leave_no_smile() -> None:
    p = np.array([0.004, 0.05, -0.3, 0.02, 0.12])
    k = np.linspace(-0.3, 0.3, 21)
    w = w_of(p, k)
    grid = w_of(p, np.linspace(-0.3, 0.3, svi.FINE))
    _, code = fitted(k, w, 0.01 * w, lower=1.01 * grid, upper=0.99 * grid)
    assert code == svi.FAILED


@given(
    st.lists(st.floats(1e-8, 10.0), min_size=5, max_size=12),
    st.lists(st.floats(1e-6, 1.0), min_size=12, max_size=12),
    st.floats(0.01, 5.0),
)
def test_whatever_the_variances_the_verdict_is_true(
    values: list[float], halves: list[float], reach: float
) -> None:
    """Any variances at all: FAILED, or a finite smile without butterfly arbitrage."""
    k = np.linspace(-reach, reach, len(values))
    found, code = fitted(k, np.array(values), np.array(halves[: len(values)]))
    if code != svi.FAILED:
        assert np.isfinite(found).all()
        assert found[1] * (1.0 + abs(found[2])) < 2.0
        assert min(exact(tuple(found.tolist()), x)[1] for x in np.linspace(-reach, reach, 41).tolist()) >= 0.0
