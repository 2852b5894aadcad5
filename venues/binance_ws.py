"""Importer of `binance-ws`: raw websocket frames of Binance's spot and futures markets, one a line.

A line is `<local receive time, ns> <JSON>` or `<JSON>` alone, the file plain or gzip. Read are `depthUpdate`
with the REST copy of the book among them, `bookTicker`, `trade` and `markPriceUpdate`; other frames are
passed over and counted. Which market a frame is of shows in its fields: spot has no `pu` on a change of
depth, no `e` on a book ticker, `M` on a trade, and no `E` on a copy of the book.

`bookTicker` runs ahead of the depth stream, so the touch comes from whichever has the larger update number,
and the book is shown behind it. Spot's has no stamp: the newest stamp of the listing's other streams stands
in, which makes the quote look older than it is, never newer.

None of these streams but `markPriceUpdate` tells an index. Where it is not recorded the middle of the spot
market is written for it, unless the user says otherwise, and the tape says so: the venue's own index is an
average over the spot markets of several venues, this one among them.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from pricing.contracts import Contract, Kind
from pricing.errors import InputError
from venues.binance_book import DepthChange, DepthStream, Levels
from venues.binance_names import binance_contract
from venues.feed_sampler import NS_PER_MS, Feed, Sampler, Touch
from venues.import_options import Imported, ImportOptions
from venues.line_files import lines_of
from venues.listing_book import ListingBook
from venues.source_files import parse_json, refuse, sha256_of
from venues.source_tables import PRICE_MAX
from venues.ticker_fields import FIGURE_MAX, Fields
from venues.ticker_rows import STAMPS_MS

_LINE = re.compile(r"(?:(?P<stamp>[0-9]{19}) )?(?P<json>\{.*)")
_UPDATE_MAX = 2**62


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame that tells something. local_ns: of receipt; data: without the stream's wrapper."""

    local_ns: int
    kind: str
    venue: str
    symbol: str
    data: Fields
    stamped: bool


@dataclass(slots=True)
class _Market:
    """The streams of one listing. touch_at: update number of the last book ticker."""

    contract: Contract
    feed: Feed
    stream: DepthStream
    touch_at: int = -1

    def settle(self) -> None:
        """Show the book where it is known, and the touch before it where that is ahead."""
        last = self.stream.last
        self.feed.book = None if last is None else self.stream.book
        self.feed.touch_ahead = last is None or self.touch_at > last


def import_binance_ws(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read recordings of one clock as one: listings, quotes with depth, trades, and what tape.json keeps.

    Raises:
        InputError: a file or frame is not as it must be, local time goes back, the venue tables have no terms
            for a listing, or no frame tells a quote; nothing is written.
    """
    recordings = [_Recording(path) for path in sources]
    sampler = Sampler(options.every_ms, options.levels)
    markets: dict[tuple[str, str], _Market] = {}
    off_market = 0
    for frame in heapq.merge(*(recording.frames() for recording in recordings), key=attrgetter("local_ns")):
        market = markets.get((frame.venue, frame.symbol))
        if market is None:
            _, contract = binance_contract(frame.symbol, frame.venue != "binance")
            market = _Market(contract, Feed(frame.venue, frame.symbol), DepthStream())
            markets[frame.venue, frame.symbol] = market
            if options.index_from_spot:
                _stand_in(markets.values(), contract.underlying)
        sampler.reach(frame.local_ns, [known.feed for known in markets.values()])
        if frame.kind == "trade":
            off_market += not _trade(frame, market, sampler)
        else:
            _quote(frame, market)
    sampler.close([market.feed for market in markets.values()])
    quotes, depth, trades = sampler.frames_of_tape()
    if not quotes.height:
        allowed = "depth, bookTicker or markPrice frames with a stamp of the venue"
        refuse("FILE_EMPTY", "no frame tells a quote", sources[0], allowed=allowed)
    terms = _Terms(markets, quotes["venue_ns"].min(), quotes["venue_ns"].max())
    notes = [note for recording in recordings for note in recording.notes()]
    notes += [note for market in markets.values() for note in _book_notes(market)]
    if off_market:
        notes.append(f"{off_market} trades outside the order book (insurance fund and the like) are left out")
    if sampler.cut:
        asked = f"fewer than {options.levels} levels"
        notes.append(
            f"{sampler.cut} sides of books show {asked}: no more was known beyond the range of the copy"
        )
    if sampler.stood_in:
        told = "the middle of Binance's spot market stands in for an index that no frame tells"
        notes.insert(0, f"{sampler.stood_in} of {sampler.rows} quotes: {told}")
    notes.append(f"{sampler.frames} frames of quotes and depth became {sampler.rows} quotes")
    meta = {
        "source": [{"name": path.name, "sha256": sha256_of(path)} for path in sources],
        "options": {
            "format": "binance-ws",
            "every_ms": options.every_ms,
            "levels": options.levels,
            "index_from_spot": options.index_from_spot,
        },
        "notes": notes + terms.notes,
    }
    return Imported(terms.listings, quotes, meta, depth, trades)


class _Terms:
    """Listings of all markets with the terms of the recording's time, and the notes on those terms."""

    def __init__(self, markets: dict[tuple[str, str], _Market], from_ns: Any, to_ns: Any) -> None:
        books = {venue: ListingBook(venue, int(from_ns), int(to_ns)) for venue, _ in sorted(markets)}
        for (venue, symbol), market in markets.items():
            books[venue].listing(symbol, market.contract)
        self.listings = tuple(listing for book in books.values() for listing in book.listings())
        self.notes = [f"{venue}: {note}" for venue, book in books.items() for note in book.notes()]


def _stand_in(markets: Iterable[_Market], coin: str) -> None:
    """Let the coin's spot market, the first heard, stand in for the index of all its markets."""
    mine = [market for market in markets if market.contract.underlying == coin]
    spot = next((market.feed for market in mine if market.contract.kind is Kind.SPOT), None)
    for market in mine:
        market.feed.spot = spot


def _book_notes(market: _Market) -> Iterator[str]:
    name = f"{market.feed.venue} {market.feed.symbol}"
    stream = market.stream
    if stream.gaps:
        yield f"{name}: {stream.gaps} gaps in the depth stream; no book is shown from each to the next copy"
    if stream.last is None:
        yield f"{name}: the book is not known at the end: no copy of it, or none after the last gap"


def _trade(frame: _Frame, market: _Market, sampler: Sampler) -> bool:
    """Keep a trade of the order book; False where it is none."""
    data = frame.data
    if (data.text_or_none("X") or "MARKET") != "MARKET":
        return False
    venue_ns = data.integer("T", *STAMPS_MS) * NS_PER_MS
    price, size = (data.written(key, "positive") for key in ("p", "q"))
    if price is None or size is None:
        data.refuse("p, q", "a trade without price or size", (price, size), "numbers above 0")
    buyer_rests = data.flag("m")
    side = "sell" if buyer_rests else "buy"
    trade_id = str(data.integer("t", 0, _UPDATE_MAX))
    sampler.trade(market.feed, (venue_ns, frame.local_ns), trade_id, side, price, size)
    return True


def _quote(frame: _Frame, market: _Market) -> None:
    """Take in a frame that tells of the quote or the book."""
    data = frame.data
    if frame.kind == "depthUpdate":
        before = data.integer("pu", 0, _UPDATE_MAX) if data.has("pu") else None
        first, last = (data.integer(key, 0, _UPDATE_MAX) for key in ("U", "u"))
        market.stream.change(DepthChange(first, last, before, _levels(data, "b"), _levels(data, "a")))
    elif frame.kind == "copy":
        last = data.integer("lastUpdateId", 0, _UPDATE_MAX)
        market.stream.copy(last, _levels(data, "bids"), _levels(data, "asks"))
    elif frame.kind == "bookTicker":
        market.feed.touch = Touch(_best(data, "b", "B"), _best(data, "a", "A"))
        market.touch_at = data.integer("u", 0, _UPDATE_MAX)
    else:
        for name, key in (("mark", "p"), ("index", "i"), ("funding_rate", "r")):
            number = data.written(key, "any" if key == "r" else "positive")
            if number is not None:
                market.feed.numbers[name] = number
    market.settle()
    stamp = None
    if frame.stamped:
        stamp = data.integer("T" if data.has("T") and frame.kind != "markPriceUpdate" else "E", *STAMPS_MS)
    market.feed.hear(frame.local_ns, None if stamp is None else stamp * NS_PER_MS)


def _best(data: Fields, price_key: str, size_key: str) -> tuple[float, float] | None:
    price, size = data.written_known(price_key), data.written_known(size_key)
    return None if price is None or size is None else (price, size)


def _levels(data: Fields, key: str) -> Levels:
    """Price and size of levels; a size of 0 takes a level away."""
    try:
        levels = [(float(price), float(size)) for price, size in data.listed(key)]
    except (TypeError, ValueError):
        levels = [(math.nan, math.nan)]
    for price, size in levels:
        if not (0.0 < price <= PRICE_MAX and 0.0 <= size <= FIGURE_MAX):
            data.refuse(key, "not levels", (price, size), '[["price above 0", "size not below 0"], ...]')
    return levels


class _Recording:
    """One file: its frames in order, and what of it was passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._passed: Counter[str] = Counter()
        self._seen: dict[bool, set[str]] = {False: set(), True: set()}
        self._unstamped = False

    def notes(self) -> Iterator[str]:
        """What a user must know about the file."""
        if self._passed:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(self._passed.items()))
            yield f"{self.path.name}: passed over: {counts}"
        if self._unstamped:
            yield f"{self.path.name}: local stamps are not on every line: the venue's stamp stands in there"

    def frames(self) -> Iterator[_Frame]:
        """The frames that tell something; a line without a local stamp takes the venue's, never falling."""
        local_ns = 0
        for number, line in lines_of(self.path):
            if not line:
                continue
            where = f"line {number}"
            place = f"{self.path.name}, {where}"
            found = _LINE.fullmatch(line)
            if found is None:
                allowed = "<local receive time, ns> <JSON object>, or the object alone"
                refuse(
                    "SOURCE_LINE", "not a frame", self.path, where=place, observed=line[:60], allowed=allowed
                )
            document = parse_json(found["json"], self.path, where)
            wrapped = "stream" in document and isinstance(document.get("data"), dict)
            data = Fields(document["data"] if wrapped else document, place)
            stamp = int(found["stamp"]) if found["stamp"] else self._venue_stamp(data)
            if not local_ns <= stamp <= STAMPS_MS[1] * NS_PER_MS and (found["stamp"] or local_ns == 0):
                allowed = f"nanoseconds since 1970, not before {local_ns}"
                refuse(
                    "SOURCE_TIME",
                    "local time goes back",
                    self.path,
                    where=place,
                    observed=stamp,
                    allowed=allowed,
                )
            local_ns = max(local_ns, stamp)
            frame = self._frame(data, local_ns, place)
            if frame is not None and local_ns:
                yield frame

    def _venue_stamp(self, data: Fields) -> int:
        self._unstamped = True
        return data.integer("E", *STAMPS_MS) * NS_PER_MS if data.has("E") else 0

    def _frame(self, data: Fields, local_ns: int, place: str) -> _Frame | None:
        """A frame with its market; None where its kind tells nothing of a market, which is counted."""
        kind = data.text_or_none("e") or ""
        if not kind and data.has("lastUpdateId"):
            kind = "copy"
        elif not kind and data.has("u") and data.has("B"):
            kind = "bookTicker"
        futures = {
            "depthUpdate": data.has("pu"),
            "copy": data.has("E"),
            "bookTicker": data.has("e"),
            "trade": not data.has("M"),
            "markPriceUpdate": True,
        }.get(kind)
        if futures is None:
            self._passed[kind or "other"] += 1
            return None
        symbol = self._symbol(data, kind, futures, place)
        try:
            venue, _ = binance_contract(symbol, futures)
        except ValueError:
            data.refuse("s", "not a symbol of a coin against dollars", symbol, "such as BTCUSDT, BTCUSD_PERP")
        self._seen[futures].add(symbol)
        return _Frame(local_ns, kind, venue, symbol, data, data.has("E"))

    def _symbol(self, data: Fields, kind: str, futures: bool, place: str) -> str:
        """The symbol of a frame; a copy that names none is of the file's only one."""
        if kind != "copy":
            return data.text("s")
        if data.has("symbol"):
            return data.text("symbol")
        if len(self._seen[futures]) != 1:
            raise InputError(
                "SOURCE_COPY",
                "a copy of an order book that does not say whose",
                where=place,
                observed=f"the file's symbols so far: {', '.join(sorted(self._seen[futures])) or 'none'}",
                allowed="after the first frame of the one symbol that the file is of",
                not_done="nothing was written",
                fix="keep each symbol in a file of its own",
            )
        return next(iter(self._seen[futures]))
