"""What the keys of control do: ask where a question is due, then leave a command and say what came of it."""

from __future__ import annotations

import time
from dataclasses import replace

from hedger.core.events import Verb
from hedger.core.previewed import scope_of
from hedger.dashboard.control import screen_hash
from hedger.dashboard.dialogs import Confirm, KillNotice
from hedger.dashboard.header import header
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.seat import Pending, Seat
from hedger.desk.engine_state import EngineState, Withheld
from hedger.figures import age
from hedger.journal.wishes import PATIENCE_S, late_words
from pricing.errors import HedgerError

#: The word over everything stays so long: after a kill the header and the alerts say it as well, and what it
#: hides is wanted; that a kill failed is told nowhere else.
KILLED_S, NOT_KILLED_S = 6.0, 60.0


def may(seat: Seat, what: str) -> bool:
    """Whether this terminal may steer; where not, it says so."""
    if not seat.control.allowed:
        seat.warn(f"READ-ONLY: {what} needs --control; from a shell `hedger kill` kills")
    return seat.control.allowed


def send(seat: Seat, verb: Verb, argument: str = "", reason: str = "") -> bool:
    """Leave a command; whether it was left."""
    try:
        id = seat.control.send(verb, argument, reason or f"key {verb}", screen_hash(seat.lines()))
    except HedgerError as error:
        seat.warn(f"NOT SENT: {error.what}; {error.fix}")
        return False
    what = f"{verb} {scope_of(argument)}".strip()
    seat.pending[id] = Pending(what, late_words(verb), time.monotonic() + PATIENCE_S)
    seat.say(f"{what}: sent to the engine, not answered yet", stays=True)
    seat.reader.wake()
    return True


def summary(seat: Seat) -> str:
    """Where the engine stands, for a question: the header, an item a line."""
    if seat.frame is None:
        return ""
    first, second, third = (text for text, _ in header(seat.frame.facts))
    return "\n".join((first, second, *third.split(" | ")[:2]))


def ask(seat: Seat, title: str, verb: Verb) -> None:
    """A command after a question."""

    def answered(answer: str | None) -> None:
        if answer is not None:
            send(seat, verb)

    seat.put(Confirm(title, lambda: _before(seat, verb), lambda: _in_vain(seat)), answered)


def _before(seat: Seat, verb: Verb) -> str:
    """Where the engine stands; that a resume alone has nothing sent, where it is so."""
    engine_state = _engine_state(seat)
    said = ""
    if verb is Verb.RESUME and engine_state is not None:
        said = replace(engine_state, paused=False).withheld
    return f"NOTHING IS SENT ALL THE SAME: {said}\n{summary(seat)}" if said else summary(seat)


def _in_vain(seat: Seat) -> str:
    """Why no command makes the engine freer or tighter now, "" where one does."""
    engine_state = _engine_state(seat)
    if engine_state is None:
        return ""
    if engine_state.killed:
        return f"{Withheld.KILLED}, `hedger unkill --reason ..` first"
    return engine_state.withheld if engine_state.exchanged or not engine_state.runs else ""


def _engine_state(seat: Seat) -> EngineState | None:
    """Where the engine stands; None before the first frame."""
    return None if seat.frame is None else seat.frame.facts.engine_state


def acknowledge(seat: Seat) -> None:
    """The alert under the cursor was seen."""
    current = seat.grid.current
    words = [] if current is None else current.key.split(" ")
    if not may(seat, "acknowledge"):
        return
    if words[:1] == ["latch"]:
        seat.say("nobody need acknowledge it: it stands until `hedger unkill --reason ..`")
        return
    if seat.reader.want.panel is not Panel.ALERTS or words[:1] != ["alert"]:
        seat.say("no alert here: put the cursor on one in panel 7")
        return
    try:
        seat.control.acknowledge((int(words[1]), int(words[2])))
    except HedgerError as error:
        seat.warn(f"NOT NOTED: {error.what}; {error.fix}")
        return
    seat.say(f"{words[3]} of record {words[1]}: seen")
    seat.reader.wake()


def kill(seat: Seat) -> None:
    """The second press within two seconds kills."""
    if not may(seat, "kill"):
        return
    if not seat.kill_press.second(time.monotonic()):
        seat.put(KillNotice(seat.labels["kill"], lambda: _what_kill_does(seat)), lambda _: None)
        return
    unanswered = _unanswered(seat)
    seconds = NOT_KILLED_S if unanswered else KILLED_S
    try:
        words = seat.control.kill("key kill, twice", screen_hash(seat.lines()), unanswered)
        seat.kill_press.note_kill()
    except HedgerError as error:
        words, seconds = f"NOT KILLED: {error.text()}", NOT_KILLED_S
    if isinstance(seat.screen, KillNotice):
        seat.screen.end()
    seat.shout("KILL", words, seconds)
    seat.reader.wake()


def _unanswered(seat: Seat) -> str:
    """What a kill comes to where the engine gives no sign of life, "" where it gives them."""
    silent_s = seat.feed.silent_s()
    if not silent_s:
        return ""
    end = (
        f"end process {seat.feed.pid} and run `hedger kill`"
        if seat.feed.pid
        else "end it, then `hedger kill`"
    )
    does_not = f"THE ENGINE DOES NOT ANSWER ({age(silent_s)})"
    return f"{does_not}: orders may be live; cancel at the venue, or {end}, which cancels there"


def _what_kill_does(seat: Seat) -> str:
    """What a second press would do, as the engine stands."""
    engine_state = _engine_state(seat)
    if unanswered := _unanswered(seat):
        return f"the latch is set, and {unanswered}."
    if engine_state is not None and not engine_state.runs:
        return (
            "no engine runs, so the latch is set and the next start is killed; `hedger kill` in a shell "
            "cancels at the venues by itself."
        )
    if engine_state is not None and engine_state.killed:
        return "it is KILLED already, and every order is cancelled once more."
    return "nothing new is sent, every order is cancelled."
