"""The report's charts of the P&L, by cause in all and through time, and of what was turned over for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from hedger.amounts import counted
from hedger.report.drawing import (
    AMBER,
    BLACK,
    BLUE,
    GREEN,
    KIND_COLOURS,
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
from hedger.report.spans import HOUR_NS
from hedger.report.tables import PARTS
from hedger.report.words import percent, rounded, times, usd

Json = dict[str, Any]
#: P&L by cause in fewer strands, for charts over time.
STRANDS = {
    "delta": ("delta",),
    "gamma and theta": ("gamma", "theta"),
    "vega and its crosses": ("vega", "vanna", "volga", "charm"),
    "basis and funding": ("basis", "funding"),
    "moves after trades": ("traded",),
    "fees and slippage": ("fees", "slippage"),
    "settlement": ("settlement",),
    "unexplained": ("residual",),
}
#: Turnover is summed up by the minute or hour in records up to so long, and by the day beyond.
MINUTELY_H, HOURLY_H = 3.0, 72.0


def profit_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """P&L by cause in all, and through time."""
    parts = document["pnl"]["attribution_usd"]
    if document["pnl"]["pnl_usd"] is None:
        why = "There are no two marks at which the whole book has a worth."
        yield Absent("attribution", "Where the P&L came from", why)
        return
    if any(x is None for x in parts.values()):
        why = "A cause cannot be told: " + ("; ".join(document["pnl"]["unknown"]) or "not said why")
        yield Absent("attribution", "Where the P&L came from", why)
        return
    yield _waterfall(document, parts)
    yield _strands(document, made["valuations"])


def _waterfall(document: Json, parts: Json) -> Chart:
    from plotly.graph_objects import Figure

    shown = {name: x for name, x in parts.items() if abs(x) >= 0.005 or name == "residual"}
    names = [*(name if name != "residual" else "unexplained" for name in shown), "P&L"]
    figure = Figure()
    total = sum(parts.values())
    figure.add_waterfall(
        x=names,
        y=[*shown.values(), total],
        measure=["relative"] * len(shown) + ["total"],
        increasing={"marker": {"color": GREEN}},
        decreasing={"marker": {"color": ORANGE}},
        totals={"marker": {"color": BLUE}},
        connector={"line": {"color": "#bbb", "width": 1}},
        text=[rounded(x) for x in [*shown.values(), total]],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x}: %{delta:,.2f} USD<extra></extra>",
        name="cause",
        showlegend=False,
    )
    figure.update_layout(height=400)
    figure.update_yaxes(title="USD")
    gain = max(PARTS, key=lambda name: parts[name])
    loss = min(PARTS, key=lambda name: parts[name])
    pnl = document["pnl"]["pnl_usd"]
    title = f"The book {'made' if pnl >= 0 else 'lost'} {usd(abs(pnl))}"
    if parts[gain] > 0 > parts[loss]:
        words = {"residual": "what is unexplained", "traded": "moves after trades"}
        most, least = (words.get(name, name) for name in (gain, loss))
        title += (
            f": {most} gave most ({usd(parts[gain], signed=True)}), "
            f"{least} took most ({usd(parts[loss], signed=True)})"
        )
    harvest = document["pnl"]["harvest_usd"]
    share = abs(parts["residual"]) / max(sum(abs(x) for x in parts.values()), 1e-9)
    caption = (
        "P&L by cause, from left to right; the last bar is their sum. "
        f"What no cause explains is {usd(parts['residual'], signed=True)}, {percent(share)} of all that "
        f"moved. Harvest, gamma + theta: {usd(harvest, signed=True)}."
    )
    if early := document["pnl"]["before_first_mark"]:
        paid = [early["fees_usd"], early["slippage_usd"]]
        cost = "an unknown amount" if None in paid else usd(-sum(paid))
        fills = counted(early["fills"], "fill")
        caption += f" Before the first mark with a worth {fills} cost {cost}, which is in none of this."
    return Chart("attribution", title, caption, figure)


def _strands(document: Json, valuations: pl.DataFrame) -> Chart:
    from plotly.graph_objects import Figure

    figure, valuations = Figure(), _from_zero(valuations)
    x = times(valuations["now_ns"].to_list())
    dashes = ("solid", "solid", "solid", "dash", "dash", "dot", "dot", "dashdot")
    colours = (BLUE, GREEN, PINK, AMBER, SKY, ORANGE, "#777", "#999")
    for (name, parts), colour, dash in zip(STRANDS.items(), colours, dashes, strict=True):
        y = valuations.select(pl.sum_horizontal(f"{part}_usd" for part in parts)).to_series().to_numpy()
        if np.nanmax(np.abs(y)) >= 0.005:
            line = {"color": colour, "width": 1.4, "dash": dash}
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines",
                name=name,
                line=line,
                hovertemplate="%{y:,.0f}<extra>" + name + "</extra>",
            )
    figure.add_scatter(
        x=x,
        y=valuations["pnl_usd"].to_numpy(),
        mode="lines",
        name="P&L",
        line={"color": BLACK, "width": 2.6},
        hovertemplate="%{y:,.0f}<extra>P&L</extra>",
    )
    figure.update_layout(height=420, hovermode="x unified")
    dated(figure, document)
    figure.update_yaxes(title="USD since the first valuation")
    pnl = valuations["pnl_usd"].to_numpy()
    fall = float(np.max(np.maximum.accumulate(pnl) - pnl))
    best = float(pnl.max())
    title = "P&L through time: "
    title += f"at best {usd(best, signed=True)}, " if best > 0 else "never above where it began, "
    title += f"{usd(fall)} down at its deepest fall from a height" if fall > 0 else "and it never fell"
    caption = "Black: the P&L since the first valuation; the lines are its causes and add up to it."
    return Chart("profit", title, caption, figure)


def _from_zero(valuations: pl.DataFrame) -> pl.DataFrame:
    """The valuations with a P&L, behind the one that they are counted from."""
    known = valuations.with_row_index("place").drop_nulls("pnl_usd")
    first = int(known["place"][0])
    start = valuations.slice(first - 1, 1).with_columns(pl.lit(0.0).alias(f"{part}_usd") for part in PARTS)
    start = start.with_columns(pnl_usd=pl.lit(0.0), transfers_usd=pl.lit(0.0))
    return pl.concat([start if first else start.clear(), known.drop("place")])


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
                **within(document, mine["begin"].to_list(), step_ns, 0.9),
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
