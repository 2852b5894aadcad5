"""What the report's charts are made of: a chart, or why there is none; their colours and their axis of time.

Each comes with a title that says what is to be seen, in a sentence with its figure, and a caption that says
how to read it. A chart without anything to draw is left out, and the page says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from hedger.report.words import times
from hedger.studies.picture import COLOURS

Json = dict[str, Any]
Tables = dict[str, pl.DataFrame]
BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK = COLOURS
KIND_COLOURS = {"spot": AMBER, "perpetual": BLUE, "future": SKY, "option": PINK}


@dataclass(frozen=True, slots=True)
class Chart:
    """name: what it is called in the file. traces: of its figure that have something to draw."""

    name: str
    title: str
    caption: str
    figure: Any

    @property
    def traces(self) -> int:
        """Traces of the figure."""
        return len(self.figure.data)


@dataclass(frozen=True, slots=True)
class Absent:
    """A chart that could not be drawn, and why."""

    name: str
    title: str
    why: str


Drawn = Chart | Absent


def dated(figure: Any, document: Json) -> None:
    """Give a figure the record's whole time, so that charts can be read one above the other."""
    journal = document["journal"]
    ends = times([journal["from_ns"], max(journal["to_ns"], journal["from_ns"] + 1_000_000_000)])
    room = 0.01 * (ends[1] - ends[0])
    figure.update_xaxes(type="date", range=[ends[0] - room, ends[1] + room])


def within(document: Json, begins: list[int], step_ns: int, share: float) -> Json:
    """Where bars of equal spans stand on the record's axis of time, a share of their span wide; of the first
    and the last span what lies in the record."""
    journal = document["journal"]
    lows = [max(begin, journal["from_ns"]) for begin in begins]
    highs = [min(begin + step_ns, journal["to_ns"]) for begin in begins]
    widths = times([max(high - low, 1) for low, high in zip(lows, highs, strict=True)])
    return {"x": times(lows), "width": widths * share, "offset": widths * (1 - share) / 2}
