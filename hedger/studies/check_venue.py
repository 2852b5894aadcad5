"""Our Greeks against the venue's, each quote at its own stamp, in the venue's convention and units.

Rows of a tape become the inputs of `pricing.reconcile`: what each figure is rounded to is read off the
figures themselves, and where prices and Greeks came by two calls the move of the index between them is taken
into account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from pricing.conventions import POINTS_PER_VOL
from pricing.daycount import years_between
from pricing.errors import InputError
from pricing.inverse import coin_greeks
from pricing.reconcile import Comparison, compare
from pricing.universe import FloatArray, Universe
from pricing.venue_greeks import DELTA, GREEKS, THETA, UNIT, VEGA, Convention, Quotes
from venues.tape import Tape

#: The conventions of every venue whose Greeks are understood, and how its options settle.
CONVENTIONS: Mapping[str, tuple[bool, tuple[Convention, ...]]] = {
    "deribit": (True, (Convention.DERIBIT,)),
    "okx": (True, (Convention.OKX, Convention.OKX_2020, Convention.OKX_BS)),
    "bybit": (False, (Convention.BYBIT,)),
    "binance": (False, (Convention.BINANCE,)),
}

#: Between the two calls of a source that gathers prices and Greeks apart, seconds.
CALLS_APART_S = 60.0
#: A venue's Greeks are a little older than the forward it prints beside them, by this much of it. Deribit:
#: 0.1 to 0.25 bp, measured on parity across the strikes of futures' expiries. OKX: its two sets are of
#: different moments, up to 1.6 bp apart in recorded messages.
LAG_FORWARD = {"deribit": 3e-5, "okx": 2e-4, "bybit": 3e-5, "binance": 3e-5}
#: And this much older than their stamp, seconds.
LAG_S = {"deribit": 2.0, "okx": 60.0, "bybit": 5.0, "binance": 1.0}
#: No venue rounds its figures more coarsely, though a few options with round figures would make it seem so:
#: USD; vol; coins.
FORWARD_HALF_UNIT_MAX = 0.005
VOL_HALF_UNIT_MAX = 5e-5
MARK_HALF_UNIT_MAX = 5e-5
#: Venues that may cut a vol's digits instead of rounding them: a unit of the last digit, not half of one.
VOL_CUT = ("bybit",)
#: Deribit shows a mark below this as this, coins.
MARK_FLOOR = 1e-6
#: Options that tell the move of the index between two calls: this many, with deltas between these, and more
#: than a day to live.
TELLING_MIN = 10
TELLING_DELTA = (0.05, 0.95)
YEAR_S = 365.0 * 86_400.0
DECIMALS_MAX = 12
FIGURE_MAX = 1e15


@dataclass(frozen=True, slots=True)
class Capture:
    """The move of an index between the calls that brought prices and Greeks, as the deltas tell it.

    move: relative. scatter: of single options around it (robust standard deviation). options: that told it.
    """

    underlying: str
    move: float
    scatter: float
    options: int


@dataclass(frozen=True, slots=True, eq=False)
class VenueComparison:
    """One venue's Greeks in one convention; arrays of `comparison` over `symbols`."""

    venue: str
    convention: Convention
    symbols: tuple[str, ...]
    published: FloatArray
    comparison: Comparison
    captures: tuple[Capture, ...]


def stamp_error_s(tape: Tape) -> float:
    """By how much the stamps of a tape may be off, seconds, as its importer noted."""
    noted = tape.description["options"].get("stamp_error_s", 0.0)
    return float(noted) if isinstance(noted, int | float) else 0.0


def compare_batch(
    frame: pl.DataFrame, before: pl.DataFrame | None, universe: Universe, stamp_error_s: float
) -> tuple[list[VenueComparison], int]:
    """Compare the rows of a batch, by venue and convention; and how many options could not be compared.

    Left out: no published Greek, vol or forward, or a venue whose convention is not known.
    """
    rows = places(frame, universe)
    option = universe.is_option[rows]
    compared, used = [], np.zeros(len(rows), dtype=np.bool_)
    for venue, (inverse, conventions) in CONVENTIONS.items():
        mine = option & (universe.inverse[rows] == inverse) & (frame["venue"] == venue).to_numpy()
        if not mine.any():
            continue
        part = frame.filter(pl.Series(mine))
        for convention in conventions:
            found, kept = _compare(venue, convention, part, before, universe, rows[mine], stamp_error_s)
            if found is not None:
                compared.append(found)
                used[np.flatnonzero(mine)[kept]] = True
    return compared, int((option & ~used).sum())


def places(frame: pl.DataFrame, universe: Universe) -> NDArray[np.int64]:
    """Place of every row in the universe, (len(frame),)."""
    keys = list(zip(frame["venue"], frame["symbol"], strict=True))
    unknown = [f"{venue} {symbol}" for venue, symbol in keys if (venue, symbol) not in universe.positions]
    if unknown:
        raise InputError(
            "TAPE_DAMAGED",
            "a quote is of no listing of the tape",
            where="quotes.parquet",
            observed=unknown[0],
            allowed="venues and symbols of listings.parquet",
            not_done="nothing was compared",
            fix="import the tape again from its source",
        )
    return np.array([universe.positions[key] for key in keys], dtype=np.int64)


def _compare(
    venue: str,
    convention: Convention,
    frame: pl.DataFrame,
    before: pl.DataFrame | None,
    universe: Universe,
    rows: NDArray[np.int64],
    stamp_error_s: float,
) -> tuple[VenueComparison | None, NDArray[np.bool_]]:
    published = _published(frame, convention)
    quotes = _quotes(venue, frame, before, universe, rows, stamp_error_s)
    if venue == "okx":
        quotes, published = _okx_inputs(convention, frame, quotes, published)
    on = quotes.index if convention is Convention.BINANCE else quotes.forward
    with np.errstate(invalid="ignore"):
        kept = (on > 0) & (quotes.vol > 0) & (quotes.years > 0) & np.isfinite(published).any(axis=0)
    if not kept.any():
        return None, kept
    quotes, published = quotes.rows(kept), published[:, kept]
    symbols = tuple(frame["symbol"].filter(pl.Series(kept)).to_list())
    captures: tuple[Capture, ...] = ()
    if convention is Convention.DERIBIT:
        quotes, captures = _at_the_second_call(
            frame.filter(pl.Series(kept)), universe, rows[kept], quotes, published
        )
    comparison = compare(convention, quotes, published)
    return VenueComparison(venue, convention, symbols, published, comparison, captures), kept


def _column(frame: pl.DataFrame, name: str) -> FloatArray:
    return np.asarray(frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _published(frame: pl.DataFrame, convention: Convention) -> FloatArray:
    """The venue's Greeks, (4, k); what is absurdly large stays so, and finite."""
    suffix = "_bs" if convention is Convention.OKX_BS else ""
    greeks = np.array([_column(frame, f"venue_{name}{suffix}") for name in GREEKS])
    limited: FloatArray = np.clip(greeks, -FIGURE_MAX, FIGURE_MAX)
    return limited


def _half_unit(values: FloatArray) -> float:
    """Half a unit of the last decimal that the figures use; 0 where there are none.

    >>> _half_unit(np.array([0.5, 0.25, 3.0]))
    0.005
    """
    known = np.abs(values[np.isfinite(values)])
    if not known.size:
        return 0.0
    for decimals in range(DECIMALS_MAX):
        scaled = known * 10.0**decimals
        if np.all(np.abs(scaled - np.rint(scaled)) <= np.maximum(1e-6, 1e-15 * scaled)):
            return float(0.5 * 10.0**-decimals)
    return float(0.5 * 10.0**-DECIMALS_MAX)


def _quotes(
    venue: str,
    frame: pl.DataFrame,
    before: pl.DataFrame | None,
    universe: Universe,
    rows: NDArray[np.int64],
    stamp_error_s: float,
) -> Quotes:
    """What stands beside the Greeks, with the rounding of each figure."""
    forward, vol, mark = (_column(frame, name) for name in ("forward", "mark_iv", "mark"))
    k = len(rows)
    years = np.asarray(
        years_between(frame["venue_ns"].to_numpy(), universe.expiry_ns[rows]), dtype=np.float64
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        forward_error = min(_half_unit(forward), FORWARD_HALF_UNIT_MAX) / forward
    return Quotes(
        forward=forward,
        index=_column(frame, "index"),
        strike=universe.strike[rows],
        years=years,
        vol=vol,
        sign=universe.sign[rows],
        mark=mark,
        forward_error=np.nan_to_num(forward_error) + LAG_FORWARD[venue],
        index_error=np.full(k, LAG_FORWARD[venue]),
        vol_error=np.full(k, min(_half_unit(vol), VOL_HALF_UNIT_MAX) * (2.0 if venue in VOL_CUT else 1.0)),
        years_error=np.full(k, (stamp_error_s + LAG_S[venue]) / YEAR_S),
        mark_error=min(_half_unit(mark), MARK_HALF_UNIT_MAX) + np.where(mark <= MARK_FLOOR, mark, 0.0),
        stale=_same_as_before(frame, before),
    )


def _same_as_before(frame: pl.DataFrame, before: pl.DataFrame | None) -> NDArray[np.bool_]:
    """Options whose every Greek is that of the batch before although time has passed, (k,)."""
    names = [f"venue_{name}" for name in GREEKS]
    if before is None:
        return np.zeros(frame.height, dtype=np.bool_)
    joined = frame.select("venue", "symbol", "venue_ns", *names).join(
        before.select("venue", "symbol", "venue_ns", *names),
        on=["venue", "symbol"],
        how="left",
        suffix="_before",
        maintain_order="left",
    )
    same = pl.all_horizontal(
        *(pl.col(name).eq_missing(pl.col(f"{name}_before")) for name in names),
        pl.any_horizontal(*(pl.col(name).is_not_null() for name in names)),
        pl.col("venue_ns") > pl.col("venue_ns_before"),
    )
    return np.asarray(joined.select(same.fill_null(False).alias("same"))["same"].to_numpy(), dtype=np.bool_)


def _okx_inputs(
    convention: Convention, frame: pl.DataFrame, quotes: Quotes, published: FloatArray
) -> tuple[Quotes, FloatArray]:
    """OKX publishes no forward beside its Greeks of old, and no spot: worked back from its own figures.

    deltaBS gives d1 and with it the forward; in 2020 there was none: delta gives it, nearest to the one that
    vega = n(d1) sqrt(T)/100 tells. vegaBS gives the spot. What was used up in this way is not compared again:
    it is NaN in the published figures returned. thetaBS inside the last day is not understood either.
    """
    of_2020 = np.isnan(_column(frame, "venue_delta_bs")) & np.isnan(quotes.forward)
    if convention is not Convention.OKX_BS:
        published = np.where(of_2020 == (convention is Convention.OKX_2020), published, np.nan)
    given = np.isfinite(quotes.forward)
    plain = _column(frame, "venue_delta_bs") + (quotes.sign < 0)
    adjusted, mark = _column(frame, "venue_delta"), quotes.mark
    possible = (plain > 0.0) & (plain < 1.0)
    root = np.sqrt(quotes.years)
    width = quotes.vol * root
    with np.errstate(all="ignore"):
        d1 = np.where(possible, ndtri(np.clip(plain, 0.0, 1.0)), np.nan)
        told = quotes.strike * np.exp(d1 * width - 0.5 * width**2)
        digits = 0.5 * UNIT[Convention.OKX_BS] / (np.exp(-0.5 * d1**2) / np.sqrt(2.0 * np.pi) / width)
        if convention is Convention.OKX_2020:
            side = np.sign(adjusted + mark + (quotes.sign < 0) - 0.5)
            density = _column(frame, "venue_vega") * POINTS_PER_VOL / root
            d1 = side * np.sqrt(-2.0 * np.log(density * np.sqrt(2.0 * np.pi)))
            told = _on_delta(adjusted, quotes, quotes.strike * np.exp(d1 * width - 0.5 * width**2))
            digits = np.zeros(told.size)
        density = np.exp(-0.5 * d1**2) / np.sqrt(2.0 * np.pi)
        spot = _column(frame, "venue_vega_bs") * POINTS_PER_VOL / (density * root)
        spot_digits = 0.5 * UNIT[Convention.OKX_BS] / np.abs(_column(frame, "venue_vega_bs"))
    usable = np.isfinite(told) & (told > 0.0)
    # what no forward can give is a finding: it is held against the index, else against the strike
    somewhere = np.where(np.isfinite(quotes.index), quotes.index, quotes.strike)
    worked = ~given & usable
    forward = np.where(given, quotes.forward, np.where(usable, told, somewhere))
    error = quotes.forward_error + np.where(worked, np.nan_to_num(digits), 0.0)
    published = published.copy()
    index, index_error = quotes.index, quotes.index_error
    if convention is Convention.OKX_BS:
        published[DELTA, worked] = np.nan
        unknown = ~np.isfinite(index)
        by_vega = unknown & np.isfinite(spot) & (spot > 0.0)
        published[VEGA, by_vega] = np.nan
        published[THETA, quotes.years * 365.0 < 1.0] = np.nan
        index = np.where(by_vega, spot, np.where(unknown, forward, index))
        index_error = index_error + np.where(by_vega, np.nan_to_num(spot_digits), 0.0)
    elif convention is Convention.OKX_2020:
        published[DELTA, worked] = np.nan
    return replace(
        quotes, forward=forward, forward_error=error, index=index, index_error=index_error
    ), published


def _on_delta(adjusted: FloatArray, quotes: Quotes, start: FloatArray) -> FloatArray:
    """The forward near `start` that has a premium-adjusted delta; `start` where a few steps find none."""
    forward = start.copy()
    for _ in range(8):
        found = coin_greeks(forward, quotes.strike, quotes.years, quotes.vol, quotes.sign)
        forward = forward * np.exp(np.clip((adjusted - found.pa_delta) / found.pa_gamma, -0.05, 0.05))
    found = coin_greeks(forward, quotes.strike, quotes.years, quotes.vol, quotes.sign)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(found.pa_delta - adjusted) < 1e-9, forward, start)


def _at_the_second_call(
    frame: pl.DataFrame,
    universe: Universe,
    rows: NDArray[np.int64],
    quotes: Quotes,
    published: FloatArray,
) -> tuple[Quotes, tuple[Capture, ...]]:
    """Forwards moved to the call that brought the Greeks, where that was another one.

    Every row carries the index of its own second call, so its forward has moved by that index over the one
    at the first call. The first is not recorded; the options together tell it, as the median of what their
    deltas say. Their scatter around it is what the capture times still leave open.
    """
    greeks_index = _column(frame, "greeks_index")
    two_calls = np.isfinite(greeks_index) & np.isfinite(quotes.forward)
    if not two_calls.any():
        return quotes, ()
    forward, error = quotes.forward.copy(), quotes.forward_error.copy()
    captures = []
    seq = frame["seq"].to_numpy()
    snapshots = set(zip(universe.underlying[rows[two_calls]].tolist(), seq[two_calls].tolist(), strict=True))
    for u, number in sorted(snapshots):
        mine = two_calls & (universe.underlying[rows] == u) & (seq == number)
        ratio = np.log(greeks_index / np.median(greeks_index[mine]))
        width = quotes.vol * np.sqrt(quotes.years)
        with np.errstate(all="ignore"):
            plain = published[DELTA] + (quotes.sign < 0)
            implied = quotes.strike * np.exp(ndtri(np.clip(plain, 0.0, 1.0)) * width - 0.5 * width**2)
            told = np.log(implied / quotes.forward) - ratio
        low, high = TELLING_DELTA
        telling = mine & (plain > low) & (plain < high) & (quotes.years * 365.0 > 1.0) & np.isfinite(told)
        if telling.sum() >= TELLING_MIN:
            move = float(np.median(told[telling]))
            scatter = 1.4826 * float(np.median(np.abs(told[telling] - move)))
        else:
            move, scatter = 0.0, float(ratio[mine].max() - ratio[mine].min())
        captures.append(Capture(universe.underlyings[u], move, scatter, int(telling.sum())))
        forward[mine] *= np.exp(ratio[mine] + move)
        error[mine] += 3.0 * scatter
    moved = np.where(two_calls, CALLS_APART_S / YEAR_S, 0.0)
    quotes = replace(quotes, forward=forward, forward_error=error, years_error=quotes.years_error + moved)
    return quotes, tuple(captures)
