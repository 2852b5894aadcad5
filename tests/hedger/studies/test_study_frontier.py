"""`hedger study frontier`: its document, its tables and pictures, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hedger.cli import main
from hedger.studies.frontier import POLICIES
from hedger.studies.frontier_report import at_equal_cost

SMALL = ["study", "frontier", "--paths", "40", "--days", "2", "--cost-bps", "5,20"]


def run(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, str, str]:
    code = main([*SMALL, *flags])
    said = capsys.readouterr()
    return code, said.out, said.err


def document(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    code, out, _ = run(capsys, "--json", *flags)
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_document(capsys: pytest.CaptureFixture[str]) -> None:
    result = document(capsys)
    assert (result["model"], result["seed"], result["paths"]) == ("gbm", 7, 40)
    grids = {
        "none": [{}],
        "calendar": [{"interval_h": h} for h in (0.5, 4.0, 12.0, 24.0, 48.0)],
        "fixed_centre": [{"width_coin": w} for w in (0.02, 0.05, 0.1)],
        "leland": [{"interval_h": h} for h in (0.5, 4.0, 12.0, 24.0, 48.0)],
    }
    grids["fixed_edge"] = grids["fixed_centre"]
    averse = [{"risk_aversion": a} for a in (0.1, 0.3, 1.0, 3.0, 10.0)]
    for policy in POLICIES:
        for bps in (5.0, 20.0):
            rows = [row for row in result["rows"] if (row["policy"], row["cost_bps"]) == (policy, bps)]
            assert [row["parameters"] for row in rows] == grids.get(policy, averse)
            for row in rows:
                figures = [row[name] for name in ("mean_cost", "sd_gross", "sd_net", "es5_net", "trades")]
                assert all(isinstance(x, float) for x in figures)
                assert row["es5_net"] < row["mean_net"]
                assert (row["trades"] == 0) == (policy == "none")


def test_same_seed_same_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "--model", "jump") == document(capsys, "--model", "jump")
    other = document(capsys, "--model", "jump", "--seed", "8")
    assert other["rows"] != document(capsys, "--model", "jump")["rows"]


def test_costs_scale_with_the_price_of_the_coin(capsys: pytest.CaptureFixture[str]) -> None:
    # a coin of 60,000 is a coin of 100 counted in other units: risk aversion per USD scales the other way
    small = {(r["policy"], str(r["parameters"])): r for r in document(capsys)["rows"]}
    large = {(r["policy"], str(r["parameters"])): r for r in document(capsys, "--spot", "60000")["rows"]}
    for key in (("calendar", "{'interval_h': 4.0}"), ("fixed_edge", "{'width_coin': 0.05}")):
        for name in ("mean_cost", "sd_gross", "sd_net", "es5_net"):
            assert large[key][name] == pytest.approx(600.0 * small[key][name], rel=1e-9)
        assert large[key]["trades"] == small[key]["trades"]


def test_a_book_of_both_signs_has_reasons_where_it_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    result = document(capsys, "--options", "short:1@100,long:0.8@105", "--model", "heston")
    assert [leg["quantity"] for leg in result["book"]] == [-1.0, 0.8]
    for row in result["rows"]:
        refused = row["policy"] in ("leland", "zakamouline")
        assert ("refused" in row) == refused
        assert (row["sd_net"] is None) == refused
    code, out, _ = run(capsys, "--options", "short:1@100,long:0.8@105")
    assert code == 0
    assert "both" in out


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert code == 0
    assert "100 %" in err
    for policy in POLICIES:
        assert policy in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_risk_at_equal_cost() -> None:
    def row(policy: str, cost: float, risk: float) -> dict[str, Any]:
        return {"policy": policy, "cost_bps": 5.0, "mean_cost": cost, "sd_net": risk, "es5_net": -2 * risk}

    # Whalley-Wilmott: risk = 1/cost, a line in logarithms; the other policy twice and three times that
    rows = [row("whalley_wilmott", c, 1 / c) for c in (1.0, 4.0)]
    rows += [row("calendar", 2.0, 1.0), row("calendar", 3.0, 1.0), row("calendar", 5.0, 9.0)]
    (found,) = at_equal_cost(rows)
    assert found["policy"] == "calendar"
    assert found["points"] == 2  # one costs more than any setting of the yardstick
    assert found["sd_net"] == pytest.approx([2.0, 3.0])
    assert found["es5_net"] == pytest.approx([2.0, 3.0])
    assert at_equal_cost(rows[1:]) == []


def test_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "frontier.html"
    code, _, _ = run(capsys, "--picture", str(page))
    assert code == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("plotly-graph-div") == 2  # one chart per cost level
    assert re.search(r"<script[^>]+src=", text) is None
    for policy in set(POLICIES) - {"none"}:
        assert f'"name":"{policy}"' in text


def test_png(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "frontier.png"
    code, _, _ = run(capsys, "--picture", str(picture))
    assert code == 0
    data = picture.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert width > 1000
    assert height > 400


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--picture", "frontier.pdf"], "PICTURE_KIND"),
        (["--picture", "nowhere/frontier.png"], "PICTURE_NOT_WRITTEN"),
        (["--picture", "nowhere/frontier.html"], "PICTURE_NOT_WRITTEN"),
        (["--paths", "1"], "STUDY_FRONTIER"),
        (["--paths", "1000000000"], "STUDY_FRONTIER"),
        (["--vol", "600"], "STUDY_FRONTIER"),
        (["--vol", "0.00001"], "STUDY_FRONTIER"),
        (["--days", "1e9"], "STUDY_FRONTIER"),
        (["--days", "0.001"], "STUDY_FRONTIER"),
        (["--spot", "1e12"], "STUDY_FRONTIER"),
        (["--cost-bps", "5,5"], "USAGE"),
        (["--cost-bps", "-1"], "USAGE"),
        (["--cost-bps", "nan"], "USAGE"),
        (["--cost-bps", ""], "USAGE"),
        (["--options", "1@100"], "USAGE"),
        (["--options", "short:0@100"], "USAGE"),
        (["--options", "short:nan@100"], "USAGE"),
        (["--options", "long:1@"], "USAGE"),
        (["--model", "sabr"], "USAGE"),
        (["--lot", "-1"], "USAGE"),
        (["--seed", "1.5"], "USAGE"),
    ],
)
def test_bad_requests(capsys: pytest.CaptureFixture[str], flags: list[str], word: str) -> None:
    code, out, err = run(capsys, *flags)
    assert code == 2
    assert word in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    "flags",
    [
        ["--cost-bps", "0"],
        ["--checks-per-day", "1"],
        ["--fixed-cost-usd", "0.5"],
        ["--lot", "0"],
        ["--lot", "5"],
        ["--options", "long:2@90", "--cost-bps", "1000"],
        ["--listed-strike-pct", "1"],
        ["--listed-spread-points", "0"],
        ["--model", "heston", "--vol", "3", "--days", "100", "--checks-per-day", "1"],
        ["--model", "jump", "--vol", "0.05", "--checks-per-day", "2"],
    ],
)
def test_odd_requests_have_finite_answers_or_reasons(
    capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    result = document(capsys, *flags)
    for row in result["rows"]:
        assert ("refused" in row) == (row["sd_net"] is None)
        if "refused" not in row:
            assert row["mean_cost"] >= 0.0
