"""Report, `hedger pnl` and the fills' table are of one P&L, and say so in the same figures."""

from __future__ import annotations

import math

import pytest

from tests.hedger.command_line import hedger
from tests.hedger.report.made import Made


def test_the_report_splits_as_pnl_does(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "pnl", "--journal", made.journal, "--tape", made.tape, "--json")
    by_verb, by_report = ran.json, made.document["pnl"]
    assert by_report["attribution_usd"]["fees"] < 0
    assert {k: x for k, x in by_verb["attribution_usd"].items() if k != "pnl"} == by_report["attribution_usd"]
    for name in ("from", "to", "days", "underlyings", "pnl_usd"):
        assert by_verb[name] == by_report[name], name


@pytest.mark.parametrize("apart_s", [0, 60, 7200])
def test_fees_do_not_hang_on_the_spacing(
    apart_s: int, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """By cause and by ledger they are what the table of fills has, each at the index of its moment."""
    paid = math.fsum(row["fee_usd"] for row in made.table("fills"))
    words = ("pnl", "--journal", made.journal, "--tape", made.tape, "--apart-s", apart_s, "--json")
    found = hedger(capsys, *words).json
    assert paid > 0
    assert found["attribution_usd"]["fees"] == pytest.approx(-paid, rel=1e-9)
    assert found["ledger_usd"]["fees"] == pytest.approx(-paid, rel=1e-9)
    assert found["ledger_usd"]["total"] == pytest.approx(found["pnl_usd"], rel=1e-9)
