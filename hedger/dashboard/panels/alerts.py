"""Panel 7: what a person was told."""

from __future__ import annotations

from collections.abc import Sequence

from hedger.dashboard.feed import Told
from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone, age
from pricing.daycount import iso

_COLUMNS = (
    Column("time", 8, left=True),
    Column("age", 7),
    Column("severity", 8, left=True),
    Column("code", 20, left=True),
    Column("text", 0, left=True),
)
_TONES = {"critical": Tone.BAD, "warning": Tone.WARN}


def sheet(alerts: Sequence[Told], now_ns: int) -> Sheet:
    """Of the running or last engine, newest first; the code names the page of the runbook."""
    lines = tuple(_line(alert, now_ns) for alert in list(alerts)[::-1])
    return (
        Section(
            "alerts since the engine's start", _COLUMNS, lines or (Line("", ("", "", "", "none"), Tone.GOOD),)
        ),
    )


def _line(alert: Told, now_ns: int) -> Line:
    severity = alert.severity.upper() if alert.severity == "critical" else alert.severity
    return Line(
        f"alert {alert.number} {alert.code} {alert.text}",
        (iso(alert.now_ns)[11:19], age((now_ns - alert.now_ns) / 1e9), severity, alert.code, alert.text),
        _TONES.get(alert.severity, Tone.PLAIN),
        (f"{severity} {alert.code}, record {alert.number}, {iso(alert.now_ns)}", alert.text),
    )
