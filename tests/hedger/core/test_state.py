"""The life of one order against a model, and what is remembered of trades."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.core.order_life import LOST, OrderRecord, booked, given_up, heard, never_had, silent
from hedger.core.state import Mode, State
from hedger.core.trades_seen import SETTLEMENT_NS, TradesSeen
from pricing.contracts import Side
from pricing.daycount import NS_PER_DAY
from pricing.universe import Universe
from risk.book import Book
from tests.builders import listing, perpetual
from venues.orders import Order, OrderState, OrderUpdate, TimeInForce

PERP = listing(perpetual(), "BTC-PERPETUAL", lot="10", minimum="10", ticks="0:0.5")
ENDED = {OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED, OrderState.DENIED}


def record(quantity: str = "100") -> OrderRecord:
    order = Order("htest-1-0-0", PERP, Side.BUY, Decimal(quantity), Decimal("70000"), TimeInForce.GTC)
    return OrderRecord(order, 1, 0)


def say(state: OrderState, filled: str | None = None, code: str = "") -> OrderUpdate:
    return OrderUpdate("htest-1-0-0", state, "v1", None if filled is None else Decimal(filled), code)


# -------------------------------------------------------------------------------------------------- one order


@pytest.mark.parametrize(
    ("news", "state", "reserved"),
    [
        ([say(OrderState.SENT)], OrderState.SENT, 100),
        ([say(OrderState.OPEN, "0")], OrderState.OPEN, 100),
        ([say(OrderState.FILLED, "100")], OrderState.FILLED, 100),  # until the fills are booked
        ([say(OrderState.FILLED)], OrderState.FILLED, 100),
        ([say(OrderState.CANCELLED, "0")], OrderState.CANCELLED, 0),
        ([say(OrderState.CANCELLED, "40")], OrderState.CANCELLED, 40),
        ([say(OrderState.CANCELLED)], OrderState.CANCELLED, 100),  # nobody said how much was filled
        ([say(OrderState.REJECTED)], OrderState.REJECTED, 0),
        ([say(OrderState.REJECTED, code="duplicate_client_id")], OrderState.UNKNOWN, 100),
        ([say(OrderState.OPEN, "0"), say(OrderState.REJECTED)], OrderState.CANCELLED, 100),
        ([say(OrderState.DENIED)], OrderState.DENIED, 0),
        ([say(OrderState.SENT), say(OrderState.DENIED)], OrderState.UNKNOWN, 100),
        ([say(OrderState.UNKNOWN)], OrderState.UNKNOWN, 100),
        ([say(OrderState.UNKNOWN), say(OrderState.SENT)], OrderState.UNKNOWN, 100),
        ([say(OrderState.UNKNOWN), say(OrderState.OPEN, "0")], OrderState.OPEN, 100),
        ([say(OrderState.FILLED, "100"), say(OrderState.OPEN, "0")], OrderState.FILLED, 100),
        ([say(OrderState.CANCELLED, "0"), say(OrderState.OPEN, "0")], OrderState.CANCELLED, 0),
        ([say(OrderState.CANCELLED, "0"), say(OrderState.FILLED, "100")], OrderState.FILLED, 100),
        ([say(OrderState.OPEN, "100")], OrderState.FILLED, 100),
        ([say(OrderState.FILLED, "30")], OrderState.CANCELLED, 30),
    ],
)
def test_what_news_makes_of_an_order(news: list[OrderUpdate], state: OrderState, reserved: int) -> None:
    known = record()
    for i, update in enumerate(news):
        known = heard(known, update, i)
    assert (known.state, known.reserved) == (state, Decimal(reserved))


def test_a_fill_is_evidence_and_a_question_without_answer_is_none() -> None:
    unknown = silent(record(), 5, "no_answer")
    assert unknown.state is OrderState.UNKNOWN and unknown.silent_ns == 5
    asked = unknown
    for _ in range(100):
        asked = never_had(asked)
    assert asked.state is OrderState.UNKNOWN and asked.reserved == 100
    assert booked(asked, Decimal(40), 9).state is OrderState.OPEN
    assert booked(asked, Decimal(100), 9).settled
    lost = given_up(asked, 9)
    assert lost.settled and lost.code == LOST
    back = heard(lost, say(OrderState.OPEN, "0"), 10)
    assert back.state is OrderState.OPEN and back.reserved == 100
    assert booked(lost, Decimal(40), 10).reserved == 60


def test_a_fill_after_a_rejection_counts_what_is_left_until_the_venue_tells() -> None:
    refused = heard(record(), say(OrderState.REJECTED), 1)
    late = booked(refused, Decimal(30), 2)
    assert late.state is OrderState.CANCELLED and late.reserved == 70 and not late.settled
    assert heard(late, say(OrderState.CANCELLED, "30"), 3).settled


pieces = st.one_of(
    st.tuples(
        st.just("say"),
        st.sampled_from(list(OrderState)),
        st.sampled_from([None, 0, 10, 40, 100]),
        st.sampled_from(["", "not_found", "duplicate_client_id"]),
    ),
    st.tuples(st.just("fill"), st.sampled_from([10, 30, 60]), st.none(), st.none()),
    st.tuples(st.just("never"), st.none(), st.none(), st.none()),
    st.tuples(st.just("silent"), st.none(), st.none(), st.none()),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(pieces, max_size=12))
def test_any_sequence_of_news_keeps_the_rules(news: list[tuple[Any, ...]]) -> None:
    """Against a model that knows only sums: nothing reserved is dropped without a word of the venue."""
    known, filled, told = record(), 0, 0
    for i, (kind, what, much, code) in enumerate(news):
        before = known
        if kind == "say":
            known = heard(known, say(what, None if much is None else str(much), code), i)
            told = max(told, much or 0)
        elif kind == "fill":
            known, filled = booked(known, Decimal(what), i), filled + what
        elif kind == "never":
            known = never_had(known)
        else:
            known = silent(known, i, "no_answer")
        assert known.booked == filled
        assert 0 <= known.reserved <= max(100 - filled, 0)
        if before.state in ENDED and not (kind == "fill" and before.state is not OrderState.FILLED):
            assert known.state is before.state or known.state is OrderState.FILLED
        if before.state in ENDED:
            assert known.state in ENDED
        if before.state is OrderState.UNKNOWN and known.state is not OrderState.UNKNOWN:
            spoke = what not in (OrderState.UNKNOWN, OrderState.INTENT) or told >= 100
            assert kind == "fill" or (kind == "say" and spoke)
        # What the venue has said was filled stays reserved until it is booked, but for a plain rejection.
        if known.state not in (OrderState.REJECTED, OrderState.DENIED):
            assert known.reserved >= min(told, 100) - filled
        if known.live:
            assert known.reserved == max(100 - filled, 0)
        assert (known.state is OrderState.UNKNOWN) == (known.silent_ns is not None)


@settings(max_examples=200, deadline=None)
@given(st.permutations(["ack", "part", "rest", "done", "ack", "done"]))
def test_the_order_of_the_news_does_not_matter(order: list[str]) -> None:
    known = record()
    for i, word in enumerate(order):
        if word == "part":
            known = booked(known, Decimal(40), i)
        elif word == "rest":
            known = booked(known, Decimal(60), i)
        else:
            known = heard(
                known, say(OrderState.OPEN, "0") if word == "ack" else say(OrderState.FILLED, "100"), i
            )
    assert (known.state, known.booked, known.reserved) == (OrderState.FILLED, Decimal(100), Decimal(0))


# ------------------------------------------------------------------------------------------------ trades seen


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5 * 24)), max_size=60))
def test_trades_are_remembered_through_the_window(news: list[tuple[int, int]]) -> None:
    """Against a list of everything: inside the window nothing is forgotten, outside it nothing is booked."""
    seen, at = TradesSeen(window_days=2), 0
    booked_at: dict[int, int] = {}
    for trade, hours in news:
        at = max(at, SETTLEMENT_NS + hours * 3600 * 10**9)
        if not seen.too_old(at, at) and ("v", str(trade)) not in seen:
            assert trade not in booked_at or at - booked_at[trade] > 2 * NS_PER_DAY
            seen = seen.add(("v", str(trade)), at)
            booked_at[trade] = at
    for trade, when in booked_at.items():
        if at - when <= 2 * NS_PER_DAY:
            assert ("v", str(trade)) in seen
    assert len(seen) <= len(booked_at)


def test_old_trades_are_not_booked_and_memory_is_bounded() -> None:
    seen = TradesSeen(window_days=3)
    for i in range(20_000):
        seen = seen.add(("v", str(i)), SETTLEMENT_NS + i * NS_PER_DAY // 1000)
    assert len(seen) <= 5 * 1000
    assert max(len(parts) for _, parts in seen.days) <= 12
    now_ns = SETTLEMENT_NS + 20 * NS_PER_DAY
    assert seen.too_old(now_ns - 4 * NS_PER_DAY, now_ns) and not seen.too_old(now_ns - 3 * NS_PER_DAY, now_ns)
    assert not seen.too_old(0, now_ns)  # a venue that stamps nothing
    assert not seen.too_old(now_ns + NS_PER_DAY, now_ns)


# -------------------------------------------------------------------------------------------------- the state


def test_modes_that_send() -> None:
    assert [m for m in Mode if m.sends] == [Mode.ARMED, Mode.REDUCING]
    state = State.fresh(Universe.of([PERP]), Book(), {"deribit": 0})
    armed = state.turned(Mode.ARMED, "test")
    assert armed.acting is Mode.ARMED
    assert armed.with_venue("deribit", drift=1).acting is Mode.REDUCING
    assert state.with_venue("deribit", drift=1).acting is Mode.OBSERVE
    assert not state.venues["deribit"].takes_orders
    assert state.with_venue("deribit", reconciled_ns=1).venues["deribit"].takes_orders


def test_what_orders_reserve_is_counted_by_side() -> None:
    state = State.fresh(Universe.of([PERP]), Book(), {"deribit": 0})
    sell = replace(record("50").order, client_id="htest-1-0-1", side=Side.SELL)
    state = state.with_order(booked(record(), Decimal(30), 1))
    state = state.with_order(silent(OrderRecord(sell, 1, 0), 1, "no_answer"))
    assert state.reserved("deribit", "BTC-PERPETUAL") == (Decimal(70), Decimal(50))
    assert state.reserved("deribit", "ETH-PERPETUAL") == (Decimal(0), Decimal(0))
    with pytest.raises(TypeError):
        state.orders["x"] = record()  # type: ignore[index]  # what must not work
