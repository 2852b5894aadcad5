"""What a monitor may read: Prometheus text at http://127.0.0.1:PORT/metrics, and nowhere else.

The page is made by the engine's loop, at most once a heartbeat, as bytes; a thread of its own hands these
out, each reader in one of a few threads and for a few seconds at most, so a slow or a wild reader delays
neither other readers nor the engine. Labels are bounded: venues, rows of the book, modes and states; never
an order's id or a strike.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any

from hedger.core.glance import Glance
from hedger.core.state import Mode, State
from hedger.engine.metrics_table import BY_NAME
from pricing.daycount import NS_PER_SECOND
from pricing.errors import InputError
from venues.orders import Link, OrderState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: A reader that says nothing for so long is sent away, and so is one that is not done by the other.
PATIENCE_S = 1.0
DEADLINE_S = 2.0
#: Readers at a time; of more each waits until one of them is done, at most its deadline.
READERS_MAX = 4
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
    """Everything that is told of an engine. counts: since its start, by name.

    What nothing has looked at in full is not looked at in full for this: the loop waits for it.
    """
    found = [_sample(f"hedger_{name}_total", value) for name, value in counts.items()]
    found += [_sample("hedger_mode", float(state.acting is mode), str(mode)) for mode in Mode]
    found.append(_sample("hedger_paused", float(state.paused)))
    live = [record.state for record in state.live_orders()]
    for kind in OrderState:
        if not kind.terminal:
            found.append(_sample("hedger_orders", float(live.count(kind)), str(kind)))
    for name, venue in sorted(state.venues.items()):
        found.append(_sample("hedger_link_up", float(venue.link is Link.UP), name))
        age = math.nan
        if venue.reconciled_ns is not None:
            age = (monotonic_ns - venue.reconciled_ns) / NS_PER_SECOND
        found.append(_sample("hedger_reconciled_age_seconds", age, name))
    found += _rows(state)
    mark_age = math.nan if state.marked_ns is None else (monotonic_ns - state.marked_ns) / NS_PER_SECOND
    found.append(_sample("hedger_mark_age_seconds", mark_age))
    day = state.counters
    for name, x in (
        ("equity_usd", day.equity_usd),
        ("day_fees_usd", day.fees_usd),
        ("day_slippage_usd", day.slippage_usd),
        ("day_turnover_usd", day.turnover_usd),
        ("day_fills", float(day.fills)),
        ("day_refused_orders", float(day.refused)),
        ("residual_usd", state.residual.usd),
    ):
        found.append(_sample(f"hedger_{name}", x))
    return found


def _rows(state: State) -> list[Sample]:
    """The rows of the book, and the edges they are held against; none before there is a mark."""
    value, seen = state.value, state.seen
    if value is None or seen is None:
        return []
    if isinstance(seen, Glance):
        rows, low, high = seen.rows, seen.edges[1], seen.edges[2]
    else:
        rows, low, high = seen.exposure.rows, seen.bands.trigger_lower, seen.bands.trigger_upper
    found = [_sample("hedger_exposure", x, row) for row, x in zip(rows, value.tolist(), strict=True)]
    for kind, edges in (("lower", low), ("upper", high)):
        for row, edge in zip(rows, edges.tolist(), strict=True):
            if math.isfinite(edge):
                found.append(_sample("hedger_band", edge, row, kind))
    return found


def _sample(name: str, value: float, *labels: str) -> Sample:
    """A number of a metric of the list."""
    metric = BY_NAME[name]
    return Sample(name, metric.type, metric.meaning, value, tuple(zip(metric.labels, labels, strict=True)))


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


class _Server(ThreadingMixIn, HTTPServer):
    """A few readers at a time, each until its deadline; a reader that goes away is no news."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(READERS_MAX)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand a reader to a thread of its own, once one is free."""
        if self._free.acquire(timeout=2 * DEADLINE_S):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a reader. One that sends a byte now and then is cut off at the deadline all the same."""
        deadline = threading.Timer(DEADLINE_S, _cut_off, [request])
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing."""


def _cut_off(reader: socket.socket) -> None:
    with suppress(OSError):  # it has gone meanwhile
        reader.shutdown(socket.SHUT_RDWR)


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

        try:
            self._server = _Server((loopback(host), port), Handler)
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
