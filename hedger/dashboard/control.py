"""What the terminal's keys send: command rows beside the journal, and the kill latch.

Each goes with who sent it and why, and with the first characters of the SHA-256 of what stood on the screen.
A command is a wish: the engine's journal says what became of it. To an engine of another build of the program
goes nothing but what only stops: what this screen shows may be something else there. Once another journal
lies where the one on the screen was, nothing goes there but a kill.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from pathlib import Path

from hedger.build import this_build
from hedger.core.commands import FROM_ANY_BUILD
from hedger.core.events import Command, Verb
from hedger.journal.acknowledged import Which, acknowledge
from hedger.journal.commands_file import send
from hedger.journal.identity import Opened
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.journal.lock import build_of, holder
from hedger.journal.user import TEXT_MAX, user_name
from pricing.errors import Exit, HedgerError


class KeyRefused(HedgerError):
    """A key that may do nothing now (exit 3)."""

    exit_code = Exit.REFUSED


class Control:
    """One user's hand on one journal. allowed: whether it was started with `--control`. opened: the file that
    the screen shows; None: whichever lies there."""

    def __init__(
        self, journal: Path, allowed: bool, user: str | None = None, opened: Opened | None = None
    ) -> None:
        self._journal, self.allowed, self._opened = journal, allowed, opened
        self._user = user or user_name()
        self._build = this_build()  # now: what is on the disk later is not what this terminal runs

    def send(self, verb: Verb, argument: str, reason: str, screen: str) -> str:
        """Leave a command for the running engine; returns its id.

        Raises:
            KeyRefused: the terminal is read-only, another journal lies there now, no engine runs, or one of
                another build.
            InputError: a text that cannot be sent, or the box cannot be written.
        """
        self._refuse_read_only(str(verb))
        if verb is not Verb.KILL:
            self._refuse_exchanged(str(verb))
        held = holder(self._journal)
        if held is None:
            raise KeyRefused(
                "ENGINE_ABSENT",
                "no engine writes this journal",
                where=self._journal.name,
                observed=str(verb),
                allowed="a running engine",
                not_done="nothing was sent",
                fix="start it with `hedger run`",
            )
        engine = build_of(held) or "unknown"
        if engine != self._build and verb not in FROM_ANY_BUILD:
            raise KeyRefused(
                "OTHER_BUILD",
                "this terminal and the engine are of different builds",
                where=self._journal.name,
                observed=f"{verb}, from {self._build} to {engine}",
                allowed="pause and kill; everything is shown all the same",
                not_done="nothing was sent",
                fix="leave it, and start the dashboard that belongs to the engine's build",
            )
        command = Command(uuid.uuid4().hex, verb, self._user, _reason(reason, screen), argument)
        fingerprint = "" if self._opened is None else self._opened.fingerprint
        send(self._journal, command, time.time_ns(), fingerprint)
        return command.id

    def kill(self, reason: str, screen: str) -> str:
        """Set the latch first, then tell the engine where one runs; returns what was done, in words.

        Raises:
            KeyRefused: the terminal is read-only. LatchFailed: the latch could not be set.
        """
        self._refuse_read_only("kill")
        why = _reason(reason, screen)
        FileLatch(self._journal).set(Latched(time.time_ns(), self._user, why))
        # From here on nothing new leaves, whatever else goes wrong.
        try:
            self.send(Verb.KILL, "", reason, screen)
        except HedgerError as error:
            return f"KILLED: the latch is set; the engine was not told: {error.what}"
        return "KILLED: the latch is set, the engine cancels everything; it stays until `hedger unkill`"

    def acknowledge(self, which: Which) -> None:
        """Note that the user has seen an alert; it needs no engine, and tells none.

        Raises:
            KeyRefused: the terminal is read-only. InputError: it cannot be written.
        """
        self._refuse_read_only("acknowledge")
        self._refuse_exchanged("acknowledge")
        acknowledge(self._journal, which, self._user, time.time_ns())

    def _refuse_exchanged(self, what: str) -> None:
        why = "" if self._opened is None else self._opened.exchanged()
        if why:
            raise KeyRefused(
                "JOURNAL_EXCHANGED",
                f"{why}: this terminal does not show what would obey it",
                where=self._journal.name,
                observed=what,
                allowed="kill alone",
                not_done="nothing was sent",
                fix="leave and start the dashboard again",
            )

    def _refuse_read_only(self, what: str) -> None:
        if not self.allowed:
            raise KeyRefused(
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
