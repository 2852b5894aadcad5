"""What time by itself calls for: orders without an answer, cancels without effect, accounts to be asked, a
kill that is not done. All by the monotonic clock that comes with the events.

An order without an answer becomes UNKNOWN and is asked after, at growing intervals; it is never sent again.
A person is told when nobody has been able to say for `alert_s`.
"""

from __future__ import annotations

from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.aside import on_other_steps
from hedger.core.events import Answer, Failed
from hedger.core.ledger import order_changed, venue_of
from hedger.core.order_life import NOT_FOUND, OrderRecord, concerned, immediate, never_had, silent
from hedger.core.reconcile import ZERO_READS, failed, on_line
from hedger.core.relisted import on_listed
from hedger.core.stamps import ACCOUNT_PATIENCE
from hedger.core.state import Mode, frozen
from hedger.core.turn import Turn
from hedger.sections.execution import WatchConfig, ns
from venues.orders import LISTING_UNREAD, Link, OrderState, VenueStatus

#: Events that say nothing of the account: of a market at rest, whose channels are joined again, least of all.
OF_THE_MARKET = frozenset({"channels_silent", LISTING_UNREAD})
#: After so many account questions without an answer in a row a person is told.
FAILURES_TOLD = 5


def watch(turn: Turn) -> None:
    """Look after every order and every venue."""
    config = turn.settings.desk.execution.watch
    for client_id in list(turn.state.orders):
        record = turn.state.orders[client_id]  # what was done for one leg of a combo is done for all
        if record.live:
            _live(turn, record, config)
        elif not record.settled:
            _owed(turn, record, config)
    _forget(turn, config)
    for name in turn.state.venues:
        _venue(turn, name, config)


def _live(turn: Turn, record: OrderRecord, config: WatchConfig) -> None:
    waited = turn.now - record.since_ns
    if record.state in (OrderState.INTENT, OrderState.SENT) and waited >= ns(config.answer_s_max):
        record = silent(record, turn.now, "no_answer")
        turn.state = turn.state.with_order(record)
    down = turn.state.venues[record.venue].link is Link.DOWN
    stuck = record.state is OrderState.OPEN and immediate(record) and waited >= ns(config.answer_s_max)
    if (record.state is OrderState.UNKNOWN or stuck) and not down:
        _ask(turn, record, config)
    record = turn.state.orders[record.order.client_id]
    unknown_for = 0 if record.silent_ns is None else turn.now - record.silent_ns
    if unknown_for >= ns(config.alert_s) and not record.alerted:
        turn.state = turn.state.with_order(replace(record, alerted=True))
        what = f"{record.order.client_id}: {_of(record)}"
        text = f"nobody could say for {config.alert_s:g} s what became of {what}"
        turn.alert(Severity.CRITICAL, "ORDER_UNKNOWN", f"{text}; it counts as filled and as not filled")
    if immediate(record) or record.state is OrderState.INTENT:
        return
    record = turn.state.orders[record.order.client_id]
    if record.cancel_ns is not None:
        if turn.now - record.cancel_ns >= ns(config.cancel_again_s):
            turn.cancel(record)
    elif waited >= ns(config.order_age_s_max) or not _wanted(turn, record):
        turn.cancel(record)


def _wanted(turn: Turn, record: OrderRecord) -> bool:
    """Whether an execution that may go on still works with the order."""
    state = turn.state
    execution = state.execution
    working = execution is not None and execution.id == record.execution
    return working and state.acting.sends and not state.paused


def _owed(turn: Turn, record: OrderRecord, config: WatchConfig) -> None:
    """An order that ended, and whose executions have not all been told: the account has them."""
    waited = turn.now - (record.done_ns or 0)
    if waited < ns(config.fills_s_max):
        return
    turn.ask_account_soon(record.venue)
    if waited >= ns(config.fills_s_max + config.alert_s) and not record.alerted:
        record = replace(record, alerted=True)
        turn.state = turn.state.with_order(record)
        text = f"{record.order.client_id}: {_of(record)} ended, and what it filled has not been told"
        turn.alert(Severity.CRITICAL, "FILLS_OWED", f"{text}; it counts as filled and as not filled")
    if not record.final and turn.state.venues[record.venue].link is not Link.DOWN:
        _ask(turn, record, config)


def _ask(turn: Turn, record: OrderRecord, config: WatchConfig) -> None:
    """Ask after an order, at intervals that double."""
    wait = min(config.ask_again_s * 2.0 ** min(max(record.asks - 1, 0), 16), config.ask_again_s_max)
    if record.asked_ns is not None and turn.now - record.asked_ns < ns(wait):
        return
    turn.ask_order(record)
    if record.asks:
        turn.ask_account_soon(record.venue)  # what one question does not find, the account may show


def _of(record: OrderRecord) -> str:
    order = record.order
    return f"{order.side} {order.quantity} {order.listing.symbol} at {order.price} on {record.venue}"


def _forget(turn: Turn, config: WatchConfig) -> None:
    """Drop orders that ended and are settled, long enough after."""
    limit = turn.now - ns(config.forget_s)
    old = {
        c for c, r in turn.state.orders.items() if (r.done_ns or 0) < limit and r.settled
    }  # cheap test first
    if old:
        kept = {c: r for c, r in turn.state.orders.items() if c not in old}
        turn.state = replace(turn.state, orders=frozen(kept))


def _venue(turn: Turn, name: str, config: WatchConfig) -> None:
    known = turn.state.venues[name]
    killing = turn.state.mode is Mode.KILLED and known.zero_reads < ZERO_READS
    if killing:
        again = ns(turn.settings.desk.execution.reconcile.kill_again_s)
        if known.cancel_all_ns is None or turn.now - known.cancel_all_ns >= again:
            turn.cancel_all(name)
    if known.link is Link.DOWN and not killing:
        return
    patience = ns(config.answer_s_max) * (1 if killing else ACCOUNT_PATIENCE)
    if known.asked_ns is not None:
        if turn.now - known.asked_ns >= patience:
            turn.ask_account(name)
    elif turn.now >= known.next_ns:
        turn.ask_account(name)


# ------------------------------------------------------------------------------------------------------- news


def on_answer(turn: Turn, answer: Answer) -> None:
    """What a venue said of one order."""
    records = concerned(turn.state.orders, answer.client_id)
    if answer.report is not None and records:
        on_line(turn, answer.report)
        for record in concerned(turn.state.orders, answer.client_id):
            if record.least > record.booked:
                turn.ask_account_soon(record.venue)  # its executions are in the account's trades
        return
    for record in records:
        if record.live:
            # "Never had it" of an order that was open, or that was just sent, is a contradiction, not an end.
            # The venue answers again: from here on it is asked as often as if it had never been silent.
            new = never_had(silent(record, turn.now, NOT_FOUND))
            turn.state = turn.state.with_order(replace(new, asks=new.not_found))
            turn.ask_account_soon(record.venue)


def on_failed(turn: Turn, failure: Failed) -> None:
    """A question or a request without an answer: whatever was asked stays as unknown as it was."""
    if failure.what == "account":
        failed(turn, failure.venue)
        if turn.state.venues[failure.venue].failures == FAILURES_TOLD:
            why = failure.text or failure.code
            text = f"{failure.venue} did not answer {FAILURES_TOLD} times in a row: {why}"
            turn.alert(Severity.CRITICAL, "ACCOUNT_UNANSWERED", text)
    elif failure.what == "submit":
        for record in concerned(turn.state.orders, failure.client_id):
            new = silent(record, turn.now, failure.code or "no_answer")
            turn.state = turn.state.with_order(new)
            order_changed(turn, record, new)
    elif failure.what == "refresh":
        why = failure.text or failure.code
        text = f"{failure.venue} did not take a refresh of its dead man's switch: {why}"
        turn.alert(Severity.WARNING, "DEAD_MAN_OFF", f"{text}; orders there may rest on if the engine dies")


def on_status(turn: Turn, status: VenueStatus) -> None:
    """A venue's link, and what it did by itself. After either the account is read again before anything is
    sent there: a dead man's timer that fired, or a session that ended, took orders away. Channels of the
    market that fell silent are told, and no more: quotes that do not come grow old by themselves."""
    name = status.venue
    known = venue_of(turn, name)
    if status.gaps is not None:
        turn.state = turn.state.with_venue(name, gaps=frozenset(status.gaps))
    if status.maintenance is not None:
        turn.state = turn.state.with_venue(name, maintenance=status.maintenance)
    if status.relisted is not None or status.gone is not None:
        on_other_steps(turn, on_listed(turn, status))
    changed = status.link is not known.link
    if not changed and not status.events:
        return
    if not changed and set(status.events) <= OF_THE_MARKET:
        _event(turn, status)
        return
    # asked_ns, cancel_all_ns: whatever was on its way when the link changed is asked for again, at once
    turn.state = turn.state.with_venue(
        name, link=status.link, reconciled_ns=None, asked_ns=None, cancel_all_ns=None, next_ns=turn.now
    )
    if status.link is not Link.DEGRADED:  # half a link is as heard or unheard as it was
        market = turn.state.market.hearing(name, status.link is Link.UP, turn.event.now_ns)
        turn.state = replace(turn.state, market=market)
    if changed:
        severity = Severity.NOTE if status.link is Link.UP else Severity.WARNING
        turn.alert(severity, f"LINK_{status.link.upper()}", f"{name} is {status.link} {status.text}".rstrip())
    if status.events:
        _event(turn, status)
    for record in list(turn.state.live_orders(name)):
        if status.link is Link.DOWN and record.state in (OrderState.INTENT, OrderState.SENT):
            turn.state = turn.state.with_order(silent(record, turn.now, "link_down"))
        elif status.link is Link.UP and changed and record.state is OrderState.UNKNOWN:
            turn.state = turn.state.with_order(replace(record, asks=0, asked_ns=None))  # asked after at once
        elif status.link is not Link.UP and record.cancel_ns is None and not immediate(record):
            turn.cancel(record)


def _event(turn: Turn, status: VenueStatus) -> None:
    text = f"{status.venue}: {', '.join(status.events)} {status.text}".rstrip()
    turn.alert(Severity.WARNING, "VENUE_EVENT", text)
