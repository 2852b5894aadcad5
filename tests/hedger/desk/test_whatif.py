"""`hedger whatif`: what the cells must be by the book, the ticket and the market, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.dashboard.panels import whatif
from hedger.desk.ladder_metrics import METRICS
from hedger.desk.stress_table import stresses
from hedger.figures import figure
from risk import repricing
from tests.hedger.command_line import (
    Json,
    change_tape,
    exposures,
    hedger,
    make_book,
    make_tape,
    refused,
    ticket,
)
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings
from venues.simulated_tape import tape_frames
from venues.tape import Tape, write

ROWS = [
    ("BTC-27MAR26-68000-C", -40),
    ("ETH-27MAR26-2100-P", -500),
    ("BTC-PERPETUAL", -250_000),
    ("BTC", "12.5"),
    ("ETH", 100),
    ("USDC", 1_000_000),
]


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tape(tmp_path_factory.mktemp("whatif") / "tape", seed=7, batches=12)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_book(tmp_path_factory.mktemp("whatif") / "book.csv", ROWS)


def asked(capsys: pytest.CaptureFixture[str], tape: Path, book: Path, *more: object) -> Json:
    ran = hedger(capsys, "whatif", "--book", book, "--market", tape, "--json", *more)
    assert (ran.code, ran.err) == (0, "")
    document: Json = ran.json
    return document


def cell(ladder: Json, side: str, spot: float = 0, vol: float = 0, days: float = 0) -> Any:
    (line,) = [x for x in ladder["cells"] if (x["vol_points"], x["days"]) == (vol, days)]
    return line[side][ladder["spot_pct"].index(spot)]


def test_the_metrics_are_those_of_a_revaluation_and_margin() -> None:
    assert (*repricing.METRICS, "margin") == METRICS


def test_the_plain_ladder_has_the_cells_that_traders_ask_for(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder = asked(capsys, tape, book)["ladder"]
    assert ladder["spot_pct"] == [-20, -10, -5, -3, -2, -1, 0, 1, 2, 3, 5, 10, 20]
    assert {x["vol_points"] for x in ladder["cells"]} >= {-20, -10, -5, 0, 5, 10, 20}
    assert len({x["days"] for x in ladder["cells"]}) > 1
    assert cell(ladder, "unhedged") == 0.0 and all(x["hedged"] is None for x in ladder["cells"])
    least = min(x for line in ladder["cells"] for x in line["unhedged"])
    assert ladder["worst"]["unhedged"]["pnl"] == least < 0 and ladder["worst"]["hedged"] is None
    worst = ladder["worst"]["unhedged"]
    assert cell(ladder, "unhedged", worst["spot_pct"], worst["vol_points"], worst["days"]) == least
    by_coin = [cell(u, "unhedged", 10, 5, 1) for u in _with_spots(ladder)]
    assert math.fsum(by_coin) == pytest.approx(cell(ladder, "unhedged", 10, 5, 1), rel=1e-12)


def _with_spots(ladder: Json) -> list[Json]:
    return [{**u, "spot_pct": ladder["spot_pct"]} for u in ladder["underlyings"]]


@pytest.mark.parametrize(("metric", "row", "scale"), [("delta", "delta", 1.0), ("vega", "vega", 0.01)])
def test_the_hedged_cell_of_nothing_is_the_ticket(
    metric: str, row: str, scale: float, tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Greeks before and after as the plan has them; the P&L is its cost."""
    plan, risk = ticket(capsys, tape, book), exposures(capsys, tape, book)
    ladder = asked(capsys, tape, book, "--hedged", "--metric", metric)["ladder"]
    index = {u["underlying"]: u["index"] for u in risk["underlyings"]}
    for u in _with_spots(ladder):
        name = u["underlying"]
        usd = index[name] if row == "delta" else 1.0
        (mine,) = [x for x in plan["rows"] if x["row"] == f"{row}:{name}"]
        assert cell(u, "unhedged") == pytest.approx(mine["before"] * usd * scale, rel=1e-9)
        assert cell(u, "hedged") == pytest.approx(mine["after"] * usd * scale, rel=1e-9, abs=1e-4)
    pnl = asked(capsys, tape, book, "--hedged")
    assert cell(pnl["ladder"], "hedged") == pytest.approx(-plan["cost_usd"], rel=1e-9)
    assert pnl["hedge"]["status"] == "hedge" and pnl["hedge"]["possible"]
    assert len(pnl["hedge"]["trades"]) == len(plan["trades"])


def test_stresses_are_the_figures_of_record_and_name_what_they_lack(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = asked(capsys, tape, book, "--stress", "all", "--hedged")
    found = {s["name"]: s for s in document["stresses"]}
    assert list(found) == ["march-2020", "may-2021", "august-2024", "october-2025"]
    assert [u["fall_pct"] for u in found["may-2021"]["underlyings"]] == pytest.approx([-32, -45])
    assert found["march-2020"]["vol_points_30d"] is None and "DVOL" in found["march-2020"]["notes"][0]
    for stress in document["stresses"]:
        assert stress["unhedged"] == pytest.approx(sum(u["unhedged"] for u in stress["underlyings"]))
        assert stress["hedged"] is not None
    one = asked(capsys, tape, book, "--stress", "may-2021")["stresses"]
    assert len(one) == 1 and one[0]["unhedged"] == found["may-2021"]["unhedged"]


def test_the_table_of_stresses() -> None:
    """Worst falls from the 24 h high, and DVOL, as they were asked for."""
    told = [(s.first, s.fall["BTC"], s.fall["ETH"], s.dvol) for s in stresses()]
    assert told == [
        ("2020-03-12", -0.51, -0.54, None),
        ("2021-05-19", -0.32, -0.45, (122.0, 141.0)),
        ("2024-08-05", -0.20, -0.28, (52.0, 77.0)),
        ("2025-10-10", -0.17, -0.22, (40.0, 59.0)),
    ]
    may = stresses()[1].shock("BTC")
    assert may is not None and may.vol == may.term == pytest.approx(0.19)
    assert stresses()[1].shock("SOL") is None and all(s.source for s in stresses())


def test_without_returns_there_is_no_var_and_it_says_so(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tails = asked(capsys, tape, book)["tails"]
    assert tails["source"] is None and "--returns" in tails["unknown"]
    assert all(level["unhedged"]["var"] is None for level in tails["levels"])


def test_var_of_a_file_of_returns(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hundred falls of 0.1 % steps of both coins: VaR 95 is the book's loss at the fifth worst of them."""
    file = tmp_path / "returns.csv"
    lines = [f"{-0.001 * i},{-0.002 * i}" for i in range(100)]
    file.write_text("\n".join(["BTC,ETH", *lines]) + "\n")
    tails = asked(capsys, tape, book, "--returns", file)["tails"]
    assert tails["outcomes"] == 100 and tails["horizon_h"] is None
    losses = []
    for i in range(94, 100):
        each = asked(
            capsys, tape, book, f"--spot={-0.1 * i},{-0.2 * i}" if i else "--spot=0", "--vol=0", "--days=0"
        )["ladder"]
        btc, eth = _with_spots(each)
        spots = sorted(each["spot_pct"])
        losses.append(-(cell(btc, "unhedged", spots[-1]) + cell(eth, "unhedged", spots[0])))
    losses.sort(reverse=True)
    at_95, at_99 = tails["levels"]
    worse = losses[4] >= 0
    assert worse and at_95["unhedged"]["var"] == pytest.approx(losses[4], rel=1e-6)
    assert at_95["unhedged"]["es"] == pytest.approx(math.fsum(losses[:5]) / 5, rel=1e-6)
    assert at_99["unhedged"]["var"] == pytest.approx(losses[0], rel=1e-6)


def test_a_coin_without_returns_leaves_var_unknown(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "returns.csv"
    file.write_text("BTC\n" + "-0.01\n" * 200)
    tails = asked(capsys, tape, book, "--returns", file)["tails"]
    assert "ETH" in tails["unknown"] and tails["levels"][0]["unhedged"]["var"] is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a,b\n1,2\n", "RETURNS_COLUMNS"),
        ("BTC\n", "RETURNS_EMPTY"),
        ("ts,open\n", "RETURNS_EMPTY"),
        ("BTC\nx\n", "RETURNS_TYPE"),
        ("BTC\n-1.5\n", "RETURNS_VALUE"),
        ("", "RETURNS_UNREADABLE"),
        ("ts,open\n2026-01-01T00:00:00,-4\n", "FILE_VALUE"),
        ("ts,open\n2026-01-01T00:00:00,NaN\n", "FILE_VALUE"),
        ("ts,open\n2026-01-01T00:00:00,4\n2026-01-01T00:00:00,4\n", "FILE_VALUE"),
        ("ts,open\nsoon,4\n", "FILE_TYPE"),
        ("BTC,BTC,ETH\n-0.1,-0.2,1\n", "COLUMN_TWICE"),
        ("\ufeffBTC,ETH, BTC\n-0.1,1,-0.2\n", "COLUMN_TWICE"),
        ("ts,open,open\n2026-01-01T00:00:00,4,5\n", "COLUMN_TWICE"),
    ],
)
def test_bad_returns_are_refused(
    text: str, code: str, tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "returns.csv"
    file.write_text(text)
    ran = hedger(capsys, "whatif", "--book", book, "--market", tape, "--returns", file)
    said = refused(ran, code)
    assert str(file) in said and "; nothing was valued; " in said


def test_columns_without_a_name_are_nobodys(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a table calculation leaves them at the end of a line."""
    file = tmp_path / "returns.csv"
    file.write_text("BTC,ETH,,\n" + "-0.01,-0.02,,\n" * 100)
    tails = asked(capsys, tape, book, "--returns", file)["tails"]
    assert tails["levels"][0]["unhedged"]["var"] is not None


def test_a_thin_market_costs_more_and_says_whether_the_hedge_exists(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thin = asked(capsys, tape, book, "--liquidity", "5")["liquidity"]
    assert thin["now"]["possible"] and thin["stressed"]["cost_usd"] > thin["now"]["cost_usd"]
    assert thin["now"]["outside"] == []  # what is possible leaves nothing out
    dry = asked(capsys, tape, book, "--liquidity", "100000")["liquidity"]["stressed"]
    assert not dry["possible"] and dry["status"] in ("relaxed", "blocked") and dry["outside"]
    same = asked(capsys, tape, book, "--liquidity", "1")["liquidity"]
    assert same["now"] == same["stressed"]


def test_a_position_without_a_mark_is_named_and_makes_var_unknown(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quotes = Tape.open(tape).frame("quotes").filter(pl.col("symbol") != "BTC-27MAR26-68000-C")
    dark = change_tape(tmp_path / "dark", tape, quotes)
    file = tmp_path / "returns.csv"
    file.write_text("BTC,ETH\n" + "-0.01,-0.01\n" * 100)
    document = asked(capsys, dark, book, "--returns", file)
    assert not document["complete"]
    assert [m["symbol"] for m in document["missing"]] == ["BTC-27MAR26-68000-C"]
    assert "BTC-27MAR26-68000-C" in document["tails"]["unknown"]
    assert document["tails"]["levels"][0]["unhedged"]["var"] is None
    text = hedger(capsys, "whatif", "--book", book, "--market", dark).out
    assert "INCOMPLETE" in text and "BTC-27MAR26-68000-C (not_quoted)" in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "WHATIF_SOURCE"),
        (("--book", "b.csv"), "WHATIF_SOURCE"),
        (("--book", "b.csv", "--market", "t", "--journal", "j"), "WHATIF_SOURCE"),
        (("--journal", "j", "--at", "2026-01-01"), "WHATIF_SOURCE"),
        (("--book", "b.csv", "--market", "t", "--tape", "t"), "WHATIF_SOURCE"),
        (("--journal", "nothing.journal"), "JOURNAL_MISSING"),
        (("--spot=-100",), "USAGE"),
        (("--vol=a",), "USAGE"),
        (("--days=-1",), "USAGE"),
        (("--days=1,1",), "USAGE"),
        (("--liquidity", "0.5"), "USAGE"),
        (("--metric", "rho"), "USAGE"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_is_refused(
    words: tuple[str, ...], code: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ran = hedger(capsys, "whatif", *words)
    assert ran.code == 2 and ran.out == "" and ran.err.startswith(f"{code}: ")


def test_an_unknown_stress_is_refused(tape: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "whatif", "--book", book, "--market", tape, "--stress", "ftx")
    assert "march-2020" in refused(ran, "STRESS_UNKNOWN")


def test_in_coin_each_coin_is_counted_in_itself(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = asked(capsys, tape, book, "--numeraire", "coin", "--stress", "may-2021")
    ladder = document["ladder"]
    assert ladder["unit"] == "coin" and cell(ladder, "unhedged", 10) is None
    assert all(cell(u, "unhedged") == 0.0 for u in _with_spots(ladder))
    assert ladder["worst"]["unhedged"] is None and document["stresses"][0]["unhedged"] is None
    assert document["tails"]["unit"] == "coin"
    for u in ladder["underlyings"]:  # the worst of each coin, where there is none of all
        assert u["worst"]["unhedged"]["pnl"] == min(x for line in u["cells"] for x in line["unhedged"])


def test_in_coin_text_and_panel_show_each_coin(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "returns.csv"
    file.write_text("BTC,ETH\n" + "-0.01,-0.01\n" * 100)
    words = ("--numeraire", "coin", "--returns", file)
    document = asked(capsys, tape, book, *words)
    assert "several coins, each in its own: no sum" in document["tails"]["unknown"]
    text = hedger(capsys, "whatif", "--book", book, "--market", tape, *words).out
    sheet = whatif.sheet(document["ladder"], [], [], "unhedged", "", document["as_of"], 0.0)
    titles = [section.title for section in sheet]
    for coin, u in zip(("BTC", "ETH"), document["ladder"]["underlyings"], strict=True):
        assert f"pnl of {coin} unhedged, coin" in text and f"worst cell of {coin} unhedged: P&L" in text
        assert {f"{coin}, now", f"{coin}, in 1 day", f"{coin}, in 7 days"} <= set(titles)
        (now,) = (section for section in sheet if section.title == f"{coin}, now")
        assert now.lines[0].cells[1:] == tuple(map(figure, u["cells"][0]["unhedged"]))
    grid = text.split("worst cell")[0]
    assert "?" not in grid and all("?" not in cell for s in sheet[1:] for x in s.lines for cell in x.cells)
    keys = [line.key for section in sheet for line in section.lines]
    assert len(set(keys)) == len(keys)


def test_in_coin_each_coin_has_a_tail_of_its_own(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An inverse perpetual of Q dollars at F loses Q (1/F' - 1/F) coins as F moves by r: Q/F r/(1 + r), less.
    Coins count nothing. Of a hundred returns the worst five are in the tail of 95 %."""
    book = make_book(
        tmp_path / "book.csv", [("BTC-PERPETUAL", 700_000), ("ETH-PERPETUAL", 200_000), ("BTC", 3)]
    )
    file = tmp_path / "returns.csv"
    moves = {"BTC": [-0.001 * i for i in range(100)], "ETH": [0.05 - 0.002 * i for i in range(100)]}
    rows = zip(*moves.values(), strict=True)
    file.write_text("BTC,ETH\n" + "".join(f"{btc!r},{eth!r}\n" for btc, eth in rows))
    words = ("--numeraire", "coin", "--returns", file, "--hedged")
    tails = asked(capsys, tape, book, *words)["tails"]
    marks = {p["symbol"]: p["mark"] for p in exposures(capsys, tape, book)["positions"]}
    assert [u["underlying"] for u in tails["underlyings"]] == ["BTC", "ETH"]
    text = hedger(capsys, "whatif", "--book", book, "--market", tape, *words).out
    for u, dollars in zip(tails["underlyings"], (700_000, 200_000), strict=True):
        name = u["underlying"]
        coins = dollars / marks[f"{name}-PERPETUAL"]
        losses = sorted((-coins * r / (1 + r) for r in moves[name]), reverse=True)
        at_95, at_99 = u["levels"]
        assert u["unknown"] == "" and (at_95["level"], at_99["level"]) == (0.95, 0.99)
        assert at_95["unhedged"]["var"] == pytest.approx(losses[4], rel=1e-9)
        assert at_95["unhedged"]["es"] == pytest.approx(math.fsum(losses[:5]) / 5, rel=1e-9)
        assert at_99["unhedged"]["var"] == pytest.approx(losses[0], rel=1e-9)
        assert 0 <= at_95["hedged"]["var"] < at_95["unhedged"]["var"]
        assert f"95 % of {name} unhedged: VaR {losses[4]:.4f} coin, expected shortfall" in text
    for level in tails["levels"]:  # no null without a reason
        for side in ("unhedged", "hedged"):
            assert level[side] == {"var": None, "es": None, "unknown": tails["unknown"]}
    assert tails["unknown"] == "several coins, each in its own: no sum"


def test_the_coin_that_returns_are_told_of_has_its_tail(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten coins lose ten times the fall of the price; the other coin has a reason at each level."""
    book = make_book(tmp_path / "book.csv", [("BTC", 10), ("ETH", 100)])
    file = tmp_path / "returns.csv"
    file.write_text("BTC\n" + "-0.01\n" * 200)
    tails = asked(capsys, tape, book, "--returns", file)["tails"]
    (index,) = (u["index"] for u in exposures(capsys, tape, book)["underlyings"] if u["underlying"] == "BTC")
    btc, eth = tails["underlyings"]
    assert btc["levels"][0]["unhedged"]["var"] == pytest.approx(0.1 * index, rel=1e-9)
    why = f"{file} tells no return of ETH"
    assert eth["unknown"] == tails["unknown"] == why
    for level in (*eth["levels"], *tails["levels"]):
        assert level["unhedged"] == {"var": None, "es": None, "unknown": why} and level["hedged"] is None
    text = hedger(capsys, "whatif", "--book", book, "--market", tape, "--returns", file).out
    assert f"95 % of BTC unhedged: VaR {0.1 * index:,.0f} USD" in text
    assert f"VaR and expected shortfall of ETH: unknown, {why}" in text


OWN = """[[scenarios]]
name = "crash"
spot = -0.3
vol = 0.2
skew = 0.05
term = 0.1
hours = 24
[[scenarios]]
name = "may-2021"
spot = -0.5
"""


def test_a_scenario_of_the_desk_is_a_stress(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unhedged it is the rows of `risk`, which a shocked copy of the whole market is valued for; hedged those
    of the ticket, less its cost. The numbers of one kind of row are in the numeraire's unit."""
    config = tmp_path / "config.toml"
    config.write_text(OWN)
    words = ("--config", config, "--hedged")
    every = asked(capsys, tape, book, *words, "--stress", "all")["stresses"]
    assert [s["name"] for s in every] == ["march-2020", "august-2024", "october-2025", "crash", "may-2021"]
    (crash,) = asked(capsys, tape, book, *words, "--stress", "crash")["stresses"]
    assert crash == every[3] and (crash["from"], crash["to"]) == (None, None)
    rows = {x["row"]: x["value"] for x in exposures(capsys, tape, book, "--config", config)["rows"]}
    for u in crash["underlyings"]:
        assert u["unhedged"] == pytest.approx(rows[f"pnl:{u['underlying']}:crash"], rel=1e-9)
        assert u["fall_pct"] == pytest.approx(-30.0)
    assert crash["unhedged"] == pytest.approx(rows["pnl:BTC:crash"] + rows["pnl:ETH:crash"], rel=1e-9)
    plan = ticket(capsys, tape, book, "--config", config)
    after = math.fsum(x["after"] for x in plan["rows"] if x["row"].endswith(":crash"))
    assert crash["hedged"] == pytest.approx(after - plan["cost_usd"], rel=1e-6)
    assert crash["vol_points_30d"] == pytest.approx(20.0)
    note = "of every coin: spot -30 %, vol +20 points, skew +5 points, term +10 points, 24 h later"
    assert crash["notes"] == [f"a scenario of the desk, {note}"]
    text = hedger(capsys, "whatif", "--book", book, "--market", tape, *words, "--stress", "crash").out
    assert note in text and "BTC -30 %, ETH -30 %, vol +20 points at 30 d" in text


def test_a_scenario_of_the_desk_takes_the_place_of_a_dated_one_of_its_name(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of ten coins is gone, not the third of May 2021; and an unknown name is told what is known."""
    book, config = make_book(tmp_path / "book.csv", [("BTC", 10)]), tmp_path / "config.toml"
    config.write_text(OWN)
    (found,) = asked(capsys, tape, book, "--config", config, "--stress", "may-2021")["stresses"]
    index = exposures(capsys, tape, book)["underlyings"][0]["index"]
    assert found["unhedged"] == pytest.approx(-5.0 * index, rel=1e-12)
    words = ("--book", book, "--market", tape, "--config", config, "--stress", "ftx")
    assert "october-2025, crash, may-2021" in refused(hedger(capsys, "whatif", *words), "STRESS_UNKNOWN")


def test_in_coin_the_stresses_of_each_coin_are_printed(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An inverse perpetual alone, of Q dollars at F: Q/F r/(1 + r) coins, at the falls of May 2021."""
    book = make_book(tmp_path / "book.csv", [("BTC-PERPETUAL", 700_000), ("ETH-PERPETUAL", 200_000)])
    words = ("--numeraire", "coin", "--stress", "may-2021")
    text = hedger(capsys, "whatif", "--book", book, "--market", tape, *words).out
    marks = {p["symbol"]: p["mark"] for p in exposures(capsys, tape, book)["positions"]}
    for name, dollars, fall in (("BTC", 700_000, -0.32), ("ETH", 200_000, -0.45)):
        pnl = dollars / marks[f"{name}-PERPETUAL"] * fall / (1 + fall)
        (line,) = (line for line in text.splitlines() if line.startswith(f"may-2021 {name} "))
        assert f" {pnl:.4f} coin" in line


def test_margin_that_no_model_tells_is_a_dash_and_says_so(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladder = asked(capsys, tape, book, "--metric", "margin")["ladder"]
    assert ladder["unit"] == "USD" and ladder["notes"] == ['no margin model is named: paper.margin is "none"']
    assert {x for line in ladder["cells"] for x in line["unhedged"]} == {None}
    assert ladder["worst"]["unhedged"]["pnl"] < 0  # the P&L is known all the same
    text = hedger(capsys, "whatif", "--book", book, "--market", tape, "--metric", "margin").out
    assert (
        "margin unhedged, USD" in text and 'margin: no margin model is named: paper.margin is "none"' in text
    )
    assert " - " in text.split("margin: no")[0] and " 0.0" not in text.split("margin: no")[0]


def test_margin_by_the_venue_s_terms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of q = Q/F coins of the inverse perpetual 2 % and 0.005 % for each coin, as Deribit publishes it."""
    listings, quotes, depth = tape_frames(SimulatedMarket(7, settings=SimulationSettings()), 2, 60.0)
    tape, named = tmp_path / "tape", pl.lit("deribit").alias("venue")
    of_deribit = [replace(listing, venue="deribit") for listing in listings]
    write(tape, of_deribit, quotes.with_columns(named), depth.with_columns(named))
    config = tmp_path / "config.toml"
    config.write_text('[paper]\nmargin = "standard"\n')
    book = make_book(tmp_path / "book.csv", [("BTC-PERPETUAL", -2_500_000), ("BTC", "12.5")])
    book.write_text(book.read_text().replace("simulated", "deribit"))
    words = ("--metric", "margin", "--hedged", "--config", config)
    ladder = asked(capsys, tape, book, *words)["ladder"]
    (perp,) = (x for x in exposures(capsys, tape, book)["positions"] if x["symbol"] == "BTC-PERPETUAL")
    index = exposures(capsys, tape, book)["underlyings"][0]["index"]
    bought = sum(
        float(t["quantity"]) * (1 if t["side"] == "buy" else -1)
        for t in ticket(capsys, tape, book)["trades"]
        if t["symbol"] == "BTC-PERPETUAL"
    )
    assert bought > 0
    for move in (-20, 0, 10):
        for side, dollars in (("unhedged", -2_500_000.0), ("hedged", -2_500_000.0 + bought)):
            coins = abs(dollars) / (perp["mark"] * (1 + move / 100))
            margin = coins * (0.02 + 0.00005 * coins) * index * (1 + move / 100)
            assert cell(ladder, side, move, 5, 1) == pytest.approx(margin, rel=1e-9)
    assert ladder["notes"][0] == "initial margin by the standard model of deribit"
    in_coin = asked(capsys, tape, book, *words, "--numeraire", "coin")["ladder"]
    assert in_coin["unit"] == "coin"
    assert cell(in_coin, "unhedged", 10) == pytest.approx(
        cell(ladder, "unhedged", 10) / index / 1.1, rel=1e-9
    )
