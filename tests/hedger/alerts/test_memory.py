"""What was told is kept over a restart: nobody hears it twice, and whatever goes wrong, nobody hears less."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedger.alerts.addresses import addresses
from hedger.alerts.alert_loop import Watch, WatchParts
from hedger.alerts.letters import Letter
from hedger.alerts.memory import MemoryFile, knows, memory_path
from hedger.alerts.notices import SUBJECTS_MAX, Why
from hedger.alerts.sinks import Address, Mark, Sink
from hedger.alerts.tail import AlertTail
from hedger.core.actions import Severity
from hedger.engine.logs import Log
from hedger.journal.entries import Head
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.kill_latch import FileLatch, Latched
from hedger.sections.alerts import AlertsConfig
from tests.builders import NOW_NS
from tests.hedger.alerts.places import Place, decision, mode, place, until
from tests.hedger.alerts.test_process import DOWN, Engine, alerts, ended
from tests.hedger.journal_words import NAME, opening

SECOND = 10**9
CONFIG = AlertsConfig(
    unexplained=False, disk_mb_min=0.0, well_h=0.0, silent_s_max=0.0, retry_s=0.01, retry_s_max=0.01
)
UP = ("note", "LINK_UP", "deribit is up")
OVERFILL = ("critical", "OVERFILL", "hk3x9-1-0-0: 2 filled of 1")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    text = "[alerts]\nevery_s = 0.05\nsilent_s_max = 60.0\ndisk_mb_min = 0.0\nretry_s = 0.2\n"
    (tmp_path / "config.toml").write_text(text + "unexplained = false\nsend_s_max = 5.0\n")
    found = Engine(tmp_path)
    yield found
    found.journal.close()


def codes(desk: Place) -> list[str]:
    """What it was told to do something about, by the first words of its lines."""
    return [line.split(":")[0] for line in desk.text.splitlines() if line.split(" ")[0] in _GRAVE]


_GRAVE = ("NOTE", "WARNING", "CRITICAL", "OVER")


def test_a_restarted_process_tells_what_is_new_and_nothing_that_it_told_before(engine: Engine) -> None:
    with place() as desk:
        with alerts(engine, desk.url) as process:
            engine.tell(DOWN, OVERFILL)
            FileLatch(engine.path).set(Latched(1, "ann", "drill"))
            desk.wait(lambda d: "KILLED" in d.text and "LINK_DOWN" in d.text and "OVERFILL" in d.text)
            ended(process)
        before = len(desk.taken)
        engine.tell(("warning", "LATE_FILL", "hk3x9-1-0-0 has filled more"))  # while nobody watches
        FileLatch(engine.path).clear()
        with alerts(engine, desk.url) as process:
            desk.wait(lambda d: "LATE_FILL" in d.text and "OVER KILLED" in d.text)
            engine.tell(UP)
            desk.wait(lambda d: "OVER LINK_DOWN" in d.text)
            found = ended(process)
    assert codes(desk).count("WARNING LINK_DOWN") == codes(desk).count("CRITICAL OVERFILL") == 1
    assert codes(desk).count("CRITICAL KILLED") == 1
    assert found["standing"] == [] and len(desk.taken) > before


# --------------------------------------------------------------------------------------- looks told by hand


class Ear:
    """A sink that hears, or does not answer well."""

    def __init__(self) -> None:
        self.letters = list[Letter]()
        self.well = True

    def __call__(self, text: Letter) -> str:
        if not self.well:
            return "it answered 500"
        self.letters.append(text)
        return ""

    @property
    def text(self) -> str:
        return "\n".join(letter.body for letter in self.letters)


def mark_of(name: str) -> Mark:
    return lambda salt: f"{name} {salt}"


class Process:
    """A life of `hedger alerts` on a journal, look by look. Dropping it is a kill."""

    def __init__(self, path: Path, *ears: Ear, marks: str = "abc", now_s: float = 0.0) -> None:
        self.storage = open_to_read(path)
        sinks = [
            Sink(Address(f"sink {m}", ear, Severity.NOTE, mark=mark_of(m)), NAME, CONFIG)
            for m, ear in zip(marks, ears, strict=False)
        ]
        memory = MemoryFile(path)
        found = memory.read(self.storage)
        if found is not None and not knows(found, [sink.address.mark(found.salt) for sink in sinks]):
            found = None
        tail = AlertTail(self.storage, 1800 * SECOND, None if found is None else Head.parse(found.head))
        log = Log(io.StringIO(), "hedger.alerts")
        self.watch = Watch(WatchParts(path, NAME, tail, None, sinks, CONFIG, log, memory, found))
        self.now_s = now_s
        self.later_ns = 0

    def look(self, *, deliver: bool = True) -> list[tuple[str, str]]:
        told = self.watch.look(NOW_NS + round(self.now_s * SECOND), time.monotonic_ns())
        if deliver:
            self.deliver()
        return [(str(m.why), m.notice.code) for m in told]

    def deliver(self) -> None:
        """Every sink takes what waits, or refuses it once more."""
        self.later_ns += 3600 * SECOND  # every wait for another try is over
        now_ns = time.monotonic_ns() + self.later_ns
        self.watch.pump(now_ns)
        for sink in self.watch.parts.sinks:
            attempt = sink._attempt
            until(lambda a=attempt: a is None or a.answer is not None)  # type: ignore[misc]
        self.watch.pump(now_ns)

    def close(self) -> None:
        self.storage.close()


def journal_of(folder: Path) -> Journal:
    journal = Journal.open(folder / "a.journal", NAME)
    journal.append(*opening(), mode(-1, "armed"))
    journal.sync()
    return journal


def test_what_a_sink_had_not_taken_when_the_process_died_it_is_told_by_the_next(tmp_path: Path) -> None:
    journal, good, bad = journal_of(tmp_path), Ear(), Ear()
    path = tmp_path / "a.journal"
    bad.well = False
    journal.append(decision(0, OVERFILL))
    journal.sync()
    first = Process(path, good, bad)
    assert ("new", "OVERFILL") in first.look()
    first.look()
    first.close()
    bad.well = True
    second = Process(path, good, bad)
    assert [x for x in second.look() if x[1] == "OVERFILL"] == []
    second.look()
    second.close()
    assert good.text.count("OVERFILL") == bad.text.count("OVERFILL") == 1
    journal.close()


@pytest.mark.parametrize("cut", [None, 0, 9])
def test_without_a_whole_file_everything_is_told_again(tmp_path: Path, cut: int | None) -> None:
    journal, ear, path = journal_of(tmp_path), Ear(), tmp_path / "a.journal"
    journal.append(decision(0, DOWN))
    journal.sync()
    file = memory_path(path)
    for times in (1, 2):
        process = Process(path, ear)
        process.look()
        process.close()
        assert ear.text.count("LINK_DOWN") == times
        assert file.stat().st_mode & 0o077 == 0
        if cut is None:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:-cut] if cut else b"")
    journal.close()


def test_a_new_sink_is_told_what_stands_and_so_are_the_others(tmp_path: Path) -> None:
    journal, path = journal_of(tmp_path), tmp_path / "a.journal"
    journal.append(decision(0, DOWN))
    journal.sync()
    one, two = Ear(), Ear()
    Process(path, one).look()
    Process(path, one).look()
    assert one.text.count("LINK_DOWN") == 1
    assert ("new", "LINK_DOWN") in Process(path, one, two).look()
    assert (one.text.count("LINK_DOWN"), two.text.count("LINK_DOWN")) == (2, 1)
    journal.close()


def test_the_memory_of_another_journal_is_none(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old, ear = journal_of(tmp_path / "old"), Ear()
    old.append(decision(0, DOWN))
    old.sync()
    Process(tmp_path / "old" / "a.journal", ear).look()
    old.close()
    new = journal_of(tmp_path)
    new.append(decision(0, UP), decision(1, DOWN))
    new.sync()
    shutil.copy(memory_path(tmp_path / "old" / "a.journal"), memory_path(tmp_path / "a.journal"))
    storage = open_to_read(tmp_path / "a.journal")
    kept = MemoryFile(tmp_path / "a.journal").read(storage)
    storage.close()
    head = json.loads(memory_path(tmp_path / "a.journal").read_text())["head"]
    assert int(head.split(":")[0]) <= new.head.number  # the record is there, and is another one
    assert kept is None
    new.close()


def test_what_happened_while_nobody_watched_is_told_however_long_that_was(tmp_path: Path) -> None:
    journal, ear, path = journal_of(tmp_path), Ear(), tmp_path / "a.journal"
    Process(path, ear).look()
    journal.append(decision(0, OVERFILL))
    journal.sync()
    late = Process(path, ear, now_s=86_400.0)
    assert ("new", "OVERFILL") in late.look()
    journal.close()
    fresh = Process(path, Ear(), marks="z", now_s=86_400.0)  # who remembers nothing tells nothing so old
    assert "OVERFILL" not in [code for _, code in fresh.look()]


def test_a_folder_that_cannot_be_written_holds_up_nobody(tmp_path: Path) -> None:
    journal, ear, path = journal_of(tmp_path), Ear(), tmp_path / "a.journal"
    journal.append(decision(0, OVERFILL))
    journal.sync()
    memory_path(path).with_name("a.journal.alerts.new").mkdir()  # where the draft would be
    process = Process(path, ear)
    assert ("new", "OVERFILL") in process.look()
    assert not memory_path(path).exists() and "OVERFILL" in ear.text
    said = process.watch.parts.log
    process.look()
    assert said is process.watch.parts.log
    journal.close()


def test_an_address_is_not_in_the_file_and_is_known_again() -> None:
    config = AlertsConfig()
    url = "json://127.0.0.1:9/a-token-nobody-may-read"
    (one,), (again,) = addresses(config, [url]), addresses(config, [url])
    (other,) = addresses(config, [url + "x"])
    salt = "00" * 16
    assert one.mark(salt) == again.mark(salt) != other.mark(salt) != one.mark("01" * 16)
    assert "token" not in one.mark(salt) and len(one.mark(salt)) == 32


#: Of one life: alerts that happen or stand, looks that are delivered or not, a kill.
_DEEDS = st.lists(st.sampled_from(["happen", "down", "up", "look", "look unsent", "kill", "deaf", "well"]),
                  max_size=30)  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=_DEEDS)
def test_whenever_it_is_killed_everything_is_told_and_nothing_that_arrived_before(
    deeds: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Everything that happens has its own subject, so that each must be told by itself."""
    folder = tmp_path_factory.mktemp("lives")
    journal, ear, path = journal_of(folder), Ear(), folder / "a.journal"
    process, down, happened = Process(path, ear), False, list[str]()
    for seq, deed in enumerate(deeds):
        match deed:
            case "happen":
                order = f"hk3x9-{seq}-0-0"
                happened.append(order)
                journal.append(decision(seq, ("critical", "OVERFILL", f"{order}: 2 filled of 1")))
                journal.sync()
            case "down" | "up":
                down = deed == "down"
                journal.append(decision(seq, DOWN if down else UP))
                journal.sync()
            case "look" | "look unsent":
                process.look(deliver=deed == "look")
            case "kill":
                process.close()
                process = Process(path, ear)
            case "deaf" | "well":
                ear.well = deed == "well"
    ear.well = True
    process.look()
    process.look()
    if len(happened) <= SUBJECTS_MAX:
        told = [ear.text.count(f"{order}: ") for order in happened]
        assert all(times == 1 for times in told)
    if down:
        assert "LINK_DOWN" in ear.text
    process.close()
    journal.close()


def test_a_quiet_restart_tells_nothing(tmp_path: Path) -> None:
    journal, ear, path = journal_of(tmp_path), Ear(), tmp_path / "a.journal"
    journal.append(
        *(decision(i, (*OVERFILL[:2], f"hk3x9-{i}-0-0: more")) for i in range(5)), decision(5, DOWN)
    )
    journal.sync()
    first = Process(path, ear)
    first.look()
    first.close()
    heard = len(ear.letters)
    for _ in range(3):
        again = Process(path, ear)
        assert [x for x in again.look() if x[0] != Why.OVER] == []
        again.close()
    assert len(ear.letters) == heard
    journal.close()


def test_the_file_is_not_written_while_nothing_new_is_told(tmp_path: Path) -> None:
    journal, ear, path = journal_of(tmp_path), Ear(), tmp_path / "a.journal"
    process = Process(path, ear)
    process.look()
    process.look()
    written = memory_path(path).stat().st_mtime_ns
    journal.append(*(decision(i) for i in range(50)))
    journal.sync()
    for _ in range(5):
        process.look()
    assert memory_path(path).stat().st_mtime_ns == written
    journal.close()
