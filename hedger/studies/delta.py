"""Which delta hedges best: what is left unhedged under each rule, out of sample, on recorded chains.

Every pair of neighbouring snapshots is a trial: each option marked at both is held long against the delta
that a rule gave at the first, in the perpetual or in the dated future of its own expiry, and what is left at
the second is the error (dV − theta dt − delta dP, in coins of its own forward, so that BTC at 100,000 and
at 60,000 count alike). The minimum-variance coefficients are those learned from the trials before, never
the one at hand.

The perpetual's price is the tape's. On a chain imported without `--perp` it is the forward of the nearest
expiry, recorded at the same moment as the options; perpetual candles from elsewhere are minutes off, and on
days of falls that shows as basis risk that no desk has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hedger.problem.valuing import DeltaHistory, coefficients, learn, option_marks
from hedger.settings import Settings
from hedger.studies.picture import COLOURS
from pricing.contracts import Kind
from pricing.delta_rules import (
    CoefficientTable,
    DeltaRule,
    OptionMarks,
    comparable,
    hedge_errors,
    minimum_variance_move,
    vol_move,
)
from pricing.forwards import forwards
from pricing.market import ForwardKind, Market
from pricing.surface import Surface, refit
from pricing.universe import FloatArray, IntArray, Universe
from pricing.valuation import MarkStatus, Valuation, surface_of, value
from venues.tape import Tape

#: |delta| buckets; 50 is at the money, calls and puts apart.
BUCKETS = ((0.05, 0.20), (0.20, 0.40), (0.40, 0.60), (0.60, 0.80), (0.80, 0.95))
HEDGES = ("perpetual", "future")
RULES = tuple(rule for rule in DeltaRule if rule is not DeltaRule.BLACK_SCHOLES)
RESAMPLES = 1000
#: With fewer days than this, resampling them says nothing about the days that might have been.
DAYS_MIN = 10
SEED = 7


@dataclass(frozen=True, slots=True)
class Trial:
    """Sums of squared errors of one interval: by (underlying, side, bucket, hedge), of each rule and of
    Black-Scholes on the same options."""

    day: int
    squares: dict[tuple[str, str, str, str], dict[DeltaRule, tuple[float, float, int]]]


def trials(
    tapes: list[Tape], settings: Settings, every: int, on_tape: Callable[[Tape], None]
) -> Iterator[Trial]:
    """One `Trial` per pair of neighbouring snapshots, tape after tape in order of time."""
    history = DeltaHistory()
    for tape in tapes:
        on_tape(tape)
        market = Market.empty(tape.universe)
        # listings differ from tape to tape: what was learned stays, the last marks do not
        history = DeltaHistory(history.equations, None)
        surface: Surface | None = None
        before: tuple[OptionMarks, dict[DeltaRule, FloatArray], FloatArray, FloatArray] | None = None
        for number, marks in enumerate(tape.marks()):
            market = market.apply(marks)
            if number % every:
                continue
            forward = forwards(market, settings.age_s_max).forward
            surface = refit(surface, market, forward, settings.age_s_max)
            known = coefficients(history, market.now_ns, settings)
            valuation = value(market, settings.age_s_max)
            now = option_marks(valuation)
            deltas = _deltas(now, tape.universe, surface, known)
            perpetual, future = _hedges(valuation)
            if before is not None:
                yield _trial(tape.universe, before, now, perpetual, future)
            before = (now, deltas, perpetual, future)
            history = learn(history, market, settings)


def _deltas(
    now: OptionMarks, universe: Universe, surface: Surface, known: CoefficientTable
) -> dict[DeltaRule, FloatArray]:
    """Delta of every option under every rule, (n,), NaN where the rule lacks something."""
    rows = np.flatnonzero(np.isfinite(now.value))
    slope = np.full(len(universe), np.nan)
    slope[rows] = surface_of(surface, universe, rows, now.forward, now.years)[1]
    result: dict[DeltaRule, FloatArray] = {}
    for rule in RULES:
        move = np.full(len(universe), np.nan)
        if rule is DeltaRule.MINIMUM_VARIANCE:
            for (underlying, sign), c in known.items():
                if underlying in universe.underlyings:
                    mine = (universe.underlying == universe.underlyings.index(underlying)) & (
                        now.sign == sign
                    )
                    move[mine] = minimum_variance_move(now.delta[mine], now.forward[mine], now.years[mine], c)
        else:
            move = vol_move(rule, universe.strike, now.forward, slope)
        result[rule] = now.delta + now.vega * move
    return result


def _hedges(valuation: Valuation) -> tuple[FloatArray, FloatArray]:
    """Per option: price of its coin's perpetual, and of the listed future of its own expiry, NaN without."""
    universe, forward = valuation.universe, valuation.forward
    perpetual = np.full(len(universe), np.nan)
    marked = (universe.kind == Kind.PERPETUAL) & (valuation.status == MarkStatus.OK)
    for u in range(len(universe.underlyings)):
        mine = universe.underlying == u
        if (marked & mine).any():
            perpetual[mine] = forward[np.flatnonzero(marked & mine)[0]]
    return perpetual, np.where(valuation.forward_source == ForwardKind.LISTED_FUTURE, forward, np.nan)


def _trial(
    universe: Universe,
    before: tuple[OptionMarks, dict[DeltaRule, FloatArray], FloatArray, FloatArray],
    after: OptionMarks,
    perpetual: FloatArray,
    future: FloatArray,
) -> Trial:
    first, deltas, perpetual_before, future_before = before
    usable = comparable(first, after)
    squares: dict[tuple[str, str, str, str], dict[DeltaRule, tuple[float, float, int]]] = {}
    for hedge, p0, p1 in (
        (HEDGES[0], perpetual_before, perpetual),
        (HEDGES[1], future_before, future),
    ):
        plain = hedge_errors(first, after, first.delta, p0, p1) / first.forward
        errors = {
            rule: hedge_errors(first, after, delta, p0, p1) / first.forward for rule, delta in deltas.items()
        }
        for key, rows in _cells(universe, first, usable & np.isfinite(plain)):
            cell = {}
            for rule, error in errors.items():
                both = rows[np.isfinite(error[rows])]
                cell[rule] = (float(error[both] @ error[both]), float(plain[both] @ plain[both]), both.size)
            squares[(*key, hedge)] = cell
    return Trial(after.now_ns // 86_400_000_000_000, squares)


def _cells(
    universe: Universe, first: OptionMarks, usable: Any
) -> Iterator[tuple[tuple[str, str, str], IntArray]]:
    """Rows by (underlying, side, delta bucket)."""
    for u, underlying in enumerate(universe.underlyings):
        for sign, side in ((1, "call"), (-1, "put")):
            mine = usable & (first.underlying == u) & (first.sign == sign)
            for low, high in BUCKETS:
                with np.errstate(invalid="ignore"):
                    rows = np.flatnonzero(mine & (np.abs(first.delta) >= low) & (np.abs(first.delta) < high))
                if rows.size:
                    yield (underlying, side, f"{100 * low:.0f}-{100 * high:.0f}"), rows


def document(found: list[Trial]) -> dict[str, Any]:
    """Gain of every rule over Black-Scholes by cell, with a 95 % interval from resampled days.

    A cell known on fewer than DAYS_MIN days has its gain, but no interval and no verdict.
    """
    days = sorted({trial.day for trial in found})
    place = {day: i for i, day in enumerate(days)}
    cells: dict[tuple[str, ...], FloatArray] = {}
    for trial in found:
        for key, by_rule in trial.squares.items():
            for rule, (ours, plain, count) in by_rule.items():
                for name in (key, (key[0], key[1], "all", key[3]), (key[0], "all", "all", key[3])):
                    cell = cells.setdefault((*name, str(rule)), np.zeros((len(days), 3)))
                    cell[place[trial.day]] += (ours, plain, count)
    draws = np.random.default_rng(SEED).integers(0, max(len(days), 1), (RESAMPLES, len(days)))
    weights = np.array([np.bincount(draw, minlength=len(days)) for draw in draws], dtype=np.float64)
    rows = [_row(key, cell, weights) for key, cell in sorted(cells.items())]
    result = {
        "measure": "gain = 1 - (sum of squared errors under the rule)/(under black_scholes), out of sample",
        "days": len(days),
        "days_min": DAYS_MIN,
        "trials": len(found),
        "interval": f"95 %, {RESAMPLES} resamples of whole days, seed {SEED}",
        "rows": rows,
    }
    return {**result, "conclusions": conclusions(result)}


def _row(key: tuple[str, ...], cell: FloatArray, weights: FloatArray) -> dict[str, Any]:
    ours, plain, count = cell.sum(axis=0)
    days = int((cell[:, 2] > 0.0).sum())
    low = high = gain = None
    verdict = "unknown"
    if plain > 0.0:
        gain = float(1.0 - ours / plain)
    if plain > 0.0 and days >= DAYS_MIN:
        sums = weights @ cell[:, :2]
        drawn = 1.0 - sums[:, 0] / np.where(sums[:, 1] > 0.0, sums[:, 1], np.nan)
        low, high = (float(x) for x in np.nanpercentile(drawn, [2.5, 97.5]))
        verdict = "wins" if low > 0.0 else "loses" if high < 0.0 else "no difference"
    names = ("underlying", "side", "delta", "hedge", "rule")
    sd = float(np.sqrt(plain / count)) if count else None
    return {
        **dict(zip(names, key, strict=True)),
        "pairs": int(count),
        "days": days,
        "gain": gain,
        "low": low,
        "high": high,
        "verdict": verdict,
        "sd_black_scholes": sd,
    }


def table(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Per underlying, side and hedge: every rule's gain over all deltas, with its interval and verdict."""
    columns = ["", "hedge", "rule", "pairs", "gain %", "95 %", "verdict"]
    rows = [
        [
            f"{r['underlying']} {r['side']}", r["hedge"], r["rule"], str(r["pairs"]),
            "-" if r["gain"] is None else f"{100 * r['gain']:z.1f}",
            "-" if r["low"] is None else f"{100 * r['low']:.0f}..{100 * r['high']:.0f}",
            r["verdict"],
        ]
        for r in result["rows"]
        if r["delta"] == "all"
    ]  # fmt: skip
    return columns, rows


def conclusions(result: dict[str, Any]) -> list[str]:
    """Which rule wins where, one sentence per underlying and hedge, from the verdicts alone."""
    said = []
    for underlying in sorted({r["underlying"] for r in result["rows"]}):
        for hedge in HEDGES:
            mine = [r for r in result["rows"] if (r["underlying"], r["hedge"]) == (underlying, hedge)]
            overall = [r for r in mine if r["side"] == "all" and r["delta"] == "all"]
            winners = [r["rule"] for r in overall if r["verdict"] == "wins"]
            losers = [r["rule"] for r in overall if r["verdict"] == "loses"]
            unknown = [r["rule"] for r in overall if r["verdict"] == "unknown"]
            text = f"{underlying} with the {hedge}: over all deltas "
            if len(unknown) == len(overall):
                text += f"there are too few days to tell, {DAYS_MIN} needed"
            else:
                text += f"{_listed(winners)} {'beat' if len(winners) > 1 else 'beats'} black_scholes"
                if losers:
                    text += f", {_listed(losers)} {'lose' if len(losers) > 1 else 'loses'} to it"
                if unknown:
                    text += f", too few days to tell for {_listed(unknown)}"
            buckets = [r for r in mine if r["side"] != "all" and r["delta"] != "all"]
            for rule in RULES:
                won = [
                    f"{r['side']}s {r['delta']} % ({100 * r['gain']:+z.0f} %)"
                    for r in buckets
                    if r["rule"] == str(rule) and r["verdict"] == "wins"
                ]
                if won:
                    text += f"; {rule} wins for {', '.join(won)}"
            said.append(text + ".")
    return said


def _listed(names: list[str]) -> str:
    """Names as a sentence has them.

    >>> _listed(["a", "b", "c"]), _listed([])
    ('a, b and c', 'nothing')
    """
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part) or "nothing"


def figures(result: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Gain by delta bucket, one chart per underlying and hedge."""
    from plotly.graph_objects import Figure

    made = []
    for underlying in sorted({r["underlying"] for r in result["rows"]}):
        for hedge in HEDGES:
            figure = Figure()
            for number, rule in enumerate(RULES):
                mine = [
                    r for r in result["rows"]
                    if (r["underlying"], r["hedge"], r["rule"]) == (underlying, hedge, str(rule))
                    and r["side"] != "all" and r["delta"] != "all" and r["gain"] is not None
                ]  # fmt: skip
                mine.sort(key=lambda r: (r["side"], float(r["delta"].split("-")[0])))
                figure.add_bar(
                    x=[f"{r['side']} {r['delta']}" for r in mine],
                    y=[100 * r["gain"] for r in mine],
                    error_y={
                        "type": "data", "symmetric": False,
                        "array": [_reach(r["gain"], r["high"]) for r in mine],
                        "arrayminus": [_reach(r["low"], r["gain"]) for r in mine],
                    },
                    name=str(rule), marker_color=COLOURS[number],
                )  # fmt: skip
            figure.update_yaxes(title="gain over Black-Scholes, %")
            figure.update_xaxes(title="side and |delta|, %")
            made.append(
                (
                    f"{underlying}, hedged with the {hedge}",
                    f"Above zero the rule left less variance than Black-Scholes. Bars: {result['interval']}.",
                    figure,
                )
            )
    return made


def _reach(low: float | None, high: float | None) -> float:
    """Length of an error bar in per cent, NaN (none is drawn) where an end is not known."""
    return float("nan") if low is None or high is None else 100 * (high - low)
