"""What the terminal is handed from outside: clock, sign of life, and marks on a tape."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hedger.desk.follow import Fetch, without_tape

if TYPE_CHECKING:
    from hedger.engine.heartbeat import Heartbeat


def _no_beat() -> Heartbeat | None:
    return None


@dataclass(frozen=True, slots=True)
class Ports:
    """now_ns: UTC; monotonic_ns: of the clock that signs of life are stamped with as well. beat: the engine's
    last one. fetch: the marks that a journal only names."""

    now_ns: Callable[[], int] = time.time_ns
    beat: Callable[[], Heartbeat | None] = _no_beat
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    fetch: Fetch = without_tape
