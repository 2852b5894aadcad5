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
