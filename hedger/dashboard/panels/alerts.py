"""Panel 7: what a person was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hedger.dashboard.feed import Told
from hedger.dashboard.sheet import Column, Line, Section, Sheet, Tone, age
from hedger.journal.acknowledged import Acknowledged
from pricing.daycount import iso

_COLUMNS = (
    Column("time", 8, left=True),
    Column("age", 7),
    Column("severity", 8, left=True),
    Column("seen by", 8, 1, left=True),
    Column("code", 20, left=True),
    Column("text", 0, left=True),
)
_TONES = {"critical": Tone.BAD, "warning": Tone.WARN}


def sheet(alerts: Sequence[Told], now_ns: int, acknowledged: Mapping[int, Acknowledged]) -> Sheet:
    """Of the running or last engine, newest first; the code names the page of the runbook. acknowledged: who
    has seen which, by its record."""
    lines = tuple(_line(alert, now_ns, acknowledged.get(alert.number)) for alert in list(alerts)[::-1])
    return (
        Section(
            "alerts since the engine's start",
            _COLUMNS,
            lines or (Line("", ("", "", "", "", "none"), Tone.GOOD),),
        ),
    )


def _line(alert: Told, now_ns: int, seen: Acknowledged | None) -> Line:
    severity = alert.severity.upper() if alert.severity == "critical" else alert.severity
    new = alert.severity in _TONES and seen is None
    who = "new, a acknowledges it" if seen is None else f"seen by {seen.user}, {iso(seen.at_ns)}"
    return Line(
        f"alert {alert.number} {alert.code} {alert.text}",
        (
            iso(alert.now_ns)[11:19],
            age((now_ns - alert.now_ns) / 1e9),
            severity,
            ("NEW" if new else "") if seen is None else seen.user,
            alert.code,
            alert.text,
        ),
        _TONES[alert.severity] if new else Tone.PLAIN,
        (f"{severity} {alert.code}, record {alert.number}, {iso(alert.now_ns)}", alert.text, who),
    )
