"""What an order meets: the checks at the door, price-time matching, and what a fill does."""

from __future__ import annotations

from decimal import Decimal, localcontext

from tests.exchanges.money import book_fill, fee_of, order_margin, summarise
from tests.exchanges.state import EXACT, State
from tests.exchanges.words import (
    HOUSE,
    ZERO,
    AccountNews,
    DuplicateRule,
    Fill,
    FillNews,
    Instrument,
    Life,
    Order,
    OrderNews,
    PostOnly,
    PublicTrade,
    Reason,
    Refusal,
    Side,
    TimeInForce,
    TradeNews,
)

_QUANTITY_MAX = Decimal("1e15")


class Matching(State):
    """The inside of `core.Exchange`; dialects call only what that has without an underscore."""

    def _tradable(self, symbol: str) -> Instrument:
        instrument = self.instruments.get(symbol)
        if instrument is None:
            raise Refusal(Reason.UNKNOWN_INSTRUMENT)
        if self.maintenance:
            raise Refusal(Reason.MAINTENANCE)
        if self.settling:
            raise Refusal(Reason.SETTLING)
        expired = instrument.expiry_ns is not None and self.now_ns >= instrument.expiry_ns
        if not instrument.active or expired:
            raise Refusal(Reason.NOT_TRADING)
        return instrument

    def _check_client_id(self, account: str, client_id: str) -> None:
        if not client_id or self.duplicates is DuplicateRule.ALLOWED:
            return
        seen = self._by_client.get((account, client_id), ())
        if self.duplicates is DuplicateRule.OPEN:
            seen = [x for x in seen if x.life is Life.OPEN]
        if seen:
            raise Refusal(Reason.DUPLICATE)

    @staticmethod
    def _check_terms(instrument: Instrument, quantity: Decimal, price: Decimal | None) -> None:
        if not quantity.is_finite() or not 0 < quantity < _QUANTITY_MAX or quantity % instrument.lot:
            raise Refusal(Reason.BAD_LOT)
        if quantity < instrument.minimum:
            raise Refusal(Reason.TOO_SMALL)
        if price is not None:
            if not price.is_finite() or not 0 < price < _QUANTITY_MAX:
                raise Refusal(Reason.BAD_PRICE)
            if price % instrument.tick_at(price):
                raise Refusal(Reason.BAD_TICK)

    def _reducing(self, account: str, symbol: str, side: Side, quantity: Decimal) -> Decimal:
        """What of an order reduces the position.

        Raises:
            Refusal: nothing of it.
        """
        position = self.account(account).positions.get(symbol)
        held = position.quantity if position else ZERO
        if held * side.sign >= 0:
            raise Refusal(Reason.NOT_REDUCING)
        return min(quantity, abs(held))

    def _placed(
        self, instrument: Instrument, side: Side, price: Decimal | None, post_only: PostOnly
    ) -> Decimal | None:
        """The price an order is placed at: its own, or off the touch where it must not take."""
        touch = self.books[instrument.symbol].side(side.other).best()
        if price is None or touch is None or post_only in (PostOnly.OFF, PostOnly.CANCEL):
            return price
        if (price - touch) * side.sign < 0:
            return price
        if post_only is PostOnly.REJECT:
            raise Refusal(Reason.WOULD_TAKE)
        return touch - instrument.tick_at(touch) * side.sign

    def _check_funds(
        self,
        account: str,
        instrument: Instrument,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        instead_of: Order | None = None,
    ) -> None:
        if account == HOUSE:
            return
        with localcontext(EXACT):
            currency, needed = order_margin(self, account, instrument, side, quantity, price)
            free = summarise(self, account, currency, without=instead_of).available
            if needed > 0 and needed > free:
                raise Refusal(Reason.NO_FUNDS, f"{needed:.8f} {currency} needed, {free:.8f} free")

    def _own(self, account: str, order_id: int) -> Order:
        order = self.order(account, order_id)
        if order.life is not Life.OPEN:
            raise Refusal(Reason.ALREADY_CLOSED)
        return order

    def _remember(self, order: Order) -> None:
        self.orders[order.order_id] = order
        self._open[order.order_id] = order
        if order.client_id:
            self._by_client.setdefault((order.account, order.client_id), []).append(order)
        self.truth.note(
            self.now_ns, "order", account=order.account, order_id=order.order_id, client_id=order.client_id,
            symbol=order.symbol, side=order.side.value, quantity=order.quantity, price=order.price,
            time_in_force=order.time_in_force.value, reduce_only=order.reduce_only,
        )  # fmt: skip

    def _house_order(self, symbol: str, side: Side, quantity: Decimal, price: Decimal | None) -> Order:
        now = self.now_ns
        return Order(
            self._id("order"), HOUSE, "", self.instruments[symbol], side, quantity, price, TimeInForce.GTC,
            PostOnly.OFF, False, now, now,
        )  # fmt: skip

    def _shrink(self, order: Order, by: Decimal) -> Decimal:
        """Take up to so much off a house order; how much it was."""
        book = self.books[order.symbol]
        if order.remaining <= by:
            book.remove(order)
            return order.remaining
        assert order.price is not None
        book.touch(order.side, order.price)
        order.quantity -= by
        return by

    def _crosses(self, order: Order, price: Decimal) -> bool:
        return order.price is None or (order.price - price) * order.side.sign >= 0

    def _enough(self, order: Order) -> bool:
        """Whether a fill-or-kill order fills whole."""
        found = ZERO
        for price, quantity in self.books[order.symbol].side(order.side.other).levels():
            if not self._crosses(order, price) or found >= order.remaining:
                break
            found += quantity
        return found >= order.remaining

    def _run(self, order: Order, *, new: bool = True) -> list[Fill]:
        """Match an order against the book and rest or end what is left."""
        book = self.books[order.symbol]
        opposite = book.side(order.side.other)
        mine: list[Fill] = []
        client = order.account != HOUSE
        touch = opposite.best()
        takes = touch is not None and self._crosses(order, touch)
        if order.post_only is PostOnly.CANCEL and takes:
            self._end(order, "post_only", resting=False)
            return mine
        if order.time_in_force is TimeInForce.FOK and not self._enough(order):
            self._end(order, "fok", resting=False)
            return mine
        while order.remaining > 0:
            best = opposite.best()
            if best is None or not self._crosses(order, best):
                break
            maker = opposite.queue(best)[0]
            if client and maker.account == order.account:
                self._end(maker, "self_trade")
                continue
            room = self._room(maker)
            if room <= 0:
                self._end(maker, "reduce_only")
                continue
            mine.append(self._execute(order, maker, best, min(order.remaining, maker.remaining, room)))
        if order.remaining <= 0:
            self._finish(order)
        elif order.price is None or order.time_in_force is not TimeInForce.GTC:
            self._end(order, order.time_in_force.value if order.price is not None else "ioc", resting=False)
        else:
            order.queue = self._id("queue")
            book.add(order)
            if client and (new or order.life is Life.OPEN):
                self._tell(OrderNews(order))
        return mine

    def _room(self, maker: Order) -> Decimal:
        """What of a resting order may fill: a reduce-only one no more than there is to reduce."""
        if not maker.reduce_only:
            return maker.remaining
        position = self.account(maker.account).positions.get(maker.symbol)
        held = position.quantity if position else ZERO
        return max(-held * maker.side.sign, ZERO)

    def _execute(self, taker: Order, maker: Order, price: Decimal, quantity: Decimal) -> Fill:
        """One trade between two orders; the taker's fill."""
        ids = self._trade_ids(taker.symbol)
        self.books[taker.symbol].touch(maker.side, price)
        instrument = taker.instrument
        last = self.trades[taker.symbol][-1:]
        moved = 0 if not last else (0 if price > last[0].price else 2 if price < last[0].price else 3)
        trade = PublicTrade(
            ids[0], ids[1], instrument, taker.side, quantity, price, self.now_ns,
            self.mark_price(taker.symbol), self.index_price(taker.symbol), moved,
        )  # fmt: skip
        self.trades[taker.symbol].append(trade)
        fills = []
        for order, is_maker in ((taker, False), (maker, True)):
            order.filled += quantity
            order.filled_value += quantity * price
            order.updated_ns = trade.ns
            fills.append(
                self._book_fill(order, order.account, instrument, order.side, quantity, price, is_maker, ids)
            )
        if maker.remaining <= 0:
            self.books[maker.symbol].remove(maker)
            self._finish(maker)
        elif maker.account != HOUSE:
            self._tell(OrderNews(maker))
        self._tell(TradeNews(trade))
        return fills[0]

    def _book_fill(
        self,
        order: Order | None,
        account: str,
        instrument: Instrument,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        maker: bool,
        ids: tuple[int, int],
        why: str = "trade",
    ) -> Fill:
        with localcontext(EXACT):
            index = self.index_price(instrument.symbol)
            fee, currency = fee_of(instrument, side, quantity, price, maker, index)
            realised = ZERO
            if account != HOUSE:
                realised = book_fill(self, account, instrument, side, quantity, price, fee, currency)
        fill = Fill(
            ids[0], ids[1], order.order_id if order else 0, account, order.client_id if order else "",
            instrument, side, quantity, price, maker, fee, currency, self.now_ns,
            self.mark_price(instrument.symbol), index, why, realised,
        )  # fmt: skip
        if order is not None:
            order.fee += fee
        if account != HOUSE:
            self._fills.append(fill)
            self.truth.note(
                fill.ns, "fill", account=account, trade_id=fill.trade_id, order_id=fill.order_id,
                client_id=fill.client_id, symbol=instrument.symbol, side=side.value, quantity=quantity,
                price=price, maker=maker, fee=fee, fee_currency=currency, why=why,
            )  # fmt: skip
            self._tell(FillNews(fill, order))
            self._tell(AccountNews(account, instrument.settle, instrument.symbol))
        return fill

    def _finish(self, order: Order) -> None:
        """An order has filled whole."""
        order.life, order.updated_ns = Life.FILLED, self.now_ns
        self._open.pop(order.order_id, None)
        if order.account != HOUSE:
            self._tell(OrderNews(order))

    def _end(self, order: Order, why: str, *, resting: bool = True) -> None:
        """An order ends unfilled or filled in part."""
        if resting:
            self.books[order.symbol].remove(order)
        order.life, order.why, order.updated_ns = Life.CANCELLED, why, self.now_ns
        self._open.pop(order.order_id, None)
        if order.account != HOUSE:
            self.truth.note(
                self.now_ns, "cancelled", account=order.account, order_id=order.order_id,
                client_id=order.client_id, symbol=order.symbol, filled=order.filled, why=why,
            )  # fmt: skip
            self._tell(OrderNews(order))

    def _cash(self, account: str, currency: str, amount: Decimal) -> None:
        held = self.account(account).balances
        held[currency] = held.get(currency, ZERO) + amount
