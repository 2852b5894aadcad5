"""Triggers at their edges, and joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hedger.moment import Answer, Decision, InPlay, Memory, Sticky, UnderlyingMoment, Verdict
from hedger.policy.policy import due
from hedger.sections.policy import CONDITIONS_MAX, DEPTH_MAX, PolicyConfig
from tests.hedger.moments import HOUR, MINUTE, NOW, moment, policy, underlying

NOTHING = Memory()


def ask(when: Any, u: UnderlyingMoment, memory: Memory = NOTHING, now_ns: int = NOW) -> Decision:
    return due(moment(u, now_ns=now_ns), policy(when), memory)


def leaf(when: Any, u: UnderlyingMoment, memory: Memory = NOTHING, now_ns: int = NOW) -> Answer:
    (answer,) = ask(when, u, memory, now_ns).answers
    return answer


# -------------------------------------------------------------------------------------------------- breach


@pytest.mark.parametrize(
    ("value", "side", "beyond", "out"),
    [
        (10.0, "both", 0.0, False),  # on the edge is inside
        (math.nextafter(10.0, 11.0), "both", 0.0, True),
        (-10.0, "both", 0.0, False),
        (math.nextafter(-10.0, -11.0), "both", 0.0, True),
        (11.0, "above", 0.0, True),
        (11.0, "below", 0.0, False),
        (-11.0, "above", 0.0, False),
        (-11.0, "below", 0.0, True),
        (14.9, "both", 0.5, False),
        (15.1, "both", 0.5, True),
        (-15.1, "above", 0.5, False),
    ],
)
def test_breach_at_its_edges(value: float, side: str, beyond: float, out: bool) -> None:
    when = {"breach": {"side": side, "beyond": beyond}}
    decision = ask(when, underlying({"delta:BTC": value}))
    assert decision.due is out
    assert decision.called == (frozenset({"delta:BTC"}) if out else frozenset())


def test_a_band_of_unequal_sides_and_a_target() -> None:
    """Trigger -2 to 30 about 5: a quarter beyond is a quarter of 7 below and of 25 above."""
    u = underlying({"delta:BTC": 0.0}, {"delta:BTC": (-2.0, 30.0, 4.0, 6.0)})
    for value, out in ((-3.7, False), (-3.8, True), (36.2, False), (36.3, True)):
        moved = underlying({"delta:BTC": value}, {"delta:BTC": (-2.0, 30.0, 4.0, 6.0)})
        object.__setattr__(moved, "target", u.target + 5.0)
        assert ask({"breach": {"beyond": 0.25}}, moved).due is out


@pytest.mark.parametrize("beyond", [0.0, 0.5])
def test_an_open_side_is_never_breached(beyond: float) -> None:
    band = {"delta:BTC": (-math.inf, 10.0, -math.inf, 5.0)}
    assert not ask({"breach": {"beyond": beyond}}, underlying({"delta:BTC": -1e12}, band)).due
    assert ask({"breach": {"beyond": beyond}}, underlying({"delta:BTC": 16.0}, band)).due


def test_only_the_named_rows_count() -> None:
    u = underlying({"delta:BTC": 0.0, "gamma:BTC": 11.0, "vega:BTC:0-7d": -12.0})
    assert ask({"breach": {}}, u).called == {"gamma:BTC", "vega:BTC:0-7d"}
    assert ask({"breach": {"rows": ["vega:BTC:*"]}}, u).called == {"vega:BTC:0-7d"}
    quiet = ask({"breach": {"rows": ["delta:*"]}}, u)
    assert not quiet.due and quiet.reason == "delta:BTC not outside trigger"
    assert ask({"breach": {"rows": ["theta:*"]}}, u).reason == "no row with a band matches theta:*"


def test_a_value_that_is_not_known_is_neither_inside_nor_outside() -> None:
    answer = leaf({"breach": {}}, underlying({"delta:BTC": math.nan}))
    assert answer.yes is None and answer.sentence == "delta:BTC not known"
    assert leaf({"breach": {}}, underlying({"delta:BTC": math.nan, "gamma:BTC": 11.0})).yes is True
    assert leaf({"not": {"breach": {}}}, underlying({"delta:BTC": math.nan})).yes is None


def test_a_latched_row_counts_until_it_is_inside_its_landing() -> None:
    when = {"breach": {"until_landing": True}}
    memory = Memory(latched=frozenset({"delta:BTC"}))
    assert ask(when, underlying({"delta:BTC": 7.0}), memory).due
    assert leaf(when, underlying({"delta:BTC": 7.0}), memory).sentence == (
        "delta:BTC not yet back inside landing"
    )
    assert leaf(when, underlying({"delta:BTC": 11.0}), memory).sentence == "delta:BTC outside trigger"
    mixed = underlying({"delta:BTC": 7.0, "gamma:BTC": 11.0})
    assert leaf(when, mixed, memory).sentence == (
        "delta:BTC, gamma:BTC outside trigger or not yet back inside landing"
    )
    assert not ask(when, underlying({"delta:BTC": 5.0}), memory).due
    assert not ask(when, underlying({"delta:BTC": 7.0})).due
    assert not ask({"breach": {}}, underlying({"delta:BTC": 7.0}), memory).due
    below = {"breach": {"until_landing": True, "side": "below"}}
    assert not ask(below, underlying({"delta:BTC": 7.0}), memory).due


def test_what_several_underlyings_say_alike_is_said_once() -> None:
    both = moment(underlying({"delta:BTC": 11.0}), underlying({"delta:ETH": -11.0}, name="ETH"))
    assert due(both, PolicyConfig(), NOTHING).reason == "delta:BTC, delta:ETH outside trigger"
    calm = moment(underlying({"delta:BTC": 1.0}), underlying({"delta:ETH": 1.0}, name="ETH"))
    assert due(calm, PolicyConfig(), NOTHING).reason == "every row is inside its trigger interval"
    assert due(moment(), PolicyConfig(), NOTHING).reason == "the book has no rows"


# ------------------------------------------------------------------------------------------------ calendar


def test_every_so_many_minutes() -> None:
    """02:40 is a multiple of 20 minutes, not of 30."""
    u = underlying({"delta:BTC": 7.0, "gamma:BTC": 1.0})
    here = ask({"calendar": {"every_min": 20}}, u)
    assert here.due and here.called == {"delta:BTC"}, "gamma is inside its landing: left where it is"
    assert ask({"calendar": {"every_min": 20}}, u, now_ns=NOW + MINUTE).due
    late = leaf({"calendar": {"every_min": 20}}, u, now_ns=NOW + MINUTE + 1)
    assert late.yes is False and late.until_ns == NOW + 20 * MINUTE
    assert "2026-02-02T03:00:00Z" in late.sentence
    assert ask({"calendar": {"every_min": 20, "grace_s": 300}}, u, now_ns=NOW + 5 * MINUTE).due
    assert not ask({"calendar": {"every_min": 30}}, u).due


def test_a_time_is_due_once_whenever_the_policy_is_asked() -> None:
    u = underlying({"delta:BTC": 7.0})
    when = {"calendar": {"at": "0 * *"}}
    hour = NOW + 20 * MINUTE  # 03:00
    asked = Memory(started_ns=NOW - HOUR, checked_ns=NOW)
    assert not ask(when, u, asked, hour - 1).due
    assert ask(when, u, asked, hour).due
    assert ask(when, u, asked, hour + 59 * MINUTE).due, "asked late, but for the first time"
    assert not ask(when, u, Memory(checked_ns=hour), hour + 59 * MINUTE).due
    assert not ask(when, u, Memory(started_ns=hour + 1), hour + MINUTE).due, "before the start"


def test_a_schedule_of_weekdays() -> None:
    """02:40 on Monday, 2 February 2026."""
    u = underlying({"delta:BTC": 7.0})
    assert ask({"calendar": {"at": "40 2 mon"}}, u).due
    assert not ask({"calendar": {"at": "40 2 tue-sun"}}, u).due
    assert leaf({"calendar": {"at": "40 2 tue"}}, u).until_ns == NOW + 24 * HOUR


# -------------------------------------------------------------------------------------- moves of the market


@pytest.mark.parametrize(
    ("value", "slope", "out"),
    [
        (8.0, 1.0, True),
        (8.0, -1.0, True),
        (6.9, 1.0, False),
        (-8.0, 1.0, True),
        (7.1, 1.0, True),
        (9.9, 0.0, False),
    ],
)
def test_a_projected_breach_on_either_side(value: float, slope: float, out: bool) -> None:
    """vol 87.6 % and spot 100: a sigma of an hour is 87.6 / sqrt(8760) = 0.93596, of ten 2.95977."""
    u = underlying({"delta:BTC": value}, spot=100.0, vol=0.876, slope=slope)
    decision = ask({"projected_breach": {"sigmas": 1.0, "horizon_h": 10.0}}, u)
    assert decision.due is out
    assert decision.called == (frozenset({"delta:BTC"}) if out else frozenset())


def test_more_sigmas_reach_further() -> None:
    u = underlying({"delta:BTC": 8.0}, spot=100.0, vol=0.876, slope=1.0)
    assert not ask({"projected_breach": {"sigmas": 2.1}}, u).due  # 2 / 0.93596 = 2.1369
    assert ask({"projected_breach": {"sigmas": 2.2}}, u).due


def test_a_projection_without_a_vol_is_not_known_unless_the_row_is_out_already() -> None:
    when: dict[str, Any] = {"projected_breach": {}}
    assert leaf(when, underlying({"delta:BTC": 8.0}, vol=math.nan, slope=1.0)).yes is None
    out = leaf(when, underlying({"delta:BTC": 10.5}, vol=math.nan, slope=1.0))
    assert out.yes is True and out.sentence == "delta:BTC outside trigger"
    other = leaf(when, underlying({"gamma:BTC": 99.0}))
    assert other.yes is False and "no delta row" in other.sentence


def test_a_realised_move_acts_or_holds() -> None:
    u = underlying(
        {"delta:BTC": 7.0}, spot=102.0, prices=[(NOW - 2 * HOUR, 90.0), (NOW - 30 * MINUTE, 100.0)]
    )
    far = {"window_min": 20, "move": 0.0199}  # 100 was in force when the window began
    assert ask({"realised_move": far}, u).due
    assert not ask({"realised_move": far | {"move": 0.0201}}, u).due
    assert not ask({"realised_move": far | {"then": "hold"}}, u).due
    assert ask({"realised_move": far | {"move": 0.0201, "then": "hold"}}, u).due
    assert ask({"realised_move": {"window_min": 90, "move": 0.13}}, u).due, "102 / 90 - 1 = 13.3 %"
    assert not ask({"realised_move": {"window_min": 29, "move": 0.13}}, u).due


def test_a_realised_move_in_sigmas() -> None:
    """vol 87.6 %: a sigma of an hour is 0.93596 %; 2 % are 2.1369 of them."""
    u = underlying({"delta:BTC": 7.0}, spot=102.0, vol=0.876, prices=[(NOW - HOUR, 100.0)])
    assert ask({"realised_move": {"window_min": 60, "sigmas": 2.1}}, u).due
    assert not ask({"realised_move": {"window_min": 60, "sigmas": 2.2}}, u).due


def test_a_move_that_is_not_known_neither_acts_nor_holds() -> None:
    short = underlying({"delta:BTC": 7.0}, spot=102.0, prices=[(NOW - 30 * MINUTE, 100.0)])
    none = underlying({"delta:BTC": 7.0})
    empty = underlying({"delta:BTC": 7.0}, prices=[(NOW - 2 * HOUR, math.nan)])
    for u in (short, none, empty):
        for then in ("act", "hold"):
            assert leaf({"realised_move": {"window_min": 60, "move": 0.05, "then": then}}, u).yes is None
            assert not ask({"not": {"realised_move": {"window_min": 60, "move": 0.05, "then": then}}}, u).due
    assert leaf({"realised_move": {"window_min": 60, "move": 0.01}}, short).yes is True, "far enough already"
    later = underlying({"delta:BTC": 7.0}, spot=100.0, prices=[(NOW - HOUR, 100.0), (NOW + 1, 500.0)])
    assert leaf({"realised_move": {"window_min": 60, "move": 0.01}}, later).yes is False, (
        "the future is not seen"
    )


# ------------------------------------------------------------------------------------------- age and expiry


def test_the_age_of_marks_and_of_the_last_hedge() -> None:
    old = underlying({"delta:BTC": 7.0}, mark_age_s=300.0)
    assert not ask({"age": {"mark_s": 300}}, old).due
    assert ask({"age": {"mark_s": 299.9}}, old).due
    assert leaf({"age": {"mark_s": 300}}, underlying({"delta:BTC": 7.0})).yes is None
    u = underlying({"delta:BTC": 7.0})
    hedged = Memory(started_ns=NOW - 9 * HOUR, hedged_ns=NOW - 4 * HOUR)
    on_time = leaf({"age": {"hedge_h": 4}}, u, hedged)
    assert on_time.yes is False and on_time.until_ns == NOW
    assert ask({"age": {"hedge_h": 3.99}}, u, hedged).due
    assert ask({"age": {"hedge_h": 8}}, u, Memory(started_ns=NOW - 9 * HOUR)).due, "none since the start"
    assert leaf({"age": {"hedge_h": 8}}, u).yes is None


def test_expiry_near_a_strike_and_in_the_settlement_window() -> None:
    def holds(*positions: InPlay) -> UnderlyingMoment:
        return underlying({"delta:BTC": 7.0}, in_play=positions)

    near = InPlay("C100", 3.0, 100.0, 101.9, False)
    when = {"expiry": {"within_h": 3, "pin": 0.02}}
    assert ask(when, holds(near)).due and "C100" in ask(when, holds(near)).reason
    assert not ask({"expiry": {"within_h": 2.9}}, holds(near)).due
    assert not ask(when, holds(InPlay("C100", 3.0, 100.0, 102.1, False))).due
    settling = InPlay("C50", 0.4, 50.0, 101.0, True)
    assert ask(when, holds(settling)).due
    assert not ask({"expiry": {"settlement": False}}, holds(settling)).due
    assert not ask(when, holds(InPlay("F", 1.0, math.nan, 101.0, False))).due, "a future has no strike"
    assert leaf(when, holds(InPlay("C100", 1.0, 100.0, math.nan, False))).yes is None
    assert not ask(when, holds()).due


# ------------------------------------------------------------------------------------------------ composing

#: A condition whose truth is known by its letter: breaches of rows in and out, and a move nobody has seen.
LEAVES: dict[str, tuple[dict[str, Any], bool | None]] = {
    "yes": ({"breach": {"rows": ["gamma:*"]}}, True),
    "no": ({"breach": {"rows": ["delta:*"]}}, False),
    "unknown": ({"realised_move": {"window_min": 60, "move": 0.01}}, None),
}
Tree = Any


def trees(names: Sequence[str]) -> st.SearchStrategy[Tree]:
    """Nested lists: a leaf's name, ("not", tree), ("any" or "all", trees)."""
    return st.recursive(
        st.sampled_from(list(names)),
        lambda below: st.one_of(
            st.tuples(st.just("not"), below),
            st.tuples(st.sampled_from(["any", "all"]), st.lists(below, min_size=1, max_size=3)),
        ),
        max_leaves=12,
    ).filter(lambda t: depth(t) <= DEPTH_MAX)


def depth(tree: Tree) -> int:
    if isinstance(tree, str):
        return 1
    name, below = tree
    return 1 + (depth(below) if name == "not" else max(depth(t) for t in below))


def written(tree: Tree) -> dict[str, Any]:
    if isinstance(tree, str):
        return LEAVES[tree][0]
    name, below = tree
    return {"not": written(below)} if name == "not" else {name: [written(t) for t in below]}


def in_python(tree: Tree) -> bool:
    """By Python's own and, or, not."""
    if isinstance(tree, str):
        return bool(LEAVES[tree][1])
    name, below = tree
    if name == "not":
        return not in_python(below)
    return any(in_python(t) for t in below) if name == "any" else all(in_python(t) for t in below)


def in_kleene(tree: Tree) -> float:
    """Kleene's tables in numbers: no 0, unknown 1/2, yes 1; and = min, or = max, not = 1 - x."""
    if isinstance(tree, str):
        value = LEAVES[tree][1]
        return 0.5 if value is None else float(value)
    name, below = tree
    if name == "not":
        return 1.0 - in_kleene(below)
    return (max if name == "any" else min)(in_kleene(t) for t in below)


BOOK = underlying({"delta:BTC": 6.0, "gamma:BTC": 11.0})


@given(trees(["yes", "no"]))
def test_any_all_and_not_are_pythons(tree: Tree) -> None:
    decision = ask(written(tree), BOOK)
    assert decision.due is in_python(tree)
    assert decision.reason


@given(trees(["yes", "no", "unknown"]))
def test_with_what_is_unknown_they_are_kleenes(tree: Tree) -> None:
    decision = ask(written(tree), BOOK)
    (answer,) = decision.answers
    assert (0.5 if answer.yes is None else float(answer.yes)) == in_kleene(tree)
    assert decision.due is (answer.yes is True)
    assert answer.sentence and decision.reason


def test_the_same_is_not_said_twice() -> None:
    u = underlying({"delta:BTC": 11.0, "gamma:BTC": 11.0})
    some, every = {"breach": {"rows": ["delta:*"]}}, {"breach": {"rows": ["*"]}}
    for parts in ([some, every], [every, some], [every, every]):
        assert ask({"any": parts}, u).reason == "delta:BTC, gamma:BTC outside trigger"
    assert ask({"any": [some, {"breach": {"rows": ["gamma:*"]}}]}, u).reason == (
        "delta:BTC outside trigger and gamma:BTC outside trigger"
    )


def test_which_rows_a_joined_condition_calls() -> None:
    breach: dict[str, Any] = {"breach": {}}
    gate = {"calendar": {"every_min": 20}}
    assert ask({"all": [breach, gate]}, BOOK).called == {"gamma:BTC"}, "the gate names no rows"
    assert ask({"any": [breach, gate]}, BOOK).called == {"delta:BTC", "gamma:BTC"}, "the calendar calls all"
    assert ask(gate, BOOK).called == {"delta:BTC", "gamma:BTC"}
    named = {"breach": {"rows": ["gamma:*"]}}
    assert ask({"all": [named, {"not": {"breach": {"rows": ["delta:*"]}}}]}, BOOK).called == {"gamma:BTC"}


def test_each_underlying_is_asked_by_itself() -> None:
    """A move of ETH does not let a breach of BTC through."""
    moved = underlying({"delta:ETH": 1.0}, name="ETH", spot=110.0, prices=[(NOW - HOUR, 100.0)])
    still = underlying({"delta:BTC": 11.0}, spot=100.0, prices=[(NOW - HOUR, 100.0)])
    when = policy({"all": [{"breach": {}}, {"realised_move": {"window_min": 60, "move": 0.05}}]})
    assert not due(moment(still, moved), when, NOTHING).due
    also_out = underlying({"delta:ETH": 11.0}, name="ETH", spot=110.0, prices=[(NOW - HOUR, 100.0)])
    assert due(moment(still, also_out), when, NOTHING).called == {"delta:ETH"}


def test_a_no_says_when_it_would_be_a_yes() -> None:
    u = underlying({"delta:BTC": 7.0})
    twenty, hour = {"calendar": {"every_min": 20}}, {"calendar": {"every_min": 60}}
    now = NOW + 2 * MINUTE
    assert leaf({"any": [twenty, hour]}, u, now_ns=now).until_ns == NOW + 20 * MINUTE
    assert (
        leaf({"all": [twenty, {"calendar": {"every_min": 45}}]}, u, now_ns=now).until_ns == NOW + 20 * MINUTE
    )
    assert leaf({"all": [twenty, {"breach": {}}]}, u, now_ns=now).until_ns is None, (
        "time alone does not do it"
    )


def test_rows_that_are_not_worth_their_cost_are_left_out() -> None:
    u = underlying({"delta:BTC": 11.0, "gamma:BTC": 11.0})
    sticky = Sticky(("gamma:BTC",), 100.0, 30.0)
    verdict = Verdict((sticky,), frozenset({"gamma:BTC"}), 50.0, 20.0)
    both = policy({"all": [{"breach": {}}, {"cost_benefit": {}}]})
    decision = due(moment(u), both, NOTHING, verdict)
    assert decision.called == {"delta:BTC"} and "gamma:BTC sticky" in decision.reason
    forced = policy({"any": [{"breach": {}}, {"cost_benefit": {}}]})
    assert due(moment(u), forced, NOTHING, verdict).called == {"delta:BTC", "gamma:BTC"}
    alone = underlying({"gamma:BTC": 11.0})
    nothing = due(moment(alone), both, NOTHING, verdict)
    assert not nothing.due and nothing.called == frozenset() and "30.00 USD or less" in nothing.reason
    unknown = due(moment(u), both, NOTHING, Verdict(known=False, reason="no vol"))
    assert not unknown.due and unknown.answers[0].yes is None


# ------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "when",
    [
        {},
        "breach",
        {"breach": {}, "age": {"mark_s": 1}},
        {"breech": {}},
        {"any": []},
        {"all": [{}]},
        {"calendar": {}},
        {"calendar": {"every_min": 30, "at": "0 8 *"}},
        {"calendar": {"every_min": 0}},
        {"calendar": {"every_min": 1.5}},
        {"calendar": {"at": "0 25 *"}},
        {"realised_move": {"window_min": 60}},
        {"realised_move": {"window_min": 60, "move": 0.1, "sigmas": 2}},
        {"realised_move": {"move": 0.1}},
        {"realised_move": {"window_min": 60, "move": float("nan")}},
        {"age": {"mark_s": 1, "hedge_h": 1}},
        {"age": {"mark_s": -1}},
        {"projected_breach": {"sigmas": 0}},
        {"expiry": {"pin": 1}},
        {"breach": {"side": "left"}},
        {"breach": {"rows": []}},
        {"not": {"cost_benefit": {}}},
        {"not": {"any": [{"breach": {}}, {"all": [{"cost_benefit": {}}]}]}},
        {"any": [{"breach": {}}] * CONDITIONS_MAX},
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(when: Any) -> None:
    with pytest.raises(ValidationError):
        policy(when)


def test_nesting_has_an_end() -> None:
    tree: dict[str, Any] = {"breach": {}}
    for _ in range(DEPTH_MAX - 1):
        tree = {"not": tree}
    policy(tree)
    for deep in (1, 5000):
        for _ in range(deep):
            tree = {"not": tree}
        with pytest.raises(ValidationError, match="nested at most"):
            policy(tree)


def test_a_policy_is_shown_as_it_was_written() -> None:
    when = {"any": [{"breach": {"side": "above"}}, {"not": {"age": {"mark_s": 60.0}}}]}
    shown = policy(when).model_dump(mode="json")["when"]
    assert policy(shown) == policy(when)
    assert list(shown) == ["any"] and list(shown["any"][1]) == ["not"]


def test_the_last_hedge_can_be_told() -> None:
    assert policy({"breach": {}}).memory() == Memory()
    told = policy({"breach": {}}, last_hedge="2026-02-02T02:40:00Z")
    assert told.memory() == Memory(hedged_ns=NOW)
    with pytest.raises(ValidationError):
        policy({"breach": {}}, last_hedge="2026-02-02T02:40:00")
