"""The only place where two UTC nanosecond stamps become a year fraction."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

NS_PER_SECOND = 1_000_000_000
SECONDS_PER_DAY = 86_400
DAYS_PER_YEAR = 365
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
