"""The life of one of our orders, as far as we know it: what each piece of news makes of it.

    INTENT -> SENT -> OPEN -> FILLED | CANCELLED | EXPIRED
       \\        \\-> REJECTED
        \\        \\-> UNKNOWN -> any of these, by evidence alone
         \\-> DENIED

News comes late, twice and in any order, so three rules hold whatever comes:

- what is terminal stays terminal; late executions are still booked, and complete it to FILLED. One exception:
  an order that we gave up for lost (no venue said so) comes back when a venue shows it.
- UNKNOWN is left by evidence only: an answer that names a state, or an execution. A failed question is none,
  and neither is a single "never had it". Of an order that the venue has taken, "never had it" contradicts its
  own word: either it has forgotten the order, which it may after a while, or it speaks of another account.
- `reserved` is what may still come of it at worst, and is never less than what the venue has said was filled
  and has not been booked. Where a venue shows an order larger than it was sent (a person has amended it in
  the venue's own screen), the larger size counts from then on, whatever it shows later.

An order that goes as a leg of a combo has a life like any other: what the venue says of the combo is said of
each leg (`concerned`, `told_of`), and an execution of one leg is evidence of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from risk.book import Fill
from venues.orders import Order, OrderState, OrderUpdate, TimeInForce, TradeReport

#: Our own reason codes of an order.
NOT_FOUND = "not_found"
LOST = "lost"
#: A person has taken the venue's word that it has no such order.
ACCEPTED = "accepted"
#: Codes of orders that we gave up, and no venue said so.
GIVEN_UP = frozenset({LOST, ACCEPTED})
#: No venue forgets an order sooner after its end, seconds: Deribit keeps those of the last half hour
#: (docs.deribit.com, "accessing historical trades and orders"), OKX those of two hours, others of days.
KEPT_S_MIN = 1800.0
#: "There is such an order already" says that the first one exists, not that this one was refused.
DUPLICATE = "duplicate_client_id"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order and what is known of it; times are of the engine's monotonic clock.

    execution: the execution it works for. since_ns: when it was decided; wall_ns: the same, UTC. booked: of
    its executions, order units; paid: the sum of their price x quantity. least: what the venue has said was
    filled, at least; final: of an order that ended: that is all of it. silent_ns: since when nobody could say
    what became of it. asked_ns, asks: questions about it; not_found: how many in a row were answered "never
    had it". cancel_ns: when its cancel was last asked for. done_ns: when it ended. most: the largest size
    that the venue has shown it with, 0 where none was larger than sent; shown: its size and price as the
    venue last showed them, None while they are as sent. seen_ns: when it last said how the order stands, UTC,
    None where it has at most said that it took it; contradicted: a person was told that it denies it now.
    """

    order: Order
    execution: int
    since_ns: int
    wall_ns: int = 0
    state: OrderState = OrderState.INTENT
    booked: Decimal = ZERO
    paid: Decimal = ZERO
    least: Decimal = ZERO
    final: bool = False
    venue_order_id: str = ""
    code: str = ""
    silent_ns: int | None = None
    asked_ns: int | None = None
    asks: int = 0
    not_found: int = 0
    cancel_ns: int | None = None
    done_ns: int | None = None
    alerted: bool = False
    most: Decimal = ZERO
    shown: tuple[Decimal, Decimal] | None = None
    seen_ns: int | None = None
    contradicted: bool = False

    @property
    def taken(self) -> bool:
        """Whether its venue has ever said that it has it."""
        return bool(self.venue_order_id) or self.seen_ns is not None or self.booked > 0 or self.least > 0

    @property
    def disowned_after_all(self) -> bool:
        """Whether the venue says now that it never had what it once said it has."""
        return self.state is OrderState.UNKNOWN and self.not_found > 0 and self.taken

    def forgotten(self, now_ns: int) -> bool:
        """Whether its venue may have forgotten it by now, UTC: it was there, and was last seen long ago. One
        that was only taken, and never seen on the account, is on none, or on another."""
        if self.seen_ns is None and not self.booked:
            return False
        last_ns = self.wall_ns if self.seen_ns is None else self.seen_ns
        return now_ns - last_ns >= KEPT_S_MIN * 1e9

    @property
    def size(self) -> Decimal:
        """All that it may fill, at worst: as sent, or as the venue has shown it if that was more."""
        return max(self.order.quantity, self.most)

    @property
    def venue(self) -> str:
        """Where it is."""
        return self.order.listing.venue

    @property
    def live(self) -> bool:
        """Whether more may come of it than late executions."""
        return not self.state.terminal

    @property
    def reserved(self) -> Decimal:
        """What may still be filled at worst, order units, unsigned."""
        left = max(self.size - self.booked, ZERO)
        if not self.state.terminal:
            return left
        if self.state in (OrderState.REJECTED, OrderState.DENIED):
            return ZERO
        return max(min(self.least, self.size) - self.booked, ZERO) if self.final else left

    @property
    def settled(self) -> bool:
        """Whether nothing is owed any more: ended, and every execution told of is booked."""
        return self.state.terminal and self.reserved == 0


def heard(record: OrderRecord, update: OrderUpdate, now_ns: int) -> OrderRecord:
    """The record after an update, an answer or an account's line about the order; `now_ns` monotonic."""
    least = record.least if update.filled is None else max(record.least, update.filled)
    known = replace(
        record,
        least=least,
        venue_order_id=update.venue_order_id or record.venue_order_id,
        most=max(record.most, _larger(record, update)),
        shown=_shown(record, update),
    )
    state = _next(known, update)
    if _grown(record, known, update):
        state, known = OrderState.OPEN, replace(known, final=False)
    if state is OrderState.FILLED and update.filled is None and record.live:
        known = replace(known, least=max(least, known.size))
    if not state.terminal and known.least >= known.size:
        state = OrderState.FILLED
    # Only a word about its end says what it filled in all, and not one that knows less than was booked.
    told = update.state.terminal and update.filled is not None and update.filled >= record.booked
    if state.terminal:
        ended = record.final if not record.live else False
        known = replace(known, final=ended or told or state is OrderState.FILLED)
    return _in_state(known, state, update.code, now_ns)


def seen(record: OrderRecord, update: OrderUpdate, wall_ns: int) -> OrderRecord:
    """The record after a venue's word at a time, UTC: that it took an order shows it on no account yet."""
    told = update.filled is not None and update.state in _AT_THE_VENUE
    return replace(record, seen_ns=wall_ns) if told else record


def booked(record: OrderRecord, quantity: Decimal, now_ns: int) -> OrderRecord:
    """The record after one of its executions, which is evidence that the venue has the order."""
    total = record.booked + quantity
    known = replace(record, booked=total)
    state = record.state
    if total >= record.size:
        state, known = OrderState.FILLED, replace(known, least=max(record.least, total), final=True)
    elif state in (OrderState.INTENT, OrderState.SENT, OrderState.UNKNOWN) or record.code in GIVEN_UP:
        state, known = OrderState.OPEN, replace(known, final=False)
    elif state in (OrderState.REJECTED, OrderState.DENIED):
        # It was taken for dead and is not: what is left of it counts until the venue says what it filled.
        state, known = OrderState.CANCELLED, replace(known, final=False)
    return _in_state(known, state, record.code, now_ns)


def executed(record: OrderRecord, fill: Fill, now_ns: int) -> OrderRecord:
    """The record after an execution, with what was paid."""
    found = booked(record, fill.quantity, now_ns)
    return replace(found, paid=record.paid + fill.price * fill.quantity)


def concerned(orders: Mapping[str, OrderRecord], client_id: str) -> tuple[OrderRecord, ...]:
    """The orders that a venue speaks of by an id: one, or every leg of a combo; none of ours: empty."""
    record = orders.get(client_id)
    if record is not None and not record.order.combo:
        return (record,)
    return tuple(r for r in orders.values() if r.order.combo == client_id) if client_id else ()


def order_of(orders: Mapping[str, OrderRecord], report: TradeReport) -> OrderRecord | None:
    """The order that an execution is of; None where none of ours has its id and its contract."""
    key = report.fill.listing.key
    return next((r for r in concerned(orders, report.client_id) if r.order.listing.key == key), None)


def told_of(record: OrderRecord, update: OrderUpdate) -> OrderUpdate:
    """What an update says of one of the orders that it concerns: units of a combo as the leg's own."""
    order = record.order
    if not order.combo:
        return update
    filled = None if update.filled is None else update.filled * order.ratio
    return replace(update, client_id=order.client_id, filled=filled, quantity=None, price=None)


def beyond_its_price(legs: Sequence[OrderRecord]) -> bool:
    """Whether the executions of a combo come to more than its price; asked while they are in the ratio."""
    if len({leg.booked / leg.order.ratio for leg in legs}) > 1:
        return False
    return sum(((r.paid - r.booked * r.order.price) * r.order.side.sign for r in legs), ZERO) > 0


def never_had(record: OrderRecord) -> OrderRecord:
    """The record after one answer "never had it": counted, and no more than that."""
    return replace(record, not_found=record.not_found + 1)


def given_up(record: OrderRecord, now_ns: int, code: str = LOST) -> OrderRecord:
    """The record of an order that the venue never had, once there is enough evidence of it, or a person says
    so (code ACCEPTED)."""
    return _in_state(record, OrderState.REJECTED, code, now_ns)


def silent(record: OrderRecord, now_ns: int, code: str) -> OrderRecord:
    """The record when an answer that was due has not come, or cannot come any more."""
    return _in_state(record, OrderState.UNKNOWN, code, now_ns) if record.live else record


def closed(record: OrderRecord) -> OrderRecord:
    """The record of an ended order whose executions are all booked, as its account shows."""
    return replace(record, final=True)


def _next(record: OrderRecord, update: OrderUpdate) -> OrderState:
    """Which state an update leads to."""
    old, new = record.state, update.state
    if old.terminal:
        full = record.least >= record.size
        if old is OrderState.REJECTED and record.code in GIVEN_UP and new in _AT_THE_VENUE:
            return new
        ended = old not in (OrderState.REJECTED, OrderState.DENIED)
        return OrderState.FILLED if full and ended else old
    if new is OrderState.INTENT:
        return old
    if new is OrderState.SENT:
        return new if old is OrderState.INTENT else old
    if new is OrderState.DENIED:
        return new if old is OrderState.INTENT and not record.least else OrderState.UNKNOWN
    if new is OrderState.REJECTED:
        if update.code in (DUPLICATE, NOT_FOUND):
            return OrderState.UNKNOWN
        was_there = old is OrderState.OPEN or record.booked > 0 or record.least > 0
        return OrderState.CANCELLED if was_there else new
    if new is OrderState.FILLED and update.filled is not None and record.least < record.size:
        return OrderState.CANCELLED  # "filled" with less than the whole: ended, at what it says
    return new


def _larger(record: OrderRecord, update: OrderUpdate) -> Decimal:
    """The size that the venue shows, where it is larger than what was sent; else 0."""
    told = update.quantity
    return told if told is not None and told > record.order.quantity else ZERO


def _shown(record: OrderRecord, update: OrderUpdate) -> tuple[Decimal, Decimal] | None:
    """Size and price as the venue shows them, None where they are as sent; what it does not say is as it was.

    Of an order that may only reduce a position venues make less by themselves.
    """
    if update.quantity is None and update.price is None:
        return record.shown
    order = record.order
    size = order.quantity if update.quantity is None else update.quantity
    price = order.price if update.price is None else update.price
    same = size == order.quantity or (order.reduce_only and size < order.quantity)
    return None if same and price == order.price else (size, price)


def _grown(record: OrderRecord, known: OrderRecord, update: OrderUpdate) -> bool:
    """Whether an order that filled whole, as far as we knew its size, is larger by now and still open."""
    if record.state is not OrderState.FILLED or update.state is not OrderState.OPEN:
        return False
    return known.size > record.size and known.size > known.booked


def amended_elsewhere(old: OrderRecord, new: OrderRecord) -> bool:
    """Whether news have shown that somebody else has given an order another size or price. An order that
    cannot rest cannot be amended either."""
    return new.shown is not None and new.shown != old.shown and not immediate(new)


_AT_THE_VENUE = frozenset({OrderState.OPEN, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED})


def _in_state(record: OrderRecord, state: OrderState, code: str, now_ns: int) -> OrderRecord:
    """The record in a state, its timers set by how it came there."""
    if state is OrderState.UNKNOWN:
        since = now_ns if record.silent_ns is None else record.silent_ns
        return replace(record, state=state, code=code or record.code, silent_ns=since)
    done = None if not state.terminal else now_ns if record.done_ns is None else record.done_ns
    changed = state is not record.state
    # An open order whose silence was broken starts afresh; one that ended keeps its counts for the record.
    fresh = replace(record, alerted=False, contradicted=False) if changed else record
    if changed and not state.terminal:
        fresh = replace(fresh, asks=0, asked_ns=None)
    return replace(
        fresh,
        state=state,
        code=code if changed or not record.code else record.code,
        silent_ns=None,
        not_found=0,
        done_ns=done,
    )


def immediate(record: OrderRecord) -> bool:
    """Whether the order cannot rest: it is over as soon as the venue has looked at it."""
    return record.order.time_in_force is TimeInForce.IOC


def order_document(order: Order) -> dict[str, Any]:
    """What makes an order that order, in plain words: exact amounts as text."""
    combo = {"combo": order.combo, "ratio": order.ratio} if order.combo else {}
    return combo | {
        "client_id": order.client_id,
        "venue": order.listing.venue,
        "symbol": order.listing.symbol,
        "account": order.account,
        "side": str(order.side),
        "quantity": str(order.quantity),
        "price": str(order.price),
        "time_in_force": str(order.time_in_force),
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
    }
