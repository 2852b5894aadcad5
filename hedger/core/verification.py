"""After the last fill: what came of a ticket against what it promised, and where the difference is from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hedger.core.execution import Execution, WorkLeg
from hedger.policy.triggering import turnover_usd
from hedger.problem.snapshot import Snapshot
from pricing.contracts import STABLE_CURRENCIES
from pricing.universe import FloatArray
from risk.costs import Terms, price_difference_usd

#: A difference smaller than this share of what was moved is rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class RowCheck:
    """One row: what the ticket promised, where it is, and the parts of the difference: of legs not filled as
    asked, and the rest: the market moved meanwhile, and what was paid in coin left the balance."""

    row: str
    promised: float
    actual: float
    unfilled: float
    rest: float


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of an execution. filled: every leg was. inside: the rows it was called for are in their
    trigger. Costs in USD: fee and slippage against the reference price, expected as the ticket had it, NaN
    where an index is not known. differences: the causes named, "" where the ticket came out to the digit.
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

    @property
    def cost_usd(self) -> float:
        """What trading cost."""
        return self.fee_usd + self.slippage_usd


def verify(execution: Execution, snapshot: Snapshot, value: FloatArray) -> Verification:
    """Compare the rows (m,) as they stand with the ticket.

    actual - promised = unfilled + rest, each row.
    """
    rows, spot = snapshot.exposure.rows, snapshot.spot
    fee = math.fsum(_fees_usd(leg, spot) for leg in execution.every_leg)
    slippage = math.fsum(_slippage_usd(leg, snapshot) for leg in execution.every_leg)
    turnover = math.fsum(_turnover_usd(leg, snapshot) for leg in execution.every_leg)
    unfilled = np.zeros(len(rows))
    moved_at_all = np.zeros(len(rows))
    for leg in execution.legs:
        at = snapshot.market.universe.positions.get(leg.listing.key)
        if at is not None:
            effect = snapshot.exposure.traded[:, at] * leg.side.sign
            unfilled += effect * float(leg.filled - leg.quantity)
            moved_at_all += np.abs(effect) * float(leg.quantity)
    bands = snapshot.bands
    breached = bands.breached(value)
    checks, causes = [], set()
    for i in np.flatnonzero(bands.banded).tolist():
        name = rows[i]
        promised = execution.promised.get(name, math.nan)
        kind, underlying = name.split(":")[:2]
        difference = float(value[i]) - promised
        rounding = ROUNDING * (abs(promised) + float(moved_at_all[i]) + abs(execution.before.get(name, 0.0)))
        rest = difference - float(unfilled[i])
        in_coin = (abs(fee) + abs(slippage)) / spot[underlying] if kind == "delta" else 0.0
        checks.append(RowCheck(name, promised, float(value[i]), float(unfilled[i]), rest))
        if abs(unfilled[i]) > rounding:
            causes.add("partial")
        if not abs(rest) <= rounding:  # NaN counts as moved
            causes.add("costs paid in coin" if abs(rest) <= in_coin else "moved market")
    expected = execution.cost_usd
    if abs(fee + slippage - expected) > 1e-6 * max(abs(expected), 1.0):
        causes.add("cost above the ticket" if fee + slippage > expected else "cost below the ticket")
    called = [rows.index(row) for row in execution.rows if row in rows]
    return Verification(
        execution=execution.id,
        ended=execution.ending,
        filled=all(leg.left == 0 for leg in execution.legs),
        inside=not breached[called].any() if called else True,
        expected_usd=expected,
        fee_usd=fee,
        slippage_usd=slippage,
        turnover_usd=turnover,
        replans=execution.replans,
        rows=tuple(checks),
        differences=tuple(sorted(causes)),
    )


def _fees_usd(leg: WorkLeg, spot: Mapping[str, float]) -> float:
    """Fees of a leg at the present index; those of an unknown currency are unknown."""
    return math.fsum(
        float(amount) * (1.0 if currency in STABLE_CURRENCIES else spot.get(currency, math.nan))
        for currency, amount in leg.fees
        if amount
    )


def _average(leg: WorkLeg) -> float:
    return float(leg.paid / leg.filled)


def _slippage_usd(leg: WorkLeg, snapshot: Snapshot) -> float:
    """What the fills cost against the reference price of the ticket, at the index it was planned at."""
    at = snapshot.market.universe.positions.get(leg.listing.key)
    if leg.filled == 0 or at is None:
        return 0.0 if leg.filled == 0 else math.nan
    one = np.array([at], dtype=np.int64)
    terms = Terms.of(snapshot.market.universe, one)
    per_unit = price_difference_usd(
        terms, np.array([leg.index]), np.array([_average(leg)]), np.array([leg.reference])
    )
    return leg.side.sign * float(per_unit[0]) * float(leg.filled)


def _turnover_usd(leg: WorkLeg, snapshot: Snapshot) -> float:
    at = snapshot.market.universe.positions.get(leg.listing.key)
    if leg.filled == 0 or at is None:
        return 0.0
    return turnover_usd(snapshot, at, _average(leg), float(leg.filled))


def landed(called: Sequence[str], snapshot: Snapshot, value: FloatArray, tolerance: float) -> bool:
    """Whether every row called ended inside its landing, widened by a share of the way to the trigger."""
    bands, rows = snapshot.bands, snapshot.exposure.rows
    for name in called:
        if name not in rows:
            return False
        i = rows.index(name)
        low, high = bands.landing_lower[i], bands.landing_upper[i]
        below, above = low - bands.trigger_lower[i], bands.trigger_upper[i] - high
        low -= tolerance * below if np.isfinite(below) else 0.0
        high += tolerance * above if np.isfinite(above) else 0.0
        if not low <= value[i] <= high:
            return False
    return True
