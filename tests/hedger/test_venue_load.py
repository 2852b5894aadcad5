"""What the load on a venue's feed is ended with 1 for."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.venue_load import GROWTH_MB_MAX, PERIODS_MIN, WARM_S, against


def periods(count: int, growth_mb: float = 0.0, **last: Any) -> list[dict[str, Any]]:
    """So many of ten seconds beyond the start; memory grows by so much a minute."""
    rows = [
        {
            "at_s": WARM_S + 10.0 * n,
            "waited_s": [0.01, 0.02, 0.03],
            "resident_mb": 300.0 + growth_mb * n / 6.0,
            "gaps": 0,
            "malformed": 0,
        }
        for n in range(1, count + 1)
    ]
    rows[-1] |= last
    return rows


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (periods(PERIODS_MIN), ""),
        (periods(PERIODS_MIN, 0.9 * GROWTH_MB_MAX), ""),
        (periods(PERIODS_MIN, 1.1 * GROWTH_MB_MAX), "memory grows by 2.20 MB a minute"),
        (periods(PERIODS_MIN - 1, 1.1 * GROWTH_MB_MAX), ""),
        (periods(3, gaps=2), "2 gaps"),
        (periods(3, malformed=1), "1 malformed messages"),
        (periods(1), "too short"),
    ],
)
def test_what_contradicts_the_run_is_said(rows: list[dict[str, Any]], reason: str) -> None:
    found = against(rows)
    assert len(found) == bool(reason) and "".join(found).startswith(reason)


def test_a_gap_of_the_start_counts_where_no_quote_came_in_the_last_period() -> None:
    assert against(periods(5, gaps=1, waited_s=[])) == ["1 gaps"]
