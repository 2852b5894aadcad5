"""The forward of every option: published future or synthetic, put-call parity, perpetual plus basis.

Every expiry has up to five candidates; one is chosen in a stated order unless two others outvote it, and the
choice, its rivals and the confidence in it are recorded. An option's own published forward is taken as it is
where the venue names a future or a synthetic forward for it. Where the venue publishes only the index beside
the option (`index_price`), its marks are computed on a hidden forward a few basis points away; parity across
the strikes of the expiry recovers it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
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
from pricing.universe import BoolArray, FloatArray

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

#: Asked for dozens of times a mark: the look-up of a member costs more than what is done with it.
_KINDS = {int(kind): kind for kind in ForwardKind}
_LISTED_FUTURE, _PARITY = ForwardKind.LISTED_FUTURE, ForwardKind.PARITY
_INDEX, _PERPETUAL_BASIS = ForwardKind.INDEX, ForwardKind.PERPETUAL_BASIS

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


_HIGH = Confidence.HIGH


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
    years = years_between(market.now_ns, [expiry.expiry_ns for expiry in expiries]).tolist()
    usable, known = np.where(fresh, price, np.nan), fresh & np.isfinite(forward)
    own = [_own_candidates(market, expiry, forward, known, usable) for expiry in expiries]
    curves = _basis_curves(expiries, years, own, forward, known)
    chosen = []
    for place, (expiry, (candidates, parity)) in enumerate(zip(expiries, own, strict=True)):
        curve = curves.get((expiry.venue, expiry.underlying))
        candidates = candidates | _perpetual_plus_basis(years[place], place, curve)
        chosen.append(_choose(universe.underlyings[expiry.underlying], expiry, candidates, parity))
    _apply(chosen, expiries, market, forward, source, fresh)
    return Forwards(forward, source, tuple(chosen))


def _own_candidates(
    market: Market, expiry: Expiry, forward: FloatArray, known: BoolArray, price: FloatArray
) -> tuple[Candidates, ParityForward]:
    """What the expiry's own quotes and its listed future say, by kind; parity only where it is sound.

    known (n,): fresh, and with a forward beside it.
    """
    rows = expiry.rows[known[expiry.rows]]
    kinds, values = market.forward_kind[rows], forward[rows]
    found: Candidates = {}
    if rows.size:
        first = kinds[0]
        if (kinds == first).all():  # as nearly always
            found[_KINDS[int(first)]] = median(values)
        else:
            found = {_KINDS[k]: median(values[kinds == k]) for k in np.unique(kinds).tolist()}
    if _LISTED_FUTURE not in found and expiry.futures.size:
        listed = expiry.futures[known[expiry.futures]]
        if listed.size:
            found[_LISTED_FUTURE] = median(forward[listed])
    parity = parity_of(expiry, price)
    if parity.sound and _PARITY not in found:
        found[_PARITY] = parity.forward
    return found, parity


def _ranked(candidates: Candidates) -> list[ForwardKind]:
    """Kinds in order of preference."""
    order = [*PUBLISHED, ForwardKind.NONE]
    by_index = candidates.get(_INDEX, math.nan)
    parity = candidates.get(_PARITY, math.nan)
    if abs(parity / by_index - 1.0) <= PARITY_DISTANCE_MAX:
        # marks beside a bare index rest on a hidden forward, which a future traded elsewhere only resembles
        order = [_PARITY, *order, _INDEX, _PERPETUAL_BASIS]
    elif math.isfinite(by_index):
        order += [_INDEX, _PARITY, _PERPETUAL_BASIS]
    else:
        order += [_PARITY, _PERPETUAL_BASIS]
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
    others = [x for k, x in candidates.items() if k not in (kind, _INDEX)]
    mine = candidates[kind]
    return any(
        abs(a / b - 1.0) <= OUTVOTE_AGREE and abs(mine / math.sqrt(a * b) - 1.0) > OUTVOTE_DISTANCE
        for i, a in enumerate(others)
        for b in others[:i]
    )


def _confidence(source: ForwardKind, candidates: Candidates) -> Confidence:
    """How well the other candidates support the chosen one, as `ExpiryForward` says; the index has no say."""
    if source in (_INDEX, _PERPETUAL_BASIS):
        return Confidence.LOW
    value = candidates[source]
    distances = {
        kind: abs(rival / value - 1.0) for kind, rival in candidates.items() if kind not in (source, _INDEX)
    }
    for kind, distance in distances.items():
        if distance <= (CONFIRM_BASIS if kind is _PERPETUAL_BASIS else CONFIRM_OWN):
            return Confidence.HIGH
    contradicted = any(distance > OUTVOTE_DISTANCE for distance in distances.values())
    return Confidence.LOW if contradicted else Confidence.MEDIUM


@dataclass(frozen=True, slots=True, eq=False)
class _BasisCurve:
    """Log basis over the perpetual (USD) at expiries of an underlying, by time: (years, basis, whose it is:
    a place in the expiries asked)."""

    perpetual: float
    nodes: tuple[tuple[float, float, int], ...]


def _perpetual(expiry: Expiry, forward: FloatArray, known: BoolArray) -> float:
    """The median mark of its fresh perpetuals, USD; NaN where there is none."""
    rows = expiry.perpetuals[known[expiry.perpetuals]]
    return median(forward[rows]) if rows.size else math.nan


def _basis_curves(
    expiries: tuple[Expiry, ...],
    years: list[float],
    own: list[tuple[Candidates, ParityForward]],
    forward: FloatArray,
    known: BoolArray,
) -> dict[tuple[str, int], _BasisCurve]:
    """The log basis that the expiries show over their perpetual, by (venue, underlying)."""
    nodes: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
    perpetuals: dict[tuple[str, int], float] = {}
    for place, (expiry, t, (candidates, _)) in enumerate(zip(expiries, years, own, strict=True)):
        key = expiry.venue, expiry.underlying
        if key not in perpetuals:
            perpetuals[key] = _perpetual(expiry, forward, known)
        direct = [k for k in (*PUBLISHED, _PARITY) if k in candidates]
        if direct and t > 0 and math.isfinite(perpetuals[key]):
            basis = math.log(candidates[direct[0]]) - math.log(perpetuals[key])
            if t >= BASIS_YEARS_MIN and _sane_basis(basis, t):
                nodes.setdefault(key, []).append((t, basis, place))
    return {
        key: _BasisCurve(perpetuals[key], tuple(sorted(found, key=lambda node: node[0])))
        for key, found in nodes.items()
    }


def _perpetual_plus_basis(years: float, place: int, curve: _BasisCurve | None) -> Candidates:
    """The perpetual plus the log basis interpolated between the other expiries, through 0 at no time to go.

    Beyond the last of them the basis grows at its rate. Where no other expiry shows one it is unknown, not 0.
    """
    if curve is None or years <= 0:
        return {}
    others = [(t, b) for t, b, whose in curve.nodes if whose != place]
    if not others:
        return {}
    basis = _interpolated(years, [(0.0, 0.0), *others])
    if not _sane_basis(basis, years):
        return {}
    return {_PERPETUAL_BASIS: curve.perpetual * math.exp(basis)}


def _interpolated(years: float, nodes: list[tuple[float, float]]) -> float:
    """Straight lines between the nodes, beyond the last of them the line from the first, which is (0, 0)."""
    t_last, b_last = nodes[-1]
    if years >= t_last:
        return b_last / t_last * years if years > t_last else b_last
    at = bisect_right(nodes, years, key=lambda node: node[0]) - 1
    (t, b), (t_next, b_next) = nodes[at], nodes[at + 1]
    return (b_next - b) / (t_next - t) * (years - t) + b


def _sane_basis(basis: float, years: float) -> bool:
    """Whether a listed coin can have such a log basis."""
    return abs(basis) <= BASIS_MAX + BASIS_RATE_MAX * years


def _apply(
    chosen: list[ExpiryForward],
    expiries: tuple[Expiry, ...],
    market: Market,
    forward: FloatArray,
    source: NDArray[np.int8],
    fresh: BoolArray,
) -> None:
    """Write each expiry's choice into its fresh rows, but for those whose own published forward stands."""
    if not chosen:
        return
    rows = np.concatenate([expiry.rows for expiry in expiries])
    size = [expiry.rows.size for expiry in expiries]
    best = np.repeat([choice.forward for choice in chosen], size)
    asked = fresh[rows] & np.isfinite(best)
    heavy = [bool(choice.outvoted or choice.confidence is _HIGH) for choice in chosen]
    by_index = [choice.source is _INDEX for choice in chosen]
    value, beside_index = forward[rows], market.forward_kind[rows] == _INDEX
    with np.errstate(invalid="ignore"):
        far = np.abs(value / best - 1.0) > OUTVOTE_DISTANCE
    stands = ~beside_index & ~(far & np.repeat(heavy, size)) | beside_index & np.repeat(by_index, size)
    write = asked & ~(stands & np.isfinite(value))
    forward[rows[write]] = best[write]
    source[rows[write]] = np.repeat([np.int8(choice.source) for choice in chosen], size)[write]
