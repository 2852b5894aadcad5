"""Panel 4: where the P&L came from, with what has no cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hedger.amounts import counted
from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone
from hedger.figures import usd

Json = Mapping[str, Any]


def sheet(document: Json | None, fault: str = "") -> Sheet:
    """document: of `hedger pnl`; fault: why there is none."""
    if document is None or document["attribution_usd"] is None:
        why = fault or "the P&L is unknown: the book had no two marks with a worth yet"
        return (Section("P&L", (), (Line("", (why,), Tone.WARN, (why,)),)),)
    days = document["days"][-5:]
    columns = (
        Column("cause", 22, left=True),
        Column("all $", 12),
        Column("since hedge", 12),
        *(Column(day["day"], 12, len(days) - i) for i, day in enumerate(days)),
    )
    lines = [
        Line(
            f"cause {name}",
            (
                _word(name),
                usd(x),
                _since(document, "attribution_usd", name),
                *(usd(day["attribution_usd"][name]) for day in days),
            ),
            _tone(name, document),
        )
        for name, x in sorted(document["attribution_usd"].items(), key=lambda item: _place(item[0]))
    ]
    lines.insert(
        2,
        Line(
            "cause allowed",
            (
                "  of it allowed",
                "",
                _since(document, "residual_allowed_usd"),
                *(usd(d["residual_allowed_usd"]) for d in days),
            ),
            Tone.DIM,
        ),
    )
    lines.append(
        Line(
            "cause harvest",
            (
                "harvest, gamma + theta",
                usd(document["harvest_usd"]),
                _since(document, "harvest_usd"),
                *(usd(d["harvest_usd"]) for d in days),
            ),
        )
    )
    title = f"P&L by cause, USD, {document['from'][:19]} to {document['to'][:19]}"
    found = [Section(title, columns, tuple(lines))]
    alerts = tuple(
        Line(f"alert {a['day']}", (f"{a['code']}: {a['text']}",), Tone.BAD) for a in document["alerts"]
    )
    if alerts:
        found.insert(0, Section("UNEXPLAINED", (), alerts))
    ledger = tuple(
        Line(
            f"ledger {name}",
            (
                _word(name),
                usd(x),
                _since(document, "ledger_usd", name),
                *(usd(day["ledger_usd"][name]) for day in days),
            ),
        )
        for name, x in sorted(document["ledger_usd"].items(), key=lambda item: _place(item[0]))
    )
    found.append(Section("P&L by the ledger, USD", columns, ledger))
    per = tuple(
        Line(f"of {u['underlying']}", (u["underlying"], usd(_total(u))), Tone.PLAIN)
        for u in document["underlyings"]
    )
    found.append(Section("by underlying, USD", columns[:2], per))
    since = document["since_hedge"]
    hedge = "-, none has ended" if since is None else f"{since['execution']}, from {since['from'][:19]} on"
    texts = [f"since hedge {hedge}"]
    texts.append(f"ledger less causes {usd(document['ledger_difference_usd'])} USD: rounding, or a fault")
    if early := document["before_first_mark"]:
        costs = f"fees {usd(early['fees_usd'])}, slippage {usd(early['slippage_usd'])} USD"
        fills = counted(early["fills"], "fill")
        texts.append(f"before the first mark with a worth, in none of this: {fills}, {costs}")
    if document["marks_passed_over"]:
        passed = counted(document["marks_passed_over"], "mark")
        texts.append(f"{passed} passed over: something held had no worth")
    texts += [f"unknown: {text}" for text in document["unknown"]]
    found.append(Section("", (), tuple(Line("", (text,), Tone.DIM) for text in texts)))
    return tuple(found)


def _since(document: Json, *names: str) -> str:
    """A figure of what is since the last hedge; "-" where none has ended."""
    found: Any = document["since_hedge"]
    if found is None:
        return "-"
    for name in names:
        found = found[name]
    return usd(found)


def _total(parts: Json) -> float | None:
    if "pnl" in parts:
        found: float | None = parts["pnl"]
        return found
    values = [x for name, x in parts.items() if name != "underlying"]
    return None if any(x is None for x in values) else sum(values)


def _word(name: str) -> str:
    words = {"pnl": "TOTAL", "total": "TOTAL", "residual": "RESIDUAL"}
    return words.get(name, name.replace("_", " "))


def _place(name: str) -> int:
    """The total first and what has no cause next: a small screen has both. The others as they come."""
    return {"pnl": 0, "total": 0, "residual": 1}.get(name, 2)


def _tone(name: str, document: Json) -> Tone:
    if name == "residual" and document["unexplained"]:
        return Tone.BAD
    return Tone.HEAD if name in ("pnl", "total") else Tone.PLAIN
