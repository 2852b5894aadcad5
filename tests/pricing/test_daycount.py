"""Stamps to years: exact in seconds, signed, no whole days."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.daycount import iso, years_between

STAMPS = st.integers(0, 4_000_000_000_000_000_000)


def test_published_lengths() -> None:
    """365 days are one year; half an hour is half an hour, not zero days."""
    start = 1_770_000_000_123_456_789
    assert float(years_between(start, start + 365 * 86_400 * 10**9)) == 1.0
    assert float(years_between(start, start + 1800 * 10**9)) == pytest.approx(0.5 / (24 * 365), rel=1e-15)
    assert float(years_between(start, start)) == 0.0


def test_a_nanosecond_is_not_lost_to_the_size_of_the_stamp() -> None:
    start = 1_770_000_000_123_456_789
    assert float(years_between(start, start + 1)) == pytest.approx(1 / (365 * 86_400 * 1e9), rel=1e-15)


@given(STAMPS, STAMPS)
def test_forth_is_minus_back(a: int, b: int) -> None:
    assert float(years_between(a, b)) == -float(years_between(b, a))
    assert float(years_between(a, b)) == pytest.approx((b - a) / 1e9 / 31_536_000, rel=1e-15)


def test_shapes_broadcast() -> None:
    year = 31_536_000 * 10**9
    table = years_between(np.array([[0], [year]]), np.array([0, year, 2 * year]))
    assert table.tolist() == [[0.0, 1.0, 2.0], [-1.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("stamp", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_770_000_000_000_000_000, "2026-02-02T02:40:00Z"),
        (1_770_000_000_120_000_000, "2026-02-02T02:40:00.120000Z"),
        (1_770_000_000_000_000_001, "2026-02-02T02:40:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (10**30, "1" + "0" * 30),
    ],
)
def test_stamps_as_text(stamp: int, text: str) -> None:
    assert iso(stamp) == text
