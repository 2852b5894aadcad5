"""Memory over an hour of simulated load: `python -m benchmarks.hour [--minutes 60] [--step-s 2]`.

The demo's engine and paper venue on tight delta bands, so that it trades all the time. At each tenth of the
way: objects alive after a collection, resident memory, orders so far. The engine keeps orders that ended for
an hour and the paper venue's log of truth forgets nothing, so what grows must grow with the orders alone; the
last line says by how much per order, beside how much a mark leaves. `tests/hedger/demo/test_memory.py` bounds
the same figures on three minutes.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hedger.demo.run import DemoWatcher, run
from hedger.settings import Settings
from venues.paper_report import PaperReport

TENTHS = 10


@dataclass(frozen=True, slots=True)
class Look:
    """What is held at a moment of the market's time."""

    minute: float
    objects: int
    resident_mb: float


def resident_mb() -> float:
    """Memory of this process in RAM, MB; NaN where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return float(found[0]) / 1e3 if found else float("nan")


class Looker(DemoWatcher):
    """Looks at each tenth of the way, and counts the orders that the venue received. minutes: in all."""

    def __init__(self, minutes: float) -> None:
        self._minutes = minutes
        self.looks: list[Look] = []
        self.orders = -1

    def marked(self, minute: float) -> None:
        """A look, if one is due."""
        if minute >= self._minutes * (len(self.looks) + 1) / TENTHS:
            gc.collect()
            self.looks.append(Look(minute, len(gc.get_objects()), resident_mb()))

    def closed(self, report: PaperReport) -> None:
        """All orders are in."""
        self.orders = report.figures["orders_received"]


def watched(minutes: float, step_s: float, delta_usd: float) -> tuple[list[Look], int]:
    """Run it; what was held at each tenth of the way, and how many orders the venue received."""
    band = {"trigger": [-delta_usd, delta_usd], "landing": [-0.5 * delta_usd, 0.5 * delta_usd]}
    looker = Looker(minutes)
    run(7, minutes, Settings.model_validate({"bands": {"*": {"delta_usd": band}}}), looker, step_s=step_s)
    return looker.looks, looker.orders


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hour", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="of market time")
    parser.add_argument("--step-s", type=float, default=2.0, help="market seconds between marks")
    parser.add_argument("--delta-usd", type=float, default=4_000.0, help="half of the delta band")
    chosen = parser.parse_args(arguments)
    looks, orders = watched(chosen.minutes, chosen.step_s, chosen.delta_usd)
    print(f"{'minute':>8} {'objects':>10} {'resident MB':>12}")
    for look in looks:
        print(f"{look.minute:8.1f} {look.objects:10,d} {look.resident_mb:12.1f}")
    first, last = looks[0], looks[-1]
    share = (last.minute - first.minute) / chosen.minutes
    marks = (last.minute - first.minute) * 60.0 / chosen.step_s
    more, mb = last.objects - first.objects, last.resident_mb - first.resident_mb
    print(
        f"{orders} orders in all; from minute {first.minute:g} on {more:+,d} objects, {mb:+.1f} MB in "
        f"{marks:.0f} marks and about {orders * share:.0f} orders: {more / max(orders * share, 1.0):.1f} "
        "objects an order"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
