"""What only the running engine knows of a venue: told while it runs, else null with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hedger.desk.venue_health import VenueReader
from hedger.desk.views import account_text, credits_text, switch_text
from hedger.engine.heartbeat import Heartbeat, VenueSign
from hedger.journal.entries import Configuration, Head, chained, configuration_entry, listings_entry
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND, iso
from tests.builders import NOW_NS
from tests.hedger.journal_words import NAME, PERP

SIGN = VenueSign(
    "deribit", 12.5, 20.0, 5.0, 5.0, (), timer=True, timer_s=45.0, armed=True,
    refreshed_ns=NOW_NS + 2 * NS_PER_SECOND, agreed_ns=NOW_NS + NS_PER_SECOND, reconciled="agrees",
)  # fmt: skip
BEAT = Heartbeat(42, 0, NOW_NS + 3 * NS_PER_SECOND, 12, "armed", venues=(SIGN,))


def venue(beat: Heartbeat | None, *, runs: bool = True, now_s: int = 12) -> Any:
    """As it is told so many seconds after the engine's start."""
    entries = [
        listings_entry(-1, NOW_NS, [PERP]),
        configuration_entry(-1, NOW_NS, Configuration("1", "0" * 64)),
    ]
    reader = VenueReader(Settings())
    for record in chained(entries, Head(0, NAME.genesis)):
        reader.take(record)
    (found,) = reader.document(NOW_NS + now_s * NS_PER_SECOND, beat, runs=runs)["venues"]
    return found


def test_seconds_left_count_down_where_they_are_read() -> None:
    first, later, over = (venue(BEAT, now_s=s)["dead_man"] for s in (12, 40, 60))
    assert (first["armed"], first["timer_s"], first["refreshed_s"], first["left_s"]) == (
        True,
        45.0,
        10.0,
        35.0,
    )
    assert (later["left_s"], over["left_s"]) == (7.0, 0.0)
    assert first["fires_at"] == iso(NOW_NS + 47 * NS_PER_SECOND) and first["unknown"] == ""
    assert switch_text(first) == "armed, 35 s left of 45 s, refreshed 10 s ago"


def test_credits_and_the_account_are_as_the_engine_counts_them() -> None:
    sign = replace(SIGN, paces=(("account questions", 38.0, 40.0),))
    found = venue(replace(BEAT, venues=(sign,)))
    assert found["credits"] == {
        "left": 12.5, "of": 20.0, "per_s": 5.0, "kept_for_cancels": 5.0,
        "paces": [{"kind": "account questions", "left": 38.0, "of": 40.0}], "unknown": "",
    }  # fmt: skip
    assert credits_text(found["credits"]) == (
        "12.5 of 20 messages, 5 more a second, the last 5 for cancels; account questions 38 of 40"
    )
    assert found["account"] == {"result": "agrees", "agreed_s": 11.0, "unknown": ""}
    assert account_text(found["account"]) == "agrees, agreed with the book 11 s ago"
    assert found["mmp"]["state"] is None and found["mmp"]["unknown"]


@pytest.mark.parametrize(
    ("changed", "armed", "why"),
    [
        ({"timer": False, "timer_s": None, "armed": False}, False, "the venue has no such timer"),
        ({"timer_s": None, "armed": False}, False, "none is set"),
        ({"armed": False}, False, "the venue has not said that it cancels"),
        ({"refreshed_ns": None}, True, "the venue has taken no refresh yet"),
    ],
)
def test_a_switch_of_which_nobody_can_say_when_it_fires_says_why(
    changed: dict[str, Any], armed: bool, why: str
) -> None:
    dead = venue(replace(BEAT, venues=(replace(SIGN, **changed),)))["dead_man"]
    assert (dead["armed"], dead["left_s"], dead["unknown"]) == (armed, None, why)
    word = "armed" if armed else "NOT ARMED" if dead["timer_s"] else "off"
    assert switch_text(dead).startswith(word) and switch_text(dead).endswith(f"({why})")


@pytest.mark.parametrize(
    ("beat", "runs"),
    [
        (None, True),
        (replace(BEAT, venues=()), True),  # of a build that does not tell of venues
        (replace(BEAT, now_ns=NOW_NS - 1), True),  # of the engine before this one
        (BEAT, False),
    ],
)
def test_what_is_not_known_is_null_with_a_reason_and_never_zero(beat: Heartbeat | None, runs: bool) -> None:
    found = venue(beat, runs=runs)
    assert found["credits"]["left"] is None and found["credits"]["unknown"]
    assert (found["dead_man"]["armed"], found["dead_man"]["left_s"]) == (None, None)
    assert switch_text(found["dead_man"]).startswith("-") and credits_text(found["credits"]).startswith("- (")


def test_an_engine_that_died_leaves_the_time_at_which_its_venues_cancel() -> None:
    dead = venue(BEAT, runs=False)["dead_man"]
    assert dead["fires_at"] == iso(NOW_NS + 47 * NS_PER_SECOND) and dead["left_s"] is None
