"""`doctor` at every exchange on loopback, good and bad, each fault in words that name the way out."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from hedger.config import load
from hedger.runs.venue_checks import examine_venue
from hedger.runs.venue_setup import adapter
from tests.exchanges.faults import Act
from tests.exchanges.server import Host
from tests.exchanges.words import Side as There
from tests.hedger.verbs.loopback import (
    bytes_with_secrets,
    document,
    environment,
    hedger,
    said,
)
from tests.hedger.verbs.places import PLACES, Place, said_too_much

LIVE = 'mode = "live"'
SOON = 'mode = "live"\nstart_s_max = 1.0'
TOP = 'limits_file = "limits.toml"'
#: CODE: what, where: .., observed: .., allowed: ..; what was not done; fix: how
HABIT = re.compile(r"[A-Z_]+: [^;]+, observed: .+, allowed: .+; [^;]+; fix: .+")
EVERY = pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
LOOKED_AT = {"reachable", "clock", "key", "account", "margin", "dead man's switch", "self-trade prevention"}
Found = dict[str, dict[str, Any]]


def named(place: Place, told: list[dict[str, Any]]) -> Found:
    """What was found, by what was looked at; what is bad has the form of every error."""
    found = {check["check"].removeprefix(f"{place.name}, "): check for check in told}
    for check in found.values():
        if check["finding"] == "bad":
            assert HABIT.fullmatch(check["text"]), check["text"]
            assert check["code"] == check["text"].split(":")[0]
        else:
            assert check["code"] is None
    return found


def checks(place: Place, ran: Any) -> Found:
    """The same of what the command printed."""
    told = document(ran)["checks"]
    bad = [check["check"] for check in told if check["finding"] == "bad"]
    assert document(ran)["bad"] == bad and document(ran)["healthy"] is (bad == [])
    assert ran.returncode == (1 if bad else 0)
    return named(place, told)


def bad(found: Found) -> dict[str, str]:
    return {what: check["code"] for what, check in found.items() if check["finding"] == "bad"}


def asked(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    place: Place,
    url: str,
    more: str = "",
    run: str = LIVE,
) -> Found:
    """What `doctor --json` says, set up for live trading."""
    (folder / "limits.toml").write_text("")
    place.settings(folder, url, run=run, top=TOP, more=more)
    found = checks(place, said(capsys, folder, "doctor", "--json"))
    assert bytes_with_secrets(folder) == []
    return found


# --------------------------------------------------------------------------------------------- what is wrong

Change = Callable[[Host], None]


def _skewed(seconds: float) -> Change:
    return lambda host: setattr(host.exchange.clock, "skew_ns", int(seconds * 1e9))


def _may(*scopes: str) -> Change:
    def change(host: Host) -> None:
        for key in host.exchange.keys.values():
            key.scopes = scopes

    return change


def _set_up(**modes: Any) -> Change:
    return lambda host: host.exchange.modes.update(modes)


def _forget(host: Host) -> None:
    for key in host.exchange.keys.values():
        key.revoked = True


#: What is wrong at a venue, how it is undone, what is found, and a word of the way out.
Faults = list[tuple[Change, Change, dict[str, str], str]]
_CLOCK: Faults = [
    (_skewed(seconds), _skewed(0.0), {"clock": "CLOCK_OFFSET"}, "time service") for seconds in (-1.5, 3.0)
]
_RIGHTS: Faults = [
    (_may("read", "trade", "withdraw"), _may("read", "trade"), {"key": "KEY_WITHDRAWS"}, "these two rights"),
    (_may("read"), _may("read", "trade"), {"key": "KEY_CANNOT_TRADE"}, "these two rights"),
]


_NO_MARGIN = {"margin": "MARGIN_UNKNOWN"}  # what the venue does not tell of such an account


def _mode(
    word: str, beside: dict[str, str] | None = None, **modes: Any
) -> tuple[Change, Change, dict[str, str], str]:
    def undo(host: Host) -> None:
        for name in modes:
            del host.exchange.modes[name]

    return _set_up(**modes), undo, {"account": "ACCOUNT_MODE", **(beside or {})}, word


FAULTS: dict[str, Faults] = {
    "deribit": _CLOCK,
    "okx": [
        *_RIGHTS,
        _mode("set futures mode or higher; set net mode", _NO_MARGIN, posMode="long_short_mode", acctLv="1"),
    ],
    "bybit": [
        *_CLOCK[1:],
        *_RIGHTS,
        _mode("unified", unifiedMarginStatus=1),
        _mode("set one-way mode", hedge=True),
        _mode("set cross or portfolio margin", _NO_MARGIN, marginMode="ISOLATED_MARGIN"),
    ],
    "binanceusdm": [
        *_RIGHTS,
        _mode("one-way", dualSidePosition=True),
        _mode("BTCUSDT", isolated={"linear": ["BTCUSDT"]}),
        _mode("set single-asset", multiAssetsMargin=True),
    ],
    "hyperliquid": _CLOCK,
}


@EVERY
def test_every_fault_of_a_venue_is_found_and_without_any_it_is_good(
    tmp_path: Path, place: Place, all_logged: list[logging.LogRecord]
) -> None:
    """One session, as the doctor has it; what is wrong there changes between two looks."""
    with place.opened() as exchange:
        file = place.settings(tmp_path, exchange.do(place.address), run=LIVE)
        desk, name = load(file).settings, place.venue

        async def work() -> None:
            venue = adapter(name, desk.venues[name], environment(), start_s_max=30.0)

            async def look(change: Change | None = None) -> Found:
                if change is not None:
                    await asyncio.to_thread(exchange.do, change)
                told = await examine_venue(desk, name, venue)
                return named(place, [check.document() for check in told])

            try:
                await venue.start()
                found = await look()
                assert bad(found) == {} and set(found) == LOOKED_AT
                assert found["clock"]["offset_s"] == pytest.approx(0.0, abs=1.0)
                for change, undo, wanted, word in FAULTS[place.name]:
                    found = await look(change)
                    assert bad(found) == wanted and word in found[next(iter(wanted))]["text"]
                    await asyncio.to_thread(exchange.do, undo)
                if place.name not in ("hyperliquid", "deribit"):  # which tell of a key at a start alone
                    assert bad(await look(_forget)) == {"key": "KEY_REFUSED"}
            finally:
                await venue.close()

        asyncio.run(work())
        rows = exchange.do(lambda host: list(host.exchange.truth.rows))
    assert [row for row in rows if row["event"] == "order"] == []
    assert bytes_with_secrets(tmp_path) == [] and said_too_much(all_logged) == []


def test_what_a_venue_does_not_have_is_told_and_stands_against_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Spot and options of Binance: options know no self-trade prevention, spot no dead man's timer."""
    place = replace(PLACES["binanceusdm"], venue="binance")
    with place.opened() as exchange:
        found = asked(capsys, tmp_path, place, exchange.do(place.address))
    assert bad(found) == {} and set(found) > LOOKED_AT
    without = {what: found[what] for what in ("self-trade prevention", "dead man's switch")}
    assert {check["finding"] for check in without.values()} == {"note"}
    assert "C16" in without["self-trade prevention"]["text"] and "hedger kill" in str(without)


@pytest.mark.parametrize("name", ["deribit", "hyperliquid"])
def test_nothing_is_against_a_venue_that_is_as_it_should_be(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    place = PLACES[name]
    with place.opened() as exchange:
        found = asked(capsys, tmp_path, place, exchange.do(place.address))
    assert bad(found) == {} and set(found) > LOOKED_AT


@pytest.mark.parametrize("sandbox", [False, True])
def test_a_key_that_the_network_does_not_know_may_be_of_the_other_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, sandbox: bool
) -> None:
    place = PLACES["deribit"]
    more = "\n".join(f'{key} = "{ref}"' for key, ref in place.names.items())
    more += f"\nsandbox = {str(sandbox).lower()}"
    with place.opened() as exchange:
        exchange.do(_forget)
        found = asked(capsys, tmp_path, place, exchange.do(place.address), more=more)
    assert bad(found) == {"key": "KEY_REFUSED"}
    assert f"sandbox = {str(not sandbox).lower()}" in found["key"]["text"]


@pytest.mark.parametrize(
    ("scopes", "code"),
    [
        (("account:read_write", "trade:read_write", "wallet:read_write"), "KEY_WITHDRAWS"),
        (("account:read_write", "trade:read"), "KEY_CANNOT_TRADE"),
        (("account:read_write", "trade:read_write", "treasury:read_write"), "KEY_UNKNOWN"),
    ],
)
def test_deribit_tells_the_rights_of_a_key_as_it_signs_in(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, scopes: tuple[str, ...], code: str
) -> None:
    place = PLACES["deribit"]
    with place.opened(replace(place.key, scopes=scopes)) as exchange:
        found = asked(capsys, tmp_path, place, exchange.do(place.address))
    assert bad(found) == {"key": code}


@pytest.mark.parametrize("word", ["account:read", "account:read_write"])
def test_a_key_that_may_make_keys_is_told_and_what_is_to_be_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, word: str
) -> None:
    """Cancel on disconnect needs the word, so it stands against nothing; without it there is no switch."""
    place, makes = PLACES["deribit"], word == "account:read_write"
    with place.opened(replace(place.key, scopes=(word, "trade:read_write"))) as exchange:
        found = asked(capsys, tmp_path, place, exchange.do(place.address))
    assert (found["key"]["finding"], "second factor" in found["key"]["text"]) == (
        ("note", True) if makes else ("good", False)
    )
    assert bad(found) == ({} if makes else {"dead man's switch": "DEAD_MAN"})


def test_the_own_key_of_a_wallet_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It signs withdrawals as well; an agent's does not."""
    place, key = PLACES["hyperliquid"], "0x" + "22" * 32
    wallet = ccxt.hyperliquid().eth_get_address_from_private_key(key)
    for name, text in (("wallet", wallet), ("key", key)):
        file = tmp_path / name
        file.write_text(text)
        file.chmod(0o600)
    more = f'wallet = "file:{tmp_path / "wallet"}"\nsecret = "file:{tmp_path / "key"}"'
    with place.opened(replace(place.key, key=wallet)) as exchange:
        found = asked(capsys, tmp_path, place, exchange.do(place.address), more=more)
    assert bad(found) == {"key": "KEY_WITHDRAWS"} and "owner" in found["key"]["text"]


def test_a_clock_that_no_signature_passes_with_is_told_as_such(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = PLACES["binanceusdm"]
    with place.opened() as exchange:
        exchange.do(_skewed(-30.0))
        found = asked(capsys, tmp_path, place, exchange.do(place.address))
    assert bad(found) == {"clock": "CLOCK_REFUSED"} and "time service" in found["clock"]["text"]


@EVERY
def test_a_venue_that_is_down_is_bad(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Place
) -> None:
    scheme = "ws" if place.name == "deribit" else "http"
    found = asked(capsys, tmp_path, place, f"{scheme}://127.0.0.1:9", run=SOON)
    assert list(bad(found)) == ["reachable"]


def test_a_host_that_is_none_of_the_venues_is_bad_and_no_key_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = asked(capsys, tmp_path, PLACES["okx"], "https://aws.okx.com", more='key = "env:NOT_THERE"')
    assert bad(found) == {"address": "VENUE_HOST"}
    assert 'venues.okx.hosts = ["aws.okx.com"]' in found["address"]["text"]


def test_networks_are_not_mixed_in_live_trading(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    more = 'sandbox = true\n[venues.okx]\nurl = "http://127.0.0.1:9"'
    found = asked(capsys, tmp_path, PLACES["deribit"], "ws://127.0.0.1:9", more=more, run=SOON)
    assert bad(found)["configuration"] == "NETWORKS_MIXED"


def test_a_test_network_is_called_one_in_a_process_of_its_own(tmp_path: Path) -> None:
    place = PLACES["deribit"]
    with place.opened() as exchange:
        more = 'key = "env:DESK_KEY"\nsecret = "env:DESK_SECRET"\nsandbox = true'
        place.settings(tmp_path, exchange.do(place.address), more=more)
        ran = hedger(tmp_path, "doctor")
    assert ran.returncode == 0 and "TESTNET, no real money" in ran.stdout


# ------------------------------------------------------------------------------------- the dead man's switch

#: What sets the timer there.
TIMERS = {
    "okx": "trade/cancel-all-after",
    "bybit": "order/disconnected-cancel-all",
    "binanceusdm": "POST fapi/countdownCancelAll",
    "hyperliquid": "scheduleCancel",
}


@pytest.mark.parametrize("name", sorted(TIMERS))
def test_a_dead_mans_switch_is_good_once_the_venue_has_set_it_and_bad_in_its_words_where_it_does_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    place = PLACES[name]
    with place.opened() as exchange:
        url = exchange.do(place.address)
        found = asked(capsys, tmp_path, place, url)["dead man's switch"]
        assert (found["finding"], found["dead_man_s"]) == ("good", 45.0)
        assert exchange.do(lambda host: host.count(TIMERS[name])) >= 1
        exchange.do(lambda host: host.faults.add(Act.RATE, TIMERS[name], times=1000))
        found = asked(capsys, tmp_path, place, url)
        assert bad(found) == {"dead man's switch": "DEAD_MAN"}
        assert "observed: TOO_FAST" in found["dead man's switch"]["text"]


def test_orders_that_rest_are_not_put_under_a_timer_that_nobody_would_restart(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = PLACES["okx"]

    def rest(host: Host) -> None:
        (key,) = host.exchange.keys.values()
        host.exchange.submit(
            key.account, "BTC-USDT-SWAP", There.BUY, Decimal(1), Decimal(30_000), client_id="x"
        )

    with place.opened() as exchange:
        exchange.do(rest)
        found = asked(capsys, tmp_path, place, exchange.do(place.address))
        assert exchange.do(lambda host: host.count(TIMERS["okx"])) == 0
    assert bad(found) == {} and found["dead man's switch"]["finding"] == "note"
    assert "1 orders rest" in found["dead man's switch"]["text"]


class Wordless:
    """A venue that gives no word of what the key may do."""

    async def time_ns(self) -> int:
        return time.time_ns()

    async def scopes(self) -> tuple[str, ...]:
        return ()


@pytest.mark.parametrize("mode", ["paper", "live"])
@EVERY
def test_a_key_of_which_the_venue_says_nothing_is_not_no_key(tmp_path: Path, place: Place, mode: str) -> None:
    (tmp_path / "limits.toml").write_text("")
    file = place.settings(tmp_path, "", run=f'mode = "{mode}"', top=f'limits_file = "{tmp_path}/limits.toml"')
    told = asyncio.run(examine_venue(load(file).settings, place.venue, Wordless()))  # type: ignore[arg-type]
    assert bad(named(place, [check.document() for check in told])) == {"key": "KEY_UNKNOWN"}
