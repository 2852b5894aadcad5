"""How well the surface fits: its vols against the venue's mark vols, at every snapshot of a tape."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hedger.settings import Settings
from hedger.studies.picture import COLOURS
from hedger.studies.plans import quantiles
from pricing import black76
from pricing.daycount import iso, years_between
from pricing.forwards import forwards
from pricing.market import VOL_ABSURD_ABOVE, VOL_ABSURD_BELOW, Market
from pricing.surface import FitStatus, Smile, Surface, refit
from venues.tape import Tape

#: Options whose delta lies between 5 and 95 % are compared.
DELTA_LOW, DELTA_HIGH = 0.05, 0.95
GOOD_MEDIAN, GOOD_P95 = 0.3, 1.5  # vol points


@dataclass(frozen=True, slots=True)
class SurfaceRecord:
    """One underlying at one snapshot; errors in vol points, |surface - venue mark|."""

    as_of: str
    underlying: str
    options: int
    median: float
    p95: float
    worst: float
    smiles: int
    violations: int
    statuses: dict[str, int]
    reasons: tuple[str, ...]
    repaired: int
    repair_cost_worst: float
    refit_ms: float


def measure(
    tape: Tape,
    settings: Settings,
    every: int = 1,
    on_record: Callable[[SurfaceRecord], None] | None = None,
    on_worst: Callable[[Market, Surface, SurfaceRecord], None] | None = None,
) -> list[SurfaceRecord]:
    """Refit at every `every`-th snapshot, each from the one before, and compare."""
    records: list[SurfaceRecord] = []
    market = Market.empty(tape.universe)
    surface: Surface | None = None
    for number, marks in enumerate(tape.marks()):
        market = market.apply(marks)
        if number % every:
            continue
        forward = forwards(market, settings.age_s_max).forward
        begin = time.perf_counter()
        surface = refit(surface, market, forward, settings.age_s_max)
        spent = (time.perf_counter() - begin) * 1e3
        for u, underlying in enumerate(tape.universe.underlyings):
            record = _compare(market, surface, forward, u, underlying, settings.age_s_max, spent)
            if record is None:
                continue
            records.append(record)
            if on_record is not None:
                on_record(record)
            if on_worst is not None and record.p95 >= max(r.p95 for r in records):
                on_worst(market, surface, record)
    return records


def _compare(
    market: Market,
    surface: Surface,
    forward: np.ndarray[Any, np.dtype[np.float64]],
    u: int,
    underlying: str,
    age_s_max: float,
    spent_ms: float,
) -> SurfaceRecord | None:
    universe = market.universe
    mark = market.mark_iv
    years = np.where(universe.expiry_ns > 0, years_between(market.now_ns, universe.expiry_ns), np.nan)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(
            universe.is_option
            & (universe.underlying == u)
            & market.fresh(age_s_max)
            & (mark >= VOL_ABSURD_BELOW)
            & (mark <= VOL_ABSURD_ABOVE)
            & (forward > 0.0)
            & (years > 0.0)
        )
    strike, T, F = universe.strike[rows], years[rows], forward[rows]
    delta = np.abs(black76.greeks(F, strike, T, mark[rows], universe.sign[rows]).delta)
    middle = (delta >= DELTA_LOW) & (delta <= DELTA_HIGH)
    vol, _ = surface.vols(underlying, strike, universe.expiry_ns[rows], T, F)
    error = 100.0 * np.abs(vol - mark[rows])[middle]
    if error.size == 0:
        return None
    smiles = surface.smiles[underlying]
    own = [smile for smile in smiles if smile.status != FitStatus.NONE]
    return SurfaceRecord(
        as_of=iso(market.now_ns),
        underlying=underlying,
        options=int(error.size),
        median=float(np.median(error)),
        p95=float(np.percentile(error, 95)),
        worst=float(error.max()),
        smiles=len(own),
        violations=sum(not smile.free_of_arbitrage for smile in own),
        statuses=dict(Counter(smile.status.label for smile in smiles)),
        reasons=tuple(f"{_days(smile):.2f} d: {smile.reason}" for smile in smiles if smile.reason),
        repaired=sum(int(smile.repair) > 0 for smile in own),
        repair_cost_worst=100.0 * max((smile.repair_cost for smile in own), default=0.0),
        refit_ms=spent_ms,
    )


def _days(smile: Smile) -> float:
    return smile.years * 365.0


def document(records: list[SurfaceRecord]) -> dict[str, Any]:
    """The distribution, by underlying, and every record."""
    by_underlying = {}
    for underlying in sorted({r.underlying for r in records}):
        mine = [r for r in records if r.underlying == underlying]
        statuses: Counter[str] = Counter()
        for r in mine:
            statuses.update(r.statuses)
        by_underlying[underlying] = {
            "snapshots": len(mine),
            "options": sum(r.options for r in mine),
            "median": quantiles([r.median for r in mine]),
            "p95": quantiles([r.p95 for r in mine]),
            "worst": max(r.worst for r in mine),
            "beyond_target": [r.as_of for r in mine if r.median > GOOD_MEDIAN or r.p95 > GOOD_P95],
            "violations": sum(r.violations for r in mine),
            "statuses": dict(statuses),
            "without_reason": sum(
                max(
                    sum(n for s, n in r.statuses.items() if s not in ("fitted", "carried")) - len(r.reasons),
                    0,
                )
                for r in mine
            ),
            "repaired": sum(r.repaired for r in mine),
            "repair_cost_worst": max(r.repair_cost_worst for r in mine),
        }
    return {
        "unit": "vol points, |surface - venue mark vol|, deltas 5 to 95 %",
        "underlyings": by_underlying,
        "refit_ms": quantiles([r.refit_ms for r in records]),
        "records": [asdict(r) for r in records],
    }


def table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Column names and rows of text: medians and 95th percentiles, of the typical and the worst snapshot."""
    columns = ["", "shots", "p50", "max", "p95", "max", "beyond", "arbitrage", "fitted", "fallback"]
    rows = []
    for underlying, r in result["underlyings"].items():
        fitted = r["statuses"].get("fitted", 0) + r["statuses"].get("carried", 0)
        rows.append(
            [
                underlying,
                str(r["snapshots"]),
                f"{r['median']['p50']:.2f}",
                f"{r['median']['max']:.2f}",
                f"{r['p95']['p50']:.2f}",
                f"{r['p95']['max']:.2f}",
                str(len(r["beyond_target"])),
                str(r["violations"]),
                str(fitted),
                str(sum(r["statuses"].values()) - fitted),
            ]
        )
    return columns, rows


def figures(
    result: dict[str, Any], worst: tuple[Market, Surface, SurfaceRecord] | None
) -> list[tuple[str, str, Any]]:
    """Errors through time, and the smiles of the worst snapshot with its bids and asks."""
    from plotly.graph_objects import Figure

    through_time = Figure()
    for number, underlying in enumerate(result["underlyings"]):
        mine = [r for r in result["records"] if r["underlying"] == underlying]
        for key, dash in (("median", "solid"), ("p95", "dot")):
            through_time.add_scatter(
                x=[r["as_of"] for r in mine], y=[r[key] for r in mine], name=f"{underlying} {key}",
                mode="lines", line={"color": COLOURS[number], "dash": dash},
            )  # fmt: skip
    through_time.update_yaxes(title="vol points", type="log")
    made = [
        (
            "Error through time",
            "Surface against the venue's mark vol, deltas 5 to 95 %, per snapshot. "
            f"Targets: median {GOOD_MEDIAN}, 95th percentile {GOOD_P95} vol points.",
            through_time,
        )
    ]
    if worst is not None:
        made.append(_smiles(*worst))
    return made


def _smiles(market: Market, surface: Surface, record: SurfaceRecord) -> tuple[str, str, Any]:
    from plotly.graph_objects import Figure

    figure = Figure()
    smiles = [s for s in surface.smiles[record.underlying] if s.status != FitStatus.NONE]
    for number, smile in enumerate(smiles[:: max(len(smiles) // 6, 1)][:6]):
        strikes = smile.forward * np.exp(np.linspace(smile.k_low, smile.k_high, 121))
        full = np.full_like(strikes, smile.forward)
        vol, _ = surface.vols(
            record.underlying,
            strikes,
            np.full(strikes.shape, smile.expiry_ns),
            np.full_like(strikes, smile.years),
            full,
        )
        name = f"{_days(smile):.1f} d ({smile.status.label})"
        figure.add_scatter(
            x=strikes, y=100 * vol, name=name, mode="lines", line={"color": COLOURS[number]}, legendgroup=name
        )
        figure.add_scatter(
            x=smile.strikes, y=100 * smile.middles, mode="markers", showlegend=False, legendgroup=name,
            marker={"color": COLOURS[number], "size": 5},
        )  # fmt: skip
    figure.update_xaxes(title="strike, USD")
    figure.update_yaxes(title="vol, %")
    return (
        f"The worst snapshot: {record.underlying}, {record.as_of}",
        f"95th percentile {record.p95:.2f} vol points. Lines: smiles; dots: what they were fitted to.",
        figure,
    )
