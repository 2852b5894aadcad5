"""The median of a few numbers, dozens of times a mark: np.median spends 18 us on any, this 2."""

from __future__ import annotations

import numpy as np

from pricing.flat import FloatArray


def median(values: FloatArray) -> float:
    """Median of (n,) numbers, n >= 1: the middle one, or the mean of the middle two; NaN if one of them is.

    >>> median(np.array([3.0, 1.0, 2.0])), median(np.array([4.0, 1.0]))
    (2.0, 2.5)
    """
    ordered = np.sort(values)  # NaN last
    if ordered[-1] != ordered[-1]:
        return float("nan")
    middle = ordered.size // 2
    if ordered.size % 2:
        return float(ordered[middle])
    return 0.5 * (float(ordered[middle - 1]) + float(ordered[middle]))
