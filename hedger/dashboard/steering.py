"""What the keys of control do: ask where a question is due, then leave a command and say what came of it."""

from __future__ import annotations

import time

from hedger.core.events import Verb
from hedger.dashboard.control import screen_hash
from hedger.dashboard.dialogs import KILL_S, Confirm, KillNotice
from hedger.dashboard.header import header
from hedger.dashboard.seat import Seat
from pricing.errors import HedgerError


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
    what = f"{verb} {argument}".strip()
    seat.pending[id] = what
    seat.say(f"{what}: left for the engine")
    seat.reader.wake()
    return True


def summary(seat: Seat) -> str:
    """Where the engine stands, for a question: the header, an item a line."""
    if seat.frame is None:
        return ""
    first, second, third = (text for text, _ in header(seat.frame.standing))
    return "\n".join((first, second, *third.split(" | ")[:2]))


def ask(seat: Seat, title: str, verb: Verb) -> None:
    """A command after a question."""

    def answered(answer: str | None) -> None:
        if answer is not None:
            send(seat, verb)

    seat.put(Confirm(title, summary(seat)), answered)


def acknowledge(seat: Seat) -> None:
    """The alert under the cursor was seen."""
    current = seat.grid.current
    words = [] if current is None else current.key.split(" ")
    if not may(seat, "acknowledge"):
        return
    if seat.reader.want.panel != 7 or words[:1] != ["alert"]:
        seat.say("no alert here: put the cursor on one in panel 7")
        return
    try:
        seat.control.acknowledge((int(words[1]), int(words[2])))
    except HedgerError as error:
        seat.say(f"NOT NOTED: {error.what}; {error.fix}")
        return
    seat.say(f"{words[3]} of record {words[1]}: seen")
    seat.reader.wake()


def kill(seat: Seat) -> None:
    """The second press within two seconds kills."""
    if not may(seat, "kill"):
        return
    now = time.monotonic()
    first, seat.killed_at = seat.killed_at, now
    if first is None or now - first > KILL_S:
        seat.put(KillNotice(seat.labels["kill"]), lambda _: None)
        return
    seat.killed_at = None
    try:
        words = seat.control.kill("key kill, twice", screen_hash(seat.lines()))
    except HedgerError as error:
        words = f"NOT KILLED: {error.text()}"
    if isinstance(seat.screen, KillNotice):
        seat.screen.dismiss(None)
    seat.shout("KILL", words)
    seat.reader.wake()
