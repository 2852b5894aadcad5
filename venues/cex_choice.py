"""Which dialect speaks to a venue, and what its addresses are where they are ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from venues import cex_binance, cex_bybit, cex_hyperliquid, cex_okx
from venues.binance_names import INVERSE_VENUE, LINEAR_VENUE, SPOT_VENUE
from venues.cex_dialect import Dialect


@dataclass(frozen=True, slots=True)
class CexChoice:
    """addresses: the library's, all of them at one address of ours."""

    dialect: Callable[[], Dialect]
    addresses: Callable[[str], dict[str, Any]]


def _binance(venue: str) -> CexChoice:
    return CexChoice(lambda: cex_binance.Binance(venue), cex_binance.addresses)


CEX: dict[str, CexChoice] = {
    "okx": CexChoice(cex_okx.Okx, cex_okx.addresses),
    "bybit": CexChoice(cex_bybit.Bybit, cex_bybit.addresses),
    SPOT_VENUE: _binance(SPOT_VENUE),
    LINEAR_VENUE: _binance(LINEAR_VENUE),
    INVERSE_VENUE: _binance(INVERSE_VENUE),
    "hyperliquid": CexChoice(cex_hyperliquid.Hyperliquid, cex_hyperliquid.addresses),
}
