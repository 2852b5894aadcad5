"""Files of the chain study: hourly prices of the perpetual, the DVOL index, customers' trades, a book to
start.

Every fault is named with file, place, value and remedy.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hedger.inputs import parse_time
from hedger.studies.chain_market import Contracts, View
from hedger.studies.chain_walk import Start
from hedger.studies.flow import RecordedFlow
from hedger.table_files import UNREADABLE, read_table
from pricing.contracts import STABLE_CURRENCIES, Kind
from pricing.errors import InputError
from pricing.universe import FloatArray, IntArray
from risk.book import Book

FLOW_COLUMNS = ("time", "venue", "symbol", "quantity", "price")
NOTHING = "nothing was walked"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A price in time: at[i] ns, value[i]; what stands at i is known from at[i] on."""

    at: IntArray
    value: FloatArray

    def until(self, now_ns: int, age_h_max: float = 3.0) -> float:
        """The last value at a time, NaN where it is older than `age_h_max` hours."""
        i = int(np.searchsorted(self.at, now_ns, side="right")) - 1
        if i < 0 or now_ns - self.at[i] > age_h_max * 3.6e12:
            return math.nan
        return float(self.value[i])

    def within(self, after_ns: int, before_ns: int) -> list[tuple[int, float]]:
        """Everything strictly between two moments."""
        first = int(np.searchsorted(self.at, after_ns, side="right"))
        last = int(np.searchsorted(self.at, before_ns, side="left"))
        return list(zip(self.at[first:last].tolist(), self.value[first:last].tolist(), strict=True))


NO_SERIES = Series(np.empty(0, dtype=np.int64), np.empty(0))


def read_perp(path: Path, coins: Collection[str], not_done: str = NOTHING) -> dict[str, Series]:
    """Bars (parquet or CSV: ts, open, optional symbol) by coin: the open, known when the bar begins.

    Without a symbol they are of BTC. What is of none of `coins` is left out. not_done: the words for
    it, should the file be refused.

    Raises:
        InputError: the file cannot be used, none of it is of one of the coins, or one has several symbols.
    """
    table = _table(path, ("ts", "open"), not_done)
    parts = {"BTC": table}
    if "symbol" in table.columns:
        parts = {str(s): part for (s,), part in table.group_by("symbol", maintain_order=True)}
    of: dict[str, list[str]] = {}
    for symbol in parts:
        of.setdefault(coin_of(symbol, coins), []).append(symbol)
    unasked = ", ".join(sorted(of.pop("", []))[:20])
    if not of:
        raise InputError(
            "FILE_SYMBOLS", "no symbol is of a coin that is asked for", where=str(path),
            observed=unasked if "symbol" in table.columns else "no column symbol, so BTC",
            allowed=f"of {', '.join(coins)}, such as BTC_USDT, BTCUSD, BTC-PERPETUAL",
            not_done=not_done, fix="name another file",
        )  # fmt: skip
    if twice := sorted(symbol for symbols in of.values() if len(symbols) > 1 for symbol in symbols):
        raise InputError(
            "FILE_SYMBOLS", "several symbols are of one coin", where=str(path),
            observed=", ".join(twice[:20]), allowed="one symbol a coin",
            not_done=not_done, fix="keep the symbol that is meant",
        )  # fmt: skip
    return {coin: _series(parts[symbol], "open", path, not_done) for coin, (symbol,) in of.items()}


def coin_of(symbol: str, coins: Collection[str]) -> str:
    """The coin whose price in dollars a symbol is, however its venue writes it; "" where it is of none.

    >>> [coin_of(x, ["BTC"]) for x in ("BTC-PERPETUAL", "BTCUSDT", "btcusd_perp", "BTC/USDC:USDC")]
    ['BTC', 'BTC', 'BTC', 'BTC']
    >>> [coin_of(x, ["BTC", "ETH"]) for x in ("WBTCUSDT", "ETHBTC", "ETH/BTC", "USDT")]
    ['', '', '', '']
    """
    base, *rest = re.split(r"[-_/:]", symbol.upper())
    if rest and rest[0] in {"BTC", "ETH"}:
        return ""  # a price in another coin
    heads = (base, *(base.removesuffix(quote) for quote in sorted(STABLE_CURRENCIES)))
    return next((head for head in heads if head in coins), "")


def read_dvol(path: Path, not_done: str = NOTHING) -> dict[str, Series]:
    """The DVOL index (parquet or CSV: ts, dvol, optional currency), vol points by coin; without one of BTC.

    The value of an hour is its close: it is known when the hour is over. not_done: as above.
    """
    table = _table(path, ("ts", "dvol"), not_done)
    groups = {"BTC": table}
    if "currency" in table.columns:
        groups = {str(c): part for (c,), part in table.group_by("currency", maintain_order=True)}
    closed = {coin: _series(part, "dvol", path, not_done) for coin, part in groups.items()}
    return {coin: Series(x.at + 3_600 * 10**9, x.value) for coin, x in closed.items()}


def _table(path: Path, columns: tuple[str, ...], not_done: str) -> pl.DataFrame:
    try:
        table = read_table(path, not_done, times=True)
    except UNREADABLE as problem:
        raise InputError(
            "FILE_UNREADABLE", "the prices cannot be read", where=str(path), observed=str(problem),
            allowed="a parquet or CSV file", not_done=not_done, fix="name another file",
        ) from None  # fmt: skip
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(
            "FILE_COLUMNS", "columns are missing", where=str(path), observed=", ".join(table.columns),
            allowed=f"with {', '.join(columns)}", not_done=not_done, fix="name the columns so",
        )  # fmt: skip
    return table


def _series(table: pl.DataFrame, name: str, path: Path, not_done: str) -> Series:
    if not isinstance(table.schema["ts"], pl.Datetime) or not table.schema[name].is_numeric():
        raise InputError(
            "FILE_TYPE", "a column is of the wrong type", where=str(path),
            observed=f"ts {table.schema['ts']}, {name} {table.schema[name]}",
            allowed="ts a time (UTC), numbers beside it", not_done=not_done, fix="correct the file",
        )  # fmt: skip
    table = table.select(pl.col("ts").dt.epoch("ns"), pl.col(name).cast(pl.Float64)).sort("ts")
    value = table[name].to_numpy()
    at = table["ts"].to_numpy()
    good = np.isfinite(value) & (value > 0)
    if not good.all() or (np.diff(at) <= 0).any() or table["ts"].null_count():
        where = int(np.argmin(good)) if not good.all() else int(np.argmax(np.diff(at) <= 0)) + 1
        raise InputError(
            "FILE_VALUE", "no series of prices", where=f"{path}, row {where + 1} by time",
            observed=f"{name} {value[where] if value.size else 'none'}",
            allowed="positive numbers, each time once", not_done=not_done, fix="correct the row",
        )  # fmt: skip
    return Series(at.astype(np.int64), value)


def read_flow(path: Path, contracts: list[Contracts]) -> RecordedFlow:
    """Customers' trades: CSV with time, venue, symbol, quantity and price (empty: the venue's mark)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(
            "FLOW_UNREADABLE", "cannot read the flow", where=str(path), observed=str(problem),
            allowed="a CSV file in UTF-8", not_done=NOTHING, fix="give a readable file to --flow",
        ) from None  # fmt: skip
    rows = list(csv.reader(io.StringIO(text)))
    header = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if header != FLOW_COLUMNS:
        raise _flow(f"{path}, line 1", ",".join(header), ",".join(FLOW_COLUMNS), "write this header")
    known = {symbol for c in contracts for symbol in c.symbols}
    found = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        where = f"{path}, line {number}"
        if len(row) != len(header):
            raise _flow(where, len(row), f"{len(header)} cells", "fill the row; an unknown price is empty")
        time, _, symbol, quantity, price = (cell.strip() for cell in row)
        if symbol not in known:
            raise _flow(where, symbol, "options of the tapes, settled in coin", "correct the symbol")
        size = _number(quantity, where)
        if size == 0:
            raise _flow(where, quantity, "coins, > 0 bought by the customer, < 0 sold", "correct the number")
        at_price = math.nan if price == "" else _number(price, where)
        if at_price < 0:
            raise _flow(where, price, "coins per coin, >= 0, or empty", "correct the price")
        found.append((parse_time(time), symbol, size, at_price))
    found.sort(key=lambda trade: trade[0])
    return RecordedFlow(
        np.array([x[0] for x in found], dtype=np.int64),
        [x[1] for x in found],
        np.array([x[2] for x in found]),
        np.array([x[3] for x in found]),
    )


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _flow(where, text, "a finite number", "correct the cell")
    return number


def _flow(where: str, observed: object, allowed: str, fix: str) -> InputError:
    return InputError(
        "FLOW_INVALID", "not a customer's trade", where=where, observed=observed, allowed=allowed,
        not_done=NOTHING, fix=fix,
    )  # fmt: skip


def start_of(book: Book, contracts: Contracts) -> Start:
    """What a book holds on one coin: its options, perpetual and coins.

    Raises:
        InputError: it holds what the study does not carry.
    """
    coin = contracts.underlying
    options: dict[int, float] = {}
    perp = 0.0
    for position in book.positions.values():
        contract = position.listing.contract
        if contract.underlying != coin:
            continue
        if contract.kind is Kind.PERPETUAL and contract.inverse:
            perp += float(position.quantity * position.listing.size)
            continue
        number = contracts.number_of(position.listing.symbol)
        if number is None:
            raise InputError(
                "BOOK_NOT_CARRIED", "the study does not carry such a position", where="--book",
                observed=position.listing.symbol,
                allowed="options settled in coin, inverse perpetuals, coins and dollars",
                not_done=NOTHING, fix="leave the position out",
            )  # fmt: skip
        options[number] = options.get(number, 0.0) + float(position.quantity * position.listing.size)
    cash = math.fsum(float(amount) for (_, _, currency), amount in book.cash.items() if currency == coin)
    return Start(options=options, coins=cash, perp_usd=perp)


def check_priced(flow: RecordedFlow, after_ns: int, until_ns: int, view: View, contracts: Contracts) -> None:
    """Refuse a trade in an option that nobody has quoted by then: its mark is unknown, and unknown is not
    0."""
    for i in range(*np.searchsorted(flow.time_ns, [after_ns, until_ns], side="right").tolist()):
        number = contracts.number_of(flow.symbol[i])
        if number is not None and number not in view.at:
            raise InputError(
                "FLOW_NOT_QUOTED", "a trade in an option that is not quoted then", where="--flow",
                observed=f"{flow.symbol[i]} at {int(flow.time_ns[i])} ns",
                allowed="options alive and quoted on the tape at the next snapshot", not_done=NOTHING,
                fix="correct the trade's time or symbol",
            )  # fmt: skip
