"""Live trading at each exchange: every piece that is missing refuses it, by name and exit code, with nothing
connected or written; a test network is called one wherever a person looks; a key that is revoked halts it.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from hedger.dashboard.header import BANNERS
from hedger.journal.entries import JournalName, Kind
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.user import user_name
from tests.exchanges.server import Host
from tests.hedger.verbs.loopback import (
    Loopback,
    bytes_with_secrets,
    document,
    said,
    started,
)
from tests.hedger.verbs.places import PLACES, Place
from tests.hedger.verbs.test_venue_verbs import wait_for

EVERY = pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
RUN = ("run", "--journal", "j", "--no-watchdog")
LIVE = 'mode = "live"'
TOP = 'limits_file = "limits.toml"'
LIMITS = "[margin]\nunproven_venues = [{}]\n"


def asked_of(exchange: Loopback) -> int:
    return exchange.do(lambda host: len(host.calls) + host.connected)


@EVERY
@pytest.mark.parametrize("lacks", ["--arm-live", "limits_file", "keys", "a folder of our own"])
def test_each_missing_piece_refuses_live_before_anything_is_connected(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Place, lacks: str
) -> None:
    (tmp_path / "limits.toml").write_text("")
    scheme = "ws" if place.name == "deribit" else "http"
    more = "levels = 20" if lacks == "keys" else ""
    top = "" if lacks == "limits_file" else TOP
    place.settings(tmp_path, f"{scheme}://127.0.0.1:9", run=LIVE, top=top, more=more)
    if lacks == "a folder of our own":
        tmp_path.chmod(0o777)
    ran = said(capsys, tmp_path, *RUN, *(() if lacks == "--arm-live" else ("--arm-live",)))
    tmp_path.chmod(0o700)
    last = ran.stderr.splitlines()[-1]
    assert (ran.returncode, last.split(":")[0]) == (3, "LIVE_REFUSED"), last
    word = {"keys": f"venues.{place.name}", "a folder of our own": "JOURNAL_FOLDER_OPEN"}.get(lacks, lacks)
    assert word in last and not (tmp_path / "j").exists()


@EVERY
def test_a_book_is_fetched_with_a_key_and_not_without_one_or_from_nobody(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Place
) -> None:
    words = ("book", "fetch", "--venue", place.name, "--out", "book.csv")
    scheme = "ws" if place.name == "deribit" else "http"
    place.settings(tmp_path, f"{scheme}://127.0.0.1:9", run="start_s_max = 1.0")
    assert said(capsys, tmp_path, *words).returncode == 4
    place.settings(tmp_path, f"{scheme}://evil.example", run="start_s_max = 1.0")
    ran = said(capsys, tmp_path, *words)
    assert (ran.returncode, ran.stderr.split(":")[0]) == (2, "VENUE_HOST")
    place.settings(tmp_path, f"{scheme}://127.0.0.1:9", more='secret = "env:NOT_THERE"')
    ran = said(capsys, tmp_path, *words)
    assert (ran.returncode, ran.stderr.split(":")[0]) == (2, "VENUE_KEYS")
    assert not (tmp_path / "book.csv").exists()


@pytest.mark.parametrize("name", ["deribit", "hyperliquid", "bybit"])
def test_a_fetched_book_holds_what_the_account_holds_and_no_secret(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    place = PLACES[name]
    with place.opened() as exchange:
        place.settings(tmp_path, exchange.do(place.address))
        ran = said(capsys, tmp_path, "book", "fetch", "--venue", name, "--out", "book.csv", "--json")
    assert ran.returncode == 0 and document(ran)["balances"] >= 1
    assert bytes_with_secrets(tmp_path) == []


# ------------------------------------------------------------------------------------------- test networks


def _at(place: Place, folder: Path, url: str, *, sandbox: bool) -> None:
    (folder / "limits.toml").write_text(LIMITS.format(f'"{place.name}"'))
    more = "\n".join(f'{key} = "{ref}"' for key, ref in place.names.items())
    more += f"\nsandbox = {str(sandbox).lower()}"
    place.settings(folder, url, run=LIVE, top=TOP, more=more)


def test_a_run_on_a_test_network_says_so_and_is_never_gone_on_with_as_live(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = PLACES["deribit"]
    with place.opened() as exchange:
        url = exchange.do(place.address)
        _at(place, tmp_path, url, sandbox=True)
        ran = said(capsys, tmp_path, *RUN, "--arm-live", "--minutes", "0.02", "--json")
        assert (ran.returncode, document(ran)["trading"]) == (0, "testnet"), ran.stderr
        status = said(capsys, tmp_path, "status", "--journal", "j")
        assert status.stdout.startswith("TESTNET engine ") and "TESTNET" in BANNERS["testnet"]
        with closing(open_to_read(tmp_path / "j")) as storage:
            told = json.loads(next(storage.records(kinds=[Kind.COMMAND])).body)["what"]
        assert (told["user"], told["reason"]) == (user_name(), "started with --arm-live")

        _at(place, tmp_path, url, sandbox=False)
        before = asked_of(exchange)
        ran = said(capsys, tmp_path, "kill", "--journal", "j", "--json")
        assert (ran.returncode, document(ran)["confirmed"]) == (1, False)
        assert "testnet" in document(ran)["note"] and asked_of(exchange) == before
        ran = said(capsys, tmp_path, *RUN, "--arm-live", "--minutes", "0.02")
        assert (ran.returncode, ran.stderr.splitlines()[-1].split(":")[0]) == (2, "JOURNAL_NAME")
    assert bytes_with_secrets(tmp_path) == []


def test_a_kill_with_a_configuration_that_names_no_venue_confirms_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Journal.open(tmp_path / "j", JournalName("live", "abc123")).close()
    ran = said(capsys, tmp_path, "kill", "--journal", "j", "--json")
    assert (ran.returncode, document(ran)["confirmed"], document(ran)["killed"]) == (1, False, True)
    assert "--config" in document(ran)["note"]


def test_networks_are_not_mixed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = PLACES["deribit"]
    _at(place, tmp_path, "ws://127.0.0.1:9", sandbox=True)
    with (tmp_path / "config.toml").open("a") as file:
        file.write('[venues.hyperliquid]\nwallet = "env:DESK_WALLET"\nsecret = "env:DESK_SIGNING_KEY"\n')
    ran = said(capsys, tmp_path, *RUN, "--arm-live")
    last = ran.stderr.splitlines()[-1]
    assert (ran.returncode, last.split(":")[0]) == (3, "LIVE_REFUSED")
    assert "sandbox is set for deribit and not for the others" in last


# ----------------------------------------------------------------------------------------- a key that is gone


def _revoke(host: Host) -> None:
    for key in host.exchange.keys.values():
        key.revoked = True
    host.cut_sessions()


def fills(exchange: Loopback) -> int:
    rows = exchange.do(lambda host: list(host.exchange.truth.rows))
    return sum(row["event"] == "fill" and row["account"] == "desk" for row in rows)


def test_a_key_that_is_revoked_halts_the_engine_with_the_reason_and_is_not_tried_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = PLACES["deribit"]
    words = (*RUN, "--arm-live", "--minutes", "0.12", "--json")
    with place.opened() as exchange:
        _at(place, tmp_path, exchange.do(place.address), sandbox=False)
        with started(tmp_path, *words, warm=True) as process:
            wait_for(lambda: fills(exchange) > 0 or process.poll() is not None)
            assert process.poll() is None, (tmp_path / "err").read_text()
            exchange.do(_revoke)
            wait_for(lambda: "KEY_REFUSED" in (tmp_path / "err").read_text())
            tried = exchange.do(lambda host: host.count("public/auth"))
            orders = exchange.do(lambda host: host.count("private/buy") + host.count("private/sell"))
            assert process.wait(60) == 1
        assert exchange.do(lambda host: host.count("public/auth")) == tried
        assert exchange.do(lambda host: host.count("private/buy") + host.count("private/sell")) == orders
    found = json.loads((tmp_path / "out").read_text())
    assert found["mode"] == "halted"
    lines = [json.loads(line) for line in (tmp_path / "err").read_text().splitlines()]
    (halted,) = [line for line in lines if line.get("mode") == "halted" and line["what"] == "mode"]
    assert halted["reason"] == "deribit does not let our key in any more"
    status = said(capsys, tmp_path, "status", "--journal", "j", "--json")
    assert document(status)["mode"] == "halted"
    with closing(open_to_read(tmp_path / "j")) as storage:
        assert storage.name.trading == "live"
    assert bytes_with_secrets(tmp_path) == []
