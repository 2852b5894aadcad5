"""Orders in plain words with what stands at their price, for panels and verbs alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from hedger.core.order_life import OrderRecord
from hedger.desk.follow import Follower
from hedger.documents import number
from hedger.journal.rows import order_row
from pricing.contracts import Side
from pricing.market import Market
from venues.orders import TimeInForce

Json = dict[str, Any]


def order_rows(orders: Iterable[OrderRecord], follower: Follower | None, at_ns: int) -> list[Json]:
    """`order_row` with what may still fill, whether more may come of it, and `level_size`: what stands at its
    price on its side of the book, at `at_ns` (UTC); null where the journal's book does not show that.

    At most so much is ahead of it in the queue. The venue may count the order itself in it, and what came
    later stands behind it.
    """
    told = list(orders)
    resting = [order for order in told if rests(order)]
    market = _market(resting, follower)
    sizes = {}
    if market is not None and follower is not None:
        age_s_max = follower.settings.age_s_max
        sizes = {x.order.client_id: number(level_size(x, market, age_s_max, at_ns)) for x in resting}
    return [
        order_row(order)
        | {
            "reserved": str(order.reserved),
            "live": order.live,
            "level_size": sizes.get(order.order.client_id),
        }
        for order in told
    ]


def rests(order: OrderRecord) -> bool:
    """Whether it may stand in a queue of its own listing."""
    return order.live and order.order.time_in_force is TimeInForce.GTC and not order.order.combo


def _market(resting: Iterable[OrderRecord], follower: Follower | None) -> Market | None:
    """The market with the books of the listings that orders rest on; None where it is not known."""
    if follower is None or follower.market is None:
        return None
    places = follower.market.universe.positions
    keys = {order.order.listing.key for order in resting}
    return follower.with_books([places[key] for key in keys if key in places]) if keys else None


def level_size(order: OrderRecord, market: Market, age_s_max: float, at_ns: int) -> float:
    """What stands at an order's price, in order units; NaN where the book does not show the level, is older
    than age_s_max or was told before its venue was down."""
    row = market.universe.positions.get(order.order.listing.key)
    if row is None or abs(at_ns - int(market.venue_ns[row])) > age_s_max * 1e9 or market.left_over[row]:
        return math.nan
    bids, asks = market.book(row)
    side = bids if order.order.side is Side.BUY else asks
    price = float(order.order.price if order.shown is None else order.shown[1])
    here = np.isclose(side.price, price, rtol=1e-9, atol=0.0)
    return float(side.size[here].sum()) if here.any() else math.nan
