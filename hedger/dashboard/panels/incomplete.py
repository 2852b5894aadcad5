"""What the figures of a panel leave out: positions without a worth, and indexes on which nothing is decided.

It stands on every panel that shows sums, above them: a sum that lacks something looks like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hedger.dashboard.sheet import Line, Section, Tone

Json = Mapping[str, Any]
TITLE = "NOT IN THESE FIGURES"


def texts(missing: Sequence[Json], bad_indexes: Sequence[str]) -> tuple[str, ...]:
    """They in words, a line each. missing: venue, symbol and reason of each."""
    return (
        *(f"{m['symbol']} on {m['venue']}: {m['reason']}" for m in missing),
        *(f"the index of {name} is bad: nothing is decided on it" for name in bad_indexes),
    )


def left_out(missing: Sequence[Json], bad_indexes: Sequence[str]) -> tuple[Section, ...]:
    """A section that names them; none where nothing is left out."""
    keys = [f"missing {m['venue']} {m['symbol']}" for m in missing] + [
        f"missing index {x}" for x in bad_indexes
    ]
    found = texts(missing, bad_indexes)
    lines = tuple(Line(key, (text,), Tone.BAD) for key, text in zip(keys, found, strict=True))
    return (Section(TITLE, (), lines),) if lines else ()
