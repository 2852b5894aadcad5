"""Importer of `tardis`: the CSV files of Tardis, plain or gzip: trades, quotes, book snapshots, L2 changes.

A file's kind is told by its header. Stamps are microseconds, the exchange's and the local one. Several files
of one clock become one tape: books with the trades between them. Of `incremental_book_L2` rows with one local
stamp are one message; a message marked as a snapshot begins the book anew. Of quotes and books of one listing
the newer tells the touch.
"""

from __future__ import annotations

import csv
import heapq
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import NoReturn

from pricing.contracts import Contract
from pricing.errors import InputError
from venues.binance_names import INVERSE_VENUE, LINEAR_VENUE, SPOT_VENUE, binance_contract
from venues.deribit_names import parse_name
from venues.feed_sampler import Feed, Sampler, Touch
from venues.import_options import Imported, ImportOptions
from venues.line_files import lines_of
from venues.listing_book import ListingBook
from venues.order_book import OrderBook
from venues.source_files import refuse, sha256_of
from venues.source_tables import PRICE_MAX
from venues.ticker_fields import FIGURE_MAX
from venues.ticker_rows import STAMPS_MS

_HEAD = ("exchange", "symbol", "timestamp", "local_timestamp")
_TRADES = (*_HEAD, "id", "side", "price", "amount")
_QUOTES = (*_HEAD, "ask_amount", "ask_price", "bid_price", "bid_amount")
_CHANGES = (*_HEAD, "is_snapshot", "side", "price", "amount")
_LEVEL = re.compile(r"(asks|bids)\[([0-9]+)\]\.(price|amount)")
_NS_PER_US = 1_000


def _binance(futures: bool, venue: str) -> Callable[[str], Contract]:
    def contract(symbol: str) -> Contract:
        found, contract = binance_contract(symbol.upper(), futures)
        if found != venue:
            raise ValueError(symbol)
        return contract

    return contract


#: Tardis' name of an exchange: our venue, and the contract behind a symbol.
_EXCHANGES: dict[str, tuple[str, Callable[[str], Contract]]] = {
    "deribit": ("deribit", parse_name),
    "binance": (SPOT_VENUE, _binance(False, SPOT_VENUE)),
    "binance-futures": (LINEAR_VENUE, _binance(True, LINEAR_VENUE)),
    "binance-delivery": (INVERSE_VENUE, _binance(True, INVERSE_VENUE)),
}
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Message:
    """Rows of one file that came at once."""

    local_ns: int
    venue_ns: int
    kind: tuple[str, ...]
    exchange: str
    symbol: str
    rows: tuple[Row, ...]
    where: str


def import_tardis(sources: Sequence[Path], options: ImportOptions) -> Imported:
    """Read Tardis' files of one clock as one: listings, quotes with depth, trades, and what tape.json keeps.

    Raises:
        InputError: a file or row is not as it must be, local time goes back, the exchange is not one whose
            terms are known, or no row tells a quote; nothing is written.
    """
    sampler = Sampler(options.every_ms, options.levels)
    feeds: dict[tuple[str, str], tuple[Feed, Contract]] = {}
    for message in heapq.merge(*(_messages(path) for path in sources), key=attrgetter("local_ns")):
        venue, symbol = _EXCHANGES[message.exchange][0], message.symbol.upper()
        if (venue, symbol) not in feeds:
            feeds[venue, symbol] = Feed(venue, symbol), _contract(message)
        feed = feeds[venue, symbol][0]
        sampler.reach(message.local_ns, [known for known, _ in feeds.values()])
        if message.kind == _TRADES:
            for row in message.rows:
                _trade(row, message, feed, sampler)
        else:
            _quote(message, feed)
            feed.hear(message.local_ns, message.venue_ns)
    sampler.close([feed for feed, _ in feeds.values()])
    quotes, depth, trades = sampler.frames_of_tape()
    if not quotes.height:
        refuse(
            "FILE_EMPTY", "no row tells a quote", sources[0], allowed="quotes, book snapshots or L2 changes"
        )
    stamps = quotes["venue_ns"].to_list()
    books = {venue: ListingBook(venue, min(stamps), max(stamps)) for venue, _ in sorted(feeds)}
    for (venue, symbol), (_, contract) in feeds.items():
        books[venue].listing(symbol, contract)
    meta = {
        "source": [{"name": path.name, "sha256": sha256_of(path)} for path in sources],
        "options": {"format": "tardis", "every_ms": options.every_ms, "levels": options.levels},
        "notes": [f"{venue}: {note}" for venue, book in books.items() for note in book.notes()],
    }
    listings = tuple(listing for book in books.values() for listing in book.listings())
    return Imported(listings, quotes, meta, depth, trades)


def _messages(path: Path) -> Iterator[_Message]:
    """The messages of a file in order."""
    rows = _rows(path)
    for _, together in groupby(rows, key=itemgetter(0, 1, 2)):
        first, *others = together
        local_ns, exchange, symbol, kind, row, where = first
        venue_ns = _stamp(row, "timestamp", where)
        if exchange not in _EXCHANGES:
            _bad(
                where,
                "exchange",
                "an exchange whose terms are not known",
                exchange,
                ", ".join(sorted(_EXCHANGES)),
            )
        yield _Message(
            local_ns, venue_ns, kind, exchange, symbol, (row, *(other[4] for other in others)), where
        )


def _rows(path: Path) -> Iterator[tuple[int, str, str, tuple[str, ...], Row, str]]:
    """(local stamp, exchange, symbol, kind, row, place) of each row."""
    numbered = lines_of(path)
    _, head = next(numbered)
    kind = _kind(tuple(head.split(",")), path)
    before = 0
    for number, line in numbered:
        where = f"{path.name}, line {number}"
        try:
            cells = next(csv.reader([line], strict=True), [])
        except csv.Error as error:
            _bad(where, "", "not cells between commas", error, "CSV")
        if not cells:
            continue
        if len(cells) != len(kind):
            _bad(where, "", "wrong number of cells", len(cells), str(len(kind)))
        row = dict(zip(kind, cells, strict=True))
        local_ns = _stamp(row, "local_timestamp", where)
        if local_ns < before:
            _bad(where, "local_timestamp", "local time goes back", row["local_timestamp"], "in order")
        before = local_ns
        yield local_ns, row["exchange"], row["symbol"], kind, row, where


def _kind(head: tuple[str, ...], path: Path) -> tuple[str, ...]:
    snapshot = head[:4] == _HEAD and len(head) > 4 and all(_LEVEL.fullmatch(name) for name in head[4:])
    if head not in (_TRADES, _QUOTES, _CHANGES) and not snapshot:
        refuse(
            "SOURCE_COLUMNS",
            "not a file of Tardis that is read",
            path,
            observed=",".join(head)[:100],
            allowed="the header of trades, quotes, book_snapshot_N or incremental_book_L2",
        )
    return head


def _contract(message: _Message) -> Contract:
    try:
        return _EXCHANGES[message.exchange][1](message.symbol)
    except (ValueError, InputError):
        _bad(
            message.where,
            "symbol",
            "not a symbol of this exchange that is read",
            message.symbol,
            "its own names",
        )


def _quote(message: _Message, feed: Feed) -> None:
    """Take in rows that tell of the quote or the book."""
    where = message.where
    feed.touch_ahead = message.kind == _QUOTES
    if message.kind == _CHANGES:
        if message.rows[0]["is_snapshot"] == "true":
            feed.book = OrderBook()
            feed.book.bids.load((), whole=True)
            feed.book.asks.load((), whole=True)
        for row in message.rows:
            side = _one_of(row, "side", ("bid", "ask"), where)
            _one_of(row, "is_snapshot", ("true", "false"), where)
            price, size = _number(row, "price", where, above=True), _number(row, "amount", where)
            if feed.book is not None:  # changes before the first snapshot are of a book that is not known
                (feed.book.bids if side == "bid" else feed.book.asks).put(price, size)
        return
    for row in message.rows:
        if message.kind == _QUOTES:
            feed.touch = Touch(
                *(_level(row, f"{side}_price", f"{side}_amount", where) for side in ("bid", "ask"))
            )
            continue
        book = OrderBook()
        count = sum(name.startswith("asks") and name.endswith("price") for name in message.kind)
        for side, half in (("bids", book.bids), ("asks", book.asks)):
            names = [(f"{side}[{i}].price", f"{side}[{i}].amount") for i in range(count)]
            half.load(level for p, a in names if (level := _level(row, p, a, where)) is not None)
        feed.book = book


def _trade(row: Row, message: _Message, feed: Feed, sampler: Sampler) -> None:
    where = message.where
    side = _one_of(row, "side", ("buy", "sell", "unknown"), where)
    if side == "unknown":
        return
    stamps = _stamp(row, "timestamp", where), message.local_ns
    price, size = (_number(row, name, where, above=True) for name in ("price", "amount"))
    sampler.trade(feed, stamps, row["id"], side, price, size)


def _level(row: Row, price: str, amount: str, where: str) -> tuple[float, float] | None:
    """Price and size of a level; None where the cells are empty."""
    if not row.get(price) or not row.get(amount):
        return None
    size = _number(row, amount, where)
    return (_number(row, price, where, above=True), size) if size > 0 else None


def _number(row: Row, name: str, where: str, *, above: bool = False) -> float:
    try:
        number = float(row[name])
    except (KeyError, ValueError):
        number = math.nan
    if not 0.0 <= number <= (PRICE_MAX if above else FIGURE_MAX) or (above and number == 0.0):
        _bad(where, name, "a number out of range", row.get(name), "above 0" if above else "0 or above")
    return number


def _one_of(row: Row, name: str, allowed: Sequence[str], where: str) -> str:
    if row[name] not in allowed:
        _bad(where, name, "an unknown word", row[name], ", ".join(allowed))
    return row[name]


def _stamp(row: Row, name: str, where: str) -> int:
    text = row[name]
    stamp = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if not STAMPS_MS[0] * 1_000 <= stamp <= STAMPS_MS[1] * 1_000:
        _bad(where, name, "not a time", text, "microseconds since 1970, from 2010 to 2100")
    return stamp * _NS_PER_US


def _bad(where: str, column: str, what: str, observed: object, allowed: str) -> NoReturn:
    raise InputError(
        "SOURCE_VALUE",
        what,
        where=f"{where}, column {column}" if column else where,
        observed=observed,
        allowed=allowed,
        not_done="nothing was written",
        fix="correct or drop the row at its source",
    )
