"""What a monitor may read: Prometheus text at http://127.0.0.1:PORT/metrics, and nowhere else.

The page is made by the engine's loop, at most once a heartbeat, as bytes; a thread of its own hands these
out, one reader at a time, so a slow or a wild reader delays other readers and not the engine. Labels are
bounded: venues, rows of the book, modes and states; never an order's id or a strike.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from hedger.core.state import Mode, State
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from venues.orders import Link, OrderState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: A reader that says nothing for so long is sent away.
PATIENCE_S = 1.0
LABELS = frozenset({"venue", "row", "mode", "state", "kind"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One number. kind: "gauge" or "counter"."""

    name: str
    kind: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


def exposition(samples: Iterable[Sample]) -> bytes:
    """The page; samples of one name stand together.

    >>> exposition([Sample("hedger_up", "gauge", "1 while it runs", 1.0)]).decode().splitlines()[-1]
    'hedger_up 1'
    """
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        if not all(label in LABELS for label, _ in sample.labels):
            raise ValueError(f"{sample.name}: labels {sample.labels} are not bounded")
        groups.setdefault(sample.name, []).append(sample)
    lines = []
    for name, group in groups.items():
        lines += [f"# HELP {name} {group[0].help}", f"# TYPE {name} {group[0].kind}"]
        lines += [f"{name}{_labels(s.labels)} {_number(s.value)}" for s in group]
    return ("\n".join(lines) + "\n").encode()


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    escaped = (
        (name, text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, text in labels
    )
    return "{" + ",".join(f'{name}="{text}"' for name, text in escaped) + "}"


def _number(x: float) -> str:
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "+Inf" if x > 0 else "-Inf"
    return repr(int(x)) if float(x).is_integer() and abs(x) < 2**53 else repr(float(x))


def samples_of(state: State, counts: Mapping[str, float], monotonic_ns: int) -> list[Sample]:
    """Everything that is told of an engine. counts: since its start, by name."""
    found = [
        Sample(f"hedger_{name}_total", "counter", f"{name.replace('_', ' ')} since the start", value)
        for name, value in counts.items()
    ]
    for mode in Mode:
        on = float(state.acting is mode)
        found.append(Sample("hedger_mode", "gauge", "1 for the mode it acts in", on, (("mode", str(mode)),)))
    found.append(Sample("hedger_paused", "gauge", "1 while paused", float(state.paused)))
    live = [record.state for record in state.live_orders()]
    for kind in OrderState:
        if not kind.terminal:
            n = float(live.count(kind))
            found.append(Sample("hedger_orders", "gauge", "orders not over", n, (("state", str(kind)),)))
    for name, venue in sorted(state.venues.items()):
        label = (("venue", name),)
        found.append(Sample("hedger_link_up", "gauge", "1 = up", float(venue.link is Link.UP), label))
        age = math.nan
        if venue.reconciled_ns is not None:
            age = (monotonic_ns - venue.reconciled_ns) / NS_PER_SECOND
        found.append(Sample("hedger_reconciled_age_seconds", "gauge", "since it agreed", age, label))
    value, snapshot = state.value, state.snapshot
    if value is not None and snapshot is not None:
        for row, x in zip(snapshot.exposure.rows, value.tolist(), strict=True):
            found.append(Sample("hedger_exposure", "gauge", "rows of the book", x, (("row", row),)))
        mark_age = math.nan if state.marked_ns is None else (monotonic_ns - state.marked_ns) / NS_PER_SECOND
        found.append(Sample("hedger_mark_age_seconds", "gauge", "since the last mark", mark_age))
    found.append(Sample("hedger_equity_usd", "gauge", "at the last mark", state.counters.equity_usd))
    found.append(Sample("hedger_day_fees_usd", "gauge", "of the day", state.counters.fees_usd))
    found.append(Sample("hedger_day_slippage_usd", "gauge", "of the day", state.counters.slippage_usd))
    return found


def loopback(host: str) -> str:
    """The host, if nobody else can reach it.

    Raises:
        InputError: others could.
    """
    try:
        own = host == "localhost" or ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        own = False
    if not own:
        raise InputError(
            "METRICS_HOST",
            "metrics are told on this machine alone: they show positions, and there is no password",
            where="key run.metrics_host",
            observed=host,
            allowed="127.0.0.1 or localhost",
            not_done="nothing was started",
            fix="leave it at 127.0.0.1 and forward the port through something that checks who asks",
        )
    return host


class MetricsServer:
    """Hands out the last page. port 0: any free one; `port` then says which."""

    def __init__(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            InputError: another host than this, or a port that is taken.
        """
        self.page = b""
        server = self

        class Handler(BaseHTTPRequestHandler):
            """One reader."""

            timeout = PATIENCE_S

            def do_GET(self) -> None:
                """The page, at its one address."""
                known = self.path.split("?")[0] == "/metrics"
                body = server.page if known else b"only /metrics is here\n"
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Readers are not news."""

        class Server(HTTPServer):
            """One at a time; a reader that goes away is no news either."""

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Nothing."""

        try:
            self._server = Server((loopback(host), port), Handler)
        except OSError as error:
            raise InputError(
                "METRICS_PORT",
                "the port for metrics cannot be had",
                where="key run.metrics_port",
                observed=f"{port}: {error.strerror}",
                allowed="a free port, or 0 for none",
                not_done="nothing was started",
                fix="name another port",
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
