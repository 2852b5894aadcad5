"""A venue that never stops talking: `python -m benchmarks.venue_load [--minutes 10] [--rate 2000]`.

Three processes: the exchange (`benchmarks.venue_exchange`), the engine as `hedger run` has it on a public
feed with fills on paper (adapter, inbox, decisions, journal), and this one, which looks at both. Every ten
seconds a line: messages the exchange has sent, quotes and book messages the adapter took, decisions, how
long the newest quote of a batch had waited when it was decided on and how old the oldest of the batch was,
resident memory, and CPU as a share of one core. The last lines say what an order was decided on, and how
memory went. It ends with 1, and the reason on stderr, where a gap or a malformed message was counted, neither
of which this exchange makes, or where memory goes on growing; and where it was too short to say anything.

Ages are by one clock: the exchange stamps with the wall clock of the same machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.children import Child, child
from hedger.core.decision import Decision
from hedger.core.events import Event
from hedger.core.state import State
from hedger.engine.engine import Recorder
from hedger.engine.service import Parts
from hedger.journal.journal import Journal
from hedger.limits_file import built_in
from hedger.runs.launch import RunOptions
from hedger.runs.venue_run import run_on_venues
from hedger.runs.venue_setup import Adapter
from hedger.settings import Settings
from pricing.market import Marks

PERIOD_S = 10.0
#: Until the exchange listens and the engine has seen its market.
START_S_MAX = 90.0
#: All options are followed: else the exchange is not asked for half of what it has to say.
FOLLOWED = 10_000
#: At a start everything is heard, compiled and valued for the first time: it is told apart.
WARM_S = 30.0
#: What memory may grow by, MB a minute, along a line through all periods; through fewer a line says nothing:
#: caches of a fixed size are still being filled.
GROWTH_MB_MAX, PERIODS_MIN = 2.0, 30


class Watching:
    """Stands before the recorder: what each decision on marks was made of. Prints a line of JSON a period."""

    def __init__(self) -> None:
        self._inner: Recorder
        self._venues: Sequence[Adapter] = ()
        self._waited_s: list[float] = []
        self._oldest_s: list[float] = []
        self._ordered_s: list[float] = []
        self._rows = self._decisions = 0
        self._begun_s = self._told_s = time.monotonic()

    def venues(self, venues: Sequence[Adapter]) -> Sequence[Adapter]:
        """As `Onlooker`."""
        self._venues = venues
        return venues

    def parts(self, parts: Parts, journal: Journal) -> Parts:
        """As `Onlooker`."""
        self._inner = parts.record
        self._begun_s = self._told_s = time.monotonic()
        return replace(parts, record=self)

    def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
        """As `Recorder`."""
        self._inner.turn(before, event, after, decision)
        self._decisions += 1
        marks = event.what
        if isinstance(marks, Marks) and len(marks.rows):
            self._rows += len(marks.rows)
            self._waited_s.append((event.now_ns - int(marks.venue_ns.max())) / 1e9)
            self._oldest_s.append((event.now_ns - int(marks.venue_ns.min())) / 1e9)
        if decision.orders:
            market = after.market
            for order in decision.orders:
                row = market.universe.positions[order.listing.key]
                self._ordered_s.append((event.now_ns - int(market.venue_ns[row])) / 1e9)
        if time.monotonic() - self._told_s >= PERIOD_S:
            self._tell()

    def broken(self, event: Event) -> None:
        """As `Recorder`."""
        self._inner.broken(event)

    def _tell(self) -> None:
        told = {
            "at_s": round(time.monotonic() - self._begun_s, 1),
            "decisions": self._decisions,
            "rows": self._rows,
            "waited_s": _quantiles(self._waited_s),
            "oldest_s": _quantiles(self._oldest_s),
            "ordered": len(self._ordered_s),
            "ordered_s_max": max(self._ordered_s, default=None),
            "gaps": sum(v.quotes.counts.gaps for v in self._venues if v.quotes is not None),
            "late": sum(v.quotes.counts.late for v in self._venues if v.quotes is not None),
            "malformed": sum(getattr(v, "malformed", 0) for v in self._venues),
        }
        print(json.dumps(told), flush=True)
        self._waited_s.clear()
        self._oldest_s.clear()
        self._ordered_s.clear()
        self._rows = self._decisions = 0
        self._told_s = time.monotonic()


def _quantiles(values: Sequence[float]) -> list[float]:
    """p50, p99 and the worst."""
    return [round(float(x), 4) for x in np.quantile(values, [0.5, 0.99, 1.0])] if values else []


def engine(folder: Path, url: str, minutes: float) -> None:
    """The engine's process."""
    run = {"feed": ["deribit"], "start_s_max": START_S_MAX, "options_followed": FOLLOWED}
    desk = {"run": run, "venues": {"deribit": {"url": url}}}
    options = RunOptions(folder / "journal", minutes, arm=True, watchdog=False)
    run_on_venues(options, Settings.model_validate(desk), built_in(), Watching())


def port_of(exchange: Child) -> int:
    """Where it listens.

    Raises:
        SystemExit: it never said.
    """
    line = exchange.line(START_S_MAX)
    if line is None:
        raise SystemExit("the exchange did not start")
    return int(line)


def watched(folder: Path, minutes: float, instruments: int, rate: float) -> list[dict[str, Any]]:
    """Run it; a row per period, printed as it comes."""
    rows: list[dict[str, Any]] = []
    asked = ("--instruments", str(instruments), "--rate", str(rate))
    with child("benchmarks.venue_exchange", *asked) as exchange:
        url = f"ws://127.0.0.1:{port_of(exchange)}/ws/api/v2"
        words = ("--engine", str(folder), "--url", url, "--minutes", str(minutes))
        with child("benchmarks.venue_load", *words) as run:
            before = _sample(exchange, run)
            print(f"{'s':>6} {'sent/s':>7} {'rows/s':>7} {'dec/s':>6} {'waited p50/p99/max ms':>22} "
                  f"{'oldest max ms':>13} {'MB':>7} {'engine':>7} {'exchange':>8}")  # fmt: skip
            while run.process.poll() is None:
                line = run.line(1.0)
                if line is None:
                    continue
                now = _sample(exchange, run)
                row = json.loads(line) | _between(before, now)
                before = now
                rows.append(row)
                _show(row)
    return rows


def _sample(exchange: Child, run: Child) -> dict[str, float]:
    told = exchange.newest()
    frames = float("nan") if told is None else float(json.loads(told)["frames"])
    return {
        "s": time.monotonic(),
        "frames": frames,
        "engine_cpu_s": run.cpu_s(),
        "exchange_cpu_s": exchange.cpu_s(),
        "resident_mb": run.resident_mb(),
    }


def _between(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    s = now["s"] - before["s"]
    rates = {f"{k}_share": (now[k] - before[k]) / s for k in ("engine_cpu_s", "exchange_cpu_s")}
    return {
        "period_s": s,
        "sent_per_s": (now["frames"] - before["frames"]) / s,
        "resident_mb": now["resident_mb"],
        **rates,
    }


def _show(row: dict[str, Any]) -> None:
    waited = "/".join(f"{x * 1e3:.0f}" for x in row["waited_s"])
    oldest = f"{row['oldest_s'][2] * 1e3:.0f}" if row["oldest_s"] else ""
    s = row["period_s"]
    print(
        f"{row['at_s']:6.0f} {row['sent_per_s']:7.0f} {row['rows'] / s:7.0f} {row['decisions'] / s:6.1f} "
        f"{waited:>22} {oldest:>13} {row['resident_mb']:7.1f} {row['engine_cpu_s_share']:7.0%} "
        f"{row['exchange_cpu_s_share']:8.0%}",
        flush=True,
    )


def _warm(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in rows if r["at_s"] > WARM_S and r["waited_s"]]


def _growth(warm: Sequence[dict[str, Any]]) -> float:
    """MB a minute."""
    return float(np.polyfit([r["at_s"] / 60.0 for r in warm], [r["resident_mb"] for r in warm], 1)[0])


def against(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What contradicts that nothing is lost, misread or kept, by all periods, the start's as well."""
    warm = _warm(rows)
    if len(warm) < 2:
        return ["too short to say anything: it has to run beyond its start"]
    last = rows[-1]
    counted = ((last["gaps"], "gaps"), (last["malformed"], "malformed messages"))
    found = [f"{count} {what}" for count, what in counted if count]
    if len(warm) >= PERIODS_MIN and (growth := _growth(warm)) > GROWTH_MB_MAX:
        found.append(f"memory grows by {growth:.2f} MB a minute; at most {GROWTH_MB_MAX:g} are allowed")
    return found


def _close(rows: Sequence[dict[str, Any]]) -> None:
    warm = _warm(rows)
    if len(warm) < 2:
        return
    ordered = [r["ordered_s_max"] for r in warm if r["ordered_s_max"] is not None]
    slope = _growth(warm)
    print(
        f"after the first {WARM_S:g} s: {np.mean([r['sent_per_s'] for r in warm]):.0f} messages/s, worst "
        "wait "
        f"{max(r['waited_s'][2] for r in warm) * 1e3:.0f} ms, memory {warm[0]['resident_mb']:.0f} to "
        f"{warm[-1]['resident_mb']:.0f} MB ({slope:+.2f} MB a minute), "
        f"orders {sum(r['ordered'] for r in warm)}, the oldest quote one was decided on "
        f"{max(ordered, default=float('nan')) * 1e3:.0f} ms; gaps {warm[-1]['gaps']}, late "
        f"{warm[-1]['late']}, malformed {warm[-1]['malformed']}; share of a core: engine "
        f"{np.mean([r['engine_cpu_s_share'] for r in warm]):.0%}, exchange "
        f"{np.mean([r['exchange_cpu_s_share'] for r in warm]):.0%}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.venue_load", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--instruments", type=int, default=1200)
    parser.add_argument("--rate", type=float, default=2000.0, help="messages a second")
    parser.add_argument("--engine", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.engine is not None:
        engine(chosen.engine, chosen.url, chosen.minutes)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = watched(Path(folder), chosen.minutes, chosen.instruments, chosen.rate)
    _close(rows)
    reasons = against(rows)
    for reason in reasons:
        print(reason, file=sys.stderr)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
