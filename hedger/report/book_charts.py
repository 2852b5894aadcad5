"""The report's charts of the book: exposures against bands, hedges on the price, their cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import polars as pl

from hedger.amounts import counted
from hedger.report.drawing import (
    BLACK,
    BLUE,
    GREEN,
    KIND_COLOURS,
    ORANGE,
    SKY,
    Absent,
    Chart,
    Drawn,
    Tables,
    dated,
)
from hedger.report.tables import underlyings
from hedger.report.words import desk_unit, percent, span, times, usd
from pricing.universe import FloatArray

Json = dict[str, Any]
BAND, EDGE, INNER = "rgba(0,158,115,.10)", "rgba(0,120,85,.65)", "rgba(0,120,85,.35)"
#: Height of a chart's panels together on a landscape sheet, and of one that can still be read.
SHEET_PX, PANEL_PX_MIN = 520, 70
#: A difference between cost and ticket below it is rounding.
WORTH_SAYING_USD = 0.01
#: Up to so many hedges have a bar each.
BARS_MAX = 60
_HOW = (
    "Blue: the exposure and, shaded, how far it moved within each point of the chart. Green: the trigger, "
    "beyond which a hedge is due; dotted: the landing, where it ends. Orange: outside. A hole: not known."
)


def exposure_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """A chart per underlying, a panel per banded row; vega by tenor in one of its own."""
    banded = [row for row in document["rows"] if row["trigger"] is not None and row["known_s"] > 0]
    if not banded:
        why = "No row with a band was known for any length of time."
        yield Absent("exposures", "Exposures against their bands", why)
    held = _to_the_end(made["exposures"], document["journal"]["to_ns"])
    for name in underlyings([row["row"] for row in banded]):
        mine = [row for row in banded if row["row"].split(":")[1] == name]
        plain = [row for row in mine if row["row"].count(":") == 1 or row["row"].startswith("pnl")]
        tenors = [row for row in mine if row not in plain and (row["lowest"] or row["highest"])]
        if plain:
            figure = _panels(plain, held, 150)
            dated(figure, document)
            yield Chart(f"exposures-{name}", _outside(name, "row", plain), _HOW, figure)
        if tenors:
            figure = _panels(tenors, held, 104)
            dated(figure, document)
            how = "Vega of options by their days to expiry, drawn as above; tenors without any are left out."
            yield Chart(f"tenors-{name}", _outside(name, "tenor of its vega", tenors), how, figure)


def _to_the_end(table: pl.DataFrame, end_ns: int) -> pl.DataFrame:
    """With what holds in the last span at its end, too: a line of one point is none."""
    last = table.filter(pl.col("from_ns") == pl.col("from_ns").max(), pl.col("from_ns") < end_ns)
    at_end = {"from_ns": pl.lit(end_ns, dtype=pl.Int64), "outside_s": pl.lit(0.0)}
    return pl.concat([table, last.with_columns(**at_end)])


def _panels(rows: Sequence[Json], table: pl.DataFrame, height_px: int) -> Any:
    """A panel per row, one above the other."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(rows), cols=1, shared_xaxes=True, vertical_spacing=0.16 / len(rows))
    for place, row in enumerate(rows, start=1):
        mine = table.filter(pl.col("row") == row["row"]).sort("from_ns")
        _panel(figure, place, row, mine)
    # the whole of it fits on a sheet of paper, as long as its panels can still be read
    height_px = max(min(height_px, SHEET_PX // len(rows)), PANEL_PX_MIN)
    figure.update_layout(height=90 + height_px * len(rows))
    return figure


def _outside(coin: str, what: str, rows: Sequence[Json]) -> str:
    """Which of some rows was outside its trigger for longest, as a sentence."""
    worst = max(rows, key=lambda row: row["outside_share"])
    if not worst["outside_s"]:
        return f"{coin}: every {what} stayed inside its trigger"
    text = f"{span(worst['outside_s'])}, {percent(worst['outside_share'])} of the time"
    text += " in which it was known" if worst["unknown_s"] else ""
    others = sum(row["outside_s"] > 0 for row in rows) - 1
    more = f"; {counted(others, 'other row')} less" if others else ""
    return f"{coin} {_short(worst['row'])} was outside its trigger for {text}{more}"


def _short(row: str) -> str:
    """A row without its underlying.

    >>> _short("delta:BTC"), _short("vega:BTC:0-7d")
    ('delta', 'vega 0-7d')
    """
    greek, _, *rest = row.split(":")
    return " ".join([greek.replace("_", " "), *rest])


def _panel(figure: Any, place: int, row: Json, mine: pl.DataFrame) -> None:
    """One row of exposures in desk units, every span a step."""

    def column(name: str) -> FloatArray:
        return (mine[name] * mine["scale"]).to_numpy().astype(float)

    x = times(mine["from_ns"].to_list())
    where = {"row": place, "col": 1}
    shown = place == 1
    low, high = column("trigger_low"), column("trigger_high")
    value, lowest, highest = column("value"), column("lowest"), column("highest")
    _add_trigger(figure, x, low, high, shown, where)
    _add_landing(figure, x, [column("landing_low"), column("landing_high")], shown, where)
    shade = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=x, y=lowest, **shade, **where)
    figure.add_scatter(x=x, y=highest, fill="tonexty", fillcolor="rgba(0,114,178,.22)", **shade, **where)
    figure.add_scatter(
        x=x,
        y=value,
        mode="lines",
        line={"color": BLUE, "width": 1.6, "shape": "hv"},  # a decision's exposures hold until the next
        name="exposure",
        showlegend=shown,
        legendgroup="v",
        hovertemplate="%{y:,.0f} " + desk_unit(row["row"]) + "<extra></extra>",
        **where,
    )
    out = (mine["outside_s"] > 0).to_numpy()
    if out.any():
        # of a span with a stay outside, the end that went furthest
        middle = np.where(np.isfinite(low + high), (low + high) / 2, 0.0)
        far = np.where(np.abs(highest - middle) > np.abs(lowest - middle), highest, lowest)
        _add_outside(figure, x[out], far[out], shown, where)
    figure.update_yaxes(title=f"{_short(row['row'])}<br>{desk_unit(row['row'])}", row=place, col=1)


def _add_trigger(
    figure: Any, x: Any, low: FloatArray, high: FloatArray, shown: bool, where: Mapping[str, int]
) -> None:
    """Its sides, shaded between where it has both; one name for them in the legend."""
    edges = {"mode": "lines", "line": {"color": EDGE, "width": 1}, "hoverinfo": "skip", "legendgroup": "t"}
    both = np.isfinite(low).any() and np.isfinite(high).any()
    if np.isfinite(low).any():
        figure.add_scatter(x=x, y=low, name="trigger", showlegend=shown, **edges, **where)
    if np.isfinite(high).any():
        fill = {"fill": "tonexty", "fillcolor": BAND} if both else {}
        figure.add_scatter(
            x=x, y=high, name="trigger", showlegend=shown and not both, **fill, **edges, **where
        )


def _add_landing(
    figure: Any, x: Any, sides: Sequence[FloatArray], shown: bool, where: Mapping[str, int]
) -> None:
    for number, y in enumerate(sides):
        if np.isfinite(y).any():
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines",
                line={"color": INNER, "width": 1, "dash": "dot"},
                name="landing",
                showlegend=shown and number == 0,
                legendgroup="l",
                hoverinfo="skip",
                **where,
            )


def _add_outside(figure: Any, x: Any, far: FloatArray, shown: bool, where: Mapping[str, int]) -> None:
    """A dot for every span with a stay outside the trigger."""
    figure.add_scatter(
        x=x,
        y=far,
        mode="markers",
        marker={"color": ORANGE, "size": 6},
        name="outside",
        legendgroup="o",
        showlegend=shown,
        hovertemplate="outside: %{y:,.0f}<extra></extra>",
        **where,
    )


def price_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """The index of each underlying with every fill on it."""
    prices, fills = made["prices"].drop_nulls("index_usd"), made["fills"]
    names = prices["underlying"].unique(maintain_order=True).to_list()
    if not names:
        yield Absent("hedges", "Hedges on the price", "No index was known at any mark.")
    for name in names:
        mine = fills.filter(pl.col("underlying") == name)
        line = prices.filter(pl.col("underlying") == name)
        yield _price(document, name, line, mine)


def _price(document: Json, name: str, line: pl.DataFrame, fills: pl.DataFrame) -> Chart:
    from plotly.graph_objects import Figure

    figure = Figure()
    figure.add_scatter(
        x=times(line["now_ns"].to_list()),
        y=line["index_usd"].to_numpy(),
        mode="lines",
        name="index",
        line={"color": "#555", "width": 1.3},
        hovertemplate="%{y:,.2f} USD<extra></extra>",
    )
    drawn = fills.drop_nulls("index_usd")
    largest = max(drawn["turnover_usd"].drop_nulls().to_list(), default=1.0)
    for (kind, side), part in drawn.group_by(["kind", "side"], maintain_order=True):
        drawn_as = part["turnover_usd"].fill_null(0.0).to_numpy()  # not known: the smallest, its text says so
        text = [
            f"{row['side']} {row['quantity']} {escape(row['symbol'])} at {row['price']}<br>{row['venue']}, "
            f"turnover {usd(row['turnover_usd'])}, fee {usd(row['fee_usd'])}"
            for row in part.iter_rows(named=True)
        ]
        figure.add_scatter(
            x=times(part["now_ns"].to_list()),
            y=part["index_usd"].to_numpy(),
            mode="markers",
            name=f"{side} {kind}",
            text=text,
            hovertemplate="%{text}<extra></extra>",
            marker={
                "symbol": "triangle-up" if side == "buy" else "triangle-down",
                "color": KIND_COLOURS.get(str(kind), BLACK),
                "opacity": 0.8,
                "line": {"width": 0.6, "color": "#333"},
                "size": 7 + 13 * np.sqrt(drawn_as / max(largest, 1e-9)),
            },
        )
    figure.update_layout(height=340)
    dated(figure, document)
    figure.update_yaxes(title=f"{name} index, USD")
    indexes = line["index_usd"].to_list()
    sums = fills["turnover_usd"]
    total = None if sums.null_count() else float(sums.sum())
    title = (
        f"{name} moved between {usd(min(indexes))} and {usd(max(indexes))}; "
        f"{counted(fills.height, 'fill')} in it turned over {usd(total)}"
    )
    caption = (
        "Triangles up are buys, down sells, of any instrument on this coin; the larger, the more turnover."
    )
    return Chart(f"hedges-{name}", title, caption, figure)


def cost_charts(document: Json, made: Tables) -> Iterator[Drawn]:
    """What each hedge cost against its ticket, and why the sums differ."""
    hedges, sums = made["hedges"].drop_nulls(["cost_usd", "expected_usd"]), document["hedges"]
    if hedges.is_empty():
        why = "No hedge was finished." if not sums["count"] else "No hedge's cost is known."
        yield Absent("costs", "Cost of each hedge against its ticket", why)
        return
    yield _costs(document, hedges)


def _costs(document: Json, hedges: pl.DataFrame) -> Chart:
    from plotly.subplots import make_subplots

    sums = document["hedges"]
    causes = {name.replace("_", " "): x for name, x in sums["because_usd"].items() if x is not None}
    differ = any(abs(x) >= WORTH_SAYING_USD for x in causes.values())
    figure = make_subplots(
        rows=1,
        cols=2 if differ else 1,
        column_widths=[0.7, 0.3] if differ else None,
        horizontal_spacing=0.16,
    )
    _each(figure, hedges)
    if differ:
        figure.add_bar(
            y=list(causes),
            x=list(causes.values()),
            orientation="h",
            showlegend=False,
            name="cause",
            marker_color=[ORANGE if x > 0 else GREEN for x in causes.values()],
            hovertemplate="%{y}: %{x:,.2f} USD<extra></extra>",
            row=1,
            col=2,
        )
        figure.update_yaxes(autorange="reversed", row=1, col=2)
        figure.update_xaxes(title="paid less ticket, USD", row=1, col=2)
    figure.update_layout(height=380, barmode="group", bargap=0.25, legend={"x": 0, "xanchor": "left"})
    paid, promised = sums["cost_usd"], sums["expected_usd"]
    title = f"{counted(sums['count'], 'hedge')} cost {usd(paid)}"
    title += f"; the tickets said {usd(promised)}" if differ else ", as the tickets said"
    if differ and paid is not None and promised is not None and promised > 0:
        over = paid / promised - 1.0
        title += f" ({abs(100 * over):.3g} % {'more' if over > 0 else 'less'})"
    caption = "Cost is fees and slippage against the prices that the plan was made with."
    if differ:
        caption += " On the right why the sums differ: orange made hedges dearer, green cheaper."
    return Chart("costs", title, caption, figure)


def _each(figure: Any, hedges: pl.DataFrame) -> None:
    """Every hedge's cost beside its ticket: bars, or points where they are too many."""
    where = {"row": 1, "col": 1}
    cost, expected = hedges["cost_usd"].to_numpy(), hedges["expected_usd"].to_numpy()
    text = [
        escape(f"#{row['execution']} {row['trigger']}: {row['ended']}")
        for row in hedges.iter_rows(named=True)
    ]
    if hedges.height <= BARS_MAX:
        names = [f"#{execution}" for execution in hedges["execution"].to_list()]
        for name, y, colour in (("ticket", expected, SKY), ("paid", cost, BLUE)):
            hover = "%{text}<br>" + name + " %{y:,.2f} USD<extra></extra>"
            bar = {"text": text, "textposition": "none", "hovertemplate": hover, "marker_color": colour}
            figure.add_bar(x=names, y=y, name=name, **bar, **where)
        figure.update_xaxes(type="category", title="hedge, by the event that began it", **where)
        figure.update_yaxes(title="USD", **where)
        return
    ends = [float(min(cost.min(), expected.min())), float(max(cost.max(), expected.max()))]
    line = {"color": "#888", "dash": "dot"}
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="as its ticket", hoverinfo="skip", line=line, **where
    )
    hover = "%{text}<br>ticket %{x:,.2f}, paid %{y:,.2f} USD<extra></extra>"
    dots = {
        "mode": "markers",
        "marker": {"color": BLUE, "opacity": 0.6},
        "text": text,
        "hovertemplate": hover,
    }
    figure.add_scatter(x=expected, y=cost, name="hedge", **dots, **where)
    figure.update_xaxes(title="ticket, USD", **where)
    figure.update_yaxes(title="paid, USD", **where)
