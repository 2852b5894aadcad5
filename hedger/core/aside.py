"""Sides of listings that were refused for a reason that lasts: set aside for a while that grows, then tried
again.

A venue without margin left for an order refuses the next one like it as well, and so do our own limits: the
same leg would be planned and refused at every mark, and what else could bring the rows in would never be
tried. So the side of the listing is left out of plans for `aside_s`, twice that after the next refusal, and
so on up to `aside_s_max`; the plan goes by the others meanwhile. An order that is taken ends it, and so does
a person who arms, resumes, or asks for a hedge: they may have brought the funds.

What is of the moment (a price that moved, a rate, a session that ended) sets nothing aside: the next order is
another one. A code that nobody has listed counts as lasting: that costs `aside_s` at first, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hedger.core.actions import Severity
from hedger.core.execution import planned_again
from hedger.core.order_life import LOST, NOT_FOUND, OrderRecord
from hedger.core.relisted import left_out
from hedger.core.state import Aside, State, frozen
from hedger.core.turn import Turn
from hedger.problem.snapshot import Snapshot
from hedger.sections.execution import ns
from pricing.contracts import Listing, Side
from pricing.daycount import iso

#: Reason codes of refusals that say nothing of the next order.
OF_THE_MOMENT = frozenset(
    {
        "",
        LOST,
        NOT_FOUND,
        "not_sent",
        "not_connected",
        "maintenance",
        "rate_limited",
        "too_fast",
        "clock_skew",
        "outside_price_band",
        "no_reference_price",
        "no_index_for_the_fee",
        "post_only_would_take",
        "would_trade_with_own_order",
        "quantity_filled_already",
        "session_killed",
        "timed_out",
        "server_error",
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of one order, for good. code: the venue's or our own, stable."""

    listing: Listing
    side: Side
    code: str


def on_rejected(turn: Turn, record: OrderRecord) -> None:
    """A venue has refused an order: its side of the listing is set aside where the reason lasts, and what the
    order worked for is planned anew without it."""
    order = record.order
    if record.code in OF_THE_MOMENT or order.combo:  # the legs of a combo go singly first
        return
    set_aside(turn, Refusal(order.listing, order.side, record.code))
    execution = turn.state.execution
    if execution is None or execution.id != record.execution or execution.unwinding:
        return
    why = f"{order.listing.venue} refused to {order.side} {order.listing.symbol} ({record.code})"
    again = planned_again(execution, why, turn.settings.desk.execution)
    turn.state = replace(turn.state, execution=again)


def set_aside(turn: Turn, refusal: Refusal) -> None:
    """Leave a side of a listing out of plans, for longer than the last time; a person is told once of a venue
    and a reason, while anything there is set aside for it."""
    state, config = turn.state, turn.settings.desk.execution
    known = told_of(turn, refusal)
    key = (*refusal.listing.key, refusal.side.sign)
    before = state.aside.get(key)
    again = before is not None and turn.now < before.until_ns + ns(config.aside_s_max)
    times = before.times + 1 if before is not None and again else 1
    seconds = min(config.aside_s * 2.0 ** min(times - 1, 30), config.aside_s_max)
    aside = Aside(turn.now + ns(seconds), times, refusal.code)
    turn.state = replace(state, aside=frozen({**state.aside, key: aside}))
    text = f"{_name(key)} {_until(turn.state, aside)}"
    if known or times > 1:
        turn.note(f"{text}, refused {times} times in a row")
    else:
        turn.alert(Severity.WARNING, "LISTING_ASIDE", f"{text}; the plan goes by the others meanwhile")


def told_of(turn: Turn, refusal: Refusal) -> bool:
    """Whether a person knows already that the venue, or our limits, refuse for this reason there."""
    there = (key[0] for key, aside in in_force(turn.state, turn.now) if aside.code == refusal.code)
    return refusal.listing.venue in there


def on_taken(turn: Turn, record: OrderRecord) -> None:
    """A venue has taken an order: its side of the listing is as good as any other again."""
    key = (*record.order.listing.key, record.order.side.sign)
    if key in turn.state.aside:
        kept = {other: aside for other, aside in turn.state.aside.items() if other != key}
        turn.state = replace(turn.state, aside=frozen(kept))
        turn.note(f"{_name(key)} is taken again")


def try_again(turn: Turn) -> None:
    """A person has looked: everything may be tried again."""
    if turn.state.aside:
        turn.state = replace(turn.state, aside=frozen({}))


def barred(turn: Turn, snapshot: Snapshot) -> Snapshot:
    """The snapshot with what may not be traded now: what is set aside, and what the limits let out on neither
    side whatever the order."""
    positions = snapshot.market.universe.positions
    shut = {
        (row, sign): f"the limits refuse it ({why})"
        for row, why in turn.settings.shut(snapshot).items()
        for sign in (+1, -1)
    }
    for listed, why in left_out(turn.state):
        if listed in positions:
            shut |= {(positions[listed], sign): why for sign in (+1, -1)}
    for key, aside in in_force(turn.state, turn.now):
        row = positions.get(key[:2])
        if row is not None:
            shut[row, key[2]] = _until(turn.state, aside)
    return replace(snapshot, barred=shut) if shut else snapshot


def in_force(state: State, now_ns: int) -> Iterator[tuple[tuple[str, str, int], Aside]]:
    """What is set aside at a time of the monotonic clock."""
    return ((key, aside) for key, aside in sorted(state.aside.items()) if now_ns < aside.until_ns)


def asides_said(state: State, now_ns: int) -> tuple[str, ...]:
    """A sentence for each."""
    return tuple(f"{_name(key)} {_until(state, aside)}" for key, aside in in_force(state, now_ns))


def _name(key: tuple[str, str, int]) -> str:
    venue, symbol, sign = key
    return f"{Side.BUY if sign > 0 else Side.SELL} {symbol} on {venue}"


def _until(state: State, aside: Aside) -> str:
    """Without the fraction of a second, which would make every sentence another one."""
    at_ns = state.now_ns + aside.until_ns - state.monotonic_ns
    return f"is set aside until {iso(at_ns // 10**9 * 10**9)}, refused as {aside.code}"
