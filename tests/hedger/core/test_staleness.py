"""Data that is too old decides nothing, by each of three clocks: the venue's, ours, and other sources.

Venue time: marks arrive, and their stamps are old (`Market.fresh`: now less the venue's stamp). Local time:
the last stamps were in order, nothing arrives any more, and our own time goes on with ticks: the same
difference grows. Cross-source: stamps and arrival are in order, and the index is not what the forwards on it
and its last value say: it stands still, or another's stands in for it (`pricing.oracle`). An index that its
venue's adapter hands out as unknown, since its own stream is silent, is not the last one that was known.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from hedger.core.decision import Decision
from tests.hedger.rig import SECOND, Rig, desk
from venues.orders import OrderState, OrderUpdate

#: Long delta far beyond its band: an armed engine sends an order on the next good mark.
LONG = {"BTC-PERPETUAL": "400000"}


#: How old a quote may be, seconds; short of what an account may stay unread.
AGE_S_MAX = 15.0


def armed() -> Rig:
    """An engine that will send on the next good mark."""
    return Rig(LONG, desk().model_copy(update={"age_s_max": AGE_S_MAX})).armed()


def marked(rig: Rig, seconds: float, behind_s: float = 0.0) -> Decision:
    """Marks so many seconds later; the venue stamped them so long before."""
    stamp = rig.now_ns + round((seconds - behind_s) * SECOND)
    return rig.mark(seconds, venue_ns=np.full(len(rig.market.marks().rows), stamp))


@pytest.mark.parametrize("late", [False, True])
def test_stale_by_venue_time_stops_decisions(late: bool) -> None:
    rig = armed()
    rig.tick(60.0)
    decision = marked(rig, 1.0, AGE_S_MAX + 30.0 if late else 0.0)
    assert bool(decision.orders) is not late


@pytest.mark.parametrize("silent", [False, True])
def test_stale_by_local_time_stops_decisions(silent: bool) -> None:
    """An order that the venue ends is sent anew, but not while nothing is heard; on the next mark it is."""
    rig = armed()
    (order,) = marked(rig, 1.0).orders
    rig.truth.take(order)
    rig.send(rig.truth.update(order.client_id), 0.1)
    if silent:
        rig.tick(AGE_S_MAX)
    else:
        marked(rig, AGE_S_MAX)
    before = len(rig.submits())
    rig.truth.cancel(order.client_id)
    rig.send(OrderUpdate(order.client_id, OrderState.CANCELLED, f"v-{order.client_id}", Decimal(0)))
    for _ in range(5):
        rig.tick(1.0)
    assert (len(rig.submits()) > before) is not silent
    marked(rig, 1.0)
    assert len(rig.submits()) > before


@pytest.mark.parametrize("factor", [1.0, 0.9, 1.1])
def test_stale_by_cross_source_index_stops_decisions(factor: float) -> None:
    """Forwards and marks stand where they were; the index is a tenth off them, freshly stamped."""
    rig = armed()
    now = rig.market.marks()
    decision = rig.mark(20.0, index=now.index * factor)
    assert bool(decision.orders) is (factor == 1.0)


@pytest.mark.parametrize("known", [True, False])
def test_an_index_that_is_not_known_any_more_stops_decisions(known: bool) -> None:
    """Every quote is fresh, and the index was known a second ago; its own stream is too old."""
    rig = armed()
    now = rig.market.marks()
    decision = rig.mark(1.0, index=now.index if known else np.full(len(now.rows), np.nan))
    assert bool(decision.orders) is known
