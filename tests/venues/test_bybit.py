"""Bybit's adapter on a loopback exchange: categories and its dead man's timer (trials: test_products)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from pricing.contracts import Option, Side
from pricing.market import Market, Marks
from pricing.universe import Universe
from tests.exchanges.bybit import bybit
from tests.exchanges.faults import Act
from tests.venues.cex_desk import QUICK, Desk, opened, run
from tests.venues.deribit_desk import hearing, until
from venues.cex_bybit import Bybit, addresses
from venues.orders import Order, OrderState, TimeInForce, TradeReport, client_order_id

PERP = "BTCUSDT"


@asynccontextmanager
async def desk(symbol: str = PERP, **terms: Any) -> AsyncIterator[Desk]:
    key = f"spot:{symbol.replace('/', '')}" if "/" in symbol else symbol
    async with opened(Bybit(), bybit(limits={})[0], addresses, symbol, key=key, **terms) as found:
        yield found


@pytest.mark.parametrize(
    ("symbol", "quantity", "unit"),
    [("BTC/USDT", "0.001", "BTC"), ("BTCUSD", "100", "USD"), ("BTCUSDT", "0.001", "BTC")],
)
def test_each_category_is_counted_in_its_own_unit_and_filled(symbol: str, quantity: str, unit: str) -> None:
    async def work() -> None:
        async with desk(symbol) as found, hearing(found.venue) as news:
            assert (found.listing.size, found.listing.unit) == (Decimal(1), unit)
            order = found.order(quantity, marketable=True)
            assert (await found.venue.submit(order)).state is OrderState.FILLED
            report = await found.venue.account(0)
            (trade,) = [t for t in report.trades if t.client_id == order.client_id]
            assert (trade.fill.quantity, trade.fill.listing.symbol) == (Decimal(quantity), symbol)
            assert trade.fill.fee > 0 and trade.fill.fee_currency == ("USDT" if symbol == PERP else "BTC")
            await until(lambda: any(isinstance(x, TradeReport) for x in news), "the execution", 2.0)
            assert [x.fill for x in news if isinstance(x, TradeReport)] == [trade.fill]
            held = {} if "/" in symbol else {symbol: Decimal(quantity)}
            assert report.positions == held

    run(work())


def test_an_option_trades_in_coins_and_its_delivery_price_comes_with_the_account() -> None:
    async def work() -> None:
        async with desk() as found:
            options = [x for x in await found.venue.listings() if isinstance(x.contract, Option)]
            option = min(options, key=lambda x: (x.contract.underlying != "BTC", x.symbol))
            best = found.host.exchange.books[option.symbol].asks.best()
            assert best is not None
            client_id = client_order_id("desk", 900_001, 0, 0)
            order = Order(client_id, option, Side.BUY, Decimal("0.02"), best, TimeInForce.IOC)
            assert (await found.venue.submit(order)).state is OrderState.FILLED
            assert (await found.venue.account(0)).positions == {option.symbol: Decimal("0.02")}
            found.host.exchange.settle(option.symbol, Decimal(61_234))
            report = await found.venue.account(0)
            assert report.deliveries == {option.symbol: Decimal(61_234)} and report.positions == {}

    run(work())


def test_what_is_borrowed_is_not_ours() -> None:
    """The venue's own formula: equity = walletBalance - spotBorrow + open gain + options' value."""

    async def work() -> None:
        async with desk() as found:
            exchange = found.host.exchange
            account = exchange.account(next(iter(exchange.keys.values())).account)
            before = (await found.venue.account(0)).balances
            account.loans["BTC"] = Decimal(10)
            told = (await found.venue.account(0)).balances
            assert told == before and told["BTC"] == exchange.summary(account.name, "BTC").equity

    run(work())


def test_marks_come_with_depth_of_every_category() -> None:
    async def work() -> None:
        async with desk() as found, hearing(found.venue) as news:
            every = await found.venue.listings()
            option = next(x for x in every if isinstance(x.contract, Option))
            chosen = [found.listing, option, *(x for x in every if x.symbol in ("BTC/USDT", "BTCUSD"))]
            universe = Universe.of(chosen)
            found.venue.watch(universe, [x.symbol for x in chosen])
            market = Market.empty(universe)

            def known() -> bool:
                nonlocal market
                while news:
                    item = news.pop(0)
                    market = market.apply(item) if isinstance(item, Marks) else market
                touched = np.isfinite(market.bid).all() and np.isfinite(market.ask).all()
                return bool(touched and market.mark_iv[row] > 0 and market.forward[row] > 0)

            row = universe.positions["bybit", option.symbol]
            await until(known, "both sides of all, and the option's vol and forward", 5.0)
            assert set(market.depth) == set(range(len(chosen))) and (market.bid < market.ask).all()

    run(work())


def test_an_engine_that_falls_silent_loses_its_orders_though_its_sockets_live() -> None:
    async def work() -> None:
        settings = replace(QUICK, dead_man_s=4.0)
        async with desk(settings=settings) as found:
            item = found.order("0.002")
            assert (await found.venue.submit(item)).state is OrderState.OPEN
            await found.venue.refresh()
            await until(lambda: not found.host.exchange.open_orders("desk"), "the orders are gone", 12.0)
            known = await found.venue.order(item.client_id)
            assert known is not None and known.state is OrderState.CANCELLED
            await found.venue.refresh()
            assert (await found.venue.submit(found.order("0.002"))).state is OrderState.OPEN

    run(work())


@pytest.mark.parametrize("act", [Act.CUT_AFTER, Act.CUT_JSON, Act.ERROR_AFTER])
def test_an_order_whose_answer_is_lost_is_unknown_found_by_its_id_and_never_sent_again(act: Act) -> None:
    async def work() -> None:
        async with desk(answer_s_max=1.0) as found:
            found.host.faults.add(act, "*order/create", status=502, seconds=1.0)
            item = found.order("0.002", marketable=True)
            assert (await found.venue.submit(item)).state is OrderState.UNKNOWN
            known = await found.venue.order(item.client_id)
            assert known is not None and known.state is OrderState.FILLED
            await found.venue.submit(item)
            assert len([c for c in found.host.requests if c.path.endswith("order/create")]) == 1

    run(work())
