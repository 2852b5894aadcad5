"""The breaker on P&L that nothing explains (R8), and the one on positions and cash (R7) beside it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from hedger.core.actions import Alert
from hedger.core.events import Verb
from hedger.core.state import Mode
from pricing.contracts import Side
from risk.book import Fill
from tests.hedger.rig import CHAIN, VENUE, Rig, desk, option_symbol
from venues.orders import TradeReport
from venues.simulated import SimulatedMarket

D = Decimal
USDC = (VENUE, "", "USDC")


def armed(**watch: Any) -> Rig:
    """An engine with a short option in peace; looked at once."""
    held = option_symbol(SimulatedMarket(7, settings=CHAIN))
    rig = Rig({held: "-1"}, desk(watch=watch)).armed()
    rig.answer(rig.mark(1.0))
    return rig


def lose(rig: Rig, usd: str) -> None:
    """The ledger forgets so much cash: nothing that it could have been booked for."""
    book = rig.state.book.pay(*USDC, D(usd))
    rig.state = replace(rig.state, book=book)


def alerts(rig: Rig, code: str) -> list[Alert]:
    return [a for d in rig.decisions for a in d.actions if isinstance(a, Alert) and a.code == code]


def modes(rig: Rig) -> tuple[Mode, Mode]:
    """As commands and breakers made it, and as it acts."""
    return rig.state.mode, rig.state.acting


def test_what_is_not_explained_first_only_reduces_and_then_halts() -> None:
    rig = armed()
    lose(rig, "50100")  # allowed: 50,000 USD, nothing was traded
    rig.mark(30.0)
    assert modes(rig) == (Mode.ARMED, Mode.ARMED), "it is not looked at yet"
    rig.mark(31.0)
    assert modes(rig) == (Mode.ARMED, Mode.REDUCING)
    assert rig.state.residual.usd == pytest.approx(-50_100.0, abs=20.0)
    rig.mark(30.0)
    assert modes(rig) == (Mode.ARMED, Mode.REDUCING)
    rig.mark(31.0)
    assert modes(rig) == (Mode.HALTED, Mode.HALTED) and "explained by nothing" in rig.state.reason
    assert [str(a.severity) for a in alerts(rig, "PNL_UNEXPLAINED")] == ["warning", "critical"]


def test_a_person_who_arms_again_has_seen_it() -> None:
    rig = armed()
    lose(rig, "60000")
    for _ in range(3):
        rig.answer(rig.mark(61.0))
    assert rig.state.mode is Mode.HALTED
    rig.command(Verb.ARM)
    for _ in range(3):
        rig.answer(rig.mark(61.0))
    assert rig.state.acting is Mode.ARMED


def test_what_comes_back_is_over_and_a_gain_is_as_strange_as_a_loss() -> None:
    for usd in ("60000", "-60000"):
        rig = armed()
        lose(rig, usd)
        rig.mark(61.0)
        assert modes(rig) == (Mode.ARMED, Mode.REDUCING)
        lose(rig, str(-D(usd)))
        rig.mark(61.0)
        assert modes(rig) == (Mode.ARMED, Mode.ARMED) and len(alerts(rig, "PNL_EXPLAINED")) == 1


def test_the_tolerance_is_a_sum_and_a_share_of_the_turnover() -> None:
    """1,000 USD and a tenth of 90,000: 10,000."""
    for lost, acting in (("9900", Mode.ARMED), ("10100", Mode.REDUCING)):
        rig = armed(residual_usd_max=1000.0, residual_turnover_share_max=0.1)
        rig.state = replace(rig.state, counters=replace(rig.state.counters, turnover_usd=90_000.0))
        lose(rig, lost)
        rig.mark(61.0)
        assert rig.state.acting is acting


def test_trades_at_any_price_moves_of_the_market_and_funding_are_explained() -> None:
    """A trade ten percent beyond the market, forty minutes of a moving one, an hour's funding: a loss of
    thousands, all of it told."""
    rig = armed(residual_usd_max=100.0, residual_turnover_share_max=0.0)
    listing = next(x for x in rig.market.universe.listings if x.symbol == "BTC-PERPETUAL")
    price = D("77000.0")
    fill = Fill(listing, Side.BUY, D(700_000), price, D("0.002"), "BTC", "", "strange", rig.now_ns)
    before = rig.state.counters.equity_usd
    rig.truth.book(TradeReport("", fill))
    rig.send(TradeReport("", fill))
    rig.command(Verb.PAUSE)
    for _ in range(80):
        rig.answer(rig.mark(45.0))
    assert rig.state.counters.equity_usd < before - 30_000.0
    assert not alerts(rig, "PNL_UNEXPLAINED") and abs(rig.state.residual.usd) < 100.0


def test_the_day_begins_with_nothing_unexplained() -> None:
    rig = armed()
    lose(rig, "49000")
    rig.mark(61.0)
    day = rig.state.residual.day
    rig.answer(rig.mark(86_400.0))
    assert rig.state.residual.day == day + 1 and abs(rig.state.residual.usd) < 49_000.0 / 2


def test_a_mark_without_a_worth_is_no_evidence() -> None:
    rig = armed()
    lose(rig, "60000")
    seen = rig.market.marks()
    poisoned = {name: getattr(seen, name) * float("nan") for name in ("mark", "mark_iv", "bid", "ask")}
    rig.mark(61.0, **poisoned)
    assert rig.state.residual.beyond == 0
    rig.answer(rig.mark(1.0))
    assert rig.state.residual.beyond == 1


def test_a_coin_without_an_index_blinds_nothing() -> None:
    """A fee in it is in no equity, nor is the balance that it was paid from: the watch goes on beside it."""
    rig = armed()
    listing = next(x for x in rig.market.universe.listings if x.symbol == "BTC-PERPETUAL")
    fill = Fill(listing, Side.BUY, D(10), D("70000.0"), D("0.1"), "XYZ", "", "strange", rig.now_ns)
    rig.truth.book(TradeReport("", fill))
    rig.send(TradeReport("", fill))
    rig.mark(61.0)
    assert not alerts(rig, "PNL_NOT_TAKEN_APART")
    assert abs(rig.state.residual.usd) < 20.0
    lose(rig, "60000")
    rig.mark(61.0)
    assert rig.state.residual.usd == pytest.approx(-60_000.0, abs=20.0)


@pytest.mark.parametrize("what", ["position", "cash"])
def test_positions_and_cash_that_differ_twice_halt_as_well(what: str) -> None:
    """R7: a difference that nothing explains, told twice."""
    rig = armed()
    differing = {
        "position": {"positions": rig.truth.positions | {"BTC-PERPETUAL": D(10)}},
        "cash": {"balances": rig.balances() | {"USDC": D(2_000)}},
    }[what]
    for expected in ((Mode.ARMED, Mode.REDUCING), (Mode.HALTED, Mode.HALTED)):
        rig.tick(1.0)
        report = rig.report(**differing)
        rig.send(replace(report, balances=MappingProxyType(dict(report.balances))))
        assert (rig.state.mode, rig.state.acting) == expected
