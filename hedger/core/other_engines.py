"""Another engine on our account (R10): two of them hedge one book twice, and each takes the other's fills for
drift of its own.

An engine is known by the tag in its order ids. One with another tag that has an order open, or an execution
of late, is alive as far as anybody can tell: an engine that sends halts, and none is armed before the other
has been silent for `ALIVE_S`, or a person has said that it is over (`arm --accept`), as of a journal that was
thrown away. What was accepted counts no more; the next order or execution does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.state import Mode, State, frozen
from hedger.core.turn import Turn
from hedger.sections.execution import ns
from venues.orders import AccountReport, parse_client_id

#: An engine without an order and without a fill for so long has nothing in work: by default a hedge takes at
#: most as long (`execution_s_max`), and no order rests longer than a minute (`order_age_s_max`).
ALIVE_S = 600.0


def other_tag(client_id: str, own: str) -> str:
    """The tag of the engine that made an id; "" where it is ours or nobody's.

    >>> other_tag("hk3x9-1742-0-2", "a1b2"), other_tag("hk3x9-1742-0-2", "k3x9"), other_tag("web-7", "a1b2")
    ('k3x9', '', '')
    """
    found = parse_client_id(client_id)
    return "" if found is None or found[0] == own else found[0]


def on_order_seen(turn: Turn, report: AccountReport, client_id: str) -> None:
    """An open order that was not there before."""
    _seen(turn, report.venue, report.account, client_id, f"order {client_id} is open")


def on_execution_seen(turn: Turn, venue: str, account: str, client_id: str, time_ns: int) -> None:
    """An execution; one of long ago says nothing about now."""
    if turn.event.now_ns - time_ns <= ns(ALIVE_S):
        _seen(turn, venue, account, client_id, f"an order of it, {client_id}, has just filled")


def still_open(turn: Turn, report: AccountReport) -> None:
    """Orders that were told of, and are open still, keep their engine alive, unless a person has said that it
    is over."""
    state = turn.state
    open_now = {
        (report.venue, report.account, other_tag(line.client_id, turn.settings.tag))
        for line in report.orders
        if not line.state.terminal
    }
    if again := open_now & state.others.keys():
        turn.state = replace(state, others=frozen({**state.others, **dict.fromkeys(again, turn.now)}))


def _seen(turn: Turn, venue: str, account: str, client_id: str, what: str) -> None:
    tag = other_tag(client_id, turn.settings.tag)
    if not tag:
        return
    state, key = turn.state, (venue, account, tag)
    news = key not in alive(state) or state.mode.sends
    turn.state = replace(state, others=frozen({**alive(state), key: turn.now}))
    if news:
        text = f"another engine, tag {tag}, trades on our account of {venue}: {what}"
        turn.alert(Severity.CRITICAL, "OTHER_ENGINE", text)
        if state.mode.sends:
            turn.turn_to(Mode.HALTED, text)


def alive(state: State) -> dict[tuple[str, str, str], int]:
    """Other engines by (venue, account, tag), and when each was last seen at work, monotonic."""
    oldest = state.monotonic_ns - ns(ALIVE_S)
    return {key: at_ns for key, at_ns in state.others.items() if at_ns >= oldest}


def told_others(state: State) -> tuple[str, ...]:
    """What stands against sending orders because of them."""
    return tuple(
        f"{venue}: another engine, tag {tag}, was seen there {(state.monotonic_ns - at_ns) / 1e9:.0f} s ago; "
        f"it counts for {ALIVE_S:g} s after its last order, or until --accept"
        for (venue, _, tag), at_ns in sorted(alive(state).items())
    )


def found_at_start(reports: Iterable[AccountReport], own: str) -> tuple[str, ...]:
    """What accounts show of other engines before an engine starts: open orders, executions of late."""
    found = []
    for report in reports:
        for line in report.orders:
            if not line.state.terminal and other_tag(line.client_id, own):
                found.append(f"{report.venue}: {line.client_id} is open")
        for trade in report.trades:
            age_ns = report.venue_ns - trade.fill.time_ns
            if other_tag(trade.client_id, own) and age_ns <= ns(ALIVE_S):
                found.append(f"{report.venue}: {trade.client_id} filled {age_ns / 1e9:.0f} s ago")
    return tuple(dict.fromkeys(found))
