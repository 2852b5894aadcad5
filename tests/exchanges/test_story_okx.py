"""A whole story on a loopback OKX; `python -m tests.exchanges.story --exchange okx` tells many."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.exchanges.story.place_okx import OKX
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import draw


def test_the_record_is_what_the_exchange_says(tmp_path: Path) -> None:
    """Replies are lost, a frame breaks off and somebody takes the address of the venue."""
    story = asyncio.run(told(draw(2, OKX, ("F1", "F15", "F26")), (OKX,), tmp_path))
    assert story.violations == ()
    assert story.orders > 0
    assert story.struck["act redirect"] > 0 and story.struck["act stranger met"] > 0
