"""Sessions that mend themselves: an answer that is lost once, or a refusal that passes, costs no venue for
good. Each loses the answer to one join or one signing in, or turns the venue's clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pricing.market import Marks
from pricing.universe import Universe
from tests.exchanges.faults import Act
from tests.venues.cex_desk import Desk, run
from tests.venues.deribit_desk import hearing, until
from tests.venues.test_cex_streams import desk, events
from venues.base import News
from venues.orders import Link, OrderState, OrderUpdate, VenueStatus

SECOND = 10**9
#: An answer may take so long here, seconds.
ANSWER_S = 1.0
#: What the account's stream is begun with, by venue. Binance's futures are told by the address alone.
BEGUN_WITH = [
    ("okx", "login"),
    ("okx", "subscribe"),
    ("bybit", "auth"),
    ("bybit", "subscribe"),
    ("binance", "userDataStream.subscribe.signature"),
    ("hyperliquid", "subscribe"),
]
MARKETS = [
    ("okx", "subscribe"),
    ("bybit", "subscribe"),
    ("binanceusdm", "SUBSCRIBE"),
    ("hyperliquid", "subscribe"),
]
QUANTITY = {"okx": "1", "binancecoinm": "2"}


def links(news: list[News]) -> list[Link]:
    return [x.link for x in news if isinstance(x, VenueStatus)]


async def up(news: list[News]) -> None:
    """The start is over, and told."""
    await until(lambda: bool(links(news)) and links(news)[-1] is Link.UP, "up", 8.0)
    news.clear()


async def trades(found: Desk, name: str) -> bool:
    """Whether an order's end is told by the account's stream."""
    item = found.order(QUANTITY.get(name, "0.002"), marketable=True)
    return (await found.venue.submit(item)).state is OrderState.FILLED


@pytest.mark.parametrize("act", [Act.MUTE_BEFORE, Act.CUT_AFTER])
@pytest.mark.parametrize(("name", "asked"), BEGUN_WITH)
def test_an_account_whose_join_is_lost_after_a_reconnect_comes_back(name: str, asked: str, act: Act) -> None:
    async def work() -> None:
        async with desk(name, answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            await up(news)
            rule = found.host.faults.add(act, asked)
            found.host.cut_sessions()
            await until(lambda: rule.bitten == 1, "the answer is lost", 5.0)
            await until(lambda: "reconnected" in events(news), "the account's stream", 8.0)
            assert Link.DOWN in links(news) and links(news)[-1] is Link.UP
            assert "key_refused" not in events(news)
            assert await trades(found, name)

    run(work())


@pytest.mark.parametrize("act", [Act.MUTE_BEFORE, Act.MUTE_AFTER])
@pytest.mark.parametrize(("name", "asked"), MARKETS)
def test_a_market_whose_join_is_lost_is_not_told_as_up_until_it_comes(
    name: str, asked: str, act: Act
) -> None:
    async def work() -> None:
        async with desk(name, signed=False, answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            rule = found.host.faults.add(act, asked)
            found.venue.watch(Universe.of([found.listing]), [found.listing.symbol])
            await until(lambda: rule.bitten == 1, "the answer is lost", 5.0)
            await until(lambda: Link.DEGRADED in links(news), "that it is owed", 5.0)
            await until(lambda: links(news)[-1] is Link.UP, "that it has come", 8.0)
            news.clear()
            found.venue.watch(Universe.of([found.listing]), [found.listing.symbol])
            await until(lambda: any(isinstance(x, Marks) and x.depth for x in news), "depth", 5.0)
            assert found.venue.quotes is not None and found.venue.quotes.gaps == ()

    run(work())


@pytest.mark.parametrize("name", ["okx", "bybit", "binanceusdm", "hyperliquid"])
def test_a_join_that_is_lost_later_costs_no_other_channel_its_place(name: str) -> None:
    """The books that are followed already go on: their connection stays."""

    async def work() -> None:
        async with desk(name, signed=False, answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            other = next(
                x
                for x in await found.venue.listings()
                if x.contract.underlying == "ETH" and type(x.contract) is type(found.listing.contract)
            )
            universe = Universe.of([found.listing, other])
            found.venue.watch(universe, [found.listing.symbol])
            await until(lambda: any(isinstance(x, Marks) and x.depth for x in news), "depth", 5.0)
            connected = found.host.connected
            news.clear()
            rule = found.host.faults.add(Act.MUTE_BEFORE, "SUBSCRIBE" if "binance" in name else "subscribe")
            found.venue.watch(universe, [found.listing.symbol, other.symbol])
            await until(lambda: Link.DEGRADED in links(news), "that it is owed", 5.0)
            await until(lambda: links(news)[-1] is Link.UP, "that it has come", 8.0)
            assert rule.bitten == 1 and found.host.connected == connected
            row = universe.positions[other.key]
            await until(lambda: any(isinstance(x, Marks) and row in x.depth for x in news), "the other", 5.0)
            told = [x.gaps for x in news if isinstance(x, VenueStatus) and x.gaps is not None]
            assert not any(found.listing.symbol in gaps for gaps in told)

    run(work())


@pytest.mark.parametrize("name", ["okx", "bybit", "binance"])
@pytest.mark.parametrize("skew_s", [-40, 40])
def test_a_clock_that_was_wrong_while_signing_in_costs_no_key(name: str, skew_s: int) -> None:
    async def work() -> None:
        async with desk(name, answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            await up(news)
            found.host.exchange.clock.skew_ns = skew_s * SECOND
            asked = {"okx": "login", "bybit": "auth"}.get(name, "userDataStream.subscribe.signature")
            before = found.host.count(asked)
            found.host.cut_sessions()
            await until(lambda: found.host.count(asked) > before, "refused once", 8.0)
            found.host.exchange.clock.skew_ns = 0
            await until(lambda: bool(links(news)) and links(news)[-1] is Link.UP, "up again", 8.0)
            assert "key_refused" not in events(news)
            assert await trades(found, name)

    run(work())


def test_a_key_that_is_refused_once_and_taken_again_is_kept() -> None:
    """The refusal was for the time; who looks at the clocks a moment later finds nothing wrong with them."""

    async def work() -> None:
        async with desk("binanceusdm", answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            await up(news)
            rule = found.host.faults.add(Act.UNAUTHORIZED, "*listenKey")
            found.host.cut_sessions()
            await until(lambda: "reconnected" in events(news), "up again", 8.0)
            assert rule.bitten == 1 and "key_refused" not in events(news)
            assert await trades(found, "binanceusdm")

    run(work())


def test_a_key_that_is_refused_while_the_clocks_agree_is_given_up_after_the_second_time() -> None:
    async def work() -> None:
        async with desk("binanceusdm", answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            await up(news)
            rule = found.host.faults.add(Act.UNAUTHORIZED, "*listenKey", times=9)
            found.host.cut_sessions()
            await until(lambda: "key_refused" in events(news), "that it is refused", 8.0)
            assert links(news)[-1] is Link.DOWN and rule.bitten == 2

    run(work())


def test_a_key_that_is_refused_while_the_clocks_are_apart_is_tried_again_until_they_agree() -> None:
    async def work() -> None:
        async with desk("binanceusdm", answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            await up(news)
            found.host.exchange.clock.skew_ns = -60 * SECOND
            rule = found.host.faults.add(Act.UNAUTHORIZED, "*listenKey", times=4)
            found.host.cut_sessions()
            await until(lambda: rule.bitten == 4, "tried again", 8.0)
            found.host.exchange.clock.skew_ns = 0
            await until(lambda: "reconnected" in events(news), "up again", 8.0)
            assert "key_refused" not in events(news)

    run(work())


@pytest.mark.parametrize(
    ("name", "spoils"),
    [
        *((x, y) for x in ("okx", "bybit", "bybit bare") for y in ({"secret": "another"}, {"revoked": True})),
        ("okx", {"passphrase": "another"}),
    ],
    ids=str,
)
def test_a_refused_sign_in_locks_the_key_by_the_same_rule_in_every_word_for_it(
    name: str, spoils: dict[str, Any]
) -> None:
    """Bad signatures, passphrases and names have codes of their own on OKX; Bybit's stream has sentences
    alone, and need not say that it speaks of signing in."""

    async def work() -> None:
        async with desk(name.split()[0], answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            await up(news)
            exchange = found.host.exchange
            exchange.modes["bare"] = name.endswith("bare")
            asked = {"okx": "login", "bybit": "auth"}[name.split()[0]]
            before = found.host.count(asked)
            exchange.keys.update({label: replace(key, **spoils) for label, key in exchange.keys.items()})
            found.host.cut_sessions()
            await until(lambda: "key_refused" in events(news), "that it is refused", 8.0)
            assert links(news)[-1] is Link.DOWN and found.host.count(asked) >= before + 2
            await asyncio.sleep(0.3)  # one that was on its way arrives
            left = found.host.count(asked)
            await asyncio.sleep(0.3)  # it tries again after a tenth of a second at most
            assert found.host.count(asked) == left  # given up

    run(work())


@pytest.mark.parametrize("skew_s", [-60, 60])
def test_a_bare_refusal_while_the_clocks_are_apart_costs_no_key(skew_s: int) -> None:
    async def work() -> None:
        async with desk("bybit", answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            await up(news)
            exchange = found.host.exchange
            exchange.modes["bare"] = True
            exchange.clock.skew_ns = skew_s * SECOND
            rule = found.host.faults.add(Act.UNAUTHORIZED, "auth", times=3)
            before = found.host.count("auth")
            found.host.cut_sessions()
            await until(lambda: found.host.count("auth") >= before + 3, "tried again", 8.0)
            exchange.clock.skew_ns = 0
            await until(lambda: rule.bitten == 3 and links(news)[-1] is Link.UP, "up again", 8.0)
            assert "key_refused" not in events(news)
            assert await trades(found, "bybit")

    run(work())


@pytest.mark.parametrize("refuses", ["named", "unnamed", "whole"])
def test_a_channel_that_okx_refuses_takes_no_neighbour_with_it(refuses: str) -> None:
    """Neither those that have begun, nor those that were joined in the same message, for long."""

    async def work() -> None:
        async with desk("okx", signed=False, answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            found.host.exchange.modes["refuses"] = refuses
            other = next(
                x
                for x in await found.venue.listings()
                if x.contract.underlying == "ETH" and type(x.contract) is type(found.listing.contract)
            )
            unknown = replace(found.listing, symbol="NOPE-USDT-SWAP")
            found.venue.watch(Universe.of([found.listing]), [found.listing.symbol])
            await until(lambda: any(isinstance(x, Marks) and x.depth for x in news), "depth", 5.0)
            universe = Universe.of([found.listing, unknown, other])
            connected = found.host.connected
            found.venue.watch(universe, [x.symbol for x in universe.listings])
            quotes = found.venue.quotes
            assert quotes is not None

            def known(symbol: str) -> bool:
                heard = quotes.heard_ns(symbol, "mark") and quotes.heard_ns(symbol, "book")
                return bool(heard) and symbol not in quotes.gaps

            await until(lambda: known(other.symbol), "the neighbour", 5.0)
            asked = found.host.count("subscribe")
            await until(lambda: found.host.count("subscribe") > asked, "the unknown one is tried again", 5.0)
            assert known(found.listing.symbol) and known(other.symbol) and not known(unknown.symbol)
            assert found.host.connected == connected  # nobody's connection was left

    run(work())


@pytest.mark.parametrize(
    "frame",
    [
        '{"success":false}',
        '{"op":"auth","success":false}',
        '{"retCode":10001}',
    ],
)
def test_a_frame_over_which_the_library_fails_does_not_end_the_venue(frame: str) -> None:
    async def work() -> None:
        async with desk("bybit", answer_s_max=ANSWER_S) as found, hearing(found.venue) as news:
            found.venue.watch(Universe.of([found.listing]), [found.listing.symbol])
            await until(lambda: any(isinstance(x, Marks) and x.depth for x in news), "depth", 5.0)
            found.host.tell_all("x", frame)
            await asyncio.sleep(0.2)  # it is heard
            await until(lambda: links(news)[-1] is Link.UP, "up", 8.0)
            assert await trades(found, "bybit")
            news.clear()
            await found.venue.submit(found.order("0.002"))
            await until(lambda: any(isinstance(x, OrderUpdate) for x in news), "its news", 5.0)
            await until(lambda: any(isinstance(x, Marks) and x.depth for x in news), "its market", 5.0)

    run(work())
