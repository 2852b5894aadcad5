"""What a verb reads before the pure half is called: the settings, and a book in the market of a tape.

Heavy imports stand inside the function that needs them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pricing.errors import InputError

if TYPE_CHECKING:
    from hedger.problem.snapshot import Snapshot
    from hedger.problem.valuing import DeltaHistory
    from hedger.settings import Settings
    from pricing.market import Market
    from pricing.oracle import GoodIndex
    from risk.band_schedule import PriceHistory
    from risk.bands import Interval
    from risk.factor_history import FactorHistory
    from venues.tape import Tape

#: How far back the indexes are followed, against whose last good value the present one may have jumped.
LOOK_BACK_S = 3600
LOOK_BACK_MAX = 60


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings of --config, with the numeraire of the command line."""
    return settings_from(arguments.config, getattr(arguments, "numeraire", None))


def settings_from(config: Path | None, numeraire: str | None) -> Settings:
    """The settings of a file, with another numeraire where one is named."""
    from hedger.config import load

    return load(config, {"numeraire": numeraire} if numeraire else None).settings


class Stages:
    """Milliseconds per stage, by name."""

    def __init__(self) -> None:
        self.last = time.perf_counter()
        self.ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Note the time since the last stage."""
        now = time.perf_counter()
        self.ms[stage] = (now - self.last) * 1e3
        self.last = now


def snapshot_at(
    tape: Tape, file: Path, at: str | None, settings: Settings, stages: Stages, band: Sequence[str] = ()
) -> tuple[Snapshot, Mapping[str, PriceHistory]]:
    """The book of a file in the market of the tape, and the indexes before it. at: a time in words, None: the
    last; band: of rows for a trial, as `parse_band` reads them."""
    from hedger.inputs import parse_time, read_book
    from hedger.problem.snapshot import take_snapshot
    from hedger.problem.valuing import valuation_rules
    from risk.exposures import row_names
    from risk.scenarios import scenario_row

    market = tape.market_at(None if at is None else parse_time(at))
    universe = settings.with_fees(market.universe)
    if universe is not market.universe:
        from dataclasses import replace

        market = replace(market, universe=universe)
    stages.lap("read_market")
    book = read_book(file, universe, market.now_ns)
    stages.lap("read_book")
    names = [scenario.name for scenario in settings.scenarios]
    shocked = tuple(scenario_row(u, name) for u in universe.underlyings for name in names)
    rows = row_names(universe.underlyings) + shocked
    trials = [parse_band(text, rows) for text in band]
    bands = dict(trials)
    if len(bands) < len(trials):
        names = [name for name, _ in trials]
        raise InputError(
            "BAND_TWICE",
            "a row's band is given twice",
            where="--band",
            observed=next(name for name in names if names.count(name) > 1),
            allowed="each row once",
            not_done="nothing was planned",
            fix="leave one of them",
        )
    history = _index_history(tape, market.now_ns, settings)
    rules = valuation_rules(market, settings, _delta_history(tape, market.now_ns, settings))
    snapshot = take_snapshot(
        book,
        market,
        settings,
        bands,
        rules=rules,
        last_good=_last_good(tape, market, settings),
        history=history,
    )
    stages.lap("value_and_expose")
    return snapshot, history


def _last_good(tape: Tape, market: Market, settings: Settings) -> dict[str, GoodIndex]:
    """Each underlying's last index that was not bad, from the batches before the market's.

    They are judged in order, each against what was good before it, so that a jump stays bad until something
    confirms it: the batches of the last hour (at most 60, evenly spread) and the one before those.
    """
    import numpy as np

    from pricing.oracle import read_index, remember

    before = np.unique(tape.batches.now_ns[tape.batches.now_ns < market.now_ns])
    recent = before[before >= market.now_ns - LOOK_BACK_S * 1_000_000_000]
    picked = recent[np.unique(np.linspace(0, recent.size - 1, min(recent.size, LOOK_BACK_MAX)).astype(int))]
    found: dict[str, GoodIndex] = {}
    for now_ns in [*before[before.size - recent.size - 1 :][: before.size > recent.size], *picked]:
        readings = read_index(tape.market_at(int(now_ns)), settings.oracle_settings(), found)
        found = remember(found, readings, int(now_ns))
    return found


def _index_history(tape: Tape, now_ns: int, settings: Settings) -> Mapping[str, PriceHistory]:
    """The indexes before now that bands and triggers ask for; nothing where none looks back."""
    from hedger.problem.live_bands import index_history
    from risk.band_schedule import NO_HISTORY

    hours = settings.look_back_h()
    return index_history(tape.marks(), tape.universe, now_ns, hours) if hours else NO_HISTORY


def _delta_history(tape: Tape, now_ns: int, settings: Settings) -> DeltaHistory | None:
    """What the minimum-variance delta learns from the tape up to now; None for the other rules."""
    from hedger.problem.valuing import DeltaHistory, learn
    from pricing.delta_rules import DeltaRule
    from pricing.market import Market

    if settings.delta_rule is not DeltaRule.MINIMUM_VARIANCE:
        return None
    oldest = now_ns - round(settings.minimum_variance.window_days * 86_400e9)
    history, market = DeltaHistory(), Market.empty(settings.with_fees(tape.universe))
    for marks in tape.marks():
        if marks.now_ns > now_ns:
            break
        market = market.apply(marks)
        if marks.now_ns > oldest:
            history = learn(history, market, settings)
    return history


def factors_before(tape: Tape, snapshot: Snapshot, settings: Settings) -> FactorHistory | None:
    """Where the risk factors of the book's underlyings stood before now; None where nothing asks for them."""
    from hedger.problem.risk_term import remember
    from pricing.market import Market
    from risk.factor_history import FactorHistory

    now_ns = snapshot.market.now_ns
    if not settings.objective.looks_back:
        return None
    term = settings.risk_term
    oldest = now_ns - round((term.window_days + 2.0 * term.step_h / 24.0) * 86_400e9)
    history, market = FactorHistory(snapshot.underlyings), Market.empty(snapshot.market.universe)
    for marks in tape.marks():
        if marks.now_ns >= now_ns:
            break
        market = market.apply(marks)
        if marks.now_ns > oldest:
            history = remember(history, market, settings)
    return history


def parse_band(text: str, rows: Sequence[str]) -> tuple[str, tuple[Interval, Interval]]:
    """`ROW=LO,HI/LO,HI`: trigger and landing of a row, an empty number being an open side.

    >>> parse_band("delta:BTC=-1,1/-0.5,", ["delta:BTC"])
    ('delta:BTC', ((-1.0, 1.0), (-0.5, inf)))
    """
    from risk.interval_words import parse_edges

    name, _, written = text.partition("=")
    edges = parse_edges(written)
    if edges is None:
        raise InputError(
            "BAND_SYNTAX",
            "not a band",
            where="--band",
            observed=repr(text),
            allowed="ROW=LO,HI/LO,HI, trigger then landing, an empty number being an open side",
            not_done="nothing was planned",
            fix="for example --band delta:BTC=-1.5,1.5/-0.7,0.7",
        )
    if name not in rows:
        raise InputError(
            "BAND_ROW",
            "no such row",
            where="--band",
            observed=repr(name),
            allowed=", ".join(rows),
            not_done="nothing was planned",
            fix="name a row as `hedger risk --json` does",
        )
    return name, edges
