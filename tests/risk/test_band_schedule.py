"""Hours, expiries and vols that widen or tighten a band: against the calendar, by hand, and no look ahead."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.band_schedule import (
    BeforeExpiry,
    DayWindow,
    PriceHistory,
    Regime,
    realised_vol,
    regime_factor,
    scale_of,
)

NAN, INF = math.nan, math.inf
HOUR_NS = 3_600 * 10**9


def stamp(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


# ------------------------------------------------------------------------------------------- hours of the day
@given(
    begin=st.integers(0, 1439),
    length=st.integers(1, 1440),
    days=st.frozensets(st.integers(0, 6), max_size=7),
    second=st.integers(2 * 86_400, 7_258_118_400),
)
def test_a_window_against_the_calendar(begin: int, length: int, days: frozenset[int], second: int) -> None:
    """In it exactly when one that began today or yesterday, on one of its days, has not ended."""
    end = (begin + length) % 1440 or 1440
    if end == begin:
        return
    window = DayWindow(begin, end, 2.0, days)
    at = datetime.fromtimestamp(second, UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    expected = False
    for day in (midnight - timedelta(days=1), midnight):
        start = day + timedelta(minutes=begin)
        stop = start + timedelta(minutes=(end - begin) % 1440 or 1440)
        expected |= (not days or day.weekday() in days) and start <= at < stop
    assert window.holds(second * 10**9 + 999_999_999) == expected


def test_a_weekend_and_a_whole_day() -> None:
    weekend = DayWindow(0, 1440, 2.0, frozenset({5, 6}))
    assert [weekend.holds(stamp(f"2026-03-0{day}T12:00")) for day in (6, 7, 8, 9)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("begin", "end", "factor", "days"),
    [
        (60, 60, 1.0, ()),
        (-1, 60, 1.0, ()),
        (1440, 60, 1.0, ()),
        (0, 1441, 1.0, ()),
        (0, 0, 1.0, ()),
        (0, 60, 0.0, ()),
        (0, 60, NAN, ()),
        (0, 60, INF, ()),
        (0, 60, 1.0, (7,)),
    ],
)
def test_windows_that_make_no_sense(begin: int, end: int, factor: float, days: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"two times of the day|factor must be positive"):
        DayWindow(begin, end, factor, frozenset(days))


@pytest.mark.parametrize("bad", [(0.0, 1.0), (INF, 1.0), (NAN, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, INF)])
def test_expiries_that_make_no_sense(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        BeforeExpiry(*bad)


def test_of_what_overlaps_the_smallest_counts_and_kinds_multiply() -> None:
    now = stamp("2026-03-04T23:00")
    windows = (DayWindow(22 * 60, 6 * 60, 3.0), DayWindow(0, 1440, 2.0), DayWindow(60, 120, 0.1))
    near = (BeforeExpiry(24, 0.5), BeforeExpiry(6, 0.25), BeforeExpiry(1, 0.01))
    assert scale_of(windows, (), None, now, INF).factor == 2.0
    assert scale_of((), near, None, now, 24.0).factor == 0.5
    assert scale_of((), near, None, now, 24.1).factor == 1.0
    assert scale_of((), near, None, now, 6.0).factor == 0.25
    both = scale_of(windows, near, Regime(), now, 5.0, (0.9, 0.6))
    assert both.factor == pytest.approx(2.0 * 0.25 * 1.5, rel=1e-12)
    assert both.regime == pytest.approx(1.5) and len(both.why) == 3
    assert scale_of((), (), None, now, INF).why == ()


# ----------------------------------------------------------------------------------------------- vol regime
def test_the_factor_follows_the_ratio_within_its_bounds() -> None:
    r = Regime(power=1.0, lower=0.5, upper=2.0, hysteresis=0.1)
    for realised, factor in ((0.6, 1.0), (0.9, 1.5), (3.0, 2.0), (0.03, 0.5)):
        assert regime_factor(r, realised, 0.6) == pytest.approx(factor, rel=1e-12)
    tighter = Regime(power=-0.5, lower=0.1, upper=10.0)
    assert regime_factor(tighter, 2.4, 0.6) == pytest.approx(0.5, rel=1e-12)
    for unknown in ((NAN, 0.6), (0.6, NAN), (0.0, 0.6), (0.6, 0.0)):
        assert math.isnan(regime_factor(r, *unknown))


def test_hysteresis_keeps_the_factor_until_it_has_moved_by_its_share() -> None:
    r = Regime(hysteresis=0.1)
    for realised, before, now in (
        (0.6 * 1.0999, 1.0, 1.0),
        (0.6 * 1.1001, 1.0, 1.1001),
        (0.6 / 1.0999, 1.0, 1.0),
        (0.6 / 1.1001, 1.0, 1 / 1.1001),
        (6.0, 1.95, 1.95),  # the bound is nearer than the share
        (0.6, 7.0, 1.0),  # a factor of other settings is first brought within these
    ):
        assert regime_factor(r, realised, 0.6, before) == pytest.approx(now, rel=1e-12)


@given(st.lists(st.floats(0.05, 3.0), min_size=1, max_size=40), st.floats(0, 0.5))
def test_it_never_changes_by_less_than_its_share(vols: list[float], hysteresis: float) -> None:
    r = Regime(hysteresis=hysteresis, lower=0.2, upper=5.0)
    before = NAN
    for realised in vols:
        now = regime_factor(r, realised, 0.5, before)
        assert 0.2 <= now <= 5.0
        if math.isfinite(before) and now != before:
            assert max(now / before, before / now) >= (1 + hysteresis) * (1 - 1e-12)
        before = now


def series(prices: list[float], step_h: float = 1.0, last: int = stamp("2026-03-04T00:00")) -> PriceHistory:
    stamps = [last - round((len(prices) - 1 - i) * step_h * 3600) * 10**9 for i in range(len(prices))]
    return PriceHistory(np.array(stamps, dtype=np.int64), np.array(prices))


NOW = stamp("2026-03-04T00:00")


def test_realised_vol_of_equal_moves() -> None:
    """Moves of 1 % an hour, either way: ln(1.01) x sqrt(8760); the same every six hours is sqrt(6) less."""
    prices = [100.0 * 1.01 ** (i % 2) for i in range(25)]
    hourly = realised_vol(series(prices), NOW, Regime(window_h=24))
    assert hourly == pytest.approx(math.log(1.01) * math.sqrt(8760), rel=1e-12)
    sparse = realised_vol(series(prices, 6.0), NOW, Regime(window_h=144))
    assert sparse == pytest.approx(math.log(1.01) * math.sqrt(8760 / 6), rel=1e-12)


def test_realised_vol_needs_its_history() -> None:
    prices = [100.0 * 1.01 ** (i % 2) for i in range(25)]
    enough = Regime(window_h=24, returns_min=24)
    assert math.isfinite(realised_vol(series(prices), NOW, enough))
    assert math.isnan(realised_vol(series(prices[1:]), NOW, enough))  # one move too few
    assert math.isnan(realised_vol(None, NOW, enough))
    # many moves in the last hours are no week
    assert math.isnan(realised_vol(series(prices), NOW, Regime(window_h=49)))
    assert math.isfinite(realised_vol(series(prices), NOW, Regime(window_h=48)))
    # what is no price is left out
    holes = [NAN if i in (3, 7) else p for i, p in enumerate(prices)] + [0.0]
    assert math.isfinite(realised_vol(series(holes), NOW, Regime(window_h=24)))


def test_realised_vol_does_not_look_ahead_or_beyond_its_window() -> None:
    prices = [100.0 * 1.01 ** (i % 2) for i in range(25)]
    past = series(prices)
    later = PriceHistory(
        np.concatenate([[NOW - 60 * HOUR_NS], past.time_ns, [NOW + 1, NOW + HOUR_NS]]).astype(np.int64),
        np.concatenate([[1.0], past.price, [500.0, 1.0]]),
    )
    r = Regime(window_h=24)
    assert realised_vol(later, NOW, r) == realised_vol(series(prices), NOW, r)


def test_without_enough_history_the_scale_is_1_and_says_so() -> None:
    for vols, lack in (((NAN, 0.6), "too little index history"), ((0.6, NAN), "implied vol unknown")):
        found = scale_of((), (), Regime(), NOW, INF, vols, before=1.7)
        assert found.factor == 1.0 and math.isnan(found.regime)
        assert found.why == (f"vol regime not applied: {lack}",)


@pytest.mark.parametrize(
    "bad",
    [
        {"window_h": 0.0},
        {"window_h": INF},
        {"power": NAN},
        {"lower": 0.0},
        {"lower": 3.0},
        {"upper": INF},
        {"hysteresis": -0.1},
        {"returns_min": 1},
    ],
)
def test_regimes_that_make_no_sense(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|at least"):
        Regime(**bad)  # type: ignore[arg-type]
