"""The ten findings about the stock classes of ccxt (4.5.90), side by side: the unpatched class failing, then
our adapter holding in the same weather.

A `stock` test that begins to fail says that ccxt has changed: then read what it does now, and take our way
around it away or mend it. What really happened is read from the exchange's own record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal as D
from math import log
from statistics import NormalDist
from typing import Any, TypeVar

import ccxt
import pytest

from pricing.contracts import Listing, Option, Side
from pricing.market import Market, Marks
from pricing.universe import Universe
from tests.exchanges.bybit import bybit
from tests.exchanges.cex import Cex
from tests.exchanges.deribit import deribit
from tests.exchanges.faults import Act
from tests.exchanges.okx import okx
from tests.exchanges.okx_words import summary_row
from tests.exchanges.rpc import connect
from tests.exchanges.scenes import play, quiet
from tests.exchanges.server import Host
from tests.exchanges.stock import nothing_within, overheard, stock_deribit, waiting
from tests.exchanges.stock import until as soon
from tests.exchanges.stock_cex import stock_bybit, stock_okx
from tests.exchanges.words import Mark
from tests.exchanges.words import Side as There
from tests.venues.cex_desk import Desk, run
from tests.venues.deribit_desk import (
    PERPETUAL,
    QUICK,
    asked,
    hearing,
    listing_of,
    order,
    statuses,
    touch,
    until,
    watch,
)
from tests.venues.deribit_desk import opened as deribit_opened
from tests.venues.test_cex_streams import desk as cex_desk
from tests.venues.test_option_messages import OKX as OKX_SUMMARY
from venues.base import News
from venues.import_options import ImportOptions
from venues.option_messages import OptionMessages
from venues.orders import Link, Order, OrderState, TimeInForce, TradeReport, VenueStatus, client_order_id
from venues.wire.rejects import DUPLICATE

#: What ccxt calls them.
PERPETUAL_THERE, SWAP_THERE = "BTC/USD:BTC", "BTC/USDT:USDT"
SWAP = "BTC-USDT-SWAP"
LABEL = {"label": "one"}
NS_PER_YEAR = 365 * 86_400 * 10**9
T = TypeVar("T", bound=News)


async def told(stream: AsyncIterator[News], kind: type[T]) -> T:
    """The next piece of news of a kind."""
    async with asyncio.timeout(5.0):
        async for item in stream:
            if isinstance(item, kind):
                return item
    raise AssertionError("the stream has ended")


def delta_of(found: Desk, listing: Listing) -> float:
    """By the exchange's own marks."""
    return found.host.exchange.marks[listing.symbol].delta or 0.0


def heard(host: Host, channel: str) -> bool:
    """Whether the exchange has begun a feed."""
    assert isinstance(host.dialect, Cex)
    return bool(host.dialect.feeds(channel))


def test_finding_01_stock_a_lost_reply_places_the_order_twice() -> None:
    """orders go by GET, which aiohttp repeats once when the connection breaks; no exception."""

    async def scene(host: Host) -> None:
        async with stock_deribit(host) as client:
            host.faults.add(Act.CUT_AFTER, "private/buy")
            told = await client.create_order(PERPETUAL_THERE, "limit", "buy", 100, 59_500, LABEL)
            live = host.exchange.open_orders("desk")
            assert [o.client_id for o in live] == ["one", "one"]
            assert told["id"] == str(live[1].order_id)
            assert {c.verb for c in host.requests if c.operation == "private/buy"} == {"GET"}

    play(deribit, scene)


@pytest.mark.parametrize("act", [Act.CUT_AFTER, Act.MUTE_AFTER, Act.CUT_JSON, Act.ERROR_AFTER])
def test_finding_01_ours_it_is_unknown_found_by_its_label_and_never_sent_again(act: Act) -> None:
    async def work() -> None:
        async with deribit_opened(session=replace(QUICK, answer_s_max=0.3)) as (venue, host, _):
            listing = await listing_of(venue)
            host.faults.add(act, "private/buy")
            item = order(listing, marketable=True)
            assert (await venue.submit(item)).state is OrderState.UNKNOWN
            await until(lambda: len(host.sessions) == 2, "both sessions again")
            known = await asked(lambda: venue.order(item.client_id))
            assert known is not None and known.state is OrderState.FILLED and known.filled == 100
            again = await venue.submit(item)
            assert (again.state, again.code) == (OrderState.UNKNOWN, DUPLICATE)
            assert host.count("private/buy") == 1
            assert host.exchange.positions("desk")[0].quantity == 100

    run(work())


def test_finding_02_stock_fills_between_two_watches_are_lost() -> None:
    """`handle_my_trades` never keeps what it has read."""

    async def scene(host: Host) -> None:
        quiet(host, PERPETUAL, size="1000")
        async with stock_deribit(host) as client:
            first = asyncio.create_task(client.watch_my_trades())
            await asyncio.sleep(0.1)
            await client.create_order(PERPETUAL_THERE, "limit", "buy", 10, 60_000)
            delivered = [t["id"] for t in await first]
            for _ in range(3):  # while the consumer works
                await client.create_order(PERPETUAL_THERE, "limit", "buy", 10, 60_000)
            await asyncio.sleep(0.1)
            assert await nothing_within(client.watch_my_trades(), 0.2)
            last = asyncio.create_task(client.watch_my_trades())
            await asyncio.sleep(0.05)
            await client.create_order(PERPETUAL_THERE, "limit", "buy", 10, 60_000)
            delivered += [t["id"] for t in await last]
            assert len(host.exchange.fills("desk")) == 5
            assert len(delivered) == 2

    play(deribit, scene)


def test_finding_02_the_exchange_itself_loses_none() -> None:
    """The same five fills, read by a bare client."""

    async def scene(host: Host) -> None:
        quiet(host, PERPETUAL, size="1000")
        async with connect(host) as rpc:
            await rpc.result("private/subscribe", channels=["user.trades.any.any.raw"])
            async with stock_deribit(host) as client:
                for _ in range(5):
                    await client.create_order(PERPETUAL_THERE, "limit", "buy", 10, 60_000)
            await rpc.until("user.trades.any.any.raw", 5)
            told = {t["trade_id"] for row in rpc.data("user.trades.any.any.raw") for t in row}
            assert told == {str(f.trade_id) for f in host.exchange.fills("desk")}

    play(deribit, scene)


def test_finding_02_ours_tells_every_fill_however_slow_the_reader() -> None:
    async def work() -> None:
        async with deribit_opened() as (venue, host, _):
            stream, listing = venue.stream(), await listing_of(venue)
            await venue.submit(order(listing, marketable=True))
            first = await told(stream, TradeReport)
            for _ in range(4):  # while the reader works
                await venue.submit(order(listing, marketable=True))
            await asyncio.sleep(0.1)
            filled = host.exchange.fills("desk")
            trades = [first]
            while len(trades) < len(filled):
                trades.append(await told(stream, TradeReport))
            assert sorted(t.fill.trade_id for t in trades) == sorted(str(f.trade_id) for f in filled)
            assert len(filled) >= 5

    run(work())


def test_finding_03_stock_an_update_between_two_watches_waits_for_the_next_message() -> None:
    """OKX orders; what came while the consumer worked is in the cache, and nobody is told."""

    async def scene(host: Host) -> None:
        quiet(host, SWAP)
        async with stock_okx(host) as client:
            first = asyncio.create_task(client.watch_orders())
            await soon(lambda: waiting(client, "orders") and heard(host, "orders:ANY"))
            await client.create_order(SWAP_THERE, "limit", "buy", 1, 59_000, {"clientOrderId": "one"})
            assert [o["clientOrderId"] for o in await first] == ["one"]
            host.exchange.trade(SWAP, There.SELL, D(20), D(59_000))  # fills it while the consumer works
            assert len(host.exchange.fills("desk")) == 1
            await soon(lambda: client.orders[-1]["status"] == "closed")
            assert await nothing_within(client.watch_orders(), 0.3)
            later = asyncio.create_task(client.watch_orders())
            await soon(lambda: waiting(client, "orders"))
            await client.create_order(SWAP_THERE, "limit", "buy", 1, 58_000, {"clientOrderId": "two"})
            told = {o["clientOrderId"]: o["status"] for o in await later}
            assert told["one"] == "closed"

    play(okx, scene)


def test_finding_03_ours_an_update_while_the_reader_works_needs_no_message_after_it() -> None:
    async def work() -> None:
        async with cex_desk("okx") as found:
            stream, item = found.venue.stream(), found.order("1")
            assert (await found.venue.submit(item)).state is OrderState.OPEN
            await told(stream, VenueStatus)  # the reader has begun; now it works
            host = found.host
            host.exchange.trade(SWAP, There.SELL, D(10**6), item.price)
            assert len(host.exchange.fills("desk")) == 1
            await asyncio.sleep(0.2)
            sent = sum(session.sent for session in host.sessions.values())
            trade = await told(stream, TradeReport)
            assert (trade.client_id, trade.fill.quantity) == (item.client_id, D(1))
            assert sum(session.sent for session in host.sessions.values()) == sent

    run(work())


def test_finding_04_stock_a_new_snapshot_is_merged_into_the_old_book() -> None:
    """after a reconnect between two watches the book is crossed, and nothing says so."""

    async def scene(host: Host) -> None:
        quiet(host, PERPETUAL, size="1000")
        async with stock_deribit(host) as client:
            await client.watch_order_book(PERPETUAL_THERE)
            host.cut_sessions()
            await asyncio.sleep(0.1)
            host.exchange.quote(PERPETUAL, [(D(59_800), D(1000))], [(D(59_801), D(1000))])
            try:
                book = await client.watch_order_book(PERPETUAL_THERE)
            except ccxt.NetworkError:  # the break was noticed: the next watch reconnects
                book = await client.watch_order_book(PERPETUAL_THERE)
            assert (book["bids"][0][0], book["asks"][0][0]) == (59_990, 59_801)

    play(deribit, scene)


def test_finding_04_ours_after_a_cut_the_book_begins_anew_and_the_engine_is_told() -> None:
    async def work() -> None:
        async with deribit_opened() as (venue, host, world), hearing(venue) as news:
            await watch(venue)
            await until(lambda: touch(news) is not None, "a first quote with depth")
            host.cut_sessions()
            world.spots["BTC"] *= 0.98
            world.refresh()
            await until(lambda: len(host.sessions) == 2 and statuses(news)[-1].link is Link.UP, "up again")
            assert any(s.link is not Link.UP for s in statuses(news))
            await until(lambda: (t := touch(news)) is not None and t[0] < 59_500, "the new book")
            bid, ask = touch(news) or (0.0, 0.0)
            assert bid < ask

    run(work())


def test_finding_05_stock_a_gap_in_the_chain_of_changes_goes_unseen() -> None:
    """one change swallowed by the network, and the book is wrong for good without an error."""

    async def scene(host: Host) -> None:
        quiet(host, PERPETUAL, size="1000")
        async with stock_deribit(host) as client:
            await client.watch_order_book(PERPETUAL_THERE)
            host.faults.add(Act.DROP, f"book.{PERPETUAL}.100ms")
            host.exchange.quote(PERPETUAL, [(D(59_000), D(1000))], [(D(59_100), D(1000))])
            await asyncio.sleep(0.25)
            host.exchange.quote(PERPETUAL, [(D(59_010), D(1000))], [(D(59_100), D(500))])
            book = await client.watch_order_book(PERPETUAL_THERE)
            assert host.faults.done == [("drop", f"book.{PERPETUAL}.100ms")]
            assert book["bids"][0][0] == 59_990 > book["asks"][0][0]

    play(deribit, scene)


@pytest.mark.parametrize("act", [Act.DROP, Act.BREAK])
def test_finding_05_ours_a_book_with_a_gap_shows_no_depth_until_it_is_whole_again(act: Act) -> None:
    async def work() -> None:
        async with deribit_opened() as (venue, host, world), hearing(venue) as news:
            await watch(venue)
            await until(lambda: touch(news) is not None, "a first quote with depth")
            before = host.count("public/unsubscribe")
            host.faults.add(act, "book.BTC-PERPETUAL*")
            for step in (1.001, 1.002, 1.003):
                world.spots["BTC"] = 60_000 * step
                world.refresh()
                await asyncio.sleep(0.12)
            await until(lambda: host.count("public/unsubscribe") > before, "a new subscription")

            def gaps() -> list[tuple[str, ...]]:
                return [x.gaps for x in news if isinstance(x, VenueStatus) and x.gaps is not None]

            await until(lambda: gaps() == [(PERPETUAL,), ()], "a gap that closes")
            wanted = float(host.exchange.marks[PERPETUAL].price)
            await until(
                lambda: (t := touch(news)) is not None and t[0] < wanted < t[1], "a book about the mark"
            )

    run(work())


def test_finding_05_stock_a_gap_in_bybits_book_goes_unseen() -> None:
    """`u` is not checked; a lost delta leaves a crossed book."""

    async def scene(host: Host) -> None:
        quiet(host, "BTCUSDT")
        async with stock_bybit(host) as client:
            await client.watch_order_book(SWAP_THERE)
            host.faults.add(Act.DROP, "*orderbook*BTCUSDT")
            quiet(host, "BTCUSDT", "59000", "59100")
            await asyncio.sleep(0.1)
            quiet(host, "BTCUSDT", "59010", "59100", "5")
            book = await client.watch_order_book(SWAP_THERE)
            assert book["bids"][0][0] == 59_990 > book["asks"][0][0]

    play(bybit, scene)


def test_finding_05_ours_a_lost_change_of_bybits_book_is_told_as_a_gap_until_the_next_snapshot() -> None:
    async def work() -> None:
        async with cex_desk("bybit") as found, hearing(found.venue) as news:
            universe = Universe.of([found.listing])
            found.venue.watch(universe, [found.key])
            quotes = found.venue.quotes
            await until(lambda: any(isinstance(x, Marks) for x in news), "marks", 5.0)
            assert quotes is not None and quotes.gaps == ()
            found.host.faults.add(Act.DROP, f"*orderbook*{found.key}")
            for _ in range(3):
                await found.venue.submit(found.order("0.002"))

            def gaps() -> list[tuple[str, ...]]:
                return [x.gaps for x in news if isinstance(x, VenueStatus) and x.gaps is not None]

            await until(lambda: (found.key,) in gaps() and gaps()[-1] == (), "a gap that closes", 5.0)

    run(work())


def test_finding_06_stock_one_error_frame_silences_every_stream() -> None:
    """the error is raised in a callback; the receive loop ends while the socket stays open."""

    async def scene(host: Host) -> None:
        quiet(host, PERPETUAL, size="1000")
        raised = overheard()
        async with stock_deribit(host) as client:
            await client.watch_ticker(PERPETUAL_THERE)
            host.faults.add(Act.RATE, "public/subscribe")
            assert await nothing_within(client.watch_trades(PERPETUAL_THERE), 0.3)
            assert [type(e).__name__ for e in raised] == ["ExchangeError"]
            silent = asyncio.create_task(nothing_within(client.watch_ticker(PERPETUAL_THERE), 0.6))
            for n in range(4):
                await asyncio.sleep(0.1)
                host.exchange.quote(PERPETUAL, [(D(59_000 + n), D(1000))], [(D(60_000), D(1000))])
            assert await silent
            sent = next(iter(host.sessions.values())).sent
            assert sent >= 5  # the socket is open, and the exchange has been talking
            assert client.streaming["keepAlive"] * 3 == pytest.approx(90_000)  # ms until it is noticed

    play(deribit, scene)


def test_finding_06_ours_an_error_frame_silences_nothing_that_is_followed_already() -> None:
    async def work() -> None:
        async with deribit_opened() as (venue, host, _), hearing(venue) as news:
            await watch(venue)
            await until(lambda: touch(news) is not None, "a first quote with depth")
            refusal = host.faults.add(Act.RATE, "public/subscribe", times=3)
            wanted = [x for x in await venue.listings() if x.symbol in (PERPETUAL, "ETH-PERPETUAL")]
            venue.watch(Universe.of(wanted), [x.symbol for x in wanted])
            await until(lambda: refusal.bitten > 0, "an error frame")
            price = D(57_000)  # of its own: no world's market comes near
            host.exchange.quote(PERPETUAL, [(price, D(1000))], [(price + 10, D(1000))])
            await until(lambda: any(57_000 in x.bid for x in news if isinstance(x, Marks)), "the next quote")
            await until(lambda: refusal.bitten == 3 and statuses(news)[-1].link is Link.UP, "all of it")
            assert host.connected == len(host.sessions)  # none was cut over it

    run(work())


def test_finding_07_stock_the_grouped_book_cannot_be_read() -> None:
    """rows of `book.X.none.20.100ms` are [price, amount]; the handler wants a third field."""

    async def scene(host: Host) -> None:
        quiet(host, PERPETUAL, size="1000")
        raised = overheard()
        async with stock_deribit(host) as client:
            watched = client.watch_order_book(PERPETUAL_THERE, None, {"useDepthEndpoint": True})
            assert await nothing_within(watched, 0.3)
            assert [type(e).__name__ for e in raised] == ["IndexError"]

    play(deribit, scene)


def test_finding_07_ours_a_grouped_book_is_never_asked_for_and_harms_nothing() -> None:
    async def work() -> None:
        async with deribit_opened() as (venue, host, _), hearing(venue) as news:
            await watch(venue)
            await until(lambda: touch(news) is not None, "a first quote with depth")
            asked_for = [c for call in host.requests for c in call.params.get("channels", ())]
            assert f"book.{PERPETUAL}.100ms" in asked_for and not any(".none." in c for c in asked_for)
            channel = f"book.{PERPETUAL}.none.20.100ms"
            rows: dict[str, Any] = {"bids": [[59_990, 1000]], "asks": [[60_000, 1000]], "change_id": 7}
            rows |= {"timestamp": host.exchange.clock.now_ms(), "instrument_name": PERPETUAL}
            params = {"channel": channel, "data": rows}
            host.tell_all(channel, {"jsonrpc": "2.0", "method": "subscription", "params": params})
            host.exchange.quote(PERPETUAL, [(D(57_000), D(1000))], [(D(57_010), D(1000))])
            await until(lambda: any(57_000 in x.bid for x in news if isinstance(x, Marks)), "the next quote")

    run(work())


def test_finding_08_stock_an_option_contract_is_taken_for_a_hundred_times_its_size() -> None:
    """OKX's ctMult is ignored: one contract of BTC is 0.01 coin."""

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


def test_finding_08_ours_an_option_is_counted_in_contracts_of_a_hundredth_of_a_coin() -> None:
    async def work() -> None:
        async with cex_desk("okx") as found:
            options = [x for x in await found.venue.listings() if isinstance(x.contract, Option)]
            option = next(x for x in options if x.contract.underlying == "BTC")
            assert (option.size, option.unit) == (D("0.01"), "contracts")
            best = found.host.exchange.books[option.symbol].asks.best()
            assert best is not None
            price = option.quantize_price(best, Side.SELL)
            item = Order(
                client_order_id("desk", 930_001, 0, 0), option, Side.BUY, D(3), price, TimeInForce.IOC
            )
            before = found.host.exchange.account("desk").balances["BTC"]
            assert (await found.venue.submit(item)).state is OrderState.FILLED
            report = await found.venue.account(0)
            assert report.positions == {option.symbol: D(3)}
            (trade,) = report.trades
            assert (
                found.host.exchange.account("desk").balances["BTC"]
                == before - 3 * D("0.01") * price - trade.fill.fee
            )

    run(work())


def test_finding_09_stock_greeks_are_those_adjusted_for_the_premium() -> None:
    """OKX: delta less the premium in coins, not Black-Scholes' own."""

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


def test_finding_09_ours_no_live_reader_takes_greeks_and_vol_and_forward_give_black_scholes_own() -> None:
    async def work() -> None:
        async with cex_desk("okx") as found, hearing(found.venue) as news:
            options = [x for x in await found.venue.listings() if isinstance(x.contract, Option)]
            option = next(
                x for x in options if x.contract.underlying == "BTC" and 0.3 < delta_of(found, x) < 0.7
            )
            universe = Universe.of([option])
            found.venue.watch(universe, [option.symbol])
            market = Market.empty(universe)

            def known() -> bool:
                nonlocal market
                while news:
                    item = news.pop(0)
                    market = market.apply(item) if isinstance(item, Marks) else market
                return bool(market.mark_iv[0] > 0 and market.forward[0] > 0)

            await until(known, "vol and forward", 5.0)
            row = summary_row(found.host.exchange, option.symbol)
            contract = option.contract
            assert isinstance(contract, Option)
            years = (contract.expiry_ns - found.host.exchange.now_ns) / NS_PER_YEAR
            spread = market.mark_iv[0] * years**0.5
            d1 = log(market.forward[0] / float(contract.strike)) / spread + spread / 2
            delta = NormalDist().cdf(d1)
            assert delta == pytest.approx(float(row["deltaBS"]), abs=2e-3)
            assert abs(delta - float(row["delta"])) > 5e-3  # the other one is told from it

    run(work())


def test_finding_09_ours_an_import_keeps_both_sets_apart() -> None:
    (row,) = OptionMessages(ImportOptions()).rows(OKX_SUMMARY, "one")
    assert (row["venue_delta_bs"], row["venue_delta"]) == (0.2038286081, 0.1975745164)


def test_finding_10_stock_a_cancel_stands_in_line_behind_everything_else() -> None:
    """one queue for all requests: the kill goes out after a screen's twenty tickers."""

    async def scene(host: Host) -> None:
        quiet(host, SWAP)
        async with stock_okx(host, enableRateLimit=True, rateLimit=5) as client:
            order = await client.create_order(SWAP_THERE, "limit", "buy", 1, 59_000)
            host.calls.clear()
            screen = [asyncio.create_task(client.fetch_ticker(SWAP_THERE)) for _ in range(20)]
            await asyncio.sleep(0)
            await client.cancel_order(order["id"], SWAP_THERE)
            await asyncio.gather(*screen)
            sent = [operation for _, operation in host.calls]
            assert sent.count("market/ticker") == 20
            assert sent.index("trade/cancel-order") >= 19

    play(okx, scene)


def test_finding_10_ours_a_cancel_stands_behind_no_question() -> None:
    async def work() -> None:
        async with cex_desk("okx", pause_ms=10) as found:
            host, item = found.host, found.order("1")
            assert (await found.venue.submit(item)).state is OrderState.OPEN
            host.calls.clear()
            questions = [asyncio.create_task(found.venue.order(item.client_id)) for _ in range(60)]
            await asyncio.sleep(0)
            cancel = asyncio.create_task(found.venue.cancel(item.client_id))
            await until(lambda: not host.exchange.open_orders("desk"), "it is cancelled", 5.0)
            assert sum(not q.done() for q in questions) > 30
            assert [o for _, o in host.calls].index("trade/cancel-order") < 10
            assert (await cancel).state is OrderState.CANCELLED
            await asyncio.gather(*questions)

    run(work())
