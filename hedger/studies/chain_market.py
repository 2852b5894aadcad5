"""What is known of one coin's chain at one moment: at a snapshot what it shows, between snapshots its shadow.

A `View` is all that a policy or a customer of the chain study ever sees, and it is made from what came
before: there is no way to reach a later price from it.

- Spot is the forward of the nearest expiry. The index of one snapshot is gathered over minutes and scatters
  by up to hundreds of basis points, which would show as a basis risk that no desk has.
- Between snapshots the perpetual moves where hourly prices are given. Forwards keep their ratio to it, and
  the smile of the last snapshot is carried in moneyness, ln(K/F), shifted by the change of the DVOL index
  since.
- An option that a snapshot does not show keeps its expiry's smile: of this snapshot, else of the last one
  that had it.

Only options settled in their coin, and the inverse perpetual. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing import black76
from pricing.contracts import Kind, Listing
from pricing.daycount import years_between
from pricing.market import Flag, Market
from pricing.universe import BoolArray, FloatArray, IntArray, Universe
from pricing.valuation import MarkStatus, Valuation
from risk.costs import Terms, fee_usd
from risk.exposures import VEGA_FLOOR_DAYS, VEGA_POWER, VEGA_REFERENCE_DAYS

DAYS_PER_YEAR = 365.0
VOL_MIN = 0.01
#: Options with less than this to live are not hedges, and customers do not deal in them.
DAYS_MIN_TRADED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Contracts:
    """The options of one coin on all tapes, by number; arrays (N,). lot and least in coins; perp_lot in
    USD."""

    underlying: str
    symbols: tuple[str, ...]
    strike: FloatArray
    sign: FloatArray
    expiry_ns: IntArray
    lot: FloatArray
    least: FloatArray
    perp_lot: float

    def number_of(self, symbol: str) -> int | None:
        """Place of a symbol, None where no tape lists it."""
        return self.symbols.index(symbol) if symbol in self.symbols else None


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One coin's market at one moment; arrays (k,) over the live options, `at` their numbers in `Contracts`.

    quoted: a snapshot, on which options may be traded; otherwise a mark between snapshots. price: coins per
    coin. delta coin, gamma coin/USD, vega and vega_weighted USD per 1.00 vol, theta USD per year, vanna coin
    per 1.00 vol: Black-76 on the option's own forward. tradable: sound two-sided quote. bid, ask, buy_fee and
    sell_fee: coins per coin; size: coins shown a side. perp_*: USD; perp_fee: share of notional.
    """

    now_ns: int
    quoted: bool
    spot: float
    perp: float
    perp_bid: float
    perp_ask: float
    perp_fee: float
    at: IntArray
    strike: FloatArray
    sign: FloatArray
    years: FloatArray
    forward: FloatArray
    vol: FloatArray
    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    vega_weighted: FloatArray
    theta: FloatArray
    vanna: FloatArray
    tradable: BoolArray
    bid: FloatArray
    ask: FloatArray
    buy_fee: FloatArray
    sell_fee: FloatArray
    buy_size: FloatArray
    sell_size: FloatArray

    @property
    def perp_rate(self) -> float:
        """Cost of moving a USD of notional with the perpetual: half the spread and the fee."""
        return (self.perp_ask - self.perp_bid) / (self.perp_ask + self.perp_bid) + self.perp_fee

    @property
    def days(self) -> FloatArray:
        """Days to live, (k,)."""
        return self.years * DAYS_PER_YEAR

    @property
    def value_usd(self) -> FloatArray:
        """USD per coin, (k,)."""
        return self.price * self.spot


@dataclass(frozen=True, slots=True, eq=False)
class Deals:
    """Trades with customers, arrays (d,): option numbers, coins from the maker's side (< 0: the customer
    bought), and coins paid per coin."""

    at: IntArray
    quantity: FloatArray
    price: FloatArray


NO_DEALS = Deals(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class _Smile:
    """One expiry as last seen: ln(K/F) rising, vols, and F over spot."""

    moneyness: FloatArray
    vol: FloatArray
    ratio: float

    def at(self, moneyness: FloatArray) -> FloatArray:
        """Vol at ln(K/F), linear between strikes and flat outside."""
        return np.asarray(np.interp(moneyness, self.moneyness, self.vol))


def contracts_of(universes: list[Universe], underlying: str) -> Contracts:
    """The options and the inverse perpetual's lot of one coin over several tapes, in order of appearance."""
    found: dict[str, Listing] = {}
    perp_lot = float("nan")
    for universe in universes:
        if underlying not in universe.underlyings:
            continue
        for row in np.flatnonzero(universe.where_underlying(underlying) & universe.inverse).tolist():
            listing = universe.listings[row]
            if universe.kind[row] == Kind.OPTION:
                found.setdefault(listing.symbol, listing)
            elif universe.kind[row] == Kind.PERPETUAL:
                perp_lot = float(universe.lot[row] * universe.size[row])
    rows = list(found.values())
    each = Universe.of(rows)
    size = each.size
    return Contracts(
        underlying=underlying,
        symbols=tuple(found),
        strike=each.strike,
        sign=each.sign.astype(np.float64),
        expiry_ns=each.expiry_ns,
        lot=each.lot * size,
        least=each.minimum * size,
        perp_lot=perp_lot,
    )


def _tradable(market: Market, valuation: Valuation, rows: IntArray, age_s_max: float) -> BoolArray:
    """Options with a sound quote and mark, not about to expire."""
    sound = (market.flags(age_s_max)[rows] == Flag.OK) & np.isfinite(market.mark[rows])
    living = valuation.years[rows] * DAYS_PER_YEAR >= DAYS_MIN_TRADED
    return np.asarray(sound & ~valuation.in_window[rows] & living)


def _shown(market: Market, rows: IntArray, tradable: BoolArray) -> dict[str, FloatArray]:
    """Quotes, fees and sizes of options, by their names in `View`; of what is not tradable NaN, sizes 0."""
    terms, one, size = Terms.of(market.universe, rows), np.ones(rows.size), market.universe.size[rows]
    bid, ask = market.bid[rows], market.ask[rows]
    with np.errstate(invalid="ignore"):
        return {
            "bid": np.where(tradable, bid, np.nan),
            "ask": np.where(tradable, ask, np.nan),
            "buy_fee": np.where(tradable, fee_usd(terms, one, ask) / size, np.nan),
            "sell_fee": np.where(tradable, fee_usd(terms, one, bid) / size, np.nan),
            "buy_size": np.where(tradable, market.ask_size[rows] * size, 0.0),
            "sell_size": np.where(tradable, market.bid_size[rows] * size, 0.0),
        }


def _perp_quote(market: Market, perp: int) -> tuple[float, float, float, float]:
    """A perpetual's mark, bid, ask and fee; its mark thrice where its book does not have both sides."""
    bid, ask = float(market.bid[perp]), float(market.ask[perp])
    marked = float(market.mark[perp]) if market.mark[perp] > 0 else 0.5 * (bid + ask)
    at = np.array([marked])
    fee = float(fee_usd(Terms.of(market.universe, np.array([perp])), at, at)[0] / market.universe.size[perp])
    return (marked, bid, ask, fee) if 0.0 < bid <= ask else (marked, marked, marked, fee)


class ChainReader:
    """Makes the views of one coin, snapshot after snapshot; remembers smiles, never sees what comes."""

    def __init__(self, contracts: Contracts) -> None:
        self.contracts = contracts
        self._number = {symbol: i for i, symbol in enumerate(contracts.symbols)}
        self._seen = np.zeros(len(contracts.symbols), dtype=np.bool_)
        self._smiles: dict[int, _Smile] = {}
        self._last: View | None = None
        self._rows: tuple[Universe, IntArray, IntArray] | None = None
        self._dvol = float("nan")

    def snapshot(self, market: Market, valuation: Valuation, age_s_max: float, dvol: float) -> View | None:
        """The view of a snapshot; None where it shows no option or no perpetual of this coin.

        dvol: vol points, NaN where unknown; the level from which the smile is shifted until the next
        snapshot.
        """
        universe, c = market.universe, self.contracts
        options, numbers = self._places(universe)
        good = valuation.status[options] == MarkStatus.OK
        rows, at = options[good], numbers[good]
        perps = np.flatnonzero(
            (universe.kind == Kind.PERPETUAL) & universe.inverse & (valuation.status == MarkStatus.OK)
            & universe.where_underlying(c.underlying)
        )  # fmt: skip
        if rows.size == 0 or perps.size == 0:
            return None
        forward, vol = valuation.forward[rows], valuation.vol[rows]
        nearest = c.expiry_ns[at] == c.expiry_ns[at].min()
        spot = float(np.median(forward[nearest]))
        self._remember(at, forward, vol, spot)
        self._seen[at] = True
        self._dvol = dvol
        mark = market.mark[rows]
        price = np.where(np.isfinite(mark) & (mark >= 0), mark, valuation.price[rows])
        tradable = _tradable(market, valuation, rows, age_s_max)
        shown = _shown(market, rows, tradable)
        missing = self._missing(at, market.now_ns)
        more, no = np.full(missing.size, np.nan), np.zeros(missing.size)
        carried = self._carried(missing, market.now_ns, spot, 0.0)
        self._last = self._view(
            market.now_ns,
            True,
            spot,
            _perp_quote(market, int(perps[0])),
            np.concatenate([at, missing]),
            np.concatenate([forward, carried[0]]),
            np.concatenate([vol, carried[1]]),
            np.concatenate([price, more]),
            {name: np.concatenate([x, no if "size" in name else more]) for name, x in shown.items()},
            np.concatenate([tradable, np.zeros(missing.size, dtype=np.bool_)]),
        )
        return self._last

    def between(self, now_ns: int, perp: float, dvol: float) -> View | None:
        """The view of a moment after the last snapshot, from the perpetual's price; None before the first."""
        last, c = self._last, self.contracts
        if last is None or not perp > 0:
            return None
        at = np.flatnonzero(self._seen & (c.expiry_ns > now_ns))
        shift = (dvol - self._dvol) / 100.0
        forward, vol = self._carried(at, now_ns, perp, shift if np.isfinite(shift) else 0.0)
        nan, no = np.full(at.size, np.nan), np.zeros(at.size)
        shown = {name: nan for name in ("bid", "ask", "buy_fee", "sell_fee")}
        half = (last.perp_ask - last.perp_bid) / (last.perp_ask + last.perp_bid)
        return self._view(
            now_ns, False, perp, (perp, perp * (1.0 - half), perp * (1.0 + half), last.perp_fee),
            at, forward, vol, nan, {**shown, "buy_size": no, "sell_size": no},
            np.zeros(at.size, dtype=np.bool_),
        )  # fmt: skip

    def _places(self, universe: Universe) -> tuple[IntArray, IntArray]:
        """Rows of this coin's options in a universe, and their numbers."""
        if self._rows is None or self._rows[0] is not universe:
            rows = np.array(
                [i for i, x in enumerate(universe.listings) if x.symbol in self._number], dtype=np.int64
            )
            names = [self._number[universe.listings[i].symbol] for i in rows]
            self._rows = (universe, rows, np.array(names, dtype=np.int64))
        return self._rows[1], self._rows[2]

    def _remember(self, at: IntArray, forward: FloatArray, vol: FloatArray, spot: float) -> None:
        """Keep the smile of every expiry shown: of two options on a strike the one out of the money."""
        c = self.contracts
        moneyness = np.log(c.strike[at] / forward)
        out = c.sign[at] * moneyness >= 0
        for expiry in np.unique(c.expiry_ns[at]).tolist():
            mine = c.expiry_ns[at] == expiry
            rows = np.concatenate([np.flatnonzero(mine & out), np.flatnonzero(mine & ~out)])
            x, first = np.unique(moneyness[rows], return_index=True)
            self._smiles[expiry] = _Smile(x, vol[rows][first], float(np.median(forward[mine]) / spot))

    def _missing(self, at: IntArray, now_ns: int) -> IntArray:
        """Live options seen before that this snapshot does not show."""
        here = np.zeros(self._seen.size, dtype=np.bool_)
        here[at] = True
        return np.flatnonzero(self._seen & ~here & (self.contracts.expiry_ns > now_ns))

    def _carried(self, at: IntArray, now_ns: int, spot: float, shift: float) -> tuple[FloatArray, FloatArray]:
        """Forward and vol of options from the remembered smiles."""
        c = self.contracts
        forward, vol = np.empty(at.size), np.empty(at.size)
        for expiry in np.unique(c.expiry_ns[at]).tolist():
            mine = c.expiry_ns[at] == expiry
            smile = self._smiles[expiry]
            forward[mine] = spot * smile.ratio
            vol[mine] = smile.at(np.log(c.strike[at][mine] / forward[mine]))
        return forward, np.maximum(vol + shift, VOL_MIN)

    def _view(
        self,
        now_ns: int,
        quoted: bool,
        spot: float,
        perp: tuple[float, float, float, float],
        at: IntArray,
        forward: FloatArray,
        vol: FloatArray,
        price: FloatArray,
        shown: dict[str, FloatArray],
        tradable: BoolArray,
    ) -> View:
        """Greeks by Black-76; a price that nobody shows is the model's."""
        c = self.contracts
        strike, sign = c.strike[at], c.sign[at]
        years = years_between(now_ns, c.expiry_ns[at])
        greeks = black76.greeks(forward, strike, years, vol, sign)
        vanna = black76.higher_greeks(forward, strike, years, vol, sign).vanna
        days = np.maximum(years * DAYS_PER_YEAR, VEGA_FLOOR_DAYS)
        return View(
            now_ns=now_ns, quoted=quoted, spot=spot,
            perp=perp[0], perp_bid=perp[1], perp_ask=perp[2], perp_fee=perp[3],
            at=at, strike=strike, sign=sign, years=years, forward=forward, vol=vol,
            price=np.where(np.isfinite(price), price, greeks.price / forward),
            delta=greeks.delta, gamma=greeks.gamma, vega=greeks.vega,
            vega_weighted=greeks.vega * (VEGA_REFERENCE_DAYS / days) ** VEGA_POWER,
            theta=greeks.theta, vanna=vanna, tradable=tradable, **shown,
        )  # fmt: skip
