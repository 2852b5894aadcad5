"""With everything at DEBUG no secret, signature or header of ours reaches any handler in a session's life.

What the doctor asks of every exchange is looked at in the same way beside the doctor's own tests.
"""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from pathlib import Path

import pytest

from hedger.config import load
from hedger.runs.venue_checks import examine_venue
from hedger.runs.venue_setup import adapter
from pricing.contracts import Side
from tests.exchanges.server import Host
from tests.hedger.verbs.loopback import environment
from tests.hedger.verbs.places import PLACES, Place, said_too_much
from venues.orders import Order, OrderState, TimeInForce, client_order_id


def _forget(host: Host) -> None:
    for key in host.exchange.keys.values():
        key.revoked = True
    host.cut_sessions()


@pytest.mark.parametrize("place", [PLACES[name] for name in ("deribit", "bybit", "hyperliquid")])
def test_nothing_of_a_signed_session_is_logged(
    tmp_path: Path, place: Place, all_logged: list[logging.LogRecord]
) -> None:
    """A life in small: start, questions, an order and its cancel, a key that is refused, the end."""
    with place.opened() as exchange:
        file = place.settings(tmp_path, exchange.do(place.address))
        desk = load(file).settings

        async def work() -> None:
            asyncio.get_running_loop().set_debug(True)
            venue = adapter(place.venue, desk.venues[place.venue], environment(), start_s_max=30.0)
            try:
                await venue.start()
                await examine_venue(desk, place.venue, venue)
                listing = next(
                    x for x in await venue.listings() if "BTC" in x.symbol and "-C" not in x.symbol
                )
                price = listing.quantize_price(Decimal(40_000), Side.BUY)
                order = Order(
                    client_order_id("desk", 1, 0, 0),
                    listing,
                    Side.BUY,
                    listing.lot * 100,
                    price,
                    TimeInForce.GTC,
                )
                update = await venue.submit(order)
                assert update.state is not OrderState.DENIED
                await venue.cancel(order.client_id)
                await asyncio.to_thread(exchange.do, _forget)
                await examine_venue(desk, place.venue, venue)
                await venue.submit(order)
            finally:
                await venue.close()

        asyncio.run(work())
    assert said_too_much(all_logged) == []
