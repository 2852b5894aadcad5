"""The book in named falls of the past, and its hedge when the market is thin.

A stress moves each coin by its own figures (`hedger.desk.stress_table`); a liquidity stress widens every
spread and thins every level, and plans the hedge anew: whether one exists, and at what price.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hedger.desk.holdings import holdings_of
from hedger.desk.look import Look
from hedger.desk.stress_table import Stress
from hedger.documents import number, plain
from hedger.planning import HedgePlan, PlanStatus
from hedger.problem.snapshot import NOTHING_MOVES, Snapshot
from pricing.market import Depth, Market
from pricing.universe import FloatArray
from pricing.valuation import Numeraire
from risk.repricing import reprice
from risk.scenarios import Shock

Json = dict[str, Any]
#: A row that misses its end by less, as a share of what it was, ends there: the solver bears as much.
ROUNDING = 1e-7
ASSUMED = (
    "each coin falls by its own figure, its forwards with it; vols stay with their strikes, and a tenor T "
    "moves by the change of DVOL times sqrt(30 d / T), every coin alike; nothing is traded meanwhile"
)
OWN_ASSUMED = (
    "a scenario of the desk moves every coin alike, forwards with their index, as its rows pnl:UND:NAME have "
    "it; vols stay with their strikes; nothing is traded meanwhile"
)


def assumed(chosen: Sequence[Stress]) -> list[str]:
    """What is taken for granted of these stresses."""
    own = [stress.own is not None for stress in chosen]
    return [ASSUMED] * (not all(own)) + [OWN_ASSUMED] * any(own)


def stress_documents(snapshot: Snapshot, plan: HedgePlan | None, chosen: Sequence[Stress]) -> list[Json]:
    """The P&L of the book, and of the hedged one, in each stress; null, and why, where it is not known."""
    return [_stress(snapshot, plan, stress) for stress in chosen]


def _stress(snapshot: Snapshot, plan: HedgePlan | None, stress: Stress) -> Json:
    told = {name: stress.shock(name) for name in snapshot.underlyings}
    shocks = {name: [shock or Shock()] for name, shock in told.items()}
    known = np.array([shock is not None for shock in told.values()], dtype=np.bool_)
    sides: list[FloatArray] = []
    for found in reprice(
        snapshot.market, snapshot.valuation, holdings_of(snapshot, plan), shocks, snapshot.meaning, 1
    ):
        sides.append(np.where(known, found.pnl[:, 0], np.nan))
    one_unit = snapshot.numeraire is Numeraire.USD or len(told) <= 1
    totals = [float(side.sum()) if one_unit else math.nan for side in sides]
    notes = [] if stress.own is None else [stress.title]
    notes += [f"{name}: the table has no figure of it" for name, shock in told.items() if shock is None]
    if snapshot.unmoved:
        notes.append(NOTHING_MOVES)
    elif stress.vol_points is None:
        notes.append("there was no DVOL then: vols are left as they are, and a loss on them is not in it")
    return {
        "name": stress.name,
        "title": stress.title,
        "from": stress.first,
        "to": stress.last,
        "source": stress.source,
        "unit": "USD" if snapshot.numeraire is Numeraire.USD else "coin",
        "vol_points_30d": stress.vol_points,
        "underlyings": [
            {
                "underlying": name,
                "fall_pct": None if shock is None else 100.0 * shock.spot,
                "unhedged": number(sides[0][u]),
                "hedged": number(sides[1][u]) if plan is not None else None,
            }
            for u, (name, shock) in enumerate(told.items())
        ],
        "unhedged": number(totals[0]),
        "hedged": number(totals[1]) if plan is not None else None,
        "notes": notes,
    }


# -------------------------------------------------------------------------------------------------- liquidity


def thinned(market: Market, factor: float) -> Market:
    """The market with every price `factor` times as far from the middle and every size that part of itself.

    Prices are rounded outward to the tick. A side that would be at or below nothing is gone; what has no two
    sides has no middle, and keeps its price. Marks, forwards and indexes stay.

    Raises:
        ValueError: the factor is no finite number of at least 1.
    """
    if not 1.0 <= factor < math.inf:
        raise ValueError(f"factor {factor}: a finite number of at least 1")
    with np.errstate(invalid="ignore"):
        two_sided = (market.bid > 0) & (market.ask > market.bid)
        middle = np.where(two_sided, 0.5 * (market.bid + market.ask), np.nan)
    bid = _outward(market, middle, market.bid, factor, down=True)
    ask = _outward(market, middle, market.ask, factor, down=False)
    depth = {}
    for row, (bids, asks) in market.depth.items():
        sides = []
        for side, down in ((bids, True), (asks, False)):
            price = _prices(market, row, middle[row], side.price, factor, down=down)
            there = price > 0
            sides.append(Depth(price[there], side.size[there] / factor))
        depth[row] = (sides[0], sides[1])
    return replace(
        market,
        bid=bid,
        ask=ask,
        bid_size=np.where(np.isfinite(bid), market.bid_size / factor, np.nan),
        ask_size=market.ask_size / factor,
        depth=depth,
    )


def _outward(
    market: Market, middle: FloatArray, price: FloatArray, factor: float, *, down: bool
) -> FloatArray:
    moved = price.copy()
    for row in np.flatnonzero(np.isfinite(middle)).tolist():
        moved[row] = _prices(market, row, float(middle[row]), price[row : row + 1], factor, down=down)[0]
    return np.where(moved > 0, moved, np.nan)


def _prices(
    market: Market, row: int, middle: float, price: FloatArray, factor: float, *, down: bool
) -> FloatArray:
    """Prices of one side of a listing, as far again from the middle; 0 where nothing is left."""
    if factor == 1.0 or not math.isfinite(middle):
        return price
    listing = market.universe.listings[row]
    on_tick = listing.price_floor if down else listing.price_ceiling
    away = middle + factor * (price - middle)
    # rounded, for the last digit of a sum is no reason for another tick
    return np.array([float(on_tick(float(f"{x:.12g}"))) if x > 0 else 0.0 for x in away.tolist()])


def liquidity_document(look: Look, factor: float, plan: HedgePlan | None = None) -> Json:
    """The hedge of the book in a market `factor` times as thin, beside the one it has now.

    plan: the one it has now; made where it is not given.

    possible: every row that must come in does, in whole lots, with what is displayed.

    Raises:
        ValueError: as `thinned`.
    """
    now = look.plan(look.snapshot) if plan is None else plan
    then = look.plan(look.retake(thinned(look.snapshot.market, factor)))
    return {"factor": factor, "now": hedge_document(now), "stressed": hedge_document(then)}


def hedge_document(plan: HedgePlan) -> Json:
    """A hedge in few words: whether it does all that is asked, its legs and price, what stays outside."""
    blocked = plan.status is PlanStatus.BLOCKED
    return {
        "status": str(plan.status),
        "possible": plan.status in (PlanStatus.HEDGE, PlanStatus.NO_TRADE),
        "reason": plan.reason,
        "cost_usd": None if blocked else number(plan.cost.total),
        "trades": [
            {
                "venue": trade.listing.venue,
                "symbol": trade.listing.symbol,
                "side": str(trade.side),
                "quantity": plain(trade.quantity),
                "unit": trade.listing.unit,
                "cost_usd": number(trade.cost.total),
            }
            for trade in (() if blocked else plan.trades)
        ],
        "outside": _outside(plan),
    }


def _outside(plan: HedgePlan) -> list[Json]:
    """Rows that do not end where they must, with what they lack."""
    found = []
    for row, before, after, low, high in zip(
        plan.snapshot.exposure.rows,
        plan.snapshot.exposure.value.tolist(),
        plan.after.tolist(),
        plan.required_lower.tolist(),
        plan.required_upper.tolist(),
        strict=True,
    ):
        short = max(low - after, after - high)
        if not short <= ROUNDING * max(abs(before), abs(after), 1.0):
            found.append({"row": row, "after": number(after), "required": [number(low), number(high)]})
    return found
