"""Options in the mix: what the book buys and sells at a snapshot, weighed against the variance it removes.

    min over trades   sum of amortised costs + 1/2 A Var(P&L of a day)

Costs are the displayed touch with fees, spread over the days a hedge is held: options longer than the
perpetual, which moves back and forth. The variance is that of `risk.factors`: return, its square (gamma),
vol level and slope with their trailing covariance, and full reprices of jumps. Options in their last days
count by their delta and their jump's delta alone: their gamma is gone before a hedge has paid for itself.
At most a share of what is shown is taken at once, which spreads the hedge over strikes.

The risk aversion A is not a setting but follows from what may be spent: the controller of
`hedger.studies.chain_policies`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hedger.solver.hedge_problem import HedgeProblem, Ladder, RiskTerm
from hedger.studies.chain_market import DAYS_PER_YEAR, Contracts, View
from pricing import black76
from pricing.universe import FloatArray, IntArray
from risk.factor_history import FactorCovariance, level_weight, slope_tilt
from risk.factors import JumpSettings, factor_scale

#: Trades per column, in its unit, of a problem with its risk term.
Solver = Callable[[HedgeProblem, RiskTerm], FloatArray]


#: What the risk of a jump is reckoned with: 8 % either way, each once in a hundred days.
JUMP = JumpSettings(size=0.08, per_day_probability=0.01)


@dataclass(frozen=True, slots=True)
class MixSettings:
    """One choice for all books.

    option_days, perp_days: over which a trade's cost is spread. days_min: options with less to live are not
    traded, and count by their delta alone. delta_min: |delta| of what is traded, and 1 - |delta|. size_share:
    of the displayed size at one snapshot. jump: repriced, with its probability. base: risk aversion on
    budget, times the variance of the book, per USD of budget. budgets: shares of c0.
    """

    option_days: float = 7.0
    perp_days: float = 7.0
    days_min: float = 4.0
    delta_min: float = 0.03
    size_share: float = 0.5
    jump: JumpSettings = JUMP
    base: float = 2.0
    budgets: tuple[float, ...] = (0.5, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Gains of a coin held, USD per unit move of return, square, vol, slope, a jump up and a jump down.

    option (f, k) of every option of a view; perp (f,) of the perpetual, and of coins of cash.
    """

    option: FloatArray
    perp: FloatArray


def factors_of(view: View, settings: MixSettings) -> Factors:
    """The factor gains of one view."""
    s, days = view.spot, view.days
    live = days >= settings.days_min
    rows = [
        view.delta * s,
        np.where(live, view.gamma * s * s, 0.0),
        view.vega * level_weight(days),
        view.vega * slope_tilt(days),
    ]
    ratio = s / view.forward
    for size in (settings.jump.size, -settings.jump.size):
        after = black76.greeks(
            view.forward * (1.0 + size), view.strike, view.years, view.vol, view.sign
        ).price
        before = black76.greeks(view.forward, view.strike, view.years, view.vol, view.sign).price
        rows.append(np.where(live, (after - before) * ratio, view.delta * s * size))
    jump = settings.jump.size * s
    return Factors(np.array(rows), np.array([s, 0.0, 0.0, 0.0, jump, -jump]))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What a snapshot offers as hedges, shared by all books: options (places in the view), then the
    perpetual.

    gain (f, j + 1) per coin bought, premium paid; ladders with amortised costs; lot, least (j + 1,) coins.
    """

    rows: IntArray
    names: tuple[str, ...]
    gain: FloatArray
    ladders: tuple[Ladder, ...]
    lot: FloatArray
    least: FloatArray
    cap_buy: FloatArray
    cap_sell: FloatArray


def columns_of(view: View, contracts: Contracts, factors: Factors, settings: MixSettings) -> Columns:
    """The hedges of a snapshot."""
    s = view.spot
    size = np.abs(view.delta)
    rows = np.flatnonzero(
        view.tradable
        & (view.days >= settings.days_min)
        & (size >= settings.delta_min)
        & (size <= 1.0 - settings.delta_min)
    )
    # the premium takes coins away, and these gain like the perpetual's
    gain = factors.option[:, rows] - np.outer(factors.perp, view.price[rows])
    buy = (view.ask - view.price + view.buy_fee)[rows] * s / settings.option_days
    sell = (view.price - view.bid + view.sell_fee)[rows] * s / settings.option_days
    lot = contracts.lot[view.at[rows]]
    bought, sold = (
        np.floor(settings.size_share * shown[rows] / lot + 1e-9) * lot
        for shown in (view.buy_size, view.sell_size)
    )
    perp = np.array([view.perp_rate * s / settings.perp_days])
    much = np.array([1e9])
    options = [
        Ladder(a[None], b[None], c[None], d[None])
        for a, b, c, d in zip(bought, np.maximum(buy, 0.0), sold, np.maximum(sell, 0.0), strict=True)
    ]
    at = view.at[rows]
    last = np.array([contracts.perp_lot / view.perp])
    return Columns(
        rows=rows,
        names=(*(contracts.symbols[i] for i in at), "perpetual"),
        gain=np.concatenate([gain, factors.perp[:, None]], axis=1),
        ladders=(*options, Ladder(much, perp, much, perp)),
        lot=np.concatenate([lot, last]),
        least=np.concatenate([contracts.least[at], last]),
        cap_buy=np.concatenate([bought, much]),
        cap_sell=np.concatenate([sold, much]),
    )


def scale_of(covariance: FactorCovariance, settings: MixSettings) -> FloatArray:
    """(f, f): factor gains to a root of the daily variance, USD."""
    return factor_scale(covariance, 2, settings.jump, 1.0, 1.0 / DAYS_PER_YEAR)


def problem_of(columns: Columns) -> HedgeProblem:
    """The problem without rows: what remains is risk, priced by its term."""
    n = len(columns.names)
    return HedgeProblem(
        rows=(), exposure=np.empty(0), lower=np.empty(0), upper=np.empty(0), columns=columns.names,
        per_unit=np.empty((0, n)), ladders=columns.ladders, lot=columns.lot, min_size=columns.least,
        max_buy=columns.cap_buy, max_sell=columns.cap_sell,
    )  # fmt: skip


def mix_trades(
    problem: HedgeProblem,
    columns: Columns,
    scale: FloatArray,
    gains: FloatArray,
    risk_aversion: float,
    solve: Solver,
) -> tuple[FloatArray, float]:
    """Option trades, coins in whole lots by column, and the delta to move by the perpetual, coins.

    gains (f,): of the book with its hedges, USD per unit move. The perpetual's part is found anew after the
    options were rounded: to the edge of what its own cost leaves alone.
    """
    root = np.sqrt(risk_aversion) * scale
    per_unit = root @ columns.gain
    names = ("return", "square", "vol", "slope", "jump up", "jump down")
    found = solve(problem, RiskTerm(names, root @ gains, per_unit))
    options = np.rint(found[:-1] / columns.lot[:-1]) * columns.lot[:-1]
    options[np.abs(options) < columns.least[:-1] * (1 - 1e-9)] = 0.0
    options = np.clip(options, -columns.cap_sell[:-1], columns.cap_buy[:-1])
    value = root @ gains + per_unit[:, :-1] @ options
    return options, _to_edge(value, per_unit[:, -1], float(columns.ladders[-1].buy_cost[0]))


def perp_alone(
    view: View,
    scale: FloatArray,
    factors: Factors,
    gains: FloatArray,
    risk_aversion: float,
    settings: MixSettings,
) -> float:
    """Delta to move between snapshots, when options show no quotes: coins, to the edge as above."""
    root = np.sqrt(risk_aversion) * scale
    unit = root @ factors.perp
    return _to_edge(root @ gains, unit, view.perp_rate * view.spot / settings.perp_days)


def _to_edge(value: FloatArray, unit: FloatArray, cost: float) -> float:
    """Minimum of cost |x| + 1/2 |value + unit x|^2."""
    slope, curve = float(value @ unit), float(unit @ unit)
    return float(-np.sign(slope) * max(abs(slope) - cost, 0.0) / curve) if curve > 0 else 0.0
