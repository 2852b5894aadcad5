"""What an exchange holds and answers: instruments, books, marks, accounts, orders, fills."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Context, Decimal, localcontext
from typing import Any

from tests.exchanges.book import Book
from tests.exchanges.clock import Clock
from tests.exchanges.money import summarise
from tests.exchanges.truth import Truth
from tests.exchanges.words import (
    HOUSE,
    ZERO,
    Account,
    ApiKey,
    BookNews,
    DuplicateRule,
    Fill,
    Instrument,
    InstrumentNews,
    Kind,
    Life,
    Mark,
    MarkNews,
    News,
    Order,
    Position,
    PublicTrade,
    Reason,
    Refusal,
    Summary,
)

EXACT = Context(prec=34)


class State:
    """All of an exchange that is there to be read; what changes it is in `matching.py` and `core.py`."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        *,
        clock: Clock | None = None,
        truth: Truth | None = None,
        duplicates: DuplicateRule = DuplicateRule.ALLOWED,
        first_id: int = 1000,
        orders_max: int = 10_000,
    ) -> None:
        self.clock = clock or Clock()
        self.truth = truth or Truth()
        self.duplicates = duplicates
        self.orders_max = orders_max
        self.listeners: list[Callable[[News], None]] = []
        self.instruments: dict[str, Instrument] = {}
        self.books: dict[str, Book] = {}
        self.marks: dict[str, Mark] = {}
        self.indices: dict[str, Decimal] = {}
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, ApiKey] = {}
        self.orders: dict[int, Order] = {}
        self.trades: dict[str, list[PublicTrade]] = {}
        self.maintenance = False
        self.settling = False
        self.modes: dict[str, Any] = {}  # how accounts are set up, by the venue's words, where not as usual
        self.session_rpl: dict[tuple[str, str], Decimal] = {}
        self._by_client: dict[tuple[str, str], list[Order]] = {}
        self._open: dict[int, Order] = {}
        self._fills: list[Fill] = []
        self._countdowns: dict[tuple[str, str], int] = {}
        self._next = {"order": first_id, "trade": first_id, "queue": 0, "change": first_id}
        self.account(HOUSE)
        for instrument in instruments:
            self.list_instrument(instrument)

    def account(self, name: str) -> Account:
        """An account by name; opened when first asked for."""
        if name not in self.accounts:
            self.accounts[name] = Account(name, 10 + len(self.accounts))
        return self.accounts[name]

    def grant(self, key: ApiKey) -> ApiKey:
        """Make a key valid."""
        self.keys[key.key] = key
        self.account(key.account)
        return key

    @property
    def now_ns(self) -> int:
        """The exchange's time."""
        return self.clock.now_ns()

    @property
    def steady_ns(self) -> int:
        """For timers, which no skew of the clock moves."""
        return self.clock.steady_ns()

    def list_instrument(self, instrument: Instrument) -> None:
        """List a new instrument, or change the terms of a listed one (its book stays)."""
        state = "changed" if instrument.symbol in self.instruments else "created"
        self.instruments[instrument.symbol] = instrument
        if state == "created":
            self.books[instrument.symbol] = Book(self._id("change"))
            self.trades[instrument.symbol] = []
        self._tell(InstrumentNews(instrument, state))

    def set_mark(self, symbol: str, mark: Mark) -> None:
        """Publish a mark."""
        self.marks[symbol] = mark
        self._tell(MarkNews(symbol))

    def set_index(self, name: str, price: Decimal) -> None:
        """Publish an index. Marks are their own matter (`world.py`)."""
        self.indices[name] = price

    def mark_price(self, symbol: str) -> Decimal:
        """The mark; where none was published the index, else the last trade, else 0."""
        if symbol in self.marks:
            return self.marks[symbol].price
        instrument = self.instruments[symbol]
        if instrument.kind is not Kind.OPTION and instrument.index in self.indices:
            return self.indices[instrument.index]
        trades = self.trades[symbol]
        return trades[-1].price if trades else ZERO

    def index_price(self, symbol: str) -> Decimal:
        """The index of an instrument's underlying; 0 where none was published."""
        return self.indices.get(self.instruments[symbol].index, ZERO)

    def open_orders(self, account: str, where: Callable[[Order], bool] = lambda _: True) -> list[Order]:
        """An account's live orders, oldest first."""
        return [x for x in self._open.values() if x.account == account and where(x)]

    def order(self, account: str, order_id: int) -> Order:
        """An order, live or ended.

        Raises:
            Refusal: not found, or another's.
        """
        order = self.orders.get(order_id)
        if order is None or order.account != account:
            raise Refusal(Reason.NOT_FOUND)
        return order

    def by_client_id(self, account: str, client_id: str) -> list[Order]:
        """All orders that ever bore a client id, oldest first."""
        return list(self._by_client.get((account, client_id), ())) if client_id else []

    def history(self, account: str, where: Callable[[Order], bool] = lambda _: True) -> list[Order]:
        """An account's orders that have ended, oldest first."""
        return [
            x for x in self.orders.values() if x.account == account and x.life is not Life.OPEN and where(x)
        ]

    def fills(self, account: str, where: Callable[[Fill], bool] = lambda _: True) -> list[Fill]:
        """An account's executions, oldest first."""
        return [x for x in self._fills if x.account == account and where(x)]

    def positions(self, account: str) -> list[Position]:
        """What an account holds, spot excepted."""
        return [x for x in self.account(account).positions.values() if x.quantity]

    def summary(self, account: str, currency: str) -> Summary:
        """Worth and margin of an account in one currency."""
        with localcontext(EXACT):
            return summarise(self, account, currency)

    def ahead(self, order: Order) -> Decimal:
        """Quantity queued before a resting order at its price."""
        return self.books[order.symbol].ahead(order)

    def _id(self, what: str) -> int:
        self._next[what] += 1
        return self._next[what]

    def _trade_ids(self, symbol: str) -> tuple[int, int]:
        return self._id("trade"), len(self.trades[symbol]) + 1

    def _tell(self, news: News) -> None:
        for listener in self.listeners:
            listener(news)

    def _publish(self, symbol: str) -> None:
        book = self.books[symbol]
        changes = book.changes()
        if changes:
            before, book.change_id = book.change_id, self._id("change")
            self._tell(BookNews(symbol, book.change_id, before, changes, self.now_ns))
            self._tell(MarkNews(symbol))
