"""An order book in arrays, for changes that come by the thousand: both sides, every level of them.

What it holds is what a dictionary of prices would, level by level; `venues.wire.book_kernel` says how, and
lays changes over it. Prices are told apart as floats: two texts of one price are one level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from venues.order_book import Ladder
from venues.wire import book_kernel as kernel

#: Levels a side that there is room for at first, and beyond twice what a book begins with.
_ROOM = 64

Pairs = Sequence[tuple[float, float]]


class ArrayBook:
    """Both sides of a book. levels, state: for the kernel."""

    __slots__ = ("_beyond", "levels", "state")

    def __init__(self) -> None:
        self.levels = _rows(_ROOM)
        self.state: NDArray[np.int64] = np.zeros(kernel.STATES, np.int64)
        self._beyond = 0  # the last message's number where it is none that the kernel follows

    @property
    def change_id(self) -> int:
        """Number of the last message."""
        known = self.state.item(kernel.CHANGE_ID)
        return self._beyond if known < 0 else known

    @property
    def venue_ns(self) -> int:
        """The venue's stamp of the last message."""
        return self.state.item(kernel.VENUE_NS)

    def note(self, change_id: int, venue_ns: int) -> None:
        """Number and stamp of the message that it now holds."""
        self._beyond = change_id
        self.state[kernel.CHANGE_ID] = change_id if 0 <= change_id < kernel.ID_MAX else -1
        self.state[kernel.VENUE_NS] = venue_ns

    def clear(self) -> None:
        """Forget the levels."""
        self.levels = _rows(_ROOM)
        self.state[kernel.HELD : kernel.STATES] = 0

    def load(self, bids: Pairs, asks: Pairs) -> None:
        """Forget everything and take these levels."""
        self.levels = _rows(2 * max(len(bids), len(asks)) + _ROOM)
        for row, side in ((kernel.BIDS, bids), (kernel.ASKS, asks)):
            sizes = {price: size for price, size in side if size > 0}
            prices = sorted(sizes, reverse=row == kernel.ASKS)
            self._set(row, prices, [sizes[price] for price in prices])
            self.state[kernel.HELD + row // 2] = len(prices)

    def lay(self, bids: Pairs, asks: Pairs) -> bool:
        """Each of these levels, in this order, now holds its size; 0 takes it away. True: the sides meet."""
        room = int(self.state[kernel.HELD : kernel.TOLD].max()) + max(len(bids), len(asks))
        if room > self.levels.shape[1]:
            grown = _rows(2 * room)
            grown[:, : self.levels.shape[1]] = self.levels
            self.levels = grown
        for row, side in ((kernel.BIDS, bids), (kernel.ASKS, asks)):
            self._set(row, [price for price, _ in side], [size for _, size in side], kernel.TOLD_ROWS)
            self.state[kernel.TOLD + row // 2] = len(side)
        return kernel.lay(self.levels, self.state) == kernel.CROSSED

    def _set(self, row: int, prices: list[float], sizes: list[float], below: int = 0) -> None:
        n = len(prices)
        keys = self.levels[row + below, :n]
        keys[:] = prices
        if row == kernel.ASKS:
            np.negative(keys, out=keys)
        self.levels[row + below + 1, :n] = sizes

    @property
    def crossed(self) -> bool:
        """Whether the best bid reaches the best ask."""
        levels, bids, asks = self.levels, self.state.item(kernel.HELD), self.state.item(kernel.HELD + 1)
        return bool(bids and asks and levels[kernel.BIDS, bids - 1] >= -levels[kernel.ASKS, asks - 1])

    def top(self, count: int) -> tuple[Ladder, Ladder]:
        """(bids, asks): at most `count` levels each, best first.

        >>> book = ArrayBook()
        >>> book.load([(99.0, 1.0), (98.0, 4.0)], [(101.0, 2.0)])
        >>> book.lay([(99.0, 0.0)], [(100.5, 3.0)])
        False
        >>> book.top(5)
        (([98.0], [4.0]), ([100.5, 101.0], [3.0, 2.0]))
        """
        return self._top(kernel.BIDS, 1.0, count), self._top(kernel.ASKS, -1.0, count)

    def _top(self, row: int, sign: float, count: int) -> Ladder:
        held = self.state.item(kernel.HELD + row // 2)
        best = self.levels[row : row + 2, max(held - max(count, 0), 0) : held][:, ::-1]
        return (sign * best[0]).tolist(), best[1].tolist()


def _rows(room: int) -> NDArray[Any]:
    return np.zeros((kernel.ROWS, room))
