"""`doctor`, `book fetch` and `record` as processes against a loopback exchange: good, bad, and killed."""

from __future__ import annotations

import csv
import signal
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exchanges.server import Host
from tests.exchanges.words import Side
from tests.hedger.verbs.loopback import (
    CANARY_SECRET,
    PATIENCE_S,
    WITHDRAWS,
    Loopback,
    bytes_with_secrets,
    document,
    hedger,
    loopback,
    said,
    settings,
    started,
)
from venues import tape
from venues.tape_files import read_description
from venues.tape_reader import Tape

NOBODY_THERE = "ws://127.0.0.1:9/ws/api/v2"
QUICK = "start_s_max = 1.5"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Loopback]:
    with loopback() as found:
        yield found


def ws(exchange: Loopback) -> str:
    return f"{exchange.host.ws_url}/ws/api/v2"


def bad(checks: list[dict[str, Any]]) -> list[str]:
    return [check["check"] for check in checks if check["finding"] == "bad"]


# ---------------------------------------------------------------------------------------------------- doctor


def test_a_doctor_with_nothing_against_it_says_what_was_looked_at(tmp_path: Path, exchange: Loopback) -> None:
    settings(tmp_path, ws(exchange))
    ran = hedger(tmp_path, "doctor", "--json")
    found = document(ran)
    assert ran.returncode == 0 and found["healthy"] and found["bad"] == []
    looked_at = {check["check"] for check in found["checks"]}
    assert looked_at >= {
        "configuration", "clock", "disk, sync", "disk, space", "journal folder", "terminal",
        "deribit, reachable", "deribit, clock", "deribit, key", "deribit, dead man's switch",
        "deribit, self-trade prevention",
    }  # fmt: skip
    assert all(check["text"] for check in found["checks"])


def test_a_key_that_can_withdraw_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback(WITHDRAWS) as exchange:
        settings(tmp_path, ws(exchange))
        ran = said(capsys, tmp_path, "doctor")
    assert ran.returncode == 1
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("bad")]
    assert "withdraw or transfer" in line and "wallet:read_write" in line


def test_a_wrong_key_and_a_clock_that_is_off_are_bad(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, exchange: Loopback
) -> None:
    settings(tmp_path, ws(exchange))
    ran = said(capsys, tmp_path, "doctor", "--json", secret="something else")
    assert (ran.returncode, bad(document(ran)["checks"])) == (1, ["deribit, key"])
    exchange.do(lambda host: setattr(host.exchange.clock, "skew_ns", 3_000_000_000))
    try:
        ran = said(capsys, tmp_path, "doctor", "--json")
    finally:
        exchange.do(lambda host: setattr(host.exchange.clock, "skew_ns", 0))
    assert (ran.returncode, bad(document(ran)["checks"])) == (1, ["deribit, clock"])


def test_a_venue_that_is_down_and_a_folder_open_to_all_are_bad(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings(tmp_path, NOBODY_THERE, run=QUICK)
    tmp_path.chmod(0o777)
    ran = said(capsys, tmp_path, "doctor", "--json")
    assert (ran.returncode, bad(document(ran)["checks"])) == (1, ["journal folder", "deribit, reachable"])


def test_without_venues_it_is_paper_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    ran = said(capsys, tmp_path, "doctor")
    assert ran.returncode == 0 and "paper only" in ran.stdout


def test_live_without_limits_and_keys_is_bad(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, exchange: Loopback
) -> None:
    settings(tmp_path, ws(exchange), run='mode = "live"', keys=False)
    ran = said(capsys, tmp_path, "doctor", "--json")
    assert (ran.returncode, bad(document(ran)["checks"])) == (1, ["configuration", "deribit, key"])


# ------------------------------------------------------------------------------------------------ book fetch


def _hold(host: Host) -> None:
    for symbol, side, quantity, price in (
        ("BTC-PERPETUAL", Side.SELL, "250000", "60000"),
        ("ETH-PERPETUAL", Side.BUY, "1200", "2500"),
    ):
        host.exchange.outside("desk", symbol, side, Decimal(quantity), Decimal(price), "trade")


def test_a_fetched_book_is_what_the_venue_holds_and_risk_reads_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback() as exchange:
        exchange.do(_hold)
        settings(tmp_path, ws(exchange))
        ran = hedger(tmp_path, "book", "fetch", "--venue", "deribit", "--out", "book.csv", "--json")
        truth = exchange.do(
            lambda host: {symbol: p.quantity for symbol, p in host.exchange.account("desk").positions.items()}
        )
        recorded = said(
            capsys, tmp_path, "record", "--venue", "deribit", "--out", "tape", "--minutes", "0.04", "--json"
        )
        again = said(capsys, tmp_path, "book", "fetch", "--venue", "deribit", "--out", "book.csv")
    assert ran.returncode == 0 and document(ran)["positions"] == 2
    with (tmp_path / "book.csv").open() as file:
        rows = {row["symbol"]: Decimal(row["quantity"]) for row in csv.DictReader(file)}
    assert {s: rows.pop(s) for s in truth} == truth
    assert truth == {"BTC-PERPETUAL": -250_000, "ETH-PERPETUAL": 1200}
    assert rows["USDC"] == 5_000_000 and abs(rows["BTC"] - 100) < 1
    assert (tmp_path / "book.csv").stat().st_mode & 0o077 == 0
    assert (again.returncode, again.stderr.split(":")[0]) == (2, "BOOK_OUT")
    assert recorded.returncode == 0
    risk = said(capsys, tmp_path, "risk", "--book", "book.csv", "--market", "tape", "--json")
    assert risk.returncode == 0 and document(risk)["missing"] == []
    held = {p["symbol"]: p["quantity"] for p in document(risk)["positions"]}
    assert held["BTC-PERPETUAL"] == -250_000
    assert bytes_with_secrets(tmp_path) == []


def _fail_positions(host: Host) -> None:
    host.faults.add("error_before", "private/get_positions", times=50)


@pytest.mark.parametrize(
    ("break_it", "secret", "url"),
    [(None, "wrong", ""), (_fail_positions, "", ""), (None, "", NOBODY_THERE)],
    ids=("wrong key", "positions fail", "venue down"),
)
def test_what_a_venue_does_not_say_is_no_book(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    exchange: Loopback,
    break_it: Callable[[Host], None] | None,
    secret: str,
    url: str,
) -> None:
    settings(tmp_path, url or ws(exchange), run=QUICK)
    if break_it is not None:
        exchange.do(break_it)
    try:
        words = ("book", "fetch", "--venue", "deribit", "--out", "b.csv")
        ran = said(capsys, tmp_path, *words, secret=secret or CANARY_SECRET)
    finally:
        exchange.do(lambda host: host.faults.clear())
    assert ran.returncode == 4 and not (tmp_path / "b.csv").exists()


def test_a_venue_that_is_not_configured_or_has_no_key_is_a_fault_of_the_user(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, exchange: Loopback
) -> None:
    ran = said(capsys, tmp_path, "book", "fetch", "--venue", "deribit", "--out", "b.csv")
    assert (ran.returncode, ran.stderr.split(":")[0]) == (2, "VENUE_NOT_CONFIGURED")
    settings(tmp_path, ws(exchange), keys=False)
    ran = said(capsys, tmp_path, "book", "fetch", "--venue", "deribit", "--out", "b.csv")
    assert (ran.returncode, ran.stderr.split(":")[0]) == (2, "VENUE_KEYS")
    ran = said(capsys, tmp_path, "record", "--venue", "nasdaq", "--out", "t")
    assert (ran.returncode, ran.stderr.split(":")[0]) == (2, "VENUE_NOT_CONNECTED")


# ---------------------------------------------------------------------------------------------------- record


def test_a_recorder_that_is_killed_leaves_a_sound_tape_up_to_the_last_part(
    tmp_path: Path, exchange: Loopback
) -> None:
    settings(tmp_path, ws(exchange))
    words = ("record", "--venue", "deribit", "--out", "tape", "--part-s", "0.5", "--every-ms", "50")
    with started(tmp_path, *words) as process:
        wait_for(lambda: parts(tmp_path / "tape") >= 3)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
    assert tape.verify(tmp_path / "tape") == []
    found = Tape.open(tmp_path / "tape")
    played = list(found.marks())
    assert len(played) == found.description["counts"]["batches"] >= 3
    assert found.market_at().venue_ns.min() > 0  # every listing was told of
    assert any(marks.depth for marks in played)


def test_a_recorder_that_is_interrupted_writes_what_it_has_and_marks_what_it_missed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, exchange: Loopback
) -> None:
    settings(tmp_path, ws(exchange))
    words = ("record", "--venue", "deribit", "--out", "tape", "--part-s", "0.5", "--underlying", "BTC")
    with started(tmp_path, *words, warm=True) as process:
        wait_for(lambda: parts(tmp_path / "tape") >= 1)
        exchange.do(lambda host: host.cut_sessions())
        wait_for(lambda: bool(outages(tmp_path / "tape")))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
    assert tape.verify(tmp_path / "tape") == []
    for outage in outages(tmp_path / "tape"):
        assert outage["to_ns"] >= outage["from_ns"] > 0 and outage["reason"]
    assert Tape.open(tmp_path / "tape").universe.underlyings == ("BTC",)
    assert bytes_with_secrets(tmp_path) == []
    ran = said(capsys, tmp_path, "record", "--venue", "deribit", "--out", "tape", "--minutes", "0.01")
    assert (ran.returncode, ran.stderr.split(":")[0]) == (2, "TAPE_EXISTS")
    ran = said(capsys, tmp_path, "record", "--venue", "deribit", "--out", "t", "--underlying", "DOGE")
    assert (ran.returncode, ran.stderr.split(":")[0]) == (2, "RECORD_UNDERLYING")


def test_a_venue_that_is_down_is_not_recorded(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    settings(tmp_path, NOBODY_THERE, run=QUICK)
    ran = said(capsys, tmp_path, "record", "--venue", "deribit", "--out", "tape")
    assert ran.returncode == 4 and not (tmp_path / "tape").exists()


def parts(path: Path) -> int:
    if not path.is_dir():
        return 0
    return sum(name.startswith("quotes") for name in read_description(path)["hash"])


def outages(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_description(path).get("outages", [])
    return found


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end, "nothing came of it in time"
        time.sleep(0.05)
