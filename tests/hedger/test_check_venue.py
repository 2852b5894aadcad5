"""Our Greeks against the venue's own, each quote at its own stamp."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hedger.desk import HEADER, exposures, hedger
from venues.import_options import ImportOptions
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
    assert f"{check['compared']} options" in text
    assert "theta" in text


def test_a_venue_that_publishes_none_is_left_out(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = exposures(capsys, tape, book, "--check-venue")["venue_check"]
    assert (check["compared"], check["greeks"]) == (0, {})
    assert check["left_out"] == 504
    assert hedger(capsys, "risk", "--book", book, "--market", tape, "--check-venue").code == 0
    assert "venue_check" not in exposures(capsys, tape, book)
