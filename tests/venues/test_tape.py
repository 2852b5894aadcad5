"""The tape: written whole or not at all, read as it was written, and every tampering is found."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from pricing.contracts import Fees, Listing, Right, TickSteps
from pricing.errors import InputError
from pricing.market import Flag, ForwardKind, Market
from tests.venues.sources import leftovers
from venues.deribit_names import parse_name
from venues.tape import Tape, info, verify, write
from venues.tape_schema import listings_frame, listings_from

T0 = 1_770_000_000_000_000_000
MINUTE = 60 * 10**9
SKEW = 1_270_000_000  # the venue's clock runs this far ahead of ours
CALL, PUT, PERP, SPOT = "BTC-27MAR26-70000-C", "BTC-27MAR26-70000-P", "BTC-PERPETUAL", "BTC_USDC"


def listing(symbol: str, cap: str | None = None) -> Listing:
    fees = Fees(Decimal("0.0003"), Decimal("-0.0001"), None if cap is None else Decimal(cap))
    steps = TickSteps.parse("0:0.0001;0.005:0.0005")
    return Listing("deribit", symbol, parse_name(symbol), steps, Decimal("0.1"), Decimal("0.1"), fees)


LISTINGS = (
    listing(CALL, "0.125"),
    listing(PUT, "0.125"),
    listing(PERP),
    listing(SPOT),
    listing("BTC-27MAR26"),
)


def quote(seq: int, symbol: str, minute: float, **values: Any) -> dict[str, Any]:
    local_ns = T0 + round(minute * MINUTE)
    stamps = {"seq": seq, "local_ns": local_ns, "venue_ns": local_ns + SKEW}
    touch = {"bid": 0.05, "bid_size": 10.0, "ask": 0.06, "ask_size": 10.0, "mark": 0.055}
    return stamps | {"venue": "deribit", "symbol": symbol} | touch | values


def quotes() -> pl.DataFrame:
    rows = [
        quote(0, CALL, 0, mark_iv=0.6, forward=70000.0, forward_name="BTC-27MAR26", index=69900.0),
        quote(0, PUT, 0.1, mark_iv=0.6, forward=70000.0, forward_name="SYN.BTC-27MAR26", index=69900.0),
        quote(0, PERP, 0.2, funding_rate=1e-5, index=69900.0),
        quote(3, CALL, 5, bid=None, bid_size=None, mark_iv=0.7, forward=71000.0, forward_name="index_price"),
        quote(3, PERP, 5.5, mark=0.07),
        quote(4, CALL, 10, venue_ns=T0 + 4 * MINUTE, mark_iv=0.1),  # late: older than what is known
        quote(4, SPOT, 11, venue_delta=1.0, bid=0.06),
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def depth() -> pl.DataFrame:
    rows = []
    for seq, minute, symbol, prices in (
        (0, 0, CALL, {"bid": [0.05, 0.049], "ask": [0.06, 0.07, 0.08]}),
        (3, 5.5, PERP, {"bid": [0.05], "ask": []}),
    ):
        for side, ladder in prices.items():
            for level, price in enumerate(ladder):
                stamps = quote(seq, symbol, minute)
                key = {name: stamps[name] for name in ("seq", "venue_ns", "local_ns", "venue", "symbol")}
                rows.append(key | {"side": side, "level": level, "price": price, "size": 1.0 + level})
    return pl.DataFrame(rows)


def trades() -> pl.DataFrame:
    key = {"venue_ns": T0 + SKEW, "local_ns": T0, "venue": "deribit", "symbol": CALL}
    return pl.DataFrame([key | {"trade_id": "7", "side": "buy", "price": 0.06, "size": 0.1}])


META = {"source": [{"name": "x", "sha256": "0"}], "options": {"format": "made"}, "notes": ["a note"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "tape", LISTINGS, quotes(), depth(), trades(), META)
    return tmp_path / "tape"


def test_what_is_written_is_read(path: Path) -> None:
    tape = Tape.open(path)
    assert tape.universe.listings == LISTINGS
    read = tape.frame("quotes")
    for name in quotes().columns:
        assert read[name].to_list() == quotes()[name].to_list(), name
    assert tape.frame("depth").rows() == depth().select(tape.frame("depth").columns).rows()
    assert tape.frame("trades").rows() == trades().select(tape.frame("trades").columns).rows()
    assert read["venue_gamma"].null_count() == read.height  # what was not given is null, not 0
    assert verify(path) == []
    assert tape.batches.seq.tolist() == [0, 3, 4]
    assert tape.batches.now_ns.tolist() == [T0 + round(m * MINUTE) for m in (0.2, 5.5, 11)]


def test_listings_survive_the_round_trip_exactly() -> None:
    frame = listings_frame(LISTINGS)
    assert listings_from(frame) == LISTINGS
    row = frame.row(0, named=True)
    assert row["tick_steps"] == "0:0.0001;0.005:0.0005" and row["fee_cap"] == "0.125"
    assert (row["kind"], row["payoff"], row["right"], row["strike"]) == ("option", "inverse", "C", 70000.0)
    assert frame.row(2, named=True)["fee_cap"] is None and frame.row(2, named=True)["expiry_ns"] is None
    assert frame.row(3, named=True)["payoff"] == "linear"


def test_flags_are_those_of_the_quote_itself(path: Path) -> None:
    flags = Tape.open(path).frame("quotes")["flag"].to_list()
    assert flags == [None, None, None, "no_bid", "mark_outside", None, "crossed"]


def test_a_quote_past_its_own_expiry_is_flagged_expired(tmp_path: Path) -> None:
    late = pl.DataFrame(
        [quote(0, CALL, 0) | {"venue_ns": 1_774_598_400 * 10**9, "local_ns": 1_774_598_400 * 10**9}]
    )
    write(tmp_path / "tape", LISTINGS, late)
    assert Tape.open(tmp_path / "tape").frame("quotes")["flag"].to_list() == ["expired"]


def test_the_market_at_the_end_holds_the_newest_quote_of_each_listing(path: Path) -> None:
    tape = Tape.open(path)
    assert tape.description["clock_offset_ns"] == {"deribit": -SKEW}
    market = tape.market_at()
    assert (market.seq, market.now_ns) == (4, T0 + 11 * MINUTE)
    # the late row of batch 4 does not replace the newer one of batch 3
    assert market.mark_iv[0] == 0.7 and market.forward[0] == 71000.0 and math.isnan(market.bid[0])
    assert market.mark_iv[1] == 0.6 and market.mark[2] == 0.07
    ages = market.age_s
    assert ages[:4] == pytest.approx([360.0, 654.0, 330.0, 0.0], abs=1e-9)
    assert math.isnan(ages[4]) and not market.quoted[4]
    assert market.fresh(350.0).tolist() == [False, False, True, True, False]
    reasons = [Flag(code) for code in market.flags(350.0)]
    assert reasons == [Flag.STALE, Flag.STALE, Flag.MARK_OUTSIDE, Flag.CROSSED, Flag.NOT_QUOTED]
    assert [ForwardKind(kind) for kind in market.forward_kind[:3]] == [
        ForwardKind.INDEX, ForwardKind.SYNTHETIC, ForwardKind.NONE,
    ]  # fmt: skip


def test_the_market_at_a_time_is_that_of_the_last_batch_not_after_it(path: Path) -> None:
    tape = Tape.open(path)
    first = T0 + round(0.2 * MINUTE)
    second, last = T0 + round(5.5 * MINUTE), T0 + 11 * MINUTE
    cases = ((first, 0), (first + 1, 0), (second - 1, 0), (second, 3), (last - 1, 3), (last, 4), (2**80, 4))
    for time_ns, seq in cases:
        market = tape.market_at(time_ns)
        assert market.seq == seq and market.now_ns == tape.batches.now_ns[[0, 3, 4].index(seq)]
    market = tape.market_at(first)
    assert market.forward[0] == 70000.0 and market.age_s[:3] == pytest.approx([12.0, 6.0, 0.0])
    with pytest.raises(InputError) as caught:
        tape.market_at(first - 1)
    assert caught.value.code == "TIME_BEFORE_TAPE" and "2026-02-02T02:40:12" in caught.value.allowed


def test_playing_the_batches_gives_the_same_market(path: Path) -> None:
    tape = Tape.open(path)
    market = Market.empty(tape.universe)
    for marks in tape.marks():
        market = market.apply(marks)
        expected = tape.market_at(marks.now_ns)
        assert (market.seq, market.now_ns) == (expected.seq, expected.now_ns)
        for name in (
            "venue_ns",
            "forward_kind",
            "bid",
            "ask",
            "bid_size",
            "mark",
            "mark_iv",
            "forward",
            "index",
        ):
            np.testing.assert_array_equal(getattr(market, name), getattr(expected, name), name)
        assert set(market.depth) == set(expected.depth)


def test_order_books_come_with_their_quote(path: Path) -> None:
    tape = Tape.open(path)
    early, late = tape.market_at(T0 + MINUTE), tape.market_at()
    bids, asks = early.book(0)
    assert bids.price.tolist() == [0.05, 0.049] and bids.size.tolist() == [1.0, 2.0]
    assert asks.price.tolist() == [0.06, 0.07, 0.08] and asks.size.tolist() == [1.0, 2.0, 3.0]
    assert 0 not in late.depth  # requoted without a book
    bids, asks = late.book(2)
    assert bids.price.tolist() == [0.05] and asks.price.tolist() == []


def test_venue_greeks_are_the_newest_raw_row_of_every_listing(path: Path) -> None:
    tape = Tape.open(path)
    stamps: dict[str, list[int]] = {}
    for symbol, stamp in tape.frame("quotes").select("symbol", "venue_ns").iter_rows():
        stamps.setdefault(symbol, []).append(stamp)
    newest = tape.venue_greeks_at(T0 + 20 * MINUTE)
    assert dict(zip(newest["symbol"], newest["venue_ns"], strict=True)) == {
        s: max(x) for s, x in stamps.items()
    }
    before = tape.venue_greeks_before(T0 + 20 * MINUTE)
    assert dict(zip(before["symbol"], before["venue_ns"], strict=True)) == {
        s: sorted(x)[-2] for s, x in stamps.items() if len(x) > 1
    }
    assert newest.filter(pl.col("symbol") == SPOT)["venue_delta"].to_list() == [1.0]
    early = tape.venue_greeks_at(T0 + MINUTE)
    assert early["seq"].unique().to_list() == [early["seq"].min()]


def test_info(path: Path) -> None:
    found = info(path)
    assert json.loads(json.dumps(found)) == found
    assert found["rows"] == {"listings": 5, "quotes": 7, "depth": 6, "trades": 1, "timetable": 0}
    assert found["batches"] == 3 and found["format_version"] == 1
    assert found["listings"] == {"BTC": {"option": 2, "perpetual": 1, "spot": 1, "future": 1}}
    assert found["flags"] == {"crossed": 1, "mark_outside": 1, "no_bid": 1}
    assert [gap["minutes"] for gap in found["gaps"]] == pytest.approx([5.5, 5.3])
    assert found["clock_offset_ns"] == {"deribit": -SKEW} and found["notes"] == ["a note"]
    assert found["span"]["from_ns"] == T0 + round(0.2 * MINUTE)
    assert found["source"] == META["source"] and found["options"] == META["options"]


def test_info_counts_what_the_files_hold(path: Path) -> None:
    before = info(path)
    describe(lambda d: d["counts"].update(quotes=1, batches=1, flags={"stale": 9}))(path)
    assert info(path) == before


def test_an_existing_place_is_not_touched(path: Path) -> None:
    before = {item.name: item.read_bytes() for item in path.iterdir()}
    with pytest.raises(InputError, match="TAPE_EXISTS"):
        write(path, LISTINGS, quotes())
    assert {item.name: item.read_bytes() for item in path.iterdir()} == before
    with pytest.raises(InputError, match="TAPE_PARENT"):
        write(path / "absent" / "tape", LISTINGS, quotes())
    link = path.parent / "link"
    link.symlink_to("nowhere")
    with pytest.raises(InputError, match="TAPE_EXISTS"):
        write(link, LISTINGS, quotes())


@pytest.mark.parametrize(
    "rows",
    [
        lambda q: q.head(0),
        lambda q: pl.concat([q, q.tail(1)]),
        lambda q: q.with_columns(symbol=pl.lit("BTC-27MAR26-80000-C")),
        lambda q: q.with_columns(bid=-pl.col("bid")),
        lambda q: q.with_columns(mark=pl.lit(math.nan)),
        lambda q: q.with_columns(seq=pl.lit(None)),
        lambda q: q.with_columns(mark=pl.lit("x")),
        lambda q: q.with_columns(strange=pl.lit(1)),
        lambda q: q.drop("symbol"),
        lambda q: q.reverse(),
    ],
)
def test_unsound_rows_leave_nothing(tmp_path: Path, rows: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    with pytest.raises(InputError):
        write(tmp_path / "tape", LISTINGS, rows(quotes()))
    assert leftovers(tmp_path) == []


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):  # tape.json is written last
        write(tmp_path / "tape", LISTINGS, quotes(), meta={"notes": [object()]})
    assert leftovers(tmp_path) == []


def retable(name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    """Rewrite a table and its hash: a tampering that the hash alone does not show."""

    def tamper(path: Path) -> None:
        file = path / f"{name}.parquet"
        edit(pl.read_parquet(file)).write_parquet(file)
        describe(lambda d: d["hash"].update({file.name: hashlib.sha256(file.read_bytes()).hexdigest()}))(path)

    return tamper


def describe(edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def tamper(path: Path) -> None:
        document = json.loads((path / "tape.json").read_text())
        edit(document)
        (path / "tape.json").write_text(json.dumps(document))

    return tamper


def at(frame: pl.DataFrame, row: int, **values: Any) -> pl.DataFrame:
    here = pl.int_range(pl.len()) == row
    edits = [pl.when(here).then(pl.lit(v)).otherwise(pl.col(c)).alias(c) for c, v in values.items()]
    return frame.with_columns(edits)


def flip(path: Path) -> None:
    data = bytearray((path / "quotes.parquet").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "quotes.parquet").write_bytes(data)


#: The magic of parquet around nothing.
HOLLOW = b"PAR1" + b"x" * 90 + b"\x20\0\0\0PAR1"


def hollow(path: Path) -> None:
    (path / "quotes.parquet").write_bytes(HOLLOW)
    describe(lambda d: d["hash"].update({"quotes.parquet": hashlib.sha256(HOLLOW).hexdigest()}))(path)


TAMPERINGS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flipped bit": (flip, "quotes.parquet: its SHA-256"),
    "a file gone": (lambda p: (p / "depth.parquet").unlink(), "depth.parquet: missing"),
    "a file unnamed": (describe(lambda d: d["hash"].pop("trades.parquet")), "trades.parquet: not named"),
    "a strange file named": (describe(lambda d: d["hash"].update(x="0")), "x: named in tape.json"),
    "another offset": (describe(lambda d: d["clock_offset_ns"].update(deribit=0)), "clock_offset_ns"),
    "other counts": (describe(lambda d: d["counts"].update(quotes=1)), "counts"),
    "a column gone": (retable("quotes", lambda f: f.drop("bid")), "column bid"),
    "another type": (retable("quotes", lambda f: f.cast({"bid": pl.Float32})), "column bid"),
    "falling seq": (retable("quotes", lambda f: at(f, 3, seq=9)), "column seq: 3"),
    "time going back": (
        retable("quotes", lambda f: at(at(f, 3, local_ns=T0), 4, local_ns=T0)), "time never goes back",
    ),
    "a stranger": (retable("quotes", lambda f: at(f, 3, symbol="X")), "not in listings"),
    "a listing gone": (retable("listings", lambda f: f.filter(pl.col("symbol") != CALL)), "not in listings"),
    "a listing twice": (retable("listings", lambda f: pl.concat([f, f.head(1)])), "occurs twice"),
    "a garbled listing": (retable("listings", lambda f: at(f, 0, lot="ten")), "listings.parquet, row 1"),
    "an infinite lot": (retable("listings", lambda f: at(f, 1, lot="Infinity")), "listings.parquet, row 2"),
    "garbled ticks": (retable("listings", lambda f: at(f, 1, tick_steps="0:NaN")), "listings.parquet, row 2"),
    "no strike": (retable("listings", lambda f: at(f, 1, strike=None)), "listings.parquet, row 2"),
    "a quote twice": (retable("quotes", lambda f: at(f, 6, symbol=CALL)), "each venue and symbol once"),
    "not a number": (retable("quotes", lambda f: at(f, 2, mark=math.nan)), "row 3, column mark: nan"),
    "infinity": (retable("quotes", lambda f: at(f, 2, venue_rho=math.inf)), "column venue_rho: inf"),
    "a negative size": (retable("quotes", lambda f: at(f, 2, ask_size=-1.0)), "column ask_size: -1.0"),
    "zero for missing": (retable("quotes", lambda f: at(f, 2, bid_size=0.0)), "or null where unknown"),
    "a negative vol": (retable("quotes", lambda f: at(f, 1, mark_iv=-0.6)), "column mark_iv: -0.6"),
    "a null stamp": (retable("quotes", lambda f: at(f, 1, venue_ns=None)), "column venue_ns: None"),
    "another flag": (retable("quotes", lambda f: at(f, 3, flag=None)), "column flag"),
    "no rows": (retable("quotes", lambda f: f.head(0)), "no rows"),
    "a book out of order": (retable("depth", lambda f: at(f, 1, price=0.055)), "each level worse"),
    "a level skipped": (retable("depth", lambda f: at(f, 1, level=2)), "column level"),
    "a negative level size": (retable("depth", lambda f: at(f, 1, size=-1.0)), "column size: -1.0"),
    "a null level price": (retable("depth", lambda f: at(f, 1, price=None)), "column price: None"),
    "a strange side": (retable("depth", lambda f: at(f, 1, side="buy")), "column side"),
    "a book without its quote": (retable("depth", lambda f: at(f, 5, seq=4)), "without a quote"),
    "a trade of a stranger": (retable("trades", lambda f: at(f, 0, symbol="X")), "not in listings"),
    "a trade without size": (retable("trades", lambda f: at(f, 0, size=0.0)), "column size: 0.0"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_every_tampering_is_found(path: Path, name: str) -> None:
    tamper, finding = TAMPERINGS[name]
    tamper(path)
    problems = verify(path)
    assert any(finding in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (lambda p: (p / "tape.json").unlink(), "TAPE_MISSING"),
        (lambda p: (p / "tape.json").write_text("{"), "FILE_MAGIC"),
        (lambda p: (p / "tape.json").write_text('{"a": NaN}'), "JSON_INVALID"),
        (lambda p: (p / "tape.json").write_text("[]"), "TAPE_DESCRIPTION"),
        (describe(lambda d: d.update(format_version=2)), "TAPE_VERSION"),
        (describe(lambda d: d.update(format_version=True)), "TAPE_DESCRIPTION"),
        (describe(lambda d: d["clock_offset_ns"].update(deribit="x")), "TAPE_DESCRIPTION"),
        (describe(lambda d: d.pop("hash")), "TAPE_DESCRIPTION"),
        (lambda p: (p / "quotes.parquet").unlink(), "FILE_UNREADABLE"),
        (lambda p: (p / "quotes.parquet").write_bytes(b"x" * 100), "FILE_MAGIC"),
        (lambda p: (p / "quotes.parquet").write_bytes(HOLLOW), "TAPE_HASH"),
        (hollow, "FILE_DAMAGED"),
        (flip, "TAPE_HASH"),
        (retable("listings", lambda f: f.drop("lot")), "TAPE_COLUMN"),
        (retable("depth", lambda f: f.cast({"level": pl.Int32})), "TAPE_COLUMN"),
    ],
)
def test_a_broken_tape_is_refused(path: Path, tamper: Callable[[Path], object], code: str) -> None:
    tamper(path)
    with pytest.raises(InputError) as caught:
        Tape.open(path)
    assert caught.value.code == code and caught.value.where


def test_a_tape_of_strangers_or_disorder_is_refused_when_it_is_played(path: Path) -> None:
    retable("quotes", lambda f: at(f, 3, symbol="X"))(path)
    with pytest.raises(InputError, match="not in listings"):
        Tape.open(path).market_at()
    retable("quotes", lambda f: at(f, 3, symbol=CALL, seq=9))(path)
    with pytest.raises(InputError, match="order"):
        list(Tape.open(path).marks())


@pytest.mark.parametrize("place", ["absent", "file"])
def test_what_is_no_folder_is_no_tape(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    for read in (Tape.open, info, verify):
        with pytest.raises(InputError, match="TAPE_MISSING"):
            read(tmp_path / place)


def test_rights_are_text() -> None:
    assert [Right.CALL.value, Right.PUT.value] == ["C", "P"]
