"""The thread that reads the journal and makes frames, so that no key ever waits for a disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from textual.message import Message

from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, ScreenFrame, Want
from hedger.dashboard.narrator import Narrator

#: Four frames a second at most.
TICK_S = 0.25


class Framed(Message):
    """The reading thread has made a frame, or has failed."""

    def __init__(self, frame: ScreenFrame | None, error: Exception | None = None, story: str = "") -> None:
        super().__init__()
        self.frame, self.error, self.story = frame, error, story


class Reader:
    """Reads on and makes the frame that is wanted. want: set by `wants` alone."""

    def __init__(
        self,
        feed: Feed,
        painter: Painter,
        narrator: Narrator | None,
        want: Want,
        post: Callable[[Framed], Any],
    ) -> None:
        """post: takes a frame, from the thread."""
        self._feed, self._painter, self._narrator, self._post = feed, painter, narrator, post
        self.want = want
        self._wake, self._ended = threading.Event(), threading.Event()

    def start(self) -> None:
        """Begin to read, in a thread that ends with the process."""
        threading.Thread(target=self._read, name="journal", daemon=True).start()

    def wants(self, **changes: Any) -> None:
        """Look at something else, at once."""
        self.want = replace(self.want, **changes)
        self._wake.set()

    def wake(self) -> None:
        """Look now, not only at the next tick."""
        self._wake.set()

    def end(self) -> None:
        """No more."""
        self._ended.set()
        self._wake.set()

    def _read(self) -> None:
        try:
            while not self._ended.is_set():
                begun = time.monotonic()
                self._wake.clear()
                self._feed.step()
                story = "" if self._narrator is None else self._narrator.look(self._feed, begun)
                self._post(Framed(self._painter.frame(self.want), story=story))
                if (
                    self._feed.caught_up or self._feed.fault
                ):  # a fault is looked at again, not without a pause
                    self._wake.wait(max(TICK_S - (time.monotonic() - begun), 0.05))
        except Exception as error:  # of a thread nobody sees it otherwise: the screen ends with it
            if not self._ended.is_set():
                self._post(Framed(None, error))
