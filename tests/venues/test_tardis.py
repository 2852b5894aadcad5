"""Tardis' files: books, quotes and trades against the cells of the samples, and what is refused."""

from __future__ import annotations

import csv
import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.errors import InputError
from tests.venues.sources import leftovers
from venues.import_options import ImportOptions
from venues.tape import Tape, verify
from venues.tape_import import import_tape

HEAD = "exchange,symbol,timestamp,local_timestamp"
US = 1_700_000_000_000_000
#: When the terms of every exchange are known.
LATER = 1_750_000_000_000_000
CHANGES = [
    f"{HEAD},is_snapshot,side,price,amount",
    f"deribit,BTC-PERPETUAL,{US},{US + 100},false,bid,5,1",  # before any snapshot: of a book nobody knows
    f"deribit,BTC-PERPETUAL,{US + 10},{US + 200},true,bid,100,10",
    f"deribit,BTC-PERPETUAL,{US + 10},{US + 200},true,bid,99.5,20",
    f"deribit,BTC-PERPETUAL,{US + 10},{US + 200},true,ask,101,30",
    f"deribit,BTC-PERPETUAL,{US + 20},{US + 5_200},false,bid,100,0",
    f"deribit,BTC-PERPETUAL,{US + 20},{US + 5_200},false,bid,98,40",
]
TRADES = [
    f"{HEAD},id,side,price,amount",
    f"deribit,BTC-PERPETUAL,{US},{US + 150},7,buy,101,10",
    f"deribit,BTC-PERPETUAL,{US},{US + 5_300},8,sell,99.5,20",
    f"deribit,BTC-PERPETUAL,{US},{US + 5_300},9,unknown,99.5,20",
]


def file(folder: Path, lines: list[str], name: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def imported(folder: Path, *sources: Path, every_ms: int = 1, underlyings: tuple[str, ...] = ()) -> Tape:
    options = ImportOptions(every_ms=every_ms, underlyings=underlyings)
    import_tape(list(sources), "tardis", folder / "tape", options)
    assert verify(folder / "tape") == []
    return Tape.open(folder / "tape")


def test_changes_and_trades_become_one_tape(tmp_path: Path) -> None:
    tape = imported(tmp_path, file(tmp_path, CHANGES, "book.csv"), file(tmp_path, TRADES, "trades.csv"))
    quotes = tape.frame("quotes").select("local_ns", "venue_ns", "bid", "bid_size", "ask", "ask_size").rows()
    assert quotes == [
        ((US + 200) * 1_000, (US + 10) * 1_000, 100.0, 10.0, 101.0, 30.0),
        ((US + 5_200) * 1_000, (US + 20) * 1_000, 99.5, 20.0, 101.0, 30.0),
    ]
    books = tape.frame("depth").select("seq", "side", "level", "price", "size").rows()
    assert books == [
        (0, "bid", 0, 100.0, 10.0), (0, "bid", 1, 99.5, 20.0), (0, "ask", 0, 101.0, 30.0),
        (1, "bid", 0, 99.5, 20.0), (1, "bid", 1, 98.0, 40.0), (1, "ask", 0, 101.0, 30.0),
    ]  # fmt: skip
    assert [part.trade_id for part in tape.trades()] == [("7",), ("8",)]
    assert [part.side.tolist() for part in tape.trades()] == [[1], [-1]]


COPY_HEAD = f"{HEAD},is_snapshot,side,price,amount"


def copied(symbol: str, *rows: tuple[int, int, str, str, float, float], first: int = US) -> list[str]:
    """Lines of `incremental_book_L2`: (exchange's stamp, receipt, is_snapshot, side, price, amount)."""
    return [
        COPY_HEAD,
        *(f"{symbol},{first + at},{first + local},{copy},{s},{p},{n}" for at, local, copy, s, p, n in rows),
    ]


def ladders(tape: Tape) -> list[list[tuple[str, float, float]]]:
    """(side, price, size) of each batch's book."""
    depth = tape.frame("depth")
    batches = tape.frame("quotes")["seq"].to_list()
    return [depth.filter(depth["seq"] == seq).select("side", "price", "size").rows() for seq in batches]


def test_a_copy_that_comes_with_a_change_before_it_clears_the_book(tmp_path: Path) -> None:
    """docs.tardis.dev: where a line is of a snapshot and the one before is not, the book is discarded."""
    changes = copied(
        "deribit,BTC-PERPETUAL",
        (0, 1_000, "true", "bid", 35_000, 10), (0, 1_000, "true", "ask", 35_001, 10),
        (5_000, 6_000, "false", "bid", 34_990, 5),
        (5_000, 6_000, "true", "bid", 34_000, 7), (5_000, 6_000, "true", "ask", 34_001, 7),
        (9_000, 9_500, "false", "ask", 34_002, 3),
    )  # fmt: skip
    tape = imported(tmp_path, file(tmp_path, changes, "book.csv"))
    assert ladders(tape) == [
        [("bid", 35_000, 10), ("ask", 35_001, 10)],
        [("bid", 34_000, 7), ("ask", 34_001, 7)],
        [("bid", 34_000, 7), ("ask", 34_001, 7), ("ask", 34_002, 3)],
    ]
    assert tape.frame("quotes")["flag"].to_list() == [None, None, None]


def test_each_message_of_a_venue_that_sends_copies_alone_is_a_book(tmp_path: Path) -> None:
    """Hyperliquid's every message is a copy; two may be received in one microsecond, or change nothing but
    one side."""
    changes = copied(
        "hyperliquid,BTC",
        (0, 1_000, "true", "bid", 99, 1), (0, 1_000, "true", "bid", 98, 2), (0, 1_000, "true", "ask", 101, 3),
        (500, 5_000, "true", "bid", 98.5, 4), (500, 5_000, "true", "ask", 100, 5),
        (700, 5_000, "true", "bid", 97, 6), (700, 5_000, "true", "ask", 98, 7),
        (900, 9_000, "true", "ask", 98, 8), first=LATER,
    )  # fmt: skip
    tape = imported(tmp_path, file(tmp_path, changes, "book.csv"))
    assert ladders(tape) == [
        [("bid", 99, 1), ("bid", 98, 2), ("ask", 101, 3)],
        [("bid", 97, 6), ("ask", 98, 7)],
        [("ask", 98, 8)],
    ]
    assert tape.frame("quotes")["venue_ns"].to_list() == [(LATER + at) * 1_000 for at in (0, 700, 900)]


@pytest.mark.parametrize(
    "stamps", [(0, 0), (1_000, 1_200)], ids=["the exchange's stamp", "none of the exchange"]
)
def test_a_copy_that_comes_under_two_receipts_is_one(tmp_path: Path, stamps: tuple[int, int]) -> None:
    """Whatever else is told between its halves. Without a stamp of the exchange Tardis writes the receipt."""
    first, second = stamps
    changes = copied(
        "deribit,BTC-PERPETUAL",
        (-5_000, -4_000, "true", "bid", 90, 1), (-5_000, -4_000, "true", "ask", 110, 1),
        (-5_000, -3_900, "false", "bid", 91, 1),
        (first, 1_000, "true", "bid", 100, 10), (first, 1_000, "true", "bid", 99, 20),
        (second, 1_200, "true", "ask", 101, 30), (second, 1_200, "true", "ask", 102, 40),
        (9_000, 9_500, "false", "bid", 98, 5),
    )  # fmt: skip
    other = copied(
        "deribit,ETH-PERPETUAL", (1_050, 1_100, "true", "bid", 9, 1), (1_060, 1_100, "false", "bid", 8, 1)
    )
    both = sorted(changes[1:] + other[1:], key=lambda line: int(line.split(",")[3]))
    tape = imported(tmp_path, file(tmp_path, [COPY_HEAD, *both], "book.csv"), underlyings=("BTC",))
    assert ladders(tape)[1:] == [
        [("bid", 100, 10), ("bid", 99, 20), ("ask", 101, 30), ("ask", 102, 40)],
        [("bid", 100, 10), ("bid", 99, 20), ("bid", 98, 5), ("ask", 101, 30), ("ask", 102, 40)],
    ]


@pytest.mark.parametrize(
    "stamps", [(0, 0), (1_000, 5_000)], ids=["the exchange's stamp", "none of the exchange"]
)
def test_a_copy_that_tells_a_level_again_is_another(tmp_path: Path, stamps: tuple[int, int]) -> None:
    """As after a connection that was begun anew, while nothing else changed: what is not in it is gone."""
    first, second = stamps
    changes = copied(
        "deribit,BTC-PERPETUAL",
        (first, 1_000, "true", "bid", 100, 10), (first, 1_000, "true", "bid", 99, 20),
        (first, 1_000, "true", "ask", 101, 30),
        (second, 5_000, "true", "bid", 99, 20), (second, 5_000, "true", "ask", 101, 40),
    )  # fmt: skip
    tape = imported(tmp_path, file(tmp_path, changes, "book.csv"))
    assert ladders(tape) == [
        [("bid", 100, 10), ("bid", 99, 20), ("ask", 101, 30)],
        [("bid", 99, 20), ("ask", 101, 40)],
    ]


LEVELS = st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 6), st.integers(0, 4))
MESSAGES = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.lists(LEVELS, min_size=1, max_size=4)), min_size=1, max_size=8
)


@settings(max_examples=25, deadline=None)
@given(MESSAGES)
def test_any_lines_are_the_book_that_the_documentation_s_rule_makes_of_them(
    messages: list[tuple[bool, bool, list[tuple[str, int, int]]]],
) -> None:
    """The rule by itself, line by line, over a dict: bids below 50, asks above, so that none cross.

    messages: whether it is a copy; whether it is received with the one before; levels.
    """
    rows: list[tuple[int, int, str, str, float, float]] = []
    book: dict[tuple[str, float], float] | None = None
    expected: dict[int, dict[tuple[str, float], float]] = {}
    local, before = 1_000, False
    for at, (copy, together, levels) in enumerate(messages):
        local += 0 if together else 2_000
        if copy:
            book = {}
        for side, step, amount in levels:
            price = 50.0 - step if side == "bid" else 50.0 + step
            rows.append((at, local, str(copy).lower(), side, price, float(amount)))
            if book is not None:
                book[side, price] = float(amount)
        if book is not None:
            expected[local] = dict(book)
        before |= copy
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = file(folder, copied("deribit,BTC-PERPETUAL", *rows), "book.csv")
        if not before:
            with pytest.raises(InputError, match="FILE_EMPTY"):
                imported(folder, source)
            return
        tape = imported(folder, source)
        found = dict(zip(tape.frame("quotes")["local_ns"].to_list(), ladders(tape), strict=True))
    assert [(at // 1_000 - US, {(s, p): n for s, p, n in levels}) for at, levels in found.items()] == [
        (at, {level: n for level, n in levels.items() if n}) for at, levels in expected.items()
    ]


def test_quotes_and_a_later_book_snapshot(tmp_path: Path) -> None:
    quotes = [
        f"{HEAD},ask_amount,ask_price,bid_price,bid_amount",
        f"binance-delivery,btcusd_perp,{US},{US + 100},5,101,100,6",
        f"binance-delivery,btcusd_perp,{US + 9},{US + 5_000},,,100,7",
    ]
    book = [
        f"{HEAD},asks[0].price,asks[0].amount,bids[0].price,bids[0].amount",
        f"binance-delivery,btcusd_perp,{US + 20},{US + 9_000},102,1,99,2",
    ]
    tape = imported(tmp_path, file(tmp_path, quotes, "quotes.csv"), file(tmp_path, book, "book.csv"))
    found = tape.frame("quotes").select("bid", "bid_size", "ask", "ask_size").rows()
    assert found == [(100.0, 6.0, 101.0, 5.0), (100.0, 7.0, None, None), (99.0, 2.0, 102.0, 1.0)]
    assert [x.key for x in tape.universe.listings] == [("binancecoinm", "BTCUSD_PERP")]


@pytest.mark.parametrize("levels", [5, 25])
def test_the_sample_of_book_snapshots(shared_data: Path, tmp_path: Path, levels: int) -> None:
    source = shared_data / "l2" / "nautilus" / f"binance-futures_book_snapshot_{levels}_BTCUSDT.csv"
    tape = imported(tmp_path, source)
    rows = list(csv.DictReader(source.read_text("utf-8").splitlines()))
    depth, quotes = tape.frame("depth"), tape.frame("quotes")
    assert quotes.height == len(rows) == 10
    assert tape.universe.listings[0].key == ("binanceusdm", "BTCUSDT")
    for seq, row in enumerate(rows):
        assert quotes["local_ns"][seq] == int(row["local_timestamp"]) * 1_000
        mine = depth.filter(depth["seq"] == seq)
        for side in ("bid", "ask"):
            ladder = mine.filter(mine["side"] == side).select("price", "size").rows()
            cells = [
                (row[f"{side}s[{i}].price"], row[f"{side}s[{i}].amount"]) for i in range(min(levels, 20))
            ]
            assert ladder == [(float(price), float(size)) for price, size in cells]


def test_the_sample_of_changes(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "l2" / "nautilus" / "deribit_incremental_book_L2_BTC-PERPETUAL.csv"
    tape = imported(tmp_path, source)
    rows = list(csv.DictReader(source.read_text("utf-8").splitlines()))
    asks: dict[float, float] = {}
    for row in rows:
        if row["side"] == "ask":
            asks[float(row["price"])] = float(row["amount"])
    last = tape.frame("depth").filter(seq=int(tape.batches.seq[-1]), side="ask")
    expected = sorted((price, size) for price, size in asks.items() if size)[:20]
    assert last.select("price", "size").rows() == expected


def ticks(first: int, count: int, begin: int = US) -> list[str]:
    """Lines of quotes, a second apart."""
    return [
        f"{HEAD},ask_amount,ask_price,bid_price,bid_amount",
        *(
            f"deribit,BTC-PERPETUAL,{begin + i * 10**6},{begin + i * 10**6 + 100},10,{101 + i},{100 + i},20"
            for i in range(first, first + count)
        ),
    ]


def refusal(folder: Path, *sources: Path) -> InputError:
    before = leftovers(folder)
    with pytest.raises(InputError) as refused:
        import_tape(list(sources), "tardis", folder / "tape", ImportOptions())
    assert leftovers(folder) == before
    return refused.value


def test_days_behind_one_another_are_one_tape(tmp_path: Path) -> None:
    first, second = file(tmp_path, ticks(0, 3), "1.csv"), file(tmp_path, ticks(3, 2), "2.csv")
    tape = imported(tmp_path, second, first)
    assert tape.frame("quotes")["bid"].to_list() == [100.0, 101.0, 102.0, 103.0, 104.0]
    assert [x["name"] for x in tape.description["source"]] == ["2.csv", "1.csv"]


def test_one_file_twice_is_refused(tmp_path: Path) -> None:
    one = file(tmp_path, ticks(0, 3), "1.csv")
    for other in (one, file(tmp_path, ticks(0, 3), "copy.csv")):
        refused = refusal(tmp_path, one, other)
        assert refused.code == "SOURCE_TWICE" and refused.where == other.name


def packed(folder: Path) -> Path:
    path = folder / "packed.csv.gz"
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in ticks(0, 3)).encode()))
    return path


@pytest.mark.parametrize(
    "second",
    [
        packed,  # the same lines in other bytes
        lambda folder: file(folder, ticks(2, 1), "last.csv"),
        lambda folder: file(folder, [*ticks(0, 1), *ticks(9, 1)[1:]], "around.csv"),
        lambda folder: file(folder, [ticks(0, 0)[0], ticks(1, 1)[1].replace(",10,", ",11,")], "between.csv"),
        lambda folder: file(folder, ticks(1, 1), "deribit_book_ticker_OPTIONS.csv"),
    ],
)
def test_two_files_of_the_same_times_are_refused(tmp_path: Path, second: Callable[[Path], Path]) -> None:
    one, other = file(tmp_path, ticks(0, 3), "1.csv"), second(tmp_path)
    for sources in ((one, other), (other, one)):
        refused = refusal(tmp_path, *sources)
        assert refused.code == "SOURCE_TWICE"
        assert "quotes of deribit BTC-PERPETUAL" in str(refused.observed)


def test_a_book_by_its_changes_and_by_its_copies_is_one_too_many(tmp_path: Path) -> None:
    copies = [
        f"{HEAD},asks[0].price,asks[0].amount,bids[0].price,bids[0].amount",
        f"deribit,BTC-PERPETUAL,{US},{US + 300},102,1,99,2",
        f"deribit,BTC-PERPETUAL,{US},{US + 9_000},102,1,99,2",
    ]
    refused = refusal(tmp_path, file(tmp_path, CHANGES, "l2.csv"), file(tmp_path, copies, "copies.csv"))
    assert refused.code == "SOURCE_TWICE" and "books of deribit BTC-PERPETUAL" in str(refused.observed)
    # what tells different things of one listing stands side by side
    imported(tmp_path, *(file(tmp_path, lines, f"{i}.csv") for i, lines in enumerate((TRADES, CHANGES))))


DAY_US = 86_400 * 10**6


def test_a_stamp_from_the_future_is_not_taken_and_is_told(tmp_path: Path) -> None:
    lines = ticks(0, 4)
    lines[2] = lines[2].replace(str(US + 10**6), str(US + 10**6 + DAY_US), 1)
    lines[3] = lines[3].replace(str(US + 2 * 10**6), str(US + 2 * 10**6 + 30), 1)  # as a clock may be wrong
    trades = [*TRADES[:2], TRADES[2].replace(str(US), str(US + DAY_US), 1)]
    tape = imported(tmp_path, file(tmp_path, lines, "q.csv"), file(tmp_path, trades, "t.csv"))
    assert tape.frame("quotes")["venue_ns"].to_list() == [
        US * 1_000, (US + 10**6 + 100) * 1_000, (US + 2 * 10**6 + 30) * 1_000, (US + 3 * 10**6) * 1_000,
    ]  # fmt: skip
    assert tape.frame("trades")["venue_ns"].to_list() == [US * 1_000, (US + 5_300) * 1_000]
    assert tape.description["clock_offset_ns"] == {"deribit": 0}
    told = [note for note in tape.description["notes"] if "ahead of their receipt" in note]
    assert [note[: note.index(" are")] for note in told] == ["q.csv: 1 of 4 lines", "t.csv: 1 of 2 lines"]
    assert all("86,400 s" in note for note in told)


def test_a_file_of_nothing_but_stamps_from_the_future_is_refused(tmp_path: Path) -> None:
    lines = [line.replace(f",{US}", f",{US + DAY_US}", 1) for line in ticks(0, 1)]
    refused = refusal(tmp_path, file(tmp_path, ticks(5, 2), "good.csv"), file(tmp_path, lines, "bad.csv"))
    assert (refused.code, refused.where) == ("SOURCE_VALUE", "bad.csv, column timestamp")
    assert str(refused.observed).startswith("1 of 1 lines")


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ("id,side,price,amount,price", "price"),
        ("ask_amount,ask_price,bid_price", "bid_amount"),
        ("ask_amount,ask_price,bid_price,bid_amount,mid", "mid"),
        ("ask_amount,ask_price,bid_amount,bid_price", "bid_amount"),
        ("is_snapshot,side,price", "amount"),
        ("funding_timestamp,funding_rate,open_interest,last_price,index_price,mark_price", "predicted_fund"),
        ("asks[0].price,asks[0].amount,asks[0].price,asks[0].amount,bids[0].price", "asks[0].price"),
        ("asks[0].price,asks[0].amount,bids[0].price", "bids[0].amount"),
        ("asks[0].price,asks[0].amount", "bids[0].price"),
        ("bids[0].price,bids[0].amount,asks[1].price,asks[1].amount", "asks[0].price"),
        ("asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,asks[0].count", "asks[0].count"),
        (
            ",".join(
                f"{side}[{i}].{c}" for i in (0, 2) for side in ("asks", "bids") for c in ("price", "amount")
            ),
            "asks[1].price",
        ),
    ],
)
def test_a_column_that_is_not_right_is_named(tmp_path: Path, columns: str, named: str) -> None:
    cells = ",".join("1" for _ in columns.split(","))
    lines = [f"{HEAD},{columns}", f"deribit,BTC-PERPETUAL,{US},{US + 1},{cells}"]
    refused = refusal(tmp_path, file(tmp_path, lines, "some.csv"))
    assert refused.code == "SOURCE_COLUMNS"
    assert refused.where.startswith(f"some.csv, line 1, column {named}"), refused.text()


def test_a_mark_of_the_byte_order_is_no_column(tmp_path: Path) -> None:
    source = tmp_path / "bom.csv"
    source.write_text("\n".join([*ticks(0, 2), ""]), "utf-8-sig")
    assert imported(tmp_path, source).frame("quotes")["bid"].to_list() == [100.0, 101.0]


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ("101,1,100,2,,,99,3", None),  # nobody else asks
        (",,100,2,,,99,3", None),  # nobody asks at all
        ("101,1,100,2,102,4,,", None),
        (",,100,2,102,4,99,3", "asks[0].price"),  # a hole
        ("101,1,100,2,101,4,99,3", "asks[1].price"),  # a price twice
        ("101,1,100,2,102,4,100.5,3", "bids[1].price"),  # a better price behind a worse
        ("101,1,100,2,102,nan,99,3", "asks[1].amount"),
        ("101,1,100,2,-102,4,99,3", "asks[1].price"),
    ],
)
def test_the_levels_of_a_copy_stand_in_order_and_without_a_hole(
    tmp_path: Path, cells: str, column: str | None
) -> None:
    names = [f"{side}[{i}].{c}" for i in (0, 1) for side in ("asks", "bids") for c in ("price", "amount")]
    lines = [f"{HEAD},{','.join(names)}", f"deribit,BTC-PERPETUAL,{US},{US + 1},{cells}"]
    source = file(tmp_path, lines, "copies.csv")
    if column is not None:
        refused = refusal(tmp_path, source)
        assert (refused.code, refused.where) == ("SOURCE_VALUE", f"copies.csv, line 2, column {column}")
        return
    filled = [cell for cell in cells.split(",") if cell]
    told = {(float(p), float(n)) for p, n in zip(filled[::2], filled[1::2], strict=True)}
    assert set(imported(tmp_path, source).frame("depth").select("price", "size").rows()) == told


def test_a_bad_line_of_a_message_is_named_by_its_own_number(tmp_path: Path) -> None:
    lines = [*CHANGES[:4], CHANGES[4].replace(",30", ",-30"), *CHANGES[5:]]
    refused = refusal(tmp_path, file(tmp_path, lines, "book.csv"))
    assert refused.where == "book.csv, line 5, column amount"


#: The row that docs.tardis.dev shows of Deribit's `options_chain`.
SHOWN = (
    "deribit,BTC-9JUN20-9875-P,1591574399413000,1591574400196008,put,9875,1591689600000000,0.1,0.0295,0.0205,"
    "15.0,55.91,0.0235,15.0,68.94,0.02210436,62.89,SYN.BTC-9JUN20,9756.36,-0.61752,0.00103,2.24964,"
    "-53.05655,-0.22796"
)


def test_every_figure_of_the_documentation_s_option(tmp_path: Path) -> None:
    """Its vol is in percent, its amounts are coins, its Greeks the venue's own; last price and the vols of
    bid and ask have no place on a tape."""
    tape = imported(tmp_path, file(tmp_path, [CHAIN_HEAD, SHOWN], "chain.csv"))
    (row,) = tape.frame("quotes").to_dicts()
    assert row == {
        "seq": 0, "venue_ns": 1591574399413000000, "local_ns": 1591574400196008000, "venue": "deribit",
        "symbol": "BTC-9JUN20-9875-P", "bid": 0.0205, "bid_size": 15.0, "ask": 0.0235, "ask_size": 15.0,
        "mark": 0.02210436, "mark_iv": pytest.approx(0.6289, rel=1e-15), "forward": 9756.36,
        "forward_name": "SYN.BTC-9JUN20", "index": None, "funding_rate": None, "open_interest": 0.1,
        "venue_delta": -0.61752, "venue_gamma": 0.00103, "venue_vega": 2.24964, "venue_theta": -53.05655,
        "venue_rho": -0.22796, "flag": None,
    }  # fmt: skip
    (listing,) = tape.universe.listings
    assert str(listing.size) == "1" and listing.contract.inverse
    cells = {"bid_price": 9, "bid_amount": 10, "ask_price": 12, "mark_price": 15, "mark_iv": 16, "delta": 19}
    told = ("bid", "bid", "ask", "mark", "mark_iv", "venue_delta")
    for (name, place), column in zip(cells.items(), told, strict=True):  # empty is unknown, one by one
        empty = SHOWN.split(",")
        assert CHAIN_HEAD.split(",")[place] == name
        empty[place] = ""
        folder = tmp_path / name
        folder.mkdir()
        (found,) = (
            imported(folder, file(folder, [CHAIN_HEAD, ",".join(empty)], "c.csv")).frame("quotes").to_dicts()
        )
        gone = {column, f"{column}_size"} if column in ("bid", "ask") else {column}
        assert {n for n in row if found[n] != row[n] and n != "flag"} == gone
        assert all(found[n] is None for n in gone)


def test_trades_one_by_one(tmp_path: Path) -> None:
    """Amounts as the exchange counts them: USD of an inverse perpetual on Deribit, contracts on OKX, coins of
    a linear one on Binance. A trade whose aggressor nobody knows is left out, and that is told."""
    trades = [
        TRADES[0],
        f"deribit,BTC-PERPETUAL,{LATER},{LATER + 150},4833,sell,35000.5,12340",
        f"okex-swap,BTC-USDT-SWAP,{LATER + 1},{LATER + 151},502,buy,35001,7",
        f"binance-futures,BTCUSDT,{LATER + 2},{LATER + 152},419,buy,35002.1,0.013",
        f"deribit,BTC-PERPETUAL,{LATER + 3},{LATER + 153},4834,unknown,35000.5,10",
    ]
    quotes = file(tmp_path, ticks(0, 1, LATER), "q.csv")
    tape = imported(tmp_path, file(tmp_path, trades, "t.csv"), quotes)
    columns = ("venue_ns", "local_ns", "venue", "symbol", "trade_id", "side", "price", "size")
    assert tape.frame("trades").select(columns).rows() == [
        (LATER * 1_000, (LATER + 150) * 1_000, "deribit", "BTC-PERPETUAL", "4833", "sell", 35000.5, 12340),
        ((LATER + 1) * 1_000, (LATER + 151) * 1_000, "okx", "BTC-USDT-SWAP", "502", "buy", 35001, 7),
        ((LATER + 2) * 1_000, (LATER + 152) * 1_000, "binanceusdm", "BTCUSDT", "419", "buy", 35002.1, 0.013),
    ]  # fmt: skip
    units = {x.venue: (str(x.size), x.contract.inverse) for x in tape.universe.listings}
    assert units == {"deribit": ("1", True), "okx": ("0.01", False), "binanceusdm": ("1", False)}
    assert [n for n in tape.description["notes"] if n.startswith("1 trades whose aggressor")]


def test_changes_before_the_first_copy_are_told(tmp_path: Path) -> None:
    tape = imported(tmp_path, file(tmp_path, CHANGES, "book.csv"))
    assert [n for n in tape.description["notes"] if n.startswith("1 changes of books before")]
    assert [n for n in tape.description["notes"] if n.startswith("no index of BTC")]


CHAIN_HEAD = (
    f"{HEAD},type,strike_price,expiration,open_interest,last_price,bid_price,bid_amount,bid_iv,ask_price,"
    "ask_amount,ask_iv,mark_price,mark_iv,underlying_index,underlying_price,delta,gamma,vega,theta,rho"
)
#: 29 December 2023, 08:00 UTC, microseconds.
DEC = 1_703_836_800_000_000
DERIBIT_CHAIN = [
    CHAIN_HEAD,
    f"deribit,BTC-29DEC23-40000-C,{US},{US + 100},call,40000,{DEC},1234.5,0.03,0.0295,15,54.1,0.0305,"
    "12.5,56.2,0.0300,55.5,BTC-29DEC23,37100.25,0.3125,0.00002,45.5,-30.25,6.5",
    f"deribit,BTC-29DEC23-20000-P,{US},{US + 200},put,20000,{DEC},,,0,0,,,,,0,0,SYN.BTC-29DEC23,37100,,,,,",
    f"deribit,BTC-29DEC23-40000-C,{US + 50},{US + 5_100},call,40000,{DEC},,,,,,0.0305,12.5,56.2,"
    "0.0301,,index_price,37000.5,-0.5,,,,",
]


def rows_of(tape: Tape, *columns: str) -> list[tuple[object, ...]]:
    return tape.frame("quotes").select(*columns).rows()


def test_an_option_chain_of_deribit(tmp_path: Path) -> None:
    tape = imported(tmp_path, file(tmp_path, DERIBIT_CHAIN, "chain.csv"))
    call, put = "BTC-29DEC23-40000-C", "BTC-29DEC23-20000-P"
    assert rows_of(tape, "seq", "symbol", "bid", "bid_size", "ask", "ask_size", "mark", "mark_iv") == [
        (0, put, None, None, None, None, 0.0, None),
        (0, call, 0.0295, 15.0, 0.0305, 12.5, 0.03, 0.555),
        (1, call, None, None, 0.0305, 12.5, 0.0301, None),  # what a row leaves out is not known any more
    ]
    assert rows_of(tape, "forward", "forward_name", "index", "open_interest") == [
        (37100.0, "SYN.BTC-29DEC23", None, None),
        (37100.25, "BTC-29DEC23", None, 1234.5),
        (37000.5, "index_price", 37000.5, None),
    ]
    greeks = [f"venue_{name}" for name in ("delta", "gamma", "vega", "theta", "rho")]
    assert rows_of(tape, *greeks) == [
        (None, None, None, None, None),
        (0.3125, 0.00002, 45.5, -30.25, 6.5),
        (-0.5, None, None, None, None),
    ]
    contract = tape.universe.listings[1].contract
    assert (contract.strike, contract.expiry_ns) == (40_000.0, DEC * 1_000)  # type: ignore[union-attr]


def test_option_chains_in_other_units(tmp_path: Path) -> None:
    """OKX: contracts, a vol as a fraction, the index as `underlying_price`; Bybit: coins and the forward."""
    chain = [
        CHAIN_HEAD,
        f"okex-options,BTC-USD-231229-40000-C,{US},{US + 100},call,40000,{DEC},350,0.03,0.0295,1500,0.541,"
        "0.0305,1250,0.562,0.0300,0.555,BTC-USD,37090.5,0.28,1.5,0.0004,-0.0002,",
        f"bybit-options,BTC-29DEC23-40000-C,{US},{US + 200},call,40000,{DEC},12.5,1100,1095,1.5,0.54,"
        "1130,2,0.56,1113,0.552,,37110,0.31,0.00002,45,-30,",
    ]
    tape = imported(tmp_path, file(tmp_path, chain, "chain.csv"))
    assert rows_of(tape, "venue", "symbol", "bid", "bid_size", "mark", "mark_iv", "open_interest") == [
        ("bybit", "BTC-29DEC23-40000-C", 1095.0, 1.5, 1113.0, 0.552, 12.5),
        ("okx", "BTC-USD-231229-40000-C", 0.0295, 1500.0, 0.03, 0.555, 350.0),
    ]
    assert rows_of(tape, "forward", "forward_name", "index") == [
        (37110.0, "SYN.BTC-29DEC23", None),
        (None, None, 37090.5),
    ]
    sizes = {x.venue: (str(x.size), x.contract.inverse) for x in tape.universe.listings}
    assert sizes == {"okx": ("0.01", True), "bybit": ("1", False)}


def test_derivative_tickers(tmp_path: Path) -> None:
    """Funding per eight hours: Hyperliquid tells it per hour; a dated future has none."""
    at = 1_750_000_000_000_000
    head = (
        f"{HEAD},funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,"
    )
    tickers = [
        f"{head}mark_price",
        f"deribit,BTC-PERPETUAL,{at},{at + 100},,-0.000125,,1000000,100001,100002.5,100003.25",
        f"hyperliquid,BTC,{at},{at + 200},,0.0000125,,231.5,,100002,100004",
        f"okex-swap,BTC-USDT-SWAP,{at},{at + 300},{at + 9_000_000},0.0001,,,100001,,100005",
        f"okex-futures,BTC-USD-250926,{at},{at + 400},,0.5,,70,,100002,101000",
        f"bybit,BTCUSD,{at},{at + 500},,0,,5,,0,100006",
        f"bybit,BTCUSDT-26SEP25,{at},{at + 600},,,,5,,100002,101005",
        f"binance-futures,BTCUSDT,{at},{at + 700},,0.0003,,82011.5,100001,100002,100007",
    ]
    tape = imported(tmp_path, file(tmp_path, tickers, "tickers.csv"))
    assert rows_of(tape, "venue", "symbol", "funding_rate", "open_interest", "index", "mark") == [
        ("binanceusdm", "BTCUSDT", 0.0003, 82011.5, 100002.0, 100007.0),
        ("bybit", "BTCUSD", 0.0, 5.0, None, 100006.0),
        ("bybit", "BTCUSDT-26SEP25", None, 5.0, 100002.0, 101005.0),
        ("deribit", "BTC-PERPETUAL", -0.000125, 1_000_000.0, 100002.5, 100003.25),
        ("hyperliquid", "BTC", 0.0001, 231.5, 100002.0, 100004.0),
        ("okx", "BTC-USD-250926", None, 70.0, 100002.0, 101000.0),
        ("okx", "BTC-USDT-SWAP", 0.0001, None, None, 100005.0),
    ]
    found = {x.key: (x.contract.settlement, x.contract.inverse, str(x.size)) for x in tape.universe.listings}
    assert found["okx", "BTC-USDT-SWAP"] == ("USDT", False, "0.01")
    assert found["okx", "BTC-USD-250926"] == ("BTC", True, "100")
    assert found["bybit", "BTCUSD"] == ("BTC", True, "1")
    assert found["bybit", "BTCUSDT-26SEP25"] == ("USDT", False, "1")
    assert found["hyperliquid", "BTC"] == ("USDC", False, "1")


def test_a_chain_and_its_perpetual_are_a_market_and_others_are_left_out(tmp_path: Path) -> None:
    others = [
        *DERIBIT_CHAIN,
        f"deribit,AVAX_USDC-29DEC23-8D6-P,{US},{US + 6_000},put,8.6,{DEC},,,,,,,,,0.3,53,"
        "AVAX_USDC-29DEC23,9,,,,,",
    ]
    tickers = [
        f"{HEAD},funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,index_price,"
        "mark_price",
        f"deribit,BTC-PERPETUAL,{US},{US + 50},,0.0001,,1,,37050,37055",
    ]
    chain = file(tmp_path, others, "chain.csv")
    tape = imported(tmp_path, chain, file(tmp_path, tickers, "ticker.csv"), underlyings=("BTC",))
    assert tape.universe.underlyings == ("BTC",)
    assert "1 symbols on other underlyings were left out" in tape.description["notes"]
    assert not [note for note in tape.description["notes"] if "no index" in note]
    assert tape.market_at().spot(1e9).tolist() == [(37050.0 + 37000.5) / 2]
    alone = tmp_path / "alone"
    import_tape([chain], "tardis", alone, ImportOptions(every_ms=10**6, underlyings=("BTC",)))
    # with one batch the call's last row, whose forward is the index, is all that is known of it
    assert not [note for note in Tape.open(alone).description["notes"] if "no index" in note]
    with pytest.raises(InputError) as refused:
        import_tape([chain], "tardis", tmp_path / "all", ImportOptions())
    assert (
        refused.value.code == "VENUE_TERMS_UNKNOWN"
    )  # the strike is read: it is the terms that nobody knows


def chained(old: str, new: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        assert old in DERIBIT_CHAIN[1]
        return file(folder, [CHAIN_HEAD, DERIBIT_CHAIN[1].replace(old, new)], "chain.csv")

    return make


def one_trade(line: str, name: str = "trades.csv") -> Callable[[Path], Path]:
    return lambda folder: file(folder, [TRADES[0], line], name)


def changed(number: int, old: str, new: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        lines = list(CHANGES)
        lines[number] = lines[number].replace(old, new)
        return file(folder, lines, "book.csv")

    return make


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (changed(0, "is_snapshot", "snap"), "SOURCE_COLUMNS"),
        (changed(2, "deribit", "bitmex"), "SOURCE_VALUE"),
        (changed(2, "BTC-PERPETUAL", "btc perp"), "SOURCE_VALUE"),
        (changed(3, "99.5", "nan"), "SOURCE_VALUE"),
        (changed(3, "99.5", "0"), "SOURCE_VALUE"),
        (changed(3, ",20", ",-20"), "SOURCE_VALUE"),
        (changed(3, ",20", ""), "SOURCE_VALUE"),
        (changed(3, "bid", "left"), "SOURCE_VALUE"),
        (changed(3, "bid", '"bid'), "SOURCE_VALUE"),
        (changed(3, str(US + 200), "1700000000"), "SOURCE_VALUE"),
        (changed(6, str(US + 5_200), str(US + 1)), "SOURCE_VALUE"),
        (lambda folder: file(folder, CHANGES[:2], "book.csv"), "FILE_EMPTY"),
        (lambda folder: file(folder, CHANGES[:1], "book.csv"), "FILE_EMPTY"),
        (lambda folder: file(folder, TRADES, "trades.csv"), "FILE_EMPTY"),
        (lambda folder: file(folder, [], "nothing.csv"), "FILE_EMPTY"),
        (lambda folder: folder, "FILE_KIND"),
        (chained(",call,", ",put,"), "SOURCE_VALUE"),
        (chained(",40000,", ",41000,"), "SOURCE_VALUE"),
        (chained(str(DEC), str(DEC + 3_600_000_000)), "SOURCE_VALUE"),
        (chained(",55.5,", ",55500,"), "SOURCE_VALUE"),
        (chained(",55.5,", ",-1,"), "SOURCE_VALUE"),
        (chained(",55.5,", ",nan,"), "SOURCE_VALUE"),
        (chained(",0.3125,", ",1e400,"), "SOURCE_VALUE"),
        (chained(",0.3125,", ",1_0,"), "SOURCE_VALUE"),
        (chained(",1234.5,", ",many,"), "SOURCE_VALUE"),
        (chained(",BTC-29DEC23,", ",ETH-29DEC23,"), "SOURCE_NAME"),
        (chained("deribit,BTC-29DEC23-40000-C", "deribit,BTC-PERPETUAL"), "SOURCE_VALUE"),
        (chained("deribit,BTC-29DEC23-40000-C", "bybit,BTCUSDT"), "SOURCE_VALUE"),
        (chained("deribit,BTC-29DEC23-40000-C", "okex-options,BTC-29DEC23-40000-C"), "SOURCE_VALUE"),
        (one_trade(f"bybit,BTCUSDH24,{US},{US + 1},1,buy,100,1"), "SOURCE_VALUE"),
        (one_trade(f"bybit,BTCUSDT,{US},{US + 1},,buy,100,1"), "SOURCE_VALUE"),
        (one_trade(f"okex-swap,BTC-USDT,{US},{US + 1},1,buy,100,1"), "SOURCE_VALUE"),
        (one_trade(f"okex,BTC-USDT-SWAP,{US},{US + 1},1,buy,100,1"), "SOURCE_VALUE"),
        (one_trade(f"okex-futures,BTC-USD-241399,{US},{US + 1},1,buy,100,1"), "SOURCE_VALUE"),
        (one_trade(f"hyperliquid,@107,{US},{US + 1},1,buy,100,1"), "SOURCE_VALUE"),
        (one_trade(TRADES[1], "deribit_liquidations_2023-11-14_OPTIONS.csv"), "SOURCE_COLUMNS"),
        (one_trade(TRADES[1], "liquidations/2023-11-14.csv"), "SOURCE_COLUMNS"),
        (one_trade(f"deribit,BTC-PERPETUAL,{US},{US + 1},1,unknown,nan,1"), "SOURCE_VALUE"),
        (lambda folder: file(folder, [*TRADES[:2], TRADES[1]], "trades.csv"), "SOURCE_VALUE"),
    ],
)
def test_a_bad_source_is_refused_and_nothing_written(
    tmp_path: Path, make: Callable[[Path], Path], code: str
) -> None:
    source = make(tmp_path)
    before = leftovers(tmp_path)
    with pytest.raises(InputError) as refused:
        import_tape([source], "tardis", tmp_path / "tape", ImportOptions())
    assert refused.value.code == code, refused.value.text()
    assert leftovers(tmp_path) == before


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """At whatever byte: an amount of 120 that lost its end is 12 or 1, and looks like any other."""
    lines = [*CHANGES[:-1], CHANGES[-1].replace(",98,40", ",98,120")]
    text = "".join(f"{line}\n" for line in lines).encode()
    whole, source = pack(text), tmp_path / "book.csv"
    for size in {*range(1, len(whole), 9), *range(len(whole) - 12, len(whole))}:
        source.write_bytes(whole[:size])
        if pack is bytes and whole[:size].endswith(b"\n"):
            continue  # it lost whole lines, of which nothing tells
        refused = refusal(tmp_path, source)
        assert refused.code in ("FILE_DAMAGED", "SOURCE_COLUMNS", "SOURCE_VALUE"), refused.text()
        if size > len(whole) - 3:
            assert (refused.code, refused.where.split(",")[0]) == ("FILE_DAMAGED", "book.csv")
    source.write_bytes(whole)
    assert imported(tmp_path, source).frame("depth")["size"].to_list()[-2] == 120.0
