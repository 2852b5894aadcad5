"""Where an engine stands, and why it would begin nothing that is asked for: facts, each worded once. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hedger.core.state import Mode
from hedger.desk.withheld import Withheld, withheld_in


@dataclass(frozen=True, slots=True)
class Standing:
    """mode: of the last decision, None before the first. latched: the kill latch is set. runs: an engine
    holds the journal. exchanged: another journal lies where this one was."""

    mode: Mode | None
    paused: bool = False
    latched: bool = False
    runs: bool = True
    exchanged: bool = False

    @property
    def killed(self) -> bool:
        """Whether only a person's `unkill` makes it do anything again."""
        return self.latched or (self.runs and self.mode is Mode.KILLED)

    @property
    def words(self) -> str:
        """What the engine may do, in one word or two.

        >>> Standing(Mode.ARMED, paused=True).words, Standing(Mode.ARMED, latched=True).words
        ('ARMED, PAUSED', 'KILLED')
        >>> Standing(None, runs=False).words, Standing(Mode.ARMED, runs=False).words
        ('NEVER STARTED', 'STOPPED, was ARMED')
        """
        if self.latched:
            return "KILLED"
        if self.mode is None:
            return "STARTING" if self.runs else "NEVER STARTED"
        word = self.mode.upper() + ", PAUSED" * self.paused
        return word if self.runs else f"STOPPED, was {word}"

    @property
    def withheld(self) -> Withheld:
        """Why the engine would begin nothing that is asked for now."""
        if self.exchanged:
            return Withheld.EXCHANGED
        if not self.runs:
            return Withheld.NEVER_STARTED if self.mode is None else Withheld.NOT_RUNNING
        if self.latched:
            return Withheld.KILLED
        return Withheld.STARTING if self.mode is None else withheld_in(self.mode, self.paused)
