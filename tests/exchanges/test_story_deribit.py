"""A fixed set of whole stories on a loopback Deribit; `python -m tests.exchanges.story` tells hundreds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.exchanges.story.judge import honest
from tests.exchanges.story.place_deribit import DERIBIT
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import draw, kinds_of

#: Lost replies with a crash; disconnects and disorder; a kill while others trade on the account. Between them
#: and F24 and F26, which have tests of their own, they have every kind.
STORIES = (
    ("F1", "F3", "F4", "F8", "F19", "F22"),
    ("F2", "F5", "F6", "F7", "F9", "F15", "F16", "F18", "F31"),
    ("F11", "F12", "F25", "F27", "F28"),
)


@pytest.mark.parametrize("kinds", STORIES, ids=" ".join)
def test_the_record_is_what_the_exchange_says(kinds: tuple[str, ...], tmp_path: Path) -> None:
    story = asyncio.run(told(draw(1, DERIBIT, kinds), (DERIBIT,), tmp_path))
    assert story.violations == ()
    assert story.orders > 0


def test_the_stories_have_every_kind() -> None:
    assert {kind for kinds in STORIES for kind in kinds} | {"F24", "F26"} == set(kinds_of(DERIBIT))


def test_nobody_but_the_exchange_is_told_anything(tmp_path: Path) -> None:
    """Its connections are sent elsewhere, and later somebody else is at its address."""
    story = asyncio.run(told(draw(1, DERIBIT, ("F26",)), (DERIBIT,), tmp_path))
    assert story.violations == ()
    assert story.orders > 0
    assert story.struck["act redirect"] > 0 and story.struck["act stranger met"] > 0


def test_the_judge_reads_the_exchanges_own_log(tmp_path: Path) -> None:
    """Executions under other names in the exchange's log: every one was never booked, and one was that never
    was."""
    strange = replace(DERIBIT, trade_id=lambda row, instrument: f"x{row['trade_id']}")
    story = asyncio.run(told(draw(1, DERIBIT, ("F11", "F12")), (strange,), tmp_path))
    assert story.fills > 0
    texts = [violation.text for violation in story.violations if violation.invariant == "I3"]
    assert any("never booked" in text for text in texts) and any("never was" in text for text in texts)


def test_an_adapter_that_tells_an_end_that_never_came_is_found() -> None:
    order = {"what": "accepted", "client_id": "a", "side": "buy", "quantity": "5", "left": "5"}
    half = {"what": "filled", "client_id": "a", "quantity": "2", "left": "3"}
    gone = {"what": "cancelled", "client_id": "a", "code": "user"}

    def found(*facts: dict[str, str], state: str, filled: str | None = None) -> int:
        line = {"what": "told", "venue": "v", "client_id": "a", "state": state, "filled": filled}
        return len(list(honest("v", list(facts), [line])))

    assert found(order, half, gone, state="cancelled", filled="2") == 0
    assert found(order, half, gone, state="cancelled", filled="1") == 1
    assert found(order, half, state="cancelled") == 1
    assert found(order, half, gone, state="filled") == 1
    assert found(order, state="rejected") == 1
    assert found(state="rejected") == 0 and found(state="filled") == 1
