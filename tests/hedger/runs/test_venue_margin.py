"""The doctor on margin: good where the venue tells its figures or a model is proven, bad where orders would
be refused; and on the file of hard limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hedger.margin_models import venue_models, without_table
from hedger.runs.checks import Check, Finding
from hedger.runs.venue_margin import check_limits_file, check_margin, check_paper_margin
from hedger.sections.venues import VenueName
from hedger.settings import Settings
from risk.margin_terms import MarginModel
from tests.hedger.command_line import hedger, make_book
from venues.errors import Unreachable, VenueError
from venues.orders import EVERY_CURRENCY, AccountMargin, AccountReport
from venues.simulated import SimulatedMarket
from venues.simulated_tape import tape_frames
from venues.tape import write

NOW_NS = 1_798_761_600_000_000_000  # 2027-01-01: after Deribit's standard model has changed
BEFORE_NS = 1_767_225_600_000_000_000  # 2026-01-01
TOLD = {"BTC": AccountMargin(100.0, 1.0, 1.0)}


def told(margins: Mapping[str, AccountMargin], cash: Mapping[str, float] | None = None) -> AccountReport:
    """A report that says so much of the account's margin."""
    return AccountReport("v", "", NOW_NS, (), {}, {}, margins=margins, cash=cash)


def found(
    venue: VenueName,
    report: AccountReport | VenueError,
    limits: Path | None = None,
    mode: str = "live",
    **keys: Any,
) -> Check:
    desk = Settings.model_validate(
        {"run": {"mode": mode}, "venues": {venue: keys}, "limits_file": str(limits or "")}
    )
    (check,) = check_margin(desk, venue, report, NOW_NS)
    return check


def test_figures_of_the_venue_are_good_and_say_what_an_order_adds() -> None:
    check = found("deribit", told(TOLD))
    assert check.finding is Finding.GOOD and "BTC" in check.text and "0.35" in check.text


def test_a_pool_and_a_spot_wallet_are_told_in_words() -> None:
    pool = found("bybit", told({EVERY_CURRENCY: AccountMargin(100.0, 1.0, 1.0)}))
    assert pool.finding is Finding.GOOD and "all currencies together, in USD" in pool.text
    cash = found("binance", told({}, {"USDT": 5.0}))
    assert cash.finding is Finding.GOOD and "spot" in cash.text
    assert found("binance", told({}, {})).finding is Finding.BAD


@pytest.mark.parametrize("margin", ["reported", "portfolio", "standard"])
def test_live_without_a_margin_that_is_known_is_bad_and_names_the_key(margin: str) -> None:
    check = found("okx", told({}), margin=margin)
    assert (check.finding, check.code) == (Finding.BAD, "MARGIN_UNKNOWN")
    assert "margin.unproven_venues" in check.text and "venues.okx.margin" in check.text
    assert found("okx", told({}), mode="paper", margin=margin).finding is Finding.NOTE


def test_what_a_person_watches_is_a_note(tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text('[margin]\nunproven_venues = ["okx"]\n')
    check = found("okx", told({}), limits)
    assert check.finding is Finding.NOTE and "a person" in check.text


@pytest.mark.parametrize(("margin", "word"), [("portfolio", "estimate"), ("standard", "new standard margin")])
def test_models_of_the_package_that_are_not_proven_are_bad(margin: str, word: str) -> None:
    check = found("deribit", told(TOLD), margin=margin)
    assert check.finding is Finding.BAD and word in check.text


def test_an_account_that_does_not_answer_is_for_the_start_to_judge() -> None:
    assert found("deribit", Unreachable("NO_ANSWER", "no answer")).finding is Finding.NOTE


def test_the_models_are_those_that_the_venues_sections_name() -> None:
    desk = Settings.model_validate(
        {"venues": {"deribit": {"margin": "standard"}, "okx": {"margin": "standard"}}}
    )
    models = venue_models(desk, ["deribit", "okx"], BEFORE_NS)
    assert {name: model for name, (model, _) in models.items()} == {"deribit": MarginModel.STANDARD}
    assert venue_models(Settings.model_validate({"venues": {"deribit": {}}}), ["deribit"], NOW_NS) == {}


def test_a_missing_file_of_limits_is_bad(tmp_path: Path) -> None:
    check = check_limits_file(Settings(limits_file=str(tmp_path / "none.toml")))
    assert check is not None and (check.finding, check.code) == (Finding.BAD, "LIMITS_UNREADABLE")
    (tmp_path / "limits.toml").write_text("")
    good = check_limits_file(Settings(limits_file=str(tmp_path / "limits.toml")))
    assert good is not None and good.finding is Finding.GOOD
    assert check_limits_file(Settings()) is None


@pytest.mark.parametrize(
    ("run", "margin", "finding"),
    [
        ({}, "none", None),
        ({}, "standard", Finding.GOOD),
        ({"feed": ["deribit"]}, "portfolio", Finding.GOOD),
        ({"feed": ["deribit", "okx"]}, "standard", Finding.NOTE),
        ({"feed": ["okx"], "mode": "live"}, "standard", None),
    ],
)
def test_a_model_that_paper_names_and_no_table_tells_is_said(
    run: dict[str, Any], margin: str, finding: Finding | None
) -> None:
    desk = Settings.model_validate({"run": run, "paper": {"margin": margin}})
    check = check_paper_margin(desk, BEFORE_NS)
    assert (check and check.finding) == finding
    if check is not None and finding is Finding.NOTE:
        assert "named, but no table of okx is known" in check.text
        assert check.text == without_table(desk.paper, desk.run.feed, BEFORE_NS)


def test_a_replay_on_a_venue_without_a_table_says_so_at_its_start_and_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listings, quotes, depth = tape_frames(SimulatedMarket(7), 2, 60.0)
    named = pl.lit("okx").alias("venue")
    of_okx = [replace(listing, venue="okx") for listing in listings]
    write(tmp_path / "tape", of_okx, quotes.with_columns(named), depth.with_columns(named))
    book = make_book(tmp_path / "book.csv", [("BTC-PERPETUAL", 1_000)])
    book.write_text(book.read_text().replace("simulated", "okx"))
    (config := tmp_path / "config.toml").write_text('[paper]\nmargin = "standard"\n')
    ran = hedger(capsys, "replay", tmp_path / "tape", "--book", book, "--config", config)
    assert ran.code == 0 and 'paper.margin "standard" is named, but no table of okx is known' in ran.err
    said = " ".join(ran.out.split())
    assert "the standard model is named, but no table of okx is known" in said
    assert "marks 1 s or more apart; `hedger pnl`: 60 s" in said
