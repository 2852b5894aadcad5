"""Cost against risk of every hedging policy on simulated paths: the study's document, table and pictures.

`hedger.studies.frontier` does the hedging; here stands what is asked of it on the command line and what is
said of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hedger.studies.frontier import POLICIES, Leg, ListedOption, Row, Setup, frontier
from hedger.studies.path_models import usual
from hedger.studies.picture import COLOURS, write_page
from pricing.errors import InputError

EQUAL_COST = "Risk over Whalley-Wilmott's at the same mean cost, least and greatest of the settings"
RISKS = ("sd_net", "es5_net")
FIGURES = ("mean_cost", "sd_gross", "mean_net", "sd_net", "es5_net", "trades")
if TYPE_CHECKING:
    import argparse

#: The policy that others are measured against, at equal cost.
YARDSTICK = "whalley_wilmott"
#: Every setting keeps four numbers of every path.
PATHS_MAX = 200_000
STEPS_MAX = 200_000
#: Drawn alike everywhere; the seven colours serve twice, told apart by their marks.
_MARKS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "circle-open", "square-open",
          "diamond-open")  # fmt: skip
_MARKS_PNG = ("o", "s", "D", "P", "X", "^", "*", "v", "<", ">")


def setup(arguments: argparse.Namespace) -> Setup:
    """What the command line asks for.

    Errors: InputError where its parts do not go together.
    """
    spot = arguments.spot
    book = tuple(Leg(quantity, per_cent / 100.0 * spot) for quantity, per_cent in arguments.options)
    made = Setup(
        usual(arguments.model, arguments.vol),
        book,
        ListedOption(
            strike=arguments.listed_strike_pct / 100.0 * spot,
            half_spread_vol=0.5 * arguments.listed_spread_points / 100.0,
            max_quantity=sum(abs(leg.quantity) for leg in book),
        ),
        spot=spot,
        days=arguments.days,
        checks_per_day=arguments.checks_per_day,
        paths=arguments.paths,
        seed=arguments.seed,
        cost_bps=arguments.cost_bps,
        fixed_cost_usd=arguments.fixed_cost_usd,
        lot=arguments.lot,
    )
    if made.steps > STEPS_MAX or made.steps < 2:
        raise InputError(
            "STUDY_FRONTIER", "the number of checks to expiry", where="--days, --checks-per-day",
            observed=str(made.steps), allowed=f"2 to {STEPS_MAX}", not_done="nothing was simulated",
            fix="take fewer days or checks a day",
        )  # fmt: skip
    if not 2 <= made.paths <= PATHS_MAX:
        raise InputError(
            "STUDY_FRONTIER", "the number of paths", where="--paths", observed=str(made.paths),
            allowed=f"2 to {PATHS_MAX}", not_done="nothing was simulated", fix="take another number of paths",
        )  # fmt: skip
    if not 1e-3 <= arguments.vol * math.sqrt(made.years) <= 5.0 or not 1e-6 <= spot <= 1e9:
        raise InputError(
            "STUDY_FRONTIER", "spot, vol and days make no option to hedge", where="--spot, --vol, --days",
            observed=f"spot {spot:g}, vol × √years {arguments.vol * math.sqrt(made.years):.3g}",
            allowed="spot 1e-6 to 1e9, vol × √years 0.001 to 5 (vol 0.6 is 60 %)",
            not_done="nothing was simulated", fix="mend the number",
        )  # fmt: skip
    return made


def measure(made: Setup, on_progress: Callable[[float], None] = lambda share: None) -> dict[str, Any]:
    """Run the study and return its document.

    Errors: InputError for a setup that no path can have.
    """
    try:
        rows = frontier(made, on_progress)
    except ValueError as problem:
        raise InputError(
            "STUDY_FRONTIER", str(problem), where="the command line", not_done="nothing was simulated",
            fix="see `hedger study frontier --help`",
        ) from None  # fmt: skip
    return document(made, rows)


def document(made: Setup, rows: Sequence[Row]) -> dict[str, Any]:
    """The study as JSON; null where there is no figure, with the reason in `refused`."""
    option = made.option
    result: dict[str, Any] = {
        "model": type(made.model).__name__.lower().replace("merton", "jump"),
        "model_parameters": {name: getattr(made.model, name) for name in made.model.__slots__},
        "seed": made.seed, "paths": made.paths, "spot": made.spot, "days": made.days,
        "checks_per_day": made.checks_per_day, "fixed_cost_usd": made.fixed_cost_usd, "lot_coin": made.lot,
        "book": [{"quantity": leg.quantity, "strike": leg.strike, "right": "call"} for leg in made.legs],
        "listed_option": {
            "strike": option.strike, "half_spread_vol": option.half_spread_vol, "fee_rate": option.fee_rate,
            "fee_cap": option.fee_cap, "clip": option.clip, "max_quantity": option.max_quantity,
            "days_min": option.days_min,
        },
        "unit": "USD over the life of the book; risk is of the P&L after costs, gains positive",
        "rows": [
            {
                "policy": row.policy, "parameters": dict(row.parameters), "cost_bps": row.cost_bps,
                **{name: _number(getattr(row, name)) for name in FIGURES},
                **({"refused": row.refused} if row.refused else {}),
            }
            for row in rows
        ],
    }  # fmt: skip
    result["at_equal_cost"] = at_equal_cost(result["rows"])
    return result


def _number(x: float) -> float | None:
    return x if math.isfinite(x) else None


def at_equal_cost(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Risk of each policy over Whalley-Wilmott's at the same mean cost: sd_net and es5_net, least and
    greatest.

    Whalley-Wilmott's curve is interpolated in log cost and log risk between its settings; a policy's point
    outside of the costs they span is not compared.
    """
    result = []
    for bps in sorted({row["cost_bps"] for row in rows}):
        mine = [row for row in rows if row["cost_bps"] == bps and row["mean_cost"]]
        ruler = sorted((row for row in mine if row["policy"] == YARDSTICK), key=lambda row: row["mean_cost"])
        if len(ruler) < 2:
            continue
        cost = np.log([row["mean_cost"] for row in ruler])
        for policy in POLICIES:
            points = [
                row for row in mine
                if row["policy"] == policy and cost[0] <= math.log(row["mean_cost"]) <= cost[-1]
            ]  # fmt: skip
            if policy == YARDSTICK or not points:
                continue
            at = np.log([row["mean_cost"] for row in points])
            found: dict[str, Any] = {"policy": policy, "cost_bps": bps, "points": len(points)}
            for name in RISKS:
                risk = np.interp(at, cost, np.log([max(abs(row[name]), 1e-300) for row in ruler]))
                ratio = np.array([abs(row[name]) for row in points]) / np.exp(risk)
                found[name] = [float(ratio.min()), float(ratio.max())]
            result.append(found)
    return result


def table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows of text."""
    columns = ["policy", "setting", "bp", "cost", "sd", "worst 5 %", "trades"]
    rows = []
    for row in result["rows"]:
        figures = [row[name] for name in ("mean_cost", "sd_net", "es5_net", "trades")]
        if row.get("refused"):
            said = [row["refused"], "", "", ""]
        else:
            said = [*(f"{x:z.4f}" for x in figures[:3]), f"{figures[3]:z.1f}"]
        rows.append([row["policy"], setting(row["parameters"]), f"{row['cost_bps']:g}", *said])
    return columns, rows


def equal_cost_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows of text of `at_equal_cost`."""
    columns = ["policy", "bp", "sd", "worst 5 %", "settings"]
    rows = [
        [r["policy"], f"{r['cost_bps']:g}", *(f"{r[n][0]:z.2f} to {r[n][1]:z.2f}" for n in RISKS),
         str(r["points"])]
        for r in result["at_equal_cost"]
    ]  # fmt: skip
    return columns, rows


def setting(parameters: Mapping[str, float]) -> str:
    """A policy's setting in words.

    >>> setting({"interval_h": 0.5}), setting({"risk_aversion": 3.0}), setting({})
    ('0.5 h', '3 per USD', '')
    """
    units = {"interval_h": "h", "width_coin": "coin", "risk_aversion": "per USD"}
    return ", ".join(f"{value:g} {units[name]}" for name, value in parameters.items())


def caption(result: Mapping[str, Any]) -> str:
    """What was simulated, in a sentence."""
    book = ", ".join(
        f"{'short' if leg['quantity'] < 0 else 'long'} {abs(leg['quantity']):g} call at {leg['strike']:g}"
        for leg in result["book"]
    )
    return (
        f"{book}; {result['model']}, vol {100 * result['model_parameters']['vol']:g} %, "
        f"{result['days']:g} days, "
        f"{result['checks_per_day']:g} checks a day, {result['paths']:,} paths, seed {result['seed']}. "
        f"{result['unit'][0].upper()}{result['unit'][1:]}."
    )


def _curves(result: Mapping[str, Any], bps: float) -> list[tuple[int, str, list[Mapping[str, Any]]]]:
    """(number, policy, its rows by cost) of one cost level, without `none`, whose sd is off every scale."""
    curves = []
    for number, policy in enumerate(POLICIES):
        mine = [
            row for row in result["rows"]
            if row["policy"] == policy and row["cost_bps"] == bps and row["mean_cost"] and policy != "none"
        ]  # fmt: skip
        if mine:
            curves.append((number, policy, sorted(mine, key=lambda row: float(row["mean_cost"]))))
    return curves


def _levels(result: Mapping[str, Any]) -> list[float]:
    return sorted({row["cost_bps"] for row in result["rows"]})


def figures(result: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Mean cost against sd, one chart per cost level."""
    from plotly.graph_objects import Figure

    made = []
    for bps in _levels(result):
        figure = Figure()
        for number, policy, rows in _curves(result, bps):
            figure.add_scatter(
                x=[row["mean_cost"] for row in rows], y=[row["sd_net"] for row in rows], name=policy,
                text=[setting(row["parameters"]) for row in rows], mode="lines+markers",
                marker={"symbol": _MARKS[number], "size": 9, "color": COLOURS[number % len(COLOURS)]},
                line={"color": COLOURS[number % len(COLOURS)], "dash": "solid" if number < len(COLOURS) else
                "dot"},
            )  # fmt: skip
        figure.update_xaxes(title="mean cost, USD", type="log")
        figure.update_yaxes(title="sd of P&L after costs, USD", type="log")
        text = "Left and down is better. One line per policy, one mark per setting; both axes logarithmic."
        made.append((f"{bps:g} bp a trade", text, figure))
    return made


def write_picture(result: Mapping[str, Any], path: Path) -> None:
    """Write the charts: FILE.html, a page that needs nothing else, or FILE.png.

    Errors: InputError for another ending or a file that cannot be written.
    """
    kind = picture_kind(path)
    if kind == ".html":
        tables = [(EQUAL_COST, *equal_cost_table(result))]
        write_page(path, "Hedging policies: cost against risk", caption(result), figures(result), tables)
    else:
        _write_png(result, path)


def picture_kind(path: Path) -> str:
    """ ".html" or ".png"; called before the work, so that a wrong name costs no minutes.

    Errors: InputError for another ending, or a folder that is not there.
    """
    kind = path.suffix.lower()
    if kind not in (".html", ".png"):
        raise InputError(
            "PICTURE_KIND", "the picture's ending is not known", where=str(path), observed=kind or "none",
            allowed=".html or .png", not_done="nothing was simulated", fix="name a file with such an ending",
        )  # fmt: skip
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(
            "PICTURE_NOT_WRITTEN", "the picture cannot be written", where=str(path),
            observed="a folder" if path.is_dir() else f"no folder {path.parent}",
            allowed="a file in a folder that exists and may be written to", not_done="nothing was simulated",
            fix="name another file",
        )  # fmt: skip
    return kind


def _write_png(result: Mapping[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    levels = _levels(result)
    columns = 2 if len(levels) > 1 else 1
    lines = math.ceil(len(levels) / columns)
    sheet = Figure(figsize=(7.0 * columns, 5.0 * lines + 0.8), dpi=110, layout="constrained")
    for place, bps in enumerate(levels):
        axes = sheet.add_subplot(lines, columns, place + 1)
        for number, policy, rows in _curves(result, bps):
            axes.plot(
                [row["mean_cost"] for row in rows], [row["sd_net"] for row in rows], label=policy,
                marker=_MARKS_PNG[number], color=COLOURS[number % len(COLOURS)],
                linestyle="-" if number < len(COLOURS) else ":",
            )  # fmt: skip
        axes.set(
            xscale="log", yscale="log", title=f"{bps:g} bp a trade", xlabel="mean cost, USD",
            ylabel="sd of P&L after costs, USD",
        )  # fmt: skip
        axes.grid(True, which="both", alpha=0.25)
        if place == 0:
            axes.legend(fontsize="small")
    sheet.suptitle(caption(result), fontsize="small", wrap=True)
    try:
        sheet.savefig(path)
    except OSError as problem:
        raise InputError(
            "PICTURE_NOT_WRITTEN", "the picture cannot be written", where=str(path),
            observed=problem.strerror or str(problem), allowed="a file in a folder that may be written to",
            not_done="no picture was made; the table stands", fix="name another file",
        ) from None  # fmt: skip
