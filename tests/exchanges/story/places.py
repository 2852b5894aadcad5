"""Every exchange of which a story can be told, by its name; and with which others.

The first of a cast suffers the faults, and most hedges are done there. Where it has no options, a book of
them is held on the second; where there are two to hedge on, the story is of one of them that fails in the
middle of it (`second`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.exchanges.story.place import Place
from tests.exchanges.story.place_binance import BINANCE, BINANCE_COINM, BINANCE_OPTIONS, BINANCE_SPOT
from tests.exchanges.story.place_bybit import BYBIT
from tests.exchanges.story.place_bybit import SWAPS as BYBIT_SWAPS
from tests.exchanges.story.place_deribit import BOOK, DERIBIT, OPTIONS
from tests.exchanges.story.place_hyperliquid import HYPERLIQUID
from tests.exchanges.story.place_okx import OKX
from tests.exchanges.story.place_okx import SWAPS as OKX_SWAPS

Cast = tuple[Place, ...]

CASTS: Mapping[str, Cast] = {
    "deribit": (DERIBIT,),
    "okx": (OKX,),
    "bybit": (BYBIT,),
    "binance": (BINANCE_OPTIONS, BINANCE),
    "binance-spot": (BINANCE_SPOT, OPTIONS),
    "binanceusdm": (BINANCE, OPTIONS),
    "binancecoinm": (BINANCE_COINM, OPTIONS),
    "hyperliquid": (HYPERLIQUID, OPTIONS),
    "hyperliquid+deribit": (HYPERLIQUID, BOOK),
    "binanceusdm+deribit": (BINANCE, BOOK),
    "okx+deribit": (OKX_SWAPS, BOOK),
    "bybit+deribit": (BYBIT_SWAPS, BOOK),
}


def second(cast: Cast) -> Place | None:
    """The other one on which delta can be hedged; None: there is none."""
    return cast[1] if sum(bool(place.perpetual) for place in cast) > 1 else None
