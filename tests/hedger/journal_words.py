"""Words for the journal's tests: drawn ones for the codec, and a small engine's life told turn by turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hedger.core.events import Answer, Command, Event, Failed, Tick, Verb
from hedger.journal.entries import (
    Configuration,
    Entry,
    Intent,
    JournalName,
    ModeChange,
    book_entry,
    configuration_entry,
    decision_entry,
    event_entry,
    fill_entry,
    intent_entry,
    mode_entry,
)
from pricing.contracts import (
    ComboRule,
    Fees,
    Future,
    Listing,
    Option,
    Perpetual,
    Right,
    Side,
    Spot,
    TickSteps,
)
from pricing.market import Depth, Marks
from risk.book import Book, Fill, Position
from tests.builders import NOW_NS, listing, perpetual
from venues.orders import (
    AccountReport,
    Link,
    Order,
    OrderReport,
    OrderState,
    OrderUpdate,
    TimeInForce,
    TradeReport,
    VenueStatus,
    client_order_id,
)

NAME = JournalName("paper", "k3x9")

# ------------------------------------------------------------------------------------------------------ drawn

TEXT = st.text(max_size=12)  # any character at all: names come from outside
WHOLE = st.integers(-(2**63), 2**63 - 1)
STAMP = st.integers(0, 2**62)
POSITIVE = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(1, 10**30),
    st.integers(-20, 20),
)
DECIMAL = st.decimals(allow_nan=False, allow_infinity=False)
FLOAT = st.floats()  # every one: nan, infinities, -0.0, subnormal
CONTRACT = st.one_of(
    st.builds(Spot, TEXT, TEXT, st.booleans()),
    st.builds(Perpetual, TEXT, TEXT, st.booleans()),
    st.builds(Future, TEXT, TEXT, st.booleans(), STAMP),
    st.builds(Option, TEXT, TEXT, st.booleans(), STAMP, st.floats(1e-300, 1e300), st.sampled_from(Right)),
)
TICKS = st.lists(st.tuples(POSITIVE, POSITIVE), max_size=2, unique_by=lambda pair: pair[0]).map(
    lambda pairs: TickSteps(
        (Decimal(0), *(above for above, _ in sorted(pairs))), (Decimal("0.5"), *(t for _, t in sorted(pairs)))
    )
)
FEES = st.builds(Fees, DECIMAL, DECIMAL, st.none() | DECIMAL, st.sampled_from(ComboRule))
LISTING = st.builds(Listing, TEXT, TEXT, CONTRACT, TICKS, POSITIVE, POSITIVE, FEES, POSITIVE)
SIDE = st.sampled_from(Side)
STATE = st.sampled_from(OrderState)
ORDER = st.builds(
    Order,
    TEXT,
    LISTING,
    SIDE,
    POSITIVE,
    POSITIVE,
    st.just(TimeInForce.GTC),
    TEXT,
    st.booleans(),
    st.booleans(),
    WHOLE,
    WHOLE,
    WHOLE,
)
FILL = st.builds(Fill, LISTING, SIDE, POSITIVE, POSITIVE, DECIMAL, TEXT, TEXT, TEXT, WHOLE)
UPDATE = st.builds(OrderUpdate, TEXT, STATE, TEXT, st.none() | DECIMAL, TEXT, TEXT, WHOLE)
TRADE = st.builds(TradeReport, TEXT, FILL, st.booleans())
ORDER_REPORT = st.builds(OrderReport, TEXT, TEXT, TEXT, SIDE, DECIMAL, DECIMAL, DECIMAL, STATE)
AMOUNTS = st.dictionaries(TEXT, DECIMAL, max_size=3)
ACCOUNT = st.builds(
    AccountReport,
    TEXT,
    TEXT,
    WHOLE,
    st.lists(ORDER_REPORT, max_size=2).map(tuple),
    AMOUNTS,
    AMOUNTS,
    st.lists(TRADE, max_size=2).map(tuple),
    WHOLE,
)
STATUS = st.builds(
    VenueStatus, TEXT, st.sampled_from(Link), st.lists(TEXT, max_size=2).map(tuple), TEXT, WHOLE
)
COMMAND = st.builds(Command, TEXT, st.sampled_from(Verb), TEXT, TEXT, TEXT)
ANSWER = st.builds(Answer, TEXT, TEXT, st.none() | ORDER_REPORT)
FAILED = st.builds(Failed, TEXT, TEXT, TEXT, TEXT, TEXT)


@st.composite
def marks(draw: st.DrawFn) -> Marks:
    """A batch of any numbers whatever, payload bits of NaNs too."""
    k = draw(st.integers(0, 4))

    def column(kind: str = "f8") -> Any:
        raw = draw(npst.arrays(np.dtype("u8"), k))
        return raw.view(np.float64) if kind == "f8" else raw.view(np.int64)

    def side() -> Depth:
        return Depth(column(), column())

    names = ("bid", "bid_size", "ask", "ask_size", "mark", "mark_iv", "forward", "index", "funding_rate")
    return Marks(
        seq=draw(WHOLE),
        now_ns=draw(WHOLE),
        rows=column("i8"),
        venue_ns=column("i8"),
        forward_kind=draw(npst.arrays(np.dtype("i1"), k)),
        depth={row: (side(), side()) for row in draw(st.sets(st.integers(0, 99), max_size=2))},
        **{name: column() for name in names},
    )


HAPPENING = st.one_of(marks(), TRADE, UPDATE, STATUS, ACCOUNT, ANSWER, FAILED, st.just(Tick()), COMMAND)
EVENT = st.builds(Event, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), WHOLE, HAPPENING)
POSITION = st.builds(Position, LISTING, TEXT, DECIMAL, st.fractions().map(Fraction), st.none() | DECIMAL)
BOOK = st.builds(
    Book,
    st.lists(POSITION, max_size=3).map(lambda positions: {p.key: p for p in positions}),
    st.dictionaries(st.tuples(TEXT, TEXT, TEXT), st.fractions(), max_size=3),
)

# ------------------------------------------------------------------------------------------------------- told

PERP = listing(perpetual(), "BTC-PERPETUAL", lot="10", ticks="0:0.5")


def order(seq: int, quantity: str = "1000") -> Order:
    """A buy of the perpetual that decision `seq` sends."""
    id = client_order_id(NAME.engine, seq, 0, 0)
    return Order(id, PERP, Side.BUY, Decimal(quantity), Decimal("60000.5"), TimeInForce.IOC, seq=seq)


def trade(seq: int, trade_id: str, quantity: str) -> TradeReport:
    """An execution of the order of decision `seq`."""
    fill = Fill(
        PERP, Side.BUY, Decimal(quantity), Decimal("60000"), Decimal("0.000001"), "BTC", trade_id=trade_id
    )
    return TradeReport(order(seq).client_id, fill)


def event(seq: int, what: Any) -> Event:
    """Something that happens a tenth of a second after the event before it."""
    return Event(seq, NOW_NS + seq * 100_000_000, seq * 100_000_000, what)


def opening() -> tuple[Entry, ...]:
    """What an engine writes when it starts for the first time: 10 coins, and 200 USD short."""
    position = Position(PERP, "", Decimal(-200), Fraction(-200, 60000))
    book = Book.of([position], {("deribit", "", "BTC"): Decimal(10)})
    return (
        configuration_entry(-1, NOW_NS, Configuration("0.1.0", "ab" * 32, user="ann", reason="first start")),
        book_entry(-1, NOW_NS, book),
    )


def turn(
    seq: int,
    what: Any,
    *more: Entry,
    quiet: bool = True,
    mode: str = "armed",
    actions: Sequence[Mapping[str, str]] = (),
) -> tuple[Entry, ...]:
    """An event, its decision, and what the decision led to."""
    taken = event(seq, what)
    document = {"seq": seq, "mode": mode, "actions": [dict(action) for action in actions]}
    decided = decision_entry(seq, taken.now_ns, f"{seq:064x}", document, quiet=quiet)
    return (event_entry(taken), decided, *more)


def life(rounds: int) -> Iterator[tuple[Entry, ...]]:
    """An engine's turns: started, armed, then rounds of look, order, acknowledgement, two fills, look."""
    yield opening()
    armed = mode_entry(0, NOW_NS, ModeChange("armed", False, "ann", "go"))
    yield turn(0, Command("c0", Verb.ARM, "ann", "go"), armed, quiet=False)
    for i in range(rounds):
        seq = 1 + 6 * i
        yield turn(seq, Tick())
        sent = order(seq + 1)
        intent = intent_entry(seq + 1, event(seq + 1, Tick()).now_ns, Intent(sent, execution=seq + 1))
        yield turn(seq + 1, Tick(), intent, quiet=False)
        yield turn(seq + 2, OrderUpdate(sent.client_id, OrderState.OPEN, "v1"))
        for n, quantity in ((3, "400"), (4, "600")):
            report = trade(seq + 1, f"t{seq + n}", quantity)
            yield turn(seq + n, report, fill_entry(seq + n, event(seq + n, Tick()).now_ns, report))
        done = OrderUpdate(sent.client_id, OrderState.FILLED, "v1", Decimal(1000))
        yield turn(seq + 5, done)


def same_marks(a: Marks, b: Marks) -> bool:
    """Bit for bit."""
    arrays = [name for name in Marks.__slots__ if isinstance(getattr(a, name), np.ndarray)]
    equal = all(
        getattr(a, n).dtype == getattr(b, n).dtype and getattr(a, n).tobytes() == getattr(b, n).tobytes()
        for n in arrays
    )
    sides = [(a.depth[row][i], b.depth[row][i]) for row in a.depth if row in b.depth for i in (0, 1)]
    return (
        equal
        and (a.seq, a.now_ns, a.depth.keys()) == (b.seq, b.now_ns, b.depth.keys())
        and all(
            x.price.tobytes() == y.price.tobytes() and x.size.tobytes() == y.size.tobytes() for x, y in sides
        )
    )


def same_event(a: Event, b: Event) -> bool:
    """Equal, marks bit for bit."""
    if isinstance(a.what, Marks) and isinstance(b.what, Marks):
        return same_marks(a.what, b.what) and replace(a, what=Tick()) == replace(b, what=Tick())
    return a == b
