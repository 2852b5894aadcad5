"""Defects of the stock ccxt.pro classes of OKX, Bybit and Binance, shown on the unpatched classes (4.5.90).

A test here that begins to fail says that ccxt has changed: then read what it does now, and take our way
around it away or mend it.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal as D

import ccxt
import pytest

from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.cex import Cex
from tests.exchanges.faults import Act
from tests.exchanges.okx import okx
from tests.exchanges.scenes import play, quiet
from tests.exchanges.server import Host
from tests.exchanges.stock import nothing_within, overheard, until, waiting
from tests.exchanges.stock_cex import stock_binance, stock_bybit, stock_okx
from tests.exchanges.words import Mark, Side

SWAP = "BTC/USDT:USDT"


def heard(host: Host, channel: str) -> bool:
    """Whether the exchange has begun a feed."""
    assert isinstance(host.dialect, Cex)
    return bool(host.dialect.feeds(channel))


def test_an_update_between_two_watches_waits_for_the_next_message() -> None:
    """Finding 3: OKX orders; what came while the consumer worked is in the cache, and nobody is told."""

    async def scene(host: Host) -> None:
        quiet(host, "BTC-USDT-SWAP")
        async with stock_okx(host) as client:
            first = asyncio.create_task(client.watch_orders())
            await until(lambda: waiting(client, "orders") and heard(host, "orders:ANY"))
            await client.create_order(SWAP, "limit", "buy", 1, 59_000, {"clientOrderId": "one"})
            assert [o["clientOrderId"] for o in await first] == ["one"]
            host.exchange.trade(
                "BTC-USDT-SWAP", Side.SELL, D(20), D(59_000)
            )  # fills it while the consumer works
            assert len(host.exchange.fills("desk")) == 1
            await until(lambda: client.orders[-1]["status"] == "closed")
            assert await nothing_within(client.watch_orders(), 0.3)
            later = asyncio.create_task(client.watch_orders())
            await until(lambda: waiting(client, "orders"))
            await client.create_order(SWAP, "limit", "buy", 1, 58_000, {"clientOrderId": "two"})
            told = {o["clientOrderId"]: o["status"] for o in await later}
            assert told["one"] == "closed"

    play(okx, scene)


def test_an_option_contract_is_taken_for_a_hundred_times_its_size() -> None:
    """Finding 8: OKX's ctMult is ignored: one contract of BTC is 0.01 coin."""

    async def scene(host: Host) -> None:
        async with stock_okx(host) as client:
            options = [m for m in client.markets.values() if m["option"] and m["base"] == "BTC"]
            assert options and {m["contractSize"] for m in options} == {1}
            terms = {D(m["info"]["ctVal"]) * D(m["info"]["ctMult"]) for m in options}
            assert terms == {D("0.01")}
            ask = (await client.fetch_order_book(options[0]["symbol"]))["asks"][0][0]
            await client.create_order(options[0]["symbol"], "limit", "buy", 1, ask, {"timeInForce": "IOC"})
            (fill,) = host.exchange.fills("desk")
            paid = D(100) - fill.fee - host.exchange.account("desk").balances["BTC"]
            assert paid == fill.price * D("0.01")

    play(okx, scene)


def test_greeks_are_those_adjusted_for_the_premium() -> None:
    """Finding 9: OKX: delta less the premium in coins, not Black-Scholes' own."""

    async def scene(host: Host) -> None:
        async with stock_okx(host) as client:
            symbol, market = next((s, m) for s, m in client.markets.items() if m["option"])
            mark = Mark(D("0.12"), D(60_000), "", 0.5, 0.7, 0.00001, 30.0, -90.0, 0.0)
            host.exchange.set_mark(market["id"], mark)
            greeks = await client.fetch_greeks(symbol)
            assert greeks["delta"] == pytest.approx(0.7 - 0.12)
            assert float(greeks["info"]["deltaBS"]) == pytest.approx(0.7)
            assert greeks["vega"] == pytest.approx(30.0 / 60_000)

    play(okx, scene)


def test_a_cancel_stands_in_line_behind_everything_else() -> None:
    """Finding 10: one queue for all requests: the kill goes out after a screen's twenty tickers."""

    async def scene(host: Host) -> None:
        quiet(host, "BTC-USDT-SWAP")
        async with stock_okx(host, enableRateLimit=True, rateLimit=5) as client:
            order = await client.create_order(SWAP, "limit", "buy", 1, 59_000)
            host.calls.clear()
            screen = [asyncio.create_task(client.fetch_ticker(SWAP)) for _ in range(20)]
            await asyncio.sleep(0)
            await client.cancel_order(order["id"], SWAP)
            await asyncio.gather(*screen)
            sent = [operation for _, operation in host.calls]
            assert sent.count("market/ticker") == 20
            assert sent.index("trade/cancel-order") >= 19

    play(okx, scene)


def test_the_dead_mans_switch_of_okx_is_off_below_a_second() -> None:
    """Milliseconds are cut to whole seconds: 900 ms sends 0, which disarms, and nothing says so."""

    async def scene(host: Host) -> None:
        quiet(host, "BTC-USDT-SWAP")
        async with stock_okx(host) as client:
            await client.create_order(SWAP, "limit", "buy", 1, 59_000)
            await client.cancel_all_orders_after(10_000)
            answer = await client.cancel_all_orders_after(900)
            assert answer["data"][0]["triggerTime"] == "0"
            host.exchange.clock.advance(60)
            host.exchange.pass_time()
            assert len(host.exchange.open_orders("desk")) == 1

    play(okx, scene, limits={})


def test_a_gap_in_bybits_book_goes_unseen() -> None:
    """Finding 5's other half: `u` is not checked; a lost delta leaves a crossed book."""

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            await client.watch_order_book(SWAP)
            host.faults.add(Act.DROP, "*orderbook*BTCUSDT")
            quiet(host, "BTCUSDT", "59000", "59100")
            await asyncio.sleep(0.1)
            quiet(host, "BTCUSDT", "59010", "59100", "5")
            book = await client.watch_order_book(SWAP)
            assert book["bids"][0][0] == 59_990 > book["asks"][0][0]

    play(bybit, scene)


def test_bybits_dead_mans_switch_does_nothing_while_nobody_listens() -> None:
    """`cancelAllOrdersAfter` sets a window only: without a `dcp` topic there is no disconnect to start it."""

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            await client.create_order(SWAP, "limit", "buy", 1, 59_000)
            await client.cancel_all_orders_after(10_000)
            host.exchange.clock.advance(60)
            await asyncio.sleep(0.1)
            assert len(host.exchange.open_orders("desk")) == 1

    play(bybit, scene)


def test_an_acknowledged_order_has_no_state() -> None:
    """OKX and Bybit answer ids alone, and so does ccxt: nothing of it may be read as open or unfilled."""

    async def scene(host: Host) -> None:
        for symbol in ("BTC-USDT-SWAP", "BTCUSDT"):
            if symbol in host.exchange.instruments:
                quiet(host, symbol)
        stock = stock_okx if "BTC-USDT-SWAP" in host.exchange.instruments else stock_bybit
        async with stock(host) as client:
            order = await client.create_order(SWAP, "limit", "buy", 1, 60_000)
            assert (order["status"], order["filled"], order["amount"]) == (None, None, None)
            assert len(host.exchange.fills("desk")) == 1

    play(okx, scene)
    play(bybit, scene)


def test_a_duplicate_client_id_is_an_invalid_order() -> None:
    """No class of ccxt says "this one exists": 51016 and 110072 look like any refused order."""

    async def scene(host: Host) -> None:
        is_okx = "BTC-USDT-SWAP" in host.exchange.instruments
        async with (stock_okx if is_okx else stock_bybit)(host) as client:
            await client.create_order(SWAP, "limit", "buy", 1, 50_000, {"clientOrderId": "one"})
            with pytest.raises(ccxt.InvalidOrder, match="51016" if is_okx else "110072") as refused:
                await client.create_order(SWAP, "limit", "buy", 1, 50_000, {"clientOrderId": "one"})
            assert not isinstance(refused.value, ccxt.DuplicateOrderId)

    play(okx, scene)
    play(bybit, scene)


def test_a_fill_of_an_option_silences_binances_account_stream() -> None:
    """The fee of an option's fill has no currency in ccxt's reading; it raises, and the receive loop ends."""

    async def scene(host: Host) -> None:
        raised = overheard()
        async with stock_binance(host) as client:
            symbol, market = next((s, m) for s, m in client.markets.items() if m["option"])
            watch = asyncio.create_task(client.watch_orders(symbol, None, None, {"type": "option"}))
            await asyncio.sleep(0.2)
            ask = host.exchange.books[market["id"]].side(Side.SELL).best()
            await client.create_order(symbol, "limit", "buy", 0.1, ask, {"timeInForce": "GTC"})
            await asyncio.sleep(0.2)
            assert len(host.exchange.fills("desk/option")) == 1
            assert [type(e) for e in raised] == [ccxt.ArgumentsRequired]
            watch.cancel()
            assert await nothing_within(client.watch_orders(symbol, None, None, {"type": "option"}), 0.2)

    play(binance, scene)
