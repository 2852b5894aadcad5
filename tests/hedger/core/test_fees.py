"""Fees whose currency has no price yet: not known, never zero, and known again with the first price."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedger.core.fees import price_fees, with_fee
from hedger.core.state import Counters
from hedger.core.usage import Usage
from hedger.journal.codec import dump, load

D = Decimal
NAN = math.nan


def test_a_fee_without_a_price_is_unknown_until_its_coin_has_one() -> None:
    paid = with_fee(Counters(fees_usd=100.0), "BTC", D("0.001"), NAN)
    assert math.isnan(paid.fees_usd)
    more = with_fee(with_fee(paid, "USDC", D(7), 1.0), "BTC", D("0.002"), NAN)
    assert math.isnan(more.fees_usd) and more.unpriced == (("BTC", D("0.003")),)
    other = price_fees(more, {"ETH": 3_000.0, "BTC": NAN})
    assert math.isnan(other.fees_usd) and other.unpriced == more.unpriced
    known = price_fees(more, {"BTC": 60_000.0})
    assert known.fees_usd == pytest.approx(100.0 + 7.0 + 0.003 * 60_000.0)
    assert (known.unpriced, known.priced_usd) == ((), 0.0)


def test_what_a_day_began_without_knowing_stays_unknown() -> None:
    """A record that does not say what the day has cost is not made up for by a price."""
    paid = with_fee(Counters(fees_usd=NAN), "BTC", D("0.001"), NAN)
    assert math.isnan(price_fees(paid, {"BTC": 60_000.0}).fees_usd)


def test_what_is_owed_outlives_a_restart() -> None:
    usage = Usage(with_fee(Counters(fees_usd=5.0), "BTC", D("-0.001"), NAN))
    again = load(Usage, dump(Usage, usage))
    assert price_fees(again.counters, {"BTC": 50_000.0}).fees_usd == pytest.approx(5.0 - 50.0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["BTC", "ETH", "USDC"]), st.decimals(-1, 1, places=6), st.booleans()),
        max_size=12,
    )
)
def test_in_any_order_the_sum_is_that_of_the_prices(fees: list[tuple[str, Decimal, bool]]) -> None:
    spot = {"BTC": 60_000.0, "ETH": 3_000.0, "USDC": 1.0}
    counters = Counters()
    for currency, fee, priced in fees:
        counters = with_fee(counters, currency, fee, spot[currency] if priced else NAN)
    unknown = any(fee and not priced for _, fee, priced in fees)
    assert math.isnan(counters.fees_usd) is unknown
    total = sum(float(fee) * spot[currency] for currency, fee, _ in fees)
    assert price_fees(counters, spot).fees_usd == pytest.approx(total, abs=1e-6)
