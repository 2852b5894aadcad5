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
from hedger.core.by_hand_told import drop_changed, tell_by_hand
from hedger.core.fees import price_fees
from hedger.core.flattening import flat_bands
from hedger.core.footing import footing_of
from hedger.core.glance import ROWS_MAX, Glance, look, stamped
from hedger.core.ledger import accrued_since, averages_with, new_day, pass_time
from hedger.core.legs import widths
from hedger.core.state import Counters, Mode, State, frozen, with_counts
from hedger.core.turn import Turn
from hedger.core.wallet import open_wallet, wallet_loss_usd
from hedger.policy.pace import advance_at_rest
from hedger.problem.snapshot import (
    BandOverrides,
    Snapshot,
    equity_range_usd,
    equity_usd,
    take_snapshot,
    underlyings_of,
)
from hedger.problem.unindexed import unindexed
from hedger.sections.policy import PolicyConfig
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.errors import HedgerError
from pricing.market import Market, Marks
from pricing.oracle import GoodIndex, remember
from risk.band_schedule import PriceHistory

#: So many values of an index are kept at most for what looks back: a week every ten minutes.
INDEXES_KEPT = 1000
_COLUMNS = tuple(f.name for f in fields(Marks) if f.name not in ("seq", "now_ns", "depth"))


def on_marks(turn: Turn, marks: Marks) -> bool:
    """Take a batch in and value the book; False where the batch or the book makes no sense."""
    state = turn.state
    fault = fault_of(marks, state.market)
    if fault:
        turn.alert(Severity.WARNING, "MARKS_INVALID", f"a batch of marks was thrown away: {fault}")
        return False
    # Time is the engine's: a batch that is stamped otherwise, even backwards, is a batch of now.
    marks = stamped(marks, turn.event.now_ns)
    new_day(turn)
    first = state.marked_ns is None  # of a start
    if first:
        drop_changed(turn)
    before = turn.state.market
    market = before.apply(marks)
    averages = {key: total / n for key, (total, n) in state.averages.items()}
    market = replace(market, settlement_average=averages)
    age = turn.settings.desk.age_s_max
    turn.state = replace(
        turn.state, market=market, averages=frozen(averages_with(dict(state.averages), market, age))
    )
    pass_time(turn, before)
    valued = value_book(turn)
    if first:
        tell_by_hand(turn)
    return valued


def look_again(turn: Turn) -> bool:
    """Value the book by what is known of the market, without new marks; False where it makes no sense.

    What has grown too old by now is so: an index or a quote beyond its age counts for nothing.
    """
    new_day(turn)
    before = turn.state.market
    turn.state = replace(turn.state, market=replace(before, now_ns=turn.event.now_ns))
    pass_time(turn, before)
    return value_book(turn)


def glance_of(turn: Turn, marks: Marks) -> Glance | None:
    """The book at a glance, where a few perpetuals and options are quoted anew; None where the full look is
    due."""
    state, seen, desk = turn.state, turn.state.seen, turn.settings.desk
    if (
        seen is None
        or fault_of(marks, state.market)
        or state.execution is not None
        or state.asked_for
        or state.moved is not None
    ):
        return None
    marks = stamped(marks, turn.event.now_ns)
    if seen.market is not state.market or state.seen_under is not state.overrides:
        return None
    if isinstance(seen, Glance):
        if seen.footing.base.book is not state.book or seen.footing.desk is not desk:
            return None
        return look(seen.footing, seen, state.market, marks, state.last_good)
    kinds = state.market.universe.kind[marks.rows]
    few = marks.rows.size <= ROWS_MAX and ((kinds == Kind.PERPETUAL) | (kinds == Kind.OPTION)).all()
    if seen.book is not state.book or not few:
        return None
    footing = footing_of(seen, desk, state.overrides)
    return None if footing is None else look(footing, None, state.market, marks, state.last_good)


def take(turn: Turn, glance: Glance) -> bool:
    """The state after a glance: all that the event and the full look would have changed. Whether the policy
    has its answer as well: nothing is due while every row is inside its landing."""
    state, now_ns = turn.state, turn.event.now_ns
    names, memory, calm = state.market.universe.underlyings, state.memory, glance.footing.calm
    rested = advance_at_rest(memory, now_ns) if glance.inside and calm is not None else None
    if rested is not None and calm is not None:
        memory, turn.trigger = rested, calm
    turn.state = state.having(
        seq=turn.event.seq,
        now_ns=max(state.now_ns, now_ns),
        monotonic_ns=max(state.monotonic_ns, turn.now),
        memory=memory,
        market=glance.market,
        seen=glance,
        accrued=accrued_since(turn, state.market, glance.footing.funded),
        marked_ns=turn.now,
        last_good={name: GoodIndex(x, now_ns) for name, x in zip(names, glance.spot.tolist(), strict=True)},
        counters=_worth(state.counters, glance.equity_usd, glance.equity_usd, glance.equity_usd),
    )
    return rested is not None


def _worth(counters: Counters, equity: float, low: float, high: float) -> Counters:
    """The day's counters with what the book is worth, USD: exactly (NaN: not known), at least, at most."""
    opened = equity if not np.isfinite(counters.equity_open_usd) else counters.equity_open_usd
    most = high if not np.isfinite(counters.equity_open_high_usd) else counters.equity_open_high_usd
    return with_counts(
        counters,
        equity_open_usd=opened,
        equity_usd=equity,
        equity_low_usd=low,
        equity_high_usd=high,
        equity_open_high_usd=most,
    )


def fault_of(marks: Marks, market: Market) -> str:
    """Why a batch cannot be taken in, "" where it can."""
    k, n = marks.rows.size, len(market.universe)
    for name in _COLUMNS:
        column = getattr(marks, name)
        if column.shape != (k,):
            return f"{name} has shape {column.shape} beside {k} rows"
    rows = marks.rows.tolist()
    if k and not (min(rows) >= 0 and max(rows) < n):
        return f"rows {min(rows)} to {max(rows)} of a market of {n} listings"
    wrong = [row for row in marks.depth if not 0 <= row < n]
    return f"depth of row {wrong[0]} of a market of {n} listings" if wrong else ""


def value_book(turn: Turn) -> bool:
    """Value the book in the market as it stands; False where it cannot be: then nothing is sent any more."""
    state = turn.state
    try:
        snapshot = snapshot_of(state, turn.settings.desk, state.overrides)
        width = None
        if state.asked_for == "flatten":
            width = widths(snapshot.bands)
            narrow = flat_bands(snapshot, turn.settings.desk, state.scope)
            snapshot = snapshot_of(state, turn.settings.desk, {**state.overrides, **narrow})
    except HedgerError as error:
        if not state.fault:
            turn.alert(Severity.CRITICAL, "BOOK_NOT_VALUED", error.text())
        turn.state = replace(turn.state, seen=None, moved=None, fault=error.text())
        if state.mode.sends:
            turn.turn_to(Mode.HALTED, "the book cannot be valued")
        return False
    open_wallet(turn, snapshot.spot)
    counters, book, universe = turn.state.counters, state.book, state.market.universe
    aside = unindexed(book, universe)
    equity = equity_usd(snapshot, aside)
    low, high = equity_range_usd(snapshot, turn.settings.desk.missing_settings(), aside)
    counters = price_fees(counters, {**dict(counters.worth_at_most), **snapshot.spot})
    counters = replace(counters, wallet_loss_usd=wallet_loss_usd(counters, book, universe))
    turn.state = replace(
        turn.state,
        seen=snapshot,
        seen_under=None if state.asked_for == "flatten" else state.overrides,
        moved=None,
        width=width,
        fault="",
        last_good=remember(state.last_good, snapshot.readings.values(), turn.event.now_ns),
        regimes=frozen({**state.regimes, **snapshot.regimes}),
        indexes=_indexes(turn, snapshot),
        counters=_worth(counters, equity, low, high),
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
