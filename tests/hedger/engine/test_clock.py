"""UTC over a clock that steps: it never falls, never stands, and comes back to the system's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hedger.engine.clock import SteadyUtc, WallClock

S = 10**9
HOUR = 3600 * S


def test_after_a_step_back_time_goes_on_and_meets_the_systems_again() -> None:
    utc = SteadyUtc()
    begun = 1000 * HOUR
    assert utc.at(begun, 0) == begun
    # set back by an hour: half the pace, until an hour of difference is used up in two
    assert utc.at(begun - HOUR + HOUR // 2, HOUR // 2) == begun + HOUR // 4
    assert utc.at(begun, HOUR) == begun + HOUR // 2
    assert utc.at(begun + HOUR, 2 * HOUR) == begun + HOUR
    assert utc.at(begun + 2 * HOUR, 3 * HOUR) == begun + 2 * HOUR


def test_a_step_forward_is_believed_at_once() -> None:
    utc = SteadyUtc()
    utc.at(5 * S, 0)
    assert utc.at(500 * S, S) == 500 * S


def test_nothing_is_before_what_a_journal_has() -> None:
    utc = SteadyUtc()
    utc.not_before(50 * HOUR, 7 * S)
    assert utc.at(49 * HOUR, 7 * S) == 50 * HOUR
    assert utc.at(49 * HOUR + 10 * S, 17 * S) == 50 * HOUR + 5 * S
    clock = WallClock()
    ahead = clock.now_ns() + HOUR
    clock.not_before(ahead)
    assert ahead <= clock.now_ns() < ahead + HOUR
    assert HOUR - 60 * S < clock.ahead_ns() <= HOUR and WallClock().ahead_ns() < 60 * S


@given(st.lists(st.tuples(st.integers(0, 10 * S), st.integers(-HOUR, HOUR)), max_size=50))
def test_it_never_falls_and_never_stands(steps: list[tuple[int, int]]) -> None:
    utc = SteadyUtc()
    wall, elapsed, last = 1000 * HOUR, 0, 0
    for passed, stepped in steps:
        wall, elapsed = wall + passed + stepped, elapsed + passed
        now = utc.at(wall, elapsed)
        assert now >= wall
        assert last == 0 or now - last >= passed // 2
        last = now
