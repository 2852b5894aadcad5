"""What a venue paid at an expiry: its own settlement price corrects what was booked without it.

At an expiry the position is settled at once, at the average of the index as this engine saw it, so that the
risk is gone from the book (`hedger.core.ledger`). An engine that was away for a part of the averaging window,
or saw no index then, has another average than the venue. The venue's word is what was paid: where it differs
the difference is booked as an adjustment of its own, once for each price that the venue tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hedger.core.actions import Adjustment, AdjustmentKind, Severity
from hedger.core.state import Settled, frozen
from hedger.core.turn import Turn
from hedger.sections.execution import ns
from risk.book import Book, Position, PositionKey
from venues.orders import AccountReport

#: Amounts of money are booked to this step.
STEP = Decimal("1e-12")
#: Expiries are remembered so long, for a venue that tells of them late.
REMEMBERED_NS = 3 * 86_400 * 10**9


def on_deliveries(turn: Turn, report: AccountReport) -> None:
    """Take the venue's settlement prices: settle what still is in the book, correct what was settled."""
    for symbol, price in sorted(report.deliveries.items()):
        key = (report.venue, symbol, report.account)
        if not (price.is_finite() and price > 0):
            text = f"{report.venue} says that {symbol} was delivered at {price}: not believed"
            turn.alert(Severity.CRITICAL, "DELIVERY_ABSURD", text)
            continue
        held, settled = turn.state.book.positions.get(key), turn.state.settled.get(key)
        if held is not None and _is_over(turn, held):
            settle(turn, held, price, "the venue's price")
        elif settled is not None and settled.price != price:
            _correct(turn, key, settled, price)


def settle(turn: Turn, position: Position, price: Decimal, text: str = "") -> None:
    """Settle a position that has expired, USD per coin, and remember at what."""
    key = position.key
    venue, symbol, account = key
    earlier = turn.state.settled.get(key)  # an execution of before the expiry that was told after it
    if earlier is not None and earlier.price != price:
        _correct(turn, key, earlier, price)
    state = turn.state
    settled = with_settled(state.settled, key, Settled(position, price), turn.event.now_ns)
    turn.state = replace(state, book=state.book.settle(key, price), settled=frozen(settled))
    last_fill_ns = state.touched.get((venue, symbol), 0)
    turn.adjustments.append(
        Adjustment(
            AdjustmentKind.SETTLEMENT,
            venue,
            account,
            symbol,
            quantity=-position.quantity,
            currency=position.listing.contract.settlement,
            amount=_rounded(received(position, price)),
            price=price,
            text=text,
            key=f"settlement|{venue}|{account}|{symbol}|{position.listing.expiry_ns}|{last_fill_ns}",
        )
    )
    turn.note(f"{symbol} settled at {price}")
    turn.ask_account_soon(venue)


def with_settled(
    known: Mapping[PositionKey, Settled], key: PositionKey, settled: Settled, now_ns: int
) -> dict[PositionKey, Settled]:
    """What is remembered of expiries, with one more, which adds to one of the same contract at the same
    price; those of long ago fall away."""
    oldest = now_ns - REMEMBERED_NS
    kept = {k: s for k, s in known.items() if s.position.listing.expiry_ns >= oldest}
    if (earlier := kept.get(key)) is not None:
        old, new = earlier.position, settled.position
        both = replace(new, quantity=new.quantity + old.quantity, paid=new.paid + old.paid)
        settled = replace(settled, position=both)
    return {**kept, key: settled}


def received(position: Position, price: Decimal) -> Fraction:
    """What a position pays at a settlement price, in its settlement currency.

    Raises:
        ValueError: the contract does not expire, or the price is not > 0.
    """
    paid = Book.of([position], {}).settle(position.key, price).cash
    return sum(paid.values(), Fraction(0))


def _is_over(turn: Turn, position: Position) -> bool:
    """Whether a contract has expired: by our clock, or about now where the venue's is ahead of it."""
    expiry_ns = position.listing.expiry_ns
    grace = ns(turn.settings.desk.execution.reconcile.expiry_grace_s)
    return 0 < expiry_ns <= turn.event.now_ns + grace


def _correct(turn: Turn, key: PositionKey, settled: Settled, price: Decimal) -> None:
    position, old = settled.position, settled.price
    amount = _rounded(received(position, price) - received(position, old))
    venue, symbol, account = key
    currency = position.listing.contract.settlement
    book = turn.state.book.pay(venue, account, currency, -amount)
    remembered = {**turn.state.settled, key: Settled(position, price)}
    turn.state = replace(turn.state, book=book, settled=frozen(remembered))
    turn.adjustments.append(
        Adjustment(
            AdjustmentKind.SETTLEMENT_CORRECTED,
            venue,
            account,
            symbol,
            currency=currency,
            amount=amount,
            price=price,
            text=f"the venue delivered at {price}, {old} was booked",
        )
    )
    turn.note(f"{symbol} was delivered at {price}, {old} was booked: {amount:+f} {currency}")


def _rounded(amount: Fraction) -> Decimal:
    return Decimal(round(amount / Fraction(STEP))) * STEP
