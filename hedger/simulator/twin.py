"""A second venue beside the simulated one: the same perpetual and dated futures, shown by both."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from pricing.contracts import Kind
from pricing.market import Marks
from pricing.universe import Universe
from venues.simulated import SimulatedMarket

TWIN = "twin"
_COLUMNS = tuple(f.name for f in fields(Marks) if f.name not in ("seq", "now_ns", "rows", "depth"))


class TwinMarket:
    """A simulated market whose perpetuals and futures are listed on a second venue as well."""

    def __init__(self, source: SimulatedMarket) -> None:
        self._source = source
        listings = source.universe.listings
        both = [i for i, x in enumerate(listings) if x.contract.kind in (Kind.PERPETUAL, Kind.FUTURE)]
        twins = [replace(listings[i], venue=TWIN) for i in both]
        self.universe = Universe.of((*listings, *twins))
        self._twin_of = {i: self.universe.positions[x.key] for i, x in zip(both, twins, strict=True)}

    @property
    def now_ns(self) -> int:
        """Of the market's last step."""
        return self._source.now_ns

    def marks(self) -> Marks:
        """The current batch of both venues."""
        return self._doubled(self._source.marks())

    def step(self, seconds: float) -> Marks:
        """The market so many seconds later."""
        return self._doubled(self._source.step(seconds))

    def shock(self, move: float) -> None:
        """Force a log jump of the index."""
        self._source.shock(move)

    def _doubled(self, marks: Marks) -> Marks:
        """With the twins' quotes; no two share an order book, what is taken here is still there."""
        at = [i for i, row in enumerate(marks.rows.tolist()) if row in self._twin_of]
        rows = np.array([self._twin_of[int(marks.rows[i])] for i in at], dtype=marks.rows.dtype)
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(marks, name), getattr(marks, name)[at]]) for name in _COLUMNS
        }
        depth = dict(marks.depth)
        depth.update({twin: marks.depth[row] for row, twin in self._twin_of.items() if row in marks.depth})
        return replace(marks, rows=np.concatenate([marks.rows, rows]), depth=depth, **columns)
