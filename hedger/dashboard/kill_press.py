"""What the presses of the kill key come to: the first one asks, the second one kills, and a key that is held
on after that does nothing more. Pure."""

from __future__ import annotations

import math

#: Seconds within which the second press of the kill key counts.
KILL_S = 2.0
#: A kill key that comes so soon after another one, seconds, is held: no terminal repeats a key more slowly.
REPEATS_S = 0.1


class KillPress:
    """Told of every kill key as it comes, and of every press that is let through. killed: a press has killed,
    and the key was not let go since. asked_s: of the press that a second one makes a kill, None where there
    is none. Times are by a clock that only goes forward, each call's by its own."""

    def __init__(self) -> None:
        self.killed = False
        self.asked_s: float | None = None
        self._came_s = -math.inf

    def held_on(self, at_s: float) -> bool:
        """Whether a kill key that comes now is held on after it has killed: one kill is left, not thirty a
        second.

        >>> key = KillPress()
        >>> key.held_on(1.0), key.note_kill(), key.held_on(1.05), key.held_on(1.1), key.held_on(1.5)
        (False, None, True, True, False)
        """
        before, self._came_s = self._came_s, at_s
        self.killed = self.killed and at_s - before < REPEATS_S
        return self.killed

    def second(self, now_s: float) -> bool:
        """Whether a press is the second one, which kills; else it is the first one.

        >>> key = KillPress()
        >>> key.second(1.0), key.second(3.5), key.second(5.0), key.second(5.5)
        (False, False, True, False)
        """
        before, self.asked_s = self.asked_s, now_s
        if before is None or now_s - before > KILL_S:
            return False
        self.asked_s = None
        return True

    def note_kill(self) -> None:
        """The kill is left."""
        self.killed = True
