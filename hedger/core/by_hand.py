"""Bands that a person set by command, beside what the settings file said of their rows then.

They stand over a restart, as the counters of the day do: the journal keeps all that stand (kind `bands`). The
file's own band of a row is kept with it: where it is another one by now, somebody has thought of that row
since, and the file is followed again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from hedger.core.by_hand_file import FileBand, edges_words, file_words, open_words
from hedger.core.by_whom import by_whom
from hedger.problem.snapshot import BandOverrides
from pricing.daycount import NS_PER_SECOND, iso
from risk.bands import Interval
from risk.exposures import unit_of


@dataclass(frozen=True, slots=True)
class HandBand:
    """A row's trigger and landing as a person set them, in the row's unit; by whom, why and when, UTC. file:
    what the settings said of the row then."""

    row: str
    trigger: Interval
    landing: Interval
    user: str
    reason: str
    now_ns: int
    file: FileBand

    def __post_init__(self) -> None:
        if ":" not in self.row:
            raise ValueError(f"{self.row[:40]!r} is no row of an underlying")

    @property
    def unit(self) -> str:
        """Of the row then; another numeraire is another file's band as well."""
        return unit_of(self.row, self.file.numeraire)


@dataclass(frozen=True)
class ByHand:
    """All bands set by hand that stand, by row; none: there is none any more."""

    bands: tuple[HandBand, ...] = ()

    @classmethod
    def of(cls, bands: Iterable[HandBand]) -> ByHand:
        """In the order of their rows, of each the last."""
        found = {band.row: band for band in bands}
        return cls(tuple(found[row] for row in sorted(found)))

    @cached_property
    def overrides(self) -> BandOverrides:
        """(trigger, landing) by row; the same object each time: what was valued under it is told by that."""
        return MappingProxyType({band.row: (band.trigger, band.landing) for band in self.bands})

    def without(self, row: str) -> ByHand:
        """Without that of a row."""
        return ByHand(tuple(band for band in self.bands if band.row != row))


NOTHING_BY_HAND = ByHand()


def band_words(band: HandBand) -> str:
    """A band set by hand, and by whom.

    >>> from pricing.valuation import Numeraire
    >>> file = FileBand(Numeraire.USD)
    >>> band_words(HandBand("delta:BTC", (-2.0, 2.0), (-1.0, 1.0), "ann", "calm", 0, file))
    'delta:BTC: trigger -2 .. 2, landing -1 .. 1 coin, set at 1970-01-01T00:00:00Z by ann: calm'
    """
    at = iso(band.now_ns - band.now_ns % NS_PER_SECOND)
    edges, unlimited = edges_words(band.trigger, band.landing), open_words(band.trigger)
    told = f"{band.row}: {edges} {band.unit}{f' ({unlimited})' * bool(unlimited)}"
    return f"{told}, set at {at} by {by_whom(band.user, band.reason)}"


def change_words(row: str, old: HandBand | None, new: HandBand | None, file: FileBand, spot: float) -> str:
    """What a command makes of a row's band. old, new: None is the file's own; spot: as for `beside_file`."""
    before, after = (
        f"the settings file's own, {file_words(file, row, spot)}"
        if band is None
        else band_words(band).removeprefix(f"{row}: ")
        for band in (old, new)
    )
    stands = "; it stands over restarts, until the file says something else of the row" if new else ""
    return f"{row}: {before} -> {after}{stands}"


def beside_file(band: HandBand, spot: float = math.nan) -> str:
    """The same with what the file says; spot: the index, USD per coin, where it is known."""
    return f"{band_words(band)}; the file says {file_words(band.file, band.row, spot)}"
