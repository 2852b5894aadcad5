"""Every exchange of which a story can be told, by its name; and with which others.

The first of a cast suffers the faults. Where it has no options, a book of them is held on the second; where
there are two to hedge on, the story is of one that fails in the middle of it (`pairs`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.exchanges.story.place import Place
from tests.exchanges.story.place_binance import BINANCE
from tests.exchanges.story.place_bybit import BYBIT
from tests.exchanges.story.place_deribit import BOOK, DERIBIT, OPTIONS
from tests.exchanges.story.place_hyperliquid import HYPERLIQUID
from tests.exchanges.story.place_okx import OKX

Cast = tuple[Place, ...]

PLACES: Mapping[str, Place] = {place.venue: place for place in (DERIBIT, OKX, BYBIT, BINANCE, HYPERLIQUID)}
CASTS: Mapping[str, Cast] = {
    "deribit": (DERIBIT,),
    "okx": (OKX,),
    "bybit": (BYBIT,),
    "binanceusdm": (BINANCE, OPTIONS),
    "hyperliquid": (HYPERLIQUID, OPTIONS),
    "hyperliquid+deribit": (HYPERLIQUID, BOOK),
    "binanceusdm+deribit": (BINANCE, BOOK),
}


def pairs(cast: Cast) -> bool:
    """Whether delta can be hedged on both of two."""
    return sum(bool(place.perpetual) for place in cast) > 1
