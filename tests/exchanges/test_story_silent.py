"""A whole story in which one public channel falls silent while its connection lives."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.exchanges.story.judge import MARK_SLACK_S, marked
from tests.exchanges.story.place_okx import OKX
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import MARK_AGE_S, draw, silent
from tests.exchanges.story.stage import Told


def test_no_order_rests_on_a_mark_that_has_stopped_coming(tmp_path: Path) -> None:
    """Books go on, and the market moves; when the channel is joined again and tells, all is as before."""
    story = asyncio.run(told(silent(3, OKX), (OKX,), tmp_path))
    assert story.violations == ()
    assert story.orders > 0 and story.struck["act drop"] > 0


@pytest.mark.parametrize(
    ("age_s", "found"),
    [(None, 0), (0.1, 0), (MARK_AGE_S, 0), (MARK_AGE_S + MARK_SLACK_S + 0.1, 1), (30.0, 1)],
)
def test_the_judge_sees_an_order_that_leaves_on_an_old_mark(age_s: float | None, found: int) -> None:
    wire: list[dict[str, Any]] = [
        {"what": "told", "client_id": "a"},
        {"what": "submit", "client_id": "a", "mark_age_s": age_s},
    ]
    assert len(list(marked(Told(silent(3, OKX)), wire))) == found
    assert not list(marked(Told(draw(3, OKX)), wire))  # its marks are known for as long as anybody's
