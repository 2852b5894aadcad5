"""A price-time book of one instrument: levels of resting orders, and which levels changed since last told."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from decimal import Decimal

from tests.exchanges.words import HOUSE, ZERO, Order, Side


class BookSide:
    """One side. Prices are kept rising; the best is the last of the bids, the first of the asks."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._prices: list[Decimal] = []
        self._queues: dict[Decimal, deque[Order]] = {}

    def best(self) -> Decimal | None:
        """The touch."""
        if not self._prices:
            return None
        return self._prices[-1] if self.side is Side.BUY else self._prices[0]

    def queue(self, price: Decimal) -> deque[Order]:
        """Who rests at a price, first come first."""
        return self._queues.get(price, deque())

    def add(self, order: Order) -> None:
        """Rest at the back of its price."""
        assert order.price is not None
        if order.price not in self._queues:
            insort(self._prices, order.price)
            self._queues[order.price] = deque()
        self._queues[order.price].append(order)

    def remove(self, order: Order) -> None:
        """Take an order out."""
        assert order.price is not None
        queue = self._queues[order.price]
        queue.remove(order)
        if not queue:
            del self._queues[order.price]
            del self._prices[bisect_left(self._prices, order.price)]

    def quantity(self, price: Decimal) -> Decimal:
        """What rests at a price."""
        return sum((x.remaining for x in self.queue(price)), ZERO)

    def levels(self, depth: int | None = None) -> list[tuple[Decimal, Decimal]]:
        """(price, quantity), best first."""
        prices = reversed(self._prices) if self.side is Side.BUY else iter(self._prices)
        rows: list[tuple[Decimal, Decimal]] = []
        for price in prices:
            if depth is not None and len(rows) >= depth:
                break
            rows.append((price, self.quantity(price)))
        return rows

    def orders(self) -> Iterator[Order]:
        """All of them, by price rising."""
        for price in self._prices:
            yield from self._queues[price]


class Book:
    """Both sides and a chain of change ids."""

    def __init__(self, change_id: int) -> None:
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)
        self.change_id = change_id
        self._before: dict[tuple[Side, Decimal], Decimal] = {}

    def side(self, side: Side) -> BookSide:
        """Where orders of a side rest."""
        return self.bids if side is Side.BUY else self.asks

    def touch(self, side: Side, price: Decimal) -> None:
        """Note that a level is about to change."""
        self._before.setdefault((side, price), self.side(side).quantity(price))

    def add(self, order: Order) -> None:
        """Rest an order."""
        assert order.price is not None
        self.touch(order.side, order.price)
        self.side(order.side).add(order)

    def remove(self, order: Order) -> None:
        """Take an order out."""
        assert order.price is not None
        self.touch(order.side, order.price)
        self.side(order.side).remove(order)

    def changes(self) -> tuple[tuple[Side, Decimal, Decimal, Decimal], ...]:
        """(side, price, now, before) of the levels that changed since the last call."""
        rows = []
        for (side, price), before in self._before.items():
            now = self.side(side).quantity(price)
            if now != before:
                rows.append((side, price, now, before))
        self._before.clear()
        return tuple(rows)

    def ahead(self, order: Order) -> Decimal:
        """Quantity that fills before an order at its own price."""
        assert order.price is not None
        total = ZERO
        for other in self.side(order.side).queue(order.price):
            if other is order:
                break
            total += other.remaining
        return total

    def house(self, side: Side) -> dict[Decimal, list[Order]]:
        """The house's orders of a side by price, oldest first."""
        mine: dict[Decimal, list[Order]] = {}
        for order in self.side(side).orders():
            if order.account == HOUSE and order.price is not None:
                mine.setdefault(order.price, []).append(order)
        return mine
