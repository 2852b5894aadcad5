"""The report's charts of the hard limits: how much of each was used at worst, and when."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
import polars as pl

from hedger.amounts import counted
from hedger.report.capacity import CONTROLS
from hedger.report.drawing import BLUE, ORANGE, Absent, Chart, Drawn, Tables, dated
from hedger.report.words import moment, percent, times
from hedger.studies.picture import COLOURS

Json = dict[str, Any]
#: The axis of the limits' use ends here at the latest, per cent; longer bars run out of it.
SHARE_MAX = 300.0
#: A panel shows so many limits, those used most; all of them stand in the table.
LINES_MAX = 5
#: Bars of the worst use, the longest.
BARS_MAX = 18
PANEL_PX, LEGEND_PX = 120, 250


def limit_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """The worst use of each limit, as a share of it."""
    from plotly.graph_objects import Figure

    lines = [line for line in document["limits"] if line["share"] is not None]
    if not lines:
        why = document["limits_unknown"] or "The journal tells of no use of a limit."
        yield Absent("limits", "Use of the hard limits", f"{why[0].upper()}{why[1:]}")
        return
    few = sorted(lines, key=lambda line: line["share"])[-BARS_MAX:]
    lines, left = few, len(lines) - len(few)
    share = [100 * line["share"] for line in lines]
    figure = Figure()
    figure.add_bar(
        y=[_limit_name(line) for line in lines],
        x=share,
        orientation="h",
        name="worst use",
        marker_color=[ORANGE if x >= 80 else BLUE for x in share],
        showlegend=False,
        text=[_amounts(line) for line in lines],
        textposition=["outside" if x < 0.7 * SHARE_MAX else "inside" for x in share],
        insidetextanchor="start",
        cliponaxis=max(share) >= SHARE_MAX,
        customdata=[
            ", ".join([moment(line["at_ns"]), *filter(None, [escape(line["note"])])]) for line in lines
        ],
        hovertemplate="%{y}: %{x:.3g} %<br>%{text}<br>at %{customdata}<extra></extra>",
    )
    figure.add_vline(x=100, line={"color": ORANGE, "width": 2, "dash": "dash"})
    figure.update_layout(height=90 + 27 * len(lines))
    # a loss of many times its budget must not hide the others
    figure.update_xaxes(
        title="worst use, % of the limit", range=[0, min(max(150, 1.45 * max(share)), SHARE_MAX)]
    )
    worst = lines[-1]
    refused = sum(document["refused"].values())
    title = (
        f"The limit used most was {_limit_name(worst)}, {percent(worst['share'])} of it; "
        f"{counted(refused, 'order')} were refused"
        if refused != 1
        else f"The limit used most was {_limit_name(worst)}, {percent(worst['share'])} of it; "
        "1 order was refused"
    )
    codes = ", ".join(f"{code} {count}" for code, count in document["refused"].items())
    caption = (
        "Each limit at its worst moment; at 100 % it refuses orders that go further. The day's loss counts "
        "what has no mark at its worst."
    )
    if left:
        caption += f" {left} that were used less stand in the document."
    yield Chart("limits", title, caption + (f" Refused: {codes}." if codes else ""), figure)


def limit_time_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """The use of every limit through time, a panel for each kind of limit."""
    use = made["limit_use"].drop_nulls("share")
    if use.is_empty():
        why = document["limits_unknown"] or "The journal tells of no use of a limit."
        yield Absent("limits-time", "Use of the hard limits through time", f"{why[0].upper()}{why[1:]}")
        return
    controls = [control for control in CONTROLS if control in set(use["control"])]
    figure = _panels(controls, use)
    dated(figure, document)
    used = use.group_by("control").agg(pl.col("share").max())
    shares = dict(used.iter_rows())
    told = ", ".join(f"{control} {percent(shares[control])}" for control in controls)
    missing = [control for control in CONTROLS if control not in controls]
    notes = [line for line in document["limits"] if line["share"] is None and line["note"]]
    caption = (
        "Each limit as a share of what is allowed; of each kind those that were used most. The order rate "
        "has a point where something was sent, where its window has passed since, and at the end."
    )
    if missing:
        why = f": {notes[0]['note']}" if notes else ""
        caption += f" Not known or not used: {', '.join(missing)}{why}."
    yield Chart("limits-time", f"At most used, of each kind: {told}", caption, figure)


def _panels(controls: list[str], use: pl.DataFrame) -> Any:
    from plotly.subplots import make_subplots

    n = len(controls)
    figure = make_subplots(rows=n, cols=1, shared_xaxes=True, vertical_spacing=0.16 / n)
    for place, control in enumerate(controls, start=1):
        legend = "legend" if place == 1 else f"legend{place}"
        _panel(figure, place, use.filter(pl.col("control") == control), legend, control)
        axis = figure.layout["yaxis" if place == 1 else f"yaxis{place}"]
        at = {"x": 1.01, "xanchor": "left", "y": axis.domain[1], "yanchor": "top", "orientation": "v"}
        figure.update_layout({legend: {**at, "font": {"size": 11}, "tracegroupgap": 0}})
    figure.update_layout(height=90 + PANEL_PX * n, margin={"r": LEGEND_PX})
    return figure


def _panel(figure: Any, place: int, mine: pl.DataFrame, legend: str, control: str) -> None:
    """The limits of one kind that were used most."""
    worst = mine.group_by("limit", maintain_order=True).agg(pl.col("share").max())
    kept = worst.sort("share", descending=True, maintain_order=True)["limit"].head(LINES_MAX).to_list()
    rate = control == "order rate"
    for limit, colour in zip(kept, COLOURS, strict=False):
        line = mine.filter(pl.col("limit") == limit).sort("now_ns")
        first = line.row(0, named=True)
        share = 100 * line["share"].to_numpy()
        shape = (
            "hv" if control.startswith("budget") else "linear"
        )  # what a day has used stays until it is more
        lined = {"line": {"color": colour, "width": 1.5, "shape": shape}}
        drawn = {"marker": {"color": colour, "size": 5}} if rate else lined
        figure.add_scatter(
            x=times(line["now_ns"].to_list()),
            y=share,
            mode="markers" if rate else "lines",
            name=_short(limit),
            legend=legend,
            customdata=np.column_stack([line["use"].to_numpy(), line["allowed"].to_numpy()]),
            hovertemplate="%{y:.3g} %: %{customdata[0]:,.6g} of %{customdata[1]:,.6g} "
            + first["unit"]
            + "<extra>"
            + escape(_short(limit))
            + "</extra>",
            row=place,
            col=1,
            **drawn,
        )
    # unknown shares leave gaps in the lines; they are no part of the axis
    top = 100.0 * max((x for x in mine["share"].to_list() if x is not None and x > 0.0), default=1e-11)
    if top > 60:
        figure.add_hline(y=100, line={"color": ORANGE, "width": 1.5, "dash": "dash"}, row=place, col=1)
    word = control.removesuffix(" of the day")
    ends = [0.0, max(top * 1.12, 110.0 if top > 60 else 0.0)]
    figure.update_yaxes(title=f"{word}<br>% of limit", rangemode="tozero", range=ends, row=place, col=1)


def _limit_name(line: Json) -> str:
    """A limit as people call it.

    >>> _limit_name({"control": "Greek", "limit": "gamma_expiring:BTC"})
    'BTC gamma expiring'
    >>> _limit_name({"control": "margin", "limit": "initial, deribit BTC"})
    'margin: initial, deribit BTC'
    """
    if line["control"] in ("position", "margin"):
        return f"{line['control']}: {line['limit']}"
    return _short(line["limit"])


def _short(limit: str) -> str:
    greek, _, coin = limit.partition(":")
    return f"{coin} {greek.replace('_', ' ')}" if coin else limit


def _amounts(line: Json) -> str:
    """What was used of what is allowed."""
    if line["control"] == "margin":
        return f"{percent(line['worst'])} of the balance, allowed {percent(line['allowed'])}"
    return f"{line['worst']:z,.0f} of {line['allowed']:z,.0f} {line['unit']}"
