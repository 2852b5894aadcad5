"""The controls C1 to C20 of one order, each a function that yields what it finds. Nothing is repaired here.

A number that is missing is a finding of its own, never a pass: every comparison is written so that NaN
refuses. At its limit an order passes, beyond it not. Where the book is beyond a limit already, an order is
refused only for the side that it moves further out: the way back is never barred.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from pricing.contracts import Kind, Listing, Side
from pricing.daycount import NS_PER_SECOND
from risk.corners import gross_usd, order_effect, row_range
from risk.holdings import Holdings
from risk.limit_codes import Code, Finding
from risk.limit_findings import ROUNDING, Check, at_least, at_most, missing
from risk.limit_purpose import c8_purpose
from risk.limit_request import Pending, Request, Stand, Style, Surroundings
from risk.limit_terms import Limits, PermissionLimits, allows

GREEKS = ("delta", "gamma", "gamma_expiring", "vega")
BPS = 1e4
_DAY_S = 86_400


def c1_standing(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C1: mode, kill latch, role; while reducing, no worst-case exposure may grow."""
    if around.latched is None:
        yield missing("kill latch")
    elif around.latched:
        yield Finding(Code.KILL_LATCH)
    if not around.may_trade:
        yield Finding(Code.ROLE)
    if around.stand is Stand.REDUCING:
        for name, before, after in _measures(request, around):
            if math.isnan(before) or math.isnan(after):
                yield missing(name, around.incomplete)
            elif after > before + ROUNDING * abs(before):
                yield Finding(Code.RAISES_RISK_REDUCING, f"{name} {after:.10g}", f"at most {before:.10g}")
    elif around.stand is not Stand.ARMED:
        yield Finding(Code.NOT_ARMED, f"mode {around.stand}", "armed, or reducing")


def _measures(request: Request, around: Surroundings) -> Iterator[tuple[str, float, float]]:
    """(name, worst size before, worst size after) of every row that the order may move."""
    for greek in GREEKS:
        row = f"{greek}:{request.listing.contract.underlying}"
        if order_effect(row, request) == 0:
            continue
        before, after = (row_range(row, around, order) for order in (None, request))
        # A NaN must stay: max() would lose it.
        yield row, _size(before), _size(after)


def _size(ends: tuple[float, float]) -> float:
    return math.nan if math.isnan(sum(ends)) else max(abs(ends[0]), abs(ends[1]))


def c2_allowed(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C2: venues, coins, kinds, instruments."""
    yield from permission_findings(request.listing, limits.permission)


def permission_findings(listing: Listing, permission: PermissionLimits) -> Iterator[Finding]:
    """What stands against any order on a listing."""
    contract = listing.contract
    for code, names, name in (
        (Code.VENUE_NOT_ALLOWED, permission.venues, listing.venue),
        (Code.UNDERLYING_NOT_ALLOWED, permission.underlyings, contract.underlying),
        (Code.KIND_NOT_ALLOWED, permission.kinds, Kind(contract.kind).name.lower()),
    ):
        if not allows(names, name):
            yield Finding(code, name, ", ".join(sorted(names)) or "none")
    if allows(permission.denied_symbols, listing.symbol):
        yield Finding(Code.SYMBOL_DENIED, listing.symbol)


def c3_price(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C3: distance from mid, from what the index implies, from our last fill; reach through the touch.

    In bps of the price compared with; of options in bps of the underlying, which is 1 coin or the index.
    """
    book, most, price = around.book, limits.price, float(request.price)
    mid = 0.5 * (book.bid + book.ask)
    pairs = [
        (Code.PRICE_FAR_FROM_MID, "distance from mid", mid, most.mid_bps_max),
        (Code.PRICE_FAR_FROM_INDEX, "distance from the index", book.fair, most.index_bps_max),
    ]
    if book.last_fill is not None:
        pairs.append(
            (Code.PRICE_FAR_FROM_LAST_FILL, "distance from last fill", book.last_fill, most.last_fill_bps_max)
        )
    for code, name, compared, bps_max in pairs:
        yield from at_most(code, name, _bps(request, abs(price - compared), compared), bps_max, "bps")
    touch = book.ask if request.side is Side.BUY else book.bid
    beyond = _bps(request, request.side.sign * (price - touch), touch)
    yield from at_most(
        Code.PRICE_THROUGH_TOUCH, "reach through the touch", beyond, most.through_touch_bps_max, "bps"
    )


def _bps(request: Request, difference: float, price: float) -> float:
    """A difference of prices in bps; rounded, or a price on its limit would stand beyond it by the last bit
    of 0.429 - 0.424."""
    return round(difference / _scale(request, price) * BPS, 9)


def _scale(request: Request, price: float) -> float:
    """What bps are counted of; NaN where that is no positive number."""
    contract = request.listing.contract
    if contract.kind is Kind.OPTION:
        price = 1.0 if contract.inverse else request.facts.index
    return price if price > 0 else math.nan


def c4_size(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C4: coins and USD of one order."""
    most = limits.order
    for code, name, per_unit, largest, unit in (
        (Code.ORDER_TOO_LARGE, "size", request.coins_per_unit, most.coin_max, "coins"),
        (Code.ORDER_NOTIONAL, "notional", request.usd_per_unit, most.notional_usd_max, "USD"),
    ):
        size = float(request.quantity) * per_unit if per_unit >= 0 else math.nan
        yield from at_most(code, name, size, largest, unit)


def c5_exact(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C5: tick, lot and minimum, in decimals."""
    listing = request.listing
    if not (request.price.is_finite() and request.quantity.is_finite()):
        yield missing("price or quantity")
        return
    tick = listing.tick_steps.at(request.price)
    if Fraction(request.price) % Fraction(tick):
        yield Finding(Code.OFF_TICK, f"price {request.price}", f"multiples of {tick}")
    if Fraction(request.quantity) % Fraction(listing.lot):
        yield Finding(Code.OFF_LOT, f"quantity {request.quantity}", f"multiples of {listing.lot}")
    if request.quantity < listing.minimum or request.quantity <= 0:
        yield Finding(Code.BELOW_MINIMUM, f"quantity {request.quantity}", f"at least {listing.minimum}")


def c6_positions(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C6: worst-case notional of instrument, coin, venue and everything."""
    gross, mine, most = gross_usd(around, request), request.listing, limits.position
    for code, name, (before, after), usd_max in (
        (Code.POSITION_INSTRUMENT, mine.symbol, gross.instrument, most.instrument_usd_max),
        (Code.POSITION_UNDERLYING, mine.contract.underlying, gross.underlying, most.underlying_usd_max),
        (Code.POSITION_VENUE, mine.venue, gross.venue, most.venue_usd_max),
        (Code.POSITION_FIRM, "everything", gross.firm, most.firm_usd_max),
    ):
        if after > before or math.isnan(after):
            yield from at_most(code, f"worst case of {name}", after, usd_max, "USD", _why(around))


def _why(around: Surroundings) -> str:
    """What of a worst case is owed to orders whose fate nobody knows, and to positions without a mark."""
    lost = [order for order in around.pending if order.unknown]
    told = [f"incl. {len(lost)} UNKNOWN orders: {', '.join(o.intent for o in lost[:5])}"] if lost else []
    return ", ".join([*told, around.incomplete] if around.incomplete else told)


def c7_greeks(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C7: worst-case delta, gamma, vega of the coin, on the side that the order moves; the firm's delta."""
    coin = request.listing.contract.underlying
    own = limits.greeks_of(coin)
    for greek, code, most, unit in (
        ("delta", Code.LIMIT_DELTA_EXCEEDED, own.delta_usd_max, "USD"),
        ("gamma", Code.LIMIT_GAMMA_EXCEEDED, own.gamma_usd_per_1pct_max, "USD per 1 %"),
        (
            "gamma_expiring",
            Code.LIMIT_GAMMA_EXPIRING_EXCEEDED,
            own.gamma_expiring_usd_per_1pct_max,
            "USD per 1 %",
        ),
        ("vega", Code.LIMIT_VEGA_EXCEEDED, own.vega_usd_per_point_max, "USD per point"),
    ):
        row = f"{greek}:{coin}"
        effect = order_effect(row, request)
        if effect == 0:
            continue
        low, high = row_range(row, around, request)
        usd = around.usd_per_row.get(row, math.nan)
        worst = (high if effect > 0 else -low) * usd if not math.isnan(effect) else math.nan
        yield from at_most(code, f"worst case of {row}", worst, most, unit, _why(around))
    yield from _firm_delta(request, around, limits)


def _firm_delta(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """Only the order's own coin can move: where its worst delta does not grow, the sum does not either."""
    mine = f"delta:{request.listing.contract.underlying}"
    before, after = (_size(row_range(mine, around, order)) for order in (None, request))
    if after <= before:
        return
    worst = 0.0
    for row in {mine, *around.rows}:
        if row.startswith("delta:"):
            worst += _size(row_range(row, around, request)) * around.usd_per_row.get(row, math.nan)
    yield from at_most(
        Code.LIMIT_FIRM_DELTA_EXCEEDED, "worst deltas", worst, limits.firm.delta_usd_max, "USD", _why(around)
    )


def c9_margin(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C9: initial and maintenance margin against the balance, if all that is out and this fill at worst."""
    view, most = around.margin, limits.margin
    excused = allows(most.unproven_venues, request.listing.venue)
    if view is None or not view.proven:
        if not excused:
            yield Finding(Code.MARGIN_UNKNOWN, "" if view is None else view.reason, "a proven margin")
            return
        if view is None or math.isnan(view.initial_after):
            return
    for code, name, before, after, share_max in (
        (Code.MARGIN_INITIAL, "initial", view.initial_before, view.initial_after, most.initial_share_max),
        (
            Code.MARGIN_MAINTENANCE,
            "maintenance",
            view.maintenance_before,
            view.maintenance_after,
            most.maintenance_share_max,
        ),
    ):
        old, new = _share(before, view.balance_before), _share(after, view.balance_after)
        pays = view.balance_after < view.balance_before
        if math.isnan(new) or math.isnan(old):
            yield missing(f"{name} margin or balance")
        elif new > old or after > before or (new == math.inf and pays and after == before):
            yield from at_most(code, f"{name} margin", new, share_max, "of the balance")


def _share(margin: float, balance: float) -> float:
    if math.isnan(margin) or math.isnan(balance):
        return math.nan
    if margin <= 0:
        return 0.0 if balance >= 0 else math.inf  # more is paid than there is
    return margin / balance if balance > 0 else math.inf


def c10_ages(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C10: ages of book, index, vol (of options), positions, and the clock's offset."""
    ages, most = around.ages, limits.age
    rows = [
        (Code.STALE_BOOK, "age of the book", ages.book, most.book_s_max),
        (Code.STALE_INDEX, "age of the index", ages.index, most.index_s_max),
        (Code.STALE_POSITIONS, "age of the positions", ages.positions, most.positions_s_max),
        (Code.CLOCK_OFFSET, "clock offset", ages.clock_offset, most.clock_offset_s_max),
    ]
    if request.listing.contract.kind is Kind.OPTION:
        rows.insert(2, (Code.STALE_VOL, "age of the vol", ages.vol, most.vol_s_max))
    for code, name, age, age_max in rows:
        yield from at_most(code, name, abs(age), age_max, "s")


def c11_book(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C11: two sides, uncrossed, no message lost, depth on the other side."""
    book = around.book
    if book.continuous is None:
        yield missing("continuity of the book")
    elif not book.continuous:
        yield Finding(Code.BOOK_GAP)
    if not all(x > 0 for x in (book.bid, book.ask, book.bid_size, book.ask_size)):
        yield Finding(
            Code.BOOK_ONE_SIDED, f"bid {book.bid:g} x {book.bid_size:g}, ask {book.ask:g} x {book.ask_size:g}"
        )
        return
    if book.bid >= book.ask:
        yield Finding(Code.BOOK_CROSSED, f"bid {book.bid:.10g}, ask {book.ask:.10g}")
    size = book.ask_size if request.side is Side.BUY else book.bid_size
    yield from at_least(
        Code.BOOK_THIN, "depth at the touch", size * request.usd_per_unit, limits.book.depth_usd_min, "USD"
    )


def c12_duplicate(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C12: the same id at any time; the same part of the same leg within the window."""
    window_ns = limits.order.duplicate_window_s * NS_PER_SECOND
    for old in around.recent:
        ago_ns = around.monotonic_ns - old.at_ns
        same = (
            old.parent == request.parent
            and old.key == request.listing.key
            and old.side is request.side
            and old.quantity == request.quantity
            and old.price == request.price
            and old.immediate == request.immediate
        )
        if old.intent == request.intent or (same and ago_ns < window_ns):
            yield Finding(Code.DUPLICATE_INTENT, f"{old.intent}, {ago_ns / NS_PER_SECOND:.6g} s ago")
            return
    if any(order.intent == request.intent for order in around.pending):
        yield Finding(Code.DUPLICATE_INTENT, f"{request.intent} is alive")


def c13_rate(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C13: credits of the venue's bucket, less those kept for cancels; orders within the window."""
    rate = limits.rate_of(request.listing.venue)
    yield from at_least(
        Code.RATE_CREDITS, "credits left", around.credits - 1.0, float(rate.cancel_reserve), ""
    )
    yield from at_most(
        Code.RATE_MESSAGES, "orders in the window", around.messages + 1.0, float(rate.messages_max), ""
    )


def c14_repeats(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C14: hedges to no effect."""
    if math.isnan(around.fruitless):
        yield missing("number of hedges without effect")
    elif around.fruitless >= limits.repeat.fruitless_max:
        yield Finding(
            Code.FRUITLESS_HEDGES, f"{around.fruitless:g} hedges", f"fewer than {limits.repeat.fruitless_max}"
        )


def c15_budgets(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C15: loss, fees and slippage of the day, this order's expected costs included."""
    budget, day = limits.budget, around.day
    if budget.after == "reduce_only" and request.reduce_only:
        return
    unknown = ", ".join(filter(None, (day.unknown, around.incomplete)))
    yield from at_most(Code.BUDGET_LOSS, "loss of the day", -day.pnl_usd, budget.loss_usd_max, "USD", unknown)
    fees = day.fee_usd + _paid(request.fee_usd)
    yield from at_most(Code.BUDGET_FEES, "fees of the day", fees, budget.fee_usd_max, "USD", day.unknown)
    slippage = day.slippage_usd + _paid(request.slippage_usd)
    yield from at_most(Code.BUDGET_SLIPPAGE, "slippage of the day", slippage, budget.slippage_usd_max, "USD")


def _paid(cost: float) -> float:
    """A cost, of which a hoped-for gain is none; NaN stays."""
    return 0.0 if cost < 0 else cost


def c16_self_trade(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C16: the venue's prevention is on, and no order of any account of ours would be met."""
    if limits.self_trade.prevention_required and not around.self_trade_prevention:
        yield Finding(Code.SELF_TRADE_PREVENTION_OFF)
    for order in around.pending:
        if order.listing.key != request.listing.key or order.reserved * request.signed >= 0:
            continue
        if (request.price - order.price) * request.side.sign >= 0:
            yield Finding(Code.SELF_TRADE, f"{order.intent} at {order.price}", f"not {request.price}")
            return


def c17_flags(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C17: flags as intended; a maker does not take; reduce-only closes no more than there is."""
    if not (request.price.is_finite() and request.price > 0):
        yield Finding(Code.STYLE, f"price {request.price}", "a limit price")
    makes = request.style is Style.MAKE
    if request.post_only is not makes or request.immediate is makes:
        flags = f"post-only {request.post_only}, immediate {request.immediate}"
        yield Finding(Code.STYLE, flags, "post-only and resting" if makes else "immediate, within its price")
    if makes:
        other = around.book.ask if request.side is Side.BUY else around.book.bid
        if math.isnan(other):
            yield missing("touch on the other side")
        elif request.side.sign * (float(request.price) - other) >= 0:
            yield Finding(Code.MAKER_CROSSES, f"price {request.price}", f"not through {other:.10g}")
    if request.reduce_only or request.purpose is None:
        yield from _closes(request, around)


def _closes(request: Request, around: Surroundings) -> Iterator[Finding]:
    """A closing order is on the other side of its account's position, and all closing orders together fit
    into it: no other account's position is closed by it."""
    place, sign = (request.listing.key, request.account), request.side.sign
    position = Holdings.of(around.held).quantity((*request.listing.key, request.account))
    same_way: list[Pending] = [
        order
        for order in around.pending
        if (order.listing.key, order.account) == place and order.reserved * sign > 0
    ]
    room = max(-position * sign, Decimal(0)) - sum((abs(o.reserved) for o in same_way), Decimal(0))
    if request.quantity > room:
        yield Finding(
            Code.REDUCE_ONLY_RAISES,
            f"quantity {request.quantity}",
            f"at most {max(room, Decimal(0))}, which position and other orders leave to be closed",
        )


def c18_open_orders(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C18: number of live orders on the venue and in all; age of the venue's oldest, monotonic."""
    mine = [order for order in around.pending if order.listing.venue == request.listing.venue]
    for name, count, most in (
        ("on the venue", len(mine) + 1, limits.order.open_venue_max),
        ("in all", len(around.pending) + 1, limits.order.open_max),
    ):
        if count > most:
            yield Finding(Code.TOO_MANY_ORDERS, f"{count} orders {name}", f"at most {most}")
    ages = [
        math.nan if order.since_ns is None else (around.monotonic_ns - order.since_ns) / NS_PER_SECOND
        for order in mine
    ]
    if ages:
        oldest = math.nan if any(map(math.isnan, ages)) else max(ages)
        yield from at_most(Code.ORDER_TOO_OLD, "age of the oldest", oldest, limits.order.age_s_max, "s")


def c19_parent(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C19: parts of a leg never exceed the leg, nor go against it."""
    if request.parent_quantity * request.signed <= 0:
        yield Finding(
            Code.CHILD_AGAINST_PARENT, f"{request.signed} of {request.parent_quantity}", "the same side"
        )
        return
    total = abs(request.parent_done + request.signed)
    if total > abs(request.parent_quantity):
        yield Finding(
            Code.CHILDREN_EXCEED_PARENT, f"{total} in all", f"at most {abs(request.parent_quantity)}"
        )


def c20_calendar(request: Request, around: Surroundings, limits: Limits) -> Iterator[Finding]:
    """C20: expiry, the daily settlement, announced maintenance."""
    calendar, now = limits.calendar, around.now_ns
    expiry = request.listing.expiry_ns
    if expiry:
        left = (expiry - now) / NS_PER_SECOND
        if left <= 0 or left < calendar.expiry_block_s:
            yield Finding(Code.NEAR_EXPIRY, f"{left:.10g} s left", f"at least {calendar.expiry_block_s:g} s")
    off = (now / NS_PER_SECOND - calendar.settlement_s) % _DAY_S
    if min(off, _DAY_S - off) < calendar.settlement_block_s:
        yield Finding(Code.SETTLEMENT_WINDOW, f"{min(off, _DAY_S - off):.6g} s from it")
    if around.maintenance is None:
        yield missing("whether the venue is under maintenance")
    elif any(first <= now <= last for first, last in around.maintenance):
        yield Finding(Code.MAINTENANCE)


#: In the order in which they are checked and reported.
CHECKS: tuple[Check, ...] = (
    c1_standing,
    c2_allowed,
    c3_price,
    c4_size,
    c5_exact,
    c6_positions,
    c7_greeks,
    c8_purpose,
    c9_margin,
    c10_ages,
    c11_book,
    c12_duplicate,
    c13_rate,
    c14_repeats,
    c15_budgets,
    c16_self_trade,
    c17_flags,
    c18_open_orders,
    c19_parent,
    c20_calendar,
)
