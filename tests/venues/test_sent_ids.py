"""The memory of sent ids: bounded, and no id leaves twice whatever has been forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Side
from tests import builders
from venues.orders import client_order_id
from venues.sent_ids import SentIds

BUY, SELL = Side.BUY, Side.SELL
PERP = builders.listing(builders.perpetual(), "BTC-PERPETUAL")


def of(seq: int, part: int = 0, tag: str = "desk") -> str:
    return client_order_id(tag, seq, 0, part)


def test_the_oldest_decision_is_forgotten_and_its_ids_cannot_leave_any_more() -> None:
    sent = SentIds(most=2)
    for seq in (7, 3, 9):
        sent.add(of(seq), PERP, BUY)
    assert len(sent) == 2 and sent.listing(of(3)) is None and sent.listing(of(7)) is PERP
    assert of(3) in sent and of(2) in sent and of(3, part=5) in sent
    assert of(4) not in sent and of(10) not in sent


def test_another_engines_ids_have_a_floor_of_their_own() -> None:
    sent = SentIds(most=1)
    sent.add(of(5, tag="aaaa"), PERP, BUY)
    sent.add(of(6, tag="bbbb"), PERP, BUY)
    assert of(5, tag="aaaa") in sent and of(4, tag="aaaa") in sent
    assert of(4, tag="bbbb") not in sent


def test_an_id_that_never_left_may_leave_and_raises_no_floor() -> None:
    sent = SentIds(most=1)
    sent.add(of(5), PERP, BUY)
    sent.never_left(of(5))
    assert of(5) not in sent
    sent.add(of(6), PERP, BUY)
    assert of(5) not in sent and len(sent) == 1


def test_ids_of_another_form_are_kept() -> None:
    sent = SentIds(most=1)
    sent.add("somebody-else", PERP, BUY)
    sent.add(of(1), PERP, BUY)
    assert "somebody-else" in sent and "another" not in sent


@given(st.lists(st.integers(0, 60), max_size=120), st.integers(1, 10))
def test_whatever_was_sent_is_known_as_sent_and_memory_is_bounded(seqs: list[int], most: int) -> None:
    sent, left = SentIds(most=most), set[str]()
    for seq in seqs:
        if of(seq) not in sent:
            assert of(seq) not in left
            sent.add(of(seq), PERP, BUY)
            left.add(of(seq))
    assert len(sent) <= most and all(client_id in sent for client_id in left)


def test_the_venues_id_of_a_forgotten_order_is_forgotten_with_it() -> None:
    sent = SentIds(most=1)
    sent.add(of(1), PERP, BUY)
    sent.name(of(1), "v1")
    sent.name(of(9), "v9")
    assert (sent.venue_id(of(1)), sent.venue_id(of(9))) == ("v1", None)
    sent.add(of(2), PERP, BUY)
    assert sent.venue_id(of(1)) is None


def test_an_order_of_another_instrument_or_side_is_not_the_one_that_was_sent() -> None:
    sent = SentIds(most=1)
    sent.add(of(1), PERP, BUY)
    told = [("BTC-PERPETUAL", BUY), ("BTC-PERPETUAL", SELL), ("ETH-PERPETUAL", BUY)]
    assert [sent.is_of(of(1), symbol, side) for symbol, side in told] == [True, False, False]
    sent.add(of(2), PERP, SELL)  # the first is forgotten: nothing is known of it
    assert all(sent.is_of(of(1), symbol, side) for symbol, side in told)
    sent.never_left(of(2))
    assert sent.is_of(of(2), "BTC-PERPETUAL", BUY)
