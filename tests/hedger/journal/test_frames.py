"""Marks in frames: every bit comes back, a damaged frame is told, old journals without frames stay whole."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hedger.core.events import Event
from hedger.journal.codec import CodecError, dump
from hedger.journal.entries import (
    EventBody,
    Head,
    Kind,
    Record,
    breaks,
    chained,
    decision_entry,
    event_entry,
    read,
    read_event,
)
from hedger.journal.export import export
from hedger.journal.frames import MarksFrame, framed, unframed
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.recovery import recover
from hedger.journal.schema import migrate
from pricing.market import QUOTE_FIELDS, Depth, Marks
from tests.builders import NOW_NS
from tests.hedger.journal_words import NAME, event, opening, same_event, same_marks

#: As venues quote, as programs compute, and what no venue should ever send.
NUMBER = st.one_of(
    st.integers(0, 10**9).map(lambda n: n / 1e4),
    st.integers(0, 10**5).map(lambda n: n / 100 / 100),
    st.integers(0, 10**6).map(lambda n: n * 0.1),
    st.floats(),
    st.just(-0.0),
)


def column(draw: st.DrawFn, n: int) -> Any:
    if draw(st.booleans()):
        bits = draw(npst.arrays(np.dtype("u8"), n))  # payloads of NaNs among them
        return bits.view(np.float64)
    return np.array(draw(st.lists(NUMBER, min_size=n, max_size=n)), dtype=np.float64)


@st.composite
def batches(draw: st.DrawFn) -> Marks:
    k = draw(st.integers(8, 40))

    def book() -> tuple[Depth, Depth]:
        bids, asks = draw(st.integers(0, 4)), draw(st.integers(0, 4))
        return Depth(column(draw, bids), column(draw, bids)), Depth(column(draw, asks), column(draw, asks))

    return Marks(
        seq=draw(st.integers(-(2**63), 2**63 - 1)),
        now_ns=draw(st.integers(-(2**63), 2**63 - 1)),
        rows=draw(npst.arrays(np.dtype("i8"), k)),
        venue_ns=draw(npst.arrays(np.dtype("i8"), k)),
        forward_kind=draw(npst.arrays(np.dtype("i1"), k)),
        depth={row: book() for row in draw(st.sets(st.integers(-5, 99), max_size=2))},
        **{name: column(draw, k) for name in QUOTE_FIELDS},
    )


def quoted(k: int = 400, seq: int = 3) -> Marks:
    """A chain as a venue tells it: prices on ticks, vols in percent, some never quoted."""
    dice = np.random.default_rng(seq)
    price = np.round(dice.uniform(0.001, 0.2, k), 4)
    columns = {name: price + i * 0.0005 for i, name in enumerate(("bid", "ask", "mark"))}
    columns |= {name: np.round(dice.uniform(0, 50, k), 1) for name in ("bid_size", "ask_size")}
    columns |= {"mark_iv": np.round(dice.uniform(30, 90, k), 2) / 100.0, "index": np.full(k, 70_123.45)}
    columns |= {"forward": np.repeat(np.round(dice.uniform(7e4, 8e4, k // 40), 2), 40)}
    columns |= {"funding_rate": np.full(k, np.nan)}
    bid = np.where(dice.random(k) < 0.1, np.nan, columns["bid"])
    return marks_of(seq, columns | {"bid": bid})


def marks_of(seq: int, columns: Mapping[str, Any]) -> Marks:
    k = len(columns["bid"])
    kinds = np.zeros(k, dtype=np.int8)
    return Marks(seq, NOW_NS, np.arange(k), np.full(k, NOW_NS), forward_kind=kinds, **dict(columns))


def record_of(taken: Event) -> Record:
    return chained([event_entry(taken)], Head(0, NAME.genesis))[0]


def plain(taken: Event) -> bytes:
    """The body of marks before there were frames."""
    return dump(EventBody, EventBody(taken.monotonic_ns, taken.what))


@given(batches())
def test_every_bit_comes_back(batch: Marks) -> None:
    found = framed(batch)
    assert found is not None
    head, frame = found
    assert same_marks(unframed(head, frame), batch)
    taken = Event(1, NOW_NS, 5, batch)
    assert same_event(read_event(record_of(taken), lambda what: pytest.fail("no tape")), taken)


def test_a_chain_takes_a_fifth_of_what_it_took() -> None:
    batch = quoted()
    entry = event_entry(event(1, batch))
    assert len(entry.body) * 5 < len(plain(event(1, batch)))
    head = event_entry(event(1, batch)).body.partition(b"\n")[0]
    assert b"MarksFrame" in head and head.isascii()


def test_a_recorded_chain_takes_a_sixth(shared_data: Path) -> None:
    """The worst of the month's first snapshots, as the importer leaves them."""
    source = pl.read_parquet(shared_data / "options" / "deribit_chain_6h_2026-02.parquet")
    worst = 0.0
    for _, part in source.filter(pl.col("ts") < pl.col("ts").min() + pl.duration(days=1)).group_by("ts"):
        k = part.height
        columns = {name: np.full(k, np.nan) for name in QUOTE_FIELDS} | {
            "bid": part["bid"].to_numpy(), "ask": part["ask"].to_numpy(), "mark": part["mark"].to_numpy(),
            "mark_iv": part["mark_iv"].to_numpy(), "forward": part["underlying_price"].to_numpy(),
            "index": part["index_price"].to_numpy(),
        }  # fmt: skip
        batch = marks_of(1, columns)
        worst = max(worst, len(event_entry(event(1, batch)).body) / len(plain(event(1, batch))))
    assert 0 < worst < 1 / 6


def test_what_is_misshapen_or_small_is_written_out() -> None:
    batch = quoted()
    for other in (
        replace(batch, bid=batch.bid[:-1]),
        replace(batch, depth={1: (Depth(np.ones(2), np.ones(3)), Depth(np.ones(1), np.ones(1)))}),
    ):
        assert framed(other) is None
        body = event_entry(event(1, other)).body
        assert b"\n" not in body and b'"Marks"' in body
    assert framed(quoted(0)) is None


@given(st.data())
def test_a_damaged_frame_is_told_and_nothing_else_happens(data: st.DataObject) -> None:
    head, frame = framed(quoted(40)) or pytest.fail("no frame")
    at = data.draw(st.integers(0, len(frame) - 1))
    kind = data.draw(st.sampled_from(("flip", "cut", "longer", "said")))
    if kind == "flip":
        flipped = frame[at] ^ (1 << data.draw(st.integers(0, 7)))
        frame = frame[:at] + bytes([flipped]) + frame[at + 1 :]
    elif kind == "cut":
        frame = frame[:at]
    elif kind == "longer":
        frame += b"\x00"
    else:
        head = replace(head, rows=head.rows + data.draw(st.sampled_from((-1, 1))))
    try:
        found = unframed(head, frame)
    except CodecError:
        return
    # A bit of a packed stream may say the same in other words; anything else must not pass.
    assert kind == "flip" and same_marks(found, quoted(40))


@given(st.binary(max_size=200))
def test_no_payload_brings_anything_but_the_error(payload: bytes) -> None:
    with pytest.raises(CodecError):
        unframed(MarksFrame(1, 2, 3, 0), b"\x01" + zlib.compress(payload))


def test_a_frame_behind_what_has_none_and_a_frame_that_is_missing_are_no_records() -> None:
    record = record_of(event(1, quoted()))
    for body in (record.text, dump(EventBody, EventBody(1, event(1, quoted(4)).what)) + b"\nx"):
        with pytest.raises(CodecError):
            read(replace(record, body=body))


def test_the_document_shows_the_marks_written_out() -> None:
    taken = event(1, quoted())
    assert dump(EventBody, EventBody(taken.monotonic_ns, taken.what)) == plain(taken)
    shown = record_of(taken).document()
    assert shown["what"]["type"] == "Marks" and len(shown["what"]["bid"]) > 400


# ----------------------------------------------------------------------------------------------- old journals


def version_2(path: Path, looks: int = 3) -> list[Record]:
    """A file as version 2 made it, its marks written out, without the program's own writer."""
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, to=2)
    connection.execute("INSERT INTO name VALUES (?, ?)", (NAME.trading, NAME.engine))
    entries = list(opening())
    for seq in range(looks):
        taken = event(seq, quoted(seq=seq))
        entries.append(replace(event_entry(taken), body=plain(taken)))
        entries.append(decision_entry(seq, taken.now_ns, f"{seq:064x}", {"seq": seq}, quiet=True))
    records = chained(entries, Head(0, NAME.genesis))
    connection.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(r.number, r.kind, r.seq, r.now_ns, r.key, r.body.decode(), r.hash) for r in records],
    )
    connection.execute("INSERT INTO head VALUES (?, ?)", (records[-1].number, records[-1].hash))
    connection.close()
    return records


def test_an_old_journal_goes_on_with_frames_in_the_same_chain(tmp_path: Path) -> None:
    old = version_2(tmp_path / "j")
    storage = open_to_read(tmp_path / "j")  # whoever reads brings nothing up to date
    assert list(storage.records()) == old
    storage.close()
    journal = Journal.open(tmp_path / "j", NAME)
    later = event(3, quoted(seq=9))
    journal.append(event_entry(later), decision_entry(3, later.now_ns, "ab" * 32, {"seq": 3}, quiet=False))
    journal.close()
    storage = open_to_read(tmp_path / "j")
    try:
        records = list(storage.records())
        assert records[: len(old)] == old
        assert list(breaks(records, NAME, storage.head())) == []
        looks = [read_event(r, lambda what: pytest.fail("no tape")) for r in records if r.kind == Kind.EVENT]
        expected = [event(seq, quoted(seq=seq)) for seq in range(3)] + [later]
        assert all(same_event(a, b) for a, b in zip(looks, expected, strict=True))
        assert [r.frame is None for r in records if r.kind == Kind.EVENT] == [True, True, True, False]
        recovered = recover(storage)
        assert (recovered.last_seq, recovered.head) == (3, storage.head())
        export(storage, tmp_path / "out", where="j")
    finally:
        storage.close()
    table = pl.read_parquet(tmp_path / "out" / "records.parquet")
    assert table["frame"].is_not_null().sum() == 1


def test_a_frame_changed_in_the_file_breaks_the_chain_there(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", NAME)
    for seq in range(3):
        journal.append(event_entry(event(seq, quoted(seq=seq))))
    journal.close()
    connection = sqlite3.connect(tmp_path / "j")
    connection.executescript("DROP TRIGGER records_stay; UPDATE records SET frame = x'00' WHERE number = 2;")
    connection.close()
    storage = open_to_read(tmp_path / "j")
    assert [place.number for place in breaks(storage.records(), NAME, storage.head())] == [2]
    storage.close()
