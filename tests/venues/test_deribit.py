"""Deribit's adapter on a loopback exchange: the trials of every venue, and what goes wrong on the way.

What really happened is read from the exchange's own record, never from the adapter.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from pricing.contracts import Option, Side
from pricing.market import Market, Marks
from pricing.universe import Universe
from tests.exchanges import words
from tests.exchanges.faults import Act
from tests.planted import KEY
from tests.venues.deribit_desk import (
    PERPETUAL,
    QUICK,
    asked,
    fills,
    hearing,
    listing_of,
    live_orders,
    login,
    opened,
    order,
    price_of,
    statuses,
    touch,
    until,
    venue_at,
    watch,
)
from tests.venues.trials import TRIALS, Stage, perform
from venues.deribit import DeribitTerms, DeribitVenue
from venues.deribit_session import Login
from venues.errors import Ambiguous, Locked, Unreachable, Untrusted
from venues.net import Hosts
from venues.orders import Link, Order, OrderState, TimeInForce, VenueStatus, client_order_id
from venues.secrets import Secret
from venues.wire.rejects import Reason


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.__name__)
def test_deribit_passes(trial: Callable[[Stage], Awaitable[None]]) -> None:
    async def work() -> None:
        async with opened() as (venue, _, _):
            listing = await listing_of(venue)

            def price(side: Side, marketable: bool) -> Decimal:
                return price_of(listing, side, marketable)

            await perform(trial, Stage(venue, listing, Decimal(100), price))

    run(work())


@pytest.mark.parametrize(
    ("symbol", "quantity", "price"),
    [
        ("BTC_USDC-PERPETUAL", "0.002", "60600"),  # coins
        ("ETH-PERPETUAL", "100", "2525"),  # USD
        ("BTC_USDC", "0.01", "60600"),  # coins
    ],
)
def test_each_product_is_traded_in_its_own_unit(symbol: str, quantity: str, price: str) -> None:
    async def work() -> None:
        async with opened() as (venue, host, _):
            listing = await listing_of(venue, symbol)
            item = replace(
                order(listing, marketable=True),
                quantity=Decimal(quantity),
                price=listing.quantize_price(Decimal(price), Side.BUY),
            )
            assert (await venue.submit(item)).state is OrderState.FILLED
            (fill,) = {f.quantity for f in host.exchange.fills("desk")}
            assert fill == Decimal(quantity)
            held = (await venue.account(0)).positions
            assert held.get(symbol, Decimal(quantity)) == Decimal(quantity)

    run(work())


@pytest.mark.parametrize("act", [Act.CUT_BEFORE, Act.MUTE_BEFORE])
def test_an_order_lost_on_the_way_is_unknown_until_the_venue_says_that_it_never_had_it(act: Act) -> None:
    async def work() -> None:
        async with opened(session=replace(QUICK, answer_s_max=1.0)) as (venue, host, _):
            item = order(await listing_of(venue))
            host.faults.add(act, "private/buy")
            assert (await venue.submit(item)).state is OrderState.UNKNOWN
            await until(lambda: len(host.sessions) == 2, "both sessions again")
            assert await asked(lambda: venue.order(item.client_id)) is None
            assert host.exchange.fills("desk") == [] and live_orders(host) == []

    run(work())


@pytest.mark.parametrize(
    ("act", "state"), [(Act.RATE, OrderState.UNKNOWN), (Act.UNAUTHORIZED, OrderState.REJECTED)]
)
def test_only_codes_on_the_list_reject(act: Act, state: OrderState) -> None:
    async def work() -> None:
        async with opened() as (venue, host, _):
            item = order(await listing_of(venue))
            host.faults.add(act, "private/buy")
            assert (await venue.submit(item)).state is state

    run(work())


def test_an_order_twice_on_the_wire_is_not_taken_for_one() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _):
            item = order(await listing_of(venue))
            host.faults.add(Act.TWICE, "private/buy")
            await venue.submit(item)
            assert len(live_orders(host)) == 2  # labels do not keep them apart
            with pytest.raises(Ambiguous, match="LABEL_TWICE"):
                await venue.order(item.client_id)
            assert len((await venue.account(0)).orders) == 2

    run(work())


def test_executions_are_told_once_however_often_and_in_what_order_they_come() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _), hearing(venue) as news:
            listing = await listing_of(venue)
            host.faults.add(Act.DUPLICATE, "user.trades*", times=1000)
            host.faults.add(Act.REORDER, "user.orders*", times=1000)
            items = [order(listing, marketable=True) for _ in range(30)]
            await asyncio.gather(*(venue.submit(item) for item in items))
            await until(lambda: len(fills(news)) >= 30, "all executions")
            told = sorted(t.fill.trade_id for t in fills(news))
            assert told == sorted(str(f.trade_id) for f in host.exchange.fills("desk"))

    run(work())


def test_executions_that_the_stream_loses_are_in_the_report() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _), hearing(venue):
            listing = await listing_of(venue)
            resting = order(listing)
            await venue.submit(resting)
            host.faults.add(Act.DROP, "user.*", times=1000)
            host.exchange.trade(PERPETUAL, words.Side.SELL, Decimal(10**9), resting.price)
            report = await venue.account(0)
            assert sum(t.fill.quantity for t in report.trades if t.client_id == resting.client_id) == 100

    run(work())


def test_options_that_are_not_subscribed_to_come_by_one_question_per_currency() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _), hearing(venue) as news:
            universe = Universe.of(await venue.listings())
            options = [x for x in universe.listings if isinstance(x.contract, Option)]
            chosen = options[0].symbol
            venue.watch(universe, [PERPETUAL, chosen])
            market = Market.empty(universe)

            def known() -> bool:
                nonlocal market
                while news:
                    item = news.pop(0)
                    market = market.apply(item) if isinstance(item, Marks) else market
                rows = [universe.positions[x.key] for x in options]
                return bool((market.mark_iv[rows] > 0).all() and (market.forward[rows] > 0).all())

            await until(known, "vol and forward of every option")
            count = len({x.contract.settlement for x in options})
            await until(lambda: host.count("public/get_book_summary_by_currency") >= count, "each currency")
            assert host.count("public/get_book_summary_by_currency") == count
            row = universe.positions["deribit", options[1].symbol]
            mark = host.exchange.marks[options[1].symbol]
            assert market.mark_iv[row] == pytest.approx(mark.iv, abs=1e-4)
            assert market.bid[row] > 0 and np.isnan(market.bid_size[row])
            assert market.bid_size[universe.positions["deribit", chosen]] > 0

    run(work())


def test_a_delivery_price_comes_with_the_account() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _):
            option = next(x for x in await venue.listings() if isinstance(x.contract, Option))
            best = host.exchange.books[option.symbol].asks.best()
            assert best is not None
            client_id = client_order_id("desk", 920_001, 0, 0)
            item = Order(client_id, option, Side.BUY, option.minimum, best, TimeInForce.IOC)
            assert (await venue.submit(item)).state is OrderState.FILLED
            assert (await venue.account(0)).deliveries == {}
            host.exchange.settle(option.symbol, Decimal("60123.5"))
            report = await venue.account(0)
            assert report.deliveries == {option.symbol: Decimal("60123.5")} and report.positions == {}

    run(work())


def test_a_hung_engine_loses_the_connection_and_its_orders() -> None:
    terms = replace(QUICK, heartbeat_s=1.0, dead_man_s=2.5)

    async def work() -> None:
        async with opened(session=terms, heartbeat_s_min=1.0) as (venue, host, _):
            assert venue.capabilities.dead_man_s == 2.5
            await venue.submit(order(await listing_of(venue)))
            await asyncio.sleep(2.6)
            assert len(live_orders(host)) == 1  # nobody refreshed yet: test requests are answered
            await venue.refresh()  # and then nothing more
            await until(lambda: live_orders(host) == [], "the orders are gone", 6.0)

    run(work())


def test_a_clean_close_leaves_orders_and_a_cut_cancels_them() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _):
            item = order(await listing_of(venue))
            await venue.submit(item)
            await venue.close()
            assert live_orders(host) == [item.client_id]
        async with opened() as (venue, host, _):
            await venue.submit(order(await listing_of(venue)))
            host.cut_sessions()
            await until(lambda: live_orders(host) == [], "cancelled on disconnect")

    run(work())


def test_the_mass_cancel_works_while_the_session_is_gone() -> None:
    async def work() -> None:
        async with opened(session=replace(QUICK, pause_s_first=5.0, pause_s_most=5.0)) as (venue, host, _):
            listing = await listing_of(venue)
            for _ in range(3):
                await venue.submit(order(listing))
            for session in list(host.sessions.values()):
                session.state["cod"] = False
            host.cut_sessions()
            await until(lambda: not host.sessions, "no session")
            assert len(live_orders(host)) == 3
            await venue.cancel_all()
            assert live_orders(host) == []

    run(work())


def test_the_mass_cancel_works_when_the_venue_ends_the_session_for_its_rate() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _):
            await venue.submit(order(await listing_of(venue)))
            for session in list(host.sessions.values()):
                session.state["cod"] = False
            host.faults.add(Act.RATE_KILL, "private/cancel_all")
            await venue.cancel_all()
            assert live_orders(host) == []

    run(work())


def test_a_revoked_key_is_told_and_not_tried_again() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _), hearing(venue) as news:
            host.exchange.keys[KEY].revoked = True
            host.cut_sessions()
            await until(lambda: any("key_refused" in s.events for s in statuses(news)), "the news")
            tried = host.count("public/auth")
            await asyncio.sleep(0.4)
            assert host.count("public/auth") == tried
            with pytest.raises(Locked):
                await venue.account(0)
            refused = await venue.submit(order(await listing_of(venue)))
            assert (refused.state, refused.code) == (OrderState.REJECTED, Reason.KEY)

    run(work())


def test_a_wrong_secret_does_not_start() -> None:
    async def work() -> None:
        async with opened() as (_, host, _):
            venue = DeribitVenue(DeribitTerms(url=host.ws_url, session=QUICK), login("wrong"))
            with pytest.raises(Locked):
                await venue.start()
            await venue.close()

    run(work())


def test_no_session_within_the_time_is_unreachable() -> None:
    async def work() -> None:
        venue = DeribitVenue(DeribitTerms(url="ws://127.0.0.1:9", start_s_max=0.2, session=QUICK))
        with pytest.raises(Unreachable):
            await venue.start()
        await venue.close()

    run(work())


def test_a_host_that_is_not_listed_is_never_called() -> None:
    async def work() -> None:
        async with opened() as (_, host, _):
            connected = host.connected
            venue = DeribitVenue(
                DeribitTerms(url=host.ws_url, start_s_max=0.3, session=QUICK),
                login(),
                hosts=Hosts(frozenset({"www.deribit.com"})),
            )
            with pytest.raises((Unreachable, Untrusted)):
                await venue.start()
            await venue.close()
            assert host.connected == connected

    run(work())


def test_without_a_key_there_are_prices_and_no_orders() -> None:
    async def work() -> None:
        async with opened() as (_, host, _):
            venue = venue_at(host, signed=False)
            await venue.start()
            async with hearing(venue) as news:
                await watch(venue)
                await until(lambda: touch(news) is not None, "a quote")
                refused = await venue.submit(order(await listing_of(venue)))
                assert refused.state is OrderState.REJECTED
            await venue.close()

    run(work())


def test_a_trade_of_somebody_else_on_the_account_has_no_client_id_of_ours() -> None:
    async def work() -> None:
        async with opened() as (venue, host, _), hearing(venue) as news:
            host.exchange.outside("desk", PERPETUAL, words.Side.BUY, Decimal(50), Decimal(60_000), "manual")
            await until(lambda: len(fills(news)) == 1, "the execution")
            assert fills(news)[0].client_id == ""
            assert (await venue.account(0)).positions == {PERPETUAL: Decimal(50)}

    run(work())


def test_nothing_goes_by_http_and_the_secret_by_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with opened() as (venue, host, _):
            with pytest.raises(Locked):
                refused = DeribitVenue(
                    DeribitTerms(url=host.ws_url, session=QUICK),
                    Login(Secret(KEY), Secret("canary-7f3a9c")),
                )
                await refused.start()
            await refused.close()
            await venue.submit(order(await listing_of(venue)))
            await venue.account(0)
            assert {transport for transport, _ in host.calls} == {"ws"}
            sent = [str(call.params) for call in host.requests]
            assert sent and all("canary-7f3a9c" not in text for text in sent)

    with caplog.at_level(logging.DEBUG):
        run(work())
    assert "canary-7f3a9c" not in caplog.text


def test_an_answer_with_an_html_body_or_a_stale_page_is_not_an_account() -> None:
    async def work() -> None:
        async with opened(session=replace(QUICK, answer_s_max=1.0)) as (venue, host, _):
            host.faults.add(Act.HTML, "private/get_positions")
            with pytest.raises((Unreachable, Untrusted)):
                await venue.account(0)

    run(work())


@pytest.mark.parametrize("set_back", [False, True])
def test_an_execution_is_told_however_far_ahead_the_venues_clock_is_or_was(set_back: bool) -> None:
    async def scene() -> None:
        async with opened() as (venue, host, _):
            listing = await listing_of(venue)
            host.exchange.clock.skew_ns = 300 * 10**9
            sent = order(listing, marketable=True)
            assert (await venue.submit(sent)).state is OrderState.FILLED
            host.exchange.clock.skew_ns *= not set_back
            told = (await venue.account(host.exchange.now_ns - 3600 * 10**9)).trades
            assert [t.client_id for t in told] == [sent.client_id]

    run(scene())


def test_a_venue_whose_clock_runs_away_is_tried_again_and_its_key_not_given_up() -> None:
    """Signatures carry our time: a minute apart every one of them is refused, whatever the key."""

    async def scene() -> None:
        async with opened() as (venue, host, _), hearing(venue) as news:
            host.exchange.clock.skew_ns = -300 * 10**9
            host.cut_sessions()
            await until(lambda: host.count("public/auth") >= 3, "tried again")
            host.exchange.clock.skew_ns = 0
            before = len(news)
            await until(
                lambda: any(isinstance(x, VenueStatus) and x.link is Link.UP for x in news[before:]), "up"
            )
            assert (await venue.account(0)).positions == {}
            told = [e for x in news if isinstance(x, VenueStatus) for e in x.events]
            assert "key_refused" not in told

    asyncio.run(asyncio.wait_for(scene(), 30))
