"""How far the exposures themselves may be off: errors of vols and of forwards, carried to every Greek row.

A row's error is what a shift of all vols by their error, and of all option forwards by theirs, does to it, by
full revaluation: for delta vanna x dvol and gamma x dF, for gamma zomma and speed, for vega volga and vanna.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pricing.market import Market
from pricing.universe import FloatArray
from pricing.valuation import MarkStatus, Valuation
from risk.bands import Bands
from risk.exposures import Exposure, ExposureSettings, row_matrix
from risk.scenarios import Shock, shocked_valuation


def row_errors(
    market: Market,
    valuation: Valuation,
    underlyings: Sequence[str],
    settings: ExposureSettings,
    vol_error: float,
    forward_error: float,
) -> FloatArray:
    """Error of every Greek row per order unit of each listing, (2, m, n): from vols, from forwards.

    vol_error: standard deviation of vols, 1.0 = 100 %. forward_error: of forwards, relative. One error moves
    all vols alike, another all forwards; the two are independent of each other.
    """
    plain, vols, forwards = (
        row_matrix(shocked_valuation(market, valuation, shock), underlyings, settings)
        for shock in (Shock(), Shock(vol=vol_error), Shock(forward=forward_error))
    )
    return np.stack([vols - plain, forwards - plain])


def row_sd(errors: FloatArray, valuation: Valuation, quantities: FloatArray) -> FloatArray:
    """Standard deviation of every Greek row of a book, (m,), from `row_errors` (2, m, n) and quantities (n,).

    Positions that cannot be valued are left out, as in the rows themselves.
    """
    counted = (quantities != 0) & (valuation.status == MarkStatus.OK)
    return np.asarray(np.hypot(*(error[:, counted] @ quantities[counted] for error in errors)))


def narrowed(bands: Bands, exposure: Exposure, sd: FloatArray, z: float) -> Bands:
    """The bands with trigger and landing z standard deviations nearer to the target on every closed side.

    A landing edge goes no further than its target, and its trigger moves by as much: the room between them
    stays. Rows behind those of `sd` (scenarios) stay as they are.
    """
    step = np.zeros(len(exposure.rows))
    step[: len(sd)] = z * np.nan_to_num(sd)
    with np.errstate(invalid="ignore"):
        down = np.minimum(step, np.maximum(bands.landing_upper - bands.target, 0.0))
        up = np.minimum(step, np.maximum(bands.target - bands.landing_lower, 0.0))
    return replace(
        bands,
        trigger_lower=bands.trigger_lower + up,
        landing_lower=bands.landing_lower + up,
        trigger_upper=bands.trigger_upper - down,
        landing_upper=bands.landing_upper - down,
    )
