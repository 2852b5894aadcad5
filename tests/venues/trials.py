"""What every venue must pass, whatever stands behind it: paper, an exchange, a loopback of one.

A `Stage` puts one venue and one listing at a trial's disposal. `TRIALS` names them all; each is a coroutine
over a stage on which nothing rests; the last ones close it. Nothing in here knows what venue it is.

A trial asks a stage for what its market can do (`others`, `again`, `settle`); where the stage cannot, the
trial has nothing to show there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pricing.contracts import Kind, Listing, Side
from tests import builders
from venues.base import News, Venue
from venues.errors import Refused, VenueError
from venues.orders import (
    ComboOrder,
    Order,
    OrderState,
    OrderUpdate,
    TimeInForce,
    TradeReport,
    client_order_id,
)


@dataclass(slots=True)
class Stage:
    """A venue, a liquid listing on it, and what its market is.

    quantity: a few lots, less than what is displayed at the touch. price(side, marketable): a price on tick
    at which an order of this side fills at once, or rests. news: all that the stream said so far; `hear`
    keeps filling it while the trial runs.

    touch(side): what an order of this side meets first: the price there, and how much of it. others(order,
    quantity): somebody trades so much with an order that rests. again: another process on the same account.
    settle: the listing expires now; at what, USD per coin. truth: how much we hold by the venue's own record.
    person(order, price, quantity): somebody gives an order of ours another price and size in the venue's own
    screen.
    """

    venue: Venue
    listing: Listing
    quantity: Decimal
    price: Callable[[Side, bool], Decimal]
    patience_s: float = 2.0
    news: list[News] = field(default_factory=list)
    touch: Callable[[Side], tuple[Decimal, Decimal]] | None = None
    others: Callable[[Order, Decimal], None] | None = None
    again: Callable[[], AbstractAsyncContextManager[Venue]] | None = None
    settle: Callable[[], Decimal] | None = None
    truth: Callable[[], Decimal] | None = None
    person: Callable[[Order, Decimal, Decimal], None] | None = None
    _orders: int = 0

    def order(
        self,
        side: Side,
        *,
        marketable: bool,
        tif: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> Order:
        """An order with an id of its own."""
        self._orders += 1
        return Order(
            client_order_id("trial", self._orders, 0, 0),
            self.listing,
            side,
            self.quantity,
            self.price(side, marketable),
            tif,
            post_only=post_only,
            reduce_only=reduce_only,
        )

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for news that make it hold.

        Raises:
            AssertionError: they did not come.
        """
        deadline = asyncio.get_running_loop().time() + self.patience_s
        while not holds():
            assert asyncio.get_running_loop().time() < deadline, f"never heard: {what}"
            await asyncio.sleep(0.002)

    def fills(self, client_id: str) -> list[TradeReport]:
        """What the stream said of an order's executions."""
        return [x for x in self.news if isinstance(x, TradeReport) and x.client_id == client_id]

    def states(self, client_id: str) -> list[OrderState]:
        """What the stream said of an order's state, in order."""
        return [x.state for x in self.news if isinstance(x, OrderUpdate) and x.client_id == client_id]


async def hear(stage: Stage) -> None:
    """Keep the stage's news; run beside a trial."""
    async for news in stage.venue.stream():
        stage.news.append(news)


async def a_marketable_order_fills_and_is_told_everywhere_alike(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=True, tif=TimeInForce.IOC)
    since_ns = 0
    before = (await stage.venue.account(since_ns)).positions.get(stage.listing.symbol, Decimal(0))
    update = await stage.venue.submit(order)
    assert update.client_id == order.client_id
    assert update.state is OrderState.FILLED and update.filled == order.quantity
    await stage.until(
        lambda: sum(t.fill.quantity for t in stage.fills(order.client_id)) == order.quantity, "its fills"
    )
    for trade in stage.fills(order.client_id):
        assert trade.fill.side is Side.BUY and trade.fill.price <= order.price
        assert trade.fill.listing.key == stage.listing.key and trade.fill.trade_id
    report = await stage.venue.account(since_ns)
    mine = [t for t in report.trades if t.client_id == order.client_id]
    assert {t.key for t in mine} == {t.key for t in stage.fills(order.client_id)}
    if stage.listing.contract.kind is not Kind.SPOT:  # what is bought on spot is a balance
        assert report.positions.get(stage.listing.symbol, Decimal(0)) == before + order.quantity
    known = await stage.venue.order(order.client_id)
    assert known is not None and known.state is OrderState.FILLED and known.filled == order.quantity


async def a_resting_order_rests_until_cancelled(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=False)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN
    report = await stage.venue.account(0)
    assert [o.client_id for o in report.orders] == [order.client_id]
    assert report.orders[0].price == order.price and report.orders[0].filled == 0
    assert (await stage.venue.cancel(order.client_id)).state is OrderState.CANCELLED
    assert (await stage.venue.account(0)).orders == ()
    await stage.until(
        lambda: stage.states(order.client_id) == [OrderState.OPEN, OrderState.CANCELLED], "its life"
    )
    known = await stage.venue.order(order.client_id)
    assert known is not None and known.state is OrderState.CANCELLED


async def an_immediate_order_that_meets_nobody_is_cancelled(stage: Stage) -> None:
    order = stage.order(Side.SELL, marketable=False, tif=TimeInForce.IOC)
    update = await stage.venue.submit(order)
    assert update.state is OrderState.CANCELLED and update.filled == 0
    assert (await stage.venue.account(0)).orders == ()


async def an_order_that_never_was_is_not_known(stage: Stage) -> None:
    assert await stage.venue.order(client_order_id("trial", 999_999, 0, 0)) is None


async def cancelling_what_is_done_says_what_it_was(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=True, tif=TimeInForce.IOC)
    await stage.venue.submit(order)
    assert (await stage.venue.cancel(order.client_id)).state is OrderState.FILLED


async def cancelling_what_never_was_claims_nothing(stage: Stage) -> None:
    update = await stage.venue.cancel(client_order_id("trial", 999_998, 0, 0))
    assert update.state is OrderState.UNKNOWN


async def the_mass_cancel_leaves_nothing(stage: Stage) -> None:
    assert stage.venue.capabilities.mass_cancel
    orders = [stage.order(Side.BUY, marketable=False) for _ in range(3)]
    for order in orders:
        await stage.venue.submit(order)
    await stage.venue.cancel_all()
    assert (await stage.venue.account(0)).orders == ()
    await stage.until(
        lambda: all(OrderState.CANCELLED in stage.states(o.client_id) for o in orders), "the ends"
    )


async def a_post_only_order_never_takes(stage: Stage) -> None:
    if stage.venue.capabilities.post_only:
        order = stage.order(Side.BUY, marketable=True, post_only=True)
        update = await stage.venue.submit(order)
        assert update.state is OrderState.REJECTED and update.code
        assert not stage.fills(order.client_id)


async def a_reduce_only_order_never_opens(stage: Stage) -> None:
    if stage.venue.capabilities.reduce_only:
        order = stage.order(Side.BUY, marketable=True, reduce_only=True, tif=TimeInForce.IOC)
        update = await stage.venue.submit(order)
        assert update.state in (OrderState.REJECTED, OrderState.CANCELLED) and not update.filled


async def a_price_off_the_tick_is_refused_in_words_we_know(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=False)
    off = order.price + stage.listing.tick_steps.at(order.price) / 4
    update = await stage.venue.submit(replace(order, price=off))
    assert update.state is OrderState.REJECTED and update.code


async def a_quantity_off_the_lot_is_refused_in_words_we_know(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=False)
    for quantity in (order.quantity + stage.listing.lot / 4, stage.listing.lot / 4):
        odd = replace(stage.order(Side.BUY, marketable=False), quantity=quantity)
        update = await stage.venue.submit(odd)
        assert update.state is OrderState.REJECTED and update.code
    assert (await stage.venue.account(0)).orders == ()


async def an_order_larger_than_the_touch_fills_in_part_and_the_rest_rests_until_cancelled(
    stage: Stage,
) -> None:
    if stage.touch is None:
        return
    price, size = stage.touch(Side.BUY)
    order = replace(stage.order(Side.BUY, marketable=True), price=price, quantity=size + stage.quantity)
    update = await stage.venue.submit(order)
    assert update.state is OrderState.OPEN, update
    await _heard(stage, order, size)
    (resting,) = (await stage.venue.account(0)).orders
    assert (resting.client_id, resting.quantity, resting.filled) == (order.client_id, order.quantity, size)
    ended = await stage.venue.cancel(order.client_id)
    assert ended.state is OrderState.CANCELLED and ended.filled in (None, size)
    await _told_alike(stage, order, size)


async def an_immediate_order_larger_than_the_touch_fills_in_part_and_never_rests(stage: Stage) -> None:
    if stage.touch is None:
        return
    price, size = stage.touch(Side.SELL)
    order = stage.order(Side.SELL, marketable=True, tif=TimeInForce.IOC)
    order = replace(order, price=price, quantity=size + stage.quantity)
    held = stage.truth() if stage.truth is not None else None
    update = await stage.venue.submit(order)
    assert update.state is OrderState.CANCELLED and update.filled == size
    await _told_alike(stage, order, size)
    if stage.truth is not None and held is not None:
        assert stage.truth() == held - size


async def a_resting_order_is_filled_by_others_in_parts(stage: Stage) -> None:
    if stage.others is None:
        return
    order = stage.order(Side.BUY, marketable=False)
    part = (order.quantity / 2).quantize(stage.listing.lot)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN
    for filled in (part, order.quantity):
        stage.others(order, part)
        await _heard(stage, order, filled)
    assert all(t.maker and t.fill.price == order.price for t in stage.fills(order.client_id))
    await stage.until(lambda: OrderState.FILLED in stage.states(order.client_id), "its end")
    await _told_alike(stage, order, order.quantity)


async def a_cancel_that_meets_its_order_on_the_way_tells_one_truth(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=True)
    update, told = await asyncio.gather(stage.venue.submit(order), stage.venue.cancel(order.client_id))
    known = await stage.venue.order(order.client_id)
    assert known is not None and known.state.terminal
    await _told_alike(stage, order, known.filled)
    for said in (update, told):
        assert said.state in (known.state, OrderState.UNKNOWN, OrderState.OPEN)
        assert said.filled is None or said.filled <= known.filled


async def a_cancel_that_meets_a_fill_tells_one_truth(stage: Stage) -> None:
    if stage.others is None:
        return
    order = stage.order(Side.BUY, marketable=False)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN
    cancelling = asyncio.create_task(stage.venue.cancel(order.client_id))
    await asyncio.sleep(0)
    stage.others(order, order.quantity)
    told = await cancelling
    known = await stage.venue.order(order.client_id)
    assert known is not None and known.state.terminal and told.state is known.state
    await _told_alike(stage, order, known.filled)


async def what_is_held_is_what_the_venue_says(stage: Stage) -> None:
    if stage.truth is None:
        return
    held = stage.truth()
    order = stage.order(Side.BUY, marketable=True, tif=TimeInForce.IOC)
    assert (await stage.venue.submit(order)).state is OrderState.FILLED
    assert stage.truth() == held + order.quantity
    if stage.listing.contract.kind is not Kind.SPOT:
        assert (await stage.venue.account(0)).positions[stage.listing.symbol] == stage.truth()


async def a_settlement_ends_the_position_and_tells_its_price(stage: Stage) -> None:
    if stage.settle is None:
        return
    order = stage.order(Side.BUY, marketable=True, tif=TimeInForce.IOC)
    assert (await stage.venue.submit(order)).state is OrderState.FILLED
    late = stage.order(Side.BUY, marketable=True)
    before = await stage.venue.account(0)
    assert before.positions[stage.listing.symbol] and stage.listing.symbol not in before.deliveries
    price = stage.settle()
    after = await stage.venue.account(0)
    assert stage.listing.symbol not in after.positions
    assert after.deliveries[stage.listing.symbol] == price
    refused = await stage.venue.submit(late)
    assert refused.state is OrderState.REJECTED and refused.code, refused


async def another_process_finds_what_the_first_left(stage: Stage) -> None:
    if stage.again is None:
        return
    rests = stage.order(Side.BUY, marketable=False)
    taken = stage.order(Side.BUY, marketable=True, tif=TimeInForce.IOC)
    assert (await stage.venue.submit(rests)).state is OrderState.OPEN
    assert (await stage.venue.submit(taken)).state is OrderState.FILLED
    held = (await stage.venue.account(0)).positions
    await stage.venue.close()
    async with stage.again() as venue:
        report = await venue.account(0)
        assert [o.client_id for o in report.orders] == [rests.client_id]
        assert report.positions == held
        mine = [t.fill.quantity for t in report.trades if t.client_id == taken.client_id]
        assert sum(mine) == taken.quantity
        known = await venue.order(taken.client_id)
        assert known is not None and known.state is OrderState.FILLED
        assert (await venue.cancel(rests.client_id)).state is OrderState.CANCELLED
        assert (await venue.account(0)).orders == ()


async def an_amendment_moves_price_and_size_under_the_same_id(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=False)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN
    away, size = _further(stage, order), order.quantity
    if not stage.venue.capabilities.amends:
        await _refused(stage, order, away, size, "amends_not_offered")
        await _rests(stage, order)
        return
    for price, quantity in ((away, size), (away, 2 * size), (away, size), (order.price, 2 * size)):
        update = await stage.venue.amend(order.client_id, price, quantity)
        assert (update.client_id, update.state, update.code) == (order.client_id, OrderState.OPEN, ""), update
        assert (update.price, update.quantity) == (price, quantity)
        order = replace(order, price=price, quantity=quantity)
        await _rests(stage, order)
    off_tick = order.price + stage.listing.tick_steps.at(order.price) / 4
    await _refused(stage, order, off_tick, size, "price_not_on_tick")
    await _refused(stage, order, order.price, size + stage.listing.lot / 4, "quantity_not_in_lots")
    await _refused(stage, order, order.price, Decimal("NaN"), "quantity_not_in_lots")
    await _refused(stage, order, order.price, Decimal(0), "")
    await _rests(stage, order)
    assert (await stage.venue.amend(order.client_id, order.price, order.quantity)).state is OrderState.OPEN
    again = await stage.venue.submit(order)  # its id is still its own
    assert again.state in (OrderState.UNKNOWN, OrderState.OPEN)
    await _rests(stage, order)
    assert (await stage.venue.cancel(order.client_id)).state is OrderState.CANCELLED
    ended = await stage.venue.amend(order.client_id, away, size)
    assert ended.state is OrderState.CANCELLED and ended.code
    assert (await stage.venue.account(0)).orders == ()
    assert not stage.fills(order.client_id)


async def an_amendment_of_what_never_was_claims_nothing(stage: Stage) -> None:
    if stage.venue.capabilities.amends:
        order = stage.order(Side.BUY, marketable=False)
        never = client_order_id("trial", 999_997, 0, 0)
        update = await stage.venue.amend(never, order.price, order.quantity)
        assert update.state is OrderState.UNKNOWN and update.quantity is None


async def the_size_of_an_amendment_holds_what_has_filled(stage: Stage) -> None:
    if stage.others is None or not stage.venue.capabilities.amends:
        return
    order = stage.order(Side.BUY, marketable=False)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN
    part = (order.quantity / 2).quantize(stage.listing.lot)
    stage.others(order, part)
    await _heard(stage, order, part)
    await _refused(stage, order, order.price, part, "quantity_filled_already")
    whole = 2 * order.quantity
    update = await stage.venue.amend(order.client_id, order.price, whole)
    assert (update.state, update.quantity, update.filled) == (OrderState.OPEN, whole, part)
    stage.others(order, whole)  # more than is left of it: what it fills in all is what was asked for
    await stage.until(lambda: OrderState.FILLED in stage.states(order.client_id), "its end")
    await _told_alike(stage, order, whole)


async def a_post_only_order_amended_through_the_touch_never_takes(stage: Stage) -> None:
    if not stage.venue.capabilities.amends:
        return
    order = stage.order(Side.BUY, marketable=False, post_only=True)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN
    away = _further(stage, order)
    assert (await stage.venue.amend(order.client_id, away, order.quantity)).price == away
    try:
        update = await stage.venue.amend(order.client_id, stage.price(Side.BUY, True), order.quantity)
    except Refused as refused:
        assert refused.code == "post_only_would_take"
        await _rests(stage, replace(order, price=away))
    else:  # some venues end it
        assert update.state is OrderState.CANCELLED and not update.filled, update
        assert (await stage.venue.account(0)).orders == ()
    assert not stage.fills(order.client_id)


async def an_amendment_through_the_touch_takes_and_is_told(stage: Stage) -> None:
    if not stage.venue.capabilities.amends:
        return
    order = stage.order(Side.BUY, marketable=False)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN
    update = await stage.venue.amend(order.client_id, stage.price(Side.BUY, True), order.quantity)
    assert (update.state, update.filled, update.code) == (OrderState.FILLED, order.quantity, "")
    await _told_alike(stage, order, order.quantity)


async def an_amendment_that_meets_a_fill_tells_one_truth(stage: Stage) -> None:
    if stage.others is None or not stage.venue.capabilities.amends:
        return
    held = Decimal(0) if stage.truth is None else stage.truth()
    for wait_s in (0.0, 0.002, 0.005, 0.01):
        order = stage.order(Side.BUY, marketable=False)
        size, whole = order.quantity, 2 * order.quantity
        assert (await stage.venue.submit(order)).state is OrderState.OPEN
        amending = asyncio.create_task(stage.venue.amend(order.client_id, order.price, whole))
        await asyncio.sleep(wait_s)
        stage.others(order, size)
        told = await amending
        await _heard(stage, order, size)
        known = await stage.venue.order(order.client_id)
        assert known is not None and known.filled == size
        if known.quantity == whole:  # the amendment was first, or made room for the rest of it
            assert known.state is OrderState.OPEN
            assert told.state is OrderState.OPEN and (told.quantity, told.code) == (whole, "")
            assert (await stage.venue.cancel(order.client_id)).state is OrderState.CANCELLED
        else:
            assert known.state is OrderState.FILLED and told.state in (known.state, OrderState.UNKNOWN)
            assert told.code
        await _told_alike(stage, order, size)
        held += size
        assert stage.truth is None or stage.truth() == held


async def an_order_that_somebody_else_amends_is_told_as_it_is(stage: Stage) -> None:
    if stage.person is None:
        return
    order = stage.order(Side.BUY, marketable=False)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN
    price, quantity = _further(stage, order), 2 * order.quantity
    stage.person(order, price, quantity)
    told = (order.client_id, OrderState.OPEN, price, quantity)
    await stage.until(
        lambda: (
            told
            in [(x.client_id, x.state, x.price, x.quantity) for x in stage.news if isinstance(x, OrderUpdate)]
        ),
        "what it is now",
    )
    await _rests(stage, replace(order, price=price, quantity=quantity))
    assert (await stage.venue.cancel(order.client_id)).state is OrderState.CANCELLED


def _further(stage: Stage, order: Order) -> Decimal:
    """A tick away from the market."""
    tick = stage.listing.tick_steps.at(order.price)
    return stage.listing.quantize_price(order.price - order.side.sign * tick, order.side)


async def _rests(stage: Stage, order: Order) -> None:
    """The order, and it alone, rests as it is here."""
    (listed,) = (await stage.venue.account(0)).orders
    asked = await stage.venue.order(order.client_id)
    assert asked is not None
    for seen in (listed, asked):
        assert (seen.client_id, seen.state) == (order.client_id, OrderState.OPEN)
        assert (seen.price, seen.quantity) == (order.price, order.quantity)


async def _refused(stage: Stage, order: Order, price: Decimal, quantity: Decimal, code: str) -> None:
    """An amendment is refused, by this code where one is named."""
    try:
        update = await stage.venue.amend(order.client_id, price, quantity)
    except Refused as refused:
        assert refused.code and code in ("", refused.code), refused.text()
        return
    raise AssertionError(f"{quantity} at {price} was taken: {update}")


async def _heard(stage: Stage, order: Order, filled: Decimal) -> None:
    await stage.until(
        lambda: sum(t.fill.quantity for t in stage.fills(order.client_id)) == filled, f"{filled} filled"
    )


async def _told_alike(stage: Stage, order: Order, filled: Decimal) -> None:
    """The order, the stream and the report tell of the same executions, and of no others."""
    known = await stage.venue.order(order.client_id)
    assert known is not None and known.filled == filled and known.state.terminal
    await _heard(stage, order, filled)
    trades = [t for t in (await stage.venue.account(0)).trades if t.client_id == order.client_id]
    assert {t.key: t.fill.quantity for t in trades} == {
        t.key: t.fill.quantity for t in stage.fills(order.client_id)
    }


async def a_combo_is_refused_where_none_are_taken_and_leaves_nothing(stage: Stage) -> None:
    """Two options that the venue need not know; a venue that takes combos refuses them for that."""
    first, legs = client_order_id("trial", 990, 0, 0), []
    for at, strike in enumerate((60_000.0, 70_000.0)):
        option = builders.listing(
            builders.option(strike, "C", 30.0), f"BTC-{strike:g}-C", venue=stage.venue.name, lot="0.1"
        )
        side, name = (Side.BUY, Side.SELL)[at], client_order_id("trial", 990, at, 0)
        legs.append(Order(name, option, side, Decimal(1), Decimal("0.01"), TimeInForce.IOC, combo=first))
    update = await stage.venue.submit(ComboOrder(tuple(legs)))
    assert (update.client_id, update.state, update.filled or 0) == (first, OrderState.REJECTED, 0)
    assert stage.venue.capabilities.combos or update.code == "combos_not_offered"
    assert await stage.venue.order(first) is None


async def a_client_id_sent_twice_never_says_that_the_first_failed(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=False)
    await stage.venue.submit(order)
    again = await stage.venue.submit(order)
    assert again.state in (OrderState.UNKNOWN, OrderState.OPEN)
    known = await stage.venue.order(order.client_id)
    assert known is not None and known.state is OrderState.OPEN


async def many_questions_at_once_each_get_their_own_answer(stage: Stage) -> None:
    orders = [stage.order(Side.BUY, marketable=False) for _ in range(4)]
    updates = await asyncio.gather(*(stage.venue.submit(o) for o in orders))
    assert [u.client_id for u in updates] == [o.client_id for o in orders]
    known = await asyncio.gather(*(stage.venue.order(o.client_id) for o in orders))
    assert [k.client_id for k in known if k] == [o.client_id for o in orders]


async def its_listings_are_its_own_and_each_once(stage: Stage) -> None:
    listings = await stage.venue.listings()
    assert stage.listing.key in {x.key for x in listings}
    assert {x.venue for x in listings} == {stage.venue.name}
    assert len({x.symbol for x in listings}) == len(listings)


async def a_refresh_is_harmless(stage: Stage) -> None:
    await stage.venue.refresh()
    order = stage.order(Side.BUY, marketable=False)
    assert (await stage.venue.submit(order)).state is OrderState.OPEN


async def what_was_cancelled_before_the_close_stays_so(stage: Stage) -> None:
    order = stage.order(Side.BUY, marketable=False)
    await stage.venue.submit(order)
    await stage.venue.close()
    try:
        await asyncio.wait_for(stage.venue.order(order.client_id), 0.05)
    except (VenueError, TimeoutError):
        return
    raise AssertionError("a closed venue answered")


Trial = Callable[[Stage], Awaitable[None]]

TRIALS: tuple[Trial, ...] = (
    a_marketable_order_fills_and_is_told_everywhere_alike,
    a_resting_order_rests_until_cancelled,
    an_immediate_order_that_meets_nobody_is_cancelled,
    an_order_that_never_was_is_not_known,
    cancelling_what_is_done_says_what_it_was,
    cancelling_what_never_was_claims_nothing,
    the_mass_cancel_leaves_nothing,
    a_post_only_order_never_takes,
    a_reduce_only_order_never_opens,
    a_price_off_the_tick_is_refused_in_words_we_know,
    a_quantity_off_the_lot_is_refused_in_words_we_know,
    what_is_held_is_what_the_venue_says,
    an_order_larger_than_the_touch_fills_in_part_and_the_rest_rests_until_cancelled,
    an_immediate_order_larger_than_the_touch_fills_in_part_and_never_rests,
    a_resting_order_is_filled_by_others_in_parts,
    a_cancel_that_meets_its_order_on_the_way_tells_one_truth,
    a_cancel_that_meets_a_fill_tells_one_truth,
    an_amendment_moves_price_and_size_under_the_same_id,
    an_amendment_of_what_never_was_claims_nothing,
    the_size_of_an_amendment_holds_what_has_filled,
    a_post_only_order_amended_through_the_touch_never_takes,
    an_amendment_through_the_touch_takes_and_is_told,
    an_amendment_that_meets_a_fill_tells_one_truth,
    an_order_that_somebody_else_amends_is_told_as_it_is,
    a_combo_is_refused_where_none_are_taken_and_leaves_nothing,
    a_client_id_sent_twice_never_says_that_the_first_failed,
    many_questions_at_once_each_get_their_own_answer,
    its_listings_are_its_own_and_each_once,
    a_refresh_is_harmless,
    a_settlement_ends_the_position_and_tells_its_price,
    another_process_finds_what_the_first_left,
    what_was_cancelled_before_the_close_stays_so,
)


#: After these a stage is of no more use.
LAST: frozenset[Trial] = frozenset(
    {
        a_settlement_ends_the_position_and_tells_its_price,
        another_process_finds_what_the_first_left,
        what_was_cancelled_before_the_close_stays_so,
    }
)


async def perform_all(trials: Iterable[Trial], stage: Stage) -> None:
    """Run trials one after the other on one stage; a failure names its trial."""
    listener = asyncio.create_task(hear(stage))
    try:
        for trial in trials:
            try:
                await trial(stage)
                if trial not in LAST:
                    await stage.venue.cancel_all()
            except Exception as error:
                error.add_note(f"in the trial {trial.__name__}")
                raise
    finally:
        await stage.venue.close()
        await asyncio.wait_for(listener, stage.patience_s)


async def perform(trial: Trial, stage: Stage) -> None:
    """Run one trial with the stream heard beside it, and leave nothing behind."""
    listener = asyncio.create_task(hear(stage))
    try:
        await trial(stage)
    finally:
        await stage.venue.close()
        await asyncio.wait_for(listener, stage.patience_s)
