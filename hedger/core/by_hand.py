"""Bands that a person set by command, beside what the settings file said of their rows then.

They stand over a restart, as the counters of the day do: the journal keeps all that stand (kind `bands`). The
file's own band of a row, put into words, is kept with it: where it is another one by now, somebody has
thought of that row since, and the file is followed again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hedger.problem.snapshot import BandOverrides
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND, iso
from pricing.valuation import Numeraire
from risk.bands import FIELD_OF_ROW, Interval

_BUCKETS, _MULTIPLE = "vega_buckets_usd_per_point", "vega_bucket_multiple"


@dataclass(frozen=True, slots=True)
class HandBand:
    """A row's trigger and landing as a person set them, in the row's unit; by whom, why and when, UTC. file:
    what the settings said of the row then (`said_by_file`)."""

    row: str
    trigger: Interval
    landing: Interval
    user: str
    reason: str
    now_ns: int
    file: str


@dataclass(frozen=True, slots=True)
class ByHand:
    """All bands set by hand that stand, by row; none: there is none any more."""

    bands: tuple[HandBand, ...] = ()

    @classmethod
    def of(cls, bands: Iterable[HandBand]) -> ByHand:
        """In the order of their rows, of each the last."""
        found = {band.row: band for band in bands}
        return cls(tuple(found[row] for row in sorted(found)))

    @property
    def overrides(self) -> BandOverrides:
        """(trigger, landing) by row."""
        return {band.row: (band.trigger, band.landing) for band in self.bands}

    def without(self, row: str) -> ByHand:
        """Without that of a row."""
        return ByHand(tuple(band for band in self.bands if band.row != row))


NOTHING_BY_HAND = ByHand()


def said_by_file(settings: Settings, row: str) -> str:
    """The settings' own band of a row in words, in the units of the settings; the same text as long as they
    say the same. A coin desk's rows have other units: that is said with it."""
    greek, underlying, *of = row.split(":")
    text = _of_scenario(settings, of) if greek == "pnl" else _of_greek(settings, greek, underlying, of)
    return text + "; numeraire coin" * (settings.numeraire is Numeraire.COIN)


def _of_greek(settings: Settings, greek: str, underlying: str, tenor: list[str]) -> str:
    tree, key = settings.merged_bands(underlying), FIELD_OF_ROW.get(greek, "")
    if not tenor:
        return _told(key, tree.get(key))
    own = (tree.get(_BUCKETS) or {}).get(tenor[0])
    if own is not None:
        return _told(f"{_BUCKETS} {tenor[0]}", own)
    if tree.get(key) is None or tree.get(_MULTIPLE) is None:
        return "no band"
    return f"{_MULTIPLE} {tree[_MULTIPLE]:z.15g} of {_told(key, tree[key])}"


def _of_scenario(settings: Settings, name: list[str]) -> str:
    found = next((x for x in settings.scenarios if [x.name] == name), None)
    return _told(f"scenario {':'.join(name)}", found)


def _told(name: str, section: Any) -> str:
    if section is None:
        return "no band"
    tree = section.model_dump(mode="json", exclude_defaults=True)
    return f"{name}: " + ", ".join(f"{key} {_words(tree[key])}" for key in sorted(tree))


def _words(value: Any) -> str:
    """A value of the settings; a pair of numbers as the interval it is."""
    if isinstance(value, list) and len(value) == 2 and not any(isinstance(x, str | Mapping) for x in value):
        return interval(*value)
    return f"{value:z.15g}" if isinstance(value, float) else json.dumps(value, sort_keys=True)


def interval(low: float | None, high: float | None) -> str:
    """Both ends with all their digits; an open side is left out.

    >>> interval(-1.5, 100000.0), interval(-math.inf, 2.0)
    ('-1.5 .. 100000', '.. 2')
    """
    ends = ["" if x is None or math.isinf(x) else f"{x:z.15g}" for x in (low, high)]
    return " .. ".join(ends).strip()


def band_words(band: HandBand) -> str:
    """A band set by hand, and by whom.

    >>> band_words(HandBand("delta:BTC", (-2.0, 2.0), (-1.0, 1.0), "ann", "calm", 0, "no band"))
    'delta:BTC: trigger -2 .. 2, landing -1 .. 1, by hand of ann at 1970-01-01T00:00:00Z: calm'
    """
    edges = f"trigger {interval(*band.trigger)}, landing {interval(*band.landing)}"
    at = iso(band.now_ns - band.now_ns % NS_PER_SECOND)
    who = f"by hand of {band.user or 'nobody named'} at {at}"
    return f"{band.row}: {edges}, {who}: {band.reason or 'no reason given'}"
