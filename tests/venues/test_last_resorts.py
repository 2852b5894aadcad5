"""What must work when nothing else does: the venue's timer, the mass cancel, a cancel behind a burst."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pricing.contracts import Side
from tests.exchanges.faults import Act
from tests.exchanges.words import Side as There
from tests.venues.cex_desk import run
from tests.venues.deribit_desk import until
from tests.venues.products import PRODUCTS, Market, Product, market_of
from tests.venues.trials import Stage
from venues.cex import CexVenue
from venues.errors import VenueError
from venues.orders import Order, OrderState

#: What a cancel of one order is called there.
CANCELS = {
    "okx": "trade/cancel-order", "hyperliquid": "cancelByCloid", "bybit": "order/cancel",
    "binance": "DELETE api/order", "binanceusdm": "DELETE fapi/order", "binancecoinm": "DELETE dapi/order",
    "deribit": "private/cancel",
}  # fmt: skip
#: What sets the timer there.
TIMERS = {
    "okx": "trade/cancel-all-after", "hyperliquid": "scheduleCancel",
    "bybit": "order/disconnected-cancel-all", "binanceusdm": "POST fapi/countdownCancelAll",
    "binancecoinm": "POST dapi/countdownCancelAll",
}  # fmt: skip
#: One product of each account that cancels by itself.
VENUES = [next(x for x in PRODUCTS if x.venue == name) for name in ("okx", "hyperliquid", "binancecoinm")]
EVERY = [*VENUES, *(next(x for x in PRODUCTS if x.venue == name) for name in ("deribit", "bybit", "binance"))]


def resting(market: Market, stage: Stage, steps: int) -> Order:
    """A bid that meets nobody, so many ticks below the last one."""
    order = stage.order(Side.BUY, marketable=False)
    price = order.price - steps * market.listing.tick_steps.at(order.price)
    return replace(order, price=market.listing.quantize_price(price, Side.BUY))


def staged(market: Market, product: Product) -> Stage:
    quantity = max(product.lots * market.listing.lot, 2 * market.listing.minimum)
    return Stage(market.venue, market.listing, quantity, market.scene.price)


def open_orders(market: Market) -> int:
    exchange = market.scene.host.exchange
    return sum(len(exchange.open_orders(name)) for name in exchange.accounts if name.startswith("desk"))


@pytest.mark.parametrize("product", VENUES, ids=str)
@pytest.mark.parametrize("refreshed", [True, False])
def test_the_venue_cancels_what_nobody_refreshes_and_nothing_before_it_was_armed(
    product: Product, refreshed: bool
) -> None:
    async def work() -> None:
        async with market_of(product) as market:
            clock, stage = market.scene.host.exchange.clock, staged(market, product)
            seconds = market.venue.capabilities.timer_s
            assert seconds is not None and 5 <= seconds <= 120
            await market.venue.submit(resting(market, stage, 0))
            if refreshed:
                await market.venue.refresh()  # and then nothing more: the loop hangs
            clock.advance(0.6 * seconds)
            await asyncio.sleep(0.1)
            assert open_orders(market) == 1
            clock.advance(0.6 * seconds)
            if refreshed:
                await until(lambda: open_orders(market) == 0, "it is cancelled by the venue", 2.0)
            else:
                await asyncio.sleep(0.1)
                assert open_orders(market) == 1

    run(work())


@pytest.mark.parametrize("product", EVERY, ids=str)
def test_the_mass_cancel_takes_every_order_of_the_account_whoever_sent_it(product: Product) -> None:
    async def work() -> None:
        async with market_of(product) as market:
            stage, exchange = staged(market, product), market.scene.host.exchange
            orders = [resting(market, stage, n) for n in range(25)]
            updates = await asyncio.gather(*(market.venue.submit(x) for x in orders))
            assert {u.state for u in updates} == {OrderState.OPEN}
            account = exchange.orders[max(exchange.orders)].account
            other = resting(market, stage, 30)
            exchange.submit(
                account, market.scene.key, There.BUY, other.quantity, other.price, client_id="by-hand"
            )
            assert open_orders(market) == 26
            await market.venue.cancel_all()
            assert open_orders(market) == 0
            assert (await market.venue.account(0)).orders == ()

    run(work(), 30.0)


@pytest.mark.parametrize("product", VENUES, ids=str)
def test_a_cancel_stands_behind_no_burst_of_orders(product: Product) -> None:
    async def work() -> None:
        async with market_of(product) as market:
            stage = staged(market, product)
            first = resting(market, stage, 0)
            assert (await market.venue.submit(first)).state is OrderState.OPEN
            assert isinstance(market.venue, CexVenue)
            market.venue._orders.throttler.config["refillRate"] = 1e-5  # of its own: an order in 100 seconds
            burst = [
                asyncio.create_task(market.venue.submit(resting(market, stage, n + 1))) for n in range(20)
            ]
            await asyncio.sleep(0)
            update = await market.venue.cancel(first.client_id)
            assert update.state is OrderState.CANCELLED and sum(not x.done() for x in burst) >= 15
            for task in burst:
                task.cancel()
            await asyncio.gather(*burst, return_exceptions=True)

    run(work())


@pytest.mark.parametrize("name", sorted(CANCELS))
def test_a_cancel_waits_for_no_other_request_nor_for_the_timers(name: str) -> None:
    """Every client may send one request and no second: what a cancel stood behind would keep it for good."""
    product = next(x for x in reversed(PRODUCTS) if x.venue == name)

    async def work() -> None:
        async with market_of(product) as market:
            stage, calls = staged(market, product), market.scene.host.calls
            first = resting(market, stage, 0)
            assert (await market.venue.submit(first)).state is OrderState.OPEN
            if isinstance(market.venue, CexVenue):
                own = market.venue
                own_clients = (own._orders, own._cancels, own._timer, own._polls, own._market, own._clock)
                for client in own_clients:
                    client.throttler.config |= {"refillRate": 1e-9, "tokens": 0}
            before = len(calls)
            burst: list[asyncio.Future[Any]] = [
                asyncio.ensure_future(market.venue.submit(resting(market, stage, n + 1))) for n in range(9)
            ]
            burst.append(asyncio.ensure_future(market.venue.account(0)))
            burst.append(asyncio.ensure_future(market.venue.refresh()))
            await asyncio.sleep(0.1)
            burst.append(asyncio.ensure_future(market.venue.cancel(first.client_id)))

            def left() -> list[str]:
                return [operation for _, operation in calls[before:]]

            await until(lambda: CANCELS[name] in left(), "the cancel leaves", 3.0)
            # Deribit's session has no pace of its own: what is before a cancel is what the router let out
            most = 4 if isinstance(market.venue, CexVenue) else len(burst) + 20
            assert left().index(CANCELS[name]) <= most, left()
            for task in burst:
                task.cancel()
            await asyncio.gather(*burst, return_exceptions=True)

    run(work())


@pytest.mark.parametrize("name", sorted(TIMERS))
def test_a_timer_is_claimed_once_the_venue_has_taken_it_and_not_after_one_that_it_refused(name: str) -> None:
    product = next(x for x in PRODUCTS if x.venue == name)

    async def work() -> None:
        async with market_of(product) as market:
            venue, host = market.venue, market.scene.host
            assert venue.capabilities.dead_man_s is None and venue.capabilities.timer_s == 45.0
            await venue.refresh()
            assert venue.capabilities.dead_man_s == 45.0 and host.count(TIMERS[name]) > 0
            host.faults.add(Act.ERROR_BEFORE, TIMERS[name], times=1)
            with pytest.raises(VenueError):
                await venue.refresh()
            assert venue.capabilities.dead_man_s is None and venue.capabilities.timer_s == 45.0
            await venue.refresh()
            assert venue.capabilities.dead_man_s == 45.0
            host.faults.add(Act.UNAUTHORIZED, TIMERS[name], times=1)
            with pytest.raises(VenueError):
                await venue.refresh()
            assert venue.capabilities.dead_man_s is None

    run(work())
