"""The book by underlying, expiry and strike in the desk's units, and how much of each band is used.

Greeks of positions are those of `hedger risk`, scaled: gamma is the change of delta for a 1 % move of the
index (USD numeraire: in USD, gamma S² / 100; coin: gamma / 100), vega is per point of vol, theta per day.
Vanna (delta per point) and volga (vega per point) are Black-76 on each option's own forward
(`pricing.black76.higher_greeks`), in coin and USD; options whose settlement price is being averaged have
none. Use of a band is the distance from its target as a share of the distance of the edge on that side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hedger.core.by_hand import NOTHING_BY_HAND, ByHand, band_words
from hedger.core.by_hand_file import file_words
from hedger.documents import number, risk_document
from hedger.problem.snapshot import Snapshot
from pricing.black76 import higher_greeks
from pricing.contracts import Option
from pricing.daycount import iso
from pricing.universe import FloatArray
from pricing.valuation import MarkStatus, Numeraire

Json = dict[str, Any]
DAYS_PER_YEAR = 365.0


def risk_tree(snapshot: Snapshot, by_hand: ByHand = NOTHING_BY_HAND) -> Json:
    """The document: `rows` with their bands, `underlyings` with totals, `positions` with their place in the
    tree; null where a number is not known. by_hand: bands that a person has set."""
    plain = risk_document(snapshot)
    vanna, volga = _second_order(snapshot)
    at, spot = snapshot.market.universe.positions, snapshot.spot
    in_usd = snapshot.numeraire is Numeraire.USD
    positions = []
    for found in plain["positions"]:
        row = at.get((found["venue"], found["symbol"]))
        listing = None if row is None else snapshot.market.universe.listings[row]
        contract = None if listing is None else listing.contract
        name = found["symbol"] if contract is None else contract.underlying
        option = contract if isinstance(contract, Option) else None
        quantity = found["quantity"]
        positions.append(
            {
                **found,
                **_scaled(found, spot.get(name, math.nan), in_usd),
                "underlying": name,
                "expiry": iso(listing.expiry_ns) if listing is not None and listing.expiry_ns else None,
                "strike": None if option is None else float(option.strike),
                "vanna": None if row is None else number(quantity * vanna[row]),
                "volga": None if row is None else number(quantity * volga[row]),
                "premium_adjusted": option is not None and not in_usd,
            }
        )
    return {
        "as_of": plain["as_of"],
        "numeraire": plain["numeraire"],
        "rows": band_rows(snapshot, by_hand),
        "underlyings": [
            {
                **found,
                **_scaled(found, spot[found["underlying"]], in_usd),
                **second_order_sums([p for p in positions if p["underlying"] == found["underlying"]]),
            }
            for found in plain["underlyings"]
        ],
        "positions": positions,
        "missing": plain["missing"],
    }


def second_order_sums(positions: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Vanna and volga of positions together; null as soon as that of one option is not known.

    >>> call = {"strike": 5.0, "vanna": 2.0, "volga": None}
    >>> second_order_sums([call, call, {"strike": None}])
    {'vanna': 4.0, 'volga': None}
    """
    options = [p for p in positions if p["strike"] is not None]
    values = {name: [p[name] for p in options] for name in ("vanna", "volga")}
    return {name: None if None in each else math.fsum(each) for name, each in values.items()}


def band_rows(snapshot: Snapshot, by_hand: ByHand = NOTHING_BY_HAND) -> list[Json]:
    """Every row with its band, what is used of it, and in words who set it and what the file says, where a
    person did, else "".

    A row of an underlying of which something is not known (`incomplete`) is not known itself: value, used,
    distance and breached are null, for what is left of the sum may lie anywhere.
    """
    exposure, bands = snapshot.exposure, snapshot.bands
    lacking = incomplete(snapshot)
    whole = np.array([name.split(":")[1] not in lacking for name in exposure.rows], dtype=np.bool_)
    values = np.where(whole, exposure.value, np.nan)
    hands = {band.row: band for band in by_hand.bands}
    found = []
    for i, name in enumerate(exposure.rows):
        trigger = float(bands.trigger_lower[i]), float(bands.trigger_upper[i])
        x, target = float(values[i]), float(bands.target[i])
        hand, spot = hands.get(name), snapshot.spot[name.split(":")[1]]
        banded = bool(bands.banded[i])
        found.append(
            {
                "row": name,
                "unit": exposure.units[i],
                "value": number(x),
                "target": number(target) if banded else None,
                "trigger": [number(edge) for edge in trigger] if banded else None,
                "landing": [number(bands.landing_lower[i]), number(bands.landing_upper[i])]
                if banded
                else None,
                "used": number(used(x, target, *trigger)) if banded else None,
                "distance": number(min(x - trigger[0], trigger[1] - x)) if banded else None,
                "breached": None if math.isnan(x) and banded else bool(x < trigger[0] or x > trigger[1]),
                "by_hand": "" if hand is None else band_words(hand),
                "file": "" if hand is None else file_words(hand.file, name, spot),
            }
        )
    return found


def incomplete(snapshot: Snapshot) -> frozenset[str]:
    """Underlyings of which something held has no worth, or whose index decides nothing."""
    listings = snapshot.market.universe.listings
    found = {listings[i].contract.underlying for i in snapshot.exposure.missing}
    found |= {reading.underlying for reading in snapshot.bad_indexes}
    return frozenset(found | {m.symbol for m in snapshot.missing if m.symbol in snapshot.spot})


def used(value: float, target: float, low: float, high: float) -> float:
    """What is used of a band: 0 on the target, 1 on the trigger; NaN where the value is not known.

    >>> used(3.0, 1.0, -2.0, 5.0), used(0.0, 1.0, -1.0, 5.0), used(-9.0, 0.0, float("-inf"), 5.0)
    (0.5, 0.5, 0.0)
    """
    away = value - target
    room = high - target if away > 0.0 else target - low
    if math.isnan(away) or away == 0.0:
        return away
    return abs(away) / room if room > 0.0 else math.inf


def _scaled(found: Json, spot: float, in_usd: bool) -> Json:
    """Greeks as a desk reads them."""
    delta, gamma, vega, theta = (_or_nan(found[name]) for name in ("delta", "gamma", "vega", "theta"))
    return {
        "delta": number(delta),
        "delta_usd": number(delta * spot) if delta else number(delta),
        "gamma_1pct": number(gamma * (spot * spot if in_usd else 1.0) / 100.0) if gamma else number(gamma),
        "vega_point": number(vega / 100.0),
        "theta_day": number(theta / DAYS_PER_YEAR),
    }


def _or_nan(x: float | None) -> float:
    return math.nan if x is None else float(x)


def _second_order(snapshot: Snapshot) -> tuple[FloatArray, FloatArray]:
    """Vanna and volga of one order unit, (n,), per point; NaN for what has none or is not known."""
    valuation, universe = snapshot.valuation, snapshot.market.universe
    vanna, volga = np.full(len(universe), np.nan), np.full(len(universe), np.nan)
    held = snapshot.quantities != 0.0
    mine = held & universe.is_option & (valuation.status == MarkStatus.OK) & ~valuation.in_window
    if mine.any():
        higher = higher_greeks(
            valuation.forward[mine],
            universe.strike[mine],
            valuation.years[mine],
            valuation.vol[mine],
            universe.sign[mine],
        )
        vanna[mine] = higher.vanna * universe.size[mine] / 100.0
        volga[mine] = higher.volga * universe.size[mine] / 1e4
    return vanna, volga
