"""`hedger kill unkill`: the latch first, then the engine, and the venues themselves where none runs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hedger.amounts import counted
from hedger.journal.user import on_one_line, user_name
from hedger.verbs.asking import LOOK_S, leave_wish, left, refusal
from hedger.verbs.journals import followed, opened
from hedger.verbs.printing import show_json
from pricing.errors import Exit, HedgerError, InputError

if TYPE_CHECKING:
    from hedger.journal.kill_latch import FileLatch
    from hedger.journal.recovery import Recovered


_NOT_CONFIRMED = "the kill is not confirmed"


@dataclass(frozen=True, slots=True)
class _Killing:
    """How a kill went. live: orders that may still fill, None where nobody has said. notes: what went wrong.
    unanswered: venues that did not answer, where anything may be open."""

    live: int | None
    confirmed: bool
    notes: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What went wrong, each once."""
        return "; ".join(dict.fromkeys(self.notes))

    @property
    def exit(self) -> Exit:
        """4 where a venue did not answer, 1 where it is not confirmed all the same."""
        if self.confirmed:
            return Exit.DONE
        return Exit.UNAVAILABLE if self.unanswered else Exit.NEGATIVE


def kill(arguments: argparse.Namespace) -> Exit:
    """Set the latch, first of all; then tell the engine, and wait until every venue has shown twice that
    nothing is open."""
    from hedger.journal.kill_latch import FileLatch, Latched
    from hedger.journal.lock import holder

    journal: Path = arguments.journal
    _refuse_unknown_place(journal)
    reason = on_one_line(arguments.reason) or "hedger kill"  # whatever it holds, it is no cause to go on
    latched = FileLatch(journal).set(Latched(time.time_ns(), user_name(), reason))
    # From here on nothing new leaves, whatever else goes wrong: all of it is told, none of it stops us.
    running = holder(journal) is not None
    arguments.reason = reason
    found = _killed_by_engine(arguments) if running else _killed_alone(arguments)
    document = {"killed": True, "set_ns": latched.set_ns, "user": latched.user, "reason": latched.reason}
    document |= {"running": running, "live_orders": found.live, "confirmed": found.confirmed}
    document |= {"unanswered": list(found.unanswered), "note": found.note}
    if arguments.json:
        show_json(document)
    else:
        print(f"KILLED: the latch is set beside {journal.name}; nothing new leaves until `hedger unkill`")
        if running:
            live = "" if found.live is None else f"{counted(found.live, 'order is', 'orders are')} live"
            said = live or "the engine has not answered yet"
            print(f"{said}{'' if found.confirmed else ': not confirmed'}")
        if found.note:
            print(found.note)
        if found.unanswered:
            print(f"look at {', '.join(found.unanswered)} on the venue's own screen, and cancel there")
    return found.exit


def _killed_by_engine(arguments: argparse.Namespace) -> _Killing:
    """What a running engine has made of it when it is confirmed, or the time is up. One that ends meanwhile
    cancels nothing more: then the orders are cancelled here."""
    from hedger.core.events import Verb
    from hedger.journal.kill_answers import KillAnswers
    from hedger.journal.lock import holder
    from hedger.journal.wishes import WishRefused

    journal, end = arguments.journal, time.monotonic() + arguments.wait_s
    try:
        with followed(journal, _NOT_CONFIRMED) as storage:
            first = storage.head().number + 1
            try:
                answers = KillAnswers(storage, leave_wish(arguments, Verb.KILL), first)
            except WishRefused:  # it has ended since
                return _killed_alone(arguments)
            while not answers.confirmed and time.monotonic() < end:
                if holder(journal) is None:
                    return _killed_alone(arguments)
                answers.look()
                if not answers.confirmed:
                    time.sleep(LOOK_S)  # the engine is another process: its journal is all that tells
        live = _quiet(journal, end)
        may_be_open = [_may_be_open(journal, name) for name in answers.silent]
    except HedgerError as error:
        return _Killing(None, False, (str(error),))
    notes = (*answers.against(), *may_be_open)
    return _Killing(live, answers.confirmed and live == 0, notes, answers.silent)


def _may_be_open(journal: Path, venue: str) -> str:
    """What may rest at a venue that has not answered, as far as the journal knows."""
    orders = _recovered(journal).orders.values()
    left = sorted(record.order.client_id for record in orders if record.live and record.venue == venue)
    if left:
        return f"at {venue} these may be open: {', '.join(left)}, and whatever else rests there"
    return f"at {venue} no order of this engine is known to be open; what others have there may be"


def _killed_alone(arguments: argparse.Namespace) -> _Killing:
    """The same where no engine runs: the latch goes on record, and live orders are cancelled at the venues.

    A record that cannot be written keeps no order from being cancelled. A journal that does not say whether
    it is of paper confirms nothing: orders of it may rest on real venues.
    """
    journal: Path = arguments.journal
    notes: list[str] = []
    try:
        _note_latch(journal, set_=True, reason=arguments.reason)
    except HedgerError as error:
        notes.append(str(error))
    try:
        trading = _trades_on(journal)
        if not trading:
            notes.append("no engine runs: on the paper venue its orders died with it")
            return _Killing(None, True, tuple(notes))
        from hedger.config import load
        from hedger.runs.permission import why_others
        from hedger.runs.venue_kill import cancel_at_venues

        settings = load(arguments.config).settings
        if why := why_others(trading, settings):
            notes.append(f"no engine runs, and nothing was cancelled at any venue: {why}")
            return _Killing(None, False, tuple(notes))
        found = cancel_at_venues(settings, arguments.wait_s)
    except HedgerError as error:
        notes.append(str(error))
        return _Killing(None, False, tuple(notes))
    there = "at the others" if found.faults else "there"
    notes += [f"{name}: {fault}" for name, fault in found.faults.items()]
    notes.append(f"no engine runs: cancelled at the venues themselves, {found.live} orders open {there}")
    live = None if found.faults else found.live
    return _Killing(live, live == 0, tuple(notes), found.unanswered)


def _trades_on(journal: Path) -> str:
    """What a journal is of, where its orders rest on venues; nothing where they do not."""
    if not journal.exists() or not journal.stat().st_size:
        return ""
    with followed(journal, _NOT_CONFIRMED) as storage:
        return storage.name.trading if storage.name.on_venues else ""


def unkill(arguments: argparse.Namespace) -> Exit:
    """Remove the latch, with a record of who and why: by the engine where one runs, else here."""
    from hedger.journal.kill_latch import FileLatch
    from hedger.journal.lock import holder

    journal: Path = arguments.journal
    _refuse_unknown_place(journal)
    latch = FileLatch(journal)
    was, running, refused = latch.found(), holder(journal) is not None, None
    if was is not None:
        if running:
            refused = _unkilled_by_engine(arguments, latch)
        else:
            _note_latch(journal, set_=False, reason=arguments.reason)
            latch.clear()
    left = latch.found() is not None
    if arguments.json:
        show_json({"killed": left, "was_killed": was is not None, "refused": refused})
    elif was is None:
        print("the kill latch was not set")
    else:
        after = "the engine observes" if running else "no engine runs"
        print("the kill latch is still set" if left else f"the kill latch is removed; {after}")
        if refused:
            print(f"{refused['code']}: {refused['text']}", file=sys.stderr)
    return Exit.REFUSED if refused else Exit.NEGATIVE if left else Exit.DONE


def _unkilled_by_engine(arguments: argparse.Namespace, latch: FileLatch) -> dict[str, str] | None:
    """Ask the engine, and wait until the latch is gone, or it has said why not."""
    from hedger.core.events import Verb
    from hedger.journal.identity import Opened

    end = time.monotonic() + arguments.wait_s
    file = Opened(arguments.journal)
    with followed(arguments.journal, "the latch stays until the engine removes it") as storage:
        _, _, decision = left(arguments, Verb.UNKILL, storage, file)
    refused = refusal(decision, Verb.UNKILL)
    while refused is None and latch.found() is not None and time.monotonic() < end:
        time.sleep(LOOK_S)  # as above: the engine's files are all that tells
    return refused


def _quiet(journal: Path, end: float) -> int | None:
    """How many orders of a killed engine are live, as soon as none is, or when the time is up.

    None: the engine has not said that it is killed.
    """
    while True:
        recovered = _recovered(journal)
        live = sum(order.live for order in recovered.orders.values())
        killed = recovered.mode is not None and recovered.mode.mode == "killed"
        if (killed and live == 0) or time.monotonic() >= end:
            return live if killed else None
        time.sleep(LOOK_S)  # as above: the engine's files are all that tells


def _recovered(journal: Path) -> Recovered:
    """Where a running engine stands by its journal, be it whole or not: a kill takes what is there."""
    from hedger.journal.recovery import summary

    with opened(journal, _NOT_CONFIRMED) as storage:
        return summary(storage, where=journal.name, running=True)


def _note_latch(journal: Path, *, set_: bool, reason: str) -> None:
    """Write that the latch was set or removed, as the writer that nobody else is."""
    from hedger.journal.entries import LatchChange, latch_entry
    from hedger.journal.journal import Journal
    from hedger.journal.recovery import recover
    from hedger.journal.sqlite import read_sqlite

    storage = read_sqlite(journal)
    try:
        name = storage.name
        with storage.steady():
            last = recover(storage, where=journal.name)
    finally:
        storage.close()
    book = Journal.open(journal, name)
    try:
        now_ns = max(time.time_ns(), last.last_now_ns)
        book.append(latch_entry(last.last_seq, now_ns, LatchChange(set_, user_name(), reason)))
    finally:
        book.close()


def _refuse_unknown_place(journal: Path) -> None:
    """A latch beside nothing would stop nobody."""
    beside = [journal.with_name(journal.name + end) for end in (".lock", ".kill", ".commands")]
    if not any(os.path.lexists(path) for path in (journal, *beside)):
        raise InputError(
            "JOURNAL_MISSING",
            "there is no such journal",
            where=str(journal),
            allowed="the file that the engine writes",
            not_done="NOTHING WAS KILLED, nothing was changed",
            fix="name it with --journal FILE",
        )
