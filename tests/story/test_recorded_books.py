"""The Binance recordings of 8 August 2024 through the engine: real depth, real trades in makers' queues."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.journal.export import export
from hedger.journal.journal import open_to_read
from hedger.limits_file import load_limits
from hedger.runs.refold import refold
from hedger.runs.replay import Replay, replay
from hedger.settings import Settings
from tests.hedger.command_line import HEADER, hedger
from venues.import_options import ImportOptions
from venues.tape import Tape
from venues.tape_import import import_tape

FILES = {
    "binance": "binance_spot_btcusdt_20240808.jsonl.gz",
    "binanceusdm": "binance_usdm_btcusdt_20240808.jsonl.gz",
    "binancecoinm": "binance_coinm_btcusd_perp_20240808.jsonl.gz",
}
#: Local nanoseconds recorded in all: enough for a hedge to be worked.
SPAN_NS = 40 * 10**9
ROWS = [
    ("binance", "BTC", 4),
    ("binance", "USDT", 3_000_000),
    ("binanceusdm", "USDT", 3_000_000),
    ("binancecoinm", "BTC", 3),
]


@pytest.fixture(scope="module")
def frames(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first of each recording, as it was written."""
    folder = tmp_path_factory.mktemp("frames")
    found = {}
    for venue, name in FILES.items():
        found[venue] = folder / name
        with gzip.open(shared_data / "l2" / name, "rb") as source, gzip.open(folder / name, "wb", 1) as part:
            end_ns = None
            for line in source:
                at_ns = int(line.split(b" ", 1)[0])
                end_ns = at_ns + SPAN_NS if end_ns is None else end_ns
                if at_ns > end_ns:
                    break
                part.write(line)
    return found


@pytest.fixture(scope="module")
def tape(frames: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Tape:
    path = tmp_path_factory.mktemp("books") / "tape"
    import_tape(list(frames.values()), "binance-ws", path, ImportOptions())
    return Tape.open(path)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("books") / "book.csv"
    path.write_text("\n".join([HEADER, *(f"{v},{symbol},{q}," for v, symbol, q in ROWS)]) + "\n")
    return path


PASSIVE = Settings.model_validate({"execution": {"passive_seconds": 10.0}})


@pytest.fixture(scope="module")
def passive(tape: Tape, book: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Replay, Path]:
    """Orders rest for ten seconds before they take."""
    journal = tmp_path_factory.mktemp("books") / "j"
    return replay(tape, book, PASSIVE, load_limits(None), journal), journal


def counted_in(file: Path) -> int:
    """Trades in raw frames, without the importer."""
    n = 0
    with gzip.open(file, "rb") as lines:
        for line in lines:
            if b'"e":"trade"' in line:
                n += json.loads(line.split(b" ", 1)[1])["data"]["e"] == "trade"
    return n


def test_each_venue_is_told_of_its_own_trades(
    passive: tuple[Replay, Path], tape: Tape, frames: dict[str, Path]
) -> None:
    """BTCUSDT is spot on one venue and a perpetual on another: their trades never mix."""
    told = {r.venue: r.figures["trades_in_the_feed"] for r in passive[0].reports}
    on_tape = dict(tape.frame("trades").group_by("venue").len().iter_rows())
    assert told == on_tape
    raw = {venue: counted_in(file) for venue, file in frames.items()}
    assert all(0.9 * raw[venue] <= told[venue] <= raw[venue] for venue in FILES)  # contracts of one symbol


def test_makers_are_filled_by_recorded_trades_at_prices_that_traded(
    passive: tuple[Replay, Path], tape: Tape, tmp_path: Path
) -> None:
    ran, journal = passive
    figures = [report.figures for report in ran.reports]
    assert sum(f["fills_made_by_trades"] for f in figures) > 0
    assert ran.document["mode"] == "armed" and ran.document["hedges"] >= 1
    storage = open_to_read(journal)
    export(storage, tmp_path / "out", where="j")
    storage.close()
    fills = pl.read_parquet(tmp_path / "out" / "fills.parquet")
    trades = tape.frame("trades")
    for row in fills.filter(pl.col("maker")).iter_rows(named=True):
        mine = trades.filter((pl.col("venue") == row["venue"]) & (pl.col("local_ns") <= row["time_ns"]))
        assert mine["price"].min() <= row["price_number"] <= mine["price"].max()
    # 7 coins long were to come inside 50,000 USD: everything sold, nothing bought.
    assert set(fills["side"]) == {"sell"}


def test_makers_are_held_against_those_who_really_made(passive: tuple[Replay, Path]) -> None:
    for report in passive[0].reports:
        told: Any = report.document()["calibration"]
        assert report.calibrated.made_by_others > 30
        assert all(told["recorded_markout_bps"][h] is not None for h in ("1", "10"))
        if report.figures["fills_made_by_trades"]:
            assert told["maker_markout_bps"]["10"] is not None
    assert {k[0] for k in passive[0].state.book.positions} <= set(FILES)


def test_the_books_give_the_same_digests_and_the_journal_the_same_state(
    passive: tuple[Replay, Path], tape: Tape, book: Path
) -> None:
    ran, journal = passive
    assert replay(tape, book, PASSIVE, load_limits(None)).document == ran.document
    again = refold(journal, tape, PASSIVE, load_limits(None))
    assert again.same and again.digest == ran.document["state_digest"]


def test_what_was_paid_is_explained(passive: tuple[Replay, Path]) -> None:
    """Delta one: no Greek of second order, so nothing may be left over."""
    document = passive[0].document
    assert abs(document["residual_usd"]) < 0.01 and abs(document["ledger_difference_usd"]) < 1e-6
    assert document["fees_usd"] > 0


def test_the_command_tells_the_optimism(tape: Tape, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "replay", tape.path, "--book", book)
    assert ran.code == 0
    assert ran.out.count("paper optimism = ") == len(FILES)
    assert "P&L by cause, USD" in ran.out and "P&L by the ledger, USD" in ran.out
