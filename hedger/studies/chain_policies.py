"""When and how far each policy of the chain study hedges with the perpetual; books by lanes, all at once.

Every policy answers at a moment with the delta it wants moved, from what is known then (`Moment`). X is the
book's delta with its perpetual, coins:

- none; calendar: to 0 every so many hours, at snapshots (every snapshot: its cost is c0, the study's
  measure).
- fixed_edge, fixed_centre: when |X| leaves a width given in USD, to its edge or to 0.
- whalley_wilmott, whalley_wilmott_centre: the width is (3/2 λ S Γ²/γ)^(1/3) on the book's net gamma.
- leland: to 0 at every snapshot, deltas at the vol σ² (1 ± √(2/π) 2λ/(σ √dt)), + where the book is short of
  gamma, dt the mean time between snapshots.
- zakamouline: its width and its vol, while all gammas have one sign; refused for the whole book otherwise.
- ours_perp: Whalley-Wilmott with the landing for lots, around a target that leans against the vega: the delta
  of least variance, given that vol moves β per unit return (trailing covariance). Its risk aversion is not a
  setting: a controller sets it so that what was spent follows a share (`budget`) of what centring at every
  snapshot would have cost so far. It looks at the past only.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hedger.studies.chain_market import DAYS_PER_YEAR, View
from pricing import black76
from pricing.universe import BoolArray, FloatArray, IntArray
from risk.band_widths import landing, whalley_wilmott, zakamouline

HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
#: Snapshots come about every six hours: a calendar of so many hours takes the snapshot nearest to its time.
SNAPSHOT_H = 6.0

CALENDAR_H = (0.0, 12.0, 24.0, 48.0)
WIDTHS_USD = (25e3, 50e3, 100e3, 200e3, 400e3, 800e3, 1.6e6, 3.2e6, 6.4e6)
RISK_AVERSIONS = (1e-1, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 1e-7)
ZAKAMOULINE_AVERSIONS = (1e-3, 1e-4, 1e-5, 1e-6)
PERP_BUDGETS = (0.3, 0.5, 0.7, 1.0)

#: Days of c0 by which being behind or ahead of the budget moves the risk aversion by a factor of e.
PATIENCE_DAYS = 3.0
#: Risk aversion of `ours_perp` when spending is on budget, per day of c0.
PERP_AVERSION = 4.0
AVERSION_SPAN = 8.0  # powers of e the controller may go either way


@dataclass(frozen=True, slots=True)
class Lane:
    """One policy with its parameters."""

    policy: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What policies know; arrays (B,) over books, x (B, lanes).

    delta: x, coins. gamma net, coin/USD; gamma_abs the same of absolute gammas. vega_weighted USD per 1.00 of
    30-day vol. leland: what its deltas add to the book's. gamma_vol, gamma_years: means by |gamma|; vanna
    coin per 1.00 vol. lean: delta of least variance given the vega, coins. last_ns (B, lanes) of the last
    hedge. spent (B, lanes) and c0 (B,) USD so far; days since the books began.
    """

    view: View
    lot: float
    delta: FloatArray
    gamma: FloatArray
    gamma_abs: FloatArray
    leland: FloatArray
    gamma_vol: FloatArray
    gamma_years: FloatArray
    vanna: FloatArray
    lean: FloatArray
    last_ns: IntArray
    spent: FloatArray
    c0: FloatArray
    days: float


def perp_lanes() -> list[Lane]:
    """The policies that hedge with the perpetual alone; the second is the one whose cost is c0."""
    lanes = [Lane("none", {})]
    lanes += [Lane("calendar", {"every_h": h or None}) for h in CALENDAR_H]
    for policy in ("fixed_edge", "fixed_centre"):
        lanes += [Lane(policy, {"width_usd": w}) for w in WIDTHS_USD]
    lanes.append(Lane("leland", {}))
    for policy in ("whalley_wilmott", "whalley_wilmott_centre"):
        lanes += [Lane(policy, {"risk_aversion": a}) for a in RISK_AVERSIONS]
    lanes += [Lane("zakamouline", {"risk_aversion": a}) for a in ZAKAMOULINE_AVERSIONS]
    lanes += [Lane("ours_perp", {"budget": b}) for b in PERP_BUDGETS]
    return lanes


#: Where the policy whose cost is c0 stands in `perp_lanes`.
CENTRING = 1


def wanted(moment: Moment, lanes: list[Lane]) -> FloatArray:
    """Delta each lane wants moved by the perpetual, coins, (B, lanes); NaN where a policy is refused."""
    x, view = moment.delta, moment.view
    answer = np.zeros_like(x)
    for first, last in _groups(lanes):
        part = slice(first, last)
        policy, mine = lanes[first].policy, x[:, part]
        numbers = [next(iter(lane.parameters.values()), None) for lane in lanes[part]]
        if policy == "none":
            continue
        if policy == "calendar":
            if view.quoted:
                due = _due(moment, part, [float(h or 0.0) for h in numbers])
                answer[:, part] = np.where(due, -mine, 0.0)
        elif policy in ("fixed_edge", "fixed_centre"):
            width = np.array(numbers, dtype=np.float64)[None, :] / view.spot
            answer[:, part] = _to(mine, width, width if policy == "fixed_edge" else 0.0)
        elif policy == "leland":
            if view.quoted:
                answer[:, part] = -(mine + moment.leland[:, None])
        elif policy in ("whalley_wilmott", "whalley_wilmott_centre"):
            width = whalley_wilmott(
                moment.gamma[:, None], view.spot, view.perp_rate, np.array(numbers, dtype=np.float64)[None, :]
            )
            answer[:, part] = _to(mine, width, width if policy == "whalley_wilmott" else 0.0)
        elif policy == "zakamouline":
            answer[:, part] = _zakamouline(moment, mine, [float(a or 0.0) for a in numbers])
        else:
            answer[:, part] = _leaning(moment, part, [float(b or 0.0) for b in numbers])
    return answer


def _groups(lanes: list[Lane]) -> list[tuple[int, int]]:
    """Runs of one policy."""
    starts = [i for i, lane in enumerate(lanes) if i == 0 or lanes[i - 1].policy != lane.policy]
    return list(pairwise([*starts, len(lanes)]))


def _due(moment: Moment, part: slice, hours: list[float]) -> BoolArray:
    since_h = (moment.view.now_ns - moment.last_ns[:, part]) / HOUR_NS
    every = np.array(hours)
    return np.asarray((every == 0.0) | (since_h >= every - 0.5 * SNAPSHOT_H))


def _to(x: FloatArray, width: Any, land: Any) -> FloatArray:
    """What brings x back to `land` on its own side, where it has left the width."""
    return np.where(np.abs(x) > width, np.sign(x) * np.minimum(land, np.abs(x)) - x, 0.0)


def aversion(spent: FloatArray, allowed: FloatArray, rate: FloatArray, base: float) -> FloatArray:
    """Risk aversion per USD by the past alone: base per day of the budget, e times more for every
    PATIENCE_DAYS of budget saved up, and as much less when overspent. rate: budget a day, USD."""
    ahead = (allowed - spent) / (PATIENCE_DAYS * rate)
    return base / rate * np.exp(np.clip(ahead, -AVERSION_SPAN, AVERSION_SPAN))


def _leaning(moment: Moment, part: slice, budgets: list[float]) -> FloatArray:
    view = moment.view
    known = (moment.c0 > 0)[:, None]
    share = np.array(budgets)[None, :]
    allowed = share * moment.c0[:, None]
    rate = np.where(known, allowed / max(moment.days, 1.0), 1.0)
    averse = np.where(known, aversion(moment.spent[:, part], allowed, rate, PERP_AVERSION), 1.0)
    width = whalley_wilmott(moment.gamma[:, None], view.spot, view.perp_rate, averse)
    trigger, inner = landing(width, view.spot, view.perp_rate, lot=moment.lot / view.perp)
    x = moment.delta[:, part] - moment.lean[:, None]
    return _to(x, trigger, inner)


def _zakamouline(moment: Moment, x: FloatArray, aversions: list[float]) -> FloatArray:
    """NaN where gammas differ in sign, or where the fit does not hold."""
    answer = np.full_like(x, np.nan)
    for b in range(len(x)):
        gamma = moment.gamma[b]
        if moment.gamma_abs[b] == 0.0:
            answer[b] = -x[b]
            continue
        if moment.gamma_abs[b] > abs(gamma) * (1.0 + 1e-9):
            continue
        for j, averse in enumerate(aversions):
            try:
                band = zakamouline(
                    gamma, moment.view.spot, moment.view.perp_rate, averse,
                    moment.gamma_vol[b], max(moment.gamma_years[b], 1.0 / 24.0 / DAYS_PER_YEAR),
                )  # fmt: skip
            except ValueError:
                continue
            shift = moment.vanna[b] * moment.gamma_vol[b] * (float(band.vol_factor) - 1.0)
            off = x[b, j] + shift
            answer[b, j] = _to(np.array(off), band.half_width, band.half_width)
    return answer


def leland_deltas(view: View, gamma: FloatArray, quantity: FloatArray) -> FloatArray:
    """What Leland's vol adds to the books' deltas, (B,); quantity (B, k) coins of the view's options."""
    adjustment = np.sqrt(2.0 / np.pi) * 2.0 * view.perp_rate / np.sqrt(SNAPSHOT_H / 24.0 / DAYS_PER_YEAR)
    shift = np.zeros(len(gamma))
    for sign in (-1.0, 1.0):
        mine = gamma * sign > 0
        if mine.any():
            variance = view.vol**2 * np.maximum(1.0 - sign * adjustment / view.vol, 0.05)
            there = black76.greeks(view.forward, view.strike, view.years, np.sqrt(variance), view.sign)
            shift[mine] = quantity[mine] @ (there.delta - view.delta)
    return shift
