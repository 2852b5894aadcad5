"""From a batch of marks to a valued book: what every mark does before anything is decided.

Poisoned batches are thrown away as a whole and told: rows that no listing has, columns of unequal length.
Single bad numbers are the market's own affair: a NaN, a crossed book or a leaping index make listings
unusable or an index bad, and nothing is decided on those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from hedger.core.actions import Severity
from hedger.core.ledger import averages_with, new_day, pass_time
from hedger.core.state import Mode, State, frozen
from hedger.core.turn import Turn
from hedger.problem.snapshot import BandOverrides, Snapshot, equity_usd, take_snapshot, underlyings_of
from hedger.sections.policy import PolicyConfig
from hedger.settings import Settings
from pricing.errors import HedgerError
from pricing.market import Market, Marks
from pricing.oracle import remember
from risk.band_schedule import PriceHistory
from risk.bands import Interval

#: So many values of an index are kept at most for what looks back: a week every ten minutes.
INDEXES_KEPT = 1000


def on_marks(turn: Turn, marks: Marks) -> bool:
    """Take a batch in and value the book; False where the batch or the book makes no sense."""
    state = turn.state
    fault = fault_of(marks, state.market)
    if fault:
        turn.alert(Severity.WARNING, "MARKS_INVALID", f"a batch of marks was thrown away: {fault}")
        return False
    new_day(turn)
    before = turn.state.market
    # Time is the engine's: a batch that is stamped otherwise, even backwards, is a batch of now.
    market = before.apply(replace(marks, now_ns=turn.event.now_ns))
    averages = {key: total / n for key, (total, n) in state.averages.items()}
    market = replace(market, settlement_average=averages)
    age = turn.settings.desk.age_s_max
    turn.state = replace(
        turn.state, market=market, averages=frozen(averages_with(dict(state.averages), market, age))
    )
    pass_time(turn, before)
    return value_book(turn)


def fault_of(marks: Marks, market: Market) -> str:
    """Why a batch cannot be taken in, "" where it can."""
    k, n = marks.rows.size, len(market.universe)
    for field in fields(Marks):
        column = getattr(marks, field.name)
        if isinstance(column, np.ndarray) and column.shape != (k,):
            return f"{field.name} has shape {column.shape} beside {k} rows"
    if k and not (int(marks.rows.min()) >= 0 and int(marks.rows.max()) < n):
        return f"rows {int(marks.rows.min())} to {int(marks.rows.max())} of a market of {n} listings"
    wrong = [row for row in marks.depth if not 0 <= row < n]
    return f"depth of row {wrong[0]} of a market of {n} listings" if wrong else ""


def value_book(turn: Turn) -> bool:
    """Value the book in the market as it stands; False where it cannot be: then nothing is sent any more."""
    state = turn.state
    try:
        snapshot = snapshot_of(state, turn.settings.desk, state.overrides)
        if state.asked_for == "flatten":
            narrow = flat_bands(snapshot, turn.settings.desk.execution.flatten_share, state.scope)
            snapshot = snapshot_of(state, turn.settings.desk, {**state.overrides, **narrow})
    except HedgerError as error:
        if not state.fault:
            turn.alert(Severity.CRITICAL, "BOOK_NOT_VALUED", error.text())
        turn.state = replace(turn.state, snapshot=None, moved=None, fault=error.text())
        if state.mode.sends:
            turn.turn_to(Mode.HALTED, "the book cannot be valued")
        return False
    equity = equity_usd(snapshot)
    counters = state.counters
    opened = equity if not np.isfinite(counters.equity_open_usd) else counters.equity_open_usd
    turn.state = replace(
        turn.state,
        snapshot=snapshot,
        moved=None,
        fault="",
        last_good=remember(state.last_good, snapshot.readings.values(), turn.event.now_ns),
        regimes=frozen({**state.regimes, **snapshot.regimes}),
        indexes=_indexes(turn, snapshot),
        counters=replace(counters, equity_open_usd=opened, equity_usd=equity),
    )
    return True


def snapshot_of(state: State, settings: Settings, overrides: BandOverrides) -> Snapshot:
    """The book of a state, valued.

    Raises:
        HedgerError: a position is not among the listings, or a band makes no sense for this book.
    """
    known = underlyings_of(state.book, state.market, settings)
    mine = {row: bands for row, bands in overrides.items() if row.split(":")[1] in known}
    return take_snapshot(
        state.book,
        state.market,
        settings,
        mine,
        marked=True,
        last_good=state.last_good,
        history=price_history(state),
        regimes=state.regimes,
    )


def flat_bands(snapshot: Snapshot, share: float, scope: str) -> Mapping[str, tuple[Interval, Interval]]:
    """Bands about zero for every banded row, of one underlying or of all: a share of those in force, and not
    narrower than what the lots can meet."""
    bands, exposure = snapshot.bands, snapshot.exposure
    universe = snapshot.market.universe
    with np.errstate(invalid="ignore"):
        steps = np.abs(exposure.traded) * universe.lot
    smallest = np.min(np.where(steps > 0, steps, np.inf), axis=1, initial=np.inf)
    found = {}
    for i in np.flatnonzero(bands.banded).tolist():
        row = exposure.rows[i]
        if row.startswith("pnl") or (scope and row.split(":")[1] != scope):
            continue
        edges = [x for x in (bands.trigger_lower[i], bands.trigger_upper[i]) if np.isfinite(x)]
        step = float(smallest[i]) if np.isfinite(smallest[i]) else 0.0
        half = max(share * max(abs(x - bands.target[i]) for x in edges), 4.0 * step)
        found[row] = ((-half, half), (-0.5 * half, 0.5 * half))
    return found


def price_history(state: State) -> dict[str, PriceHistory]:
    """The indexes seen, as bands and triggers take them."""
    return {
        name: PriceHistory(np.array([t for t, _ in seen], dtype=np.int64), np.array([x for _, x in seen]))
        for name, seen in state.indexes.items()
    }


def _look_back_s(settings: Settings) -> float:
    """How far back bands and triggers look, seconds; 0 where none does."""
    windows = [settings.vol_window_h() * 3600.0]
    windows += [_window_s(settings.policy)]
    return max(windows)


def _window_s(policy: PolicyConfig) -> float:
    moves = [c.realised_move for c in policy.when.each() if c.realised_move is not None]
    return max((move.window_min * 60.0 for move in moves), default=0.0)


def _indexes(turn: Turn, snapshot: Snapshot) -> Mapping[str, tuple[tuple[int, float], ...]]:
    """The indexes seen, with this mark's: as far back as anything looks, and not more often than needed."""
    state, back_s = turn.state, _look_back_s(turn.settings.desk)
    if back_s == 0.0:
        return state.indexes
    now_ns = turn.event.now_ns
    oldest, apart = now_ns - round(back_s * 1.1e9), round(back_s * 1e9) // INDEXES_KEPT
    found = dict(state.indexes)
    for name, reading in snapshot.readings.items():
        seen = found.get(name, ())
        if np.isfinite(reading.value) and (not seen or now_ns - seen[-1][0] >= apart):
            first = next((i for i, (t, _) in enumerate(seen) if t >= oldest), len(seen))
            found[name] = (*seen[first:], (now_ns, reading.value))
    return frozen(found)
