"""Other defects of the stock ccxt.pro classes of OKX, Bybit and Binance, unpatched (4.5.90).

The ten that shaped the adapters stand side by side with ours in `test_findings`.

A test here that begins to fail says that ccxt has changed: then read what it does now, and take our way
around it away or mend it.
"""

from __future__ import annotations

import asyncio

import ccxt
import pytest

from tests.exchanges.binance import binance
from tests.exchanges.bybit import bybit
from tests.exchanges.okx import okx
from tests.exchanges.scenes import play, quiet
from tests.exchanges.server import Host
from tests.exchanges.stock import nothing_within, overheard
from tests.exchanges.stock_cex import stock_binance, stock_bybit, stock_okx
from tests.exchanges.words import Side

SWAP = "BTC/USDT:USDT"


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
