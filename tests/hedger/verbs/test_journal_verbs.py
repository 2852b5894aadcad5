"""The verbs that read the journal and steer the engine: what they print, exit codes, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedger.cli import main
from hedger.core.by_hand import ByHand, HandBand
from hedger.core.events import Command, Tick, Verb
from hedger.core.state import Outside
from hedger.journal.commands_file import CommandBox, commands_path
from hedger.journal.entries import (
    Configuration,
    Differences,
    Entry,
    Head,
    Intent,
    LatchChange,
    ModeChange,
    bands_entry,
    configuration_entry,
    differences_entry,
    intent_entry,
    mode_entry,
    outside_entry,
    read,
)
from hedger.journal.journal import Journal
from hedger.journal.kill_latch import FileLatch, latch_path
from hedger.journal.recovery import recover
from hedger.journal.sqlite import read_sqlite
from pricing.contracts import Side
from pricing.errors import HedgerError
from tests.builders import NOW_NS
from tests.hedger.desk import hedger, strict_json
from tests.hedger.journal_words import NAME, life, opening, order, turn
from venues.orders import AccountReport, OrderReport, OrderState, OrderUpdate

STEERING = ("arm", "pause", "resume", "flatten", "kill", "unkill")
VERBS = (("journal", "show"), ("journal", "verify"), ("journal", "export"), ("status",), ("orders",))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "j"
    journal = Journal.open(path, NAME)
    for entries in life(2):
        journal.append(*entries)
    journal.append(*turn(13, Tick(), intent_entry(13, NOW_NS, Intent(order(13), 13)), quiet=False))
    journal.close()
    return path


@pytest.fixture
def file(made: Path, tmp_path: Path) -> Path:
    """The default journal of the folder that the test runs in."""
    return Path(shutil.copy(made, tmp_path / "hedger.journal"))


# ---------------------------------------------------------------------------------------------------- reading


def test_show_prints_a_line_for_each_record(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "journal", "show")
    lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in lines] == [str(i) for i in range(1, len(lines) + 1)]
    assert all(line.isprintable() for line in lines)
    assert "seq -1 configuration" in lines[0] and "first start" in lines[0]


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ([], 38),
        (["--kind", "fill"], 4),
        (["--kind", "fill", "--kind", "intent"], 7),
        (["--from", "13"], 3),
        (["--from", "9", "--kind", "fill"], 2),
        (["--from", "999"], 0),
    ],
    ids=str,
)
def test_show_as_json(words: list[str], count: int, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = strict_json(hedger(capsys, "journal", "show", *words, "--json").out)
    assert len(document["records"]) == count
    assert (document["trading"], document["engine"]) == ("paper", "k3x9")
    if "fill" in words and count == 4:
        first = document["records"][0]
        assert (first["kind"], first["key"], first["seq"]) == ("fill", '["deribit","t4"]', 4)
        assert first["body"]["fill"]["quantity"] == "400"


def test_verify_a_sound_journal(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "journal", "verify", "--json")
    document = strict_json(ran.out)
    assert (ran.code, document["sound"], document["problems"], document["records"]) == (0, True, [], 38)
    head = document["head"]
    assert hedger(capsys, "journal", "verify", "--head", head).code == 0
    storage = read_sqlite(file)
    early = next(r for r in storage.records() if r.number == 5)
    storage.close()
    assert hedger(capsys, "journal", "verify", "--head", str(Head(5, early.hash))).code == 0
    gone = hedger(capsys, "journal", "verify", "--head", f"39:{'ab' * 32}")
    assert gone.code == 1 and "is not in the journal" in gone.out
    assert hedger(capsys, "journal", "verify", "--head", "39").code == 2


def tampered(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(f"DROP TRIGGER records_stay; DROP TRIGGER records_remain; {statement};")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE records SET body = replace(body, '400', '401') WHERE kind = 'fill' AND seq = 4", 15),
        ("UPDATE records SET now_ns = now_ns + 1 WHERE number = 7", 7),
        ("UPDATE records SET hash = x'00' WHERE number = 7", 7),
        ("UPDATE records SET seq = -9 WHERE number = 1", 1),
        ("UPDATE records SET body = '' WHERE number = 38", 38),
        ("DELETE FROM records WHERE number = 7", 8),
        ("DELETE FROM records WHERE number = 1", 2),
        ("DELETE FROM records WHERE number > 36", 37),
        ("DELETE FROM records", 1),
        ("UPDATE records SET number = 1000 WHERE number = 7", 8),
        (
            "UPDATE records SET number = -7 WHERE number = 7; UPDATE records SET number = 7 "
            "WHERE number = 8; UPDATE records SET number = 8 WHERE number = -7",
            7,
        ),
        (
            "INSERT INTO records SELECT 39, kind, seq, now_ns, NULL, body, hash, frame FROM records "
            "WHERE number = 38",
            39,
        ),
        ("UPDATE head SET number = 40", 39),
        ("DELETE FROM head", 0),
    ],
)
def test_verify_says_where_it_breaks(
    statement: str, number: int, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tampered(file, statement)
    ran = hedger(capsys, "journal", "verify", "--json")
    document = strict_json(ran.out)
    assert (ran.code, ran.err, document["sound"]) == (1, "", False)
    wanted = f"record {number}: " if number else "after record 0: damaged"
    assert document["problems"][0].startswith(wanted)
    plain = hedger(capsys, "journal", "verify")
    assert plain.code == 1 and "NOT sound" in plain.out


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_the_file_brings_a_traceback_or_other_records(
    data: st.DataObject, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bits flipped, blocks overwritten, the file cut: sound only if all records are the very same."""
    content = bytearray(made.read_bytes())
    way = data.draw(st.sampled_from(["flip", "block", "cut"]))
    at = data.draw(st.integers(0, len(content) - 1))
    if way == "flip":
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    elif way == "block":
        content[at : at + 512] = data.draw(st.binary(min_size=1, max_size=16)) * 8
    else:
        del content[at:]
    path = tmp_path / "damaged"
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    path.write_bytes(content)
    verified = hedger(capsys, "journal", "verify", "--journal", path)
    assert verified.code in (0, 1, 2) and "INTERNAL" not in verified.err
    if verified.code == 0:
        storages = [read_sqlite(path), read_sqlite(made)]
        assert list(storages[0].records()) == list(storages[1].records())
        for storage in storages:
            storage.close()
    try:
        journal = Journal.open(path, NAME)  # as an engine starts
        with closing(journal):
            found = recover(journal.storage)
        assert found.orders.keys() == {order(seq).client_id for seq in (2, 8, 13)}
    except HedgerError as error:
        assert error.code.startswith("JOURNAL_")
    for words in (("journal", "show", "--json"), ("status",), ("orders", "--all")):
        ran = hedger(capsys, *words, "--journal", path)
        assert ran.code in (0, 2) and "INTERNAL" not in ran.err, ran.err
        assert ran.code == 0 or ran.err.startswith("JOURNAL_")


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_what_is_no_journal(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", str(tmp_path / "out")) if words[-1] == "export" else ()
    (tmp_path / "foreign").write_text("venue,symbol\n")
    for name, code in (
        ("absent", "JOURNAL_MISSING"),
        (".", "JOURNAL_MISSING"),
        ("foreign", "JOURNAL_FOREIGN"),
    ):
        ran = hedger(capsys, *words, *out, "--journal", tmp_path / name)
        assert (ran.code, ran.out) == (2, "") and ran.err.startswith(code) and ran.err.count("\n") == 1
    assert not (tmp_path / "out").exists() and (tmp_path / "foreign").read_text() == "venue,symbol\n"


def test_unknown_kinds_are_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "journal", "show", "--kind", "fills")
    assert ran.code == 2 and ran.err.startswith("JOURNAL_KIND") and "acknowledgement" in ran.err


def test_export(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "journal", "export", "--out", tmp_path / "out", "--json")
    assert (ran.code, strict_json(ran.out)["rows"]) == (
        0,
        {"records": 38, "fills": 4, "orders": 3, "adjustments": 0, "marks": 0, "opening": 2},
    )
    records = pl.read_parquet(tmp_path / "out" / "records.parquet")
    fills = pl.read_parquet(tmp_path / "out" / "fills.parquet")
    orders = pl.read_parquet(tmp_path / "out" / "orders.parquet")
    assert records["number"].to_list() == list(range(1, 39))
    assert json.loads(records["body"][0])["user"] == "ann"
    assert fills["quantity"].to_list() == ["400", "600", "400", "600"]
    assert fills["price_number"].sum() == 240_000.0
    assert orders["state"].to_list() == ["filled", "filled", "unknown"]
    again = hedger(capsys, "journal", "export", "--out", tmp_path / "out")
    assert again.code == 2 and again.err.startswith("EXPORT_EXISTS")
    nowhere = hedger(capsys, "journal", "export", "--out", tmp_path / "absent" / "out")
    assert nowhere.code == 2 and nowhere.err.startswith("EXPORT_WRITE")


def test_export_of_a_damaged_journal_writes_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tampered(file, "DELETE FROM records WHERE number = 7")
    ran = hedger(capsys, "journal", "export", "--out", tmp_path / "out")
    assert ran.code == 2 and ran.err.startswith("JOURNAL_DAMAGED") and "record 8" in ran.err
    assert not (tmp_path / "out").exists()


def test_status_where_nothing_runs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = strict_json(hedger(capsys, "status", "--json").out)
    shown = {
        key: document[key] for key in ("trading", "running", "pid", "mode", "killed", "fills", "unknown")
    }
    assert shown == {
        "trading": "paper", "running": False, "pid": None, "mode": "armed", "killed": None, "fills": 4,
        "unknown": 1,
    }  # fmt: skip
    assert document["traded"] == [
        {"venue": "deribit", "symbol": "BTC-PERPETUAL", "account": "", "quantity": "2000"}
    ]
    assert document["orders"] == {"unknown": 1} and document["last_seq"] == 13
    plain = hedger(capsys, "status").out
    assert plain.startswith("PAPER engine k3x9: not running") and "1 unknown" in plain
    assert "the next start only observes" in plain


def test_status_tells_what_accounts_differ_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    perpetual, coin = (("BTC-PERPETUAL", Decimal(5000)),), (("BTC", Decimal("-0.25")),)

    def told(seq: int, *words: Differences) -> tuple[Entry, ...]:
        return tuple(differences_entry(seq, NOW_NS, word) for word in words)

    journal = Journal.open(tmp_path / "a.journal", NAME)
    journal.append(
        *opening(), *told(0, Differences("deribit", perpetual, (), 1), Differences("okx", (), coin, 1))
    )
    journal.append(*told(1, Differences("deribit", perpetual, (), 2), Differences("okx", (), (), 0)))
    journal.close()
    words = ("status", "--journal", tmp_path / "a.journal")
    assert strict_json(hedger(capsys, *words, "--json").out)["differences"] == [
        {"venue": "deribit", "what": "position", "of": "BTC-PERPETUAL", "difference": "5000", "reports": 2}
    ]
    assert "DIFFERS deribit position BTC-PERPETUAL: +5000 (its figure less the book's), found 2 times" in (
        hedger(capsys, *words).out
    )
    journal = Journal.open(tmp_path / "a.journal", NAME)
    journal.append(configuration_entry(2, NOW_NS, Configuration("1", "ab" * 32)))  # a start asks anew
    journal.close()
    assert strict_json(hedger(capsys, *words, "--json").out)["differences"] == []


def test_status_tells_what_is_outside_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = Outside(("delta:BTC", "vega:BTC"), "no column moves this row down; denied 40", NOW_NS)
    journal = Journal.open(tmp_path / "a.journal", NAME)
    journal.append(*opening(), outside_entry(0, NOW_NS, out))
    journal.close()
    words = ("status", "--journal", tmp_path / "a.journal")
    assert strict_json(hedger(capsys, *words, "--json").out)["outside"] == {
        "rows": ["delta:BTC", "vega:BTC"], "why": out.why, "since_ns": NOW_NS,
    }  # fmt: skip
    assert "OUTSIDE delta:BTC, vega:BTC since 20" in hedger(capsys, *words).out
    assert "no column moves this row down" in hedger(capsys, *words).out
    journal = Journal.open(tmp_path / "a.journal", NAME)
    journal.append(outside_entry(1, NOW_NS, Outside()))  # back inside
    journal.close()
    assert strict_json(hedger(capsys, *words, "--json").out)["outside"] is None
    assert "OUTSIDE" not in hedger(capsys, *words).out


def test_status_tells_which_bands_are_set_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = "delta_usd: landing -50000 .. 50000, trigger -100000 .. 100000"
    band = HandBand("delta:BTC", (float("-inf"), 2.0), (-1.0, 1.0), "ann", "calm week", NOW_NS, file)
    journal = Journal.open(tmp_path / "a.journal", NAME)
    journal.append(*opening(), bands_entry(0, NOW_NS, ByHand((band,))))
    journal.append(configuration_entry(1, NOW_NS, Configuration("1", "ab" * 32)))  # a start forgets none
    journal.close()
    words = ("status", "--journal", tmp_path / "a.journal")
    assert strict_json(hedger(capsys, *words, "--json").out)["by_hand"] == [
        {
            "row": "delta:BTC", "trigger": [None, 2.0], "landing": [-1.0, 1.0], "user": "ann",
            "reason": "calm week", "set_ns": NOW_NS, "file": file,
        }
    ]  # fmt: skip
    said = hedger(capsys, *words).out
    assert "BY HAND delta:BTC: trigger .. 2, landing -1 .. 1, by hand of ann at 20" in said
    assert f": calm week; the file says {file}" in said
    journal = Journal.open(tmp_path / "a.journal", NAME)
    journal.append(bands_entry(2, NOW_NS, ByHand()))
    journal.close()
    assert strict_json(hedger(capsys, *words, "--json").out)["by_hand"] == []
    assert "BY HAND" not in hedger(capsys, *words).out


def test_orders(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = strict_json(hedger(capsys, "orders", "--json").out)["orders"]
    assert [(o["client_id"], o["state"], o["reserved"]) for o in live] == [
        ("hk3x9-13-0-0", "unknown", "1000")
    ]
    assert strict_json(hedger(capsys, "orders", "--unknown", "--json").out)["orders"] == live
    assert len(strict_json(hedger(capsys, "orders", "--all", "--json").out)["orders"]) == 3
    assert "hk3x9-13-0-0 unknown (restarted): buy 1000 BTC-PERPETUAL" in hedger(capsys, "orders").out


# --------------------------------------------------------------------------------------------------- steering


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


@pytest.mark.parametrize("verb", ["pause", "resume", "flatten"])
def test_a_command_is_done_when_the_journal_has_it(
    verb: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["BTC"] if verb == "flatten" else []
    with engine(file) as taken:
        ran = hedger(capsys, verb, *words, "--reason", "lunch", "--json")
    document = strict_json(ran.out)
    assert (ran.code, document["taken"], document["seq"]) == (0, True, 14)
    assert [(c.verb, c.reason, c.argument, c.id) for c in taken] == [
        (verb, "lunch", "".join(words), document["id"])
    ]
    storage = read_sqlite(file)
    assert document["id"] in recover(storage).commands
    storage.close()


@pytest.mark.parametrize("arms", [True, False])
def test_arm_is_done_when_the_engine_is_armed(
    arms: bool, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file, arms=arms):
        ran = hedger(capsys, "arm", "--json")
        status = strict_json(hedger(capsys, "status", "--json").out)
    assert (ran.code, strict_json(ran.out)["taken"]) == (0 if arms else 3, True)
    assert (status["running"], status["pid"]) == (True, os.getpid())
    assert status["mode"] == strict_json(ran.out)["mode"] == ("armed" if arms else "observe")


def test_arm_accept_is_a_person_s_word_with_its_reason(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file) as taken:
        without = hedger(capsys, "arm", "--accept")
        assert (without.code, taken) == (2, []) and without.err.startswith("REASON_NEEDED")
        ran = hedger(capsys, "arm", "--accept", "--reason", "sold 5 by hand", "--json")
    assert ran.code == 0
    assert [(c.verb, c.argument, c.reason) for c in taken] == [(Verb.ARM, "accept", "sold 5 by hand")]


def test_a_band_is_set_and_given_back_with_a_reason(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wish = "delta:BTC=-2,2/-1,1"
    with engine(file) as taken:
        assert hedger(capsys, "bands", wish).code == 2  # without a reason
        assert hedger(capsys, "bands", wish, "--reason", "calm week", "--json").code == 0
        assert hedger(capsys, "bands", "delta:BTC=", "--reason", "over", "--json").code == 0
    assert [(c.verb, c.argument, c.reason) for c in taken] == [
        (Verb.BANDS, wish, "calm week"),
        (Verb.BANDS, "delta:BTC=", "over"),
    ]


def test_an_engine_that_does_not_answer(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(file, answers=False):
        ran = hedger(capsys, "pause", "--wait-s", "0.1", "--json")
    assert (ran.code, strict_json(ran.out)["taken"]) == (1, False)


@pytest.mark.parametrize("verb", ["arm", "pause", "resume", "flatten"])
def test_without_an_engine_nothing_is_left_for_a_later_one(
    verb: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = hedger(capsys, verb)
    assert (ran.code, ran.out) == (3, "") and ran.err.startswith("ENGINE_ABSENT")
    assert not commands_path(file).exists()


def test_kill_with_an_engine_waits_for_its_orders(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(file) as taken:
        ran = hedger(capsys, "kill", "--reason", "red", "--json")
        document = strict_json(ran.out)
        assert (ran.code, document["confirmed"], document["live_orders"]) == (0, True, 0)
        assert strict_json(hedger(capsys, "status", "--json").out)["mode"] == "killed"
        lifted = hedger(capsys, "unkill", "--reason", "calm", "--json")
    assert [c.verb for c in taken] == [Verb.KILL, Verb.UNKILL]
    assert (lifted.code, strict_json(lifted.out)) == (
        0,
        {"killed": False, "was_killed": True, "refused": None},
    )


@pytest.mark.parametrize(
    ("left", "code", "unanswered", "words"),
    [
        ({"deribit": 0}, 4, ["okx"], "okx has not answered"),
        ({}, 4, ["deribit", "okx"], "deribit has not answered"),
        ({"deribit": 0, "okx": 3}, 1, [], "okx shows 3 open orders"),
    ],
)
def test_a_kill_is_confirmed_by_every_venue_and_by_nothing_else(
    left: dict[str, int],
    code: int,
    unanswered: list[str],
    words: str,
    file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with engine(file, left=left):
        ran = hedger(capsys, "kill", "--wait-s", "1", "--json")
        document = strict_json(ran.out)
        assert (ran.code, document["confirmed"], document["live_orders"]) == (code, False, 0)
        assert document["unanswered"] == unanswered and words in document["note"]


def test_a_kill_that_is_not_confirmed_says_so_and_holds(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(file, answers=False):
        ran = hedger(capsys, "kill", "--wait-s", "0.1", "--json")
        assert (ran.code, strict_json(ran.out)["confirmed"]) == (1, False)
        assert FileLatch(file).found() is not None
        lifted = hedger(capsys, "unkill", "--reason", "calm", "--wait-s", "0.1")
    assert lifted.code == 1 and FileLatch(file).found() is not None


def test_kill_and_unkill_without_an_engine_are_in_the_record(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hedger(capsys, "kill", "--reason", "red").code == 0
    assert hedger(capsys, "kill", "--reason", "again").code == 0
    document = strict_json(hedger(capsys, "status", "--json").out)
    assert (document["mode"], document["killed"]["reason"]) == ("killed", "red")
    assert hedger(capsys, "unkill", "--reason", "calm").code == 0
    assert not latch_path(file).exists()
    storage = read_sqlite(file)
    changes = [read(record) for record in storage.records(kinds=["latch"])]
    storage.close()
    assert [(c.set, c.reason) for c in changes if isinstance(c, LatchChange)] == [
        (True, "red"), (True, "again"), (False, "calm")
    ]  # fmt: skip
    assert hedger(capsys, "journal", "verify").code == 0
    twice = hedger(capsys, "unkill", "--reason", "calm", "--json")
    assert (twice.code, strict_json(twice.out)) == (
        0,
        {"killed": False, "was_killed": False, "refused": None},
    )


def test_status_says_that_a_kill_was_lifted_while_nothing_ran(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine's own last word is that it is killed; what is true is that the next start observes."""
    storage = read_sqlite(file)
    name, last = storage.name, recover(storage, where=file.name)
    storage.close()
    book = Journal.open(file, name)
    try:
        said = ModeChange("killed", False, "desk", "kill by desk")
        book.append(mode_entry(last.last_seq, last.last_now_ns, said))
    finally:
        book.close()
    assert hedger(capsys, "kill", "--reason", "red").code == 0
    killed = strict_json(hedger(capsys, "status", "--json").out)
    assert (killed["mode"], killed["latch_lifted"], killed["lifted"]) == ("killed", False, None)
    assert hedger(capsys, "unkill", "--reason", "calm").code == 0
    shown = strict_json(hedger(capsys, "status", "--json").out)
    assert (shown["mode"], shown["running"], shown["killed"]) == ("observe", False, None)
    assert shown["latch_lifted"] is True and shown["lifted"]["reason"] == "calm"
    plain = hedger(capsys, "status").out
    assert "mode killed" not in plain and "KILLED" not in plain
    assert "the kill latch is lifted" in plain and "calm" in plain
    assert "no engine runs; the next start only observes" in plain


def test_kill_works_on_a_journal_that_cannot_be_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"rubbish" * 1000)
    ran = hedger(capsys, "kill", "--json")
    document = strict_json(ran.out)
    assert (document["killed"], document["live_orders"]) == (True, None)
    assert (ran.code, document["confirmed"]) == (1, False)  # nobody can say whether it was of real venues
    assert FileLatch(file).found() is not None
    lifted = hedger(capsys, "unkill", "--reason", "calm")  # no record can be written: it stays
    assert lifted.code == 2 and FileLatch(file).found() is not None


def test_kill_beside_nothing_is_no_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (("kill",), ("unkill", "--reason", "x")):
        ran = hedger(capsys, *verb, "--journal", tmp_path / "typo")
        assert ran.code == 2 and "NOTHING WAS KILLED" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_unkill_needs_a_reason(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "unkill")
    assert ran.code == 2 and ran.err.startswith("USAGE")


@pytest.mark.parametrize("reason", ["x" * 501, "two\nlines", "\x1b[2J"])
def test_texts_that_do_not_fit(reason: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(file):
        ran = hedger(capsys, "pause", "--reason", reason)
    assert ran.code == 2 and ran.err.startswith("COMMAND_TEXT")


def test_help_of_the_verbs_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from hedger.cli import main\n"
        "for words in (['status', '-h'], ['journal', 'show', '-h'], ['kill', '-h']):\n"
        "    try:\n"
        "        main(words)\n"
        "    except SystemExit:\n"
        "        pass\n"
        "print(sorted({'numpy', 'polars', 'rich', 'asyncio', 'sqlite3'} & set(sys.modules)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0 and ran.stdout.splitlines()[-1] == "[]"


def test_a_process_kills_and_another_sees_it(file: Path) -> None:
    words = [sys.executable, "-m", "hedger", "kill", "--journal", str(file), "--reason", "red", "--json"]
    ran = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "LOGNAME": "ann"})
    assert ran.returncode == 0 and json.loads(ran.stdout)["killed"] is True
    found = FileLatch(file).found()
    assert found is not None and (found.user, found.reason) == ("ann", "red")


def test_a_first_start_alone_can_be_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal.open(tmp_path / "j", NAME)
    assert main(["status", "--journal", str(tmp_path / "j")]) == 0
    journal.append(*opening())
    assert main(["status", "--journal", str(tmp_path / "j")]) == 0
    journal.close()
    said = capsys.readouterr().out
    assert said.count("PAPER engine k3x9: running, process") == 2
