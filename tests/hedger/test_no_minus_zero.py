"""What rounds to nothing is 0: no "-0" and no "-0.00" for people, wherever a figure is written."""

from __future__ import annotations

import ast
import math
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger import figures, ticket
from hedger.amounts import amount
from hedger.desk import views
from hedger.documents import plain
from hedger.report import words
from hedger.verbs.flags import axis

ROOT = Path(__file__).resolve().parents[2]
#: A figure with a sign or with its thousands apart: an amount, which may be below 0.
_AMOUNT = re.compile(r"(?=.*[+,]).*\.(?:\d|\{\})[f%]")


def specs() -> list[tuple[str, str]]:
    """Every format of a figure in the source, with its place; what is put in at run time as `{}`."""
    found = []
    for package in ("pricing", "risk", "venues", "hedger"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                match node:
                    case ast.FormattedValue(format_spec=ast.JoinedStr(values=parts)):
                        spec = "".join(str(x.value) if isinstance(x, ast.Constant) else "{}" for x in parts)
                    case ast.Call(func=ast.Name(id="format"), args=[_, ast.Constant(value=str(spec))]):
                        pass
                    case _:
                        continue
                found.append((f"{file.relative_to(ROOT)}:{node.lineno}", spec))
    return found


def test_every_format_of_an_amount_knows_no_minus_zero() -> None:
    """By the option `z` of Python's own formats."""
    amounts = [(place, spec) for place, spec in specs() if _AMOUNT.fullmatch(spec)]
    assert len(amounts) > 50
    assert [(place, spec) for place, spec in amounts if "z" not in spec] == []


@pytest.mark.parametrize("nothing", [-0.0, -1e-12, -0.004])
def test_an_amount_that_rounds_to_nothing_has_no_sign(nothing: float) -> None:
    assert amount(nothing) == ticket._whole(nothing) == figures.usd(nothing) == "0"
    assert amount(nothing, 2) == ticket.usd(nothing) == "0.00" and words.usd(nothing) == "0.00 USD"
    assert words.usd(nothing, signed=True) == "+0.00 USD"
    assert (figures.percent(nothing / 10), figures.age(nothing)) == ("0 %", "0.0 s")
    assert views._cell(nothing, 1.0) == "0.0" and ticket._edge(nothing) == "0.00"


@given(
    st.one_of(st.floats(-1.0, 1.0), st.floats(-1e12, 1e12), st.sampled_from([0.0, -0.0, -1e-300])),
    st.sampled_from([None, 0, 1, 2, 4]),
    st.booleans(),
)
def test_an_amount_is_its_number_rounded_and_never_less_than_nothing_at_zero(
    x: float, digits: int | None, signed: bool
) -> None:
    """By decimals, which are exact."""
    text = amount(x, digits, signed=signed)
    places = digits if digits is not None else 0 if abs(x) >= 1000 else 2
    exact = Decimal(x).quantize(Decimal(1).scaleb(-places))
    assert Decimal(text.replace(",", "")) == exact
    assert text.startswith("-") == (exact < 0) and text.startswith("+") == (signed and exact >= 0)


@given(st.one_of(st.floats(-1e-3, 1e-3), st.sampled_from([-0.0, -1e-300, -4e-5])))
def test_no_share_and_no_figure_is_minus_nothing(x: float) -> None:
    for text in (words.percent(x), figures.percent(x), figures.figure(x), figures.age(x), ticket._edge(x)):
        number = text.split()[0]
        assert not re.fullmatch(r"-0(?:\.0*)?", number), (x, text)


def test_what_is_no_number_is_unknown() -> None:
    assert [amount(x) for x in (None, math.nan, math.inf)] == ["unknown"] * 3
    assert (ticket.usd(math.inf), figures.usd(None), words.usd(math.nan)) == ("-", "?", "unknown")


def test_exact_figures_and_axes_know_none_either() -> None:
    assert [plain(Decimal(text)) for text in ("-0", "-0.000", "0E-12", "-0.5")] == ["0", "0", "0", "-0.5"]
    assert [str(x) for x in axis(-100.0, False)("-0,-5,10")] == ["-5.0", "0.0", "10.0"]
