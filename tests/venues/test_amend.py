"""Amendments where something is in the way: lost answers, other processes, fills; and what paper refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pricing.contracts import Side
from tests.exchanges.words import PostOnly
from tests.venues.cex_desk import run
from tests.venues.paper_desk import BUY, GTC, PERP, SELL, D, answer, fills, opened, order, send
from tests.venues.products import PERPETUAL, PRODUCTS, Market, market_of
from venues.errors import Refused
from venues.orders import Order, OrderReport, OrderState, OrderUpdate, TimeInForce, client_order_id
from venues.paper_exchange import PaperExchange
from venues.paper_feed import MarketTrade
from venues.paper_log import Happened
from venues.paper_orders import Code

PERPETUALS = {p.venue: p for p in PRODUCTS if p.kind is PERPETUAL}  # one of each venue
AMENDING = [p for p in PERPETUALS.values() if p.venue != "hyperliquid"]
#: What each venue's request is called at the fault port.
REQUESTS = {"deribit": "private/edit", "okx": "*amend*", "bybit": "*amend*"}


def request_of(venue: str) -> str:
    return REQUESTS.get(venue, "PUT *order")


async def resting(market: Market, **terms: Any) -> Order:
    scene, listing = market.scene, market.listing
    quantity = max(200 * listing.lot, 2 * listing.minimum)
    name = client_order_id("trial", 1, 0, 0)
    price = scene.price(Side.BUY, False)
    sent = Order(name, listing, Side.BUY, quantity, price, TimeInForce.GTC, **terms)
    assert (await market.venue.submit(sent)).state is OrderState.OPEN
    return sent


async def asked(market: Market, client_id: str) -> OrderReport:
    report = await market.venue.order(client_id)
    assert report is not None
    return report


@pytest.mark.parametrize("product", AMENDING, ids=str)
@pytest.mark.parametrize(("act", "made"), [("cut_after", True), ("cut_before", False)])
def test_without_an_answer_nobody_can_say_and_the_order_itself_tells(
    product: Any, act: str, made: bool
) -> None:
    async def work() -> None:
        async with market_of(product) as market:
            sent = await resting(market)
            # a session that breaks takes its orders with it at Deribit: there the answer alone is missing
            there = act.replace("cut", "mute") if product.venue == "deribit" else act
            rule = market.scene.host.faults.add(there, request_of(product.venue))
            twice = 2 * sent.quantity
            update = await market.venue.amend(sent.client_id, sent.price, twice)
            assert rule.bitten == 1
            assert (update.state, update.quantity, update.price) == (OrderState.UNKNOWN, None, None)
            assert update.code
            amended = market.scene.host.exchange.truth.of("amended")
            assert len(amended) == (1 if made else 0)  # never sent twice
            report = await asked(market, sent.client_id)
            assert (report.state, report.quantity) == (OrderState.OPEN, twice if made else sent.quantity)

    run(work(), 30.0)


@pytest.mark.parametrize("product", [PERPETUALS[name] for name in ("deribit", "okx")], ids=str)
def test_an_amendment_by_another_process_keeps_what_the_first_asked_for(product: Any) -> None:
    """It has sent none of the account's orders: what they are the venue says."""

    async def work() -> None:
        async with market_of(product) as market:
            sent = await resting(market, post_only=True)
            await market.venue.close()
            async with market.again() as venue:
                update = await venue.amend(sent.client_id, sent.price, 3 * sent.quantity)
                assert (update.state, update.quantity) == (OrderState.OPEN, 3 * sent.quantity)
            (there,) = market.scene.host.exchange.orders.values()
            assert there.post_only is not PostOnly.OFF and not there.reduce_only
            assert (there.quantity, there.price) == (3 * sent.quantity, sent.price)

    run(work(), 30.0)


def test_what_hyperliquid_calls_a_change_is_a_second_order_of_the_size_named() -> None:
    """Why it is not offered: what fills between the wish and its arrival comes on top."""

    async def work() -> None:
        async with market_of(PERPETUALS["hyperliquid"]) as market:
            sent = await resting(market)
            adapter: Any = market.venue
            client, dialect = adapter._orders, adapter._dialect
            seen = await asked(market, sent.client_id)
            market.scene.others(sent, sent.quantity / 2)
            wanted = {
                "a": dialect._asset(sent.listing),
                "b": True,
                "p": format(sent.price.normalize(), "f"),
                "s": format(sent.quantity.normalize(), "f"),
                "r": False,
                "t": {"limit": {"tif": "Gtc"}},
            }
            action = {"type": "modify", "oid": int(seen.venue_order_id), "order": wanted}
            await dialect._act(client, action)
            market.scene.others(sent, sent.quantity)
            assert market.scene.held() == sent.quantity * 3 / 2

    run(work(), 30.0)


# ------------------------------------------------------------------------------------------------------ paper


def amend(exchange: PaperExchange, client_id: str, price: str, quantity: str) -> object:
    return answer(exchange, exchange.amend(client_id, D(price), D(quantity), exchange.now_ns))


def filled_by(exchange: PaperExchange, size: str) -> list[tuple[str, Decimal]]:
    """What a sale of so much at 60,000 fills."""
    trade = MarketTrade(PERP.symbol, SELL, D(60_000), D(size), exchange.now_ns)
    exchange.trades([trade])
    return [(t.client_id, t.fill.quantity) for t in fills(exchange.advance(exchange.now_ns))]


def test_less_of_an_order_keeps_its_place_and_more_of_it_does_not() -> None:
    # 1000 are displayed at 60,000 and stand before both
    exchange = opened()
    first, second = order(PERP, BUY, "100", "60000"), order(PERP, BUY, "100", "60000")
    for item in (first, second):
        assert send(exchange, item).state is OrderState.OPEN
    less = amend(exchange, first.client_id, "60000", "60")
    assert isinstance(less, OrderUpdate) and less.quantity == 60
    assert filled_by(exchange, "1030") == [(first.client_id, D(30))]
    more = amend(exchange, first.client_id, "60000", "90")
    assert isinstance(more, OrderUpdate) and (more.quantity, more.filled) == (D(90), D(30))
    assert [x for x, _ in filled_by(exchange, "50")] == [second.client_id]
    sizes = [(f.quantity, f.left) for f in exchange.log.of(Happened.AMENDED)]
    assert sizes == [(D(60), D(60)), (D(90), D(60))]


@pytest.mark.parametrize(
    ("price", "quantity", "code"),
    [
        ("60000.3", "100", Code.TICK),
        ("-1", "100", Code.TICK),
        ("NaN", "100", Code.TICK),
        ("60000", "105", Code.LOT),
        ("60000", "NaN", Code.LOT),
        ("60000", "-10", Code.LOT),
        ("60010", "100", Code.POST_ONLY),
    ],
)
def test_what_paper_refuses_leaves_the_order_as_it_was(price: str, quantity: str, code: Code) -> None:
    exchange = opened()
    sent = order(PERP, BUY, "100", "60000", GTC, post_only=True)
    send(exchange, sent)
    refused = amend(exchange, sent.client_id, price, quantity)
    assert isinstance(refused, Refused) and refused.code == code
    kept = exchange.core.live(sent.client_id)
    assert kept is not None and kept.order == sent


def test_an_amendment_never_meets_an_order_of_ours() -> None:
    exchange = opened()
    ours, sold = order(PERP, BUY, "100", "59000"), order(PERP, SELL, "100", "60005")
    for item in (ours, sold):
        send(exchange, item)
    refused = amend(exchange, ours.client_id, "60005", "100")
    assert isinstance(refused, Refused) and refused.code == Code.SELF_TRADE


def test_an_amendment_that_arrives_after_the_fill_tells_that_it_is_over() -> None:
    exchange = opened()
    sent = order(PERP, BUY, "100", "60000")
    send(exchange, sent)
    assert filled_by(exchange, "2000") == [(sent.client_id, D(100))]
    late = amend(exchange, sent.client_id, "60000", "500")
    assert isinstance(late, OrderUpdate)
    assert (late.state, late.code, late.quantity) == (OrderState.FILLED, Code.ALREADY_DONE, D(100))
    assert exchange.core.account.positions()[PERP.symbol] == 100
