"""The report as one JSON document: every figure is a sum, an extreme or a share of the report's own tables.

Whoever has the tables can reckon each of them again. What is not known is null, with its reason among the
`assumptions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from hedger.desk.profit import APART_S
from hedger.documents import number
from hedger.report.limits_use import KnownLimits, limits_use
from hedger.report.tables import BECAUSE, PARTS
from hedger.report.walk import ReadJournal
from hedger.report.words import desk_unit
from pricing.daycount import NS_PER_SECOND, iso

Json = dict[str, Any]
Tables = dict[str, pl.DataFrame]
WORST_HOURS = 10
LONGEST_GAPS = 10
#: A difference of rows greater than this share is no rounding.
REVALUED_MAX = 1e-6
#: A smaller share of the time is the first moments of a run.
UNKNOWN_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class Around:
    """What is known beside the records. file: the journal's name. running: an engine writes it now. frontier:
    a study's document. study: its file's name."""

    file: str
    limits: KnownLimits
    running: bool = False
    frontier: Json | None = None
    study: str = ""


def report_document(journal: ReadJournal, made: Tables, around: Around) -> Json:
    """The document, but for the files it lies beside."""
    seed = journal.starts[-1]["seed"] if journal.starts else None
    return {
        "journal": {
            "file": around.file,
            "trading": journal.name.trading,
            "engine": journal.name.engine,
            "from": iso(journal.from_ns),
            "to": iso(journal.to_ns),
            "from_ns": journal.from_ns,
            "to_ns": journal.to_ns,
            "hours": (journal.to_ns - journal.from_ns) / NS_PER_SECOND / 3600,
            "records": journal.head.number,
            "head": str(journal.head),
            "running": around.running,
        },
        "seed": seed,
        "seed_unknown": _no_seed(journal) if seed is None else None,
        "settings": {
            "sha256": journal.in_force[-1].sha256 if journal.in_force else None,
            "same_as_run": all(turn.known for turn in journal.in_force) if journal.in_force else None,
            "numeraire": _numeraire(journal),
            "in_force": made["settings"].to_dicts(),
        },
        "starts": made["starts"].to_dicts(),
        "events": journal.events,
        "decisions": journal.spans.decisions,
        "orders": journal.orders,
        "rows": _rows(made["exposures"]),
        "hedges": _hedges(journal, made["hedges"]),
        "fills": _fills(made["fills"]),
        "turnover_days": _turnover_days(made["fills"]),
        "pnl": _pnl(journal, made["valuations"]),
        "limits": limits_use(made),
        "limits_unknown": around.limits.unknown or None,
        "refused": dict(sorted(journal.refused.items())),
        "alerts": _alerts(made["alerts"]),
        "steering": _steering(made["steering"]),
        "worst_hours": _worst_hours(made["hours"]),
        "gaps": _gaps(made["gaps"]),
        "revaluation": None
        if journal.revalued is None
        else {"worst_share": journal.revalued[0], "row": journal.revalued[1]},
        "frontier": None if around.frontier is None else {"file": around.study, **around.frontier},
        "warnings": warnings(journal, made, around),
        "assumptions": assumptions(journal),
    }


def _no_seed(journal: ReadJournal) -> str:
    """Why a run has no seed on record."""
    if journal.name.on_venues:
        return "nothing is drawn in a run on venues"
    return "the release that wrote this journal did not write one down"


def _numeraire(journal: ReadJournal) -> str:
    return "unknown" if journal.settings is None else str(journal.settings.numeraire)


def warnings(journal: ReadJournal, made: Tables, around: Around) -> list[str]:
    """What a reader must know before trusting a chart."""
    found = []
    if not all(turn.known for turn in journal.in_force):
        found.append(
            "The settings of the run are not all known: its journal does not hold them, or its release had "
            "other keys, and those at hand stand in for them. Bands and P&L by cause may be others than "
            "then. Name the settings of the run with --config."
        )
    if journal.revalued is not None and journal.revalued[0] > REVALUED_MAX:
        share, row = journal.revalued
        found.append(
            f"Valued again, {row} differs by up to {100 * share:.3g} % from what the engine wrote down."
        )
    unknown_s, known_s = (float(made["hours"][name].sum()) for name in ("unknown_s", "known_s"))
    share = unknown_s / (unknown_s + known_s) if unknown_s > 0 else 0.0
    if share > UNKNOWN_SHARE:
        found.append(
            f"For {100 * share:.3g} % of the time some exposure was not known, as something held had no "
            "mark or nothing had one yet; nothing is drawn there."
        )
    if around.running:
        found.append("An engine was writing this journal: the report ends where it stood when it was read.")
    return found


def assumptions(journal: ReadJournal) -> list[str]:
    """How the figures came about."""
    found = [
        "Exposures, costs of hedges, refusals and alerts are as the engine wrote them down when it decided. "
        "A decision's exposures are taken to hold until the next one.",
        f"The book is valued anew at marks at least {journal.apart_s:.3g} s apart: points of P&L, prices and "
        "bands are of those moments, with the settings in force then. Bands that follow realised volatility "
        "are drawn without their history.",
        f"P&L by cause is a second-order expansion between marks at least {APART_S:g} s apart, as `hedger "
        "pnl` makes it; what it does not explain is the residual. Fees and slippage count at the index of "
        "their trade, funding when it is booked.",
        "A hedge's cost is its fees and its slippage against the reference price of the plan; the ticket is "
        "what the plan expected of it. Turnover, fees and slippage of hedges are those of hedges that ended, "
        "as their checks have them; those of fills and of the P&L are of every fill.",
        "Turnover is the price paid for options and spot, the notional of perpetuals and futures, at the "
        "index of the moment.",
        "Use of limits: positions, margin and Greeks are the book's, without orders in the market; positions "
        "and margin at each valuation, margin by the venue's model. Budgets of the day are as the engine "
        "counted them, and hold until the next count, the day's end or the record's; the day's loss is told "
        "at each valuation as well. What orders in the market led to is told by the refusals.",
        f"Numeraire of the rows: {_numeraire(journal)}.",
    ]
    if journal.name.trading == "replay":
        found.append(
            "This is a replay: time passes only in the tape, so a hedge takes no time but its latencies, and "
            "nothing moves between two snapshots."
        )
    return found


def _rows(exposures: pl.DataFrame) -> list[Json]:
    """A line per row: extremes, and shares of the time in which something was decided. In the row's unit."""
    found = []
    for (row,), mine in exposures.group_by(["row"], maintain_order=True):
        known, outside, unknown = (float(mine[n].sum()) for n in ("known_s", "outside_s", "unknown_s"))
        last = mine.tail(1).to_dicts()[0]
        values = mine["value"].drop_nulls()
        found.append(
            {
                "row": row,
                "desk_unit": desk_unit(str(row)),
                "first": values[0] if len(values) else None,
                "last": last["value"],
                "lowest": mine["lowest"].min(),
                "highest": mine["highest"].max(),
                "known_s": known,
                "outside_s": outside,
                "unknown_s": unknown,
                "outside_share": outside / known if known > 0 else None,
                "trigger": _interval(last["trigger_low"], last["trigger_high"]),
                "landing": _interval(last["landing_low"], last["landing_high"]),
                "scale": last["scale"],
            }
        )
    return found


def _interval(low: float | None, high: float | None) -> list[float | None] | None:
    return None if low is None and high is None else [low, high]


def _sum(column: pl.Series) -> float | None:
    """The sum; None where one of them is not known."""
    return None if column.null_count() else number(float(column.sum()))


def _hedges(journal: ReadJournal, hedges: pl.DataFrame) -> Json:
    names = ("expected_usd", "cost_usd", "fee_usd", "slippage_usd", "difference_usd", "turnover_usd")
    return {
        "count": hedges.height,
        "filled": int(hedges["filled"].sum()),
        "inside": int(hedges["inside"].sum()),
        **{name: _sum(hedges[name]) for name in names},
        "because_usd": {name: _sum(hedges[f"because_{name}_usd"]) for name in BECAUSE},
        "tickets": dict(sorted(journal.tickets.items())),
    }


def _fills(fills: pl.DataFrame) -> Json:
    by_coin = fills.group_by("underlying", "kind", maintain_order=True).agg(
        count=pl.len(),
        turnover_usd=pl.when(pl.col("turnover_usd").null_count() == 0).then(pl.col("turnover_usd").sum()),
        fee_usd=pl.when(pl.col("fee_usd").null_count() == 0).then(pl.col("fee_usd").sum()),
    )
    return {
        "count": fills.height,
        "turnover_usd": _sum(fills["turnover_usd"]),
        "fee_usd": _sum(fills["fee_usd"]),
        "by_kind": by_coin.sort("underlying", "kind").to_dicts(),
    }


def _turnover_days(fills: pl.DataFrame) -> list[Json]:
    days = fills.group_by(pl.from_epoch("now_ns", "ns").dt.strftime("%Y-%m-%d").alias("day")).agg(
        fills=pl.len(),
        turnover_usd=pl.when(pl.col("turnover_usd").null_count() == 0).then(pl.col("turnover_usd").sum()),
    )
    return days.sort("day").to_dicts()


def _pnl(journal: ReadJournal, valuations: pl.DataFrame) -> Json:
    """The P&L of the whole record as the last valuation has it, and the days as `hedger pnl` tells them."""
    told = valuations.filter(pl.col("pnl_usd").is_not_null())
    last: Json = told.tail(1).to_dicts()[0] if told.height else {}
    ended = last and last["now_ns"] < valuations["now_ns"].max()
    return {
        "valuations": valuations.height,
        "from": journal.profit.get("from"),
        "to": journal.profit.get("to"),
        "unknown_since": iso(last["now_ns"]) if ended else None,
        "pnl_usd": last.get("pnl_usd"),
        "attribution_usd": {part: last.get(f"{part}_usd") for part in PARTS},
        "underlyings": journal.profit["underlyings"],
        "days": journal.profit["days"],
        "harvest_usd": journal.profit["harvest_usd"],
        "ledger_difference_usd": journal.profit["ledger_difference_usd"],
        "marks_passed_over": journal.profit["marks_passed_over"],
        "before_first_mark": journal.profit["before_first_mark"],
        "unexplained_days": journal.profit["unexplained"],
        "unknown": journal.profit["unknown"],
    }


def _alerts(alerts: pl.DataFrame) -> list[Json]:
    counted = alerts.group_by("severity", "code", maintain_order=True).agg(
        count=pl.len(), last_ns=pl.col("now_ns").max(), last_text=pl.col("text").last()
    )
    return counted.sort(["count", "code"], descending=[True, False]).to_dicts()


def _steering(steering: pl.DataFrame) -> list[Json]:
    """Who asked for what, why, and what came of it; what the modes became stands in the table."""
    asked = steering.filter(pl.col("kind") != "mode").drop("kind")
    return [{"at": iso(row["now_ns"]), **row} for row in asked.to_dicts()]


def _worst_hours(hours: pl.DataFrame) -> list[Json]:
    """Hours with the largest losses first; hours that made none are not among them."""
    lost = hours.filter(pl.col("pnl_usd") < 0).sort("pnl_usd", "hour_ns").head(WORST_HOURS)
    return [{"hour": iso(row["hour_ns"]), **row} for row in lost.to_dicts()]


def _gaps(gaps: pl.DataFrame) -> Json:
    by_kind = gaps.group_by("kind").agg(count=pl.len(), seconds=pl.col("seconds").sum()).sort("kind")
    longest = gaps.sort(["seconds", "from_ns"], descending=[True, False]).head(LONGEST_GAPS)
    return {
        "kinds": by_kind.to_dicts(),
        "longest": [
            {**row, "from": iso(row["from_ns"]), "to": iso(row["to_ns"])} for row in longest.to_dicts()
        ],
    }
