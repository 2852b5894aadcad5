"""Our Greeks against the venue's own, each quote at its own stamp."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.hedger.command_line import HEADER, change_tape, exposures, hedger
from venues.import_options import ImportOptions
from venues.tape import Tape, write
from venues.tape_import import import_tape


@pytest.fixture(scope="module")
def recorded(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """358 options of Deribit, 2020-09-12: the cleanest Greeks there are."""
    path = tmp_path_factory.mktemp("recorded") / "tape"
    source = shared_data / "options" / "deribit_btc_ticker_book_2020-09-12.json"
    import_tape([source], "deribit-tickers", path, ImportOptions())
    return path


def test_deribits_greeks_to_their_rounding(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "book.csv"
    book.write_text(f"{HEADER}\nderibit,BTC,1,\n")
    check = exposures(capsys, recorded, book, "--check-venue")["venue_check"]
    assert check["compared"] > 300
    worst = {greek: figures["worst"] for greek, figures in check["greeks"].items()}
    assert worst["delta"] <= 1.5e-4
    assert worst["gamma"] <= 6e-6
    assert worst["vega"] <= 2e-3
    assert worst["theta"] <= 0.03
    for figures in check["greeks"].values():
        assert 0 <= figures["median"] <= figures["worst"]
        assert figures["worst_symbol"].startswith("BTC-")
    text = hedger(capsys, "risk", "--book", book, "--market", recorded, "--check-venue").out
    assert f"{check['compared']} compared" in text
    assert "theta" in text
    # and not one difference that rounding does not explain
    assert check["flagged"] == 0
    assert check["flags"] == []


def test_a_venue_that_publishes_none_is_left_out(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = exposures(capsys, tape, book, "--check-venue")["venue_check"]
    assert (check["compared"], check["greeks"]) == (0, {})
    assert check["left_out"] == 504
    assert hedger(capsys, "risk", "--book", book, "--market", tape, "--check-venue").code == 0
    assert "venue_check" not in exposures(capsys, tape, book)


def check_of(capsys: pytest.CaptureFixture[str], tape: Path, *more: object) -> Any:
    """`risk --check-venue --json` without a book."""
    ran = hedger(capsys, "risk", "--market", tape, "--check-venue", "--json", *more)
    assert (ran.code, ran.err) == (0, "")
    assert set(ran.json) == {"as_of", "venue_check"}
    return ran.json["venue_check"]


def test_without_a_book_the_comparison_alone(
    recorded: Path, tape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_of(capsys, recorded)["compared"] == 358
    text = hedger(capsys, "risk", "--market", recorded, "--check-venue")
    assert text.code == 0
    assert "EXPOSURES" not in text.out
    alone = hedger(capsys, "risk", "--market", tape)
    assert (alone.code, alone.out) == (2, "")
    assert alone.err.startswith("BOOK_NOT_GIVEN: ")
    assert check_of(capsys, recorded, "--at", "2020-09-13T12:00:00Z")["compared"] == 358


def changed(recorded: Path, path: Path, **columns: pl.Expr) -> Path:
    return change_tape(path, recorded, Tape.open(recorded).frame("quotes").with_columns(**columns))


def test_what_is_put_in_is_flagged_with_its_reason(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forwards 1 % off; vegas per 1.00; one delta of the other sign."""
    forward = changed(recorded, tmp_path / "forward", forward=pl.col("forward") * 1.01)
    check = check_of(capsys, forward)
    assert check["flagged"] > 250
    (venue,) = check["venues"]
    assert venue["reasons"]["forward_moved"] > 0.9 * check["flagged"]
    moved = [flag["amount"] for flag in check["flags"] if flag["reason"] == "forward_moved"]
    assert statistics.median(moved) == pytest.approx(1 / 1.01 - 1, abs=1e-5)
    vega = changed(recorded, tmp_path / "vega", venue_vega=pl.col("venue_vega") * 100.0)
    check = check_of(capsys, vega)
    assert check["venues"][0]["reasons"].get("units", 0) > 0.8 * check["flagged"] > 200
    name = "BTC-25SEP20-10000-P"
    one = pl.when(pl.col("symbol") == name).then(-pl.col("venue_delta")).otherwise("venue_delta")
    (flag,) = check_of(capsys, changed(recorded, tmp_path / "sign", venue_delta=one))["flags"]
    assert (flag["symbol"], flag["reason"], flag["says"]) == (name, "sign", "the opposite sign")
    assert set(flag["greeks"]) == {"delta"}
    assert flag["greeks"]["delta"]["difference"] > flag["greeks"]["delta"]["tolerance"]
    text = hedger(capsys, "risk", "--market", tmp_path / "sign", "--check-venue").out
    assert "BTC-25SEP20-10000-P" in text
    assert "the opposite sign" in text


def test_two_calls_apart_are_brought_together_by_the_index_of_each_row(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A snapshot in a fast hour: the index moved 31 bp between prices and Greeks, and went on moving."""
    path = tmp_path / "tape"
    source = shared_data / "options" / "deribit_chain_6h_2026-02.parquet"
    import_tape([source], "deribit-chain", path, ImportOptions(size_at_touch={"*": 10.0}))
    check = check_of(capsys, path, "--at", "2026-02-04T16:00:00Z")
    btc = check["venues"][0]["captures"][0]
    assert (btc["underlying"], btc["index_move"]) == ("BTC", pytest.approx(31e-4, abs=1e-4))
    assert btc["scatter"] < 2e-4
    assert check["venues"][0]["greeks"]["delta"]["median"] < 1e-4
    blind = Tape.open(path).frame("quotes").drop("greeks_index", strict=False)
    apart = check_of(capsys, change_tape(tmp_path / "blind", path, blind), "--at", "2026-02-04T16:00:00Z")
    assert apart["venues"][0]["greeks"]["delta"]["median"] > 5e-4
    assert apart["flagged"] > 3 * check["flagged"]


def test_every_venue_of_the_vectors(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The study over published rows of four venues."""
    path = tmp_path / "tape"
    import_tape([shared_data / "vectors" / "venue_greeks.json"], "greeks-table", path, ImportOptions())
    page = tmp_path / "page.html"
    ran = hedger(capsys, "study", "greeks", path, "--json", "--picture", page)
    assert ran.code == 0
    found = {row["convention"]: row for row in ran.json["rows"]}
    assert {name: row["compared"] for name, row in found.items()} == {
        "deribit": 90, "okx": 4, "okx_bs": 4, "bybit": 3, "binance": 3,
    }  # fmt: skip
    assert [found[name]["flagged"] for name in ("deribit", "bybit", "binance")] == [0, 0, 0]
    # OKX's sets are of different moments: three of its eight rows lie beyond what that explains
    assert found["okx"]["flagged"] + found["okx_bs"]["flagged"] <= 3
    text = page.read_text()
    assert "Our Greeks against the venues" in text
    assert "plotly" in text
    assert "okx_bs" in hedger(capsys, "study", "greeks", path).out


def test_an_impossible_figure_is_a_finding_not_a_gap(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """OKX publishes no forward here: a deltaBS that no forward gives is flagged, not left out."""
    path = tmp_path / "tape"
    import_tape([shared_data / "wire/tardis_node/okex-options.json"], "venue-messages", path, ImportOptions())
    frame = pl.concat(Tape.open(path).venue_greeks())
    for name, factor in (("sign", -1.0), ("size", 5.0)):
        wrong = frame.with_columns(venue_delta_bs=pl.col("venue_delta_bs") * factor)
        ran = hedger(capsys, "study", "greeks", change_tape(tmp_path / name, path, wrong), "--json")
        (row,) = (row for row in ran.json["rows"] if row["convention"] == "okx_bs")
        assert row["compared"] == 3
        assert row["flagged"] == 3


def test_a_venue_that_is_late_is_not_one_with_a_wrong_clock(tmp_path: Path, tape: Path) -> None:
    """Stamps 20 minutes behind throughout: at most a minute of it is the clock's."""
    frame = Tape.open(tape).frame("quotes").with_columns(pl.col("venue_ns") - 20 * 60 * 10**9)
    write(tmp_path / "late", Tape.open(tape).universe.listings, frame.drop("flag"))
    late = Tape.open(tmp_path / "late").market_at()
    assert late.age_s[late.quoted].min() == pytest.approx(19 * 60.0, abs=1.0)
