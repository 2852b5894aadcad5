"""The hours between two snapshots: the price of the series, ratios and smiles of before, no look ahead."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hedger.studies.chain_between import Between
from hedger.studies.chain_inputs import Series, read_dvol, read_perp
from pricing.contracts import Kind
from pricing.market import Marks
from tests.hedger.command_line import HEADER, hedger
from venues.import_options import ImportOptions
from venues.tape import Tape
from venues.tape_import import import_tape

HOUR = 3600 * 10**9


@pytest.fixture(scope="module")
def tape(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """Two days of March 2026."""
    folder = tmp_path_factory.mktemp("between")
    frame = pl.read_parquet(shared_data / "options" / "deribit_chain_6h_2026-03.parquet")
    part = frame.filter((pl.col("ts") - frame["ts"].min()).dt.total_hours() < 48)
    part.write_parquet(folder / "part.parquet")
    import_tape(
        [folder / "part.parquet"],
        "deribit-chain",
        folder / "tape",
        ImportOptions(size_at_touch={"BTC": 10.0, "ETH": 100.0}),
    )
    return Tape.open(folder / "tape")


def files(shared_data: Path) -> tuple[Path, Path]:
    return (
        shared_data / "ohlcv" / "deribit_btc_perpetual_1h_2026-02_2026-04.parquet",
        shared_data / "funding_dvol" / "deribit_btc_dvol_1h_2021-03_2026-04.parquet",
    )


@pytest.fixture(scope="module")
def series(shared_data: Path) -> tuple[dict[str, Series], dict[str, Series]]:
    perp, dvol = files(shared_data)
    return read_perp(perp, ("BTC",)), read_dvol(dvol)


def filled(tape: Tape, perp: dict[str, Series], dvol: dict[str, Series]) -> list[Marks]:
    return list(Between(tape.universe, 600.0, perp, dvol).filled(tape.marks()))


def test_every_hour_between_snapshots_once_and_the_snapshots_as_they_are(
    tape: Tape, series: tuple[dict[str, Series], dict[str, Series]], shared_data: Path
) -> None:
    found = filled(tape, *series)
    raw = pl.read_parquet(files(shared_data)[0])["ts"].dt.epoch("ns").to_list()
    stamps = tape.batches.now_ns.tolist()
    between = [t for t in raw if stamps[0] < t < stamps[-1] and t not in stamps]
    assert [m.now_ns for m in found] == sorted(stamps + between)
    snapshots = [m for m in found if m.now_ns in set(stamps)]
    for mine, theirs in zip(snapshots, tape.marks(), strict=True):
        assert np.array_equal(mine.rows, theirs.rows)
        assert np.array_equal(mine.bid, theirs.bid, equal_nan=True)


def test_an_hour_is_the_last_snapshot_carried_to_the_series_price(
    tape: Tape, series: tuple[dict[str, Series], dict[str, Series]], shared_data: Path
) -> None:
    universe, (perp_file, dvol_file) = tape.universe, files(shared_data)
    opens = dict(pl.read_parquet(perp_file).select(pl.col("ts").dt.epoch("ns"), "open").iter_rows())
    closes = dict(pl.read_parquet(dvol_file).select(pl.col("ts").dt.epoch("ns"), "dvol").iter_rows())
    found = filled(tape, *series)
    snapshot, hour = found[0], found[1]
    price = opens[hour.now_ns]
    btc = np.array([universe.underlyings[u] == "BTC" for u in universe.underlying[hour.rows]])
    assert btc.all()  # ETH has no series: it stays as it was
    kind = universe.kind[hour.rows]
    option, perp = kind == Kind.OPTION, kind == Kind.PERPETUAL
    # Only the perpetual is quoted, on its tick of half a dollar, about the price.
    assert np.isnan(hour.bid[~perp]).all() and np.isnan(hour.ask[~perp]).all()
    (bid,), (ask,) = hour.bid[perp], hour.ask[perp]
    assert bid < price < ask and ask - bid < 1e-4 * price + 1.0
    assert bid % 0.5 == 0 and ask % 0.5 == 0
    # Forwards keep their ratio to each other within an expiry, and to the price.
    before = dict(zip(snapshot.rows.tolist(), snapshot.forward.tolist(), strict=True))
    vols = dict(zip(snapshot.rows.tolist(), snapshot.mark_iv.tolist(), strict=True))
    both = [i for i, row in enumerate(hour.rows.tolist()) if option[i] and row in before]
    ratio = np.array([hour.forward[i] / before[int(hour.rows[i])] for i in both])
    assert np.ptp(ratio) < 2e-3 and abs(float(np.median(ratio)) - price / before_spot(tape, snapshot)) < 1e-3
    # Vols move by the change of DVOL, whose hour is known when it is over; strikes keep their moneyness.
    shift = (closes[hour.now_ns - HOUR] - closes[snapshot.now_ns // HOUR * HOUR - HOUR]) / 100
    moved = np.array([hour.mark_iv[i] - vols[int(hour.rows[i])] for i in both])
    assert abs(float(np.median(moved)) - shift) < 2e-3


def before_spot(tape: Tape, snapshot: Marks) -> float:
    """The forward of BTC's nearest expiry at a snapshot."""
    universe = tape.universe
    mine = np.array([universe.underlyings[u] == "BTC" for u in universe.underlying[snapshot.rows]])
    mine &= universe.kind[snapshot.rows] == Kind.OPTION
    expiry = universe.expiry_ns[snapshot.rows]
    return float(np.median(snapshot.forward[mine & (expiry == expiry[mine].min())]))


def test_nothing_of_an_hour_comes_from_after_it(
    tape: Tape, series: tuple[dict[str, Series], dict[str, Series]]
) -> None:
    perp, dvol = series
    until = int(tape.batches.now_ns[2])
    after = perp["BTC"].at > until
    other = replace(perp["BTC"], value=np.where(after, 2.0 * perp["BTC"].value, perp["BTC"].value))
    for mine, theirs in zip(filled(tape, perp, dvol), filled(tape, {"BTC": other}, dvol), strict=True):
        if mine.now_ns > until:
            break
        assert np.array_equal(mine.mark, theirs.mark, equal_nan=True)


def test_the_command_replays_with_the_hours_and_refuses_dvol_alone(
    tape: Tape, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    perp, dvol = files(shared_data)
    book = tmp_path / "book.csv"
    book.write_text(f"{HEADER}\nderibit,BTC-27MAR26-70000-C,-40,\nderibit,BTC,10,\n")
    plain = hedger(capsys, "replay", tape.path, "--book", book, "--json")
    words = ("replay", tape.path, "--book", book, "--perp", perp, "--dvol", dvol)
    ran = hedger(capsys, *words, "--journal", tmp_path / "j", "--json")
    assert (plain.code, ran.code) == (0, 0)
    document: dict[str, Any] = ran.json
    assert (
        document["marks_between"] > 30
        and document["marks"] == plain.json["marks"] + document["marks_between"]
    )
    assert document["mode"] == "armed" and document["fills"] > 0
    # Second order explains an hour better than six.
    assert abs(document["residual_usd"]) < abs(plain.json["residual_usd"])
    verified = hedger(
        capsys, "journal", "verify", "--journal", tmp_path / "j", "--replay", "--tape", tape.path, "--json"
    )
    assert verified.code == 0
    again = json.loads(verified.out)["replayed"]
    assert again["same"] and again["state_digest"] == document["state_digest"]
    without = hedger(capsys, "journal", "verify", "--journal", tmp_path / "j", "--replay")
    assert without.code == 2 and without.err.startswith("TAPE_NEEDED")
    alone = hedger(capsys, "replay", tape.path, "--book", book, "--dvol", dvol)
    assert alone.code == 2 and alone.err.startswith("DVOL_WITHOUT_PERP")
    wrong = hedger(capsys, "replay", tape.path, "--book", book, "--faults", "F99")
    assert wrong.code == 2 and wrong.err.startswith("FAULT_UNKNOWN")
