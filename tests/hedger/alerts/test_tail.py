"""What the engine told in its journal, from a journal that is written by hand."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hedger.alerts.notices import Notice, Notices, Why
from hedger.alerts.process_watch import ProcessSight, ProcessWatcher, marks_old, silent_s, standing
from hedger.alerts.tail import AlertTail
from hedger.core.actions import Severity
from hedger.engine.heartbeat import Heartbeat, beat
from hedger.journal.entries import Entry, Intent, ModeChange, Pause, event_entry, intent_entry
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.sections.alerts import AlertsConfig
from tests.builders import NOW_NS
from tests.hedger.alerts.places import decision, mode
from tests.hedger.journal_words import NAME, event, opening, order
from venues.orders import OrderState, OrderUpdate

SECOND = 10**9
MINUTE = 60 * SECOND
DOWN = ("warning", "LINK_DOWN", "deribit is down lost")
UP = ("note", "LINK_UP", "deribit is up")
ID = order(7).client_id


class Told:
    """A journal being written, and its reader."""

    def __init__(self, folder: Path, *before: Entry) -> None:
        self.journal_path = folder / "a.journal"
        self.journal = Journal.open(self.journal_path, NAME)
        self.journal.append(*opening(), *before)
        self.journal.sync()
        self.storage = open_to_read(folder / "a.journal")
        self.tail = AlertTail(self.storage, 30 * MINUTE)

    def say(self, *entries: Entry) -> list[str]:
        """Write on; the codes of what happened by that."""
        self.journal.append(*entries)
        self.journal.sync()
        return [notice.code for notice in self.tail.step(NOW_NS)]

    def stands(self) -> list[tuple[str, str]]:
        return [notice.key for notice in self.tail.stands()]

    def close(self) -> None:
        self.storage.close()
        self.journal.close()


def test_a_link_is_down_until_it_is_up_venue_by_venue(tmp_path: Path) -> None:
    told = Told(tmp_path)
    assert told.say(decision(0, DOWN, ("warning", "LINK_DOWN", "okx is down"))) == []
    assert told.stands() == [("LINK_DOWN", "deribit"), ("LINK_DOWN", "okx")]
    assert told.say(decision(1, UP)) == ["LINK_UP"]
    assert told.stands() == [("LINK_DOWN", "okx")]
    told.close()


def test_an_unknown_order_stands_until_somebody_knows(tmp_path: Path) -> None:
    told = Told(tmp_path)
    text = f"nobody could say for 10 s what became of {ID}: buy 1000; it counts as filled and as not filled"
    told.say(intent_entry(7, NOW_NS, Intent(order(7), 1)), decision(8, ("critical", "ORDER_UNKNOWN", text)))
    assert told.stands() == [("ORDER_UNKNOWN", ID)]
    told.say(event_entry(event(9, OrderUpdate(ID, OrderState.UNKNOWN))))
    assert told.stands() == [("ORDER_UNKNOWN", ID)]
    told.say(event_entry(event(10, OrderUpdate(ID, OrderState.CANCELLED))))
    assert told.stands() == []
    told.close()


@pytest.mark.parametrize("code", ["KEY_REFUSED", "BOOK_NOT_VALUED", "PNL_UNEXPLAINED"])
def test_arming_takes_back_what_a_person_had_to_look_at(tmp_path: Path, code: str) -> None:
    told = Told(tmp_path)
    told.say(decision(0, ("critical", code, "something")), mode(0, "halted"))
    assert told.stands() == [(code, "")]
    told.say(mode(1, "observe"))
    assert told.stands() == [(code, "")]
    told.say(mode(2, "armed"))
    assert told.stands() == []
    told.close()


def test_a_pause_is_over_when_it_is_over_and_a_days_sum_with_its_day(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.say(
        mode(0, "armed", paused=True),
        decision(0, ("critical", "PAUSED", "paused until"), ("warning", "PNL_UNEXPLAINED", "+9 USD")),
    )
    assert told.stands() == [("PAUSED", ""), ("PNL_UNEXPLAINED", "")]
    told.say(decision(1, now_ns=NOW_NS + 24 * 60 * MINUTE))
    assert told.stands() == [("PAUSED", "")]
    told.say(mode(2, "armed", now_ns=NOW_NS + 24 * 60 * MINUTE))
    assert told.stands() == []
    told.close()


def test_a_new_start_of_the_engine_takes_everything_back(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.say(decision(0, DOWN))
    told.say(opening()[0])
    assert told.stands() == []
    told.close()


@pytest.mark.parametrize(("acknowledged", "codes"), [((), ["BEFORE", "SINCE"]), (((3, 1),), ["SINCE"])])
def test_what_was_critical_before_a_restart_is_told_until_somebody_has_seen_it(
    tmp_path: Path, acknowledged: tuple[tuple[int, int], ...], codes: list[str]
) -> None:
    """A supervisor starts the engine again at once; whoever tells people comes later."""
    before = (("note", "N", "x"), ("critical", "BEFORE", "y"), ("warning", "W", "z"), DOWN)
    told = Told(
        tmp_path,
        decision(0, *before, now_ns=NOW_NS - 2 * 24 * 60 * MINUTE),
        opening()[0],
        decision(1, ("critical", "SINCE", "now")),
    )
    assert [r.number for r in told.storage.records(kinds=["decision"])] == [3, 5]
    told.tail = AlertTail(told.storage, 30 * MINUTE, seen=acknowledged)
    assert [notice.code for notice in told.tail.step(NOW_NS)] == codes
    assert told.stands() == []  # what stood with the engine before, the next one tells
    remembered = told.tail.told
    told.tail = AlertTail(told.storage, 30 * MINUTE, remembered)
    assert told.tail.step(NOW_NS) == []  # told once
    told.close()


def test_what_happened_long_ago_is_not_told_and_what_began_long_ago_is(tmp_path: Path) -> None:
    late = ("warning", "LATE_FILL", f"{ID} was cancelled and filled 1 more")
    ago = decision(0, late, DOWN, now_ns=NOW_NS - 31 * MINUTE)
    told = Told(tmp_path, ago, decision(1, late, now_ns=NOW_NS - 29 * MINUTE), mode(2, "armed"))
    assert told.tail.mode == ModeChange("armed", False, "ann", "test")
    assert told.say() == ["LATE_FILL"]
    assert told.stands() == [("LINK_DOWN", "deribit")]
    told.close()


def test_a_code_of_a_newer_engine_is_told_all_the_same(tmp_path: Path) -> None:
    told = Told(tmp_path)
    assert told.say(decision(0, ("critical", "WHATEVER_NEXT", "something"))) == ["WHATEVER_NEXT"]
    told.close()


def test_a_record_that_is_none_is_a_fault_and_not_the_end(tmp_path: Path) -> None:
    told = Told(tmp_path)
    broken = replace(decision(0, DOWN), body=b'{"document":{"actions":[{"action":"alert"}]}}')
    assert told.say(broken) == []
    assert "record 3" in told.tail.fault
    told.close()


# ------------------------------------------------------------------------------------------- from outside

CONFIG = AlertsConfig(disk_mb_min=0)


def codes(
    folder: Path, mode: ModeChange | None = None, *, after_s: float = 0.0, pid: int | None = 1
) -> list[str]:
    """What is seen of an engine, so many seconds after its last sign of life."""
    sight = replace(seen(folder, after_s), pid=pid)
    return [notice.code for notice in standing(sight, mode, CONFIG)]


def seen(folder: Path, after_s: float) -> ProcessSight:
    return ProcessWatcher(folder / "a.journal").look(NOW_NS, round((1000 + after_s) * SECOND))


def alive(folder: Path, pid: int = 1, *, closed: bool = False, monotonic_s: float = 1000.0) -> None:
    beat(folder / "a.journal", Heartbeat(pid, round(monotonic_s * SECOND), NOW_NS, 9, "armed", closed=closed))


def test_an_engine_is_alive_silent_dead_ended_or_absent(tmp_path: Path) -> None:
    assert codes(tmp_path, pid=None) == ["ENGINE_ABSENT"]
    alive(tmp_path)
    assert codes(tmp_path, after_s=9.0) == []
    assert codes(tmp_path, pid=None) == ["ENGINE_DEAD"]
    alive(tmp_path, closed=True)
    assert codes(tmp_path, pid=None) == ["ENGINE_ENDED"]


def test_a_sign_of_life_is_missed_after_its_time_and_only_of_the_process_that_writes(tmp_path: Path) -> None:
    alive(tmp_path)
    sight = replace(seen(tmp_path, 9.0), pid=1, watched_ns=900 * SECOND)
    assert silent_s(sight) == 9.0
    assert [n.code for n in standing(sight, None, CONFIG)] == []
    late = replace(sight, monotonic_ns=1010_100_000_000)
    assert [n.code for n in standing(late, None, CONFIG)] == ["ENGINE_SILENT"]
    other = replace(sight, pid=2, watched_ns=1008 * SECOND)  # the sign is an older process's
    assert silent_s(other) == 1.0
    assert [n.code for n in standing(replace(other, monotonic_ns=1019 * SECOND), None, CONFIG)] == [
        "ENGINE_SILENT"
    ]


def test_an_engine_that_has_said_its_last_and_still_holds_the_journal_is_not_silent(tmp_path: Path) -> None:
    alive(tmp_path, closed=True)
    sight = replace(seen(tmp_path, 1.0), pid=1, watched_ns=0)
    assert list(standing(sight, None, CONFIG)) == []


def test_signs_of_another_start_of_the_machine_are_told_by_the_wall_clock(tmp_path: Path) -> None:
    alive(tmp_path, monotonic_s=5000.0)
    sight = replace(seen(tmp_path, 0.0), pid=1, now_ns=NOW_NS + 42 * SECOND)
    assert silent_s(sight) == 42.0


def test_the_latch_the_mode_and_the_disk(tmp_path: Path) -> None:
    alive(tmp_path)
    halted = ModeChange("halted", True, "ann", "why")
    assert codes(tmp_path, halted) == ["MODE_HALTED", "MODE_PAUSED"]
    ending = ModeChange("armed", True, "run", "ending: the time is up")  # its own last pause
    assert codes(tmp_path, ending) == []
    for other in (replace(ending, user="ann"), replace(ending, reason="looks odd")):
        assert codes(tmp_path, other) == ["MODE_PAUSED"]
    assert codes(tmp_path, ModeChange("reducing", False, "ann", "")) == ["MODE_REDUCING"]
    assert codes(tmp_path, halted, pid=None) == ["ENGINE_DEAD", "MODE_HALTED", "MODE_PAUSED"]
    FileLatch(tmp_path / "a.journal").set(Latched(1, "watchdog", "LOOP_STALLED"))
    assert codes(tmp_path) == ["KILLED"]
    sight = replace(seen(tmp_path, 0.0), pid=1, latched=None)
    for free, found in ((1e9, []), (999e6, ["warning"]), (249e6, ["critical"])):
        told = standing(replace(sight, disk_free_bytes=int(free)), None, AlertsConfig())
        assert [str(n.severity) for n in told] == found


@pytest.mark.parametrize(
    ("mode", "acted", "was", "code"),
    [
        (ModeChange("armed", True, "ann", "lunch"), "armed", "armed, paused by ann: lunch", "MODE_PAUSED"),
        (ModeChange("killed", False, "bob", "odd"), "killed", "killed by bob: odd", None),
        (ModeChange("halted", False, "engine", "drift"), "halted", "halted by engine: drift", "MODE_HALTED"),
        (ModeChange("armed", False, "ann", "open"), "armed", "armed", None),
        (ModeChange("armed", True, "run", "ending: signal"), "armed", "armed", None),
    ],
    ids=["paused", "killed", "halted", "armed", "ending"],
)
@pytest.mark.parametrize("closed", [False, True])
def test_what_an_engine_that_is_gone_was_and_by_whom(
    tmp_path: Path, mode: ModeChange, acted: str, was: str, code: str | None, closed: bool
) -> None:
    """A pause is not over because the engine that was paused is dead."""
    beat(tmp_path / "a.journal", Heartbeat(1, 1000 * SECOND, NOW_NS, 9, acted, closed=closed))
    process, *modes = standing(replace(seen(tmp_path, 0.0), pid=None), mode, CONFIG)
    assert process.text.endswith(f"; it was {was}")
    assert [n.code for n in modes] == ([] if code is None else [code])
    if code is not None:
        after = "the next start observes until `hedger arm`, or arms at once with `--arm`"
        assert modes[0].text.endswith(f"; no engine runs, and {after}")
        assert mode.reason in modes[0].text and not modes[0].repeats
        (live,) = list(standing(replace(seen(tmp_path, 0.0), pid=None), mode, CONFIG, trading="live"))[1:]
        assert live.text.endswith("the next start arms itself once the accounts agree with the book")
    if code == "MODE_PAUSED":
        notices = Notices(MINUTE)
        running = list(standing(replace(seen(tmp_path, 0.0), pid=1), mode, CONFIG))
        assert [(m.why, m.notice.code) for m in notices.look(0, running)] == [(Why.NEW, "MODE_PAUSED")]
        told = [(m.why, m.notice.code) for m in notices.look(5 * MINUTE, [process, *modes])]
        assert told == [(Why.NEW, process.code)]
        begun = standing(replace(seen(tmp_path, 0.0), pid=1), ModeChange("observe", False, "ann", ""), CONFIG)
        told = [(m.why, m.notice.code) for m in notices.look(6 * MINUTE, list(begun))]
        assert (Why.OVER, "MODE_PAUSED") in told


def test_marks_are_old_only_of_an_engine_that_runs_and_had_some(tmp_path: Path) -> None:
    sight = replace(seen(tmp_path, 0.0), pid=1)

    def told(age_s: float, **more: object) -> list[Notice]:
        return list(marks_old(replace(sight, **more), NOW_NS - round(age_s * SECOND), CONFIG))  # type: ignore[arg-type]

    assert told(60.0) == []
    (old,) = told(60.1)
    assert (old.code, old.severity) == ("MARKS_OLD", Severity.CRITICAL)
    assert told(61.0, pid=None) == []
    assert list(marks_old(sight, 0, CONFIG)) == []


def test_a_journal_that_is_moved_away_or_replaced_is_told(tmp_path: Path) -> None:
    told = Told(tmp_path)
    outside, path = ProcessWatcher(told.journal_path), told.journal_path
    assert not outside.look(NOW_NS, 1).replaced
    path.rename(tmp_path / "old")
    sight = outside.look(NOW_NS, 1)
    assert "JOURNAL_REPLACED" in [n.code for n in standing(sight, None, CONFIG)]
    path.write_bytes(b"another")
    assert outside.look(NOW_NS, 1).replaced
    told.close()


def test_a_process_that_writes_is_seen_by_its_lock(tmp_path: Path) -> None:
    told = Told(tmp_path)
    assert ProcessWatcher(tmp_path / "a.journal").look(NOW_NS, 1).pid == os.getpid()
    told.close()
    assert ProcessWatcher(tmp_path / "a.journal").look(NOW_NS, 1).pid is None


def test_a_pause_is_of_who_paused_it_whatever_the_mode_became_since(tmp_path: Path) -> None:
    pause = Pause("ben", "odd", NOW_NS)
    drifted = ModeChange("reducing", True, "engine", "drift")
    told = list(standing(replace(seen(tmp_path, 0.0), pid=1), drifted, CONFIG, pause))
    assert [n.text for n in told if n.code == "MODE_PAUSED"] == ["paused by ben: odd"]
