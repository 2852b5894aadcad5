"""Sheets of text, and what is reckoned for dialogs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hedger.dashboard.effects import (
    MarketNow,
    Paid,
    PreviewSeen,
    Price,
    band_effect,
    paid,
    too_far,
    why_not_send,
)
from hedger.dashboard.sheet import Column, Line, Section, laid_out, matching
from hedger.figures import figure

COLUMNS = (Column("name", 6, left=True), Column("a", 5), Column("b", 5, 2), Column("c", 5, 1))
SHEET = (Section("title", COLUMNS, (Line("x", ("one", "1", "2", "3")), Line("y", ("two", "4", "5", "6")))),)


@pytest.mark.parametrize(
    ("width", "line"),
    [(26, "  one        1     2     3"), (20, "  one        1     3"), (14, "  one        1")],
)
def test_columns_of_the_highest_rank_go_first(width: int, line: str) -> None:
    assert laid_out(SHEET, width)[2].text == line


@pytest.mark.parametrize(
    ("width", "line"), [(26, "  one        1     2     3"), (25, "  one"), (20, "  one")]
)
def test_columns_that_are_paired_go_together(width: int, line: str) -> None:
    columns = (COLUMNS[0], *(Column(name, 5, 1, paired=True) for name in "abc"))
    assert laid_out((replace(SHEET[0], columns=columns),), width)[2].text == line


def test_a_number_that_changes_moves_nothing() -> None:
    for number in ("9", "-12.5k", "?"):
        other = (Section("title", COLUMNS, (Line("x", ("one", number[:5], "2", "3")),)),)
        assert laid_out(other, 30)[2].text[-6:] == "     3"


@given(st.text(), st.integers(10, 300))
def test_no_line_is_wider_than_the_screen_or_breaks_it(text: str, width: int) -> None:
    sheet = (Section(text, (), (Line("k", (text,)),)), Section("", COLUMNS, (Line("j", (text,) * 4),)))
    for drawn in laid_out(sheet, width):
        assert cell_len(drawn.text) <= max(width, 26)
        assert drawn.text.isprintable() or not drawn.text


def test_wide_letters_take_two_cells_and_move_no_column() -> None:
    wide = (Section("", COLUMNS, (Line("x", ("系统繁忙", "1", "请稍后", "3")),)),)
    plain = (Section("", COLUMNS, (Line("x", ("busy", "1", "wait", "3")),)),)
    (shown,), (other,) = (laid_out(one, 40)[1:] for one in (wide, plain))
    assert cell_len(shown.text) == cell_len(other.text) == len(other.text)
    assert shown.text.startswith("  系统 … ") and shown.text.endswith("     3")


@given(st.floats())
def test_a_figure_has_at_most_nine_characters_and_unknown_is_never_zero(x: float) -> None:
    text = figure(x)
    if abs(x) < 1e12 and (x == 0.0 or abs(x) > 1e-9):
        assert len(text) <= 9
    assert (text == "0") == (x == 0.0)
    assert (text == "?") == (not math.isfinite(x))


def test_what_a_band_would_have_changed() -> None:
    history = [(i * 10**9, float(x)) for i, x in enumerate((0, 2, 0, 2, 4, 0))]
    old, new = ((-1.0, 1.0), (-0.5, 0.5)), ((-3.0, 3.0), (-1.0, 1.0))
    told = band_effect(history, old, new, Price("coin", 100.0), Paid(2.0, 4))
    assert "outside the old trigger 50 % of the looks, 2 times" in told
    assert "outside the new trigger 17 % of the looks, 1 time" in told
    # old: at 2 to 0.5; again at 2, and at 4, which that hedge would have left at 2.5; new: at 4 to 1
    assert told[3:5] == [
        "old: about 3 hedges, moving 5 coin, 500 USD, cost 0.10 USD",
        "new: about 1 hedge, moving 3 coin, 300 USD, cost 0.06 USD",
    ]
    assert told[5] == "estimated at 2.00 bp, of 4 hedges of late; the new band saves 0.04 USD"
    assert (
        "the new band costs 0.04 USD" in band_effect(history, new, old, Price("coin", 100.0), Paid(2.0, 4))[5]
    )
    assert "unknown" in band_effect([], old, new, Price("coin"), None)[0]
    for price, word in (
        (Price("coin", 100.0), "no hedge on record"),
        (Price("USD/vol"), "only a delta's move"),
    ):
        *_, shown, last = band_effect(history, old, new, price, None)
        assert "unknown" in last and word in last and "cost" not in shown


def test_what_hedges_cost_is_fee_and_slippage_over_what_they_traded() -> None:
    def ended(fee: float | None, slippage: float, turnover: float) -> dict[str, object]:
        return {"verification": {"fee_usd": fee, "slippage_usd": slippage, "turnover_usd": turnover}}

    none: list[dict[str, object]] = [
        {},
        {"verification": None},
        ended(0.0, 0.0, 0.0),
        ended(None, 1.0, 5_000.0),
    ]
    found = paid([*none, ended(3.0, -1.0, 10_000.0), ended(1.0, 0.0, 5_000.0)])
    assert found is not None and found.hedges == 2
    assert found.bps == pytest.approx(2.0)  # 3 USD on 15,000
    assert paid(none) is None


def test_a_band_changes_within_a_cap() -> None:
    assert too_far((-1.0, 1.0), (-5.0, 5.0)) == ""
    assert "5.1 times" in too_far((-1.0, 1.0), (-5.1, 5.1))
    assert "5.1 times" in too_far((-5.1, 5.1), (-1.0, 1.0))
    assert "settings" in too_far((-math.inf, 1.0), (-1.0, 1.0))


@pytest.mark.parametrize(
    ("age_s", "index", "mark_s", "word"),
    [
        (14.0, 100.09, 4.0, ""),
        (16.0, 100.0, 0.0, "old"),
        (1.0, 100.11, 0.0, "moved 11.0 bps"),
        (1.0, 100.0, 6.0, "mark"),
        (1.0, math.nan, 0.0, "not known"),
        (-3600.0, 100.0, 0.0, "behind the record"),
        (0.0, 100.0, -2.0, "behind the record"),
        (-0.5, 100.0, -0.5, ""),
    ],
)
def test_a_preview_is_sent_only_while_it_holds(age_s: float, index: float, mark_s: float, word: str) -> None:
    now = 10**12
    marked = now - int(mark_s * 1e9)
    seen = PreviewSeen(now - int(age_s * 1e9), {"BTC": 100.0})
    said = why_not_send(seen, MarketNow(now, {"BTC": index}, marked, (), 600.0))
    assert word in said and bool(said) == bool(word)


@pytest.mark.parametrize(
    ("stamps_s", "word"),
    [
        ((1.0, 30.0), ""),
        ((1.0, 31.0), "the quote of B is 31 s old; at most 30 s"),
        ((31.0, 1.0), "the quote of A is 31 s old; at most 30 s"),
        ((1.0, None), "B is not quoted any more"),
    ],
)
def test_a_preview_is_sent_only_while_its_legs_are_quoted(
    stamps_s: tuple[float | None, ...], word: str
) -> None:
    now = 10**12
    stamps = (None if x is None else now - int(x * 1e9) for x in stamps_s)
    quotes = tuple(zip(("A", "B"), stamps, strict=True))
    seen, market = PreviewSeen(now, {"BTC": 100.0}), MarketNow(now, {"BTC": 100.0}, now, quotes, 30.0)
    assert why_not_send(seen, market) == word


def test_a_filter_leaves_out_what_it_empties_and_says_when_nothing_is_left() -> None:
    two = (*SHEET, Section("other", (), (Line("z", ("three",)),)))
    assert [drawn.text for drawn in laid_out(two, 40, "three")] == ["other", "  three"]
    (only,) = laid_out(two, 60, "nowhere")
    assert only.text == "  no line here has these words: nowhere" and not only.key
    assert laid_out((), 60, "x") == []  # a panel that is being read says so itself


def test_a_filter_keeps_what_a_line_belongs_to_and_looks_there_as_well() -> None:
    tree = (
        Line("BTC", ("BTC",)),
        Line("BTC row gamma:BTC", ("gamma",), depth=1),
        Line("BTC 2026", ("24 Nov",), depth=1),
        Line("deribit BTC-24NOV26-69000-C", ("69000 C",), depth=2),
        Line("ETH", ("ETH",)),
        Line("ETH row gamma:ETH", ("gamma",), depth=1),
        Line("ETH 2026", ("24 Nov",), depth=1),
        Line("deribit ETH-24NOV26-3000-C", ("3000 C",), depth=2),
    )

    def found(wanted: str) -> list[int]:
        return [tree.index(line) for line in matching(tree, wanted)]

    assert found("gamma") == [0, 1, 4, 5]
    assert found("eth gamma") == [4, 5]
    assert found("ETH") == [4, 5, 6, 7]
    assert found("24nov26-69000") == [0, 2, 3]
    assert found("24 nov") == [0, 2, 3, 4, 6, 7]
    assert found("nothing") == []


def test_the_column_of_what_is_left_keeps_within_its_bounds() -> None:
    columns = (Column("", 0, left=True, least=5, most=8), Column("a", 3), Column("b", 3, 1))
    sheet = (Section("", columns, (Line("k", ("abcdefghij", "1", "2")),)),)
    assert [laid_out(sheet, width)[-1].text for width in (12, 15, 40)] == [
        "  abcde…   1",
        "  abcd…   1   2",
        "  abcdefg…   1   2",
    ]
