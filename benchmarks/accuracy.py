"""How right the pricing kernels are: worst errors against 60-digit arithmetic, as a table.

    python -m benchmarks.accuracy [cases per band]

Cases are drawn at random, a minute to a year, vols of 5 to 300 %, calls and puts on both sides of the money,
besides a grid that holds every corner. What counts is the worst case. An error is relative to the value; for
a Greek that changes its sign, relative to the sum of the sizes of its terms (no arithmetic on doubles keeps
the digits of a difference whose inputs are rounded).

The reference is the textbook, F N(d1) − K N(d2) and its derivatives, in so many digits that what cancels
does not matter. tests/pricing/test_accuracy.py holds the same figures to their bounds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import mpmath as mp
import numpy as np
from rich.console import Console
from rich.table import Table

from pricing.black76 import Greeks, HigherGreeks, greeks, higher_greeks
from pricing.flat import FloatArray
from pricing.inverse import CoinGreeks, coin_greeks
from pricing.spot import REBASE_DEVIATIONS, REBASE_MOVE, spot_base, spot_greeks

Columns = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]
Values = dict[str, FloatArray]

DIGITS = 60
YEAR_S = 365 * 86_400
SECONDS_MIN, VOL_MIN, VOL_MAX = 60, 0.05, 3.0
CASES = 1_500


@dataclass(frozen=True, slots=True)
class Band:
    """Strikes between two distances from the forward, in standard deviations, and what is allowed there."""

    name: str
    nearest: float
    furthest: float
    allowed: float
    allowed_price: float  # divided by vol √years; at least `allowed`


BANDS = (
    Band("within 2.5 deviations", 0.0, 2.5, 5e-14, 2e-15),
    Band("2.5 to 30 deviations", 2.5, 30.0, 1e-12, 1e-14),
)


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst error of one quantity in a band, the worst share of what is allowed, and where that is."""

    quantity: str
    error: float
    share: float
    where: str


def cases(band: Band, count: int, seed: int = 1) -> Columns:
    """Forward, strike, years, vol, sign: corners and at-the-money first, then `count` at random."""
    rng = np.random.default_rng(seed)
    corners = product(
        (SECONDS_MIN, 3_600.0, 86_400.0, YEAR_S),
        (VOL_MIN, 0.6, VOL_MAX),
        (band.nearest, band.furthest),
        (1, -1),
    )
    fixed = np.array(list(corners)).T
    spread = np.array(
        [
            np.exp(rng.uniform(math.log(SECONDS_MIN), math.log(YEAR_S), count)),
            np.exp(rng.uniform(math.log(VOL_MIN), math.log(VOL_MAX), count)),
            rng.uniform(band.nearest, band.furthest, count),
            rng.choice([-1.0, 1.0], count),
        ]
    )
    seconds, vol, deviations, side = np.concatenate((fixed, spread), axis=1)
    years = seconds / YEAR_S
    forward = 60_000.0 + rng.uniform(0.0, 800.0, years.size)  # so that the digits differ from case to case
    strike = forward * np.exp(side * deviations * vol * np.sqrt(years))
    # the calls of all cases, then their puts
    F, K, T, σ = (np.tile(column, 2) for column in (forward, strike, years, vol))
    return F, K, T, σ, np.repeat([1.0, -1.0], years.size)


def normal(x: Any) -> Any:
    """N(x), to the last digit also in the tail."""
    return mp.erfc(-x / mp.sqrt(2)) / 2


def exact(forward: float, strike: float, years: float, vol: float, sign: float) -> dict[str, tuple[Any, Any]]:
    """Every quantity as (value, size that its error is measured by), undiscounted."""
    F, K, T, σ, s = (mp.mpf(number) for number in (forward, strike, years, vol, sign))
    root = mp.sqrt(T)
    w = σ * root
    x = mp.log(F / K)
    d1 = x / w + w / 2
    d2 = d1 - w
    n1 = mp.npdf(d1)
    vega = F * n1 * root
    gamma = n1 / (F * w)
    pa_delta = s * K / F * normal(s * d2)
    h, half = abs(x) / w, w / 2
    terms = h * h + half * half  # of d1 d2 = (x/w)² − (w/2)²
    signed = {
        "vanna": (-n1 * d2 / σ, n1 * (h + half) / σ),
        "volga": (vega * d1 * d2 / σ, vega * terms / σ),
        "charm": (n1 * d2 / (2 * T), n1 * (h + half) / (2 * T)),
        "speed": (-gamma / F * (d1 / w + 1), gamma / F * (h / w + mp.mpf(3) / 2)),
        "zomma": (gamma * (d1 * d2 - 1) / σ, gamma * (terms + 1) / σ),
        "color": (gamma * (1 - d1 * d2) / (2 * T), gamma * (terms + 1) / (2 * T)),
        "pa_gamma": (n1 / w - 2 * pa_delta, n1 / w + 2 * abs(pa_delta)),
    }
    plain = {
        "price": s * (F * normal(s * d1) - K * normal(s * d2)),
        "delta": s * normal(s * d1),
        "gamma": gamma,
        "vega": vega,
        "theta": -F * n1 * σ / (2 * root),
        "pa_delta": pa_delta,
        "coin_vega": n1 * root,
        "coin_theta": -n1 * σ / (2 * root),
    }
    return {name: (value, abs(value)) for name, value in plain.items()} | signed


def worst(found: Values, columns: Columns, band: Band) -> list[Worst]:
    """The worst error of each quantity found, over all cases."""
    result: dict[str, Worst] = {}
    with mp.workdps(DIGITS):
        for i, case in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            _, _, years, vol, _ = case
            reference = exact(*case)
            for name, values in found.items():
                value, size = reference[name]
                error = float(abs(mp.mpf(float(values[i])) - value) / size)
                allowed = band.allowed
                if name == "price":
                    allowed = max(allowed, band.allowed_price / (vol * math.sqrt(years)))
                known = result.setdefault(name, Worst(name, 0.0, -1.0, ""))
                share = math.inf if math.isnan(error) else error / allowed
                result[name] = Worst(
                    name,
                    max(known.error, error),
                    max(known.share, share),
                    repr(case) if share > known.share else known.where,
                )
    return list(result.values())


def first_and_others(columns: Columns) -> Values:
    """What `greeks`, `higher_greeks` and `coin_greeks` say."""
    named: Values = {}
    for fields, values in (
        (Greeks._fields, greeks(*columns)),
        (HigherGreeks._fields, higher_greeks(*columns)),
        (CoinGreeks._fields, coin_greeks(*columns)),
    ):
        named |= dict(zip(fields, values, strict=True))
    return named


def after_moves(columns: Columns, seed: int = 2) -> Values:
    """What `spot_greeks` says at these forwards, each come from as far a base as will serve.

    That is up to 2 % away, or fewer where options are near expiry.
    """
    forward, strike, years, vol, sign = columns
    rng = np.random.default_rng(seed)
    most = 0.999 * np.minimum(REBASE_MOVE, REBASE_DEVIATIONS * vol * np.sqrt(years))
    moves = most * rng.uniform(-1.0, 1.0, forward.size)
    moves[::5] = (most * np.sign(moves))[::5]
    base = spot_base(forward * np.exp(-moves), strike, years, vol, sign)
    moved, after = spot_greeks(base, forward)
    if after is not base:
        raise RuntimeError("the base was left behind: nothing of the spot path was measured")
    return dict(zip(Greeks._fields, moved, strict=True))


PATHS: dict[str, Callable[[Columns], Values]] = {
    "": first_and_others,
    ", spot moved": after_moves,
}


def main(arguments: Sequence[str]) -> int:
    """Print the table; 1 if an error is larger than allowed, 2 if the argument is no number of cases."""
    if len(arguments) > 1 or (arguments and not arguments[0].isdigit()):
        print("usage: python -m benchmarks.accuracy [cases per band]", file=sys.stderr)
        return 2
    count = int(arguments[0]) if arguments else CASES
    table = Table(title=f"worst error against {DIGITS}-digit arithmetic, and its share of what is allowed")
    table.add_column("quantity", no_wrap=True)
    for band in BANDS:
        table.add_column(band.name, justify="right", no_wrap=True)
    rows: dict[str, list[str]] = {}
    passed = True
    for band in BANDS:
        columns = cases(band, count)
        for suffix, path in PATHS.items():
            for one in worst(path(columns), columns, band):
                cell = f"{one.error:.1e}  {one.share:4.0%}"
                rows.setdefault(one.quantity + suffix, []).append(cell)
                passed &= one.share <= 1.0
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
