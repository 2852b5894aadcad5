"""Hyperliquid's adapter on a loopback exchange: the trials of every venue, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.exchanges.hyperliquid import hyperliquid
from tests.venues.cex_desk import Desk, opened, run
from tests.venues.trials import TRIALS, Stage, perform
from venues.cex_hyperliquid import Hyperliquid, addresses


@asynccontextmanager
async def desk(symbol: str = "BTC", **terms: Any) -> AsyncIterator[Desk]:
    async with opened(Hyperliquid(), hyperliquid(limits={})[0], addresses, symbol, **terms) as found:
        yield found


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.__name__)
def test_hyperliquid_passes(trial: Callable[[Stage], Awaitable[None]]) -> None:
    async def work() -> None:
        async with desk() as found:
            await perform(trial, found.stage("0.001"))

    run(work())
