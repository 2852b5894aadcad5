"""The whole loop on one page: one event in, the next State and a Decision out, and nothing else.

No clock, no dice, no disk, no wire: time comes with the events, what is to be done stands in the Decision.
The same state, event and settings give the same Decision and the same digest, in any process.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from hedger.core.actions import Severity
from hedger.core.commands import obey
from hedger.core.decision import Decision
from hedger.core.events import Answer, Command, Event, Failed, Refreshed, Tick
from hedger.core.gate import EngineSettings
from hedger.core.hedging import hedge
from hedger.core.key_loss import watch_keys
from hedger.core.ledger import on_trade
from hedger.core.marking import glance_of, on_marks, take
from hedger.core.outside import note_outside
from hedger.core.previewing import preview
from hedger.core.reconcile import on_account, on_update
from hedger.core.residual import watch_residual
from hedger.core.state import State
from hedger.core.turn import Turn
from hedger.core.watch import on_answer, on_failed, on_status, watch
from pricing.market import Marks
from venues.orders import AccountReport, OrderUpdate, TradeReport, VenueStatus


def decide(state: State, event: Event, settings: EngineSettings) -> tuple[State, Decision]:
    """What an event makes of the state, and what is to be done about it.

    Raises:
        ValueError: the event is one that the state has seen already: the caller lost count.
    """
    if event.seq <= state.seq:
        raise ValueError(f"event {event.seq} after event {state.seq}: events are numbered without a gap")
    if state.desk is not None:
        settings = replace(settings, desk=state.desk)
    turn = Turn(state, settings, event)
    glance = glance_of(turn, event.what) if isinstance(event.what, Marks) else None
    if glance is not None:
        marked = not take(turn, glance)
    else:
        turn.state = _at(state, event)
        marked = _happened(turn)
        watch_keys(turn, event.what)
    watch(turn)
    watch_residual(turn)
    hedge(turn, marked)
    if turn.shown is not None:
        preview(turn, turn.shown)
    note_outside(turn)
    return turn.state, turn.decision()


def _happened(turn: Turn) -> bool:
    """Work the event into the state; whether the policy is to be asked."""
    asked_for = turn.state.asked_for
    match turn.event.what:
        case Marks() as marks:
            return on_marks(turn, marks)
        case TradeReport() as trade:
            on_trade(turn, trade)
        case OrderUpdate() as update:
            on_update(turn, update)
        case AccountReport() as report:
            on_account(turn, report)
        case Answer() as answer:
            on_answer(turn, answer)
        case Failed() as failure:
            on_failed(turn, failure)
        case Refreshed(venue=venue):
            turn.alert(
                Severity.NOTE, "DEAD_MAN_ON", f"{venue} takes refreshes of its dead man's switch again"
            )
        case VenueStatus() as status:
            on_status(turn, status)
        case Command() as command:
            obey(turn, command)
            return turn.state.asked_for != asked_for
        case Tick():
            pass
        case other:
            assert_never(other)
    return False


def _at(state: State, event: Event) -> State:
    """The state at the time of the event; clocks that fall are held."""
    return state.having(
        seq=event.seq,
        now_ns=max(state.now_ns, event.now_ns),
        monotonic_ns=max(state.monotonic_ns, event.monotonic_ns),
    )
