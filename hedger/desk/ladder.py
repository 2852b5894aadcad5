"""The what-if ladder: spot x vol x time, every cell by full revaluation, of the book and of the hedged book.

All coins move by the same share, all vols by the same points, expiries come nearer by the same days. Cells
are in the desk's terms (`risk.repricing.Repriced`); in the coin numeraire each coin is counted in itself and
there is no sum of several. Margin is the book's initial margin after the shock (`hedger.desk.margin_ladder`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hedger.desk.holdings import holdings_of, summed
from hedger.desk.ladder_metrics import METRICS
from hedger.desk.margin_ladder import margin_cells
from hedger.documents import number
from hedger.planning import HedgePlan
from hedger.problem.snapshot import NOTHING_MOVES, Snapshot
from hedger.settings import Settings
from pricing.universe import FloatArray
from pricing.valuation import Numeraire
from risk.repricing import Repriced, reprice
from risk.scenarios import Shock

Json = dict[str, Any]
SIDES = ("unhedged", "hedged")
#: In the place of a margin that no model tells.
NO_MODEL = "-"
_USD_UNITS = {
    "pnl": "USD", "delta": "USD", "gamma": "USD of delta per 1 %", "vega": "USD per point", "margin": "USD",
}  # fmt: skip
_COIN_UNITS = {
    "pnl": "coin", "delta": "coin", "gamma": "coin per 1 %", "vega": "coin per point", "margin": "coin",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axes:
    """What is asked. spot_pct: moves of the index, per cent. vol_points: added to every vol. days: from
    now."""

    spot_pct: tuple[float, ...] = (-20, -10, -5, -3, -2, -1, 0, 1, 2, 3, 5, 10, 20)
    vol_points: tuple[float, ...] = (-20, -15, -10, -5, 0, 5, 10, 15, 20)
    days: tuple[float, ...] = (0, 1, 7)

    @classmethod
    def of(cls, spot_pct: tuple[float, ...], vol_points: tuple[float, ...], days: tuple[float, ...]) -> Axes:
        """The axes that are given; an empty one is as it is where none is."""
        given = {"spot_pct": spot_pct, "vol_points": vol_points, "days": days}
        return cls(**{name: axis for name, axis in given.items() if axis})

    def shocks(self) -> list[Shock]:
        """Every cell: days, in them vols, in them spots."""
        return [
            Shock(spot=spot / 100.0, vol=vol / 100.0, hours=24.0 * days)
            for days in self.days
            for vol in self.vol_points
            for spot in self.spot_pct
        ]


PLAIN_AXES = Axes()


def unit_of_metric(metric: str, numeraire: Numeraire) -> str:
    """What a cell's number is in."""
    return (_USD_UNITS if numeraire is Numeraire.USD else _COIN_UNITS)[metric]


def ladder_document(
    snapshot: Snapshot,
    plan: HedgePlan | None,
    metric: str = "pnl",
    axes: Axes = PLAIN_AXES,
    settings: Settings | None = None,
) -> Json:
    """The ladder as JSON: null where a number is not known.

    plan: the hedge to show beside the book; None: none was asked for, and `hedged` is null. settings: which
    name the margin models.

    Raises:
        ValueError: there is no such metric.
    """
    if metric not in METRICS:
        raise ValueError(f"{metric!r}: allowed are {', '.join(METRICS)}")
    shocks, holdings = axes.shocks(), holdings_of(snapshot, plan)
    found = reprice(
        snapshot.market,
        snapshot.valuation,
        holdings,
        dict.fromkeys(snapshot.underlyings, shocks),
        snapshot.meaning,
        len(shocks),
    )
    in_usd = snapshot.numeraire is Numeraire.USD
    values, notes = (
        margin_cells(snapshot, holdings, shocks, settings)
        if metric == "margin"
        else ([one.of(metric) for one in found], ())
    )
    totals = [summed(one, one_unit=in_usd) for one in values]
    return {
        "metric": metric,
        "unit": unit_of_metric(metric, snapshot.numeraire),
        "notes": [NOTHING_MOVES, *notes] if snapshot.unmoved else list(notes),
        "spot_pct": list(axes.spot_pct),
        "cells": _cells(totals, axes),
        "underlyings": [
            {
                "underlying": name,
                "cells": _cells([one[u] for one in values], axes),
                "worst": {
                    side: None if one is None else _worst(one.pnl[u], shocks)
                    for side, one in _sides(found).items()
                },
            }
            for u, name in enumerate(snapshot.underlyings)
        ],
        "worst": {
            side: None if one is None else _worst(summed(one.pnl, one_unit=in_usd), shocks)
            for side, one in _sides(found).items()
        },
    }


def grids(ladder: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """What of a ladder is shown: (whose, what has `cells` and `worst`). The book, named "", where there is a
    sum of its coins; else each coin in itself."""
    apart = ladder["unit"] != _USD_UNITS[ladder["metric"]] and len(ladder["underlyings"]) > 1
    return [(u["underlying"], u) for u in ladder["underlyings"]] if apart else [("", ladder)]


def _sides(found: Sequence[Repriced]) -> dict[str, Repriced | None]:
    return {side: found[i] if i < len(found) else None for i, side in enumerate(SIDES)}


def _cells(values: Sequence[FloatArray], axes: Axes) -> list[Json]:
    """A line for each day and vol: its numbers by spot."""
    shape = len(axes.days), len(axes.vol_points), len(axes.spot_pct)
    grids = [one.reshape(shape) for one in values]
    return [
        {"days": days, "vol_points": vol}
        | {
            side: [number(x) for x in grids[i][d, v].tolist()] if i < len(grids) else None
            for i, side in enumerate(SIDES)
        }
        for d, days in enumerate(axes.days)
        for v, vol in enumerate(axes.vol_points)
    ]


def _worst(pnl: FloatArray, shocks: Sequence[Shock]) -> Json | None:
    """The cell with the least P&L, whatever metric is shown; null where a cell's is not known."""
    if not pnl.size or not np.isfinite(pnl).all():
        return None
    at = int(np.argmin(pnl))
    shock = shocks[at]
    return {
        "pnl": number(pnl[at]),
        "spot_pct": _round(shock.spot * 100.0),
        "vol_points": _round(shock.vol * 100.0),
        "days": _round(shock.hours / 24.0),
    }


def _round(x: float) -> float:
    """A number as it was asked for: 0.03 x 100 is 3."""
    return round(x, 9) if math.isfinite(x) else x
