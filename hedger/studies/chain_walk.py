"""Books of one coin carried over a recorded chain to settlement, under every policy at once.

At every moment, in this order: what expired settles at the spot of now (`assumed`: a chain shows no
settlement price; nothing is known of it before it is booked), the perpetual's gain is paid, everything is
marked, customers deal, policies hedge. A policy is asked with frozen values of the moment; what comes later
does not exist yet.

Wealth is in USD: S (coins + options at their marks). It is kept twice, as a ledger of coins and
as a sum of steps, and the largest difference is reported. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hedger.studies.chain_history import Moves
from hedger.studies.chain_market import Contracts, Deals, View
from hedger.studies.chain_mix import (
    Factors,
    MixSettings,
    Solver,
    columns_of,
    factors_of,
    mix_trades,
    perp_alone,
    problem_of,
    scale_of,
)
from hedger.studies.chain_policies import (
    CENTRING,
    DAY_NS,
    Lane,
    Moment,
    aversion,
    leland_deltas,
    perp_lanes,
    wanted,
)
from pricing.universe import FloatArray, IntArray
from risk.factor_history import FactorCovariance

#: By (book, lane): option numbers, coins bought (< 0 sold), price and fee of all, coins.
OptionFills = dict[tuple[int, int], tuple[IntArray, FloatArray, FloatArray, FloatArray]]

#: Half-life of the trailing mean of a book's variance.
VARIANCE_DAYS = 10.0
PARTS = ("delta", "gamma", "vega", "rest")


@dataclass(frozen=True, slots=True)
class Start:
    """What a book begins with: coins per option number, coins of cash, USD of the perpetual."""

    options: dict[int, float] = field(default_factory=dict)
    coins: float = 0.0
    perp_usd: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """What one moment did to every book and lane, for a ledger elsewhere; arrays (B, lanes, ...)."""

    now_ns: int
    perp_usd: FloatArray
    perp_price: FloatArray
    options: OptionFills


@dataclass(frozen=True, slots=True, eq=False)
class DayEnd:
    """The last snapshot of a day; arrays (B, lanes), parts (4, B, lanes); all sums since the beginning,
    USD."""

    day: int
    wealth: FloatArray
    cost: FloatArray
    trades: FloatArray
    parts: FloatArray
    edge: FloatArray


class Walk:
    """Books (B) by lanes of one coin, moved on by `step`."""

    def __init__(
        self,
        contracts: Contracts,
        starts: list[Start],
        mix: MixSettings,
        solve: Solver,
        on_fills: Callable[[Fills], None] | None = None,
    ) -> None:
        self.contracts, self.mix, self.solve, self.on_fills = contracts, mix, solve, on_fills
        self.perp_only = perp_lanes()
        self.lanes = self.perp_only + [Lane("ours_mix", {"budget": b}) for b in mix.budgets]
        books, lanes, n = len(starts), len(self.lanes), len(contracts.symbols)
        self.book = np.zeros((books, n))
        for b, start in enumerate(starts):
            for number, quantity in start.options.items():
                self.book[b, number] = quantity
        self.hedges = np.zeros((books, len(mix.budgets), n))
        self.coins = np.tile(np.array([[x.coins] for x in starts]), (1, lanes))
        self.perp_usd = np.tile(np.array([[x.perp_usd] for x in starts]), (1, lanes))
        self.cost = np.zeros((books, lanes))
        self.trades = np.zeros((books, lanes))
        self.edge = np.zeros(books)
        self.parts = np.zeros((len(PARTS), books, lanes))
        self.last_ns = np.zeros((books, lanes), dtype=np.int64)
        self.refused = np.zeros((books, lanes), dtype=np.bool_)
        self.moves = Moves.of(contracts.underlying)
        self.days: list[DayEnd] = []
        self.snapshots = self.marks_between = self.settled = 0
        self.worst_gap_usd = 0.0
        self.view: View | None = None
        self.began_ns = 0
        self.wealth = np.zeros((books, lanes))
        self.variance = np.zeros(books)
        self.view_ns: int | None = None

    def step(self, view: View, deals: list[Deals]) -> None:
        """One moment: settle, mark, deal, hedge. deals: one per book."""
        before = self.view
        gained = np.zeros_like(self.coins)
        value = self._values(view)
        if before is None:
            self.began_ns = view.now_ns
            self.wealth = self._wealth(view, value)
        else:
            gained = self._carry(before, view, value)
        self.view = view
        self.snapshots += view.quoted
        self.marks_between += not view.quoted
        if view.quoted:
            self.moves = self.moves.after(view)
        edge = self._deal(view, deals)
        cost = self._hedge(view)
        self.cost += cost
        by_steps = self.wealth + gained + edge[:, None] - cost
        self.wealth = self._wealth(view, value)
        known = ~self.refused
        gap = np.abs(by_steps - self.wealth)[known]
        self.worst_gap_usd = max(self.worst_gap_usd, float(gap.max(initial=0.0)))
        if view.quoted:
            self._note_day(view)

    def _values(self, view: View) -> FloatArray:
        """USD per coin of every option by number, 0 where not alive, (N,)."""
        value = np.zeros(len(self.contracts.symbols))
        value[view.at] = view.value_usd
        return value

    def _wealth(self, view: View, value: FloatArray) -> FloatArray:
        """The ledger: coins at the spot, options at their marks; the perpetual's gain is in the coins."""
        held = np.repeat((self.book @ value)[:, None], len(self.lanes), axis=1)
        held[:, len(self.perp_only) :] += self.hedges @ value
        return np.asarray(self.coins * view.spot + held)

    def _carry(self, before: View, view: View, value: FloatArray) -> FloatArray:
        """Everything held since the last moment, marked at the new one; what expired is paid out. (B,
        lanes)."""
        c = self.contracts
        ended = before.at[c.expiry_ns[before.at] <= view.now_ns]
        payoff = np.maximum(c.sign[ended] * (view.spot - c.strike[ended]), 0.0)
        after = value.copy()
        after[ended] = payoff
        # the same by steps: positions times their change
        at = before.at
        change = after[at] - before.value_usd
        k = len(self.perp_only)
        moved = np.repeat((self.book[:, at] @ change)[:, None], len(self.lanes), axis=1)
        moved[:, k:] += self.hedges[:, :, at] @ change
        perp_coins = self.perp_usd * (1.0 / before.perp - 1.0 / view.perp)
        gained = moved + self.coins * (view.spot - before.spot) + perp_coins * view.spot
        self._explain(before, view, gained)
        # the ledger
        self.coins += perp_coins
        if ended.size:
            paid = payoff / view.spot
            self.coins += (self.book[:, ended] @ paid)[:, None]
            self.coins[:, k:] += self.hedges[:, :, ended] @ paid
            self.settled += int((self.book[:, ended] != 0).sum())
            self.book[:, ended] = 0.0
            self.hedges[:, :, ended] = 0.0
        return gained

    def _explain(self, before: View, view: View, gained: FloatArray) -> None:
        """Add a step's P&L to its parts: delta, gamma, vega of the marks at its start, and the rest."""
        n = len(self.contracts.symbols)
        vol, forward = np.full(n, np.nan), np.full(n, np.nan)
        vol[view.at], forward[view.at] = view.vol, view.forward
        at = before.at
        d_vol = np.where(np.isfinite(vol[at]), vol[at] - before.vol, 0.0)
        ended = ~np.isfinite(forward[at])
        d_forward = np.where(ended, view.spot / before.spot * before.forward, forward[at]) - before.forward
        per_coin = np.array([
            before.delta * d_forward, 0.5 * before.gamma * d_forward**2, before.vega * d_vol
        ])  # fmt: skip
        k = len(self.perp_only)
        by_part = np.repeat(
            np.einsum("bk,pk->pb", self.book[:, at], per_coin)[:, :, None], len(self.lanes), axis=2
        )
        by_part[:, :, k:] += np.einsum("bmk,pk->pbm", self.hedges[:, :, at], per_coin)
        moved = view.perp - before.perp
        by_part[0] += self.coins * (view.spot - before.spot) + self.perp_usd / before.perp * moved
        self.parts[:3] += by_part
        self.parts[3] += gained - by_part.sum(axis=0)

    def _deal(self, view: View, deals: list[Deals]) -> FloatArray:
        """Book customers' trades in every lane; what they pay over the marks, USD (B,)."""
        edge = np.zeros(len(self.book))
        price = np.full(len(self.contracts.symbols), np.nan)
        price[view.at] = view.price
        for b, deal in enumerate(deals):
            if deal.at.size:
                np.add.at(self.book[b], deal.at, deal.quantity)
                self.coins[b] -= deal.quantity @ deal.price
                edge[b] = float(deal.quantity @ (price[deal.at] - deal.price)) * view.spot
        self.edge += edge
        return edge

    def _hedge(self, view: View) -> FloatArray:
        """Ask every policy, and book what it does; cost in USD (B, lanes)."""
        k = len(self.perp_only)
        at = view.at
        positions = self.book[:, at]
        covariance = self.moves.covariance(view.now_ns)
        gamma = positions @ view.gamma
        weight = np.abs(positions) * view.gamma
        gamma_abs = weight.sum(axis=1)
        mean = weight / np.maximum(gamma_abs, 1e-300)[:, None]
        option_delta = positions @ view.delta
        days = (view.now_ns - self.began_ns) / DAY_NS
        moment = Moment(
            view=view, lot=self.contracts.perp_lot,
            delta=option_delta[:, None] + self.coins[:, :k] + self.perp_usd[:, :k] / view.perp,
            gamma=gamma, gamma_abs=gamma_abs,
            lean=-(positions @ view.vega_weighted) * self.moves.beta / view.spot,
            leland=leland_deltas(view, gamma, positions),
            gamma_vol=mean @ view.vol, gamma_years=mean @ view.years,
            vanna=positions @ view.vanna, last_ns=self.last_ns[:, :k], spent=self.cost[:, :k],
            c0=self.cost[:, CENTRING], days=days,
        )  # fmt: skip
        move = np.zeros_like(self.coins)
        move[:, :k] = wanted(moment, self.perp_only)
        self.refused |= np.isnan(move)
        cost, options = self._mix(view, covariance, moment, move)
        move = np.where(self.refused, 0.0, move)
        dollars = np.trunc(move * view.perp / self.contracts.perp_lot) * self.contracts.perp_lot
        price = np.where(dollars > 0, view.perp_ask, view.perp_bid)
        # bought at the touch, marked at once; the fee is a share of the notional in coins
        paid = -dollars * (1.0 / price - 1.0 / view.perp) + np.abs(dollars) / price * view.perp_fee
        self.coins -= paid
        self.perp_usd += dollars
        traded = dollars != 0
        self.trades += traded
        self.last_ns[traded] = view.now_ns
        if self.on_fills is not None:
            self.on_fills(Fills(view.now_ns, dollars, price, options))
        return cost + paid * view.spot

    def _mix(
        self, view: View, covariance: FactorCovariance, moment: Moment, move: FloatArray
    ) -> tuple[FloatArray, OptionFills]:
        """Hedge the lanes with options; fills `move` with their perpetual's part. Costs of the options,
        USD."""
        k, at = len(self.perp_only), view.at
        cost = np.zeros_like(self.cost)
        fills: OptionFills = {}
        factors = factors_of(view, self.mix)
        scale = scale_of(covariance, self.mix)
        coins = self.coins[:, k:] + self.perp_usd[:, k:] / view.perp
        base = self.book[:, at] @ factors.option.T
        self._remember_variance(scale, base, factors, view)
        if not (self.mix.budgets and (moment.c0 > 0).any()):
            return cost, fills
        columns = columns_of(view, self.contracts, factors, self.mix) if view.quoted else None
        problem = problem_of(columns) if columns is not None else None
        for b in range(len(self.book)):
            for m, budget in enumerate(self.mix.budgets):
                allowed = budget * moment.c0[b]
                if not (allowed > 0 and self.variance[b] > 0):
                    continue
                rate = allowed / max(moment.days, 1.0)
                averse = float(aversion(
                    self.cost[b, k + m], allowed, rate, self.mix.base * rate**2 / self.variance[b]
                ))  # fmt: skip
                gains = base[b] + factors.option @ self.hedges[b, m, at] + factors.perp * coins[b, m]
                if columns is None or problem is None:
                    move[b, k + m] = perp_alone(view, scale, factors, gains, averse, self.mix)
                    continue
                bought, perp = mix_trades(problem, columns, scale, gains, averse, self.solve)
                move[b, k + m] = perp
                traded = np.flatnonzero(bought)
                if traded.size:
                    rows, quantity = columns.rows[traded], bought[traded]
                    price = np.where(quantity > 0, view.ask[rows], view.bid[rows])
                    fee = np.abs(quantity) * np.where(quantity > 0, view.buy_fee[rows], view.sell_fee[rows])
                    self.hedges[b, m, at[rows]] += quantity
                    self.coins[b, k + m] -= float(quantity @ price + fee.sum())
                    cost[b, k + m] = float(quantity @ (price - view.price[rows]) + fee.sum()) * view.spot
                    self.trades[b, k + m] += traded.size
                    fills[b, k + m] = (at[rows], quantity, price, fee)
        return cost, fills

    def _remember_variance(self, scale: FloatArray, base: FloatArray, factors: Factors, view: View) -> None:
        """Trailing mean of the books' daily variance with their delta hedged, USD squared, (B,)."""
        value, perp = base @ scale.T, scale @ factors.perp
        left = (value**2).sum(axis=1) - (value @ perp) ** 2 / (perp @ perp)
        before = self.view_ns
        share = 1.0 if before is None else 1.0 - 0.5 ** ((view.now_ns - before) / DAY_NS / VARIANCE_DAYS)
        self.variance += share * (left - self.variance)
        self.view_ns = view.now_ns

    def _note_day(self, view: View) -> None:
        day = view.now_ns // DAY_NS
        end = DayEnd(
            day, self.wealth.copy(), self.cost.copy(), self.trades.copy(), self.parts.copy(), self.edge.copy()
        )
        if self.days and self.days[-1].day == day:
            self.days[-1] = end
        else:
            self.days.append(end)
