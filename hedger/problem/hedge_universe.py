"""Which listings a plan may trade, and on which side: fresh, sound, valued, and what the desk allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np

from hedger.problem.allowed import allowed_sides
from hedger.problem.snapshot import Snapshot
from hedger.sections.limits import Selection
from hedger.settings import Settings
from pricing.errors import InputError
from pricing.market import Flag
from pricing.universe import BoolArray, IntArray, Universe
from pricing.valuation import MarkStatus, VolSource
from risk.exposures import DAYS_PER_YEAR

#: How far a mark may lie from the model on the vol beside it: coins per coin, plus a share of the price.
#: Wide: on five months of Deribit chains, prices and vols seconds apart, no option is off by 0.002 + 5 %.
MARK_OFF_COIN = 0.01
MARK_OFF_SHARE = 0.5


def hedge_universe(snapshot: Snapshot, settings: Settings) -> tuple[IntArray, dict[str, int]]:
    """Listings a plan may trade, and how many others were refused, by reason.

    Every listing on the book's underlyings with a fresh, sound two-sided quote; nothing on an underlying
    whose index is bad, no options that are about to expire, nor what is denied or barred on both sides.
    """
    market, universe = snapshot.market, snapshot.market.universe
    names = np.array([u in snapshot.underlyings for u in universe.underlyings], dtype=np.bool_)
    in_scope = names[universe.underlying] if len(universe) else np.zeros(0, dtype=np.bool_)
    flags = market.flags(settings.age_s_max)
    days = snapshot.valuation.years * DAYS_PER_YEAR
    with np.errstate(invalid="ignore"):
        expiring = universe.is_option & (days < settings.gamma_days_min)
    buy, sell = allowed_sides(universe, settings)
    known = np.isfinite(snapshot.exposure.traded).all(axis=0) & (snapshot.valuation.status == MarkStatus.OK)
    refused: Counter[str] = Counter()
    usable = in_scope.copy()
    for flag in Flag:
        if flag is not Flag.OK:
            refused[flag.reason] = int((in_scope & (flags == flag)).sum())
    usable &= flags == Flag.OK
    no_index = [universe.underlyings.index(reading.underlying) for reading in snapshot.bad_indexes]
    tests = {
        "index_bad": np.isin(universe.underlying, no_index),
        "not_valued": ~known,
        "mark_off_model": _off_model(snapshot),
        "expiring": expiring,
    }
    open_buy, open_sell = buy.copy(), sell.copy()
    for (row, sign), _ in snapshot.barred.items():
        (open_buy if sign > 0 else open_sell)[row] = False
    shut = {"denied": ~(buy | sell), "barred": ~(open_buy | open_sell)}
    for reason, bad in (*tests.items(), *shut.items()):
        refused[reason] = int((usable & bad).sum())
        usable &= ~bad
    return np.flatnonzero(usable), {reason: count for reason, count in refused.items() if count}


def _off_model(snapshot: Snapshot) -> BoolArray:
    """Options whose mark contradicts the vol quoted beside it, (n,): one of the two is a fault of the feed.

    A cost is reckoned from the mark: an ask of 0.5 at a mark of 0.5 would look free where the vol says 0.08.
    """
    market, valuation, universe = snapshot.market, snapshot.valuation, snapshot.market.universe
    with np.errstate(invalid="ignore", over="ignore"):
        coin = np.where(universe.inverse, 1.0, valuation.forward)
        allowed = MARK_OFF_COIN * coin + MARK_OFF_SHARE * valuation.price
        off = np.abs(market.mark - valuation.price) > allowed
    return np.asarray(universe.is_option & (valuation.vol_source == VolSource.VENUE_MARK) & off)


def named_but_unlisted(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    """Symbols, venues and coins of the lists and limits that this market does not have.

    Raises:
        InputError: such a name differs from one of the market's by case or blanks only, or a symbol is not a
            venue's name: what was meant to be denied would trade.
    """
    known = _names(snapshot.market.universe)
    unlisted: set[str] = set()
    for key, kind, names in _named(settings):
        for name in sorted(set(names) - known[kind]):
            folded = {known_name.casefold() for known_name in known[kind]}
            if name.strip().casefold() in folded or (kind == "symbols" and "/" in name):
                raise InputError(
                    "DENY_SYMBOL" if "deny" in key and kind == "symbols" else "CONFIG_NAME",
                    "a name is not written as the market writes it",
                    where=f"{key}.{kind}",
                    observed=repr(name),
                    allowed="the venue's own names, as `risk --json` shows them",
                    not_done="nothing was planned",
                    fix="correct the name in the configuration",
                )
            unlisted.add(name)
    return tuple(sorted(unlisted))


@lru_cache(maxsize=8)
def _names(universe: Universe) -> Mapping[str, frozenset[str]]:
    """The names that a market knows, by their kind; once for a universe."""
    settled = {x.contract.settlement for x in universe.listings}
    return {
        "symbols": frozenset(x.symbol for x in universe.listings),
        "venues": frozenset(x.venue for x in universe.listings),
        "underlyings": frozenset(universe.underlyings),
        "currencies": frozenset(settled | set(universe.underlyings)),
    }


def _named(settings: Settings) -> list[tuple[str, str, Iterable[str]]]:
    """(key, kind of name, names) of every list."""
    chosen, limits = settings.universe, settings.limits
    found: list[tuple[str, str, Iterable[str]]] = []
    for key in type(chosen).model_fields:
        selection: Selection = getattr(chosen, key)
        found += [(f"universe.{key}", kind, getattr(selection, kind)) for kind in ("symbols", "venues")]
    for i, limit in enumerate(limits.instruments):
        kinds = ("symbols", "venues", "underlyings")
        found += [(f"limits.instruments.{i}", kind, getattr(limit, kind)) for kind in kinds]
    found.append(("limits.balance_min", "venues", limits.balance_min))
    found += [(f"limits.balance_min.{v}", "currencies", of) for v, of in limits.balance_min.items()]
    return found
