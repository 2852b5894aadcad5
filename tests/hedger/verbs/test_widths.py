"""What the verbs print on terminals of many widths: no number is cut, and what is left out is said."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hedger.desk.views import profit_text
from hedger.limits_file import load_limits
from hedger.runs.replay import replay
from hedger.settings import Settings
from hedger.text_width import beginning, commented, wrapped
from hedger.width_table import Fitted
from tests.hedger.command_line import hedger, make_book, make_tape
from venues.tape import Tape

WIDTHS = (60, 80, 120, 200)
#: A desk of some size: nine digits of USD, coins to the satoshi.
ROWS = [
    ("BTC-27MAR26-68000-C", -1_800),
    ("ETH-27MAR26-2100-P", -25_000),
    ("BTC-PERPETUAL", -12_345_670),
    ("BTC", "1250.12345678"),
    ("ETH", "9876.54321"),
    ("USDC", "123456789.12"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A tape, a book, and the journal of their replay."""
    folder = tmp_path_factory.mktemp("widths")
    tape = make_tape(folder / "tape", seed=7, batches=6)
    book, journal = make_book(folder / "book.csv", ROWS), folder / "a.journal"
    replay(Tape.open(tape), book, Settings(), load_limits(None), journal)
    return tape, book, journal


def words_of(verb: str, desk: tuple[Path, Path, Path]) -> Sequence[object]:
    """The command line of a verb."""
    tape, book, journal = desk
    of_journal = ("--journal", journal)
    return {
        "status": ("status", *of_journal),
        "orders": ("orders", "--all", *of_journal),
        "pnl": ("pnl", *of_journal, "--tape", tape),
        "venues": ("venues", *of_journal, "--tape", tape),
        "risk": ("risk", *of_journal, "--tape", tape),
        "whatif": ("whatif", *of_journal, "--tape", tape, "--hedged", "--stress", "all"),
        "plan": ("plan", "--book", book, "--market", tape),
        "journal show": ("journal", "show", *of_journal),
        "limits show": ("limits", "show"),
        "limits codes": ("limits", "codes"),
    }[verb]


def words(text: str) -> set[str]:
    """The words of a text, without what frames them."""
    return {word.strip("(),;:│") for word in text.split()}


def numbers(text: str) -> set[str]:
    """Those with a digit in them."""
    return {word for word in words(text) if re.search(r"\d", word)}


class Shown:
    """What a verb prints at a width, its document, and what it prints where nothing ends the line."""

    def __init__(
        self,
        verb: str,
        width: int,
        desk: tuple[Path, Path, Path],
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        words = words_of(verb, desk)
        monkeypatch.setenv("COLUMNS", str(width))
        ran = hedger(capsys, *words)
        assert ran.code == 0, ran.err
        self.text = ran.out
        monkeypatch.setenv("COLUMNS", "3000")
        self.whole = hedger(capsys, *words).out
        self._ask = partial(hedger, capsys, *words, "--json")

    @property
    def json(self) -> Any:
        """The document."""
        return self._ask().json

    @property
    def left_out(self) -> str:
        """The columns that are said to be left out."""
        flat = " ".join(self.text.replace("│", " ").split())
        return ", ".join(re.findall(r"Left out for want of room: (.*?); --json or a wider terminal", flat))


@pytest.fixture
def shown(request: pytest.FixtureRequest) -> Any:
    """Makes what a verb shows."""
    parts = [request.getfixturevalue(name) for name in ("desk", "capsys", "monkeypatch")]
    return lambda verb, width: Shown(verb, width, *parts)


VERBS = ("status", "orders", "pnl", "venues", "risk", "whatif", "plan", "limits show", "limits codes")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("verb", VERBS)
def test_no_line_is_too_long_and_no_number_is_lost(verb: str, width: int, shown: Any) -> None:
    found = shown(verb, width)
    assert max(map(len, found.text.splitlines())) <= width
    lost = numbers(found.whole) - numbers(found.text)
    if found.left_out:
        assert width < 120
        document = found.json
        spared = {
            f"{e['forward']:,.{0 if e['forward'] >= 1000 else 2}f}" for e in document.get("expiries", ())
        }
        spared |= {f"{trade['expected_price']:.7g}" for trade in document.get("trades", ())}
        lost -= spared
    assert lost == set()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_of_an_order_stands_whole(width: int, shown: Any) -> None:
    found = shown("orders", width)
    orders = found.json["orders"]
    assert len(orders) >= 4 and any(len(order["symbol"]) > 18 for order in orders)
    for order in orders:
        for key in ("client_id", "symbol", "quantity", "price", "filled", "reserved"):
            assert str(order[key]) in words(found.text), (order, key)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_of_the_pnl_stands_whole(width: int, shown: Any) -> None:
    found = shown("pnl", width)
    document = found.json
    told = [document["attribution_usd"], document["ledger_usd"]]
    told += [day[name] for day in document["days"] for name in ("attribution_usd", "ledger_usd")]
    figures = [x for parts in told for x in parts.values()]
    assert max(map(abs, figures)) > 100_000
    for x in figures:
        if abs(x) >= 0.5:
            assert f"{round(x):,}" in numbers(found.text), x
    for name in ("pnl_usd", "harvest_usd"):
        assert f"{document[name]:,.2f}" in numbers(found.text)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_of_a_ticket_stands_whole(width: int, shown: Any) -> None:
    found = shown("plan", width)
    document = found.json
    assert len(document["trades"]) >= 2
    for trade in document["trades"]:
        quantity = f"{Decimal(trade['quantity']):,f}"
        cost = f"{sum(trade['cost_usd'].values()):,.2f}"
        for figure in (trade["symbol"], quantity, trade["limit_price"], cost):
            assert figure in words(found.text), (trade, figure)
    assert f"{document['cost_usd']:,.0f}" in numbers(found.text)


@pytest.mark.parametrize("width", WIDTHS)
def test_records_break_between_figures_and_are_all_there(width: int, shown: Any) -> None:
    found = shown("journal show", width)
    lines = found.text.splitlines()
    # what is longer than a line has no place to break: a hash
    long = [line for line in lines if len(line) > width]
    assert all(re.search(r"[0-9a-f]{64}", line) for line in long) and (width <= 80 or not long)
    assert "".join(found.text.split()) == "".join(found.whole.split())
    pairs = pairwise(lines)
    assert not [p for p in pairs if re.search(r"\d[,.]?$", p[0]) and re.match(r" +\d", p[1])
                and f"{p[0].split()[-1]} {p[1].split()[0]}" not in found.whole]  # fmt: skip
    bodies = {record["number"]: record["body"] for record in found.json["records"]}
    assert len(bodies) == sum(bool(re.match(r"\d+ 20", line)) for line in lines)
    for line in found.whole.splitlines():
        if cut := re.search(r"[:,](-?\d[\d.]*),?\.\.\. \(", line):  # the last figure before the cut
            assert cut[1] in set(re.findall(r"-?\d[\d.]*", str(bodies[int(line.split()[0])])))


@pytest.mark.parametrize("verb", ["risk", "plan"])
def test_in_a_pipe_nothing_is_left_out(
    verb: str,
    desk: tuple[Path, Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a terminal and without COLUMNS nothing ends a line: as where there is room for any."""
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = hedger(capsys, *words_of(verb, desk)).out
    monkeypatch.setenv("COLUMNS", "3000")
    assert shown == hedger(capsys, *words_of(verb, desk)).out
    assert "Left out for want of room" not in shown and max(map(len, shown.splitlines())) > 80


# ------------------------------------------------------------------------------------------------- the pieces


@pytest.mark.parametrize("width", range(20, 60))
def test_a_line_breaks_between_words_alone(width: int) -> None:
    line = (
        "  ETH 1,234,567.89 at -0.00012345 (99 %: 12,000,000.5), 2026-03-02T12:20:00.005000Z, a,b,[1,2.5,3]"
    )
    pieces = wrapped(line, width)
    assert pieces[0].startswith("  ETH") and all(piece.startswith(" " * 6) for piece in pieces[1:])
    assert max(map(len, pieces)) <= max(width, 6 + len("2026-03-02T12:20:00.005000Z,"))
    assert "".join("".join(pieces).split()) == "".join(line.split())
    assert numbers(line) <= numbers("\n".join(pieces)) | {"a,b,[1,2.5,3]"}


def test_a_text_ends_where_a_line_may() -> None:
    text = '{"cash":{"BTC":"27.854631105250","ETH":"-199.176"},"seq":[1,25,-3]}'
    assert all(not beginning(text, n).endswith(("27.8", "27.", "-19", "2")) for n in range(2, len(text)))
    assert beginning("7" * 50, 20) == "7" * 20


def test_a_comment_that_does_not_fit_stands_above_what_it_says() -> None:
    line = 'venues = ["a#b", "c"]        # where orders may go, and where none ever may'
    assert commented(line, 40) == [
        "# where orders may go, and where none",
        "# ever may",
        'venues = ["a#b", "c"]',
    ]
    assert commented("plain = 1", 5) == ["plain = 1"]


@pytest.mark.parametrize("width", range(24, 90, 3))
def test_a_table_is_whole_or_short_of_a_column_or_a_list(width: int) -> None:
    table = Fitted(
        ["side", "instrument"], ["quantity", "limit", "expected"], spare=["expected"], title="Legs"
    )
    rows = [("BUY", "BTC-27MAR26-100000-C", "1,234,567.125", "0.0455", "0.04512345"),
            ("SELL", "ETH-PERPETUAL", "12,345,678", "1985.15", "1985.342")]  # fmt: skip
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    text = out.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    spared = "Left out for want of room: expected" in " ".join(text.split())
    for row in rows:
        assert {*row[1:4], *([] if spared else row[4:])} <= words(text)


def test_days_and_spots_that_do_not_fit_go_on_below() -> None:
    """By hand: fourteen causes of nine digits, and a ladder of thirteen spots."""
    causes = {f"cause{i}": -123_456_789.0 - i for i in range(3)}
    parts = {"delta": -1_234_567_890.4, "gamma": 22_333.0, "fees": -0.2, "residual": 0.3, "pnl": 1.0}
    day = {
        "day": "2026-03-02",
        "attribution_usd": parts,
        "ledger_usd": {"fees": -1.0, "total": 1.0, **causes},
    }
    document = {
        "pnl_usd": 1.0, "from": "a", "to": "b", "days": [day], "attribution_usd": parts,
        "ledger_usd": day["ledger_usd"], "ledger_difference_usd": -1e-9, "marks_passed_over": 0,
        "before_first_mark": None,
        "since_hedge": None, "apart_s": 300.0, "harvest_usd": -0.001, "alerts": [], "unknown": [],
    }  # fmt: skip
    text = profit_text(document, 40)
    assert {"-1,234,567,890", "22,333"} <= numbers(text) and max(map(len, text.splitlines())) <= 80
    assert (
        "of it unexplained 0.30 USD, valued at fills and marks 300 s or more apart;" in text
        and "text: 1 s, and each fill" in text
    )
    assert "ledger less causes: 0.00 USD" in text and "theta: 0.00 USD" in text
    assert not re.search(r"-0(?:\.0+)?(?![\d.])", text)
