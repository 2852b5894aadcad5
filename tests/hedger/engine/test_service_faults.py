"""What a service ends with when more than one thing fails: the first, which the others may come from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from hedger.core.decision import Decision
from hedger.core.events import Event
from hedger.core.gate import EngineSettings
from hedger.core.state import State
from hedger.engine.logs import Log
from hedger.engine.service import Parts, Service
from hedger.journal.kill_latch import MemoryLatch
from hedger.sections.paper import RunConfig
from tests.hedger.rig import TAG, VENUE, Rig, desk, free
from venues.base import Capabilities, News


class FirstFault(RuntimeError):
    """Of the record."""


class SecondFault(RuntimeError):
    """Of the venue's stream, when everything is cancelled there."""


class Unwritable:
    """A record that cannot be written."""

    def turn(self, before: State, event: Event, after: State, decision: Decision) -> None:
        raise FirstFault

    def broken(self, event: Event) -> None:
        """Nothing."""


class Breaking:
    """A venue whose stream breaks as soon as it is asked to cancel everything."""

    name = VENUE
    capabilities = Capabilities(
        mass_cancel=True,
        dead_man_s=None,
        combos=False,
        reduce_only=True,
        post_only=True,
        order_rate=10.0,
        order_burst=20,
    )

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def stream(self) -> AsyncIterator[News]:
        await self.asked.wait()
        raise SecondFault
        yield  # what makes it a stream

    async def listings(self) -> Any:
        return ()

    async def cancel_all(self) -> None:
        self.asked.set()
        await asyncio.sleep(0.01)

    async def submit(self, order: Any) -> Any:
        raise AssertionError("nothing is sent")

    async def cancel(self, client_id: str) -> Any:
        raise AssertionError("nothing is open")

    order = cancel

    async def amend(self, client_id: str, price: Any, quantity: Any) -> Any:
        raise AssertionError("nothing is open")

    async def account(self, since_ns: int | None) -> Any:
        await asyncio.sleep(0)

    async def refresh(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""


def test_the_first_fault_is_the_one_that_is_told(tmp_path: Path) -> None:
    async def main() -> Any:
        parts = Parts(
            venues=(Breaking(),),
            state=Rig({}).state,
            settings=EngineSettings(desk(), TAG, free),
            record=Unwritable(),
            latch=MemoryLatch(),
            journal=tmp_path / "j",
            config=RunConfig(),
            log=Log(),
        )
        return await Service(parts).run()

    ending = asyncio.run(main())
    assert isinstance(ending.fault, FirstFault) and ending.why == "FirstFault"
