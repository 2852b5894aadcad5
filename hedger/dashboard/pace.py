"""Which keys may steer: those that a person pressed, one at a time.

A paste in which an escape code stands ends its brackets early, and the terminal tells the rest of it as keys.
They come all at once, faster than any hand is.
"""

from __future__ import annotations

import math

#: Seconds that must lie between a key and the one before it, whichever that was, for it to steer.
APART_S = 0.03
#: The same for the kill key, which kills when it is pressed twice.
KILL_APART_S = 0.05


class Pace:
    """Told of every key once, in order."""

    def __init__(self) -> None:
        self._last_s = -math.inf

    def alone(self, at_s: float, apart_s: float) -> bool:
        """Whether a key came so long after the one before it. at_s: when, by a clock that only goes forward.

        >>> pace = Pace()
        >>> pace.alone(1.0, 0.03), pace.alone(1.02, 0.03), pace.alone(1.05, 0.03)
        (True, False, True)
        """
        since_s, self._last_s = at_s - self._last_s, at_s
        return since_s >= apart_s
