"""Bybit's adapter on a loopback exchange: the trials of every venue, its categories, its dead man's switch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.exchanges.bybit import bybit
from tests.exchanges.stock_cex import bybit_urls
from tests.venues.cex_desk import Desk, opened, run
from tests.venues.trials import TRIALS, Stage, perform
from venues.cex_bybit import Bybit

PERP = "BTCUSDT"


@asynccontextmanager
async def desk(symbol: str = PERP, **terms: Any) -> AsyncIterator[Desk]:
    key = f"spot:{symbol.replace('/', '')}" if "/" in symbol else symbol
    async with opened(Bybit(), bybit(limits={})[0], bybit_urls, symbol, key=key, **terms) as found:
        yield found


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.__name__)
def test_bybit_passes(trial: Callable[[Stage], Awaitable[None]]) -> None:
    async def work() -> None:
        async with desk() as found:
            await perform(trial, found.stage("0.002"))

    run(work())
