"""Rows of Tardis' files as what they tell of a listing: its touch, its book, its figures.

A kind is told by its header. An empty cell is unknown, and so is a 0 where none is possible; what was known
before of that figure is then not known any more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pricing.contracts import Contract, Kind, Option
from pricing.errors import InputError
from venues.deribit_names import check_forward_name
from venues.feed_sampler import Feed, Touch
from venues.order_book import OrderBook
from venues.source_files import refuse
from venues.source_tables import PRICE_MAX
from venues.tape_schema import GREEKS
from venues.tardis_names import Exchange, forward_name
from venues.ticker_fields import FIGURE_MAX
from venues.ticker_rows import STAMPS_MS

Row = dict[str, str]
HEAD = ("exchange", "symbol", "timestamp", "local_timestamp")
TRADES = (*HEAD, "id", "side", "price", "amount")
QUOTES = (*HEAD, "ask_amount", "ask_price", "bid_price", "bid_amount")
CHANGES = (*HEAD, "is_snapshot", "side", "price", "amount")
TICKER = (
    *HEAD, "funding_timestamp", "funding_rate", "predicted_funding_rate", "open_interest", "last_price",
    "index_price", "mark_price",
)  # fmt: skip
CHAIN = (
    *HEAD, "type", "strike_price", "expiration", "open_interest", "last_price", "bid_price", "bid_amount",
    "bid_iv", "ask_price", "ask_amount", "ask_iv", "mark_price", "mark_iv", "underlying_index",
    "underlying_price", *GREEKS,
)  # fmt: skip
_LEVEL = re.compile(r"(asks|bids)\[([0-9]+)\]\.(price|amount)")
#: The tape's funding rate is a fraction per so many hours.
_FUNDING_H = 8.0
#: No vol is larger: a figure in another unit is found out by it.
_VOL_MAX = 20.0
_NS_PER_US = 1_000


def kind_of(head: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The kind of file that a header tells.

    Raises:
        InputError: it is none that is read; or liquidations, whose header is that of trades: on one exchange
            they are trades once more, on another orders that nobody traded at that price.
    """
    snapshot = head[:4] == HEAD and len(head) > 4 and all(_LEVEL.fullmatch(name) for name in head[4:])
    if head not in (TRADES, QUOTES, CHANGES, TICKER, CHAIN) and not snapshot:
        refuse(
            "SOURCE_COLUMNS",
            "not a file of Tardis that is read",
            path,
            observed=",".join(head)[:100],
            allowed="the header of trades, quotes, book_snapshot_N, incremental_book_L2, derivative_ticker "
            "or options_chain",
        )
    if head == TRADES and "liquidations" in path.name.lower():
        refuse(
            "SOURCE_COLUMNS",
            "liquidations are no trades of their own",
            path,
            allowed="the file of trades, where those that liquidations led to are",
            fix="leave this file out",
        )
    return head


def take_quote(kind: tuple[str, ...], rows: Sequence[Row], where: str, feed: Feed) -> None:
    """Take in rows of quotes, book snapshots or changes, that came at once."""
    feed.touch_ahead = kind == QUOTES
    if kind == CHANGES:
        _take_changes(rows, where, feed)
        return
    for row in rows:
        if kind == QUOTES:
            feed.touch = Touch(
                *(_level(row, f"{side}_price", f"{side}_amount", where) for side in ("bid", "ask"))
            )
            continue
        book = OrderBook()
        count = sum(name.startswith("asks") and name.endswith("price") for name in kind)
        for side, half in (("bids", book.bids), ("asks", book.asks)):
            names = [(f"{side}[{i}].price", f"{side}[{i}].amount") for i in range(count)]
            half.load(level for p, a in names if (level := _level(row, p, a, where)) is not None)
        feed.book = book


def _take_changes(rows: Sequence[Row], where: str, feed: Feed) -> None:
    if rows[0]["is_snapshot"] == "true":
        feed.book = OrderBook()
        feed.book.bids.load((), whole=True)
        feed.book.asks.load((), whole=True)
    for row in rows:
        side = one_of(row, "side", ("bid", "ask"), where)
        one_of(row, "is_snapshot", ("true", "false"), where)
        price, size = number(row, "price", where, above=True), number(row, "amount", where)
        if feed.book is not None:  # changes before the first snapshot are of a book that is not known
            (feed.book.bids if side == "bid" else feed.book.asks).put(price, size)


def take_ticker(row: Row, where: str, feed: Feed, exchange: Exchange, contract: Contract) -> None:
    """Take in a row of `derivative_ticker`: mark, index, open interest, a perpetual's funding."""
    rate = _figure(row, "funding_rate", where, signed=True)
    if rate is not None and abs(rate) > 1.0:
        bad(where, "funding_rate", "not a funding rate", row["funding_rate"], "a fraction, from -1 to 1")
    perpetual = contract.kind is Kind.PERPETUAL
    _keep(
        feed,
        mark=_figure(row, "mark_price", where) or None,
        index=_figure(row, "index_price", where) or None,
        open_interest=_figure(row, "open_interest", where),
        funding_rate=rate * _FUNDING_H / exchange.funding_h if perpetual and rate is not None else None,
    )


def take_chain(row: Row, where: str, feed: Feed, exchange: Exchange, contract: Contract) -> None:
    """Take in a row of `options_chain`: touch, mark, vol, Greeks, open interest, forward or index."""
    if not isinstance(contract, Option) or not exchange.underlying:
        bad(where, "symbol", "not an option that is read", row["symbol"], "options of this exchange")
    _check_terms(row, where, contract)
    iv = _figure(row, "mark_iv", where)
    if iv is not None and iv / exchange.iv_unit > _VOL_MAX:
        most = _VOL_MAX * exchange.iv_unit
        bad(where, "mark_iv", "not a vol in this exchange's unit", row["mark_iv"], f"at most {most:g}")
    price = _figure(row, "underlying_price", where) or None
    name = forward_name(exchange, contract, row["underlying_index"])
    if exchange.underlying == "named":
        check_forward_name(name, contract.underlying, where)
    is_index = exchange.underlying == "index" or name == "index_price"
    feed.touch_ahead = True
    feed.touch = Touch(*(_quoted(row, side, where) for side in ("bid", "ask")))
    feed.forward_name = name if price is not None else None
    _keep(
        feed,
        mark=_figure(row, "mark_price", where),  # of a far wing it may be rounded to 0
        mark_iv=iv / exchange.iv_unit if iv else None,
        forward=price if name is not None else None,
        index=price if is_index else None,
        open_interest=_figure(row, "open_interest", where),
        **{f"venue_{greek}": _figure(row, greek, where, signed=True) for greek in GREEKS},
    )


def _check_terms(row: Row, where: str, contract: Option) -> None:
    """What stands beside a name must be what the name says."""
    right = contract.right.name.lower()
    if one_of(row, "type", ("call", "put"), where) != right:
        bad(where, "type", "the cell and the option's name disagree", row["type"], right)
    if number(row, "strike_price", where, above=True) != contract.strike:
        allowed = f"{contract.strike:g}"
        bad(where, "strike_price", "the cell and the option's name disagree", row["strike_price"], allowed)
    if stamp_ns(row, "expiration", where) != contract.expiry_ns:
        allowed = str(contract.expiry_ns // _NS_PER_US)
        bad(where, "expiration", "the cell and the option's name disagree", row["expiration"], allowed)


def _keep(feed: Feed, **figures: float | None) -> None:
    """What is told of a listing now; of what is not, nothing is known."""
    for name, figure in figures.items():
        if figure is None:
            feed.numbers.pop(name, None)
        else:
            feed.numbers[name] = figure


def _quoted(row: Row, side: str, where: str) -> tuple[float, float] | None:
    """A side of an option's quote; None where nobody quotes: no price, or one of 0."""
    price = _figure(row, f"{side}_price", where)
    return _level(row, f"{side}_price", f"{side}_amount", where) if price else None


def _level(row: Row, price: str, amount: str, where: str) -> tuple[float, float] | None:
    """Price and size of a level; None where the cells are empty."""
    if not row.get(price) or not row.get(amount):
        return None
    size = number(row, amount, where)
    return (number(row, price, where, above=True), size) if size > 0 else None


def _figure(row: Row, name: str, where: str, *, signed: bool = False) -> float | None:
    """A figure; None where the cell is empty."""
    if not row[name]:
        return None
    figure = _float(row[name])
    if not abs(figure) <= FIGURE_MAX or (figure < 0 and not signed):
        bad(where, name, "a number out of range", row[name], "any number" if signed else "0 or above")
    return figure


def number(row: Row, name: str, where: str, *, above: bool = False) -> float:
    """A number that must be there; above: above 0."""
    found = _float(row.get(name, ""))
    if not 0.0 <= found <= (PRICE_MAX if above else FIGURE_MAX) or (above and found == 0.0):
        bad(where, name, "a number out of range", row.get(name), "above 0" if above else "0 or above")
    return found


def _float(text: str) -> float:
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def one_of(row: Row, name: str, allowed: Sequence[str], where: str) -> str:
    """A word out of a few."""
    if row[name] not in allowed:
        bad(where, name, "an unknown word", row[name], ", ".join(allowed))
    return row[name]


def stamp_ns(row: Row, name: str, where: str) -> int:
    """A time, UTC ns."""
    text = row[name]
    stamp = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if not STAMPS_MS[0] * 1_000 <= stamp <= STAMPS_MS[1] * 1_000:
        bad(where, name, "not a time", text, "microseconds since 1970, from 2010 to 2100")
    return stamp * _NS_PER_US


def bad(where: str, column: str, what: str, observed: object, allowed: str) -> NoReturn:
    """Refuse a cell, or a row."""
    raise InputError(
        "SOURCE_VALUE",
        what,
        where=f"{where}, column {column}" if column else where,
        observed=observed,
        allowed=allowed,
        not_done="nothing was written",
        fix="correct or drop the row at its source",
    )
