"""Whole stories of which the hedges are done on a loopback Binance (USD-M), for options held on Deribit."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.exchanges.story.places import CASTS
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import draw

CAST = CASTS["binanceusdm"]


def test_the_record_is_what_both_exchanges_say(tmp_path: Path) -> None:
    """Replies come late, others trade on the account, and somebody takes the address of the venue."""
    story = asyncio.run(told(draw(2, CAST[0], ("F2", "F12", "F26")), CAST, tmp_path))
    assert story.violations == ()
    assert story.orders > 0
    assert story.struck["act redirect"] > 0 and story.struck["act stranger met"] > 0
