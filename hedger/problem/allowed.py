"""Which listings a desk lets itself trade, and on which side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from hedger.sections.limits import Selection, UniverseConfig
from hedger.settings import Settings
from pricing.universe import BoolArray, Universe


def allowed_sides(universe: Universe, settings: Settings) -> tuple[BoolArray, BoolArray]:
    """Masks of what may be bought and what may be sold, (n,), (n,).

    Denied is what a deny list names by kind, symbol or venue. Where an allow list names kinds or symbols, all
    others are denied, and so are other venues where it names venues. Read-only: reckoned once for a universe
    and its lists.
    """
    return allowed_by(universe, settings.universe)


@lru_cache(maxsize=8)
def allowed_by(universe: Universe, chosen: UniverseConfig) -> tuple[BoolArray, BoolArray]:
    """The same of the lists alone. A universe is known by its identity, the lists by what they say."""
    sides = ((chosen.deny_buy, chosen.allow_buy), (chosen.deny_sell, chosen.allow_sell))
    masks = []
    for deny, allow in sides:
        mask = ~(of_kind_or_symbol(universe, deny) | of_venues(universe, deny.venues))
        if allow.kinds or allow.symbols:
            mask &= of_kind_or_symbol(universe, allow)
        if allow.venues:
            mask &= of_venues(universe, allow.venues)
        mask.flags.writeable = False
        masks.append(mask)
    return masks[0], masks[1]


def of_kind_or_symbol(universe: Universe, selection: Selection) -> BoolArray:
    """Mask of the listings that a selection names by kind or by symbol, (n,)."""
    mask = np.isin(universe.kind, selection.codes())
    if selection.symbols:
        mask |= of_symbols(universe, selection.symbols)
    return mask


def of_symbols(universe: Universe, symbols: Sequence[str]) -> BoolArray:
    """Mask of the listings with one of these symbols, (n,)."""
    named = frozenset(symbols)
    return np.array([x.symbol in named for x in universe.listings], dtype=np.bool_)


def of_venues(universe: Universe, venues: Sequence[str]) -> BoolArray:
    """Mask of the listings on one of these venues, (n,)."""
    if not venues:
        return np.zeros(len(universe), dtype=np.bool_)
    return np.array([x.venue in venues for x in universe.listings], dtype=np.bool_)
