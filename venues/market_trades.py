"""Trades of others, as a venue tells everybody: they fill makers on paper, and stand on a tape."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pricing.contracts import Side


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """A trade of others. side: of the aggressor; size in order units; time_ns: when it is told. venue: where,
    "" on whichever venue is told of it: one symbol may be of contracts on several. trade_id, venue_ns: the
    venue's own, "" and 0 where nobody keeps them."""

    symbol: str
    side: Side
    price: Decimal
    size: Decimal
    time_ns: int
    venue: str = ""
    trade_id: str = ""
    venue_ns: int = 0
