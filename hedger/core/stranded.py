"""Orders at a venue that cannot be asked: they are not waited for where risk can be reduced elsewhere.

As a rule nothing is sent beside an order that may still fill. But a venue may be gone for hours, and what the
book needs meanwhile must not wait for it. So an order that may still fill at a venue that takes no orders is,
after `alert_s`, stranded: each row lies somewhere between where it is without any of them and where it is
with all, and the rest of the book is hedged elsewhere as if it lay where it needs the least. What is out of
its band even then is out of it whatever became of the orders; what only they would bring back in is not
hedged a second time, what only they would bring out is not hedged at all, and either is told to a person. The
limits count each as filled and as not filled, as always, and nothing is sent to the venue before it has told
what became of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hedger.core.order_life import OrderRecord
from hedger.core.state import State
from hedger.core.turn import Turn
from hedger.problem.snapshot import Snapshot
from hedger.sections.execution import ns
from pricing.universe import FloatArray


def stranded_orders(turn: Turn) -> tuple[OrderRecord, ...]:
    """Orders that may still fill, at venues that take none, decided longer than `alert_s` ago."""
    state, patience = turn.state, ns(turn.settings.desk.execution.watch.alert_s)
    shut = {name for name, venue in state.venues.items() if not venue.takes_orders}
    if not shut or len(shut) == len(state.venues):
        return ()
    return tuple(
        record
        for record in state.orders.values()
        if record.venue in shut and not record.settled and turn.now - record.since_ns >= patience
    )


def stranded_shift(turn: Turn, snapshot: Snapshot, value: FloatArray) -> FloatArray | None:
    """By how much rows (m,) at `value` may lie nearer to their landing, for what stranded orders may have
    done; never beyond its nearer edge. None where there are no such orders."""
    records = stranded_orders(turn)
    if not records:
        return None
    low, high = np.zeros_like(value), np.zeros_like(value)
    for record in records:
        at = snapshot.market.universe.positions.get(record.order.listing.key)
        if at is not None:
            effect = snapshot.exposure.traded[:, at] * record.order.side.sign * float(record.reserved)
            low, high = low + np.minimum(effect, 0.0), high + np.maximum(effect, 0.0)
    bands = snapshot.bands
    missing = np.clip(value, bands.landing_lower, bands.landing_upper) - value
    return np.clip(missing, low, high)


def at_its_nearest(turn: Turn, snapshot: Snapshot) -> Snapshot:
    """The book as near to its bands as stranded orders may have brought it; the same object where there are
    none."""
    shift = stranded_shift(turn, snapshot, snapshot.exposure.value)
    if shift is None:
        return snapshot
    return replace(snapshot, exposure=replace(snapshot.exposure, value=snapshot.exposure.value + shift))


def waited_for(turn: Turn, state: State) -> list[str]:
    """Ids of the orders that a hedge waits for, sorted: whatever may still fill and is not stranded."""
    left = {record.order.client_id for record in stranded_orders(turn)}
    return sorted(c for c, r in state.orders.items() if not r.settled and c not in left)
