"""What may be traded, as the optimizer's problem; and the optimizer's answer, as trades on listings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from hedger.problem.column_caps import column_caps
from hedger.problem.hedge_universe import hedge_universe, named_but_unlisted
from hedger.problem.limit_rows import ExtraRows, net_rows
from hedger.problem.snapshot import Snapshot
from hedger.settings import Settings
from hedger.solver.hedge_problem import HedgeProblem, Ladder, row_priority
from pricing.contracts import Listing, Side
from pricing.universe import BoolArray, FloatArray, IntArray
from risk.bands import Bands, check_landing_room
from risk.costs import CostModel, TradeCost

__all__ = [
    "ExtraRows", "Trade", "build_problem", "hedge_universe", "is_delta", "named_but_unlisted", "part_of",
    "trades_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Trade:
    """One leg of a plan. quantity > 0 in order units; effect (m,) on all rows at the reference price.

    row: place of the listing in the universe. levels: (price, order units, fee in USD per order unit) of
    each displayed level it takes, best first.
    """

    listing: Listing
    row: int
    side: Side
    quantity: Decimal
    limit_price: Decimal
    expected_price: float
    cost: TradeCost
    effect: FloatArray
    levels: tuple[tuple[float, float, float], ...]


def build_problem(
    snapshot: Snapshot,
    settings: Settings,
    costs: CostModel,
    tradable: IntArray,
    lower: FloatArray,
    upper: FloatArray,
    extra: ExtraRows | None = None,
) -> HedgeProblem:
    """The optimizer's problem: the banded rows, then net notional and `extra` rows, the tradable columns with
    their ladders and caps. Limits that depend on the side of a trade are `hedger.problem.split_columns`' to
    add.

    Args:
        lower, upper: (m,) the required interval of every row of the exposures.
    """
    universe, exposure = snapshot.market.universe, snapshot.exposure
    banded = np.flatnonzero(snapshot.bands.banded)
    per_unit = exposure.traded[np.ix_(banded, tradable)]
    rows = tuple(exposure.rows[i] for i in banded)
    caps = column_caps(snapshot, settings)
    with np.errstate(invalid="ignore"):
        steps = np.abs(per_unit) * universe.lot[tradable]
    smallest = np.min(np.where(steps > 0, steps, np.inf), axis=1, initial=np.inf)
    check_landing_room(rows, _select(snapshot.bands, banded), np.where(is_delta(rows), smallest, np.inf))
    more = net_rows(snapshot, settings)
    more = more if extra is None else more + extra
    below, above, before = lower[banded], upper[banded], exposure.value[banded]
    return HedgeProblem(
        rows=rows + more.names,
        exposure=np.concatenate([before, more.value]),
        lower=np.concatenate([below, more.lower]),
        upper=np.concatenate([above, more.upper]),
        columns=[universe.listings[i].symbol for i in tradable],
        per_unit=np.concatenate([per_unit, more.per_unit[:, tradable]]),
        ladders=_ladders(costs, tradable),
        lot=universe.lot[tradable],
        min_size=universe.minimum[tradable],
        max_buy=caps.buy[tradable],
        max_sell=caps.sell[tradable],
        priority=np.concatenate([_priorities(rows, before > above), 2 * more.priority]),
        fixed_cost=costs.fixed_usd[tradable],
    )


def _priorities(rows: Sequence[str], long: BoolArray) -> IntArray:
    """Twice the priority of each row's name: a gamma row above its upper end comes just after those that are
    not, so that short gamma is mended first. The sides of one row are never out at once, hence one row."""
    late = [row.startswith("gamma") and bool(over) for row, over in zip(rows, long, strict=True)]
    return np.array([2 * row_priority(r) + after for r, after in zip(rows, late, strict=True)], dtype=int)


def is_delta(rows: Sequence[str]) -> BoolArray:
    """Mask of the delta rows, (m,)."""
    return np.array([row.startswith("delta:") for row in rows], dtype=np.bool_)


def _select(bands: Bands, rows: IntArray) -> Bands:
    return Bands(*(getattr(bands, name)[rows] for name in Bands.__slots__))


def _ladders(costs: CostModel, tradable: IntArray) -> list[Ladder]:
    """Level sizes and unit costs of each tradable listing."""
    levels = costs.levels
    side = 2 * levels.row + (levels.sign < 0)
    size, cost = levels.size.copy(), rising(side, levels.unit_cost)
    # checked once for all of them: sizes are displayed ones, > 0
    if not (np.isfinite(size).all() and np.isfinite(cost).all()):
        bad = int(np.argmin(np.isfinite(size) & np.isfinite(cost)))
        symbol = costs.universe.listings[int(levels.row[bad])].symbol
        raise ValueError(
            f"LADDER: {symbol}: a level of size {size[bad]} costs {cost[bad]}; allowed is finite"
        )
    size.flags.writeable = cost.flags.writeable = False
    ends = np.searchsorted(side, np.stack([2 * tradable, 2 * tradable + 1, 2 * tradable + 2])).T.tolist()
    return [Ladder.sound(size[a:b], cost[a:b], size[b:c], cost[b:c]) for a, b, c in ends]


def rising(side: IntArray, cost: FloatArray) -> FloatArray:
    """The costs (k,) with those of one side not falling: they rise by construction, up to the last digit of a
    sum."""
    cost = cost.copy()
    for i in np.flatnonzero((side[1:] == side[:-1]) & (cost[1:] < cost[:-1])).tolist():
        at = i + 1
        while at < cost.size and side[at] == side[i] and cost[at] < cost[at - 1]:
            cost[at] = cost[at - 1]
            at += 1
    return cost


def trades_of(
    quantity: FloatArray, snapshot: Snapshot, costs: CostModel, tradable: IntArray
) -> tuple[Trade, ...]:
    """Legs of a solution, largest cost first."""
    trades = []
    for column in np.flatnonzero(quantity).tolist():
        row, signed = int(tradable[column]), float(quantity[column])
        listing = snapshot.market.universe.listings[row]
        side = Side.BUY if signed > 0 else Side.SELL
        exact = abs(listing.quantize_quantity(signed))
        execution = costs.execute(row, side, float(exact))
        # An average of one level may miss its price by a rounding.
        low, high = sorted((execution.levels[0][0], execution.worst_price))
        trades.append(
            Trade(
                listing=listing,
                row=row,
                side=side,
                quantity=exact,
                limit_price=_limit(listing, execution.worst_price, side),
                expected_price=min(max(execution.average_price, low), high),
                cost=execution.cost,
                effect=snapshot.exposure.traded[:, row] * side.sign * float(exact),
                levels=execution.levels,
            )
        )
    return tuple(sorted(trades, key=lambda t: (-t.cost.total, t.listing.key)))


def _limit(listing: Listing, worst_price: float, side: Side) -> Decimal:
    """The worst displayed price the plan uses: a buy may pay it, so off-tick it is rounded away from us."""
    return listing.price_ceiling(worst_price) if side is Side.BUY else listing.price_floor(worst_price)


def part_of(problem: HedgeProblem, columns: IntArray, rows: IntArray) -> HedgeProblem:
    """The problem on some of its columns and rows."""
    assert problem.priority is not None
    return HedgeProblem(
        rows=[problem.rows[i] for i in rows],
        exposure=problem.exposure[rows],
        lower=problem.lower[rows],
        upper=problem.upper[rows],
        columns=[problem.columns[i] for i in columns],
        per_unit=problem.per_unit[np.ix_(rows, columns)],
        ladders=[problem.ladders[i] for i in columns],
        lot=problem.lot[columns],
        min_size=problem.min_size[columns],
        max_buy=problem.max_buy[columns],
        max_sell=problem.max_sell[columns],
        priority=problem.priority[rows],
        fixed_cost=np.asarray(problem.fixed_cost)[columns],
    )
