"""A command that trades, or frees the engine to, is obeyed up to its last moment and not after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hedger.core.actions import Alert, Severity
from hedger.core.events import OF_ITS_MOMENT, Command, Verb
from hedger.core.state import Mode
from hedger.journal.entries import EventBody, Record, event_entry, read
from tests.hedger.journal_words import event
from tests.hedger.rig import SECOND, Rig, replayed

LONG = {"BTC-PERPETUAL": "400000"}
ARGUMENTS = {Verb.BANDS: "delta:BTC=-1,1/-0.5,0.5", Verb.RELOAD: "{}"}


def asked(verb: Verb, not_after_ns: int | None) -> Command:
    return Command("late", verb, "ann", "why", ARGUMENTS.get(verb, ""), "", not_after_ns)


@pytest.mark.parametrize("verb", sorted(OF_ITS_MOMENT))
def test_late_it_changes_nothing_and_is_told(verb: Verb) -> None:
    rig = Rig(LONG).armed()
    rig.command(Verb.PAUSE)
    before, first = rig.state, rig.now_ns
    decision = rig.send(asked(verb, first + 10 * SECOND), 31.5)
    (alert,) = (x for x in decision.actions if isinstance(x, Alert))
    assert (alert.severity, alert.code) == (Severity.WARNING, "COMMAND_LATE")
    assert alert.text == (
        f"no {verb}: it was taken 21.5 s after its sender had stopped waiting; nothing was done; send it "
        "again if it is still wanted"
    )
    assert alert.code in verb.refusals
    after = rig.state
    assert decision.orders == () and after.commands == before.commands | {"late"}
    for name in ("mode", "paused", "asked_for", "by_hand", "execution", "residual"):
        assert getattr(after, name, None) == getattr(before, name, None), name


def test_at_its_last_moment_it_is_obeyed() -> None:
    rig = Rig(LONG).armed()
    rig.command(Verb.PAUSE)
    rig.send(asked(Verb.RESUME, rig.now_ns + 10 * SECOND), 10.0)
    assert not rig.state.paused


def test_without_one_it_stays_asked_for() -> None:
    rig = Rig(LONG).armed()
    rig.send(asked(Verb.KILL, None), 3600.0)
    assert rig.state.mode is Mode.KILLED


def test_of_another_build_it_is_refused_for_that() -> None:
    rig = Rig(LONG).armed()
    rig.send(replace(asked(Verb.HEDGE, rig.now_ns), build="0.0.9+ab"), 5.0)
    assert rig.alerts()[-1] == "BUILD_REFUSED"


def test_the_record_alone_decides_it_again() -> None:
    rig = Rig(LONG)
    first = rig.state
    rig.armed()
    rig.send(asked(Verb.FLATTEN, rig.now_ns + SECOND), 5.0)
    assert rig.alerts()[-1] == "COMMAND_LATE"
    assert replayed(rig, first) == [decision.digest for decision in rig.decisions]


def test_a_command_of_a_journal_from_before_there_were_last_moments_is_read() -> None:
    entry = event_entry(event(1, Command("c1", Verb.HEDGE, "bob", "lunch")))
    body = entry.body.replace(b'"not_after_ns":null,', b"")
    assert b"not_after_ns" not in body and len(body) < len(entry.body)
    word = read(Record(1, entry.kind, entry.seq, entry.now_ns, entry.key, body, b""))
    assert isinstance(word, EventBody) and word.what == Command("c1", Verb.HEDGE, "bob", "lunch")
