"""A journal as tables: what the page draws, what the document sums up, and what is written as Parquet.

Times are UTC ns, amounts USD unless a name says otherwise; null stands for what is not known and for a side
of a band that is open. `exposures` and its bands are in the rows' own units; times `scale` they are in those
of the desk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from hedger.report.capacity import limit_use
from hedger.report.gaps import GapKind
from hedger.report.spans import EDGES, HOUR_NS
from hedger.report.walk import ReadJournal
from pricing.daycount import NS_PER_SECOND
from risk.attribution import Parts
from risk.limit_terms import Limits

Schema = Mapping[str, type[pl.DataType]]
PARTS = tuple(Parts.__slots__)
#: Why a hedge cost something else than its ticket said (`hedger.core.verification`).
BECAUSE = ("fees", "slippage", "market", "unfilled", "planned_anew", "unwound")


def _columns(kind: type[pl.DataType], *names: str) -> dict[str, type[pl.DataType]]:
    return dict.fromkeys(names, kind)


def _usd(*names: str) -> dict[str, type[pl.DataType]]:
    return _columns(pl.Float64, *(f"{name}_usd" for name in names))


_INT, _TEXT = pl.Int64, pl.String
#: Columns of the tables that are told row by row.
SCHEMAS: dict[str, Schema] = {
    "valuations": {
        **_columns(_INT, "now_ns"),
        **_usd("equity", "pnl", "transfers"),
        "missing": _INT,
        **_usd(*PARTS),
    },
    "prices": {"now_ns": _INT, "underlying": _TEXT, "index_usd": pl.Float64},
    "fills": {
        **_columns(_INT, "now_ns", "execution"),
        **_columns(_TEXT, "venue", "symbol", "trade_id", "underlying", "kind", "side"),
        **_columns(_TEXT, "quantity", "price", "fee", "fee_currency"),
        "maker": pl.Boolean,
        **_usd("index", "turnover", "fee"),
    },
    "hedges": {
        **_columns(_INT, "execution", "begun_ns", "now_ns"),
        **_columns(_TEXT, "trigger", "ended"),
        **_columns(pl.Boolean, "filled", "inside"),
        **_columns(_INT, "replans", "orders", "fills"),
        **_usd("expected", "lower_bound", "fee", "slippage", "cost", "difference", "turnover"),
        **_usd(*(f"because_{name}" for name in BECAUSE)),
    },
    "usage": {
        **_columns(_INT, "now_ns", "day"),
        **_usd("turnover", "fees", "slippage", "pnl", "pnl_low", "equity_open"),
    },
    "alerts": {"now_ns": _INT, **_columns(_TEXT, "severity", "code", "text")},
    "starts": {
        "now_ns": _INT,
        **_columns(_TEXT, "version", "settings_sha256", "limits_sha256", "tape_sha256", "book_sha256"),
        "seed": _INT,
        **_columns(_TEXT, "user", "reason"),
    },
    "steering": {"now_ns": _INT, **_columns(_TEXT, "kind", "what", "user", "reason", "outcome")},
}
_EXPOSURES: Schema = {
    "from_ns": _INT,
    "row": _TEXT,
    **_columns(pl.Float64, "value", "lowest", "highest", "known_s", "outside_s", "unknown_s"),
    "decisions": _INT,
    **_columns(pl.Float64, *EDGES),
}
_SETTINGS: Schema = {
    "now_ns": _INT,
    **_columns(_TEXT, "how", "sha256", "wrote"),
    "known": pl.Boolean,
    **_columns(_TEXT, "user", "reason", "changes"),
}
_GAPS: Schema = {
    **_columns(_TEXT, "kind", "what"),
    **_columns(_INT, "from_ns", "to_ns"),
    "seconds": pl.Float64,
    "open": pl.Boolean,
}
_HOURS: Schema = {
    "hour_ns": _INT,
    **_columns(pl.Float64, "known_s", "outside_s", "unknown_s", "pnl_usd", "cost_usd", "turnover_usd"),
    **_columns(_INT, "hedges", "fills", "alerts"),
    "gap_s": pl.Float64,
}


def tables(journal: ReadJournal, limits: Limits | None = None) -> dict[str, pl.DataFrame]:
    """All tables of a journal by name. limits: those that were in force."""
    exposures = _exposures(journal)
    made = {
        name: pl.DataFrame(getattr(journal, name), schema=dict(schema)) for name, schema in SCHEMAS.items()
    }
    return {
        "exposures": exposures,
        **made,
        "settings": pl.DataFrame([asdict(turn) for turn in journal.in_force], schema=dict(_SETTINGS)),
        "limit_use": limit_use(
            journal.limit_rows,
            journal.sent,
            exposures,
            made["usage"],
            made["valuations"],
            limits,
            journal.spans.width_ns,
            journal.to_ns,
        ),
        "gaps": _gaps(journal),
        "hours": _hours(journal, made),
    }


def _exposures(journal: ReadJournal) -> pl.DataFrame:
    """A line per row and span in which something held."""
    spans, parts = journal.spans, [pl.DataFrame(schema=dict(_EXPOSURES))]
    for row, seen in spans.rows.items():
        held = np.flatnonzero((seen.decisions > 0) | (seen.known_s > 0) | (seen.unknown_s > 0))
        edges = spans.edges_by_then(row)[:, held]
        columns: dict[str, Any] = {
            "from_ns": spans.from_ns + held * spans.width_ns,
            "row": [row] * held.size,
            **{"value": seen.last[held], "lowest": seen.low[held], "highest": seen.high[held]},
            **{name: getattr(seen, name)[held] for name in ("known_s", "outside_s", "unknown_s")},
            "decisions": seen.decisions[held].astype(np.int64),
            **dict(zip(EDGES, edges, strict=True)),
        }
        parts.append(pl.DataFrame(columns, schema=dict(_EXPOSURES)))
    floats = pl.col(pl.Float64)
    return pl.concat(parts).with_columns(pl.when(floats.is_finite()).then(floats))


def _gaps(journal: ReadJournal) -> pl.DataFrame:
    rows = [
        {
            **{"kind": str(gap.kind), "what": gap.what, "from_ns": gap.from_ns, "to_ns": gap.to_ns},
            **{"seconds": gap.seconds, "open": gap.open},
        }
        for gap in journal.gaps
    ]
    return pl.DataFrame(rows, schema=dict(_GAPS))


def _hours(journal: ReadJournal, made: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Every hour of the clock in which something was decided, valued or done."""
    found: dict[int, dict[str, Any]] = {}

    def hour(number: int) -> dict[str, Any]:
        blank = {"hour_ns": number * HOUR_NS, "hedges": 0, "fills": 0, "alerts": 0, "gap_s": 0.0}
        zeros = dict.fromkeys(("known_s", "outside_s", "unknown_s", "cost_usd", "turnover_usd"), 0.0)
        return found.setdefault(number, {**blank, **zeros, "pnl_usd": None})

    for number, sums in journal.spans.hours.items():
        hour(number).update(known_s=sums.known_s, outside_s=sums.outside_s, unknown_s=sums.unknown_s)
    for number, gain in _gains(made["valuations"]).items():
        hour(number)["pnl_usd"] = gain
    for name, amount in (("hedges", "cost_usd"), ("fills", "turnover_usd"), ("alerts", "")):
        for row in made[name].iter_rows(named=True):
            mine = hour(row["now_ns"] // HOUR_NS)
            mine[name] += 1
            if amount:
                x = row[amount]
                mine[amount] = None if x is None or mine[amount] is None else mine[amount] + x
    for number, mine in found.items():
        mine["gap_s"] = _silent_s(journal, number * HOUR_NS, (number + 1) * HOUR_NS)
    return pl.DataFrame([found[number] for number in sorted(found)], schema=dict(_HOURS))


def _gains(valuations: pl.DataFrame) -> dict[int, float | None]:
    """P&L by hour: of the stretches between two valuations that end in it; None where one is not known."""
    found: dict[int, float | None] = {}
    before: float | None = None
    columns = (valuations["now_ns"], valuations["pnl_usd"], valuations["transfers_usd"])
    for now_ns, pnl, transfers in zip(*columns, strict=True):
        if pnl is None:
            continue  # nothing could be valued up to here
        gained = pnl - transfers
        number = now_ns // HOUR_NS
        gain = gained - (0.0 if before is None else before)
        so_far = found.get(number, 0.0)
        found[number] = None if so_far is None else so_far + gain
        before = gained
    return found


def _silent_s(journal: ReadJournal, from_ns: int, to_ns: int) -> float:
    """Seconds between two times in which marks, a link or the engine were missing, each second once."""
    kinds = (GapKind.MARKS, GapKind.LINK, GapKind.ENGINE)
    ends = [(g.from_ns, g.to_ns) for g in journal.gaps if g.kind in kinds]
    return union_ns((max(a, from_ns), min(b, to_ns)) for a, b in ends) / NS_PER_SECOND


def union_ns(intervals: Iterable[tuple[int, int]]) -> int:
    """How long at least one of some intervals lasts.

    >>> union_ns([(0, 10), (5, 12), (20, 21), (9, 3)])
    13
    """
    total, reached = 0, -(2**63)
    for begin, end in sorted(pair for pair in intervals if pair[0] < pair[1]):
        total += max(end - max(begin, reached), 0)
        reached = max(reached, end)
    return total


def underlyings(names: Sequence[str]) -> list[str]:
    """Underlyings of rows, in the order in which they come.

    >>> underlyings(["delta:BTC", "vega:ETH:0-7d", "gamma:BTC"])
    ['BTC', 'ETH']
    """
    return list(dict.fromkeys(name.split(":")[1] for name in names))
