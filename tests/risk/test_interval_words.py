"""An interval is read and written one way, by the command line, in a command to the engine, on a ticket."""

from __future__ import annotations

import math

import pytest

from hedger.core.by_hand_file import interval
from hedger.core.commands import parse_bands
from hedger.ticket import _range
from hedger.verbs.reading import parse_band
from pricing.errors import InputError
from risk.interval_words import END_MAX, parse_edges

ROW = "delta:BTC"


REFUSED = (
    *("", "1", "-2,2", "-2,2/-1,1/0,0", "2,-2/-1,1", "-2,2,3/-1,1", "-2;2/-1,1"),
    *(
        "-1_0,10/-1,1",
        "nan,2/-1,1",
        "-inf,2/-1,1",
        "0x1,2/1,1",
        "\u0663,4/-1,1",
        "-1e999,2/-1,1",
        "-1e16,2/-1,1",
    ),
)


@pytest.mark.parametrize("text", REFUSED)
def test_what_one_reader_refuses_the_other_refuses(text: str) -> None:
    assert parse_edges(text) is None
    assert parse_bands(text) is None
    with pytest.raises(InputError) as refused:
        parse_band(f"{ROW}={text}", [ROW])
    assert refused.value.code == "BAND_SYNTAX"


def test_an_open_side_is_left_out_wherever_an_interval_is_written() -> None:
    assert interval(-math.inf, 2.0) == ".. 2"
    assert _range(-math.inf, 2.0) == ".. 2.00"
    assert _range(-1500.0, math.inf) == "-1,500 .."


def test_the_greatest_end_is_still_one() -> None:
    assert parse_edges(f"{-END_MAX!r},{END_MAX!r}/0,0") == ((-1e15, 1e15), (0.0, 0.0))
