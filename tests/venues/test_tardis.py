"""Tardis' files: books, quotes and trades against the cells of the samples, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from pricing.errors import InputError
from tests.venues.sources import leftovers
from venues.import_options import ImportOptions
from venues.tape import Tape, verify
from venues.tape_import import import_tape

HEAD = "exchange,symbol,timestamp,local_timestamp"
US = 1_700_000_000_000_000
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
    path.write_text("\n".join(lines), "utf-8")
    return path


def imported(folder: Path, *sources: Path, every_ms: int = 1) -> Tape:
    import_tape(list(sources), "tardis", folder / "tape", ImportOptions(every_ms=every_ms))
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
