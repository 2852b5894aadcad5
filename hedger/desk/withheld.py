"""Why an engine would begin nothing, in the words of screen and verbs. Pure."""

from __future__ import annotations

from enum import StrEnum

from hedger.core.state import Mode


class Withheld(StrEnum):
    """Why the engine would begin nothing now, in the words of the screen; false where it would."""

    NOTHING = ""
    EXCHANGED = "another journal lies here now"
    NEVER_STARTED = "no engine was ever started"
    NOT_RUNNING = "no engine runs"
    STARTING = "the engine is only starting"
    KILLED = "the engine is killed"
    HALTED = "the engine is halted"
    OBSERVES = "the engine only observes"
    PAUSED = "the engine is paused"


_BY_MODE = {
    Mode.KILLED: Withheld.KILLED,
    Mode.HALTED: Withheld.HALTED,
    Mode.OBSERVE: Withheld.OBSERVES,
}


def withheld_in(mode: Mode, paused: bool) -> Withheld:
    """What a mode and a pause alone have against it.

    >>> str(withheld_in(Mode.OBSERVE, paused=True)), bool(withheld_in(Mode.REDUCING, paused=False))
    ('the engine only observes', False)
    """
    return _BY_MODE.get(mode) or (Withheld.PAUSED if paused else Withheld.NOTHING)
