"""Tables of recorded Greeks as rows of a tape: each layout, and tables that are refused by name."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pricing.errors import InputError
from tests.venues.sources import imported
from venues.import_options import ImportOptions
from venues.tape import Tape
from venues.tape_import import import_tape


def test_the_four_layouts(shared_data: Path, tmp_path: Path) -> None:
    def table(file: str, name: str) -> pl.DataFrame:
        return imported(shared_data / file, "greeks-table", tmp_path / name)

    hourly = table("options/deribit_btc_greeks_hourly_2026-01-23.parquet", "hourly")
    assert hourly.height == 24_562
    assert hourly["mark"].null_count() == hourly.height  # what was worked out is not the venue's
    assert Tape.open(tmp_path / "hourly").description["options"]["stamp_error_s"] == 120.0
    full = table("options/deribit_btc_full_ticker_2026-04-28.parquet", "full")
    assert full.height == 352
    vectors = table("vectors/venue_greeks.json", "vectors")
    assert sorted(set(vectors["venue"])) == ["binance", "bybit", "deribit", "okx"]
    assert vectors["venue_delta_bs"].count() == 4
    chain = table("wire/nautilus/tardis/options_chain.csv", "chain")
    assert (chain["mark_iv"] < 2.0).all()  # in percent at its source


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        (
            "a.json",
            '{"rows": [{"venue": "mars", "instrument": "X", "ts_ms": 1640001659301}]}',
            "VENUE_UNKNOWN",
        ),
        ("a.json", '{"rows": [{"venue": "okx", "instrument": "X", "ts_ms": 1640001659301}]}', "SOURCE_NAME"),
        ("a.json", '{"rows": 7}', "SOURCE_FORM"),
        ("a.json", '{"rows": []}', "FILE_EMPTY"),
        ("a.csv", "exchange,symbol\nderibit,X\n", "SOURCE_COLUMN"),
        ("a.csv", "exchange,symbol\nderibit\n", "CSV_INVALID"),
        ("a.csv", "exchange,symbol,exchange\nderibit,X,okx\n", "COLUMN_TWICE"),
        (
            "a.json",
            '{"rows": [{"venue": "okx", "instrument": "ETH-USD-211222-4000-C", "strike": 4001, '
            '"ts_ms": 1640001659301}]}',
            "SOURCE_VALUE",
        ),
        ("a.csv", "", "CSV_INVALID"),
        ("a.csv", "exchange,symbol\n" + "x" * 200_000 + ",y\n", "CSV_INVALID"),  # beyond a cell's limit
        ("a.parquet", "PAR1", "FILE_MAGIC"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, name: str, text: str, code: str) -> None:
    source = tmp_path / name
    source.write_text(text)
    with pytest.raises(InputError) as caught:
        import_tape([source], "greeks-table", tmp_path / "tape", ImportOptions())
    assert caught.value.code == code
    assert not (tmp_path / "tape").exists()
