"""The optimizer's words: ladders, the hedge problem, the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from pricing.universe import BoolArray, FloatArray, IntArray

#: By a row's name before ":", small first: what is given up last stands first. Of vega the total; its tenor
#: buckets (`vega:BTC:7-30d`) come after it, and then whatever is not named here.
PRIORITIES: Mapping[str, int] = {
    "margin": -2, "pnl": -1, "delta": 0, "gamma": 1, "vega": 2, "vega_weighted": 2, "bucket": 3,
}  # fmt: skip
PRIORITY_OF_THE_REST = 4


def row_priority(row: str) -> int:
    """Which rows are met first when not all can be.

    >>> [row_priority(row) for row in ("delta:BTC", "vega:BTC", "vega:BTC:7-30d", "theta:BTC")]
    [0, 2, 3, 4]
    """
    name, *rest = row.split(":")
    key = "bucket" if name == "vega" and len(rest) > 1 else name
    return PRIORITIES.get(key, PRIORITY_OF_THE_REST)


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """What trading one listing costs: levels per side, cheapest first; empty arrays = that side is not
    available.

    sizes in the column's unit, finite, >= 0; costs in USD per unit over the reference price, fees included,
    finite, non-decreasing. Raises ValueError otherwise.

    >>> Ladder([1.0, 2.0], [0.5, 0.7], [], []).buy_size
    array([1., 2.])
    """

    buy_size: FloatArray
    buy_cost: FloatArray
    sell_size: FloatArray
    sell_cost: FloatArray

    def __post_init__(self) -> None:
        for side in ("buy", "sell"):
            size = _array(self, f"{side}_size", None)
            cost = _array(self, f"{side}_cost", None)
            if size.shape != cost.shape:
                raise ValueError(f"LADDER: {side} side has {size.size} sizes, {cost.size} costs: one each")
            if not (np.isfinite(size).all() and (size >= 0).all()):
                raise ValueError(f"LADDER: {side}_size {size.tolist()}: allowed are finite numbers >= 0")
            if not (np.isfinite(cost).all() and (cost[1:] >= cost[:-1]).all()):
                raise ValueError(f"LADDER: {side}_cost {cost.tolist()}: allowed are finite, rising numbers")

    @classmethod
    def sound(
        cls, buy_size: FloatArray, buy_cost: FloatArray, sell_size: FloatArray, sell_cost: FloatArray
    ) -> Ladder:
        """A ladder of arrays that nobody changes and that keep what the class asks for; not checked again."""
        ladder = object.__new__(cls)
        object.__setattr__(ladder, "buy_size", buy_size)
        object.__setattr__(ladder, "buy_cost", buy_cost)
        object.__setattr__(ladder, "sell_size", sell_size)
        object.__setattr__(ladder, "sell_cost", sell_cost)
        return ladder

    def amortised(self, share: float) -> Ladder:
        """The same sizes at a share of their costs, > 0 and finite; what was checked holds for it, too."""
        if share == 1.0:
            return self
        if not 0.0 < share < np.inf:
            raise ValueError(f"LADDER: share {share}: allowed are finite numbers > 0")
        buy, sell = share * self.buy_cost, share * self.sell_cost
        buy.flags.writeable = sell.flags.writeable = False
        return Ladder.sound(self.buy_size, buy, self.sell_size, sell)


@dataclass(frozen=True, slots=True, eq=False)
class HedgeProblem:
    """Rows to bring inside [lower, upper] and the columns to do it with. m rows, n columns.

    exposure (m,) where the book stands, in the row's unit; lower, upper (m,) the required interval (+-inf =
    open); per_unit (m, n) what one unit of a column adds to a row; ladders n; lot, min_size, max_buy,
    max_sell (n,) in the column's unit (a cap of inf = the displayed size alone); priority (m,) integers,
    small first, None = by row name; fixed_cost in USD if the column is traded at all, one number or (n,).
    Raises ValueError on NaN, wrong shapes, lower > upper, lot <= 0, negative sizes, caps or fixed costs.
    """

    rows: Sequence[str]
    exposure: FloatArray
    lower: FloatArray
    upper: FloatArray
    columns: Sequence[str]
    per_unit: FloatArray
    ladders: Sequence[Ladder]
    lot: FloatArray
    min_size: FloatArray
    max_buy: FloatArray
    max_sell: FloatArray
    priority: IntArray | None = None
    fixed_cost: FloatArray | float = 0.0

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "ladders"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        m, n = len(self.rows), len(self.columns)
        if len(self.ladders) != n:
            raise ValueError(f"PROBLEM: {len(self.ladders)} ladders for {n} columns; one each")
        if np.ndim(self.fixed_cost) == 0:
            object.__setattr__(self, "fixed_cost", [self.fixed_cost] * n)
        for name in ("exposure", "lower", "upper"):
            _array(self, name, (m,), self.rows)
        for name in ("lot", "min_size", "max_buy", "max_sell", "fixed_cost"):
            values = _array(self, name, (n,), self.columns)
            _require(values >= 0, name, values, self.columns, "numbers >= 0")
        per_unit = _array(self, "per_unit", (m, n))
        if not np.isfinite(per_unit).all():
            g, i = np.argwhere(~np.isfinite(per_unit))[0]
            raise ValueError(
                f"PROBLEM: per_unit of {self.columns[i]} on {self.rows[g]} is {per_unit[g, i]}:"
                " allowed are finite numbers"
            )
        _require(np.isfinite(self.exposure), "exposure", self.exposure, self.rows, "finite numbers")
        _require(self.lower < np.inf, "lower", self.lower, self.rows, "numbers below inf")
        _require(self.upper > -np.inf, "upper", self.upper, self.rows, "numbers above -inf")
        _require(self.lower <= self.upper, "lower", self.lower, self.rows, "numbers <= upper")
        _require((self.lot > 0) & (self.lot < np.inf), "lot", self.lot, self.columns, "finite numbers > 0")
        _require(self.min_size < np.inf, "min_size", self.min_size, self.columns, "finite numbers")
        fixed = np.asarray(self.fixed_cost)
        _require(fixed < np.inf, "fixed_cost", fixed, self.columns, "finite numbers")
        if self.priority is None:
            ranks: ArrayLike = [row_priority(row) for row in self.rows]
        else:
            ranks = self.priority
            if np.shape(ranks) != (m,) or not np.equal(np.asarray(ranks), np.rint(ranks)).all():
                raise ValueError(f"PROBLEM: priority {ranks}: allowed are {m} integers, one per row")
        priority = np.array(ranks, dtype=np.int64)
        priority.flags.writeable = False
        object.__setattr__(self, "priority", priority)


@dataclass(frozen=True, slots=True, eq=False)
class RiskTerm:
    """What the risk left over costs: 0.5 * sum over factors of (value + per_unit @ quantity)^2, USD.

    k factors, n columns of the problem. names (k,); value (k,) of the book and per_unit (k, n) of one unit of
    a column, both in sqrt(USD): scaled by the square root of risk aversion, horizon and covariance already
    (see `risk.factors`). Raises ValueError on wrong shapes and on what is not finite.
    """

    names: Sequence[str]
    value: FloatArray
    per_unit: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        k = len(self.names)
        value = _array(self, "value", (k,), self.names)
        per_unit = np.array(self.per_unit, dtype=np.float64)
        if per_unit.ndim != 2 or len(per_unit) != k:
            raise ValueError(f"RISK: per_unit has shape {per_unit.shape}: allowed is ({k}, columns)")
        for name, values in (("value", value), ("per_unit", per_unit)):
            if not np.isfinite(values).all():
                raise ValueError(
                    f"RISK: {name} holds a number that is not finite; allowed are finite numbers"
                )
        per_unit.flags.writeable = False
        object.__setattr__(self, "per_unit", per_unit)

    def usd(self, quantity: FloatArray) -> float:
        """The term at a solution (n,), USD."""
        left = self.value + self.per_unit @ quantity
        return 0.5 * float(left @ left)


class Status(StrEnum):
    """How a plan ended."""

    optimal = "optimal"  # every row inside; proven on the kept columns, or within the gap of the LP bound
    no_trade = "no_trade"  # every row is inside already
    relaxed = "relaxed"  # no plan meets every row: `slack` and `reason` say which
    time_limit = "time_limit"  # every row inside, but the search stopped with a gap above the one asked for


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """time_limit_s: solver seconds for the lots; gap: relative, of cost to bound, and of slack in rows that
    cannot be met; columns: kept for the lots."""

    time_limit_s: float = 1.0
    gap: float = 1e-3
    columns: int = 60

    def __post_init__(self) -> None:
        if not (self.time_limit_s > 0 and self.gap >= 0 and self.columns >= 1):
            raise ValueError(f"SETTINGS: {self}: allowed are time_limit_s > 0, gap >= 0, columns >= 1")


DEFAULTS = SolverSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Where the simplex stood: the basic columns (m,), and each column's place on its ladder (n + m,)."""

    basic: IntArray
    place: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The trades and their certificate. m rows, n columns.

    quantity (n,) signed, in the column's unit; cost USD; lower_bound USD: no plan that leaves the same slack
    costs less, whatever lots or columns; exposure_after (m,); shadow_price (m,) >= 0: USD the bound falls
    per unit outward move of the binding side; slack (m,) >= 0 outside the required interval; binding (m,) -1
    lower, 0, +1 upper; gap = (cost - lower_bound) / |cost|; kept: indices of the columns the lots were
    solved on; reason: one text; timings: seconds per stage, of work at a fixed rate, ours and HiGHS';
    lots_bound: no plan in whole lots that leaves the same slack costs less, whatever columns (the bound of
    the search; -inf = not known); basis: what the next mark's LP starts from; fallbacks: programs that HiGHS
    solved, because our own answer did not pass its check or was not proven in its share of the time, or
    because of fixed costs; pivots, nodes: our own.
    """

    quantity: FloatArray
    cost: float
    lower_bound: float
    exposure_after: FloatArray
    shadow_price: FloatArray
    slack: FloatArray
    status: Status
    binding: np.ndarray[tuple[int], np.dtype[np.int8]]
    gap: float
    kept: IntArray
    reason: str
    timings: Mapping[str, float]
    lots_bound: float = -math.inf
    basis: Basis | None = None
    fallbacks: int = 0
    pivots: int = 0
    nodes: int = 0

    @property
    def certified_gap(self) -> float:
        """(cost - the better of both bounds) / |cost|: what a better plan could save at most."""
        bound = max(self.lower_bound, self.lots_bound)
        return max(self.cost - bound, 0.0) / max(abs(self.cost), 1e-12)


def _array(owner: object, name: str, shape: tuple[int, ...] | None, labels: Sequence[str] = ()) -> FloatArray:
    """Replace a field by its read-only float64 copy; shape None = any length."""
    try:
        values = np.array(getattr(owner, name), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"PROBLEM: {name} is not an array of numbers: {error}") from None
    if values.ndim != 1 if shape is None else values.shape != shape:
        raise ValueError(f"PROBLEM: {name} has shape {values.shape}: allowed is {shape or '(levels,)'}")
    if labels:
        _require(~np.isnan(values), name, values, labels, "numbers, not NaN")
    values.flags.writeable = False
    object.__setattr__(owner, name, values)
    return values


def _require(good: BoolArray, name: str, values: FloatArray, labels: Sequence[str], allowed: str) -> None:
    if not good.all():
        at = int(np.argmin(good))
        raise ValueError(f"PROBLEM: {name} of {labels[at]} is {values[at]}: allowed are {allowed}")
