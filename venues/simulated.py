"""A seeded market for the demo and for property tests: no keys, no internet, no clock, one seed.

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
Marks are Black-76 on the expiry's forward. Not modelled: the averaging window before settlement.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pricing import black76
from pricing.contracts import Contract, Future, Kind, Listing, Option
from pricing.daycount import NS_PER_SECOND, SECONDS_PER_YEAR, years_between
from pricing.market import Marks, forward_kind
from pricing.universe import BoolArray, FloatArray, Universe
from venues.deribit_names import instrument_name
from venues.simulated_books import (
    BTC_TERMS,
    ETH_TERMS,
    VENUE,
    WEEKLY_DAYS_MAX,
    BookSettings,
    CoinTerms,
    FeeTable,
    Grid,
    Ladders,
    expiries,
    list_contracts,
    strikes,
    typical_size,
)

if TYPE_CHECKING:
    import polars

#: 2026-03-02 12:00 UTC, a Monday.
START_NS = 1_772_452_800 * NS_PER_SECOND

#: Digits kept: coin marks as Deribit's, USD values finer than any tick.
MARK_DIGITS = 8
USD_DIGITS = 4

#: A spread in vol is quoted for this many years, and no option is taken as shorter than two hours for it.
SPREAD_YEARS = 30 / 365
SPREAD_YEARS_MIN = 2 / (24 * 365)

#: The tape's columns, in its order.
QUOTE_COLUMNS = (
    "seq", "venue_ns", "local_ns", "venue", "symbol", "bid", "bid_size", "ask", "ask_size", "mark", "mark_iv",
    "forward", "forward_name", "index", "funding_rate", "open_interest",
    "venue_delta", "venue_gamma", "venue_vega", "venue_theta", "venue_rho",
)  # fmt: skip
DEPTH_COLUMNS = ("seq", "venue_ns", "local_ns", "venue", "symbol", "side", "level", "price", "size")


@dataclass(frozen=True, slots=True)
class CoinSettings:
    """One coin's law. Vols 1.0 = 100 % a year, rates per year, moves as logs.

    spot: index at the start, USD. vol: long-run vol of the diffusion (√θ), also the vol at the start.
    reversion: κ, per year. vol_of_variance: ξ. spot_vol: correlation of index and variance.
    jump_mean, jump_sd: of the log jump. variance_per_jump: c. iv_over_vol: implied over expected vol at the
    money. skew: ρ, wings: η of the smile.
    """

    name: str
    spot: float
    vol: float
    terms: CoinTerms
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
    CoinSettings("BTC", 70_000.0, 0.42, BTC_TERMS),
    CoinSettings("ETH", 2_000.0, 0.60, ETH_TERMS, jump_sd=0.028, skew=-0.25),
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
    fees: FeeTable = field(default_factory=FeeTable)

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


# -------------------------------------------------------------------------------------------------------- law


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
    """Deribit's funding rate per 8 h, a fraction: the premium beyond ±`free`, capped at ±`cap` (theory 3.1).

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


# ----------------------------------------------------------------------------------------------------- market


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """How the market stands, arrays (coins,): index USD, vol of the diffusion now, realised vol (recent),
    stress level (0 = calm), premium of the perpetual, basis per year; jumps since the start, all coins."""

    coins: tuple[str, ...]
    spot: FloatArray
    vol: FloatArray
    realised_vol: FloatArray
    stress: FloatArray
    premium: FloatArray
    basis: FloatArray
    jumps: int

    @property
    def calm(self) -> bool:
        """Whether every book stands at its ordinary width and depth."""
        return not self.stress.any()


class SimulatedMarket:
    """Two coins with spot, perpetual, dated futures and option chains, advanced by `step`.

    Same seed, start, settings and calls: byte-identical batches. An expired listing stays in the universe and
    is quoted no more; no new ones appear.
    """

    def __init__(
        self, seed: int, start_ns: int = START_NS, settings: SimulationSettings = DEFAULT_SETTINGS
    ) -> None:
        self.settings = settings
        self.now_ns = int(start_ns)
        self._law = Law(settings, seed)
        self._state = self._law.start()
        self._jumps = 0
        # the third stream beside the law's two: books are scattered without moving the indices
        self._scatter = np.random.default_rng(np.random.SeedSequence(seed).spawn(3)[2])
        self.universe = Universe.of(self._list())
        u = self.universe
        self._grid = Grid.of(u)
        self._size = typical_size(u, [coin.terms for coin in settings.coins])
        self._skew, self._wings = (settings.column(c)[u.underlying] for c in ("skew", "wings"))
        self._half_scale = np.array([c.terms.option_half_scale for c in settings.coins])[u.underlying]
        b = settings.books
        self._half_rate = np.array([b.spot_half, b.perp_half, b.future_half, 0.0])[u.kind]
        futures = {x.contract for x in u.listings if isinstance(x.contract, Future)}
        self.forward_names = tuple(_forward_name(x.contract, futures) for x in u.listings)
        self._forward_kind = np.array([forward_kind(name) for name in self.forward_names], dtype=np.int8)
        self._marks = self._quote(0)

    def step(self, seconds: float) -> Marks:
        """Let `seconds` of market time pass; the batch of all live quotes, depth included.

        Raises:
            ValueError: `seconds` is not positive and finite.
        """
        self._state, jumps = self._law.advance(self._state, seconds)
        self._jumps += jumps
        self.now_ns += round(seconds * NS_PER_SECOND)
        self._marks = self._quote(self._marks.seq + 1)
        return self._marks

    def marks(self) -> Marks:
        """The current batch; asking does not advance anything."""
        return self._marks

    def shock(self, move: float, underlying: str | None = None) -> None:
        """Force a log jump of one coin, or of all; the next step shows it.

        Raises:
            ValueError: no such coin, or the move is not finite.
        """
        names = [coin.name for coin in self.settings.coins]
        if not math.isfinite(move) or (underlying is not None and underlying not in names):
            raise ValueError(f"a shock of {move} to {underlying}: a finite move, and one of {names} or None")
        hit = np.array([underlying in (None, name) for name in names])
        self._state = self._law.jump(self._state, np.where(hit, move, 0.0))
        self._jumps += 1

    def conditions(self) -> Conditions:
        """How the market stands now; a `shock` counts at once."""
        state = self._state
        return Conditions(
            coins=tuple(coin.name for coin in self.settings.coins),
            spot=np.exp(state.log_spot),
            vol=np.sqrt(np.maximum(state.variance, 0.0)),
            realised_vol=np.sqrt(state.realised),
            stress=self._law.stress(state),
            premium=state.premium.copy(),
            basis=state.basis.copy(),
            jumps=self._jumps,
        )

    def implied_variance(self, underlying: str, years: FloatArray, log_moneyness: FloatArray) -> FloatArray:
        """Total implied variance at any expiry and strike; `years` and `log_moneyness` ln(K/F) broadcast."""
        coin = [c.name for c in self.settings.coins].index(underlying)
        settings = self.settings.coins[coin]
        atm = self._atm_variance(np.asarray(years), np.array(coin))
        return smile_variance(atm, log_moneyness, np.array(settings.skew), np.array(settings.wings))

    def _atm_variance(self, years: FloatArray, coin: NDArray[np.int64]) -> FloatArray:
        """Expected variance until expiry, jumps included, times the premium; rises with `years`."""
        law, s = self._law, self.settings
        kappa, theta, now = law.kappa[coin], law.theta[coin], np.maximum(self._state.variance, 0.0)[coin]
        diffusion = theta * years + (now - theta) * -np.expm1(-kappa * years) / kappa
        premium = s.column("iv_over_vol")[coin] ** 2
        return np.asarray(premium * (diffusion + s.jump_variance()[coin] * years))

    def _list(self) -> list[Listing]:
        s = self.settings
        chain = expiries(self.now_ns, s.tenor_days)
        far = self.now_ns + int(WEEKLY_DAYS_MAX * 86_400 * NS_PER_SECOND)
        dated = [e for e in chain if e > far][-s.futures :] if s.futures else []
        listings = []
        for i, coin in enumerate(s.coins):
            years = years_between(self.now_ns, np.array(chain))
            deviations = np.sqrt(self._atm_variance(years, np.array(i)))
            forwards = coin.spot * np.exp(s.basis_mean * years)
            wanted = {
                expiry: strikes(
                    float(forward),
                    float(sd),
                    s.strikes_per_expiry,
                    s.strike_width,
                    coin.terms.strike_step_min,
                )
                for expiry, forward, sd in zip(chain, forwards, deviations, strict=True)
            }
            listings += list_contracts(coin.name, coin.terms, s.fees, dated, wanted)
        return listings

    def _quote(self, seq: int) -> Marks:
        """All live quotes of this moment."""
        u, s, state = self.universe, self.settings, self._state
        live = (u.expiry_ns == 0) | (u.expiry_ns > self.now_ns)
        years = np.where((u.expiry_ns > 0) & live, years_between(self.now_ns, u.expiry_ns), 0.0)
        index = np.exp(state.log_spot)[u.underlying].round(USD_DIGITS)
        premium, basis = state.premium[u.underlying], state.basis[u.underlying]
        dollars = np.where(u.kind == Kind.PERPETUAL, index * (1.0 + premium), index * np.exp(basis * years))
        mark = dollars.round(USD_DIGITS)
        forward = np.where(u.is_option, mark, np.nan)
        funding = funding_rate(premium, s.funding_free, s.funding_max)

        half = mark * self._half_rate
        size = self._size.copy()
        vol = np.full(len(u), np.nan)
        rows = u.is_option & live
        mark[rows], vol[rows], half[rows], wing = self._price_options(rows, mark[rows], years[rows])
        size[rows] *= s.books.wing_size + (1.0 - s.books.wing_size) * np.exp(-0.25 * wing**2)

        # the scatter is drawn for all listings, so that an expiry does not shift the books of the others
        stress = self._law.stress(state)[u.underlying]
        half *= 1.0 + s.books.widen * stress
        width = 1.0 + s.books.width_noise * self._scatter.uniform(-1.0, 1.0, (len(u), 2))
        noise = s.books.size_noise * self._scatter.standard_normal((len(u), 2, len(s.books.profile)))
        sizes = (
            (size / (1.0 + s.books.thin * stress))[:, None, None] * np.array(s.books.profile) * np.exp(noise)
        )
        mark[~live] = np.nan
        books = self._grid.ladders(mark, half[:, None] * width, s.books.level_gap * half, sizes)

        at = np.flatnonzero(live)
        books = Ladders(*(side[at] for side in books))
        marks = Marks(
            seq=seq,
            now_ns=self.now_ns,
            rows=at,
            venue_ns=np.full(len(at), self.now_ns, dtype=np.int64),
            bid=books.bid[:, 0].copy(),
            bid_size=books.bid_size[:, 0].copy(),
            ask=books.ask[:, 0].copy(),
            ask_size=books.ask_size[:, 0].copy(),
            mark=mark[at],
            mark_iv=vol[at],
            forward=forward[at],
            index=index[at],
            funding_rate=np.where(u.kind == Kind.PERPETUAL, funding, np.nan)[at],
            forward_kind=self._forward_kind[at],
            depth=books.depth(at),
        )
        for column in Marks.__slots__:
            if isinstance(values := getattr(marks, column), np.ndarray):
                values.flags.writeable = False  # `marks()` hands out the same batch again
        return marks

    def _price_options(
        self, rows: BoolArray, forward: FloatArray, years: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Mark and calm half-spread in coin, vol, and distance from the forward in standard deviations."""
        u, b = self.universe, self.settings.books
        strike = u.strike[rows]
        atm = self._atm_variance(years, u.underlying[rows])
        k = np.log(strike / forward)
        vol = np.sqrt(smile_variance(atm, k, self._skew[rows], self._wings[rows]) / years)
        greeks = black76.greeks(forward, strike, years, vol, u.sign[rows])
        wing = k / np.sqrt(atm)
        shortness = np.sqrt(SPREAD_YEARS / np.maximum(years, SPREAD_YEARS_MIN))
        vol_half = np.maximum(b.vol_half * shortness, b.vol_half_min) * (1.0 + b.wing * wing**2)
        deep = np.clip(4.0 * (np.abs(greeks.delta) - 0.5), 0.0, 2.0)
        half = (greeks.vega / forward * vol_half + b.itm_half * deep) * self._half_scale[rows]
        return (greeks.price / forward).round(MARK_DIGITS), vol, half, wing


def _forward_name(contract: Contract, futures: Collection[Future]) -> str | None:
    """Deribit's name for an option's forward: the future of its expiry, else a synthetic one."""
    if not isinstance(contract, Option):
        return None
    future = Future(contract.underlying, contract.settlement, contract.inverse, contract.expiry_ns)
    return instrument_name(future) if future in futures else f"SYN.{instrument_name(future)}"


# ------------------------------------------------------------------------------------------------------- tape


def tape_frames(
    market: SimulatedMarket, steps: int, seconds: float
) -> tuple[tuple[Listing, ...], polars.DataFrame, polars.DataFrame]:
    """Step a market and keep what it showed: listings, and the tape's `quotes` and `depth` columns.

    Each step is one batch; local and venue stamps are equal. Missing is null. Depth sides are `bid` and
    `ask`, level 0 is the touch.
    """
    batches = [market.step(seconds) for _ in range(steps)]
    return market.universe.listings, _quotes_frame(market, batches), _depth_frame(market, batches)


def _quotes_frame(market: SimulatedMarket, batches: list[Marks]) -> polars.DataFrame:
    """The `quotes` of a tape; the simulated venue publishes no Greeks and no open interest."""
    import polars  # here only: a market without a tape needs no tables, and starts sooner

    rows = np.concatenate([m.rows for m in batches]) if batches else np.empty(0, dtype=np.int64)
    count = [len(m.rows) for m in batches]
    stamps = np.repeat(np.array([m.now_ns for m in batches], dtype=np.int64), count)
    names = ("bid", "bid_size", "ask", "ask_size", "mark", "mark_iv", "forward", "index", "funding_rate")
    numbers = {name: np.concatenate([np.empty(0), *(getattr(m, name) for m in batches)]) for name in names}
    frame = polars.DataFrame(
        {
            "seq": np.repeat(np.array([m.seq for m in batches], dtype=np.int64), count),
            "venue_ns": stamps,
            "local_ns": stamps,
            "symbol": np.array([x.symbol for x in market.universe.listings], dtype=object)[rows].tolist(),
            "forward_name": np.array(market.forward_names, dtype=object)[rows].tolist(),
            **numbers,
        },
        schema_overrides={"symbol": polars.String, "forward_name": polars.String},
    )
    empty = {name: polars.lit(None, polars.Float64) for name in QUOTE_COLUMNS if name not in frame.columns}
    empty["venue"] = polars.lit(VENUE)
    return frame.with_columns(polars.col(polars.Float64).fill_nan(None), **empty).select(QUOTE_COLUMNS)


def _depth_frame(market: SimulatedMarket, batches: list[Marks]) -> polars.DataFrame:
    """The `depth` of a tape, one row a level."""
    import polars  # as above

    books = [
        (m, row, side, depth)
        for m in batches
        for row, book in m.depth.items()
        for side, depth in zip(("bid", "ask"), book, strict=True)
    ]
    count = [len(depth.price) for *_, depth in books]
    stamps = np.repeat(np.array([m.now_ns for m, *_ in books], dtype=np.int64), count)
    symbols = np.array([market.universe.listings[row].symbol for _, row, *_ in books], dtype=object)
    frame = polars.DataFrame(
        {
            "seq": np.repeat(np.array([m.seq for m, *_ in books], dtype=np.int64), count),
            "venue_ns": stamps,
            "local_ns": stamps,
            "symbol": np.repeat(symbols, count).tolist(),
            "side": np.repeat(np.array([side for *_, side, _ in books], dtype=object), count).tolist(),
            "level": np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(n) for n in count)]),
            "price": np.concatenate([np.empty(0), *(depth.price for *_, depth in books)]),
            "size": np.concatenate([np.empty(0), *(depth.size for *_, depth in books)]),
        },
        schema_overrides={"symbol": polars.String, "side": polars.String},
    )
    return frame.with_columns(venue=polars.lit(VENUE)).select(DEPTH_COLUMNS)
