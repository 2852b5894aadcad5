"""One smile: Gatheral's SVI, its fit to quotes, its tests for arbitrage, and its repair. Compiled loops.

Total variance w = σ²T of one expiry over log-moneyness k = ln(K/F), "raw" parameters (a, b, ρ, m, s):

    w(k) = a + b (ρ (k − m) + R),  R = √((k − m)² + s²),  b >= 0, |ρ| < 1, s > 0, a + b s √(1 − ρ²) >= 0

Free of butterfly arbitrage where Durrleman's g(k) = (1 − k w′/2w)² − w′²/4 (1/w + 1/4) + w″/2 >= 0 and the
wings rise slower than |k| allows, b (1 + |ρ|) < 2 (Lee); free of calendar arbitrage
where w is nowhere below that expiry's.

The fit is least squares in w, each quote weighted by 1/(half its spread in w), by Levenberg and Marquardt's
method in (a, ln b, artanh ρ, m, ln s) with exact derivatives, from the best of a few (m, s) for which the
other three are linear (Zeliade). Quotes that lie off get less weight from round to round, already there, as
1/distance (Huber) and beyond FAR as its cube, so that a dirty one does not bend the smile, not even at the
end of a chain. A fit with arbitrage is done again with the violations as residuals of
growing weight; where that does not help either there is no fit.

Sources: Gatheral (2004), "A parsimonious arbitrage-free implied volatility parameterization"; Gatheral and
Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14; Zeliade Systems (2009),
"Quasi-explicit calibration of Gatheral's SVI model"; Lee (2004), "The moment formula for implied volatility".
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pricing.compiled import compiled, inlined

FloatArray = NDArray[np.float64]

PARAMETERS = 5  # a, b, ρ, m, s
GRID = 61  # moneyness points of the arbitrage residuals
FINE = 4 * (GRID - 1) + 1  # and of the tests, every fourth of them one of those
NEAR = 121  # further points of the butterfly test, dense about the smile's own bend
RESIDUALS = 3 * GRID + 2
G_MARGIN = 2e-3  # what g reaches in the penalised fit, and
G_ROOM = 5e-4  # must reach on the grid, so that it is above 0 between the grid's points
LEE_MAX = 1.95  # b (1 + |ρ|) at most; the bound is 2
RHO_MAX = 0.999
HUBER = 1.5  # residuals beyond it, in half spreads, count linearly,
FAR = 12.0  # and beyond this hardly at all
STARTS = 3  # rounds of reweighting for a first guess, where a quote lies FAR off
ROUNDS = 4  # of reweighting
STEPS = 12  # of Levenberg-Marquardt in each round
TOLERANCE = 1e-7  # relative fall of the objective below which a round ends
PENALTIES = (1e1, 1e2, 1e3)  # weights of the arbitrage residuals, one refit each
LEE_BOUND = 2.0
CALENDAR_MARGIN = 1e-4  # part of w left between neighbours in the penalised fit
W_MARGIN = 1e-3  # least w in the penalised fit, as a part of the level
B_MIN, S_MIN = 1e-10, 1e-3  # smallest b, and s as a part of the tested range

#: What `fit` returns.
FREE, REFITTED, FAILED = 0, 1, 2


@inlined
def total_variance(p: FloatArray, k: float) -> float:
    """Return w(k) of parameters p (5,): a, b, ρ, m, s. k is ln(K/F), w = σ²T."""
    u = k - p[3]
    return float(p[0] + p[1] * (p[2] * u + math.sqrt(u * u + p[4] * p[4])))


@inlined
def durrleman(p: FloatArray, k: float) -> float:
    """Return Durrleman's g(k) of parameters p (5,); −1 where w is not positive."""
    u = k - p[3]
    square = u * u + p[4] * p[4]
    root = math.sqrt(square)
    w = p[0] + p[1] * (p[2] * u + root)
    first = p[1] * (p[2] + u / root)
    second = p[1] * p[4] * p[4] / (square * root)
    if not w > 0.0:
        return -1.0
    skew = 1.0 - 0.5 * k * first / w
    return float(skew * skew - 0.25 * first * first * (1.0 / w + 0.25) + 0.5 * second)


@inlined
def place(k_low: float, k_high: float, i: int) -> float:
    """Return the i-th of FINE moneyness points from k_low to k_high."""
    return k_low + (k_high - k_low) * i / (FINE - 1)


@compiled("(f8[::1], f8, f8)")
def butterfly_margin(p: FloatArray, k_low: float, k_high: float) -> float:
    """Return the least g on the grid, and on points as dense about the bend at m as s asks for.

    The bend of a smile of hours is narrower than the grid, which reaches as far as its neighbours' quotes.
    """
    least = math.inf
    for i in range(FINE):
        least = min(least, durrleman(p, place(k_low, k_high, i)))
    low, high = math.asinh((k_low - p[3]) / p[4]), math.asinh((k_high - p[3]) / p[4])
    for i in range(NEAR):
        k = p[3] + p[4] * math.sinh(low + (high - low) * i / (NEAR - 1))
        least = min(least, durrleman(p, k))
    return least


@compiled("(f8[::1], f8, f8, f8[::1], f8[::1])")
def calendar_margin(
    p: FloatArray, k_low: float, k_high: float, lower: FloatArray, upper: FloatArray
) -> float:
    """Return the least room above `lower` and below `upper` (FINE,) on the grid, as a part of w."""
    least = math.inf
    for i in range(FINE):
        w = total_variance(p, place(k_low, k_high, i))
        least = min(least, 1.0 - lower[i] / w, 1.0 - w / upper[i])
    return least


@inlined
def gap(lower: FloatArray, upper: FloatArray, k: float) -> float:
    """Return the room from one smile (5,) up to the next (5,), as a part of the latter's w."""
    return 1.0 - total_variance(lower, k) / total_variance(upper, k)


@compiled("(f8[::1], f8[::1], f8, f8)")
def room(lower: FloatArray, upper: FloatArray, k_low: float, k_high: float) -> float:
    """Return the least room from one smile up to the next, between the points of any grid too.

    Looked for on the grid and on points as dense about the bend of either as its s asks for; each place that
    is lower than its neighbours is searched by thirds.
    """
    least = min(gap(lower, upper, k_low), gap(lower, upper, k_high))
    for family in range(3):
        p = lower if family == 1 else upper
        n = FINE if family == 0 else NEAR
        low, high = math.asinh((k_low - p[3]) / p[4]), math.asinh((k_high - p[3]) / p[4])
        k_1, k_2 = k_low, k_low  # the two points before
        gap_1, gap_2 = math.inf, math.inf
        for i in range(n):
            k = (
                place(k_low, k_high, i)
                if family == 0
                else p[3] + p[4] * math.sinh(low + (high - low) * i / (n - 1))
            )
            here = gap(lower, upper, k)
            if gap_1 <= gap_2 and gap_1 <= here:
                left, right = k_2, k
                for _ in range(40):
                    third = (right - left) / 3.0
                    if gap(lower, upper, left + third) < gap(lower, upper, right - third):
                        right -= third
                    else:
                        left += third
                least = min(least, gap(lower, upper, 0.5 * (left + right)))
            least = min(least, here)
            k_2, gap_2, k_1, gap_1 = k_1, gap_1, k, here
    return least


@compiled("(f8[:,::1], f8[::1], i8)")
def solve_normal(A: FloatArray, b: FloatArray, n: int) -> bool:
    """Solve A x = b for a symmetric positive definite A (n, n), x into b, by Cholesky; False if it is not."""
    for j in range(n):
        for i in range(j, n):
            total = A[i, j]
            for c in range(j):
                total -= A[i, c] * A[j, c]
            if i == j:
                if not total > 0.0:
                    return False
                A[j, j] = math.sqrt(total)
            else:
                A[i, j] = total / A[j, j]
    for i in range(n):
        total = b[i]
        for c in range(i):
            total -= A[i, c] * b[c]
        b[i] = total / A[i, i]
    for i in range(n - 1, -1, -1):
        total = b[i]
        for c in range(i + 1, n):
            total -= A[c, i] * b[c]
        b[i] = total / A[i, i]
    return True


@inlined
def trust(r: float) -> float:
    """Return the weight of a residual of r half spreads: 1 up to HUBER, then falling, beyond FAR so fast that
    the pull itself falls: else a dirty quote at the end of a chain would bend the smile to itself."""
    if r <= HUBER:
        return 1.0
    return HUBER / r if r <= FAR else HUBER * FAR * FAR / (r * r * r)


@inlined
def loss(r: float) -> float:
    """Return what a residual of r >= 0 half spreads costs: the integral of 2 r trust(r)."""
    if r <= HUBER:
        return r * r
    if r <= FAR:
        return HUBER * (2.0 * r - HUBER)
    return HUBER * (2.0 * FAR - HUBER) + 2.0 * HUBER * FAR * FAR * (1.0 / FAR - 1.0 / r)


@compiled("(f8[::1], f8[::1], f8[::1], f8[::1], f8[::1])")
def reweight(k: FloatArray, w: FloatArray, weight: FloatArray, p: FloatArray, robust: FloatArray) -> None:
    """Write the weights that the residuals deserve into robust; all (n,) but p, (5,)."""
    for i in range(k.size):
        robust[i] = trust(abs(weight[i] * (total_variance(p, k[i]) - w[i])))


@compiled("(f8[::1], f8[::1], f8[::1], f8[::1])")
def start(k: FloatArray, w: FloatArray, weight: FloatArray, p: FloatArray) -> None:
    """Write first parameters into p (5,): for a few (m, s) the best (a, bρ, b) is a linear problem; the best.

    k, w, weight (n,), k in rising order.
    m: up to 0.9 of the quoted range from the forward, for smiles that hardly bend where they are quoted.
    """
    n = k.size
    least = math.inf
    middle, width = 0.0, max(k[n - 1] - k[0], 1e-4)
    A, rhs, trial, robust = np.empty((3, 3)), np.empty(3), np.empty(PARAMETERS), np.empty(n)
    for shift in range(-4, 5):
        m = middle + width * 0.075 * shift * (1.0 + 0.5 * abs(shift))
        for size in range(4):
            s = width * 0.05 * 3.0**size
            robust[:] = 1.0
            for _ in range(STARTS):
                A[:], rhs[:] = 0.0, 0.0
                for i in range(n):
                    q = robust[i] * weight[i] * weight[i]
                    u = k[i] - m
                    v = math.sqrt(u * u + s * s)
                    A[0, 0] += q
                    A[1, 0] += q * u
                    A[2, 0] += q * v
                    A[1, 1] += q * u * u
                    A[2, 1] += q * u * v
                    A[2, 2] += q * v * v
                    rhs[0] += q * w[i]
                    rhs[1] += q * u * w[i]
                    rhs[2] += q * v * w[i]
                for i in range(3):
                    A[i, i] *= 1.0 + 1e-9
                if not solve_normal(A, rhs, 3):
                    break
                b = max(rhs[2], 1e-8)
                rho = min(max(rhs[1] / b, -0.9), 0.9)
                a = rhs[0]
                if rhs[2] <= 0.0 or abs(rhs[1]) > 0.9 * b:  # then the level for the b and ρ kept
                    total, mass = 0.0, 0.0
                    for i in range(n):
                        q = robust[i] * weight[i] * weight[i]
                        u = k[i] - m
                        total += q * (w[i] - b * (rho * u + math.sqrt(u * u + s * s)))
                        mass += q
                    a = total / mass
                trial[0], trial[1], trial[2], trial[3], trial[4] = a, b, rho, m, s
                cost, farthest = 0.0, 0.0
                for i in range(n):
                    residual = abs(weight[i] * (total_variance(trial, k[i]) - w[i]))
                    robust[i] = trust(residual)
                    cost += loss(residual)
                    farthest = max(farthest, residual)
                if cost < least:
                    least = cost
                    p[:] = trial
                if farthest <= FAR:  # nothing dirty
                    break


@compiled("(f8[::1], f8[::1], f8[::1], f8[::1], f8[::1])")
def objective(k: FloatArray, w: FloatArray, weight: FloatArray, robust: FloatArray, p: FloatArray) -> float:
    """Return the weighted sum of squares, in squared half spreads; all (n,) but p, (5,)."""
    total = 0.0
    for i in range(k.size):
        r = weight[i] * (total_variance(p, k[i]) - w[i])
        total += robust[i] * r * r
    return total


@compiled("(f8[::1], f8, f8, f8[::1], f8[::1], f8, f8, f8[::1])")
def penalties(
    p: FloatArray,
    k_low: float,
    k_high: float,
    lower: FloatArray,
    upper: FloatArray,
    level: float,
    weight: float,
    out: FloatArray,
) -> float:
    """Write the arbitrage residuals (RESIDUALS,) and return their sum of squares.

    Shortfalls of g, of w against `lower` and `upper`, of Lee's bound and of w > 0; the variances in units of
    `level`, all times `weight`.
    """
    for i in range(GRID):
        k = place(k_low, k_high, 4 * i)
        w = total_variance(p, k)
        out[i] = weight * max(G_MARGIN - durrleman(p, k), 0.0)
        out[GRID + i] = weight * max(lower[4 * i] / (1.0 - CALENDAR_MARGIN) - w, 0.0) / level
        out[2 * GRID + i] = weight * max(w - upper[4 * i] * (1.0 - CALENDAR_MARGIN), 0.0) / level
    out[3 * GRID] = weight * max(p[1] * (1.0 + abs(p[2])) - LEE_MAX, 0.0)
    lowest = p[0] + p[1] * p[4] * math.sqrt(1.0 - p[2] * p[2])
    out[3 * GRID + 1] = weight * max(W_MARGIN * level - lowest, 0.0) / level
    total = 0.0
    for i in range(RESIDUALS):
        total += out[i] * out[i]
    return total


@compiled("(f8[::1], f8[::1], f8, f8, f8[::1])")
def move(p: FloatArray, step: FloatArray, k_low: float, k_high: float, out: FloatArray) -> None:
    """Write the parameters a step in (a, ln b, artanh ρ, m, ln s) away, kept to where a smile makes sense."""
    reach = k_high - k_low
    out[0] = p[0] + step[0]
    out[1] = max(p[1] * math.exp(min(max(step[1], -1.0), 1.0)), B_MIN)
    out[2] = min(max(math.tanh(math.atanh(p[2]) + min(max(step[2], -1.0), 1.0)), -RHO_MAX), RHO_MAX)
    out[3] = min(max(p[3] + min(max(step[3], -reach), reach), k_low - reach), k_high + reach)
    out[4] = min(max(p[4] * math.exp(min(max(step[4], -1.0), 1.0)), S_MIN * reach), 10.0 * reach)


@compiled("(f8[::1], f8[::1], f8[::1], f8[::1], f8[::1], f8, f8, f8[::1], f8[::1], f8, f8)")
def descend(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    robust: FloatArray,
    p: FloatArray,
    k_low: float,
    k_high: float,
    lower: FloatArray,
    upper: FloatArray,
    level: float,
    penalty: float,
) -> float:
    """Lower the objective by Levenberg-Marquardt steps from p (5,), in place; return its value.

    k, w, weight, robust (n,); lower, upper (FINE,), used where penalty > 0; level: a typical w.
    """
    n = k.size
    A, damped = np.empty((PARAMETERS, PARAMETERS)), np.empty((PARAMETERS, PARAMETERS))
    gradient, step, trial, row = (
        np.empty(PARAMETERS),
        np.empty(PARAMETERS),
        np.empty(PARAMETERS),
        np.empty(PARAMETERS),
    )
    count = RESIDUALS if penalty > 0.0 else 0
    short, shorter, jacobian = np.empty(count), np.empty(count), np.empty((PARAMETERS, count))
    cost = objective(k, w, weight, robust, p)
    if penalty > 0.0:
        cost += penalties(p, k_low, k_high, lower, upper, level, penalty, short)
    damping = 1e-3
    for _ in range(STEPS):
        A[:], gradient[:] = 0.0, 0.0
        for i in range(n):
            u = k[i] - p[3]
            root = math.sqrt(u * u + p[4] * p[4])
            q = weight[i] * math.sqrt(robust[i])
            r = q * (p[0] + p[1] * (p[2] * u + root) - w[i])
            row[0] = q
            row[1] = q * p[1] * (p[2] * u + root)
            row[2] = q * p[1] * u * (1.0 - p[2] * p[2])
            row[3] = -q * p[1] * (p[2] + u / root)
            row[4] = q * p[1] * p[4] * p[4] / root
            for c in range(PARAMETERS):
                gradient[c] += row[c] * r
                for d in range(c + 1):
                    A[c, d] += row[c] * row[d]
        if penalty > 0.0:
            for c in range(PARAMETERS):
                step[:] = 0.0
                step[c] = 1e-6 * level if c == 0 else (1e-6 * (k_high - k_low) if c == 3 else 1e-6)
                move(p, step, k_low, k_high, trial)
                penalties(trial, k_low, k_high, lower, upper, level, penalty, shorter)
                for j in range(count):
                    jacobian[c, j] = (shorter[j] - short[j]) / step[c]
                    gradient[c] += jacobian[c, j] * short[j]
                for d in range(c + 1):
                    for j in range(count):
                        A[c, d] += jacobian[c, j] * jacobian[d, j]
        fell, after = False, cost
        for _ in range(8):
            damped[:] = A
            for c in range(PARAMETERS):
                damped[c, c] = A[c, c] * (1.0 + damping) + 1e-300
                step[c] = -gradient[c]
            if solve_normal(damped, step, PARAMETERS):
                move(p, step, k_low, k_high, trial)
                after = objective(k, w, weight, robust, trial)
                if penalty > 0.0:
                    after += penalties(trial, k_low, k_high, lower, upper, level, penalty, shorter)
                if after < cost:
                    fell = True
                    break
            damping *= 8.0
        if not fell:
            break
        small = cost - after <= TOLERANCE * cost
        p[:] = trial
        short[:] = shorter
        cost = after
        damping = max(damping * 0.1, 1e-12)
        if small:
            break
    return cost


@compiled("(f8[::1], f8, f8, f8[::1], f8[::1])")
def is_free(p: FloatArray, k_low: float, k_high: float, lower: FloatArray, upper: FloatArray) -> bool:
    """Whether a smile (5,) has no butterfly arbitrage and lies between `lower` and `upper` (FINE,)."""
    lowest = p[0] + p[1] * p[4] * math.sqrt(1.0 - p[2] * p[2])
    return bool(
        lowest > 0.0
        and p[1] * (1.0 + abs(p[2])) < LEE_BOUND
        and butterfly_margin(p, k_low, k_high) >= G_ROOM
        and calendar_margin(p, k_low, k_high, lower, upper) >= 0.0
    )


@compiled("(f8[::1], f8[::1], f8[::1], f8[::1], f8, f8, f8[::1])")
def fit_alone(
    k: FloatArray,
    w: FloatArray,
    half: FloatArray,
    first: FloatArray,
    k_low: float,
    k_high: float,
    p: FloatArray,
) -> None:
    """Fit one smile into p (5,), whatever arbitrage it has; arguments as `fit`."""
    n = k.size
    weight, robust, none = 1.0 / half, np.ones(n), np.empty(0)
    level = np.sort(w)[n // 2]
    if first.size > 0:
        p[:] = first
    else:
        start(k, w, weight, p)
    before = math.inf
    for _ in range(ROUNDS):
        reweight(k, w, weight, p, robust)
        cost = descend(k, w, weight, robust, p, k_low, k_high, none, none, level, 0.0)
        if abs(before - cost) <= 1e-4 * cost:
            break
        before = cost


@compiled("(f8[::1], f8[::1], f8[::1], f8[::1], f8, f8, f8[::1], f8[::1], f8[::1])")
def fit(
    k: FloatArray,
    w: FloatArray,
    half: FloatArray,
    first: FloatArray,
    k_low: float,
    k_high: float,
    lower: FloatArray,
    upper: FloatArray,
    p: FloatArray,
) -> int:
    """Fit one smile, into p (5,): FREE as it came, REFITTED under penalties, or FAILED to be free.

    k, w, half (n,): log-moneyness in rising order, total variance, half its spread, n >= 5. first (5,) or
    empty: parameters to start from. k_low, k_high: ends of the grid on which arbitrage is tested. lower,
    upper (FINE,): total variance there between which w must lie, 0 and inf where nothing is known.
    """
    n = k.size
    weight, robust = 1.0 / half, np.ones(n)
    level = np.sort(w)[n // 2]
    fit_alone(k, w, half, first, k_low, k_high, p)
    reweight(k, w, weight, p, robust)
    if is_free(p, k_low, k_high, lower, upper):
        return FREE
    # under penalties, from where the data led and from a calmer smile: the first may be a trap
    best, trial, reached = math.inf, np.empty(PARAMETERS), p.copy()
    for calm in (1.0, 0.5):
        trial[:] = reached
        if calm < 1.0:
            trial[1] *= calm
            trial[4] = max(trial[4], 0.1 * (k_high - k_low))
            trial[0] += level - total_variance(trial, 0.0)
        for penalty in PENALTIES:
            descend(k, w, weight, robust, trial, k_low, k_high, lower, upper, level, penalty * math.sqrt(n))
            if is_free(trial, k_low, k_high, lower, upper):
                cost = objective(k, w, weight, robust, trial)
                if cost < best:
                    best = cost
                    p[:] = trial
                break
    return REFITTED if best < math.inf else FAILED
