"""A seeded market for the demo and for property tests: no keys, no internet, no clock, one seed.

Two coins with spot, perpetual, dated futures and option chains. Indices and smiles move by
`venues.simulated_law`, order books stand as in `venues.simulated_books`, marks are Black-76 on the expiry's
forward. Not modelled: the averaging window before settlement.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricing import black76
from pricing.contracts import Contract, Future, Kind, Listing, Option
from pricing.daycount import NS_PER_SECOND, years_between
from pricing.market import Marks
from pricing.universe import BoolArray, FloatArray, Universe
from venues.deribit_names import forward_kind, instrument_name
from venues.simulated_books import (
    VENUE,
    WEEKLY_DAYS_MAX,
    Grid,
    Ladders,
    expiries,
    list_contracts,
    strikes,
    typical_size,
)
from venues.simulated_law import (
    DEFAULT_SETTINGS,
    Law,
    SimulationSettings,
    funding_rate,
    smile_variance,
)
from venues.venue_table import VenueTable

#: 2026-03-02 12:00 UTC, a Monday.
START_NS = 1_772_452_800 * NS_PER_SECOND

#: Digits kept: coin marks as Deribit's, USD values finer than any tick.
MARK_DIGITS = 8
USD_DIGITS = 4

#: A spread in vol is quoted for this many years, and no option is taken as shorter than two hours for it.
SPREAD_YEARS = 30 / 365
SPREAD_YEARS_MIN = 2 / (24 * 365)


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
        self._size = typical_size(u, [coin.books for coin in settings.coins])
        self._skew, self._wings = (settings.column(c)[u.underlying] for c in ("skew", "wings"))
        self._half_scale = np.array([c.books.option_half_scale for c in settings.coins])[u.underlying]
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
        contracts: list[Contract] = []
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
                    coin.books.strike_step_min,
                )
                for expiry, forward, sd in zip(chain, forwards, deviations, strict=True)
            }
            contracts += list_contracts(coin.name, dated, wanted)
        table = VenueTable.load(VENUE)
        return [table.listing(instrument_name(x), x, self.now_ns)[0] for x in contracts]

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
