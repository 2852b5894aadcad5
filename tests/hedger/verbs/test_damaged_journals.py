"""Journals whose records are not what they should be, in a chain that holds: every verb that reads one, and
the dashboard, says so with the record's number, and none ends as a fault of the program."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.ports import Ports
from hedger.journal.codec import canonical
from hedger.journal.entries import JournalName, Kind, Record, link
from hedger.journal.journal import open_to_read
from tests.hedger.command_line import hedger
from tests.hedger.dashboard.made import HALF_S, lived
from tests.hedger.rig import desk

GONE = object()
VALUES: tuple[Any, ...] = (
    GONE, None, "x", -1, 10**30, 1e308, True, [], {}, [None], "NaN", "1E+400000", "-1", 0.5,
)  # fmt: skip
VERBS = (
    ("status",),
    ("status", "--hedge"),
    ("orders", "--all"),
    ("pnl",),
    ("venues",),
    ("risk",),
    ("alerts", "--told"),
    ("journal", "show"),
    ("journal", "verify"),
)
SLOW = (("whatif", "--hedged"), ("report", "--out", "report"), ("alerts", "--once"))
DRAWN = 8
#: Of the records and fields that are drawn; another one draws others.
SEED = 7
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """A journal as an engine left it. at_ns: when that was."""

    path: Path
    name: JournalName
    records: tuple[Record, ...]
    at_ns: int

    def with_body(self, path: Path, number: int, text: bytes) -> None:
        """A copy with another text in one record, and a chain that holds."""
        shutil.copy(self.path, path)
        connection = sqlite3.connect(path)
        for trigger in ("records_stay", "records_remain"):
            connection.execute(f"DROP TRIGGER {trigger}")
        last = self.name.genesis if number == 1 else self.records[number - 2].hash
        for record in self.records[number - 1 :]:
            new = record
            if record.number == number:
                new = replace(record, body=text + (b"" if record.frame is None else b"\n" + record.frame))
            last = link(last, new)
            words = (new.text.decode(), last, new.number)
            connection.execute("UPDATE records SET body = ?, hash = ? WHERE number = ?", words)
        connection.execute("UPDATE head SET hash = ?", (last,))
        connection.commit()
        connection.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    path = tmp_path_factory.mktemp("sound") / "j"
    rig = lived(path)
    rig.journal.close()
    storage = open_to_read(path)
    found = Sound(path, storage.name, tuple(storage.records()), rig.now_ns)
    storage.close()
    return found


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place of a document; of a list the first two."""
    if at:
        yield at
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    )
    for name, x in inner:
        yield from places(x, (*at, name))


def changed(record: Record, at: Place, value: Any) -> bytes:
    """The text of a record with something else in a place."""
    document = json.loads(record.text)
    inner = document
    for name in at[:-1]:
        inner = inner[name]
    if value is GONE:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return canonical(document)


def look(
    sound: Sound, folder: Path, capsys: pytest.CaptureFixture[str], verbs: tuple[tuple[str, ...], ...]
) -> dict[str, tuple[int, str]]:
    """What each verb said of the journal in a folder; the dashboard's fault as "dashboard"."""
    found = {}
    for words in verbs:
        more = [str(folder / word) if word == "report" and i else word for i, word in enumerate(words)]
        ran = hedger(capsys, *more, "--journal", folder / "j")
        assert ran.code in (0, 1, 2), (words, ran.err)
        found[" ".join(words)] = ran.code, ran.err
        shutil.rmtree(folder / "report", ignore_errors=True)
    feed = Feed(folder / "j", desk(), Ports(lambda: sound.at_ns + HALF_S))
    try:
        for _ in range(1000):
            feed.step()
            if feed.caught_up or feed.fault:
                break
        painter = Painter(feed, control=True)
        for panel in (1, 2, 4, 5, 6, 7):
            painter.frame(Want(Panel(panel)))
        found["dashboard"] = 0, feed.fault
    finally:
        feed.close()
    return found


def of_kind(sound: Sound, kind: Kind, at: Place) -> Record:
    """The first record of a kind that has something in a place."""
    return next(r for r in sound.records if r.kind == kind and at in set(places(json.loads(r.text))))


DAMAGE: tuple[tuple[Kind, Place, Any], ...] = (
    (Kind.DECISION, ("document", "ticket", "legs"), GONE),
    (Kind.DECISION, ("document", "ticket", "cost_usd"), {}),
    (Kind.DECISION, ("document", "verification", "ended"), GONE),
    (Kind.DECISION, ("document", "exposures"), 7),
    (Kind.DECISION, ("document", "exposures", 0, 0), "delta"),
    (Kind.DECISION, ("document", "actions", 0, "severity"), 0.5),
    (Kind.DECISION, ("document", "breached"), [None]),
    (Kind.FILL, ("fill", "price"), None),
    (Kind.BANDS, ("bands", 0, "row"), "delta"),
    (Kind.MODE, ("paused",), "no"),
    (Kind.INTENT, ("order", "quantity"), GONE),
)


@pytest.mark.parametrize(("kind", "at", "value"), DAMAGE, ids=lambda x: str(x) if isinstance(x, Kind) else "")
def test_a_record_that_is_damaged_is_named_by_whoever_reads_it(
    sound: Sound, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: Kind, at: Place, value: Any
) -> None:
    record = of_kind(sound, kind, at)
    sound.with_body(tmp_path / "j", record.number, changed(record, at, value))
    found = look(sound, tmp_path, capsys, (("status", "--hedge"), ("journal", "verify")))
    assert found["journal verify"][0] == 1
    code, said = found["status --hedge"]
    assert code == 2 and re.match("JOURNAL_(DAMAGED|OTHER_BUILD): ", said)
    assert f"record {record.number}: " in said
    assert f"record {record.number} cannot be read: " in found["dashboard"][1]


def test_whoever_asks_for_its_coins_is_told(
    sound: Sound, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (record,) = (record for record in sound.records if record.kind == Kind.LISTINGS)
    sound.with_body(tmp_path / "j", record.number, b"{}")
    ran = hedger(capsys, "completion", "coins", "--journal", tmp_path / "j")
    assert (ran.code, ran.out) == (2, "") and re.match("JOURNAL_(DAMAGED|OTHER_BUILD): ", ran.err)
    assert f"record {record.number}: " in ran.err and "no coin is named" in ran.err


def test_whatever_stands_in_a_record_no_reader_ends_as_a_fault_of_the_program(
    sound: Sound, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(SEED)
    by_kind: dict[str, list[tuple[Record, Place]]] = {}
    for record in sound.records:
        at = [(record, place) for place in places(json.loads(record.text))]
        by_kind.setdefault(record.kind, []).extend(at)
    for turn in range(DRAWN):
        record, place = draw.choice(by_kind[draw.choice(sorted(by_kind))])
        value = draw.choice(VALUES)
        folder = tmp_path / str(turn)
        folder.mkdir()
        sound.with_body(folder / "j", record.number, changed(record, place, value))
        try:
            look(sound, folder, capsys, (*VERBS, SLOW[turn % len(SLOW)]))
        except Exception as error:  # whatever it is, which record did it is told with it
            raise AssertionError(f"{record.kind} {place} {value!r}: {error!r}") from error
