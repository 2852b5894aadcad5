"""Listings and markets for tests: terse to write, complete when built. Numbers are round, not any venue's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal

import numpy as np

from pricing.contracts import (
    ComboRule,
    Contract,
    Fees,
    Future,
    Kind,
    Listing,
    Option,
    Perpetual,
    Right,
    Spot,
    TickSteps,
)
from pricing.daycount import NS_PER_SECOND
from pricing.market import QUOTE_FIELDS, Depth, ForwardKind, Market, Marks
from pricing.universe import Universe

NOW_NS = 1_770_000_000 * NS_PER_SECOND  # 2026-02-02 02:40 UTC
DAY_NS = 86_400 * NS_PER_SECOND
AGE_S_MAX = 600.0
NAN = math.nan


def after(days: float) -> int:
    """The stamp so many days after NOW_NS."""
    return NOW_NS + round(days * DAY_NS)


def listing(
    contract: Contract,
    symbol: str = "",
    *,
    venue: str = "deribit",
    size: str = "1",
    lot: str = "0.1",
    minimum: str | None = None,
    ticks: str = "0:0.0001",
    maker: str = "0",
    taker: str = "0",
    cap: str | None = None,
    combo: ComboRule = ComboRule.NONE,
) -> Listing:
    """A contract on a venue, named after what it is unless a symbol is given."""
    return Listing(
        venue=venue,
        symbol=symbol or name_of(contract),
        contract=contract,
        tick_steps=TickSteps.parse(ticks),
        lot=Decimal(lot),
        minimum=Decimal(lot if minimum is None else minimum),
        fees=Fees(Decimal(maker), Decimal(taker), None if cap is None else Decimal(cap), combo),
        size=Decimal(size),
    )


def name_of(contract: Contract) -> str:
    """A symbol that tells every contract from every other."""
    parts = [contract.underlying, contract.settlement, Kind(contract.kind).name]
    if isinstance(contract, Future | Option):
        parts.append(str(contract.expiry_ns - NOW_NS))
    if isinstance(contract, Option):
        parts += [repr(contract.strike), contract.right.value]
    return "-".join(parts)


def spot(underlying: str = "BTC", currency: str = "USDC") -> Spot:
    return Spot(underlying, currency)


def perpetual(underlying: str = "BTC", *, inverse: bool = True) -> Perpetual:
    return Perpetual(underlying, underlying if inverse else "USDC", inverse)


def future(days: float, underlying: str = "BTC", *, inverse: bool = True) -> Future:
    return Future(underlying, underlying if inverse else "USDC", inverse, after(days))


def option(
    strike: float, right: str, days: float, underlying: str = "BTC", *, inverse: bool = True
) -> Option:
    """right: "C" or "P"."""
    currency = underlying if inverse else "USDC"
    return Option(underlying, currency, inverse, after(days), strike, Right(right))


@dataclass(frozen=True, slots=True)
class Quote:
    """What is quoted for a listing; NaN is unknown. age_s before `now_ns`; None = never quoted."""

    listing: Listing
    bid: float = NAN
    ask: float = NAN
    mark: float = NAN
    mark_iv: float = NAN
    forward: float = NAN
    index: float = NAN
    funding_rate: float = NAN
    bid_size: float = 10.0
    ask_size: float = 10.0
    forward_kind: ForwardKind = ForwardKind.NONE
    age_s: float | None = 0.0
    bids: Sequence[tuple[float, float]] = field(default=())
    asks: Sequence[tuple[float, float]] = field(default=())


def side(levels: Sequence[tuple[float, float]]) -> Depth:
    """One side of a book from (price, size) pairs."""
    pairs = np.array(levels, dtype=np.float64).reshape(-1, 2)
    return Depth(pairs[:, 0], pairs[:, 1])


def marks_of(quotes: Sequence[Quote], rows: Sequence[int], now_ns: int = NOW_NS, seq: int = 1) -> Marks:
    """A batch that quotes these rows of a universe."""
    columns = {name: np.array([getattr(q, name) for q in quotes], dtype=np.float64) for name in QUOTE_FIELDS}
    return Marks(
        seq=seq,
        now_ns=now_ns,
        rows=np.array(rows, dtype=np.int64),
        venue_ns=np.array([now_ns - round((q.age_s or 0.0) * NS_PER_SECOND) for q in quotes], dtype=np.int64),
        forward_kind=np.array([q.forward_kind for q in quotes], dtype=np.int8),
        depth={
            row: (side(q.bids), side(q.asks)) for row, q in zip(rows, quotes, strict=True) if q.bids or q.asks
        },
        **columns,
    )


def market_of(
    quotes: Sequence[Quote],
    now_ns: int = NOW_NS,
    settlement_average: Mapping[tuple[str, int], float] | None = None,
) -> Market:
    """A market whose universe is the quotes' listings, in their order."""
    market = Market.empty(Universe.of(q.listing for q in quotes), now_ns)
    rows = [i for i, q in enumerate(quotes) if q.age_s is not None]
    known = market.apply(marks_of([quotes[i] for i in rows], rows, now_ns))
    if settlement_average is None:
        return known
    values = {f.name: getattr(known, f.name) for f in fields(known)}
    return Market(**(values | {"settlement_average": settlement_average}))


def plain_black(forward: float, strike: float, years: float, vol: float, sign: int) -> float:
    """The textbook's Black-76 value, USD, through math.erf: apart from the house's own kernel."""
    deviation = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + 0.5 * deviation
    return sign * (forward * _normal(sign * d1) - strike * _normal(sign * (d1 - deviation)))


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))
