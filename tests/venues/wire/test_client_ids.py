"""Our client ids on the wire and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.orders import client_order_id
from venues.wire.client_ids import from_wire, to_wire

FORMS = {
    "okx": r"[A-Za-z0-9]{1,32}",
    "hyperliquid": r"0x[0-9a-f]{32}",
    "deribit": r".{1,64}",
    "bybit": r"[A-Za-z0-9_-]{1,36}",
    "binance": r"[.A-Z:/a-z0-9_-]{1,36}",
}
TAGS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=8)


@pytest.mark.parametrize("venue", FORMS)
@given(tag=TAGS, seq=st.integers(0, 10**9), leg=st.integers(0, 999), part=st.integers(0, 999))
def test_an_id_comes_back_as_it_went(venue: str, tag: str, seq: int, leg: int, part: int) -> None:
    ours = client_order_id(tag, seq, leg, part)
    wire = to_wire(venue, ours)
    assert re.fullmatch(FORMS[venue], wire) and from_wire(venue, wire) == ours


@pytest.mark.parametrize("venue", FORMS)
def test_somebody_elses_id_is_left_alone(venue: str) -> None:
    for text in ("", "web-1", "0x" + "0" * 32, "0x4847" + "f" * 28, "hZ1Z2Z3", "0xZZ" + "0" * 30, "0x1"):
        assert from_wire(venue, text) == text
    with pytest.raises(ValueError, match="not one of ours"):
        to_wire(venue, "web-1")


def test_what_does_not_fit_is_refused_and_not_cut() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        to_wire("hyperliquid", client_order_id("abcd", 1, 20_000, 0))
