"""A restart opens no budget anew: costs of the day, pace and throttles stand where they stood."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from hedger.core.gate import Denied
from hedger.core.state import Counters, State
from hedger.core.usage import Usage, counters_after, has_moved, hedges_after, memory_after, usage_of
from hedger.engine.limit_gate import LimitGate
from hedger.engine.starting import first_state, orders_after
from hedger.journal.entries import Kind, read
from hedger.journal.recovery import Recovered, recover
from hedger.journal.storage import MemoryStorage
from hedger.moment import Memory, Push
from hedger.runs.paper_setup import venues_of
from pricing.daycount import NS_PER_DAY
from risk.limit_terms import BudgetLimits, RateLimits
from risk.throttle import Hedge
from tests.hedger.engine.test_engine import Bench
from tests.hedger.engine.test_limit_gate import asked, hedged
from tests.hedger.rig import SECOND, VENUE, Rig
from tests.risk.limit_desk import limits

EXCUSED = {"unproven_venues": frozenset({VENUE})}


def found_by(bench: Bench) -> Recovered:
    return recover(MemoryStorage(bench.disk), monotonic_ns=7 * SECOND)


def started(bench: Bench, later_s: float = 0.0, monotonic_ns: int = 7 * SECOND) -> State:
    """The first state of a start so many seconds after the last event."""
    found = found_by(bench)
    now_ns = found.last_now_ns + round(later_s * SECOND)
    universe = bench.source.universe
    return first_state(
        found, universe, bench.opening, venues_of(universe), now_ns, latched=False, now_ns=now_ns,
        monotonic_ns=monotonic_ns,
    )  # fmt: skip


def worked() -> Bench:
    """An engine that has hedged, and stopped in the middle."""
    bench = Bench()
    bench.world.arm(bench.source.marks())
    bench.steps(4)
    return bench


def test_a_restart_in_the_middle_goes_on_with_what_the_day_has_cost() -> None:
    bench = worked()
    before = bench.world.state
    fees = sum(Decimal(x.fill.fee) for x in found_by(bench).fills if x.fill.fee_currency in ("BTC", "ETH"))
    after = started(bench, 1.0)
    assert fees > 0
    assert before.counters.fees_usd > 0.0
    for name in (
        "day",
        "fees_usd",
        "slippage_usd",
        "turnover_usd",
        "orders",
        "fills",
        "executions",
    ):
        assert getattr(after.counters, name) == getattr(before.counters, name), name
    assert after.counters.equity_open_usd == before.counters.equity_open_usd
    assert math.isfinite(after.counters.equity_open_usd)
    assert after.memory.hedged_ns == before.memory.hedged_ns is not None
    assert after.memory.turnover == before.memory.turnover != ()
    assert after.memory.pushes == before.memory.pushes != ()
    assert len(after.hedges) == len(before.hedges) > 0


def test_the_loss_of_the_day_goes_on_over_a_restart() -> None:
    """The first mark after a restart values the book; the loss is counted from the day's beginning."""
    bench = worked()
    opened, pnl = bench.world.state.counters.equity_open_usd, bench.world.state.counters.pnl_usd
    bench.start()
    counters = bench.world.state.counters
    assert counters.equity_open_usd == opened
    assert counters.pnl_usd == counters.equity_usd - opened
    assert abs(counters.pnl_usd - pnl) < 0.5 * abs(pnl) + 1e4  # marks moved by a step at most


def test_another_day_begins_with_empty_budgets() -> None:
    bench = worked()
    to_midnight_s = (NS_PER_DAY - found_by(bench).last_now_ns % NS_PER_DAY) / SECOND
    assert started(bench, to_midnight_s - 1.0).counters.fees_usd > 0.0
    assert started(bench, to_midnight_s).counters == Counters() or math.isnan(
        started(bench, to_midnight_s).counters.equity_open_usd
    )
    assert started(bench, to_midnight_s).counters.fees_usd == 0.0


def test_a_journal_that_kept_no_budget_leaves_the_costs_of_its_day_unknown() -> None:
    now = 100 * NS_PER_DAY + 5
    assert counters_after(None, False, now) == counters_after(None, False, 0)
    unknown = counters_after(None, True, now)
    assert unknown.day == 100
    assert math.isnan(unknown.fees_usd)
    assert math.isnan(unknown.slippage_usd)


def spent(fees: float, most: float) -> str:
    """What the limits say of an order after a restart on which the day's fees stand so high."""
    gate = LimitGate(replace(limits(margin=EXCUSED), budget=BudgetLimits(fee_usd_max=most)), {VENUE: True})
    rig = Rig({"BTC-PERPETUAL": "400000"}, gate=gate).armed()
    counters = counters_after(Usage(Counters(day=rig.now_ns // NS_PER_DAY, fees_usd=fees)), True, rig.now_ns)
    rig.state = replace(rig.state, counters=replace(rig.state.counters, fees_usd=counters.fees_usd))
    decision = hedged(rig)
    return decision.verdicts[0].code


def test_a_used_up_budget_refuses_after_the_restart_as_before() -> None:
    assert spent(1_000.0, 1_000.0) == "BUDGET_FEES"
    assert spent(0.0, 1_000.0) == ""
    assert spent(math.nan, 1_000.0) == "INPUT_MISSING"


def test_orders_sent_before_a_restart_count_in_the_rate_of_messages() -> None:
    bench = worked()
    sent = [r for r in found_by(bench).orders.values()]
    assert sent
    now_ns = found_by(bench).last_now_ns
    late = max(r.wall_ns for r in sent)
    after = started(bench, 30.0)
    ages = {c: (after.monotonic_ns - r.since_ns) / SECOND for c, r in after.orders.items() if r.settled}
    told = {c: (now_ns + 30 * SECOND - r.wall_ns) / SECOND for c, r in found_by(bench).orders.items()}
    assert ages == {c: told[c] for c in ages}
    assert any(r.wall_ns == late for r in after.orders.values())
    assert started(bench, 3600.0 + 1e4).orders.keys() == {
        c for c, r in found_by(bench).orders.items() if not r.settled
    }
    assert orders_after(found_by(bench), now_ns - 10**15, 5).keys() == found_by(bench).orders.keys()


def test_the_messages_of_before_hold_the_next_order_back() -> None:
    """One order a minute is allowed; the one of 59 s ago was sent by the process before."""
    _, _, order, situation = asked()
    (record,) = asked()[0].state.orders.values()
    rate = RateLimits(messages_max=1, window_s=60.0)
    gate = LimitGate(replace(limits(margin=EXCUSED), rate={"*": rate}), {VENUE: True})
    now = situation.state.monotonic_ns
    for ago_s, code in ((60.0, "RATE_MESSAGES"), (60.001, "")):
        old = replace(
            record,
            order=replace(record.order, client_id="htest-1-0-9"),
            execution=-5,
            since_ns=now - round(ago_s * SECOND),
            booked=record.order.quantity,
        )
        found = gate(order, replace(situation, state=situation.state.with_order(old)))
        assert (found.code if isinstance(found, Denied) else "") == code


def test_hedges_to_no_effect_are_counted_on_over_a_restart_on_the_new_clock() -> None:
    """A process that began 10 s ago; its predecessor hedged 40 s ago by the wall clock."""
    usage = Usage(Counters(), hedges=(Hedge(1_000 * SECOND, 1.0, 2.0), Hedge(1_030 * SECOND, 1.0, 2.0)))
    found = hedges_after(usage, 1_040 * SECOND, 10 * SECOND)
    assert [h.at_ns for h in found] == [-30 * SECOND, 0]
    stepped = hedges_after(usage, 900 * SECOND, 10 * SECOND)  # the wall clock was set back meanwhile
    assert [h.at_ns for h in stepped] == [10 * SECOND, 10 * SECOND]
    assert hedges_after(None, 5, 5) == ()


def test_what_is_kept_comes_back_as_it_was_and_no_calendar_is_made_up_for() -> None:
    memory = Memory(
        started_ns=1, checked_ns=2, hedged_ns=3, attempts=(("delta:BTC", 4),), turnover=((5, 6.0),),
        pushes=(Push("delta:BTC", 1, 7.0),), latched=frozenset({"b", "a"}),
    )  # fmt: skip
    rig = Rig({"BTC-PERPETUAL": "400000"})
    state = replace(rig.state, memory=memory)
    assert memory_after(usage_of(state)) == replace(memory, started_ns=None, checked_ns=None)
    assert memory_after(None) == Memory()


def test_quiet_marks_write_nothing_and_the_first_of_a_day_does() -> None:
    bench = worked()
    for _ in range(3):
        bench.steps(1)
    kinds = [r.kind for r in bench.disk.records]
    written = [read(r) for r in bench.disk.records if r.kind == Kind.USAGE]
    assert 0 < len(written) < kinds.count(Kind.DECISION)
    assert all(isinstance(word, Usage) for word in written)
    first, state = written[0], bench.world.state
    assert isinstance(first, Usage)
    assert first.counters.day == state.now_ns // NS_PER_DAY
    counters = replace(state.counters, equity_usd=1.0, equity_low_usd=1.0, equity_high_usd=math.nan)
    assert not has_moved(state, replace(state, counters=counters))
    assert has_moved(state, replace(state, counters=replace(counters, fees_usd=1e9)))
    unknown = replace(state, counters=replace(counters, fees_usd=math.nan))
    assert not has_moved(unknown, replace(state, counters=replace(counters, fees_usd=math.nan)))
