"""An engine that runs on holds no more: a mark leaves nothing behind, and what an order leaves is counted."""

from __future__ import annotations

import gc

import pytest

from hedger.demo.run import DemoWatcher, run
from hedger.settings import Settings
from venues.paper_report import PaperReport

MINUTES = 3.0
#: Objects that an order may leave: in the engine's records of the last hour, and in the paper venue's log of
#: truth, which forgets nothing.
PER_ORDER = 12
#: What may come and go between two looks: a snapshot more or less, an execution in work.
SLACK = 40


class Looker(DemoWatcher):
    """Counts the objects alive at each full minute, and the orders that the venue received."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self.orders = -1

    def marked(self, minute: float) -> None:
        if minute and minute == int(minute):
            gc.collect()
            self.found.append(len(gc.get_objects()))

    def closed(self, report: PaperReport) -> None:
        self.orders = report.figures["orders_received"]


def looked_at(settings: Settings) -> tuple[list[int], int]:
    """Objects alive at each full minute, and how many orders there were."""
    looker = Looker()
    run(7, MINUTES, settings, looker, step_s=1.5)
    return looker.found, looker.orders


def banded(delta_usd: float) -> Settings:
    """Delta in a band of so much, all else free."""
    far = {"trigger": [-1e14, 1e14], "landing": [-1e13, 1e13]}
    delta = {"trigger": [-delta_usd, delta_usd], "landing": [-0.5 * delta_usd, 0.5 * delta_usd]}
    rows = {"delta_usd": delta, "gamma_usd_per_1pct": far, "vega_usd_per_point": far}
    return Settings.model_validate({"bands": {"*": rows | {"vega_bucket_multiple": 1e3}}})


@pytest.mark.parametrize(("delta_usd", "orders_min"), [(1e12, 0), (4_000.0, 30)])
def test_memory_is_flat_but_for_orders(delta_usd: float, orders_min: int) -> None:
    (first, second, last), orders = looked_at(banded(delta_usd))
    assert orders >= orders_min and (orders == 0) == (orders_min == 0)
    # caches of a fixed size fill within the first minute
    assert last - first <= PER_ORDER * orders + SLACK
    assert last - second <= PER_ORDER * orders + SLACK
