"""Panel 7: what a person was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone
from hedger.figures import age

Json = Mapping[str, Any]
_COLUMNS = (
    Column("age", 7),
    Column("severity", 8, left=True),
    Column("time", 8, 2, left=True),
    Column("seen by", 8, 1, left=True),
    Column("code: what was told", 0, left=True, least=46),
)
_TONES = {"critical": Tone.BAD, "warning": Tone.WARN}
_LATCH = "it stands until `hedger unkill --reason ..`: nobody need acknowledge it"


def sheet(document: Json, keys: Mapping[str, str]) -> Sheet:
    """document: of `hedger alerts --told`. keys: of the actions that this terminal may take.

    Newest first. The code names the page of the runbook.
    """
    lines = tuple(_line(alert, keys) for alert in document["alerts"][::-1])
    dropped = f", {document['dropped']} older ones not kept" * bool(document["dropped"])
    if not lines:
        none = "the engine has told nobody anything since its start" if document["since"] else "no engine yet"
        return (Section("alerts", (), (Line("none", (none,), Tone.GOOD, (none,)),)),)
    return (
        Section(f"alerts since the engine's start, {_clock(document['since'])}{dropped}", _COLUMNS, lines),
    )


def _line(alert: Json, keys: Mapping[str, str]) -> Line:
    loud = alert["severity"] in _TONES
    loud_now = alert["severity"] == "critical" and alert["over_at"] is None
    severity = alert["severity"].upper() if loud_now else alert["severity"]
    on_record, over = alert["record"] is not None, alert["over_at"]
    new = loud and on_record and alert["seen_by"] is None
    seen = (
        f"seen by {alert['seen_by']}, {alert['seen_at']}" if alert["seen_by"] is not None else "not seen yet"
    )
    if new and "acknowledge" in keys:
        seen += f"; {keys['acknowledge']} acknowledges it"
    tone = Tone.DIM if over is not None else _TONES[alert["severity"]] if new or not on_record else Tone.PLAIN
    return Line(
        f"alert {alert['record']} {alert['place']} {alert['code']}"
        if on_record
        else f"latch {alert['code']}",
        (
            age(alert["age_s"]),
            severity,
            _clock(alert["time"]),
            alert["seen_by"] or ("NEW" if new else ""),
            (f"OVER {_clock(over)}, " if over is not None else "")
            + "before the start, " * alert["earlier"]
            + f"{alert['code']}: {alert['text']}",
        ),
        tone,
        (
            f"{severity} {alert['code']}, record {alert['record'] or 'none'}, {alert['time']}",
            alert["text"],
            *([f"over since {over}"] if over is not None else []),
            *(["told before the engine's last start; shown until it is acknowledged"] * alert["earlier"]),
            seen if on_record else _LATCH,
            "what it means and what to do: `hedger alerts --list`, and the runbook under its code",
        ),
    )


def _clock(time: str | None) -> str:
    return "?" if time is None else time[11:19]
