"""Our Greeks as each venue would publish them, and how near a published figure must come to mean the same.

The tolerance of a figure is half a unit of its last published digit, plus what the roundings of the inputs
and the time between their captures do to it: forward, vol, time and mark are moved by what is uncertain of
each and the figure is computed again.

Shapes: k options; Greeks as (4, k) in the order of `GREEKS`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pricing import black76, inverse
from pricing.conventions import (
    Display,
    binance_display,
    bybit_display,
    deribit_display,
    okx_bs_display,
    okx_display,
)
from pricing.flat import FloatArray

GREEKS = ("delta", "gamma", "vega", "theta")
DELTA, GAMMA, VEGA, THETA = range(4)


class Convention(StrEnum):
    """How a venue dresses its Greeks. OKX publishes two sets; in 2020 it had one, with another gamma."""

    DERIBIT = "deribit"
    BYBIT = "bybit"
    BINANCE = "binance"
    OKX = "okx"
    OKX_2020 = "okx_2020"
    OKX_BS = "okx_bs"


#: One unit of the last digit published of every Greek.
UNIT = {
    Convention.DERIBIT: 1e-5,
    Convention.BYBIT: 1e-8,
    Convention.BINANCE: 1e-8,
    Convention.OKX: 1e-10,
    Convention.OKX_2020: 1e-10,
    Convention.OKX_BS: 1e-10,
}

#: Conventions whose delta is less the premium: it belongs to two forwards, and none is worked back from it.
PREMIUM_ADJUSTED = (Convention.OKX, Convention.OKX_2020)

#: OKX's thetaBS holds a carry term that is understood to this share of it only (recorded summaries).
THETA_BS_SHARE = 0.02
#: What a venue's own arithmetic and the lags of its inputs do where a figure's slopes vanish, of the figure.
OWN_SHARE = 2e-5


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """What the venue published beside its Greeks, each (k,); NaN where it did not.

    forward, index, strike USD per coin; years to expiry at the venue's stamp; vol 1.0 = 100 %; mark in the
    venue's quotation. forward_error, index_error (relative), vol_error, years_error, mark_error: by how much
    each may be off, from its last digit and from the time between captures. An unknown mark is the model's.
    stale: the venue's Greeks are those of the batch before, to the last digit.
    """

    forward: FloatArray
    index: FloatArray
    strike: FloatArray
    years: FloatArray
    vol: FloatArray
    sign: FloatArray
    mark: FloatArray
    forward_error: FloatArray
    index_error: FloatArray
    vol_error: FloatArray
    years_error: FloatArray
    mark_error: FloatArray
    stale: NDArray[np.bool_]

    def rows(self, picked: NDArray[np.bool_] | NDArray[np.int64]) -> Quotes:
        """Some of the options."""
        return Quotes(*(getattr(self, name)[picked] for name in self.__slots__))


def underlying_price(convention: Convention, quotes: Quotes) -> FloatArray:
    """What a venue takes its Greeks on, USD per coin, (k,): Binance the index, the others the forward."""
    return quotes.index if convention is Convention.BINANCE else quotes.forward


def display(convention: Convention, quotes: Quotes) -> FloatArray:
    """Our Greeks as the venue would show them, (4, k) in the order of `GREEKS`, in its units.

    Errors: none; NaN gives NaN. Source: the conventions of `pricing.conventions`.
    """
    with np.errstate(all="ignore"):  # the last second before expiry, and what nobody can have meant
        return _display(convention, quotes)


def _display(convention: Convention, quotes: Quotes) -> FloatArray:
    on = underlying_price(convention, quotes)
    inputs = on, quotes.strike, quotes.years, quotes.vol, quotes.sign
    shown: Display
    match convention:
        case Convention.DERIBIT:
            raw = black76.greeks(*inputs)
            mark = np.where(np.isfinite(quotes.mark), quotes.mark, raw.price / on)
            shown = deribit_display(raw, mark, on, quotes.years)
        case Convention.BYBIT:
            shown = bybit_display(black76.greeks(*inputs), quotes.years)
        case Convention.BINANCE:
            shown = binance_display(black76.greeks(*inputs))
        case Convention.OKX:
            shown = okx_display(inverse.coin_greeks(*inputs), quotes.years)
        case Convention.OKX_2020:
            shown = okx_display(inverse.coin_greeks(*inputs), quotes.years)
            shown = replace(shown, gamma=shown.gamma + shown.delta)
        case Convention.OKX_BS:
            shown = okx_bs_display(
                black76.greeks(*inputs), inverse.coin_greeks(*inputs), on, quotes.index, quotes.years
            )
    return np.array([getattr(shown, name) for name in GREEKS])


def tolerance(convention: Convention, quotes: Quotes) -> FloatArray:
    """How far each Greek may lie from the published one without meaning anything, (4, k), the venue's units.

    Half a unit of its last digit, plus what each input moves it by when it is off by its own error.

    Errors: none; an input without an error adds nothing. Source: worst case, error by error, summed.
    """
    ours = display(convention, quotes)
    allowed = np.full_like(ours, 0.5 * UNIT[convention]) + OWN_SHARE * np.abs(ours)
    if convention is Convention.OKX_BS:
        allowed[THETA] += THETA_BS_SHARE * np.abs(ours[THETA])
    for name, error, relative in (
        ("forward", quotes.forward_error, True),
        ("index", quotes.index_error, True),
        ("vol", quotes.vol_error, False),
        ("years", quotes.years_error, False),
        ("mark", quotes.mark_error, False),
    ):
        value = getattr(quotes, name)
        moved = np.zeros_like(ours)
        for side in (-1.0, 1.0):
            shift = value * (1.0 + side * error) if relative else np.maximum(value + side * error, 0.0)
            difference = np.abs(display(convention, replace(quotes, **{name: shift})) - ours)
            moved = np.fmax(moved, difference)
        allowed += np.nan_to_num(moved)
    return allowed
