"""A journal moved away and another begun under its name: who has the first open finds out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hedger.core.events import Command, Verb
from hedger.journal.commands_file import CommandBox, commands_path, send
from hedger.journal.entries import Head, JournalName, latch_entry
from hedger.journal.entries import LatchChange as Latch
from hedger.journal.identity import Opened, fingerprint_of
from hedger.journal.journal import Journal, open_to_read

OURS, THEIRS = "ab" * 16, "cd" * 16


def begun(path: Path, reason: str) -> str:
    """A journal of one record, and its fingerprint."""
    journal = Journal.open(path, JournalName("paper", "test"))
    assert fingerprint_of(journal.storage) == ""
    journal.append(latch_entry(-1, 1, Latch(True, "u", reason)))
    journal.close()
    storage = open_to_read(path)
    found = fingerprint_of(storage)
    assert storage.head() == Head(1, storage.head().hash) and storage.head().hash.hex().startswith(found)
    storage.close()
    return found


def test_two_journals_of_one_name_are_told_apart_and_one_is_known_again(tmp_path: Path) -> None:
    first, second = begun(tmp_path / "a", "one"), begun(tmp_path / "b", "another")
    assert len(first) == len(second) == 32 and first != second
    (tmp_path / "a").rename(tmp_path / "c")
    storage = open_to_read(tmp_path / "c")
    assert fingerprint_of(storage) == first
    storage.close()


def test_the_file_that_was_opened_is_missed_when_it_goes_and_known_when_it_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text("this one")
    opened = Opened(path)
    assert opened.exchanged() == ""
    path.rename(tmp_path / "away")
    assert "moved away" in opened.exchanged()
    path.write_text("this one")  # the same words are not the same file
    assert "another journal" in opened.exchanged()
    (tmp_path / "away").rename(path)
    assert opened.exchanged() == ""
    path.write_text("written on")
    assert opened.exchanged() == ""


def test_of_what_was_meant_for_another_journal_only_the_kill_is_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    box = CommandBox(path, fingerprint=OURS)
    for verb in Verb:
        send(path, Command(f"theirs-{verb}", verb, "u", "r", ""), 0, THEIRS)
    found = box.poll()
    assert [c.id for c in found.commands] == ["theirs-kill"]
    assert len(found.refused) == len(Verb) - 1
    assert all("another journal" in text for text in found.refused)
    send(path, Command("ours", Verb.ARM, "u", "r", ""), 0, OURS)
    send(path, Command("does not say", Verb.ARM, "u", "r", ""), 0)
    assert [c.id for c in box.poll().commands] == ["ours", "does not say"]
    box.close()


def test_a_box_of_the_second_form_is_brought_up_to_date_and_its_senders_write_on(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with closing(sqlite3.connect(commands_path(path))) as old:
        old.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE commands (number INTEGER PRIMARY KEY AUTOINCREMENT, "
            "id TEXT NOT NULL UNIQUE, verb TEXT NOT NULL, user TEXT NOT NULL, reason TEXT NOT NULL, "
            "argument TEXT NOT NULL, sent_ns INTEGER NOT NULL, build TEXT NOT NULL DEFAULT ''); "
            "PRAGMA application_id = 1212434243; PRAGMA user_version = 2;"
        )
        box = CommandBox(path, fingerprint=OURS)
        old.execute(
            "INSERT INTO commands (id, verb, user, reason, argument, sent_ns, build) "
            "VALUES ('old', 'pause', 'u', 'r', '', 0, '0.2.0+ab')"
        )
        old.commit()
    assert [(c.id, c.build) for c in box.poll().commands] == [("old", "0.2.0+ab")]
    box.close()
