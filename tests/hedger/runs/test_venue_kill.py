"""A kill on a session of its own: every order goes, nothing is listed first, and no lost answer stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from hedger.runs.venue_kill import emptied
from pricing.contracts import Side
from tests.exchanges.faults import Act
from tests.exchanges.words import Side as There
from tests.venues.cex_desk import run
from tests.venues.products import PRODUCTS, Adapter, Market, Product, adapter_at, market_of
from tests.venues.trials import Stage
from venues.errors import Locked, NotTheVenue, Unreachable, VenueError
from venues.orders import Order, OrderState

WAIT_S = 10.0
#: The first and the last product of each venue: what is cancelled apart there lies apart.
_LAST = {x.venue: x for x in PRODUCTS}
_FIRST = {x.venue: x for x in reversed(PRODUCTS)}
#: What lies apart at a venue is cancelled apart: another category, another interface.
BOTH = dict.fromkeys([*_FIRST.values(), _LAST["bybit"], _LAST["binance"]])
#: What the start of a whole adapter asks, by the exchanges' names of their requests.
LISTS = ("*nstruments*", "*exchangeInfo*", "*subscribe*", "*ommission*", "*istenKey*", "*fee*", "*Fees*")


def open_orders(market: Market) -> int:
    exchange = market.scene.host.exchange
    return sum(len(exchange.open_orders(name)) for name in exchange.accounts if name.startswith("desk"))


async def begun(market: Market, product: Product) -> tuple[Order, str]:
    """A bid that meets nobody, sent by the adapter, and whose it is there."""
    quantity = max(product.lots * market.listing.lot, 2 * market.listing.minimum)
    stage = Stage(market.venue, market.listing, quantity, market.scene.price)
    order = stage.order(Side.BUY, marketable=False)
    update = await market.venue.submit(order)
    assert update.state is OrderState.OPEN, update
    exchange = market.scene.host.exchange
    return order, exchange.orders[max(exchange.orders)].account


def more(market: Market, like: Order, account: str, orders: int) -> None:
    """So many others, by hand."""
    for _ in range(orders):
        market.scene.host.exchange.submit(account, market.scene.key, There.BUY, like.quantity, like.price)


@asynccontextmanager
async def killer(market: Market, product: Product) -> AsyncIterator[Adapter]:
    """An adapter that no more than signs in."""
    venue = adapter_at(product.venue, market.scene.host)
    try:
        await venue.start_to_cancel()
        yield venue
    finally:
        await venue.close()


@pytest.mark.parametrize("product", BOTH, ids=str)
def test_every_order_goes_and_nothing_is_listed_or_joined_for_it(product: Product) -> None:
    async def work() -> None:
        async with market_of(product) as market:
            more(market, *await begun(market, product), 129)
            assert open_orders(market) == 130  # more than a page, and than a batch, of any venue
            listed = [market.scene.host.faults.add(Act.ERROR_BEFORE, name, times=99) for name in LISTS]
            async with killer(market, product) as venue:
                assert await venue.resting() == 130
                assert await emptied(venue, WAIT_S) == 0
            assert open_orders(market) == 0
            assert [rule.match for rule in listed if rule.bitten] == []

    run(work(), 30.0)


LOSSES = ((Act.ERROR_BEFORE, 0), (Act.CUT_AFTER, 0), (Act.CUT_AFTER, 1), (Act.ERROR_BEFORE, 2))


@pytest.mark.parametrize("product", _FIRST.values(), ids=str)
def test_an_answer_that_is_lost_ends_no_kill(product: Product) -> None:
    """Whatever is asked first, second or third, and whether or not it was done."""

    async def work() -> None:
        async with market_of(product) as market:
            like, account = await begun(market, product)
            for act, skip in LOSSES:
                more(market, like, account, 2)
                async with killer(market, product) as venue:
                    rule = market.scene.host.faults.add(act, skip=skip)
                    assert await emptied(venue, WAIT_S) == 0
                    market.scene.host.faults.rules.remove(rule)
                assert open_orders(market) == 0

    run(work(), 30.0)


@dataclass(slots=True)
class Answers:
    """A venue that says what it is told to: how many orders rest, or an error."""

    left: Sequence[int | VenueError]
    name: str = "venue"
    cancels: int = 0

    async def start_to_cancel(self) -> None:
        """Nothing to do."""

    async def cancel_all(self) -> None:
        """Counted."""
        self.cancels += 1

    async def resting(self) -> int:
        """The next answer; the last one again and again."""
        told = self.left[min(self.cancels, len(self.left)) - 1]
        if isinstance(told, VenueError):
            raise told
        return told

    async def close(self) -> None:
        """Nothing to do."""


LOST = Unreachable("NO_ANSWER", "no answer")


@pytest.mark.parametrize(
    ("answers", "cancels"), [([0, 0], 2), ([1, 0, 1, 0, 0], 5), ([0, LOST, 0, 0], 4), ([LOST, 3, 0, 0], 4)]
)
def test_two_readings_of_nothing_in_a_row_confirm_it(answers: list[int | VenueError], cancels: int) -> None:
    venue = Answers(answers)
    assert asyncio.run(emptied(venue, WAIT_S)) == 0 and venue.cancels == cancels


def test_what_still_rests_at_the_end_is_told_and_what_nobody_says_is_no_zero() -> None:
    assert asyncio.run(emptied(Answers([5, 3]), 0.3)) == 3
    silent: list[list[int | VenueError]] = [[LOST], [5, LOST], [0, LOST]]
    for answers in silent:
        with pytest.raises(Unreachable):
            asyncio.run(emptied(Answers(answers), 0.3))


@pytest.mark.parametrize("error", [Locked("KEY_REFUSED", "no"), NotTheVenue("TLS_REFUSED", "no")])
def test_what_trying_again_does_not_mend_is_told_at_once(error: VenueError) -> None:
    venue = Answers([error, 0, 0])
    with pytest.raises(type(error)):
        asyncio.run(emptied(venue, WAIT_S))
    assert venue.cancels == 1
