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
from venues.wire import binance, bybit, okx, quick_books
from venues.wire.quotes import BookChange

#: Of the recorded stream.
FRAMES = 1_500
STAMP_MS = 1_795_273_770_966
LEVELS = [["59990.1", "10.5"], ["59990.0", "0"], ["59000", "0.00000001"]]
OKX: dict[str, Any] = {
    "asks": [[*x, "0", "3"] for x in LEVELS],
    "bids": [[*x, "0", "1"] for x in LEVELS],
    "ts": str(STAMP_MS),
    "checksum": -1,
    "seqId": 1_234_567,
    "prevSeqId": 1_234_566,
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
    return (
        "X",
        stamp_ns(x["ts"]),
        False,
        whole(x["seqId"]),
        whole(x["prevSeqId"]),
        side(x["bids"]),
        side(x["asks"]),
    )


def plain_bybit(x: Any) -> tuple[Any, ...]:
    data, number = x["data"], whole(x["data"]["u"])
    first = x["type"] == "snapshot" or number == 1
    assert x["type"] in ("snapshot", "delta") and data["s"]
    previous = None if first else number - 1
    return ("", stamp_ns(x["ts"]), first, number, previous, side(data["b"]), side(data["a"]))


def plain_binance(x: Any) -> tuple[Any, ...]:
    return (x["s"], stamp_ns(x["T"]), False, whole(x["u"]), whole(x["pu"]), side(x["b"]), side(x["a"]))


def quick_bybit(x: Any) -> BookChange | None:
    found = quick_books.bybit(x)
    return None if found is None else found[1]


Quick = Callable[[Any], BookChange | None]
READERS: list[tuple[dict[str, Any], Quick, Callable[[Any], tuple[Any, ...]]]] = [
    (OKX, lambda x: quick_books.okx("X", False, x), plain_okx),
    (BYBIT, quick_bybit, plain_bybit),
    (BINANCE, quick_books.binance, plain_binance),
]


@pytest.mark.parametrize(("message", "quick", "plain"), READERS)
def test_a_message_as_usual_is_taken(message: dict[str, Any], quick: Quick, plain: Any) -> None:
    found = quick(message)
    assert found is not None and tuple(found) == plain(message)
    assert found.bids[1] == (59_990.0, 0.0) and found.asks[2] == (59_000.0, 1e-8)


@given(st.integers(0, 2**32))
def test_a_changed_message_is_read_as_it_stands_or_not_at_all(seed: int) -> None:
    dice = random.Random(seed)
    for message, quick, plain in READERS:
        mutated = message
        for _ in range(dice.randint(1, 3)):
            mutated = changed(mutated, dice)
        found = quick(mutated)
        if found is None:
            continue
        assert tuple(found) == plain(mutated)
        for price, size in found.bids + found.asks:
            assert 1e-18 <= price < 1e18 and (size == 0 or 1e-18 <= size < 1e18)


@pytest.mark.parametrize("fine", ["1e-400", "1e-19", "0.0000000000000000000000001"])
def test_a_size_too_fine_to_be_one_never_takes_a_level_away(fine: str) -> None:
    assert quick_books.okx("X", False, OKX | {"bids": [["1", fine, "0", "1"]]}) is None
    assert quick_books.binance(BINANCE | {"b": [["1", fine]]}) is None
    assert quick_books.bybit(BYBIT | {"data": BYBIT["data"] | {"b": [["1", fine]]}}) is None


def test_the_venues_modules_take_what_the_quick_reader_took() -> None:
    arg = {"channel": "books", "instId": "X"}
    (told,) = okx.read({"arg": arg, "action": "update", "data": [OKX]}, {}).books
    assert tuple(told) == plain_okx(OKX)
    (told,) = bybit.read(BYBIT, "linear", {}).books
    assert (told.symbol, *told[1:]) == ("BTCUSDT", *plain_bybit(BYBIT)[1:])
    (told,) = binance.read(BINANCE, "binanceusdm", {}).books
    assert tuple(told) == plain_binance(BINANCE)


@pytest.mark.parametrize("name", ["ws_orderbook_delta.json", "ws_orderbook_snapshot.json"])
def test_recorded_books_of_bybit_are_taken(name: str) -> None:
    message = recorded_file("bybit", name)
    found = quick_bybit(message)
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
            found = quick_books.binance(message)
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
