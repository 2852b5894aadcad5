"""How far the hard limits were used: worst moment of each that a journal tells of, against what is allowed.

Budgets of the day are what the engine itself counted. Greeks are the book's as decided on, without what
orders in the market might still have added; what those led to is told by the refusals.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from hedger.limits_file import LoadedLimits, read_limits
from hedger.report.reading import Story
from hedger.report.tables import underlyings
from pricing.errors import InputError
from risk.limit_terms import Limits

Json = dict[str, Any]
#: Of a Greek its key in [greeks].
KEYS = {
    "delta": "delta_usd_max",
    "gamma": "gamma_usd_per_1pct_max",
    "gamma_expiring": "gamma_expiring_usd_per_1pct_max",
    "vega": "vega_usd_per_point_max",
}


@dataclass(frozen=True, slots=True)
class KnownLimits:
    """The limits that were in force at the last start; None where nobody can say, and why."""

    limits: Limits | None
    unknown: str = ""


def limits_of(story: Story, at_hand: LoadedLimits) -> KnownLimits:
    """The limits in the journal, or those at hand if their hash is the journal's."""
    if story.limits_text:
        try:
            return KnownLimits(read_limits(tomllib.loads(story.limits_text), "the journal"))
        except (ValueError, RecursionError, InputError) as error:
            return KnownLimits(None, f"the limits in the journal cannot be read: {error}")
    wanted = story.starts[-1]["limits_sha256"] if story.starts else ""
    if wanted and wanted == at_hand.sha256:
        return KnownLimits(at_hand.limits)
    return KnownLimits(None, "the journal has only the hash of its limits, and those at hand are others")


def limits_use(made: dict[str, pl.DataFrame], known: KnownLimits) -> list[Json]:
    """A line per limit: worst, allowed, share, at_ns; worst and share None where never known."""
    if known.limits is None:
        return []
    budget, usage = known.limits.budget, made["usage"]
    lines = [
        _line(
            "loss of the day", "USD", usage, -pl.col("pnl_low_usd").clip(upper_bound=0), budget.loss_usd_max
        ),
        _line("fees of the day", "USD", usage, pl.col("fees_usd"), budget.fee_usd_max),
        _line("slippage of the day", "USD", usage, pl.col("slippage_usd"), budget.slippage_usd_max),
    ]
    exposures = made["exposures"].rename({"from_ns": "now_ns"})
    size = pl.max_horizontal(pl.col("lowest").abs(), pl.col("highest").abs()) * pl.col("scale")
    rows: Sequence[str] = exposures["row"].unique(maintain_order=True).to_list()
    for name in underlyings(rows):
        own = known.limits.greeks_of(name)
        for greek, key in KEYS.items():
            row = f"{greek}:{name}"
            if row in rows:
                mine = exposures.filter(pl.col("row") == row)
                lines.append(_line(row, unit_of(row), mine, size, getattr(own, key)))
    return lines


def unit_of(row: str) -> str:
    """What a row is in on the desk.

    >>> unit_of("gamma:BTC"), unit_of("vega:BTC:0-7d")
    ('USD per 1 %', 'USD per point')
    """
    greek = row.split(":")[0]
    return {"delta": "USD", "pnl": "USD", "theta": "USD per day"}.get(
        greek, "USD per 1 %" if greek.startswith("gamma") else "USD per point"
    )


def _line(name: str, unit: str, frame: pl.DataFrame, use: pl.Expr, allowed: float) -> Json:
    told = frame.select("now_ns", use=use).drop_nulls()
    empty: Json = {"limit": name, "unit": unit, "worst": None, "allowed": allowed, "share": None}
    if told.is_empty():
        return {**empty, "at_ns": None}
    at = told["use"].arg_max() or 0
    worst = float(told["use"][at])
    share = worst / allowed if allowed > 0 else None
    return {**empty, "worst": worst, "share": share, "at_ns": int(told["now_ns"][at])}
