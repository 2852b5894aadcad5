"""Books of OKX, Bybit and Binance read in one pass: what is taken is what stands there."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.wire.corpus import folder, recorded_file
from tests.venues.wire.test_deribit_frames import changed
from venues.book_chain import ChainedBook
from venues.cex_binance import Binance
from venues.cex_bybit import Bybit
from venues.cex_okx import Okx
from venues.wire import binance, bybit, okx, quick_books
from venues.wire.quotes import BookChange

#: Of the recorded stream.
FRAMES = 1_500
STAMP_MS = 1_795_273_770_966
LEVELS = [["59990.1", "10.5"], ["59990.0", "0"], ["59000", "0.00000001"]]
OKX_DATA: dict[str, Any] = {
    "asks": [[*x, "0", "3"] for x in LEVELS],
    "bids": [[*x, "0", "1"] for x in LEVELS],
    "ts": str(STAMP_MS),
    "checksum": -1,
    "seqId": 1_234_567,
    "prevSeqId": 1_234_566,
}
OKX: dict[str, Any] = {
    "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"},
    "action": "update",
    "data": [OKX_DATA],
}
BYBIT: dict[str, Any] = {
    "topic": "orderbook.50.BTCUSDT",
    "type": "delta",
    "ts": STAMP_MS,
    "data": {"s": "BTCUSDT", "b": LEVELS, "a": LEVELS, "u": 123, "seq": 99},
}
BINANCE: dict[str, Any] = {
    "e": "depthUpdate", "E": STAMP_MS + 6, "T": STAMP_MS, "s": "BTCUSDT", "U": 100, "u": 102, "pu": 99,
    "b": LEVELS, "a": LEVELS,
}  # fmt: skip


def side(rows: Any) -> list[tuple[float, float]]:
    """As text says it, by the exact way round."""
    return [(float(Decimal(str(row[0]))), float(Decimal(str(row[1])))) for row in rows]


def whole(value: Any) -> int:
    assert type(value) is int
    return value


def stamp_ns(value: Any) -> int:
    return int(Decimal(str(value))) * 1_000_000


def plain_okx(x: Any) -> tuple[Any, ...]:
    (data,) = x["data"]
    first = x["action"] == "snapshot"
    assert x["arg"]["channel"] == "books" and x["action"] in ("snapshot", "update") and x["arg"]["instId"]
    return (
        x["arg"]["instId"],
        stamp_ns(data["ts"]),
        first,
        whole(data["seqId"]),
        None if first else whole(data["prevSeqId"]),
        side(data["bids"]),
        side(data["asks"]),
    )


def plain_bybit(x: Any) -> tuple[Any, ...]:
    data, number = x["data"], whole(x["data"]["u"])
    first = x["type"] == "snapshot" or number == 1
    assert x["type"] in ("snapshot", "delta") and data["s"]
    previous = None if first else number - 1
    return (data["s"], stamp_ns(x["ts"]), first, number, previous, side(data["b"]), side(data["a"]))


def plain_binance(x: Any) -> tuple[Any, ...]:
    return (x["s"], stamp_ns(x["T"]), False, whole(x["u"]), whole(x["pu"]), side(x["b"]), side(x["a"]))


def text(message: Any) -> str:
    """As the venues write it. A whole number of any length stands as it is."""
    return json.dumps(message, separators=(",", ":"))


READERS: list[tuple[dict[str, Any], quick_books.ReadsText, Callable[[Any], tuple[Any, ...]]]] = [
    (OKX, quick_books.okx, plain_okx),
    (BYBIT, quick_books.bybit, plain_bybit),
    (BINANCE, quick_books.binance, plain_binance),
]


@pytest.mark.parametrize(("message", "quick", "plain"), READERS)
def test_a_message_as_usual_is_taken(
    message: dict[str, Any], quick: quick_books.ReadsText, plain: Any
) -> None:
    found = quick(text(message))
    assert found is not None and tuple(found) == plain(message)
    assert found.bids[1] == (59_990.0, 0.0) and found.asks[2] == (59_000.0, 1e-8)


@given(st.integers(0, 2**32))
def test_a_changed_message_is_read_as_it_stands_or_not_at_all(seed: int) -> None:
    dice = random.Random(seed)
    for message, quick, plain in READERS:
        mutated = message
        for _ in range(dice.randint(1, 3)):
            mutated = changed(mutated, dice)
        found = quick(text(mutated))
        if found is None:
            continue
        assert tuple(found) == plain(mutated)
        for price, size in found.bids + found.asks:
            assert 1e-18 <= price < 1e18 and (size == 0 or 1e-18 <= size < 1e18)


FINE = [
    '"1e-400"', '"1E-400"', '1e-400', '"1e-19"', f'"0.{"0" * 30}1"', f'"0.{"0" * 400}1"', '"1\\u0065-400"',
    f'"0.{"0" * 340}1e5"', '"0.\\u00301"',
]  # fmt: skip


@pytest.mark.parametrize("fine", FINE)
@pytest.mark.parametrize("among", ["", '["2","0"],'])
def test_a_size_too_fine_to_be_one_never_takes_a_level_away(fine: str, among: str) -> None:
    for message, quick, _ in READERS:
        level = '["1",FINE,"0","1"]' if message is OKX else '["1",FINE]'
        other = among.replace("]", ',"0","1"]') if message is OKX else among
        usual, marked = (
            text(message),
            '["59990.1","10.5","0","1"]' if message is OKX else '["59990.1","10.5"]',
        )
        assert marked in usual and quick(usual) is not None
        assert quick(usual.replace(marked, other + level.replace("FINE", '"0"'), 1)) is not None
        found = quick(usual.replace(marked, other + level.replace("FINE", fine), 1))
        # what is left is no zero: it was read as it stands
        assert found is None or all(size > 0 for price, size in found.bids + found.asks if price == 1.0)


@pytest.mark.parametrize(
    "deep", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "\ud800"]
)
def test_what_cannot_be_read_at_all_is_left_to_the_other(deep: str) -> None:
    for message, quick, _ in READERS:
        usual = text(message)
        assert quick(usual[:-1] + ',"more":' + deep + "}") is None
        for cut in range(len(usual)):
            assert quick(usual[:cut]) is None


def test_options_of_binance_and_other_channels_are_for_the_other() -> None:
    assert quick_books.binance(text(BINANCE | {"s": "BTC-260327-70000-C"})) is None
    spot = {key: value for key, value in BINANCE.items() if key not in ("pu", "T")}
    assert quick_books.binance(text(spot)) is None
    assert quick_books.okx(text(OKX | {"arg": {"channel": "books5", "instId": "X"}})) is None
    assert quick_books.okx(text(OKX | {"data": [OKX_DATA, OKX_DATA]})) is None
    for answer in ({"op": "pong"}, {"event": "subscribe", "arg": OKX["arg"]}, {"result": None, "id": 1}):
        assert all(quick(text(answer)) is None for _, quick, _ in READERS)


def test_the_venues_modules_read_what_the_quick_reader_reads() -> None:
    (told,) = okx.read(OKX, {}).books
    assert tuple(told) == plain_okx(OKX) == tuple(quick_books.okx(text(OKX)) or ())
    (told,) = bybit.read(BYBIT, "linear", {}).books
    assert tuple(told) == plain_bybit(BYBIT) == tuple(quick_books.bybit(text(BYBIT)) or ())
    (told,) = binance.read(BINANCE, "binanceusdm", {}).books
    assert tuple(told) == plain_binance(BINANCE) == tuple(quick_books.binance(text(BINANCE)) or ())


@pytest.mark.parametrize(("dialect", "name"), [(Okx(), "okx"), (Bybit(), "bybit"), (Binance(), "binance")])
def test_every_dialect_reads_texts_as_its_own_way_round_does(dialect: Any, name: str) -> None:
    message = {"okx": OKX, "bybit": BYBIT, "binance": BINANCE}[name]
    for url in ("wss://x/v5/public/linear", "wss://x/v5/public/linear#1", "wss://x/v5/public/spot"):
        quick = dialect.quick(url)(text(message))
        (slow,) = dialect.read(url, message, {}, "").frame.books
        assert quick == slow


@pytest.mark.parametrize("name", ["ws_orderbook_delta.json", "ws_orderbook_snapshot.json"])
def test_recorded_books_of_bybit_are_taken(name: str) -> None:
    message = recorded_file("bybit", name)
    found = quick_books.bybit(text(message))
    assert found is not None and tuple(found) == plain_bybit(message)


def test_a_recorded_stream_of_binance_makes_the_book_that_a_dictionary_would_be() -> None:
    source = folder().parent / "l2" / "binance_usdm_btcusdt_20240808.jsonl.gz"
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    book, frames = ChainedBook(), 0
    with gzip.open(source, "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(" ")[2]).get("data", {})
            if message.get("e") != "depthUpdate":
                continue
            found = quick_books.binance(text(message))
            assert found is not None and tuple(found) == plain_binance(message)
            if not frames:
                assert found.previous_id is not None
                book.apply(BookChange("BTCUSDT", 1, True, found.previous_id, None, [], []))
            assert book.apply(found) is None
            for model, levels in zip(sides, (message["b"], message["a"]), strict=True):
                for price, size in side(levels):
                    model.pop(price, None)
                    if size:
                        model[price] = size
            frames += 1
            if frames % 100 == 0:
                bids, asks = book.ladders(100_000)
                assert list(zip(*bids, strict=True)) == sorted(sides[0].items(), reverse=True)
                assert list(zip(*asks, strict=True)) == sorted(sides[1].items())
            if frames == FRAMES:
                break
    assert frames == FRAMES
