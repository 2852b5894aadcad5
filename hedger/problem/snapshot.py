"""A book valued in a market: everything `risk` shows and `plan` starts from."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from hedger.problem.live_bands import bands_in_force
from hedger.problem.valuing import valuation_rules
from hedger.settings import Settings
from pricing.contracts import STABLE_CURRENCIES
from pricing.errors import InputError
from pricing.market import Market, price_or_nan
from pricing.oracle import IndexReading, LastGood, Verdict, following, read_index
from pricing.universe import FloatArray
from pricing.valuation import MarkStatus, Numeraire, Valuation, ValuationRules, value
from risk.band_rules import AppliedBand
from risk.band_schedule import NO_HISTORY, PriceHistory
from risk.bands import Bands, Interval
from risk.bands_in_force import with_floor_rules, with_trial_rule
from risk.book import Book, CashKey, by_currency
from risk.costs import reference_price
from risk.exposures import Exposure, ExposureSettings, expose
from risk.missing import MissingSettings, value_range
from risk.scenarios import with_floors, with_scenarios
from risk.standing import worth
from risk.uncertainty import narrowed, row_errors, row_sd

#: Trigger and landing by row name, absolute, in the row's unit: a trial of other bands.
BandOverrides = Mapping[str, tuple[Interval, Interval]]
#: Of a book without a position or a coin.
NOTHING_MOVES = "the book holds nothing that moves"


@dataclass(frozen=True, slots=True)
class Missing:
    """A position or balance that cannot be valued."""

    venue: str
    symbol: str
    reason: str
    age_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A book valued in a market: everything `risk` shows and `plan` starts from.

    meaning: what its rows mean. quantities: (n,) signed, order units. balances: by currency, those of
    margin_balances added up. spot: index by underlying, USD, NaN where unknown. underlyings: those with rows.
    readings: how each index came about.
    band_rules: where each row's band comes from, None where it has none.
    errors: of every Greek row per order unit, from vols and from forwards, (2, rows, n), where the desk keeps
    room for them; None where it does not. barred: sides of listings that may not be traded now whatever the
    desk's lists say, by (place, sign of the trade), and why.
    """

    book: Book
    market: Market
    meaning: ExposureSettings
    valuation: Valuation
    quantities: FloatArray
    margin_balances: Mapping[CashKey, Fraction]
    balances: Mapping[str, float]
    underlyings: tuple[str, ...]
    spot: Mapping[str, float]
    exposure: Exposure
    bands: Bands
    missing: tuple[Missing, ...]
    rules: ValuationRules
    readings: Mapping[str, IndexReading]
    band_rules: tuple[AppliedBand | None, ...]
    errors: FloatArray | None = None
    barred: Mapping[tuple[int, int], str] = field(default_factory=dict)

    @property
    def bad_indexes(self) -> tuple[IndexReading, ...]:
        """Indexes of the book's underlyings on which nothing may be decided."""
        found = (self.readings[name] for name in self.underlyings)
        return tuple(reading for reading in found if reading.verdict is Verdict.BAD)

    @property
    def regimes(self) -> dict[str, float]:
        """The vol regimes' factors in force, by row: the next snapshot's `regimes`."""
        pairs = zip(self.exposure.rows, self.band_rules, strict=True)
        return {name: band.regime for name, band in pairs if band is not None and np.isfinite(band.regime)}

    @property
    def unmoved(self) -> bool:
        """Whether the book holds nothing that moves, as far as it is known."""
        return not self.underlyings and not self.missing

    @property
    def numeraire(self) -> Numeraire:
        """The numeraire of the rows."""
        return self.meaning.numeraire


def underlyings_of(book: Book, market: Market, settings: Settings) -> tuple[str, ...]:
    """Underlyings on which the book holds a position or a coin balance, in the universe's order; and the one
    that stable balances are counted against, where there are any.

    Raises:
        InputError: the market knows no such coin: the balances would count nowhere.
    """
    held = set(book.coins)
    held |= {currency for (_, _, currency) in book.cash}
    one = settings.stable_underlying
    if settings.numeraire is Numeraire.COIN and one and held & STABLE_CURRENCIES:
        if one not in market.universe.underlyings:
            raise InputError(
                "CONFIG_INVALID",
                "the coin that stable balances are counted against is not on the market",
                where="key stable_underlying",
                observed=one,
                allowed=f"empty, or one of {', '.join(market.universe.underlyings)}",
                not_done="nothing was valued",
                fix="correct the key",
            )
        held.add(one)
    return tuple(name for name in market.universe.underlyings if name in held)


def take_snapshot(
    book: Book,
    market: Market,
    settings: Settings,
    overrides: BandOverrides | None = None,
    *,
    marked: bool = False,
    rules: ValuationRules | None = None,
    last_good: LastGood | None = None,
    history: Mapping[str, PriceHistory] = NO_HISTORY,
    regimes: Mapping[str, float] | None = None,
) -> Snapshot:
    """Value a book: exposures, bands and what is missing.

    Args:
        marked: the book's futures gain from their recorded entries (`Book.opened_at`), so their gains up to
            now are added to the balances; False for a book just read, whose cash holds them.
        rules: how options are valued; those of the settings in this market alone where None.
        last_good: the indexes before this market, from which they may not jump unconfirmed.
        history: indexes before this market, for bands that follow realised vol. regimes: the factors of
            the snapshot before (`Snapshot.regimes`).

    Raises:
        InputError: `stable_underlying` is not on the market, or an override names no row or no sound band.
    """
    rules = valuation_rules(market, settings) if rules is None else rules
    readings = read_index(market, settings.oracle_settings(), last_good)
    index = np.array([reading.value for reading in readings])
    valuation = value(following(market, readings), settings.age_s_max, rules, index)
    universe = market.universe
    underlyings = underlyings_of(book, market, settings)
    quantities = book.quantities(universe)
    margin_balances = _margin_balances(book, market, valuation, marked)
    balances = _by_name(margin_balances)
    spot = {name: float(valuation.spot[i]) for i, name in enumerate(universe.underlyings)}
    reference, meaning = reference_price(market), settings.exposure_settings()
    exposure = expose(quantities, balances, valuation, reference, underlyings, meaning)
    bad = {reading.underlying for reading in readings if reading.verdict is Verdict.BAD}
    bands, band_rules = bands_in_force(
        market, valuation, quantities, exposure, spot, underlyings, settings, bad, history, regimes
    )
    scenarios = [scenario.scenario() for scenario in settings.scenarios]
    exposure = with_scenarios(
        exposure, scenarios, market, valuation, quantities, balances, reference, underlyings, meaning
    )
    bands = with_floors(bands, scenarios, underlyings, spot, settings.numeraire)
    band_rules = with_floor_rules(band_rules, bands)
    errors, robust = None, settings.robust
    if robust.z > 0:
        forward_error = robust.forward_error_bps * 1e-4
        errors = row_errors(market, valuation, underlyings, meaning, robust.vol_error, forward_error)
        bands = narrowed(bands, exposure, row_sd(errors, valuation, quantities), robust.z)
    for name, (trigger, landing) in (overrides or {}).items():
        bands = _overridden(bands, exposure, name, trigger, landing)
        band_rules = with_trial_rule(band_rules, exposure.rows.index(name), bands)
    return Snapshot(
        book=book,
        market=market,
        meaning=meaning,
        valuation=valuation,
        quantities=quantities,
        margin_balances=margin_balances,
        balances=balances,
        underlyings=underlyings,
        spot=spot,
        exposure=exposure,
        bands=bands,
        missing=_missing(book, market, valuation, exposure, spot),
        rules=rules,
        readings={reading.underlying: reading for reading in readings},
        band_rules=band_rules,
        errors=errors,
    )


def holdings_at(snapshot: Snapshot, book: Book) -> tuple[FloatArray, dict[str, float]] | None:
    """Another book at a snapshot's mark: quantities (n,), order units, and margin balances by currency, with
    the gains of futures up to the mark. None where something in it has no worth there."""
    valuation = snapshot.valuation
    quantities = book.quantities(valuation.universe)
    if (valuation.status[quantities != 0] != MarkStatus.OK).any():
        return None
    balances = _by_name(_margin_balances(book, snapshot.market, valuation, marked=True))
    if any(amount and not np.isfinite(worth(name, snapshot.spot)) for name, amount in balances.items()):
        return None
    return quantities, balances


def _by_name(margin_balances: Mapping[CashKey, Fraction]) -> dict[str, float]:
    return {name: float(amount) for name, amount in by_currency(margin_balances).items()}


def _margin_balances(
    book: Book, market: Market, valuation: Valuation, marked: bool
) -> dict[CashKey, Fraction]:
    """Margin balances; where `marked`, with the gains of perpetuals and futures up to now.

    One whose quote is stale gains up to its last one; one never quoted gains nothing that could be known.
    Both are among what is missing, so that the book counts as incomplete.
    """
    if not marked:
        return book.margin_balances()
    positions = valuation.universe.positions
    last = price_or_nan(market)
    keys = sorted({p.listing.key for p in book.daily})
    now = {key: float(valuation.forward[positions[key]]) for key in keys}
    prices = {key: x if np.isfinite(x) else float(last[positions[key]]) for key, x in now.items()}
    return book.margin_balances(prices, [key for key, x in prices.items() if not x > 0])


def equity_usd(snapshot: Snapshot, left_out: Container[str] = ()) -> float:
    """What the book is worth, USD: balances at the index plus the value of options and spot positions.

    left_out: currencies whose balance does not count. NaN where a position or a balance cannot be valued.
    """
    total = 0.0
    for currency, amount in snapshot.balances.items():
        if currency in left_out:
            continue
        total += amount * worth(currency, snapshot.spot)
    held = np.flatnonzero(snapshot.quantities)
    return total + float(snapshot.quantities[held] @ snapshot.valuation.value_usd[held])


def equity_range_usd(
    snapshot: Snapshot, assumed: MissingSettings, left_out: Container[str] = ()
) -> tuple[float, float]:
    """What the book is worth at least and at most, USD, with what has no usable mark in its range.

    left_out: currencies whose balance does not count. NaN where a coin has no index, or a position no bound.
    """
    equity = equity_usd(snapshot, left_out)
    if np.isfinite(equity) and not snapshot.missing:
        return equity, equity
    missing = np.zeros(snapshot.quantities.size, dtype=np.bool_)
    missing[list(snapshot.exposure.missing)] = True
    known = replace(snapshot, quantities=np.where(missing, 0.0, snapshot.quantities))
    low, high = value_range(
        snapshot.market.universe,
        snapshot.quantities,
        snapshot.exposure.missing,
        snapshot.valuation.spot,
        price_or_nan(snapshot.market),
        snapshot.market.now_ns,
        assumed,
    )
    rest = equity_usd(known, left_out)
    return rest + low, rest + high


def _missing(
    book: Book, market: Market, valuation: Valuation, exposure: Exposure, spot: Mapping[str, float]
) -> tuple[Missing, ...]:
    """Positions without a usable mark, and coin balances without an index."""
    age = market.age_s
    found = [
        Missing(*market.universe.listings[i].key, MarkStatus(valuation.status[i]).reason, float(age[i]))
        for i in exposure.missing
    ]
    for (venue, _, currency), amount in book.cash.items():
        if amount and currency in spot and not np.isfinite(spot[currency]):
            found.append(Missing(venue, currency, MarkStatus.NO_INDEX.reason, float("nan")))
    return tuple(found)


def _overridden(bands: Bands, exposure: Exposure, name: str, trigger: Interval, landing: Interval) -> Bands:
    """The bands with one row's replaced; a row or an interval that makes no sense is the user's to mend."""
    if name not in exposure.rows:
        raise InputError(
            "BAND_ROW",
            "the book has no such row",
            where="--band",
            observed=name,
            allowed=", ".join(exposure.rows),
            not_done="nothing was planned",
            fix="name a row as `hedger risk --json` does",
        )
    try:
        return bands.with_row(exposure.rows.index(name), trigger, landing)
    except ValueError:
        raise InputError(
            "BAND_INVALID",
            "landing does not lie inside trigger",
            where=f"--band {name}",
            observed=f"trigger {trigger}, landing {landing}",
            allowed="a landing interval inside the trigger interval",
            not_done="nothing was planned",
            fix="for example --band delta:BTC=-1.5,1.5/-0.7,0.7",
        ) from None
