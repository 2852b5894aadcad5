"""Journals that nobody would write: a dashboard opens on them, and names the record that it cannot read."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hedger.dashboard.feed import LONG, Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.ports import Ports
from hedger.journal.entries import Kind, decision_entry
from tests.hedger.dashboard.made import HALF_S, Recorded, lived
from tests.hedger.rig import desk


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A journal as an engine left it, and when that was."""
    path = tmp_path_factory.mktemp("sound") / "j"
    rig = lived(path)
    rig.journal.close()
    return path, rig.now_ns


@pytest.fixture
def path(tmp_path: Path, sound: tuple[Path, int]) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copy(sound[0], tmp_path / "j"))


@pytest.fixture
def feed(path: Path, sound: tuple[Path, int]) -> Iterator[Feed]:
    """Of the copy; not read yet."""
    found = Feed(path, desk(), Ports(lambda: sound[1] + HALF_S))
    yield found
    found.close()


def read(feed: Feed) -> Feed:
    """As far as it can be read."""
    for _ in range(1000):
        feed.step()
        if feed.caught_up or feed.fault:
            return feed
    raise AssertionError("it never ended")


def grow(rig: Recorded, count: int) -> None:
    """As many decisions more as an engine in a busy minute writes."""
    last = list(rig.journal.storage.records(kinds=[Kind.DECISION]))[-1]
    document = json.loads(last.body)["document"]
    for _ in range(count):
        rig.journal.append(decision_entry(last.seq, last.now_ns, "", document, quiet=True))
    rig.journal.sync()


def spoil(path: Path, statement: str, *values: Any) -> None:
    """Change a journal's file as no engine can."""
    connection = sqlite3.connect(path)
    for trigger in ("records_stay", "records_remain"):
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def last_decision(path: Path) -> tuple[int, dict[str, Any]]:
    connection = sqlite3.connect(path)
    query = "SELECT number, body FROM records WHERE kind = 'decision' ORDER BY number DESC LIMIT 1"
    number, body = connection.execute(query).fetchone()
    connection.close()
    return number, json.loads(body)


@pytest.mark.parametrize("paused", [False, True])
def test_many_records_of_a_few_minutes_are_read(tmp_path: Path, paused: bool) -> None:
    """The end of such a journal is all of it, or all that came while the screen did not look."""
    path = tmp_path / "j"
    rig = lived(path)
    feed = Feed(path, desk(), Ports(lambda: rig.now_ns + HALF_S))
    if paused:
        read(feed)
    grow(rig, LONG + 10)
    read(feed)
    assert feed.fault == "" and feed.quick is None
    assert feed.number == rig.journal.storage.head().number > LONG
    feed.close()
    rig.journal.close()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (None, "a decision has no 'seq'"),
        ({"mode": None}, "a decision's 'mode' is 'None'"),
        ({"mode": "asleep"}, "a decision's 'mode' is 'asleep'"),
        ({"paused": 1}, "a decision's 'paused' is '1'"),
        ({"actions": ["x"]}, "a decision's 'actions'[0] is 'x'"),
        ({"exposures": [["delta:BTC", "abc"]]}, "a decision's 'exposures'[0] is 'abc'"),
        ({"ticket": [1]}, "a decision's 'ticket' is '[1]'"),
    ],
)
def test_a_decision_of_the_wrong_shape_is_named(
    path: Path, feed: Feed, changed: dict[str, Any] | None, told: str
) -> None:
    number, body = last_decision(path)
    document = {} if changed is None else body["document"] | changed
    spoil(
        path,
        "UPDATE records SET body = ? WHERE number = ?",
        json.dumps({"digest": "", "document": document}, sort_keys=True, separators=(",", ":")),
        number,
    )
    read(feed)
    assert f"record {number} cannot be read: " in feed.fault and told in feed.fault
    for panel in range(1, 8):
        assert Painter(feed, control=False).frame(Want(Panel(panel))).facts.fault == feed.fault


def test_records_that_are_missing_are_named(path: Path, feed: Feed) -> None:
    spoil(path, "DELETE FROM records WHERE number BETWEEN 21 AND 23")
    read(feed)
    assert feed.number == 20 and "records 21..23 are missing" in feed.fault


def test_records_that_were_counted_and_are_not_there_are_named(path: Path, feed: Feed) -> None:
    last, _ = last_decision(path)
    spoil(path, "UPDATE head SET number = 900000000")
    read(feed)
    assert feed.number == last and f"records {last + 1}..900000000 are missing" in feed.fault


def test_a_text_without_end_is_cut_off(path: Path, feed: Feed) -> None:
    number, body = last_decision(path)
    body["document"]["reason"] = "x" * 200_000
    words = json.dumps(body, sort_keys=True, separators=(",", ":"))
    spoil(path, "UPDATE records SET body = ? WHERE number = ?", words, number)
    read(feed)
    assert feed.fault == "" and feed.decided.last is not None
    assert feed.decided.last["reason"] == "x" * 4_000 + " .."
    assert {k: v for k, v in feed.decided.last.items() if k != "reason"} == {
        k: v for k, v in body["document"].items() if k != "reason"
    }
