"""Bands set by hand against what the settings file says by now: at the first mark of a start, at a reload."""

from __future__ import annotations

import math
from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.by_hand import ByHand, HandBand, band_words, beside_file
from hedger.core.by_hand_file import file_band, file_words
from hedger.core.turn import Turn


def tell_by_hand(turn: Turn) -> None:
    """Say which bands of a person stand over a start."""
    for band in turn.state.by_hand.bands:
        turn.alert(Severity.NOTE, "BAND_BY_HAND", beside_file(band, _spot(turn, band)))


def drop_changed(turn: Turn) -> None:
    """A row of which the file says something else than when a person set its band is the file's again."""
    desk, kept = turn.settings.desk, list[HandBand]()
    for band in turn.state.by_hand.bands:
        now = file_band(desk, band.row)
        if now == band.file:
            kept.append(band)
            continue
        then, by_now = (file_words(file, band.row, _spot(turn, band)) for file in (band.file, now))
        text = f"{band_words(band)}; the file said {then}; it says {by_now} now, and that is in force"
        turn.alert(Severity.WARNING, "BAND_BY_FILE", text)
        turn.note(f"{band.row} is banded by the file again")
    if len(kept) < len(turn.state.by_hand.bands):
        turn.state = replace(turn.state, by_hand=ByHand(tuple(kept)))


def _spot(turn: Turn, band: HandBand) -> float:
    """The index of a row's coin at the last look, USD; NaN where there was none."""
    snapshot = turn.state.snapshot
    return math.nan if snapshot is None else snapshot.spot.get(band.row.split(":")[1], math.nan)
