"""What comes next, as text for people."""

from __future__ import annotations

from typing import Any

import pytest

from hedger.desk.hedging_text import hedging_text
from hedger.figures import interval


@pytest.mark.parametrize(
    ("trigger", "landing", "words"),
    [
        ([-1.5, 2.0], [-0.25, 1.0], "trigger -1.5 .. 2, landing -0.25 .. 1, inside"),
        ([None, 1.5], [None, 1.0], "trigger .. 1.5, landing .. 1, inside"),
        ([-1.5, None], [-1.0, None], "trigger -1.5 .., landing -1 .., inside"),
    ],
)
def test_an_open_side_of_a_band_is_left_out_as_on_the_screen(
    trigger: list[float | None], landing: list[float | None], words: str
) -> None:
    row = {"row": "delta:BTC", "value": 0.5, "unit": "coin", "target": 0.0, "breached": False, "by_hand": ""}
    document: dict[str, Any] = {
        "next": None, "rows": [row | {"trigger": trigger, "landing": landing}], "missing": [],
        "bad_indexes": [], "working": [], "ticket": None, "decisions": [],
    }  # fmt: skip
    assert hedging_text(document).splitlines()[1] == f"delta:BTC: 0.5 coin, target 0, {words}"
    for side in (trigger, landing):  # on the screen to its own digits
        assert [x is None for x in side] == [x == "" for x in interval(side).replace(" ", "").split("..")]
