"""What the paper venue does by itself: trades that no order of ours made, and changes of what it lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from pricing.contracts import Listing, Side
from risk.book import settles_daily
from venues.orders import Link, OrderState, TradeReport
from venues.paper_core import PaperCore
from venues.paper_log import Happened
from venues.paper_orders import Code

#: Draws a number from 0 to n - 1.
Draw = Callable[[int], int]


def external(core: PaperCore, variant: str, draw: Draw, fault: str) -> bool:
    """A trade that no order of ours made; False where there is nothing to do it to."""
    if variant == "bust":
        known, tradable = {t.fill.trade_id for t in core.every_trade}, core.tradable()
        standing = [
            t
            for t in core.every_trade
            if not t.fill.trade_id.endswith("-bust")
            and f"{t.fill.trade_id}-bust" not in known
            and t.fill.listing.symbol in tradable
        ]
        if not standing:
            return False
        old = standing[draw(len(standing))].fill
        side = Side.SELL if old.side is Side.BUY else Side.BUY
        fill = replace(old, side=side, fee=-old.fee, trade_id=f"{old.trade_id}-bust", time_ns=core.now_ns)
        _external_fact(core, core.record(TradeReport("", fill)), variant, fault)
    else:
        listing, side, quantity = _external_trade(core, variant, draw)
        price = core.books.price_of(core.books.row(listing)) if listing else 0.0
        if listing is None or not price > 0 or not listing.price_floor(price) > 0:
            return False
        if not core.books.fee_known(listing):
            return False
        report = core.book_trade(listing, side, quantity, listing.price_floor(price), False, "")
        _external_fact(core, report, variant, fault)
    if variant != "manual":
        core.tell(Link.UP, variant)
    return True


def _external_trade(core: PaperCore, variant: str, draw: Draw) -> tuple[Listing | None, Side, Decimal]:
    if variant == "manual":
        names = sorted(core.tradable())
        if not names:
            return None, Side.BUY, Decimal(0)
        listing = core.listings[names[draw(len(names))]]
        return listing, (Side.BUY, Side.SELL)[draw(2)], max(listing.minimum, listing.lot)
    held = {s: q for s, q in core.account.positions().items() if s in core.tradable()}
    if variant == "adl":
        held = {s: q for s, q in held.items() if settles_daily(core.listings[s])}
    if not held:
        return None, Side.BUY, Decimal(0)
    symbol = sorted(held)[draw(len(held))]
    listing = core.listings[symbol]
    half = listing.quantize_quantity(held[symbol] / 2) or held[symbol]
    return listing, Side.SELL if half > 0 else Side.BUY, abs(half)


def _external_fact(core: PaperCore, report: TradeReport, variant: str, fault: str) -> None:
    fill = report.fill
    core.log.add(
        core.now_ns,
        Happened.EXTERNAL,
        symbol=fill.listing.symbol,
        side=fill.side.value,
        quantity=fill.quantity,
        price=fill.price,
        trade_id=fill.trade_id,
        fee=fill.fee,
        currency=fill.fee_currency,
        position=core.account.position(fill.listing.symbol),
        code=variant,
        fault=fault,
    )


def relist(core: PaperCore, variant: str, draw: Draw, fault: str) -> bool:
    """A listing's tick and lot double, or it is taken off; its orders end. False: nothing is left."""
    names = sorted(core.tradable())
    if not names:
        return False
    listing = core.listings[names[draw(len(names))]]
    for order in [o for o in core.open_orders.values() if o.listing.key == listing.key]:
        core.end(order, OrderState.CANCELLED, Code.DELISTED, fault)
    if variant == "delisted":
        del core.listings[listing.symbol]
    else:
        steps = replace(listing.tick_steps, ticks=tuple(2 * t for t in listing.tick_steps.ticks))
        lot = 2 * listing.lot
        core.listings[listing.symbol] = replace(
            listing, tick_steps=steps, lot=lot, minimum=max(listing.minimum, lot)
        )
        core.books.open.pop(core.books.row(listing), None)
    core.log.add(core.now_ns, Happened.STATUS, symbol=listing.symbol, code=variant, fault=fault)
    core.tell(Link.UP, "listings_changed", f"{listing.symbol} {variant}")
    return True
