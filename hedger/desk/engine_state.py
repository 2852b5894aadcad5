"""Where an engine stands, why it would begin nothing that is asked for, and what its next start would do.

Facts, each worded once, for screen, verbs and alerts alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hedger.core.state import Mode
from hedger.engine.heartbeat import Heartbeat
from hedger.journal.entries import ModeChange


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
_NEXT_START = {
    "paper": "the next start observes until `hedger arm`, or arms at once with `--arm`",
    "replay": "a replay is not gone on with",
}


@dataclass(frozen=True, slots=True)
class EngineState:
    """mode: of the last decision, None before the first. latched: the kill latch is set. runs: an engine
    holds the journal; died: it did not end in order. exchanged: another journal lies where this one was."""

    mode: Mode | None
    paused: bool = False
    latched: bool = False
    runs: bool = True
    exchanged: bool = False
    died: bool = False

    @property
    def killed(self) -> bool:
        """Whether only a person's `unkill` makes it do anything again."""
        return self.latched or (self.runs and self.mode is Mode.KILLED)

    @property
    def words(self) -> str:
        """What the engine may do, in one word or two.

        >>> EngineState(Mode.ARMED, paused=True).words, EngineState(Mode.ARMED, latched=True).words
        ('ARMED, PAUSED', 'KILLED')
        >>> EngineState(None, runs=False).words, EngineState(Mode.ARMED, runs=False).words
        ('NEVER STARTED', 'STOPPED, was ARMED')
        >>> EngineState(Mode.ARMED, runs=False, died=True).words
        'DIED, was ARMED'
        """
        if self.latched:
            return "KILLED"
        if self.mode is None:
            return "STARTING" if self.runs else "NEVER STARTED"
        word = self.mode.upper() + ", PAUSED" * self.paused
        return word if self.runs else f"{'DIED' if self.died else 'STOPPED'}, was {word}"

    @property
    def withheld(self) -> Withheld:
        """Why the engine would begin nothing that is asked for now."""
        if self.exchanged:
            return Withheld.EXCHANGED
        if not self.runs:
            return Withheld.NEVER_STARTED if self.mode is None else Withheld.NOT_RUNNING
        if self.latched:
            return Withheld.KILLED
        if self.mode is None:
            return Withheld.STARTING
        return _BY_MODE.get(self.mode) or (Withheld.PAUSED if self.paused else Withheld.NOTHING)


def engine_state_of(
    decision: Mapping[str, Any] | None,
    change: ModeChange | None,
    *,
    latched: bool,
    runs: bool,
    exchanged: bool = False,
    died: bool = False,
) -> EngineState:
    """It as the record has it. decision: the last; change: the last one of the mode, which stands in for want
    of a decision; died: `ended_in_order` denies it. The pause by which an engine ended is none: it is over,
    and nobody has paused it.

    >>> ended = ModeChange("armed", True, "run", "ending: the minutes are over")
    >>> engine_state_of({"mode": "armed", "paused": True}, ended, latched=False, runs=False).words
    'STOPPED, was ARMED'
    """
    told = decision["mode"] if decision else change.mode if change else None
    over = change is not None and change.ending and not runs
    return EngineState(
        None if told is None else Mode(told),
        paused=bool(decision and decision["paused"]) and not over,
        latched=latched,
        runs=runs,
        exchanged=exchanged,
        died=died,
    )


def ended_in_order(change: ModeChange | None, beat: Heartbeat | None, since_ns: int) -> bool | None:
    """Whether the last engine of a journal, which runs no more, ended in order; None where nobody can say.

    The sign of life says so last of all; without one the record does, where an end begins with a pause. An
    engine that was paused by then writes no other.

    Args:
        change: the last one of the mode. beat: None where there is none; one from before since_ns, the last
            start, UTC, is of another engine.
    """
    if change is None:
        return None
    if beat is not None and beat.now_ns >= since_ns:
        return beat.closed
    return None if change.paused and not change.ending else change.ending


def next_start(trading: str) -> str:
    """What the next start on a journal would do. trading: what it is of, as its name has it.

    >>> next_start("paper")
    'the next start observes until `hedger arm`, or arms at once with `--arm`'
    >>> next_start("testnet")
    'the next start arms itself once the accounts agree with the book'
    """
    return _NEXT_START.get(trading, "the next start arms itself once the accounts agree with the book")
