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
the rest. Where an interval ends at the execution, as `hedger.profit` has it, that rest is the way from the
mid at the arrival to the mark that the book has then, and all later gains are those of a position held.
Slippage and fees count at the index of the trade where that is known; what the coin moved by from then on is
`traded`. Other cash that moves in between is counted at the later index. A position that expires is expanded
up to the settlement price by delta, gamma, theta and basis; `settlement` is what its payoff differs from
that. An option whose settlement price is being averaged has no vanna, volga and charm here: the residual has
them. The residual is whatever is left, so that the parts sum to the change of equity by construction: its
size is the test (`risk.unexplained`).

What gamma earned against what theta took is the harvest of realised against implied vol (`Parts.harvest`).

Source: Taylor's theorem; the Greeks and their numeraire are those of `pricing.valuation`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pricing.contracts import STABLE_CURRENCIES, Kind, Listing
from pricing.valuation import MarkStatus, Valuation
from risk.flows import NO_FLOWS, Cause, Flows, Trade
from risk.held_legs import TERMS, Legs, moved, payoff, why
from risk.standing import Standing, equity_usd, spots, worth

#: The row of what belongs to no underlying: payments for none, and cash that no flow explains.
OTHER = "other"
#: The part that a payment is, but for transfers, which are no gain.
_PART_OF = {Cause.FUNDING: "funding", Cause.FEE: "fees", Cause.SETTLEMENT: "settlement"}


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
        rows=tally.close(change),
        transfers=tally.transfers,
        equity_change=change,
        unknown=tuple(dict.fromkeys(tally.unknown)),
    )


class _Tally:
    """Parts by underlying as they are found, and the P&L they are parts of."""

    def __init__(self, before: Standing, after: Standing) -> None:
        self._parts: dict[tuple[str, str], list[float]] = {}
        self._pnl: dict[str, list[float]] = {}
        self._spot_before, self._spot_after = spots(before.valuation), spots(after.valuation)
        self.transfers = 0.0
        self.unknown: list[str] = []

    def worth(self, currency: str) -> float:
        """USD of one unit of a currency at the later mark."""
        found = worth(currency, self._spot_after)
        if math.isnan(found):
            self.unknown.append(f"{currency}: no index at the later mark")
        return found

    def add(self, row: str, part: str, amount: float, *, of_pnl: bool = True) -> None:
        """An amount that has a cause, and counts in the P&L itself unless that is added apart."""
        self._parts.setdefault((row, part), []).append(amount)
        if of_pnl:
            self.gain(row, amount)

    def gain(self, row: str, amount: float) -> None:
        """P&L whose causes are added apart."""
        self._pnl.setdefault(row, []).append(amount)

    def close(self, equity_change: float) -> dict[str, Parts]:
        """The parts of every row with their residuals, once all is added; `other` takes what no flow
        explains."""
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
        legs = Legs(before, after, rows, settled)
        self.unknown += legs.unknown
        names, of_row = before.valuation.universe.underlyings, legs.underlying
        terms = legs.terms()
        rest = legs.gain - legs.remarked - np.sum([terms[name] for name in TERMS], axis=0)
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
        each = self.worth(settlement)
        then = _then(trade, settlement, each)
        end = self._closing(listing, valuation, settled, each)
        arrival = trade.arrival_mid if 0.0 < trade.arrival_mid < math.inf else math.nan
        if math.isnan(arrival):
            self.unknown.append(
                f"{listing.venue} {listing.symbol}: the mid at the trade's arrival is not known"
            )
        units, price = float(fill.signed) * float(listing.size), float(fill.price)
        slipped = units * moved(listing, price, arrival)
        self.add(underlying, "slippage", then * slipped, of_pnl=False)
        later = each * units * moved(listing, arrival, end) + (each - then) * slipped
        self.add(underlying, "traded", later, of_pnl=False)
        self.gain(underlying, each * units * moved(listing, price, end))
        if fill.fee:
            coin = self.worth(fill.fee_currency)
            paid = _then(trade, fill.fee_currency, coin)
            self.add(underlying, "fees", -float(fill.fee) * paid)
            self.add(underlying, "traded", -float(fill.fee) * (coin - paid))

    def _closing(
        self, listing: Listing, valuation: Valuation, settled: Mapping[tuple[str, str], float], each: float
    ) -> float:
        """A listing's price at the later mark, or what it paid at its settlement, in its quotation. each: USD
        of one unit of its settlement currency."""
        contract = listing.contract
        if contract.kind is Kind.SPOT:
            return self.worth(contract.underlying) / each
        if (price := settled.get(listing.key)) is not None:
            return payoff(listing, price)
        at = valuation.universe.positions.get(listing.key)
        if at is None or valuation.status[at] != MarkStatus.OK:
            self.unknown.append(why(listing, valuation, at, "later"))
            return math.nan
        return float((valuation.price if contract.kind is Kind.OPTION else valuation.forward)[at])


def costs(trade: Trade) -> tuple[float, float]:
    """A trade's fee and its slippage against the mid at its arrival, at the indexes of its booking: P&L in
    USD, costs negative; NaN where it is not known."""
    fill, listing = trade.fill, trade.fill.listing
    arrival = trade.arrival_mid if 0.0 < trade.arrival_mid < math.inf else math.nan
    units = float(fill.signed) * float(listing.size)
    each = _then(trade, listing.contract.settlement, math.nan)
    fee = -float(fill.fee) * _then(trade, fill.fee_currency, math.nan) if fill.fee else 0.0
    return fee, each * units * moved(listing, float(fill.price), arrival)


def _then(trade: Trade, currency: str, later: float) -> float:
    """USD of one unit of a currency when the trade was booked; later: at the later mark, which stands in."""
    known = worth(currency, trade.spot)
    return later if math.isnan(known) else known
