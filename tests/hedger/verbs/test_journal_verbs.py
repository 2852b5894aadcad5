"""The verbs that read the journal: what they print, exit codes, no traceback."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedger.journal.entries import Head
from hedger.journal.journal import Journal
from hedger.journal.recovery import recover
from hedger.journal.sqlite import read_sqlite
from pricing.errors import HedgerError
from tests.hedger.command_line import hedger, strict_json
from tests.hedger.journal_words import NAME, order

VERBS = (("journal", "show"), ("journal", "verify"), ("journal", "export"), ("status",), ("orders",))


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
        (".", "USAGE"),
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
