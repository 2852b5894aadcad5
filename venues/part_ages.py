"""How old each part of a quote is: its streams come, and fall silent, each by itself.

A mark can stand still for an hour while the book beside it goes on. So each part has an age of its own, the
worse of two: by the venue's stamp, and by our receipt of it, since no message is newer than its receipt. What
is older than allowed is not known.

How often the venues push, by their own documents:
- OKX: `mark-price` every 10 s at the latest, `index-tickers` once a minute, `funding-rate` in 30 to 90 s, and
  `books` once a minute; `opt-summary` when something of it changes, which with the forward it nearly always
  does (https://www.okx.com/docs-v5/en/#public-data-websocket).
- Binance: `markPrice@1s` and `optionMarkPrice` every second (https://developers.binance.com/docs/derivatives).
- Bybit: `tickers` on change, within 100 ms (https://bybit-exchange.github.io/docs/v5/websocket/public/ticker).
- Deribit: `ticker.*.100ms` on change, and every option's changes with its forward (https://docs.deribit.com).
- Hyperliquid: contexts on change, books with every block that comes half a second after the last
  (https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket/subscriptions).

What recordings show, longest gap of a channel: Deribit `ticker.*.raw` of ten options, half a minute of July
2021: 12.1 s, as one that rests is told every 5.0 s and a beat may be left out; Hyperliquid `l2Book`, BTC,
January 2025: 0.85 s; Binance `depth` of BTCUSDT, BTCUSD_PERP and spot, six minutes of August 2024: 0.39,
0.17 and 0.20 s. Of Bybit's tickers there is no recording of length: a message names what has changed alone,
and renews all that the ticker told before, since what it leaves out stands (same page).

A limit is some multiple of that: 2.5 times the longest gap seen, at least. Options that nobody subscribes
to are asked for every 5 s. The touch has no limit here: the book of a far option rests for minutes, and
stands (eight of Deribit's ten told fewer than three changes in that half minute). What limits it is the
setting `age_s_max`, and, where it is traded on, `execution.book_age_s_max`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pricing.daycount import NS_PER_SECOND
from pricing.market import ForwardKind
from venues.wire.fields import NAN
from venues.wire.quotes import Quote

#: A quote that tells everything is known by its symbol, a part of one by symbol and fields.
Part = str | tuple[str, frozenset[str]]

#: Seconds between two looks at what has grown too old, at most.
LOOK_S_MOST = 1.0
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FieldAges:
    """Seconds after which a field is not known any more, unless it is told anew."""

    mark_s: float = 30.0
    vol_s: float = 30.0
    forward_s: float = 30.0
    index_s: float = 30.0
    funding_s: float = 30.0

    def seconds(self) -> dict[str, float]:
        """By the names of a quote's fields."""
        return {
            "mark": self.mark_s,
            "mark_iv": self.vol_s,
            "forward": self.forward_s,
            "index_price": self.index_s,
            "funding_rate": self.funding_s,
        }

    def silent_s(self, tells: str) -> float:
        """Of a channel that tells a field, or an "index" by itself."""
        return self.index_s if tells == "index" else self.seconds()[tells]

    @property
    def look_s(self) -> float:
        """How often to look whether something has grown too old."""
        return min(LOOK_S_MOST, 0.25 * min(self.seconds().values()))


@dataclass(slots=True)
class PartAges:
    """Of all listings. ages: what is allowed; least_ns: the least of it. stamps: the venue's of each
    part, 0 where it has none; receipts: when each was heard. parts: of each symbol, beside the whole."""

    ages: FieldAges
    limits_ns: dict[str, int] = field(init=False)
    least_ns: int = field(init=False)
    stamps: dict[Part, int] = field(default_factory=dict)
    receipts: dict[Part, int] = field(default_factory=dict)
    parts: dict[str, tuple[frozenset[str], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limits_ns = {name: round(s * NS_PER_SECOND) for name, s in self.ages.seconds().items()}
        self.least_ns = min(self.limits_ns.values())

    def add(self, part: Part) -> None:
        """A part that was not heard before."""
        if isinstance(part, tuple):
            symbol, fields = part
            self.parts[symbol] = (*self.parts.get(symbol, ()), fields)

    def take_over(self, before: PartAges, symbols: Collection[str]) -> None:
        """What was known of these elsewhere."""
        for symbol in symbols:
            if symbol in before.parts:
                self.parts[symbol] = before.parts[symbol]
            for part in self._of(symbol):
                if part in before.stamps:
                    self.stamps[part], self.receipts[part] = before.stamps[part], before.receipts[part]

    def at_ns(self, symbol: str, name: str) -> int:
        """As of when a field is known: by its stamp, or by its receipt where that is earlier; 0: never."""
        return max(
            (self._part_at_ns(part) for part in self._of(symbol) if part == symbol or name in part[1]),
            default=0,
        )

    def heard_ns(self, symbol: str, name: str) -> int:
        """When a field was last heard, by our clock, whatever its stamp said; "": any; 0: never."""
        parts = [part for part in self._of(symbol) if part == symbol or not name or name in part[1]]
        return max((self.receipts.get(part, 0) for part in parts), default=0)

    def old(self, symbol: str, now_ns: int) -> frozenset[str]:
        """The fields that were told, and are older than allowed."""
        if all(
            now_ns - self._part_at_ns(part) <= self.least_ns for part in self._of(symbol)
        ):  # nearly always
            return _NOTHING
        return frozenset(
            name
            for name, most in self.limits_ns.items()
            if (at_ns := self.at_ns(symbol, name)) and now_ns - at_ns > most
        )

    def _of(self, symbol: str) -> list[Part]:
        whole: list[Part] = [symbol] if symbol in self.stamps else []
        return whole + [(symbol, fields) for fields in self.parts.get(symbol, ())]

    def _part_at_ns(self, part: Part) -> int:
        return stamp_or_receipt(self.stamps.get(part, 0), self.receipts.get(part, 0))


def stamp_or_receipt(venue_ns: int, heard_ns: int) -> int:
    """As of when a message stands: no message is newer than its receipt.

    >>> stamp_or_receipt(5, 7), stamp_or_receipt(9, 7), stamp_or_receipt(0, 7)
    (5, 7, 7)
    """
    return venue_ns if 0 < venue_ns < heard_ns else heard_ns


def without(quote: Quote, names: frozenset[str]) -> Quote:
    """The quote without these fields."""
    if not names:
        return quote
    gone: dict[str, Any] = dict.fromkeys(names, NAN)
    if "forward" in names:
        gone["forward_kind"] = ForwardKind.NONE
    return quote._replace(**gone)
