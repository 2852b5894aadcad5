"""`status` and `orders`: what they print of an engine's journal, as JSON and for people."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from hedger.cli import main
from hedger.core.by_hand import ByHand, HandBand
from hedger.core.by_hand_file import FileBand
from hedger.core.state import Outside
from hedger.journal.entries import (
    Configuration,
    Differences,
    Entry,
    JournalName,
    ModeChange,
    bands_entry,
    configuration_entry,
    differences_entry,
    mode_entry,
    outside_entry,
)
from hedger.journal.journal import Journal
from hedger.journal.recovery import recover
from hedger.journal.sqlite import read_sqlite
from pricing.daycount import iso
from pricing.valuation import Numeraire
from tests.builders import NOW_NS
from tests.hedger.command_line import hedger, strict_json
from tests.hedger.journal_words import NAME, opening

PAPER_NEXT = "the next start observes until `hedger arm`, or arms at once with `--arm`"


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
    assert f"it did not end in order\nthat was its mode when it stopped; {PAPER_NEXT}\n" in plain
    assert document["ended_in_order"] is False and document["ended"] is None


def test_status_says_that_an_end_was_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(Journal.open(tmp_path / "j", NAME)) as journal:
        journal.append(
            *opening(), mode_entry(-1, NOW_NS, ModeChange("armed", True, "run", "ending: signal 15"))
        )
    words = ("status", "--journal", tmp_path / "j")
    found = hedger(capsys, *words, "--json").json
    assert (found["ended"], found["ended_in_order"]) == ("signal 15", True)
    assert "it ended in order: signal 15\n" in hedger(capsys, *words).out


@pytest.mark.parametrize("trading", ["live", "testnet"])
def test_the_next_start_on_venues_arms_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trading: str
) -> None:
    with closing(Journal.open(tmp_path / "j", JournalName(trading, NAME.engine))) as journal:
        journal.append(*opening(), mode_entry(-1, NOW_NS, ModeChange("halted", False, "engine", "drift")))
    plain = hedger(capsys, "status", "--journal", tmp_path / "j").out
    itself = "the next start arms itself once the accounts agree with the book"
    assert f"that was its mode when it stopped; {itself}\n" in plain and "observe" not in plain


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
    edges = {"trigger.low": -1e5, "trigger.high": 1e5, "landing.low": -5e4, "landing.high": 5e4}
    says = FileBand(Numeraire.USD, "delta_usd", edges, {"width": "fixed"})
    file = "delta_usd: trigger -100000 .. 100000, landing -50000 .. 50000"
    band = HandBand("delta:BTC", (float("-inf"), 2.0), (-1.0, 1.0), "ann", "calm week", NOW_NS, says)
    journal = Journal.open(tmp_path / "a.journal", NAME)
    journal.append(*opening(), bands_entry(0, NOW_NS, ByHand((band,))))
    journal.append(configuration_entry(1, NOW_NS, Configuration("1", "ab" * 32)))  # a start forgets none
    journal.close()
    words = ("status", "--journal", tmp_path / "a.journal")
    assert strict_json(hedger(capsys, *words, "--json").out)["by_hand"] == [
        {
            "row": "delta:BTC", "unit": "coin", "trigger": [None, 2.0], "landing": [-1.0, 1.0],
            "user": "ann", "reason": "calm week", "set_ns": NOW_NS, "file": file,
        }
    ]  # fmt: skip
    said = hedger(capsys, *words).out
    open_side = "(open below: never triggers there)"
    assert f"BY HAND delta:BTC: trigger .. 2, landing -1 .. 1 coin {open_side}, set at 20" in said
    assert f" by ann: calm week; the file says {file}\n" in said
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
    assert f"no engine runs; {PAPER_NEXT}\n" in plain


def test_a_first_start_alone_can_be_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal.open(tmp_path / "j", NAME)
    assert main(["status", "--journal", str(tmp_path / "j")]) == 0
    journal.append(*opening())
    assert main(["status", "--journal", str(tmp_path / "j")]) == 0
    journal.close()
    said = capsys.readouterr().out
    assert said.count("PAPER engine k3x9: running, process") == 2


@pytest.mark.parametrize("verb", ["status", "orders"])
@pytest.mark.parametrize(
    ("deleted", "told"), [("number IN (4, 5, 9)", "records 4..5"), ("number < 3", "records 1..2")]
)
def test_records_that_are_missing_are_told(
    file: Path, capsys: pytest.CaptureFixture[str], verb: str, deleted: str, told: str
) -> None:
    connection = sqlite3.connect(file)
    connection.execute("DROP TRIGGER records_remain")
    connection.execute(f"DELETE FROM records WHERE {deleted}")
    connection.commit()
    connection.close()
    ran = hedger(capsys, verb)
    assert ran.code == 2 and ran.err.startswith("JOURNAL_DAMAGED") and f"{told} are missing" in ran.err


def test_a_pause_says_by_whom_and_since_when_whatever_the_mode_does_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = 1_000_000_000
    with closing(Journal.open(tmp_path / "j", NAME)) as journal:
        journal.append(*opening())
        for after_s, mode in (
            (1, ModeChange("armed", False, "ann", "opens")),
            (2, ModeChange("armed", True, "ben", "the feed looks odd")),
            (3, ModeChange("reducing", True, "engine", "drift")),
        ):
            journal.append(mode_entry(-1, NOW_NS + after_s * second, mode))
        at = ("--journal", tmp_path / "j")
        found = strict_json(hedger(capsys, "status", *at, "--json").out)
        assert (found["mode"], found["paused"]) == ("reducing", True)
        assert found["pause"] == {
            "user": "ben",
            "reason": "the feed looks odd",
            "since_ns": NOW_NS + 2 * second,
        }
        said = f"mode reducing, paused since {iso(NOW_NS + 2 * second)} by ben: the feed looks odd\n"
        assert said in hedger(capsys, "status", *at).out
        journal.append(mode_entry(-1, NOW_NS + 4 * second, ModeChange("reducing", False, "ann", "well")))
        found = strict_json(hedger(capsys, "status", *at, "--json").out)
        assert (found["paused"], found["pause"]) == (False, None)
