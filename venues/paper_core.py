"""The inside of the paper venue, in its own time: orders, fills, funding, settlement; no latency or dice.

What it shows is in `venues.paper_books`, why it refuses in `venues.paper_checks`.

`venues.paper_exchange` lets time pass and puts latencies and faults between this and whoever trades on it.
What the venue would tell of its own accord is put into `outbox`; what really happened into the log.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

from pricing.contracts import Listing, Side
from pricing.daycount import NS_PER_SECOND
from pricing.market import Market, Marks
from pricing.universe import Universe
from risk.book import Fill
from venues.orders import (
    AccountReport,
    ComboOrder,
    Link,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    TimeInForce,
    TradeReport,
    VenueStatus,
)
from venues.paper_account import PaperAccount, fee_of
from venues.paper_book import Match, PaperBook
from venues.paper_books import VenueBooks
from venues.paper_calibration import Calibration
from venues.paper_checks import OrderChecks
from venues.paper_combos import WORST, PaperCombo, combo_fees, fillable, told_by_one_id
from venues.paper_delivery import Deliveries
from venues.paper_feed import MarketTrade
from venues.paper_log import Happened, TruthLog
from venues.paper_orders import Code, PaperOrder, reducible
from venues.paper_terms import StatedTerms


@dataclass(slots=True)
class Counts:
    """What the closing report adds up. saved: what makers got over taking, by currency of the contract."""

    batches: int = 0
    trades_seen: int = 0
    crossed: int = 0
    gaps: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    made_by_trades: int = 0
    made_by_touch: int = 0
    settled_on: dict[tuple[str, int], int] = field(default_factory=dict)  # samples of the index
    maker_edge_bps: list[float] = field(default_factory=list)


class PaperCore:
    """See the module. `now_ns` is set by whoever lets time pass; it never falls."""

    def __init__(
        self, venue: str, universe: Universe, terms: StatedTerms, account: PaperAccount, start_ns: int
    ) -> None:
        self.venue = venue
        self.now_ns = start_ns
        self.terms = terms
        self.account = account
        self.books = VenueBooks(venue, universe, terms, start_ns)
        self.deliveries = Deliveries()
        self.log = TruthLog()
        self.outbox: list[OrderUpdate | TradeReport | VenueStatus] = []
        self.counts = Counts()
        self.calibration = Calibration()
        self.maintenance_until_ns = 0
        self._orders: dict[str, list[PaperOrder | PaperCombo]] = {}
        self._numbered: list[PaperOrder] = []
        self.open_orders: dict[int, PaperOrder] = {}
        self.every_trade: list[TradeReport] = []
        self.checks = OrderChecks(terms, account, self.books, self.open_orders, self._orders)
        self._delivered: dict[str, tuple[int, Decimal]] = {}
        self._fed_ns = self._accrued_ns = start_ns
        for symbol, quantity in sorted(account.positions().items()):
            self.log.add(start_ns, Happened.OPENED, symbol=symbol, position=quantity)
        for currency, amount in sorted(account.balances({}, self._unpriced({})).items()):
            self.log.add(start_ns, Happened.OPENED, currency=currency, amount=amount)

    @property
    def universe(self) -> Universe:
        """All that it was opened with."""
        return self.books.universe

    @property
    def listings(self) -> dict[str, Listing]:
        """What is listed now, by symbol."""
        return self.books.listings

    @property
    def market(self) -> Market:
        """What it shows now."""
        return self.books.market

    # --------------------------------------------------------------------------------------------- the market

    def show(self, marks: Marks) -> None:
        """The venue's books are now these: queues advance, makers that are reached are filled."""
        self.counts.batches += 1
        if self.open_orders and self.now_ns - self._fed_ns > self.terms.rules.gap_s * NS_PER_SECOND:
            self.counts.gaps += 1
            seconds = (self.now_ns - self._fed_ns) / NS_PER_SECOND
            text = f"nothing is known of {seconds:.0f} s in which {len(self.open_orders)} orders rested"
            self.log.add(self.now_ns, Happened.FEED_GAP, text=text)
            self.tell(Link.UP, "feed_gap", text)
        self._fed_ns = self.now_ns
        self.accrue()
        for row in self.books.apply(marks):
            self._show_book(row)
        for symbol in self.calibration.watched:
            self._note_middle(symbol)
        if self.deliveries.watching:
            self._note_index()
        for expiry_ns in sorted(self.deliveries.waiting):
            self.expire(expiry_ns)

    def trade(self, trade: MarketTrade) -> None:
        """Somebody traded at the venue."""
        self.counts.trades_seen += 1
        row = self.universe.positions.get((self.venue, trade.symbol))
        if row is not None:
            self.calibration.trade(trade, self.books.usd(row, float(trade.price), float(trade.size)))
        book = self.books.open.get(-1 if row is None else row)
        if book is not None:
            before = self.counts.made_by_touch
            self._filled(book, book.trade(trade.side, trade.price, trade.size))
            self.counts.made_by_trades += self.counts.made_by_touch - before
            self.counts.made_by_touch = before

    def _note_middle(self, symbol: str) -> None:
        row = self.universe.positions[(self.venue, symbol)]
        middle = self.books.middle(row)
        if middle > 0:
            self.calibration.middle(self.now_ns, symbol, middle)

    def _show_book(self, row: int) -> None:
        book = self.books.open[row]
        matches = book.show(self.now_ns, *self.market.book(row))
        self.counts.crossed += book.crossed
        self._filled(book, matches)
        self.books.leave(row)

    def _filled(self, book: PaperBook, matches: list[Match]) -> None:
        for match in matches:
            order = self._numbered[match.key]
            if order.state is OrderState.OPEN:
                self.counts.made_by_touch += 1
                self._edge(book, order, match)
                self._fill(order, match.price, match.quantity, maker=True)
                self.outbox.append(order.update(self.now_ns))

    def _edge(self, book: PaperBook, order: PaperOrder, match: Match) -> None:
        """How much better than taking a maker's fill was, bps of its price."""
        other = book.best(Side.SELL if order.order.side is Side.BUY else Side.BUY)
        if other is not None:
            edge = (other - match.price) * order.order.side.sign / match.price
            self.counts.maker_edge_bps.append(float(edge) * 1e4)

    # ------------------------------------------------------------------------------------------------- orders

    def arrive(self, order: Order | ComboOrder) -> OrderUpdate:
        """An order reaches the matching: refused, filled, cancelled or resting when this returns."""
        if isinstance(order, ComboOrder):
            return self._arrive_combo(order)
        self._fact(Happened.RECEIVED, order)
        code = self._fault((order,))
        if code is not None:
            return self._refused(order.client_id, (order,), code)
        kept = self._kept(order)
        self._orders.setdefault(order.client_id, []).append(kept)
        self.outbox.append(kept.update(self.now_ns))
        self._meet(kept)
        return kept.update(self.now_ns)

    def _meet(self, kept: PaperOrder) -> None:
        """An order meets the book at its price: it takes what it may, and rests or ends with what is left."""
        order, before = kept.order, kept.filled
        row = self.books.row(kept.listing)
        book = self.books.at(row, self.now_ns)
        if self.books.fresh(row, self.now_ns):
            for match in book.take(self.now_ns, order.side, kept.left, order.price):
                if kept.state is OrderState.OPEN:
                    self.counts.taken += 1
                    self._fill(kept, match.price, match.quantity, maker=False)
        if kept.filled > before:
            self.outbox.append(kept.update(self.now_ns))
        if kept.state is OrderState.OPEN:
            if order.time_in_force is TimeInForce.IOC:
                self.end(kept, OrderState.CANCELLED, Code.IMMEDIATE)
            else:
                book.rest(kept.number, order.side, order.price, kept.left)
        self.books.leave(row)

    def amend(self, client_id: str, price: Decimal, quantity: Decimal) -> OrderUpdate | Code:
        """Another price and size for what is open under an id, or why not; a smaller size at the same price
        keeps its place in the queue, anything else goes to the back of it.

        What is not open is told as it stands, and stays so. quantity: what has filled included.
        """
        self.log.add(
            self.now_ns, Happened.AMEND_RECEIVED, client_id=client_id, quantity=quantity, price=price
        )
        known = self._orders.get(client_id)
        if not known or known[-1].hidden:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=Code.NOT_FOUND, venue_ns=self.now_ns)
        kept = self.live(client_id)
        if kept is None:
            return known[-1].update(self.now_ns, Code.ALREADY_DONE)
        if not (price.is_finite() and price > 0):
            return Code.TICK
        if not (quantity.is_finite() and quantity > 0):
            return Code.LOT
        before, wanted = kept.order, replace(kept.order, price=price, quantity=quantity)
        closed = self.now_ns < self.maintenance_until_ns
        code = self.checks.amend_fault(kept, wanted, self.now_ns, closed=closed)
        if code is not None:
            return code
        kept.order = wanted
        self._fact(Happened.AMENDED, wanted, kept)
        self.outbox.append(kept.update(self.now_ns))
        book = self.books.at(self.books.row(kept.listing), self.now_ns)
        if price == before.price and quantity <= before.quantity:
            book.resize(kept.number, kept.left)
        else:
            book.drop(kept.number)
            self._meet(kept)
        return kept.update(self.now_ns)

    def _arrive_combo(self, combo: ComboOrder) -> OrderUpdate:
        """A combo reaches the matching: every leg's own book is taken from, in the ratio, or none is."""
        legs = told_by_one_id(combo)
        for leg in legs:
            self._fact(Happened.RECEIVED, leg)
        code = self._fault(legs)
        if code is not None:
            return self._refused(combo.client_id, legs, code)
        kept = PaperCombo(combo, tuple(self._kept(leg) for leg in legs))
        self._orders.setdefault(combo.client_id, []).append(kept)
        self.outbox.append(kept.update(self.now_ns))
        rows = [self.books.row(part.listing) for part in kept.parts]
        books = [self.books.at(row, self.now_ns) for row in rows]
        units = Decimal(0)
        if all(self.books.fresh(row, self.now_ns) for row in rows):
            units = fillable([book.offered(leg.side) for book, leg in zip(books, legs, strict=True)], combo)
        taken = [
            book.take(self.now_ns, leg.side, units * leg.ratio, WORST[leg.side])
            for book, leg in zip(books, legs, strict=True)
        ]
        fees = combo_fees(legs, taken, [self._fee_of_taker(leg.listing) for leg in kept.parts])
        for part, matches, charged in zip(kept.parts, taken, fees, strict=True):
            for match, fee in zip(matches, charged, strict=True):
                self.counts.taken += 1
                self._fill(part, match.price, match.quantity, maker=False, fee=fee)
        if units:
            self.outbox.append(kept.update(self.now_ns))
        for part in kept.parts:
            self._over(part, OrderState.CANCELLED, Code.IMMEDIATE)
        self.outbox.append(kept.update(self.now_ns))
        for row in rows:
            self.books.leave(row)
        return kept.update(self.now_ns)

    def _refused(self, client_id: str, orders: Sequence[Order], code: Code) -> OrderUpdate:
        self.counts.rejected[code] = self.counts.rejected.get(code, 0) + 1
        for order in orders:
            self._fact(Happened.REJECTED, order, code=code)
        # A duplicate says only that the first one exists.
        state = OrderState.UNKNOWN if code is Code.DUPLICATE else OrderState.REJECTED
        return OrderUpdate(client_id, state, code=code, venue_ns=self.now_ns)

    def _kept(self, order: Order) -> PaperOrder:
        """An order that was taken."""
        kept = PaperOrder(len(self._numbered), order, self.listings[order.listing.symbol])
        self._numbered.append(kept)
        self.open_orders[kept.number] = kept
        self._fact(Happened.ACCEPTED, order, kept)
        return kept

    def _fault(self, orders: Sequence[Order]) -> Code | None:
        return self.checks.fault(orders, self.now_ns, closed=self.now_ns < self.maintenance_until_ns)

    def cancel(self, client_id: str, fault: str = "") -> OrderUpdate:
        """Cancel what is open under an id."""
        self.log.add(self.now_ns, Happened.CANCEL_RECEIVED, client_id=client_id, fault=fault)
        known = self._orders.get(client_id)
        if not known or known[-1].hidden:
            return OrderUpdate(client_id, OrderState.UNKNOWN, code=Code.NOT_FOUND, venue_ns=self.now_ns)
        live = self._live(client_id)
        if not live:
            return known[-1].update(self.now_ns, Code.ALREADY_DONE)
        for order in live:
            self.end(order, OrderState.CANCELLED, Code.BY_REQUEST)
        return live[-1].update(self.now_ns)

    def cancel_all(self, code: Code, fault: str = "") -> int:
        """Cancel every open order of the account; how many there were."""
        live = list(self.open_orders.values())
        for order in live:
            self.end(order, OrderState.CANCELLED, code, fault)
        return len(live)

    def order(self, client_id: str) -> OrderReport | None:
        """An order as the venue lists it; None: it never had it."""
        known = self._orders.get(client_id)
        if not known:
            return None
        if known[-1].hidden:
            known[-1].hidden -= 1
            return None
        return next((o for o in known if o.state is OrderState.OPEN), known[-1]).report()

    def report(self, since_ns: int | None) -> AccountReport:
        """All about the account now; trades and deliveries from `since_ns` on, None: without them."""
        self.accrue()
        since_ns = self.now_ns + 1 if since_ns is None else since_ns
        prices = self._prices()
        return AccountReport(
            venue=self.venue,
            account=self.account.name,
            venue_ns=self.now_ns,
            orders=tuple(o.report() for o in self.open_orders.values() if not o.hidden),
            positions=self.account.positions(),
            balances=self.account.balances(prices, self._unpriced(prices)),
            trades=tuple(self.every_trade[bisect_left(self.every_trade, since_ns, key=_time) :]),
            since_ns=since_ns,
            deliveries={s: price for s, (at_ns, price) in self._delivered.items() if at_ns >= since_ns},
        )

    def tradable(self) -> set[str]:
        """Symbols of what trades now."""
        return {s for s, x in self.listings.items() if not x.expiry_ns or x.expiry_ns > self.now_ns}

    @property
    def every_order(self) -> Sequence[PaperOrder]:
        """All orders ever accepted, oldest first."""
        return self._numbered

    def live(self, client_id: str) -> PaperOrder | None:
        """The open order under an id."""
        return next(iter(self._live(client_id)), None)

    def _live(self, client_id: str) -> list[PaperOrder]:
        """What is open under an id; a combo is over when it has arrived."""
        known = self._orders.get(client_id, ())
        return [o for o in known if isinstance(o, PaperOrder) and o.state is OrderState.OPEN]

    def hide(self, client_id: str, questions: int) -> None:
        """Let the next questions about an order find nothing."""
        for order in self._orders.get(client_id, ()):
            order.hidden = questions

    def force_fill(self, order: PaperOrder, quantity: Decimal, fault: str) -> None:
        """Fill a resting order at its own price whatever the book says: a fault's doing."""
        self._fill(order, order.order.price, quantity, maker=True, fault=fault)
        book = self.books.open.get(self.books.row(order.listing))
        if book is not None:
            book.drop(order.number)
            if order.state is OrderState.OPEN:
                book.rest(order.number, order.order.side, order.order.price, order.left)
        self.outbox.append(order.update(self.now_ns))

    def _fill(
        self,
        kept: PaperOrder,
        price: Decimal,
        quantity: Decimal,
        *,
        maker: bool,
        fault: str = "",
        fee: Decimal | None = None,
    ) -> None:
        order, listing = kept.order, kept.listing
        if order.reduce_only:
            quantity = min(
                quantity, reducible(order.side, listing, self.account.position(listing.symbol), Decimal(0))
            )
        if quantity > 0:
            report = self.book_trade(listing, order.side, quantity, price, maker, order.client_id, fee)
            kept.filled += quantity
            if kept.left == 0:
                kept.state = OrderState.FILLED
                self.open_orders.pop(kept.number, None)
            self._fact(Happened.FILLED, order, kept, report=report, fault=fault)
        if (
            order.reduce_only
            and kept.left
            and not reducible(order.side, listing, self.account.position(listing.symbol), Decimal(0))
        ):
            self.end(kept, OrderState.CANCELLED, Code.REDUCE_ONLY)

    def book_trade(
        self,
        listing: Listing,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        maker: bool,
        client_id: str,
        fee: Decimal | None = None,
    ) -> TradeReport:
        """An execution on the account. fee: None: what the listing's terms come to."""
        self.accrue()
        if fee is None:
            fee = self._fee(listing, quantity, price, maker=maker)
        fill = Fill(
            listing=listing,
            side=side,
            quantity=quantity,
            price=price,
            fee=fee,
            fee_currency=listing.contract.settlement,
            account=self.account.name,
            trade_id=f"{self.venue}-t{len(self.every_trade)}",
            time_ns=self.now_ns,
        )
        usd = self.books.usd(self.books.row(listing), float(price), float(quantity))
        self.calibration.fill(self.now_ns, listing.symbol, side, float(price), usd, maker=maker)
        return self.record(TradeReport(client_id, fill, maker))

    def _fee(self, listing: Listing, quantity: Decimal, price: Decimal, *, maker: bool) -> Decimal:
        index = self.books.index(listing)
        return fee_of(self.terms.fees, listing, quantity, price, maker=maker, index=index)

    def _fee_of_taker(self, listing: Listing) -> Callable[[Decimal, Decimal], Decimal]:
        return partial(self._fee, listing, maker=False)

    def record(self, report: TradeReport) -> TradeReport:
        """An execution as it stands, on the account and in the news."""
        self.account.apply(report.fill)
        self.every_trade.append(report)
        self.outbox.append(report)
        return report

    def end(self, kept: PaperOrder, state: OrderState, code: Code, fault: str = "") -> None:
        """An open order ends unfilled in part or whole."""
        if self._over(kept, state, code, fault):
            self.outbox.append(kept.update(self.now_ns))

    def _over(self, kept: PaperOrder, state: OrderState, code: Code, fault: str = "") -> bool:
        """The same without telling; whether it was open."""
        if kept.state is not OrderState.OPEN:
            return False
        kept.state, kept.code = state, code
        del self.open_orders[kept.number]
        book = self.books.open.get(self.books.row(kept.listing))
        if book is not None:
            book.drop(kept.number)
        what = Happened.EXPIRED if state is OrderState.EXPIRED else Happened.CANCELLED
        self._fact(what, kept.order, kept, code=code, fault=fault)
        return True

    # ------------------------------------------------------------------------------ time: funding, settlement

    def accrue(self) -> None:
        """Let funding run until now at the rates known so far."""
        elapsed, self._accrued_ns = self.now_ns - self._accrued_ns, self.now_ns
        if elapsed <= 0 or not self.account.book.positions:
            return
        terms_of = {}
        for held in self.account.book.daily:
            if not held.quantity:
                continue
            symbol = held.listing.symbol
            row = self.universe.positions[(self.venue, symbol)]
            terms_of[symbol] = (float(self.market.funding_rate[row]), self.books.price_of(row))
        self.account.accrue(elapsed, terms_of)

    def fund(self) -> None:
        """Pay the funding that has run up."""
        self.accrue()
        for symbol, currency, amount in self.account.pay_funding():
            self.log.add(self.now_ns, Happened.FUNDING, symbol=symbol, currency=currency, amount=-amount)

    def pay_out_gains(self) -> None:
        """The daily settlement of perpetuals and futures."""
        prices = self._prices()
        for symbol, currency, amount in self.account.pay_out_gains(prices):
            self.log.add(
                self.now_ns,
                Happened.SETTLED,
                symbol=symbol,
                currency=currency,
                amount=amount,
                position=self.account.position(symbol),
                code="daily",
            )

    def open_window(self, expiry_ns: int) -> None:
        """The averaging window of an expiry begins: the index known now counts from here."""
        self.deliveries.open({x.contract.underlying for x in self._expiring(expiry_ns)}, expiry_ns)
        self._note_index()

    def expire(self, expiry_ns: int) -> None:
        """Orders on what expires end; its positions are settled: at the average of the index in the window,
        where nothing was seen in it at the last index known, and where none ever was they wait for one."""
        self.accrue()
        self.deliveries.waiting.discard(expiry_ns)
        for listing in self._expiring(expiry_ns):
            for order in [o for o in self.open_orders.values() if o.listing.key == listing.key]:
                self.end(order, OrderState.EXPIRED, Code.LISTING_EXPIRED)
            if self.account.key(listing.symbol) not in self.account.book.positions:
                continue
            key = (listing.contract.underlying, expiry_ns)
            price, samples = self.deliveries.price(*key)
            price = price or self.books.last_index(key[0])
            if price is None:
                self.deliveries.waiting.add(expiry_ns)
                continue
            self.counts.settled_on[key] = samples
            currency, amount = self.account.settle(listing.symbol, price)
            self._delivered[listing.symbol] = self.now_ns, price
            self.log.add(
                self.now_ns,
                Happened.SETTLED,
                symbol=listing.symbol,
                price=price,
                currency=currency,
                amount=amount,
                position=Decimal(0),
                code="expiry",
            )
            self.tell(Link.UP, "settlement", f"{listing.symbol} at {price}: {amount} {currency}")
        self.deliveries.close(expiry_ns)

    def _expiring(self, expiry_ns: int) -> list[Listing]:
        return [x for x in self.books.known().values() if x.expiry_ns == expiry_ns]

    def _note_index(self) -> None:
        self.deliveries.note(self.now_ns, self.books.spot())

    # ------------------------------------------------------------------------------------------------ helpers

    def tell(self, link: Link, event: str, text: str = "") -> None:
        """What the venue says of itself."""
        self.outbox.append(VenueStatus(self.venue, link, (event,), text, self.now_ns))

    def _prices(self) -> Mapping[tuple[str, str], float]:
        """What is held by (venue, symbol); those unknown are left out."""
        return self.books.prices({p.listing.key for p in self.account.book.positions.values()})

    def _unpriced(self, prices: Mapping[tuple[str, str], float]) -> set[tuple[str, str]]:
        positions = self.account.book.positions.values()
        return {p.listing.key for p in positions if p.quantity and p.listing.key not in prices}

    def _fact(
        self,
        what: Happened,
        order: Order,
        kept: PaperOrder | None = None,
        *,
        report: TradeReport | None = None,
        code: str = "",
        fault: str = "",
    ) -> None:
        """Write down what became of an order."""
        fill = report.fill if report else None
        self.log.add(
            self.now_ns,
            what,
            client_id=order.client_id,
            venue_order_id=kept.venue_order_id if kept else "",
            symbol=order.listing.symbol,
            side=order.side.value,
            quantity=fill.quantity if fill else order.quantity,
            price=fill.price if fill else order.price,
            left=kept.left if kept else None,
            trade_id=fill.trade_id if fill else "",
            maker=report.maker if report else None,
            fee=fill.fee if fill else None,
            currency=fill.fee_currency if fill else "",
            position=self.account.position(order.listing.symbol) if kept else None,
            code=code,
            fault=fault,
        )


def _time(report: TradeReport) -> int:
    return report.fill.time_ns
