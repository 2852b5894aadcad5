"""Where a book's P&L between two valuations came from: Greeks, trading, payments, and what none explains.

Wealth is counted in USD, stable currencies as dollars. A position held all the while is expanded about the
earlier mark, with S the index, c = F/S its forward over it, U its value in USD:

    delta  dU/dS dS          gamma  1/2 d2U/dS2 dS^2      theta  dU/dt dt      vega  dU/dvol dvol
    vanna  d2U/dSdvol dS dvol        volga  1/2 d2U/dvol2 dvol^2       charm  d2U/dSdt dS dt
    basis  dU/dc dc          the forward against the index: a perpetual's premium, a future's run-off

Coins in the balances are delta. A perpetual or future is explained exactly by delta and basis: inverse
Q (1/F0 - 1/F1) S1 = Q/F0 dS + Q (1/c0 - 1/c1), linear q (F1 - F0) = q c0 dS + q (c1 - c0) S1. Where deltas
follow a rule that expects vol to move with the forward, that much of the vol's move is in delta, and vega has
the rest.

A trade gains from its price to the later mark: slippage is the part up to the mid at its arrival, `traded`
the rest. Cash that moves in between is counted at the later index. A position that expires is expanded up to
the settlement price by delta, gamma, theta and basis; `settlement` is what its payoff differs from that. An
option whose settlement price is being averaged has no vanna, volga and charm here: the residual has them. The
residual is whatever is left, so that the parts sum to the change of equity by construction: its size is the
test (`risk.unexplained`).

What gamma earned against what theta took is the harvest of realised against implied vol (`Parts.harvest`).

Source: Taylor's theorem; the Greeks and their numeraire are those of `pricing.valuation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pricing import black76
from pricing.contracts import STABLE_CURRENCIES, Kind, Listing, Option
from pricing.daycount import years_between
from pricing.universe import BoolArray, FloatArray, IntArray
from pricing.valuation import DeltaSource, MarkStatus, Valuation
from risk.flows import NO_FLOWS, Cause, Flows, Trade

#: The row of what belongs to no underlying: payments for none, and cash that no flow explains.
OTHER = "other"
#: The part that a payment is, but for transfers, which are no gain.
_PART_OF = {Cause.FUNDING: "funding", Cause.FEE: "fees", Cause.SETTLEMENT: "settlement"}
_GREEKS = ("delta", "gamma", "theta", "vega", "vanna", "volga", "charm", "basis")


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A book valued at a mark. quantities: (n,) signed, order units. balances: margin balance by currency,
    with the gains of perpetuals and futures up to this mark."""

    valuation: Valuation
    quantities: FloatArray
    balances: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Parts:
    """P&L by cause, USD, costs negative; NaN where a cause cannot be known."""

    delta: float = 0.0
    gamma: float = 0.0
    theta: float = 0.0
    vega: float = 0.0
    vanna: float = 0.0
    volga: float = 0.0
    charm: float = 0.0
    basis: float = 0.0
    traded: float = 0.0
    slippage: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    settlement: float = 0.0
    residual: float = 0.0

    @property
    def pnl(self) -> float:
        """Sum of the parts."""
        return math.fsum(getattr(self, name) for name in Parts.__slots__)

    @property
    def harvest(self) -> float:
        """What gamma earned beyond what theta took: above 0 where vol was realised above the implied one, for
        who is long of it."""
        return self.gamma + self.theta

    def __add__(self, other: Parts) -> Parts:
        return Parts(*(getattr(self, name) + getattr(other, name) for name in Parts.__slots__))

    def as_dict(self) -> dict[str, float]:
        """The parts by name, and their sum as `pnl`."""
        return {name: getattr(self, name) for name in Parts.__slots__} | {"pnl": self.pnl}


@dataclass(frozen=True, slots=True)
class Attribution:
    """P&L of an interval by underlying, `other` among them, in USD.

    equity_change = total.pnl + transfers. unknown: what cannot be told and why; each leaves NaN in the parts
    of its underlying, and so in the total.
    """

    from_ns: int
    to_ns: int
    rows: Mapping[str, Parts]
    transfers: float
    equity_change: float
    unknown: tuple[str, ...] = ()

    @property
    def total(self) -> Parts:
        """Sum over the rows."""
        return sum(self.rows.values(), Parts())

    def then(self, later: Attribution) -> Attribution:
        """This interval and the one after it as one.

        Raises:
            ValueError: the later one does not begin where this one ends.
        """
        if self.to_ns != later.from_ns:
            raise ValueError(f"an interval ends at {self.to_ns} and the next begins at {later.from_ns}")
        names = list(dict.fromkeys([*self.rows, *later.rows]))
        return Attribution(
            from_ns=self.from_ns,
            to_ns=later.to_ns,
            rows={name: self.rows.get(name, Parts()) + later.rows.get(name, Parts()) for name in names},
            transfers=self.transfers + later.transfers,
            equity_change=self.equity_change + later.equity_change,
            unknown=tuple(dict.fromkeys(self.unknown + later.unknown)),
        )


def equity_usd(standing: Standing) -> float:
    """What a book is worth, USD: balances at the index plus the value of what is held; NaN where unknown."""
    spot, held = _spots(standing.valuation), np.flatnonzero(standing.quantities)
    cash = [amount * _worth(name, spot) for name, amount in standing.balances.items() if amount]
    return math.fsum([*cash, *(standing.quantities[held] * standing.valuation.value_usd[held]).tolist()])


def attribute(before: Standing, after: Standing, flows: Flows = NO_FLOWS) -> Attribution:
    """Split the change of a book's equity between two marks by cause and underlying.

    sum of all parts = equity(after) - equity(before) - transfers, exactly; USD.

    Args:
        before, after: the book at the two marks; their universes may differ. flows: what moved cash in
            between. A change of cash or positions that no flow tells is the residual of `other`.

    Returns:
        Attribution. Nothing is raised for what cannot be valued: it is NaN, and `unknown` says why.

    Reference: this module's head.
    """
    tally = _Tally(before, after)
    tally.coins(before)
    tally.held(before, after, flows.settled)
    for trade in flows.trades:
        tally.trade(trade, after.valuation, flows.settled)
    for payment in flows.payments:
        if payment.cause is Cause.TRANSFER:
            tally.transfers += payment.amount * tally.worth(payment.currency)
            continue
        coin = "" if payment.currency in STABLE_CURRENCIES else payment.currency
        row = payment.underlying or coin or OTHER
        part = _PART_OF[payment.cause]
        tally.add(row, part, payment.amount * tally.worth(payment.currency))
    change = equity_usd(after) - equity_usd(before)
    return Attribution(
        from_ns=before.valuation.now_ns,
        to_ns=after.valuation.now_ns,
        rows=tally.rows(change),
        transfers=tally.transfers,
        equity_change=change,
        unknown=tuple(dict.fromkeys(tally.unknown)),
    )


def _spots(valuation: Valuation) -> dict[str, float]:
    return dict(zip(valuation.universe.underlyings, valuation.spot.tolist(), strict=True))


def _worth(currency: str, spot: Mapping[str, float]) -> float:
    """USD of one unit of a currency, NaN where unknown."""
    return 1.0 if currency in STABLE_CURRENCIES else spot.get(currency, math.nan)


class _Tally:
    """Parts by underlying as they are found, and the P&L they are parts of."""

    def __init__(self, before: Standing, after: Standing) -> None:
        self._parts: dict[tuple[str, str], list[float]] = {}
        self._pnl: dict[str, list[float]] = {}
        self._spot_before, self._spot_after = _spots(before.valuation), _spots(after.valuation)
        self.transfers = 0.0
        self.unknown: list[str] = []

    def worth(self, currency: str) -> float:
        """USD of one unit of a currency at the later mark."""
        worth = _worth(currency, self._spot_after)
        if math.isnan(worth):
            self.unknown.append(f"{currency}: no index at the later mark")
        return worth

    def add(self, row: str, part: str, amount: float, *, of_pnl: bool = True) -> None:
        """An amount that has a cause, and counts in the P&L itself unless that is added apart."""
        self._parts.setdefault((row, part), []).append(amount)
        if of_pnl:
            self.gain(row, amount)

    def gain(self, row: str, amount: float) -> None:
        """P&L whose causes are added apart."""
        self._pnl.setdefault(row, []).append(amount)

    def rows(self, equity_change: float) -> dict[str, Parts]:
        """The parts of every row with their residuals; `other` takes what no flow explains."""
        explained = [math.fsum(amounts) for amounts in self._pnl.values()]
        self.gain(OTHER, math.fsum([equity_change, -self.transfers, *(-x for x in explained)]))
        found = {}
        for row, gains in self._pnl.items():
            parts = {
                name: math.fsum(self._parts.get((row, name), ()))
                for name in Parts.__slots__
                if name != "residual"
            }
            found[row] = Parts(**parts, residual=math.fsum([*gains, *(-x for x in parts.values())]))
        return found

    def coins(self, before: Standing) -> None:
        """Coins in the balances gain with their index."""
        for coin, amount in before.balances.items():
            if amount and coin not in STABLE_CURRENCIES:
                if math.isnan(self._spot_before.get(coin, math.nan)):
                    self.unknown.append(f"{coin}: no index at the earlier mark")
                move = self.worth(coin) - self._spot_before.get(coin, math.nan)
                self.add(coin, "delta", amount * move)

    def held(self, before: Standing, after: Standing, settled: Mapping[tuple[str, str], float]) -> None:
        """Positions held since the earlier mark, up to the later one or to their settlement."""
        rows = np.flatnonzero(before.quantities)
        if rows.size == 0:
            return
        legs = _Legs(before, after, rows, settled)
        self.unknown += legs.unknown
        names, of_row = before.valuation.universe.underlyings, legs.underlying
        terms = legs.terms()
        rest = legs.gain - legs.remarked - np.sum([terms[name] for name in _GREEKS], axis=0)
        columns = terms | {"settlement": np.where(legs.expired, rest, 0.0)}
        columns["delta"] = columns["delta"] + legs.remarked
        for u in np.unique(of_row).tolist():
            mine = of_row == u
            self.gain(names[u], math.fsum(legs.gain[mine].tolist()))
            for part, column in columns.items():
                self.add(names[u], part, math.fsum(column[mine].tolist()), of_pnl=False)

    def trade(self, trade: Trade, valuation: Valuation, settled: Mapping[tuple[str, str], float]) -> None:
        """A trade's gain from its price to the mid at its arrival, to the later mark; and its fee."""
        fill, listing = trade.fill, trade.fill.listing
        underlying, settlement = listing.contract.underlying, listing.contract.settlement
        worth = self.worth(settlement)
        end = self._closing(listing, valuation, settled, worth)
        arrival = trade.arrival_mid if 0.0 < trade.arrival_mid < math.inf else math.nan
        if math.isnan(arrival):
            self.unknown.append(
                f"{listing.venue} {listing.symbol}: the mid at the trade's arrival is not known"
            )
        units, price = float(fill.signed) * float(listing.size) * worth, float(fill.price)
        self.add(underlying, "slippage", units * _moved(listing, price, arrival), of_pnl=False)
        self.add(underlying, "traded", units * _moved(listing, arrival, end), of_pnl=False)
        self.gain(underlying, units * _moved(listing, price, end))
        if fill.fee:
            self.add(underlying, "fees", -float(fill.fee) * self.worth(fill.fee_currency))

    def _closing(
        self, listing: Listing, valuation: Valuation, settled: Mapping[tuple[str, str], float], worth: float
    ) -> float:
        """A listing's price at the later mark, or what it paid at its settlement, in its quotation."""
        contract = listing.contract
        if contract.kind is Kind.SPOT:
            return self.worth(contract.underlying) / worth
        if (price := settled.get(listing.key)) is not None:
            return _payoff(listing, price)
        at = valuation.universe.positions.get(listing.key)
        if at is None or valuation.status[at] != MarkStatus.OK:
            self.unknown.append(_why(listing, valuation, at, "later"))
            return math.nan
        return float((valuation.price if contract.kind is Kind.OPTION else valuation.forward)[at])


class _Legs:
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
        spots = _spots(after.valuation)
        index = np.array([spots.get(x.contract.underlying, math.nan) for x in listings])
        price = np.array([settled.get(x.key, math.nan) for x in listings])
        self._spot = np.where(self.expired, price, index)
        self._forward = np.where(self.expired, price, later["forward"])
        self._vol = np.where(self.expired, before.valuation.vol[rows], later["vol"])
        passed = np.full(rows.size, float(years_between(before.valuation.now_ns, after.valuation.now_ns)))
        self._years = np.where(self.expired, before.valuation.years[rows], passed)
        paid = np.array([_payoff(x, settled[x.key]) if x.key in settled else math.nan for x in listings])
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
            found.append(_why(listing, before, i, "earlier"))
        if listing.key in settled:
            if math.isnan(_payoff(listing, settled[listing.key])):
                found.append(f"{listing.venue} {listing.symbol}: no settlement price above 0")
            continue
        at = after.universe.positions.get(listing.key)
        if at is None or after.status[at] != ok:
            found.append(_why(listing, after, at, "later"))
    return found


def _why(listing: Listing, valuation: Valuation, at: int | None, mark: str) -> str:
    reason = "not listed" if at is None else MarkStatus(int(valuation.status[at])).reason
    told = ", and no settlement is told" if reason in ("not listed", "expired") else ""
    return f"{listing.venue} {listing.symbol}: {reason} at the {mark} mark{told if mark == 'later' else ''}"


def _payoff(listing: Listing, price: float) -> float:
    """What one natural unit pays at a settlement price, in the listing's quotation; NaN at no price."""
    if not 0.0 < price < math.inf:
        return math.nan
    contract = listing.contract
    if not isinstance(contract, Option):
        return price
    dollars = max(contract.right.sign * (price - contract.strike), 0.0)
    return dollars / price if contract.inverse else dollars


def _moved(listing: Listing, start: float, end: float) -> float:
    """What one natural unit gains between two prices, in its settlement currency."""
    contract: Any = listing.contract
    if contract.inverse and contract.kind in (Kind.PERPETUAL, Kind.FUTURE):
        return 1.0 / start - 1.0 / end
    return end - start
