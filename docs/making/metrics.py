"""The page on metrics: every name that Prometheus may read, from the list behind the engine's own page."""

from __future__ import annotations

from docs.making.markdown import cell, code, page, table
from hedger.engine.metrics_table import METRICS


def make() -> str:
    """The page."""
    rows = [
        (code(m.name), m.type, cell(m.unit), ", ".join(map(code, m.labels)), cell(m.meaning)) for m in METRICS
    ]
    return page(
        "Metrics",
        "`run.metrics_port` in `config.toml` opens `http://127.0.0.1:PORT/metrics`, text as Prometheus "
        "reads it, on this "
        "machine alone: the page shows positions and has no password. It is made at most once a heartbeat; "
        "a slow or wild "
        "reader delays other readers and not the engine. Labels are bounded: venues, rows, modes, states; "
        "never an order. "
        "NaN is unknown, never zero. Counters begin with the process.",
        table(("metric", "type", "unit", "labels", "what it is"), rows),
    )
