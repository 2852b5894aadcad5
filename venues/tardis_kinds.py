"""Kinds of Tardis' CSV files, told by their headers; a column that is lacking, strange or double is named.

Source of the columns: docs.tardis.dev, downloadable CSV files, data types. `book_ticker` has the columns of
`quotes` and is read as those are; `liquidations` has those of `trades` and is told apart by its name alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn

from venues.source_files import refuse
from venues.tape_schema import GREEKS

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
_NAMES = {
    TRADES: "trades",
    QUOTES: "quotes",
    CHANGES: "incremental_book_L2",
    TICKER: "derivative_ticker",
    CHAIN: "options_chain",
}
_LEVEL = re.compile(r"(asks|bids)\[(0|[1-9][0-9]{0,3})\]\.(price|amount)")
_READ = (
    "the header of trades, quotes, book_ticker, book_snapshot_N, incremental_book_L2, derivative_ticker or "
    "options_chain"
)
_LIQUIDATIONS = "liquidations"


def kind_of(head: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The kind of file that a header tells.

    Raises:
        InputError: it is none that is read; a column is lacking, strange, or there twice; or liquidations:
            on one exchange they are trades once more, on another orders that nobody traded at that price.
    """
    twice = [name for place, name in enumerate(head) if name in head[:place]]
    if twice:
        _refuse_column(path, twice[0], "a column is there twice", "each column once")
    if head == TRADES and (_LIQUIDATIONS in path.name.lower() or _LIQUIDATIONS in path.parent.name.lower()):
        refuse(
            "SOURCE_COLUMNS",
            "liquidations are no trades of their own",
            path,
            allowed="the file of trades, where those that liquidations led to are",
            fix="leave this file out",
        )
    if head in _NAMES:
        return head
    if head[: len(HEAD)] == HEAD and any(_LEVEL.fullmatch(name) for name in head):
        return _snapshot(head, path)
    nearest = max(_NAMES, key=lambda kind: len({*kind} & {*head}))
    if len({*nearest} & {*head}) <= len(HEAD):
        observed = ",".join(head)[:100]
        refuse("SOURCE_COLUMNS", "not a file of Tardis that is read", path, observed=observed, allowed=_READ)
    lacking = [name for name in nearest if name not in head]
    strange = [name for name in head if name not in nearest]
    what = f"not the columns of {_NAMES[nearest]}"
    if lacking:
        _refuse_column(path, lacking[0], f"{what}: one is lacking", ",".join(nearest))
    if strange:
        _refuse_column(path, strange[0], f"{what}: one is strange", ",".join(nearest))
    moved = next(name for name, expected in zip(head, nearest, strict=True) if name != expected)
    _refuse_column(path, moved, f"{what}: they stand in another order", ",".join(nearest))


def told_by(kind: tuple[str, ...]) -> str:
    """What a file of this kind tells; a book is a book, whether in copies or in changes."""
    return "books" if kind == CHANGES or kind not in _NAMES else _NAMES[kind]


def levels_of(kind: tuple[str, ...]) -> int:
    """How many levels a side a book snapshot has."""
    return (len(kind) - len(HEAD)) // 4


def _snapshot(head: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Levels from 0 without a gap, each with price and amount, as many on both sides."""
    found = {name: _LEVEL.fullmatch(name) for name in head[len(HEAD) :]}
    strange = [name for name, match in found.items() if match is None]
    if strange:
        allowed = "asks[i].price, asks[i].amount, bids[i].price, bids[i].amount"
        _refuse_column(path, strange[0], "not a column of a book snapshot", allowed)
    count = 1 + max(int(match[2]) for match in found.values() if match is not None)
    for level in range(count):
        for name in (f"{side}[{level}].{cell}" for side in ("asks", "bids") for cell in ("price", "amount")):
            if name not in found:
                _refuse_column(
                    path,
                    name,
                    "a column of a book snapshot is lacking",
                    f"both sides of levels 0 to {count - 1}",
                )
    return head


def _refuse_column(path: Path, column: str, what: str, allowed: str) -> NoReturn:
    where = f"{path.name}, line 1, column {column}"
    fix = "fetch the file again, or give its columns their names back"
    refuse("SOURCE_COLUMNS", what, path, where=where, allowed=allowed, fix=fix)
