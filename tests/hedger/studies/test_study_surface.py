"""The study of the surface: its figures are those of the vols, its page shows them, bad input is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hedger.settings import Settings
from hedger.studies.surface import SurfaceRecord, document, figures, measure, table
from pricing.forwards import forwards
from pricing.market import Market
from pricing.surface import refit
from tests.builders import plain_black
from tests.hedger.command_line import Json, change_tape, hedger, make_tape, refused, strict_json
from venues.import_options import ImportOptions
from venues.tape import Tape
from venues.tape_import import import_tape

STAMPS = ["2026-03-02T13:00:00Z", "2026-03-02T14:00:00Z", "2026-03-02T15:00:00Z"]


@pytest.fixture(scope="module")
def hourly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated market, an hour between batches."""
    return make_tape(tmp_path_factory.mktemp("hourly") / "tape", seconds=3600.0)


@pytest.fixture(scope="module")
def records(hourly: Path) -> list[SurfaceRecord]:
    return measure(Tape.open(hourly), Settings())


def timeless(record: SurfaceRecord) -> Json:
    return {name: getattr(record, name) for name in SurfaceRecord.__slots__ if name != "refit_ms"}


def test_every_snapshot_is_compared(records: list[SurfaceRecord]) -> None:
    assert [(r.as_of, r.underlying) for r in records] == [(t, u) for t in STAMPS for u in ("BTC", "ETH")]
    for record in records:
        assert 0.0 <= record.median <= record.p95 <= record.worst
        assert record.options > 100
        assert (record.violations, sum(record.statuses.values())) == (0, record.smiles)
        assert len(record.reasons) == sum(n for s, n in record.statuses.items() if s == "venue_mark")
        assert record.refit_ms > 0.0


def test_errors_are_those_of_the_vols(records: list[SurfaceRecord], hourly: Path) -> None:
    """Once more for the first snapshot, option by option, with deltas from the textbook's formula."""
    tape = Tape.open(hourly)
    market = Market.empty(tape.universe).apply(next(iter(tape.marks())))
    forward = forwards(market, 600.0).forward
    surface = refit(None, market, forward, 600.0)
    for record, underlying in zip(records, ("BTC", "ETH"), strict=False):
        errors = []
        for i, x in enumerate(tape.universe.listings):
            if not tape.universe.is_option[i] or x.contract.underlying != underlying:
                continue
            strike, sign = float(tape.universe.strike[i]), int(tape.universe.sign[i])
            years = float(tape.universe.expiry_ns[i] - market.now_ns) / (365 * 86_400e9)
            F, mark = float(forward[i]), float(market.mark_iv[i])
            step = 1e-4 * F
            up, down = (plain_black(F + h, strike, years, mark, sign) for h in (step, -step))
            if not 0.05 <= abs(up - down) / (2 * step) <= 0.95:
                continue
            one = [np.array([v]) for v in (strike, tape.universe.expiry_ns[i], years, F)]
            errors.append(100.0 * abs(float(surface.vols(underlying, *one)[0][0]) - mark))
        assert record.options == len(errors)
        assert record.median == pytest.approx(float(np.median(errors)), rel=1e-9)
        assert record.p95 == pytest.approx(float(np.percentile(errors, 95)), rel=1e-9)
        assert record.worst == pytest.approx(max(errors), rel=1e-9)


def test_every_second_snapshot(records: list[SurfaceRecord], hourly: Path) -> None:
    seen: list[SurfaceRecord] = []
    again = measure(Tape.open(hourly), Settings(), every=2, on_record=seen.append)
    assert [r.as_of for r in again] == [STAMPS[0], STAMPS[0], STAMPS[2], STAMPS[2]]
    assert timeless(again[0]) == timeless(records[0])
    assert seen == again


def test_the_worst_snapshot_is_handed_out(hourly: Path, records: list[SurfaceRecord]) -> None:
    worst: list[SurfaceRecord] = []
    found = measure(
        Tape.open(hourly), Settings(), on_worst=lambda market, surface, record: worst.append(record)
    )
    assert worst[-1].p95 == max(r.p95 for r in found)
    assert [r.p95 for r in worst] == sorted(r.p95 for r in worst)


def test_the_distribution_is_that_of_the_records(records: list[SurfaceRecord]) -> None:
    result = document(records)
    strict_json(json.dumps(result, allow_nan=False))
    for underlying in ("BTC", "ETH"):
        mine = [r for r in records if r.underlying == underlying]
        got = result["underlyings"][underlying]
        assert (got["snapshots"], got["options"]) == (3, sum(r.options for r in mine))
        assert got["median"]["p50"] == float(np.median([r.median for r in mine]))
        assert got["p95"]["max"] == max(r.p95 for r in mine)
        assert got["worst"] == max(r.worst for r in mine)
        assert got["beyond_target"] == [r.as_of for r in mine if r.median > 0.3 or r.p95 > 1.5] == []
        assert (got["violations"], got["without_reason"]) == (0, 0)
        assert sum(got["statuses"].values()) == sum(r.smiles for r in mine)
    columns, rows = table(result)
    assert [len(row) for row in rows] == [len(columns)] * 2
    assert [row[0] for row in rows] == ["BTC", "ETH"]


def test_what_is_bad_is_counted(records: list[SurfaceRecord]) -> None:
    """Errors beyond the targets, violations and a fall-back without a reason."""

    def changed(**news: object) -> Json:
        values = {name: getattr(records[0], name) for name in SurfaceRecord.__slots__} | news
        got: Json = document([SurfaceRecord(**values), *records[1:]])["underlyings"]["BTC"]
        return got

    assert changed(median=0.31)["beyond_target"] == [STAMPS[0]]
    assert changed(p95=1.51)["beyond_target"] == [STAMPS[0]]
    assert changed(violations=2)["violations"] == 2
    assert changed(statuses={"fitted": 7, "none": 2}, reasons=())["without_reason"] == 2
    assert changed(statuses={"fitted": 7, "none": 2}, reasons=("1.00 d: no quotes",))["without_reason"] == 1
    assert changed(repaired=3, repair_cost_worst=1.5)["repair_cost_worst"] == 1.5


def test_nothing_quoted_is_nothing_to_tell() -> None:
    result = document([])
    assert (result["underlyings"], result["refit_ms"], result["records"]) == ({}, None, [])
    assert table(result)[1] == []
    assert len(figures(result, None)) == 1


def test_the_verb_and_its_page(hourly: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "surface.html"
    ran = hedger(capsys, "study", "surface", hourly, hourly, "--every", "3", "--json", "--picture", page)
    assert ran.code == 0
    assert [r["as_of"] for r in ran.json["records"]] == [STAMPS[0]] * 4  # each tape anew
    assert ran.json["underlyings"]["BTC"]["snapshots"] == 2
    text = page.read_text(encoding="utf-8")
    assert text.count("<h2>") == 3  # the table, errors through time, the worst snapshot's smiles
    assert text.count('class="plotly-graph-div"') == 2
    assert "<td>BTC</td>" in text and "venue_mark" in text
    shown = hedger(capsys, "study", "surface", hourly, "--every", "3")
    assert shown.code == 0
    lines = [line.split() for line in shown.out.splitlines()]
    assert [line[0] for line in lines if line and line[0] in ("BTC", "ETH")] == ["BTC", "ETH"]


def test_a_tape_without_usable_marks_ends_well(
    hourly: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quotes = (
        Tape.open(hourly)
        .frame("quotes")
        .with_columns(mark_iv=pl.lit(None, pl.Float64), bid=pl.lit(None, pl.Float64))
    )
    tape = change_tape(tmp_path / "empty", hourly, quotes)
    page = tmp_path / "page.html"
    ran = hedger(capsys, "study", "surface", tape, "--json", "--picture", page)
    assert ran.code == 0
    assert ran.json["records"] == []
    assert page.is_file()


def test_what_is_no_tape_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "study", "surface", tmp_path / "none", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err and "none" in ran.err
    assert hedger(capsys, "study", "surface").code == 2
    assert hedger(capsys, "study", "surface", tmp_path, "--every", "0").code == 2


def test_a_page_that_cannot_be_written_is_refused(
    hourly: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.html").mkdir()
    for verb in ("surface", "delta", "greeks"):
        for name in ("no/page.html", "page.png", "page", "folder.html"):
            ran = hedger(capsys, "study", verb, hourly, "--every", "3", "--picture", tmp_path / name)
            assert (ran.code, ran.out) == (2, "")
            assert "PICTURE_NOT_WRITTEN" in ran.err and "Traceback" not in ran.err
            assert "nothing was started" in ran.err and "..." not in ran.err
            assert not (tmp_path / name).is_file()
    refused(
        hedger(capsys, "study", "surface", hourly, "--config", tmp_path / "none.toml"), "CONFIG_UNREADABLE"
    )


def test_every_tape_is_opened_before_the_first_is_studied(
    hourly: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("surface", "delta", "greeks"):
        ran = hedger(capsys, "study", verb, hourly, tmp_path / "none")
        assert (ran.code, ran.out) == (2, "")
        assert "TAPE_MISSING" in ran.err and "..." not in ran.err


def test_a_real_chain_of_mark_vols_alone_is_fitted(shared_data: Path, tmp_path: Path) -> None:
    """37 hours of Deribit with vols and no prices: nothing but marks to fit to, and they are clean."""
    source = shared_data / "options/deribit_btc_greeks_hourly_2026-01-23.parquet"
    import_tape([source], "greeks-table", tmp_path / "tape", ImportOptions())
    found = measure(Tape.open(tmp_path / "tape"), Settings())
    assert len(found) == 37
    assert max(r.median for r in found) <= 0.3
    assert max(r.p95 for r in found) <= 1.5
    assert sum(r.violations for r in found) == 0


def test_a_step_that_is_none_is_told_the_least_allowed(
    hourly: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in ("0", "-1", "x"):
        ran = hedger(capsys, "study", "surface", hourly, "--every", step)
        assert ran.code == 2 and "at least 1" in ran.err
