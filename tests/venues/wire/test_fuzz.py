"""Every recorded message, and every message made of one by a few changes: a typed value, or our own error."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.venues.wire import corpus
from venues.errors import Untrusted

VENUES = tuple(corpus.READERS)

#: What a message may hold instead of what it should.
STRANGE: list[Any] = [
    None, "", "0", "-1", "NaN", "Infinity", "-inf", "1e400", "1e-400", "1_0", "0x10", "\u0661", " 1", "abc",
    "9" * 5000, 0, -1, 1e308, float("inf"), float("nan"), 10**400, -(10**400), 1e-320, True, False, [], {},
    [[]], [None], {"a": None}, [["1"]], [["x", "y"]], [[1, -1]], "BTC-99XYZ99-1-C", 1.5, "1.5e3",
]  # fmt: skip


def survive(venue: str, message: Any) -> int:
    """Give a message and all its parts to every reader; how many could read something."""
    read = 0
    for part in corpus.parts(message):
        for reader in corpus.READERS[venue].values():
            try:
                reader(part)
                read += 1
            except Untrusted:
                pass
    return read


@pytest.mark.parametrize("venue", VENUES)
def test_every_recorded_message_is_read_or_refused_in_our_words(venue: str) -> None:
    messages = corpus.recorded(venue)
    assert len(messages) > 10
    for name, message in messages:
        try:
            survive(venue, message)
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error


@st.composite
def changed(draw: st.DrawFn, venue: str) -> Any:
    """A recorded message with one to three of its values replaced or left out."""
    _, message = draw(st.sampled_from(corpus.recorded(venue)))
    message = copy.deepcopy(message)
    for _ in range(draw(st.integers(1, 3))):
        at = message
        for _ in range(draw(st.integers(0, 5))):
            inner = list(at.values()) if isinstance(at, dict) else at[:3]
            nested = [x for x in inner if isinstance(x, dict | list) and x]
            if not nested:
                break
            at = draw(st.sampled_from(nested))
        if not at:
            continue
        key = draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        if isinstance(at, dict) and draw(st.booleans()):
            del at[key]
        else:
            at[key] = copy.deepcopy(draw(st.sampled_from(STRANGE)))
    return message


@pytest.mark.parametrize("venue", VENUES)
def test_a_changed_message_raises_nothing_else(venue: str) -> None:
    corpus.folder()

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(changed(venue))
    def check(message: Any) -> None:
        survive(venue, message)

    check()


@pytest.mark.parametrize("venue", VENUES)
def test_what_is_no_message_at_all_is_refused_in_our_words(venue: str) -> None:
    for value in STRANGE:
        survive(venue, value)


@pytest.mark.parametrize(
    ("venue", "name", "reader", "inside"),
    [
        ("deribit", "ws_ticker.json", "ticker", ("params", "data")),
        ("okx", "ws_tickers.json", "read", ("data", 0)),
        ("bybit", "ws_ticker_option.json", "read option", ("data",)),
        ("bybit", "ws_ticker_linear.json", "read", ("data",)),
        ("binance", "futures/market_data_json/mark_price_stream.json", "read", ()),
    ],
)
def test_a_field_that_is_missing_never_becomes_a_zero(
    venue: str, name: str, reader: str, inside: tuple[Any, ...]
) -> None:
    whole = corpus.recorded_file(venue, name)
    fields = whole
    for key in inside:
        fields = fields[key]
    for key in list(fields):
        message = copy.deepcopy(whole)
        at = message
        for step in inside:
            at = at[step]
        del at[key]
        given_to = at if venue == "deribit" else message
        try:
            quote: Any = corpus.READERS[venue][reader](given_to)
        except Untrusted:
            continue
        for found in [quote] if venue == "deribit" else quote.quotes:
            zeros = {n for n, x in zip(found._fields, found, strict=True) if x == 0 and type(x) is float}
            told = fields.get("current_funding"), fields.get("fundingRate")
            assert not zeros or 0 in told, (key, found)
