"""Files that a user hands in: the book. Every fault is named with file, line, value and remedy."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pricing.contracts import STABLE_CURRENCIES, Listing
from pricing.errors import InputError
from pricing.universe import Universe
from risk.book import Book, CashKey, Position
from venues.deribit_names import unified_symbol

BOOK_BYTES_MAX = 16 << 20
REQUIRED = ("venue", "symbol", "quantity")
OPTIONAL = ("average_price", "account")
#: No desk holds more of anything than this; a larger number is a fault of the file.
QUANTITY_MAX = Decimal("1e15")


def read_book(path: Path, universe: Universe, as_of_ns: int) -> Book:
    """Read a book file (CSV) against the listings of a market.

    A symbol is the venue's own name or ccxt's unified symbol; a currency code is a cash balance.

    Args:
        path: the file. universe: listings its symbols must be among. as_of_ns: a contract that
            expired by then is refused.

    Raises:
        InputError: see interfaces "Exit codes"; nothing is read in part.
    """
    return parse_book(_read_text(path), universe, as_of_ns, str(path))


def _read_text(path: Path) -> str:
    """The file as text, refused before loading when it cannot be a book."""
    try:
        size = path.stat().st_size
        if size > BOOK_BYTES_MAX:
            raise InputError(
                "BOOK_TOO_LARGE",
                "not a book file",
                where=str(path),
                observed=f"{size} bytes",
                allowed=f"at most {BOOK_BYTES_MAX} bytes",
                fix="give the CSV file of positions",
            )
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            "BOOK_UNREADABLE",
            "cannot read the book",
            where=str(path),
            observed=error.strerror or error,
            fix="give a readable file to --book",
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            "BOOK_ENCODING",
            "the book is not text",
            where=f"{path}, byte {error.start}",
            observed=error.reason,
            allowed="UTF-8",
        ) from None


def parse_book(text: str, universe: Universe, as_of_ns: int, source: str = "book") -> Book:
    """A book from the text of a CSV file; see `read_book`."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        table = [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise InputError(
            "BOOK_SYNTAX", "not a CSV file", where=f"{source}, line {rows.line_num}", observed=error
        ) from None
    if not table:
        raise _empty(source)
    header = [name.strip() for name in table[0][1]]
    _check_header(header, source)
    unified = {(x.venue, unified_symbol(x.contract)): x for x in universe.listings}
    positions: dict[tuple[str, str, str], Position] = {}
    cash: dict[CashKey, Decimal] = {}
    for line, row in table[1:]:
        if not any(cell.strip() for cell in row):
            continue
        where = f"{source}, line {line}"
        if len(row) != len(header):
            raise InputError(
                "BOOK_COLUMNS",
                "wrong number of cells",
                where=where,
                observed=len(row),
                allowed=str(len(header)),
            )
        cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
        venue, symbol, account = cells["venue"], cells["symbol"], cells.get("account", "")
        if not venue or not symbol:
            raise InputError("BOOK_EMPTY_CELL", "venue and symbol must be given", where=where, observed=row)
        quantity = _number(cells["quantity"], f"{where}, column quantity")
        listing = universe.listings[i] if (i := universe.positions.get((venue, symbol))) is not None else None
        listing = listing or unified.get((venue, symbol))
        key = (venue, listing.symbol if listing else symbol, account)
        if key in positions or key in cash:
            raise InputError(
                "BOOK_DUPLICATE",
                "a position or balance occurs twice",
                where=where,
                observed=" ".join(key).strip(),
                allowed="one row per venue, symbol and account",
                fix="add the quantities up in one row",
            )
        if listing is None:
            _check_currency(symbol, universe, where)
            cash[key] = quantity
            continue
        _check_alive(listing, as_of_ns, where)
        price = cells.get("average_price", "")
        average = _number(price, f"{where}, column average_price") if price else None
        if average is not None and average < 0:
            raise InputError(
                "BOOK_PRICE", "a price is not negative", where=where, observed=price, allowed=">= 0, or empty"
            )
        positions[key] = Position(listing, account, quantity, average_price=average)
    if not positions and not cash:
        raise _empty(source)
    return Book.of(positions.values(), cash)


def _empty(source: str) -> InputError:
    return InputError(
        "BOOK_EMPTY",
        "the book has no rows",
        where=source,
        observed="0 rows",
        allowed="a header and at least one position or balance",
        fix="write the book's rows below the header",
    )


def _check_header(header: list[str], source: str) -> None:
    missing = [name for name in REQUIRED if name not in header]
    strange = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    doubled = [name for name in header if header.count(name) > 1]
    if missing or strange or doubled:
        raise InputError(
            "BOOK_HEADER",
            f"missing column {missing[0]}" if missing else f"unexpected column {(strange or doubled)[0]}",
            where=f"{source}, line 1",
            observed=",".join(header),
            allowed=f"{','.join(REQUIRED)} and optional {','.join(OPTIONAL)}",
            fix="correct the header",
        )


def _number(text: str, where: str) -> Decimal:
    """A finite decimal number of plausible size."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    # Decimal accepts 1_000, which other readers of the file would not.
    if not number.is_finite() or abs(number) > QUANTITY_MAX or "_" in text or not text.isascii():
        raise InputError(
            "BOOK_NUMBER",
            "not a number",
            where=where,
            observed=repr(text),
            allowed=f"a finite decimal number within +-{QUANTITY_MAX}",
            fix="correct the cell",
        )
    return number


def _check_currency(symbol: str, universe: Universe, where: str) -> None:
    """A symbol that is not a listing must be the code of a coin on the market or of a stable currency."""
    currencies = (*universe.underlyings, *sorted(STABLE_CURRENCIES))
    if symbol in currencies:
        return
    raise InputError(
        "BOOK_UNKNOWN_SYMBOL",
        "the symbol is not among the market's listings",
        where=where,
        observed=symbol,
        allowed=f"a listed symbol, or a currency: {', '.join(currencies)}",
        fix="correct the symbol, or give a market that lists it",
    )


def _check_alive(listing: Listing, as_of_ns: int, where: str) -> None:
    expiry_ns = getattr(listing.contract, "expiry_ns", 0)
    if expiry_ns and expiry_ns <= as_of_ns:
        raise InputError(
            "BOOK_EXPIRED",
            "the position has expired",
            where=where,
            observed=f"{listing.symbol} at {iso(expiry_ns)}",
            allowed=f"contracts that live after {iso(as_of_ns)}",
            fix="remove the row, or ask for an earlier time",
        )


def iso(time_ns: int) -> str:
    """A stamp as ISO 8601 UTC, to the microsecond.

    >>> iso(1_770_000_000_000_000_000)
    '2026-02-02T02:40:00Z'
    """
    seconds, rest = divmod(time_ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // 1000:06d}Z" if rest else f"{text}Z"


def parse_time(text: str) -> int:
    """Nanoseconds from ISO 8601 UTC or an integer.

    Raises:
        InputError: neither.

    >>> parse_time("2026-02-02T02:40:00Z") == parse_time("1770000000000000000")
    True
    """
    cleaned = text.strip()
    if cleaned.isascii() and cleaned.isdigit():
        return int(cleaned)
    try:
        stamp = datetime.fromisoformat(cleaned)
    except ValueError:
        raise InputError(
            "TIME_INVALID",
            "not a time",
            where="--at",
            observed=text,
            allowed="ISO 8601 UTC such as 2026-02-05T12:00:00Z, or integer nanoseconds",
        ) from None
    aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000


def cash_keys(book: Book) -> Mapping[CashKey, Decimal]:
    """Balances of a book as decimals, for display."""
    return {key: Decimal(amount.numerator) / Decimal(amount.denominator) for key, amount in book.cash.items()}
