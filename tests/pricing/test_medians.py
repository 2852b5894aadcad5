"""The quick median against the standard library's."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.medians import median


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40))
def test_it_is_the_median(values: list[float]) -> None:
    assert median(np.array(values)) == pytest.approx(statistics.median(values), rel=1e-15, abs=0.0)


@pytest.mark.parametrize("values", [[math.nan], [1.0, math.nan, 2.0], [math.nan, 1.0]])
def test_an_unknown_number_makes_it_unknown(values: list[float]) -> None:
    assert math.isnan(median(np.array(values)))
