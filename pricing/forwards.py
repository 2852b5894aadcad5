"""The forward of every option: published future or synthetic, put-call parity, perpetual plus basis.

Every expiry has up to five candidates; one is chosen in a stated order unless two others outvote it, and the
choice, its rivals and the confidence in it are recorded. An option's own published forward is taken as it is
where the venue names a future or a synthetic forward for it. Where the venue publishes only the index beside
the option (`index_price`), its marks are computed on a hidden forward a few basis points away; parity across
the strikes of the expiry recovers it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pricing.contracts import Kind
from pricing.daycount import years_between
from pricing.expiries import Expiry, expiries_of
from pricing.market import ForwardKind, Market, price_or_nan
from pricing.medians import median
from pricing.parity import ParityForward, parity_of
from pricing.universe import BoolArray, FloatArray, IntArray

#: Kinds that a venue publishes beside an option as the forward itself.
PUBLISHED = (ForwardKind.LISTED_FUTURE, ForwardKind.SYNTHETIC)
#: Parity is believed against a published value this near (relative).
PARITY_DISTANCE_MAX = 0.02
#: A candidate is outvoted by two others that agree this well while it lies this far from their middle.
OUTVOTE_AGREE = 0.005
OUTVOTE_DISTANCE = 0.02
#: Another candidate this near confirms a choice: one from the expiry itself; the perpetual plus basis.
CONFIRM_OWN = 0.002
CONFIRM_BASIS = 0.005
#: An expiry tells the basis if it is a day away or more (before, its rate is noise), and shows one that a
#: listed coin can have: so much at once, relative, plus so much a year.
BASIS_YEARS_MIN = 1.0 / 365.0
BASIS_MAX = 0.02
BASIS_RATE_MAX = 0.5

#: Forwards of one expiry by kind, USD per coin.
Candidates = dict[ForwardKind, float]


class Confidence(IntEnum):
    """How well the forward of an expiry is supported."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def label(self) -> str:
        """The words for people and JSON."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class ExpiryForward:
    """The forward chosen for the options of one venue and expiry, USD per coin; NaN with NONE where unknown.

    candidates: every value that was to be had, by kind. outvoted: the kinds that two others spoke against.
    confidence: HIGH: confirmed within 20 bp by another candidate of the expiry, or within 50 bp by the
    perpetual plus basis. MEDIUM: nothing else to compare with, or differing by less than 2 %. LOW:
    contradicted, or itself the bare index or the perpetual plus basis. parity: over the expiry's strikes,
    sound or not.
    """

    venue: str
    underlying: str
    expiry_ns: int
    inverse: bool
    forward: float
    source: ForwardKind
    confidence: Confidence
    candidates: Mapping[ForwardKind, float]
    outvoted: tuple[ForwardKind, ...]
    parity: ParityForward


@dataclass(frozen=True, slots=True, eq=False)
class Forwards:
    """Forward per listing, USD per coin, (n,), NaN where none is known; `source` codes of `ForwardKind`.

    For perpetuals and futures the forward is the contract's own mark (else mid); for spot the coin's index.
    expiries: the choice for each that has a fresh quote, by venue, underlying, expiry and settlement.
    """

    forward: FloatArray
    source: NDArray[np.int8]
    expiries: tuple[ExpiryForward, ...]


def forwards(market: Market, age_s_max: float, index: FloatArray | None = None) -> Forwards:
    """Choose the forward of every listing from what the market shows now.

    Per expiry, in this order: the future or synthetic forward published beside the options; where only the
    index is published, parity over the expiry's fresh quotes (marks, else mids) if it rests on enough pairs
    that agree and lies near the index; the mark of the listed future with the same expiry; parity; the bare
    index (before a parity that lies far from it); the perpetual plus the basis that the other expiries show.
    A candidate that two others, agreeing with each other, contradict by more than 2 % is passed over. A row's
    own published future or synthetic stands unless that kind was passed over, or the row alone is off by more
    than 2 %; an index published beside an option counts only near the index that is believed.

    Args:
        market: quotes; stale rows (older than `age_s_max` seconds) are not used for other rows.
        index: per underlying, USD; the median of each one's fresh listings where None.

    Returns:
        Forwards with arrays of shape (n,).
    """
    universe = market.universe
    fresh = market.fresh(age_s_max)
    option = universe.is_option
    price = price_or_nan(market)
    forward = np.where(option, market.forward, np.where(price > 0, price, np.nan))
    spot = market.spot(age_s_max) if index is None else index
    forward = np.where(universe.kind == Kind.SPOT, spot[universe.underlying], forward)
    with np.errstate(invalid="ignore"):
        refused = option & (market.forward_kind == ForwardKind.INDEX)
        refused &= np.abs(forward / spot[universe.underlying] - 1.0) > PARITY_DISTANCE_MAX
    forward[~(forward > 0) | refused] = np.nan
    source = np.where(option & np.isfinite(forward), market.forward_kind, np.int8(ForwardKind.NONE))
    source = source.astype(np.int8)

    expiries = tuple(expiry for expiry in expiries_of(universe) if fresh[expiry.rows].any())
    usable = np.where(fresh, price, np.nan)
    own = [_own_candidates(market, expiry, forward, fresh, usable) for expiry in expiries]
    curves = _basis_curves(market, expiries, own, forward, fresh)
    chosen = []
    for place, (expiry, (candidates, parity)) in enumerate(zip(expiries, own, strict=True)):
        candidates = candidates | _perpetual_plus_basis(market, expiry, place, curves)
        choice = _choose(universe.underlyings[expiry.underlying], expiry, candidates, parity)
        _apply(choice, expiry, market, forward, source, fresh)
        chosen.append(choice)
    return Forwards(forward, source, tuple(chosen))


def _own_candidates(
    market: Market, expiry: Expiry, forward: FloatArray, fresh: BoolArray, price: FloatArray
) -> tuple[Candidates, ParityForward]:
    """What the expiry's own quotes and its listed future say, by kind; parity only where it is sound."""
    rows = expiry.rows[fresh[expiry.rows] & np.isfinite(forward[expiry.rows])]
    kinds, values = market.forward_kind[rows], forward[rows]
    found = {ForwardKind(k): median(values[kinds == k]) for k in np.unique(kinds).tolist()}
    if ForwardKind.LISTED_FUTURE not in found:
        listed = expiry.futures[fresh[expiry.futures] & np.isfinite(forward[expiry.futures])]
        if listed.size:
            found[ForwardKind.LISTED_FUTURE] = median(forward[listed])
    parity = parity_of(expiry, price)
    if parity.sound and ForwardKind.PARITY not in found:
        found[ForwardKind.PARITY] = parity.forward
    return found, parity


def _ranked(candidates: Candidates) -> list[ForwardKind]:
    """Kinds in order of preference."""
    order = [*PUBLISHED, ForwardKind.NONE]
    by_index = candidates.get(ForwardKind.INDEX, math.nan)
    parity = candidates.get(ForwardKind.PARITY, math.nan)
    if abs(parity / by_index - 1.0) <= PARITY_DISTANCE_MAX:
        # marks beside a bare index rest on a hidden forward, which a future traded elsewhere only resembles
        order = [ForwardKind.PARITY, *order, ForwardKind.INDEX, ForwardKind.PERPETUAL_BASIS]
    elif math.isfinite(by_index):
        order += [ForwardKind.INDEX, ForwardKind.PARITY, ForwardKind.PERPETUAL_BASIS]
    else:
        order += [ForwardKind.PARITY, ForwardKind.PERPETUAL_BASIS]
    return [kind for kind in order if kind in candidates]


def _choose(underlying: str, expiry: Expiry, candidates: Candidates, parity: ParityForward) -> ExpiryForward:
    """The first candidate that is not outvoted, and the confidence in it."""
    ranked = _ranked(candidates)
    outvoted = tuple(kind for kind in ranked if _outvoted(kind, candidates))
    kept = [kind for kind in ranked if kind not in outvoted] or ranked
    source = kept[0] if kept else ForwardKind.NONE
    forward = candidates[source] if kept else math.nan
    return ExpiryForward(
        venue=expiry.venue,
        underlying=underlying,
        expiry_ns=expiry.expiry_ns,
        inverse=expiry.inverse,
        forward=forward,
        source=source,
        confidence=_confidence(source, candidates) if kept else Confidence.NONE,
        candidates=candidates,
        outvoted=outvoted,
        parity=parity,
    )


def _outvoted(kind: ForwardKind, candidates: Candidates) -> bool:
    """Whether two other candidates agree with each other and are far from this one; the index has no vote."""
    others = [x for k, x in candidates.items() if k not in (kind, ForwardKind.INDEX)]
    mine = candidates[kind]
    return any(
        abs(a / b - 1.0) <= OUTVOTE_AGREE and abs(mine / math.sqrt(a * b) - 1.0) > OUTVOTE_DISTANCE
        for i, a in enumerate(others)
        for b in others[:i]
    )


def _confidence(source: ForwardKind, candidates: Candidates) -> Confidence:
    """How well the other candidates support the chosen one, as `ExpiryForward` says; the index has no say."""
    if source in (ForwardKind.INDEX, ForwardKind.PERPETUAL_BASIS):
        return Confidence.LOW
    value = candidates[source]
    distances = {
        kind: abs(rival / value - 1.0)
        for kind, rival in candidates.items()
        if kind not in (source, ForwardKind.INDEX)
    }
    for kind, distance in distances.items():
        if distance <= (CONFIRM_BASIS if kind is ForwardKind.PERPETUAL_BASIS else CONFIRM_OWN):
            return Confidence.HIGH
    contradicted = any(distance > OUTVOTE_DISTANCE for distance in distances.values())
    return Confidence.LOW if contradicted else Confidence.MEDIUM


@dataclass(frozen=True, slots=True, eq=False)
class _BasisCurve:
    """Log basis over the perpetual (USD) at expiries of an underlying, (k,): years, basis, and whose each is,
    as a place in the expiries asked."""

    perpetual: float
    years: FloatArray
    basis: FloatArray
    place: IntArray


def _perpetual(expiry: Expiry, forward: FloatArray, fresh: BoolArray) -> float:
    """The median mark of its fresh perpetuals, USD; NaN where there is none."""
    rows = expiry.perpetuals[fresh[expiry.perpetuals]]
    known = forward[rows][np.isfinite(forward[rows])]
    return median(known) if known.size else math.nan


def _basis_curves(
    market: Market,
    expiries: tuple[Expiry, ...],
    own: list[tuple[Candidates, ParityForward]],
    forward: FloatArray,
    fresh: BoolArray,
) -> dict[tuple[str, int], _BasisCurve]:
    """The log basis that the expiries show over their perpetual, by (venue, underlying)."""
    nodes: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
    perpetuals: dict[tuple[str, int], float] = {}
    for place, (expiry, (candidates, _)) in enumerate(zip(expiries, own, strict=True)):
        key = expiry.venue, expiry.underlying
        if key not in perpetuals:
            perpetuals[key] = _perpetual(expiry, forward, fresh)
        direct = [k for k in (*PUBLISHED, ForwardKind.PARITY) if k in candidates]
        years = float(years_between(market.now_ns, expiry.expiry_ns))
        if direct and years > 0 and math.isfinite(perpetuals[key]):
            basis = math.log(candidates[direct[0]] / perpetuals[key])
            if years >= BASIS_YEARS_MIN and _sane_basis(basis, years):
                nodes.setdefault(key, []).append((years, basis, place))
    return {
        key: _BasisCurve(perpetuals[key], *(np.array(column) for column in zip(*found, strict=True)))
        for key, found in nodes.items()
    }


def _perpetual_plus_basis(
    market: Market, expiry: Expiry, place: int, curves: Mapping[tuple[str, int], _BasisCurve]
) -> Candidates:
    """The perpetual plus the log basis interpolated between the other expiries, through 0 at no time to go.

    Beyond the last of them the basis grows at its rate. Where no other expiry shows one it is unknown, not 0.
    """
    years = float(years_between(market.now_ns, expiry.expiry_ns))
    curve = curves.get((expiry.venue, expiry.underlying))
    if curve is None or years <= 0:
        return {}
    others = curve.place != place
    if not others.any():
        return {}
    order = np.argsort(curve.years[others], kind="stable")
    t, b = (np.concatenate(([0.0], x[others][order])) for x in (curve.years, curve.basis))
    basis = float(np.interp(years, t, b)) if years <= t[-1] else float(b[-1] / t[-1] * years)
    if not _sane_basis(basis, years):
        return {}
    return {ForwardKind.PERPETUAL_BASIS: curve.perpetual * math.exp(basis)}


def _sane_basis(basis: float, years: float) -> bool:
    """Whether a listed coin can have such a log basis."""
    return abs(basis) <= BASIS_MAX + BASIS_RATE_MAX * years


def _apply(
    choice: ExpiryForward,
    expiry: Expiry,
    market: Market,
    forward: FloatArray,
    source: NDArray[np.int8],
    fresh: BoolArray,
) -> None:
    """Write the expiry's choice into its fresh rows, but for those whose own published forward stands."""
    rows = expiry.rows[fresh[expiry.rows]]
    if not math.isfinite(choice.forward):
        return
    value, kinds = forward[rows], market.forward_kind[rows]
    with np.errstate(invalid="ignore"):
        far = np.abs(value / choice.forward - 1.0) > OUTVOTE_DISTANCE
    overruled = far & bool(choice.outvoted or choice.confidence is Confidence.HIGH)
    stands = np.isfinite(value) & (kinds != ForwardKind.INDEX) & ~overruled
    if choice.source is ForwardKind.INDEX:
        stands |= np.isfinite(value) & (kinds == ForwardKind.INDEX)
    at = rows[~stands]
    forward[at] = choice.forward
    source[at] = choice.source
