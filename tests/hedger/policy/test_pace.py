"""Guards, memory, and the promise that hedges do not chase each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.moment import Attempt, Decision, Memory, Push, UnderlyingMoment
from hedger.policy.pace import advance, band_width, turnover_guard
from hedger.policy.policy import due
from hedger.sections.policy import PolicyConfig
from tests.hedger.moments import HOUR, MINUTE, NOW, Band, moment, policy, underlying

SECOND = 10**9
OUT = underlying({"delta:BTC": 11.0})


def ask(config: PolicyConfig, memory: Memory, u: UnderlyingMoment = OUT, now_ns: int = NOW) -> Decision:
    return due(moment(u, now_ns=now_ns), config, memory)


def config(**values: Any) -> PolicyConfig:
    return policy({"breach": {}}, **values)


def attempt(after: Mapping[str, float], turnover: float = 100.0, hedged: bool = True) -> Attempt:
    return Attempt(tuple(after), after, turnover, hedged)


# -------------------------------------------------------------------------------------------------- guards


def test_cooldown_holds_until_its_second() -> None:
    cooling = config(cooldown_s=40)
    for since, is_due in ((0, False), (39, False), (40, True), (41, True)):
        decision = ask(cooling, Memory(hedged_ns=NOW - since * SECOND))
        assert decision.due is is_due
        if not is_due:
            (guard,) = decision.guards
            assert guard.until_ns == NOW + (40 - since) * SECOND and guard.name == "cooldown"
            assert decision.called == frozenset() and "held: cooldown" in decision.reason
            assert ask(cooling, Memory(hedged_ns=NOW - since * SECOND), now_ns=guard.until_ns).due
    assert ask(cooling, Memory()).due
    assert not ask(cooling, Memory(hedged_ns=NOW + HOUR)).due, "a clock set back does not open it"


def test_without_a_cooldown_nothing_cools_down() -> None:
    """The last fill may well be later than the marks that are looked at."""
    assert ask(config(cooldown_s=0), Memory(hedged_ns=NOW + SECOND // 2)).due


def test_attempts_are_counted_per_row() -> None:
    two = config(attempts_max=2, attempts_window_s=60)
    u = underlying({"delta:BTC": 11.0, "gamma:BTC": 11.0})
    failed = Memory(attempts=(("delta:BTC", NOW - 50 * SECOND), ("delta:BTC", NOW - 10 * SECOND)))
    decision = ask(two, failed, u)
    assert decision.due and decision.called == {"gamma:BTC"}
    (guard,) = decision.guards
    assert guard.rows == ("delta:BTC",) and guard.until_ns == NOW + 10 * SECOND
    assert "held back" in decision.reason
    assert ask(two, failed, u, guard.until_ns).called == {"delta:BTC", "gamma:BTC"}
    assert ask(two, failed, u, guard.until_ns - 1).guards
    once = Memory(attempts=failed.attempts[:1])
    assert ask(two, once, u).called == {"delta:BTC", "gamma:BTC"}


def test_the_turnover_of_an_hour() -> None:
    budget = config(turnover_usd_per_h=1000)
    used = Memory(turnover=((NOW - HOUR, 900.0), (NOW - HOUR + 1, 400.0), (NOW - MINUTE, 600.0)))
    decision = ask(budget, used)
    assert not decision.due, "the trade of an hour ago no longer counts: 400 + 600 are used"
    (guard,) = decision.guards
    assert guard.until_ns == NOW + 1
    assert ask(budget, used, now_ns=NOW + 1).due
    assert ask(budget, Memory(turnover=((NOW - MINUTE, 999.0),))).due
    assert ask(config(), used).due, "without a budget there is none"


def test_the_turnover_of_the_plan_itself() -> None:
    budget = config(turnover_usd_per_h=1000)
    used = Memory(turnover=((NOW - 50 * MINUTE, 300.0), (NOW - 20 * MINUTE, 300.0)))
    rows = ("delta:BTC",)
    assert turnover_guard(NOW, rows, budget, used, 400.0) is None
    over = turnover_guard(NOW, rows, budget, used, 401.0)
    assert over is not None and over.until_ns == NOW + 10 * MINUTE
    both = turnover_guard(NOW, rows, budget, used, 800.0)
    assert both is not None and both.until_ns == NOW + 40 * MINUTE
    never = turnover_guard(NOW, rows, budget, used, 1001.0)
    assert never is not None and never.until_ns is None and "at any time" in never.text


@pytest.mark.parametrize(("value", "way", "after", "is_due"), [
    (7.0, 1, 5.5, False),   # up to 5.5, now to be pushed down: 1.5 of the 20 wide band is less than 0.1
    (7.4, 1, 5.5, False),
    (7.5, 1, 5.5, True),
    (7.0, -1, 5.5, True),   # pushed down before: the same way again
    (7.0, 1, 5.0, True),
    (-7.0, -1, -5.5, False),
    (-7.5, -1, -5.5, True),
])  # fmt: skip
def test_a_row_is_not_pushed_back_before_it_moved_on(
    value: float, way: int, after: float, is_due: bool
) -> None:
    every = policy({"calendar": {"every_min": 20}}, hysteresis=0.1)
    memory = Memory(pushes=(Push("delta:BTC", way, after),))
    decision = ask(every, memory, underlying({"delta:BTC": value}))
    assert decision.due is is_due
    if not is_due:
        assert decision.guards[0].name == "hysteresis"
        assert f"{after + way * 2.0:g}" in decision.guards[0].text, "the value at which it opens"
    assert ask(
        policy({"calendar": {"every_min": 20}}, hysteresis=0.0), memory, underlying({"delta:BTC": value})
    ).due


def test_the_width_of_a_band_with_an_open_side() -> None:
    def width(band: Band) -> float:
        return band_width(underlying({"delta:BTC": 0.0}, {"delta:BTC": band}), 0)

    assert width((-10.0, 30.0, -5.0, 5.0)) == 40.0
    assert width((-math.inf, 30.0, -math.inf, 5.0)) == 60.0
    assert width((-10.0, math.inf, -5.0, math.inf)) == 20.0


# -------------------------------------------------------------------------------------------------- memory


def test_what_is_remembered_of_a_hedge() -> None:
    started = Memory(
        started_ns=NOW - HOUR, attempts=(("delta:BTC", NOW - SECOND), ("gamma:BTC", NOW - SECOND))
    )
    decision = ask(config(attempt_pause_s=0.0), started)
    after = advance(started, moment(OUT), config(), decision, attempt({"delta:BTC": 5.0}, 250.0))
    assert after.hedged_ns == after.checked_ns == NOW
    assert after.turnover == ((NOW, 250.0),)
    assert after.pushes == (Push("delta:BTC", -1, 5.0),)
    assert after.attempts == (("gamma:BTC", NOW - SECOND),), "a row that came in starts anew"
    assert after.latched == frozenset()


def test_what_is_remembered_of_an_attempt_that_failed() -> None:
    decision = ask(config(), Memory())
    nothing = advance(Memory(), moment(OUT), config(), decision, attempt({"delta:BTC": 11.0}, 0.0, False))
    assert nothing.attempts == (("delta:BTC", NOW),)
    assert nothing.hedged_ns is None and nothing.turnover == () and nothing.pushes == ()
    assert nothing.latched == {"delta:BTC"}
    part = advance(Memory(), moment(OUT), config(), decision, attempt({"delta:BTC": 8.0}, 30.0, False))
    assert part.hedged_ns == NOW and part.pushes == (Push("delta:BTC", -1, 8.0),)
    unknown = Attempt(("delta:BTC",), {}, 30.0, False)
    assert advance(Memory(), moment(OUT), config(), decision, unknown).pushes == ()


def test_attempts_that_never_succeed_end() -> None:
    """A venue that rejects everything is asked five times in a quarter of an hour, not every second."""
    memory, sent = Memory(started_ns=NOW), 0
    for second in range(900):
        now = NOW + second * SECOND
        at = moment(OUT, now_ns=now)
        decision = due(at, config(), memory)
        sent += decision.due
        tried = attempt({"delta:BTC": 11.0}, 0.0, False) if decision.due else None
        memory = advance(memory, at, config(), decision, tried)
    assert sent == 5
    assert due(moment(OUT, now_ns=NOW + 900 * SECOND), config(), memory).due


def test_a_guard_does_not_swallow_a_time_of_the_calendar() -> None:
    hourly = policy({"calendar": {"at": "0 * *"}}, cooldown_s=600)
    u = underlying({"delta:BTC": 7.0})
    hour = NOW + 20 * MINUTE
    memory = Memory(started_ns=NOW, checked_ns=hour - 1, hedged_ns=hour - 300 * SECOND)
    held = due(moment(u, now_ns=hour), hourly, memory)
    assert not held.due
    memory = advance(memory, moment(u, now_ns=hour), hourly, held)
    assert memory.checked_ns == hour - 1
    opens = hour + 300 * SECOND
    served = due(moment(u, now_ns=opens), hourly, memory)
    assert served.due
    memory = advance(memory, moment(u, now_ns=opens), hourly, served)
    assert not due(moment(u, now_ns=opens + SECOND), hourly, memory).due


def test_old_turnover_and_attempts_are_forgotten() -> None:
    memory = Memory(
        attempts=(("delta:BTC", NOW - 901 * SECOND), ("delta:BTC", NOW - 899 * SECOND)),
        turnover=((NOW - HOUR, 1.0), (NOW - HOUR + 1, 2.0)),
    )
    kept = advance(memory, moment(OUT), config(), ask(config(), memory))
    assert kept.attempts == (("delta:BTC", NOW - 899 * SECOND),)
    assert kept.turnover == ((NOW - HOUR + 1, 2.0),)


def test_a_row_is_latched_from_trigger_to_landing() -> None:
    memory = Memory()
    latched = []
    for value in (9.0, 11.0, 9.0, 5.0, 9.0, -11.0, -6.0, 0.0):
        at = moment(underlying({"delta:BTC": value}))
        memory = advance(memory, at, config(), due(at, config(), memory))
        latched.append("delta:BTC" in memory.latched)
    assert latched == [False, True, True, False, False, True, True, False]


# ----------------------------------------------------------------------------------------------- ping-pong

WHENS: list[Any] = [
    {"breach": {}},
    {"breach": {"until_landing": True}},
    {"calendar": {"every_min": 1}},
    {"any": [{"projected_breach": {"sigmas": 3, "horizon_h": 24}}, {"calendar": {"every_min": 5}}]},
]


@settings(deadline=None, max_examples=120)
@given(
    st.sampled_from(WHENS),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.05, 0.1, 0.5, 1.0]),
    st.sampled_from([0.0, 0.01, 2.5, 9.9]),
    st.sampled_from(["edge", "anywhere", "centre"]),
)
def test_hedges_do_not_chase_each_other(
    when: Any, seed: int, hysteresis: float, landing: float, lands: str
) -> None:
    """A random walk of the exposure at a fixed market, hedged as the policy says: two hedges of a row in
    opposite directions are always apart by the hysteresis, wherever inside its landing a plan leaves the row.
    """
    rng = np.random.default_rng(seed)
    chosen = policy(when, hysteresis=hysteresis)
    band = {"delta:BTC": (-10.0, 10.0, -landing, landing)}
    memory, value = Memory(started_ns=NOW), 0.0
    last: Push | None = None
    for step in range(1, 150):
        value += float(rng.normal(0.0, 3.0))
        at = moment(underlying({"delta:BTC": value}, band, slope=1.0), now_ns=NOW + step * MINUTE)
        decision = due(at, chosen, memory)
        tried = None
        if decision.called:
            edge = math.copysign(landing, value)
            end = {"edge": edge, "anywhere": float(rng.uniform(-landing, landing)), "centre": 0.0}[lands]
            way = 1 if end > value else -1
            if last is not None and way != last.way:
                assert (value - last.after) * last.way >= hysteresis * 20.0 - 1e-9
            last, value = Push("delta:BTC", way, end), end
            tried = attempt({"delta:BTC": end})
        memory = advance(memory, at, chosen, decision, tried)


@pytest.mark.parametrize("way", [1, -1])
def test_what_the_market_did_while_a_row_was_pushed_holds_no_hedge(way: int) -> None:
    """A short-gamma book: delta is sold from 12 to where it should be and is 41 at the end, since the market
    fell on. That is no push up from which it would have to move on before it may be sold again."""
    memory = Memory(pushes=(Push("delta:BTC", way, way * 41.0),))
    wide = config(hysteresis=0.1)  # of 20, from the trigger's edge at 10
    for value in (34.0, 12.0):
        assert ask(wide, memory, underlying({"delta:BTC": way * value})).due, value
    held = ask(wide, memory, underlying({"delta:BTC": way * 11.9}))
    assert not held.due and held.guards[0].name == "hysteresis"
    assert f"{way * 12.0:g}" in held.guards[0].text


def test_without_hysteresis_they_would() -> None:
    """The test above can fail: centred at every step, a walk is pushed to and fro."""
    chosen = policy({"calendar": {"every_min": 1}}, hysteresis=0.0)
    memory = Memory(started_ns=NOW, pushes=(Push("delta:BTC", 1, 0.0),))
    at = moment(underlying({"delta:BTC": 0.5}, {"delta:BTC": (-10.0, 10.0, 0.0, 0.0)}), now_ns=NOW + MINUTE)
    assert due(at, chosen, memory).called == {"delta:BTC"}


@given(st.floats(-1e3, 1e3), st.integers(0, 10**6), st.floats(0, 600), st.integers(1, 5))
def test_the_same_moment_and_memory_give_the_same_answer(
    value: float, ago: int, cooldown: float, attempts: int
) -> None:
    chosen = config(cooldown_s=cooldown, attempts_max=attempts)
    memory = Memory(hedged_ns=NOW - ago * SECOND, attempts=(("delta:BTC", NOW - SECOND),) * 3)
    at = moment(underlying({"delta:BTC": value}))
    first, second = due(at, chosen, memory), due(at, chosen, memory)
    assert first == second
    assert advance(memory, at, chosen, first) == advance(memory, at, chosen, second)


# --------------------------------------------------------------------------------- attempts without a trade


def test_attempts_that_came_to_no_trade_wait_twice_as_long_each_time() -> None:
    def until(*seconds_ago: float, hedged_s_ago: float | None = None) -> list[int | None]:
        attempts = tuple(("delta:BTC", NOW - round(s * SECOND)) for s in seconds_ago)
        hedged = None if hedged_s_ago is None else NOW - round(hedged_s_ago * SECOND)
        decision = ask(config(attempt_pause_s=5.0), Memory(attempts=attempts, hedged_ns=hedged))
        return [guard.until_ns for guard in decision.guards]

    assert until(0.0) == [NOW + 5 * SECOND]
    assert until(5.0) == []
    assert until(8.0, 1.0) == [NOW + 9 * SECOND]
    assert until(8.0, 1.0, hedged_s_ago=1.0) == [], "that which traded needs no pause"
    assert until(8.0, 1.0, hedged_s_ago=4.0) == [NOW + 4 * SECOND], "those before the trade do not count"
