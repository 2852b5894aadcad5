"""The cost of waiting: what the book drifts by if nobody trades, and what its hedge is expected to cost then.

Drift: every exposure valued again at now + horizon with spot, forwards and each option's vol where they are
(charm, decay of gamma, vega and theta; options that expire on the way pay out at their forward; those that
enter their last days leave the gamma row for gamma_expiring), less the exposure now.

Expected cost: the delta row at the horizon is taken as normal about where it drifts to, with standard
deviation |d delta / dS| S sigma sqrt(horizon); the other rows move by their drift alone. A row outside its
trigger (w) is brought to its landing (l), so the amount to be traded is, above (below alike),

    A(m, s) = E[(X - l); X > w] = (m - l) N((m - w)/s) + s phi((m - w)/s),     X ~ N(m, s^2)

and the expected cost later is the cost now plus, over rows, price x (A(later) - A(now)), at least 0. price is
the row's shadow price where it binds, else what the cheapest single instrument takes per unit of the row: the
first order of a cost that is convex. What no instrument moves costs nothing, now or later. Risk:
`hedger.policy.benefit`, over the horizon, of what the plan would remove.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hedger.policy.benefit import risk_cost_usd
from hedger.policy.triggering import factors_of, moment_of
from hedger.problem.snapshot import Snapshot
from hedger.sections.policy import PolicyConfig
from hedger.solver.hedge_problem import HedgeProblem
from pricing.contracts import Kind
from pricing.daycount import HOURS_PER_YEAR
from pricing.universe import FloatArray, IntArray
from pricing.valuation import MarkStatus, VolSource, value
from risk.costs import reference_price
from risk.exposures import expose
from risk.scenarios import Shock, shocked_market


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """What waiting does. drift (k,): of the first k rows, those of Greeks; NaN where not known.

    excess_now, excess_later (m,): amount to be traded per row, expected. risk_cost_usd: of carrying over the
    horizon what the plan would remove; risk_carried_usd: of all that is there. NaN where not known.
    """

    horizon_h: float
    drift: FloatArray
    excess_now: FloatArray
    excess_later: FloatArray
    cost_now_usd: float
    expected_cost_later_usd: float
    risk_cost_usd: float
    risk_carried_usd: float

    @property
    def net_usd(self) -> float:
        """What waiting costs more than hedging now, USD; below 0 it is cheaper to wait."""
        return self.expected_cost_later_usd + self.risk_cost_usd - self.cost_now_usd


def exposures_later(snapshot: Snapshot, hours: float) -> FloatArray:
    """Exposures of the Greek rows at now + hours with nothing moved, (k,).

    Positions that cannot be valued now are left out, as they are now.
    """
    market, valuation, universe = snapshot.market, snapshot.valuation, snapshot.market.universe
    later = shocked_market(market, valuation, Shock(hours=hours))
    rules = replace(snapshot.rules, vol_order=(VolSource.VENUE_MARK,))
    valued = value(later, 1.0, rules, valuation.spot)
    gone = (valuation.status == MarkStatus.OK) & (valued.status == MarkStatus.EXPIRED)
    balances = dict(snapshot.balances)
    for i in np.flatnonzero(gone & (snapshot.quantities != 0)).tolist():
        if universe.kind[i] != Kind.OPTION:
            continue  # a future's gains are in the balances already
        forward = float(valuation.forward[i])
        payoff = max(float(universe.sign[i]) * (forward - float(universe.strike[i])), 0.0)
        currency = universe.listings[i].contract.settlement
        paid = payoff / (forward if universe.inverse[i] else 1.0) * float(universe.size[i])
        balances[currency] = balances.get(currency, 0.0) + float(snapshot.quantities[i]) * paid
    alive = np.where(gone, 0.0, snapshot.quantities)
    return expose(
        alive, balances, valued, reference_price(market), snapshot.underlyings, snapshot.meaning
    ).value


def expected_excess(mean: FloatArray, sd: FloatArray, trigger: FloatArray, landing: FloatArray) -> FloatArray:
    """E[(X - landing); X > trigger] of X ~ N(mean, sd^2), arrays of one shape; 0 where the trigger is open.

    sd = 0 is the amount itself. Source: integration of the normal density; A(m, s) above.

    >>> expected_excess(*(np.array([x]) for x in (3.0, 0.0, 2.0, 1.0)))
    array([2.])
    """
    closed = np.isfinite(trigger)
    w, low = np.where(closed, trigger, 0.0), np.where(closed & np.isfinite(landing), landing, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(sd > 0, (mean - w) / sd, np.where(mean > w, np.inf, -np.inf))
        density = np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
        above = np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in z])
    amount = (mean - low) * above + sd * np.where(np.isfinite(z), density, 0.0)
    amount = np.where(np.isnan(mean) | np.isnan(sd), np.nan, amount)
    return np.where(closed, amount, 0.0)


def cheapest_per_unit(problem: HedgeProblem) -> tuple[FloatArray, FloatArray]:
    """USD per unit to move each row up and down with the one instrument that does it cheapest, (m,), (m,);
    inf where none moves it."""
    first_buy = np.array([x.buy_cost[0] if x.buy_cost.size else np.inf for x in problem.ladders])
    first_sell = np.array([x.sell_cost[0] if x.sell_cost.size else np.inf for x in problem.ladders])
    first_buy = np.where(problem.max_buy > 0, first_buy, np.inf)
    first_sell = np.where(problem.max_sell > 0, first_sell, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.abs(problem.per_unit)
        up = np.where(problem.per_unit > 0, first_buy, first_sell) / size
        down = np.where(problem.per_unit > 0, first_sell, first_buy) / size
    moves = size > 0
    return (
        np.min(np.where(moves, up, np.inf), axis=1, initial=np.inf),
        np.min(np.where(moves, down, np.inf), axis=1, initial=np.inf),
    )


def waiting_of(
    snapshot: Snapshot,
    policy: PolicyConfig,
    problem: HedgeProblem,
    after: FloatArray,
    cost_usd: float,
    shadow_price: FloatArray,
    binding: IntArray,
) -> Waiting:
    """The cost of waiting for `policy.waiting_h` beside the plan.

    Args:
        problem: on the banded rows. after, shadow_price, binding: (m,) of the plan; cost_usd: 0 without one,
            then the cost now is that of the rows outside at the cheapest instrument's price.
    """
    now, bands, hours = snapshot.exposure.value, snapshot.bands, policy.waiting_h
    later = exposures_later(snapshot, hours)
    k = later.size
    drift = later - now[:k]
    mean = now.copy()
    mean[:k] = later
    sd = _deviations(snapshot, hours)
    still = np.zeros(now.size)
    above_now = expected_excess(now, still, bands.trigger_upper, bands.landing_upper)
    below_now = expected_excess(-now, still, -bands.trigger_lower, -bands.landing_lower)
    above = expected_excess(mean, sd, bands.trigger_upper, bands.landing_upper)
    below = expected_excess(-mean, sd, -bands.trigger_lower, -bands.landing_lower)
    up, down = np.full(now.size, np.inf), np.full(now.size, np.inf)
    at = {row: g for g, row in enumerate(problem.rows)}
    single_up, single_down = cheapest_per_unit(problem)
    for i, row in enumerate(snapshot.exposure.rows):
        if row in at:
            up[i], down[i] = single_up[at[row]], single_down[at[row]]
    up = np.where(binding < 0, shadow_price, up)
    down = np.where(binding > 0, shadow_price, down)
    due_now = _priced(down, above_now) + _priced(up, below_now)
    cost_now = cost_usd if cost_usd > 0 else due_now
    more = _priced(down, above - above_now) + _priced(up, below - below_now)
    carried = risk_cost_usd(factors_of(snapshot, now), policy.risk, hours)
    left = risk_cost_usd(factors_of(snapshot, after), policy.risk, hours)
    return Waiting(
        horizon_h=hours,
        drift=drift,
        excess_now=above_now + below_now,
        excess_later=above + below,
        cost_now_usd=cost_now,
        expected_cost_later_usd=max(cost_now + more, 0.0) if math.isfinite(more) else math.nan,
        risk_cost_usd=carried - left,
        risk_carried_usd=carried,
    )


def _priced(price: FloatArray, amount: FloatArray) -> float:
    """Sum of price x amount; a row that no instrument moves is not hedged, and costs nothing."""
    movable = np.isfinite(price)
    return float(price[movable] @ amount[movable])


def _deviations(snapshot: Snapshot, hours: float) -> FloatArray:
    """Standard deviation of each row over the horizon, (m,): of delta rows from gamma, 0 elsewhere."""
    sd = np.zeros(len(snapshot.exposure.rows))
    for u in moment_of(snapshot).underlyings:
        slope = abs(u.delta_slope) * u.spot
        i = snapshot.exposure.rows.index(f"delta:{u.name}")
        sd[i] = slope * u.vol * math.sqrt(hours / HOURS_PER_YEAR) if slope > 0 else 0.0
    return sd
