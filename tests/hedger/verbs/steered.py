"""Something that writes a journal as an engine does, for the verbs that steer one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Event as Flag
from threading import Thread

from hedger.core.decision import Decision
from hedger.core.events import Command, Tick, Verb
from hedger.journal.commands_file import CommandBox
from hedger.journal.entries import ModeChange, mode_entry
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import FileLatch
from hedger.journal.recovery import recover
from pricing.contracts import Side
from tests.builders import NOW_NS
from tests.hedger.dashboard.made import Recorded
from tests.hedger.journal_words import NAME, turn
from venues.orders import AccountReport, OrderReport, OrderState, OrderUpdate

#: The venues of an engine, and what they say once everything is cancelled.
TOLD = {"deribit": 0, "okx": 0}


def account(venue: str, count: int) -> AccountReport:
    """With so many orders open."""
    line = OrderReport(
        "web-1", "v1", "BTC-PERPETUAL", Side.BUY, Decimal(1), Decimal(0), Decimal(1), OrderState.OPEN
    )
    return AccountReport(venue, "", NOW_NS, (line,) * count, {}, {})


@contextmanager
def engine(
    path: Path, *, answers: bool = True, arms: bool = True, left: Mapping[str, int] = TOLD
) -> Iterator[list[Command]]:
    """Something that writes the journal as an engine does: takes commands, changes mode, ends orders.

    left: after a kill, how many orders are open at the venues that answer.
    """
    taken: list[Command] = []
    stop, ready = Flag(), Flag()

    def run() -> None:
        journal = Journal.open(path, NAME)
        found = recover(journal.storage)
        box, latch, seq = CommandBox(path, found.commands), FileLatch(path), found.last_seq
        ready.set()
        while not stop.wait(0.01):
            for command in box.poll().commands if answers else ():
                taken.append(command)
                seq += 1
                mode = {Verb.ARM: "armed" if arms else "observe", Verb.KILL: "killed"}.get(
                    command.verb, "observe"
                )
                change = mode_entry(seq, NOW_NS, ModeChange(mode, False, command.user, command.reason))
                killing = command.verb is Verb.KILL
                asked = [{"action": "cancel_all", "venue": name} for name in TOLD if killing]
                journal.append(*turn(seq, command, change, quiet=False, mode=mode, actions=asked))
                if killing:
                    for order in found.orders.values():
                        seq += 1
                        gone = OrderUpdate(order.order.client_id, OrderState.CANCELLED, filled=Decimal(0))
                        journal.append(*turn(seq, gone, quiet=False))
                    for name, count in left.items():
                        seq += 1
                        journal.append(*turn(seq, account(name, count), quiet=False))
                    if left == TOLD:
                        seq += 1
                        word = {"action": "alert", "code": "KILL_CONFIRMED", "severity": "note", "text": ""}
                        journal.append(*turn(seq, Tick(), quiet=False, actions=[word]))
                if command.verb is Verb.UNKILL:
                    latch.clear()
        journal.close()

    thread = Thread(target=run)
    thread.start()
    assert ready.wait(10)
    try:
        yield taken
    finally:
        stop.set()
        thread.join()


@contextmanager
def answering(
    path: Path, *, read: bool = True, ahead_ns: int = 0
) -> Iterator[list[tuple[Command, Decision]]]:
    """A rig with a perpetual that needs a hedge, which decides on every command that comes; it only observes.
    read: its account was read, and agrees. ahead_ns: how far its time is ahead of the day it simulates."""
    taken: list[tuple[Command, Decision]] = []
    stop, ready = Flag(), Flag()

    def run() -> None:  # a journal and a box belong to the thread that opened them
        rig = Recorded({"BTC-PERPETUAL": "400000"}, path)
        marked = rig.mark()
        if read:
            rig.answer(marked)
        rig.now_ns += ahead_ns
        box = CommandBox(path)
        ready.set()
        while not stop.wait(0.01):
            for command in box.poll().commands:
                taken.append((command, rig.send(command)))
        box.close()
        rig.journal.close()

    thread = Thread(target=run)
    thread.start()
    try:
        assert ready.wait(30)
        yield taken
    finally:
        stop.set()
        thread.join()
