"""Venue Greeks: our own are never flagged; every fault put in is, and the right reason is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.discrepancies import Reason
from pricing.reconcile import compare
from pricing.universe import FloatArray
from pricing.venue_greeks import DELTA, GAMMA, GREEKS, THETA, UNIT, VEGA, Convention, Quotes, display

FORWARD, INDEX = 60_000.0, 59_700.0


def quotes(
    strikes: list[float], days: float = 20.0, vol: float = 0.55, sign: float = 1.0, mark: float = np.nan
) -> Quotes:
    """Options at one forward; nothing uncertain but the last digit of a vol of two decimals in points."""
    k = len(strikes)
    full = np.full
    return Quotes(
        forward=full(k, FORWARD),
        index=full(k, INDEX),
        strike=np.array(strikes),
        years=full(k, days / 365.0),
        vol=full(k, vol),
        sign=full(k, sign),
        mark=full(k, mark),
        forward_error=full(k, 1e-7),
        index_error=full(k, 1e-7),
        vol_error=full(k, 5e-5),
        years_error=np.zeros(k),
        mark_error=np.zeros(k),
        stale=np.zeros(k, dtype=np.bool_),
    )


def rounded(greeks: FloatArray, convention: Convention) -> FloatArray:
    return np.asarray(np.rint(greeks / UNIT[convention]) * UNIT[convention])


NEAR = [54_000.0, 58_000.0, 61_000.0, 66_000.0]


@given(
    st.sampled_from(list(Convention)),
    st.lists(st.floats(20_000.0, 150_000.0), min_size=1, max_size=6),
    st.floats(0.01, 400.0),
    st.floats(0.05, 3.0),
    st.sampled_from([1.0, -1.0]),
    st.floats(-1.0, 1.0),
)
def test_our_own_figures_rounded_as_the_venue_rounds_are_never_flagged(
    convention: Convention, strikes: list[float], days: float, vol: float, sign: float, part: float
) -> None:
    """Nor are those on the true vol, of which the quotes show a rounded one."""
    shown = quotes(strikes, days, round(vol, 4), sign)
    true = replace(shown, vol=shown.vol + part * 5e-5)
    found = compare(convention, shown, rounded(display(convention, true), convention))
    assert not found.flagged.any()
    assert found.reason == [None] * len(strikes)


Fault = Callable[[FloatArray, Quotes], FloatArray]


def on(**changes: FloatArray) -> Fault:
    """The venue took other inputs."""
    return lambda greeks, q: display(Convention.DERIBIT, replace(q, **changes))  # type: ignore[arg-type]


def scaled(greek: int, factor: float) -> Fault:
    def change(greeks: FloatArray, q: Quotes) -> FloatArray:
        result = greeks.copy()
        result[greek] *= factor
        return result

    return change


@pytest.mark.parametrize(
    ("fault", "reason", "amount"),
    [
        (on(forward=np.full(4, FORWARD * 1.01)), Reason.FORWARD_MOVED, 0.01),
        (on(forward=np.full(4, FORWARD * 0.9995)), Reason.FORWARD_MOVED, -0.0005),
        (on(vol=np.full(4, 0.57)), Reason.VOL_MOVED, 2.0),
        (on(forward=np.full(4, INDEX)), Reason.INDEX_NOT_FORWARD, INDEX / FORWARD - 1.0),
        (scaled(VEGA, 100.0), Reason.UNITS, 100.0),
        (scaled(THETA, 365.0), Reason.UNITS, 365.0),
        (scaled(GAMMA, 1e4), Reason.UNITS, 1e4),
        (scaled(THETA, -1.0), Reason.SIGN, -1.0),
        (scaled(DELTA, -1.0), Reason.SIGN, -1.0),
        (lambda greeks, q: -greeks, Reason.SIGN, -1.0),
        (lambda greeks, q: greeks * np.array([[1.0], [1.0], [1.3], [0.8]]), Reason.UNEXPLAINED, np.nan),
    ],
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_each_fault_is_flagged_with_its_reason(
    fault: Fault, reason: Reason, amount: float, sign: float
) -> None:
    shown = quotes(NEAR, sign=sign)
    published = rounded(fault(display(Convention.DERIBIT, shown), shown), Convention.DERIBIT)
    found = compare(Convention.DERIBIT, shown, published)
    assert found.flagged.all()
    assert found.reason == [reason] * 4
    # the amount as far as five decimals of delta tell it
    slack = {Reason.VOL_MOVED: 0.05, Reason.FORWARD_MOVED: 2e-6}.get(reason, 0.0)
    assert found.amount == pytest.approx(amount, rel=1e-9, abs=slack, nan_ok=True)


def test_forward_and_vol_of_another_moment() -> None:
    shown = quotes(NEAR)
    moved = replace(shown, forward=shown.forward * 1.002, vol=shown.vol + 0.03)
    found = compare(
        Convention.DERIBIT, shown, rounded(display(Convention.DERIBIT, moved), Convention.DERIBIT)
    )
    assert found.reason == [Reason.BOTH_MOVED] * 4


def test_greeks_of_another_moment() -> None:
    """At the money neither forward nor vol can do what ten minutes do to vega and gamma."""
    shown = quotes([FORWARD], days=2.0)
    older = replace(shown, years=shown.years + 640.0 / (365 * 86_400))
    found = compare(
        Convention.DERIBIT, shown, rounded(display(Convention.DERIBIT, older), Convention.DERIBIT)
    )
    assert found.reason == [Reason.TIME_MOVED]
    assert found.amount.tolist() == [-640.0]


def test_premium_adjusted_where_plain_is_due_and_the_other_way_round() -> None:
    shown = quotes(NEAR)
    plain, coin = display(Convention.DERIBIT, shown), display(Convention.OKX, shown)
    swapped = plain.copy()
    swapped[DELTA] = coin[DELTA]
    found = compare(Convention.DERIBIT, shown, rounded(swapped, Convention.DERIBIT))
    assert found.reason == [Reason.PREMIUM_ADJUSTED] * 4
    swapped = coin.copy()
    swapped[DELTA] = plain[DELTA]
    found = compare(Convention.OKX, shown, rounded(swapped, Convention.OKX))
    assert found.reason == [Reason.NOT_PREMIUM_ADJUSTED] * 4


def test_another_rule_inside_the_last_day() -> None:
    shown = quotes(NEAR[1:3], days=0.4)
    raw = display(Convention.BINANCE, replace(shown, index=shown.forward))  # not scaled at all
    for convention in (Convention.DERIBIT, Convention.BYBIT):
        found = compare(convention, shown, rounded(raw, convention))
        assert found.reason == [Reason.LAST_DAY_RULE] * 2


def test_a_theta_that_is_not_capped() -> None:
    """Out of the money with a day and a half to go: the cap binds, the venue shows the whole decay."""
    shown = quotes([64_000.0], days=1.5)
    ours = display(Convention.DERIBIT, shown)
    uncapped = display(Convention.BYBIT, shown)
    assert uncapped[THETA, 0] < 1.2 * ours[THETA, 0]
    found = compare(Convention.DERIBIT, replace(shown, vol_error=np.zeros(1)), uncapped)
    assert found.reason == [Reason.THETA_CAP]


def test_the_settlement_window() -> None:
    """Half of the window gone, in the money: 0.5 is shown, as Deribit documents it; 1 is its own delta."""
    minutes = 15.0
    shown = quotes([50_000.0], days=minutes / 1440.0)
    ours = display(Convention.DERIBIT, shown)
    assert ours[DELTA] == pytest.approx([0.5], rel=1e-12)
    whole = ours.copy()
    whole[DELTA] = 1.0
    assert compare(Convention.DERIBIT, shown, whole).reason == [Reason.SETTLEMENT_WINDOW]


def test_a_stale_copy_is_told_from_a_moved_market() -> None:
    shown = replace(quotes(NEAR), stale=np.array([True, False, True, False]))
    old = rounded(
        display(Convention.DERIBIT, replace(shown, forward=shown.forward * 1.004)), Convention.DERIBIT
    )
    found = compare(Convention.DERIBIT, shown, old)
    assert found.reason == [Reason.STALE_COPY, Reason.FORWARD_MOVED] * 2


def test_what_is_not_published_is_not_compared() -> None:
    shown = quotes(NEAR)
    published = rounded(display(Convention.DERIBIT, shown), Convention.DERIBIT)
    published[THETA] = np.nan
    published[VEGA, 1] += 1.0
    found = compare(Convention.DERIBIT, shown, published)
    assert np.isnan(found.difference[THETA]).all()
    assert np.isnan(found.tolerance[THETA]).all()
    assert found.flagged.tolist() == [False, True, False, False]
    assert len(GREEKS) == len(found.difference)


@pytest.mark.parametrize("convention", list(Convention))
def test_the_tolerance_grows_with_what_is_uncertain_and_no_further(convention: Convention) -> None:
    """An index off by 5 bp moves delta by gamma times that; twice of it is flagged."""
    shown = quotes(NEAR)
    vague = replace(shown, forward_error=np.full(4, 5e-4), index_error=np.full(4, 5e-4))
    for share, flagged in ((0.9, False), (-0.9, False), (2.5, True), (-2.5, True)):
        factor = 1.0 + share * 5e-4
        moved = replace(shown, forward=shown.forward * factor, index=shown.index * factor)
        found = compare(convention, vague, display(convention, moved))
        assert found.flagged.any() == flagged
    assert (compare(convention, vague, display(convention, shown)).difference == 0).all()
