"""What waits for the engine. Marks are conflated, the newest of every listing; everything else is kept, in
order.

The engine takes at its own pace. Quotes that were overtaken before it came to them are of no use any more,
so of each listing only the newest waits, and the others are counted. Executions, order news, answers and
commands are facts: none is ever dropped or overtaken by another. They go before marks, since a book that
knows of its fills is worth more than a newer price.

Bounded: marks by the number of listings; the rest by `facts_max`, beyond which `full` asks whoever puts to
wait. A fact that comes all the same is taken: losing a fill is worse than using memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from hedger.core.events import Command, Happening, Verb
from pricing.market import Depth, Marks

FACTS_MAX = 10_000

_COLUMNS = tuple(f.name for f in fields(Marks) if f.name not in ("seq", "now_ns", "rows", "depth"))


def _nobody() -> None:
    """Nobody waits."""


@dataclass(slots=True)
class InboxCounts:
    """Since the start. rows: quotes put in; conflated: of them, those overtaken by newer ones of the same
    listing; late: those that came after newer ones; batches and facts: taken out."""

    rows: int = 0
    conflated: int = 0
    late: int = 0
    batches: int = 0
    facts: int = 0
    facts_waiting_most: int = 0


class Inbox:
    """What waits. wake: called after each `put`, so that a loop can sleep meanwhile."""

    def __init__(self, facts_max: int = FACTS_MAX, wake: Callable[[], None] = _nobody) -> None:
        self._facts: deque[Happening] = deque()
        self._marks: Marks | None = None
        self._facts_max = facts_max
        self.wake = wake
        self.counts = InboxCounts()

    def __len__(self) -> int:
        return len(self._facts) + (self._marks is not None)

    @property
    def full(self) -> bool:
        """Whether whoever can wait should."""
        return len(self._facts) >= self._facts_max

    def put(self, what: Happening) -> None:
        """Something happened."""
        if isinstance(what, Marks) and _sane(what):
            self.counts.rows += len(what.rows)
            self._marks = what if self._marks is None else self._conflate(self._marks, what)
        elif isinstance(what, Command) and what.verb is Verb.KILL:
            self._facts.appendleft(what)  # before everything else, whatever else there is
        else:  # a batch that makes no sense is a fact as well: the engine tells of it
            self._facts.append(what)
        self.counts.facts_waiting_most = max(self.counts.facts_waiting_most, len(self._facts))
        self.wake()

    def take(self) -> Happening | None:
        """The next thing to be worked through; None: nothing waits."""
        if self._facts:
            self.counts.facts += 1
            return self._facts.popleft()
        marks, self._marks = self._marks, None
        self.counts.batches += marks is not None
        return marks

    def _conflate(self, old: Marks, new: Marks) -> Marks:
        """One batch that does to a market what both would do, one after the other."""
        if np.array_equal(old.rows, new.rows) and bool((new.venue_ns >= old.venue_ns).all()):
            self.counts.conflated += len(old.rows)
            return new
        merged, conflated, late = merge(old, new)
        self.counts.conflated += conflated
        self.counts.late += late
        return merged


def merge(old: Marks, new: Marks) -> tuple[Marks, int, int]:
    """Two batches as one, how many quotes of the old one were overtaken, and how many of the new came late.

    Of each listing the quote with the later stamp of the venue stays, of equal stamps the new one, with its
    order book: as `Market.apply` would have it.
    """
    rows = np.concatenate([old.rows, new.rows])
    stamps = np.concatenate([old.venue_ns, new.venue_ns])
    order = np.lexsort((np.arange(len(rows)), stamps, rows))
    last = np.append(rows[order][1:] != rows[order][:-1], True)
    kept = np.sort(order[last])
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(old, name), getattr(new, name)])[kept] for name in _COLUMNS
    }
    depth: dict[int, tuple[Depth, Depth]] = {}
    for row, at in zip(rows[kept].tolist(), kept.tolist(), strict=True):
        source: Mapping[int, tuple[Depth, Depth]] = old.depth if at < len(old.rows) else new.depth
        if row in source:
            depth[row] = source[row]
    from_old = int((kept < len(old.rows)).sum())
    merged = replace(new, rows=rows[kept], depth=depth, now_ns=max(old.now_ns, new.now_ns), **columns)
    return merged, len(old.rows) - from_old, len(new.rows) - (len(kept) - from_old)


def _sane(marks: Marks) -> bool:
    """Whether the columns of a batch fit each other: only such batches can be conflated."""
    k = marks.rows.shape
    return len(k) == 1 and all(getattr(marks, name).shape == k for name in _COLUMNS)
