"""An order that comes to an exchange twice under one id and is two orders there: Deribit, and USD-M.

The exchange's own log is compared with the journal: what both of them traded is booked, once each, and that
it is more than was ordered is told.
"""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.exchanges.binance_words import wallet
from tests.exchanges.faults import Act
from tests.exchanges.server import Host
from tests.exchanges.words import Side
from tests.hedger.verbs.loopback import said
from tests.hedger.verbs.places import PLACES
from tests.hedger.verbs.test_run_on_venues import recorded

#: The calls that place an order.
SUBMIT = {"deribit": ("private/buy", "private/sell"), "binanceusdm": ("POST fapi/order",)}
#: So small that the book has enough for two of them.
LIMITS = '[margin]\nunproven_venues = ["{}"]\n[order]\nnotional_usd_max = 20000.0\n'


def prepared(host: Host, name: str) -> None:
    """There is something to hedge, and the first orders come twice; one of them may find nothing to trade."""
    if name == "binanceusdm":
        account = wallet("desk", "linear")
        host.exchange.outside(account, "BTCUSDT", Side.BUY, Decimal(20), Decimal(60_000), "before the run")
    for call in SUBMIT[name]:
        host.faults.add(Act.TWICE, call, times=4)


@pytest.mark.parametrize("name", list(SUBMIT))
def test_both_of_an_order_that_came_twice_are_booked_once_and_the_surplus_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    place = PLACES[name]
    (tmp_path / "limits.toml").write_text(LIMITS.format(name))
    with place.opened() as exchange:
        exchange.do(lambda host: prepared(host, name))
        run = 'mode = "live"\nstart_s_max = 20.0\nunderlyings = ["BTC", "ETH"]'
        place.settings(tmp_path, exchange.do(place.address), run=run, top='limits_file = "limits.toml"')
        words = ("--journal", "j", "--arm-live", "--no-watchdog", "--json", "--minutes", "0.1")
        ran = said(capsys, tmp_path, "run", *words)
        rows = exchange.do(lambda host: list(host.exchange.truth.rows))
    assert ran.returncode == 0, ran.stderr

    sent = Counter(row["client_id"] for row in rows if row["event"] == "order")
    doubled = {client_id for client_id, times in sent.items() if times == 2}
    assert doubled
    found = recorded(tmp_path / "j")
    booked = Counter(report.fill.trade_id.split("-")[-1].split(":")[-1] for report in found.fills)
    traded = [row for row in rows if row["event"] == "fill" and row["client_id"]]
    assert booked == Counter(str(row["trade_id"]) for row in traded)

    said_so = [line for line in map(json.loads, ran.stderr.splitlines()) if line.get("alert") == "OVERFILL"]
    overfilled = 0
    for client_id in doubled:
        ordered = next(Decimal(r["quantity"]) for r in rows if r.get("client_id") == client_id)
        filled = sum(Decimal(row["quantity"]) for row in traded if row["client_id"] == client_id)
        ours = sum(x.fill.quantity for x in found.fills if x.client_id == client_id)
        assert ours == filled
        told = any(client_id in line["text"] and line["level"] == "critical" for line in said_so)
        assert told is (filled > ordered)
        overfilled += told
    assert overfilled
