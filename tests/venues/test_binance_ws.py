"""Binance's recorded streams: books put together by its rules, batches, trades, and what is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from heapq import nsmallest
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.cli import main
from pricing.contracts import Perpetual, Spot
from pricing.errors import InputError
from tests.venues.sources import leftovers
from venues.binance_book import DepthChange, DepthStream
from venues.binance_names import binance_contract
from venues.import_options import ImportOptions
from venues.order_book import BookSide
from venues.tape import Tape, verify
from venues.tape_import import import_tape

START_MS = 1_723_161_600_000
AHEAD_MS = 1_270  # venue stamps run ahead of local ones
RECORDINGS = {
    "binance": ("binance_spot_btcusdt_20240808.jsonl.gz", "BTCUSDT"),
    "binanceusdm": ("binance_usdm_btcusdt_20240808.jsonl.gz", "BTCUSDT"),
    "binancecoinm": ("binance_coinm_btcusd_perp_20240808.jsonl.gz", "BTCUSD_PERP"),
}
SIGN = {"b": -1, "a": 1}
Frames = list[tuple[int, dict[str, Any]]]


def depth(ms: int, first: int, last: int, before: int | None, **sides: list[list[str]]) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": START_MS + ms + AHEAD_MS, "s": "BTCUSDT", "U": first, "u": last}
    if before is not None:
        data |= {"T": START_MS + ms + AHEAD_MS - 2, "pu": before}
    return {"stream": "btcusdt@depth", "data": data | {"b": sides.get("b", []), "a": sides.get("a", [])}}


def copy(last: int, bids: list[list[str]], asks: list[list[str]], ms: int | None = None) -> dict[str, Any]:
    stamps = {} if ms is None else {"E": START_MS + ms + AHEAD_MS, "T": START_MS + ms + AHEAD_MS - 2}
    return {"lastUpdateId": last, **stamps, "bids": bids, "asks": asks}


def ticker(ms: int, at: int, bid: str, bid_size: str, ask: str, ask_size: str, **more: Any) -> dict[str, Any]:
    data = {"u": at, "s": "BTCUSDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return {"stream": "btcusdt@bookTicker", "data": data | more}


def spot_trade(ms: int, number: int, price: str, size: str, buyer_rests: bool) -> dict[str, Any]:
    stamp = START_MS + ms + AHEAD_MS
    data = {"e": "trade", "E": stamp + 1, "s": "BTCUSDT", "t": number, "p": price, "q": size, "T": stamp}
    return {"stream": "btcusdt@trade", "data": data | {"m": buyer_rests, "M": True}}


#: Spot: two changes, a book ticker, and the copy of the book that came among them.
SPOT: Frames = [
    (0, depth(0, 101, 103, None, b=[["99", "1"]], a=[["101", "0"]])),
    (20, copy(104, [["99", "1"], ["98", "2"], ["97", "3"]], [["102", "4"], ["103", "5"]])),
    (40, depth(40, 104, 106, None, b=[["98", "0"], ["96", "9"]], a=[["102", "7"]])),
    (60, ticker(60, 107, "99.5", "6", "101.5", "8")),
    (70, spot_trade(70, 55, "101.5", "0.5", False)),
    (80, spot_trade(80, 56, "99.5", "0.25", True)),
    (150, depth(150, 107, 108, None, b=[["99.5", "5"]], a=[["101.5", "8"]])),
]


def write(folder: Path, frames: Frames, name: str = "frames.jsonl") -> Path:
    path = folder / name
    lines = [f"{(START_MS + ms) * 10**6 + 123} {json.dumps(frame)}\n" for ms, frame in frames]
    path.write_text("".join(lines), "utf-8")
    return path


def imported(folder: Path, *sources: Path, every_ms: int = 100, levels: int = 20) -> Tape:
    out = folder / "tape"
    import_tape(list(sources), "binance-ws", out, ImportOptions(every_ms=every_ms, levels=levels))
    assert verify(out) == []
    return Tape.open(out)


def ladder(tape: Tape, seq: int, side: str) -> list[tuple[float, float]]:
    rows = tape.frame("depth").filter(pl.col("seq") == seq, pl.col("side") == side).sort("level")
    return list(zip(rows["price"].to_list(), rows["size"].to_list(), strict=True))


def test_a_spot_recording_becomes_batches(tmp_path: Path) -> None:
    tape = imported(tmp_path, write(tmp_path, SPOT))
    (listing,) = tape.universe.listings
    assert (listing.key, listing.contract) == (("binance", "BTCUSDT"), Spot("BTC", "USDT"))
    quotes = tape.frame("quotes")
    assert quotes["seq"].to_list() == [0, 1]
    # the newest stamp of the depth and the last frame that told of the quote; trades tell nothing of it
    assert quotes["venue_ns"].to_list() == [(START_MS + ms + AHEAD_MS) * 10**6 for ms in (40, 150)]
    assert quotes["local_ns"].to_list() == [(START_MS + ms) * 10**6 + 123 for ms in (60, 150)]
    # the change that empties 101 came before the copy; that of 104 to 106 reaches over it; the touch is
    # ahead; 96 lies beyond the copy, where more may be
    assert ladder(tape, 0, "bid") == [(99.5, 6.0), (99.0, 1.0), (97.0, 3.0)]
    assert ladder(tape, 0, "ask") == [(101.5, 8.0), (102.0, 7.0), (103.0, 5.0)]
    # the depth has caught up and holds 5 at 99.5
    assert ladder(tape, 1, "bid") == [(99.5, 5.0), (99.0, 1.0), (97.0, 3.0)]
    assert ladder(tape, 1, "ask") == ladder(tape, 0, "ask")
    assert quotes.select("bid", "bid_size", "ask", "ask_size").rows() == [
        (99.5, 6.0, 101.5, 8.0), (99.5, 5.0, 101.5, 8.0)
    ]  # fmt: skip
    assert tape.description["options"] == {
        "format": "binance-ws", "every_ms": 100, "levels": 20, "index_from_spot": True
    }  # fmt: skip


def test_the_spot_market_stands_in_for_an_index_unless_told_otherwise(tmp_path: Path) -> None:
    perp = ticker(65, 9, "100", "1", "102", "1", e="bookTicker", E=START_MS, T=START_MS)
    late = ticker(0, 10, "100", "1", "102", "1", e="bookTicker", E=START_MS + 20_000, T=START_MS + 20_000)
    both = write(tmp_path, SPOT), write(tmp_path, [(65, perp), (20_000, late)], "perp.jsonl")
    tape = imported(tmp_path, *both)
    found = tape.frame("quotes").sort("seq", "venue").select("venue", "seq", "index").rows()
    middle = (99.5 + 101.5) / 2
    # twenty seconds after the last word of the spot market nothing stands in
    expected = [
        ("binance", 0, middle),
        ("binanceusdm", 0, middle),
        ("binance", 1, middle),
        ("binanceusdm", 2, None),
    ]
    assert found == expected
    assert any("3 of 4 quotes" in note and "stands in" in note for note in tape.description["notes"])
    import_tape(list(both), "binance-ws", tmp_path / "bare", ImportOptions(index_from_spot=False))
    assert Tape.open(tmp_path / "bare").frame("quotes")["index"].null_count() == 4


def test_levels_and_interval_are_chosen(tmp_path: Path) -> None:
    tape = imported(tmp_path, write(tmp_path, SPOT), every_ms=1, levels=2)
    assert tape.frame("quotes")["seq"].to_list() == [0, 1, 2, 3]  # nothing is known before the copy
    assert tape.frame("depth")["level"].max() == 1
    assert ladder(tape, 2, "bid") == [(99.5, 6.0), (99.0, 1.0)]


def test_trades_come_with_their_batch(tmp_path: Path) -> None:
    late: Frames = [*SPOT, (170, spot_trade(170, 57, "101.5", "2", False))]
    tape = imported(tmp_path, write(tmp_path, late))
    first, last = tape.trades()
    assert [len(part.rows) for part in (first, last)] == [0, 3]  # the first batch's news is of 60 ms
    assert last.trade_id == ("55", "56", "57") and last.side.tolist() == [1, -1, 1]
    assert last.price.tolist() == [101.5, 99.5, 101.5] and last.size.tolist() == [0.5, 0.25, 2.0]
    assert last.local_ns.tolist() == [(START_MS + ms) * 10**6 + 123 for ms in (70, 80, 170)]
    # on our clock: the fastest frame took no time
    assert (last.venue_ns <= last.local_ns).all() and (last.local_ns - last.venue_ns).min() == 0


FUTURES: Frames = [
    (0, depth(0, 5, 9, 3, b=[["90", "1"]])),
    (10, copy(9, [["90", "1"], ["89", "1"]], [["91", "1"]], ms=10)),
    (20, depth(20, 12, 15, 9, b=[["89.5", "2"]])),
    (120, depth(120, 20, 22, 17, b=[["89.7", "2"]])),  # 17 was never seen
    (130, ticker(130, 23, "89.9", "3", "90.5", "4", e="bookTicker", E=START_MS + 1400, T=START_MS + 1399)),
    (230, depth(230, 24, 25, 22, a=[["90.6", "1"]])),
    (330, copy(22, [["89.7", "2"], ["89.5", "2"]], [["91", "1"]], ms=300)),
]


def test_a_gap_hides_the_book_until_the_next_copy(tmp_path: Path) -> None:
    tape = imported(tmp_path, write(tmp_path, FUTURES))
    (listing,) = tape.universe.listings
    assert listing.key == ("binanceusdm", "BTCUSDT") and listing.contract == Perpetual("BTC", "USDT", False)
    assert ladder(tape, 0, "bid") == [(90.0, 1.0), (89.5, 2.0), (89.0, 1.0)]
    # numbers rise from 9 to 12 without a break: pu says so; at the gap the touch alone is known
    assert [ladder(tape, seq, "bid") for seq in (1, 2)] == [[], []]
    assert tape.frame("quotes")["bid"].to_list() == [90.0, 89.9, 89.9, 89.7]
    # the copy holds what came before the gap's end; the change after it waited and was applied
    assert ladder(tape, 3, "ask") == [(90.6, 1.0), (91.0, 1.0)]
    assert any("1 gaps in the depth stream" in note for note in tape.description["notes"])


def test_coinm_is_counted_in_contracts(tmp_path: Path) -> None:
    ticked = {
        "u": 1, "e": "bookTicker", "s": "BTCUSD_PERP", "ps": "BTCUSD", "b": "61804.7", "B": "35",
        "a": "61804.8", "A": "1645", "T": START_MS, "E": START_MS,
    }  # fmt: skip
    tape = imported(tmp_path, write(tmp_path, [(0, {"stream": "x", "data": ticked}), (1, ticked)]))
    (listing,) = tape.universe.listings
    assert (listing.venue, listing.size, listing.unit, listing.lot) == (
        "binancecoinm", Decimal(100), "contracts", Decimal(1)
    )  # fmt: skip
    assert listing.contract == Perpetual("BTC", "BTC", True)
    assert tape.frame("depth").height == 0 and "trades" not in tape.present
    assert [len(part.rows) for part in tape.trades()] == [0]


def test_marks_indexes_and_funding_are_kept_and_other_frames_counted(tmp_path: Path) -> None:
    # as Binance documents the stream: p mark, i index, r funding rate
    marked = {
        "e": "markPriceUpdate", "E": START_MS, "s": "BTCUSDT", "p": "11794.15", "i": "11784.62",
        "P": "11784.25", "r": "0.00038167", "T": START_MS + 28_800_000,
    }  # fmt: skip
    frames: Frames = [(0, marked), (1, {"result": None, "id": 1}), (2, {"e": "kline", "s": "BTCUSDT"})]
    tape = imported(tmp_path, write(tmp_path, frames))
    (row,) = tape.frame("quotes").select("mark", "index", "funding_rate", "bid", "venue_ns").rows()
    assert row == (11794.15, 11784.62, 0.00038167, None, START_MS * 10**6)
    assert "frames.jsonl: passed over: 1 kline, 1 other" in tape.description["notes"]


def test_lines_without_a_local_stamp_take_the_venues(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_text("\n".join(json.dumps(frame) for _, frame in SPOT), "utf-8")
    quotes = imported(tmp_path, path).frame("quotes")
    assert quotes["local_ns"].to_list() == quotes["venue_ns"].to_list()


# ---- refusals


def after(change: Callable[[list[str]], list[str]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write(folder, SPOT)
        path.write_text("\n".join(change(path.read_text("utf-8").splitlines())), "utf-8")
        return path

    return make


def cut_short(folder: Path) -> Path:
    path = folder / "cut.jsonl.gz"
    whole = gzip.compress(write(folder, SPOT).read_bytes())
    path.write_bytes(whole[: len(whole) // 2])
    return path


def garbage(folder: Path) -> Path:
    path = folder / "garbage.jsonl"
    path.write_bytes(b"\xff\xfe\x00" * 100)
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.jsonl"
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("make", "code", "place"),
    [
        (after(lambda lines: [lines[2], lines[0]]), "SOURCE_TIME", "line 2"),
        (after(lambda lines: [lines[1]]), "SOURCE_COPY", "line 1"),
        (after(lambda lines: [*lines, "hello"]), "SOURCE_LINE", "line 8"),
        (after(lambda lines: [*lines, lines[-1][:-9]]), "JSON_INVALID", "line 8"),
        (after(lambda lines: [lines[0].replace('"99"', '"-99"')]), "SOURCE_VALUE", "key b"),
        (after(lambda lines: [lines[0].replace('"1"', '"nan"')]), "SOURCE_VALUE", "key b"),
        (after(lambda lines: [lines[0].replace('"U": 101', '"U": null')]), "SOURCE_VALUE", "key U"),
        (after(lambda lines: [lines[5].replace('"0.25"', '"0"')]), "SOURCE_VALUE", "key q"),
        (after(lambda lines: [lines[0].replace("BTCUSDT", "ETHBTC")]), "SOURCE_VALUE", "key s"),
        (
            after(lambda lines: [line.replace("BTCUSDT", "XYZUSDT") for line in lines]),
            "VENUE_TERMS_UNKNOWN",
            "binance.toml",
        ),
        (after(lambda lines: [lines[0].replace(str(START_MS + AHEAD_MS), "17")]), "SOURCE_VALUE", "key E"),
        (after(lambda lines: [lines[3]]), "FILE_EMPTY", "frames.jsonl"),  # a ticker without any stamp
        (cut_short, "FILE_DAMAGED", "cut.jsonl.gz"),
        (garbage, "FILE_TEXT", "line 1"),
        (empty, "FILE_EMPTY", "empty.jsonl"),
    ],
)
def test_a_bad_source_is_refused_and_nothing_written(
    tmp_path: Path, make: Callable[[Path], Path], code: str, place: str
) -> None:
    source = make(tmp_path)
    before = leftovers(tmp_path)
    with pytest.raises(InputError) as refused:
        import_tape([source], "binance-ws", tmp_path / "tape", ImportOptions())
    assert refused.value.code == code and place in refused.value.text()
    assert leftovers(tmp_path) == before


@pytest.mark.parametrize(("flag", "value"), [("--every-ms", "0"), ("--levels", "-3"), ("--levels", "many")])
def test_bad_flags_exit_with_2(tmp_path: Path, flag: str, value: str) -> None:
    arguments = ["tape", "import", str(write(tmp_path, SPOT)), "--format", "binance-ws"]
    arguments += ["--out", str(tmp_path / "tape"), flag, value]
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    assert not (tmp_path / "tape").exists()


@pytest.mark.parametrize("symbol", ["BTCUSDT_990231", "BTC-USDT", "btcusdt", "BTCUSD_PERPX", "ETHBTC", ""])
def test_no_symbol_of_a_coin_against_dollars(symbol: str) -> None:
    with pytest.raises(ValueError):
        binance_contract(symbol, True)


def test_dated_futures_expire_at_eight() -> None:
    venue, contract = binance_contract("BTCUSD_240927", True)
    assert (venue, contract.kind.name, getattr(contract, "expiry_ns", 0)) == (
        "binancecoinm",
        "FUTURE",
        1_727_424_000 * 10**9,  # 2024-09-27 08:00 UTC
    )


# ---- books against plain dictionaries

LEVELS = st.lists(
    st.tuples(st.integers(1, 30).map(float), st.integers(0, 3).map(float)),
    max_size=30,
    unique_by=lambda x: x[0],
)


@given(sign=st.sampled_from([1, -1]), start=LEVELS, changes=LEVELS, count=st.integers(0, 12))
def test_a_side_is_its_levels_sorted(
    sign: int, start: list[tuple[float, float]], changes: list[tuple[float, float]], count: int
) -> None:
    side = BookSide(sign)
    side.load(start)
    model = {price: size for price, size in start if size}
    known = max((sign * price for price in model), default=-1e9)
    for price, size in changes:
        side.put(price, size)
        model[price] = size
    expected = sorted((sign * p, s) for p, s in model.items() if s and sign * p <= known)
    assert list(zip(*side.top(count), strict=True)) == [(sign * k, s) for k, s in expected][:count]
    prices, sizes = side.behind(15.0, 0.5, count + 1)
    behind = [(sign * k, s) for k, s in expected if k > sign * 15.0]
    assert list(zip(prices, sizes, strict=True)) == [(15.0, 0.5), *behind[:count]]


@pytest.mark.parametrize(
    ("held", "changes", "last"),
    [
        (5, [(4, 6, None), (7, 9, None)], 9),
        (5, [(4, 6, None), (8, 9, None)], None),  # spot: 7 is lost
        (5, [(4, 6, None), (6, 9, None)], None),  # spot: not the next, whatever it repeats
        (5, [(7, 9, None)], None),  # the copy is too old
        (5, [(6, 6, None)], 6),
        (5, [(3, 8, 2), (11, 12, 8)], 12),  # futures: numbers may leap, pu may not
        (5, [(3, 8, 2), (9, 12, 7)], None),
        (5, [(9, 12, 5)], 12),  # the copy ended where a change did
        (5, [(9, 12, 6)], None),
        (5, [(1, 5, 0), (2, 4, 1)], 5),  # held already
    ],
)
def test_a_book_is_known_as_long_as_its_numbers_follow(
    held: int, changes: list[tuple[int, int, int | None]], last: int | None
) -> None:
    before, after = DepthStream(), DepthStream()
    before.copy(held, [(1.0, 1.0)], [])
    for stream in (before, after):
        for first, final, previous in changes:
            stream.change(DepthChange(first, final, previous, [(1.0, float(final))], []))
    after.copy(held, [(1.0, 1.0)], [])
    assert before.last == after.last == last
    assert before.gaps == after.gaps == int(last is None)


@given(
    cuts=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    copies=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 48)), min_size=1, max_size=3),
    futures=st.booleans(),
    lost=st.integers(-1, 11),
)
def test_whenever_copies_come_the_book_is_right_or_unknown(
    cuts: list[int], copies: list[tuple[int, int]], futures: bool, lost: int
) -> None:
    """Update number i puts size i on level i % 5 + 1: arithmetic gives the true book after n updates.

    copies: (before which change it comes, which update it holds); it may be older than what is known.
    """

    def truth(n: int) -> dict[float, float]:
        return {float(i % 5 + 1): float(i) for i in range(1, n + 1)} | {0.5: 1.0}  # a worst level beyond all

    stream, n, known, last_copy = DepthStream(), 0, -1, -1
    for i, cut in enumerate(cuts):
        for _, at in (x for x in copies if x[0] == i):
            held = min(at, sum(cuts))
            stream.copy(held, list(truth(held).items()), [])
            last_copy = max(last_copy, held)
        levels = [(float(k % 5 + 1), float(k)) for k in range(n + 1, n + cut + 1)]
        change = DepthChange(n + 1, n + cut, n if futures else None, levels, [])
        n += cut
        if i != lost:
            stream.change(change)
            stream.change(change)  # what is sent twice counts once
        if stream.last is not None:
            prices, sizes = stream.book.bids.top(100)
            assert dict(zip(prices, sizes, strict=True)) == truth(stream.last)
            assert stream.last >= known  # an older copy takes nothing back
            assert stream.last >= n or i == lost or stream.last == last_copy
            known = stream.last
    if not 0 <= lost < len(cuts) and any(i == 0 for i, _ in copies):
        assert (
            stream.last is not None and stream.gaps == 0
        )  # a copy from before the first change, and no loss


# ---- the recordings themselves


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    sources = [shared_data / "l2" / name for name, _ in RECORDINGS.values()]
    return imported(tmp_path_factory.mktemp("binance"), *sources, every_ms=500)


def raw(shared_data: Path, venue: str, word: str = "") -> Iterator[tuple[int, dict[str, Any]]]:
    """Stamps and frames, of the lines with this word in them."""
    with gzip.open(shared_data / "l2" / RECORDINGS[venue][0], "rt", encoding="utf-8") as lines:
        for line in lines:
            if word in line:
                stamp, body = line.split(" ", 1)
                yield int(stamp), json.loads(body)


@pytest.mark.parametrize("venue", RECORDINGS)
def test_the_recorded_books_are_those_of_a_plain_replay(shared_data: Path, real: Tape, venue: str) -> None:
    """Every sampled book against dictionaries that the raw frames were put into.

    Prices and sizes have fewer digits than a float tells apart: as floats they are equal where decimals are.
    Those of bids stand with a minus, so that on either side the least is the best.
    """
    symbol = RECORDINGS[venue][1]
    mine = (pl.col("venue") == venue) & (pl.col("symbol") == symbol)
    quotes, depth_rows = real.frame("quotes").filter(mine), real.frame("depth").filter(mine)
    books = {
        key[0]: {
            side: list(zip(rows["price"], rows["size"], strict=True))
            for (side,), rows in part.group_by("side", maintain_order=True)
        }
        for key, part in depth_rows.group_by("seq", maintain_order=True)
    }
    due = {row["local_ns"]: row for row in quotes.iter_rows(named=True)}
    sides: dict[str, dict[float, float]] = {"b": {}, "a": {}}
    best: dict[str, tuple[float, float]] = {}
    worst: dict[str, float] = {}
    started, held, ticked, compared, same_number = False, -1, -1, 0, 0
    waiting: list[dict[str, Any]] = []

    def put(data: dict[str, Any]) -> None:
        for side in "ba":
            for price, size in data[side]:
                assert len(price) < 16 and len(size) < 16
                sides[side][SIGN[side] * float(price)] = float(size)

    for local_ns, frame in raw(shared_data, venue):
        data = frame.get("data", frame)
        if "lastUpdateId" in data:
            put({"b": data["bids"], "a": data["asks"]})
            worst = {side: max(levels) for side, levels in sides.items()}
            started, held = True, data["lastUpdateId"]
            for old in waiting:
                if old["u"] > held:
                    put(old)
                    held = old["u"]
        elif data.get("e") == "depthUpdate":
            if not started:
                waiting.append(data)
            elif data["u"] > held:
                put(data)
                held = data["u"]
        elif "B" in data:
            ticked = data["u"]
            best = {s: (SIGN[s] * float(data[s]), float(data[s.upper()])) for s in "ba"}
        if started and held == ticked:
            # the same update number: the two streams must agree, where the book reaches so far
            same_number += 1
            if same_number % 25 == 1:
                for side, levels in sides.items():
                    first = min(p for p, s in levels.items() if s)
                    assert first > worst[side] or first == best[side][0]
        row = due.get(local_ns)
        if row is None or not started:
            continue
        found = books.get(row["seq"], {})
        for side, name in (("b", "bid"), ("a", "ask")):
            end, (touch, _) = worst[side], best[side]
            told = [x for x in sides[side].items() if x[1] and x[0] <= end]
            if ticked > held or not told:
                least = [best[side], *nsmallest(19, (x for x in told if x[0] > touch))]
            else:
                least = nsmallest(20, told)
            expected = [(SIGN[side] * p, s) for p, s in least]
            assert found[name] == expected
            assert (row[name], row[f"{name}_size"]) == expected[0]
            compared += 1
    assert compared > 1_300 and same_number > 25


def test_the_recorded_trades_are_all_there(shared_data: Path, real: Tape) -> None:
    trades = real.frame("trades")
    for venue in RECORDINGS:
        told = (frame.get("data", {}) for _, frame in raw(shared_data, venue, "trade"))
        source = [data for data in told if data.get("e") == "trade"]
        mine = trades.filter(pl.col("venue") == venue)
        assert mine["trade_id"].to_list() == [str(x["t"]) for x in source]
        assert mine["price"].to_list() == [float(x["p"]) for x in source]
        assert mine["size"].to_list() == [float(x["q"]) for x in source]
        assert mine["side"].to_list() == ["sell" if x["m"] else "buy" for x in source]
        assert mine["venue_ns"].to_list() == [x["T"] * 10**6 for x in source]
    assert sum(len(part.rows) for part in real.trades()) == trades.height == 33_356


def test_the_recorded_clock_runs_ahead_and_is_set_right(real: Tape) -> None:
    offsets = real.description["clock_offset_ns"]
    assert sorted(offsets) == sorted(RECORDINGS)
    assert all(abs(offset + 1.27e9) < 0.01e9 for offset in offsets.values())
    market = real.market_at()
    assert (market.age_s >= 0).all() and (market.age_s < 1.0).all()


def test_the_recorded_listings_have_the_units_of_their_venue(real: Tape) -> None:
    found = {
        x.venue: (x.symbol, x.size, x.lot, x.tick_steps.ticks[0], x.unit) for x in real.universe.listings
    }
    assert found == {
        "binance": ("BTCUSDT", Decimal(1), Decimal("0.00001"), Decimal("0.01"), "BTC"),
        "binanceusdm": ("BTCUSDT", Decimal(1), Decimal("0.001"), Decimal("0.1"), "BTC"),
        "binancecoinm": ("BTCUSD_PERP", Decimal(100), Decimal(1), Decimal("0.1"), "contracts"),
    }
    lots = pl.DataFrame({"venue": list(found), "lot": [float(x[2]) for x in found.values()]})
    sizes = real.frame("trades").join(lots, on="venue").select(pl.col("size") / pl.col("lot"))
    assert float((sizes - sizes.select(pl.all().round())).to_series().abs().max()) < 1e-6  # type: ignore[arg-type]
