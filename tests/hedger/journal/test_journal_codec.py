"""Every word of the wall and of the engine's events reads back as it was; nothing else is read at all."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.core.events import Event, Happening, Tick, Verb
from hedger.journal.codec import CodecError, canonical, dump, load, parse
from hedger.journal.entries import Intent, JournalName, Record, event_entry, read_event
from pricing.universe import FloatArray
from risk.book import Book
from tests.hedger.journal_words import BOOK, DECIMAL, EVENT, FLOAT, ORDER, TEXT, TRADE, marks, same_event
from venues.orders import (
    AccountReport,
    Link,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    TimeInForce,
    TradeReport,
    VenueStatus,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def record_of(event: Event) -> Record:
    entry = event_entry(event)
    return Record(1, str(entry.kind), entry.seq, entry.now_ns, entry.key, entry.body, b"")


@given(EVENT)
def test_every_event_comes_back(event: Event) -> None:
    assert same_event(read_event(record_of(event), lambda what: pytest.fail("nothing lies on a tape")), event)


@given(marks())
def test_marks_on_a_tape_are_told_by_reference_and_checked(batch: Any) -> None:
    event = Event(3, 4, 5, batch)
    entry = event_entry(event, tape="ab" * 32)
    record = Record(1, str(entry.kind), entry.seq, entry.now_ns, entry.key, entry.body, b"")
    assert len(entry.body) < 400
    assert same_event(read_event(record, lambda what: batch), event)
    other = replace(batch, seq=batch.seq - 1 if batch.seq else 1)
    with pytest.raises(CodecError, match="not what was seen"):
        read_event(record, lambda what: other)


@given(ORDER)
def test_every_order_comes_back(order: Order) -> None:
    assert load(Order, dump(Order, order)) == order


@given(TRADE)
def test_every_execution_comes_back(report: TradeReport) -> None:
    assert load(TradeReport, dump(TradeReport, report)) == report


@given(BOOK)
def test_every_book_comes_back(book: Book) -> None:
    assert load(Book, dump(Book, book)) == book


@given(st.builds(Adjustment, st.sampled_from(AdjustmentKind), TEXT, TEXT, TEXT, DECIMAL, TEXT, DECIMAL))
def test_every_adjustment_comes_back(adjustment: Adjustment) -> None:
    assert load(Adjustment, dump(Adjustment, adjustment)) == adjustment


@pytest.mark.parametrize(
    ("hint", "members"),
    [(OrderState, OrderState), (TimeInForce, TimeInForce), (Link, Link), (Verb, Verb)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_member_of_every_list_comes_back(hint: Any, members: Any) -> None:
    for member in members:
        assert load(hint, dump(hint, member)) is member


@given(FLOAT)
def test_floats_come_back_with_their_sign(x: float) -> None:
    found = load(float, dump(float, x))
    same = math.isnan(found) if math.isnan(x) else found == x
    assert same and math.copysign(1.0, found) == (1.0 if math.isnan(x) else math.copysign(1.0, x))


@given(st.lists(FLOAT, max_size=5))
def test_arrays_come_back_whatever_their_byte_order(numbers: list[float]) -> None:
    here, foreign = np.array(numbers, dtype="<f8"), np.array(numbers, dtype=">f8")
    text = dump(FloatArray, here)
    assert dump(FloatArray, foreign) == text
    found = load(FloatArray, text)
    assert found.dtype == np.float64 and found.tobytes() == here.tobytes() and found.flags.writeable


@given(JSON)
def test_one_text_for_one_value(document: Any) -> None:
    text = canonical(document)
    assert parse(text) == document
    assert text.isascii() and b"\n" not in text
    shuffled = json.dumps(json.loads(text), sort_keys=True, indent=1).encode()
    if shuffled != text:
        with pytest.raises(CodecError, match="not in canonical form"):
            parse(shuffled)


# What a form looks like is a promise to older files: written out by hand.
@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (Decimal, Decimal("1.10"), b'"1.10"'),
        (Decimal, Decimal("1E+3"), b'"1E+3"'),
        (Fraction, Fraction(-1, 3), b'"-1/3"'),
        (float, 0.1, b"0.1"),
        (float, -0.0, b"-0.0"),
        (float, 1e22, b"1e+22"),
        (float, math.inf, b'"inf"'),
        (int, 2**63, b"9223372036854775808"),
        (FloatArray, np.array([1.0, -2.0]), b'"AAAAAAAA8D8AAAAAAAAAwA=="'),
        (dict[str, Decimal], {"b": Decimal(1), "a": Decimal(2)}, b'{"a":"2","b":"1"}'),
        (dict[int, float], {2: 1.0, 1: 0.5}, b"[[1,0.5],[2,1.0]]"),
        (Happening, Tick(), b'{"type":"Tick"}'),
        (JournalName, JournalName("paper", "é"), b'{"engine":"\\u00e9","trading":"paper"}'),
        (
            OrderUpdate,
            OrderUpdate("h", OrderState.OPEN, filled=Decimal("0.10")),
            b'{"client_id":"h","code":"","filled":"0.10","price":null,"quantity":null,"state":"open","text":"",'
            b'"venue_ns":0,"venue_order_id":""}',
        ),
    ],
    ids=str,
)
def test_the_written_form(hint: Any, value: Any, text: bytes) -> None:
    assert dump(hint, value) == text
    if not isinstance(value, np.ndarray):
        assert load(hint, text) == value


def test_an_order_update_from_before_it_told_price_and_size_is_read() -> None:
    old = b'{"client_id":"h","code":"","filled":"0.10","state":"open","text":"","venue_ns":0,'
    old += b'"venue_order_id":""}'
    assert load(OrderUpdate, old) == OrderUpdate("h", OrderState.OPEN, filled=Decimal("0.10"))


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, b"1.0"), (int, b"true"), (int, b'"1"'), (float, b"1"), (float, b'"Infinity"'), (float, b"NaN"),
        (float, b"1e400"), (bool, b"1"), (str, b"1"), (str, b"null"), (Decimal, b"1"), (Decimal, b'"1_0"'),
        (Decimal, b'" 1"'), (Decimal, b'"x"'), (Fraction, b'"1/0"'), (Fraction, b'"2/4"'),
        (Link, b'"sideways"'),
        (Link, b"null"), (FloatArray, b'"AA=="'), (FloatArray, b'"A"'), (FloatArray, b"[1.0]"),
        (tuple[int, int], b"[1]"), (tuple[int, int], b"[1,2,3]"), (tuple[int, ...], b"{}"),
        (dict[int, int], b"[[1,1],[1,2]]"), (Happening, b"{}"), (Happening, b'{"type":"Order"}'),
        (Happening, b'{"type":["Tick"]}'), (Happening, b"[]"), (VenueStatus, b'{"link":"up"}'),
        (VenueStatus, b'{"link":"up","venue":"v","more":1}'), (JournalName, b'{"engine":1,"trading":""}'),
        (int, b""), (int, b"1 "), (int, b"\xff"), (int, b"[" * 100_000),
        (OrderReport, b"[]"), (AccountReport, b'{"venue":"v"}'),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_word_is_refused(hint: Any, text: bytes) -> None:
    with pytest.raises(CodecError):
        load(hint, text)


@given(ORDER, st.data())
def test_a_damaged_text_is_refused_or_another_order(order: Order, data: st.DataObject) -> None:
    text = dump(Intent, Intent(order))
    at = data.draw(st.integers(0, len(text) - 1))
    flipped = text[:at] + bytes([text[at] ^ (1 << data.draw(st.integers(0, 7)))]) + text[at + 1 :]
    try:
        found = load(Intent, flipped)
    except CodecError:
        return
    assert found != Intent(order)


@given(JSON)
def test_no_json_at_all_makes_a_reader_fail_otherwise(document: Any) -> None:
    for hint in (Event, Order, Book, TradeReport, Happening):
        try:
            load(hint, canonical(document))
        except CodecError:
            continue
        assert isinstance(document, dict | list)


def test_a_field_that_came_later_takes_its_default() -> None:
    text = b'{"client_id":"h","state":"open"}'
    assert load(OrderUpdate, text) == OrderUpdate("h", OrderState.OPEN)


def test_an_impossible_word_is_refused_where_it_is_read() -> None:
    order = b'{"client_id":"h","listing":null}'
    with pytest.raises(CodecError, match="lacking"):
        load(Order, order)


def test_nothing_is_made_up_for_types_without_a_form() -> None:
    @dataclass(frozen=True)
    class Strange:
        x: complex

    with pytest.raises(TypeError, match="no codec for"):
        dump(complex, 1j)
    with pytest.raises(TypeError, match="is not one of"):
        dump(Happening, Strange(1j))
