"""The report's charts of the desk: turnover, worst hours, data gaps, a study's frontier."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import polars as pl

from hedger.amounts import counted
from hedger.report.charts import (
    AMBER,
    BLUE,
    KIND_COLOURS,
    ORANGE,
    PINK,
    SKY,
    Absent,
    Chart,
    Drawn,
    Tables,
    dated,
)
from hedger.report.gaps import GapKind
from hedger.report.spans import HOUR_NS
from hedger.report.words import moment, percent, span, times, usd

Json = dict[str, Any]
#: Turnover is summed up by the minute or hour in records up to so long, and by the day beyond.
MINUTELY_H, HOURLY_H = 3.0, 72.0
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


def turnover_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """USD traded by hour or day, by kind of instrument."""
    from plotly.graph_objects import Figure

    fills = made["fills"].drop_nulls("turnover_usd")
    if fills.is_empty():
        why = "Nothing was filled." if made["fills"].is_empty() else "No fill's turnover is known."
        yield Absent("turnover", "Turnover", why)
        return
    length = document["journal"]["hours"]
    word, hours = "day", 24.0
    if length <= HOURLY_H:
        word, hours = ("hour", 1.0) if length > MINUTELY_H else ("minute", 1 / 60)
    step_ns = round(hours * HOUR_NS)
    summed = (
        fills.with_columns(begin=pl.col("now_ns") // step_ns * step_ns)
        .group_by("kind", "begin")
        .agg(pl.col("turnover_usd").sum())
        .sort("begin")
    )
    figure = Figure()
    for kind, colour in KIND_COLOURS.items():
        mine = summed.filter(pl.col("kind") == kind)
        if mine.height:
            figure.add_bar(
                **_within(document, mine["begin"].to_list(), step_ns, 0.9),
                y=mine["turnover_usd"].to_numpy(),
                name=kind,
                marker_color=colour,
                hovertemplate="%{y:,.0f} USD<extra>" + kind + "</extra>",
            )
    figure.update_layout(height=320, barmode="stack", bargap=0)
    dated(figure, document)
    figure.update_yaxes(title="USD")
    total, fees = document["fills"]["turnover_usd"], document["fills"]["fee_usd"]
    title = f"{usd(total)} were turned over in {counted(document['fills']['count'], 'fill')}"
    if total and fees is not None:
        title += f", at {fees / total * 1e4:.2f} bp of fees"
    caption = (
        f"By {word} and kind of instrument: premiums of options, prices of spot, notionals of perpetuals and "
        "futures."
    )
    yield Chart("turnover", title, caption, figure)


def _within(document: Json, begins: list[int], step_ns: int, share: float) -> Json:
    """Where bars of equal spans stand on the record's axis of time, a share of their span wide; of the first
    and the last span what lies in the record."""
    journal = document["journal"]
    lows = [max(begin, journal["from_ns"]) for begin in begins]
    highs = [min(begin + step_ns, journal["to_ns"]) for begin in begins]
    widths = times([max(high - low, 1) for low, high in zip(lows, highs, strict=True)])
    return {"x": times(lows), "width": widths * share, "offset": widths * (1 - share) / 2}


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
        **_within(document, at, HOUR_NS, 0.95),
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


def frontier_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """Cost against risk of the policies of a study, if one was named."""
    from hedger.studies.frontier_report import caption, figures

    study = document["frontier"]
    if study is None:
        why = "No study was named: --frontier FILE takes what `hedger study frontier --json` prints."
        yield Absent("frontier", "Cost against risk of hedging policies", why)
        return
    for number, (heading, text, figure) in enumerate(figures(study)):
        title = f"What risk each policy leaves at what cost, {heading}"
        told = f"{caption(study)} {text}" if number == 0 else text
        figure.update_layout(height=440)
        yield Chart(f"frontier-{number}", title, told, figure)
