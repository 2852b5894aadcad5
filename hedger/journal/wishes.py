"""How a wish is left for a running engine, by a key of the terminal or by a verb, and why one is not.

A wish is a command in the box beside the journal (`hedger.journal.commands_file`): the engine's journal says
what became of it. None is left for nobody, for an engine that another journal brought here since the sender
looked, or for one that would obey another build of the program, but for what only stops.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from hedger.build import this_build
from hedger.core.events import FROM_ANY_BUILD, OF_ITS_MOMENT, Command, Verb
from hedger.journal.commands_file import send
from hedger.journal.identity import Opened
from hedger.journal.lock import build_of, holder, pid_of
from hedger.journal.user import user_name
from pricing.daycount import NS_PER_SECOND
from pricing.errors import Exit, HedgerError

#: Seconds for which a sender waits that says nothing else: a key, a verb without --wait-s.
PATIENCE_S = 10.0


class WishRefused(HedgerError):
    """What is asked for is not left for the engine (exit 3)."""

    exit_code = Exit.REFUSED


def leave(
    journal: Path,
    verb: Verb,
    argument: str = "",
    reason: str = "",
    user: str = "",
    *,
    opened: Opened | None = None,
    waits: bool = False,
    patience_s: float = PATIENCE_S,
) -> str:
    """Leave a command for the running engine; returns its id.

    Args:
        user: who asks; "": who runs this process.
        opened: the file that the sender has read; None: whichever lies there.
        waits: the sender waits for the engine's answer. One of another build refuses by itself, on record;
            for a sender that does not wait it is refused here.
        patience_s: so long what is meant for this moment is obeyed, and no later.

    Raises:
        WishRefused: another journal lies there now, no engine runs, or one of another build.
        InputError: a text that cannot be sent, or the box cannot be written.
    """
    if opened is not None and verb is not Verb.KILL:
        refuse_exchanged(journal, opened, verb)
    held = holder(journal)
    if held is None:
        raise _refused(
            "ENGINE_ABSENT", "no engine writes this journal", journal, verb, "a running engine",
            "start it with `hedger run`, or name the right --journal",
        )  # fmt: skip
    if verb not in FROM_ANY_BUILD:
        _refuse_other_build(journal, held, verb, waits)
    now_ns = time.time_ns()
    not_after_ns = now_ns + round(patience_s * NS_PER_SECOND) if verb in OF_ITS_MOMENT else None
    command = Command(
        uuid.uuid4().hex, verb, user or user_name(), reason, argument, not_after_ns=not_after_ns
    )
    send(journal, command, now_ns, "" if opened is None else opened.fingerprint)
    return command.id


def late_words(verb: Verb) -> str:
    """What becomes of a command that was not taken in time, as it goes on after that.

    >>> late_words(Verb.HEDGE), late_words(Verb.PAUSE)
    ('; taken later it is refused (COMMAND_LATE)', '; it stays asked for')
    """
    return "; taken later it is refused (COMMAND_LATE)" if verb in OF_ITS_MOMENT else "; it stays asked for"


def refuse_exchanged(journal: Path, opened: Opened, what: str) -> None:
    """Refuse what was meant for a journal that does not lie there any more.

    Raises:
        WishRefused: it does not.
    """
    if why := opened.exchanged():
        raise _refused(
            "JOURNAL_EXCHANGED", f"{why}: what was shown is not of the engine that would obey", journal, what,
            "kill alone", "leave and start again",
        )  # fmt: skip


def _refuse_other_build(journal: Path, held: str, verb: Verb, waits: bool) -> None:
    """An engine that does not say its build refuses nobody's commands: it would obey. One that is only
    starting has written neither process nor build yet."""
    ours, theirs = this_build(), build_of(held)
    if not theirs and pid_of(held) is not None:
        raise _refused(
            "ENGINE_OLDER", "the engine is of a release that does not say which build it is", journal,
            f"{verb}, to process {pid_of(held)}", "an engine of this build; pause and kill to any",
            "steer it with the release that it was started from, or start it anew from this one",
        )  # fmt: skip
    if theirs != ours and not waits:
        raise _refused(
            "OTHER_BUILD", "this program and the engine are of different builds", journal,
            f"{verb}, from {ours} to {theirs or 'unknown'}", "pause and kill; all is shown all the same",
            "steer it with the build that it was started from",
        )  # fmt: skip


def _refused(code: str, what: str, journal: Path, observed: str, allowed: str, fix: str) -> WishRefused:
    return WishRefused(
        code,
        what,
        where=journal.name,
        observed=observed,
        allowed=allowed,
        not_done="nothing was sent",
        fix=fix,
    )
