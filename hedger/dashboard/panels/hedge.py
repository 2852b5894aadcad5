"""Panel 2: what comes next and why, where each row is in its band, what is in work, what was decided.

The tenors stand below orders and ticket, which else began below the edge of a screen of forty lines; the one
that is used most stands among the totals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hedger.core.state import Mode
from hedger.dashboard.panels.incomplete import left_out
from hedger.dashboard.panels.risk import by_hand
from hedger.dashboard.sheet import (
    Column,
    Line,
    Section,
    Sheet,
    Tone,
    age,
    counted,
    figure,
    interval,
    percent,
    usd,
)
from hedger.dashboard.standing import withheld_in
from pricing.daycount import iso

Json = Mapping[str, Any]
DECISIONS_SHOWN = 20
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
    Column("order", 18, 3, left=True),
    Column("state", 9, left=True),
    Column("side", 4, left=True),
    Column("quantity", 9),
    Column("symbol", 22, left=True),
    Column("at", 10),
    Column("filled", 9, 1),
    Column("age", 7, 2),
    Column("kind", 8, 4, left=True),
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


@dataclass(frozen=True, slots=True)
class Hedging:
    """What the panel is made of. rows: of `band_rows`, None while the book cannot be valued; missing,
    bad_indexes: what they lack. decision: the last one; asked: the last one at which the policy was asked.
    ticket: the last one, with its record. decisions: the newest last. latched: the kill latch is set. keys:
    of the actions that may be taken."""

    rows: Sequence[Json] | None
    missing: Sequence[Json] = ()
    bad_indexes: Sequence[str] = ()
    decision: Json | None = None
    asked: Json | None = None
    ticket: tuple[int, Json] | None = None
    working: Sequence[Json] = ()
    decisions: Sequence[tuple[int, Json]] = ()
    now_ns: int = 0
    latched: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)


def sheet(shown: Hedging) -> Sheet:
    """The panel, the most urgent first."""
    found = [Section("next", (), tuple(_next(shown)))]
    found += left_out(shown.missing, shown.bad_indexes)
    if shown.rows is not None:
        banded = [row for row in shown.rows if row["trigger"] is not None]
        none = Line("", ("no row has a band",), Tone.WARN)
        tenors = [row for row in banded if _of_tenor(row)]
        lines = tuple(_row(r, shown.keys) for r in banded if not _of_tenor(r)) + _worst(tenors)
        found.append(Section(_bands(banded), _ROWS if lines else (), lines or (none,)))
        hands = tuple(line for row in shown.rows for line in _by_hand(row))
        found += [Section("bands set by hand", (), hands)] if hands else []
    else:
        tenors = []
        words = "the book cannot be valued yet: no mark has come"
        found.append(Section("bands", (), (Line("", (words,), Tone.WARN),)))
    lines = tuple(_working(order, shown.now_ns) for order in shown.working) or (
        Line("", ("none",), Tone.DIM),
    )
    found.append(Section("working orders", _WORKING if shown.working else (), lines))
    if shown.ticket is not None:
        found.append(_ticket(*shown.ticket))
    if tenors:
        found.append(Section("bands by tenor", _ROWS, tuple(_row(r, shown.keys) for r in tenors)))
    newest = list(shown.decisions)[-DECISIONS_SHOWN:][::-1]
    lines = tuple(_decision(n, d) for n, d in newest) or (Line("", ("", "", "none yet"), Tone.DIM),)
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


def _next(shown: Hedging) -> Iterator[Line]:
    """What will be done next, and why, in a line or two."""
    decision, asked, working = shown.decision, shown.asked, shown.working
    if decision is None:
        yield Line("next", ("nothing was decided yet",), Tone.DIM)
        return
    told = decision if asked is None else asked
    why = str(told["trigger"] or told["reason"] or "the policy was not asked yet")
    # the latch's file may be there before the engine has said that it is killed
    mode = Mode.KILLED if shown.latched else Mode(decision["mode"])
    withheld = withheld_in(mode, decision["paused"])
    if working:
        what, tone = f"{counted(len(working), 'order')} in work", Tone.WARN
    elif told["due"] and not withheld:
        what, tone = "a hedge is due", Tone.WARN
    elif told["due"]:
        what, tone = f"a hedge is DUE and nothing leaves: {withheld}", Tone.BAD
    elif withheld:
        what, tone = f"nothing leaves: {withheld}", Tone.WARN
    else:
        what, tone = "no hedge", Tone.GOOD
    yield Line("next", (f"{what}: {why}",), tone, (what, why, str(decision.get("reason", ""))))
    reason = str(decision.get("reason", ""))
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


def _working(order: Json, now_ns: int) -> Line:
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
            age((now_ns - order["wall_ns"]) / 1e9),
            kind,
        ),
        Tone.BAD if unknown else Tone.PLAIN,
    )


def _ticket(number: int, decision: Json) -> Section:
    ticket = decision["ticket"]
    lines = tuple(leg_line(leg, i) for i, leg in enumerate(ticket["legs"]))
    title = (
        f"last ticket, {iso(decision['now_ns'])[11:19]}: {ticket['status']}, "
        f"{usd(ticket['cost_usd'])} USD, bound {usd(ticket['lower_bound_usd'])}"
    )
    return Section(title, _LEGS, lines)


def leg_line(leg: Json, place: int) -> Line:
    """A leg of a ticket."""
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


def _decision(number: int, decision: Json) -> Line:
    words = told(decision)
    tone = Tone.WARN if decision.get("due") else Tone.DIM if not decision.get("actions") else Tone.PLAIN
    return Line(
        f"decision {number}",
        (iso(decision["now_ns"])[11:19], str(decision["seq"]), words),
        tone,
        (f"record {number}, event {decision['seq']}, {iso(decision['now_ns'])}", *_at_length(decision)),
    )


def told(decision: Json) -> str:
    """A decision in one line: what was done, and why or why not."""
    parts = []
    sent = [a for a in decision["actions"] if a["action"] == "submit"]
    if decision.get("ticket"):
        ticket = decision["ticket"]
        legs = counted(len(ticket["legs"]), "leg")
        parts.append(f"ticket {ticket['status']}, {legs}, {usd(ticket['cost_usd'])} USD")
    parts += [f"send {a['side']} {a['quantity']} {a['symbol']}" for a in sent]
    refused = [v for v in decision["verdicts"] if v["code"]]
    parts += [f"REFUSED {v['code']}" for v in refused]
    check = decision.get("verification")
    if check:
        parts.append(f"verified: {'inside' if check['inside'] else 'OUTSIDE'}, {check['ended']}")
    if decision.get("preview"):
        parts.append("preview")
    parts += [f"alert {a['code']}" for a in decision["actions"] if a["action"] == "alert"]
    parts += [text for text in (decision["trigger"], decision["reason"]) if text]
    mode = decision["mode"] + (", paused" if decision["paused"] else "")
    return "; ".join(parts) or f"{mode}: nothing to do"


def _at_length(decision: Json) -> Iterator[str]:
    yield f"mode {decision['mode']}{', paused' if decision['paused'] else ''}"
    if decision["trigger"]:
        yield f"due: {'yes' if decision['due'] else 'no'}, {decision['trigger']}"
    if decision["breached"]:
        yield f"outside: {', '.join(decision['breached'])}"
    if decision["reason"]:
        yield decision["reason"]
    ticket = decision.get("ticket")
    if ticket:
        yield f"ticket {ticket['status']}: {ticket['reason']}"
        for leg in ticket["legs"]:
            yield f"  {leg['side']} {leg['quantity']} {leg['symbol']} at {leg['limit_price']}"
        yield from (f"  way back: {text}" for text in ticket["unwind"])
    for verdict in decision["verdicts"]:
        yield f"limits on {verdict['client_id']}: {verdict['text'] or 'let out'}"
    for action in decision["actions"]:
        if action["action"] == "alert":
            yield f"{action['severity'].upper()} {action['code']}: {action['text']}"
        else:
            words = (str(x) for name, x in action.items() if name != "action" and x not in ("", None))
            yield f"{action['action']} {' '.join(words)}"
    check = decision.get("verification")
    if check:
        yield f"verification of {check['execution']}: {'; '.join(check['differences']) or 'as promised'}"
