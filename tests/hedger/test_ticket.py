"""What a trader reads: the words and figures of the ticket, at the width of a small terminal."""

from __future__ import annotations

import io
import math
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from hedger.documents import plain
from hedger.planning import HedgePlan, make_plan
from hedger.problem.snapshot import take_snapshot
from hedger.sample import DEMO_BOOK, market_maker_book
from hedger.settings import Settings
from hedger.ticket import dressed, grouped, risk_view, ticket_view, usd
from pricing.market import Market
from pricing.valuation import Numeraire, value
from tests.hedger.command_line import hedger, ticket
from venues.simulated import SimulatedMarket


@pytest.fixture(scope="module")
def plan() -> HedgePlan:
    """Of the demo's book: delta, gamma and vega are out."""
    settings = Settings.model_validate({"solver": {"columns": 24, "gap": 5e-3}})
    source = SimulatedMarket(7)
    market = Market.empty(source.universe).apply(source.marks())
    book = market_maker_book(market, value(market, 600.0), 7, 600.0, DEMO_BOOK)
    return make_plan(take_snapshot(book, market, settings), settings)


def shown(view: object, width: int = 80, *, terminal: bool = False, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width, force_terminal=terminal, highlight=False).print(view)
    file.seek(0)
    return file.read()


def lines_with(text: str, *words: str) -> list[str]:
    return [line for line in text.splitlines() if all(word in line for word in words)]


def test_the_ticket_says_what_is_out_what_to_do_what_it_costs_what_it_leaves(plan: HedgePlan) -> None:
    text = shown(ticket_view(plan))
    snapshot = plan.snapshot
    assert "HEDGE TICKET 2026-03-02T12:00:00Z: HEDGE" in text.splitlines()[0]
    breached = [
        r
        for r, b in zip(snapshot.exposure.rows, snapshot.bands.breached(snapshot.exposure.value), strict=True)
        if b
    ]
    assert breached
    for row in breached:
        greek, coin, *_ = row.split(":")
        i = snapshot.exposure.rows.index(row)
        before, after = (
            f"{dressed(row, float(x[i]), snapshot.spot, snapshot.numeraire):,.0f}"
            for x in (snapshot.exposure.value, plan.after)
        )
        assert lines_with(text, "OUT", coin, greek, before, after)
    for trade in plan.trades:
        words = (
            str(trade.side).upper(),
            trade.listing.symbol,
            grouped(trade.quantity),
            plain(trade.limit_price),
        )
        assert len(lines_with(text, *words)) == 1
    assert f"Costs {usd(plan.cost.total)} USD (" in text
    assert f"No plan costs less than {usd(plan.lower_bound_usd)} USD" in text
    assert "Next best, perpetual and one option: " in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal_and_no_symbol_is_cut(plan: HedgePlan, width: int) -> None:
    for view in (ticket_view(plan), risk_view(plan.snapshot)):
        text = shown(view, width)
        assert max(len(line) for line in text.splitlines()) <= width
        assert "…" not in text
    text = shown(ticket_view(plan), width)
    assert all(lines_with(text, trade.listing.symbol) for trade in plan.trades)


def test_a_narrow_screen_folds_and_loses_nothing(plan: HedgePlan) -> None:
    text = shown(ticket_view(plan), 60)
    for trade in plan.trades:
        assert lines_with(text, grouped(trade.quantity), plain(trade.limit_price))


def test_a_delta_hedge_says_what_it_leaves_out(plan: HedgePlan) -> None:
    """It costs less because it does less: a bare price beside the plan's would mislead."""
    assert plan.delta_only is not None
    text = " ".join(shown(ticket_view(plan), 1000).split())
    assert f"Delta only, perpetuals: {usd(plan.delta_only.cost_usd)} USD" in text
    assert "leaves out " in text
    left = text.split("leaves out ")[1]
    assert "gamma per 1 %" in left or "vega per point" in left


def test_without_a_terminal_there_are_no_escape_codes(plan: HedgePlan) -> None:
    assert "\x1b" not in shown(ticket_view(plan)) + shown(risk_view(plan.snapshot))
    assert "\x1b" in shown(risk_view(plan.snapshot), terminal=True)


def test_an_old_screen_gets_plain_lines(plan: HedgePlan) -> None:
    assert shown(ticket_view(plan), encoding="ascii").isascii()


def test_expiries_are_in_the_same_terms_as_the_rows(plan: HedgePlan) -> None:
    """By expiry, vega per point adds up to the row above it."""
    snapshot = plan.snapshot
    text = shown(risk_view(snapshot))
    for coin in snapshot.underlyings:
        by_expiry = [
            line.split()
            for line in text.splitlines()
            if line.split()[:1] == [coin] and "-" in line.split()[1]
        ]
        assert by_expiry
        total = sum(float(cells[-2].replace(",", "")) for cells in by_expiry)
        row = dressed(
            f"vega:{coin}", snapshot.exposure.row(f"vega:{coin}"), snapshot.spot, snapshot.numeraire
        )
        assert total == pytest.approx(row, abs=len(by_expiry))


def test_the_command_prints_what_fits_a_small_terminal(
    tape: Path, book: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for verb in ("plan", "risk"):
        ran = hedger(capsys, verb, "--book", book, "--market", tape)
        assert (ran.code, ran.err) == (0, "")
        assert "\x1b" not in ran.out
        assert max(map(len, ran.out.splitlines())) <= 80
    plan = ticket(capsys, tape, book)
    out = hedger(capsys, "plan", "--book", book, "--market", tape).out
    assert all(trade["symbol"] in out for trade in plan["trades"])


def test_a_quiet_book_says_so(tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = tmp_path / "book.csv"
    quiet.write_text("venue,symbol,quantity\nsimulated,BTC,1\n")
    out = hedger(capsys, "plan", "--book", quiet, "--market", tape).out
    assert "NO TRADE" in out and "every row is inside its trigger interval" in out
    assert "What to do" not in out and "Next best" not in out


@pytest.mark.parametrize(
    ("row", "amount", "numeraire", "desk"),
    [
        ("delta:BTC", 2.0, Numeraire.USD, 100_000.0),
        ("gamma:BTC", 0.004, Numeraire.USD, 100_000.0),
        ("vega:BTC:0-7d", 5_000.0, Numeraire.USD, 50.0),
        ("theta:BTC", -365.0, Numeraire.USD, -1.0),
        ("delta:BTC", 2.0, Numeraire.COIN, 100_000.0),
        ("gamma_expiring:BTC", 200.0, Numeraire.COIN, 100_000.0),
        ("vega_weighted:BTC", 0.1, Numeraire.COIN, 50.0),
        ("theta:BTC", 0.0073, Numeraire.COIN, 1.0),
    ],
)
def test_rows_in_the_terms_of_the_desk(row: str, amount: float, numeraire: Numeraire, desk: float) -> None:
    assert dressed(row, amount, {"BTC": 50_000.0}, numeraire) == pytest.approx(desk, rel=1e-12)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("12340", "12,340"),
        ("0.1", "0.1"),
        ("-0.5", "-0.5"),
        ("1234567.8900", "1,234,567.89"),
        ("1E+4", "10,000"),
    ],
)
def test_quantities_for_people(amount: str, text: str) -> None:
    assert grouped(Decimal(amount)) == text


def test_dollars_for_people() -> None:
    assert [usd(x) for x in (0.0, 999.994, 1000.4, -1e6, math.nan)] == [
        "0.00",
        "999.99",
        "1,000",
        "-1,000,000",
        "-",
    ]
