"""The reader that takes frames straight from their text says what the other reader says, or nothing."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.market import ForwardKind
from tests.venues.wire.corpus import cryptofeed_frames, folder
from venues.book_chain import ChainedBook
from venues.errors import Untrusted
from venues.wire import deribit, deribit_frames
from venues.wire.quotes import Quote

STAMP_MS = 1_765_541_474_086
TICKER: dict[str, Any] = {
    "timestamp": STAMP_MS,
    "state": "open",
    "stats": {"high": None, "low": 1.0},
    "index_price": 60_000.5,
    "instrument_name": "BTC-27MAR26-70000-C",
    "mark_price": 0.0412,
    "best_ask_price": 0.042,
    "best_bid_price": 0.0,
    "best_ask_amount": 12,
    "best_bid_amount": 0.0,
    "underlying_price": 60_500.25,
    "underlying_index": "SYN.BTC-27MAR26",
    "mark_iv": 56.45,
    "greeks": {"delta": 0.5},
}
PERPETUAL: dict[str, Any] = {
    "timestamp": STAMP_MS,
    "state": "closed",
    "index_price": 60_000.5,
    "instrument_name": "BTC-PERPETUAL",
    "mark_price": 60_001.0,
    "best_ask_price": 60_002.0,
    "best_bid_price": 60_000.0,
    "best_ask_amount": 10.0,
    "best_bid_amount": 20.0,
    "funding_8h": -0.00012,
}
BOOK: dict[str, Any] = {
    "type": "change",
    "timestamp": STAMP_MS,
    "prev_change_id": 33_195_894_164,
    "instrument_name": "BTC-PERPETUAL",
    "change_id": 33_195_894_355,
    "bids": [["new", 60_000.0, 10.0], ["delete", 59_999.5, 0.0]],
    "asks": [["change", 60_001, 30]],
}
#: What may stand where something else should.
STRANGE: list[Any] = [
    None, "", "0", "1.5", "nan", "1e400", "x" * 300, True, False, 0, -0.0, 5e-324, 1e-30, -1.0, 1.0, 1e18,
    1e300, 2**53, 2**70, -(2**70), 7.0, [], {}, [1], {"a": 1}, "open", "SYN.BTC", "delete",
    "snapshot", "change",
]  # fmt: skip


def frame(channel: str, data: Any) -> str:
    """As the venue writes it. A whole number of any length stands as it is."""
    message = {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
    return json.dumps(message, separators=(",", ":"))


def same(one: Quote, other: Quote) -> bool:
    """Field by field, NaN like NaN."""
    return all(
        a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))
        for a, b in zip(one, other, strict=True)
    )


def agree_on_ticker(data: Any) -> bool:
    """Whether the quick reader took it; then the other must have read the same."""
    text = frame("ticker.X.100ms", data)
    quick = deribit_frames.ticker(text)
    if quick is None:
        return False
    known = deribit.ticker(orjson.loads(text)["params"]["data"])
    assert (quick.symbol, quick.venue_ns, quick.told) == (known.symbol, known.venue_ns, known.told)
    assert same(quick.quote(), known)
    return True


def agree_on_book(data: Any) -> bool:
    """The same of a book."""
    text = frame("book.X.100ms", data)
    quick = deribit_frames.book(text)
    if quick is None:
        return False
    known = deribit.book(orjson.loads(text)["params"]["data"])
    told = (quick.symbol, quick.venue_ns, quick.snapshot, quick.change_id, quick.previous_id)
    assert (*told, quick.bids, quick.asks) == tuple(known)
    return True


def changed(document: Any, dice: random.Random) -> Any:
    """One thing of it is gone, or another."""
    copy = json.loads(json.dumps(document))
    place = copy
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return copy
        key = dice.choice(keys)
        if isinstance(place[key], dict | list) and dice.random() < 0.7:
            place = place[key]
            continue
        if dice.random() < 0.2:
            del place[key]
        else:
            place[key] = dice.choice(STRANGE)
        return copy


def test_an_option_and_a_perpetual_are_read_as_they_stand() -> None:
    option, perpetual = (deribit_frames.ticker(frame("ticker.X.100ms", x)) for x in (TICKER, PERPETUAL))
    assert option is not None and perpetual is not None
    found = option.quote()
    assert found[:2] == ("BTC-27MAR26-70000-C", STAMP_MS * 1_000_000)
    assert math.isnan(found.bid) and math.isnan(found.bid_size) and math.isnan(found.funding_rate)
    assert (found.ask, found.ask_size, found.mark) == (0.042, 12.0, 0.0412)
    assert math.isclose(found.mark_iv, 0.5645, rel_tol=1e-15)
    assert (found.forward, found.index_price) == (60_500.25, 60_000.5)
    assert found.forward_kind is ForwardKind.SYNTHETIC and found.tradable
    found = perpetual.quote()
    assert (found.funding_rate, found.forward_kind, found.tradable) == (-0.00012, ForwardKind.NONE, False)
    assert math.isnan(found.forward) and math.isnan(found.mark_iv)
    assert agree_on_ticker(TICKER) and agree_on_ticker(PERPETUAL) and agree_on_book(BOOK)


@given(st.integers(0, 2**32))
def test_a_changed_frame_is_read_alike_or_left_to_the_other(seed: int) -> None:
    dice = random.Random(seed)
    for document, agree in ((TICKER, agree_on_ticker), (PERPETUAL, agree_on_ticker), (BOOK, agree_on_book)):
        mutated = document
        for _ in range(dice.randint(1, 3)):
            mutated = changed(mutated, dice)
        agree(mutated)


@pytest.mark.parametrize(
    "strange", [["new", 60_000.0, "1e-400"], ["new", 0.0, 1.0], ["new", 1.0, -1.0], ["x", 1.0, 1.0]]
)
def test_a_level_that_is_none_is_left_to_the_reader_that_says_so(strange: list[Any]) -> None:
    data = BOOK | {"bids": [strange]}
    assert deribit_frames.book(frame("book.X.100ms", data)) is None
    with pytest.raises(Untrusted):
        deribit.book(data)


def test_a_change_that_follows_nothing_and_a_grouped_book_are_left_to_the_other() -> None:
    for data in (BOOK | {"prev_change_id": None}, {k: v for k, v in BOOK.items() if k != "type"}):
        assert deribit_frames.book(frame("book.X.none.20.100ms", data)) is None


def test_what_is_no_json_is_left_to_the_other() -> None:
    text = frame("ticker.X.100ms", TICKER)
    for cut in range(len(deribit_frames.TICKER_HEAD), len(text) - 1):
        assert deribit_frames.ticker(text[:cut]) is None


@pytest.mark.parametrize("deep", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_nesting_without_end_is_left_to_the_other(deep: str) -> None:
    for read, data in ((deribit_frames.ticker, TICKER), (deribit_frames.book, BOOK)):
        text = frame("ticker.X.100ms", data | {"more": "HERE"}).replace('"HERE"', deep)
        assert read(text) is None


def test_a_snapshot_follows_nothing_whatever_it_says() -> None:
    data = BOOK | {"type": "snapshot"}
    assert deribit_frames.book(frame("book.X.100ms", data)) is None  # left to the other
    assert deribit.book(data).previous_id is None


def test_recorded_frames_are_all_taken_and_read_alike() -> None:
    folder()  # skips by name
    taken = {"ticker": 0, "book": 0}
    quick_books: dict[str, ChainedBook] = {}
    slow_books: dict[str, ChainedBook] = {}
    for channel, data in recorded():
        if channel.startswith("ticker."):
            assert agree_on_ticker(data)
            taken["ticker"] += 1
        elif channel.startswith("book."):
            assert agree_on_book(data)
            taken["book"] += 1
            quick = deribit_frames.book(frame(channel, data))
            assert quick is not None
            symbol = quick.symbol
            quick_books.setdefault(symbol, ChainedBook()).apply(quick)
            slow_books.setdefault(symbol, ChainedBook()).apply(deribit.book(data))
            assert quick_books[symbol].broken is slow_books[symbol].broken is None
            assert quick_books[symbol].ladders(1000) == slow_books[symbol].ladders(1000)
    assert taken["ticker"] > 20 and taken["book"] > 20


def recorded() -> Iterator[tuple[str, Any]]:
    for message in cryptofeed_frames():
        if message.get("method") == "subscription":
            yield message["params"]["channel"], message["params"]["data"]


def test_a_frame_is_known_by_how_the_venue_writes_it() -> None:
    assert frame("ticker.X.100ms", TICKER).startswith(deribit_frames.TICKER_HEAD)
    assert frame("book.X.100ms", BOOK).startswith(deribit_frames.BOOK_HEAD)
    lines = (folder() / "cryptofeed" / "DERIBIT.ws.1.0.txt").read_text().splitlines()
    texts = [line.partition(": ")[2] for line in lines]
    heads = (deribit_frames.TICKER_HEAD, deribit_frames.BOOK_HEAD)
    assert sum(text.startswith(heads) for text in texts) > 40


def test_an_empty_quote_is_no_zero() -> None:
    data = {"timestamp": STAMP_MS, "instrument_name": "X"}
    quick = deribit_frames.ticker(frame("ticker.X.100ms", data))
    assert quick is not None and same(quick.quote(), Quote("X", STAMP_MS * 1_000_000, tradable=False))
