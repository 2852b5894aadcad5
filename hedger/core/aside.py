"""Sides of listings that were refused for a reason that lasts: set aside for a while that grows, then tried
again.

A venue without margin left for an order refuses the next one like it as well, and so do our own limits: the
same leg would be planned and refused at every mark, and what else could bring the rows in would never be
tried. So the side of the listing is left out of plans for `aside_s`, twice that after the next refusal, and
so on up to `aside_s_max`; the plan goes by the others meanwhile. An order that is taken ends it, and so does
a person who arms, resumes, or asks for a hedge: they may have brought the funds.

What is of the moment (a price that moved, a rate, a session that ended) sets nothing aside: the next order is
another one. Every other code, also one that nobody has listed, speaks of the form of that order: its tick,
its lots, its size. The next order is on the terms as they are known by then, of at most half the size where
it was too large, and comes a little later, since the venue's list is on its way. `UNFIT_MAX` of them in a row
are more than a form, and set the side aside as well. One that was too large counts only where it was the
smallest there is: each half is nearer to what the venue takes.

Where no other perpetual, future or spot is left, a flatten waits for one that is set aside, for a while at
most, rather than pay for options at once (`hedger.core.flattening`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from hedger.core.actions import Severity
from hedger.core.execution import planned_again
from hedger.core.flattening import WAITS_S
from hedger.core.order_life import LOST, NOT_FOUND, OrderRecord
from hedger.core.relisted import untradable
from hedger.core.state import Aside, State, Unfit, frozen
from hedger.core.turn import Turn
from hedger.problem.allowed import allowed_sides
from hedger.problem.snapshot import Snapshot
from hedger.sections.execution import ns
from pricing.contracts import Kind, Listing, Side
from pricing.daycount import iso
from pricing.market import Flag
from risk.limit_codes import Code

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


#: Reason codes of refusals that hold for every order there, until something else changes.
LASTING = frozenset(
    {
        "insufficient_margin",
        "market_closed",
        "no_permission",
        "not_listed",
        "venue_risk_limit",
        "key_refused",
        "reduce_only_would_not_reduce",
        "listing_expired",
        "wrong_account",
    }
)
#: The code of an order that was too large.
TOO_LARGE = "above_maximum"
#: So many orders in a row are refused for their form before their side of the listing is set aside.
UNFIT_MAX = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of one order, for good. code: the venue's or our own, stable."""

    listing: Listing
    side: Side
    code: str


def on_rejected(turn: Turn, record: OrderRecord) -> None:
    """A venue has refused an order: its side of the listing is set aside where the reason lasts, and what the
    order worked for is planned anew without it. Where it speaks of that order alone, another is tried."""
    order = record.order
    if record.code in OF_THE_MOMENT or order.combo:  # the legs of a combo go singly first
        return
    times = 0 if record.code in LASTING else _unfit(turn, record)
    mine = turn.state.execution
    execution = mine if mine is not None and mine.id == record.execution else None
    halved = _halves(record)
    if halved or 0 < times < UNFIT_MAX or (times and execution is not None and execution.unwinding):
        if execution is not None:
            execution = replace(execution, rejects=max(execution.rejects - halved, 0))
            seconds = min(2.0 ** max(times, 1), turn.settings.desk.execution.refused_again_s_max)
            waiting = (
                f"an order on {order.listing.symbol} was refused ({record.code}): the next one is not due"
            )
            execution = replace(execution, again_ns=turn.now + ns(seconds), waiting=waiting)
            turn.state = replace(turn.state, execution=execution)
        return
    set_aside(turn, Refusal(order.listing, order.side, record.code))
    if execution is None or execution.unwinding:
        return
    if times:  # they count as one: what they have in common is answered
        execution = replace(execution, rejects=max(execution.rejects - times + 1, 1))
    why = f"{order.listing.venue} refused to {order.side} {order.listing.symbol} ({record.code})"
    again = planned_again(execution, why, turn.settings.desk.execution)
    turn.state = replace(turn.state, execution=again)


def _unfit(turn: Turn, record: OrderRecord) -> int:
    """Count an order that was refused for its own form; how many in a row that makes."""
    order, longest = record.order, ns(turn.settings.desk.execution.aside_s_max)
    key = (*order.listing.key, order.side.sign)
    before = turn.state.unfit.get(key)
    if before is None or turn.now >= before.at_ns + longest:
        before = Unfit(0, turn.now)
    smallest = max(order.listing.minimum, order.listing.lot)
    most = max(order.quantity / 2, smallest) if record.code == TOO_LARGE else before.most
    times = before.times if _halves(record) else before.times + 1
    turn.state = replace(turn.state, unfit=frozen({**turn.state.unfit, key: Unfit(times, turn.now, most)}))
    return times


def _halves(record: OrderRecord) -> bool:
    """Whether an order was too large, and a smaller one is left to try."""
    listing = record.order.listing
    return record.code == TOO_LARGE and record.order.quantity > max(listing.minimum, listing.lot)


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
    since_ns = before.since_ns if before is not None and again else turn.now
    aside = Aside(turn.now + ns(seconds), times, refusal.code, since_ns)
    unfit = {other: x for other, x in state.unfit.items() if other != key or x.most is not None}
    if key in unfit:  # the size that it may take is known all the same
        unfit[key] = replace(unfit[key], times=0)
    turn.state = replace(state, aside=frozen({**state.aside, key: aside}), unfit=frozen(unfit))
    text = f"{_name(key)} {_until(turn.state, aside)}"
    if known or times > 1:
        turn.note(f"{text}, refused {times} times in a row")
    else:
        meanwhile = "the plan goes by the others meanwhile"
        if state.asked_for == "flatten" and refusal.listing.contract.kind is not Kind.OPTION:
            meanwhile = f"without another that is no option the flatten waits for it, {WAITS_S:g} s at most"
        turn.alert(Severity.WARNING, "LISTING_ASIDE", f"{text}; {meanwhile}")


def told_of(turn: Turn, refusal: Refusal) -> bool:
    """Whether a person knows already that the venue, or our limits, refuse for this reason there."""
    there = (key[0] for key, aside in in_force(turn.state, turn.now) if aside.code == refusal.code)
    return refusal.listing.venue in there


def on_taken(turn: Turn, record: OrderRecord) -> None:
    """A venue has taken an order: its side of the listing is as good as any other again."""
    key = (*record.order.listing.key, record.order.side.sign)
    unfit = turn.state.unfit.get(key)
    if unfit is not None and unfit.times:
        turn.state = replace(turn.state, unfit=frozen({**turn.state.unfit, key: replace(unfit, times=0)}))
    if key in turn.state.aside:
        kept = {other: aside for other, aside in turn.state.aside.items() if other != key}
        turn.state = replace(turn.state, aside=frozen(kept))
        turn.note(f"{_name(key)} is taken again")


def try_again(turn: Turn) -> None:
    """A person has looked: everything may be tried again."""
    state = turn.state
    if state.aside or state.unfit or state.memory.shut:
        memory = replace(state.memory, shut=())
        turn.state = replace(state, aside=frozen({}), unfit=frozen({}), memory=memory)


def on_other_steps(turn: Turn, listed: Collection[tuple[str, str]]) -> None:
    """Listings are traded in other steps: what was refused there for the form of its orders alone is open."""
    state = turn.state
    over = {
        key
        for key, aside in state.aside.items()
        if key[:2] in listed and aside.code not in LASTING and aside.code not in Code.__members__
    }
    if over:
        aside = {key: aside for key, aside in state.aside.items() if key not in over}
        memory = replace(state.memory, shut=())
        turn.state = replace(state, aside=frozen(aside), memory=memory)
        turn.note(f"tried again in the new steps: {', '.join(map(_name, sorted(over)))}")


def largest_fit(state: State, now_ns: int, listed: tuple[str, str], longest_s: float) -> Decimal | None:
    """The most that one order on a listing may be, as far as its venue refused larger ones of late, order
    units; None where it refused none."""
    found = [
        unfit.most
        for sign in (+1, -1)
        if (unfit := state.unfit.get((*listed, sign))) is not None
        and unfit.most is not None
        and now_ns < unfit.at_ns + ns(longest_s)
    ]
    return min(found, default=None)


def shut_until(turn: Turn, snapshot: Snapshot, rows: Iterable[str]) -> int | None:
    """Until when rows for which no plan can be made wait, UTC: for the first of the sides of their coins that
    are set aside, and `aside_s` at most, since what else they need may come back. None: none is set aside."""
    universe = snapshot.market.universe
    coins = {row.split(":")[1] for row in rows if not row.startswith("pnl")}
    ends = [
        aside.until_ns
        for key, aside in in_force(turn.state, turn.now)
        if (at := universe.positions.get(key[:2])) is not None
        and universe.listings[at].contract.underlying in coins
    ]
    if not ends:
        return None
    left = min(min(ends) - turn.now, ns(turn.settings.desk.execution.aside_s))
    return turn.event.now_ns + left


def unquoted_until(turn: Turn, snapshot: Snapshot, rows: Iterable[str], pause_s: float) -> int | None:
    """Until when rows for which no plan can be made wait for a quote, UTC: for `pause_s`. None: every
    perpetual, future and spot market of their coins that the desk trades has one to be traded against, or is
    expired: what keeps the rows out does not go by itself."""
    market, desk = snapshot.market, turn.settings.desk
    universe, flags = market.universe, market.flags(desk.age_s_max)
    coins = {row.split(":")[1] for row in rows if not row.startswith("pnl")}
    buy, sell = allowed_sides(universe, desk)
    wanted = ~universe.is_option & (buy | sell) & (flags != Flag.OK) & (flags != Flag.EXPIRED)
    if not any(universe.listings[row].contract.underlying in coins for row in np.flatnonzero(wanted)):
        return None
    return turn.event.now_ns + ns(pause_s)


def barred(turn: Turn, snapshot: Snapshot) -> Snapshot:
    """The snapshot with what may not be traded now: what is set aside, and what the limits let out on neither
    side whatever the order."""
    positions = snapshot.market.universe.positions
    shut = {
        (row, sign): f"the limits refuse it ({why})"
        for row, why in turn.settings.shut(snapshot).items()
        for sign in (+1, -1)
    }
    for listed, why in untradable(turn.state):
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
