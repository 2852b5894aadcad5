"""After the last fill: what came of a ticket against what it promised, and where each difference is from.

Rows, in their own units, for every banded row:

    actual - promised = unfilled + rounding + unwound + external + paid + market

unfilled: legs not filled as asked, by at least what the venue would take; rounding: by less than that.
unwound: legs taken back. external: trades on the book that are none of the execution's. paid: what was paid
in a currency that the row counts, fees and slippage. market: what is left, so that the sum is exact: the
market moved since the plan, and what time brought (funding, settlement, decay).

Cost, USD, of fills against the first ticket (spread, depth and fees; fixed costs and carry are no fills):

    actual - expected = fees + slippage + market + unfilled + planned_anew + unwound

fees and slippage: above what the ticket says of what was filled, slippage against the reference price at the
fill. market: that price's own move since the plan. unfilled: what the ticket counts for what was not filled,
< 0. planned_anew: what later plans count for what was filled of them. unwound: what the way back cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hedger.core.execution import Execution
from hedger.core.order_life import ZERO
from hedger.core.slicing import WorkLeg
from hedger.policy.triggering import turnover_usd
from hedger.problem.snapshot import Snapshot
from pricing.contracts import STABLE_CURRENCIES
from pricing.universe import FloatArray
from pricing.valuation import Numeraire
from risk.costs import Terms, price_difference_usd
from risk.standing import worth

#: A difference smaller than this share of what was moved is rounding of the machine.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class RowCheck:
    """One row: what the ticket promised, where it is, and the parts of the difference (see above)."""

    row: str
    promised: float
    actual: float
    unfilled: float
    rounding: float
    unwound: float
    external: float
    paid: float
    market: float


@dataclass(frozen=True, slots=True)
class CostCheck:
    """The parts of the difference between cost and ticket, USD (see above)."""

    fees: float
    slippage: float
    market: float
    unfilled: float
    planned_anew: float
    unwound: float


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of an execution. filled: every leg was. inside: the rows it was called for are in their
    trigger. Costs in USD: fee and slippage against the reference price of the plan, expected as the ticket
    had it, NaN where an index is not known. differences: the causes named, empty where the ticket came out to
    the digit.
    """

    execution: int
    ended: str
    filled: bool
    inside: bool
    expected_usd: float
    fee_usd: float
    slippage_usd: float
    turnover_usd: float
    replans: int
    rows: tuple[RowCheck, ...]
    differences: tuple[str, ...]
    cost: CostCheck

    @property
    def cost_usd(self) -> float:
        """What trading cost."""
        return self.fee_usd + self.slippage_usd


def verify(execution: Execution, snapshot: Snapshot, value: FloatArray) -> Verification:
    """Compare the rows (m,) as they stand, valued after the last fill, and the cost with the ticket."""
    spent = [_Spent.of(leg, snapshot) for leg in execution.every_leg]
    turnover = math.fsum(_turnover_usd(leg, snapshot) for leg in execution.every_leg)
    checks, causes = _rows(execution, snapshot, value)
    fee, slippage = math.fsum(x.fee for x in spent), math.fsum(x.slippage for x in spent)
    cost = _cost(execution, spent)
    more, scale = fee + slippage - execution.cost_usd, 1e-6 * max(abs(execution.cost_usd), 1.0)
    if not abs(more) <= scale:
        causes.add("cost below the ticket" if more < 0 else "cost above the ticket")
    causes |= {name for name in CostCheck.__slots__ if not abs(getattr(cost, name)) <= scale} - {"unfilled"}
    called = [snapshot.exposure.rows.index(row) for row in execution.rows if row in snapshot.exposure.rows]
    breached = snapshot.bands.breached(value)
    return Verification(
        execution=execution.id,
        ended=execution.ending,
        filled=execution.filled,
        inside=not breached[called].any() if called else True,
        expected_usd=execution.cost_usd,
        fee_usd=fee,
        slippage_usd=slippage,
        turnover_usd=turnover,
        replans=execution.replans,
        rows=checks,
        differences=tuple(sorted(_WORDS.get(cause, cause) for cause in causes)),
        cost=cost,
    )


_WORDS = {
    "unfilled": "partial",
    "rounding": "lot rounding",
    "paid": "costs paid in coin",
    "market": "moved market",
    "planned_anew": "planned anew",
}


# ------------------------------------------------------------------------------------------------------ rows


def _rows(
    execution: Execution, snapshot: Snapshot, value: FloatArray
) -> tuple[tuple[RowCheck, ...], set[str]]:
    """Each banded row taken apart, and the parts that are more than rounding of the machine."""
    exposure, positions = snapshot.exposure, snapshot.market.universe.positions
    m = len(exposure.rows)
    parts = {name: np.zeros(m) for name in ("unfilled", "rounding", "unwound", "external")}
    moved = np.abs(value)
    for leg in execution.since_plan:
        at = positions.get(leg.listing.key)
        if at is None:
            continue
        effect = exposure.traded[:, at] * leg.side.sign
        name = "unwound" if leg.back else "rounding" if leg.left == 0 else "unfilled"
        parts[name] += effect * float(leg.filled if leg.back else leg.filled - leg.quantity)
        moved += np.abs(effect) * float(leg.quantity)
    for key, signed in execution.others.items():
        at = positions.get(key)
        if at is not None:
            parts["external"] += exposure.traded[:, at] * float(signed)
            moved += np.abs(exposure.traded[:, at]) * abs(float(signed))
    parts["paid"] = _paid(execution, snapshot)
    promised = np.array([execution.promised.get(row, math.nan) for row in exposure.rows])
    before = np.array([execution.before.get(row, 0.0) for row in exposure.rows])
    parts["market"] = value - promised - sum(parts.values())
    small = ROUNDING * (np.abs(promised) + moved + np.abs(before))
    banded = np.flatnonzero(snapshot.bands.banded)
    # NaN is a difference: the row was not promised, or is not known
    causes = {name for name, x in parts.items() if not (np.abs(x) <= small)[banded].all()}
    checks = tuple(
        RowCheck(
            exposure.rows[i],
            float(promised[i]),
            float(value[i]),
            **{name: float(x[i]) for name, x in parts.items()},
        )
        for i in banded.tolist()
    )
    return checks, causes


def _paid(execution: Execution, snapshot: Snapshot) -> FloatArray:
    """What fees and slippage took from balances that a delta row counts, (m,).

    In dollars those of the coin itself; in coin those in stable dollars, which count -1/S.
    """
    meaning, found = snapshot.meaning, np.zeros(len(snapshot.exposure.rows))
    for leg in execution.since_plan:
        currency, spent = leg.listing.contract.settlement, _Spent.of(leg, snapshot)
        taken = [(name, float(amount)) for name, amount in leg.fees if amount]
        if currency in STABLE_CURRENCIES:
            taken.append((currency, spent.slippage))
        elif spent.slippage:
            taken.append((currency, spent.slippage / leg.index))
        for name, amount in taken:
            stable = name in STABLE_CURRENCIES
            if stable is (meaning.numeraire is Numeraire.USD):
                continue
            for i, row in enumerate(snapshot.exposure.rows):
                greek, coin, *rest = row.split(":")
                if greek != "delta" or rest:
                    continue
                if stable and meaning.stable_underlying in ("", coin):
                    found[i] += amount / snapshot.spot[coin]
                elif name == coin:
                    found[i] -= amount
    return found


# ------------------------------------------------------------------------------------------------------ cost


@dataclass(frozen=True, slots=True)
class _Spent:
    """What one leg cost, USD. fee: at the present index, unknown in an unknown currency. slippage: against
    the reference of its plan, at the index then; market: the part of it that the reference had moved."""

    fee: float
    slippage: float
    market: float

    @classmethod
    def of(cls, leg: WorkLeg, snapshot: Snapshot) -> _Spent:
        """By its fills."""
        fee = math.fsum(
            float(amount) * worth(currency, snapshot.spot) for currency, amount in leg.fees if amount
        )
        at = snapshot.market.universe.positions.get(leg.listing.key)
        if leg.filled == ZERO or at is None:
            nothing = 0.0 if leg.filled == ZERO else math.nan
            return cls(fee, nothing, nothing)
        terms = Terms.of(snapshot.market.universe, np.array([at, at], dtype=np.int64))
        prices = np.array([float(leg.paid / leg.filled), leg.referred / float(leg.filled)])
        per_unit = price_difference_usd(terms, np.full(2, leg.index), prices, np.full(2, leg.reference))
        slippage, market = (leg.side.sign * per_unit * float(leg.filled)).tolist()
        return cls(fee, slippage, market)


def _cost(execution: Execution, spent: Sequence[_Spent]) -> CostCheck:
    """The difference between what was paid and the first ticket, taken apart."""
    parts: dict[str, list[float]] = {name: [] for name in CostCheck.__slots__}
    for leg, one in zip(execution.every_leg, spent, strict=True):
        if leg.back:
            parts["unwound"].append(one.fee + one.slippage)
            continue
        share = float(leg.filled / leg.quantity)
        parts["fees"].append(one.fee - share * leg.fee_usd)
        parts["slippage"].append(one.slippage - one.market - share * leg.slippage_usd)
        parts["market"].append(one.market)
        expected = leg.fee_usd + leg.slippage_usd
        if leg.plan == 0:
            parts["unfilled"].append((share - 1.0) * expected)
        else:
            parts["planned_anew"].append(share * expected)
    return CostCheck(**{name: math.fsum(x) for name, x in parts.items()})


def _turnover_usd(leg: WorkLeg, snapshot: Snapshot) -> float:
    """Of its fills; NaN where the listing is not on the market: the day's is then not known either."""
    if leg.filled == ZERO:
        return 0.0
    at = snapshot.market.universe.positions.get(leg.listing.key)
    if at is None:
        return math.nan
    return turnover_usd(snapshot, at, float(leg.paid / leg.filled), float(leg.filled))


def landed(called: Sequence[str], snapshot: Snapshot, value: FloatArray, tolerance: float) -> bool:
    """Whether every row called ended inside its landing, widened by a share of the way to the trigger.

    A row that no longer has a landing (its index is not known) is not known to lie inside one.
    """
    bands, rows = snapshot.bands, snapshot.exposure.rows
    for name in called:
        if name not in rows:
            return False
        i = rows.index(name)
        low, high = bands.landing_lower[i], bands.landing_upper[i]
        first, last = bands.trigger_lower[i], bands.trigger_upper[i]
        if not np.isfinite([low, high]).any():
            return False
        if np.isfinite([first, low]).all():  # an open side has no room to widen into
            low -= tolerance * (low - first)
        if np.isfinite([high, last]).all():
            high += tolerance * (last - high)
        if not low <= value[i] <= high:
            return False
    return True
