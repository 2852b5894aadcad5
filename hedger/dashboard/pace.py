"""Which keys may steer: those that a person pressed, one at a time.

A paste in which an escape code stands ends its brackets early, and the terminal tells the rest of it as keys.
They come all at once, faster than any hand is. A line that is slow may bring two presses of one key together:
of those each counts as the first does, or `K K` would not kill where it is needed.
"""

from __future__ import annotations

import math

#: Seconds that must lie between a key and another one before it for it to steer.
APART_S = 0.03


class Pace:
    """Told of every key once, in order."""

    def __init__(self) -> None:
        self._last_s, self._last, self._alone = -math.inf, "", False

    def alone(self, key: str, at_s: float) -> bool:
        """Whether a key came by itself. at_s: when, by a clock that only goes forward.

        >>> pace = Pace()
        >>> pace.alone("x", 1.0), pace.alone("K", 1.02), pace.alone("K", 1.03), pace.alone("K", 1.1)
        (True, False, False, True)
        >>> pace.alone("K", 1.1)
        True
        """
        again = key == self._last and self._alone
        self._alone = again or at_s - self._last_s >= APART_S
        self._last_s, self._last = at_s, key
        return self._alone
