"""Levels of books: every venue's way of writing one, exact to the nearest float, and no silent zero."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.errors import Malformed
from venues.wire.fields import levels

PLACES = st.integers(0, 10)


def texts(least: int) -> st.SearchStrategy[str]:
    """Plain decimals as venues write them."""
    return st.builds(
        lambda whole, places: format(Decimal(whole).scaleb(-places), "f"), st.integers(least, 10**12), PLACES
    )


@given(
    st.lists(st.tuples(texts(1), texts(0)), max_size=60),
    st.sampled_from([[], ["0", "3"], ["x"], ["0", "1", "2", "3"]]),
    st.booleans(),
)
def test_levels_are_the_nearest_floats_whatever_stands_behind_them(
    pairs: list[tuple[str, str]], behind: list[str], as_numbers: bool
) -> None:
    rows: list[list[Any]] = [[*((float(x) for x in pair) if as_numbers else pair), *behind] for pair in pairs]
    assert levels(rows, "bids") == [(float(Decimal(p)), float(Decimal(s))) for p, s in pairs]


@pytest.mark.parametrize(
    "level",
    [
        ["1", "1e-400"], ["1", "1e-30"], ["1", "-1"], ["0", "1"], ["1e-30", "1"], ["nan", "1"], ["1", "nan"],
        ["1", "inf"], ["1e400", "1"], ["1", "1e400"], [True, 1.0], [1.0, False], ["1", None], [None, "1"],
        ["1_0", "1"], [" 1", "1"], ["1", "٣"], ["", "1"], ["1"], [], "12", {"a": 1}, 5, [[1], [2]],
        ["1", "1"] * 5, [1e18, 1.0], ["1", "9" * 70],
    ],
)  # fmt: skip
@pytest.mark.parametrize("others", [0, 30])
def test_one_bad_level_among_good_ones_is_refused(level: Any, others: int) -> None:
    good: list[Any] = [[str(n), "1"] for n in range(1, others + 1)]
    with pytest.raises(Malformed):
        levels([*good, level], "bids")


def test_a_level_that_is_gone_has_size_zero_however_it_is_written() -> None:
    rows = [["1", "0"], ["2", "0.0"], ["3", "0.00000000"], ["4", 0], ["5", 0.0]]
    assert levels(rows, "asks") == [(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (4.0, 0.0), (5.0, 0.0)]
