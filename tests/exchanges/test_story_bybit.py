"""Whole stories on a loopback Bybit; `python -m tests.exchanges.story --exchange bybit` tells many."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.exchanges.story.place_bybit import BYBIT
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import OF_LIVES, OF_THE_WIRE, draw, kinds_of


def test_the_record_is_what_the_exchange_says(tmp_path: Path) -> None:
    """Replies and executions are lost, doubled and late, and somebody takes the address of the venue."""
    story = asyncio.run(told(draw(2, BYBIT, OF_THE_WIRE), (BYBIT,), tmp_path))
    assert story.violations == ()
    assert story.orders > 0
    assert story.struck["act redirect"] > 0 and story.struck["act stranger met"] > 0


def test_it_is_so_after_crashes_a_kill_and_a_revoked_key(tmp_path: Path) -> None:
    """Others trade meanwhile, clocks are wrong, and a second engine and another build ask for things."""
    story = asyncio.run(told(draw(2, BYBIT, OF_LIVES), (BYBIT,), tmp_path))
    assert story.violations == ()
    assert story.starts > 1 and story.struck["F28"] > 0


def test_the_two_have_every_kind() -> None:
    assert {*OF_THE_WIRE, *OF_LIVES} >= set(kinds_of(BYBIT))
