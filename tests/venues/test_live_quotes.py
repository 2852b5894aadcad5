"""Books kept from changes, and quotes handed out as marks."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.market import Market
from pricing.universe import Universe
from tests import builders
from venues.book_chain import Broken, ChainedBook
from venues.live_quotes import LiveQuotes
from venues.part_ages import FieldAges
from venues.wire.quotes import BookChange, Levels, Quote

SECOND = 10**9
NAMES = ("BTC-PERPETUAL", "ETH-PERPETUAL")
UNIVERSE = Universe.of(
    [
        builders.listing(builders.option(60_000.0, "C", 1.0), "ELSEWHERE", venue="other"),
        builders.listing(builders.perpetual(), NAMES[0]),
        builders.listing(builders.perpetual(), NAMES[1]),
    ]
)


def change(number: int, previous: int | None, bids: Levels, asks: Levels, at: int = 0) -> BookChange:
    return BookChange(NAMES[0], at or number, previous is None, number, previous, bids, asks)


def test_a_snapshot_replaces_the_book_and_is_not_laid_over_it() -> None:
    book = ChainedBook()
    book.apply(change(1, None, [(100.0, 1.0), (99.0, 1.0)], [(101.0, 1.0)]))
    assert book.apply(change(50, None, [(95.0, 2.0)], [(96.0, 2.0)])) is None
    assert book.ladders(10) == (([95.0], [2.0]), ([96.0], [2.0]))


def test_a_change_that_follows_another_message_breaks_the_book_until_a_snapshot() -> None:
    book = ChainedBook()
    assert book.apply(change(2, 1, [(100.0, 1.0)], [])) is Broken.NO_SNAPSHOT
    book.apply(change(1, None, [(100.0, 1.0)], [(101.0, 1.0)]))
    assert book.apply(change(3, 2, [(100.5, 1.0)], [])) is Broken.GAP
    assert book.ladders(5) == (([], []), ([], []))
    assert book.apply(change(4, 3, [(100.5, 1.0)], [])) is Broken.GAP  # in order, and still not known
    assert book.apply(change(9, None, [(100.0, 1.0)], [(101.0, 1.0)])) is None


@pytest.mark.parametrize("bid", [101.0, 102.0])
def test_a_crossed_or_locked_book_is_not_known(bid: float) -> None:
    book = ChainedBook()
    book.apply(change(1, None, [(100.0, 1.0)], [(101.0, 1.0)]))
    assert book.apply(change(2, 1, [(bid, 1.0)], [])) is Broken.CROSSED


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.integers(0, 5)), max_size=60), st.data())
def test_a_book_is_its_changes_or_it_is_not_shown(
    changes: list[tuple[bool, int, int]], data: st.DataObject
) -> None:
    """Bids below 50, asks above: against a dictionary of levels; one message may be lost."""
    lost = data.draw(st.integers(0, 2 * len(changes)))
    book, sides = ChainedBook(), ({}, {})  # type: ignore[var-annotated]
    book.apply(change(1, None, [], []))
    for i, (is_bid, price, size) in enumerate(changes):
        at = float(50 - price if is_bid else 50 + price)
        sides[0 if is_bid else 1][at] = float(size)
        level = [(at, float(size))]
        if i != lost:
            book.apply(change(i + 2, i + 1, level if is_bid else [], [] if is_bid else level))
    if lost < len(changes) - 1:
        assert book.broken is Broken.GAP
    elif lost >= len(changes):
        bids, asks = book.ladders(100)
        wanted = [
            sorted(((p, s) for p, s in side.items() if s), reverse=not i) for i, side in enumerate(sides)
        ]
        assert [list(zip(*bids, strict=True)), list(zip(*asks, strict=True))] == wanted


def test_rows_are_those_of_the_universe_and_only_what_is_new_is_handed_out() -> None:
    quotes = LiveQuotes(UNIVERSE, "deribit")
    assert not quotes.hear(Quote("ELSEWHERE", 5)) and not quotes.hear(Quote("NEVER-HEARD", 5))
    assert quotes.hear(Quote(NAMES[1], 5, bid=1.0, bid_size=2.0)) and quotes.waiting
    marks = quotes.take(7, 99)
    assert marks is not None and marks.rows.tolist() == [2] and (marks.seq, marks.now_ns) == (7, 99)
    assert marks.bid.tolist() == [1.0] and math.isnan(marks.ask[0]) and not marks.depth
    assert quotes.take(8, 99) is None


def test_an_older_quote_is_late_and_of_equal_stamps_the_last_counts() -> None:
    quotes = LiveQuotes(UNIVERSE, "deribit")
    assert quotes.hear(Quote(NAMES[0], 5, mark=1.0)) and quotes.hear(Quote(NAMES[0], 5, mark=2.0))
    assert not quotes.hear(Quote(NAMES[0], 4, mark=3.0))
    marks = quotes.take(0, 0)
    assert marks is not None and marks.mark.tolist() == [2.0] and quotes.counts.late == 1


def test_parts_of_a_quote_do_not_wipe_each_other_and_their_streams_are_not_late_to_each_other() -> None:
    quotes, mark, vol = LiveQuotes(UNIVERSE, "deribit"), frozenset({"mark"}), frozenset({"mark_iv"})
    quotes.hear(Quote(NAMES[0], 9, mark=1.0, told=mark))
    assert quotes.hear(Quote(NAMES[0], 7, mark_iv=0.5, told=vol))
    marks = quotes.take(0, 0)
    assert marks is not None and (marks.mark[0], marks.mark_iv[0]) == (1.0, 0.5)


def test_the_newer_of_quote_and_book_gives_the_touch() -> None:
    quotes = LiveQuotes(UNIVERSE, "deribit")
    quotes.change(change(1, None, [(100.0, 1.0), (99.0, 4.0)], [(101.0, 1.0), (102.0, 4.0)], at=10))
    quotes.hear(Quote(NAMES[0], 20, bid=99.5, bid_size=2.0, ask=101.0, ask_size=3.0))
    marks = quotes.take(0, 0)
    assert marks is not None
    bids, asks = marks.depth[1]
    assert bids.price.tolist() == [99.5, 99.0] and asks.price.tolist() == [101.0, 102.0]
    assert asks.size.tolist() == [3.0, 4.0]
    quotes.change(change(2, 1, [(99.8, 1.0), (100.0, 0.0)], [], at=30))
    later = quotes.take(1, 0)
    assert later is not None and (later.bid[0], later.ask[0]) == (99.8, 101.0)
    assert later.venue_ns.tolist() == [20]  # the book goes on; the quote's own stream may have stopped


def test_a_closed_book_has_no_touch_and_a_lost_one_no_depth() -> None:
    quotes = LiveQuotes(UNIVERSE, "deribit")
    whole = Quote(NAMES[0], 1, bid=100.0, bid_size=1.0, ask=101.0, ask_size=1.0)
    quotes.change(change(1, None, [(100.0, 1.0)], [(101.0, 1.0)]))
    quotes.hear(whole._replace(tradable=False))
    marks = quotes.take(0, 0)
    assert marks is not None and math.isnan(marks.bid[0]) and math.isnan(marks.ask[0]) and not marks.depth
    quotes.hear(whole)
    quotes.lose_books()
    lost = quotes.take(1, 0)
    assert lost is not None and not lost.depth and lost.bid[0] == 100.0


def test_a_listing_without_quotes_of_its_touch_is_as_old_as_its_book() -> None:
    quotes = LiveQuotes(UNIVERSE, "deribit")
    quotes.change(change(1, None, [(100.0, 1.0)], [(101.0, 1.0)], at=70))
    quotes.hear(Quote(NAMES[0], 0, mark=100.5, told=frozenset({"mark"})))
    marks = quotes.take(0, 0)
    assert marks is not None and marks.venue_ns.tolist() == [70] and marks.bid.tolist() == [100.0]


def test_gaps_are_those_books_that_were_known_and_wait_for_a_snapshot() -> None:
    quotes, told = LiveQuotes(UNIVERSE, "deribit"), []
    for item in (
        change(2, 1, [(99.0, 1.0)], []),  # it has not begun yet
        change(5, None, [(99.0, 1.0)], [(101.0, 1.0)]),
        change(8, 7, [(98.0, 1.0)], []),
        change(9, 8, [(98.0, 1.0)], []),
        change(10, None, [(99.0, 1.0)], [(101.0, 1.0)]),
    ):
        quotes.change(item)
        told.append(quotes.gaps)
    assert told == [(), (), (NAMES[0],), (NAMES[0],), ()]
    quotes.lose_book(NAMES[0])
    assert quotes.gaps == (NAMES[0],)


def test_a_listing_of_which_a_book_alone_is_told_has_marks() -> None:
    quotes = LiveQuotes(UNIVERSE, "deribit")
    quotes.change(change(5, None, [(99.0, 1.0)], [(101.0, 2.0)], at=77))
    marks = quotes.take(0, 100)
    assert marks is not None and (marks.bid[0], marks.ask[0], marks.venue_ns[0]) == (99.0, 101.0, 77)
    assert math.isnan(marks.mark[0])


def test_another_universe_takes_over_what_is_still_followed_and_forgets_the_rest() -> None:
    before = LiveQuotes(UNIVERSE, "deribit")
    before.change(change(5, None, [(99.0, 1.0)], [(101.0, 1.0)]))
    before.hear(Quote(NAMES[0], 3, bid=98.0, ask=102.0, mark=100.0))
    before.hear(Quote(NAMES[1], 4, bid=8.0, ask=9.0))
    narrower = Universe.of([x for x in UNIVERSE.listings if x.symbol != NAMES[1]])
    after = LiveQuotes(narrower, "deribit")
    after.take_over(before, NAMES)
    marks = after.take(0, 10)
    assert marks is not None and len(marks.rows) == 1
    assert (marks.mark[0], marks.bid[0]) == (100.0, 99.0)
    assert after.change(change(6, 5, [(99.5, 1.0)], [])) is None  # the chain goes on


MANY = tuple(f"P{n}" for n in range(5))
_HEARD = st.tuples(
    st.sampled_from(["quote", "book", "snapshot", "lose", "watch", "take"]),
    st.sampled_from((*MANY, "NEVER-LISTED")),
    st.integers(1, 30),
    st.permutations(MANY).flatmap(lambda names: st.integers(1, 5).map(lambda n: tuple(names[:n]))),
)


def universe_of(names: tuple[str, ...]) -> Universe:
    return Universe.of([builders.listing(builders.perpetual(), name) for name in names])


@given(st.lists(_HEARD, max_size=40))
def test_batches_fit_their_universe_whatever_is_listed_and_followed_meanwhile(
    heard: list[tuple[str, str, int, tuple[str, ...]]],
) -> None:
    """Listings come, go and change their places; quotes and books of the old ones still arrive."""
    quotes, market = LiveQuotes(universe_of(MANY[:2]), "deribit"), Market.empty(universe_of(MANY[:2]))
    told: dict[str, float] = {}
    for number, (what, symbol, price, names) in enumerate([*heard, ("take", "", 1, MANY)], 1):
        if what == "quote":
            if quotes.hear(Quote(symbol, number, float(price), 1.0, price + 1.0, 1.0, mark=float(price))):
                told[symbol] = float(price)
        elif what in ("book", "snapshot"):
            levels: Levels = [(float(price), 1.0)]
            previous = None if what == "snapshot" else number - 1
            quotes.change(BookChange(symbol, number, what == "snapshot", number, previous, levels, []))
        elif what == "lose":
            quotes.lose_book(symbol)
        elif what == "watch":
            before, universe = quotes, universe_of(names)
            quotes, market = LiveQuotes(universe, "deribit"), Market.empty(universe)
            quotes.take_over(before, names)
            told = {name: at for name, at in told.items() if name in names and name in before._rows}
        else:
            marks = quotes.take(number, number)
            if marks is None:
                continue
            assert all(len(x) == len(marks.rows) for x in (marks.bid, marks.ask, marks.mark, marks.index))
            assert set(marks.depth) <= set(marks.rows.tolist())
            market = market.apply(marks)
            for row, listing in enumerate(market.universe.listings):
                if row in marks.rows and listing.symbol in told:
                    assert market.mark[row] == told[listing.symbol]


# ----------------------------------------------------------------------------------------------- age of parts

AGES = FieldAges(mark_s=10.0, vol_s=20.0, forward_s=20.0, index_s=30.0, funding_s=60.0)
MARK, VOL = frozenset({"mark"}), frozenset({"mark_iv"})


class Ours:
    """Our clock, in seconds."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> int:
        return round(self.s * SECOND)


def listening() -> tuple[LiveQuotes, Ours]:
    ours = Ours()
    return LiveQuotes(UNIVERSE, "deribit", ages=AGES, now_ns=ours), ours


def at(seconds: float) -> int:
    return round(seconds * SECOND)


def book_at(seconds: float, number: int) -> BookChange:
    return change(number, None, [(100.0, 1.0)], [(101.0, 1.0)], at=at(seconds))


def taken(quotes: LiveQuotes, ours: Ours) -> tuple[float, float, float, float, float]:
    """Mark, vol, index, bid, and age of the row in seconds."""
    marks = quotes.take(0, ours())
    assert marks is not None
    age_s = (ours() - int(marks.venue_ns[0])) / SECOND
    mark, vol, index, bid = (float(getattr(marks, n)[0]) for n in ("mark", "mark_iv", "index", "bid"))
    return mark, vol, index, bid, age_s


def test_a_part_grows_old_by_the_venues_stamp_though_book_and_other_parts_go_on() -> None:
    quotes, ours = listening()
    quotes.hear(Quote(NAMES[0], at(999.0), mark=100.5, told=MARK))
    for second in range(12):
        ours.s = 1000.0 + second
        quotes.hear(Quote(NAMES[0], at(ours.s), mark_iv=0.5, told=VOL))
        quotes.change(book_at(ours.s, second + 1))
        mark, vol, _, bid, age_s = taken(quotes, ours)
        assert (vol, bid, age_s) == (0.5, 100.0, 0.0)
        assert (mark == 100.5) is (second <= 9)  # 10 s after its stamp, not after its receipt
    assert quotes.old == {NAMES[0]: MARK}
    quotes.hear(Quote(NAMES[0], at(ours.s), mark=99.0, told=MARK))
    assert taken(quotes, ours)[0] == 99.0 and quotes.old == {}


def test_a_part_and_a_row_grow_old_by_their_receipt_where_the_venues_clock_is_ahead() -> None:
    quotes, ours = listening()
    quotes.hear(
        Quote(NAMES[0], at(1050.0), bid=100.0, bid_size=1.0, mark=100.5)
    )  # as wrong as a clock can be
    assert taken(quotes, ours)[4] == 0.0
    ours.s = 1011.0
    assert quotes.grow_old(ours())
    mark, _, _, _, age_s = taken(quotes, ours)
    assert math.isnan(mark) and age_s == 11.0


def test_time_alone_hands_out_what_has_grown_old_and_once() -> None:
    quotes, ours = listening()
    quotes.hear(Quote(NAMES[0], at(1000.0), mark=100.5, told=MARK))
    quotes.hear(Quote(NAMES[1], at(1000.0), mark=7.0, mark_iv=0.5))
    quotes.hear_index("BTC", at(1000.0), 100.0)
    taken(quotes, ours)
    told = []
    for second in range(0, 70):
        ours.s = 1000.0 + second
        if quotes.grow_old(ours()):
            marks = quotes.take(0, ours())
            assert marks is not None
            told.append((second, marks.rows.tolist()))
    # the marks, then the vol, then the index by itself, funding that a whole quote told to be none; both rows
    # of the index's underlying are told of it
    assert [second for second, _ in told] == [11, 21, 31, 61]
    assert quotes.old_indexes == {"BTC"}


def test_an_index_by_itself_is_not_known_when_it_is_old_nor_taken_from_the_future() -> None:
    quotes, ours = listening()
    quotes.hear_index("BTC", at(1000.0), 100.0)
    quotes.change(book_at(1000.0, 1))
    assert taken(quotes, ours)[2] == 100.0
    quotes.hear_index("BTC", at(1000.0 + 86_400.0), 90.0)
    ours.s = 1030.0
    quotes.change(book_at(1030.0, 2))
    assert taken(quotes, ours)[2] == 100.0
    ours.s = 1031.0
    quotes.change(book_at(1031.0, 3))
    assert math.isnan(taken(quotes, ours)[2])
    quotes.hear_index("BTC", at(1031.0), 101.0)
    quotes.change(book_at(1031.0, 4))
    assert taken(quotes, ours)[2] == 101.0 and quotes.counts.ahead == 1


@pytest.mark.parametrize("told", [None, MARK])
def test_a_stamp_from_the_future_is_neither_taken_nor_remembered(told: frozenset[str] | None) -> None:
    quotes, ours = listening()
    assert quotes.hear(Quote(NAMES[0], at(1000.0), mark=1.0, told=told))
    assert not quotes.hear(Quote(NAMES[0], at(1000.0 + 86_400.0), mark=2.0, told=told))
    assert quotes.counts.ahead == 1
    ours.s = 1001.0
    assert quotes.hear(Quote(NAMES[0], at(1001.0), mark=3.0, told=told)) and quotes.counts.late == 0
    assert taken(quotes, ours)[0] == 3.0


@pytest.mark.parametrize("told", [None, MARK])
def test_a_clock_that_is_set_right_makes_nothing_late(told: frozenset[str] | None) -> None:
    """It was 30 s ahead; while it was, an older message was as late as ever, and it is again afterwards."""
    quotes, ours = listening()
    quotes.change(book_at(1030.0, 1))
    assert quotes.hear(Quote(NAMES[0], at(1030.0), mark=1.0, told=told))
    quotes.hear_index("BTC", at(1030.0), 100.0)
    assert not quotes.hear(Quote(NAMES[0], at(1029.9), mark=9.0, told=told)) and quotes.counts.late == 1
    quotes.hear_index("BTC", at(1029.9), 9.0)
    ours.s = 1000.2
    assert quotes.hear(Quote(NAMES[0], at(1000.1), mark=2.0, told=told))
    quotes.hear_index("BTC", at(1000.1), 101.0)
    found = taken(quotes, ours)
    assert found[0] == 2.0 and quotes.counts.late == 1 and (told is None or found[2] == 101.0)
    assert not quotes.hear(Quote(NAMES[0], at(1000.0), mark=9.0, told=told))
    quotes.hear_index("BTC", at(1000.0), 9.0)
    quotes.change(book_at(1000.2, 2))
    found = taken(quotes, ours)
    assert quotes.counts.late == 2 and found[0] == 2.0 and (told is None or found[2] == 101.0)


def test_a_book_from_the_future_is_as_old_as_its_receipt() -> None:
    quotes, ours = listening()
    quotes.change(book_at(1000.0 + 86_400.0, 1))
    ours.s = 1020.0
    quotes.hear(Quote(NAMES[0], at(1020.0), mark=1.0, told=MARK))
    assert taken(quotes, ours)[4] == 20.0


def test_a_row_is_as_old_as_its_touch_and_no_newer_for_a_mark() -> None:
    quotes, ours = listening()
    touch = frozenset({"bid", "bid_size", "ask", "ask_size"})
    quotes.hear(Quote(NAMES[0], at(1000.0), 100.0, 1.0, 101.0, 1.0, told=touch))
    ours.s = 1040.0
    quotes.hear(Quote(NAMES[0], at(1040.0), mark=100.5, told=MARK))
    assert taken(quotes, ours)[4] == 40.0


def test_what_a_stream_tells_on_change_alone_is_as_new_as_its_last_message() -> None:
    quotes, ours = listening()
    part = frozenset({"mark", "mark_iv", "index_price"})
    quotes.hear(Quote(NAMES[0], at(1000.0), mark=1.0, mark_iv=0.5, told=MARK | VOL, part=part))
    ours.s = 1100.0
    quotes.hear(Quote(NAMES[0], at(1100.0), mark=2.0, told=MARK, part=part))
    assert taken(quotes, ours)[:2] == (2.0, 0.5)


def test_an_old_book_that_a_new_touch_contradicts_shows_no_depth() -> None:
    quotes, ours = listening()
    quotes.change(book_at(1000.0, 1))
    ours.s = 1010.0
    for ask, levels in ((101.0, 1), (102.0, 1)):
        quotes.hear(Quote(NAMES[0], at(1010.0), 100.0, 3.0, ask, 3.0))
        marks = quotes.take(0, ours())
        assert marks is not None and (marks.bid[0], marks.ask[0], marks.bid_size[0]) == (100.0, ask, 3.0)
        assert len(marks.depth[1][0].price) == levels


_ALL = ("bid", "ask", "mark", "mark_iv", "forward", "index_price", "funding_rate")
_PARTS = st.sampled_from([MARK, VOL, frozenset({"mark", "index_price"}), None])
_STEPS = st.lists(
    st.tuples(st.sampled_from(["quote", "book", "wait"]), _PARTS, st.integers(-90, 90), st.integers(0, 40)),
    max_size=30,
)


@given(_STEPS)
def test_no_field_and_no_row_is_ever_handed_out_older_than_it_may_be(
    steps: list[tuple[str, frozenset[str] | None, int, int]],
) -> None:
    """Each value is the second of our clock at which it was heard: what is handed out tells its own age."""
    quotes, ours = listening()
    for number, (what, told, offset_s, wait_s) in enumerate([*steps, ("wait", None, 0, 0)], 1):
        if what == "quote":
            fields: dict[str, Any] = dict.fromkeys(_ALL if told is None else told, ours.s)
            quotes.hear(Quote(NAMES[0], at(ours.s + offset_s), told=told)._replace(**fields))
        elif what == "book":
            quotes.change(BookChange(NAMES[0], at(ours.s + offset_s), True, number, None, [(1.0, 1.0)], []))
        ours.s += wait_s
        quotes.grow_old(ours())
        marks = quotes.take(number, ours())
        if marks is None:
            continue
        assert int(marks.venue_ns[0]) <= ours()
        limits = {"mark": 10.0, "mark_iv": 20.0, "forward": 20.0, "index": 30.0, "funding_rate": 60.0}
        for name, most in limits.items():
            heard_s = float(getattr(marks, name)[0])
            assert math.isnan(heard_s) or ours.s - heard_s <= most
