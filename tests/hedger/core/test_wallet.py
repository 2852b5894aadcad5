"""Coins in the wallet that nothing here has an index of: dust, and the fees that are paid with them."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.actions import Alert
from hedger.core.events import Verb
from hedger.core.glance import Glance
from hedger.core.state import Counters
from hedger.core.usage import Usage
from hedger.core.wallet import fee_usd_at_most, unknown_losses, wallet_loss_usd
from hedger.journal.codec import dump, load
from hedger.problem.unindexed import unindexed
from pricing.contracts import Fees, Listing, Perpetual, Side, TickSteps
from risk.book import Book, Fill
from tests.hedger.rig import CHAIN, SECOND, VENUE, Rig, desk, option_symbol
from venues.orders import TradeReport
from venues.simulated import SimulatedMarket

D = Decimal
DAY_S = 86_400.0


def rig_with(coin: str, amount: str) -> Rig:
    """An armed engine with a short option, and so much of a coin without an index from the start."""
    held = option_symbol(SimulatedMarket(7, settings=CHAIN))
    rig = Rig({held: "-1"}, desk())
    rig.state = replace(rig.state, book=rig.state.book.pay(VENUE, "", coin, -D(amount)))
    return rig.armed()


def alerts(rig: Rig, code: str) -> list[str]:
    return [a.text for d in rig.decisions for a in d.actions if isinstance(a, Alert) and a.code == code]


def paid(rig: Rig, fee: str, coin: str, trade_id: str = "x") -> Fill:
    """Ten dollars of the perpetual, 0.05 % taker at the most, with a fee in a coin; booked."""
    listing = next(x for x in rig.market.universe.listings if x.symbol == "BTC-PERPETUAL")
    fill = Fill(listing, Side.BUY, D(1000), D("60000.0"), D(fee), coin, "", trade_id, rig.now_ns)
    rig.truth.book(TradeReport("", fill))
    rig.send(TradeReport("", fill))
    return fill


def test_dust_that_lies_there_loses_nothing_and_is_told_once() -> None:
    rig = rig_with("OKB", "0.00000001")
    for _ in range(3):
        rig.mark(1.0)
    counters = rig.state.counters
    assert math.isfinite(counters.pnl_low_usd) and math.isfinite(counters.pnl_usd)
    (text,) = alerts(rig, "BALANCE_UNPRICED")
    assert f"{VENUE} 0.00000001 OKB" in text


def test_dust_is_no_part_of_what_the_book_is_worth() -> None:
    with_dust, without = rig_with("OKB", "5"), rig_with("OKB", "0")
    assert with_dust.state.counters.equity_usd == without.state.counters.equity_usd
    assert not alerts(without, "BALANCE_UNPRICED")


def test_a_fee_in_such_a_coin_counts_as_the_most_that_it_can_be() -> None:
    """1,000 dollars of an inverse perpetual: at most 1,000 times the dearer of its rates."""
    rig = rig_with("BNB", "50")
    fill = paid(rig, "0.0004", "BNB")
    most = 1000.0 * float(max(fill.listing.fees.taker, fill.listing.fees.maker))
    assert most > 0
    assert rig.state.counters.fees_usd == pytest.approx(most)
    assert rig.state.counters.bounded_usd == pytest.approx(most)
    rig.mark(1.0)
    assert rig.state.counters.wallet_loss_usd == pytest.approx(most)
    again = load(Usage, dump(Usage, Usage(rig.state.counters))).counters
    assert again.worth_at_most == rig.state.counters.worth_at_most
    assert again.wallet == (("BNB", D(50)),)


def test_what_was_never_there_can_be_paid_with_too() -> None:
    rig = rig_with("BNB", "0")
    paid(rig, "0.0004", "BNB")
    rig.mark(1.0)
    assert rig.state.counters.wallet_loss_usd == pytest.approx(rig.state.counters.bounded_usd)
    assert math.isfinite(rig.state.counters.pnl_low_usd)
    assert len(alerts(rig, "BALANCE_UNPRICED")) == 1


def test_a_rebate_of_unknown_worth_is_no_income() -> None:
    rig = rig_with("BNB", "50")
    paid(rig, "-0.0004", "BNB")
    rig.mark(1.0)
    counters = rig.state.counters
    assert (counters.fees_usd, counters.bounded_usd, counters.wallet_loss_usd) == (0.0, 0.0, 0.0)


def test_a_loss_that_no_fill_tells_the_worth_of_is_unknown_and_named() -> None:
    rig = rig_with("OKB", "2")
    rig.state = replace(rig.state, book=rig.state.book.pay(VENUE, "", "OKB", D("0.5")))
    rig.mark(1.0)
    state = rig.state
    assert math.isnan(state.counters.pnl_low_usd)
    assert unknown_losses(state.counters, state.book, state.market.universe) == ("OKB",)


def test_the_next_day_begins_with_what_is_there() -> None:
    rig = rig_with("OKB", "2")
    rig.state = replace(rig.state, book=rig.state.book.pay(VENUE, "", "OKB", D("0.5")))
    rig.mark(1.0)
    rig.now_ns += round(DAY_S * SECOND)
    rig.mark(1.0)
    assert rig.state.counters.wallet == (("OKB", D("1.5")),)
    assert rig.state.counters.wallet_loss_usd == 0.0
    assert len(alerts(rig, "BALANCE_UNPRICED")) == 1


def test_a_difference_in_such_a_coin_is_told_in_amounts_and_halts_nothing() -> None:
    rig = rig_with("OKB", "2")
    for _ in range(3):
        rig.send(rig.report(balances={**rig.balances(), "OKB": D("1.75")}), 61.0)
    (text,) = [x for x in alerts(rig, "BALANCE_UNPRICED") if "differs" in x]
    assert "OKB -0.25" in text
    assert rig.state.mode.sends and rig.state.venues[VENUE].drift == 0


def test_a_person_accepts_it_and_it_is_no_loss_of_the_day() -> None:
    rig = rig_with("OKB", "2")
    rig.send(rig.report(balances={**rig.balances(), "OKB": D("1.75")}), 61.0)
    rig.command(Verb.ARM, "accept")
    rig.mark(1.0)
    assert unindexed(rig.state.book, rig.state.market.universe) == {"OKB": D("1.75")}
    assert rig.state.counters.wallet_loss_usd == 0.0


def test_the_price_of_a_fee_makes_its_difference_a_drift() -> None:
    """A coin that a fill has told the worth of is compared like any other: 50 of them are thousands."""
    rig = rig_with("BNB", "50")
    paid(rig, "0.0004", "BNB")
    rig.mark(1.0)
    rig.send(rig.report(balances={**rig.balances(), "BNB": D(1)}), 61.0)
    assert rig.state.venues[VENUE].drift == 1


def _linear(taker: str, maker: str) -> Listing:
    fees = Fees(D(maker), D(taker))
    contract = Perpetual("BTC", "USDT", False)
    return Listing("v", "BTCUSDT", contract, TickSteps.parse("0:0.1"), D("0.001"), D("0.001"), fees)


@given(
    st.decimals("0.001", "10", places=3),
    st.decimals("1000", "100000", places=1),
    st.sampled_from(["0.0005", "0.0002", "-0.0001"]),
    st.decimals("0", "1", places=2),
)
def test_the_bound_holds_for_every_rate_and_discount(
    q: Decimal, price: Decimal, rate: str, off: Decimal
) -> None:
    """What a venue charges, by whichever rate of the listing and with whatever discount, is never more."""
    fill = Fill(_linear("0.0005", "0.0002"), Side.BUY, q, price, D(1), "BNB")
    charged = max(D(rate) * q * price * (1 - off), D(0))
    assert fee_usd_at_most(fill, {}) >= float(charged) * (1 - 1e-12)


def test_without_a_first_mark_nothing_is_lost_yet() -> None:
    universe = SimulatedMarket(7, settings=CHAIN).universe
    assert wallet_loss_usd(Counters(), Book(), universe) == 0.0


def test_a_glance_leaves_it_out_as_the_full_look_does() -> None:
    rig = rig_with("OKB", "5")
    plain = rig_with("OKB", "0")
    seen = []
    for _ in range(12):
        for one in (rig, plain):
            marks = one.market.step(0.2)
            one.now_ns += SECOND // 5
            universe = one.state.market.universe
            few = [r for r in marks.rows.tolist() if universe.listings[r].symbol == "BTC-PERPETUAL"]
            at = np.flatnonzero(np.isin(marks.rows, few))
            columns = {
                f.name: getattr(marks, f.name)[at]
                for f in fields(marks)
                if f.name not in ("seq", "now_ns", "depth")
            }
            one.send(replace(marks, now_ns=one.now_ns, depth={}, **columns))
        seen.append(isinstance(rig.state.seen, Glance))
        assert rig.state.counters.equity_usd == plain.state.counters.equity_usd
        assert math.isfinite(rig.state.counters.pnl_low_usd)
    assert any(seen), "the book was looked at at a glance"
