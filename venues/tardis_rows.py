"""Lines of Tardis' files as what they tell of a listing: its touch, its book, its figures.

An empty cell is unknown, and so is a 0 where none is possible; what was known
before of that figure is then not known any more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pricing.contracts import Contract, Kind, Option
from venues.deribit_names import check_forward_name
from venues.feed_sampler import Feed, Touch
from venues.order_book import OrderBook
from venues.source_tables import PRICE_MAX
from venues.tape_schema import GREEKS
from venues.tardis_files import NS_PER_US, Line, refuse_cell, stamp_ns
from venues.tardis_names import Exchange, forward_name
from venues.ticker_fields import FIGURE_MAX

#: The tape's funding rate is a fraction per so many hours.
_FUNDING_H = 8.0
#: No vol is larger: a figure in another unit is found out by it.
_VOL_MAX = 20.0


def take_quote(line: Line, feed: Feed) -> None:
    """Take in a line of quotes: the touch."""
    bid, ask = (_level(line, f"{side}_price", f"{side}_amount") for side in ("bid", "ask"))
    feed.touch_ahead = True
    feed.touch = Touch(bid, ask)


def take_copy(line: Line, levels: int, feed: Feed) -> None:
    """Take in a book snapshot."""
    book = OrderBook()
    book.bids.load(_ladder(line, "bids", levels, -1.0))
    book.asks.load(_ladder(line, "asks", levels, +1.0))
    feed.touch_ahead, feed.book = False, book


def _ladder(line: Line, side: str, levels: int, sign: float) -> list[tuple[float, float]]:
    """A side, best first; the cells behind its last level are empty."""
    found: list[tuple[float, float]] = []
    for i in range(levels):
        price = f"{side}[{i}].price"
        level = _level(line, price, f"{side}[{i}].amount")
        if level is None:
            continue
        if len(found) < i:
            refuse_cell(
                line.where,
                f"{side}[{len(found)}].price",
                "a level is lacking before this one",
                price,
                "no gaps",
            )
        if found and sign * (level[0] - found[-1][0]) <= 0:
            allowed = "each level worse than the one before"
            refuse_cell(line.where, price, "the levels are not in order", line.row[price], allowed)
        found.append(level)
    return found


@dataclass(slots=True)
class Copy:
    """The copy of a book that the last line was of. stamp: the exchange's, "" where it gave none; None: the
    line was of no copy. told: (side, price) of its levels so far."""

    stamp: str | None = None
    told: set[tuple[str, float]] = field(default_factory=set)


def take_changes(lines: Sequence[Line], feed: Feed, copy: Copy) -> int:
    """Take in changes of a book that came at once; how many were left out, being of a book nobody knows yet.

    A line that is a copy's after one that is not, or of another stamp of the exchange, begins a copy: what
    was known of the book is gone. One copy may come under several receipts; one that tells a level of it once
    more is of another copy.
    """
    left_out = 0
    feed.touch_ahead = False
    for stamp, run in groupby(lines, key=_copy_of):
        levels = [
            (one_of(line, "side", ("bid", "ask")), number(line, "price", above=True), number(line, "amount"))
            for line in run
        ]
        if stamp is None:
            copy.stamp, copy.told = None, set()
        else:
            told = {(side, price) for side, price, _ in levels}
            if stamp != copy.stamp or told & copy.told:
                feed.book = OrderBook()
                feed.book.bids.load((), whole=True)
                feed.book.asks.load((), whole=True)
                copy.stamp, copy.told = stamp, set()
            copy.told |= told
        if feed.book is None:
            left_out += len(levels)
            continue
        for side, price, size in levels:
            (feed.book.bids if side == "bid" else feed.book.asks).put(price, size)
    return left_out


def _copy_of(line: Line) -> str | None:
    """As `Copy.stamp`; where the exchange gives none Tardis writes the receipt's."""
    if one_of(line, "is_snapshot", ("true", "false")) == "false":
        return None
    stamp = line.row["timestamp"]
    return "" if stamp == line.row["local_timestamp"] else stamp


def take_ticker(line: Line, feed: Feed, exchange: Exchange, contract: Contract) -> None:
    """Take in a line of `derivative_ticker`: mark, index, open interest, a perpetual's funding."""
    rate = _figure(line, "funding_rate", signed=True)
    if rate is not None and abs(rate) > 1.0:
        refuse_cell(
            line.where,
            "funding_rate",
            "not a funding rate",
            line.row["funding_rate"],
            "a fraction, from -1 to 1",
        )
    perpetual = contract.kind is Kind.PERPETUAL
    _keep(
        feed,
        mark=_figure(line, "mark_price") or None,
        index=_figure(line, "index_price") or None,
        open_interest=_figure(line, "open_interest"),
        funding_rate=rate * _FUNDING_H / exchange.funding_h if perpetual and rate is not None else None,
    )


def take_chain(line: Line, feed: Feed, exchange: Exchange, contract: Contract) -> None:
    """Take in a line of `options_chain`: touch, mark, vol, Greeks, open interest, forward or index."""
    if not isinstance(contract, Option) or not exchange.underlying:
        refuse_cell(
            line.where, "symbol", "not an option that is read", line.row["symbol"], "options of this exchange"
        )
    _check_terms(line, contract)
    iv = _figure(line, "mark_iv")
    if iv is not None and iv / exchange.iv_unit > _VOL_MAX:
        most = _VOL_MAX * exchange.iv_unit
        refuse_cell(
            line.where,
            "mark_iv",
            "not a vol in this exchange's unit",
            line.row["mark_iv"],
            f"at most {most:g}",
        )
    price = _figure(line, "underlying_price") or None
    name = forward_name(exchange, contract, line.row["underlying_index"])
    if exchange.underlying == "named":
        check_forward_name(name, contract.underlying, line.where)
    is_index = exchange.underlying == "index" or name == "index_price"
    feed.touch_ahead = True
    feed.touch = Touch(*(_quoted(line, side) for side in ("bid", "ask")))
    feed.forward_name = name if price is not None else None
    _keep(
        feed,
        mark=_figure(line, "mark_price"),  # of a far wing it may be rounded to 0
        mark_iv=iv / exchange.iv_unit if iv else None,
        forward=price if name is not None else None,
        index=price if is_index else None,
        open_interest=_figure(line, "open_interest"),
        **{f"venue_{greek}": _figure(line, greek, signed=True) for greek in GREEKS},
    )


def _check_terms(line: Line, contract: Option) -> None:
    """What stands beside a name must be what the name says."""
    right = contract.right.name.lower()
    if one_of(line, "type", ("call", "put")) != right:
        refuse_cell(line.where, "type", "the cell and the option's name disagree", line.row["type"], right)
    if number(line, "strike_price", above=True) != contract.strike:
        allowed = f"{contract.strike:g}"
        refuse_cell(
            line.where,
            "strike_price",
            "the cell and the option's name disagree",
            line.row["strike_price"],
            allowed,
        )
    if stamp_ns(line.row, "expiration", line.where) != contract.expiry_ns:
        allowed = str(contract.expiry_ns // NS_PER_US)
        refuse_cell(
            line.where,
            "expiration",
            "the cell and the option's name disagree",
            line.row["expiration"],
            allowed,
        )


def _keep(feed: Feed, **figures: float | None) -> None:
    """What is told of a listing now; of what is not, nothing is known."""
    for name, figure in figures.items():
        if figure is None:
            feed.numbers.pop(name, None)
        else:
            feed.numbers[name] = figure


def _quoted(line: Line, side: str) -> tuple[float, float] | None:
    """A side of an option's quote; None where nobody quotes: no price, or one of 0."""
    price = _figure(line, f"{side}_price")
    return _level(line, f"{side}_price", f"{side}_amount") if price else None


def _level(line: Line, price: str, amount: str) -> tuple[float, float] | None:
    """Price and size of a level; None where the cells are empty."""
    if not line.row.get(price) or not line.row.get(amount):
        return None
    size = number(line, amount)
    return (number(line, price, above=True), size) if size > 0 else None


def _figure(line: Line, name: str, *, signed: bool = False) -> float | None:
    """A figure; None where the cell is empty."""
    if not line.row[name]:
        return None
    figure = _float(line.row[name])
    if not abs(figure) <= FIGURE_MAX or (figure < 0 and not signed):
        refuse_cell(
            line.where,
            name,
            "a number out of range",
            line.row[name],
            "any number" if signed else "0 or above",
        )
    return figure


def number(line: Line, name: str, *, above: bool = False) -> float:
    """A number that must be there; above: above 0."""
    found = _float(line.row.get(name, ""))
    if not 0.0 <= found <= (PRICE_MAX if above else FIGURE_MAX) or (above and found == 0.0):
        refuse_cell(
            line.where,
            name,
            "a number out of range",
            line.row.get(name),
            "above 0" if above else "0 or above",
        )
    return found


def _float(text: str) -> float:
    try:
        return float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def one_of(line: Line, name: str, allowed: Sequence[str]) -> str:
    """A word out of a few."""
    if line.row[name] not in allowed:
        refuse_cell(line.where, name, "an unknown word", line.row[name], ", ".join(allowed))
    return line.row[name]
