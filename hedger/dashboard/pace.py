"""Which keys may steer: those that a person pressed, one at a time.

A terminal without bracketed paste, or a paste in which an escape code stands and ends its brackets early,
tells what was pasted as keys. They come all at once, faster than any hand is. So a key that steers is held
for a moment, until it is known that no other follows it: the first key of a paste is one of it as well. A
line that is slow may bring two presses of one key together: of those each counts as the first does, or `K K`
would not kill where it is needed.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar

#: Seconds that must lie between a key and another one, before it or after, for it to steer.
APART_S = 0.03
Pressed = TypeVar("Pressed")


class Pace(Generic[Pressed]):
    """Told of every key once, in order; holds those that steer until it is known whether they may. Times are
    by a clock that only goes forward."""

    def __init__(self) -> None:
        self._last_s, self._last, self._alone = -math.inf, "", False
        self.held: list[Pressed] = []

    def alone(self, key: str, at_s: float) -> bool:
        """Whether a key came by itself, as far as the keys before it tell. at_s: when.

        >>> pace = Pace[str]()
        >>> pace.alone("x", 1.0), pace.alone("K", 1.02), pace.alone("K", 1.03), pace.alone("K", 1.1)
        (True, False, False, True)
        >>> pace.alone("K", 1.1)
        True
        """
        again = key == self._last and self._alone
        self._alone = again or at_s - self._last_s >= APART_S
        self._last_s, self._last = at_s, key
        return self._alone

    def followed(self, key: str, at_s: float) -> tuple[list[Pressed], list[Pressed]]:
        """(those of the keys held that count, those that do not), told by the key that comes now: to be asked
        before `alone` is. Presses of one key that come together stay held together.

        >>> pace = Pace[str]()
        >>> pace.alone("p", 1.0), pace.held.append("p"), pace.followed("K", 1.01)
        (True, None, ([], ['p']))
        >>> pace.alone("p", 2.0), pace.held.append("p"), pace.followed("K", 2.1)
        (True, None, (['p'], []))
        """
        if at_s - self._last_s < APART_S:
            return ([], []) if key == self._last else ([], self.released())
        return self.released(), []

    def released(self) -> list[Pressed]:
        """What is held, which is held no more."""
        held, self.held = self.held, []
        return held
