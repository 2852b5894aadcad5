"""The law of the simulated market: how indices, variances, premiums and smiles move. One seed, no clock.

Each coin's index follows Heston variance with jumps that hit all coins at once:

    dS/S = √v dW + (e^J − 1) dN − drift of the jumps      dv = κ (θ' − v) dt + ξ √v dZ + c |J| dN

(Euler with full truncation, in steps of at most `step_s_max`; θ' is θ less what the jumps add, so that the
mean of v stays θ). A perpetual trades at a premium, dated futures at a basis; both revert and overshoot on a
jump.

One smile per expiry, an SSVI surface (Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces",
Quantitative Finance 14, 2014): total variance at log-moneyness k, with a = at-the-money total variance,

    w(k) = a/2 (1 + ρ φ k + √((φ k + ρ)² + 1 − ρ²)),   φ = η/√(a (1 + a))

a is the variance that the model itself expects until expiry, times a premium: it rises with time because the
expected variance is positive; η (1 + |ρ|) ≤ 2 then excludes butterfly and calendar arbitrage at every moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pricing.daycount import SECONDS_PER_YEAR
from pricing.universe import FloatArray
from venues.simulated_books import BTC_BOOKS, ETH_BOOKS, BookSettings, CoinBooks


@dataclass(frozen=True, slots=True)
class CoinSettings:
    """One coin's law. Vols 1.0 = 100 % a year, rates per year, moves as logs.

    name: one that `venues/tables/simulated.toml` has terms for. books: sizes and widths, see there.
    spot: index at the start, USD. vol: long-run vol of the diffusion (√θ), also the vol at the start.
    reversion: κ, per year. vol_of_variance: ξ. spot_vol: correlation of index and variance.
    jump_mean, jump_sd: of the log jump. variance_per_jump: c. iv_over_vol: implied over expected vol at the
    money. skew: ρ, wings: η of the smile.
    """

    name: str
    spot: float
    vol: float
    books: CoinBooks
    reversion: float = 12.0
    vol_of_variance: float = 1.4
    spot_vol: float = -0.3
    jump_mean: float = -0.005
    jump_sd: float = 0.02
    variance_per_jump: float = 1.0
    iv_over_vol: float = 1.05
    skew: float = -0.3
    wings: float = 1.2

    def __post_init__(self) -> None:
        if min(self.spot, self.vol, self.reversion, self.vol_of_variance, self.wings) <= 0:
            raise ValueError(f"{self.name}: spot, vol, reversion, vol_of_variance and wings must be positive")
        if max(abs(self.skew), abs(self.spot_vol)) >= 1 or self.wings * (1 + abs(self.skew)) > 2:
            raise ValueError(
                f"{self.name}: wings (1 + |skew|) <= 2 and correlations inside (-1, 1): else arbitrage"
            )


DEFAULT_COINS = (
    CoinSettings("BTC", 70_000.0, 0.42, BTC_BOOKS),
    CoinSettings("ETH", 2_000.0, 0.60, ETH_BOOKS, jump_sd=0.028, skew=-0.25),
)


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """The whole market. Times in the unit of the name, moves as logs, rates per year unless said.

    coins: sorted by name. correlation: of every pair of coins, for indices, variances and jumps.
    jumps_per_year: they hit all coins at once. step_s_max: longest step of the law, seconds.
    tenor_days: option expiries aimed at, see `expiries`. strikes_per_expiry, strike_width: see `strikes`.
    futures: how many of the longest monthly expiries have a dated future.
    premium_*: of the perpetual, fraction of the index; basis_*: rate of the forwards, per year; *_sd are
    stationary, *_overshoot is per unit of jump.
    funding_free: premium without funding, funding_max: cap, both fractions per 8 h.
    realised_half_life_s: of the realised vol behind the stress level, which is 0 below `stress_onset` times
    the long-run vol, then rises one for one up to `stress_max`.
    """

    coins: tuple[CoinSettings, ...] = DEFAULT_COINS
    correlation: float = 0.8
    jumps_per_year: float = 30.0
    step_s_max: float = 60.0
    tenor_days: tuple[float, ...] = (1, 2, 4, 11, 18, 25, 53, 116, 179)
    strikes_per_expiry: int = 14
    strike_width: float = 3.0
    futures: int = 3
    premium_mean: float = 1e-4
    premium_sd: float = 4e-4
    premium_half_life_s: float = 7_200.0
    premium_overshoot: float = 0.02
    basis_mean: float = 0.05
    basis_sd: float = 0.01
    basis_half_life_s: float = 432_000.0
    basis_overshoot: float = 0.1
    funding_free: float = 2.5e-4
    funding_max: float = 5e-3
    realised_half_life_s: float = 1_800.0
    stress_onset: float = 1.5
    stress_max: float = 4.0
    books: BookSettings = field(default_factory=BookSettings)

    def __post_init__(self) -> None:
        names = [coin.name for coin in self.coins]
        if not names or names != sorted(set(names)):
            raise ValueError(f"coins must be sorted by name, each once: {names}")
        lowest = -1.0 / (len(names) - 1) if len(names) > 1 else -1.0
        if not lowest < self.correlation < 1 or self.jumps_per_year < 0 or self.step_s_max <= 0:
            raise ValueError(
                f"correlation {self.correlation}, jumps_per_year {self.jumps_per_year}, "
                f"step_s_max {self.step_s_max}: outside their ranges"
            )
        if min(self.long_run_variance()) <= 0:
            raise ValueError("jumps alone bring more variance than `vol` allows: lower variance_per_jump")

    def column(self, name: str) -> FloatArray:
        """One field of all coins, (coins,)."""
        return np.array([getattr(coin, name) for coin in self.coins], dtype=np.float64)

    def jump_variance(self) -> FloatArray:
        """Variance a year that jumps add to an index, (coins,)."""
        return self.jumps_per_year * (self.column("jump_mean") ** 2 + self.column("jump_sd") ** 2)

    def total_vol(self) -> FloatArray:
        """Long-run vol of the index, diffusion and jumps together, (coins,)."""
        return np.sqrt(self.column("vol") ** 2 + self.jump_variance())

    def long_run_variance(self) -> FloatArray:
        """θ': where the diffusion reverts to, so that with the jumps' part the mean is vol^2, (coins,)."""
        m, sd = self.column("jump_mean"), np.maximum(self.column("jump_sd"), 1e-12)
        scores = [float(v) for v in m / (sd * math.sqrt(2.0))]
        mean_size = sd * math.sqrt(2 / math.pi) * np.exp(-0.5 * (m / sd) ** 2) + m * [
            math.erf(s) for s in scores
        ]
        from_jumps = (
            self.jumps_per_year * self.column("variance_per_jump") * mean_size / self.column("reversion")
        )
        return np.asarray(self.column("vol") ** 2 - from_jumps)


DEFAULT_SETTINGS = SimulationSettings()


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What moves, one entry per coin: log index, variance (may dip below 0: read it truncated), perpetual's
    premium (fraction), basis (per year), realised variance (per year, exponentially weighted)."""

    log_spot: FloatArray
    variance: FloatArray
    premium: FloatArray
    basis: FloatArray
    realised: FloatArray


class Law:
    """The settings as arrays, the random streams, and the one step that both market and path take."""

    NORMALS = 5  # index, variance, premium, basis, jump

    def __init__(self, settings: SimulationSettings, seed: int) -> None:
        s, n = settings, len(settings.coins)
        self.settings = s
        # jumps have a stream of their own: a draw never depends on how many steps are drawn at once
        normals, jumps = np.random.SeedSequence(seed).spawn(2)
        self._normals, self._jumps = np.random.default_rng(normals), np.random.default_rng(jumps)
        self._mix = np.linalg.cholesky(np.full((n, n), s.correlation) + (1 - s.correlation) * np.eye(n))
        self.theta = s.column("vol") ** 2
        self._pull = s.long_run_variance()
        self.kappa, self._xi, self._spot_vol = (
            s.column(c) for c in ("reversion", "vol_of_variance", "spot_vol")
        )
        self._jump_mean, self._jump_sd, self._kick = (
            s.column(c) for c in ("jump_mean", "jump_sd", "variance_per_jump")
        )
        self._drift = -s.jumps_per_year * np.expm1(self._jump_mean + 0.5 * self._jump_sd**2)
        self._impulse = math.log(2.0) * SECONDS_PER_YEAR / s.realised_half_life_s

    def start(self) -> State:
        """Everything at its long-run level."""
        s, ones = self.settings, np.ones(len(self.settings.coins))
        return State(
            log_spot=np.log(s.column("spot")),
            variance=self.theta.copy(),
            premium=s.premium_mean * ones,
            basis=s.basis_mean * ones,
            realised=s.total_vol() ** 2,
        )

    def advance(self, state: State, seconds: float) -> tuple[State, int]:
        """The state after `seconds`, and how many jumps fell into them."""
        if not 0 < seconds < math.inf:
            raise ValueError(f"a step of {seconds} seconds: must be positive and finite")
        steps = math.ceil(seconds / self.settings.step_s_max)
        step_s = seconds / steps
        normals = self._normals.standard_normal((steps, self.NORMALS, len(self.theta)))
        jumped = self._jumps.random(steps) < -math.expm1(
            -self.settings.jumps_per_year * step_s / SECONDS_PER_YEAR
        )
        for z, jump in zip(normals, jumped.tolist(), strict=True):
            state = self._diffuse(state, step_s, z)
            if jump:
                state = self.jump(state, self._jump_mean + self._jump_sd * (self._mix @ z[4]))
        return state, int(jumped.sum())

    def jump(self, state: State, move: FloatArray) -> State:
        """The state after log jumps `move`, (coins,): index, variance, premium, basis and realised vol."""
        s = self.settings
        return State(
            log_spot=state.log_spot + move,
            variance=state.variance + self._kick * np.abs(move),
            premium=state.premium + s.premium_overshoot * move,
            basis=state.basis + s.basis_overshoot * move,
            realised=state.realised + self._impulse * move**2,
        )

    def _diffuse(self, state: State, step_s: float, z: FloatArray) -> State:
        s, years = self.settings, step_s / SECONDS_PER_YEAR
        variance = np.maximum(state.variance, 0.0)
        spread = np.sqrt(variance * years)
        w = self._mix @ z[0]
        w_variance = self._spot_vol * w + np.sqrt(1.0 - self._spot_vol**2) * (self._mix @ z[1])
        move = spread * w
        keep = 0.5 ** (step_s / s.realised_half_life_s)
        return State(
            log_spot=state.log_spot + (self._drift - 0.5 * variance) * years + move,
            variance=state.variance
            + self.kappa * (self._pull - variance) * years
            + self._xi * spread * w_variance,
            premium=_revert(
                state.premium, s.premium_mean, s.premium_sd, step_s / s.premium_half_life_s, z[2]
            ),
            basis=_revert(state.basis, s.basis_mean, s.basis_sd, step_s / s.basis_half_life_s, z[3]),
            realised=keep * state.realised + (1.0 - keep) * move**2 / years,
        )

    def stress(self, state: State) -> FloatArray:
        """Stress level per coin, 0 in calm, from realised against long-run vol, (coins,)."""
        ratio = np.sqrt(state.realised) / self.settings.total_vol()
        return np.clip(ratio - self.settings.stress_onset, 0.0, self.settings.stress_max)


def _revert(value: FloatArray, mean: float, sd: float, half_lives: float, z: FloatArray) -> FloatArray:
    """An exact step of a mean-reverting normal process with stationary deviation `sd`."""
    keep = 0.5**half_lives
    return np.asarray(mean + (value - mean) * keep + sd * math.sqrt(1.0 - keep**2) * z)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Indices without books: spot USD, variance and premium (steps + 1, coins), jumps per step (steps,)."""

    spot: FloatArray
    variance: FloatArray
    premium: FloatArray
    jumps: NDArray[np.int64]


def path(seed: int, steps: int, seconds: float, settings: SimulationSettings = DEFAULT_SETTINGS) -> Path:
    """The indices that a market of this seed shows when stepped `steps` times by `seconds`, cheaply."""
    law = Law(settings, seed)
    states, jumps = [law.start()], []
    for _ in range(steps):
        state, count = law.advance(states[-1], seconds)
        states.append(state)
        jumps.append(count)
    return Path(
        spot=np.exp([s.log_spot for s in states]),
        variance=np.maximum([s.variance for s in states], 0.0),
        premium=np.array([s.premium for s in states]),
        jumps=np.array(jumps, dtype=np.int64),
    )


def funding_rate(premium: FloatArray, free: float, cap: float) -> FloatArray:
    """Deribit's funding rate per 8 h, a fraction: the premium beyond ±`free`, capped at ±`cap`.

    >>> funding_rate(np.array([0.001, 0.0001, -0.001]), 0.00025, 0.005).round(6).tolist()
    [0.00075, 0.0, -0.00075]
    """
    return np.asarray(np.clip(np.maximum(free, premium) + np.minimum(-free, premium), -cap, cap))


def smile_variance(
    atm: FloatArray, log_moneyness: FloatArray, skew: FloatArray, wings: FloatArray
) -> FloatArray:
    """SSVI total variance; all arguments broadcast, see the head of the module.

    >>> smile_variance(*map(np.array, (0.04, [-0.2, 0.0, 0.2], -0.3, 1.2))).round(4).tolist()
    [0.0622, 0.04, 0.0389]
    """
    tilt = wings / np.sqrt(atm * (1.0 + atm)) * log_moneyness
    return np.asarray(0.5 * atm * (1.0 + skew * tilt + np.sqrt((tilt + skew) ** 2 + 1.0 - skew**2)))
