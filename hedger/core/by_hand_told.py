"""Bands set by hand against what the settings file says by now: at the first mark of a start, at a reload."""

from __future__ import annotations

from dataclasses import replace

from hedger.core.actions import Severity
from hedger.core.by_hand import ByHand, HandBand, band_words, said_by_file
from hedger.core.state import frozen
from hedger.core.turn import Turn


def keep_by_hand(turn: Turn, bands: ByHand) -> None:
    """Put them in force, and no others."""
    turn.state = replace(turn.state, by_hand=bands, overrides=frozen(bands.overrides))


def tell_by_hand(turn: Turn) -> None:
    """Say which bands of a person stand over a start, and follow the file where it has changed since."""
    drop_changed(turn)
    for band in turn.state.by_hand.bands:
        turn.alert(Severity.NOTE, "BAND_BY_HAND", f"{band_words(band)}; the file says {band.file}")


def drop_changed(turn: Turn) -> None:
    """A row of which the file says something else than when a person set its band is the file's again."""
    desk, kept = turn.settings.desk, list[HandBand]()
    for band in turn.state.by_hand.bands:
        now = said_by_file(desk, band.row)
        if now == band.file:
            kept.append(band)
            continue
        text = f"{band_words(band)}; the file said {band.file}; it says {now} now, and that is in force"
        turn.alert(Severity.WARNING, "BAND_BY_FILE", text)
        turn.note(f"{band.row} is banded by the file again")
    if len(kept) < len(turn.state.by_hand.bands):
        keep_by_hand(turn, ByHand(tuple(kept)))
