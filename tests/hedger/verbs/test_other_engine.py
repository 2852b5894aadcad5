"""Another engine on the account, and a kill while a venue answers nothing: processes on a loopback."""

from __future__ import annotations

import signal
from decimal import Decimal
from pathlib import Path

import pytest

from tests.exchanges.server import Host
from tests.exchanges.words import Side
from tests.hedger.verbs.loopback import PATIENCE_S, Loopback, document, loopback, said, started
from tests.hedger.verbs.test_run_on_venues import LIVE, fills_of, live
from tests.hedger.verbs.test_venue_verbs import wait_for, ws

THEIRS = "habcd123-7-0-0"
RUN = ("run", "--arm-live", "--no-watchdog")


def logged(folder: Path) -> str:
    return (folder / "err").read_text()


def theirs(host: Host) -> None:
    """A bid of another engine, far from the market."""
    price = Decimal(40_000)
    host.exchange.submit("desk", "BTC-PERPETUAL", Side.BUY, Decimal(100), price, client_id=THEIRS)


def dark(exchange: Loopback, yes: bool) -> None:
    exchange.do(lambda host: setattr(host.faults, "black_hole", yes))


def test_no_engine_starts_beside_another_but_by_a_person_s_word(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback() as exchange:
        live(tmp_path, ws(exchange))
        with started(tmp_path, *RUN, "--journal", "first", warm=True) as one:
            wait_for(lambda: bool(fills_of(exchange)) or one.poll() is not None)
            assert one.poll() is None, logged(tmp_path)
            # A second one, with a journal of its own, while the first is at work: its fills are there to see.
            ran = said(capsys, tmp_path, *RUN, "--journal", "second", "--minutes", "0.05")
            assert (ran.returncode, ran.stderr.splitlines()[-1].split(":")[0]) == (3, "OTHER_ENGINE")
            one.send_signal(signal.SIGTERM)
            assert one.wait(PATIENCE_S) == 143
        assert "OTHER_ENGINE" not in logged(tmp_path)
        why = ("--accept", "--reason", "the first journal is thrown away")
        ran = said(capsys, tmp_path, *RUN, "--journal", "second", *why, "--minutes", "0.03", "--json")
        assert (ran.returncode, document(ran)["mode"]) == (0, "armed"), ran.stderr


def test_an_engine_that_another_comes_beside_halts_and_a_kill_says_what_it_could_not_see(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    journal = ("--journal", "j")
    with loopback() as exchange:
        live(tmp_path, ws(exchange), run=f"{LIVE}\nclose_s_max = 1.0\n[execution.reconcile]\nevery_s = 0.5")
        exchange.do(theirs)
        ran = said(capsys, tmp_path, *RUN, *journal, "--minutes", "0.05")
        assert ran.returncode == 3 and THEIRS in ran.stderr.splitlines()[-1]
        exchange.do(lambda host: host.exchange.cancel_all("desk"))
        with started(tmp_path, *RUN, *journal, warm=True) as process:
            wait_for(lambda: '"mode": "armed"' in logged(tmp_path) or process.poll() is not None)
            exchange.do(theirs)
            wait_for(lambda: '"mode": "halted"' in logged(tmp_path) or process.poll() is not None)
            assert '"alert": "OTHER_ENGINE"' in logged(tmp_path)
            ran = said(capsys, tmp_path, "arm", *journal)
            assert ran.returncode == 3 and "abcd123" in ran.stdout

            # Nothing of the engine's own is open, and nothing that it has is a word of the venue's.
            dark(exchange, yes=True)
            ran = said(capsys, tmp_path, "kill", *journal, "--wait-s", "2", "--json")
            told = document(ran)
            assert (ran.returncode, told["confirmed"], told["unanswered"]) == (4, False, ["deribit"])
            assert "deribit" in told["note"] and exchange.do(
                lambda h: len(list(h.exchange.open_orders("desk")))
            )
            dark(exchange, yes=False)
            ran = said(capsys, tmp_path, "kill", *journal, "--wait-s", "30", "--json")
            told = document(ran)
            assert (ran.returncode, told["confirmed"], told["unanswered"], told["note"]) == (0, True, [], "")
            assert exchange.do(lambda h: list(h.exchange.open_orders("desk"))) == []

            # A venue that never says goodbye keeps no engine from ending.
            dark(exchange, yes=True)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10.0) == 143  # close_s_max, and a moment for each session
