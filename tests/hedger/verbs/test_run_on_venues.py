"""`hedger run` on a loopback exchange: paper on its public market, and live with real wire orders.

What is compared is the exchange's own log with the journal: neither has a fill that the other lacks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.core.events import Command
from hedger.engine.starting import booked_since
from hedger.journal.entries import EventBody, JournalName, Kind, read
from hedger.journal.journal import Journal, open_to_read
from hedger.journal.recovery import Recovered, recover
from hedger.journal.storage import JournalDamaged
from hedger.journal.user import user_name
from pricing.errors import HedgerError
from risk.book import Book
from tests.canary import leaked
from tests.exchanges.deribit import DEFAULT_SCOPES
from tests.exchanges.hyperliquid import Hyperliquid
from tests.exchanges.hyperliquid_signing import address_of
from tests.exchanges.server import Host
from tests.exchanges.words import ApiKey, Side
from tests.hedger.command_line import HEADER
from tests.hedger.verbs.loopback import (
    PATIENCE_S,
    WITHDRAWS,
    Loopback,
    bytes_with_secrets,
    document,
    environment,
    loopback,
    said,
    settings,
    started,
)
from tests.hedger.verbs.places import PLACES
from tests.hedger.verbs.test_venue_verbs import NOBODY_THERE, wait_for, ws
from tests.planted import SIGNING_KEY

POSITIONS = "private/get_positions"
LIVE = 'mode = "live"\nstart_s_max = 20.0'
#: An order whose bytes never left is given up sooner than by default.
SOON = (
    "[execution.watch]\nask_again_s = 0.2\nask_again_s_max = 0.5\nnot_found_min = 3\nnot_found_s_min = 1.0\n"
)
LIMITS = 'limits_file = "limits.toml"'


def live(folder: Path, url: str, run: str = LIVE, *, keys: bool = True, limits: bool = True) -> None:
    """Everything that live trading asks for."""
    (folder / "limits.toml").write_text('[margin]\nunproven_venues = ["deribit"]\n')
    settings(folder, url, run=f"{run}\n{SOON}", top=LIMITS if limits else "", keys=keys)


def recorded(journal: Path) -> Recovered:
    with closing(open_to_read(journal)) as storage:
        return recover(storage)


def fills_of(exchange: Loopback) -> set[str]:
    """Of the account, by the exchange's own log."""
    rows = exchange.do(lambda host: list(host.exchange.truth.rows))
    return {str(row["trade_id"]) for row in rows if row["event"] == "fill" and row["account"] == "desk"}


def booked(found: Recovered) -> Book:
    assert found.opening is not None
    return booked_since(found, found.opening)


def agrees(exchange: Loopback, journal: Path) -> None:
    """Fills one by one and positions exactly, both ways."""
    found = recorded(journal)
    ids = [report.fill.trade_id.rsplit("-", 1)[-1] for report in found.fills]
    assert len(ids) == len(set(ids))
    assert set(ids) == {name.rsplit("-", 1)[-1] for name in fills_of(exchange)}
    holds(exchange, found)


def holds(exchange: Loopback, found: Recovered) -> None:
    """Positions exactly, both ways."""
    truth = exchange.do(
        lambda host: {s: p.quantity for s, p in host.exchange.account("desk").positions.items()}
    )
    ours = {key[1]: p.quantity for key, p in booked(found).positions.items() if p.quantity}
    derivatives = {s: q for s, q in ours.items() if s not in ("BTC_USDC", "ETH_USDC")}
    assert derivatives == {s: q for s, q in truth.items() if q}


def orders_at(exchange: Loopback) -> int:
    return exchange.do(lambda host: len([r for r in host.exchange.truth.rows if r["event"] == "order"]))


@dataclass(frozen=True, slots=True)
class Feed:
    """Public markets that paper is run on. venues: each with the exchange that it is a part of; held: of
    the first, in its unit; hedge: the venue that the delta goes to."""

    venues: Mapping[str, str]
    held: int
    hedge: str


#: Options are held on the first venue, and the last takes the hedge.
FEEDS = {
    "deribit": Feed({"deribit": "deribit"}, -20, "deribit"),
    "okx": Feed({"okx": "okx"}, -2000, "okx"),
    "bybit": Feed({"bybit": "bybit"}, -20, "bybit"),
    "binance": Feed({"binance": "binanceusdm", "binanceusdm": "binanceusdm"}, -20, "binanceusdm"),
    "hyperliquid": Feed({"hyperliquid": "hyperliquid"}, -20, "hyperliquid"),  # it lists perpetuals alone
}
_SIGNED = frozenset({"ok-access-key", "x-mbx-apikey", "x-bapi-api-key"})
_LOGINS = frozenset({"public/auth", "login", "auth"})


def near_the_money(host: Host) -> str:
    """The call on BTC that expires last; of a venue without options, the perpetual."""
    listed = [x for x in host.exchange.instruments.values() if x.right == "C" and x.strike == 60_000]
    return max(listed, key=lambda x: (x.expiry_ns or 0, x.symbol)).symbol if listed else "BTC"


def without_a_key(host: Host) -> bool:
    """That nobody has signed anything, nor sent an order."""
    signed = [c.operation for c in host.requests if _SIGNED & c.headers.keys() or "signature" in c.params]
    private = [o for _, o in host.calls if o in _LOGINS or o.startswith("private/")]
    return bool(host.calls) and not signed and not private and not host.exchange.truth.of("order")


def listed_once(host: Host) -> bool:
    """That what is listed was asked for, and each question of it once."""
    words = ("instruments", "exchangeinfo", "meta")
    asked = [(c.operation, repr(c.params)) for c in host.requests]
    asked = [question for question in asked if any(word in repr(question).lower() for word in words)]
    return bool(asked) and len(asked) == len(set(asked))


def hedges_closed(journal: Path) -> list[dict[str, Any]]:
    """What was said of each hedge when it was over, and which rows were outside then."""
    with closing(open_to_read(journal)) as storage:
        decisions = [json.loads(x.text)["document"] for x in storage.records(kinds=[Kind.DECISION])]
    return [{**x["verification"], "breached": x["breached"]} for x in decisions if x["verification"]]


def hedged(journal: Path, *, whole: bool) -> bool:
    """That there was a fill, a hedge was over (whole), and more marks came than a start takes."""
    try:
        with closing(open_to_read(journal)) as storage:
            kinds = Counter(record.kind for record in storage.records())
        over = not whole or bool(hedges_closed(journal))
    except (HedgerError, JournalDamaged):  # it is being made
        return False
    return bool(kinds[Kind.FILL]) and kinds[Kind.EVENT] > 20 and over


@pytest.mark.parametrize("name", FEEDS)
def test_paper_takes_a_public_feed_reads_no_key_and_hedges_there(tmp_path: Path, name: str) -> None:
    feed = FEEDS[name]
    with ExitStack() as stack:
        exchanges = {x: stack.enter_context(PLACES[x].opened()) for x in set(feed.venues.values())}
        first = next(iter(feed.venues))
        held = exchanges[feed.venues[first]].do(near_the_money)
        (tmp_path / "book.csv").write_text(f"{HEADER}\n{first},{held},{feed.held},\n")
        words = ("run", "--journal", "j", "--book", "book.csv", "--arm", "--no-watchdog", "--json")
        tmp_path.chmod(0o700)
        (tmp_path / "config.toml").write_text(configured(feed, exchanges))
        env = {k: v for k, v in environment().items() if not k.startswith("DESK_")}
        with started(tmp_path, *words, warm=True, env=env) as process:
            wait_for(lambda: hedged(tmp_path / "j", whole=name == "deribit") or process.poll() is not None)
            process.terminate()
            assert process.wait(PATIENCE_S) == 143, (tmp_path / "err").read_text()
        found = json.loads((tmp_path / "out").read_text())
        assert all(exchange.do(without_a_key) for exchange in exchanges.values())
        assert all(exchange.do(listed_once) for exchange in exchanges.values())
    assert leaked((tmp_path / "out").read_text() + (tmp_path / "err").read_text()) == ()
    assert "Traceback" not in (tmp_path / "err").read_text()
    assert (found["trading"], found["mode"]) == ("paper", "armed")
    assert set(found["venues"]) == set(feed.venues) and found["orders"] > 0 and found["marks"] > 5
    filled = [report.fill for report in recorded(tmp_path / "j").fills]
    assert filled and {fill.listing.venue for fill in filled} == {feed.hedge}
    if name == "deribit":  # to its end: the book valued anew and inside its bands
        closed = hedges_closed(tmp_path / "j")[0]
        done = {True: "every leg is filled", False: "every row is back inside its band"}
        assert (closed["ended"], closed["inside"]) == (done[closed["filled"]], True)
        assert closed["breached"] == [] and closed["fee_usd"] > 0
        (delta,) = [row for row in closed["rows"] if row["row"] == "delta:BTC"]
        assert (delta["rounding"], delta["external"]) == (0, 0) and (
            delta["unfilled"] == 0 or not closed["filled"]
        )
        causes = ("unfilled", "rounding", "unwound", "external", "paid", "market")
        told = sum(delta[cause] for cause in causes)
        assert delta["actual"] - delta["promised"] == pytest.approx(told, abs=1e-8)


def configured(feed: Feed, exchanges: Mapping[str, Loopback]) -> str:
    """Hedges by futures and perpetuals alone, of the venue that is to take them."""
    text = f'[run]\nfeed = {json.dumps(list(feed.venues))}\nunderlyings = ["BTC"]\n'
    text += "".join(f'[universe.deny_{side}]\nkinds = ["option", "spot"]\n' for side in ("buy", "sell"))
    for name, place in feed.venues.items():
        pace = "" if name == "deribit" else "request_pause_ms = 0.2\n"
        text += f'[venues.{name}]\nurl = "{PLACES[place].address(exchanges[place].host)}"\n{pace}'
    return text


def test_live_orders_survive_a_kill_and_account_and_book_agree_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("--journal", "j", "--arm-live", "--no-watchdog", "--json")
    with loopback() as exchange:
        live(tmp_path, ws(exchange))
        with started(tmp_path, "run", *words) as process:
            wait_for(lambda: bool(fills_of(exchange)) or process.poll() is not None)
            assert process.poll() is None, (tmp_path / "err").read_text()
            process.kill()
        ran = said(capsys, tmp_path, "run", *words, "--minutes", "0.1")
        found = document(ran)
        assert (ran.returncode, found["trading"], found["mode"]) == (0, "live", "armed"), ran.stderr
        agrees(exchange, tmp_path / "j")

        # Somebody else trades on the account while nothing runs: booked as such, once.
        exchange.do(_somebody_trades)
        ran = said(capsys, tmp_path, "run", *words, "--minutes", "0.05")
        assert ran.returncode == 0 and '"alert": "EXTERNAL"' in ran.stderr
        agrees(exchange, tmp_path / "j")
        client_ids = exchange.do(
            lambda host: [row["client_id"] for row in host.exchange.truth.rows if row["event"] == "order"]
        )
    named = [name for name in client_ids if name]
    assert named and len(named) == len(set(named))
    assert bytes_with_secrets(tmp_path) == []


def test_a_kill_without_an_engine_cancels_at_the_venue_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback() as exchange:
        live(tmp_path, ws(exchange), run="start_s_max = 2.0")
        Journal.open(tmp_path / "j", JournalName("live", "abc123")).close()

        def rest(host: Host) -> None:
            for i in range(3):
                price = Decimal(50_000 + i)
                host.exchange.submit("desk", "BTC-PERPETUAL", Side.BUY, Decimal(100), price)

        exchange.do(rest)
        assert open_at(exchange) == 3
        ran = said(capsys, tmp_path, "kill", "--journal", "j", "--json")
        assert (ran.returncode, document(ran)["live_orders"], document(ran)["confirmed"]) == (0, 0, True)
        assert open_at(exchange) == 0
    ran = said(capsys, tmp_path, "kill", "--journal", "j", "--json")  # nobody there any more
    told = document(ran)
    assert (ran.returncode, told["confirmed"], told["killed"]) == (4, False, True)
    assert told["unanswered"] == ["deribit"]


def test_a_venue_that_cannot_be_asked_keeps_no_other_from_being_cancelled(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback() as exchange:
        live(tmp_path, ws(exchange), run="start_s_max = 2.0")
        config = tmp_path / "config.toml"
        config.write_text(config.read_text() + "\n[venues.bybit]\n")  # and no key of it
        Journal.open(tmp_path / "j", JournalName("live", "abc123")).close()
        exchange.do(
            lambda host: host.exchange.submit(
                "desk", "BTC-PERPETUAL", Side.BUY, Decimal(100), Decimal(50_000)
            )
        )
        assert open_at(exchange) == 1
        ran = said(capsys, tmp_path, "kill", "--journal", "j", "--json")
        told = document(ran)
        assert open_at(exchange) == 0
    assert (ran.returncode, told["confirmed"], told["live_orders"]) == (4, False, None)
    assert told["unanswered"] == ["bybit"] and "bybit" in told["note"]


#: Another account than that of the agent's master; its wallet has no key here.
_OTHER_WALLET = "0x" + "ab" * 20


@pytest.mark.parametrize(
    ("wallet", "elsewhere", "code", "left"),
    [
        (address_of(SIGNING_KEY), 0, 0, 0),  # the agent's own address: no order ever rests on it
        (_OTHER_WALLET, 0, 0, 0),
        (_OTHER_WALLET, 2, 4, None),  # what rests there is not this key's to cancel
    ],
)
def test_a_kill_cancels_on_the_account_that_the_key_acts_for_whatever_wallet_is_named(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    wallet: str,
    elsewhere: int,
    code: int,
    left: int | None,
) -> None:
    place = PLACES["hyperliquid"]
    named = tmp_path / "wallet"
    named.write_text(wallet)
    named.chmod(0o600)

    def rest(host: Host) -> None:
        host.exchange.grant(ApiKey(_OTHER_WALLET, "", "other"))
        host.exchange.transfer("other", "USDC", Decimal(5_000_000))
        for account in ["desk"] * 3 + ["other"] * elsewhere:
            host.exchange.submit(account, "BTC", Side.BUY, Decimal("0.01"), Decimal(50_000))

    with place.opened() as exchange:
        exchange.do(rest)
        more = f'wallet = "file:{named}"\nsecret = "env:DESK_SIGNING_KEY"'
        place.settings(tmp_path, exchange.do(place.address), run='mode = "live"', more=more)
        Journal.open(tmp_path / "j", JournalName("live", "abc123")).close()
        assert open_at(exchange) == 3
        ran = said(capsys, tmp_path, "kill", "--journal", "j", "--json")
        assert open_at(exchange) == 0
    told = document(ran)
    assert (ran.returncode, told["confirmed"], told["live_orders"]) == (code, not elsewhere, left)
    assert ("KEY_ACCOUNT" in told["note"] and f"2 orders rest on {wallet}" in told["note"]) == bool(elsewhere)


def test_a_key_that_the_venue_does_not_know_confirms_no_kill(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An agent that was taken back: whose orders it had is not known any more."""
    place = PLACES["hyperliquid"]
    with place.opened() as exchange:
        exchange.do(_forget_agents)
        place.settings(tmp_path, exchange.do(place.address), run='mode = "live"')
        Journal.open(tmp_path / "j", JournalName("live", "abc123")).close()
        told = document(ran := said(capsys, tmp_path, "kill", "--journal", "j", "--json"))
    assert (ran.returncode, told["confirmed"], told["unanswered"]) == (4, False, ["hyperliquid"])
    assert "KEY_ACCOUNT" in told["note"] and "unknown to the venue" in told["note"]


def _forget_agents(host: Host) -> None:
    assert isinstance(host.dialect, Hyperliquid)
    host.dialect.roles.clear()


def open_at(exchange: Loopback) -> int:
    return exchange.do(lambda host: len(list(host.exchange.open_orders("desk"))))


def _somebody_trades(host: Host) -> None:
    host.exchange.outside("desk", "BTC-PERPETUAL", Side.BUY, Decimal(50_000), Decimal(60_000), "trade")


def test_a_book_that_the_venue_contradicts_is_not_traded_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback() as exchange:
        exchange.do(_somebody_trades)
        live(tmp_path, ws(exchange), run=LIVE.replace("20.0", "3.0"))
        (tmp_path / "book.csv").write_text("venue,symbol,quantity\nderibit,BTC,100\nderibit,ETH,1000\n")
        words = ("--journal", "j", "--arm-live", "--no-watchdog", "--book", "book.csv", "--minutes", "0.5")
        ran = said(capsys, tmp_path, "run", *words)
        assert orders_at(exchange) == 0
    assert ran.returncode == 5
    assert ran.stderr.splitlines()[-1].startswith("NOT_RECONCILED")
    assert "BTC-PERPETUAL +50000" in ran.stderr.splitlines()[-1]


def test_a_start_takes_the_venue_s_word_where_a_person_says_so_and_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("run", "--journal", "j", "--arm-live", "--no-watchdog")
    with loopback() as exchange:
        exchange.do(_somebody_trades)
        live(tmp_path, ws(exchange), run=LIVE.replace("20.0", "3.0"))
        (tmp_path / "book.csv").write_text("venue,symbol,quantity\nderibit,BTC,100\nderibit,ETH,1000\n")
        ran = said(capsys, tmp_path, *words, "--book", "book.csv", "--minutes", "0.5")
        assert ran.returncode == 5 and "--accept --reason" in ran.stderr.splitlines()[-1]
        before = recorded(tmp_path / "j")
        silent = said(capsys, tmp_path, *words, "--accept", "--reason", " ")
        assert silent.returncode == 2 and silent.stderr.startswith("REASON_NEEDED")
        assert recorded(tmp_path / "j").head == before.head  # nothing was begun

        live(tmp_path, ws(exchange))
        why = ("--accept", "--reason", "bought 50000 by hand")
        ran = said(capsys, tmp_path, *words, *why, "--minutes", "0.05", "--json")
        assert ran.returncode == 0, ran.stderr
        found = recorded(tmp_path / "j")
        holds(exchange, found)
    told = document(ran)
    shown = [(x["venue"], x["what"], Decimal(x["amount"])) for x in told["accepted"]]
    assert ("deribit", "BTC-PERPETUAL", Decimal(50_000)) in shown
    booked_so = [x for x in found.ledger if isinstance(x, Adjustment)]
    assert [(x.symbol, x.quantity) for x in booked_so if x.symbol] == [("BTC-PERPETUAL", Decimal(50_000))]
    assert all(x.kind in (AdjustmentKind.ACCEPTED_POSITION, AdjustmentKind.ACCEPTED_CASH) for x in booked_so)
    with closing(open_to_read(tmp_path / "j")) as storage:
        events = [read(record) for record in storage.records(kinds=[Kind.COMMAND])]
    orders = [word.what for word in events if isinstance(word, EventBody)]
    armed = [c for c in orders if isinstance(c, Command) and c.verb == "arm"]
    assert [(c.argument, c.user, c.reason) for c in armed] == [
        ("accept", user_name(), "bought 50000 by hand")
    ]


def test_paper_has_no_account_to_accept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ran = said(capsys, tmp_path, "run", "--journal", "j", "--accept", "--reason", "why not")
    assert (ran.returncode, ran.stderr.split(":")[0]) == (2, "ACCEPT_ON_PAPER")
    assert not (tmp_path / "j").exists()


def test_what_a_venue_does_not_say_is_not_accepted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The account can be read until the engine runs, and not from then on."""
    words = ("run", "--journal", "j", "--arm-live", "--no-watchdog", "--minutes", "0.5")
    with loopback() as exchange:
        live(tmp_path, ws(exchange))
        assert said(capsys, tmp_path, *words[:-1], "0.02").returncode == 0
        before = recorded(tmp_path / "j")
        exchange.do(_somebody_trades)
        live(tmp_path, ws(exchange), run=LIVE.replace("20.0", "3.0"))
        exchange.do(lambda host: host.faults.add("error_before", POSITIONS, skip=2, times=1000))
        ran = said(capsys, tmp_path, *words, "--accept", "--reason", "whatever it says")
        after = recorded(tmp_path / "j")
    assert ran.returncode == 5 and "is not read yet" in ran.stderr.splitlines()[-1]
    assert after.ledger == before.ledger


def _positions_fail(host: Host) -> None:
    host.faults.add("error_before", POSITIONS, times=1000)


def test_positions_that_cannot_be_read_are_not_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback() as exchange:
        live(tmp_path, ws(exchange))
        exchange.do(_positions_fail)
        ran = said(
            capsys, tmp_path, "run", "--journal", "j", "--arm-live", "--no-watchdog", "--minutes", "0.5"
        )
        assert orders_at(exchange) == 0
    assert ran.returncode == 4


@pytest.mark.parametrize(
    ("complete", "scopes", "says"),
    [
        (False, DEFAULT_SCOPES, ("--arm-live", "limits_file", "venues.deribit")),
        (True, WITHDRAWS, ("withdraw or transfer",)),
        (True, ("account:read_write", "trade:read"), ("not trade",)),
    ],
    ids=("everything is missing", "the key can withdraw", "the key cannot trade"),
)
def test_live_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    complete: bool,
    scopes: tuple[str, ...],
    says: Collection[str],
) -> None:
    with loopback(scopes) as exchange:
        live(tmp_path, ws(exchange), keys=complete, limits=complete)
        words = ("--arm-live",) if complete else ()
        ran = said(capsys, tmp_path, "run", "--journal", "j", "--no-watchdog", *words)
        assert orders_at(exchange) == 0
    last = ran.stderr.splitlines()[-1]
    assert (ran.returncode, last.split(":")[0]) == (3, "LIVE_REFUSED")
    assert all(word in last for word in says)
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize("run", [LIVE.replace("20.0", "1.5"), 'feed = ["deribit"]\nstart_s_max = 1.5'])
def test_a_venue_that_is_down_starts_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run: str
) -> None:
    live(tmp_path, NOBODY_THERE, run=run)
    words = ("--arm-live",) if "live" in run else ()
    ran = said(capsys, tmp_path, "run", "--journal", "j", "--no-watchdog", *words)
    assert (ran.returncode, ran.stderr.splitlines()[-1].split(":")[0]) == (4, "VENUE_NOT_REACHED")
    assert not (tmp_path / "j").exists()


def test_an_account_without_anything_to_value_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with loopback() as exchange:
        settings(tmp_path, ws(exchange), run='feed = ["deribit"]\nunderlyings = ["DOGE"]')
        ran = said(capsys, tmp_path, "run", "--journal", "j", "--no-watchdog")
    assert (ran.returncode, ran.stderr.splitlines()[-1].split(":")[0]) == (2, "RUN_UNDERLYING")
