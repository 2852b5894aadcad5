"""An order book kept level by level, and what of it may be shown.

A recording starts with a copy of so many levels a side. Beyond the worst of them nothing is known but what
changed since, so a book shows no level further out than that: a ladder with holes would look thinner, and a
plan priced on it dearer, than the market was.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

#: Price and size of levels, best first.
Ladder = tuple[list[float], list[float]]


class BookSide:
    """One side of a book. sign: +1 asks (low prices first), -1 bids (high prices first)."""

    __slots__ = ("_falling", "_known", "_prices", "_sizes")

    def __init__(self, sign: int) -> None:
        self._falling = sign < 0
        self._prices: list[
            float
        ] = []  # rising on both sides: the best bid is the last, the best ask the first
        self._sizes: dict[float, float] = {}
        self._known = math.inf if self._falling else -math.inf  # worst price up to which the side is known

    def load(self, levels: Iterable[tuple[float, float]], *, whole: bool = False) -> None:
        """Forget everything and take these levels; unless they are the whole side, it is known up to the
        worst of them alone."""
        self._sizes = {price: size for price, size in levels if size > 0}
        self._prices = prices = sorted(self._sizes)
        best, worst = (math.inf, -math.inf) if self._falling else (-math.inf, math.inf)
        if not whole:
            worst = best if not prices else prices[0] if self._falling else prices[-1]
        self._known = worst

    def put(self, price: float, size: float) -> None:
        """A level now holds `size`; 0 takes it away."""
        self.lay([(price, size)])

    def lay(self, levels: Iterable[tuple[float, float]]) -> None:
        """Each of these levels, in this order, now holds its size; 0 takes it away."""
        prices, sizes = self._prices, self._sizes
        for price, size in levels:
            if size > 0:
                if price not in sizes:
                    insort(prices, price)
                sizes[price] = size
            elif price in sizes:
                del sizes[price], prices[bisect_left(prices, price)]

    def top(self, count: int) -> Ladder:
        """At most `count` levels, best first, as far as the book is known.

        >>> asks = BookSide(+1)
        >>> asks.load([(101.0, 2.0), (100.0, 1.0)])
        >>> asks.put(103.0, 5.0)  # beyond the last level of the copy: 102 may be there and not be known
        >>> asks.put(100.0, 0.0)
        >>> asks.top(5)
        ([101.0], [2.0])
        """
        return self._from(0, count)

    def behind(self, price: float, size: float, count: int) -> Ladder:
        """At most `count` levels of which the best is told from elsewhere, later than this book's last news.

        What this side still shows at or before that price is gone.
        """
        if self._falling:
            start = len(self._prices) - bisect_left(self._prices, price)
        else:
            start = bisect_right(self._prices, price)
        prices, sizes = self._from(start, count - 1)
        return [price, *prices], [size, *sizes]

    def _from(self, start: int, count: int) -> Ladder:
        """At most `count` levels, the best `start` left out."""
        prices = self._prices
        if self._falling:
            end = len(prices) - start
            shown = prices[max(end - max(count, 0), bisect_left(prices, self._known), 0) : max(end, 0)]
            shown.reverse()
        else:
            shown = prices[start : min(start + max(count, 0), bisect_right(prices, self._known))]
        return shown, [self._sizes[price] for price in shown]


class OrderBook:
    """Both sides of a book."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(-1)
        self.asks = BookSide(+1)
