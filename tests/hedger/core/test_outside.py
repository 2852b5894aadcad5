"""No armed engine sits outside its bands in silence: an order is at work, or the state says why not."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedger.core.actions import Permission, Submit
from hedger.core.decision import Decision
from hedger.core.events import Failed, Verb
from hedger.core.gate import Denied, Situation, Then
from hedger.core.outside import PAUSED
from hedger.core.state import StaysOut
from hedger.engine.limit_gate import LimitGate
from hedger.engine.recording import entries_of
from hedger.journal.entries import Kind
from pricing.contracts import Side
from risk.book import Fill
from tests.hedger.rig import VENUE, Free, Rig, desk, option_symbol
from tests.risk.limit_desk import limits
from venues.orders import Link, Order, OrderState, OrderUpdate, TradeReport, VenueStatus

LONG = {"BTC-PERPETUAL": "400000"}


def silent(rig: Rig) -> str:
    """What is wrong with what the engine says of itself; "" where nothing is."""
    state, out = rig.state, rig.decisions[-1].breached
    if out != state.outside.rows and state.seen is not None:
        return f"{out} are outside and {state.outside.rows} are told"
    if out and not state.outside.why:
        return f"{out} are outside and nothing is said"
    at_work = state.execution is not None or any(r.live for r in state.orders.values())
    if out and not at_work and state.outside.cause is StaysOut.WORK:
        return "a hedge is told of and none is in work"
    return ""


def met(rig: Rig, decision: Decision, code: str, fill: bool) -> None:
    """The venue's answers to what was sent: filled, refused, or nothing at all ("")."""
    for action in decision.actions:
        if not isinstance(action, Submit):
            continue
        order = action.order
        rig.truth.take(order)
        if fill:
            rig.truth.fill(order.client_id, order.quantity, rig.now_ns)
            met(rig, rig.send(rig.truth.update(order.client_id)), code, fill)
            met(rig, rig.send(rig.truth.trades[-1]), code, fill)
        elif code:
            rig.truth.orders[order.client_id] = (order, OrderState.REJECTED, Decimal(0))
            update = OrderUpdate(order.client_id, OrderState.REJECTED, filled=Decimal(0), code=code)
            met(rig, rig.send(update), code, fill)
        assert silent(rig) == ""


STEPS = st.sampled_from(
    [
        "mark", "mark", "mark", "stale", "tick", "account", "account failed", "filled", "margin", "band",
        "nothing", "down", "up", "pause", "resume", "arm", "one side", "deny", "allow", "hold",
    ]
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=5, max_size=25))
def test_whatever_happens_what_is_outside_has_a_reason(steps: list[str]) -> None:
    says = {"gate": ""}

    def gate(order: Order, situation: Situation) -> Permission | Denied:
        if says["gate"] == "deny":
            return Denied("POSITION_FIRM", "POSITION_FIRM: too large; nothing was sent")
        if says["gate"] == "hold":
            return Denied("STALE_BOOK", "STALE_BOOK: old; nothing was sent", Then.BACK_OFF)
        return Free(order)

    rig = Rig(LONG, desk(slice_interval_s=1.0, aside_s=5.0), gate=gate).armed()
    code, fill = "", True
    for step in steps:
        decision: Decision | None = None
        match step:
            case "mark":
                decision = rig.mark(5.0)
            case "stale":
                decision = rig.tick(700.0)
            case "tick":
                decision = rig.tick(1.0)
            case "account":
                decision = rig.send(rig.report())
            case "account failed":
                decision = rig.send(Failed(VENUE, "account", ""))
            case "one side":
                n = len(rig.market.universe)
                decision = rig.mark(5.0, bid=np.full(n, np.nan))
            case "down" | "up":
                decision = rig.send(VenueStatus(VENUE, Link.DOWN if step == "down" else Link.UP))
            case "pause" | "resume" | "arm":
                decision = rig.command(Verb(step))
            case "deny" | "allow" | "hold":
                says["gate"] = step
            case "filled" | "nothing":
                fill, code = step == "filled", ""
            case "margin" | "band":
                fill, code = False, "insufficient_margin" if step == "margin" else "outside_price_band"
        if decision is not None:
            assert silent(rig) == "", (step, rig.state.outside)
            met(rig, decision, code, fill)


def test_what_is_outside_is_written_when_it_becomes_another_and_not_before() -> None:
    rig = Rig({option_symbol(Rig(LONG).market): "-400"})
    written = []
    for step in range(30):
        before = rig.state
        decision = rig.mark(5.0) if step else rig.answer(rig.mark())
        if rig.state is before:
            continue
        kinds = [e.kind for e in entries_of(before, rig.events[-1], rig.state, decision)]
        written.append(kinds.count(Kind.OUTSIDE))
    assert rig.state.outside.rows and "observe" in rig.state.outside.why
    assert sum(written) <= 3 < len(written)


def test_a_plan_that_comes_to_the_same_is_told_once_and_told_again_when_it_does_not() -> None:
    """Nothing may be sold: the book grows by a width of its band, and by far less than that."""
    closed = desk(slice_interval_s=0.0)
    denied = closed.universe.deny_buy.model_copy(update={"venues": (VENUE,)})
    universe = closed.universe.model_copy(update={"deny_buy": denied, "deny_sell": denied})
    policy = closed.policy.model_copy(update={"attempts_max": 1000, "attempt_pause_s": 0.0})
    rig = Rig(LONG, closed.model_copy(update={"universe": universe, "policy": policy})).armed()
    for _ in range(12):
        rig.answer(rig.mark(5.0))
    assert [bool(d.ticket) for d in rig.decisions].count(True) == rig.alerts().count("NOT_HEDGED") == 1
    assert rig.state.undone is not None and rig.state.undone.times == 12
    held = next(iter(rig.state.book.positions.values())).listing
    price = Decimal(repr(float(rig.state.market.ask[rig.market.universe.positions[held.key]])))
    for quantity, told in (("10000", 1), ("1000000", 2)):
        external = Fill(
            held, Side.BUY, Decimal(quantity), price, Decimal(0), "BTC", "", f"x{quantity}", rig.now_ns
        )
        rig.truth.book(TradeReport("web-1", external))
        rig.answer(rig.send(rig.truth.trades[-1]))
        rig.answer(rig.mark(5.0))
        assert rig.alerts().count("NOT_HEDGED") == told, quantity
    assert "not: denied" in rig.state.outside.why


def test_a_pause_keeps_what_the_policy_said_and_its_end_ends_it() -> None:
    """Of the words that hold while they hold nothing is carried on; what the policy said last is."""
    rig = Rig(LONG, gate=lambda order, situation: Denied("POSITION_FIRM", "POSITION_FIRM: too large")).armed()
    rig.answer(rig.mark(5.0))
    policy = rig.state.outside
    assert policy.cause is StaysOut.POLICY and "POSITION_FIRM" in policy.why
    said = []
    for verb in (Verb.PAUSE, Verb.RESUME):
        rig.command(verb)
        rig.tick(1.0)
        said.append(rig.state.outside)
    paused, resumed = said
    assert (paused.cause, paused.why) == (StaysOut.PAUSED, f"{PAUSED}; else: {policy.why}")
    assert resumed.cause is StaysOut.POLICY and PAUSED not in resumed.why
    assert {x.since_ns for x in (policy, *said)} == {policy.since_ns}


@pytest.mark.parametrize("over_usd", [100_010, 130_000])
def test_what_no_listing_can_bring_in_keeps_no_delta_hedge_from_going_out(over_usd: int) -> None:
    """Gamma and vega stand many bands out and options may not be traded: the delta that is out as well is
    brought in all the same, whatever small share of all that is outside it makes up."""
    allowed = limits(margin={"unproven_venues": frozenset({VENUE})}, hedge={"progress_share_min": 0.05})
    gate = LimitGate(allowed, {VENUE: True})
    closed = desk(slice_interval_s=0.0)
    denied = closed.universe.deny_buy.model_copy(update={"kinds": ("spot", "option")})
    universe = closed.universe.model_copy(update={"deny_buy": denied, "deny_sell": denied})
    closed = closed.model_copy(update={"universe": universe})
    symbol = option_symbol(Rig(LONG).market)
    look = Rig({symbol: "-900"}, closed)
    look.mark()
    assert look.state.snapshot is not None
    delta = dict(look.decisions[-1].exposures)["delta:BTC"] * look.state.snapshot.spot["BTC"]
    level = round((over_usd - delta) / 10) * 10
    rig = Rig({symbol: "-900", "BTC-PERPETUAL": str(level)}, closed, gate=gate)
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    for _ in range(3):
        rig.answer(rig.mark(5.0))
    assert rig.submits() and {o.listing.contract.kind.name for o in rig.submits()} <= {"PERPETUAL", "FUTURE"}
    assert not [v.code for d in rig.decisions for v in d.verdicts if v.code]
    assert "delta:BTC" not in rig.decisions[-1].breached
    assert "gamma:BTC" in rig.state.outside.rows and rig.state.outside.why
