"""`import hedger` in a notebook: its numbers are those of the verbs; nothing is loaded before it is asked."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import hedger as hg
from hedger.cli import main
from hedger.journal.journal import Journal
from pricing.errors import InputError
from tests.hedger.command_line import strict_json
from tests.hedger.dashboard.made import lived
from tests.hedger.journal_words import NAME, life, opening

ROOT = Path(__file__).resolve().parents[2]


def said(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """What a verb prints with --json."""
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    found: dict[str, Any] = strict_json(capsys.readouterr().out)
    return found


def test_risk_is_the_verbs_numbers(tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = said(capsys, "risk", "--book", book, "--market", tape)
    found = hg.risk(book, tape)
    assert found.document == document
    for name in ("rows", "underlyings", "expiries", "positions", "missing"):
        frame: pl.DataFrame = getattr(found, name)
        assert frame.height == len(document[name])
    for row, told in zip(found.rows.to_dicts(), document["rows"], strict=True):
        low, high = told["trigger"] or (None, None)
        same = {name: told[name] for name in ("row", "unit", "value", "breached")}
        assert row == same | {"trigger_lower": low, "trigger_upper": high}
    for row, told in zip(found.positions.to_dicts(), document["positions"], strict=True):
        assert row == {name: told.get(name) for name in row}
    assert hg.book(book, tape).equals(found.positions)


def test_a_book_needs_no_market_to_be_read(tmp_path: Path) -> None:
    file = tmp_path / "book.csv"
    file.write_text(
        "venue,symbol,quantity,average_price\nsimulated,BTC,12,\nsimulated,BTC-PERPETUAL,250000,70000\n"
    )
    found = hg.book(file)
    assert found.columns == ["venue", "symbol", "account", "quantity", "average_price"]
    assert found.rows() == [
        ("simulated", "BTC", "", 12.0, None),
        ("simulated", "BTC-PERPETUAL", "", 250000.0, 70000.0),
    ]
    file.write_text("venue,symbol,quantity\nsimulated,BTC,12\nsimulated,BTC,1\n")
    with pytest.raises(InputError, match="BOOK_DUPLICATE"):
        hg.book(file)
    file.write_text("venue,symbol,quantity\n")
    with pytest.raises(InputError, match="BOOK_EMPTY"):
        hg.book(file)


def test_plan_is_the_verbs_numbers(tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = said(capsys, "plan", "--book", book, "--market", tape)
    found = hg.plan(book, tape)
    for once in (document, found.document):
        assert once.pop("timings_ms").keys() >= {"solve"}
    cost, status = document["cost_usd"], document["status"]
    assert found.document == document
    assert (found.cost_usd, found.status) == (cost, status) and status == "hedge"
    for row, told in zip(found.trades.to_dicts(), document["trades"], strict=True):
        plain = {name: told[name] for name in ("venue", "symbol", "side", "quantity", "unit", "limit_price")}
        costs = {f"{name}_usd": x for name, x in told["cost_usd"].items()}
        assert row == plain | costs | {"expected_price": told["expected_price"]}
    parts = [f"{name}_usd" for name in ("spread", "depth", "fee", "carry", "fixed")]
    assert found.trades.select(pl.sum_horizontal(parts).sum()).item() == pytest.approx(cost, rel=1e-12)
    for row, told in zip(found.rows.to_dicts(), document["rows"], strict=True):
        assert (row["before"], row["after"], row["binding"]) == (
            told["before"],
            told["after"],
            told["binding"],
        )
        assert [row["required_lower"], row["required_upper"]] == (told["required"] or [None, None])
    effects = {(r["row"], r["symbol"]): r["effect"] for r in found.effects.to_dicts()}
    assert effects == {(r, t["symbol"]): x for t in document["trades"] for r, x in t["effect"].items()}


def test_whatif_is_the_verbs_numbers(tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--spot=-20,0,20", "--vol=-5,5", "--days=0,1", "--stress", "all")
    document = said(capsys, "whatif", "--book", book, "--market", tape, *words)
    found = hg.whatif(book, tape, spot_pct=[20, -20, 0], vol_points=[-5, 5], days=[0, 1], stress="all")
    assert found.document == document
    cells = {(c["days"], c["vol_points"]): c["unhedged"] for c in document["ladder"]["cells"]}
    assert found.ladder.height == 3 * len(cells) == 12
    for row in found.ladder.to_dicts():
        at = document["ladder"]["spot_pct"].index(row["spot_pct"])
        assert row["unhedged"] == cells[row["days"], row["vol_points"]][at]
        assert row["hedged"] is None
    told = {s["name"]: s["unhedged"] for s in document["stresses"]}
    assert dict(found.stresses.select("name", "unhedged").rows()) == told


def test_in_coin_the_frames_of_whatif_are_of_each_coin(tape: Path, tmp_path: Path) -> None:
    """Inverse perpetuals of Q dollars at F: Q/F r/(1 + r) coins of each after a move r."""
    held = {"BTC": 700_000.0, "ETH": -200_000.0}
    file = tmp_path / "book.csv"
    rows = (f"simulated,{name}-PERPETUAL,{dollars:.0f},\n" for name, dollars in held.items())
    file.write_text("venue,symbol,quantity,average_price\n" + "".join(rows))
    found = hg.whatif(
        file, tape, numeraire="coin", spot_pct=[-20, 10], vol_points=[0], days=[0], stress="all"
    )
    positions = hg.risk(file, tape).positions
    marks = dict(positions.select("symbol", "mark").rows())

    def pnl(name: str, move: float) -> float:
        return float(held[name] / marks[f"{name}-PERPETUAL"] * move / (1 + move))

    assert found.ladder.columns[0] == "underlying" and found.ladder.height == 2 * len(held)
    for row in found.ladder.to_dicts():
        assert row["unhedged"] == pytest.approx(pnl(row["underlying"], row["spot_pct"] / 100), rel=1e-9)
    falls = found.stresses.filter(pl.col("name") == "may-2021").select("underlying", "unhedged").rows()
    assert dict(falls) == pytest.approx({"BTC": pnl("BTC", -0.32), "ETH": pnl("ETH", -0.45)}, rel=1e-9)
    whole = hg.whatif(file, tape, spot_pct=[-20, 10], vol_points=[0], days=[0]).ladder
    assert whole["underlying"].to_list() == [None, None]  # dollars have a sum


def test_the_scenarios_of_the_settings_are_stresses(tape: Path, tmp_path: Path) -> None:
    file, config = tmp_path / "book.csv", tmp_path / "config.toml"
    file.write_text("venue,symbol,quantity,average_price\nsimulated,BTC,10,\n")
    config.write_text('[[scenarios]]\nname = "crash"\nspot = -0.25\n')
    found = hg.whatif(file, tape, stress="crash", config=config).stresses
    index = hg.risk(file, tape).underlyings["index"][0]
    assert found["unhedged"].to_list() == pytest.approx([-2.5 * index], rel=1e-12)


def test_whatif_of_a_journal_is_the_verbs_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "j"
    lived(path).journal.close()
    words = ("--spot=-5,5", "--vol=0", "--days=0", "--metric", "delta")
    document = said(capsys, "whatif", "--journal", path, *words)
    found = hg.whatif(journal=path, spot_pct=[-5, 5], vol_points=[0], days=[0], metric="delta")
    assert found.document == document and found.ladder.height == 2
    with pytest.raises(InputError, match=r"WHATIF_SOURCE: --at goes with --market"):
        hg.whatif(journal=path, at="2026-01-01")


def test_a_frame_without_rows_has_its_columns(tape: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat.csv"
    flat.write_text("venue,symbol,quantity,average_price\nsimulated,USDC,1000,\n")
    found = hg.risk(flat, tape)
    assert found.expiries.height == 0
    assert found.missing.columns == ["venue", "symbol", "reason", "age_s"]
    assert hg.plan(flat, tape).trades.schema["expected_price"] == pl.Float64


def test_a_journal_is_the_tables_that_export_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.journal"
    journal = Journal.open(path, NAME)
    journal.append(*opening())
    for entries in life(5):
        journal.append(*entries)
    journal.close()
    found = hg.journal.scan(path)
    assert (found.trading, found.engine) == (NAME.trading, NAME.engine)
    rows = said(capsys, "journal", "export", "--journal", path, "--out", tmp_path / "out")["rows"]
    assert {name: frame.height for name, frame in found.tables.items()} == rows
    for name, frame in found.tables.items():
        assert frame.equals(pl.read_parquet(tmp_path / "out" / f"{name}.parquet")), name
    assert found["fills"].height > 0


def test_mistakes_are_said_as_by_the_verbs(tape: Path, book: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        hg.risk(tmp_path / "nowhere.csv", tape)
    wrong: tuple[Any, ...] = (None, 3, 4.0, True)
    for given in wrong:
        with pytest.raises(InputError, match=r"USAGE: .* book"):
            hg.plan(given, tape)
        with pytest.raises(InputError, match=r"USAGE: .* market"):
            hg.risk(book, given)
    never: tuple[Any, ...] = (float("nan"), True, 1.5)
    for at in never:
        with pytest.raises(InputError, match="TIME_INVALID"):
            hg.risk(book, tape, at=at)
    with pytest.raises(InputError, match="WHATIF_SOURCE"):
        hg.whatif(book)
    with pytest.raises(InputError, match="JOURNAL_MISSING"):
        hg.journal.scan(tmp_path / "nowhere")
    with pytest.raises(AttributeError, match="nothing_like_it"):
        hg.nothing_like_it  # noqa: B018
    assert {"book", "risk", "plan", "whatif", "journal"} <= set(dir(hg))


@pytest.mark.parametrize(
    ("name", "given", "allowed"),
    [
        ("hedged", "no", "True or False"),
        ("hedged", 1, "True or False"),
        ("hedged", None, "True or False"),
        ("metric", "profit", "pnl, delta, gamma, vega, margin"),
        ("metric", ["pnl"], "pnl, delta, gamma, vega, margin"),
        ("days", [-1], "from 0 to 10000"),
        ("days", 3, "a list of up to 50 different numbers"),
        ("days", "12", "a list of up to 50 different numbers"),
        ("vol_points", ["5"], "from -500 to 10000"),
        ("vol_points", [True], "from -500 to 10000"),
        ("vol_points", [1, 1], "50 different numbers"),
        ("spot_pct", [-200], "above -100 to 10000"),
        ("spot_pct", [float("nan")], "above -100 to 10000"),
        ("spot_pct", [None], "above -100 to 10000"),
        ("stress", 5, '"all"'),
        ("stress", "", '"all"'),
        ("numeraire", "", '"USD" or "coin"'),
        ("numeraire", False, '"USD" or "coin"'),
        ("journal", 5, "a path"),
        ("journal", "a\0b", "a path"),
        ("config", 5, "a path"),
    ],
)
def test_a_wrong_argument_is_an_input_error_that_says_what_may_stand_there(
    name: str, given: Any, allowed: str, tape: Path, book: Path
) -> None:
    files = () if name == "journal" else (book, tape)
    with pytest.raises(InputError) as refused:
        hg.whatif(*files, **{name: given})
    error = refused.value
    assert (error.code, error.where) == ("USAGE", name) and allowed in error.allowed


@pytest.mark.parametrize("band", ["delta:BTC=-1,1/-0.5,0.5", 5, None, [None]])
def test_bands_are_a_list_of_texts(band: Any, tape: Path, book: Path) -> None:
    with pytest.raises(InputError, match=r"USAGE: .* band"):
        hg.plan(book, tape, band=band)


def test_a_journal_is_named_by_a_path() -> None:
    wrong: tuple[Any, ...] = (5, None, True, "a\0b")
    for given in wrong:
        with pytest.raises(InputError, match=r"USAGE: .* path"):
            hg.journal.scan(given)


def test_an_axis_may_be_an_array_or_a_series(tape: Path, book: Path) -> None:
    listed = hg.whatif(book, tape, spot_pct=[-5, 5], vol_points=[0.0], days=[0])
    found = hg.whatif(book, tape, spot_pct=np.array([-5, 5]), vol_points=pl.Series([0.0]), days=range(1))
    assert found.document == listed.document


def test_importing_hedger_loads_nothing() -> None:
    program = "import json, sys, hedger; print(json.dumps(sorted(sys.modules)))"
    words = [sys.executable, "-c", program]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = json.loads(ran.stdout)
    assert [name for name in loaded if name.startswith("hedger")] == ["hedger"]
    assert {"numpy", "polars", "pydantic", "argparse"}.isdisjoint(loaded)


def test_the_first_notebook_runs_and_its_numbers_are_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "notebooks" / "first_hedge.py"
    spec = importlib.util.spec_from_file_location("first_hedge", path)
    assert spec is not None and spec.loader is not None
    notebook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook)
    outputs, names = notebook.app.run()
    given = ("--book", names["book_file"], "--market", names["tape"])
    ticket = said(capsys, "plan", *given)
    assert [t["quantity"] for t in ticket["trades"]] == names["plan"].trades["quantity"].to_list()
    assert ticket["cost_usd"] == names["plan"].cost_usd
    assert said(capsys, "risk", *given)["rows"] == names["risk"].document["rows"]
    words = ("--spot=-20,-10,0,10,20", "--vol=-10,0,10", "--days=0", "--hedged")
    assert said(capsys, "whatif", *given, *words)["ladder"] == names["whatif"].document["ladder"]
    texts = " ".join(getattr(shown, "text", "") for shown in outputs)
    for amount in (f"{ticket['cost_usd']:,.2f}", f"{ticket['delta_only']['cost_usd']:,.2f}"):
        assert f"{amount} USD" in texts
    names["room"].cleanup()
    assert len(names["out"]) == sum(row["breached"] for row in names["risk"].document["rows"]) > 0
