"""How a service ends while a venue is slow: questions are broken off, requests waited for, the loop lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from hedger.core.gate import EngineSettings
from hedger.engine.engine import NoRecord
from hedger.engine.heartbeat import last_beat
from hedger.engine.logs import Log
from hedger.engine.service import Ending, Parts, Service
from hedger.journal.kill_latch import MemoryLatch
from hedger.sections.paper import RunConfig
from tests.hedger.rig import TAG, VENUE, Rig, desk, free
from venues.base import Capabilities, News

#: Longer than the watchdog bears a loop that stands still (`run.watchdog.stall_s_max`).
HANGS_S = 8.0


class Slow:
    """A venue whose account hangs; and its dead man's switch, as long as `refreshing_s`. beats: our signs of
    life as they stood while the latter hung."""

    name = VENUE

    def __init__(self, journal: Path, refreshing_s: float) -> None:
        self.journal, self.refreshing_s = journal, refreshing_s
        self.asked = asyncio.Event()
        self.broken_off = 0
        self.refreshed = 0
        self.beats: list[int] = []
        self.capabilities = Capabilities(
            mass_cancel=True,
            dead_man_s=45.0,
            timer_s=45.0 if refreshing_s else None,
            combos=False,
            reduce_only=True,
            post_only=True,
            order_rate=10.0,
            order_burst=20,
        )

    async def stream(self) -> AsyncIterator[News]:
        await asyncio.Event().wait()
        raise AssertionError("never")
        yield  # what makes it a stream

    async def listings(self) -> Any:
        return ()

    async def account(self, since_ns: int | None) -> Any:
        self.asked.set()
        try:
            await asyncio.sleep(HANGS_S)
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        raise AssertionError("nobody broke it off")

    async def refresh(self) -> None:
        end_s = asyncio.get_running_loop().time() + self.refreshing_s
        while asyncio.get_running_loop().time() < end_s:
            await asyncio.sleep(0.02)
            sign = last_beat(self.journal)
            if sign is not None:
                self.beats.append(sign.monotonic_ns)
        self.refreshed += 1

    async def cancel_all(self) -> None:
        """Nothing rests."""

    async def submit(self, order: Any) -> Any:
        raise AssertionError("nothing is sent")

    async def cancel(self, client_id: str) -> Any:
        raise AssertionError("nothing is open")

    order = cancel

    async def amend(self, client_id: str, price: Any, quantity: Any) -> Any:
        raise AssertionError("nothing is open")

    async def close(self) -> None:
        """Nothing."""


def ended(journal: Path, refreshing_s: float = 0.0, **run: Any) -> tuple[Ending, Slow, MemoryLatch]:
    """A service that is stopped as soon as it has asked for the account."""

    async def main() -> tuple[Ending, Slow, MemoryLatch]:
        venue, latch = Slow(journal, refreshing_s), MemoryLatch()
        parts = Parts(
            venues=(venue,),
            state=Rig({}).state,
            settings=EngineSettings(desk(), TAG, free),
            record=NoRecord(),
            latch=latch,
            journal=journal,
            config=RunConfig(**run),
            log=Log(),
        )
        service = Service(parts)
        running = asyncio.create_task(service.run())
        await venue.asked.wait()
        service.stop("enough")
        return await running, venue, latch

    return asyncio.run(main())


def test_a_question_that_hangs_is_broken_off_at_the_end(tmp_path: Path) -> None:
    ending, venue, latch = ended(tmp_path / "j")
    assert (ending.why, ending.fault) == ("enough", None)
    assert venue.broken_off == 1 and latch.found() is None
    sign = last_beat(tmp_path / "j")
    assert sign is not None and sign.closed


def test_the_loop_shows_that_it_lives_while_it_waits_for_a_request(tmp_path: Path) -> None:
    ending, venue, _ = ended(tmp_path / "j", refreshing_s=0.6, heartbeat_s=0.05, tick_ms=20.0)
    assert (ending.fault, venue.refreshed) == (None, 1)
    assert len(set(venue.beats)) >= 4  # it hung for twelve of them


def test_a_request_that_never_ends_is_left_when_the_time_is_over(tmp_path: Path) -> None:
    ending, venue, _ = ended(tmp_path / "j", refreshing_s=60.0, close_s_max=0.2)
    assert (ending.why, ending.fault, venue.refreshed) == ("enough", None, 0)
