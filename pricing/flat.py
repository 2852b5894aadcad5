"""Whatever a numpy user passes, as the compiled loops take it: contiguous float64 arrays of one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def flatten(arguments: Sequence[ArrayLike]) -> tuple[list[FloatArray], tuple[int, ...]]:
    """Return the arguments broadcast together as arrays (n,), and their shape before that.

    What fits already is passed on as it is, not copied. Errors: ValueError if the shapes do not broadcast.

    >>> arrays, shape = flatten([[[1.0], [2.0]], 3])
    >>> arrays[1], shape
    (array([3., 3.]), (2, 1))
    """
    arrays = [np.asarray(argument, dtype=np.float64) for argument in arguments]
    shape = arrays[0].shape
    if any(array.shape != shape for array in arrays):
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        arrays = [array if array.shape == shape else np.broadcast_to(array, shape).copy() for array in arrays]
    return [_flat(array) for array in arrays], shape


def _flat(array: FloatArray) -> FloatArray:
    """Return a contiguous, writable (n,) array of the same numbers: what the loops are compiled for."""
    # asked of what np.broadcast_arrays returned, flags.writeable and flags.carray warn; a memoryview does not
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned) or memoryview(cast(Any, array)).readonly:
        array = array.copy()
    return array if array.ndim == 1 else array.reshape(-1)
