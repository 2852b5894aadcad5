"""Deribit's sessions mend themselves: what is refused or lost once is asked for again, and told as owed until
then."""

from __future__ import annotations

import asyncio

import pytest

from pricing.market import Marks
from pricing.universe import Universe
from tests.exchanges.faults import Act
from tests.exchanges.server import Host
from tests.planted import SECRET
from tests.venues.cex_desk import run
from tests.venues.deribit_desk import PERPETUAL, QUICK, hearing, login, opened, until
from venues.base import News
from venues.deribit import DeribitVenue
from venues.deribit_session import DeribitSession, SessionTerms
from venues.errors import VenueError
from venues.net import Hosts, guarded_session
from venues.orders import Link, VenueStatus

SECOND = 10**9
SHORT = SessionTerms(
    answer_s_max=1.0, connect_s_max=2.0, heartbeat_s=10.0, pause_s_first=0.02, pause_s_most=0.1
)
ETHER = "ETH-PERPETUAL"


def links(news: list[News]) -> list[Link]:
    return [x.link for x in news if isinstance(x, VenueStatus)]


def events(news: list[News]) -> list[str]:
    return [event for x in news if isinstance(x, VenueStatus) for event in x.events]


def hears(news: list[News], row: int) -> bool:
    return any(isinstance(x, Marks) and row in x.depth for x in news)


async def universe_of(venue: DeribitVenue) -> Universe:
    return Universe.of([x for x in await venue.listings() if x.symbol in (PERPETUAL, ETHER)])


@pytest.mark.parametrize("act", [Act.RATE, Act.ERROR_BEFORE, Act.MUTE_BEFORE, Act.MUTE_AFTER, Act.CUT_AFTER])
def test_one_error_frame_silences_no_stream_and_what_it_refused_is_owed_until_it_comes(act: Act) -> None:
    """Finding 6 of the library, ours: the other streams go on, and the one refused is asked for again."""

    async def work() -> None:
        async with opened(session=SHORT) as (venue, host, _), hearing(venue) as news:
            universe = await universe_of(venue)
            held, new = (universe.positions[("deribit", x)] for x in (PERPETUAL, ETHER))
            venue.watch(universe, [PERPETUAL])
            await until(lambda: hears(news, held), "the first market", 5.0)
            news.clear()
            rule = host.faults.add(act, "public/subscribe")
            venue.watch(universe, [PERPETUAL, ETHER])
            await until(lambda: Link.DEGRADED in links(news), "that it is owed", 5.0)
            await until(lambda: links(news)[-1] is Link.UP, "that it has come", 8.0)
            assert rule.bitten == 1
            await until(lambda: hears(news, new), "the second market", 5.0)
            assert venue.quotes is not None and venue.quotes.gaps == ()

    run(work())


def test_one_error_frame_while_reconnecting_leaves_the_market_owed_and_the_session_up() -> None:
    async def work() -> None:
        async with opened(session=SHORT) as (venue, host, _), hearing(venue) as news:
            universe = await universe_of(venue)
            venue.watch(universe, [PERPETUAL])
            await until(lambda: hears(news, universe.positions[("deribit", PERPETUAL)]), "the market", 5.0)
            news.clear()
            rule = host.faults.add(Act.RATE, "public/subscribe", times=2)
            host.cut_sessions()
            await until(lambda: rule.bitten == 2, "refused again", 8.0)
            assert links(news)[-1] is not Link.UP
            await until(lambda: links(news)[-1] is Link.UP, "that it has come", 8.0)
            news.clear()
            await until(lambda: venue.quotes is not None and venue.quotes.gaps == (), "its book", 5.0)

    run(work())


@pytest.mark.parametrize("act", [Act.RATE, Act.MUTE_BEFORE])
def test_a_farewell_that_fails_does_not_stop_the_joining_of_what_is_wanted(act: Act) -> None:
    async def work() -> None:
        async with opened(session=SHORT) as (venue, host, _), hearing(venue) as news:
            universe = await universe_of(venue)
            held, new = (universe.positions[("deribit", x)] for x in (PERPETUAL, ETHER))
            venue.watch(universe, [PERPETUAL])
            await until(lambda: hears(news, held), "the first market", 5.0)
            news.clear()
            rule = host.faults.add(act, "public/unsubscribe")
            venue.watch(universe, [ETHER])
            await until(lambda: hears(news, new), "the second market", 5.0)
            await until(lambda: host.count("public/unsubscribe") == 2, "the farewell again", 5.0)
            assert rule.bitten == 1 and Link.DEGRADED not in links(news)

    run(work())


async def _market(host: Host) -> None:
    """Two names of which one is refused: that costs the other nothing."""
    heard: set[str] = set()
    async with guarded_session(Hosts.of([host.ws_url])) as http:
        session = DeribitSession(
            host.ws_url, http, lambda channel, _: heard.add(channel), lambda *_: None, terms=SHORT
        )
        session.start()
        await session.wait_up(5.0)
        wanted = [f"ticker.{PERPETUAL}.100ms", f"ticker.{PERPETUAL}.raw", f"ticker.{ETHER}.100ms"]
        session.follow(wanted)
        with pytest.raises(VenueError):
            await session.settle()
        assert session.owed == [wanted[1]] and not session.settled
        await until(lambda: heard == {wanted[0], wanted[2]}, "the others", 5.0)
        session.follow((), [wanted[1]])
        await session.settle()
        assert session.settled
        await session.close()


def test_a_name_that_is_refused_costs_no_other_its_place() -> None:
    async def work() -> None:
        async with opened(session=QUICK) as (_, host, _):
            await _market(host)

    run(work())


def test_a_key_that_is_refused_once_and_taken_again_is_kept() -> None:
    """The refusal was for the time; who looks at the clocks a moment later finds nothing wrong with them."""

    async def work() -> None:
        async with opened(session=SHORT) as (venue, host, _), hearing(venue) as news:
            rule = host.faults.add(Act.UNAUTHORIZED, "public/auth")
            host.cut_sessions()
            await until(lambda: "reconnected" in events(news), "up again", 8.0)
            await until(lambda: links(news)[-1] is Link.UP, "all of it", 8.0)
            assert rule.bitten == 1 and "key_refused" not in events(news)
            assert (await venue.account(0)).positions == {}

    run(work())


def test_a_clock_that_is_set_right_at_any_moment_costs_no_key() -> None:
    """Whatever the signing in has come to when the clock is set right."""

    async def work() -> None:
        async with opened(session=SHORT) as (venue, host, _), hearing(venue) as news:
            for steps in range(12):
                asked = host.count("public/auth")
                host.exchange.clock.skew_ns = -300 * SECOND
                host.cut_sessions()
                await until(lambda asked=asked: host.count("public/auth") > asked, "refused", 8.0)  # type: ignore[misc]
                for _ in range(steps):
                    await asyncio.sleep(0)
                host.exchange.clock.skew_ns = 0
                news.clear()
                await until(lambda: bool(links(news)) and links(news)[-1] is Link.UP, "up again", 8.0)
                assert "key_refused" not in events(news)
            assert (await venue.account(0)).positions == {}

    run(work(), 60.0)


def test_a_wrong_secret_is_asked_twice_and_given_up() -> None:
    async def work() -> None:
        async with opened(session=QUICK) as (_, host, _):
            before = host.count("public/auth")
            async with guarded_session(Hosts.of([host.ws_url])) as http:
                session = DeribitSession(
                    host.ws_url,
                    http,
                    lambda *_: None,
                    lambda *_: None,
                    login=login(SECRET + "x"),
                    terms=QUICK,
                )
                session.start()
                with pytest.raises(VenueError):
                    await session.wait_up(5.0)
                assert session.locked is not None and host.count("public/auth") - before == 2
                await session.close()

    run(work())
