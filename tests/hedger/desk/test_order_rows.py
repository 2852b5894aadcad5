"""What stands at the price of an order: off the journal's books, never more than they show, never a guess."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from hedger.core.decision import Decision
from hedger.core.events import Verb
from hedger.core.order_life import OrderRecord
from hedger.dashboard.feed import Feed
from hedger.dashboard.frames import Painter, Want
from hedger.dashboard.panel_table import Panel
from hedger.dashboard.ports import Ports
from hedger.desk.follow import Follower, no_tape
from hedger.desk.journal_end import follower_at_end
from hedger.desk.lineage import lineages
from hedger.desk.order_rows import order_rows
from hedger.journal.entries import Intent, LatchChange, intent_entry, latch_entry
from hedger.journal.journal import open_to_read
from hedger.settings import Settings
from pricing.contracts import Side
from pricing.market import Depth, Market
from tests.hedger.command_line import hedger
from tests.hedger.dashboard.made import Recorded, rows
from tests.hedger.rig import desk, thinned
from venues.orders import OrderState, OrderUpdate, TimeInForce, client_order_id

PERP = "BTC-PERPETUAL"
#: Sizes that the tests put on both sides of the perpetual's book, the touch first, half a dollar apart.
SIZES = (30_000.0, 70_000.0, 110_000.0)


@pytest.fixture
def begun(tmp_path: Path) -> Recorded:
    """An armed engine whose first order is to rest at the touch of a book of three levels; no answer yet."""
    rig = Recorded(rows(), tmp_path / "j", passive_seconds=600.0)
    rig.answer(rig.mark())
    rig.command(Verb.ARM)
    (order,) = marked(rig).orders
    assert order.post_only and order.time_in_force is TimeInForce.GTC and order.side is Side.SELL
    return rig


@pytest.fixture
def rig(begun: Recorded) -> Recorded:
    """The same, and its venue has taken the order."""
    (order,) = begun.submits()
    begun.truth.take(order)
    begun.send(OrderUpdate(order.client_id, OrderState.OPEN, "v1", Decimal(0)))
    return begun


def marked(rig: Recorded, sizes: tuple[float, ...] = SIZES) -> Decision:
    rig.now_ns += 10**8
    row = rig.market.universe.positions["simulated", PERP]
    marks = thinned(rig.market.marks(), rig.state.market, row, sizes, 0.5)
    return rig.send(replace(marks, now_ns=rig.now_ns))


def told(rig: Recorded, *, depth: bool) -> tuple[Follower, OrderRecord]:
    follower, storage = Follower(desk(), depth=depth), open_to_read(rig.path)
    for record in storage.records():
        follower.take(record)
    storage.close()
    (order,) = rig.state.orders.values()
    return follower, order


def size_of(follower: Follower, order: OrderRecord, at_ns: int) -> float | None:
    (row,) = order_rows([order], follower, at_ns)
    found: float | None = row["level_size"]
    return found


@pytest.mark.parametrize("depth", [True, False])
def test_each_level_and_none(rig: Recorded, depth: bool) -> None:
    follower, order = told(rig, depth=depth)
    at_ns, touch = rig.now_ns, order.order.price
    for ticks, size in enumerate(SIZES):
        at = replace(order, order=replace(order.order, price=touch + ticks * Decimal("0.5")))
        assert size_of(follower, at, at_ns) == size
    for price in (touch - 5, touch + 5):  # before the touch nobody stands; behind the last level nobody knows
        assert size_of(follower, replace(order, order=replace(order.order, price=price)), at_ns) is None
    assert size_of(follower, replace(order, shown=(Decimal(1), touch + 1)), at_ns) == SIZES[2]
    assert size_of(follower, replace(order, order=replace(order.order, side=Side.BUY)), at_ns) is None


def test_where_it_is_not_known_it_is_null(rig: Recorded) -> None:
    follower, order = told(rig, depth=False)
    taker = replace(order, order=replace(order.order, time_in_force=TimeInForce.IOC, post_only=False))
    of_combo = replace(order, order=replace(order.order, combo="c", ratio=1))
    over = replace(order, state=OrderState.CANCELLED)
    assert [size_of(follower, x, rig.now_ns) for x in (taker, of_combo, over)] == [None] * 3
    age_ns = round(follower.settings.age_s_max * 1e9)
    assert size_of(follower, order, rig.now_ns + age_ns // 2) == SIZES[0]
    assert size_of(follower, order, rig.now_ns + 2 * age_ns) is None
    assert follower.market is not None
    follower.market = follower.market.hearing("simulated", False, rig.now_ns)
    assert size_of(follower, order, rig.now_ns) is None
    (row,) = order_rows([order], None, rig.now_ns)
    assert row["level_size"] is None
    assert size_of(Follower(Settings()), order, rig.now_ns) is None


def test_books_that_are_read_late_are_those_that_were_read_at_once(rig: Recorded) -> None:
    """Batches of a part of the market, an old one, one without books: whatever was told last of each."""
    marked(rig, (1.0, 2.0))
    marks, row = rig.market.step(1.0), rig.market.universe.positions["simulated", PERP]
    rig.now_ns += 10**9
    some = np.flatnonzero(marks.rows % 2 == 0)
    names = [name for name in marks.__dataclass_fields__ if name not in ("seq", "now_ns", "depth")]
    few = {name: getattr(marks, name)[some] for name in names}
    kept = {key: sides for key, sides in marks.depth.items() if key % 4 == 0 and key != row}
    rig.send(replace(marks, now_ns=rig.now_ns, depth=kept, **few))
    late = marks.venue_ns - 10**10
    old = {
        key: (Depth(b.price + 1, b.size), Depth(a.price + 1, a.size)) for key, (b, a) in marks.depth.items()
    }
    rig.send(replace(marks, now_ns=rig.now_ns, venue_ns=late, depth=old))
    at_once, late_read = (told(rig, depth=depth)[0] for depth in (True, False))
    whole, read = at_once.with_books(), late_read.with_books()
    assert whole is not None and read is not None and whole.depth
    assert late_read.market is not None and not late_read.market.depth
    assert same_books(whole, read)
    part = late_read.with_books([row])
    assert part is not None and np.array_equal(part.depth[row][1].size, whole.depth[row][1].size)


def same_books(one: Market, other: Market) -> bool:
    return one.depth.keys() == other.depth.keys() and all(
        np.array_equal(a.price, b.price) and np.array_equal(a.size, b.size)
        for key in one.depth
        for a, b in zip(one.depth[key], other.depth[key], strict=True)
    )


def test_panels_and_verbs_show_it(rig: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    path = rig.path
    feed = Feed(path, desk(), Ports(lambda: rig.now_ns))
    while not feed.caught_up or not feed.number:
        feed.step()
    painter = Painter(feed, control=False)
    for panel in (2, 6):
        (line,) = (
            line
            for section in painter.frame(Want(Panel(panel))).sheet
            for line in section.lines
            if line.key.startswith("order ")
        )
        assert "30k" in line.cells
    feed.close()
    rig.journal.close()
    (row,) = hedger(capsys, "orders", "--json", "--journal", path).json["orders"]
    (working,) = hedger(capsys, "status", "--hedge", "--json", "--journal", path).json["hedge"]["working"]
    assert row["level_size"] == working["level_size"] == SIZES[0]
    assert ", at most 30000 ahead" in hedger(capsys, "orders", "--journal", path).out
    assert ", at most 30000 ahead" in hedger(capsys, "status", "--hedge", "--journal", path).out


def test_an_order_without_an_answer_is_unknown_once_its_engine_is_gone(
    begun: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    begun.journal.close()
    feed = Feed(begun.path, desk(), Ports(lambda: begun.now_ns))
    feed.step()
    painter = Painter(feed, control=False)
    (row,) = painter.hedging()["working"]
    assert (row["state"], row["code"], row["level_size"]) == ("unknown", "restarted", SIZES[0])
    assert painter.frame(Want(Panel.ORDERS)).facts.unknown == 1
    feed.close()
    (told,) = hedger(capsys, "orders", "--json", "--journal", begun.path).json["orders"]
    assert row.pop("age_s") >= 0.0 and row == told


def test_the_lineage_of_one_is_not_that_of_another_whose_id_begins_alike(rig: Recorded) -> None:
    (client_id,) = rig.state.orders
    rig.send(OrderUpdate(f"{client_id}0", OrderState.REJECTED, code="not ours"))
    rig.journal.close()
    storage = open_to_read(rig.path)
    found = lineages(storage, [client_id, f"{client_id}0"], rig.state.orders)
    storage.close()
    kinds = [r["kind"] for r in found[client_id]]
    assert kinds[:3] == ["decision", "intent", "acknowledgement"]
    assert not any("not ours" in r["text"] for r in found[client_id])
    (other,) = found[f"{client_id}0"]
    assert other["text"] == "OrderUpdate state rejected, code not ours"


def test_the_lineage_of_the_last_part_of_a_hedge_has_the_decision_of_its_first(
    begun: Recorded,
) -> None:
    """However much was written between them; and an order whose decision is not on record has none."""
    (first,) = begun.submits()
    late = replace(first, client_id=client_order_id("test", first.seq, 0, 1), part=1)
    lost = replace(first, client_id=client_order_id("test", first.seq + 1, 0, 0), seq=first.seq + 1)
    seq = begun.state.seq + 1
    for i in range(200):
        begun.journal.append(latch_entry(seq + i, begun.now_ns, LatchChange(i % 2 == 0, "ann", "trial")))
    for order in (late, lost):
        begun.journal.append(intent_entry(seq + 200, begun.now_ns, Intent(order, first.seq)))
    begun.journal.close()
    storage = open_to_read(begun.path)
    known = {order.client_id: OrderRecord(order, first.seq, 0, begun.now_ns) for order in (late, lost)}
    found = lineages(storage, known, known)
    storage.close()
    assert [(r["kind"], r["seq"]) for r in found[late.client_id]] == [
        ("decision", first.seq),
        ("intent", seq + 200),
    ]
    assert [r["kind"] for r in found[lost.client_id]] == ["intent"]


def test_the_end_of_a_journal_tells_the_market(rig: Recorded) -> None:
    """Read without what lies before it: quotes that still count are as if all had been read."""
    for _ in range(3):
        rig.now_ns += 400 * 10**9
        rig.market.step(400.0)
        marked(rig)
    rig.journal.close()
    storage = open_to_read(rig.path)
    whole, end = Follower(desk()), follower_at_end(storage, no_tape)
    for record in storage.records():
        whole.take(record)
    storage.close()
    assert whole.market is not None and end.market is not None
    assert np.array_equal(whole.market.venue_ns, end.market.venue_ns)
    assert np.array_equal(whole.market.ask, end.market.ask, equal_nan=True)
    books = end.with_books()
    assert books is not None and same_books(whole.market, books)
    assert end.marked_ns == whole.marked_ns and end.settings.age_s_max == 600.0
