"""What the terminal's keys send: command rows beside the journal, and the kill latch.

Each goes with who sent it and why, and with the first characters of the SHA-256 of what stood on the screen.
A command is a wish: the engine's journal says what became of it. To an engine of another build of the program
goes nothing but what only stops: what this screen shows may be something else there. Once another journal
lies where the one on the screen was, nothing goes there but a kill.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from hedger.build import this_build
from hedger.core.events import Verb
from hedger.journal.acknowledged import Which, acknowledge
from hedger.journal.identity import Opened
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.journal.user import TEXT_MAX, user_name
from hedger.journal.wishes import WishRefused, leave, refuse_exchanged
from pricing.errors import HedgerError


class Control:
    """One user's hand on one journal. allowed: whether it was started with `--control`. opened: the file that
    the screen shows; None: whichever lies there."""

    def __init__(
        self, journal: Path, allowed: bool, user: str | None = None, opened: Opened | None = None
    ) -> None:
        self._journal, self.allowed, self._opened = journal, allowed, opened
        self._user = user or user_name()
        this_build()  # is told apart now: what is on the disk later is not what this terminal runs

    def send(self, verb: Verb, argument: str, reason: str, screen: str) -> str:
        """Leave a command for the running engine; returns its id.

        Raises:
            WishRefused: the terminal is read-only, another journal lies there now, no engine runs, or one of
                another build.
            InputError: a text that cannot be sent, or the box cannot be written.
        """
        self._refuse_read_only(str(verb))
        why = _reason(reason, screen)
        return leave(self._journal, verb, argument, why, self._user, opened=self._opened)

    def kill(self, reason: str, screen: str, unanswered: str = "") -> str:
        """Set the latch first, then tell the engine where one runs; returns what was done, in words.
        unanswered: that the engine gives no sign of life, "" where it does.

        Raises:
            WishRefused: the terminal is read-only. LatchFailed: the latch could not be set.
        """
        self._refuse_read_only("kill")
        why = _reason(reason, screen)
        FileLatch(self._journal).set(Latched(time.time_ns(), self._user, why))
        # From here on nothing new leaves, whatever else goes wrong.
        try:
            self.send(Verb.KILL, "", reason, screen)
        except HedgerError as error:
            return f"KILLED: the latch is set; the engine was not told: {error.what}"
        if unanswered:
            return f"LATCH SET; {unanswered}"
        return "KILLED: the latch is set, the engine cancels everything; it stays until `hedger unkill`"

    def acknowledge(self, which: Which) -> None:
        """Note that the user has seen an alert; it needs no engine, and tells none.

        Raises:
            WishRefused: the terminal is read-only, or another journal lies there now.
            InputError: it cannot be written.
        """
        self._refuse_read_only("acknowledge")
        if self._opened is not None:
            refuse_exchanged(self._journal, self._opened, "acknowledge")
        acknowledge(self._journal, which, self._user, time.time_ns())

    def _refuse_read_only(self, what: str) -> None:
        if not self.allowed:
            raise WishRefused(
                "READ_ONLY",
                "this terminal only looks",
                where="hedger dashboard",
                observed=what,
                allowed="a terminal started with --control",
                not_done="nothing was sent",
                fix="start it with --control, or use `hedger kill` and its like in a shell",
            )


def screen_hash(lines: list[str]) -> str:
    """What stood on the screen, as twelve hexadecimal digits."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _reason(reason: str, screen: str) -> str:
    tail = f" [dashboard, screen {screen}]"
    return reason[: TEXT_MAX - len(tail)] + tail
