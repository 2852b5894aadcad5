"""Cost against risk of hedging policies on simulated paths: a book of calls, every policy on the same paths.

A book is sold and bought at the model's fair value now, hedged with the coin at every check that its policy
says, and settled in cash at expiry; entry and final unwind of the hedge are charged like any trade. All
policies see the same paths, so that differences between them are far surer than the figures themselves.

Which delta: Black-Scholes at `path_models.delta_vol`, so under Heston at the running vol of the remaining
life, under jumps at the total vol. `ours_perp` and `ours_mix` lean it under Heston by what the price says
about the vol, vega × cov(dσ, dS)/var(dS); the others do not.

    none                   never trades
    calendar               to the delta at fixed intervals
    fixed_centre, _edge    outside a fixed half width: to the delta, or to the edge
    leland                 calendar, at the vol of Leland (1985): σ² + sign √(2/π) 2λ σ/√dt, + for short gamma
    whalley_wilmott        half width (3/2 λ S Γ²/γ)^(1/3) on the net gamma, to the edge; _centre: to the
    delta zakamouline            half width and delta vol of `risk.band_widths.zakamouline`, to the edge
    ours_perp              Whalley-Wilmott on net gamma, floored by a lot and by λ/(γ S σ² τ), τ to expiry;
                           landing between edge and centre by fixed cost and lot
                           (`risk.band_widths.landing`); whole lots
    ours_mix               the same, and once a day (60 times at most) one listed call of the book's expiry,
                           in clips, while removing gamma (and vega) for its life, or for as long as that
                           gamma lasts, is worth more than its spread and fee (`path_policies.mix`)

leland and zakamouline hold for gammas of one sign and are refused for other books, with the reason.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from hedger.studies import path_policies as loops
from hedger.studies.path_models import Heston, Merton, Model, call_excess, call_price, reversion_share
from hedger.studies.paths import Paths, simulate
from pricing.universe import FloatArray
from risk.band_widths import mixed_policy

HOURS_PER_DAY = 24.0
DAYS_PER_YEAR = 365.0
BASIS_POINT = 1e-4
BLOCK = 120  # paths at a time: a step of every array stays in the first cache
THREADS_MAX = 8  # the loops hold no lock
TAIL = 0.05
#: The listed option's fair value over Black-Scholes is interpolated: points in moneyness and in √v, and how
#: far.
MONEYNESS_POINTS, VARIANCE_POINTS, MONEYNESS_REACH = 33, 17, 5.0
LANDING_POINTS = 640
DECISIONS_MAX = 60  # each has its own table of the listed option's value
#: A cost of nothing would make widths of nothing: as little as no figure shows.
COST_RATE_MIN = 1e-12

POLICIES = (
    "none", "calendar", "fixed_centre", "fixed_edge", "leland", "whalley_wilmott", "whalley_wilmott_centre",
    "zakamouline", "ours_perp", "ours_mix",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leg:
    """So many calls (negative: sold), coins, at a strike in USD."""

    quantity: float
    strike: float


@dataclass(frozen=True, slots=True)
class ListedOption:
    """The call that `ours_mix` may trade, of the book's expiry, strike in USD.

    half_spread_vol: mid to bid or ask in vol, 0.005 = half a point. Fee a coin: fee_rate × spot, at most
    fee_cap × its fair value. clip: smallest trade, coins; held within ± max_quantity; left alone in its last
    days_min days, when chasing gamma with options burns money.
    """

    strike: float
    half_spread_vol: float = 0.005
    fee_rate: float = 0.0003
    fee_cap: float = 0.125
    clip: float = 0.1
    max_quantity: float = 1.0
    days_min: float = 2.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What is hedged, on which paths, at which costs; grids of the policies' settings.

    lot: coins the hedge trades in, seen by ours_perp and ours_mix alone. fixed_cost_usd: per trade, charged
    to all.
    """

    model: Model
    legs: Sequence[Leg]
    option: ListedOption
    spot: float = 100.0
    days: float = 30.0
    checks_per_day: float = 48.0
    paths: int = 20_000
    seed: int = 7
    cost_bps: Sequence[float] = (1.0, 5.0, 20.0, 50.0)
    fixed_cost_usd: float = 0.0
    lot: float = 0.0001
    rate: float = 0.0
    policies: Sequence[str] = POLICIES
    interval_h: Sequence[float] = (0.5, 4.0, 12.0, 24.0, 48.0)
    width_coin: Sequence[float] = (0.02, 0.05, 0.1)
    risk_aversion: Sequence[float] = (0.1, 0.3, 1.0, 3.0, 10.0)

    @property
    def steps(self) -> int:
        """Checks to expiry."""
        return max(round(self.days * self.checks_per_day), 1)

    @property
    def decide_every(self) -> int:
        """Checks between two decisions about options: a day, or so many that there are `DECISIONS_MAX`."""
        return max(round(self.checks_per_day), math.ceil(self.steps / DECISIONS_MAX), 1)

    @property
    def years(self) -> float:
        """To expiry."""
        return self.days / DAYS_PER_YEAR

    @property
    def one_sign(self) -> bool:
        """Whether all gammas have one sign."""
        return len({leg.quantity > 0 for leg in self.legs}) == 1


@dataclass(frozen=True, slots=True)
class Row:
    """One policy, setting and cost level; means over paths in USD, P&L: gains positive.

    sd_gross: of the P&L before costs. sd_net, mean_net, es5_net: after them; es5_net the mean of the worst 5
    %. refused: why there are no figures (NaN), else "".
    """

    policy: str
    parameters: Mapping[str, float]
    cost_bps: float
    mean_cost: float = math.nan
    sd_gross: float = math.nan
    mean_net: float = math.nan
    sd_net: float = math.nan
    es5_net: float = math.nan
    trades: float = math.nan
    refused: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Paths and what every policy may see of them, (steps, paths); price has one point more."""

    price: FloatArray  # discounted
    coin: FloatArray
    vol: FloatArray
    variance: FloatArray  # (steps + 1, paths)
    delta: FloatArray
    gamma: FloatArray
    target: FloatArray
    leaning: FloatArray  # the target of ours
    root: FloatArray  # (S Γ²)^(1/3)
    option_delta: FloatArray
    option_gamma: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Clock:
    """Per check: years to expiry, e^(r years), discount of money then, lean of the hedge per S × gamma."""

    years: FloatArray
    growth: FloatArray
    discount: FloatArray
    share: FloatArray  # of a move of Heston's v in the mean variance to expiry
    lean: FloatArray
    vol_variance: FloatArray
    excess: FloatArray
    quartic: float
    trigger: FloatArray
    landing: FloatArray


#: Policy, parameters, cost in bp or None for any.
_Setting = tuple[str, Mapping[str, float], float | None]
_Loop = Callable[[_Block, loops.Totals], None]
#: Settings, and the loop that runs them together.
_Grid = tuple[list[_Setting], _Loop]


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """Settings that one loop runs together, and what comes of them."""

    settings: Sequence[_Setting]
    run: _Loop
    gross: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    turnover: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    trades: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    option_cost: FloatArray = field(default_factory=lambda: np.empty((0, 0)))


def frontier(setup: Setup, on_progress: Callable[[float], None] = lambda share: None) -> list[Row]:
    """Every policy, setting and cost level on the same paths, in the order of `POLICIES`.

    Errors: ValueError for numbers no path can have, an unknown policy or an empty book.
    """
    _check(setup)
    clock = _clock(setup)
    families, refused = _families(setup, clock)
    book_value = _book_value(setup)
    own = threading.local()  # each thread its own room; which thread takes a block changes no figure

    def work(first: int) -> int:
        count = min(BLOCK, setup.paths - first)
        block: _Block | None = getattr(own, "block", None)
        if block is None or block.target.shape[1] != count:
            block = own.block = _buffers(setup, count)
        _fill(setup, clock, first, block)
        final = block.coin[-1]
        payoff = clock.discount[-1] * sum(
            leg.quantity * np.maximum(final - leg.strike, 0.0) for leg in setup.legs
        )
        listed = clock.discount[-1] * np.maximum(final - setup.option.strike, 0.0)
        here = slice(first, first + count)
        for family in families:
            done = loops.totals(len(family.settings), count)
            family.run(block, done)
            loops.unwind(block.price[-1], done.hedge, done.cash, done.turnover, done.trades)
            family.gross[:, here] = (
                payoff - book_value + done.cash + done.option_value + done.options * listed
            )
            family.turnover[:, here] = done.turnover
            family.trades[:, here] = done.trades
            family.option_cost[:, here] = done.option_cost
        return count

    finished = 0
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, THREADS_MAX)) as threads:
        for count in threads.map(work, range(0, setup.paths, BLOCK)):
            finished += count
            on_progress(finished / setup.paths)
    rows = [row for family in families for row in _rows(setup, family)] + refused
    return sorted(rows, key=lambda row: (POLICIES.index(row.policy), setup.cost_bps.index(row.cost_bps)))


def _check(setup: Setup) -> None:
    if unknown := sorted(set(setup.policies) - set(POLICIES)):
        raise ValueError(f"FRONTIER: policies {unknown}: allowed are {', '.join(POLICIES)}")
    if not setup.legs or any(leg.quantity == 0 or not leg.strike > 0 for leg in setup.legs):
        raise ValueError(f"FRONTIER: legs {setup.legs}: allowed are calls other than 0 with strikes above 0")
    numbers = (*setup.cost_bps, *setup.interval_h, *setup.width_coin, setup.fixed_cost_usd, setup.lot)
    if not all(0 <= x < math.inf for x in numbers) or not all(0 < a < math.inf for a in setup.risk_aversion):
        raise ValueError(
            "FRONTIER: costs, intervals, widths, lot from 0 and risk aversions above 0 are allowed"
        )


def _clock(setup: Setup) -> _Clock:
    steps, model = setup.steps, setup.model
    dt = setup.years / steps
    gone = dt * np.arange(steps + 1, dtype=np.float64)
    years = setup.years - gone[:-1]
    share, lean, vol_variance = np.ones(steps), np.zeros(steps), np.zeros(steps)
    quartic = 2.0 * model.vol**4 * dt
    if isinstance(model, Heston):
        share = reversion_share(model, years)
        # by cov(dσ, dS)/var(dS) of the vol at the option's strike: that of the floating at-the-money vol, B,
        # less what the strike's moneyness moves along the skew, ψ = (κτ − 1 + e^(−κτ))/(κτ)², half of it for
        # τ -> 0
        x = model.reversion * years
        skew = (1.0 - share) / np.maximum(x, 1e-12) if model.reversion > 0 else np.full(steps, 0.5)
        lean = 0.5 * years * (share - skew) * model.correlation * model.vol_of_vol
        vol_variance = (0.5 * share * model.vol_of_vol) ** 2 * (1.0 - model.correlation**2)
    if isinstance(model, Merton):
        m, s = model.jump_mean, model.jump_sd
        quartic += model.jumps_per_year * (m**4 + 6.0 * m**2 * s**2 + 3.0 * s**4)
    decisions = np.arange(0, steps, setup.decide_every)
    grid = np.linspace(-MONEYNESS_REACH, MONEYNESS_REACH, MONEYNESS_POINTS)
    left = years[decisions][:, None, None]
    variance = (np.linspace(0.0, loops.VOL_REACH * model.vol, VARIANCE_POINTS) ** 2)[None, :, None]
    needed = "ours_mix" in setup.policies
    excess = (
        call_excess(model, grid * np.sqrt(left) * model.vol, left, variance)
        if needed
        else np.zeros((1, 2, 2))
    )
    log2_kappa = loops.LANDING_LOW + loops.LANDING_STEP * np.arange(LANDING_POINTS)
    trigger, landing = mixed_policy(2.0**log2_kappa)
    return _Clock(
        years, np.exp(setup.rate * years), np.exp(-setup.rate * gone), share, lean,
        vol_variance, np.ascontiguousarray(excess), quartic, trigger, landing,
    )  # fmt: skip


def _buffers(setup: Setup, count: int) -> _Block:
    """Room for a block, what no path changes filled in: new memory costs more than what is written there."""
    paths = simulate(setup.model, setup.spot, setup.years, setup.steps, count, setup.seed)
    here = (setup.steps, count)
    variance = np.array(paths.variance) if isinstance(setup.model, Heston) else np.empty(paths.price.shape)
    vol = np.empty(here)
    if not isinstance(setup.model, Heston):
        variance[:] = paths.variance
        vol[:] = setup.model.vol
    return _Block(np.empty_like(paths.price), paths.price, vol, variance, *(np.empty(here) for _ in range(7)))


def _fill(setup: Setup, clock: _Clock, first: int, block: _Block) -> None:
    """Simulate the paths from number `first` on and what stands on them."""
    count = block.target.shape[1]
    into = Paths(block.coin, block.variance)
    simulate(setup.model, setup.spot, setup.years, setup.steps, count, setup.seed, first, into)
    if isinstance(setup.model, Heston):
        loops.heston_vol(block.variance, clock.share, setup.model.vol**2, block.vol)
    _exposures(setup.legs, block.coin, block.vol, clock, block.delta, block.gamma)
    if "ours_mix" in setup.policies:
        listed = [Leg(1.0, setup.option.strike)]
        _exposures(listed, block.coin, block.vol, clock, block.option_delta, block.option_gamma)
    loops.targets(
        block.coin, block.delta, block.gamma, clock.lean, clock.discount, block.price, block.target,
        block.leaning, block.root,
    )  # fmt: skip


def _exposures(
    legs: Sequence[Leg],
    coin: FloatArray,
    vol: FloatArray,
    clock: _Clock,
    delta: FloatArray,
    gamma: FloatArray,
) -> None:
    quantity, strike = _legs(legs)
    loops.exposures(coin, vol, clock.years, clock.growth, quantity, strike, delta, gamma)


def _legs(legs: Sequence[Leg]) -> tuple[FloatArray, FloatArray]:
    return np.array([leg.quantity for leg in legs]), np.array([leg.strike for leg in legs])


def _book_value(setup: Setup) -> float:
    quantity, strike = _legs(setup.legs)
    return float(quantity @ call_price(setup.model, setup.spot, strike, setup.years, None, setup.rate))


def _families(setup: Setup, clock: _Clock) -> tuple[list[_Family], list[Row]]:
    """The loops to run, and rows that say why a policy is not run."""
    every, refused = _on_checks(setup)
    refused += _of_two_signs(setup, every)
    lelands, too_dear = _leland(setup, clock, every)
    grids = (
        _calendar(setup, every),
        _fixed(setup),
        lelands,
        _whalley_wilmott(setup),
        _zakamouline(setup, clock),
        _ours_perp(setup, clock),
        _ours_mix(setup, clock),
    )
    made = [
        _Family(settings, run, *(np.empty((len(settings), setup.paths)) for _ in range(4)))
        for settings, run in grids
        if settings
    ]
    return made, refused + too_dear


def _refused(setup: Setup, policy: str, parameters: Mapping[str, float], reason: str) -> list[Row]:
    return [Row(policy, parameters, bps, refused=reason) for bps in setup.cost_bps]


def _on_checks(setup: Setup) -> tuple[dict[float, int], list[Row]]:
    """Checks of each interval that is a whole number of them, by hours; the other ones' rows."""
    checks = {hours: hours / HOURS_PER_DAY * setup.checks_per_day for hours in setup.interval_h}
    every = {h: round(n) for h, n in checks.items() if round(n) >= 1 and abs(n - round(n)) < 1e-9}
    why = "the interval is not a whole number of checks"
    refused = [
        row
        for hours in set(setup.interval_h) - set(every)
        for policy in {"calendar", "leland"} & set(setup.policies)
        for row in _refused(setup, policy, {"interval_h": hours}, why)
    ]
    return every, refused


def _of_two_signs(setup: Setup, every: Iterable[float]) -> list[Row]:
    """Rows of the policies that a book with gammas of both signs cannot have."""
    if setup.one_sign:
        return []
    why = "it holds for gammas of one sign, the book has both"
    parameters_of = {
        "leland": [{"interval_h": hours} for hours in every],
        "zakamouline": [{"risk_aversion": aversion} for aversion in setup.risk_aversion],
    }
    return [
        row
        for policy, grid in parameters_of.items() if policy in setup.policies
        for parameters in grid
        for row in _refused(setup, policy, parameters, why)
    ]  # fmt: skip


def _rate(bps: float) -> float:
    return max(bps * BASIS_POINT, COST_RATE_MIN)


def _averse(setup: Setup, *policies: str) -> tuple[list[_Setting], FloatArray, FloatArray]:
    """Policies with a risk aversion: their settings, and of each its cost rate and its risk aversion."""
    asked = [
        (policy, bps, aversion)
        for policy in policies if policy in setup.policies
        for bps in setup.cost_bps
        for aversion in setup.risk_aversion
    ]  # fmt: skip
    settings: list[_Setting] = [(policy, {"risk_aversion": a}, bps) for policy, bps, a in asked]
    return settings, np.array([_rate(bps) for _, bps, _ in asked]), np.array([a for _, _, a in asked])


def _calendar(setup: Setup, every: Mapping[float, int]) -> _Grid:
    """No hedge at all is one at no check."""
    settings: list[_Setting] = [("none", {}, None)] * ("none" in setup.policies)
    checks = [0] * len(settings)
    if "calendar" in setup.policies:
        settings += [("calendar", {"interval_h": hours}, None) for hours in every]
        checks += every.values()
    at = np.array(checks, dtype=np.int64)
    return settings, lambda b, d: loops.calendar(b.price, b.target, at, d.hedge, d.cash, d.turnover, d.trades)


def _fixed(setup: Setup) -> _Grid:
    asked = [
        (policy, width)
        for policy in ("fixed_centre", "fixed_edge") if policy in setup.policies
        for width in setup.width_coin
    ]  # fmt: skip
    widths = np.array([width for _, width in asked])
    landing = np.array([float(policy == "fixed_edge") for policy, _ in asked])
    ones = np.ones((setup.steps, BLOCK))
    return [(policy, {"width_coin": width}, None) for policy, width in asked], lambda b, d: loops.band(
        b.price, b.target, np.ascontiguousarray(ones[:, : b.target.shape[1]]), widths, landing,
        d.hedge, d.cash, d.turnover, d.trades,
    )  # fmt: skip


def _leland(setup: Setup, clock: _Clock, every: Mapping[float, int]) -> tuple[_Grid, list[Row]]:
    """To the delta of a vol with costs in it; rows where these leave no variance."""
    quantity, strike = _legs(setup.legs)
    settings: list[_Setting] = []
    excess: list[float] = []
    refused: list[Row] = []
    why = "its variance would be negative: the costs are too high for this interval"
    wanted = "leland" in setup.policies and setup.one_sign
    for bps, hours in product(setup.cost_bps, every if wanted else ()):
        dt = hours / HOURS_PER_DAY / DAYS_PER_YEAR
        side = 1.0 if quantity[0] < 0 else -1.0
        more = side * math.sqrt(2.0 / math.pi) * 2.0 * _rate(bps) / math.sqrt(dt)
        if setup.model.vol + more <= 0.0:
            refused.append(Row("leland", {"interval_h": hours}, bps, refused=why))
            continue
        settings.append(("leland", {"interval_h": hours}, bps))
        excess.append(more)
    at = np.array([every[parameters["interval_h"]] for _, parameters, _ in settings], dtype=np.int64)
    more_vol = np.array(excess)
    return (settings, lambda b, d: loops.leland(
        b.price, b.coin, b.vol, clock.years, clock.growth, quantity, strike, at, more_vol,
        d.hedge, d.cash, d.turnover, d.trades,
    )), refused  # fmt: skip


def _whalley_wilmott(setup: Setup) -> _Grid:
    settings, rate, aversion = _averse(setup, "whalley_wilmott", "whalley_wilmott_centre")
    width = np.cbrt(1.5 * rate / aversion)
    landing = np.array([float(policy == "whalley_wilmott") for policy, _, _ in settings])
    return settings, lambda b, d: loops.band(
        b.price, b.target, b.root, width, landing, d.hedge, d.cash, d.turnover, d.trades
    )


def _zakamouline(setup: Setup, clock: _Clock) -> _Grid:
    quantity, strike = _legs(setup.legs)
    settings, rate, aversion = _averse(setup, *["zakamouline"] * setup.one_sign)
    return settings, lambda b, d: loops.zakamouline(
        b.price, b.coin, b.target, b.gamma, b.vol, clock.years, clock.growth, quantity, strike,
        rate, aversion, d.hedge, d.cash, d.turnover, d.trades,
    )  # fmt: skip


def _ours_perp(setup: Setup, clock: _Clock) -> _Grid:
    settings, rate, aversion = _averse(setup, "ours_perp")
    return settings, lambda b, d: loops.mixed_band(
        b.price, b.coin, b.leaning, b.gamma, b.vol, clock.years, rate, aversion,
        setup.fixed_cost_usd, setup.lot, clock.trigger, clock.landing,
        d.hedge, d.cash, d.turnover, d.trades,
    )  # fmt: skip


def _ours_mix(setup: Setup, clock: _Clock) -> _Grid:
    option = setup.option
    quantity, strike = _legs(setup.legs)
    settings, rate, aversion = _averse(setup, "ours_mix")
    return settings, lambda b, d: loops.mix(
        b.price, b.coin, b.leaning, b.gamma, b.vol, b.variance, clock.years, clock.growth, clock.discount,
        clock.lean, b.option_delta, b.option_gamma, option.strike, option.half_spread_vol, option.fee_rate,
        option.fee_cap, option.clip, option.max_quantity, option.days_min / DAYS_PER_YEAR, clock.quartic,
        clock.vol_variance, setup.decide_every, quantity, strike, clock.excess, MONEYNESS_REACH,
        setup.model.vol, rate, aversion, setup.fixed_cost_usd, setup.lot, clock.trigger,
        clock.landing, d.hedge, d.cash, d.turnover, d.trades, d.options, d.option_cost, d.option_value,
    )  # fmt: skip


def _rows(setup: Setup, family: _Family) -> list[Row]:
    rows = []
    for number, (policy, parameters, own_bps) in enumerate(family.settings):
        gross = family.gross[number]
        for bps in setup.cost_bps if own_bps is None else [own_bps]:
            trades = family.trades[number]
            cost = bps * BASIS_POINT * family.turnover[number] + setup.fixed_cost_usd * trades
            cost += family.option_cost[number]
            net = gross - cost
            worst = np.partition(net, max(round(TAIL * net.size), 1) - 1)[: max(round(TAIL * net.size), 1)]
            rows.append(
                Row(
                    policy,
                    parameters,
                    bps,
                    float(cost.mean()),
                    float(gross.std()),
                    float(net.mean()),
                    float(net.std()),
                    float(worst.mean()),
                    float(trades.mean()),
                )
            )
    return rows
