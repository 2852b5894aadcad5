"""The book as it is revalued: as it stands, and as it would stand after a plan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hedger.planning import HedgePlan, PlanStatus
from hedger.problem.snapshot import Snapshot
from pricing.contracts import Kind
from pricing.universe import FloatArray
from risk.costs import reference_price
from risk.repricing import Holding


def unhedged(snapshot: Snapshot) -> Holding:
    """The book as it stands."""
    return Holding(snapshot.quantities, snapshot.balances)


def hedged(snapshot: Snapshot, plan: HedgePlan) -> Holding:
    """The book after a plan's trades at their reference prices, less what the ticket says that they cost.

    A blocked plan trades nothing. Perpetuals and futures pay no premium: one whose mark lies beside its
    quotes gains or loses the difference at once. The difference between a spot's price and its index, or an
    option's price and its worth by its vol, is in no figure.
    """
    quantities = snapshot.quantities.copy()
    paid: dict[tuple[str, str], float] = {}
    cost: dict[str, float] = {}
    gained: dict[str, tuple[float, float]] = {}
    reference = reference_price(snapshot.market)
    universe = snapshot.market.universe
    for trade in plan.trades if plan.status is not PlanStatus.BLOCKED else ():
        row, signed = trade.row, float(trade.quantity) * trade.side.sign
        contract = universe.listings[row].contract
        quantities[row] += signed
        if contract.kind in (Kind.OPTION, Kind.SPOT):
            key = (contract.underlying, contract.settlement)
            paid[key] = paid.get(key, 0.0) + signed * float(universe.size[row]) * float(reference[row])
        else:
            coins, dollars = gained.get(contract.underlying, (0.0, 0.0))
            mark, traded_at = float(snapshot.valuation.forward[row]), float(reference[row])
            amount = signed * float(universe.size[row])
            if contract.inverse:
                coins += amount * (1.0 / traded_at - 1.0 / mark)
            else:
                dollars += amount * (mark - traded_at)
            gained[contract.underlying] = coins, dollars
        cost[contract.underlying] = cost.get(contract.underlying, 0.0) + trade.cost.total
    return Holding(quantities, snapshot.balances, paid, cost, gained)


def holdings_of(snapshot: Snapshot, plan: HedgePlan | None) -> Sequence[Holding]:
    """The book, and beside it the book after the plan where there is one."""
    return [unhedged(snapshot)] if plan is None else [unhedged(snapshot), hedged(snapshot, plan)]


def summed(by_underlying: FloatArray, *, one_unit: bool) -> FloatArray:
    """The sum over underlyings, (shocks,); NaN where several are counted each in its own coin."""
    if not one_unit and len(by_underlying) > 1:
        return np.full(by_underlying.shape[1], np.nan)
    return np.asarray(by_underlying.sum(axis=0))
