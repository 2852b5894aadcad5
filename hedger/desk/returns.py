"""Past returns by coin, for value at risk: from a tape, a file of prices, or a file of returns.

- a tape (folder): the index of every batch, over windows of the horizon that begin at each batch;
- prices (CSV or parquet): `ts` (UTC), `open`, optional `symbol` (BTCUSDT, ETH-PERPETUAL, ..), likewise;
- returns (CSV or parquet): a column per coin named as the coin, a row per outcome, -0.1 = -10 %; the horizon
  is whatever they were made of.

Windows overlap, so that none is left out for where the clock began; how many fit side by side is told, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hedger.studies.chain_inputs import read_perp
from hedger.table_files import UNREADABLE, read_table
from pricing.errors import InputError
from pricing.market import Market
from pricing.universe import FloatArray, IntArray
from venues.tape import Tape

NOTHING = "nothing was valued"
#: A window ends at what is nearest to the horizon, and may be so many times as long or as short: snapshots
#: come a little early or late. Where the data has a gap it is no return.
GAP_MAX = 1.25
_NS_PER_H = 3.6e12


@dataclass(frozen=True, slots=True, eq=False)
class Returns:
    """moves: by coin, (n,), the i-th of all coins together. horizon_h: None where the file does not say.
    apart: how many windows fit side by side; None likewise."""

    source: str
    moves: Mapping[str, FloatArray]
    horizon_h: float | None
    apart: int | None

    @property
    def count(self) -> int:
        """How many outcomes."""
        return next((len(x) for x in self.moves.values()), 0)


def read_returns(path: Path, underlyings: Sequence[str], horizon_h: float, age_s_max: float) -> Returns:
    """Returns of coins over a horizon; a coin that the file does not tell is left out of `moves`.

    Raises:
        InputError: the file cannot be used; file and place are named.
    """
    if path.is_dir():
        return _windows(str(path), _indexes(Tape.open(path), underlyings, age_s_max), horizon_h)
    table = _table(path)
    if not table.height:
        raise _refusal(
            "RETURNS_EMPTY",
            "the file of returns has no rows",
            str(path),
            f"columns {', '.join(table.columns)}; 0 rows",
            "rows below the names of the columns: prices, or a row an outcome",
        )
    if {"ts", "open"} <= set(table.columns):
        series = read_perp(path, underlyings, NOTHING) if underlyings else {}
        told = {name: (x.at, x.value) for name, x in series.items()}
        return _windows(str(path), told, horizon_h)
    return _given(table, path, underlyings)


def _table(path: Path) -> pl.DataFrame:
    try:
        return read_table(path, NOTHING)
    except UNREADABLE as problem:
        raise InputError(
            "RETURNS_UNREADABLE",
            "the returns cannot be read",
            where=str(path),
            observed=" ".join(str(problem).split()),
            allowed="a tape folder, or a CSV or parquet file of prices (ts, open, symbol) or of returns",
            not_done=NOTHING,
            fix="name another file with --returns",
        ) from None


def _given(table: pl.DataFrame, path: Path, underlyings: Sequence[str]) -> Returns:
    names = [name for name in underlyings if name in table.columns]
    if underlyings and not names:
        raise _refusal(
            "RETURNS_COLUMNS",
            "the file tells no return of any coin of the book",
            str(path),
            f"columns {', '.join(table.columns)}; {table.height} rows",
            f"a column named {' or '.join(underlyings)}, and a row an outcome",
        )
    moves = {}
    for name in names:
        if not table.schema[name].is_numeric():
            raise _refusal(
                "RETURNS_TYPE",
                "a column of returns holds no numbers",
                f"{path}, column {name}",
                str(table.schema[name]),
                "numbers, -0.1 = -10 %",
            )
        column = table[name].cast(pl.Float64).to_numpy()
        bad = ~(np.isfinite(column) & (column > -1.0) & (column < 10.0))
        if bad.any():
            at = int(np.argmax(bad))
            raise _refusal(
                "RETURNS_VALUE",
                "no return",
                f"{path}, row {at + 1}, column {name}",
                str(column[at]),
                "a number above -1 and below 10, -0.1 = -10 %",
            )
        moves[name] = column
    return Returns(str(path), moves, None, None)


def _indexes(
    tape: Tape, underlyings: Sequence[str], age_s_max: float
) -> dict[str, tuple[IntArray, FloatArray]]:
    """The index of each coin at every batch that tells it."""
    found: dict[str, tuple[list[int], list[float]]] = {name: ([], []) for name in underlyings}
    market = Market.empty(tape.universe)
    places = {n: tape.universe.underlyings.index(n) for n in underlyings if n in tape.universe.underlyings}
    for marks in tape.marks():
        market = market.apply(marks)
        spot = market.spot(age_s_max)
        for name, u in places.items():
            times, values = found[name]
            if np.isfinite(spot[u]) and (not times or marks.now_ns > times[-1]):
                times.append(marks.now_ns)
                values.append(float(spot[u]))
    return {
        name: (np.array(times, dtype=np.int64), np.array(values))
        for name, (times, values) in found.items()
        if times
    }


def _windows(source: str, told: Mapping[str, tuple[IntArray, FloatArray]], horizon_h: float) -> Returns:
    """Returns over the horizon from every moment that all coins tell."""
    if not told:
        return Returns(source, {}, horizon_h, 0)
    common = sorted(set.intersection(*(set(at.tolist()) for at, _ in told.values())))
    times = np.array(common, dtype=np.int64)
    span = horizon_h * _NS_PER_H
    after = np.minimum(np.searchsorted(times, times + round(span), side="left"), times.size - 1)
    early = times + round(span) - times[after - 1] < np.abs(times[after] - times - round(span))
    nearest = np.where(early, after - 1, after)
    taken = times[nearest] - times
    begins = np.flatnonzero((taken >= span / GAP_MAX) & (taken <= span * GAP_MAX))
    ends = nearest[begins]
    moves = {}
    for name, (at, value) in told.items():
        price = value[np.searchsorted(at, times)]
        moves[name] = price[ends] / price[begins] - 1.0
    apart, free_ns = 0, -1
    for start, end in zip(times[begins].tolist(), times[ends].tolist(), strict=True):
        if start >= free_ns:
            apart, free_ns = apart + 1, end
    return Returns(source, moves, horizon_h, apart)


def _refusal(code: str, what: str, where: str, observed: str, allowed: str) -> InputError:
    return InputError(
        code, what, where=where, observed=observed, allowed=allowed, not_done=NOTHING, fix="correct the file"
    )
