"""What a source lacks and its importer is told: sizes at the touch; widths and sizes of hedges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pricing.contracts import Listing
from pricing.errors import InputError

#: Key of a size that holds for every currency not named.
ANY_CURRENCY = "*"
_WIDTH_BPS_MAX = 10_000.0
_EVERY_MS_MAX = 3_600_000
_LEVELS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options of `tape import`; each is recorded on the tape.

    size_at_touch: coins per currency at each quoted side of an option and of spot; "*" = any other.
    perp_spread_bps, future_spread_bps, spot_spread_bps: full width of the quotes made around a mid, in
        basis points, before they are rounded outward to the tick.
    perp_size_usd, future_size_usd: size of each side, USD.
    perp_file: parquet file whose `price_used` replaces the perpetual's mid where it has the snapshot.
    every_ms, levels: recordings of streams: local time of a batch, and levels of each side of a book.
    underlyings: of Tardis' files these alone; none: all of them.
    index_from_spot: the middle of the recorded spot market stands in for an index that was not recorded.
    """

    size_at_touch: Mapping[str, float] = field(default_factory=dict)
    perp_spread_bps: float = 1.0
    perp_size_usd: float = 5_000_000.0
    future_spread_bps: float = 3.0
    future_size_usd: float = 1_000_000.0
    spot_spread_bps: float = 2.0
    perp_file: Path | None = None
    every_ms: int = 100
    levels: int = 20
    underlyings: tuple[str, ...] = ()
    index_from_spot: bool = True

    def __post_init__(self) -> None:
        for currency, size in self.size_at_touch.items():
            _check(f"--size-at-touch {currency}", size, 0.0, math.inf, "a size above 0, in coins")
        for name in ("perp", "future"):
            size = getattr(self, f"{name}_size_usd")
            _check(f"--{name}-size-usd", size, 0.0, math.inf, "a size above 0, in USD")
        for name in ("perp", "future", "spot"):
            width = getattr(self, f"{name}_spread_bps")
            allowed = f"above 0 and below {_WIDTH_BPS_MAX:.0f} basis points"
            _check(f"--{name}-spread-bps", width, 0.0, _WIDTH_BPS_MAX, allowed)
        _check("--every-ms", self.every_ms, 0, _EVERY_MS_MAX + 1, f"1 to {_EVERY_MS_MAX} milliseconds")
        _check("--levels", self.levels, 0, _LEVELS_MAX + 1, f"1 to {_LEVELS_MAX} levels")

    def size_of(self, currency: str) -> float | None:
        """Coins at the touch of a currency's options and spot; None where no size was given."""
        return self.size_at_touch.get(currency, self.size_at_touch.get(ANY_CURRENCY))

    def files(self, sources: Sequence[Path]) -> list[Path]:
        """All files an import reads: the sources, then the perpetual's."""
        return [*sources, *([] if self.perp_file is None else [Path(self.perp_file)])]

    def recorded(self) -> dict[str, Any]:
        """Every option with its value, for tape.json."""
        return {
            "size_at_touch": dict(sorted(self.size_at_touch.items())),
            "perp_spread_bps": self.perp_spread_bps,
            "perp_size_usd": self.perp_size_usd,
            "future_spread_bps": self.future_spread_bps,
            "future_size_usd": self.future_size_usd,
            "spot_spread_bps": self.spot_spread_bps,
            "perp": None if self.perp_file is None else Path(self.perp_file).name,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """What an importer read: listings, rows with the tape's columns, and "source", "options", "notes"."""

    listings: tuple[Listing, ...]
    quotes: pl.DataFrame
    meta: dict[str, Any]
    depth: pl.DataFrame | None = None
    trades: pl.DataFrame | None = None


def parse_size_at_touch(text: str) -> dict[str, float]:
    """Read `--size-at-touch`: coins per currency, or one number for all.

    >>> parse_size_at_touch("BTC=10,ETH=100"), parse_size_at_touch("25")
    ({'BTC': 10.0, 'ETH': 100.0}, {'*': 25.0})

    Raises:
        InputError: not in that form, a currency twice, or a size that is not above 0.
    """
    sizes: dict[str, float] = {}
    for part in text.split(","):
        currency, equals, number = part.strip().rpartition("=")
        named = currency.strip() if equals else ANY_CURRENCY
        try:
            size = float(number)
        except ValueError:
            size = math.nan
        known = bool(named) and named not in sizes and (equals == "=" or "," not in text)
        if not known or not (named == ANY_CURRENCY or named.isalnum()) or not 0 < size < math.inf:
            raise InputError(
                "IMPORT_OPTION",
                "not a size at the touch",
                where="--size-at-touch",
                observed=repr(text),
                allowed="CUR=COINS,CUR=COINS with each currency once, or one number; sizes above 0",
                not_done="nothing was written",
                fix="write --size-at-touch BTC=10,ETH=100",
            )
        sizes[named] = size
    return sizes


def _check(flag: str, value: float, above: float, below: float, allowed: str) -> None:
    if not above < value < below:
        raise InputError(
            "IMPORT_OPTION",
            "an option is out of range",
            where=flag,
            observed=value,
            allowed=allowed,
            not_done="nothing was written",
        )
