"""Moments for the tests of triggers: one underlying, bands as round numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hedger.moment import InPlay, Moment, UnderlyingMoment
from hedger.sections.policy import PolicyConfig
from risk.band_schedule import PriceHistory

NOW = 1_770_000_000 * 10**9  # 2026-02-02 02:40 UTC, a Monday
HOUR = 3600 * 10**9
MINUTE = 60 * 10**9
Band = tuple[float, float, float, float]  # trigger low and high, landing low and high


def underlying(
    rows: Mapping[str, float],
    bands: Mapping[str, Band] | None = None,
    name: str = "BTC",
    *,
    spot: float = 100.0,
    vol: float = 0.6,
    slope: float = 0.0,
    mark_age_s: float = math.nan,
    in_play: Sequence[InPlay] = (),
    prices: Sequence[tuple[int, float]] | None = None,
) -> UnderlyingMoment:
    """Rows with their values; a band of +-10 with a landing of +-5 unless another is given."""
    chosen = [(bands or {}).get(row, (-10.0, 10.0, -5.0, 5.0)) for row in rows]
    columns = np.array(chosen, dtype=np.float64).reshape(-1, 4).T
    history = None
    if prices is not None:
        history = PriceHistory(
            np.array([t for t, _ in prices], dtype=np.int64), np.array([p for _, p in prices])
        )
    return UnderlyingMoment(
        name=name,
        spot=spot,
        vol=vol,
        rows=tuple(rows),
        value=np.array(list(rows.values()), dtype=np.float64),
        target=np.zeros(len(rows)),
        trigger_lower=columns[0],
        trigger_upper=columns[1],
        landing_lower=columns[2],
        landing_upper=columns[3],
        delta_slope=slope,
        mark_age_s=mark_age_s,
        in_play=tuple(in_play),
        history=history,
    )


def moment(*underlyings: UnderlyingMoment, now_ns: int = NOW) -> Moment:
    return Moment(now_ns, underlyings)


def policy(when: Any, **values: Any) -> PolicyConfig:
    return PolicyConfig.model_validate({"when": when, **values})
