"""A live journal is all that decided, and the last word on its orders: processes on a loopback.

Decided again from its records a live run comes out the same, over a restart and with commands among them. The
same file cut off before its orders, as a backup is, begins nothing until a person says so.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from hedger.core.events import Command
from hedger.journal.entries import EventBody, Kind, read
from hedger.journal.journal import open_to_read
from hedger.journal.sqlite import write_sqlite
from hedger.runs.behind import STRIDE
from tests.hedger.verbs.loopback import document, loopback, said, started
from tests.hedger.verbs.test_run_on_venues import fills_of, live, recorded
from tests.hedger.verbs.test_venue_verbs import wait_for, ws
from venues.orders import parse_client_id

RUN = ("run", "--arm-live", "--no-watchdog")


def cut_before_the_orders(journal: Path, to: Path) -> int:
    """A copy of what stood there before the event that led to the first order; the last event of it."""
    with closing(open_to_read(journal)) as storage:
        records = list(storage.records())
        name = storage.name
    first = next(record.seq for record in records if record.kind == Kind.INTENT)
    older = [record for record in records if record.seq < first]
    with closing(write_sqlite(to, name)) as copy:
        copy.commit(older)
    return older[-1].seq


def sent(journal: Path) -> set[str]:
    return set(recorded(journal).orders)


def verified(capsys: pytest.CaptureFixture[str], folder: Path, name: str, starts: int) -> None:
    """Everything decided again comes out as it did."""
    ran = said(capsys, folder, "journal", "verify", "--journal", name, "--replay", "--json")
    assert ran.stdout, ran.stderr
    told = document(ran)
    again = told["replayed"]
    assert (ran.returncode, told["problems"], again["different"]) == (0, [], [])
    assert again["same_book"] and again["starts"] == starts and again["decisions"] > 20


def test_a_live_run_comes_out_the_same_and_an_older_copy_of_it_begins_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    journal, older = tmp_path / "j", tmp_path / "older"
    with loopback() as exchange:
        live(tmp_path, ws(exchange))
        with started(tmp_path, *RUN, "--journal", "j", "--minutes", "1", warm=True) as process:
            wait_for(lambda: bool(fills_of(exchange)) or process.poll() is not None)
            for words in (("pause",), ("resume",), ("reload",), ("flatten",)):
                ran = said(capsys, tmp_path, *words, "--journal", "j")
                assert ran.returncode == 0, ran.stdout + ran.stderr
            process.terminate()
            assert process.wait(60.0) == 143
        ran = said(capsys, tmp_path, *RUN, "--journal", "j", "--minutes", "0.03", "--json")
        assert ran.returncode == 0 and document(ran)["mode"] == "armed", ran.stdout + ran.stderr
        with closing(open_to_read(journal)) as storage:
            told = [read(record) for record in storage.records(kinds=[Kind.COMMAND])]
        verbs = {x.what.verb for x in told if isinstance(x, EventBody) and isinstance(x.what, Command)}
        assert {"pause", "resume", "reload", "flatten"} <= verbs
        verified(capsys, tmp_path, "j", starts=2)

        last = cut_before_the_orders(journal, older)
        before = older.read_bytes()
        there = max(sent(journal), key=lambda x: (parse_client_id(x) or ("", 0))[1])
        count = exchange.do(lambda host: len(host.exchange.orders))
        ran = said(capsys, tmp_path, *RUN, "--journal", "older", "--minutes", "0.03")
        word = ran.stderr.splitlines()[-1]
        assert (ran.returncode, word.split(":")[0]) == (5, "JOURNAL_BEHIND"), ran.stderr
        assert f"none above {last}" in word and there.split("-")[0] in word
        assert exchange.do(lambda host: len(host.exchange.orders)) == count
        assert recorded(older).last_seq == last and older.read_bytes() == before

        why = ("--accept", "--reason", "the machine was set back")
        ran = said(capsys, tmp_path, *RUN, "--journal", "older", *why, "--minutes", "0.03", "--json")
        assert ran.returncode == 0 and document(ran)["mode"] == "armed", ran.stdout + ran.stderr
        assert recorded(older).last_seq > STRIDE and not sent(older) & sent(journal)
        verified(capsys, tmp_path, "older", starts=2)
        # What it sends from now on is above all that the venue shows: the next start is like any other.
        ran = said(capsys, tmp_path, *RUN, "--journal", "older", "--minutes", "0.02", "--json")
        assert ran.returncode == 0 and document(ran)["mode"] == "armed", ran.stdout + ran.stderr
        assert recorded(older).last_seq < 2 * STRIDE
