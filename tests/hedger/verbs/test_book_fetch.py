"""`book fetch` at every exchange: it asks, and joins no stream of the account: a timer may hang on those."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.hedger.verbs.loopback import bytes_with_secrets, document, said
from tests.hedger.verbs.places import PLACES, Place, said_too_much

#: Of an account's stream, and of what is set by it.
STREAM = ("subscribe", "login", "auth", "listenKey", "cancel", "dcp")
#: Deribit has no other way in than a session that signs in.
SIGNS_IN = {"deribit": {"public/auth"}}


@pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
def test_a_book_is_fetched_by_questions_alone_each_asked_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, place: Place, all_logged: list[logging.LogRecord]
) -> None:
    with place.opened() as exchange:
        place.settings(tmp_path, exchange.do(place.address))
        ran = said(capsys, tmp_path, "book", "fetch", "--venue", place.name, "--out", "b.csv", "--json")
        asked = exchange.do(lambda host: [operation for _, operation in host.calls])
        orders = exchange.do(lambda host: host.exchange.truth.rows[:])
    assert ran.returncode == 0, ran.stderr
    assert document(ran)["balances"] > 0 and document(ran)["not_listed"] == []
    joined = {x for x in asked if any(word.lower() in x.lower() for word in STREAM)}
    assert joined == SIGNS_IN.get(place.name, set())
    listed = [x for x in asked if "instruments" in x or "exchangeInfo" in x or x == "meta"]
    most = {"okx": 8, "bybit": 6, "binanceusdm": 1, "deribit": 1, "hyperliquid": 1}
    assert 0 < len(listed) <= most[place.name]  # OKX is asked by type and family, Bybit by category and coin
    assert not [x for x in asked if "fee" in x.lower() or "commission" in x.lower()]
    assert [row for row in orders if row["event"] == "order"] == []
    assert bytes_with_secrets(tmp_path) == [] and said_too_much(all_logged) == []
