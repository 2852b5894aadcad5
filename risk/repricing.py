"""Many shocks at once: a book's P&L, delta, gamma and vega after each, every one by full revaluation.

`risk.scenarios` makes a shocked market and values it; a ladder of spot x vol x time has hundreds of them, a
list of past returns thousands. Here the held listings alone are valued, all shocks in one pass of the same
kernel and the same `pricing.valuation.per_unit`: element by element it is what `unit_pnl` gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pricing import black76, inverse
from pricing.contracts import STABLE_CURRENCIES, Kind
from pricing.daycount import SECONDS_PER_YEAR
from pricing.market import VOL_ABSURD_ABOVE, VOL_ABSURD_BELOW, Market
from pricing.settlement import WINDOW_YEARS, window_greeks
from pricing.universe import BoolArray, FloatArray, IntArray, Universe
from pricing.valuation import MarkStatus, Numeraire, Valuation, per_unit
from risk.bands import row_factor
from risk.exposures import ExposureSettings
from risk.scenarios import Moneyness, Shock, Worth, unit_gain, vol_shift

#: Cells (shock x listing) that are valued in one pass: more would only fill the memory.
CELLS_PER_PASS = 400_000
#: What of an option the kernels give, by the names that `per_unit` takes.
_BLACK = ("value", "delta", "gamma", "vega", "theta", "pa_delta", "pa_gamma")
METRICS = ("pnl", "delta", "gamma", "vega")


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """What is revalued. quantities: (n,) signed, order units. balances: margin balance by currency.

    paid: cash that trades on an underlying pay, by (underlying, currency), > 0 paid: it counts on that
    underlying alone. cost_usd: by underlying, what the trades cost: a loss in every shock, none among them.
    gained: by underlying, coins and dollars that trades are worth at once by their marks: in the balance
    after every shock, none among them.
    """

    quantities: FloatArray
    balances: Mapping[str, float]
    paid: Mapping[tuple[str, str], float] = field(default_factory=dict)
    cost_usd: Mapping[str, float] = field(default_factory=dict)
    gained: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Repriced:
    """A holding after each shock, arrays (underlyings, shocks); NaN where an index is not known.

    USD numeraire: pnl USD, delta USD, gamma USD of delta per 1 %, vega USD per point. Coin numeraire: coin of
    each underlying, gamma per 1 %, vega per point. gamma counts every option, those about to expire as well.
    What cannot be valued now is in none of them: it stands among what is missing.
    """

    underlyings: tuple[str, ...]
    pnl: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray

    def of(self, metric: str) -> FloatArray:
        """One of `METRICS`, (underlyings, shocks)."""
        return np.asarray(getattr(self, metric))


def reprice(
    market: Market,
    valuation: Valuation,
    holdings: Sequence[Holding],
    shocks: Mapping[str, Sequence[Shock]],
    settings: ExposureSettings,
    count: int | None = None,
) -> tuple[Repriced, ...]:
    """Each holding after each shock.

    Args:
        market, valuation: as things stand; forwards and vols are taken as the valuation chose them.
        shocks: by underlying, as many for each: the i-th of all of them happen together.
        count: how many shocks there are, where a book may have no underlying that tells; None: they tell.

    Raises:
        ValueError: underlyings have different numbers of shocks, or the market knows no such underlying.
    """
    counts = {len(of_one) for of_one in shocks.values()} | ({count} if count is not None else set())
    unlisted = [name for name in shocks if name not in valuation.universe.underlyings]
    if len(counts) > 1 or unlisted:
        raise ValueError(f"shocks by underlying: {sorted(counts)} of them, unlisted {unlisted}")
    found: list[list[dict[str, FloatArray]]] = [[] for _ in holdings]
    for name, of_one in shocks.items():
        legs = _Legs(market, valuation, holdings, name)
        step = max(1, CELLS_PER_PASS // max(1, legs.rows.size))
        parts = [
            legs.after(of_one[i : i + step], holdings, settings) for i in range(0, len(of_one), step)
        ] or [legs.after((), holdings, settings)]
        for h in range(len(holdings)):
            found[h].append({m: np.concatenate([part[h][m] for part in parts]) for m in METRICS})
    shape = (0, next(iter(counts), 0))
    return tuple(
        Repriced(
            tuple(shocks), *(np.array([one[m] for one in mine]) if mine else np.zeros(shape) for m in METRICS)
        )
        for mine in found
    )


class _Legs:
    """The held listings of one underlying, columns (k,)."""

    def __init__(
        self, market: Market, valuation: Valuation, holdings: Sequence[Holding], underlying: str
    ) -> None:
        whole = valuation.universe
        held = np.zeros(len(whole), dtype=np.bool_)
        for holding in holdings:
            held |= holding.quantities != 0
        usable = held & (valuation.status == MarkStatus.OK) & whole.where_underlying(underlying)
        self.rows: IntArray = np.flatnonzero(usable)
        self.name = underlying
        self._spot = float(valuation.spot[whole.underlyings.index(underlying)])
        self._universe = Universe.of([whole.listings[i] for i in self.rows.tolist()])
        self._now = valuation
        self._forward, self._vol = valuation.forward[self.rows], valuation.vol[self.rows]
        self._years, self._value = valuation.years[self.rows], valuation.value_usd[self.rows]
        self._in_window = valuation.in_window[self.rows]
        keys = [(underlying, int(whole.expiry_ns[i])) for i in self.rows.tolist()]
        told = np.array([market.settlement_average.get(key, np.nan) for key in keys])
        self._average = np.where(np.isfinite(told) & (told > 0), told, self._spot)

    def after(
        self, shocks: Sequence[Shock], holdings: Sequence[Holding], settings: ExposureSettings
    ) -> list[dict[str, FloatArray]]:
        """Each holding's metrics after each shock, (shocks,)."""
        universe, numeraire = self._universe, settings.numeraire
        moved, added, hours, apart, skew, term = np.array(
            [(s.spot, s.vol, s.hours, s.forward, s.skew, s.term) for s in shocks]
        ).reshape(len(shocks), 6).T[:, :, None]  # fmt: skip
        option = universe.is_option
        spot = np.broadcast_to(self._spot * (1.0 + moved), (len(shocks), len(universe)))
        forward = self._forward * (1.0 + moved) * np.where(option, 1.0 + apart, 1.0)
        years = self._years - hours * 3600.0 / SECONDS_PER_YEAR
        vol = self._vol + vol_shift(
            added, skew, term, Moneyness(universe.strike, self._forward, self._years, self._vol)
        )
        vol = np.clip(vol, VOL_ABSURD_BELOW, VOL_ABSURD_ABOVE)
        with np.errstate(invalid="ignore"):
            gone = (universe.expiry_ns > 0) & (years <= 0)
        black = self._black(option & ~gone, forward, years, vol, moved, hours)
        usd, coin, _, value = per_unit(universe, ~gone, spot, forward, black)
        gain = unit_gain(
            universe,
            numeraire,
            gone,
            Worth(np.full(len(universe), self._spot), self._forward, self._value),
            Worth(spot, forward, value),
        )
        greeks = usd if numeraire is Numeraire.USD else coin
        received = self._received(gone, np.where(gone, self._forward * (1.0 + moved), forward))
        per_coin, per_dollar = _per_currency(self.name, spot[:, :1], settings)
        delta = np.where(gone, 0.0, greeks.delta) + received * np.where(
            universe.inverse, per_coin, per_dollar
        )
        rows = {"delta": delta, "gamma": np.where(gone, 0.0, greeks.gamma)}
        rows["vega"] = np.where(gone, 0.0, greeks.vega)  # what has expired moves no more
        return [self._of(holding, gain, rows, moved[:, 0], settings) for holding in holdings]

    def _received(self, gone: BoolArray, forward: FloatArray) -> FloatArray:
        """What is in the balance after a shock, of one order unit, and was not before: the gain of perpetuals
        and futures, the payoff of what expired; in the settlement currency, (shocks, k)."""
        universe = self._universe
        option = universe.is_option
        payoff = np.where(gone & option, np.maximum(universe.sign * (forward - universe.strike), 0.0), 0.0)
        payoff = np.where(universe.inverse, payoff / forward, payoff)
        gained = np.where(universe.inverse, 1.0 / self._forward - 1.0 / forward, forward - self._forward)
        runs = (universe.kind == Kind.PERPETUAL) | (universe.kind == Kind.FUTURE)
        return np.asarray(np.select([option, runs], [payoff, gained], 0.0) * universe.size)

    def _black(
        self,
        live: BoolArray,
        forward: FloatArray,
        years: FloatArray,
        vol: FloatArray,
        moved: FloatArray,
        hours: FloatArray,
    ) -> dict[str, FloatArray]:
        """Value and Greeks of one coin's option in every cell that is one, (shocks, k); NaN elsewhere."""
        black = {name: np.full(forward.shape, np.nan) for name in _BLACK}
        live = np.broadcast_to(live, forward.shape)
        plain = live & (years > WINDOW_YEARS)
        strike, sign = (
            np.broadcast_to(x, forward.shape) for x in (self._universe.strike, self._universe.sign)
        )
        if plain.any():
            cells = forward[plain], strike[plain], years[plain], vol[plain], sign[plain]
            found, in_coin = black76.greeks(*cells), inverse.coin_greeks(*cells)
            results = (found.price, *found[1:], in_coin.pa_delta, in_coin.pa_gamma)
            for name, result in zip(_BLACK, results, strict=True):
                black[name][plain] = result
        averaged = live & ~plain
        if averaged.any():
            self._averaging(black, averaged, (forward, strike, years, vol, sign), moved, hours)
        return black

    def _averaging(
        self,
        black: dict[str, FloatArray],
        cells: BoolArray,
        known: tuple[FloatArray, ...],
        moved: FloatArray,
        hours: FloatArray,
    ) -> None:
        """Cells inside the window of a settlement price; the part of it that passed is at the new index."""
        forward, strike, years, vol, sign = (x[cells] for x in known)
        index = self._spot * (1.0 + moved)
        before = np.where(self._in_window, 1.0 - self._years / WINDOW_YEARS, 0.0)
        later = np.minimum(before + hours * 3600.0 / SECONDS_PER_YEAR / WINDOW_YEARS, 1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            went_on = np.where(
                later > before, (before * self._average + (later - before) * index) / later, self._average
            )
        average = np.where(self._in_window, went_on, index)[cells]
        elapsed = np.clip(1.0 - years / WINDOW_YEARS, 0.0, 1.0)
        found = window_greeks(forward, strike, vol, sign, average, elapsed, years)
        net = found.delta - found.value / forward
        theta = -0.5 * vol**2 * forward**2 * found.gamma
        results = (*found, theta, net, forward * found.gamma - 2.0 * net)
        for name, result in zip(_BLACK, results, strict=True):
            black[name][cells] = result

    def _of(
        self,
        holding: Holding,
        gain: FloatArray,
        rows: Mapping[str, FloatArray],
        moved: FloatArray,
        settings: ExposureSettings,
    ) -> dict[str, FloatArray]:
        """A holding's metrics, (shocks,): positions, balances, what trades paid, gained at once and cost."""
        mine = np.flatnonzero(holding.quantities[self.rows])
        quantity = holding.quantities[self.rows][mine]
        index = self._spot * (1.0 + moved)
        numeraire = settings.numeraire
        held = {name: column[:, mine] @ quantity for name, column in rows.items()}
        pnl = gain[:, mine] @ quantity
        for currency, amount in _cash(holding, self.name).items():
            per_unit_pnl, per_unit_delta = _currency(currency, self.name, self._spot, index, settings)
            pnl, held["delta"] = pnl + amount * per_unit_pnl, held["delta"] + amount * per_unit_delta
        cost = holding.cost_usd.get(self.name, 0.0)
        coins, dollars = holding.gained.get(self.name, (0.0, 0.0))
        per_coin, per_dollar = _per_currency(self.name, index, settings)
        held["delta"] = held["delta"] + coins * per_coin + dollars * per_dollar
        in_usd = coins * index + dollars - cost
        pnl = pnl + (in_usd if numeraire is Numeraire.USD else in_usd / index)
        if numeraire is Numeraire.COIN:
            scale = {"delta": np.ones_like(index), "gamma": np.full_like(index, 1e-2)}
            scale["vega"] = np.full_like(index, 1e-2)
        else:
            scale = {name: np.array([1.0 / row_factor(name, s, numeraire) for s in index]) for name in held}
        return {"pnl": pnl} | {name: scale[name] * x for name, x in held.items()}


def _per_currency(
    underlying: str, index: FloatArray, settings: ExposureSettings
) -> tuple[FloatArray, FloatArray]:
    """What one coin and one dollar of a balance count on the delta row at an index."""
    zero = np.zeros_like(index)
    if settings.numeraire is Numeraire.USD:
        return np.ones_like(index), zero
    return zero, -1.0 / index if settings.stable_underlying in ("", underlying) else zero


def _cash(holding: Holding, underlying: str) -> dict[str, float]:
    """What counts on an underlying's rows of the balances, less what trades on it paid."""
    cash = dict(holding.balances)
    for (of, currency), amount in holding.paid.items():
        if of == underlying:
            cash[currency] = cash.get(currency, 0.0) - amount
    return {currency: amount for currency, amount in cash.items() if amount}


def _currency(
    currency: str, underlying: str, spot: float, index: FloatArray, settings: ExposureSettings
) -> tuple[FloatArray, FloatArray]:
    """P&L and delta row of one unit of a currency after each shock, as `risk.scenarios.currency_pnl` and
    `risk.exposures.cash_rows` count them."""
    zero = np.zeros_like(index)
    coin, dollar = _per_currency(underlying, index, settings)
    if currency in STABLE_CURRENCIES:
        return dollar * (index / spot - 1.0), dollar
    if currency != underlying:
        return zero, zero
    return (index - spot if settings.numeraire is Numeraire.USD else zero), coin
