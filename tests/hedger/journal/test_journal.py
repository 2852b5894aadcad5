"""The journal keeps its promise: what returned is there after any crash, in one chain, by one writer."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.events import Tick
from hedger.journal.entries import (
    Entry,
    Head,
    Intent,
    JournalName,
    Kind,
    Record,
    breaks,
    chained,
    fill_entry,
    intent_entry,
)
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.lock import holder, lock_path
from hedger.journal.schema import MIGRATIONS, VERSION, migrate
from hedger.journal.sqlite import read_sqlite, write_sqlite
from hedger.journal.storage import (
    JournalConflict,
    JournalLocked,
    JournalUnwritable,
    MemoryDisk,
    MemoryStorage,
    StorageFailed,
    StorageFaults,
)
from pricing.errors import Exit, InputError
from tests.builders import NOW_NS
from tests.hedger.journal_words import NAME, life, order, trade, turn

ROOT = Path(__file__).resolve().parents[3]


def written(path: Path, rounds: int = 2) -> list[Record]:
    """A journal on disk, and what is in it."""
    journal = Journal.open(path, NAME)
    for entries in life(rounds):
        journal.append(*entries)
    journal.close()
    return read_all(path)


def read_all(path: Path) -> list[Record]:
    storage = open_to_read(path)
    try:
        with storage.steady():
            records = list(storage.records())
            assert list(breaks(records, NAME, storage.head())) == []
        return records
    finally:
        storage.close()


def all_of(rounds: int) -> list[Record]:
    """What a whole life comes to."""
    entries = [entry for entries in life(rounds) for entry in entries]
    return chained(entries, Head(0, NAME.genesis))


# ------------------------------------------------------------------------------------------------- the chain


def test_the_chain_is_the_one_that_is_promised() -> None:
    """Rebuilt from its description, with hashlib and json alone."""
    records = all_of(2)
    name = json.dumps({"engine": "k3x9", "trading": "paper"}, separators=(",", ":"), sort_keys=True)
    last = hashlib.sha256(b"hedger journal 1\n" + name.encode()).digest()
    for i, record in enumerate(records, start=1):
        header = json.dumps(
            [i, record.kind, record.seq, record.now_ns, record.key], separators=(",", ":")
        ).encode()
        last = hashlib.sha256(last + header + b"\n" + record.body).digest()
        assert (record.number, record.hash) == (i, last)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    assert written(tmp_path / "j", 3) == all_of(3)


def test_the_same_life_has_the_same_hash_on_any_storage(tmp_path: Path) -> None:
    disk = MemoryDisk(NAME)
    journal = Journal(MemoryStorage(disk))
    for entries in life(2):
        journal.append(*entries)
    journal.close()
    assert disk.records == written(tmp_path / "j") == all_of(2)


def test_another_name_has_another_chain() -> None:
    names = [NAME, JournalName("live", "k3x9"), JournalName("paper", "zzzz")]
    assert len({name.genesis for name in names}) == 3


@given(st.data())
def test_any_tampering_breaks_the_chain_where_it_was_done(data: st.DataObject) -> None:
    records = all_of(1)
    counted = Head(records[-1].number, records[-1].hash)
    at = data.draw(st.integers(0, len(records) - 1))
    way = data.draw(
        st.sampled_from(["body", "kind", "seq", "now_ns", "key", "hash", "remove", "swap", "copy"])
    )
    changed = list(records)
    victim = records[at]
    if way == "remove":
        del changed[at]
    elif way == "swap":
        other = data.draw(st.integers(0, len(records) - 1).filter(lambda i: i != at))
        changed[at], changed[other] = changed[other], changed[at]
    elif way == "copy":
        changed.insert(at, victim)
    else:
        changed[at] = _changed(victim, way, data)
    found = list(breaks(changed, NAME, counted))
    assert found
    if way not in ("remove", "swap", "copy"):
        assert found[0].number == victim.number


def _changed(record: Record, way: str, data: st.DataObject) -> Record:
    if way == "body":
        at = data.draw(st.integers(0, len(record.body) - 1))
        flipped = record.body[at] ^ (1 << data.draw(st.integers(0, 7)))
        return replace(record, body=record.body[:at] + bytes([flipped]) + record.body[at + 1 :])
    if way == "hash":
        return replace(record, hash=bytes([record.hash[0] ^ 1]) + record.hash[1:])
    if way == "kind":
        return replace(record, kind="note")
    if way == "key":
        return replace(record, key="x" if record.key is None else None)
    if way == "seq":
        return replace(record, seq=record.seq + 1)
    return replace(record, now_ns=record.now_ns + 1)


@given(st.integers(0, 11))
def test_records_cut_off_at_the_end_are_missed(kept: int) -> None:
    records = all_of(1)
    counted = Head(records[-1].number, records[-1].hash)
    found = list(breaks(records[:kept], NAME, counted))
    assert [place.number for place in found] == [kept + 1]


def test_a_body_that_is_no_word_of_its_kind_is_told_though_the_chain_holds() -> None:
    bad = Entry(Kind.FILL, 0, NOW_NS, b'{"maker":true}')
    records = chained([bad], Head(0, NAME.genesis))
    found = list(breaks(records, NAME, Head(1, records[-1].hash)))
    assert [place.number for place in found] == [1]
    assert "no fill" in str(found[0])


# ---------------------------------------------------------------------------------------------- group commit


def test_quiet_turns_are_held_and_written_together() -> None:
    disk = MemoryDisk(NAME)
    journal = Journal(MemoryStorage(disk), held_max=10, held_ns_max=10**12)
    for seq in range(4):
        assert list(journal.append(*turn(seq, Tick()))) == [2 * seq + 1, 2 * seq + 2]
    assert (disk.commits, journal.durable.number, journal.head.number) == (0, 0, 8)
    journal.append(*turn(4, Tick()))
    assert (disk.commits, journal.durable.number) == (1, 10)
    journal.append(*turn(5, Tick()))
    journal.sync()
    journal.sync()
    assert (disk.commits, journal.durable) == (2, journal.head)


def test_quiet_turns_are_not_held_for_long() -> None:
    disk = MemoryDisk(NAME)
    journal = Journal(MemoryStorage(disk), held_ns_max=250_000_000)  # turns are a tenth of a second apart
    commits = []
    for seq in range(7):
        journal.append(*turn(seq, Tick()))
        commits.append(disk.commits)
    assert commits == [0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_urgent_is_durable_with_all_before_it(place: int) -> None:
    disk = MemoryDisk(NAME)
    journal = Journal(MemoryStorage(disk), held_ns_max=10**12)
    journal.append(*turn(0, Tick()))
    assert disk.records == []
    more = [intent_entry(1, NOW_NS, Intent(order(1)))] if place else []
    journal.append(*turn(1, Tick(), *more, quiet=bool(place)))
    assert [r.number for r in disk.records] == list(range(1, 5 + place))
    assert journal.durable == journal.head


def test_nothing_written_is_nothing_done() -> None:
    disk = MemoryDisk(NAME)
    journal = Journal(MemoryStorage(disk))
    assert list(journal.append()) == []
    journal.close()
    assert (disk.commits, journal.head) == (0, Head(0, NAME.genesis))


# ----------------------------------------------------------------------------------------------- what is once


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("what", ["fill", "intent", "both at once"])
def test_a_fill_and_an_intent_are_written_once(what: str, memory: bool, tmp_path: Path) -> None:
    storage = MemoryStorage(MemoryDisk(NAME)) if memory else write_sqlite(tmp_path / "j", NAME)
    journal = Journal(storage)
    entry = fill_entry(0, NOW_NS, trade(0, "t1", "10")) if what == "fill" else _intent(0)
    if what == "both at once":
        with pytest.raises(JournalConflict):
            journal.append(entry, entry)
    else:
        journal.append(entry)
        journal.sync()
        with pytest.raises(JournalConflict) as refused:
            journal.append(entry, _intent(1))
        assert refused.value.exit_code is Exit.INTERNAL
    expected = 0 if what == "both at once" else 1
    assert journal.durable.number == expected and journal.broken.startswith("twice")
    assert len(list(storage.records())) == expected
    for again in (lambda: journal.append(_intent(2)), journal.sync):
        with pytest.raises(JournalConflict):
            again()
    journal.close()


def _intent(seq: int) -> Entry:
    return intent_entry(seq, NOW_NS, Intent(order(seq)))


def test_the_same_trade_id_on_two_venues_is_two_fills() -> None:
    disk = MemoryDisk(NAME)
    report = trade(0, "t1", "10")
    other = replace(report, fill=replace(report.fill, listing=replace(report.fill.listing, venue="okx")))
    Journal(MemoryStorage(disk)).append(
        fill_entry(0, NOW_NS, report), fill_entry(0, NOW_NS, other), _intent(0)
    )
    assert len(disk.records) == 3


# ---------------------------------------------------------------------------------------------- failing disks


class Crash(BaseException):
    """The power fails."""


@pytest.mark.parametrize("when", ["begin", "done"])
def test_a_crash_at_every_commit_leaves_a_prefix_with_all_that_was_promised(when: str) -> None:
    whole, died = all_of(2), 0
    for place in range(1, 40):

        def step(at: str, number: int, place: int = place) -> None:
            if (at, number) == (when, place):
                raise Crash

        disk = MemoryDisk(NAME, StorageFaults(step=step))
        journal, promised = Journal(MemoryStorage(disk), held_max=3), 0
        try:
            for entries in life(2):
                journal.append(*entries)
                promised = journal.durable.number
            journal.sync()
        except Crash:
            died += 1
            with pytest.raises(JournalUnwritable):  # whoever goes on after that is stopped
                journal.append(*turn(99, Tick()))
        disk.faults, found = StorageFaults(), MemoryStorage(disk)
        assert disk.records == whole[: len(disk.records)]
        assert len(disk.records) >= promised
        again = Journal(found)
        again.append(*turn(50, Tick(), quiet=False))
        assert list(breaks(found.records(), NAME, found.head())) == []
    assert died >= 8


@given(st.integers(1, 8), st.booleans())
def test_after_an_error_nothing_is_written_any_more(place: int, torn: bool) -> None:
    faults = StorageFaults(failing={place}, torn=lambda number: torn)
    disk = MemoryDisk(NAME, faults)
    journal = Journal(MemoryStorage(disk), held_max=3)
    with pytest.raises(JournalUnwritable) as refused:
        for entries in life(3):
            journal.append(*entries)
    assert (refused.value.exit_code, journal.broken[:3]) == (Exit.REFUSED, "io:")
    before = list(disk.records)
    for entries in life(1):
        with pytest.raises(JournalUnwritable):
            journal.append(*entries)
    journal.close()
    assert disk.records == before == all_of(3)[: len(before)]
    assert len(before) >= journal.durable.number


def test_a_full_disk_in_memory() -> None:
    disk = MemoryDisk(NAME, StorageFaults(bytes_max=3000))
    journal = Journal(MemoryStorage(disk))
    with pytest.raises(JournalUnwritable, match="no space left"):
        for entries in life(9):
            journal.append(*entries)
    assert 0 < disk.bytes <= 3000 and journal.durable.number == len(disk.records)


def test_time_may_pass_in_a_slow_commit() -> None:
    clock = [0]

    def step(when: str, number: int) -> None:
        clock[0] += 2_000_000_000 if when == "begin" else 0

    disk = MemoryDisk(NAME, StorageFaults(step=step))
    Journal(MemoryStorage(disk)).append(*turn(0, Tick(), quiet=False))
    assert clock == [2_000_000_000]


def test_a_process_that_dies_at_any_place_leaves_a_prefix(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.hedger.journal_crash", "places", str(tmp_path / "j"), "4"]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    whole, found = all_of(4), json.loads(ran.stdout)
    lengths = []
    assert len(found) >= 25
    for place, promised in found:
        records = read_all(tmp_path / f"j-{place}")
        lengths.append(len(records))
        assert records == whole[: len(records)] and len(records) >= promised
        journal = Journal.open(tmp_path / f"j-{place}", NAME)
        assert journal.head.number == len(records)
        journal.append(*turn(1000, Tick(), quiet=False))
        journal.close()
        assert len(read_all(tmp_path / f"j-{place}")) == len(records) + 2
    assert (lengths[0], lengths[-1]) == (0, len(whole))  # the last one lived to the end
    assert lengths == sorted(lengths)


def test_a_log_torn_anywhere_leaves_a_prefix(tmp_path: Path) -> None:
    """What a power failure may leave: the log's last pages missing, or full of anything."""
    journal, whole = Journal.open(tmp_path / "j", NAME), all_of(2)
    for entries in life(2):
        journal.append(*entries)
    journal.sync()
    file, log = (tmp_path / "j").read_bytes(), (tmp_path / "j-wal").read_bytes()
    journal.close()
    lengths = set()
    for number, cut in enumerate(range(0, len(log), len(log) // 60)):
        torn = tmp_path / f"torn{number}"
        torn.write_bytes(file)
        rest = b"\xa5" * (len(log) - cut) if number % 2 else b""
        torn.with_name(torn.name + "-wal").write_bytes(log[:cut] + rest)
        journal = Journal.open(torn, NAME)
        journal.append(*turn(1000, Tick(), quiet=False))
        journal.close()
        records = read_all(torn)[:-2]
        assert records == whole[: len(records)]
        lengths.add(len(records))
    assert len(lengths) > 5


@pytest.mark.parametrize("lines", [1, 40, 150])
def test_kill_9_loses_nothing_that_was_promised(lines: int, tmp_path: Path) -> None:
    path = tmp_path / "j"
    words = [sys.executable, "-m", "tests.hedger.journal_crash", "write", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            writer.stdout.readline()
        assert holder(path) is not None
        with pytest.raises(JournalLocked) as refused:
            Journal.open(path, NAME)
        assert refused.value.exit_code is Exit.REFUSED and str(writer.pid) in str(refused.value)
        read_all(path)  # a reader beside the writer
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    promised = int(rest[-1]) if rest else 0
    assert holder(path) is None
    assert len(read_all(path)) >= promised
    Journal.open(path, NAME).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["j", "j.lock"]


# ------------------------------------------------------------------------------------------------------ files


def test_one_writer_in_one_process_too(tmp_path: Path) -> None:
    first = Journal.open(tmp_path / "j", NAME)
    with pytest.raises(JournalLocked, match=str(os.getpid())):
        Journal.open(tmp_path / "j", NAME)
    first.append(*turn(0, Tick(), quiet=False))
    first.close()
    second = Journal.open(tmp_path / "j", NAME)
    assert second.head == first.head
    second.close()


def test_what_stands_in_the_lock_says_nothing_about_who_holds_it(tmp_path: Path) -> None:
    lock_path(tmp_path / "j").write_text('{"pid": 1, "boot_id": "of another machine"}')
    assert holder(tmp_path / "j") is None
    journal = Journal.open(tmp_path / "j", NAME)
    held = json.loads(holder(tmp_path / "j") or "{}")
    assert held["pid"] == os.getpid()
    journal.close()


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        journal = Journal.open(tmp_path / "j", NAME)
        journal.append(*turn(0, Tick(), quiet=False))
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
        journal.close()
    finally:
        os.umask(before)
    assert modes == {"j": 0o600, "j-shm": 0o600, "j-wal": 0o600, "j.lock": 0o600}


def test_a_commit_is_synchronised(tmp_path: Path) -> None:
    storage = write_sqlite(tmp_path / "j", NAME)
    asked = {
        name: storage._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "wal_autocheckpoint")
    }
    storage.close()
    assert asked == {"journal_mode": "wal", "synchronous": 2, "wal_autocheckpoint": 0}


def test_records_cannot_be_changed_or_removed_by_accident(tmp_path: Path) -> None:
    written(tmp_path / "j")
    other = sqlite3.connect(tmp_path / "j")
    for statement in ("UPDATE records SET seq = 0", "DELETE FROM records"):
        with pytest.raises(sqlite3.IntegrityError, match="records"):
            other.execute(statement)
    other.close()


def test_paper_live_and_engines_are_never_mixed(tmp_path: Path) -> None:
    written(tmp_path / "j")
    for name in (JournalName("live", "k3x9"), JournalName("paper", "zzzz")):
        with pytest.raises(InputError, match="JOURNAL_NAME"):
            Journal.open(tmp_path / "j", name)
    assert holder(tmp_path / "j") is None


@pytest.mark.parametrize("content", [b"not a database", b"\x00" * 5000, b"PAR1" * 300])
def test_a_foreign_file_is_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    for opened in (lambda: Journal.open(path, NAME), lambda: open_to_read(path)):
        with pytest.raises(InputError, match="JOURNAL_FOREIGN") as refused:
            opened()
        assert refused.value.exit_code is Exit.INVALID
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "j")
    other.execute("CREATE TABLE records (number)")
    other.commit()
    other.close()
    before = (tmp_path / "j").read_bytes()
    for opened in (lambda: Journal.open(tmp_path / "j", NAME), lambda: open_to_read(tmp_path / "j")):
        with pytest.raises(InputError, match="JOURNAL_FOREIGN"):
            opened()
    assert (tmp_path / "j").read_bytes() == before


def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "absent" / "j", tmp_path / "folder", Path("/proc/j"), tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="JOURNAL_UNWRITABLE") as refused:
            Journal.open(path, NAME)
        assert refused.value.exit_code is Exit.INVALID
    for path in (tmp_path / "absent", tmp_path / "folder"):
        with pytest.raises(InputError, match="JOURNAL_MISSING"):
            open_to_read(path)


def test_a_name_with_every_character_that_means_something_in_an_address(tmp_path: Path) -> None:
    path = tmp_path / "a ?b#c%20&mode=ro.journal"
    assert len(written(path)) == len(all_of(2))


def test_a_file_half_made_is_made_again(tmp_path: Path) -> None:
    """A journal is made under another name: what a crash leaves of it is in nobody's way."""
    (tmp_path / ".j.new").write_bytes(b"half of it")
    assert written(tmp_path / "j") == all_of(2)
    assert not (tmp_path / ".j.new").exists()


def test_an_empty_file_is_a_journal_that_was_lost_not_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "j").touch()
    for opened in (lambda: Journal.open(tmp_path / "j", NAME), lambda: open_to_read(tmp_path / "j")):
        with pytest.raises(InputError, match="JOURNAL_DAMAGED"):
            opened()
    assert (tmp_path / "j").stat().st_size == 0 and holder(tmp_path / "j") is None


def test_a_journal_on_a_read_only_disk_can_be_read(tmp_path: Path) -> None:
    """As on a disk where the log's index cannot be made: the folder takes no files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    records = written(folder / "j")
    folder.chmod(0o500)
    try:
        assert read_all(folder / "j") == records
        if os.geteuid():  # rights do not bind the superuser
            with pytest.raises(InputError, match="JOURNAL_UNWRITABLE"):
                Journal.open(folder / "j2", NAME)
    finally:
        folder.chmod(0o700)


# --------------------------------------------------------------------------------------------- real full disk


def test_a_file_that_may_not_grow_stops_the_journal_and_loses_nothing(tmp_path: Path) -> None:
    """A limit of the file size stands for a full disk: the kernel refuses to write beyond it."""
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from hedger.journal.journal import Journal\n"
        "from hedger.journal.storage import JournalUnwritable\n"
        "from tests.hedger.journal_words import NAME, life\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "journal = Journal.open(Path(sys.argv[1]), NAME)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    for entries in life(200):\n"
        "        journal.append(*entries)\n"
        "except JournalUnwritable as error:\n"
        "    print(journal.durable.number, error.exit_code.value, error.code)\n"
        "journal.close()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "j")], capture_output=True, text=True, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
    durable, code, word = ran.stdout.split()
    assert (code, word) == ("3", "JOURNAL_UNWRITABLE") and int(durable) > 20
    records = read_all(tmp_path / "j")
    assert records == all_of(200)[: len(records)] and len(records) >= int(durable)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_full_database_is_said_to_be_full(tmp_path: Path) -> None:
    storage = write_sqlite(tmp_path / "j", NAME)
    pages = storage._connection.execute("PRAGMA page_count").fetchone()[0]
    storage._connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(StorageFailed, match="full"):
        for i in range(100):
            entry = Entry(Kind.EVENT, i, NOW_NS, b'"' + b"x" * 4000 + b'"')
            storage.commit(chained([entry], storage.head()))
    storage.close()
    kept = read_sqlite(tmp_path / "j")
    assert kept.head().number == len(list(kept.records())) < 100
    kept.close()


# ------------------------------------------------------------------------------------------------- migrations


def version_1(path: Path) -> list[Record]:
    """A file as version 1 made it, written without the program's own writer."""
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, to=1)
    connection.execute("INSERT INTO name VALUES (?, ?)", (NAME.trading, NAME.engine))
    records = all_of(2)
    connection.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(r.number, r.kind, r.seq, r.now_ns, r.key, r.body.decode(), r.hash) for r in records],
    )
    connection.execute("INSERT INTO head VALUES (?, ?)", (records[-1].number, records[-1].hash))
    connection.close()
    return records


def test_version_1_becomes_the_present_one_with_the_same_chain(tmp_path: Path) -> None:
    records = version_1(tmp_path / "j")
    assert read_all(tmp_path / "j") == records  # whoever reads need not migrate
    journal = Journal.open(tmp_path / "j", NAME)
    journal.append(*turn(500, Tick(), quiet=False))
    journal.close()
    assert read_all(tmp_path / "j")[:-2] == records
    connection = sqlite3.connect(tmp_path / "j")
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert {"records_kind", "records_key", "records_stay", "records_remain"} <= names
    connection.close()


def test_version_1_is_what_it_was(tmp_path: Path) -> None:
    """Steps are never changed: files made by them are out there."""
    digests = [hashlib.sha256(step.encode()).hexdigest()[:16] for step in MIGRATIONS]
    assert digests == ["a00b3d9249982dc5", "442d51e74a6ac86d", "5f2bc60c0e8c80b3", "e3b0c44298fc1c14"]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    records = version_1(tmp_path / "j")
    connection = sqlite3.connect(tmp_path / "j", isolation_level=None)
    connection.execute("CREATE TABLE records_kind (x)")  # the name that step 2 needs
    connection.close()
    with pytest.raises(InputError, match="JOURNAL_"):
        Journal.open(tmp_path / "j", NAME)
    assert read_all(tmp_path / "j") == records
    connection = sqlite3.connect(tmp_path / "j")
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "j")
    connection = sqlite3.connect(tmp_path / "j")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    for opened in (lambda: Journal.open(tmp_path / "j", NAME), lambda: open_to_read(tmp_path / "j")):
        with pytest.raises(InputError, match="JOURNAL_NEWER"):
            opened()
