"""Panel 1: the book by underlying, expiry and strike, with what is used of each band."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from hedger.dashboard.panels.incomplete import left_out
from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone
from hedger.desk.risk_tree import second_order_sums
from hedger.figures import age, figure, interval, percent

Json = Mapping[str, Any]
_GREEKS = ("delta", "delta_usd", "gamma_1pct", "vega_point", "theta_day", "vanna", "volga")


def columns(in_usd: bool) -> tuple[Column, ...]:
    """The columns, named by what they are in."""
    money = "$" if in_usd else "coin"
    return (
        Column("", 0, left=True, least=18, most=30),
        Column("held", 7),
        Column("Δ coin", 8),
        Column("Δ $", 7, 1),
        Column(f"Γ {money}/1%", 7 if in_usd else 9),
        Column("vega/pt", 8, 1),
        Column(f"Θ {money}/d", 7 if in_usd else 8, 2),
        Column("band", 6, 1),
        Column("to trigger", 10, 3),
        Column("vanna Δ/pt", 10, 6),
        Column("volga $/pt²", 11, 6),
        Column("vol", 6, 4),
        Column("mark", 10, 5),
        Column("age", 6, 4),
        Column("Δ rule", 8, 7),
    )


def sheet(tree: Json, closed: Collection[str] = ()) -> Sheet:
    """The tree of `hedger.desk.risk_tree`. closed: keys whose children are not shown."""
    in_usd = tree["numeraire"] == "USD"
    lines = [line for found in tree["underlyings"] for line in _underlying(found, tree, closed)]
    names = {found["underlying"] for found in tree["underlyings"]}
    other = [p for p in tree["positions"] if p["underlying"] not in names]
    if other:
        lines.append(Line("cash", (_opened("cash", closed) + "cash",), Tone.HEAD))
        lines += [] if "cash" in closed else [_position(p, 1) for p in other]
    title = f"risk as of {tree['as_of'][:19]}Z, numeraire {tree['numeraire']}"
    bad = [found["underlying"] for found in tree["underlyings"] if found["index_verdict"] == "bad"]
    return (*left_out(tree["missing"], bad), Section(title, columns(in_usd), tuple(lines)))


def _underlying(found: Json, tree: Json, closed: Collection[str]) -> Iterator[Line]:
    name = found["underlying"]
    rows = [row for row in tree["rows"] if row["row"].split(":")[1] == name]
    banded = [row for row in rows if row["used"] is not None]
    unknown = any(row["value"] is None for row in rows if row["trigger"] is not None)
    worst = max(banded, key=lambda row: row["used"], default=None)
    tone = Tone.BAD if any(row["breached"] for row in rows) else Tone.HEAD
    word = " INCOMPLETE" if found["incomplete"] else ""
    yield Line(
        name,
        (
            f"{_opened(name, closed)}{name}{word}",
            "",
            *(figure(found.get(greek)) for greek in _GREEKS[:5]),
            percent(None) if unknown else "" if worst is None else percent(worst["used"]),
            "",
            *(figure(found[greek]) for greek in _GREEKS[5:]),
            "",
            figure(found["index"]),
            age(found["index_age_s"]),
        ),
        tone,
        (
            f"{name}: index {figure(found['index'])} USD, {found['index_verdict']}",
            *found["index_reasons"],
            *(f"{row['row']} {figure(row['value'])} {row['unit']}: {_band(row)}" for row in rows),
        ),
    )
    if name in closed:
        return
    for row in rows:
        if row["trigger"] is not None or row["row"].startswith("vega:"):
            yield _row(row, name, _gamma_scale(found["index"], tree["numeraire"] == "USD"))
    mine = [p for p in tree["positions"] if p["underlying"] == name]
    for expiry in sorted({p["expiry"] for p in mine}, key=lambda x: (x is not None, x or "")):
        yield from _expiry(name, expiry, [p for p in mine if p["expiry"] == expiry], closed)


def _row(row: Json, name: str, per_1pct: float) -> Line:
    """A row with its band, in the column of its Greek; what is left to the trigger in the column's unit."""
    greek, _, tenor = row["row"].partition(f":{name}")
    words = " OUT" * bool(row["breached"]) + " by hand" * bool(row["by_hand"])
    _, scale = _place(greek, per_1pct)
    return Line(
        f"{name} row {row['row']}",
        (
            f"  {greek}{tenor.replace(':', ' ')}{words}",
            "",
            *_in_column(greek, row, per_1pct),
            "" if row["trigger"] is None else percent(row["used"]),
            "" if row["trigger"] is None else figure(_times(row["distance"], scale)),
        ),
        _row_tone(row),
        (f"{row['row']} {figure(row['value'])} {row['unit']}", _band(row), *by_hand(row)),
        depth=1,
    )


def by_hand(row: Json) -> tuple[str, ...]:
    """Who set the band, and what the file says, where a person did."""
    return (row["by_hand"], f"the file says {row['file']}") if row["by_hand"] else ()


def _times(x: float | None, scale: float) -> float | None:
    return None if x is None else x * scale


def _row_tone(row: Json) -> Tone:
    if row["breached"]:
        return Tone.BAD
    unknown = row["used"] is None and row["trigger"] is not None
    return Tone.WARN if unknown or (row["used"] or 0.0) > 0.8 else Tone.DIM


def _gamma_scale(index: float | None, in_usd: bool) -> float:
    """From a gamma row to the change of delta for a 1 % move."""
    spot = math.nan if index is None else index
    return spot * spot / 100.0 if in_usd else 0.01


def _place(greek: str, per_1pct: float) -> tuple[int | None, float]:
    """Which of the columns of Greeks a row stands in, None: in none, and what its values are times there."""
    places: dict[str, tuple[int | None, float]] = {
        "delta": (0, 1.0),
        "gamma": (2, per_1pct),
        "gamma_expiring": (2, per_1pct),
        "vega": (3, 0.01),
        "vega_weighted": (3, 0.01),
        "theta": (4, 1.0 / 365.0),
    }
    return places.get(greek, (None, 1.0))


def _in_column(greek: str, row: Json, per_1pct: float) -> list[str]:
    """The row's value in the unit of its Greek's column."""
    cells = [""] * 5
    place, scale = _place(greek, per_1pct)
    if place is not None:
        cells[place] = figure(None if row["value"] is None else row["value"] * scale)
    return cells


def _band(row: Json) -> str:
    """The band in words, in the row's unit."""
    if row["trigger"] is None:
        return "no band"
    return (
        f"target {figure(row['target'])}, trigger {interval(row['trigger'])}, landing "
        f"{interval(row['landing'])}, used {percent(row['used'])}, {figure(row['distance'])} to the trigger"
    )


def _expiry(name: str, expiry: str | None, mine: Sequence[Json], closed: Collection[str]) -> Iterator[Line]:
    key = f"{name} {expiry or 'open'}"
    sums = [*(_sum(mine, greek) for greek in _GREEKS[:5]), *second_order_sums(mine).values()]
    label = (
        "no expiry" if expiry is None else expiry[:10] + ("" if expiry[11:16] == "08:00" else expiry[10:16])
    )
    cells = (f"  {_opened(key, closed)}{label}", "", *(figure(x) for x in sums[:5]), "", "")
    yield Line(key, (*cells, *(figure(x) if expiry else "" for x in sums[5:])), depth=1)
    if key not in closed:
        yield from (_position(p, 2) for p in sorted(mine, key=_by_strike))


def _by_strike(position: Json) -> tuple[float, str, str]:
    return position["strike"] or 0.0, position["symbol"], position["account"]


def _sum(positions: Sequence[Json], greek: str) -> float | None:
    """What is known of a sum; None as soon as a part of it is not."""
    values = [p[greek] for p in positions]
    return None if any(x is None for x in values) else sum(values)


def _position(p: Json, depth: int) -> Line:
    symbol = p["symbol"]
    if p["strike"] is not None:
        symbol = f"{p['strike']:g} {symbol.rsplit('-', 1)[-1]}" if symbol[-2:] in ("-C", "-P") else symbol
    account = f" {p['account']}" if p["account"] else ""
    unknown = p["delta"] is None
    return Line(
        f"{p['venue']} {p['symbol']} {p['account']}",
        (
            "  " * depth + symbol + account,
            figure(p["quantity"]),
            *(figure(p[greek]) for greek in _GREEKS[:5]),
            "",
            "",
            *(figure(p[greek]) if p["strike"] is not None else "" for greek in _GREEKS[5:]),
            "" if p["strike"] is None else percent(p["vol"]),
            figure(p["mark"]),
            "" if p["age_s"] is None else age(p["age_s"]),
            "premium" if p["premium_adjusted"] else "",
        ),
        Tone.BAD if unknown else Tone.PLAIN,
        (
            f"{p['symbol']} on {p['venue']}, account {p['account'] or 'not named'}",
            f"position {p['quantity']:g} {p['unit']}, mark {figure(p['mark'])}",
            f"vol {percent(p['vol'])} from {p['vol_source'] or 'nowhere'}, quote {age(p['age_s'])} old",
            f"delta {figure(p['delta'])} coin{' (premium-adjusted)' * p['premium_adjusted']}, "
            f"{figure(p['delta_usd'])} USD; gamma {figure(p['gamma_1pct'])} per 1 %; "
            f"vega {figure(p['vega_point'])} per point; theta {figure(p['theta_day'])} per day",
            f"vanna {figure(p['vanna'])} coin per point; volga {figure(p['volga'])} USD per point squared",
        ),
        depth,
    )


def _opened(key: str, closed: Collection[str]) -> str:
    return "+ " if key in closed else "- "
