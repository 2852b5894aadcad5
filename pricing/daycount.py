"""The only place where two UTC nanosecond stamps become a year fraction, and where one becomes text."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

NS_PER_SECOND = 1_000_000_000
SECONDS_PER_DAY = 86_400
NS_PER_HOUR = 3_600 * NS_PER_SECOND
NS_PER_DAY = SECONDS_PER_DAY * NS_PER_SECOND
DAYS_PER_YEAR = 365
HOURS_PER_YEAR = 24.0 * DAYS_PER_YEAR
SECONDS_PER_YEAR = DAYS_PER_YEAR * SECONDS_PER_DAY


def years_between(from_ns: ArrayLike, to_ns: ArrayLike) -> NDArray[np.float64]:
    """Year fraction from one stamp to another: seconds / (365 x 86,400), never whole days.

    The difference is taken in integers first, so that no digit is lost to the size of a stamp.

    Args:
        from_ns, to_ns: UTC nanoseconds since 1970, integers, broadcast together.

    Returns:
        Years, float64, negative when `to_ns` lies before `from_ns`.

    >>> float(years_between(0, 86_400 * 10**9)) * 365
    1.0
    """
    delta = np.asarray(to_ns, dtype=np.int64) - np.asarray(from_ns, dtype=np.int64)
    return np.asarray(delta / (SECONDS_PER_YEAR * NS_PER_SECOND), dtype=np.float64)


def iso(time_ns: int) -> str:
    """A stamp as ISO 8601 UTC: to the second, microsecond or nanosecond, whichever tells it exactly.

    A time outside the calendar is told as its integer.

    >>> iso(1_770_000_000_000_000_000), iso(1_770_000_000_000_000_001)
    ('2026-02-02T02:40:00Z', '2026-02-02T02:40:00.000000001Z')
    """
    seconds, rest = divmod(time_ns, NS_PER_SECOND)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(time_ns)
    if rest % 1000:
        return f"{text}.{rest:09d}Z"
    return f"{text}.{rest // 1000:06d}Z" if rest else f"{text}Z"
