"""Our Greeks against a venue's, in its convention, with a tolerance, and a reason where they differ.

Shapes: k options; Greeks as (4, k) in the order of `venue_greeks.GREEKS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricing.discrepancies import Reason, explain
from pricing.flat import FloatArray
from pricing.venue_greeks import Convention, Quotes, display, tolerance


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Ours against theirs, in the venue's units: ours, difference, tolerance (4, k), NaN where either lacks.

    flagged (k,): a Greek differs beyond its tolerance. reason (k,) of the flagged, None else; amount (k,):
    what the reason is of (relative move of the forward, vol points, seconds, factor of the units), NaN where
    it has none.
    """

    ours: FloatArray
    difference: FloatArray
    tolerance: FloatArray
    flagged: NDArray[np.bool_]
    reason: list[Reason | None]
    amount: FloatArray


def compare(convention: Convention, quotes: Quotes, published: FloatArray) -> Comparison:
    """Compare with what a venue published, and look for the likely reason of what lies beyond tolerance.

    Shapes: published (4, k) in the order of `GREEKS`, NaN where the venue did not publish; k that of quotes.
    Units: the venue's. Errors: none; what cannot be compared is NaN and not flagged. Source: `display` and
    `tolerance`.
    """
    ours = display(convention, quotes)
    difference = np.abs(ours - published)
    allowed = np.where(np.isfinite(difference), tolerance(convention, quotes), np.nan)
    flagged = np.asarray((difference > allowed).any(axis=0))
    reason: list[Reason | None] = [None] * flagged.size
    amount = np.full(flagged.size, np.nan)
    at = np.flatnonzero(flagged)
    if at.size:
        found, amounts = explain(convention, quotes.rows(at), published[:, at], allowed[:, at])
        amount[at] = amounts
        for i, code in zip(at.tolist(), found, strict=True):
            reason[i] = code
    return Comparison(ours, difference, allowed, flagged, reason, amount)
