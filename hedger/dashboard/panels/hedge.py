"""Panel 2: what comes next and why, where each row is in its band, what is in work, what was decided.

The tenors stand below orders and ticket, which else began below the edge of a screen of forty lines; the one
that is used most stands among the totals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hedger.dashboard.panels.incomplete import left_out
from hedger.dashboard.panels.orders import ahead
from hedger.dashboard.panels.risk import by_hand
from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone
from hedger.figures import age, figure, interval, percent, usd
from pricing.daycount import iso

Json = Mapping[str, Any]
_ROWS = (
    Column("row", 16, left=True),
    Column("now", 9),
    Column("target", 8, 3),
    Column("trigger", 20),
    Column("landing", 20, 2),
    Column("used", 6),
    Column("state", 8, left=True),
    Column("to trigger", 10, 1),
    Column("unit", 10, 4, left=True),
)
_WORKING = (
    Column("order", 18, 4, left=True),
    Column("state", 9, left=True),
    Column("side", 4, left=True),
    Column("quantity", 9),
    Column("symbol", 22, left=True),
    Column("at", 10),
    Column("filled", 9, 1),
    Column("ahead ≤", 8, 2),
    Column("age", 7, 3),
    Column("kind", 9, 5, left=True),
)
_LEGS = (
    Column("side", 4, left=True),
    Column("quantity", 10),
    Column("symbol", 22, left=True),
    Column("limit", 10),
    Column("expected", 10, 2),
    Column("cost $", 8),
    Column("venue", 12, 3, left=True),
)
_DECISIONS = (Column("time", 8, left=True), Column("event", 7, 2), Column("what and why", 0, left=True))


NO_KEYS: Mapping[str, str] = {}


def sheet(document: Json, keys: Mapping[str, str] = NO_KEYS) -> Sheet:
    """The panel, the most urgent first. document: of `hedger.desk.hedging`. keys: of the actions that may be
    taken."""
    rows = document["rows"]
    found = [Section("next", (), tuple(_next(document["next"])))]
    found += left_out(document["missing"], document["bad_indexes"])
    if rows is not None:
        banded = [row for row in rows if row["trigger"] is not None]
        none = Line("", ("no row has a band",), Tone.WARN)
        tenors = [row for row in banded if _of_tenor(row)]
        lines = tuple(_row(r, keys) for r in banded if not _of_tenor(r)) + _worst(tenors)
        found.append(Section(_bands(banded), _ROWS if lines else (), lines or (none,)))
        hands = tuple(line for row in rows for line in _by_hand(row))
        found += [Section("bands set by hand", (), hands)] if hands else []
    else:
        tenors = []
        words = document["fault"] or "the book cannot be valued yet: no mark has come"
        found.append(Section("bands", (), (Line("", (words,), Tone.WARN),)))
    working = document["working"]
    lines = tuple(map(_working, working)) or (Line("", ("none",), Tone.DIM),)
    found.append(Section("working orders", _WORKING if working else (), lines))
    if document["ticket"] is not None:
        found.append(_ticket(document["ticket"]))
    if tenors:
        found.append(Section("bands by tenor", _ROWS, tuple(_row(r, keys) for r in tenors)))
    lines = tuple(map(_decision, document["decisions"])) or (Line("", ("", "", "none yet"), Tone.DIM),)
    found.append(Section("decisions, newest first", _DECISIONS, lines))
    return tuple(found)


def _bands(banded: Sequence[Json]) -> str:
    """The title of the bands, with the unit of each Greek, which a narrow screen has no column for."""
    units = {row["row"].split(":")[0]: row["unit"] for row in banded}
    words = "bands" + (": " if units else "") + ", ".join(f"{greek} {unit}" for greek, unit in units.items())
    return words + "; of the tenors the worst" * any(map(_of_tenor, banded))


def _by_hand(row: Json) -> tuple[Line, ...]:
    """Who set the band, and below it what the file says; nothing where nobody did."""
    told = by_hand(row)
    named = zip(("hand", "file"), (Tone.WARN, Tone.DIM), told, strict=False)
    return tuple(Line(f"by {name} {row['row']}", (text,), tone, told) for name, tone, text in named)


def _of_tenor(row: Json) -> bool:
    greek, *of = str(row["row"]).split(":")
    return greek == "vega" and len(of) == 2


def _worst(tenors: Sequence[Json]) -> tuple[Line, ...]:
    """The tenor that needs a look first: one outside, else one that is not known, else the one used most. Its
    place is the same whichever it is, and no band is edited there."""
    if not tenors:
        return ()
    worst = max(tenors, key=lambda r: (bool(r["breached"]), r["used"] is None, r["used"] or 0.0))
    return (replace(_row(worst, {}), key="worst tenor"),)


def _next(found: Json | None) -> Iterator[Line]:
    """What will be done next, and why, in a line or two."""
    if found is None:
        yield Line("next", ("nothing was decided yet",), Tone.DIM)
        return
    what, why, reason = found["what"], found["why"], found["reason"]
    if found["due"] and found["withheld"] and not found["working"]:
        tone = Tone.BAD
    else:
        tone = Tone.WARN if found["working"] or found["due"] or found["withheld"] else Tone.GOOD
    yield Line("next", (f"{what}: {why}",), tone, (what, why, reason))
    if reason and reason not in why:
        yield Line("next reason", (reason,), Tone.DIM, (reason,))


def _row(row: Json, keys: Mapping[str, str]) -> Line:
    breached, used = row["breached"], row["used"]
    state = "OUTSIDE" if breached else "?" if row["value"] is None else "inside"
    return Line(
        f"band {row['row']}",
        (
            row["row"],
            figure(row["value"]),
            figure(row["target"]),
            interval(row["trigger"]),
            interval(row["landing"]),
            percent(used),
            state,
            figure(row["distance"]),
            row["unit"],
        ),
        Tone.BAD if breached else Tone.WARN if used is None or used > 0.8 else Tone.PLAIN,
        (
            f"{row['row']}, {row['unit']}",
            f"trigger {interval(row['trigger'])}, landing {interval(row['landing'])}"
            + (f"; {keys['bands']} edits them" if "bands" in keys else ""),
            *by_hand(row),
        ),
    )


def _working(order: Json) -> Line:
    unknown = order["state"] == "unknown"
    kind = "post-only" if order["post_only"] else order["time_in_force"]
    return Line(
        f"order {order['client_id']}",
        (
            order["client_id"],
            order["state"].upper() if unknown else order["state"],
            order["side"],
            order["quantity"],
            order["symbol"],
            order["price"],
            order["filled"],
            ahead(order),
            age(order["age_s"]),
            kind,
        ),
        Tone.BAD if unknown else Tone.PLAIN,
    )


def _ticket(ticket: Json) -> Section:
    lines = tuple(_leg(leg, i) for i, leg in enumerate(ticket["legs"]))
    title = (
        f"last ticket, {iso(ticket['now_ns'])[11:19]}: {ticket['status']}, "
        f"{usd(ticket['cost_usd'])} USD, bound {usd(ticket['lower_bound_usd'])}"
    )
    return Section(title, _LEGS, lines)


def _leg(leg: Json, place: int) -> Line:
    return Line(
        f"leg {place}",
        (
            leg["side"],
            leg["quantity"],
            leg["symbol"],
            leg["limit_price"],
            figure(leg["expected_price"]),
            usd(leg["cost_usd"]),
            leg["venue"],
        ),
    )


def _decision(found: Json) -> Line:
    tone = Tone.WARN if found["due"] else Tone.DIM if not found["acted"] else Tone.PLAIN
    at = iso(found["now_ns"])
    return Line(
        f"decision {found['record']}",
        (at[11:19], str(found["seq"]), found["text"]),
        tone,
        (f"record {found['record']}, event {found['seq']}, {at}", *found["told"]),
    )
