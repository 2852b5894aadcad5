"""The bands in force: the desk's rules on what the book holds and what hedging costs in this market."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from hedger.problem.allowed import allowed_sides
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.daycount import HOURS_PER_YEAR, NS_PER_SECOND
from pricing.market import Flag, Market, Marks
from pricing.universe import FloatArray, IntArray, Universe
from pricing.valuation import MarkStatus, Numeraire, Valuation
from risk.band_rules import AppliedBand, BookFacts, RowRule
from risk.band_schedule import NO_HISTORY, PriceHistory
from risk.bands import Bands, fixed_bands
from risk.bands_in_force import AS_CONFIGURED, apply_rules
from risk.costs import cost_model
from risk.delta_cost import DeltaMarket, delta_market
from risk.exposures import Exposure
from risk.option_legs import atm_vol, hours_to_expiry, option_legs

Rules = Mapping[str, Mapping[str, RowRule]]


def bands_in_force(
    market: Market,
    valuation: Valuation,
    quantities: FloatArray,
    exposure: Exposure,
    spot: Mapping[str, float],
    underlyings: Sequence[str],
    settings: Settings,
    bad: Collection[str],
    history: Mapping[str, PriceHistory] = NO_HISTORY,
    before: Mapping[str, float] | None = None,
) -> tuple[Bands, tuple[AppliedBand | None, ...]]:
    """The bands of every row, (m,), and where each comes from; None where a row has none.

    Args:
        quantities: (n,) signed, order units. bad: underlyings whose index decides nothing. history: indexes
            before this market. before: the vol regimes' factors in force, by row.
    """
    numeraire = settings.numeraire
    fixed = fixed_bands(exposure.rows, {u: settings.bands_of(u) for u in underlyings}, spot, numeraire)
    rules = {u: found for u in underlyings if (found := settings.band_rules_of(u)) and np.isfinite(spot[u])}
    if not rules:
        return apply_rules(exposure.rows, fixed, {}, {}, market.now_ns, {})
    markets = _delta_markets(market, valuation, exposure, spot, rules, settings, bad)
    facts = {}
    for name in rules:
        gamma = exposure.row(f"gamma:{name}") + exposure.row(f"gamma_expiring:{name}")
        facts[name] = BookFacts(
            spot=spot[name],
            # a coin desk's gamma is per relative move of the coin
            net_gamma=gamma / spot[name] if numeraire is Numeraire.COIN else gamma,
            vol=atm_vol(valuation, name),
            history=history.get(name),
            hours_to_expiry=hours_to_expiry(quantities, valuation, name),
            from_options=_from_options(valuation, quantities, exposure),
            legs=option_legs(quantities, valuation, name, numeraire),
            market=markets[name],
            holding_years=settings.costs.holding_h / HOURS_PER_YEAR,
        )
    return apply_rules(exposure.rows, fixed, rules, facts, market.now_ns, before or {})


def _from_options(valuation: Valuation, quantities: FloatArray, exposure: Exposure) -> dict[str, float]:
    """Exposure of the options held, by row."""
    ok = valuation.status == MarkStatus.OK
    held = np.flatnonzero((quantities != 0) & valuation.universe.is_option & ok)
    values = exposure.owned[:, held] @ quantities[held]
    return dict(zip(exposure.rows, values.tolist(), strict=True))


def _delta_markets(
    market: Market,
    valuation: Valuation,
    exposure: Exposure,
    spot: Mapping[str, float],
    rules: Rules,
    settings: Settings,
    bad: Collection[str],
) -> dict[str, DeltaMarket]:
    """What moving delta costs now, by underlying; nothing is known of one whose index is bad."""
    universe = market.universe
    asking = [name for name, found in rules.items() if "delta" in found]
    places = {name: np.empty(0, dtype=np.int64) for name in rules}
    if asking:
        usable = (universe.kind != Kind.OPTION) & (market.flags(settings.age_s_max) == Flag.OK)
        usable &= valuation.status == MarkStatus.OK
        for name in asking:
            if name not in bad:
                places[name] = np.flatnonzero(usable & universe.where_underlying(name))
    rows: IntArray = np.concatenate([*places.values(), np.empty(0, dtype=np.int64)])
    costs = cost_model(market, valuation, np.sort(rows), settings.cost_settings())
    buy, sell = allowed_sides(universe, settings)
    found = {}
    for name, at in places.items():
        delta = exposure.traded[exposure.rows.index(f"delta:{name}"), at]
        found[name] = delta_market(costs, at, delta, buy[at], sell[at], spot[name])
    return found


def index_history(
    batches: Iterable[Marks], universe: Universe, now_ns: int, window_h: float
) -> dict[str, PriceHistory]:
    """The index of every underlying at each batch of the hours up to now, and at the last before them: the
    median of those a batch quotes.

    What comes after `now_ns` is not read.
    """
    oldest = now_ns - round(window_h * 3600) * NS_PER_SECOND
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in universe.underlyings}
    for marks in batches:
        if marks.now_ns > now_ns:
            break
        with np.errstate(invalid="ignore"):
            told = np.isfinite(marks.index) & (marks.index > 0)
        of, index = universe.underlying[marks.rows[told]], marks.index[told]
        for u, name in enumerate(universe.underlyings):
            mine = index[of == u]
            if mine.size:
                seen = found[name]
                if len(seen) == 1 and marks.now_ns <= oldest:
                    seen.clear()  # in force at the beginning of the hours is the last before them
                seen.append((marks.now_ns, float(np.median(mine))))
    return {
        name: PriceHistory(np.array([t for t, _ in seen], dtype=np.int64), np.array([x for _, x in seen]))
        for name, seen in found.items()
    }


def band_rules_said(rows: Sequence[str], applied: Sequence[AppliedBand | None]) -> tuple[str, ...]:
    """A sentence of every band that is not simply as configured: its rule, width and reason."""
    said = []
    for name, band in zip(rows, applied, strict=True):
        if band is None or band.why == AS_CONFIGURED or band.rule == "trial":
            continue
        parts = [band.rule]
        if np.isfinite(band.half_width):
            parts.append(f"{band.half_width:.4g} a side")
        if np.isfinite(band.risk_aversion):
            parts.append(f"risk aversion {band.risk_aversion:.3g} per USD")
        if np.isfinite(band.error_usd_per_day):
            parts.append(f"hedge error {band.error_usd_per_day:z,.0f} USD a day")
        said.append(f"band of {name}: {', '.join(parts)}; {band.why}")
    return tuple(said)
