"""The book file and the times a user gives: read whole or refused by file, line and value."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.inputs import BOOK_BYTES_MAX, parse_book, parse_time, read_book
from pricing.contracts import Option
from pricing.daycount import iso
from pricing.errors import InputError
from pricing.universe import Universe
from tests.builders import NOW_NS, listing
from tests.hedger.command_line import HEADER, hedger, refused
from venues.deribit_names import parse_name, unified_symbol

SYMBOLS = (
    "BTC-27MAR26-70000-C", "BTC-1FEB26-70000-C", "ETH-27MAR26", "BTC-PERPETUAL", "BTC_USDC-PERPETUAL",
    "BTC_USDC-25DEC26-60000-P", "BTC_USDC",
)  # fmt: skip
UNIVERSE = Universe.of(listing(parse_name(name), name) for name in SYMBOLS)
EXPIRED = "BTC-1FEB26-70000-C"


def rows_of(*lines: str, header: str = HEADER) -> str:
    return "\n".join([header, *lines]) + "\n"


def held(text: str) -> dict[tuple[str, str, str], Decimal]:
    """Quantities and balances of a book by (venue, symbol or currency, account)."""
    book = parse_book(text, UNIVERSE, NOW_NS)
    amounts = {key: position.quantity for key, position in book.positions.items()}
    for (venue, account, currency), amount in book.cash.items():
        amounts[(venue, currency, account)] = Decimal(amount.numerator) / Decimal(amount.denominator)
    assert len(amounts) == len(book.positions) + len(book.cash)
    return amounts


def each_line(text: str, change: Callable[[list[str]], list[str]]) -> str:
    return "\n".join(",".join(change(line.split(","))) for line in text.splitlines())


def fault(text: str, now_ns: int = NOW_NS) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_book(text, UNIVERSE, now_ns, "desk.csv")
    error = caught.value
    assert error.where and error.observed is not None and error.allowed and error.fix
    assert error.not_done == "nothing was read"
    assert "\n" not in str(error)
    return error


# ----------------------------------------------------------------------------------------------- what is read


def test_positions_and_balances() -> None:
    text = rows_of(
        "deribit,BTC-27MAR26-70000-C,-12.5,0.031",
        "deribit,BTC-PERPETUAL,250000,",
        "deribit,BTC,3.25,",
        "deribit,USDC,-1e3,",
        "okx,USDT,0,",
    )
    assert held(text) == {
        ("deribit", "BTC-27MAR26-70000-C", ""): Decimal("-12.5"),
        ("deribit", "BTC-PERPETUAL", ""): Decimal(250_000),
        ("deribit", "BTC", ""): Decimal("3.25"),
        ("deribit", "USDC", ""): Decimal(-1000),
        ("okx", "USDT", ""): Decimal(0),
    }
    book = parse_book(text, UNIVERSE, NOW_NS)
    assert book.positions["deribit", "BTC-27MAR26-70000-C", ""].average_price == Decimal("0.031")
    assert book.positions["deribit", "BTC-PERPETUAL", ""].average_price is None


def test_ccxts_symbols_name_the_same_listings() -> None:
    alive = [name for name in SYMBOLS if name != EXPIRED]
    native = rows_of(*(f"deribit,{name},1," for name in alive))
    unified = rows_of(*(f"deribit,{unified_symbol(parse_name(name))},1," for name in alive))
    assert held(native) == held(unified)


def test_accounts_hold_their_own() -> None:
    text = rows_of(
        "deribit,BTC-PERPETUAL,10,a",
        "deribit,BTC-PERPETUAL,20,b",
        "deribit,BTC,1,a",
        header="venue,symbol,quantity,account",
    )
    assert held(text) == {
        ("deribit", "BTC-PERPETUAL", "a"): Decimal(10),
        ("deribit", "BTC-PERPETUAL", "b"): Decimal(20),
        ("deribit", "BTC", "a"): Decimal(1),
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "﻿" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text + ",,,\n  \n",
        lambda text: text.replace(",", " , "),
        lambda text: each_line(text, lambda cells: [f'"{cell}"' for cell in cells]),
        lambda text: each_line(text, lambda cells: cells[::-1]),
    ],
    ids=["BOM", "CRLF", "CR", "blank lines", "last line open", "empty rows", "spaces", "quotes", "reversed"],
)  # fmt: skip
def test_the_same_book_in_other_clothes(change: Callable[[str], str], tmp_path: Path) -> None:
    text = rows_of("deribit,BTC-27MAR26-70000-C,-12.5,0.031", "deribit,BTC,3.25,")
    path = tmp_path / "book.csv"
    path.write_bytes(change(text).encode())
    read, plain = read_book(path, UNIVERSE, NOW_NS), parse_book(text, UNIVERSE, NOW_NS)
    assert (dict(read.positions), dict(read.cash)) == (dict(plain.positions), dict(plain.cash))


# -------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "cell",
    ["", "x", "NaN", "nan", "-NaN", "sNaN", "inf", "-Infinity", "1e400", "1e16", "1_000", "1,000",
     "٣", "\uff11", "²", "0x10", "1e-31", "1e-999999999", "0e-999999999", "--1", "1 0", "+-1", "1e"],
)  # fmt: skip
def test_a_quantity_that_is_no_number(cell: str) -> None:
    error = fault(rows_of(f'deribit,BTC-PERPETUAL,"{cell}",'))
    assert error.code == "BOOK_NUMBER"
    assert error.where == "desk.csv, line 2, column quantity"
    if cell:
        error = fault(rows_of(f'deribit,BTC-PERPETUAL,1,"{cell}"'))
        assert (error.code, error.where) == ("BOOK_NUMBER", "desk.csv, line 2, column average_price")


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("", "BOOK_EMPTY", "desk.csv"),
        ("\n\n", "BOOK_HEADER", "desk.csv, line 1"),
        (HEADER, "BOOK_EMPTY", "desk.csv"),
        (rows_of(",,,"), "BOOK_EMPTY", "desk.csv"),
        (rows_of("deribit,BTC,1", header="venue,symbol,amount"), "BOOK_HEADER", "desk.csv, line 1"),
        (rows_of("deribit,BTC,1,", header=HEADER.upper()), "BOOK_HEADER", "desk.csv, line 1"),
        (rows_of("deribit,BTC,1,,x", header=f"{HEADER},note"), "BOOK_HEADER", "desk.csv, line 1"),
        (rows_of("deribit,BTC,1,x", header="venue,symbol,quantity,venue"), "BOOK_HEADER", "desk.csv, line 1"),
        (rows_of("deribit,BTC,1,,", "deribit,BTC,1,"), "BOOK_COLUMNS", "desk.csv, line 2"),
        (rows_of("deribit,BTC,1,", "deribit,ETH,1"), "BOOK_COLUMNS", "desk.csv, line 3"),
        (rows_of(",BTC,1,"), "BOOK_EMPTY_CELL", "desk.csv, line 2"),
        (rows_of("deribit,,1,"), "BOOK_EMPTY_CELL", "desk.csv, line 2"),
        (rows_of('deribit,"BTC,1,'), "BOOK_SYNTAX", "desk.csv, line 2"),
        (rows_of('deribit,"BTC"x,1,'), "BOOK_SYNTAX", "desk.csv, line 2"),
        (rows_of("deribit," + "x" * 200_000 + ",1,"), "BOOK_SYNTAX", "desk.csv, line 2"),
        (rows_of("deribit,BTC-27MAR26-70001-C,1,"), "BOOK_UNKNOWN_SYMBOL", "desk.csv, line 2"),
        (rows_of("okx,BTC-27MAR26-70000-C,1,"), "BOOK_UNKNOWN_SYMBOL", "desk.csv, line 2"),
        (rows_of("deribit,btc-perpetual,1,"), "BOOK_UNKNOWN_SYMBOL", "desk.csv, line 2"),
        (rows_of("deribit,SOL,1,"), "BOOK_UNKNOWN_SYMBOL", "desk.csv, line 2"),
        (rows_of("deribit,\x1b[2J,1,"), "BOOK_UNKNOWN_SYMBOL", "desk.csv, line 2"),
        (rows_of('deribit,"a\nb",1,'), "BOOK_UNKNOWN_SYMBOL", "desk.csv, line 3"),
        (rows_of("deribit,BTC,1,", "deribit,BTC,2,"), "BOOK_DUPLICATE", "desk.csv, line 3"),
        (rows_of("deribit,BTC_USDC,1,", "", "deribit,BTC/USDC,2,"), "BOOK_DUPLICATE", "desk.csv, line 4"),
        (rows_of("deribit,BTC,1,x"), "BOOK_NUMBER", "desk.csv, line 2, column average_price"),
        (rows_of(f"deribit,{EXPIRED},1,"), "BOOK_EXPIRED", "desk.csv, line 2"),
        (rows_of("deribit,BTC-PERPETUAL,1,-1"), "BOOK_PRICE", "desk.csv, line 2, column average_price"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line(text: str, code: str, where: str) -> None:
    error = fault(text)
    assert (error.code, error.where) == (code, where)
    assert str(error).isprintable()


def test_a_contract_lives_until_its_expiry() -> None:
    contract = parse_name(EXPIRED)
    assert isinstance(contract, Option)
    expiry_ns = contract.expiry_ns
    text = rows_of(f"deribit,{EXPIRED},1,")
    assert parse_book(text, UNIVERSE, expiry_ns - 1).positions
    assert fault(text, expiry_ns).code == "BOOK_EXPIRED"


def test_files_that_cannot_be_a_book(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    garbage = tmp_path / "garbage.csv"
    with garbage.open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "utf16.csv").write_bytes(rows_of("simulated,BTC,1,").encode("utf-16"))
    (tmp_path / "empty.csv").touch()
    (tmp_path / "long.csv").write_text(rows_of("simulated,BTC,1,") + "\n" * BOOK_BYTES_MAX)
    cases = {
        garbage: "BOOK_TOO_LARGE",
        tmp_path / "long.csv": "BOOK_TOO_LARGE",
        Path("/dev/zero"): "BOOK_TOO_LARGE",
        tmp_path: "BOOK_UNREADABLE",
        tmp_path / "none.csv": "BOOK_UNREADABLE",
        tmp_path / "utf16.csv": "BOOK_ENCODING",
        tmp_path / "empty.csv": "BOOK_EMPTY",
    }
    for path, code in cases.items():
        for verb in ("risk", "plan"):
            said = refused(hedger(capsys, verb, "--book", path, "--market", tape, "--json"), code)
            assert str(path) in said


cells = st.one_of(
    st.sampled_from(["", " ", "deribit", "okx", *SYMBOLS, "BTC/USD:BTC", "BTC", "ETH", "USDC", "SOL"]),
    st.sampled_from(
        ["1", "-2.5", "0", "1e3", "NaN", "inf", "1e400", "1_0", "٣", '"', '""', "\x00", "\r", "\n"]
    ),
    st.decimals(allow_nan=True).map(str),
    st.text(max_size=4),
)
headers = st.one_of(
    st.permutations(HEADER.split(",")),
    st.just(["venue", "symbol", "quantity"]),
    st.lists(st.sampled_from([*HEADER.split(","), "account", "x"]), max_size=6),
)


@given(headers, st.lists(st.lists(cells, max_size=5), max_size=5), st.booleans())
def test_any_table_is_a_book_with_all_its_rows_or_an_input_error(
    header: list[str], table: list[list[str]], quoted: bool
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows([header, *table])
    check_nothing_is_lost(text.getvalue())


valid_rows = st.lists(
    st.tuples(
        st.sampled_from([("okx", "BTC"), *(("deribit", x) for x in (*SYMBOLS, "USDT") if x != EXPIRED)]),
        st.decimals(min_value=-(10**15), max_value=10**15, places=6).map(str),
        st.sampled_from(["", "a", "b"]),
    ),
    min_size=1,
    unique_by=lambda row: (row[0], row[2]),
)  # fmt: skip


@given(valid_rows)
def test_any_sound_table_is_read_exactly(table: list[tuple[tuple[str, str], str, str]]) -> None:
    text = rows_of(
        *(f"{venue},{symbol},{quantity},{account}" for (venue, symbol), quantity, account in table),
        header="venue,symbol,quantity,account",
    )
    check_nothing_is_lost(text)
    wanted = {(*key, account): Decimal(quantity) for key, quantity, account in table}
    assert held(text) == wanted


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "replace")))
def test_any_text_is_a_book_or_an_input_error(text: str) -> None:
    check_nothing_is_lost(text)
    check_nothing_is_lost(rows_of(text))


def check_nothing_is_lost(text: str) -> None:
    """The text is refused by the house's error, or every row that is not blank is a position or a balance."""
    try:
        book = parse_book(text, UNIVERSE, NOW_NS)
    except InputError as error:
        assert error.code.startswith("BOOK_")
    else:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(cell.strip() for cell in row)]
        assert len(rows) - 1 == len(book.positions) + len(book.cash)


# --------------------------------------------------------------------------------------------------- times


@given(st.integers(0, 2**62))
def test_a_stamp_survives_its_text(time_ns: int) -> None:
    assert parse_time(iso(time_ns)) == parse_time(str(time_ns)) == time_ns


@given(st.timedeltas(timedelta(0), timedelta(days=80_000)), st.integers(-14 * 60, 14 * 60))
def test_a_zone_is_counted(since: timedelta, minutes: int) -> None:
    """Against the calendar of the standard library."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + since + timedelta(minutes=minutes)
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    assert parse_time(f"{local:%Y-%m-%dT%H:%M:%S.%f}{zone}") == since // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-02-05", "2026-02-05T00:00:00Z"),
        ("2026-02-05 12:00", "2026-02-05T12:00:00Z"),
        ("2026-02-05T12:00:00.5", "2026-02-05T12:00:00.500000000Z"),
        (" 2026-02-05T12:00:00+01:30 ", "2026-02-05T10:30:00Z"),
    ],
)
def test_short_forms(text: str, same: str) -> None:
    assert parse_time(text) == parse_time(same)


@pytest.mark.parametrize(
    "text",
    ["", "now", "-5", "1.5", "1e18", "9" * 20, "9" * 5000, "٣", "2026-02-30", "2026-02-05T24:00",
     "2026-13-01", "05.02.2026", "2026-02-05T12:00:00.1234567890Z", "2026-02-05T12:00.5Z", "2026-02-05T12",
     "12:00", "2026-02-05T12:00Zx",
     "\uff12026-02-05", "2026-02-05T12:00:00\x1b[2J"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_time(text)
    assert caught.value.code == "TIME_INVALID"
    assert str(caught.value).isprintable()


@given(
    st.text()
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9.]{2,14})?[Z+-]?[0-9:]{0,5}")
)
def test_any_text_is_a_time_or_an_input_error(text: str) -> None:
    try:
        assert isinstance(parse_time(text), int)
    except InputError as error:
        assert error.code == "TIME_INVALID"


def test_cash_at_a_venue_of_the_market_written_another_way_is_refused() -> None:
    with pytest.raises(InputError, match="BOOK_VENUE"):
        held(rows_of("Deribit,BTC,1,"))
    assert held(rows_of("custody,BTC,1,")) == {("custody", "BTC", ""): 1}
