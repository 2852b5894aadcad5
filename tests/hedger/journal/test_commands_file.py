"""The letter box: many senders, one reader, each command once, none from before the start, no junk obeyed."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.events import Command, Verb
from hedger.journal.commands_file import CommandBox, Letters, commands_path, send
from hedger.journal.user import TEXT_MAX
from pricing.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


def wish(id: str, verb: Verb = Verb.PAUSE, argument: str = "") -> Command:
    return Command(id, verb, "ann", "lunch", argument)


def test_each_command_is_taken_once_in_order(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    box = CommandBox(journal)
    assert box.poll() == Letters()
    sent = [wish(f"c{i}", verb, argument="BTC") for i, verb in enumerate(Verb)]
    assert all(send(journal, command, i) for i, command in enumerate(sent))
    assert not send(journal, sent[0], 99)  # the same wish again
    assert box.poll() == Letters(tuple(sent))
    assert box.poll() == Letters()
    send(journal, wish("late"), 100)
    assert [c.id for c in box.poll().commands] == ["late"]
    box.close()


def test_a_flood_of_previews_is_one_and_holds_no_other_command_up(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    box = CommandBox(journal)
    for i in range(9):
        send(journal, wish(f"p{i}", Verb.PREVIEW), i)
    send(journal, wish("pause"), 31)
    assert [c.id for c in box.poll().commands] == ["p8", "pause"]
    taken = []
    for i in range(25):  # a look is a twentieth of a second: they go on for one and a bit
        send(journal, wish(f"q{i}", Verb.PREVIEW), i)
        if i == 10:
            send(journal, wish("resume", Verb.RESUME), i)
        found = [c.id for c in box.poll().commands]
        assert i != 10 or "resume" in found
        taken += [id for id in found if id != "resume"]
    assert taken == ["q19"]
    for _ in range(40):  # the last that was asked for is answered
        taken += [c.id for c in box.poll().commands]
    assert taken == ["q19", "q24"]
    box.close()


def test_a_flood_of_junk_is_told_in_a_few_words(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    box = CommandBox(journal)
    with sqlite3.connect(commands_path(journal)) as stranger:
        for i in range(90):
            row = (f"x{i}", "explode", "u", "", "", i)
            columns = "(id, verb, user, reason, argument, sent_ns)"
            stranger.execute(f"INSERT INTO commands {columns} VALUES (?, ?, ?, ?, ?, ?)", row)
    stranger.close()
    refused = box.poll().refused
    assert len(refused) == 11 and refused[-1] == "and 80 more rows that are no command"
    box.close()


def test_what_lay_there_before_the_start_is_told_and_not_obeyed(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    for i in range(3):
        send(journal, wish(f"c{i}", Verb.ARM), i)
    box = CommandBox(journal, taken={"c1"})
    assert [c.id for c in box.left_over().commands] == ["c0", "c2"]
    assert box.poll() == Letters()
    send(journal, wish("new"), 9)
    assert [c.id for c in box.poll().commands] == ["new"]
    box.close()


def test_what_the_journal_holds_already_is_not_taken_again(tmp_path: Path) -> None:
    box = CommandBox(tmp_path / "j", taken={"c0"})
    send(tmp_path / "j", wish("c0"), 0)
    send(tmp_path / "j", wish("c1"), 0)
    assert [c.id for c in box.poll().commands] == ["c1"]
    box.close()


def test_many_senders_at_once_and_none_is_lost(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hedger.journal.commands_file import send\n"
        "from hedger.core.events import Command, Verb\n"
        "for i in range(20):\n"
        "    send(Path(sys.argv[1]), Command(f'{sys.argv[2]}-{i}', Verb.PAUSE, 'u', 'r'), i)\n"
    )
    senders = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "j"), name], cwd=ROOT)
        for name in "abcd"
    ]
    box, found = CommandBox(tmp_path / "j"), list[Command]()
    found += box.left_over().commands
    while any(sender.poll() is None for sender in senders):
        found += box.poll().commands
    found += box.poll().commands
    assert [sender.returncode for sender in senders] == [0, 0, 0, 0]
    ids = [command.id for command in found]
    assert sorted(ids) == sorted(f"{name}-{i}" for name in "abcd" for i in range(20))
    for name in "abcd":
        assert [id for id in ids if id[0] == name] == [f"{name}-{i}" for i in range(20)]
    box.close()


@given(st.text(max_size=TEXT_MAX + 20), st.sampled_from(["user", "reason", "argument"]))
def test_texts_that_fit_on_a_line_are_sent_and_no_others(text: str, field: str) -> None:
    changes: dict[str, Any] = {field: text}
    with TemporaryDirectory() as folder:
        journal, command = Path(folder) / "j", replace(wish("c"), **changes)
        if len(text) <= TEXT_MAX and (text.isprintable() or not text):
            box = CommandBox(journal)
            send(journal, command, 0)
            assert box.poll() == Letters((command,))
            box.close()
        else:
            with pytest.raises(InputError, match="COMMAND_TEXT"):
                send(journal, command, 0)


def test_rows_of_strangers_are_told_and_not_obeyed(tmp_path: Path) -> None:
    box = CommandBox(tmp_path / "j")
    rows = [
        ("a", "explode", "u", "r", ""),
        ("b", "arm", "u" * 501, "r", ""),
        ("c", "arm", "u", "\x1b[2J", ""),
        ("", "arm", "u", "r", ""),
        (b"d", "arm", "u", "r", ""),
        ("e", "pause", "u", "r", "x"),
    ]
    stranger = sqlite3.connect(commands_path(tmp_path / "j"))
    stranger.executemany(
        "INSERT INTO commands (id, verb, user, reason, argument, sent_ns) VALUES (?, ?, ?, ?, ?, 0)", rows
    )
    stranger.commit()
    stranger.close()
    found = box.poll()
    assert [c.id for c in found.commands] == ["e"]
    assert [text.split(":")[0] for text in found.refused] == [f"command {i}" for i in range(1, 6)]
    assert "\x1b" not in "".join(found.refused)
    assert box.poll() == Letters()
    box.close()


def test_a_box_that_breaks_is_told_once_and_the_engine_goes_on(tmp_path: Path) -> None:
    box = CommandBox(tmp_path / "j")
    stranger = sqlite3.connect(commands_path(tmp_path / "j"))
    stranger.execute("DROP TABLE commands")
    stranger.commit()
    stranger.close()
    assert "cannot be read" in box.poll().refused[0]
    assert box.poll() == Letters()
    box.close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"\x00" * 4096])
def test_a_foreign_file_is_refused_by_both_ends(content: bytes, tmp_path: Path) -> None:
    commands_path(tmp_path / "j").write_bytes(content)
    for end in (lambda: CommandBox(tmp_path / "j"), lambda: send(tmp_path / "j", wish("c"), 0)):
        with pytest.raises(InputError, match="COMMANDS_FILE"):
            end()
    other = sqlite3.connect(tmp_path / "x")
    other.execute("PRAGMA application_id = 5")
    other.execute("CREATE TABLE commands (number)")
    other.commit()
    other.close()
    (tmp_path / "x").rename(commands_path(tmp_path / "j"))
    with pytest.raises(InputError, match="another program's"):
        CommandBox(tmp_path / "j")


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="COMMANDS_FILE"):
        send(tmp_path / "absent" / "j", wish("c"), 0)


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        send(tmp_path / "j", wish("c"), 0)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}


def test_a_gap_in_the_numbers_hides_nothing_behind_it(tmp_path: Path) -> None:
    """Rows that somebody took out, or numbers that SQLite has left out."""
    journal = tmp_path / "j"
    box = CommandBox(journal)
    send(journal, wish("first"), 0)
    with sqlite3.connect(commands_path(journal)) as stranger:
        stranger.execute("UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'commands'")
    stranger.close()
    send(journal, wish("behind the gap"), 1)
    assert [c.id for c in box.poll().commands] == ["first", "behind the gap"]
    send(journal, wish("and after"), 2)
    assert [c.id for c in box.poll().commands] == ["and after"]
    box.close()
    assert [c.id for c in CommandBox(journal).left_over().commands] == [
        "first",
        "behind the gap",
        "and after",
    ]


# ---------------------------------------------------------------------------------------------------- builds

VERSION_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE commands (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, verb TEXT NOT NULL,
    user TEXT NOT NULL, reason TEXT NOT NULL, argument TEXT NOT NULL, sent_ns INTEGER NOT NULL
);
PRAGMA application_id = 1212434243;
PRAGMA user_version = 1;
"""
OLD_ROW = (
    "INSERT INTO commands (id, verb, user, reason, argument, sent_ns) VALUES (?, 'arm', 'a', 'r', '', 1)"
)


def test_a_command_says_which_other_build_sent_it(tmp_path: Path) -> None:
    box = CommandBox(tmp_path / "j")
    send(tmp_path / "j", wish("ours"), 0)
    send(tmp_path / "j", replace(wish("theirs"), build="9.9.9+ab"), 0)
    assert [(c.id, c.build) for c in box.poll().commands] == [("ours", ""), ("theirs", "9.9.9+ab")]
    box.close()


def test_a_box_of_the_first_form_is_brought_up_to_date_and_its_senders_are_of_no_known_build(
    tmp_path: Path,
) -> None:
    old = sqlite3.connect(commands_path(tmp_path / "j"))
    old.executescript(VERSION_1)
    old.execute(OLD_ROW, ("before",))
    old.commit()
    box = CommandBox(tmp_path / "j")
    assert [(c.id, c.build) for c in box.left_over().commands] == [("before", "unknown")]
    old.execute(OLD_ROW, ("after",))  # by a process of then that has it open, and knows nothing of builds
    old.commit()
    old.close()
    send(tmp_path / "j", wish("ours"), 0)
    assert [(c.id, c.build) for c in box.poll().commands] == [("after", "unknown"), ("ours", "")]
    box.close()


def test_a_box_from_before_last_moments_is_brought_up_to_date_and_its_release_goes_on(tmp_path: Path) -> None:
    """A release of then reads and writes it all the same: it must be able to pause a newer engine."""
    old = sqlite3.connect(commands_path(tmp_path / "j"))
    old.executescript(VERSION_1)
    for name in ("build", "journal"):
        old.execute(f"ALTER TABLE commands ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
    old.execute("PRAGMA user_version = 3")
    old.commit()
    box = CommandBox(tmp_path / "j")
    timed = replace(wish("ours", Verb.HEDGE), not_after_ns=1_700_000_000_123_456_789)
    send(tmp_path / "j", timed, 0)
    old.execute(OLD_ROW, ("theirs",))
    old.commit()
    assert old.execute("PRAGMA user_version").fetchone() == (3,)
    query = "SELECT number, id, verb, user, reason, argument, build, journal FROM commands"
    assert [row[1] for row in old.execute(query)] == ["ours", "theirs"]
    old.close()
    ours, theirs = box.poll().commands
    assert (ours, theirs.id, theirs.not_after_ns) == (timed, "theirs", None)
    box.close()


def test_a_last_moment_that_is_none_is_told_and_not_obeyed(tmp_path: Path) -> None:
    box = CommandBox(tmp_path / "j")
    with sqlite3.connect(commands_path(tmp_path / "j")) as stranger:
        stranger.execute(OLD_ROW, ("x",))
        stranger.execute("UPDATE commands SET not_after_ns = 'soon'")
    stranger.close()
    assert box.poll() == Letters((), ("command 1: its last moment is no time",))
    box.close()


def test_a_box_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    send(tmp_path / "j", wish("c"), 0)
    newer = sqlite3.connect(commands_path(tmp_path / "j"))
    newer.execute("PRAGMA user_version = 4")
    newer.close()
    for end in (lambda: CommandBox(tmp_path / "j"), lambda: send(tmp_path / "j", wish("d"), 0)):
        with pytest.raises(InputError, match="newer release"):
            end()
    left = sqlite3.connect(commands_path(tmp_path / "j"))
    assert left.execute("SELECT id FROM commands").fetchall() == [("c",)]
    left.close()
