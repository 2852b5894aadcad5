"""The problem under the desk's limits and preferences as the solver gets it; its answer in their terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hedger.problem.assembly import Trade
from hedger.problem.column_caps import ColumnCaps, column_caps
from hedger.problem.limit_rows import ExtraRows, SidedRows, net_rows, sided_rows
from hedger.problem.preferences import preferred, prefers
from hedger.problem.snapshot import Snapshot
from hedger.problem.split_columns import SplitProblem, split_columns
from hedger.settings import Settings
from hedger.solver.hedge_problem import HedgeProblem, Plan, RiskTerm
from pricing.contracts import Side
from pricing.universe import BoolArray, FloatArray, IntArray
from risk.costs import CostModel
from risk.uncertainty import row_sd

#: Limits of which there are hundreds, none of them near: in the problem only once a plan breaks them.
LAZY = "strike_coins"
#: A limit whose price times its size is less than this is not what holds a plan.
WORTH_MIN_USD = 1e-9


@dataclass(frozen=True, slots=True)
class LimitOutcome:
    """A limit beside the bands: the row, where it stood, stands and may stand, and what it costs the plan.

    shadow_price: USD that the bound falls per unit the binding end is moved out; slack: how far outside.
    """

    row: str
    unit: str
    before: float
    lower: float
    upper: float
    after: float
    shadow_price: float
    binding: int
    slack: float


@dataclass(frozen=True, slots=True)
class CapOutcome:
    """A leg that trades all it may: the cap in order units and the setting it comes from."""

    venue: str
    symbol: str
    side: Side
    cap: float
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Limited:
    """plain: the problem on the listings, n columns. problem: as it is solved, with preferences and split
    columns. sided: every limit that depends on the side of a trade; active: those in the problem, the others
    come in when a plan breaks them. banded: so many first rows are those of the exposures. units: of the rows
    behind them."""

    snapshot: Snapshot
    settings: Settings
    plain: HedgeProblem
    problem: HedgeProblem
    unpreferred: HedgeProblem
    split: SplitProblem | None
    sided: SidedRows | None
    active: BoolArray
    caps: ColumnCaps
    banded: int
    units: tuple[str, ...]
    tradable: IntArray

    @property
    def preferring(self) -> bool:
        """Whether the solver's costs hold surcharges on what is not preferred."""
        return self.unpreferred is not self.problem

    def risk(self, term: RiskTerm) -> RiskTerm:
        """A risk term of the listings' columns, on the columns that are solved."""
        return term if self.split is None else self.split.risk(term)

    def merged(self, plan: Plan) -> Plan:
        """The solver's plan with its quantities on the listings' columns."""
        return plan if self.split is None else self.split.merged(plan)

    def lower_bound(self, plan: Plan, solve: Callable[[HedgeProblem], Plan]) -> float:
        """USD that no plan with the same slack undercuts: of the problem without the preferences."""
        return solve(self.unpreferred).lower_bound if self.preferring else plan.lower_bound

    def outcomes(self, plan: Plan, trades: tuple[Trade, ...]) -> tuple[LimitOutcome, ...]:
        """The limits after a plan's trades; `plan` with the rows of the problem as solved."""
        problem, first = self.problem, self.banded
        after = np.concatenate([self._linear(trades), *self._sided(trades)])
        low, high = problem.lower[first:], problem.upper[first:]
        worth = plan.shadow_price[first:] * (1.0 + np.abs(after))
        over = np.maximum(np.maximum(low - after, after - high), 0.0)
        over[over <= 1e-9 * (1.0 + np.abs(problem.exposure[first:]) + np.abs(after))] = 0.0
        return tuple(
            LimitOutcome(
                row=problem.rows[first + i],
                unit=unit,
                before=float(problem.exposure[first + i]),
                lower=float(problem.lower[first + i]),
                upper=float(problem.upper[first + i]),
                after=float(after[i]),
                shadow_price=float(plan.shadow_price[first + i]),
                binding=int(plan.binding[first + i]) if worth[i] > WORTH_MIN_USD else 0,
                slack=float(over[i]),
            )
            for i, unit in enumerate(self.units)
        )

    def allows(self, trades: tuple[Trade, ...]) -> bool:
        """Whether trades keep every limit beside the bands, up to rounding."""
        plain = self.plain
        after, before = self._linear(trades), plain.exposure[self.banded :]
        room = 1e-9 * (1.0 + np.abs(before) + np.abs(after))
        low, high = plain.lower[self.banded :] - room, plain.upper[self.banded :] + room
        inside = bool(((after >= low) & (after <= high)).all())
        return inside and (self.sided is None or not self.sided.broken(self._traded(trades)).any())

    def tightened(self, plan: Plan) -> Limited | None:
        """The problem with the limits that a merged plan breaks; None where it keeps them all."""
        if self.sided is None:
            return None
        traded = np.zeros(len(self.snapshot.market.universe))
        traded[self.tradable] = plan.quantity
        broken = self.sided.broken(traded) & ~self.active
        return self._with(self.active | broken) if broken.any() else None

    def _with(self, active: BoolArray) -> Limited:
        """The same with other limits in the problem."""
        split, asked, units = None, self.plain, self.units[: len(self.plain.rows) - self.banded]
        if self.sided is not None and active.any():
            rows = self.sided.only(active)
            split, units = split_columns(self.plain, rows, self.tradable), units + rows.units
            asked = split.problem
        unpreferred = asked
        if prefers(self.settings):
            places = self.tradable if split is None else self.tradable[split.part_of]
            asked = preferred(asked, self.snapshot, self.settings, places)
        return replace(self, problem=asked, unpreferred=unpreferred, split=split, active=active, units=units)

    def capped(self, trades: tuple[Trade, ...]) -> tuple[CapOutcome, ...]:
        """The legs that a cap keeps from growing."""
        found = []
        for trade in trades:
            most, why = self.caps.buy, self.caps.buy_why
            if trade.side is Side.SELL:
                most, why = self.caps.sell, self.caps.sell_why
            cap, lot = float(most[trade.row]), float(trade.listing.lot)
            if why[trade.row] and float(trade.quantity) > cap - lot * (1 - 1e-9):
                found.append(CapOutcome(*trade.listing.key, trade.side, cap, why[trade.row]))
        return tuple(found)

    def _traded(self, trades: tuple[Trade, ...]) -> FloatArray:
        """Signed quantities of every listing of the universe, order units."""
        traded = np.zeros(len(self.snapshot.market.universe))
        for trade in trades:
            traded[trade.row] += trade.side.sign * float(trade.quantity)
        return traded

    def _linear(self, trades: tuple[Trade, ...]) -> FloatArray:
        plain, quantity = self.plain, self._traded(trades)[self.tradable]
        return np.asarray(plain.exposure[self.banded :] + plain.per_unit[self.banded :] @ quantity)

    def _sided(self, trades: tuple[Trade, ...]) -> list[FloatArray]:
        return [] if self.sided is None else [self.sided.after(self._traded(trades))[self.active]]


def limited(
    problem: HedgeProblem,
    snapshot: Snapshot,
    settings: Settings,
    costs: CostModel,
    tradable: IntArray,
    extra: ExtraRows | None = None,
) -> Limited:
    """The problem under the limits that depend on the side of a trade, and with the desk's preferences.

    Args:
        problem: as `build_problem` made it of the same snapshot, settings, costs, listings and extra rows.
    """
    units = net_rows(snapshot, settings).units + (() if extra is None else extra.units)
    sided = sided_rows(snapshot, settings, costs, tradable, _reach(problem, snapshot, tradable))
    names = () if sided is None else sided.names
    start = np.array([not name.startswith(LAZY) for name in names], dtype=np.bool_)
    return Limited(
        snapshot=snapshot,
        settings=settings,
        plain=problem,
        problem=problem,
        unpreferred=problem,
        split=None,
        sided=sided,
        active=start,
        caps=column_caps(snapshot, settings),
        banded=len(problem.rows) - len(units),
        units=units,
        tradable=tradable,
    )._with(start)


def _reach(problem: HedgeProblem, snapshot: Snapshot, tradable: IntArray) -> FloatArray:
    """Largest buy and sell of every listing, (2, n): its cap or its displayed size."""
    reach = np.zeros((2, len(snapshot.market.universe)))
    for i, (ladder, row) in enumerate(zip(problem.ladders, tradable.tolist(), strict=True)):
        reach[0, row] = min(problem.max_buy[i], ladder.buy_size.sum())
        reach[1, row] = min(problem.max_sell[i], ladder.sell_size.sum())
    return reach


def what_binds(limits: tuple[LimitOutcome, ...], capped: tuple[CapOutcome, ...]) -> str:
    """The limits and caps that a plan ends at, as the end of a sentence; "" where there are none."""
    parts = []
    for limit in limits:
        if limit.binding:
            end, word = (limit.upper, "upper") if limit.binding > 0 else (limit.lower, "lower")
            worth = f", a unit more is worth {limit.shadow_price:.4g} USD" if limit.shadow_price > 0 else ""
            parts.append(f"{limit.row} is at its {word} limit {end:.6g} {limit.unit}{worth}")
    parts += [f"{c.side} {c.symbol} is at {c.why} ({c.cap:.6g})" for c in capped if c.cap > 0]
    return "".join(f"; {part}" for part in parts)


def limits_said(snapshot: Snapshot, settings: Settings, trades: tuple[Trade, ...]) -> list[str]:
    """What the ticket takes for granted because of limits, preferences and errors of Greeks."""
    said = []
    chosen, costs, robust = settings.universe, settings.costs, settings.robust
    for word, preference in (("buys", chosen.prefer_buy), ("sales", chosen.prefer_sell)):
        if not preference.empty and preference.bps > 0:
            names = ", ".join((*preference.kinds, *preference.symbols, *preference.venues))
            said.append(
                f"{word} prefer {names} within {preference.bps:g} bps of notional; costs and the bound are "
                "without the preference"
            )
    if costs.margin.rate_per_year > 0:
        said.append(
            f"initial margin of what is opened is financed at {costs.margin.rate_per_year:.2%} a year"
        )
    if settings.limits.balance_min:
        said.append("venue balances are reckoned at the worst displayed price; closing frees no margin")
    if settings.limits.gross_notional_usd_max is not None or settings.limits.net_notional_usd_max is not None:
        said.append("notional is coins x index of perpetuals, futures and options, spot left out")
    if snapshot.errors is not None:
        after = snapshot.quantities.copy()
        for trade in trades:
            after[trade.row] += trade.side.sign * float(trade.quantity)
        before_sd = row_sd(snapshot.errors, snapshot.valuation, snapshot.quantities)
        after_sd = row_sd(snapshot.errors, snapshot.valuation, after)
        banded = np.flatnonzero(snapshot.bands.banded[: before_sd.size] & (before_sd > 0))
        rows = [
            f"{snapshot.exposure.rows[i]} {before_sd[i]:.3g} before, {after_sd[i]:.3g} after" for i in banded
        ]
        said.append(
            f"bands are narrowed by {robust.z:g} sd of the book's rows under errors of "
            f"{robust.vol_error:.2%} in vols and {robust.forward_error_bps:g} bps in forwards, "
            "at most to their target: " + "; ".join(rows)
        )
    return said
