"""The inbox: what it keeps, what it conflates, and that a market cannot tell the difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.events import Command, Tick, Verb
from hedger.engine.inbox import Inbox, merge
from pricing.market import QUOTE_FIELDS, Depth, Market, Marks
from venues.orders import OrderState, OrderUpdate
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings

MARKET = SimulatedMarket(3, settings=SimulationSettings(tenor_days=(5,), strikes_per_expiry=3, futures=0))
N = len(MARKET.universe)


def batch(seq: int, rows: list[int], stamps: list[int], depths: list[bool], base: float) -> Marks:
    """A batch whose every number tells where it came from."""
    k = len(rows)
    columns: dict[str, Any] = {name: base + np.arange(k) + i / 100 for i, name in enumerate(QUOTE_FIELDS)}
    depth = {
        row: (Depth(np.array([base + i]), np.array([1.0])), Depth(np.array([base + i + 1]), np.array([2.0])))
        for i, (row, deep) in enumerate(zip(rows, depths, strict=True))
        if deep
    }
    return Marks(
        seq=seq, now_ns=1000 + seq, rows=np.array(rows, dtype=np.int64),
        venue_ns=np.array(stamps, dtype=np.int64), forward_kind=np.zeros(k, dtype=np.int8), depth=depth,
        **columns,
    )  # fmt: skip


@st.composite
def batches(draw: st.DrawFn) -> list[Marks]:
    found = []
    for seq in range(draw(st.integers(1, 5))):
        rows = draw(st.lists(st.integers(0, N - 1), max_size=6, unique=True))
        stamps = draw(st.lists(st.integers(1, 9), min_size=len(rows), max_size=len(rows)))
        depths = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
        found.append(batch(seq, rows, stamps, depths, 100.0 * (seq + 1)))
    return found


@given(batches())
def test_a_market_cannot_tell_conflated_batches_from_the_batches(given: list[Marks]) -> None:
    one_by_one = Market.empty(MARKET.universe)
    inbox = Inbox()
    for marks in given:
        one_by_one = one_by_one.apply(marks)
        inbox.put(marks)
    taken = inbox.take()
    assert isinstance(taken, Marks)
    assert inbox.take() is None
    at_once = Market.empty(MARKET.universe).apply(taken)
    for name in ("venue_ns", *QUOTE_FIELDS):
        np.testing.assert_array_equal(getattr(at_once, name), getattr(one_by_one, name))
    assert set(at_once.depth) == set(one_by_one.depth)
    for row, (bids, asks) in at_once.depth.items():
        assert (bids.price[0], asks.price[0]) == (
            one_by_one.depth[row][0].price[0], one_by_one.depth[row][1].price[0],
        )  # fmt: skip
    counts, put = inbox.counts, sum(len(marks.rows) for marks in given)
    assert (counts.rows, len(taken.rows) + counts.conflated + counts.late) == (put, put)


def test_facts_are_kept_in_order_and_go_before_marks() -> None:
    inbox = Inbox(facts_max=2)
    facts = [OrderUpdate(f"web-{i}", OrderState.OPEN) for i in range(3)]
    inbox.put(MARKET.marks())
    for fact in facts:
        inbox.put(fact)
    assert inbox.full  # and yet nothing was dropped
    assert [inbox.take() for _ in range(3)] == facts
    assert isinstance(inbox.take(), Marks)
    assert (inbox.take(), len(inbox), inbox.full) == (None, 0, False)


def test_a_kill_overtakes_everything() -> None:
    inbox = Inbox()
    inbox.put(Tick())
    kill = Command("1", Verb.KILL, "me", "now")
    inbox.put(kill)
    assert inbox.take() is kill


def test_a_batch_that_makes_no_sense_is_neither_merged_nor_lost() -> None:
    inbox = Inbox()
    good = MARKET.marks()
    bad = replace(good, bid=good.bid[:-1])
    inbox.put(good)
    inbox.put(bad)
    assert inbox.take() is bad
    assert inbox.take() is good


def test_marks_are_bounded_by_the_listings() -> None:
    inbox = Inbox()
    for seq in range(200):
        inbox.put(batch(seq, [seq % N, (seq + 1) % N], [seq + 1, seq + 1], [False, False], 1.0))
    assert len(inbox) == 1
    taken = inbox.take()
    assert isinstance(taken, Marks)
    assert len(taken.rows) == N


def test_merging_counts_what_was_overtaken_and_what_came_late() -> None:
    old = batch(0, [1, 2, 3], [5, 5, 5], [False] * 3, 1.0)
    new = batch(1, [2, 3, 4], [6, 4, 1], [False] * 3, 2.0)
    merged, conflated, late = merge(old, new)
    assert sorted(merged.rows.tolist()) == [1, 2, 3, 4]
    assert (conflated, late) == (1, 1)


def test_whoever_waits_is_woken() -> None:
    woken: list[int] = []
    inbox = Inbox(wake=lambda: woken.append(1))
    inbox.put(Tick())
    inbox.put(MARKET.marks())
    assert len(woken) == 2
