"""Our Greeks against the venues', over every batch of recorded tapes: worst, median, what is flagged, why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hedger.studies.check_venue import VenueComparison, compare_batch, stamp_error_s
from hedger.studies.picture import COLOURS
from hedger.studies.venue_report import summary
from pricing.venue_greeks import GREEKS, Convention
from venues.tape import Tape


def measure(tape: Tape, every: int = 1) -> Iterator[dict[str, Any]]:
    """The summary of every venue and convention on a tape, over every `every`-th batch.

    A batch is held against the one before it, taken or not, so that stale copies are recognised.
    """
    parts: dict[tuple[str, Convention], list[VenueComparison]] = {}
    left_out, before, error_s = 0, None, stamp_error_s(tape)
    for number, frame in enumerate(tape.venue_greeks()):
        if number % every == 0:
            compared, out = compare_batch(frame, before, tape.universe, error_s)
            left_out += out
            for one in compared:
                parts.setdefault((one.venue, one.convention), []).append(one)
        before = frame
    if not parts:
        nothing: dict[str, Any] = {"venue": None, "convention": None, "compared": 0, "flagged": 0}
        nothing |= {"greeks": {}, "reasons": {}}
        yield {"tape": tape.path.name, **nothing, "left_out": left_out, "index_move_worst": None}
    for found in parts.values():
        figures = summary(found)
        moves = [abs(capture["index_move"]) for capture in figures.pop("captures")]
        yield {
            "tape": tape.path.name,
            **figures,
            "left_out": left_out,
            "index_move_worst": max(moves, default=None),
        }


def document(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The document that `study greeks --json` prints."""
    return {
        "measure": "ours minus the venue's, in its own units and convention, each quote at its own stamp",
        "tolerance": "half a unit of the last digit, plus what rounding and capture times of the inputs do",
        "rows": rows,
    }


def table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """A line per tape, convention and Greek."""
    columns = ["tape", "convention", "Greek", "compared", "worst", "median", "flagged"]
    lines = [
        [
            row["tape"] if number == 0 else "",
            row["convention"] if number == 0 else "",
            name,
            str(figures["compared"]),
            f"{figures['worst']:.2g}",
            f"{figures['median']:.2g}",
            str(figures["flagged"]),
        ]
        for row in result["rows"]
        for number, (name, figures) in enumerate(row["greeks"].items())
    ]
    return columns, lines


def reasons_table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """A line per tape and convention: how many options were flagged, and the likely reasons."""
    columns = ["tape", "convention", "compared", "left out", "flagged", "likely reasons"]
    lines = [
        [
            row["tape"],
            row["convention"] or "-",
            str(row["compared"]),
            str(row["left_out"]),
            str(row["flagged"]),
            ", ".join(f"{name} {count}" for name, count in row["reasons"].items()),
        ]
        for row in result["rows"]
    ]
    return columns, lines


def figures(result: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Worst and median difference of every Greek, and the shares flagged by reason."""
    from plotly.graph_objects import Figure

    made = []
    for name in GREEKS:
        rows = [row for row in result["rows"] if name in row["greeks"]]
        if not rows:
            continue
        figure = Figure()
        labels = [f"{row['tape']} ({row['convention']})" for row in rows]
        for number, kind in enumerate(("worst", "median")):
            figure.add_bar(
                x=labels,
                y=[row["greeks"][name][kind] or None for row in rows],
                name=kind,
                marker_color=COLOURS[number],
            )
        figure.update_yaxes(
            type="log", title=f"difference of {name}, the venue's units", exponentformat="power"
        )
        made.append((name, "Ours minus the venue's, over all options and batches of a tape.", figure))
    figure = Figure()
    compared = [row for row in result["rows"] if row["compared"]]
    labels = [f"{row['tape']} ({row['convention']})" for row in compared]
    reasons = sorted({reason for row in compared for reason in row["reasons"]})
    for number, reason in enumerate(reasons):
        figure.add_bar(
            x=labels,
            y=[100.0 * row["reasons"].get(reason, 0) / row["compared"] for row in compared],
            name=reason,
            marker_color=COLOURS[number % len(COLOURS)],
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(title="flagged, % of the options compared")
    made.append(("What is flagged, and the likely reason", result["tolerance"], figure))
    return made
