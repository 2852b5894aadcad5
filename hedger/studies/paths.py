"""Simulated price paths: lognormal, Heston, Merton's jumps; seeded, compiled, the same on every machine.

Lognormal and jumps are exact at every step. Heston's variance goes by Euler steps with full truncation (Lord,
Koekkoek and van Dijk, "A comparison of biased simulation schemes", Quantitative Finance 10, 2010):
v⁺ = max(v, 0) in drift and diffusion, and the log price under the v⁺ of the step's begin; at half-hour steps
its bias does not show in 200,000 paths. Normal numbers are `hedger.studies.normals`: a path depends on the
seed and its number, not on how many are simulated beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hedger.studies.normals import WORD, check_seed, fill_normals, normal_pair, philox, uniform
from hedger.studies.path_models import Gbm, Heston, Merton, Model
from pricing.compiled import compiled, inlined
from pricing.elementary import exp_of_negative
from pricing.universe import FloatArray

JUMPS_A_STEP_MAX = 64
PATHS_MAX = WORD


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """price (steps + 1, paths) in USD from now to the end; variance (steps + 1, paths) per year, what the
    diffusion runs at from each point on (constant where the model has none of its own)."""

    price: FloatArray
    variance: FloatArray


@inlined
def exp_of(x: float) -> float:
    """e to the x of either sign, in vector instructions; infinite above 708.

    >>> exp_of(0.0), abs(exp_of(1.0) - math.e) < 1e-15
    (1.0, True)
    """
    e = exp_of_negative(-abs(x))
    return 1.0 / e if x > 0.0 else e


@compiled("(f8[:, ::1], f8, f8, f8)")
def _lognormal(price: FloatArray, spot: float, drift: float, sd: float) -> None:
    """Prices out of the normal numbers in price[1:]; drift and sd of the log price a step."""
    steps, paths = price.shape[0] - 1, price.shape[1]
    x = np.zeros(paths)
    price[0, :] = spot
    for t in range(1, steps + 1):
        row = price[t]
        for p in range(paths):
            x[p] += drift + sd * row[p]
            row[p] = spot * exp_of(x[p])


@compiled("(i8, i8, f8[:, ::1], f8[:, ::1], f8, f8, f8, f8, f8, f8, f8)")
def _heston(
    seed: int, first_path: int, price: FloatArray, variance: FloatArray, spot: float, dt: float, drift: float,
    mean: float, reversion: float, vol_of_vol: float, correlation: float,
) -> None:  # fmt: skip
    steps, paths = price.shape[0] - 1, price.shape[1]
    k0, k1 = seed & WORD, (seed >> 32) & WORD
    other = math.sqrt(1.0 - correlation * correlation)
    x, v = np.zeros(paths), np.full(paths, mean)
    z, y = np.empty(paths), np.empty(paths)
    price[0, :] = spot
    variance[0, :] = mean
    for t in range(1, steps + 1):
        prices, variances = price[t], variance[t]
        for p in range(paths):  # short loops without branches: each becomes vector instructions
            w0, w1, _, _ = philox(t, first_path + p, 1, 0, k0, k1)
            z[p], y[p] = normal_pair(w0, w1)
        for p in range(paths):
            now = v[p] if v[p] > 0.0 else 0.0
            sd = math.sqrt(now * dt)
            x[p] += drift * dt - 0.5 * now * dt + sd * z[p]
            v[p] += reversion * (mean - now) * dt + vol_of_vol * sd * (correlation * z[p] + other * y[p])
        for p in range(paths):
            variances[p] = v[p] if v[p] > 0.0 else 0.0
            prices[p] = spot * exp_of(x[p])


@compiled("(i8, i8, f8[:, ::1], f8, f8, f8, f8, f8, f8)")
def _merton(
    seed: int, first_path: int, price: FloatArray, spot: float, drift: float, sd: float, expected: float,
    jump_mean: float, jump_sd: float,
) -> None:  # fmt: skip
    """drift and sd of the diffusion and the expected number of jumps, all a step."""
    steps, paths = price.shape[0] - 1, price.shape[1]
    k0, k1 = seed & WORD, (seed >> 32) & WORD
    none = math.exp(-expected)
    x, y, draw = np.zeros(paths), np.empty(paths), np.empty(paths)
    price[0, :] = spot
    for t in range(1, steps + 1):
        row = price[t]
        for p in range(paths):  # loops without branches become vector instructions; jumps are rare
            w0, w1, w2, _ = philox(t, first_path + p, 2, 0, k0, k1)
            z, y[p] = normal_pair(w0, w1)
            x[p] += drift + sd * z
            draw[p] = uniform(w2)
        for p in range(paths):
            if draw[p] > none:
                count, weight, below = 0, none, none
                while draw[p] > below and count < JUMPS_A_STEP_MAX:
                    count += 1
                    weight *= expected / count
                    below += weight
                x[p] += count * jump_mean + math.sqrt(count) * jump_sd * y[p]
        for p in range(paths):
            row[p] = spot * exp_of(x[p])


def simulate(
    model: Model, spot: float, years: float, steps: int, paths: int, seed: int, first_path: int = 0,
    into: Paths | None = None,
) -> Paths:  # fmt: skip
    """Paths number first_path to first_path + paths − 1 of a model, `steps` equal steps to `years`.

    into: paths of an earlier call for the same model and shape, to be written over instead of making new
    ones.

    Errors: ValueError for numbers no path can have: spot, vol or years not positive and finite, no step, more
    than 15 jumps expected a step, jumps with more variance than the vol has, a correlation beyond ±1.

    >>> from hedger.studies.path_models import usual
    >>> all_of_them = simulate(usual("heston", 0.6), 100.0, 30 / 365, 48, 20, seed=7)
    >>> some = simulate(usual("heston", 0.6), 100.0, 30 / 365, 48, 5, seed=7, first_path=10)
    >>> bool((some.price == all_of_them.price[:, 10:15]).all())
    True
    """
    check_seed(seed)
    if min(steps, paths) < 1 or first_path < 0 or first_path + paths > PATHS_MAX or steps > WORD:
        raise ValueError(
            f"PATHS: steps {steps}, paths {paths}, first path {first_path}: allowed are counts from 1"
        )
    for name, number in (("spot", spot), ("years", years), ("vol", model.vol)):
        if not 0 < number < math.inf:
            raise ValueError(f"PATHS: {name} {number}: allowed is a finite number above 0")
    dt = years / steps
    price = np.empty((steps + 1, paths)) if into is None else into.price
    if price.shape != (steps + 1, paths):
        raise ValueError(f"PATHS: into has shape {price.shape}, wanted are {(steps + 1, paths)}")
    if isinstance(model, Heston):
        if abs(model.correlation) > 1 or min(model.reversion, model.vol_of_vol) < 0:
            raise ValueError(f"PATHS: {model}: allowed are a correlation within ±1 and rates from 0")
        variance = np.empty_like(price) if into is None else into.variance
        _heston(
            seed, first_path, price, variance, spot, dt, model.drift, model.vol**2, model.reversion,
            model.vol_of_vol, model.correlation,
        )  # fmt: skip
        return Paths(price, variance)
    if isinstance(model, Gbm):
        fill_normals(seed, 0, first_path, price[1:])
        _lognormal(price, spot, (model.drift - 0.5 * model.vol**2) * dt, model.vol * math.sqrt(dt))
        return Paths(price, np.broadcast_to(model.vol**2, price.shape))
    _check_jumps(model, dt)
    diffusive = model.diffusive_variance
    drift = model.drift - 0.5 * diffusive - model.jumps_per_year * model.mean_jump
    _merton(
        seed, first_path, price, spot, drift * dt, math.sqrt(diffusive * dt), model.jumps_per_year * dt,
        model.jump_mean, model.jump_sd,
    )  # fmt: skip
    return Paths(price, np.broadcast_to(diffusive, price.shape))


def _check_jumps(model: Merton, dt: float) -> None:
    if not 0 <= model.jumps_per_year * dt <= 15 or model.jump_sd < 0 or model.diffusive_variance <= 0:
        raise ValueError(
            f"PATHS: {model}: allowed are up to 15 jumps a step and less variance in them than vol²"
        )
