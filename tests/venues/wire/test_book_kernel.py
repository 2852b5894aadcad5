"""What is laid over a book from the bytes of a frame is what a dictionary makes of the frame's JSON; all else
leaves the book as it was."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pricing.universe import Universe
from tests import builders
from tests.venues.wire import test_deribit_frames, test_quick_books
from tests.venues.wire.corpus import folder, recorded_file
from tests.venues.wire.test_quick_books import BINANCE, BYBIT, OKX, plain_binance, plain_bybit, plain_okx
from venues.book_chain import Broken, ChainedBook
from venues.live_quotes import LiveQuotes
from venues.wire import binance, book_forms, bybit, deribit, okx, quick_books
from venues.wire.book_forms import BookForm
from venues.wire.quotes import BookChange, Levels

DERIBIT = {
    "jsonrpc": "2.0",
    "method": "subscription",
    "params": {
        "channel": "book.BTC-PERPETUAL.100ms",
        "data": test_deribit_frames.BOOK | {"asks": [["change", 60_001, 30], ["new", 60_000.5, 0.0]]},
    },
}
UNIVERSE = Universe.of(
    [builders.listing(builders.perpetual(), x) for x in ("BTC-PERPETUAL", "BTC-USDT-SWAP", "BTCUSDT")]
)
BIDS: Levels = [(59_990.0 - n, 1.0 + n) for n in range(5)]
ASKS: Levels = [(60_010.0 + n, 1.0 + n) for n in range(5)]
Book = tuple[dict[float, float], dict[float, float]]


def plain_deribit(x: Any) -> tuple[Any, ...]:
    data = x["params"]["data"]
    assert x["params"]["channel"].startswith("book.") and data["type"] == "change"
    sides = [
        [(float(p), 0.0 if action == "delete" else float(s)) for action, p, s in data[key]]
        for key in ("bids", "asks")
    ]
    assert {action for key in ("bids", "asks") for action, _, _ in data[key]} <= {"new", "change", "delete"}
    ids = (test_quick_books.whole(data["change_id"]), test_quick_books.whole(data["prev_change_id"]))
    return (data["instrument_name"], data["timestamp"] * 1_000_000, False, *ids, *sides)


def as_usual(message: dict[str, Any]) -> dict[str, Any]:
    """With sides that do not meet, in the venue's order of levels."""
    levels = [["59990.1", "10.5"], ["59989.0", "0"], ["59000", "0.00000001"]]
    others = [["60010.1", "10.5"], ["60011.0", "0"], ["61000", "0.00000001"]]
    if message is OKX:
        longer = [[[*x, "0", "3"] for x in rows] for rows in (levels, others)]
        return OKX | {"data": [OKX["data"][0] | {"bids": longer[0], "asks": longer[1]}]}
    if message is BYBIT:
        return BYBIT | {"data": BYBIT["data"] | {"b": levels, "a": others}, "cts": 1_795_273_770_960}
    return message | {"b": levels, "a": others, "ps": "BTCUSDT", "st": 1}


Plain = Callable[[Any], tuple[Any, ...]]
Reads = Callable[[Any], list[BookChange]]
VENUES: dict[str, tuple[BookForm, dict[str, Any], Plain, Reads]] = {
    "deribit": (book_forms.DERIBIT, DERIBIT, plain_deribit, lambda x: [deribit.book(x["params"]["data"])]),
    "okx": (book_forms.OKX, as_usual(OKX), plain_okx, lambda x: okx.read(x, {}).books),
    "bybit": (book_forms.BYBIT, as_usual(BYBIT), plain_bybit, lambda x: bybit.read(x, "linear", {}).books),
    "binance": (
        book_forms.BINANCE,
        as_usual(BINANCE),
        plain_binance,
        lambda x: binance.read(x, "binanceusdm", {}).books,
    ),
}
each_venue = pytest.mark.parametrize("name", list(VENUES))


def text_of(message: Any) -> str:
    return json.dumps(message, separators=(",", ":"))


def quotes_on(symbol: str, change_id: int, bids: Levels = BIDS, asks: Levels = ASKS) -> LiveQuotes:
    """A book is known, as of a message."""
    quotes = LiveQuotes(UNIVERSE, UNIVERSE.listings[0].venue)
    assert quotes.change(BookChange(symbol, 1, True, change_id, None, bids, asks)) is None
    return quotes


def laid(book: Book, plain: tuple[Any, ...]) -> Book:
    """The same by a dictionary."""
    for model, levels in zip(book, plain[5:], strict=True):
        for price, size in levels:
            model.pop(price, None)
            if size > 0:
                model[price] = size
    return book


def shown(book: Book) -> Any:
    bids, asks = sorted(book[0].items(), reverse=True), sorted(book[1].items())
    return tuple(([p for p, _ in x], [s for _, s in x]) for x in (bids, asks))


def held(quotes: LiveQuotes, symbol: str) -> tuple[Any, ...]:
    book = quotes._books[symbol]
    return (book.broken, book.change_id, book.venue_ns, book.ladders(100_000))


def follow_alike(name: str, text: str, change_id: int, symbol: str) -> bool:
    """Whether a frame was taken; then the book is what its JSON says, which the venue's module reads."""
    form, _, plain, read = VENUES[name]
    quotes = quotes_on(symbol, change_id)
    before = held(quotes, symbol)
    taken = quotes.follow(form, text) if text.startswith(form.head) else ""
    if not taken:
        assert held(quotes, symbol) == before
        return False
    told = plain(json.loads(text))
    (reading,) = read(orjson.loads(text))
    assert tuple(reading) == told
    assert taken == told[0] == symbol and told[2] is False and told[4] == change_id
    model = laid((dict(BIDS), dict(ASKS)), told)
    if model[0] and model[1] and max(model[0]) >= min(model[1]):
        assert held(quotes, symbol) == (Broken.CROSSED, told[3], told[1], (([], []), ([], [])))
        assert quotes.gapped == {symbol} and quotes.counts.gaps == 1
    else:
        assert held(quotes, symbol) == (None, told[3], told[1], shown(model))
    return True


@each_venue
def test_a_change_as_usual_is_laid_over_the_book(name: str) -> None:
    _, message, plain, _ = VENUES[name]
    symbol, _, _, _, previous, *_ = plain(message)
    assert follow_alike(name, text_of(message), previous, symbol)
    assert not follow_alike(name, text_of(message), previous + 1, symbol)  # it follows on another
    quotes = quotes_on(symbol, previous)
    quotes.lose_books()
    assert not quotes.follow(VENUES[name][0], text_of(message))
    assert not LiveQuotes(UNIVERSE, "deribit").follow(VENUES[name][0], text_of(message))
    assert not quotes_on(symbol, previous).follow(VENUES[name][0], text_of(message), only=set())


#: What may come to stand in a frame: its own characters, and others.
BYTES = '0123456789.eE+-"{}[],:\\ \t\n/abunewchangedl\x00\x7f\xe9'


@given(seed=st.integers(0, 2**32))
@each_venue
def test_a_frame_with_other_bytes_is_read_alike_or_left(name: str, seed: int) -> None:
    dice = random.Random(seed)
    _, message, plain, _ = VENUES[name]
    symbol, _, _, _, previous, *_ = plain(message)
    usual = text_of(message)
    for _ in range(40):
        text = usual
        for _ in range(dice.randint(1, 2)):
            at, end = dice.randrange(len(text)), dice.randrange(len(text))
            what = dice.random()
            if what < 0.6:
                text = text[:at] + dice.choice(BYTES) + text[at + 1 :]
            elif what < 0.75:
                text = text[:at] + text[at + 1 :]
            elif what < 0.9:
                text = text[:at] + dice.choice(BYTES) + text[at:]
            elif what < 0.95:
                text = text[:at] + text[end:]
            else:
                text = text[:at] + usual[min(at, end) : max(at, end)] + text[at:]
        follow_alike(name, text, previous, symbol)


@given(seed=st.integers(0, 2**32))
@each_venue
def test_a_message_with_other_fields_is_read_alike_or_left(name: str, seed: int) -> None:
    dice = random.Random(seed)
    _, message, plain, _ = VENUES[name]
    symbol, _, _, _, previous, *_ = plain(message)
    for _ in range(20):
        mutated = message
        for _ in range(dice.randint(1, 3)):
            mutated = test_deribit_frames.changed(mutated, dice)
        follow_alike(name, text_of(mutated), previous, symbol)


@each_venue
def test_a_frame_that_is_cut_or_goes_on_is_left(name: str) -> None:
    _, message, plain, _ = VENUES[name]
    symbol, _, _, _, previous, *_ = plain(message)
    usual = text_of(message)
    for cut in range(len(usual)):
        assert not follow_alike(name, usual[:cut], previous, symbol)
        follow_alike(name, usual[:cut] + "}", previous, symbol)  # some fields may be missing
    for more in ("}", " ", "\n", "{}", "\x00", usual):
        assert not follow_alike(name, usual + more, previous, symbol)


def with_level(name: str, price: str, size: str) -> str:
    """A frame with a bid of these figures as they stand."""
    if name == "deribit":
        return text_of(DERIBIT).replace('["new",60000.0,10.0]', f'["new",{price},{size}]')
    first = '"59990.1","10.5"'
    return text_of(VENUES[name][1]).replace(first, f'"{price}","{size}"', 1)


FIGURES = st.one_of(
    st.tuples(st.integers(0, 10**16), st.integers(0, 19)).map(lambda x: f"{Decimal(x[0]).scaleb(-x[1]):f}"),
    st.floats(0, 1e17).map(lambda x: f"{Decimal(x):.12f}"),
    st.sampled_from([
        "0", "0.0", "0." + "0" * 30, "1e-8", "1E5", "-1", "-0.0", "+1", ".5", "5.", "", "007", "1,0", "NaN",
        "Infinity", "9" * 15, "9" * 16, "9" * 30, "1e400", "1e-400", "0.000000000000000001", "0x10", "1_0",
        " 1", "0.00000000000000001", "9007199254740993", "1 ", "\u0663", "123456789012.345",
    ]),
)  # fmt: skip


@given(price=FIGURES, size=FIGURES)
@example(price="59990.10", size="0.000")
@each_venue
def test_figures_are_read_to_the_bit_or_left(name: str, price: str, size: str) -> None:
    _, message, plain, _ = VENUES[name]
    symbol, _, _, _, previous, *_ = plain(message)
    text = with_level(name, price, size)
    assert text != text_of(message) or (price, size) == ("59990.1", "10.5")
    follow_alike(name, text, previous, symbol)


@pytest.mark.parametrize("digits", range(1, 16))
def test_figures_of_up_to_fifteen_digits_are_taken(digits: int) -> None:
    dice = random.Random(digits)
    symbol, _, _, _, previous, *_ = plain_binance(BINANCE)
    for places in range(digits):
        whole = str(dice.randrange(10 ** (digits - 1), 10**digits))
        figure = f"{whole[: digits - places]}.{whole[digits - places :]}" if places else whole
        assert follow_alike("binance", with_level("binance", figure, figure), previous, symbol)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 500, 10_000])
@each_venue
def test_huge_changes_and_huge_books(name: str, count: int) -> None:
    """Those for which there is no room are read, laid, and followed from then on."""
    form, message, plain, _ = VENUES[name]
    symbol, _, _, _, previous, *_ = plain(message)
    quotes = quotes_on(symbol, previous - 1)
    first: Levels = [(float(n), float(n)) for n in range(1, count + 1)]
    quotes.change(BookChange(symbol, 2, False, previous, previous - 1, first, []))
    model = laid((dict(BIDS), dict(ASKS)), (0, 0, 0, 0, 0, first, []))
    assert quotes.follow(form, text_of(message)) == symbol
    model = laid(model, plain(message))
    assert held(quotes, symbol)[3] == shown(model)
    levels = [[f"{n}.5", "1"] for n in range(1, count + 1)]
    if name == "binance":
        number = plain(message)[3]
        next_one = message | {"pu": number, "u": number + 1, "b": levels, "a": []}
        change = quick_books.binance(text_of(next_one))
        assert change is not None
        if not quotes.follow(form, text_of(next_one)):
            assert quotes.change(change) is None
        assert held(quotes, symbol)[3] == shown(laid(model, plain(next_one)))


NUMBERS = st.sampled_from([-1, 0, 1, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 10**24, -(10**24)])


@given(NUMBERS, NUMBERS, st.booleans())
def test_a_chain_of_numbers_of_any_size_is_kept(first: int, second: int, follows: bool) -> None:
    book = ChainedBook()
    book.apply(BookChange("X", 1, True, first, None, BIDS, ASKS))
    assert book.change_id == first
    previous = first if follows else first + 1
    told = book.apply(BookChange("X", 2, False, second, previous, [(1.0, 1.0)], []))
    assert told is (None if follows else Broken.GAP)
    assert book.change_id == (second if follows else first)


def test_a_book_of_an_option_and_of_a_pair_are_not_followed() -> None:
    quotes = LiveQuotes(
        Universe.of([builders.listing(builders.perpetual(), "BTC-27MAR26")]), UNIVERSE.listings[0].venue
    )
    quotes.change(BookChange("BTC-27MAR26", 1, True, 99, None, BIDS, ASKS))
    dashed = VENUES["binance"][1] | {"s": "BTC-27MAR26"}
    assert not quotes.follow(book_forms.BINANCE, text_of(dashed))


def test_a_recorded_stream_of_binance_is_followed_frame_by_frame() -> None:
    source = folder().parent / "l2" / "binance_usdm_btcusdt_20240808.jsonl.gz"
    quotes: LiveQuotes | None = None
    model: Book = ({}, {})
    frames = taken = 0
    with gzip.open(source, "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(" ")[2]).get("data", {})
            if message.get("e") != "depthUpdate":
                continue
            text, told = text_of(message), plain_binance(message)
            if quotes is None:
                quotes = quotes_on("BTCUSDT", told[4], [], [])
            symbol = quotes.follow(book_forms.BINANCE, text)
            if not symbol:  # more levels than there is room for
                change = quick_books.binance(text)
                assert change is not None and quotes.change(change) is None
            laid(model, told)
            frames, taken = frames + 1, taken + bool(symbol)
            if frames % 100 == 0:
                assert held(quotes, "BTCUSDT") == (None, told[3], told[1], shown(model))
            if frames == test_quick_books.FRAMES:
                break
    assert frames == test_quick_books.FRAMES and taken >= 0.99 * frames


def test_the_recorded_change_of_bybit_is_followed() -> None:
    message = recorded_file("bybit", "ws_orderbook_delta.json")
    told = plain_bybit(message)
    quotes = quotes_on("BTCUSDT", told[4], [], [])
    assert told[0] == "BTCUSDT"
    assert quotes.follow(book_forms.BYBIT, text_of(message)) == "BTCUSDT"
    assert held(quotes, "BTCUSDT")[3] == shown(laid(({}, {}), told))
