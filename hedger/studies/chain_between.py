"""The market between two snapshots of a recorded chain, as batches of marks for the engine.

The same market as the chain study's (`hedger.studies.chain_market`): at every hour that a series of the
perpetual knows, forwards keep their ratio to it, the index too, and each expiry's smile of the last snapshot
is carried in moneyness, shifted by the change of the DVOL index since. Nothing of it comes from after the
hour.

Only the perpetual can be traded then, half the last spread to each side of the series' price, rounded
outward to its tick, with the sizes last displayed: it alone has a recorded price. Options, futures and spot
have marks and no quotes. A coin without a series stays as the last snapshot left it, and grows old.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np

from hedger.studies.chain_inputs import NO_SERIES, Series
from hedger.studies.chain_market import ChainReader, View, contracts_of
from pricing.contracts import Kind, Listing
from pricing.market import QUOTE_FIELDS, Market, Marks
from pricing.universe import IntArray, Universe
from pricing.valuation import value


@dataclass(slots=True, eq=False)
class _Coin:
    """One coin's reader and series. rows: of its options by number; others: futures and spot.

    spot, index: of the last snapshot, NaN before the first.
    """

    reader: ChainReader
    perp: Series
    dvol: Series
    rows: IntArray
    perp_row: int
    others: IntArray
    spot: float = math.nan
    index: float = math.nan
    taken: Market | None = field(default=None, repr=False)


class Between:
    """Batches of a chain's tape with the hours between them. perp, dvol: by coin.

    Only coins with a series of the perpetual, options settled in the coin and an inverse perpetual move.
    """

    def __init__(
        self,
        universe: Universe,
        age_s_max: float,
        perp: Mapping[str, Series],
        dvol: Mapping[str, Series],
    ) -> None:
        self._universe, self._age_s_max = universe, age_s_max
        self._coins = [
            coin
            for name in universe.underlyings
            if name in perp and (coin := _coin(universe, name, perp[name], dvol.get(name, NO_SERIES)))
        ]

    @property
    def coins(self) -> tuple[str, ...]:
        """Those that move between snapshots."""
        return tuple(coin.reader.contracts.underlying for coin in self._coins)

    def filled(self, batches: Iterator[Marks]) -> Iterator[Marks]:
        """The batches, and between each two of them what the hours between them knew."""
        market, last_ns = Market.empty(self._universe), None
        for marks in batches:
            if last_ns is not None:
                for at_ns in self._hours(last_ns, marks.now_ns):
                    yield from self._at(at_ns, marks.seq)
            market, last_ns = market.apply(marks), marks.now_ns
            self._remember(market)
            yield marks

    def _hours(self, after_ns: int, before_ns: int) -> list[int]:
        stamps = {at for coin in self._coins for at, _ in coin.perp.within(after_ns, before_ns)}
        return sorted(stamps)

    def _remember(self, market: Market) -> None:
        valuation = value(market, self._age_s_max)
        spot = dict(zip(self._universe.underlyings, valuation.spot.tolist(), strict=True))
        for coin in self._coins:
            dvol = coin.dvol.until(market.now_ns)
            view = coin.reader.snapshot(market, valuation, self._age_s_max, dvol)
            if view is not None:
                coin.spot, coin.index = view.spot, spot[coin.reader.contracts.underlying]
                coin.taken = market

    def _at(self, at_ns: int, seq: int) -> Iterator[Marks]:
        parts = []
        for coin in self._coins:
            price = dict(coin.perp.within(at_ns - 1, at_ns + 1)).get(at_ns)
            if price is None or coin.taken is None:
                continue
            view = coin.reader.between(at_ns, price, coin.dvol.until(at_ns))
            if view is not None:
                parts.append(_marks(coin, coin.taken, view, seq))
        if parts:
            yield _joined(parts)


def _coin(universe: Universe, name: str, perp: Series, dvol: Series) -> _Coin | None:
    contracts = contracts_of([universe], name)
    mine = universe.where_underlying(name)
    perps = np.flatnonzero(mine & (universe.kind == Kind.PERPETUAL) & universe.inverse)
    if not contracts.symbols or not perps.size:
        return None
    venue = universe.listings[int(perps[0])].venue
    rows = np.array([universe.positions[(venue, symbol)] for symbol in contracts.symbols], dtype=np.int64)
    others = np.flatnonzero(mine & ((universe.kind == Kind.FUTURE) | (universe.kind == Kind.SPOT)))
    return _Coin(ChainReader(contracts), perp, dvol, rows, int(perps[0]), others)


def _marks(coin: _Coin, last: Market, view: View, seq: int) -> Marks:
    """One coin at one hour: options, the perpetual, and the marks of its futures and spot."""
    options, perp = coin.rows[view.at], np.array([coin.perp_row])
    others = coin.others[np.isfinite(last.forward[coin.others]) | np.isfinite(last.mark[coin.others])]
    alive = (last.universe.expiry_ns[others] == 0) | (last.universe.expiry_ns[others] > view.now_ns)
    others = others[alive]
    rows = np.concatenate([options, perp, others])
    moved = view.spot / coin.spot
    columns: dict[str, Any] = {name: np.full(rows.size, np.nan) for name in QUOTE_FIELDS}
    columns["mark"] = np.concatenate([view.price, [view.perp], last.mark[others] * moved])
    columns["mark_iv"][: options.size] = view.vol
    columns["forward"] = np.concatenate([view.forward, [view.perp], last.forward[others] * moved])
    columns["index"] = np.full(rows.size, coin.index * moved)
    at, listing = options.size, last.universe.listings[coin.perp_row]
    columns["bid"][at] = _on_tick(listing, view.perp_bid, ROUND_FLOOR)
    columns["ask"][at] = _on_tick(listing, view.perp_ask, ROUND_CEILING)
    for name in ("bid_size", "ask_size", "funding_rate"):
        columns[name][at] = getattr(last, name)[coin.perp_row]
    return Marks(
        seq=seq,
        now_ns=view.now_ns,
        rows=rows,
        venue_ns=np.full(rows.size, view.now_ns, dtype=np.int64),
        forward_kind=last.forward_kind[rows],
        **columns,
    )


def _on_tick(listing: Listing, price: float, rounding: str) -> float:
    """A price on its tick, away from the middle."""
    exact = Decimal(repr(price))
    tick = listing.tick_steps.at(exact)
    return float((exact / tick).to_integral_value(rounding) * tick)


def _joined(parts: list[Marks]) -> Marks:
    """The coins of one hour as one batch."""
    first = parts[0]
    if len(parts) == 1:
        return first
    names = ("rows", "venue_ns", "forward_kind", *QUOTE_FIELDS)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in names
    }
    return Marks(seq=first.seq, now_ns=first.now_ns, **columns)
