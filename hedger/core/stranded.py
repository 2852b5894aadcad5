"""Orders at a venue that cannot be asked: they are not waited for where risk can be reduced elsewhere.

As a rule nothing is sent beside an order that may still fill. But a venue may be gone for hours, and what the
book needs meanwhile must not wait for it. So an order that may still fill at a venue that takes no orders is,
after `alert_s`, stranded: the rest of the book is hedged elsewhere as if that order had filled as a whole.
What is out of its band even then is out of it whatever became of the order; what only the order itself would
bring back in is not hedged a second time, and is told to a person. The limits count it as filled and as not
filled, as always, and nothing is sent to the venue before it has told what became of the order.
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


def stranded_effect(turn: Turn, snapshot: Snapshot) -> FloatArray | None:
    """What stranded orders would do to the rows (m,) if all of them filled; None where there are none."""
    records = stranded_orders(turn)
    if not records:
        return None
    effect = np.zeros(len(snapshot.exposure.rows))
    for record in records:
        at = snapshot.market.universe.positions.get(record.order.listing.key)
        if at is not None:
            signed = record.order.side.sign * float(record.reserved)
            effect += snapshot.exposure.traded[:, at] * signed
    return effect


def as_if_filled(turn: Turn, snapshot: Snapshot) -> Snapshot:
    """The book as if stranded orders had filled; the same object where there are none."""
    effect = stranded_effect(turn, snapshot)
    if effect is None:
        return snapshot
    return replace(snapshot, exposure=replace(snapshot.exposure, value=snapshot.exposure.value + effect))


def waited_for(turn: Turn, state: State) -> list[str]:
    """Ids of the orders that a hedge waits for, sorted: whatever may still fill and is not stranded."""
    left = {record.order.client_id for record in stranded_orders(turn)}
    return sorted(c for c, r in state.orders.items() if not r.settled and c not in left)
