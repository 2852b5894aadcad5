"""What the settings file says of a row's band: kept as numbers beside a band set by hand, told as words.

The numbers are those that the settings come to, built-in ones and all: a file that says the same in other
words says the same, and a release with other built-in bands does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hedger.settings import Settings
from pricing.valuation import Numeraire
from risk.bands import FIELD_OF_ROW, Interval, row_factor
from risk.exposures import unit_of
from risk.interval_words import interval_words

_BUCKETS, _MULTIPLE = "vega_buckets_usd_per_point", "vega_bucket_multiple"
_EDGES = ("trigger", "landing")
#: Values that change nothing; a band that has no others but its edges and target is where these say.
_PLAIN: Mapping[str, float | str] = {
    "target": 0.0, "hedge_ratio": 1.0, "uncertainty_sds": 0.0, "width": "fixed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileBand:
    """The settings' own band of a row. key: what it stands under, "" where there is none. numbers, words: its
    values, in the key's unit, by name ("trigger.low", "windows.0.begin"); open sides are left out. multiple:
    a tenor's, of the band of all."""

    numeraire: Numeraire
    key: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    multiple: float | None = None


def file_band(settings: Settings, row: str) -> FileBand:
    """What the settings say of a row."""
    greek, underlying, *of = row.split(":")
    key, section, multiple = _section(settings, greek, underlying, of)
    if section is None:
        return FileBand(settings.numeraire)
    values = dict(_flat(section.model_dump(mode="json", exclude={"name"})))
    numbers = {name: float(x) for name, x in values.items() if not isinstance(x, str)}
    words = {name: x for name, x in values.items() if isinstance(x, str)}
    return FileBand(settings.numeraire, key, numbers, words, multiple)


def _section(settings: Settings, greek: str, underlying: str, of: list[str]) -> tuple[str, Any, float | None]:
    """The key, the section under it, and a tenor's multiple of that."""
    if greek == "pnl":
        name = ":".join(of)
        return f"scenario {name}", next((x for x in settings.scenarios if x.name == name), None), None
    tree, key = settings.merged_bands(underlying), FIELD_OF_ROW.get(greek, "")
    if not of:
        return key, tree.get(key), None
    own = (tree.get(_BUCKETS) or {}).get(of[0])
    if own is not None:
        return f"{_BUCKETS} {of[0]}", own, None
    multiple = tree.get(_MULTIPLE)
    return key, None if multiple is None else tree.get(key), multiple


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, float | str]]:
    """Every value by its dotted name; what is null is left out."""
    if isinstance(value, list) and name in _EDGES:
        value = dict(zip(("low", "high"), value, strict=True))
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, value


def file_words(file: FileBand, row: str, spot: float = math.nan) -> str:
    """It in words, in the units of the settings; a fixed band in the row's unit as well, as far as the index
    (USD per coin) that this takes is known.

    >>> edges = {"trigger.high": 300.0, "landing.high": 100.0}
    >>> file = FileBand(Numeraire.USD, "delta_usd", edges, {"width": "fixed"})
    >>> file_words(file, "delta:BTC")
    'delta_usd: trigger .. 300, landing .. 100'
    >>> file_words(file, "delta:BTC", 50_000.0)
    'delta_usd: trigger .. 300, landing .. 100 (trigger .. 0.006, landing .. 0.002 coin at 50000 USD)'
    """
    coin = ", numeraire coin" * (file.numeraire is Numeraire.COIN)
    if not file.key:
        return "no band" + coin
    parts = [edges_words(_edge(file, "trigger"), _edge(file, "landing"))] if _fixed(file) else []
    parts += [f"{name} {value:z.15g}" for name, value in _others(file) if not isinstance(value, str)]
    parts += [f"{name} {value}" for name, value in _others(file) if isinstance(value, str)]
    times = "" if file.multiple is None else f"{_MULTIPLE} {file.multiple:z.15g} of "
    return f"{times}{file.key}: {', '.join(parts)}{coin}{_in_row_unit(file, row, spot)}"


def _fixed(file: FileBand) -> bool:
    return file.words.get("width") == "fixed"


def _edge(file: FileBand, name: str) -> Interval:
    return file.numbers.get(f"{name}.low", -math.inf), file.numbers.get(f"{name}.high", math.inf)


def _others(file: FileBand) -> list[tuple[str, float | str]]:
    """What is to be told beside the edges, by name."""
    values: dict[str, float | str] = {**file.numbers, **file.words}
    told = (name for name in sorted(values) if name.partition(".")[0] not in _EDGES)
    return [(name, values[name]) for name in told if _PLAIN.get(name) != values[name]]


def _in_row_unit(file: FileBand, row: str, spot: float) -> str:
    """The edges as the row has them; "" where the index is not known, or more than they shapes the band."""
    greek, of = row.split(":")[0], row.split(":")[2:]
    factor = row_factor(greek, spot, file.numeraire) * (1.0 if file.multiple is None else file.multiple)
    shaped = any(name != "target" for name, _ in _others(file))
    if not _fixed(file) or shaped or not math.isfinite(factor):
        return ""
    target = 0.0 if of and file.multiple is not None else file.numbers.get("target", 0.0)
    trigger, landing = (
        ((target + low) * factor, (target + high) * factor)
        for low, high in (_edge(file, "trigger"), _edge(file, "landing"))
    )
    at = f" at {spot:z.6g} USD" if follows_index(file, row) else ""
    return f" ({edges_words(trigger, landing, 6)} {unit_of(row, file.numeraire)}{at})"


def follows_index(file: FileBand, row: str) -> bool:
    """Whether the file's band of a row, in the row's unit, moves with the index.

    >>> follows_index(FileBand(Numeraire.USD, "delta_usd"), "delta:BTC")
    True
    >>> follows_index(FileBand(Numeraire.USD, "vega_usd_per_point"), "vega:BTC")
    False
    """
    return bool(file.key) and math.isnan(row_factor(row.split(":")[0], math.nan, file.numeraire))


def edges_words(trigger: Interval, landing: Interval, digits: int = 15) -> str:
    """Trigger and landing in words."""
    return f"trigger {interval(*trigger, digits)}, landing {interval(*landing, digits)}"


def open_words(trigger: Interval) -> str:
    """Which sides of a trigger have no limit, "" where both have one.

    >>> open_words((-math.inf, 2.0)), open_words((-1.0, 2.0))
    ('open below: never triggers there', '')
    """
    below, above = math.isinf(trigger[0]), math.isinf(trigger[1])
    if below and above:
        return "open: never triggers"
    return f"open {'below' if below else 'above'}: never triggers there" if below or above else ""


def interval(low: float, high: float, digits: int = 15) -> str:
    """Both ends to so many digits; an open side is left out.

    >>> interval(-1.5, 100000.0), interval(-math.inf, 2.0), interval(-10000 / 3, math.inf, 3)
    ('-1.5 .. 100000', '.. 2', '-3330 ..')
    """
    return interval_words(low, high, lambda x: f"{float(f'{x:.{digits}g}'):z.15g}")
