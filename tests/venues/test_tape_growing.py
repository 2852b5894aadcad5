"""A tape that grows: sound after every part, whatever was being written when it ended."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pricing.contracts import Side
from pricing.errors import InputError
from pricing.market import QUOTE_FIELDS, Depth, ForwardKind, Marks
from venues import tape
from venues.key_scopes import read_scopes
from venues.market_trades import MarketTrade
from venues.simulated import SimulatedMarket
from venues.tape_files import DESCRIPTION, read_description
from venues.tape_growing import GrowingTape, Outage
from venues.tape_reader import Tape
from venues.tape_rows import as_taped, rows_of, trade_as_taped, trade_rows
from venues.tape_schema import TIMETABLE_SCHEMA

START_NS = 1_770_000_000_000_000_000
META = {"notes": ["a test"]}


def grown(path: Path, parts: int, batches: int = 3) -> tuple[GrowingTape, list[Marks]]:
    market = SimulatedMarket(7, START_NS)
    growing, shown = GrowingTape(path, market.universe.listings, META), []
    for part in range(parts):
        taken = [(m.now_ns, m) for m in (market.step(1.0) for _ in range(batches))]
        quotes, depth = rows_of(market.universe, taken, part * batches)
        growing.add(quotes, depth, [Outage(part + 1, part + 2, "silence")])
        shown += [m for _, m in taken]
    return growing, shown


def test_what_was_added_in_parts_is_played_as_one(tmp_path: Path) -> None:
    _, shown = grown(tmp_path / "t", 3)
    assert tape.verify(tmp_path / "t") == []
    played = list(Tape.open(tmp_path / "t").marks())
    assert [m.seq for m in played] == list(range(9))
    for was, now in zip(shown, played, strict=True):
        assert was.now_ns == now.now_ns
        for name in ("rows", "venue_ns", "bid", "ask", "mark_iv", "forward_kind", "index"):
            np.testing.assert_array_equal(getattr(was, name), getattr(now, name), err_msg=name)
        assert was.depth.keys() == now.depth.keys()
        for row in was.depth:
            np.testing.assert_array_equal(was.depth[row][1].size, now.depth[row][1].size)
    assert [o["from_ns"] for o in tape.info(tmp_path / "t")["outages"]] == [1, 2, 3]


def test_files_that_no_description_names_are_not_part_of_it(tmp_path: Path) -> None:
    grown(tmp_path / "t", 2)
    (tmp_path / "t" / "quotes.3.parquet").write_bytes(b"PAR1 cut off")
    (tmp_path / "t" / f".{DESCRIPTION}.new").write_text('{"format_ver')
    assert tape.verify(tmp_path / "t") == []
    assert len(list(Tape.open(tmp_path / "t").marks())) == 6


@pytest.mark.parametrize("name", ["quotes.parquet", "quotes.2.parquet", "depth.2.parquet"])
def test_a_damaged_part_is_named(tmp_path: Path, name: str) -> None:
    grown(tmp_path / "t", 2)
    file = tmp_path / "t" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert any(name in problem for problem in tape.verify(tmp_path / "t"))
    with pytest.raises(InputError, match="TAPE_HASH"):
        Tape.open(tmp_path / "t")


def test_a_part_that_is_unsound_changes_nothing(tmp_path: Path) -> None:
    growing, _ = grown(tmp_path / "t", 1)
    before = read_description(tmp_path / "t")
    frame = Tape.open(tmp_path / "t").frame("quotes").drop("flag").with_columns(pl.lit(-1.0).alias("bid"))
    with pytest.raises(InputError, match="TAPE_UNSOUND"):
        growing.add(frame, pl.DataFrame(schema=Tape.open(tmp_path / "t").frame("depth").schema), [])
    assert read_description(tmp_path / "t") == before and tape.verify(tmp_path / "t") == []


def test_a_place_that_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    with pytest.raises(InputError, match="TAPE_EXISTS"):
        grown(tmp_path / "t", 1)


def test_a_row_that_no_venue_has_stamped_is_left_out_and_unknown_is_null() -> None:
    market = SimulatedMarket(7, START_NS)
    shown = market.step(1.0)
    venue_ns, bid = shown.venue_ns.copy(), shown.bid.copy()
    venue_ns[0], bid[1] = 0, np.nan
    marks = replace(shown, venue_ns=venue_ns, bid=bid)
    quotes, depth = rows_of(market.universe, [(marks.now_ns, marks)], 0)
    symbols = [market.universe.listings[row].symbol for row in marks.rows.tolist()]
    assert symbols[0] not in quotes["symbol"].to_list() + depth["symbol"].to_list()
    assert quotes.row(by_predicate=pl.col("symbol") == symbols[1], named=True)["bid"] is None


def test_what_a_run_was_fed_is_what_its_tape_gives_back(tmp_path: Path) -> None:
    """Bit by bit: without a stamp, without a price, with a zero, with an empty book, with every kind of
    forward; and stamps as they were, however far the venue's clock is ahead."""
    market = SimulatedMarket(7, START_NS)
    shown = market.step(1.0)
    columns = {
        name: getattr(shown, name).copy() for name in ("venue_ns", "bid", "ask", "forward_kind", "mark_iv")
    }
    columns["venue_ns"] += 3_000_000
    columns["venue_ns"][0] = 0
    columns["bid"][1], columns["ask"][2], columns["mark_iv"][3] = 0.0, np.nan, 0.0
    columns["forward_kind"][: len(ForwardKind)] = [int(kind) for kind in ForwardKind]
    nothing = Depth(np.empty(0), np.empty(0))
    row, other = shown.rows[[4, 5]].tolist()
    depth = {
        **shown.depth,
        row: (nothing, nothing),
        other: (nothing, Depth(np.array([2.0]), np.array([1.0]))),
    }
    marks = replace(shown, depth=depth, **columns)
    trade = MarketTrade(
        market.universe.listings[row].symbol, Side.BUY, Decimal("60000.10"), Decimal("0.30"), START_NS,
        market.universe.listings[row].venue, "t1", START_NS,
    )  # fmt: skip
    growing = GrowingTape(tmp_path / "t", market.universe.listings, META)
    quotes, books = rows_of(market.universe, [(marks.now_ns + 5, marks)], 0)
    nobody = pl.DataFrame(schema=TIMETABLE_SCHEMA)
    growing.add(quotes, books, [], trade_rows([]), nobody)
    done = pl.DataFrame([("end", "", 0, 0, 0, "")], schema=TIMETABLE_SCHEMA, orient="row")
    growing.rest(trade_rows([trade]), done)

    assert tape.verify(tmp_path / "t") == [] and growing.parts == 2
    found = Tape.open(tmp_path / "t")
    assert found.frame("timetable").rows() == done.rows()
    told, (again,) = as_taped(marks, 0, marks.now_ns + 5), tuple(found.marks())
    assert (told.seq, told.now_ns) == (again.seq, again.now_ns) == (0, marks.now_ns + 5)
    for name in ("rows", "venue_ns", "forward_kind", *QUOTE_FIELDS):
        np.testing.assert_array_equal(getattr(told, name), getattr(again, name), err_msg=name)
        assert getattr(told, name).dtype == getattr(again, name).dtype, name
    assert told.depth.keys() == again.depth.keys()
    for at, sides in told.depth.items():
        for one, two in zip(sides, again.depth[at], strict=True):
            np.testing.assert_array_equal(one.price, two.price)
            np.testing.assert_array_equal(one.size, two.size)
    price, size = found.frame("trades").select("price", "size").row(0)
    fed = trade_as_taped(trade)
    assert (str(fed.price), str(fed.size)) == (repr(price), repr(size))


@pytest.mark.parametrize(
    ("venue", "words", "trades", "safe"),
    [
        # the scope of a Deribit token as its documentation shows it
        ("deribit", "account:read_write trade:read_write wallet:read connection mainaccount", True, True),
        ("deribit", "trade:read session:rest-1 name:desk", False, True),
        ("deribit", "trade:read_write wallet:read_write", True, False),
        ("deribit", "trade:read_write wallet:write", True, False),  # a word nobody has looked up
        ("deribit", "", False, False),
        ("okx", "read_only trade", True, True),
        ("okx", "read_only trade withdraw", True, False),
        ("nobody", "trade", False, False),
    ],
)
def test_a_key_is_safe_only_where_every_word_is_known_to_be(
    venue: str, words: str, trades: bool, safe: bool
) -> None:
    scopes = read_scopes(venue, words.split())
    assert (scopes.trades, scopes.safe) == (trades, safe)
