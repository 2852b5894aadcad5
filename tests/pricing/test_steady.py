"""What stands while perpetuals move: the index that a venue's listings tell."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pricing.oracle import GoodIndex, OracleSettings
from pricing.steady import SteadyIndex, told_index

SECOND = 10**9
STAMPS = st.integers(0, 30).map(lambda s: s * SECOND)
INDEXES = st.sampled_from([60_000.0, 60_001.0, 59_990.5, math.nan, 0.0, -1.0, math.inf, 1e-20])


@given(st.lists(st.tuples(STAMPS, INDEXES), min_size=1, max_size=12))
def test_the_index_told_is_the_median_of_the_newest_ten_seconds(quotes: list[tuple[int, float]]) -> None:
    known = [(t, x) for t, x in quotes if t > 0 and 1e-15 < x < 1e15]
    newest, index = told_index(
        np.arange(len(quotes)), np.array([t for t, _ in quotes]), np.array([x for _, x in quotes])
    )
    if not known:
        assert newest == 0 and math.isnan(index)
        return
    assert newest == max(t for t, _ in known)
    ordered = sorted(x for t, x in known if t >= newest - 10 * SECOND)
    n = len(ordered)
    assert index == (ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2)


def test_an_index_answers_only_while_nothing_about_it_has_to_be_asked() -> None:
    limits = OracleSettings(deviation_max=0.01, jump_max=0.03)
    index = SteadyIndex("BTC", (0, 1), ((60_300.0, 0.02),), 60_000.0)
    last = {"BTC": GoodIndex(60_000.0, 0)}
    assert index.value([60_000.0, 60_010.0], limits, last) == 60_005.0
    asked = [
        index.value([60_000.0, 60_700.0], limits, last),  # sources disagree
        index.value([60_400.0, 60_400.0], limits, last),  # further than forwards were judged for
        index.value([60_000.0, math.nan], limits, last),
        index.value([60_000.0, 60_000.0], limits, {"BTC": GoodIndex(55_000.0, 0)}),  # a jump
        SteadyIndex("BTC", (0,), ((63_000.0, 0.02),), 60_000.0).value([60_000.0], limits, last),
    ]
    assert all(math.isnan(x) for x in asked)
