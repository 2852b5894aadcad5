"""Settlement prices on the paper venue: the index averaged before an expiry, or what the venue published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from pricing.universe import Universe
from venues.paper_account import WINDOW_NS, IndexAverage


class Deliveries:
    """The expiries whose price is being found. waiting: those that came and went without one."""

    def __init__(self) -> None:
        self._averages: dict[tuple[str, int], IndexAverage] = {}
        self._published: dict[tuple[str, int], Decimal] = {}
        self.waiting: set[int] = set()

    @property
    def watching(self) -> bool:
        """Whether any window is open."""
        return bool(self._averages)

    def open(self, underlyings: Iterable[str], expiry_ns: int) -> None:
        """The averaging window of an expiry begins."""
        for name in underlyings:
            self._average(name, expiry_ns)

    def note(self, now_ns: int, spot: Mapping[str, float]) -> None:
        """The indexes stand at these values from now on."""
        for (underlying, _), average in self._averages.items():
            average.note(now_ns, spot[underlying])

    def publish(self, underlying: str, expiry_ns: int, price: Decimal) -> None:
        """The venue's own settlement price, where it is on record: it goes before our average."""
        self._published[(underlying, expiry_ns)] = price

    def price(self, underlying: str, expiry_ns: int) -> tuple[Decimal | None, int]:
        """The settlement price, None where nothing was seen in the window; and on how many samples."""
        average = self._average(underlying, expiry_ns)
        return self._published.get((underlying, expiry_ns)) or average.price(), average.samples

    def close(self, expiry_ns: int) -> None:
        """Everything of this expiry is settled; what waits for a price goes on being averaged."""
        if expiry_ns not in self.waiting:
            self._averages = {key: a for key, a in self._averages.items() if key[1] != expiry_ns}

    def _average(self, underlying: str, expiry_ns: int) -> IndexAverage:
        return self._averages.setdefault((underlying, expiry_ns), IndexAverage(expiry_ns))


def windows(universe: Universe, venue: str, after_ns: int) -> list[tuple[int, int]]:
    """(window opens, expiry) of everything on a venue that expires after a time, in order."""
    stamps = {x.expiry_ns for x in universe.listings if x.venue == venue and x.expiry_ns > after_ns}
    return [(expiry - WINDOW_NS, expiry) for expiry in sorted(stamps)]
