"""A place that takes alerts, on the loopback: it answers well, with an error, late, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any

from hedger.journal.entries import Entry, ModeChange, decision_entry, mode_entry
from tests.builders import NOW_NS

WAIT_S = 20.0


@dataclass(slots=True)
class Place:
    """status: what it answers; `gate` closed: it takes a letter and says nothing until it is opened."""

    url: str
    taken: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    @property
    def text(self) -> str:
        """Everything that it was told."""
        return "\n".join(f"{letter['title']}\n{letter['message']}" for letter in self.taken)

    def wait(self, done: Callable[[Place], bool]) -> None:
        """Until it was told what is waited for."""
        until(lambda: done(self))


def until(done: Callable[[], object]) -> None:
    """Until something is so; a test that waits too long fails."""
    end = monotonic() + WAIT_S
    while not done():
        assert monotonic() < end, "it never came"
        sleep(0.01)


@contextmanager
def place(path: str = "/desk") -> Iterator[Place]:
    """A place of apprise's json:// kind on an ephemeral port, until the block ends."""
    found = Place("")
    found.gate.set()

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked += 1
            found.gate.wait(WAIT_S)
            if found.status == 200:
                found.taken.append(body)
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    found.url = f"json://127.0.0.1:{server.server_address[1]}{path}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        found.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def decision(seq: int, *alerts: tuple[str, str, str], now_ns: int = NOW_NS) -> Entry:
    """A decision that tells of alerts: (severity, code, text)."""
    actions = [{"action": "alert", "severity": s, "code": c, "text": t} for s, c, t in alerts]
    document = {"seq": seq, "mode": "armed", "actions": actions}
    return decision_entry(seq, now_ns, f"{seq:064x}", document, quiet=False)


def mode(seq: int, name: str, *, paused: bool = False, now_ns: int = NOW_NS, reason: str = "test") -> Entry:
    """The engine's mode from here on."""
    return mode_entry(seq, now_ns, ModeChange(name, paused, "ann", reason))
