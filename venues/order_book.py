"""An order book kept level by level, and what of it may be shown.

A recording starts with a copy of so many levels a side. Beyond the worst of them nothing is known but what
changed since, so a book shows no level further out than that: a ladder with holes would look thinner, and a
plan priced on it dearer, than the market was.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

#: Price and size of levels, best first.
Ladder = tuple[list[float], list[float]]


class BookSide:
    """One side of a book. sign: +1 asks (low prices first), -1 bids (high prices first)."""

    __slots__ = ("_keys", "_known", "_sign", "_sizes")

    def __init__(self, sign: int) -> None:
        self._sign = float(sign)
        self._keys: list[float] = []  # sign x price, rising: best first on both sides
        self._sizes: dict[float, float] = {}
        self._known = float("-inf")

    def load(self, levels: Iterable[tuple[float, float]], *, whole: bool = False) -> None:
        """Forget everything and take these levels; unless they are the whole side, it is known up to the
        worst of them alone."""
        sign = self._sign
        self._sizes = {sign * price: size for price, size in levels if size > 0}
        self._keys = sorted(self._sizes)
        last = self._keys[-1] if self._keys else float("-inf")
        self._known = float("inf") if whole else last

    def put(self, price: float, size: float) -> None:
        """A level now holds `size`; 0 takes it away."""
        self.lay([(price, size)])

    def lay(self, levels: Iterable[tuple[float, float]]) -> None:
        """Each of these levels, in this order, now holds its size; 0 takes it away."""
        keys, sizes, sign = self._keys, self._sizes, self._sign
        for price, size in levels:
            key = sign * price
            if size > 0:
                if key not in sizes:
                    insort(keys, key)
                sizes[key] = size
            elif sizes.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]

    def step(self, steps: Iterable[tuple[str, float, float]]) -> None:
        """The same of levels that say what becomes of them: "delete" takes one away, whatever its size."""
        keys, sizes, sign = self._keys, self._sizes, self._sign
        for action, price, size in steps:
            key = sign * price
            if size > 0 and action != "delete":
                if key not in sizes:
                    insort(keys, key)
                sizes[key] = size
            elif sizes.pop(key, None) is not None:
                del keys[bisect_left(keys, key)]

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
        start = bisect_right(self._keys, self._sign * price)
        prices, sizes = self._from(start, count - 1)
        return [price, *prices], [size, *sizes]

    def _from(self, start: int, count: int) -> Ladder:
        end = min(start + max(count, 0), bisect_right(self._keys, self._known))
        keys = self._keys[start:end]
        return [self._sign * key for key in keys], [self._sizes[key] for key in keys]


class OrderBook:
    """Both sides of a book."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(-1)
        self.asks = BookSide(+1)

    @property
    def crossed(self) -> bool:
        """Whether the best bid reaches the best ask, as far as both are known."""
        bids, asks = self.bids._keys, self.asks._keys
        if not bids or not asks or -bids[0] < asks[0]:
            return False
        return bids[0] <= self.bids._known and asks[0] <= self.asks._known
