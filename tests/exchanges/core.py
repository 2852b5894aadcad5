"""The matching core that every loopback exchange stands on; the dialects only translate.

`Exchange` keeps instruments, price-time books, orders, accounts, keys and its own clock, writes the ground
truth (`truth.py`) and tells its listeners what happened, synchronously and in order. A dialect

    reads   instruments, books, marks, indices, trades, and the questions below (`open_orders`, `fills`, ...)
    calls   submit, cancel, amend, cancel_all, arm_countdown; a `Refusal` carries a `Reason` to be translated
    hears   `exchange.listeners.append(f)`: f(news) for each `words.News`

and a test or the market (`world.py`) calls quote, trade, set_mark, set_index, settle, fund, outside,
transfer, maintain, list_instrument. Quantities are in the venue's own order unit, money is exact Decimal
(divisions at 34 digits). Deribit's margin rules (standard margin, no cross collateral) serve all venues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal, localcontext

from tests.exchanges.clock import NS
from tests.exchanges.matching import Matching
from tests.exchanges.state import EXACT
from tests.exchanges.words import (
    HOUSE,
    ZERO,
    AccountNews,
    Fill,
    InstrumentNews,
    Kind,
    Order,
    OrderNews,
    PlatformNews,
    Position,
    PostOnly,
    Reason,
    Refusal,
    Side,
    Summary,
    TimeInForce,
)


class Exchange(Matching):
    """One exchange: everything that happens there happens here, at once and in order."""

    def transfer(self, account: str, currency: str, amount: Decimal) -> None:
        """Cash in (or out, negative) from elsewhere."""
        held = self.account(account).balances
        held[currency] = held.get(currency, ZERO) + amount
        self.truth.note(self.now_ns, "transfer", account=account, currency=currency, amount=amount)
        self._tell(AccountNews(account, currency))

    def close_instrument(self, symbol: str, state: str = "closed") -> None:
        """Take an instrument off the market: orders are cancelled, it stays known but not active."""
        for order in [x for x in self._open.values() if x.symbol == symbol]:
            self._end(order, "instrument closed")
        instrument = replace(self.instruments[symbol], active=False)
        self.instruments[symbol] = instrument
        self.quote(symbol, (), ())
        self._tell(InstrumentNews(instrument, state))

    def maintain(self, on: bool) -> None:
        """Maintenance: questions are answered, orders refused."""
        self.maintenance = on
        self.truth.note(self.now_ns, "maintenance", on=on)
        self._tell(PlatformNews(on))

    def submit(
        self,
        account: str,
        symbol: str,
        side: Side,
        quantity: Decimal,
        price: Decimal | None = None,
        *,
        client_id: str = "",
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: PostOnly = PostOnly.OFF,
        reduce_only: bool = False,
        session: str = "",
        tag: str = "",
    ) -> tuple[Order, list[Fill]]:
        """Take an order, match it, and rest what is left. price None: market, never rests.

        Raises:
            Refusal: nothing happened.
        """
        try:
            instrument = self._tradable(symbol)
            self._check_client_id(account, client_id)
            self._check_terms(instrument, quantity, price)
            if len(self.open_orders(account)) >= self.orders_max:
                raise Refusal(Reason.TOO_MANY_ORDERS)
            if reduce_only:
                quantity = self._reducing(account, symbol, side, quantity)
            price = self._placed(instrument, side, price, post_only)
            self._check_funds(account, instrument, side, quantity, price)
        except Refusal as refusal:
            self.truth.note(
                self.now_ns, "refused", account=account, client_id=client_id, symbol=symbol, side=side.value,
                quantity=quantity, price=price, reason=refusal.reason.value,
            )  # fmt: skip
            raise
        now = self.now_ns
        order = Order(
            self._id("order"), account, client_id, instrument, side, quantity, price, time_in_force,
            post_only, reduce_only, now, now, session=session, tag=tag,
        )  # fmt: skip
        self._remember(order)
        fills = self._run(order)
        self._publish(symbol)
        return order, fills

    def cancel(self, account: str, order_id: int, why: str = "user") -> Order:
        """End an order.

        Raises:
            Refusal: not found (or another's), or already closed.
        """
        order = self._own(account, order_id)
        self._end(order, why)
        self._publish(order.symbol)
        return order

    def amend(
        self, account: str, order_id: int, quantity: Decimal | None = None, price: Decimal | None = None
    ) -> tuple[Order, list[Fill]]:
        """Change an order. Less of it at the same price keeps its place in the queue; anything else loses it.

        quantity: the new total, what has filled included.

        Raises:
            Refusal: as `submit` and `cancel`; the order stands unchanged.
        """
        order = self._own(account, order_id)
        instrument = self._tradable(order.symbol)
        wanted = order.quantity if quantity is None else quantity
        at = order.price if price is None else price
        self._check_terms(instrument, wanted, at)
        if wanted <= order.filled:
            raise Refusal(Reason.BAD_LOT, "not above what has filled")
        self._check_funds(account, instrument, order.side, wanted - order.filled, at, instead_of=order)
        at = self._placed(instrument, order.side, at, order.post_only)
        book = self.books[order.symbol]
        keeps_place = at == order.price and wanted <= order.quantity
        before = (order.quantity, order.price)
        fills: list[Fill] = []
        if keeps_place:
            assert order.price is not None
            book.touch(order.side, order.price)
        else:
            book.remove(order)
        order.quantity, order.price, order.replaced = wanted, at, True
        order.updated_ns = self.now_ns
        self.truth.note(
            self.now_ns, "amended", account=account, order_id=order.order_id, client_id=order.client_id,
            quantity=wanted, price=at, quantity_before=before[0], price_before=before[1],
        )  # fmt: skip
        if keeps_place:
            self._tell(OrderNews(order))
        else:
            fills = self._run(order, new=False)
        self._publish(order.symbol)
        return order, fills

    def cancel_all(
        self, account: str, where: Callable[[Order], bool] = lambda _: True, why: str = "user"
    ) -> list[Order]:
        """End an account's open orders that satisfy a condition."""
        ended = self.open_orders(account, where)
        for order in ended:
            self._end(order, why)
        for symbol in {x.symbol for x in ended}:
            self._publish(symbol)
        return ended

    def arm_countdown(self, account: str, name: str, seconds: float) -> None:
        """The dead man's switch: cancel all of an account's orders unless armed anew; 0 disarms.

        name: what it covers: "" all, else a symbol or a settlement currency. Fires in `pass_time`.
        """
        if seconds <= 0:
            self._countdowns.pop((account, name), None)
        else:
            self._countdowns[account, name] = self.steady_ns + int(seconds * NS)

    def pass_time(self) -> None:
        """What is due by the clock: countdowns. The shell calls it often."""
        now = self.steady_ns
        for (account, name), due in list(self._countdowns.items()):
            if now >= due:
                del self._countdowns[account, name]
                self.truth.note(self.now_ns, "countdown fired", account=account, name=name)
                self.cancel_all(account, _covered_by(name), "countdown")

    def quote(
        self,
        symbol: str,
        bids: Sequence[tuple[Decimal, Decimal]],
        asks: Sequence[tuple[Decimal, Decimal]],
    ) -> None:
        """Make the house's quotes what is given: (price, quantity). Quotes that cross a client's order trade.

        What stays at a price keeps its place in the queue; more of it goes to the back.
        """
        book = self.books[symbol]
        wanted = {Side.BUY: dict(bids), Side.SELL: dict(asks)}
        for side, levels in wanted.items():
            for price, orders in book.house(side).items():
                surplus = sum((x.remaining for x in orders), ZERO) - levels.get(price, ZERO)
                for order in reversed(orders):
                    if surplus <= 0:
                        break
                    surplus -= self._shrink(order, surplus)
        for side, levels in wanted.items():
            held = {p: sum((x.remaining for x in orders), ZERO) for p, orders in book.house(side).items()}
            for price, quantity in levels.items():
                more = quantity - held.get(price, ZERO)
                if more > 0:
                    self._run(self._house_order(symbol, side, more, price))
        self._publish(symbol)

    def trade(self, symbol: str, side: Side, quantity: Decimal, price: Decimal | None = None) -> list[Fill]:
        """The house takes: an immediate order, at any price where none is given. Its own fills."""
        order = self._house_order(symbol, side, quantity, price)
        order.time_in_force = TimeInForce.IOC
        fills = self._run(order)
        self._publish(symbol)
        return fills

    def fund(self, symbol: str, rate: Decimal) -> None:
        """Pay funding: longs pay rate x value at the mark."""
        instrument, mark = self.instruments[symbol], self.mark_price(symbol)
        with localcontext(EXACT):
            for account in self.accounts.values():
                position = account.positions.get(symbol)
                if position is None or not position.quantity or account.name == HOUSE:
                    continue
                paid = instrument.value(position.quantity, mark) * rate
                position.funding -= paid
                self._cash(account.name, instrument.settle, -paid)
                key = (account.name, instrument.settle)
                self.session_rpl[key] = self.session_rpl.get(key, ZERO) - paid
                self.truth.note(
                    self.now_ns, "funding", account=account.name, symbol=symbol, rate=rate, amount=-paid
                )
                self._tell(AccountNews(account.name, instrument.settle, symbol))

    def settle(self, symbol: str, price: Decimal) -> None:
        """Expire a future or option at a delivery price, or settle a perpetual's session at it.

        Expiry: orders end, positions become cash. Options pay max(0, ±(price - strike)) per coin, divided by
        the price where inverse.
        """
        instrument = self.instruments[symbol]
        if instrument.kind is not Kind.PERPETUAL:
            self.close_instrument(symbol, "settled")
        with localcontext(EXACT):
            for account in self.accounts.values():
                position = account.positions.get(symbol)
                if position is None or not position.quantity or account.name == HOUSE:
                    continue
                paid = self._delivery(position, price)
                self._cash(account.name, instrument.settle, paid)
                position.realised += paid if instrument.kind is not Kind.OPTION else paid - position.entry
                self.truth.note(
                    self.now_ns, "settlement", account=account.name, symbol=symbol, price=price,
                    quantity=position.quantity, amount=paid,
                )  # fmt: skip
                if instrument.kind is Kind.PERPETUAL:
                    position.entry = instrument.value(position.quantity, price)
                    self.session_rpl.pop((account.name, instrument.settle), None)
                else:
                    position.quantity = position.entry = ZERO
                self._tell(AccountNews(account.name, instrument.settle, symbol))

    def outside(
        self, account: str, symbol: str, side: Side, quantity: Decimal, price: Decimal, why: str
    ) -> Fill:
        """A trade the account never ordered: "liquidation", "adl", "bust", "manual". Books untouched."""
        instrument = self.instruments[symbol]
        return self._book_fill(
            None, account, instrument, side, quantity, price, False, self._trade_ids(symbol), why
        )

    def _delivery(self, position: Position, price: Decimal) -> Decimal:
        """Cash a position becomes at a delivery price."""
        instrument = position.instrument
        if instrument.kind is not Kind.OPTION:
            return position.unrealised(price)
        assert instrument.strike is not None
        gain = price - instrument.strike if instrument.right == "C" else instrument.strike - price
        coins = max(gain, ZERO) / (price if instrument.inverse else Decimal(1))
        return position.quantity * instrument.multiplier * coins


def _covered_by(name: str) -> Callable[[Order], bool]:
    """Whether a countdown of this name covers an order."""
    return lambda order: not name or name in (order.symbol, order.instrument.settle)


__all__ = ["EXACT", "Exchange", "Summary"]
