"""The strip of the demo: where its story is, by what the feed has read. It waits for nothing and nobody."""

from __future__ import annotations

import textwrap
from collections import Counter

from hedger.dashboard.feed import Feed
from hedger.dashboard.sheet import Tone
from hedger.demo.tale import Place, StorySoFar, after, moved, seen, told

LINES = 3


class Narrator:
    """Looks at a feed now and then and tells the story. report: where it will lie, in words."""

    def __init__(self, report: str) -> None:
        self.story, self.place = StorySoFar(report), Place()
        self._number = 0

    def look(self, feed: Feed, now_s: float) -> str:
        """What is to be told now. now_s: of a clock that only goes forward."""
        for decision in tuple(feed.decided.told):
            if decision.record > self._number:
                self._number = decision.record
                self.story = after(self.story, decision.document)
        counts = Counter(report.client_id for report in feed.fills)
        self.story = seen(self.story, tuple(feed.orders.orders.values()), counts)
        self.place = moved(self.place, self.story, now_s)
        return told(self.place, self.story)


def strip(text: str, width: int) -> list[tuple[str, Tone]]:
    """The story in the lines of the strip, each begun by a mark that no panel has."""
    lines = textwrap.wrap(text, max(width - 2, 20), break_on_hyphens=False)[:LINES]
    return [(f"» {line}", Tone.HEAD) for line in lines]
