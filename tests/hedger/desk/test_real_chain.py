"""A week of Deribit's chain of February 2026 through the engine: its P&L by day, and its index's returns."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from tests.hedger.command_line import HEADER, Json, hedger
from venues.import_options import ImportOptions
from venues.tape_import import import_tape

BOOK = """deribit,BTC-13MAR26-68000-C,-50,
deribit,BTC-13MAR26-70000-C,-80,
deribit,BTC-27MAR26-60000-P,-60,
deribit,BTC,10,
deribit,USDC,500000,
"""


@pytest.fixture(scope="module")
def week(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From 19 February: the fall of the 23rd is in it."""
    folder = tmp_path_factory.mktemp("week")
    frame = pl.read_parquet(shared_data / "options" / "deribit_chain_6h_2026-02.parquet")
    part = folder / "part.parquet"
    frame.filter((pl.col("ts").dt.day() >= 19) & (pl.col("ts").dt.day() <= 26)).write_parquet(part)
    import_tape([part], "deribit-chain", folder / "tape", ImportOptions({"BTC": 10.0, "ETH": 100.0}))
    (folder / "book.csv").write_text(f"{HEADER}\n{BOOK}")
    return folder


def test_the_profit_of_a_week_by_day_and_what_second_order_explains_of_it(
    week: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("replay", week / "tape", "--book", week / "book.csv", "--journal", week / "j", "--json")
    run: Json = hedger(capsys, *words).json
    found: Json = hedger(capsys, "pnl", "--journal", week / "j", "--tape", week / "tape", "--json").json
    assert found["pnl_usd"] == pytest.approx(run["pnl_usd"], rel=1e-9)
    assert found["attribution_usd"]["residual"] == pytest.approx(run["residual_usd"], rel=1e-6)
    assert len(found["days"]) >= 6
    without = 0.0
    for day in found["days"]:
        parts = day["attribution_usd"]
        assert math.fsum(x for name, x in parts.items() if name != "pnl") == pytest.approx(parts["pnl"])
        assert abs(day["ledger_difference_usd"]) < 1e-3
        first_order = parts["residual"] + parts["vanna"] + parts["volga"] + parts["charm"]
        without += abs(first_order)
    # six hours apart, vanna and volga are worth having
    assert math.fsum(abs(d["attribution_usd"]["residual"]) for d in found["days"]) < 0.7 * without
    beyond = [
        d["day"]
        for d in found["days"]
        if abs(d["attribution_usd"]["residual"])
        > max(
            1_000.0,
            0.1 * sum(abs(x) for n, x in d["attribution_usd"].items() if n not in ("pnl", "residual")),
        )
    ]
    assert [alert["day"] for alert in found["alerts"]] == found["unexplained"] == beyond
    assert run["alerts"].get("PNL_UNEXPLAINED", 0) == len(beyond)


def test_value_at_risk_from_the_tapes_own_index(week: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("whatif", "--book", week / "book.csv", "--market", week / "tape", "--returns", week / "tape")
    found: Json = hedger(capsys, *words, "--horizon-hours", "6", "--json").json["tails"]
    frame = pl.read_parquet(week / "tape" / "quotes.parquet").filter(pl.col("symbol") == "BTC-PERPETUAL")
    assert (
        found["outcomes"] <= frame["seq"].n_unique() - 1 and found["outcomes"] >= found["windows_apart"] >= 20
    )
    at_95, at_99 = found["levels"]
    assert at_95["unhedged"]["es"] >= at_95["unhedged"]["var"] > 0
    assert at_99["unhedged"]["var"] is None and "at least 100" in at_99["unhedged"]["unknown"]
