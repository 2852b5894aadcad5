"""The router: the latch before every send, credits kept for cancels, and every outcome told."""

from __future__ import annotations

import ast
import asyncio
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import hedger
from hedger.core.actions import (
    Action,
    Alert,
    AskAccount,
    AskOrder,
    Cancel,
    CancelAll,
    Severity,
    Submit,
    SubmitCombo,
)
from hedger.core.events import Answer, Failed, Happening, Refreshed
from hedger.engine.clock import VirtualClock
from hedger.engine.router import DECIDED_S_MAX, Router, VenueLine, outcome
from pricing.contracts import Side
from tests import builders
from venues.base import Capabilities
from venues.errors import Ambiguous, Locked, Refused, Unreachable, VenueError
from venues.orders import AccountReport, ComboOrder, Order, OrderState, OrderUpdate, TimeInForce
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings

LISTING = SimulatedMarket(
    3, settings=SimulationSettings(tenor_days=(5,), strikes_per_expiry=3, futures=0)
).universe.listings[0]
VENUE = LISTING.venue
SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Permitted:
    """A permission of no limits."""

    item: Order


def order(n: int) -> Submit:
    made = Order(f"htest-{n}-0-0", LISTING, Side.BUY, LISTING.lot, Decimal(100), TimeInForce.IOC)
    return Submit(Permitted(made))


@dataclass
class Line:
    """Notes what is asked of it."""

    rate: float = 1.0
    burst: int = 4
    dead_man_s: float | None = None
    done: list[str] = field(default_factory=list)
    name: str = VENUE

    @property
    def capabilities(self) -> Capabilities:
        can = Capabilities(True, None, False, True, True, self.rate, self.burst)
        return replace(can, timer_s=self.dead_man_s)  # not claimed, and refreshed all the same

    def submit(self, order: Order | ComboOrder) -> None:
        self.done.append(order.client_id)

    def cancel(self, client_id: str) -> None:
        self.done.append(f"cancel {client_id}")

    def cancel_all(self) -> None:
        self.done.append("cancel all")

    def ask_order(self, client_id: str) -> None:
        self.done.append(f"ask {client_id}")

    def ask_account(self, since_ns: int) -> None:
        self.done.append(f"account {since_ns}")

    def refresh(self) -> None:
        self.done.append("refresh")


def desk(**how: Any) -> tuple[Router, Line, VirtualClock, list[Happening], list[bool]]:
    line, clock, told, latch = Line(**how), VirtualClock(0), list[Happening](), [False]
    return Router([line], clock, told.append, lambda: latch[0]), line, clock, told, latch


def denied(told: list[Happening]) -> list[tuple[str, str]]:
    return [
        (t.client_id, t.code) for t in told if isinstance(t, OrderUpdate) and t.state is OrderState.DENIED
    ]


def test_cancels_go_before_questions_and_questions_before_orders() -> None:
    router, line, _, told, _ = desk()
    alert = Alert(Severity.NOTE, "X", "x")
    actions: list[Action] = [order(1), AskOrder(VENUE, "a"), alert, Cancel(VENUE, "b"), AskAccount(VENUE, 7)]
    router.perform(actions)
    assert (
        line.done == ["cancel b", "ask a", "account 7", "htest-1-0-0"][:3]
    )  # credits: 4, less 3, less 1 kept
    router, line, _, told, _ = desk(burst=40)
    router.perform(actions)
    assert line.done == ["cancel b", "ask a", "account 7", "htest-1-0-0"]
    assert told == []


def combo(n: int) -> SubmitCombo:
    """Two options as one, of ids n-0-0 and n-1-0."""
    legs = []
    for at, strike in enumerate((60_000.0, 70_000.0)):
        listing = builders.listing(builders.option(strike, "C", 30.0), f"BTC-{strike:g}-C", venue=VENUE)
        legs.append(
            Order(
                f"htest-{n}-{at}-0", listing, (Side.BUY, Side.SELL)[at], listing.lot, Decimal("0.01"),
                TimeInForce.IOC, combo=f"htest-{n}-0-0",
            )
        )  # fmt: skip
    return SubmitCombo(tuple(Permitted(leg) for leg in legs))


def test_a_combo_is_one_message_under_one_id_and_waits_like_any_order() -> None:
    router, line, _, told, latch = desk(rate=2.0, burst=4)
    router.perform([combo(1), order(2), combo(3), combo(4)])
    assert line.done == ["htest-1-0-0", "htest-2-0-0", "htest-3-0-0"] and router.waiting == 1
    router.perform([Cancel(VENUE, "htest-4-0-0")])
    assert denied(told) == [("htest-4-0-0", "taken_back")]
    latch[0] = True
    router.perform([combo(5)])
    assert denied(told)[1:] == [("htest-5-0-0", "kill_latch")] and len(line.done) == 4


def test_credits_are_kept_for_cancels() -> None:
    router, line, clock, told, _ = desk(rate=2.0, burst=4)
    router.perform([order(n) for n in range(6)])
    assert len(line.done) == 3 and router.waiting == 3  # a quarter of four is kept
    for n in range(20):
        router.perform([Cancel(VENUE, f"x{n}")])
    assert line.done[3:] == [f"cancel x{n}" for n in range(20)]  # cancels pass whatever is left
    due = router.pump()
    assert due is not None and due > clock.now_ns()
    clock.move_to(2 * SECOND)
    router.pump()
    # What has waited for over a second was decided on another book.
    assert [code for _, code in denied(told)] == ["no_credits"] * 3
    assert router.waiting == 0 and router.counts.waited_out == 3


def test_an_order_waits_for_its_credit_and_leaves_once() -> None:
    router, line, clock, _, _ = desk(rate=4.0, burst=2)
    router.perform([order(1), order(2)])
    assert line.done == ["htest-1-0-0"]
    due = router.pump()
    assert due is not None
    clock.move_to(due)
    assert router.pump() is None
    assert line.done == ["htest-1-0-0", "htest-2-0-0"]


def test_nothing_new_leaves_once_the_latch_is_set() -> None:
    router, line, clock, told, latch = desk(rate=1.0, burst=2)
    router.perform([order(1), order(2)])
    latch[0] = True
    router.perform([order(3), Cancel(VENUE, "a"), CancelAll(VENUE)])
    clock.move_to(10 * SECOND)
    router.pump()
    assert line.done == ["htest-1-0-0", "cancel a", "cancel all"]
    assert sorted(denied(told)) == [("htest-2-0-0", "mass_cancel"), ("htest-3-0-0", "kill_latch")]


def test_an_order_decided_too_long_ago_never_leaves_and_cancels_do() -> None:
    """A process that was stopped between the event and the send: what was decided rests on old quotes."""
    router, line, clock, told, _ = desk()
    decided_ns = clock.monotonic_ns()
    clock.move_to(round(DECIDED_S_MAX * SECOND))
    router.perform([order(1)], decided_ns)
    assert len(line.done) == 1  # at the limit itself it goes
    clock.move_to(round(DECIDED_S_MAX * SECOND) + 1)
    router.perform([order(2), Cancel(VENUE, "x")], decided_ns)
    assert line.done[1:] == ["cancel x"]
    assert denied(told) == [(order(2).order.client_id, "decided_long_ago")]
    assert router.counts.late == 1
    router.perform([order(3)])
    assert len(line.done) == 3


def test_an_order_cancelled_before_it_left_never_leaves() -> None:
    router, line, clock, told, _ = desk(rate=1.0, burst=2)
    router.perform([order(1), order(2)])
    router.perform([Cancel(VENUE, "htest-2-0-0")])
    clock.move_to(100 * SECOND)
    router.pump()
    assert line.done == ["htest-1-0-0", "cancel htest-2-0-0"]
    assert denied(told) == [("htest-2-0-0", "taken_back")]


def test_the_dead_mans_timer_is_restarted_well_before_it_fires() -> None:
    router, line, clock, _, _ = desk(dead_man_s=9.0)
    for second in range(12):
        clock.move_to(second * SECOND)
        router.alive()
    assert line.done == ["refresh"] * 4  # at 0, 3, 6 and 9 seconds


def test_the_last_act_is_a_mass_cancel() -> None:
    router, line, _, told, _ = desk(burst=2)
    router.perform([order(1), order(2)])
    router.cancel_everything()
    assert line.done == ["htest-1-0-0", "cancel all"]
    assert denied(told) == [("htest-2-0-0", "mass_cancel")]


@pytest.mark.parametrize("what", ["order", "account", "cancel_all"])
def test_a_question_without_an_answer_is_told_as_failed(what: str) -> None:
    error = Unreachable("VENUE_UNREACHABLE", "no answer")
    told = outcome(VENUE, what, "c", error)
    assert isinstance(told, Failed) and (told.what, told.client_id) == (what, "c")


def test_what_requests_end_with_is_told_in_the_engines_words() -> None:
    assert outcome(VENUE, "order", "c", None) == Answer(VENUE, "c", None)
    assert outcome(VENUE, "cancel_all", "", None) is None
    report = AccountReport(VENUE, "", 1, (), {}, {})
    assert outcome(VENUE, "account", "", report) is report


class SlowVenue:
    """Answers when told to."""

    name = VENUE
    capabilities = Capabilities(True, None, False, True, True, 100.0, 100)

    def __init__(self, error: BaseException | None = None) -> None:
        self.error, self.sent = error, list[str]()

    async def submit(self, order: Order | ComboOrder) -> OrderUpdate:
        self.sent.append(order.client_id)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return OrderUpdate(order.client_id, OrderState.FILLED)


def play(venue: SlowVenue, latched: list[bool]) -> tuple[list[Happening], BaseException | None]:
    told: list[Happening] = []

    async def main() -> BaseException | None:
        # it has what a line calls, and no more of the port
        line = VenueLine(venue, told.append, lambda: latched[0])  # type: ignore[arg-type]
        line.submit(order(1).order)
        latched[0] = latched[-1]
        await line.settled()
        return line.failure

    return told, asyncio.run(main())


def test_an_order_whose_venue_cannot_say_is_unknown_and_sent_once() -> None:
    venue = SlowVenue(Ambiguous("VENUE_SILENT", "no answer"))
    told, failure = play(venue, [False])
    assert [t.state for t in told if isinstance(t, OrderUpdate)] == [OrderState.UNKNOWN]
    assert (venue.sent, failure) == (["htest-1-0-0"], None)


def test_a_fault_of_the_program_leaves_the_order_unknown_and_stops_the_engine() -> None:
    venue = SlowVenue(ZeroDivisionError())
    told, failure = play(venue, [False])
    assert [t.state for t in told if isinstance(t, OrderUpdate)] == [OrderState.UNKNOWN]
    assert isinstance(failure, ZeroDivisionError)


def test_a_latch_set_between_decision_and_socket_holds_the_order_back() -> None:
    venue = SlowVenue()
    told, _ = play(venue, [False, True])
    assert venue.sent == []
    assert denied(told) == [("htest-1-0-0", "kill_latch")]


class Timed(SlowVenue):
    """Whose timer takes refreshes or not, as listed: None where it does."""

    def __init__(self, *answers: VenueError | None) -> None:
        super().__init__()
        self.answers = list(answers)

    async def refresh(self) -> None:
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer


def test_refreshes_that_are_not_taken_are_told_once_in_a_row_and_so_is_their_end() -> None:
    late, no, locked = (
        Unreachable("LATE", "late"),
        Refused("NO", "too little volume"),
        Locked("KEY_REFUSED", "no"),
    )
    venue = Timed(None, late, no, None, None, no, locked, locked, None)
    told: list[Happening] = []

    async def main() -> None:
        line = VenueLine(venue, told.append, lambda: False)  # type: ignore[arg-type]
        while venue.answers:
            line.refresh()
            await line.settled()
        assert line.failure is None

    asyncio.run(main())
    assert told == [
        Failed(VENUE, "refresh", "", "LATE", late.text()),
        Refreshed(VENUE),
        Failed(VENUE, "refresh", "", "NO", no.text()),
        Failed(VENUE, "refresh", "", "KEY_REFUSED", locked.text()),  # a lost key is told whatever was before
        Refreshed(VENUE),
    ]


def test_nobody_else_submits() -> None:
    """Only the router calls anything named submit, but for a method of that name which passes on to the one
    it takes the place of; the simulator stands for the wire itself."""
    callers = set()
    for path in Path(hedger.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "submit"
                and ast.unparse(node.func.value) != "super()"
            ):
                callers.add((path.parent.name, path.stem))
    assert {(room, name) for room, name in callers if room != "simulator"} == {("engine", "router")}
