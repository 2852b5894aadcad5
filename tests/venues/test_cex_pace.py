"""The library's rate limiter forgets quiet times, ours does not: each fails when ccxt changes its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ccxt.async_support.base.throttler import Throttler

from tests.venues.cex_desk import run
from venues.cex_client import CexTerms, make_client
from venues.cex_pace import Pace
from venues.net import Hosts, guarded_session

#: Ten milliseconds for a request of cost 1.
PACE: dict[str, Any] = {"refillRate": 0.1, "capacity": 1.0, "tokens": 0, "cost": 1.0, "delay": 0.001}
DEAR = 40


async def let_out(pace: Any, cost: float) -> bool:
    """Whether a request of a cost leaves now: a few turns of the loop, and no time."""
    waiting = pace(cost)
    for _ in range(5):
        await asyncio.sleep(0)
    return bool(waiting.done())


@pytest.mark.parametrize("ours", [True, False])
def test_a_quiet_time_pays_for_a_dear_question(ours: bool) -> None:
    async def work() -> None:
        pace = (Pace if ours else Throttler)(PACE, asyncio.get_running_loop())
        assert await let_out(pace, DEAR)
        await asyncio.sleep(0.6)  # longer than the 0.4 s that it costs
        assert await let_out(pace, 1) is ours

    run(work())


def test_what_has_not_been_paid_for_is_waited_for_and_no_more_than_the_bucket_is_saved() -> None:
    async def work() -> None:
        pace = Pace(PACE, asyncio.get_running_loop())
        await asyncio.sleep(0.2)
        assert await let_out(pace, 10) and not await let_out(
            pace, 1
        )  # had it all been saved, both would leave
        await asyncio.sleep(0.6)
        assert await let_out(pace, 1.5)
        assert pace.config["tokens"] <= PACE["capacity"]

    run(work())


def test_a_burst_leaves_at_once_and_no_more_than_that() -> None:
    async def work() -> None:
        pace = Pace(PACE, asyncio.get_running_loop(), burst=30.0)
        left = [await let_out(pace, 10) for _ in range(5)]
        assert left == [True, True, True, True, False]  # the fourth is owed, as every request may be

    run(work())


def test_every_client_of_ours_has_it() -> None:
    async def work() -> None:
        url = "http://127.0.0.1:9"
        async with guarded_session(Hosts.of([url])) as session:
            terms = CexTerms("okx", Hosts.of([url]), {"rest": url, "ws": url}, pause_ms=7.0)
            client = make_client(terms, {}, session, {})
            assert type(client.throttler) is Pace and client.throttler.config["refillRate"] == 1 / 7.0
            await client.close()

    run(work())


def test_what_is_left_is_what_may_leave_and_looking_at_it_takes_nothing() -> None:
    async def work() -> None:
        pace = Pace(PACE | {"refillRate": 0.0}, asyncio.get_running_loop(), burst=30.0)
        assert pace.left() == pace.left() == (30.0, 30.0)
        assert await let_out(pace, 10)
        assert pace.left() == (20.0, 30.0)
        assert await let_out(pace, 25)
        assert pace.left() == (-5.0, 30.0)

    run(work())
