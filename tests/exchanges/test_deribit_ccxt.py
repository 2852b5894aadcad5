"""An independent client speaks to the loopback Deribit: the stock `ccxt.pro.deribit`, end to end."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D

import ccxt
import pytest

from tests.exchanges.server import Host
from tests.exchanges.stock import stock_deribit
from tests.exchanges.test_deribit_protocol import quiet, run
from tests.exchanges.words import Kind

SYMBOL = "BTC/USD:BTC"


def test_markets_in_the_units_of_the_venue() -> None:
    async def scene(host: Host) -> None:
        async with stock_deribit(host) as client:
            assert len(client.markets) == len(host.exchange.instruments)
            perp, linear = client.market(SYMBOL), client.market("BTC/USDC:USDC")
            assert perp["inverse"] and perp["limits"]["amount"]["min"] == 10
            assert linear["linear"] and linear["limits"]["amount"]["min"] == 0.0001
            kinds = {i.symbol: i.kind for i in host.exchange.instruments.values()}
            for market in client.markets.values():
                assert market["option"] == (kinds[market["id"]] is Kind.OPTION)
                assert market["spot"] == (kinds[market["id"]] is Kind.SPOT)

    run(scene)


def test_tickers_books_greeks_chains_and_status() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with stock_deribit(host) as client:
            ticker = await client.fetch_ticker(SYMBOL)
            assert (ticker["bid"], ticker["ask"]) == (59_990, 60_000)
            book = await client.fetch_order_book(SYMBOL)
            assert book["bids"][0] == [59_990, 1000]
            option = next(m for m in client.markets.values() if m["option"] and m["inverse"])
            greeks = await client.fetch_greeks(option["symbol"])
            assert 0 < greeks["delta"] < 1 and greeks["vega"] > 0 > greeks["theta"]
            chain = await client.fetch_option_chain("BTC")
            options = [i for i in host.exchange.instruments.values() if i.right and i.base == "BTC"]
            assert len(chain) == len(options)
            assert (await client.fetch_status())["status"] == "ok"
            assert abs(await client.fetch_time() - host.exchange.clock.now_ms()) < 1000

    run(scene)


def test_the_life_of_an_order_by_rest() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with stock_deribit(host) as client:
            order = await client.create_order(SYMBOL, "limit", "buy", 100, 59_500, {"label": "one"})
            assert (order["status"], order["amount"], order["info"]["label"]) == ("open", 100, "one")
            edited = await client.edit_order(order["id"], SYMBOL, "limit", "buy", 150, 59_510)
            assert (edited["id"], edited["amount"], edited["price"]) == (order["id"], 150, 59_510)
            assert [o["id"] for o in await client.fetch_open_orders(SYMBOL)] == [order["id"]]
            assert (await client.cancel_order(order["id"]))["status"] == "canceled"
            assert (await client.fetch_order(order["id"]))["status"] == "canceled"
            filled = await client.create_order(SYMBOL, "market", "sell", 300)
            assert (filled["status"], filled["average"], filled["filled"]) == ("closed", 59_990, 300)
            trades = await client.fetch_my_trades(SYMBOL)
            assert [t["amount"] for t in trades] == [300] and trades[0]["fee"]["currency"] == "BTC"
            (position,) = await client.fetch_positions()
            assert (position["side"], position["contracts"]) == ("short", -300)
            balance = await client.fetch_balance()
            summary = host.exchange.summary("desk", "BTC")
            assert balance["BTC"]["total"] == pytest.approx(float(summary.equity), abs=1e-12)
            assert balance["BTC"]["free"] == pytest.approx(float(summary.available), abs=1e-12)
            for price in (59_100, 59_200):
                await client.create_order(SYMBOL, "limit", "buy", 10, price)
            await client.cancel_all_orders()
            assert not host.exchange.open_orders("desk")

    run(scene)


def test_its_streams_deliver() -> None:
    async def scene(host: Host) -> None:
        quiet(host)
        async with stock_deribit(host) as client:
            assert (await client.watch_ticker(SYMBOL))["bid"] == 59_990
            book = await client.watch_order_book(SYMBOL)
            assert (book["bids"][0][:2], book["asks"][0][:2]) == ([59_990, 1000], [60_000, 1000])
            watches = [
                asyncio.create_task(w)
                for w in (client.watch_orders(), client.watch_my_trades(), client.watch_trades(SYMBOL))
            ]
            await asyncio.sleep(0.15)
            await client.create_order(SYMBOL, "limit", "buy", 50, 60_000, {"label": "one"})
            orders, mine, public = await asyncio.wait_for(asyncio.gather(*watches), 3)
            assert orders[-1]["status"] == "closed" and orders[-1]["filled"] == 50
            assert mine[-1]["amount"] == public[-1]["amount"] == 50
            assert mine[-1]["id"] == public[-1]["id"]
            balance = await client.watch_balance()
            assert balance["info"]["currency"]

    run(scene)


def test_refusals_are_the_exceptions_it_knows() -> None:
    cases: list[tuple[float, dict[str, object], type[Exception]]] = [
        (59_500.25, {}, ccxt.BadRequest),
        (60_100, {"postOnly": True}, ccxt.InvalidOrder),
        (70_000, {}, ccxt.InvalidOrder),
        (59_500, {"reduceOnly": True}, ccxt.ExchangeError),
    ]

    async def scene(host: Host) -> None:
        quiet(host)
        async with stock_deribit(host) as client:
            client.price_to_precision = lambda _, p: str(p)
            for price, params, error in cases:
                with pytest.raises(error):
                    await client.create_order(SYMBOL, "limit", "buy", 100, price, params)
            assert not host.exchange.truth.of("order")

    run(scene)


def test_a_wrong_secret_and_a_revoked_key_are_authentication_errors() -> None:
    async def scene(host: Host) -> None:
        async with stock_deribit(host, secret="wrong") as client:
            with pytest.raises(ccxt.AuthenticationError):
                await client.fetch_positions()
        async with stock_deribit(host) as client:
            host.exchange.keys["key"].revoked = True
            with pytest.raises(ccxt.AuthenticationError):
                await client.create_order(SYMBOL, "limit", "buy", 100, 59_500)

    assert not run(scene).exchange.truth.of("order")


def test_a_usdc_option_trades_in_coins_and_pays_usdc() -> None:
    async def scene(host: Host) -> None:
        async with stock_deribit(host) as client:
            market = next(m for m in client.markets.values() if m["option"] and m["linear"])
            ask = (await client.fetch_ticker(market["symbol"]))["ask"]
            order = await client.create_order(
                market["symbol"], "limit", "buy", 0.02, ask, {"timeInForce": "IOC"}
            )
            assert order["status"] == "closed" and order["filled"] == 0.02
            (fill,) = host.exchange.fills("desk")
            cash = host.exchange.account("desk").balances["USDC"]
            assert cash == D(5_000_000) - D("0.02") * fill.price - fill.fee
            assert fill.fee_currency == "USDC" and fill.fee == D("0.0003") * D("0.02") * 60_000

    run(scene)
