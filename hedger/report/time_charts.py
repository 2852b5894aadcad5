"""The report's charts of time: the worst hours, and when data was missing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import polars as pl

from hedger.amounts import counted
from hedger.report.drawing import (
    AMBER,
    BLUE,
    ORANGE,
    PINK,
    SKY,
    Absent,
    Chart,
    Drawn,
    Tables,
    dated,
    within,
)
from hedger.report.gaps import GapKind
from hedger.report.spans import HOUR_NS
from hedger.report.words import moment, percent, span, times, usd

Json = dict[str, Any]
GAP_COLOURS = {
    GapKind.ENGINE: "#444444",
    GapKind.MARKS: ORANGE,
    GapKind.WORTH: AMBER,
    GapKind.LINK: PINK,
    GapKind.BOOK: SKY,
}
#: Lanes of a chart of gaps; all of them stand in the table.
LANES_MAX = 14
#: Gaps drawn, the longest first.
GAPS_MAX = 1500


def hour_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """P&L hour by hour, the worst ones marked."""
    from plotly.graph_objects import Figure

    hours, worst = made["hours"].drop_nulls("pnl_usd"), document["worst_hours"]
    if hours.is_empty():
        why = "There are no two marks at which the whole book has a worth."
        yield Absent("hours", "The worst hours", why)
        return
    marked = {row["hour_ns"] for row in worst}
    figure = Figure()
    at = hours["hour_ns"].to_list()
    figure.add_bar(
        **within(document, at, HOUR_NS, 0.95),
        y=hours["pnl_usd"].to_numpy(),
        name="P&L",
        marker={"color": [ORANGE if x in marked else BLUE for x in at], "line": {"width": 0}},
        showlegend=False,
        hovertemplate="%{x}: %{y:,.0f} USD<extra></extra>",
    )
    figure.update_layout(height=320)
    dated(figure, document)
    figure.update_yaxes(title="P&L of the hour, USD")
    title = "No hour lost anything"
    if worst:
        lost = usd(-worst[0]["pnl_usd"])
        title = f"The worst hour began {moment(worst[0]['hour_ns'])[:16]} UTC and lost {lost}"
    caption = (
        "P&L of every hour of the clock. A stretch between two valuations counts in the hour of its end."
    )
    if worst:
        caption += f" In orange the {counted(len(worst), 'worst one') if len(worst) > 1 else 'worst one'}."
    yield Chart("hours", title, caption, figure)


def gap_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """What was missing when, a lane for each kind and whom it befell."""
    from plotly.graph_objects import Figure

    gaps = made["gaps"].sort("seconds", descending=True).head(GAPS_MAX)
    if gaps.is_empty():
        yield Absent("gaps", "Data gaps", "None: marks, links, books and engine were there all the while.")
        return
    lane = pl.when(pl.col("kind") == str(GapKind.WORTH)).then(pl.lit("book")).otherwise(pl.col("what"))
    gaps = gaps.with_columns(lane=pl.col("kind") + ": " + lane)
    lanes = gaps.group_by("lane").agg(pl.col("seconds").sum()).sort("seconds", descending=True)
    kept = lanes["lane"].head(LANES_MAX).to_list()
    figure = Figure()
    for kind, colour in GAP_COLOURS.items():
        mine = gaps.filter((pl.col("kind") == str(kind)) & pl.col("lane").is_in(kept))
        if mine.is_empty():
            continue
        figure.add_bar(
            base=times(mine["from_ns"].to_list()),
            x=(mine["seconds"] * 1000).to_numpy(),
            y=mine["lane"].to_list(),
            orientation="h",
            name=str(kind),
            marker_color=colour,
            text=[f"{escape(what)}<br>{span(s)}" for what, s in mine.select("what", "seconds").iter_rows()],
            textposition="none",
            hovertemplate="%{text}<br>from %{base}<extra></extra>",
        )
    figure.update_layout(height=110 + 38 * min(len(kept), LANES_MAX), barmode="overlay")
    dated(figure, document)
    figure.update_yaxes(automargin=True)
    kinds = {row["kind"]: row for row in document["gaps"]["kinds"]}
    most = max(kinds.values(), key=lambda row: row["seconds"])
    hours = document["journal"]["hours"]
    share = most["seconds"] / (hours * 3600) if hours > 0 else None
    title = (
        f'{counted(made["gaps"].height, "gap")} in the data; most time went to "{most["kind"]}": '
        f"{span(most['seconds'])} in {counted(most['count'], 'spell')}"
    )
    if share is not None and share <= 1:
        title += f", {percent(share)} of the record"
    more = lanes.height - len(kept)
    caption = (
        'When something was missing. "No marks": for longer than quotes may be old and than three usual '
        "pauses."
    )
    yield Chart(
        "gaps", title, caption + (f" {more} more lanes stand in gaps.parquet." if more else ""), figure
    )
