"""Whoever keeps the engine in a story: what is no fault of an engine's, and what he does not wait for."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.exchanges.story.keeper import HELD_UP_S, START_S_MAX, Keeper, until
from tests.exchanges.story.schedule import Schedule
from tests.exchanges.story.stage import Told

_SPAWNED = get_context("spawn")


def keeper(folder: Path) -> Keeper:
    return Keeper(Told(Schedule(1, (), (), 1.0)), (), folder, None)


def test_nobody_waits_for_the_answer_of_a_process_that_has_gone(tmp_path: Path) -> None:
    async def play() -> None:
        one = keeper(tmp_path)
        one._pipe, _theirs = _SPAWNED.Pipe()
        asked = asyncio.create_task(one.ask("steady", {}))
        await asyncio.sleep(0.05)
        one._pipe = None
        assert await asyncio.wait_for(asked, 5.0) is None

    asyncio.run(play())


@pytest.mark.parametrize(("told", "found"), [(True, 0), (False, 1)])
def test_an_end_before_the_process_listens_is_its_own_only_where_nobody_asked_for_it(
    told: bool, found: int, tmp_path: Path
) -> None:
    async def play() -> None:
        one = keeper(tmp_path)
        process = one._process = _SPAWNED.Process(target=time.sleep, args=(60,), daemon=True)
        process.start()
        if told:
            one.end_process()
        else:
            os.kill(process.pid or 0, signal.SIGTERM)
        assert await until(lambda: not process.is_alive(), 10.0)
        one._gone(process)
        assert len(one.own) == found

    asyncio.run(play())


@pytest.mark.parametrize(
    ("begun_s", "mended_s", "held_up_s", "excused"),
    [
        (-1.0, None, 0.0, True),  # the faults go on
        (
            -START_S_MAX + 2.0,
            -START_S_MAX + 3.0,
            0.0,
            True,
        ),  # it met one, and its start came to nothing only now
        (-START_S_MAX - 9.0, -START_S_MAX - 1.0, 0.0, False),  # no start takes that long
        (-1.0, -2.0, 0.0, False),  # it has met none
        (-1.0, -2.0, HELD_UP_S + 0.1, True),  # its exchange stood still
    ],
)
def test_a_start_is_excused_by_the_faults_it_has_met(
    begun_s: float, mended_s: float | None, held_up_s: float, excused: bool, tmp_path: Path
) -> None:
    one, now_s = keeper(tmp_path), time.monotonic()
    one._begun_s, one._held_up_s = now_s + begun_s, held_up_s
    if mended_s is not None:
        one._mended_s = now_s + mended_s
    assert one._met_a_fault() is excused
