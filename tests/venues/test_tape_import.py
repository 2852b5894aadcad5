"""Importers: what is read, what is made beside it, and what is refused with nothing written."""

from __future__ import annotations

import json
import math
import statistics
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pricing.contracts import Kind
from pricing.errors import InputError
from tests.venues.sources import (
    CHAIN_TYPES,
    SIZES,
    SNAPSHOTS,
    Rows,
    chain_file,
    chain_frame,
    chain_rows,
    change,
    json_file,
    leftovers,
    ns,
    ticker,
    ticker_list,
)
from venues.tape import Tape, info, verify
from venues.tape_import import ImportOptions, import_tape, parse_size_at_touch

PERP_TYPES: dict[str, Any] = {
    "snapshot_ts": pl.Datetime("us", "UTC"),
    "currency": pl.String,
    "instrument": pl.String,
    "price_used": pl.Float64,
}


def outward(mid: float, width_bps: str, tick: str) -> tuple[float, float]:
    """Bid and ask around a mid, rounded outward to a tick, in exact fractions of the decimal numbers."""
    exact, half, step = Fraction(repr(mid)), Fraction(width_bps) / 20_000, Fraction(tick)
    bid, ask = exact * (1 - half), exact * (1 + half)
    return float(math.floor(bid / step) * step), float(math.ceil(ask / step) * step)


def only(frame: pl.DataFrame, **values: Any) -> dict[str, Any]:
    found = frame.filter(*[pl.col(name) == value for name, value in values.items()])
    assert found.height == 1, found
    return found.row(0, named=True)


# ---- deribit-chain


def test_a_chain_becomes_a_tape(tmp_path: Path) -> None:
    import_tape([chain_file(tmp_path)], "deribit-chain", tmp_path / "tape", SIZES)
    assert leftovers(tmp_path) == ["chain.parquet", "tape"]
    assert verify(tmp_path / "tape") == []
    tape = Tape.open(tmp_path / "tape")
    quotes = tape.frame("quotes")
    assert tape.batches.seq.tolist() == [0, 1]
    assert tape.batches.now_ns.tolist() == [ns(ts) for ts in SNAPSHOTS]
    assert quotes.height == len(chain_rows()) + 2 * 2 * 3  # perpetual, one future and spot, two currencies
    source = chain_rows()
    for row in source:
        seq = SNAPSHOTS.index(row["ts"])
        found = only(quotes, seq=seq, symbol=row["instrument"])
        for ours, theirs in {
            "bid": "bid", "ask": "ask", "mark": "mark", "mark_iv": "mark_iv", "forward": "underlying_price",
            "forward_name": "underlying_index", "open_interest": "open_interest", "venue_delta": "delta",
            "venue_vega": "vega",
        }.items():  # fmt: skip
            assert found[ours] == row[theirs], ours
        assert found["venue_ns"] == found["local_ns"] == ns(row["ts"])
        assert found["bid_size"] == found["ask_size"] == (10.0 if row["currency"] == "BTC" else 100.0)
        same = [r for r in source if (r["ts"], r["currency"]) == (row["ts"], row["currency"])]
        assert found["index"] == statistics.median(r["index_price"] for r in same)
        assert [found[n] for n in ("venue_gamma", "venue_theta", "venue_rho", "funding_rate")] == [None] * 4
    kinds = [
        Kind(listing.contract.kind)
        for listing in tape.universe.listings
        if listing.contract.underlying == "BTC"
    ]
    assert [kinds.count(kind) for kind in Kind] == [1, 1, 1, 8]


def test_hedges_are_quoted_around_their_mids(tmp_path: Path) -> None:
    import_tape([chain_file(tmp_path)], "deribit-chain", tmp_path / "tape", SIZES)
    quotes = Tape.open(tmp_path / "tape").frame("quotes")
    ticks = {"BTC": ("0.5", "2.5", "1"), "ETH": ("0.05", "0.25", "0.05")}
    for seq, ts in enumerate(SNAPSHOTS):
        for currency, (perp, future, spot) in ticks.items():
            rows = [r for r in chain_rows() if (r["ts"], r["currency"]) == (ts, currency)]
            near = statistics.median(r["underlying_price"] for r in rows if "-6FEB26-" in r["instrument"])
            far = statistics.median(r["underlying_price"] for r in rows if "-27MAR26-" in r["instrument"])
            index = statistics.median(r["index_price"] for r in rows)
            size = 10.0 if currency == "BTC" else 100.0
            for symbol, mid, width, tick, amount in (
                (f"{currency}-PERPETUAL", near, "1", perp, 5_000_000.0),
                (f"{currency}-27MAR26", far, "3", future, 1_000_000.0),
                (f"{currency}_USDC", index, "2", spot, size),
            ):
                found = only(quotes, seq=seq, symbol=symbol)
                assert (found["bid"], found["ask"]) == outward(mid, width, tick), symbol
                assert found["mark"] == mid and found["index"] == index and found["flag"] is None
                assert found["bid_size"] == found["ask_size"] == amount
                assert found["venue_ns"] == found["local_ns"] == ns(ts)
                assert found["mark_iv"] is None and found["forward"] is None


def test_options_of_the_import_are_used_and_recorded(tmp_path: Path) -> None:
    options = ImportOptions({"*": 7.0}, 4.0, 250_000.0, 6.0, 50_000.0, 8.0)
    import_tape([chain_file(tmp_path)], "deribit-chain", tmp_path / "tape", options)
    quotes = Tape.open(tmp_path / "tape").frame("quotes")
    found = only(quotes, seq=0, symbol="BTC-PERPETUAL")
    assert (found["bid"], found["ask"]) == outward(found["mark"], "4", "0.5") and found[
        "bid_size"
    ] == 250_000.0
    found = only(quotes, seq=0, symbol="ETH-27MAR26")
    assert (found["bid"], found["ask"]) == outward(found["mark"], "6", "0.25") and found[
        "ask_size"
    ] == 50_000.0
    found = only(quotes, seq=1, symbol="ETH_USDC")
    assert (found["bid"], found["ask"]) == outward(found["mark"], "8", "0.05") and found["ask_size"] == 7.0
    assert info(tmp_path / "tape")["options"] == {
        "format": "deribit-chain", "size_at_touch": {"*": 7.0}, "perp_spread_bps": 4.0,
        "perp_size_usd": 250_000.0,
        "future_spread_bps": 6.0, "future_size_usd": 50_000.0, "spot_spread_bps": 8.0, "perp": None,
    }  # fmt: skip
    assert str(tmp_path) not in (tmp_path / "tape" / "tape.json").read_text()


def test_the_perp_file_replaces_the_mid_where_it_has_the_snapshot(tmp_path: Path) -> None:
    rows = [(SNAPSHOTS[0], "BTC", "BTC-PERPETUAL", 69876.5), (SNAPSHOTS[0], "SOL", "SOL-PERPETUAL", 1.0)]
    pl.DataFrame(rows, schema=PERP_TYPES, orient="row").write_parquet(tmp_path / "perp.parquet")
    options = ImportOptions(SIZES.size_at_touch, perp_file=tmp_path / "perp.parquet")
    import_tape([chain_file(tmp_path)], "deribit-chain", tmp_path / "tape", options)
    quotes = Tape.open(tmp_path / "tape").frame("quotes")
    found = only(quotes, seq=0, symbol="BTC-PERPETUAL")
    assert found["mark"] == 69876.5 and (found["bid"], found["ask"]) == outward(69876.5, "1", "0.5")
    assert only(quotes, seq=1, symbol="BTC-PERPETUAL")["mark"] == 66010.5
    found_info = info(tmp_path / "tape")
    assert [source["name"] for source in found_info["source"]] == ["chain.parquet", "perp.parquet"]
    assert any("1 of 4" in note for note in found_info["notes"])


def test_several_sources_are_one_recording(tmp_path: Path) -> None:
    rows = chain_rows()
    second = chain_frame([r for r in rows if r["ts"] == SNAPSHOTS[1]])
    second.with_columns(pl.col("ts", "expiry").cast(pl.Datetime("ns", "UTC"))).write_parquet(
        tmp_path / "b.parquet"
    )
    first = chain_file(tmp_path, [r for r in rows if r["ts"] == SNAPSHOTS[0]], "a.parquet")
    import_tape([tmp_path / "b.parquet", first], "deribit-chain", tmp_path / "split", SIZES)
    import_tape([chain_file(tmp_path)], "deribit-chain", tmp_path / "whole", SIZES)
    split, whole = (Tape.open(tmp_path / name) for name in ("split", "whole"))
    assert split.frame("quotes").equals(whole.frame("quotes")) and split.frame("listings").equals(
        whole.frame("listings")
    )


def test_one_snapshot_does_not_depend_on_the_order_of_its_rows(tmp_path: Path) -> None:
    import_tape([chain_file(tmp_path)], "deribit-chain", tmp_path / "a", SIZES)
    import_tape(
        [chain_file(tmp_path, chain_rows()[::-1], "r.parquet")], "deribit-chain", tmp_path / "b", SIZES
    )
    assert Tape.open(tmp_path / "a").frame("quotes").equals(Tape.open(tmp_path / "b").frame("quotes"))


def test_what_is_no_good_to_trade_is_kept_and_flagged(tmp_path: Path) -> None:
    expired = datetime(2026, 2, 5, 8, tzinfo=UTC)
    edits: list[tuple[dict[str, Any], str | None]] = [
        ({"bid": None}, "no_bid"),
        ({"ask": None}, "no_ask"),
        ({"bid": 0.0}, "no_bid"),
        ({"bid": 0.03}, "crossed"),
        ({"bid": 0.02, "ask": 0.02}, "crossed"),
        ({"mark": 0.5}, "mark_outside"),
        ({"mark": 0.0}, "mark_outside"),
        ({"mark_iv": 7.5}, "absurd_vol"),
        ({"mark_iv": 0.0}, "absurd_vol"),
        ({"mark": None, "mark_iv": None, "delta": None, "open_interest": None}, None),
        ({"bid": 0.0051, "ask": 0.0153, "mark": 0.0123}, None),  # off the tick: a recorded quote stays
        ({"underlying_price": None, "underlying_index": None, "index_price": None}, None),
    ]
    rows = chain_rows()
    for i, (values, _) in enumerate(edits):
        rows = change(rows, i, **values)
    names = [row["instrument"] for row in rows]
    past = {"instrument": "BTC-5FEB26-65000-C", "expiry": expired}
    rows = change(rows, 16, **past, underlying_index="SYN.BTC-5FEB26", underlying_price=1.0)
    import_tape([chain_file(tmp_path, rows)], "deribit-chain", tmp_path / "tape", SIZES)
    assert verify(tmp_path / "tape") == []
    quotes = Tape.open(tmp_path / "tape").frame("quotes")
    for i, (values, flag) in enumerate(edits):
        found = only(quotes, seq=0, symbol=names[i])
        assert found["flag"] == flag, values
        assert (found["bid_size"] is None) == (found["bid"] is None) == (rows[i]["bid"] in (None, 0.0))
        assert (found["ask_size"] is None) == (found["ask"] is None) == (rows[i]["ask"] is None)
        assert (found["mark"], found["mark_iv"]) == (rows[i]["mark"], rows[i]["mark_iv"])
        assert found["forward"] == rows[i]["underlying_price"]
    assert only(quotes, seq=1, symbol="BTC-5FEB26-65000-C")["flag"] == "expired"
    # the forward of an expiry that is over moves no perpetual
    assert only(quotes, seq=1, symbol="BTC-PERPETUAL")["mark"] > 66000


def test_a_currency_without_any_index_or_forward_has_no_hedges(tmp_path: Path) -> None:
    gone = {"underlying_price": None, "underlying_index": None, "index_price": None}
    rows = [row | gone if row["currency"] == "ETH" else row for row in chain_rows()]
    import_tape([chain_file(tmp_path, rows)], "deribit-chain", tmp_path / "tape", SIZES)
    symbols = Tape.open(tmp_path / "tape").frame("quotes")["symbol"].unique().to_list()
    assert not {"ETH-PERPETUAL", "ETH_USDC", "ETH-27MAR26"} & set(symbols) and "BTC-PERPETUAL" in symbols


def test_a_price_below_the_first_tick_has_no_bid(tmp_path: Path) -> None:
    rows = [row | {"underlying_price": 0.3, "index_price": 0.3} for row in chain_rows()]
    import_tape([chain_file(tmp_path, rows)], "deribit-chain", tmp_path / "tape", SIZES)
    found = only(Tape.open(tmp_path / "tape").frame("quotes"), seq=0, symbol="BTC-PERPETUAL")
    assert (found["bid"], found["bid_size"], found["ask"], found["flag"]) == (None, None, 0.5, "no_bid")


def test_after_the_unknown_schedule_the_tape_carries_the_note(tmp_path: Path) -> None:
    names = ("instrument", "underlying_index")

    def later(rows: Rows) -> Rows:
        return [
            r | {"ts": r["ts"] + timedelta(days=365), "expiry": r["expiry"].replace(year=2027)}
            | {k: r[k].replace("B26", "B27").replace("R26", "R27") for k in names}
            for r in rows
        ]  # fmt: skip

    import_tape([chain_file(tmp_path, later(chain_rows()))], "deribit-chain", tmp_path / "tape", SIZES)
    assert any("2026-08-01" in note for note in info(tmp_path / "tape")["notes"])


ROW = 5  # BTC-27MAR26-65000-P of the first snapshot
CELLS: list[tuple[str, dict[str, Any], str, str]] = [
    ("null ts", {"ts": None}, "ts", "None"),
    ("null currency", {"currency": None}, "currency", "None"),
    ("null instrument", {"instrument": None}, "instrument", "None"),
    ("null expiry", {"expiry": None}, "expiry", "None"),
    ("null strike", {"strike": None}, "strike", "None"),
    ("null type", {"option_type": None}, "option_type", "None"),
    ("type", {"option_type": "call"}, "option_type", "call"),
    ("ts of 1970", {"ts": datetime(1970, 1, 21, tzinfo=UTC)}, "ts", "1970"),
    ("NaN bid", {"bid": math.nan}, "bid", "nan"),
    ("infinite ask", {"ask": math.inf}, "ask", "inf"),
    ("NaN mark", {"mark": math.nan}, "mark", "nan"),
    ("NaN vol", {"mark_iv": math.nan}, "mark_iv", "nan"),
    ("NaN delta", {"delta": math.nan}, "delta", "nan"),
    ("infinite vega", {"vega": -math.inf}, "vega", "-inf"),
    ("NaN index", {"index_price": math.nan}, "index_price", "nan"),
    ("infinite forward", {"underlying_price": math.inf}, "underlying_price", "inf"),
    ("negative bid", {"bid": -0.01}, "bid", "-0.01"),
    ("negative mark", {"mark": -1e-9}, "mark", "-1e-09"),
    ("negative vol", {"mark_iv": -0.5}, "mark_iv", "-0.5"),
    ("negative interest", {"open_interest": -1.0}, "open_interest", "-1.0"),
    ("negative volume", {"volume_usd": -1.0}, "volume_usd", "-1.0"),
    ("zero forward", {"underlying_price": 0.0}, "underlying_price", "0.0"),
    ("negative index", {"index_price": -5.0}, "index_price", "-5.0"),
    ("price beyond reason", {"underlying_price": 1e300}, "underlying_price", "1e+300"),
    ("zero strike", {"strike": 0.0}, "strike", "0.0"),
    ("strike against name", {"strike": 65001.0}, "strike", "65001.0 beside BTC-27MAR26-65000-P"),
    (
        "expiry against name",
        {"expiry": datetime(2026, 3, 27, 8, 0, 0, 1, UTC)},
        "expiry",
        "2026-03-27T08:00:00.000001",
    ),
    ("type against name", {"option_type": "C"}, "option_type", "C beside BTC-27MAR26-65000-P"),
    ("currency against name", {"currency": "ETH"}, "currency", "ETH beside BTC"),
    ("garbled name", {"instrument": "BTC-27MAR26"}, "instrument", "BTC-27MAR26"),
    ("no name", {"instrument": ""}, "instrument", "''"),
    ("strange forward", {"underlying_index": "future"}, "underlying_index", "future"),
    ("foreign forward", {"underlying_index": "ETH-27MAR26"}, "underlying_index", "ETH-27MAR26"),
]


@pytest.mark.parametrize(("values", "column", "shown"), [c[1:] for c in CELLS], ids=[c[0] for c in CELLS])
def test_a_cell_that_cannot_be_is_refused(
    tmp_path: Path, values: dict[str, Any], column: str, shown: str
) -> None:
    source = chain_file(tmp_path, change(chain_rows(), ROW, **values))
    error = refused(tmp_path, source, "deribit-chain")
    assert error.where == f"chain.parquet, row {ROW + 1}, column {column}"
    assert shown in str(error.observed) and error.allowed and error.fix
    assert "nothing was written" in str(error)


def refused(folder: Path, source: Path | list[Path], form: str, options: ImportOptions = SIZES) -> InputError:
    before = leftovers(folder)
    with pytest.raises(InputError) as caught:
        import_tape(source if isinstance(source, list) else [source], form, folder / "tape", options)
    assert leftovers(folder) == before
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize("column", ["ts", "expiry"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("stamp", [2**63 - 1, -(2**63) + 1, 288_311_891_091_447_808, 0, -1])
def test_a_time_outside_the_calendar_is_refused(tmp_path: Path, column: str, unit: Any, stamp: int) -> None:
    frame = chain_frame().with_columns(pl.col(column).cast(pl.Datetime(unit, "UTC")))
    stamps = frame[column].to_physical().to_list()
    stamps[ROW] = stamp
    odd = pl.Series(column, stamps, dtype=pl.Int64).cast(pl.Datetime(unit, "UTC"))
    frame.with_columns(odd).write_parquet(tmp_path / "chain.parquet")
    error = refused(tmp_path, tmp_path / "chain.parquet", "deribit-chain")
    assert error.where == f"chain.parquet, row {ROW + 1}, column {column}" and "calendar" in error.what


@pytest.mark.parametrize("column", CHAIN_TYPES)
def test_a_missing_column_is_refused(tmp_path: Path, column: str) -> None:
    chain_frame().drop(column).write_parquet(tmp_path / "chain.parquet")
    error = refused(tmp_path, tmp_path / "chain.parquet", "deribit-chain")
    assert error.where == f"chain.parquet, column {column}" and "missing" in error.what


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("ts", pl.Datetime("us")), ("ts", pl.Int64), ("ts", pl.Datetime("us", "Asia/Tokyo")),
        ("expiry", pl.Date),
        ("strike", pl.String), ("bid", pl.String), ("mark_iv", pl.Boolean), ("index_price", pl.String),
        ("instrument", pl.Binary), ("option_type", pl.Categorical),
    ],
)  # fmt: skip
def test_a_column_of_another_type_is_refused(tmp_path: Path, column: str, kind: Any) -> None:
    frame = chain_frame()
    if kind == pl.Datetime("us"):
        frame = frame.with_columns(pl.col(column).dt.replace_time_zone(None))
    elif isinstance(kind, pl.Datetime):
        frame = frame.with_columns(pl.col(column).dt.convert_time_zone("Asia/Tokyo"))
    else:
        frame = frame.cast({column: kind})
    frame.write_parquet(tmp_path / "chain.parquet")
    error = refused(tmp_path, tmp_path / "chain.parquet", "deribit-chain")
    assert error.where == f"chain.parquet, column {column}" and "wrong type" in error.what


@pytest.mark.parametrize(("column", "kind"), [("strike", pl.Int64), ("open_interest", pl.Float32)])
def test_numbers_of_another_width_are_numbers(tmp_path: Path, column: str, kind: Any) -> None:
    chain_frame().cast({column: kind}).write_parquet(tmp_path / "chain.parquet")
    sizes = ImportOptions(size_at_touch={"*": 10.0})
    imported = import_tape([tmp_path / "chain.parquet"], "deribit-chain", tmp_path / "tape", sizes)
    assert verify(tmp_path / "tape") == [] and imported.quotes.height


def test_a_source_that_kills_its_decoder_is_refused(tmp_path: Path) -> None:
    chain_frame().write_parquet(tmp_path / "chain.parquet")
    damaged = bytearray((tmp_path / "chain.parquet").read_bytes())
    damaged[40:400] = b"\xff" * 360
    (tmp_path / "chain.parquet").write_bytes(bytes(damaged))
    error = refused(tmp_path, tmp_path / "chain.parquet", "deribit-chain")
    assert error.code == "FILE_DAMAGED"


def test_columns_that_hold_nothing_may_have_no_type(tmp_path: Path) -> None:
    nothing = [pl.lit(None).alias(c) for c in ("bid", "delta", "underlying_index")]
    chain_frame().with_columns(nothing).write_parquet(tmp_path / "chain.parquet")
    import_tape([tmp_path / "chain.parquet"], "deribit-chain", tmp_path / "tape", SIZES)
    assert info(tmp_path / "tape")["flags"] == {"no_bid": 32}


def test_a_row_twice_is_refused_within_a_file_and_across_files(tmp_path: Path) -> None:
    rows = chain_rows()
    source = chain_file(tmp_path, [*rows, rows[2]])
    error = refused(tmp_path, source, "deribit-chain")
    assert error.where == "chain.parquet, row 3 and chain.parquet, row 33, column instrument"
    assert "BTC-6FEB26-70000-C at 2026-02-05 04:30:15.123456" in str(error.observed)
    sources = [chain_file(tmp_path, rows, "a.parquet"), chain_file(tmp_path, rows[30:], "b.parquet")]
    error = refused(tmp_path, sources, "deribit-chain")
    assert "a.parquet, row 31 and b.parquet, row 1" in error.where


def test_sizes_are_required_for_every_currency_of_a_chain(tmp_path: Path) -> None:
    source = chain_file(tmp_path)
    for sizes, currency in (({}, "BTC"), ({"BTC": 10.0}, "ETH")):
        error = refused(tmp_path, source, "deribit-chain", ImportOptions(sizes))
        assert (
            error.where == "--size-at-touch" and error.observed == currency and f"{currency}=10" in error.fix
        )


def test_a_chain_before_the_venue_table_is_refused(tmp_path: Path) -> None:
    early = datetime(2018, 12, 28, 8, tzinfo=UTC)
    row = chain_rows()[0] | {
        "ts": early - timedelta(days=9),
        "expiry": early,
        "instrument": "BTC-28DEC18-65000-C",
    }
    error = refused(tmp_path, chain_file(tmp_path, [row]), "deribit-chain")
    assert error.code == "VENUE_TERMS_TOO_EARLY" and "2020-01-01" in error.allowed


def test_a_currency_without_terms_is_refused(tmp_path: Path) -> None:
    row = chain_rows()[0] | {"currency": "SOL", "instrument": "SOL-6FEB26-65000-C", "underlying_index": None}
    error = refused(tmp_path, chain_file(tmp_path, [row]), "deribit-chain", ImportOptions({"*": 1.0}))
    assert error.code == "VENUE_TERMS_UNKNOWN" and "SOL" in str(error.observed)


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"price_used": None}, "price_used"), ({"price_used": math.nan}, "price_used"),
        ({"price_used": 0.0}, "price_used"), ({"instrument": "BTC-27MAR26"}, "instrument"),
        ({"currency": None}, "currency"), ({"snapshot_ts": None}, "snapshot_ts"),
    ],
)  # fmt: skip
def test_a_bad_perp_file_is_refused(tmp_path: Path, values: dict[str, Any], column: str) -> None:
    row = {"snapshot_ts": SNAPSHOTS[0], "currency": "BTC", "instrument": "BTC-PERPETUAL", "price_used": 1.0}
    pl.DataFrame([row | values], schema=PERP_TYPES).write_parquet(tmp_path / "perp.parquet")
    options = ImportOptions(SIZES.size_at_touch, perp_file=tmp_path / "perp.parquet")
    error = refused(tmp_path, chain_file(tmp_path), "deribit-chain", options)
    assert error.where == f"perp.parquet, row 1, column {column}"


def test_a_perp_file_with_a_snapshot_twice_or_without_a_column_is_refused(tmp_path: Path) -> None:
    row = (SNAPSHOTS[0], "BTC", "BTC-PERPETUAL", 1.0)
    frame = pl.DataFrame([row, row], schema=PERP_TYPES, orient="row")
    options = ImportOptions(SIZES.size_at_touch, perp_file=tmp_path / "perp.parquet")
    source = chain_file(tmp_path)
    for bad in (frame, frame.drop("price_used"), frame.cast({"price_used": pl.String})):
        bad.write_parquet(tmp_path / "perp.parquet")
        assert "perp.parquet" in refused(tmp_path, source, "deribit-chain", options).where


# ---- files of both formats


def garbage(folder: Path) -> dict[str, Path]:
    """Files that are no source at all."""
    texts = {
        "empty": b"", "text": b"hello", "half magic": b"PAR1" + b"\0" * 100, "short": b"PAR1PAR1",
        "long footer": b"PAR1" + b"\0" * 20 + b"\xff\xff\xff\x7fPAR1",
        "no footer": b"PAR1" + b"\0" * 20 + b"PAR1",
        "garbled footer": b"PAR1" + b"\x15\x00\x99" * 40 + b"\x20\0\0\0PAR1",
        "not json": b"[1, 2", "garbled json": b"[1, 2}", "nan": b"[NaN]", "infinity": b'[{"a": -Infinity}]',
        "overflow": b"[1e999]", "digits": b"[" + b"9" * 5000 + b"]", "utf8": b'["\xff\xfe"]',
        "utf16": '[{"a": 1}]'.encode("utf-16"), "bom": b"\xef\xbb\xbf[]",
        "deep": b"[" * 200_000 + b"]" * 200_000,
        "key twice": b'[{"timestamp": 1, "timestamp": 2}]', "nothing": b"[]", "object": b"{}",
        "result": b'{"result": 5}', "number": b"5", "null": b"[null]", "nested": b'[[[{"a": [{}]}]]]',
    }  # fmt: skip
    files = {}
    for name, content in texts.items():
        files[name] = folder / name
        files[name].write_bytes(content)
    (folder / "folder").mkdir()
    return files | {"folder": folder / "folder", "absent": folder / "absent", "device": Path("/dev/zero")}


@pytest.mark.parametrize("form", ["deribit-chain", "deribit-tickers"])
def test_garbage_is_refused(tmp_path: Path, form: str) -> None:
    for name, path in garbage(tmp_path).items():
        error = refused(tmp_path, path, form)
        assert path.name in error.where, name
        assert "nothing was written" in str(error) and len(str(error)) < 900
        if form == "deribit-chain":
            options = ImportOptions(SIZES.size_at_touch, perp_file=path)
            source = chain_file(tmp_path, name="good.parquet")
            assert path.name in refused(tmp_path, source, form, options).where
            source.unlink()


@pytest.mark.parametrize("form", ["deribit-chain", "deribit-tickers"])
@pytest.mark.parametrize("head", [b"", b"PAR1", b"["])
def test_a_gigabyte_of_garbage_is_refused_at_once_and_unread(tmp_path: Path, form: str, head: bytes) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(2**30)  # sparse: it takes no room on the disk
    tracemalloc.start()
    begin = time.perf_counter()
    error = refused(tmp_path, path, form)
    took, (_, peak) = time.perf_counter() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.code in ("FILE_MAGIC", "FILE_SIZE") and "huge" in error.where
    assert took < 1 and peak < 2**20


def test_a_chain_without_rows_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, chain_file(tmp_path, []), "deribit-chain")
    assert error.code == "FILE_EMPTY"


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = chain_file(tmp_path)
    data = bytearray(path.read_bytes())
    data[4:600] = b"\xaa" * 596  # the first pages; the footer stands
    path.write_bytes(data)
    assert refused(tmp_path, path, "deribit-chain").code == "FILE_DAMAGED"


def test_formats_and_sources_are_checked(tmp_path: Path) -> None:
    path = chain_file(tmp_path)
    assert "deribit-chain, deribit-tickers" in refused(tmp_path, path, "csv").allowed
    assert refused(tmp_path, [], "deribit-chain").where == "SOURCE"
    refused(tmp_path, path, "deribit-tickers")
    (tmp_path / "tape").mkdir()
    assert refused(tmp_path, path, "deribit-chain").code == "TAPE_EXISTS"


@pytest.mark.parametrize("text", ["", "BTC", "BTC=", "=5", "BTC=0", "BTC=-1", "BTC=nan", "BTC=inf", "1,2",
                                  "BTC=1,BTC=2",
                                  "BTC=1,5", "BTC=1,,ETH=2", "B TC=1", "BTC=1=2", "0", "BTC:1"])  # fmt: skip
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_size_at_touch(text)
    assert caught.value.where == "--size-at-touch" and repr(text) in str(caught.value)


def test_sizes_are_parsed() -> None:
    assert parse_size_at_touch("BTC=10,ETH=100") == {"BTC": 10.0, "ETH": 100.0}
    assert parse_size_at_touch(" BTC = 0.5 , ETH=1e2 ") == {"BTC": 0.5, "ETH": 100.0}
    assert parse_size_at_touch("25") == {"*": 25.0}
    options = ImportOptions({"BTC": 1.0, "*": 2.0})
    assert (options.size_of("BTC"), options.size_of("ETH"), ImportOptions().size_of("BTC")) == (
        1.0,
        2.0,
        None,
    )


@pytest.mark.parametrize(
    "values",
    [{"perp_spread_bps": -1.0}, {"future_spread_bps": math.nan}, {"spot_spread_bps": 20_000.0},
     {"perp_size_usd": 0.0},
     {"future_size_usd": math.inf}, {"size_at_touch": {"BTC": 0.0}}],
)  # fmt: skip
def test_options_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="IMPORT_OPTION"):
        ImportOptions(**values)


# ---- deribit-tickers


@pytest.mark.parametrize(
    "wrap",
    [
        lambda items: items,
        lambda items: {"jsonrpc": "2.0", "result": items},
        lambda items: [{"jsonrpc": "2.0", "result": item} for item in items],
    ],
)
def test_tickers_become_a_tape(tmp_path: Path, wrap: Callable[[Rows], object]) -> None:
    import_tape(
        [json_file(tmp_path, wrap(ticker_list()))], "deribit-tickers", tmp_path / "tape", ImportOptions()
    )
    assert verify(tmp_path / "tape") == []
    tape = Tape.open(tmp_path / "tape")
    quotes = tape.frame("quotes")
    stamps = sorted(item["timestamp"] * 10**6 for item in ticker_list())
    assert tape.batches.seq.tolist() == [0, 1] and tape.batches.now_ns.tolist() == [stamps[2], stamps[5]]
    found = only(quotes, seq=0, symbol="BTC-27MAR26-70000-C")
    item = ticker_list()[0]
    assert found["venue_ns"] == found["local_ns"] == item["timestamp"] * 10**6
    assert (found["bid"], found["bid_size"], found["ask"], found["ask_size"]) == (0.05, 12.5, 0.0525, 3.0)
    assert (found["mark"], found["mark_iv"], found["forward"]) == (0.0512, 0.6125, 70321.13)
    assert (found["forward_name"], found["index"], found["open_interest"]) == ("BTC-27MAR26", 70000.5, 22.0)
    for greek, value in item["greeks"].items():
        assert found[f"venue_{greek}"] == value
    found = only(quotes, seq=1, symbol="BTC-6FEB26-70000-P")  # 0 is the venue's word for nobody
    assert (found["bid"], found["bid_size"], found["mark"], found["flag"]) == (None, None, 0.0, "no_bid")
    bids, asks = tape.market_at().book(tape.universe.positions["deribit", "BTC-27MAR26-70000-C"])
    assert (
        bids.price.tolist() == [0.05, 0.0495]
        and bids.size.tolist() == [12.5, 1.0]
        and asks.size.tolist() == [3.0]
    )
    assert any("venue's stamp stands in" in note for note in info(tmp_path / "tape")["notes"])


def test_what_the_list_lacks_is_made_per_batch(tmp_path: Path) -> None:
    import_tape(
        [json_file(tmp_path, ticker_list())],
        "deribit-tickers",
        tmp_path / "tape",
        ImportOptions({"BTC": 4.0}),
    )
    tape = Tape.open(tmp_path / "tape")
    quotes = tape.frame("quotes")
    for seq, now_ns in enumerate(tape.batches.now_ns.tolist()):
        for symbol, mid, width, tick, size in (
            ("BTC-PERPETUAL", 70001.25, "1", "0.5", 5_000_000.0),
            ("BTC-27MAR26", 70321.13, "3", "2.5", 1_000_000.0),
            ("BTC_USDC", 70000.5, "2", "1", 4.0),
        ):
            found = only(quotes, seq=seq, symbol=symbol)
            assert found["mark"] == mid and (found["bid"], found["ask"]) == outward(mid, width, tick)
            assert found["bid_size"] == size and found["venue_ns"] == now_ns
    assert any("BTC-PERPETUAL" in note for note in info(tmp_path / "tape")["notes"])


def test_what_the_list_holds_is_not_made(tmp_path: Path) -> None:
    stamp = ticker_list()[0]["timestamp"]
    touch = {
        "best_bid_price": 69000.0,
        "best_bid_amount": 10.0,
        "best_ask_price": 69000.5,
        "best_ask_amount": 20.0,
    }
    common = {"timestamp": stamp, "mark_price": 69000.2, "index_price": 70000.5} | touch
    perp = common | {"instrument_name": "BTC-PERPETUAL", "funding_8h": 6.55e-06, "bids": [[69000.0, 10]]}
    items = [
        *ticker_list(),
        perp,
        common | {"instrument_name": "BTC-27MAR26"},
        common | {"instrument_name": "BTC_USDC"},
    ]
    import_tape([json_file(tmp_path, items)], "deribit-tickers", tmp_path / "tape", ImportOptions())
    quotes = Tape.open(tmp_path / "tape").frame("quotes")
    assert quotes.height == len(items)
    found = only(quotes, symbol="BTC-PERPETUAL")
    assert (found["bid"], found["ask_size"], found["funding_rate"], found["flag"]) == (
        69000.0,
        20.0,
        6.55e-06,
        None,
    )
    assert found["forward"] is None and found["mark_iv"] is None


def test_sizes_of_tickers_come_from_the_touch_option_only_where_missing(tmp_path: Path) -> None:
    items = [
        ticker("BTC-27MAR26-70000-C", 1_770_000_000_000, best_bid_amount=0.0, bids=[]),
        ticker("BTC-27MAR26-70000-P", 1_770_000_000_000, best_ask_price=0, asks=[]),
    ]
    del items[1]["best_bid_amount"]
    source = json_file(tmp_path, items)
    import_tape([source], "deribit-tickers", tmp_path / "with", ImportOptions({"BTC": 4.0}))
    import_tape([source], "deribit-tickers", tmp_path / "without", ImportOptions())
    for name, filled in (("with", 4.0), ("without", None)):
        quotes = Tape.open(tmp_path / name).frame("quotes")
        call, put = (only(quotes, symbol=f"BTC-27MAR26-70000-{right}") for right in "CP")
        assert (call["bid_size"], call["ask_size"]) == (filled, 3.0)
        assert (put["bid_size"], put["ask_size"], put["ask"]) == (filled, None, None)
        assert only(quotes, symbol="BTC_USDC")["flag"] == (None if filled else "no_size")


def test_a_batch_of_far_options_makes_no_perpetual(tmp_path: Path) -> None:
    items = [*ticker_list()[:3], ticker("BTC-27MAR26-70000-C", ticker_list()[0]["timestamp"] + 60_000)]
    import_tape([json_file(tmp_path, items)], "deribit-tickers", tmp_path / "tape", ImportOptions())
    quotes = Tape.open(tmp_path / "tape").frame("quotes")
    assert only(quotes, symbol="BTC-PERPETUAL")["seq"] == 0
    assert quotes.filter(pl.col("symbol") == "BTC-27MAR26")["seq"].to_list() == [0, 1]


FIELDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("no name", {"instrument_name": None}, "instrument_name", "None"),
    ("a number for a name", {"instrument_name": 5}, "instrument_name", "5"),
    ("garbled name", {"instrument_name": "BTC-1"}, "instrument_name", "BTC-1"),
    ("no stamp", {"timestamp": None}, "timestamp", "None"),
    ("stamp in seconds", {"timestamp": 1_770_000_000}, "timestamp", "1770000000"),
    ("stamp in text", {"timestamp": "1770000000000"}, "timestamp", "'1770000000000'"),
    ("stamp with a fraction", {"timestamp": 1770000000000.5}, "timestamp", "1770000000000.5"),
    ("stamp true", {"timestamp": True}, "timestamp", "True"),
    ("bid in text", {"best_bid_price": "0.05"}, "best_bid_price", "'0.05'"),
    ("bid false", {"best_bid_price": False}, "best_bid_price", "False"),
    ("negative bid", {"best_bid_price": -0.05}, "best_bid_price", "-0.05"),
    ("negative size", {"best_ask_amount": -3}, "best_ask_amount", "-3"),
    ("negative mark", {"mark_price": -1.0}, "mark_price", "-1.0"),
    ("negative vol", {"mark_iv": -61.0}, "mark_iv", "-61.0"),
    ("zero forward", {"underlying_price": 0}, "underlying_price", "0"),
    ("forward beyond reason", {"underlying_price": 1e300}, "underlying_price", "1e+300"),
    ("zero index", {"index_price": 0.0}, "index_price", "0.0"),
    ("strange forward", {"underlying_index": "x"}, "underlying_index", "x"),
    ("list for a name", {"underlying_index": ["x"]}, "underlying_index", "['x']"),
    ("greeks in a list", {"greeks": [1]}, "greeks", "[1]"),
    ("greek in text", {"greeks": {"delta": "0.5"}}, "greeks, key delta", "'0.5'"),
    ("book of texts", {"bids": ["x"]}, "bids[0]", "'x'"),
    ("book no list", {"asks": {"a": 1}}, "asks", "{'a': 1}"),
    ("changes for a book", {"bids": [["new", 0.05, 1.0]]}, "bids[0]", "['new', 0.05, 1.0]"),
    ("level without size", {"asks": [[0.0525, 0]]}, "asks[0]", "0"),
    ("book out of order", {"bids": [[0.05, 1.0], [0.051, 1.0]]}, "bids[1]", "[0.051, 1.0]"),
    ("book against touch", {"asks": [[0.053, 1.0]]}, "asks", "0.053"),
    ("strike against name", {"strike": 65000.0}, "strike", "65000.0"),
    ("type against name", {"option_type": "put"}, "option_type", "put"),
    ("expiry against name", {"expiration_timestamp": 1}, "expiration_timestamp", "1"),
]


@pytest.mark.parametrize(("values", "key", "shown"), [f[1:] for f in FIELDS], ids=[f[0] for f in FIELDS])
def test_a_field_that_cannot_be_is_refused(
    tmp_path: Path, values: dict[str, Any], key: str, shown: str
) -> None:
    source = json_file(tmp_path, change(ticker_list(), 3, **values))
    error = refused(tmp_path, source, "deribit-tickers", ImportOptions())
    assert error.where == f"tickers.json, item 4, key {key}"
    assert (
        shown in str(error.observed) and error.allowed and error.fix and "nothing was written" in str(error)
    )


@pytest.mark.parametrize("key", ["instrument_name", "timestamp", "best_bid_price", "best_ask_price",
                                 "mark_price", "mark_iv",
                                 "underlying_price", "index_price"])  # fmt: skip
def test_a_missing_field_is_refused(tmp_path: Path, key: str) -> None:
    items = ticker_list()
    del items[1][key]
    error = refused(tmp_path, json_file(tmp_path, items), "deribit-tickers")
    assert error.where == f"tickers.json, item 2, key {key}"


def test_an_item_twice_is_refused(tmp_path: Path) -> None:
    items = ticker_list()
    error = refused(tmp_path, json_file(tmp_path, [*items, items[1]]), "deribit-tickers")
    assert error.where == "tickers.json, item 2 and tickers.json, item 7" and "BTC-6FEB26-70000-C" in str(
        error.observed
    )
    sources = [json_file(tmp_path, items, "a.json"), json_file(tmp_path, items[5:], "b.json")]
    assert refused(tmp_path, sources, "deribit-tickers").where == "a.json, item 6 and b.json, item 1"


# ---- the recorded files


@pytest.fixture(scope="module")
def february(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, Tape]:
    source = shared_data / "options/deribit_chain_6h_2026-02.parquet"
    out = tmp_path_factory.mktemp("february") / "tape"
    import_tape([source], "deribit-chain", out, SIZES)
    assert verify(out) == []
    return pl.read_parquet(source), Tape.open(out)


def test_february_counts(february: tuple[pl.DataFrame, Tape]) -> None:
    source, tape = february
    found = info(tape.path)
    assert source.height == 180_516 and found["batches"] == 110 == source["ts"].n_unique()
    named = source.filter(~pl.col("underlying_index").str.starts_with("SYN."))
    futures = named.select("ts", "underlying_index").n_unique()
    assert found["rows"]["quotes"] == source.height + 110 * 2 * 2 + futures
    quotes = tape.frame("quotes")
    options = quotes.filter(pl.col("symbol").is_in(source["instrument"].unique().to_list()))
    assert options.height == source.height
    for ours in ("bid", "ask"):
        assert (
            options[ours].null_count()
            == options[f"{ours}_size"].null_count()
            == source[ours].null_count()
            > 0
        )
    assert found["listings"]["BTC"]["perpetual"] == found["listings"]["ETH"]["spot"] == 1
    assert (
        found["listings"]["BTC"]["option"] + found["listings"]["ETH"]["option"]
        == source["instrument"].n_unique()
    )
    assert max(gap["minutes"] for gap in found["gaps"]) == pytest.approx(764.338, abs=1e-3)
    assert found["flags"]["no_bid"] == source["bid"].null_count()
    assert "crossed" not in found["flags"]  # the README: none is crossed
    assert not any("inverse" in note for note in found["notes"])  # terms of that month are confirmed


def test_february_hedges_and_indices(february: tuple[pl.DataFrame, Tape]) -> None:
    source, tape = february
    columns = ("bid", "ask", "mark", "index", "venue_ns", "forward", "venue_delta", "mark_iv")
    frame = tape.frame("quotes").select("seq", "symbol", *columns)
    quotes = {row[:2]: row[2:] for row in frame.iter_rows()}
    ticks = {"BTC": ("0.5", "2.5", "1"), "ETH": ("0.05", "0.25", "0.05")}
    stamps = sorted(source["ts"].unique().to_list())
    expected = set(zip(source["ts"], source["instrument"], strict=True))
    made = {key for key in quotes if (stamps[key[0]], key[1]) not in expected}
    for (ts, currency), rows in source.partition_by("ts", "currency", as_dict=True).items():
        seq = stamps.index(ts)
        index = statistics.median(rows["index_price"].to_list())
        front = rows.filter(pl.col("expiry") == pl.col("expiry").min())
        mids = [(f"{currency}-PERPETUAL", statistics.median(front["underlying_price"].to_list()), "1", 0)]
        for name in rows["underlying_index"].unique().to_list():
            if not name.startswith("SYN."):
                prices = rows.filter(pl.col("underlying_index") == name)["underlying_price"].to_list()
                mids.append((name, statistics.median(prices), "3", 1))
        mids.append((f"{currency}_USDC", index, "2", 2))
        for symbol, mid, width, tick in mids:
            row = dict(zip(columns, quotes[seq, symbol], strict=True))
            assert (row["bid"], row["ask"]) == outward(mid, width, ticks[str(currency)][tick]), (ts, symbol)
            assert row["mark"] == mid and row["index"] == index
            assert row["venue_ns"] == ns(ts)
            made.remove((seq, symbol))
        first = rows.row(0, named=True)
        row = dict(zip(columns, quotes[seq, first["instrument"]], strict=True))
        assert row["index"] == index and row["forward"] == first["underlying_price"]
        assert row["venue_delta"] == first["delta"] and row["mark_iv"] == first["mark_iv"]
    assert not made


def test_february_is_the_market_at_each_time(february: tuple[pl.DataFrame, Tape]) -> None:
    source, tape = february
    at = datetime(2026, 2, 5, 12, tzinfo=UTC)
    market = tape.market_at(ns(at))
    snapshot = max(ts for ts in source["ts"].unique().to_list() if ts <= at)
    assert market.now_ns == ns(snapshot)
    fresh = market.fresh(600.0)
    rows = source.filter(pl.col("ts") == snapshot)
    assert fresh[market.universe.is_option].sum() == rows.height
    assert market.quoted.sum() > fresh.sum()  # older listings are kept, with their age
    assert market.age_s[market.quoted].min() == 0.0
    assert market.spot(600.0)[0] == statistics.median(
        rows.filter(pl.col("currency") == "BTC")["index_price"].to_list()
    )
    greeks = tape.venue_greeks_at(ns(at))
    assert set(rows["instrument"]) <= set(greeks["symbol"])


def test_the_book_file_of_2020(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "options/deribit_btc_ticker_book_2020-09-12.json"
    items = json.loads(source.read_text())
    import_tape([source], "deribit-tickers", tmp_path / "tape", ImportOptions())
    assert verify(tmp_path / "tape") == []
    tape = Tape.open(tmp_path / "tape")
    quotes = tape.frame("quotes")
    assert len(tape.batches.seq) == 1 and len(items) == 358
    assert quotes.height == 358 + 5 and tape.frame("depth").height == sum(
        len(i["bids"]) + len(i["asks"]) for i in items
    )
    for item in items:
        row = only(quotes, symbol=item["instrument_name"])
        assert row["venue_ns"] == item["timestamp"] * 10**6 and row["mark"] == item["mark_price"]
        assert row["mark_iv"] == pytest.approx(item["mark_iv"] / 100, rel=1e-15)
        assert row["bid"] == (item["best_bid_price"] or None) and row["ask_size"] == (
            item["best_ask_amount"] or None
        )
        assert row["venue_theta"] == item["greeks"]["theta"] and row["index"] == item["index_price"]
    near = [i["underlying_price"] for i in items if i["instrument_name"].startswith("BTC-13SEP20-")]
    perp = only(quotes, symbol="BTC-PERPETUAL")
    assert perp["mark"] == statistics.median(near)
    assert (perp["bid"], perp["ask"]) == outward(perp["mark"], "1", "0.5")


def test_the_testnet_file_of_2021_is_two_batches(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "options/deribit_testnet_btc_ticker_book_2021-02-11.json"
    import_tape([source], "deribit-tickers", tmp_path / "tape", ImportOptions())
    assert verify(tmp_path / "tape") == []
    tape = Tape.open(tmp_path / "tape")
    quotes = tape.frame("quotes")
    options = quotes.filter(pl.col("symbol").str.contains(r"-[CP]$"))
    assert options.group_by("seq").len().sort("seq")["len"].to_list() == [488, 488]
    assert quotes.filter(pl.col("symbol") == "BTC-PERPETUAL").height == 2
    assert info(tmp_path / "tape")["flags"]["no_bid"] == 480


def test_recorded_perpetual_answers_are_tickers(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "wire/nautilus/deribit/http_get_order_book.json"
    import_tape([source], "deribit-tickers", tmp_path / "tape", ImportOptions())
    tape = Tape.open(tmp_path / "tape")
    row = only(tape.frame("quotes"), symbol="BTC-PERPETUAL")
    assert (row["bid"], row["ask"], row["funding_rate"], row["index"]) == (
        87002.5,
        87003.0,
        6.55e-06,
        86992.82,
    )
    bids, asks = tape.market_at().book(tape.universe.positions["deribit", "BTC-PERPETUAL"])
    assert len(bids.price) == len(asks.price) == 20


def test_a_closed_book_is_not_tradable(tmp_path: Path) -> None:
    items = ticker_list()
    closed = items[0]["instrument_name"]
    changed = [item | ({"state": "closed"} if item["instrument_name"] == closed else {}) for item in items]
    (tmp_path / "tickers.json").write_text(json.dumps(changed))
    imported = import_tape([tmp_path / "tickers.json"], "deribit-tickers", tmp_path / "tape", ImportOptions())
    assert imported.quotes.height
    quotes = Tape.open(tmp_path / "tape").frame("quotes").filter(pl.col("symbol") == closed)
    assert quotes["flag"].to_list() == ["no_bid"] * quotes.height and quotes["mark"].null_count() == 0
