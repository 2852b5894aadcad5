"""Files that a user hands in: the book. Every fault is named with file, line, value and remedy."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pricing.contracts import STABLE_CURRENCIES, Listing
from pricing.daycount import NS_PER_SECOND, SECONDS_PER_DAY, iso
from pricing.errors import InputError
from pricing.universe import Universe
from risk.book import Book, CashKey, Position, PositionKey
from venues.deribit_names import unified_symbol

BOOK_BYTES_MAX = 16 << 20
REQUIRED = ("venue", "symbol", "quantity")
OPTIONAL = ("average_price", "account")
#: No desk holds more of anything than this; a larger number is a fault of the file.
QUANTITY_MAX = Decimal("1e15")
#: More than any chain's smallest unit; 1e-999999999 would fill the memory as an exact fraction.
DECIMALS_MAX = 30
NOTHING_READ = "nothing was read"
#: Digits of the largest 64-bit stamp.
_NS_DIGITS_MAX = 19
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<minute>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


def read_book(path: Path, universe: Universe, as_of_ns: int) -> Book:
    """Read a book file (CSV) against the listings of a market.

    A symbol is the venue's own name or ccxt's unified symbol; a currency code is a cash balance.

    Args:
        path: the file. universe: listings its symbols must be among. as_of_ns: a contract that
            expired by then is refused.

    Raises:
        InputError: file, line and value are named; nothing is read in part.
    """
    return parse_book(_read_text(path), universe, as_of_ns, str(path))


def _read_text(path: Path) -> str:
    """The file as text; never more of it is read than a book can be."""
    try:
        with path.open("rb") as file:
            content = file.read(BOOK_BYTES_MAX + 1)
        if len(content) > BOOK_BYTES_MAX:
            raise InputError(
                "BOOK_TOO_LARGE",
                "not a book file",
                where=str(path),
                observed=f"more than {BOOK_BYTES_MAX} bytes",
                allowed=f"at most {BOOK_BYTES_MAX} bytes",
                not_done=NOTHING_READ,
                fix="give the CSV file of positions",
            )
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            "BOOK_UNREADABLE",
            "cannot read the book",
            where=str(path),
            observed=error.strerror or error,
            allowed="a CSV file",
            not_done=NOTHING_READ,
            fix="give a readable file to --book",
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            "BOOK_ENCODING",
            "the book is not text",
            where=f"{path}, byte {error.start}",
            observed=error.reason,
            allowed="UTF-8",
            not_done=NOTHING_READ,
            fix="save the file as CSV in UTF-8",
        ) from None


@dataclass(frozen=True, slots=True)
class BookRow:
    """A row of a book file, its cells checked, against no market. where: file and line."""

    where: str
    venue: str
    symbol: str
    account: str
    quantity: Decimal
    average_price: Decimal | None


def read_rows(path: Path) -> list[BookRow]:
    """The rows of a book file as they stand there; no market says what they are worth.

    Raises:
        InputError: file, line and value are named; nothing is read in part.
    """
    found: dict[tuple[str, str, str], BookRow] = {}
    for row in _rows(_read_text(path), str(path)):
        name = (row.venue, row.symbol, row.account)
        if name in found:
            raise _twice(row.where, name)
        found[name] = row
    if not found:
        raise _empty(str(path))
    return list(found.values())


def parse_book(text: str, universe: Universe, as_of_ns: int, source: str = "book") -> Book:
    """A book from the text of a CSV file; see `read_book`."""
    unified = {(x.venue, unified_symbol(x.contract)): x for x in universe.listings}
    positions: dict[PositionKey, Position] = {}
    cash: dict[CashKey, Decimal] = {}
    seen: set[tuple[str, str, str]] = set()
    for row in _rows(text, source):
        at = universe.positions.get((row.venue, row.symbol))
        listing = unified.get((row.venue, row.symbol)) if at is None else universe.listings[at]
        name = (row.venue, listing.symbol if listing else row.symbol, row.account)
        if name in seen:
            raise _twice(row.where, name)
        seen.add(name)
        if listing is None:
            _check_currency(row.symbol, universe, row.where)
            _check_venue_case(row.venue, universe, row.where)
            cash[row.venue, row.account, row.symbol] = row.quantity
        else:
            _check_alive(listing, as_of_ns, row.where)
            position = Position(listing, row.account, row.quantity, average_price=row.average_price)
            positions[position.key] = position
    if not positions and not cash:
        raise _empty(source)
    return Book.of(positions.values(), cash)


def _rows(text: str, source: str) -> Iterator[BookRow]:
    """The rows of a book's text, one after the other, each checked by itself."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        table = [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise InputError(
            "BOOK_SYNTAX",
            "not a CSV file",
            where=f"{source}, line {rows.line_num}",
            observed=error,
            allowed="cells between commas, a cell with a comma in double quotes",
            not_done=NOTHING_READ,
            fix="correct the line",
        ) from None
    if not table:
        raise _empty(source)
    header = [name.strip() for name in table[0][1]]
    _check_header(header, source)
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
                not_done=NOTHING_READ,
                fix="give every cell of the header; an unknown average_price is an empty cell",
            )
        cells = dict(zip(header, (cell.strip() for cell in row), strict=True))
        venue, symbol, account = cells["venue"], cells["symbol"], cells.get("account", "")
        if not venue or not symbol:
            raise InputError(
                "BOOK_EMPTY_CELL",
                "venue and symbol must be given",
                where=where,
                observed=row,
                allowed="a venue and a symbol",
                not_done=NOTHING_READ,
                fix="fill in the cell, or remove the row",
            )
        quantity = _number(cells["quantity"], f"{where}, column quantity")
        average = _average_price(cells.get("average_price", ""), f"{where}, column average_price")
        yield BookRow(where, venue, symbol, account, quantity, average)


def _twice(where: str, name: tuple[str, str, str]) -> InputError:
    return InputError(
        "BOOK_DUPLICATE",
        "a position or balance occurs twice",
        where=where,
        observed=_shown(" ".join(name).strip()),
        allowed="one row per venue, symbol and account",
        not_done=NOTHING_READ,
        fix="add the quantities up in one row",
    )


def _empty(source: str) -> InputError:
    return InputError(
        "BOOK_EMPTY",
        "the book has no rows",
        where=source,
        observed="0 rows",
        allowed="a header and at least one position or balance",
        not_done=NOTHING_READ,
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
            observed=_shown(",".join(header)),
            allowed=f"{','.join(REQUIRED)} and optional {','.join(OPTIONAL)}",
            not_done=NOTHING_READ,
            fix="correct the header",
        )


def _number(text: str, where: str) -> Decimal:
    """A finite decimal number of plausible size and digits.

    Decimal itself would also take 1_000 and digits of other scripts, which other readers of the file do not.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent
    fine = isinstance(exponent, int) and exponent >= -DECIMALS_MAX and abs(number) <= QUANTITY_MAX
    if not fine or "_" in text or not text.isascii():
        raise InputError(
            "BOOK_NUMBER",
            "not a number",
            where=where,
            observed=repr(text),
            allowed=f"a decimal number within +-{QUANTITY_MAX} of at most {DECIMALS_MAX} decimals",
            not_done=NOTHING_READ,
            fix="correct the cell",
        )
    return number


def _average_price(text: str, where: str) -> Decimal | None:
    """A price that is not negative; None where the cell is empty."""
    if not text:
        return None
    price = _number(text, where)
    if price < 0:
        raise InputError(
            "BOOK_PRICE",
            "a price is not negative",
            where=where,
            observed=text,
            allowed=">= 0, or empty",
            not_done=NOTHING_READ,
            fix="correct the cell, or leave it empty",
        )
    return price


def _shown(text: str) -> str:
    """Text of a file for a message of one line: quoted where it holds what a terminal would act on."""
    return text if text.isprintable() else repr(text)


def _check_currency(symbol: str, universe: Universe, where: str) -> None:
    """A symbol that is not a listing must be the code of a coin on the market or of a stable currency."""
    currencies = (*universe.underlyings, *sorted(STABLE_CURRENCIES))
    if symbol in currencies:
        return
    raise InputError(
        "BOOK_UNKNOWN_SYMBOL",
        "the symbol is not among the market's listings",
        where=where,
        observed=_shown(symbol),
        allowed=f"a listed symbol, or a currency: {', '.join(currencies)}",
        not_done=NOTHING_READ,
        fix="correct the symbol, or give a market that lists it",
    )


def _check_venue_case(venue: str, universe: Universe, where: str) -> None:
    """Cash may lie where nothing is traded, but not at a venue of this market written another way."""
    venues = {listing.venue for listing in universe.listings}
    if venue not in venues and venue.casefold() in {name.casefold() for name in venues}:
        raise InputError(
            "BOOK_VENUE",
            "a venue of the market is written another way",
            where=where,
            observed=_shown(venue),
            allowed=", ".join(sorted(venues)),
            not_done=NOTHING_READ,
            fix="correct the venue",
        )


def _check_alive(listing: Listing, as_of_ns: int, where: str) -> None:
    if 0 < listing.expiry_ns <= as_of_ns:
        raise InputError(
            "BOOK_EXPIRED",
            "the position has expired",
            where=where,
            observed=f"{listing.symbol} at {iso(listing.expiry_ns)}",
            allowed=f"contracts that live after {iso(as_of_ns)}",
            not_done=NOTHING_READ,
            fix="remove the row, or ask for an earlier time",
        )


def parse_time(text: str) -> int:
    """Nanoseconds from ISO 8601 (UTC where it names no zone) or an integer.

    Raises:
        InputError: neither.

    >>> parse_time("2026-02-02T02:40:00Z") == parse_time("1770000000000000000")
    True
    >>> parse_time("2026-02-02T02:40:00.000000001Z") - parse_time("2026-02-02T02:40")
    1
    """
    cleaned = text.strip()
    if cleaned.isascii() and cleaned.isdigit() and len(cleaned) <= _NS_DIGITS_MAX:
        return int(cleaned)
    match = _TIME.fullmatch(cleaned)
    try:
        if match is None:
            raise ValueError(text)
        clock = f"{match['minute'] or '00:00'}:{match['second'] or '00'}"
        stamp = datetime.fromisoformat(f"{match['date']}T{clock}{match['zone'] or 'Z'}")
    except ValueError:
        raise InputError(
            "TIME_INVALID",
            "not a time",
            where="--at",
            observed=_shown(text),
            allowed="ISO 8601 UTC such as 2026-02-05T12:00:00Z, or integer nanoseconds",
            not_done=NOTHING_READ,
            fix="see `hedger tape info` for the times of a tape",
        ) from None
    # datetime holds microseconds; a stamp nanoseconds
    delta = stamp - datetime(1970, 1, 1, tzinfo=UTC)
    whole = delta.days * SECONDS_PER_DAY + delta.seconds
    return whole * NS_PER_SECOND + int((match["fraction"] or "").ljust(9, "0"))
