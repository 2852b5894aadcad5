"""A whole story on a loopback Bybit; `python -m tests.exchanges.story --exchange bybit` tells many."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.exchanges.story.place_bybit import BYBIT
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import draw


def test_the_record_is_what_the_exchange_says(tmp_path: Path) -> None:
    """Orders and executions are lost on the way, and somebody takes the address of the venue."""
    story = asyncio.run(told(draw(2, BYBIT, ("F3", "F7", "F26")), (BYBIT,), tmp_path))
    assert story.violations == ()
    assert story.orders > 0
    assert story.struck["act redirect"] > 0 and story.struck["act stranger met"] > 0
