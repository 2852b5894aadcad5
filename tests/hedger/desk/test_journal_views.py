"""`hedger pnl` and `hedger venues` on journals: against the run itself, and against a story told by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedger.core.events import Answer, Command, Failed, Refreshed, Tick, Verb
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.header import header
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.panels.venues import sheet
from hedger.dashboard.ports import Ports
from hedger.desk.follow import UNTOLD, Fetch, Follower, without_tape
from hedger.desk.profit import ProfitReader
from hedger.desk.venue_health import VenueReader
from hedger.desk.views import venues_text
from hedger.engine.heartbeat import Heartbeat
from hedger.journal.codec import CodecError
from hedger.journal.entries import (
    Configuration,
    DecisionRecord,
    Entry,
    Head,
    Intent,
    Record,
    book_entry,
    chained,
    configuration_entry,
    decision_entry,
    event_entry,
    fill_entry,
    intent_entry,
    listings_entry,
    read,
)
from hedger.journal.journal import open_to_read
from hedger.limits_file import load_limits
from hedger.runs.refold import batches_of
from hedger.runs.replay import Replay, replay
from hedger.settings import Settings
from hedger.verbs.journals import fetch_of
from pricing.daycount import NS_PER_SECOND
from risk.book import Book
from risk.standing import Standing, equity_usd
from tests.builders import NOW_NS, Quote, listing, marks_of, option
from tests.hedger.command_line import Json, hedger, make_book, make_tape, refused
from tests.hedger.journal_words import NAME, PERP, event, opening, order, trade, turn
from venues.orders import AccountReport, Link, OrderState, OrderUpdate, TradeReport, VenueStatus
from venues.tape import Tape

ROWS = [
    ("BTC-27MAR26-68000-C", -40),
    ("ETH-27MAR26-2100-P", -500),
    ("BTC-PERPETUAL", -250_000),
    ("BTC", "12.5"),
    ("ETH", 100),
    ("USDC", 1_000_000),
]
PARTS = ("delta", "gamma", "theta", "vega", "vanna", "volga", "charm", "basis", "traded", "slippage", "fees",
         "funding", "settlement", "residual")  # fmt: skip


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tape(tmp_path_factory.mktemp("views") / "tape", seed=7, batches=20)


@pytest.fixture(scope="module")
def ran(tape: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Replay, Path]:
    folder = tmp_path_factory.mktemp("run")
    book, journal = make_book(folder / "book.csv", ROWS), folder / "a.journal"
    return replay(Tape.open(tape), book, Settings(), load_limits(None), journal), journal


def told(capsys: pytest.CaptureFixture[str], verb: str, journal: Path, *more: object) -> Json:
    found = hedger(capsys, verb, "--journal", journal, "--json", *more)
    assert (found.code, found.err) == (0, "")
    document: Json = found.json
    return document


# -------------------------------------------------------------------------------------------------------- P&L


def test_the_journal_gives_the_runs_own_profit(
    tape: Path, ran: tuple[Replay, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same sums by cause and by ledger as the run reckoned while it decided, but for what only the run
    knows: funding that has run up and is not booked."""
    run, journal = ran[0].document, ran[1]
    found = told(capsys, "pnl", journal, "--tape", tape, "--apart-s", "1")
    assert run["fills"] > 0 and run["fees_usd"] > 0
    owed = run["attribution_usd"]["funding"] - found["attribution_usd"]["funding"]
    assert found["pnl_usd"] == pytest.approx(run["pnl_usd"] - owed, rel=1e-9)
    for part in ("fees", "gamma", "theta", "vega", "vanna", "delta"):
        assert found["attribution_usd"][part] == pytest.approx(run["attribution_usd"][part], rel=1e-6)
    assert abs(found["ledger_difference_usd"]) < 1e-6 * abs(found["ledger_usd"]["options"])


@pytest.mark.parametrize("apart_s", [0, 60, 300])
def test_the_parts_sum_to_the_pnl_whatever_the_interval(
    apart_s: float, tape: Path, ran: tuple[Replay, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, "pnl", ran[1], "--tape", tape, "--apart-s", apart_s)
    for line in [found, *found["days"]]:
        parts = line["attribution_usd"]
        assert set(parts) == {*PARTS, "pnl"}
        assert math.fsum(parts[name] for name in PARTS) == pytest.approx(parts["pnl"], rel=1e-9)
        assert line["pnl_usd"] == pytest.approx(parts["pnl"], rel=1e-9)
        assert line["harvest_usd"] == pytest.approx(parts["gamma"] + parts["theta"])
    assert math.fsum(d["pnl_usd"] for d in found["days"]) == pytest.approx(found["pnl_usd"], rel=1e-12)
    by_coin = math.fsum(u["pnl"] for u in found["underlyings"])
    assert by_coin == pytest.approx(found["attribution_usd"]["pnl"], rel=1e-9)


def test_since_the_hedge_is_the_change_of_equity_since_its_end(
    tape: Path, ran: tuple[Replay, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The last execution that ended, found in the record by hand; the book valued then and at the end."""
    told_of, equity = ran[1], []
    storage = open_to_read(told_of)
    try:
        every = list(storage.records())
    finally:
        storage.close()
    words = [(r.seq, read(r)) for r in every]
    ends = [(seq, x.document["verification"]) for seq, x in words if isinstance(x, DecisionRecord)]
    seq, check = [(seq, check) for seq, check in ends if check][-1]
    follower = Follower(Settings(), batches_of(Tape.open(tape)))
    for record, after in zip(every, [*every[1:], None], strict=True):
        follower.take(record)
        if after is None or (record.seq == seq and after.seq != seq):
            snapshot = follower.snapshot()
            assert snapshot is not None and not snapshot.missing
            equity.append(equity_usd(Standing(snapshot.valuation, snapshot.quantities, snapshot.balances)))
    reports = [x for at_seq, x in words if at_seq > seq and isinstance(x, TradeReport)]
    assert {report.fill.fee_currency for report in reports} <= {"USD", "USDC", "USDT"}
    fees = math.fsum(float(report.fill.fee) for report in reports)
    document = told(capsys, "pnl", told_of, "--tape", tape)
    since = document["since_hedge"]
    assert since["execution"] == check["execution"] and since["to"] == document["to"]
    assert document["from"] < since["from"] < since["to"]
    assert since["pnl_usd"] == pytest.approx(equity[1] - equity[0], rel=1e-9)
    assert since["pnl_usd"] != pytest.approx(document["pnl_usd"])
    parts = since["attribution_usd"]
    assert math.fsum(parts[name] for name in PARTS) == pytest.approx(since["pnl_usd"], rel=1e-9)
    assert math.fsum(x for k, x in since["ledger_usd"].items() if k != "total") == pytest.approx(
        since["pnl_usd"], rel=1e-6
    )
    assert parts["fees"] == pytest.approx(-fees, abs=1e-9) and abs(since["ledger_difference_usd"]) < 1e-4
    text = hedger(capsys, "pnl", "--journal", told_of, "--tape", tape).out
    assert f"since hedge {since['execution']}, from {since['from']}: {since['pnl_usd']:,.2f} USD" in text


def test_more_without_a_cause_than_is_borne_is_an_alert(
    tape: Path, ran: tuple[Replay, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calm = told(capsys, "pnl", ran[1], "--tape", tape)
    assert calm["alerts"] == [] and calm["unexplained"] == []
    strict = Settings.model_validate({"pnl": {"unexplained_usd": 0.0, "unexplained_share": 0.0}})
    journal = tmp_path / "strict.journal"
    replay(Tape.open(tape), make_book(tmp_path / "book.csv", ROWS), strict, load_limits(None), journal)
    alerts = told(capsys, "pnl", journal, "--tape", tape)["alerts"]
    assert {(alert["code"], alert["severity"]) for alert in alerts} == {("PNL_UNEXPLAINED", "warning")}
    assert [alert["day"] for alert in alerts] == [calm["days"][0]["day"], "since hedge"]
    text = hedger(capsys, "pnl", "--journal", journal, "--tape", tape).out
    assert "PNL_UNEXPLAINED" in text and "vanna" in text and "harvest" in text


def test_marks_on_a_tape_that_is_not_at_hand_are_asked_for(
    tape: Path, ran: tuple[Replay, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(hedger(capsys, "pnl", "--journal", ran[1]), "TAPE_NEEDED")
    other = make_tape(tmp_path / "other", seed=8, batches=2)
    refused(hedger(capsys, "pnl", "--journal", ran[1], "--tape", other), "JOURNAL_OTHER")


def test_what_needs_no_marks_is_shown_without_the_tape(
    tape: Path, ran: tuple[Replay, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """All but what hangs on prices is what it is with the tape; that is null, and it is said why and how."""

    def venues(*more: object) -> tuple[Json, list[Json]]:
        found = told(capsys, "venues", ran[1], *more)
        return found, [venue.pop("feed") for venue in found["venues"]]

    with_tape, feeds = venues("--tape", tape)
    without, blind = venues()
    assert without == with_tape and feeds[0]["last_batch_s"] is not None and feeds[0]["unknown"] == ""
    (feed,) = blind
    why = feed.pop("unknown")
    assert "--tape" in why and feed.pop("lag_s")["count"] == 0 and set(feed.values()) == {None}
    assert why in hedger(capsys, "venues", "--journal", ran[1]).out

    seeing = told(capsys, "status", ran[1], "--hedge", "--tape", tape)
    found = told(capsys, "status", ran[1], "--hedge")
    hedge, known = found["hedge"], seeing["hedge"]
    assert (hedge["rows"], hedge["as_of"], hedge["fault"]) == (None, None, why)
    for name in ("next", "ticket", "decisions", "working", "missing"):
        assert hedge[name] == known[name], name
    text = hedger(capsys, "status", "--journal", ran[1], "--hedge").out
    assert why in text and "last ticket at" in text
    for verb in ("pnl", "whatif", "risk"):
        refused(hedger(capsys, verb, "--journal", ran[1]), "TAPE_NEEDED")


def test_the_terminal_shows_a_replay_without_its_tape(tape: Path, ran: tuple[Replay, Path]) -> None:
    def shown(fetch: Fetch) -> tuple[dict[Panel, str], str]:
        feed = Feed(ran[1], Settings(), Ports(fetch=fetch))
        while feed.step() or not feed.caught_up:
            pass
        painter = Painter(feed, control=False)
        frames = {panel: painter.frame(Want(panel)) for panel in Panel}
        feed.close()
        texts = {
            panel: "\n".join(cell for part in frame.sheet for line in part.lines for cell in line.cells)
            for panel, frame in frames.items()
        }
        return texts, header(frames[Panel.RISK].facts)[1][0]

    blind, second = shown(without_tape)
    seeing, _ = shown(fetch_of(tape))
    assert "NOT READING" not in second and "marks lie on a tape: --tape" in second
    for panel in (Panel.RISK, Panel.HEDGE, Panel.WHAT_IF, Panel.PNL, Panel.VENUES):
        assert UNTOLD in blind[panel] and UNTOLD not in seeing[panel], panel
    assert blind[Panel.ORDERS] == seeing[Panel.ORDERS] and blind[Panel.ALERTS] == seeing[Panel.ALERTS]


def test_a_journal_without_marks_has_no_pnl(capsys: pytest.CaptureFixture[str]) -> None:
    reader = ProfitReader(Settings())
    for record in records(opening()):
        reader.take(record)
    document = reader.document()
    assert document["pnl_usd"] is None and document["attribution_usd"] is None and document["days"] == []
    assert document["since_hedge"] is None


# ------------------------------------------------------------------------------------------------- last state


def test_what_if_of_a_journal_is_that_of_the_engines_last_state(
    tape: Path, ran: tuple[Replay, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The book and the index of the state that the run ended in."""
    follower, state = Follower(Settings(), batches_of(Tape.open(tape))), ran[0].state
    storage = open_to_read(ran[1])
    try:
        for record in storage.records():
            follower.take(record)
    finally:
        storage.close()
    assert follower.book is not None and follower.market is not None
    mine = {k: (p.quantity, p.paid) for k, p in follower.book.positions.items() if p.quantity}
    assert mine == {k: (p.quantity, p.paid) for k, p in state.book.positions.items() if p.quantity}
    assert dict(follower.book.cash) == dict(state.book.cash)
    assert follower.market.bid.tobytes() == state.market.bid.tobytes()
    assert follower.market.now_ns == state.market.now_ns
    words = ("--tape", tape, "--metric", "delta", "--hedged")
    found = told(capsys, "whatif", ran[1], *words)
    assert state.snapshot is not None
    for u in found["ladder"]["underlyings"]:
        (line,) = [x for x in u["cells"] if (x["vol_points"], x["days"]) == (0, 0)]
        name = u["underlying"]
        expected = state.snapshot.exposure.row(f"delta:{name}") * state.snapshot.spot[name]
        assert line["unhedged"][6] == pytest.approx(expected, rel=1e-9, abs=1e-6)


def _alert(code: str) -> Json:
    return {"action": "alert", "severity": "warning", "code": code, "text": ""}


def test_bands_that_the_engine_took_are_known_and_those_it_refused_are_not() -> None:
    def set_bands(seq: int, argument: str, *codes: str) -> tuple[Entry, ...]:
        taken = event(seq, Command(f"c{seq}", Verb.BANDS, "ann", "", argument))
        document = {"seq": seq, "actions": [_alert(code) for code in codes]}
        return event_entry(taken), decision_entry(seq, taken.now_ns, "00", document, quiet=False)

    follower = Follower(Settings())
    for record in records(
        opening(),
        set_bands(1, "delta:BTC=-1,1/-0.5,0.5"),
        set_bands(2, "vega:BTC=-9,9/-1,1", "BANDS_REFUSED"),
        set_bands(3, "delta:BTC=-2,2/-1,1", "COMMAND_LATE"),
        set_bands(4, "delta:BTC=", "BUILD_REFUSED"),
    ):
        follower.take(record)
    assert follower.overrides == {"delta:BTC": ((-1.0, 1.0), (-0.5, 0.5))}
    for record in records(set_bands(5, "delta:BTC=")):
        follower.take(record)
    assert follower.overrides == {}


# ----------------------------------------------------------------------------------------------------- venues


def records(*turns: Iterable[Entry]) -> list[Record]:
    return chained((entry for entries in turns for entry in entries), Head(0, NAME.genesis))


def at(seq: int) -> int:
    """Events come a tenth of a second after one another."""
    return NOW_NS + seq * 100_000_000


def status(seq: int, link: Link, **more: Any) -> tuple[Entry, ...]:
    return turn(seq, VenueStatus("deribit", link, **more))


def heard(told: Iterable[Record]) -> VenueReader:
    reader = VenueReader(Settings())
    for record in told:
        reader.take(record)
    return reader


def test_a_venues_day_by_hand() -> None:
    """Up, a gap in one book, down, up again, the dead man fired; two orders answered after 0.1 and 0.3 s, one
    never; a question failed."""
    call = listing(option(60_000.0, "C", 30.0))
    quotes = [Quote(PERP, bid=60_000.0, ask=60_001.0, index=60_000.0, age_s=0.04), Quote(call, age_s=30.0)]
    first, second, third = order(6), order(7), order(9)

    def sent(seq: int, what: Any) -> Entry:
        return intent_entry(seq, at(seq), Intent(what))

    document = heard(
        records(
            (listings_entry(-1, NOW_NS, [PERP, call]), book_entry(-1, NOW_NS, Book())),
            status(1, Link.UP, gaps=()),
            status(2, Link.UP, gaps=("BTC-PERPETUAL",)),
            status(3, Link.DOWN, text="no route"),
            status(4, Link.UP, events=("dead_man_fired",), gaps=()),
            turn(5, marks_of(quotes, [0, 1], at(5))),
            turn(6, marks_of(quotes[:1], [0], at(6)), sent(6, first)),
            turn(7, OrderUpdate(first.client_id, OrderState.OPEN), sent(7, second)),
            turn(8, trade(6, "t1", "1000"), fill_entry(8, at(8), trade(6, "t1", "1000"))),
            turn(9, OrderUpdate(first.client_id, OrderState.FILLED), sent(9, third)),
            turn(10, OrderUpdate(second.client_id, OrderState.REJECTED, code="margin")),
            turn(11, OrderUpdate(third.client_id, OrderState.UNKNOWN)),
            turn(12, Failed("deribit", "account", code="timeout")),
        )
    ).document(at(22), Heartbeat(42, 0, at(12), 12, "armed", stepped_ns=NS_PER_SECOND // 2))
    assert document["journal_lag_s"] == pytest.approx(1.0)
    assert (document["engine"]["pid"], document["engine"]["clock_stepped_s"]) == (42, 0.5)
    assert document["budgets"] is None
    (venue,) = document["venues"]
    assert (venue["link"], venue["downs"], venue["reconnects"]) == ("up", 1, 1)
    assert venue["link_s"] == pytest.approx(1.8) and (venue["gaps"], venue["gaps_seen"]) == ([], 1)
    feed = venue["feed"]
    assert feed["last_batch_s"] == pytest.approx(1.6) and feed["newest_quote_s"] == pytest.approx(1.64)
    assert feed["lag_s"] == {"count": 2, "p50": 0.04, "p99": 0.04, "max": 0.04}
    assert feed["oldest_held"]["symbol"] == "BTC-PERPETUAL"
    orders = venue["orders"]
    assert (orders["sent"], orders["fills"], orders["open"], orders["unknown"]) == (3, 1, 1, 1)
    assert orders["rejected"] == {"margin": 1} and orders["last_minute"] == 3
    spread = orders["first_word_s"]
    assert (
        spread["count"] == 2 and spread["max"] == pytest.approx(0.3) and spread["p50"] == pytest.approx(0.3)
    )
    assert venue["failed"] == {"timeout": 1} and venue["account_s"] is None
    dead = venue["dead_man"]
    assert dead["fired"] == 1 and dead["last_fired_s"] == pytest.approx(1.8)
    assert dead["armed"] is None and dead["left_s"] is None and dead["unknown"]
    assert venue["credits"]["left"] is None and venue["credits"]["unknown"]
    json.dumps(document, allow_nan=False)


def test_the_delay_of_a_venues_answers_by_hand() -> None:
    """Two questions for the account answered after 0.2 and 0.4 s, one that failed, one before a restart; an
    order asked after and answered after 0.3 s. A report that nobody asked for has no delay."""
    lost = order(1)
    report = AccountReport("deribit", "", NOW_NS, (), {}, {})
    account = {"action": "ask_account", "venue": "deribit", "since_ns": 0}
    after = {"action": "ask_order", "venue": "deribit", "client_id": lost.client_id}

    def asking(seq: int, *actions: Json) -> tuple[Entry, ...]:
        document = {
            "seq": seq, "now_ns": at(seq), "mode": "armed", "paused": False, "breached": [], "trigger": "",
            "due": False, "verdicts": [], "actions": list(actions), "reason": "",
        }  # fmt: skip
        return (*turn(seq, Tick()), decision_entry(seq, at(seq), "00", document, quiet=False))

    def delays(*story: Any) -> Any:
        listed = (listings_entry(-1, NOW_NS, [PERP]),)
        (venue,) = heard(records(listed, *story)).document(at(40))["venues"]
        return venue

    none = {"count": 0, "p50": None, "p99": None, "max": None}
    quiet = delays(turn(1, report))
    assert quiet["answer_s"] == {"account": none, "order": none}
    story = (
        asking(1, account), turn(3, report),
        asking(4, account, after), turn(7, Answer("deribit", lost.client_id, None)), turn(8, report),
        asking(9, account), turn(12, Failed("deribit", "account", code="timeout")), turn(13, report),
        asking(14, account), (configuration_entry(-1, at(15), Configuration("1", "0" * 64)),),
        turn(16, report),
    )  # fmt: skip
    venue = delays(*story)
    found = venue["answer_s"]
    assert (found["account"]["count"], found["order"]["count"]) == (2, 1)
    assert found["account"]["max"] == pytest.approx(0.4) and found["order"]["p50"] == pytest.approx(0.3)

    def shown_in(venue: Json) -> tuple[str, str]:
        document = heard(records()).document(at(40)) | {"running": True, "venues": [venue]}
        lines = [line for section in sheet(document) for line in section.lines]
        return next(x.cells[1] for x in lines if x.cells[0] == "answers after"), venues_text(document)

    panel, text = shown_in(venue)
    assert panel.split("; ") == [
        "account median 400 ms, 99 % 400 ms, of the last 2",
        "order median 300 ms, 99 % 300 ms, of the last 1",
    ]
    assert "answers after: account 400 ms (99 %: 400 ms, of 2); order 300 ms" in text
    assert shown_in(quiet)[0] == "account -; order -"
    bad = {"action": "ask_account", "venue": 7, "since_ns": 0}
    with pytest.raises(CodecError, match=r"'actions'.*'venue' is '7'"):
        heard(records(asking(1, bad)))


def test_a_dead_mans_switch_is_as_the_venue_last_took_its_refreshes() -> None:
    listed = (listings_entry(-1, NOW_NS, [PERP]),)
    off = turn(5, Failed("deribit", "refresh", "", "timeout", "no answer in 2 s"))
    again = turn(7, Failed("deribit", "refresh", "", "locked", "the key is refused"))

    def dead(*story: Any) -> Any:
        (venue,) = heard(records(listed, *story)).document(at(15))["venues"]
        assert venue["dead_man"]["fired"] == 0 and venue["dead_man"]["left_s"] is None
        assert venue["dead_man"]["unknown"]
        return venue["dead_man"]

    never = dead(status(1, Link.UP))
    assert (never["armed"], never["told"], never["told_s"]) == (None, None, None)
    first = dead(off)
    assert (first["armed"], first["told"]) == (False, "DEAD_MAN_OFF") and "no answer in 2 s" in first["text"]
    assert first["told_s"] == pytest.approx(1.0)
    assert dead(off, again) == first  # off since the first refresh that was not taken
    on = dead(off, again, turn(9, Refreshed("deribit")))
    assert (on["armed"], on["told"]) == (True, "DEAD_MAN_ON") and on["told_s"] == pytest.approx(0.6)
    begun = Configuration("1", "0" * 64)
    restarted = dead(
        off, (configuration_entry(-1, at(10), begun),)
    )  # another session: nothing is known of it
    assert (restarted["armed"], restarted["told"]) == (None, None)


def test_a_journal_of_nothing_tells_nothing() -> None:
    document = VenueReader(Settings()).document()
    assert (document["as_of"], document["journal_lag_s"], document["venues"]) == (None, None, [])


def test_an_unknown_order_that_the_venue_never_had_is_unknown_no_more() -> None:
    lost = order(1)
    story = (
        (listings_entry(-1, NOW_NS, [PERP]),),
        turn(1, VenueStatus("deribit", Link.UP), intent_entry(1, at(1), Intent(lost))),
        turn(2, OrderUpdate(lost.client_id, OrderState.UNKNOWN)),
    )
    before = heard(records(*story)).document()["venues"][0]["orders"]
    after = heard(records(*story, turn(3, Answer("deribit", lost.client_id, None)))).document()
    assert (before["unknown"], before["open"]) == (1, 1)
    orders = after["venues"][0]["orders"]
    assert (orders["unknown"], orders["open"]) == (0, 0)
    assert orders["first_word_s"]["max"] == pytest.approx(0.2)


def test_the_venues_of_a_run(
    tape: Path, ran: tuple[Replay, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run, found = ran[0].document, told(capsys, "venues", ran[1], "--tape", tape)
    assert found["running"] is False and found["engine"] is None
    (venue,) = found["venues"]
    assert (venue["orders"]["sent"], venue["orders"]["fills"]) == (run["orders"], run["fills"])
    assert found["budgets"]["fills"] == run["fills"]
    assert Decimal(str(found["budgets"]["fees_usd"])) > 0
    text = hedger(capsys, "venues", "--journal", ran[1], "--tape", tape).out
    assert text.startswith("NOT RUNNING: ages are those at its end\n")
    assert "no sign of life" in text and f"{run['orders']} sent" in text
    assert "credits: - (no engine runs)" in text
