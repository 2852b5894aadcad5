"""A running engine is stopped by each control whose input comes to it as news, and goes on at its edge."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hedger.core.actions import Permission
from hedger.core.decision import Decision
from hedger.core.events import Verb
from hedger.core.gate import Denied, Situation
from hedger.core.sight import sight_of
from hedger.core.slicing import WorkLeg
from hedger.core.state import State
from hedger.core.turn import Turn
from hedger.engine.limit_gate import LimitGate
from hedger.engine.recording import entries_of
from hedger.journal.entries import Kind
from hedger.moment import Memory
from hedger.settings import Settings
from pricing.contracts import Side
from risk.throttle import Hedge
from tests.hedger.rig import SECOND, SOLVER, VENUE, Rig, option_symbol
from tests.risk.limit_desk import limits
from venues.orders import Link, Order, VenueStatus

PERP = "BTC-PERPETUAL"
LONG = {PERP: "400000"}
EXCUSED = {"unproven_venues": frozenset({VENUE})}


def gate(**sections: dict[str, Any]) -> LimitGate:
    """The built-in limits with some keys changed, on a venue whose margin is excused."""
    return LimitGate(limits(**{"margin": EXCUSED} | sections), {VENUE: True})


def settings(**more: Any) -> Settings:
    """Only the perpetuals may be traded, which makes plans small and quick."""
    only = {"kinds": ("spot", "option", "future")}
    given = {"universe": {"deny_buy": only, "deny_sell": only}} | more
    return Settings.model_validate(given).model_copy(update={"solver": SOLVER})


def rig_of(chosen: Settings | None = None, **sections: Any) -> Rig:
    return Rig(LONG, chosen or settings(), gate(**sections)).armed()


def verdicts(rig: Rig, *before: Callable[[Rig], object], **poison: Any) -> list[str]:
    """What the limits say of the first orders of the next mark; "" lets one out."""
    for do in before:
        do(rig)
    return [v.code for v in rig.mark(20.0, **poison).verdicts]


def status(**told: Any) -> Callable[[Rig], Decision]:
    return lambda rig: rig.send(VenueStatus(VENUE, Link.UP, **told))


# ------------------------------------------------------------------------------- C11: what the book shows


def test_a_book_that_lost_messages_is_not_traded_until_its_snapshot() -> None:
    assert verdicts(rig_of(), status(gaps=(PERP,))) == ["BOOK_GAP"]
    assert verdicts(rig_of(), status(gaps=("ETH-PERPETUAL",))) == [""]
    assert verdicts(rig_of(), status(gaps=(PERP,)), status(gaps=())) == [""]
    # nothing new about books is no word that they are whole again
    assert verdicts(rig_of(), status(gaps=(PERP,)), status(text="all is well")) == ["BOOK_GAP"]


def test_depth_at_the_touch_at_its_least_and_below() -> None:
    rig = rig_of()
    size = float(rig.state.market.bid_size[rig.state.market.universe.positions[VENUE, PERP]])
    row = rig.state.market.universe.positions[VENUE, PERP]
    at = int(np.flatnonzero(rig.market.marks().rows == row)[0])

    def shown(usd: float) -> list[str]:
        one = rig_of(book={"depth_usd_min": 1000.0})
        marks = one.market.step(20.0)
        sizes, one.now_ns = marks.bid_size.copy(), one.now_ns + 20 * SECOND
        sizes[at] = usd
        return [v.code for v in one.send(replace(marks, now_ns=one.now_ns, bid_size=sizes)).verdicts]

    assert size > 1000.0
    # a dollar of the inverse perpetual is a dollar at its mark and a little more or less at the index
    assert shown(1010.0) == [""]
    assert shown(980.0) == ["BOOK_THIN"]


# ------------------------------------------------------------------- C20: maintenance, settlement, expiry


def windows(first_s: float, last_s: float) -> Callable[[Rig], Decision]:
    """A window that begins and ends so many seconds after the next mark."""

    def told(rig: Rig) -> Decision:
        at = rig.now_ns + 20 * SECOND
        window = (at + round(first_s * SECOND), at + round(last_s * SECOND))
        return rig.send(VenueStatus(VENUE, Link.UP, maintenance=(window,)))

    return told


def test_announced_maintenance_holds_orders_back_from_its_first_to_its_last_moment() -> None:
    assert verdicts(rig_of(), windows(-60.0, 60.0)) == ["MAINTENANCE"]
    assert verdicts(rig_of(), windows(0.0, 60.0)) == ["MAINTENANCE"]
    assert verdicts(rig_of(), windows(1e-9, 60.0)) == [""]
    assert verdicts(rig_of(), windows(-60.0, 0.0)) == ["MAINTENANCE"]
    assert verdicts(rig_of(), windows(-60.0, -1e-9)) == [""]
    assert verdicts(rig_of(), windows(-60.0, 60.0), status(maintenance=())) == [""]


def test_windows_that_the_desk_knows_of_count_beside_those_announced() -> None:
    rig = rig_of()
    own = replace(gate(), maintenance={VENUE: ((rig.now_ns, rig.now_ns + 40 * SECOND),)})
    rig.settings = replace(rig.settings, gate=own)
    assert verdicts(rig) == ["MAINTENANCE"]


def test_the_daily_settlement_holds_orders_back() -> None:
    rig = rig_of()
    at_s = (rig.now_ns // SECOND + 20) % 86_400
    for away, code in ((59.0, "SETTLEMENT_WINDOW"), (61.0, "")):
        calendar = {"settlement_s": (at_s + away) % 86_400, "settlement_block_s": 60.0}
        assert verdicts(rig_of(calendar=calendar)) == [code]


def test_what_expires_soon_is_not_traded() -> None:
    options = {"kinds": ("spot", "perpetual", "future")}
    chosen = settings(universe={"deny_buy": options, "deny_sell": options})
    rig = rig_of(chosen=chosen)
    (order,) = rig.mark(20.0).orders
    left_s = (order.listing.expiry_ns - rig.now_ns) / SECOND
    assert verdicts(rig_of(chosen=chosen, calendar={"expiry_block_s": left_s})) == [""]
    refused = verdicts(rig_of(chosen=chosen, calendar={"expiry_block_s": left_s + 1.0}))
    assert refused and set(refused) == {"NEAR_EXPIRY"}  # others are tried, which expire as soon


# ---------------------------------------------------------------------- C14: again and again to no effect


def fruitless(*ago_s: float, after: float = 2.0) -> Callable[[Rig], None]:
    """Hedges that ended so long before the next mark, 2 widths outside before."""

    def did(rig: Rig) -> None:
        now = rig.state.monotonic_ns + 20 * SECOND
        hedges = tuple(Hedge(now - round(s * SECOND), 2.0, after) for s in ago_s)
        rig.state = replace(rig.state, hedges=hedges)

    return did


def test_hedges_to_no_effect_pause_the_engine_until_a_person_resumes() -> None:
    rig = rig_of(repeat={"fruitless_max": 3, "window_s": 300.0})
    assert verdicts(rig, fruitless(300.0, 200.0, 100.0)) == ["FRUITLESS_HEDGES"]
    assert rig.state.paused
    assert "PAUSED" in rig.alerts()
    (told,) = [alert.text for alert in rig.decisions[-1].alerts if alert.code == "PAUSED"]
    paused = replace(rig.state, paused=False)
    written = entries_of(paused, rig.events[-1], rig.state, rig.decisions[-1])
    (mode,) = [json.loads(entry.body) for entry in written if entry.kind is Kind.MODE]
    assert (mode["user"], mode["reason"]) == ("engine", told)  # and not why it was armed
    assert verdicts(rig) == []
    rig.command(Verb.RESUME)
    assert not rig.state.paused
    assert rig.state.hedges == ()
    rig.answer(rig.mark(60.0))
    assert rig.submits()


@pytest.mark.parametrize(
    "did",
    [
        fruitless(200.0, 100.0),  # one fewer
        fruitless(300.001, 200.0, 100.0),  # one is out of the window
        fruitless(300.0, 200.0, 100.0, after=1.999),  # they helped
    ],
)
def test_fewer_older_or_better_hedges_do_not(did: Callable[[Rig], None]) -> None:
    rig = rig_of(repeat={"fruitless_max": 3, "window_s": 300.0})
    assert verdicts(rig, did) == [""]
    assert not rig.state.paused


def test_an_unknown_outcome_counts_as_none() -> None:
    rig = rig_of(repeat={"fruitless_max": 1, "window_s": 300.0})
    assert verdicts(rig, fruitless(10.0, after=math.nan)) == ["FRUITLESS_HEDGES"]


def test_the_engine_counts_its_own_hedges_with_the_risk_before_and_after() -> None:
    rig = rig_of()
    rig.answer(rig.mark(20.0))
    assert rig.submits()
    (hedge,) = rig.state.hedges
    assert hedge.outside_before > 0.0
    assert hedge.outside_after == 0.0
    assert hedge.at_ns == rig.state.monotonic_ns


# ------------------------------------------------------------------------------ C18 and C12 by which clock


def test_no_step_of_the_wall_clock_ages_an_order_or_makes_it_younger() -> None:
    """An order of 30 s ago rests; the machine's clock jumps an hour ahead, and the engine's monotonic not."""
    for limit_s, code in ((60.0, ""), (10.0, "ORDER_TOO_OLD")):
        rig = rig_of(order={"age_s_max": limit_s, "duplicate_window_s": 0.0})
        (order,) = rig.mark(20.0).orders
        record = rig.state.orders[order.client_id]
        old = replace(record, since_ns=record.since_ns - 30 * SECOND)
        other = replace(order, client_id="htest-99-9-9")
        state = rig.state.with_order(old)
        for step_s in (-3600, 0, 3600):
            stepped = replace(old, wall_ns=old.wall_ns + step_s * SECOND)
            found = judged(rig, state.with_order(stepped), other)
            assert ("ORDER_TOO_OLD" in found) is bool(code), step_s


def judged(rig: Rig, state: State, order: Order) -> list[str]:
    """Every reason that the limits have against an order as a further part of the leg in work."""
    assert state.execution is not None
    assert state.snapshot is not None
    sight = sight_of(Turn(state, rig.settings, rig.events[-1]))
    assert sight is not None
    row = state.snapshot.market.universe.positions[order.listing.key]
    legs = tuple(replace(leg, quantity=10 * leg.quantity) for leg in state.execution.legs)
    effect = state.snapshot.exposure.traded[:, row] * float(order.signed)
    execution = replace(state.execution, legs=legs)
    found = rig.settings.gate(
        order,
        Situation(
            state, state.snapshot, sight.value, effect, sight.market, row, order.quantity, execution, True
        ),
    )
    return [found.code, *found.also] if isinstance(found, Denied) else []


# -------------------------------------------------------------------- a position that nobody quotes any more


def blinded(quantity: str, **sections: Any) -> tuple[Rig, Decision]:
    """An engine whose book holds an option that has had no quote from the start, and its first orders."""
    plain = Rig(LONG)
    symbol = option_symbol(plain.market)
    rig = Rig(LONG | {symbol: quantity}, settings(), gate(**sections))
    row = rig.market.universe.positions[VENUE, symbol]

    def mark(seconds: float) -> Decision:
        marks = rig.market.step(seconds)
        at = int(np.flatnonzero(marks.rows == row)[0])
        gone = {}
        for name in ("bid", "bid_size", "ask", "ask_size", "mark", "mark_iv", "forward"):
            gone[name] = getattr(marks, name).copy()
            gone[name][at] = math.nan
        rig.now_ns += round(seconds * SECOND)
        return rig.send(replace(marks, now_ns=rig.now_ns, **gone))

    rig.answer(mark(1.0))
    rig.command(Verb.ARM)
    assert rig.state.snapshot is not None
    assert [m.symbol for m in rig.state.snapshot.missing] == [symbol]
    return rig, mark(20.0)


def test_one_position_without_a_quote_does_not_stop_a_hedge_that_helps_whatever_it_is() -> None:
    """400,000 USD long beside one coin of an option: its worst 1 coin of delta is among what is counted."""
    rig, decision = blinded("0.1")
    assert [v.code for v in decision.verdicts] == [""]
    assert decision.orders[0].side is Side.SELL
    assert math.isnan(rig.state.counters.pnl_usd)
    assert math.isfinite(rig.state.counters.pnl_low_usd)


def test_what_it_may_have_lost_counts_against_the_budget_at_its_worst() -> None:
    rig, decision = blinded("0.1")
    worst = -rig.state.counters.pnl_low_usd
    assert worst > 100.0  # an option of 0.1 coin between a vol of 10 % and one of 300 %
    at_most = {"loss_usd_max": worst, "after": "stop"}
    assert [v.code for v in blinded("0.1", budget=at_most)[1].verdicts] == [""]
    below = {"loss_usd_max": worst * 0.999, "after": "stop"}
    assert [v.code for v in blinded("0.1", budget=below)[1].verdicts] == ["BUDGET_LOSS"]
    assert decision.verdicts[0].code == ""


# -------------------------------------------------------------------- C8 of hedges without a breached row


def policy(**when: Any) -> Settings:
    wide = {"delta_usd": {"target": 0, "trigger": [-500_000, 500_000], "landing": [-50_000, 50_000]}}
    return settings(policy={"when": when}, bands={"*": wide})


@pytest.mark.parametrize(
    "when",
    [
        {"calendar": {"every_min": 1}},
        {"age": {"hedge_h": 1.0}},
        {"not": {"breach": {}}},
    ],
    ids=["calendar", "age", "inside"],
)
def test_a_hedge_called_by_time_or_age_inside_its_trigger_is_let_out(when: dict[str, Any]) -> None:
    """400,000 USD long with a trigger of 500,000 and a landing of 50,000."""
    rig = rig_of(chosen=policy(**when))
    rig.state = replace(rig.state, memory=Memory(hedged_ns=rig.now_ns - 7200 * SECOND))
    decision = first_hedge(rig)
    assert decision.breached == ()
    assert [v.code for v in decision.verdicts] == [""]
    assert decision.orders[0].side is Side.SELL


UTILITY = {"mode": "utility", "risk_aversion": 1e-6}


def utility() -> Settings:
    """Utility alone decides: the bands are far away."""
    wide = {"delta_usd": {"target": 0, "trigger": [-5e6, 5e6], "landing": [-4e6, 4e6]}}
    return settings(objective=UTILITY, bands={"*": wide}, policy={"when": {"calendar": {"every_min": 1}}})


def first_hedge(rig: Rig) -> Decision:
    """Marks until the limits are asked for the first time."""
    for _ in range(5):
        decision = rig.mark(20.0)
        if decision.verdicts:
            return decision
        rig.answer(decision)
    raise AssertionError("no hedge came due")


def test_a_hedge_that_weighs_risk_is_remembered_with_its_risk() -> None:
    rig = Rig(LONG, utility(), gate()).armed()
    rig.answer(first_hedge(rig))
    (hedge,) = rig.state.hedges
    assert 0.0 <= hedge.outside_after < hedge.outside_before


def weighing(legs: Callable[[tuple[WorkLeg, ...]], tuple[WorkLeg, ...]] = lambda x: x) -> list[str]:
    """What the limits say of a utility hedge with no row outside, its ticket changed before they see it."""
    plain = gate()

    def changed(order: Order, situation: Situation) -> Permission | Denied:
        execution = situation.execution
        turned = replace(execution, legs=legs(execution.legs))
        if turned.legs != execution.legs:
            order = replace(order, side=turned.legs[0].side)
            situation = replace(situation, execution=turned, effect=-situation.effect)
        return plain(order, situation)

    decision = first_hedge(Rig(LONG, utility(), changed).armed())
    assert decision.breached == ()
    return [v.code for v in decision.verdicts]


def flipped(legs: tuple[WorkLeg, ...]) -> tuple[WorkLeg, ...]:
    return tuple(replace(leg, side=Side.BUY if leg.side is Side.SELL else Side.SELL) for leg in legs)


def test_a_hedge_that_weighs_risk_is_judged_by_its_risk_and_not_the_other_way_round() -> None:
    assert weighing() == [""]
    assert weighing(flipped) == ["HEDGE_NO_PROGRESS"]
