"""Reckons the margin ladder in a thread of its own: every cell is the whole book revalued and margined anew,
which takes longer than a frame may. One at a time, only while the panel asks for it, and not so often that it
would take more than a small share of a core."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
#: A ladder is reckoned anew after so many times what it took.
REST = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """ladder: None where it could not be made; why: the reason. of: what it is of. as_of: of its marks."""

    of: tuple[object, ...]
    as_of: str
    ladder: Json | None
    took_s: float
    at_s: float
    why: str = ""


class MarginMaker:
    """number: how many were made, so that whoever shows one knows of the next."""

    def __init__(self) -> None:
        self.number = 0
        self._found: Made | None = None
        self._thread: threading.Thread | None = None

    def ladder(self, of: tuple[object, ...], as_of: str, make: Callable[[], Json]) -> Made | None:
        """The last ladder of what is asked about, and the next one begun where that is due; None while the
        first is being made. of: by identity, what it is of; as_of: the marks of now."""
        found = self._found
        if found is not None and not _same(found.of, of):
            found = None
        if found is None or (found.as_of != as_of and time.monotonic() - found.at_s > REST * found.took_s):
            self._begin(of, as_of, make)
        return found

    def _begin(self, of: tuple[object, ...], as_of: str, make: Callable[[], Json]) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._make, args=(of, as_of, make), name="margin")
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until nothing is being made, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _make(self, of: tuple[object, ...], as_of: str, make: Callable[[], Json]) -> None:
        begun, ladder, why = time.monotonic(), None, ""
        try:
            ladder = make()
        except Exception as error:  # of a thread nobody sees it otherwise: the panel says it
            why = f"{type(error).__name__}: {error}"
        ended = time.monotonic()
        self._found = Made(of, as_of, ladder, ended - begun, ended, why)
        self.number += 1


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(x is y for x, y in zip(one, other, strict=True))
