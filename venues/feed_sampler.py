"""A recorded stream of books, quotes and trades as batches of a tape.

Every frame of a second would be hundreds of thousands of batches, most of them of no news to a book that is
hedged in seconds. So a batch is what was known at the end of an interval of local time: the newest quote of
every listing that sent something in it, with the best levels of its order book. Trades are kept one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pricing.daycount import NS_PER_SECOND
from venues.order_book import BookSide, Ladder, OrderBook
from venues.tape_schema import DEPTH_SCHEMA, QUOTE_SCHEMA, TRADE_SCHEMA

NS_PER_MS = NS_PER_SECOND // 1000
_SPOT_AGE_NS_MAX = 10 * NS_PER_SECOND
_NOTHING: Ladder = ([], [])


@dataclass(frozen=True, slots=True)
class Touch:
    """Best prices and their sizes as a stream of its own tells them; None where a side is empty."""

    bid: tuple[float, float] | None
    ask: tuple[float, float] | None


@dataclass(slots=True)
class Feed:
    """What one listing's streams have told so far.

    book: None while its levels are not known. forward_name: of the forward among the numbers. touch: as a
    stream of its own tells it; touch_ahead: of the book. numbers: other columns of a quote by name. venue_ns:
    the newest stamp of the venue on anything of it, 0 before the first. local_ns: of the last frame that told
    of the quote. frames: since the last batch. quoted: something of it was known at some time; from then on
    "unknown" is news. spot: the market whose middle stands in for an index that none of its own streams
    tells; None: nothing stands in.
    """

    venue: str
    symbol: str
    book: OrderBook | None = None
    touch: Touch | None = None
    touch_ahead: bool = False
    numbers: dict[str, float] = field(default_factory=dict)
    forward_name: str | None = None
    venue_ns: int = 0
    local_ns: int = 0
    frames: int = 0
    quoted: bool = False
    spot: Feed | None = None

    def hear(self, local_ns: int, venue_ns: int | None) -> None:
        """A frame that tells of the quote or the book."""
        self.local_ns = local_ns
        self.venue_ns = max(self.venue_ns, venue_ns or 0)
        self.frames += 1
        self.quoted |= self.book is not None or self.touch is not None or bool(self.numbers)

    def ladders(self, levels: int) -> tuple[Ladder, Ladder]:
        """(bids, asks), best first."""
        touch = self.touch or Touch(None, None)
        bids, asks = (None, None) if self.book is None else (self.book.bids, self.book.asks)
        return self._side(touch.bid, bids, levels), self._side(touch.ask, asks, levels)

    def middle(self, local_ns: int) -> float | None:
        """Middle of the touch; None where a side is unknown, they cross, or the last news is 10 s old."""
        (bids, _), (asks, _) = self.ladders(1)
        heard = local_ns - self.local_ns <= _SPOT_AGE_NS_MAX  # later news than the asker's is no harm
        return 0.5 * (bids[0] + asks[0]) if heard and bids and asks and bids[0] < asks[0] else None

    def _side(self, best: tuple[float, float] | None, side: BookSide | None, levels: int) -> Ladder:
        """The book behind the touch where that is ahead; the touch alone where no level of the book is known,
        as when the market has left the range of its copy."""
        if side is not None and not self.touch_ahead and (shown := side.top(levels))[0]:
            return shown
        if best is None:
            return _NOTHING
        return ([best[0]], [best[1]]) if side is None else side.behind(*best, levels)


class Sampler:
    """Gathers batches of `every_ms` of local time and `levels` levels a side.

    frames, rows: how many frames told of quotes, and how many quotes they became. cut: ladders with fewer
    than `levels`, because no more of the book was known. stood_in: quotes with a spot market for an index.
    """

    def __init__(self, every_ms: int, levels: int) -> None:
        self._every_ns = every_ms * NS_PER_MS
        self._levels = levels
        self._end_ns: int | None = None
        self._seq = 0
        self._quotes: list[dict[str, Any]] = []
        self._depth: list[dict[str, Any]] = []
        self._trades: list[dict[str, Any]] = []
        self.frames = 0
        self.cut = 0
        self.stood_in = 0

    @property
    def rows(self) -> int:
        """Quotes gathered so far."""
        return len(self._quotes)

    def reach(self, local_ns: int, feeds: Iterable[Feed]) -> None:
        """Time has come to `local_ns`, whose frame is not heard yet: close the interval if it is over."""
        if self._end_ns is None or local_ns >= self._end_ns:
            self.close(feeds)
            self._end_ns = (local_ns // self._every_ns + 1) * self._every_ns

    def close(self, feeds: Iterable[Feed]) -> None:
        """Write the batch of what was heard; none where nothing was, or nothing with a stamp of the venue."""
        told = [feed for feed in feeds if feed.frames and feed.venue_ns and feed.quoted]
        for feed in sorted(told, key=lambda feed: (feed.venue, feed.symbol)):
            self._write(feed)
        self._seq += bool(told)

    def _write(self, feed: Feed) -> None:
        self.frames += feed.frames
        feed.frames = 0
        stamps = {
            "seq": self._seq,
            "venue_ns": feed.venue_ns,
            "local_ns": feed.local_ns,
            "venue": feed.venue,
            "symbol": feed.symbol,
        }
        quote: dict[str, Any] = stamps | feed.numbers | {"forward_name": feed.forward_name}
        if feed.spot is not None and "index" not in quote:
            quote["index"] = feed.spot.middle(feed.local_ns)
            self.stood_in += quote["index"] is not None
        for side, (prices, sizes) in zip(("bid", "ask"), feed.ladders(self._levels), strict=True):
            if not prices:
                continue
            quote |= {side: prices[0], f"{side}_size": sizes[0]}
            if feed.book is not None:
                level = list(range(len(prices)))
                self.cut += len(prices) < self._levels
                self._depth.append(stamps | {"side": side, "level": level, "price": prices, "size": sizes})
        self._quotes.append(quote)

    def trade(
        self, feed: Feed, stamps: tuple[int, int], trade_id: str, side: str, price: float, size: float
    ) -> None:
        """A trade of others. stamps: (venue_ns, local_ns); side: of the aggressor, "buy" or "sell"."""
        venue_ns, local_ns = stamps
        self._trades.append(
            {
                "venue_ns": venue_ns,
                "local_ns": local_ns,
                "venue": feed.venue,
                "symbol": feed.symbol,
                "trade_id": trade_id,
                "side": side,
                "price": price,
                "size": size,
            }
        )

    def frames_of_tape(self) -> tuple[pl.DataFrame, pl.DataFrame | None, pl.DataFrame | None]:
        """(quotes, depth, trades) with the tape's columns; the last two None where there are none."""
        columns = {name: kind for name, kind in QUOTE_SCHEMA.items() if name != "flag"}
        quotes = pl.DataFrame([{n: row.get(n) for n in columns} for row in self._quotes], schema=columns)
        lists = {
            name: pl.List(kind) if name in ("level", "price", "size") else kind
            for name, kind in DEPTH_SCHEMA.items()
        }
        depth = pl.DataFrame(self._depth, schema=lists).explode("level", "price", "size")
        trades = pl.DataFrame(self._trades, schema=TRADE_SCHEMA)
        return quotes, depth if depth.height else None, trades if trades.height else None
