"""What positions held from one mark to the next gained, and the Taylor terms of each (`risk.attribution`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pricing import black76
from pricing.contracts import Kind, Listing, Option
from pricing.daycount import years_between
from pricing.universe import BoolArray, FloatArray, IntArray
from pricing.valuation import DeltaSource, MarkStatus, Valuation
from risk.standing import Standing, spots

#: The terms of the expansion, as `Legs.terms` names them.
TERMS = ("delta", "gamma", "theta", "vega", "vanna", "volga", "charm", "basis")


class Legs:
    """The positions of the earlier mark beside what they became; columns (k,), USD.

    Later figures are those of the settlement where a leg expired: the settlement price for index and forward,
    the vol as it was, the payoff for the value. gain: P&L of each. remarked: of that, what the coins it paid
    out gained from the settlement price to the later index.
    """

    def __init__(
        self, before: Standing, after: Standing, rows: IntArray, settled: Mapping[tuple[str, str], float]
    ) -> None:
        self._valuation, self._rows = before.valuation, rows
        universe = before.valuation.universe
        listings = [universe.listings[i] for i in rows.tolist()]
        self.underlying = universe.underlying[rows]
        self.expired: BoolArray = np.array([x.key in settled for x in listings], dtype=np.bool_)
        later = _later(listings, after.valuation)
        spot_of = spots(after.valuation)
        index = np.array([spot_of.get(x.contract.underlying, math.nan) for x in listings])
        price = np.array([settled.get(x.key, math.nan) for x in listings])
        self._spot = np.where(self.expired, price, index)
        self._forward = np.where(self.expired, price, later["forward"])
        self._vol = np.where(self.expired, before.valuation.vol[rows], later["vol"])
        passed = np.full(rows.size, float(years_between(before.valuation.now_ns, after.valuation.now_ns)))
        self._years = np.where(self.expired, before.valuation.years[rows], passed)
        paid = np.array([payoff(x, settled[x.key]) if x.key in settled else math.nan for x in listings])
        self.unknown = _reasons(before.valuation, rows, after.valuation, settled)

        kind, inverse, size = universe.kind[rows], universe.inverse[rows], universe.size[rows]
        self._option, self._spot_kind = kind == Kind.OPTION, kind == Kind.SPOT
        self._inverse = inverse
        self._units = before.quantities[rows] * size
        self._quantity = before.quantities[rows]
        forward = before.valuation.forward[rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            coins = np.where(inverse, 1.0 / forward - 1.0 / self._forward, 0.0)
            run = np.where(inverse, coins * self._spot, self._forward - forward) * self._units
            pays = np.where(inverse, paid * self._spot, paid) * size
        value = np.where(self.expired, pays, later["value"])
        owned = self._quantity * (value - before.valuation.value_usd[rows])
        at_price = np.where(self._option | self._spot_kind, owned, run)
        received = np.where(self._option, np.where(inverse, paid, 0.0), coins) * self._units
        self.remarked = np.where(self.expired, np.where(inverse, received * (index - price), 0.0), 0.0)
        self.gain = at_price + self.remarked

    def terms(self) -> dict[str, FloatArray]:
        """The Taylor terms of each leg, by name, (k,)."""
        valuation, rows = self._valuation, self._rows
        q, option, inverse = self._quantity, self._option, self._inverse
        usd, coin = valuation.usd, valuation.coin
        spot, forward = valuation.spot_of_listing()[rows], valuation.forward[rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            c, later = forward / spot, self._forward / self._spot
            scale = np.where(inverse, 1.0 / c, 1.0)  # of the forward's value, which an inverse option divides
            move = self._spot - spot
            bent = 0.5 * usd.gamma[rows] * np.where(inverse, c, c * c) * move**2
            per_c = np.where(inverse, coin.delta[rows], usd.delta[rows]) * self._spot / c
            per_future = np.where(inverse, 1.0 / c - 1.0 / later, (later - c) * self._spot)
            vol_by = self._vol - valuation.vol[rows]
            vol_move = usd.vega[rows] * scale * vol_by - self._expected(c, scale)
            basis = np.where(option, q * per_c * (later - c), self._units * per_future)
            vanna, volga, charm = self._second_order()
            per_spot = np.where(inverse, 1.0, c)  # of the forward's delta
        return {
            "delta": q * usd.delta[rows] * move,
            "gamma": np.where(option, q * bent, 0.0),
            "theta": np.where(option, q * usd.theta[rows] * scale * self._years, 0.0),
            "vega": np.where(option, q * vol_move, 0.0),
            "vanna": np.where(option, q * vanna * per_spot * move * vol_by, 0.0),
            "volga": np.where(option, 0.5 * q * volga * scale * vol_by**2, 0.0),
            "charm": np.where(option, q * charm * per_spot * move * self._years, 0.0),
            "basis": np.where(self._spot_kind, 0.0, basis),
        }

    def _second_order(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Vanna, volga and charm of one order unit on its own forward, (k,); 0 where only the residual has
        them: in the window of a settlement price, and in what expired."""
        valuation, rows = self._valuation, self._rows
        universe = valuation.universe
        plain = self._option & ~valuation.in_window[rows] & ~self.expired
        at = rows[plain]
        found = black76.higher_greeks(
            valuation.forward[at],
            universe.strike[at],
            valuation.years[at],
            valuation.vol[at],
            universe.sign[at],
        )
        columns = []
        for greek in (found.vanna, found.volga, found.charm):
            column = np.zeros(rows.size)
            column[plain] = greek * universe.size[at]
            columns.append(column)
        return columns[0], columns[1], columns[2]

    def _expected(self, c: FloatArray, scale: FloatArray) -> FloatArray:
        """USD per unit that the delta rule expects of the vol's move, and has counted as delta, (k,)."""
        valuation, rows = self._valuation, self._rows
        universe = valuation.universe
        by_rule = self._option & (valuation.delta_source[rows] == DeltaSource.RULE)
        expected = np.zeros(rows.size)
        if by_rule.any():
            at = rows[by_rule]
            plain = black76.greeks(
                valuation.forward[at],
                universe.strike[at],
                valuation.years[at],
                valuation.vol[at],
                universe.sign[at],
            ).delta
            full = valuation.usd.delta[at] / universe.size[at]
            shift = np.where(universe.inverse[at], full, full / c[by_rule]) - plain
            moved = self._forward[by_rule] - valuation.forward[at]
            expected[by_rule] = shift * universe.size[at] * moved * scale[by_rule]
        return expected


def _later(listings: Iterable[Listing], valuation: Valuation) -> dict[str, FloatArray]:
    """Forward, vol and value of listings at a mark, NaN where it does not know them."""
    at = np.array([valuation.universe.positions.get(x.key, -1) for x in listings], dtype=np.int64)
    columns = {"forward": valuation.forward, "vol": valuation.vol, "value": valuation.value_usd}
    if not len(valuation.universe):
        return {name: np.full(at.size, np.nan) for name in columns}
    return {name: np.where(at >= 0, column[at], np.nan) for name, column in columns.items()}


def _reasons(
    before: Valuation, rows: IntArray, after: Valuation, settled: Mapping[tuple[str, str], float]
) -> list[str]:
    """Why legs cannot be followed from mark to mark, a line each."""
    ok = MarkStatus.OK
    both_know = (before.status[rows] == ok).all() and after.universe is before.universe
    if both_know and not settled and (after.status[rows] == ok).all():
        return []
    found = []
    for i in rows.tolist():
        listing = before.universe.listings[i]
        if before.status[i] != ok:
            found.append(why(listing, before, i, "earlier"))
        if listing.key in settled:
            if math.isnan(payoff(listing, settled[listing.key])):
                found.append(f"{listing.venue} {listing.symbol}: no settlement price above 0")
            continue
        at = after.universe.positions.get(listing.key)
        if at is None or after.status[at] != ok:
            found.append(why(listing, after, at, "later"))
    return found


def why(listing: Listing, valuation: Valuation, at: int | None, mark: str) -> str:
    """Why a listing is not known at the `earlier` or `later` mark; at: its row, None where it has none."""
    reason = "not listed" if at is None else MarkStatus(int(valuation.status[at])).reason
    told = ", and no settlement is told" if reason in ("not listed", "expired") else ""
    return f"{listing.venue} {listing.symbol}: {reason} at the {mark} mark{told if mark == 'later' else ''}"


def payoff(listing: Listing, price: float) -> float:
    """What one natural unit pays at a settlement price, in the listing's quotation; NaN at no price."""
    if not 0.0 < price < math.inf:
        return math.nan
    contract = listing.contract
    if not isinstance(contract, Option):
        return price
    dollars = max(contract.right.sign * (price - contract.strike), 0.0)
    return dollars / price if contract.inverse else dollars


def moved(listing: Listing, start: float, end: float) -> float:
    """What one natural unit gains between two prices, in its settlement currency."""
    contract: Any = listing.contract
    if contract.inverse and contract.kind in (Kind.PERPETUAL, Kind.FUTURE):
        return 1.0 / start - 1.0 / end
    return end - start
