"""A start that fails leaves nothing behind: no task of it complains afterwards."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from tests.exchanges.faults import Act
from tests.exchanges.hyperliquid import hyperliquid
from tests.exchanges.server import serve
from tests.venues.cex_desk import adapter_on, run
from venues.cex import CexSettings
from venues.cex_hyperliquid import Hyperliquid, addresses
from venues.errors import Unreachable


def test_an_account_whose_stream_never_begins_is_told_once() -> None:
    async def scene() -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        async with serve(hyperliquid()[0]) as host:
            host.faults.add(Act.MUTE_BEFORE, "subscribe", times=100)
            venue = adapter_on(Hyperliquid(), host, addresses, settings=CexSettings(start_s_max=0.3))
            with pytest.raises(Unreachable, match="NOT_SUBSCRIBED"):
                await venue.start()
            await venue.close()
        await asyncio.sleep(0)
        gc.collect()
        assert complaints == []

    run(scene())
