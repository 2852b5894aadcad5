"""What a start finds in a journal: the ledger, the orders' last states, and a refusal if it is damaged."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.actions import Adjustment, AdjustmentKind
from hedger.core.events import Answer, Command, Tick, Verb
from hedger.journal.entries import (
    Configuration,
    Entry,
    Head,
    Intent,
    LatchChange,
    adjustment_entry,
    chained,
    configuration_entry,
    event_entry,
    fill_entry,
    intent_entry,
    latch_entry,
    listings_entry,
    order_entry,
)
from hedger.journal.journal import Journal
from hedger.journal.recovery import RESTARTED, Recovered, recover, summary
from hedger.journal.storage import JournalDamaged, MemoryDisk, MemoryStorage
from pricing.contracts import Side
from risk.book import Book
from tests.builders import NOW_NS
from tests.hedger.journal_words import NAME, PERP, event, life, opening, order, trade, turn
from venues.orders import AccountReport, OrderReport, OrderState, OrderUpdate

S = OrderState


def stored(*turns: tuple[Entry, ...]) -> MemoryStorage:
    disk = MemoryDisk(NAME)
    journal = Journal(MemoryStorage(disk))
    for entries in turns:
        journal.append(*entries)
    journal.close()
    return MemoryStorage(disk)


def recovered(*turns: tuple[Entry, ...]) -> Recovered:
    return recover(stored(*turns), monotonic_ns=7)


def sent(seq: int) -> tuple[Entry, ...]:
    """The turn in which an order is decided."""
    return turn(seq, Tick(), intent_entry(seq, NOW_NS, Intent(order(seq), seq)), quiet=False)


def heard(seq: int, state: OrderState, of: int, filled: str | None = None) -> tuple[Entry, ...]:
    update = OrderUpdate(order(of).client_id, state, filled=None if filled is None else Decimal(filled))
    return turn(seq, update)


def filled(seq: int, of: int, quantity: str) -> tuple[Entry, ...]:
    report = trade(of, f"t{seq}", quantity)
    return turn(seq, report, fill_entry(seq, NOW_NS, report))


def test_an_empty_journal() -> None:
    found = recovered()
    assert (found.head, found.last_seq, found.orders, found.ledger) == (Head(0, NAME.genesis), -1, {}, ())
    assert (found.opening, found.mode, found.latch, found.configuration, found.digest) == (None,) * 4 + ("",)


def test_a_whole_life() -> None:
    rounds = 3
    found = recovered(*life(rounds))
    last = 6 * rounds
    assert (found.name, found.last_seq, found.undecided) == (NAME, last, ())
    assert found.last_now_ns == event(last, Tick()).now_ns
    assert found.digest == f"{last:064x}"
    assert found.mode is not None and (found.mode.mode, found.mode.user) == ("armed", "ann")
    assert found.configuration == Configuration("0.1.0", "ab" * 32, user="ann", reason="first start")
    assert found.commands == {"c0"}
    # 10 coins and 200 USD short before; each round buys 400 and 600 USD at 60,000
    assert found.traded() == {("deribit", "BTC-PERPETUAL", ""): Decimal(1000 * rounds)}
    assert found.opening is not None
    book = found.opening
    for report in found.fills:
        book = book.apply(report.fill)
    position = book.positions["deribit", "BTC-PERPETUAL", ""]
    assert (position.quantity, position.paid) == (Decimal(2800), Fraction(2800, 60000))
    assert book.cash["deribit", "", "BTC"] == 10 - Fraction(6, 1_000_000)
    assert [o.state for o in found.orders.values()] == [S.FILLED] * rounds
    assert all(o.settled and o.booked == 1000 and o.since_ns == 7 for o in found.orders.values())


@pytest.mark.parametrize(
    ("turns", "state", "reserved"),
    [
        ([], S.UNKNOWN, "1000"),
        ([heard(2, S.SENT, 1)], S.UNKNOWN, "1000"),
        ([heard(2, S.OPEN, 1)], S.OPEN, "1000"),
        ([heard(2, S.UNKNOWN, 1)], S.UNKNOWN, "1000"),
        ([heard(2, S.REJECTED, 1)], S.REJECTED, "0"),
        ([filled(2, 1, "400")], S.OPEN, "600"),
        ([filled(2, 1, "400"), filled(3, 1, "600")], S.FILLED, "0"),
        ([filled(2, 1, "400"), heard(3, S.CANCELLED, 1, "400")], S.CANCELLED, "0"),
        # cancelled with 500 filled, of which 400 are booked: 100 are still owed
        ([filled(2, 1, "400"), heard(3, S.CANCELLED, 1, "500")], S.CANCELLED, "100"),
        ([heard(2, S.CANCELLED, 1), heard(3, S.OPEN, 1)], S.CANCELLED, "1000"),
        ([turn(2, Answer("deribit", order(1).client_id, None))], S.UNKNOWN, "1000"),
    ],
)
def test_what_became_of_an_order(turns: list[tuple[Entry, ...]], state: OrderState, reserved: str) -> None:
    found = recovered(opening(), sent(1), *turns).orders[order(1).client_id]
    assert (found.state, found.reserved, found.order, found.execution) == (
        state,
        Decimal(reserved),
        order(1),
        1,
    )
    if state is S.UNKNOWN and not turns:
        assert found.code == RESTARTED


@pytest.mark.parametrize("by", ["answer", "account"])
def test_what_a_venue_says_when_asked_counts(by: str) -> None:
    id = order(1).client_id
    said = OrderReport(id, "v9", PERP.symbol, Side.BUY, Decimal(1000), Decimal(0), Decimal(60000), S.OPEN)
    account = AccountReport("deribit", "", NOW_NS, (said,), {}, {})
    found = recovered(opening(), sent(1), turn(2, Answer("deribit", id, said) if by == "answer" else account))
    assert (found.orders[id].state, found.orders[id].venue_order_id) == (S.OPEN, "v9")


def test_what_we_made_of_an_order_ourselves_counts() -> None:
    denied = OrderUpdate(order(1).client_id, S.DENIED, code="limit_delta")
    found = recovered(opening(), (*sent(1), order_entry(1, NOW_NS, denied)))
    known = found.orders[order(1).client_id]
    assert (known.state, known.code, known.reserved) == (S.DENIED, "limit_delta", Decimal(0))


def test_news_of_strangers_is_no_order_of_ours() -> None:
    report = replace(trade(1, "t1", "10"), client_id="")
    found = recovered(
        opening(),
        turn(1, OrderUpdate("web-1", S.OPEN)),
        turn(2, report, fill_entry(2, NOW_NS, report)),
    )
    assert found.orders == {} and len(found.fills) == 1


def test_an_event_without_its_decision_is_told() -> None:
    taken = event_entry(event(1, Command("c1", Verb.PAUSE, "bob", "lunch")))
    found = recovered(opening(), turn(0, Tick()), (taken,))
    assert (found.undecided, found.last_seq, found.commands) == ((1,), 1, frozenset({"c1"}))


def test_fills_and_adjustments_keep_their_order() -> None:
    funding = Adjustment(AdjustmentKind.FUNDING, "deribit", "", currency="BTC", amount=Decimal("0.1"))
    found = recovered(
        opening(), filled(1, 9, "10"), (adjustment_entry(1, NOW_NS, funding),), filled(2, 9, "20")
    )
    kinds = [type(word).__name__ for word in found.ledger]
    assert kinds == ["TradeReport", "Adjustment", "TradeReport"]
    assert found.ledger[1] == funding


def test_the_last_of_each_counts() -> None:
    second = Configuration("0.2.0", "cd" * 32)
    found = recovered(
        opening(),
        (configuration_entry(5, NOW_NS, second), listings_entry(5, NOW_NS, [PERP])),
        (latch_entry(5, NOW_NS, LatchChange(True, "ann", "red")),),
        (latch_entry(5, NOW_NS, LatchChange(False, "bob", "calm")),),
    )
    assert (found.configuration, found.listings) == (second, (PERP,))
    assert found.latch == LatchChange(False, "bob", "calm")


def test_recovering_twice_changes_nothing() -> None:
    storage = stored(*life(2))
    before = list(storage.records())
    assert recover(storage, monotonic_ns=1) == recover(storage, monotonic_ns=1)
    assert list(storage.records()) == before


@given(st.integers(0, 40))
def test_a_prefix_gives_what_was_booked_by_then(cut: int) -> None:
    """After a crash anywhere: position = the fills that are there, whatever else is or is not."""
    entries = [entry for entries in life(3) for entry in entries][:cut]
    records = chained(entries, Head(0, NAME.genesis))
    disk = MemoryDisk(NAME, records=records)
    found = recover(MemoryStorage(disk))
    fills = sum(record.kind == "fill" for record in records)
    quantities = [Decimal(400), Decimal(600)] * 3
    assert sum(found.traded().values(), Decimal(0)) == sum(quantities[:fills], Decimal(0))
    intents = [record.key for record in records if record.kind == "intent"]
    assert list(found.orders) == intents
    assert all(o.state not in (S.INTENT, S.SENT) for o in found.orders.values())


@given(st.integers(0, 33), st.sampled_from(["flip", "remove", "tail"]))
def test_a_damaged_journal_is_refused(at: int, way: str) -> None:
    storage = stored(*life(2))
    records, head = storage.disk.records, storage.head()
    at = min(at, len(records) - 1)
    if way == "flip":
        records[at] = replace(records[at], now_ns=records[at].now_ns + 1)
    elif way == "remove" and at < len(records) - 1:
        del records[at]
    else:
        records[:] = records[: at or 1]

    class Counting(MemoryStorage):
        def head(self) -> Head:
            return head

    with pytest.raises(JournalDamaged, match="JOURNAL_DAMAGED"):
        recover(Counting(storage.disk))


@pytest.mark.parametrize("running", [True, False])
def test_a_look_from_outside_agrees_with_recovery(running: bool) -> None:
    storage = stored(opening(), sent(1), heard(2, S.OPEN, 1), sent(3), filled(4, 3, "400"), sent(5))
    looked, found = summary(storage, running=running), recover(storage)
    last = order(5).client_id
    assert (looked.head, looked.last_seq, looked.ledger) == (found.head, found.last_seq, found.ledger)
    assert {id: o.state for id, o in looked.orders.items() if id != last} == {
        id: o.state for id, o in found.orders.items() if id != last
    }
    assert looked.orders[last].state is (S.INTENT if running else S.UNKNOWN)


def test_the_book_written_first_is_the_book_read() -> None:
    found = recovered(opening())
    assert isinstance(found.opening, Book)
    assert found.opening.cash == {("deribit", "", "BTC"): Fraction(10)}
