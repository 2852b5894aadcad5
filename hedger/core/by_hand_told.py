"""Bands set by hand against what the settings file says by now: at the first mark of a start, at a reload."""

from __future__ import annotations

import math
from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.by_hand import ByHand, HandBand, band_words, beside_file
from hedger.core.by_hand_file import file_band, file_words
from hedger.core.state import State
from hedger.core.turn import Turn
from hedger.problem.band_room import tight_bands


def tell_by_hand(turn: Turn) -> None:
    """Say which bands of a person stand over a start."""
    for band in turn.state.by_hand.bands:
        turn.alert(Severity.NOTE, "BAND_BY_HAND", beside_file(band, spot_of(turn.state, band.row)))


def drop_changed(turn: Turn) -> None:
    """A row of which the file says something else than when a person set its band is the file's again."""
    desk, kept = turn.settings.desk, list[HandBand]()
    for band in turn.state.by_hand.bands:
        now = file_band(desk, band.row)
        if now == band.file:
            kept.append(band)
            continue
        spot = spot_of(turn.state, band.row)
        then, by_now = (file_words(file, band.row, spot) for file in (band.file, now))
        text = f"{band_words(band)}; the file said {then}; it says {by_now} now, and that is in force"
        turn.alert(Severity.WARNING, "BAND_BY_FILE", text)
        turn.note(f"{band.row} is banded by the file again")
    if len(kept) < len(turn.state.by_hand.bands):
        turn.state = replace(turn.state, by_hand=ByHand(tuple(kept)))


def spot_of(state: State, row: str) -> float:
    """The index of a row's coin at the last look, USD; NaN where there was none."""
    return math.nan if state.snapshot is None else state.snapshot.spot.get(row.split(":")[1], math.nan)


def tell_tight(turn: Turn) -> None:
    """Say which bands in force lots cannot land in; a band by hand like that is refused when it is set."""
    snapshot = turn.state.snapshot
    if snapshot is None or turn.state.asked_for == "flatten":
        return
    for tight in tight_bands(snapshot, turn.settings.desk):
        text = f"{tight.row} would be hedged without end: {tight.words}"
        turn.alert(Severity.WARNING, "BAND_NARROW", text)
