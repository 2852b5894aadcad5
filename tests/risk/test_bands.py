"""Bands: the desk's units to rows in both numeraires, edges, open sides, and specs that are refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import InputError
from pricing.market import ForwardKind
from pricing.valuation import Numeraire, value
from risk.bands import (
    OPEN,
    Bands,
    BandSpec,
    UnderlyingBands,
    check_landing_room,
    fixed_bands,
    row_factor,
)
from risk.costs import reference_price
from risk.exposures import ExposureSettings, expose, row_names
from tests.builders import AGE_S_MAX, Quote, listing, market_of, option, plain_black

INF = math.inf
ROWS = row_names(["BTC"])
#: The defaults, as config.toml states them.
DEFAULTS = UnderlyingBands(
    delta_usd=BandSpec(0, (-100_000, 100_000), (-50_000, 50_000)),
    gamma_usd_per_1pct=BandSpec(0, (-100_000, 100_000), (-75_000, 75_000)),
    vega_usd_per_point=BandSpec(0, (-5_000, 5_000), (-4_000, 4_000)),
    vega_bucket_multiple=2.0,
)


def bands(
    settings: UnderlyingBands = DEFAULTS, spot: float = 50_000.0, numeraire: Numeraire = Numeraire.USD
) -> Bands:
    return fixed_bands(ROWS, {"BTC": settings}, {"BTC": spot}, numeraire)


def of_row(found: Bands, name: str) -> tuple[float, float, float, float, float]:
    """(target, trigger, landing) of a row."""
    i = ROWS.index(name)
    return tuple(float(getattr(found, field)[i]) for field in Bands.__slots__)  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------------ conversions
@pytest.mark.parametrize(
    ("row", "usd", "coin"),
    [
        ("delta:BTC", (2.0, 1.0), (2.0, 1.0)),  # 100,000 USD at 50,000
        ("gamma:BTC", (0.004, 0.003), (200.0, 150.0)),  # 100,000 = gamma S^2/100, or gamma S/100
        ("vega:BTC", (500_000.0, 400_000.0), (10.0, 8.0)),  # 5,000 = vega/100, or vega S/100
        ("vega:BTC:30-90d", (1_000_000.0, 800_000.0), (20.0, 16.0)),  # twice the total's
    ],
)
def test_the_default_numbers_as_rows(row: str, usd: tuple[float, float], coin: tuple[float, float]) -> None:
    for numeraire, (trigger, landing) in ((Numeraire.USD, usd), (Numeraire.COIN, coin)):
        expected = (0.0, -trigger, trigger, -landing, landing)
        assert of_row(bands(numeraire=numeraire), row) == pytest.approx(expected, rel=1e-14)


def test_rows_without_a_band_are_open() -> None:
    found = bands()
    banded = {name for name, b in zip(ROWS, found.banded, strict=True) if b}
    assert banded == {"delta:BTC", "gamma:BTC", "vega:BTC", *(r for r in ROWS if r.startswith("vega:BTC:"))}
    assert of_row(found, "theta:BTC") == (0.0, -INF, INF, -INF, INF)


def test_the_other_rows_and_their_units() -> None:
    """theta_usd_per_day = theta/365; expiring gamma and weighted vega like gamma and vega."""
    wide = BandSpec(0, (-365, 730), (-36.5, 73))
    found = bands(
        UnderlyingBands(
            gamma_expiring_usd_per_1pct=wide, vega_weighted_usd_per_point=wide, theta_usd_per_day=wide
        ),
        spot=100.0,
    )
    assert of_row(found, "theta:BTC")[1:3] == pytest.approx((-(365.0**2), 730 * 365.0))
    assert of_row(found, "gamma_expiring:BTC")[1:3] == pytest.approx((-3.65, 7.30))
    assert of_row(found, "vega_weighted:BTC")[1:3] == pytest.approx((-36_500, 73_000))
    assert of_row(found, "vega:BTC:0-7d")[1:3] == (-INF, INF)


S, DAYS, VOL, K = 50_000.0, 20.0, 0.6, 52_000.0


def option_value(s: float, vol: float = VOL, days: float = DAYS) -> float:
    """USD, forward at the index."""
    return plain_black(s, K, days / 365, vol, 1)


@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize("numeraire", list(Numeraire))
def test_a_desk_number_is_what_a_real_option_does(inverse: bool, numeraire: Numeraire) -> None:
    """By revaluing the option: delta_usd, its change for a 1 % move (first order), a vol point, a day.

    Coin numeraire: changes of the value in coin, at the index; gamma is that of the position beside a hedge
    that takes its delta away, for a delta per relative move grows with the coin by itself.
    """
    quote = Quote(
        listing(option(K, "C", DAYS, inverse=inverse)),
        mark_iv=VOL,
        forward=S,
        forward_kind=ForwardKind.SYNTHETIC,
        index=S,
    )
    market = market_of([quote])
    found = expose(
        np.array([3.0]),
        {},
        value(market, AGE_S_MAX),
        reference_price(market),
        ["BTC"],
        ExposureSettings(numeraire),
    )

    def coins(x: float) -> float:
        """Slope of the value at index x, USD or coin per USD of move."""
        unit_up, unit_down = (1.0, 1.0) if numeraire is Numeraire.USD else (x * 1.0001, x * 0.9999)
        up, down = option_value(x * 1.0001) / unit_up, option_value(x * 0.9999) / unit_down
        return (up - down) / (2e-4 * x)

    per = 1.0 if numeraire is Numeraire.USD else S  # coin: per relative move, hence times S
    step = 1e-3  # of the index; the change for 1 % is ten times that
    desk = {
        "delta": 3 * coins(S) * per * S,
        "gamma": 3 * (coins(S * (1 + step)) - coins(S * (1 - step))) / 2 * per * S * 10,
        "vega": 3 * (option_value(S, VOL + 1e-4) - option_value(S, VOL - 1e-4)) / 0.02,
        "theta": 3 * (option_value(S, days=DAYS - 1e-3) - option_value(S, days=DAYS + 1e-3)) / 2e-3,
    }
    for greek, dollars in desk.items():
        row = found.row(f"{greek}:BTC")
        assert row == pytest.approx(dollars * row_factor(greek, S, numeraire), rel=2e-3), greek


@given(
    st.sampled_from(["delta", "gamma", "gamma_expiring", "vega", "vega_weighted", "theta"]),
    st.floats(0.1, 1e6),
    st.sampled_from(Numeraire),
)
def test_factors_are_positive_and_finite(greek: str, spot: float, numeraire: Numeraire) -> None:
    assert 0 < row_factor(greek, spot, numeraire) < INF


# ---------------------------------------------------------------------------------- targets and open sides
def test_an_asymmetric_band_around_a_target() -> None:
    """Distances from the target: 50,000 USD long wanted, 1 coin less and 3 more borne."""
    spec = BandSpec(50_000, (-50_000, 150_000), (-10_000, 100_000))
    found = of_row(bands(UnderlyingBands(delta_usd=spec)), "delta:BTC")
    assert found == pytest.approx((1.0, 0.0, 4.0, 0.8, 3.0))


def test_a_bucket_is_banded_around_zero_whatever_the_totals_target() -> None:
    spec = BandSpec(1_000, (-500, 2_000), (-100, 1_000))
    found = bands(UnderlyingBands(vega_usd_per_point=spec, vega_bucket_multiple=3.0))
    assert of_row(found, "vega:BTC") == pytest.approx((1e5, 5e4, 3e5, 9e4, 2e5))
    for bucket in ("0-7d", "180d+"):
        assert of_row(found, f"vega:BTC:{bucket}") == pytest.approx((0.0, -1.5e5, 6e5, -3e4, 3e5))


def test_one_side_may_be_open() -> None:
    """Long gamma is welcome: only the short side is banded."""
    spec = BandSpec(0, (-100_000, INF), (-75_000, INF))
    found = bands(UnderlyingBands(gamma_usd_per_1pct=spec))
    i = ROWS.index("gamma:BTC")
    assert of_row(found, "gamma:BTC") == pytest.approx((0.0, -0.004, INF, -0.003, INF))
    assert found.banded[i]
    at = np.zeros(len(ROWS))
    for x, breached in ((1e9, False), (-0.0041, True), (INF, False)):
        at[i] = x
        assert found.breached(at)[i] == breached
    at[i] = -0.0041
    lower, upper = found.required(at)
    assert (lower[i], upper[i]) == pytest.approx((-0.003, INF))


def test_no_index_no_band() -> None:
    assert not bands(spot=math.nan).banded.any()


def test_underlyings_have_their_own() -> None:
    rows = row_names(["BTC", "ETH"])
    found = fixed_bands(
        rows,
        {"BTC": DEFAULTS, "ETH": UnderlyingBands(delta_usd=BandSpec(0, (-10, 10), (-5, 5)))},
        {"BTC": 50_000.0, "ETH": 2_000.0},
        Numeraire.USD,
    )
    upper = dict(zip(rows, found.trigger_upper, strict=True))
    assert (upper["delta:BTC"], upper["delta:ETH"], upper["gamma:ETH"]) == pytest.approx((2.0, 0.005, INF))


# ---------------------------------------------------------------------------------------- breached, required
@pytest.mark.parametrize(
    ("delta", "breached"),
    [(2.0, False), (-2.0, False), (math.nextafter(2, 3), True), (math.nextafter(-2, -3), True), (0.0, False)],
)
def test_on_the_edge_is_inside(delta: float, breached: bool) -> None:
    values = np.zeros(len(ROWS))
    values[0] = delta
    assert bands().breached(values).tolist() == [breached] + [False] * (len(ROWS) - 1)


def test_required_is_landing_where_breached_and_trigger_elsewhere() -> None:
    values = np.zeros(len(ROWS))
    values[ROWS.index("delta:BTC")] = 2.5
    values[ROWS.index("gamma:BTC")] = 0.0035  # outside landing, inside trigger: left in peace
    lower, upper = bands().required(values)
    got = {
        name: (lower[ROWS.index(name)], upper[ROWS.index(name)])
        for name in ("delta:BTC", "gamma:BTC", "theta:BTC")
    }
    assert got == {
        "delta:BTC": pytest.approx((-1.0, 1.0)),
        "gamma:BTC": pytest.approx((-0.004, 0.004)),
        "theta:BTC": (-INF, INF),
    }


@given(st.lists(st.floats(-10, 10), min_size=len(ROWS), max_size=len(ROWS)))
def test_what_is_required_lies_inside_trigger_and_holds_the_target(values: list[float]) -> None:
    found = bands()
    lower, upper = found.required(np.array(values))
    assert np.all((found.trigger_lower <= lower) & (lower <= found.target))
    assert np.all((found.target <= upper) & (upper <= found.trigger_upper))


# --------------------------------------------------------------------------------------------------- with_row
def test_a_row_replaced_for_a_trial() -> None:
    before = bands()
    after = before.with_row(0, (-3.0, 5.0), (-1.0, 2.0))
    assert of_row(after, "delta:BTC") == (0.0, -3.0, 5.0, -1.0, 2.0)
    assert of_row(after, "gamma:BTC") == of_row(before, "gamma:BTC")
    assert of_row(before, "delta:BTC")[1] == -2.0


@pytest.mark.parametrize(
    ("trigger", "landing", "target"),
    [
        ((4.0, 9.0), (5.0, 8.0), 5.0),
        ((-9.0, -4.0), (-8.0, -5.0), -5.0),
        ((-INF, 3.0), (-INF, 1.0), 0.0),
        (OPEN, OPEN, 0.0),
    ],
)
def test_the_target_of_a_trial_band_is_the_nearest_to_zero(
    trigger: tuple[float, float], landing: tuple[float, float], target: float
) -> None:
    assert of_row(bands().with_row(0, trigger, landing), "delta:BTC") == (target, *trigger, *landing)


# ---------------------------------------------------------------------------------------------- refused specs
@pytest.mark.parametrize(
    ("target", "trigger", "landing"),
    [
        (0, (-1, 1), (-1, 0.5)),  # landing on the edge of trigger
        (0, (-1, 1), (-0.5, 1)),
        (0, (-1, 1), (-2, 0.5)),  # outside
        (0, (-1, 1), (-INF, 0.5)),
        (0, (-1, 1), OPEN),
        (0, (-1, INF), OPEN),
        (0, (-1, 1), (0.1, 0.5)),  # the target is not in landing
        (0, (-1, 1), (-0.5, -0.1)),
        (0, (1, -1), (-0.5, 0.5)),  # the wrong way round
        (0, (2, 9), (0, 5)),
        (0, (INF, INF), (0, 0)),  # all is outside
        (0, (-INF, -INF), (0, 0)),
        (0, (INF, -INF), (0, 0)),
        (math.nan, (-1, 1), (-0.5, 0.5)),
        (INF, (-1, 1), (-0.5, 0.5)),
        (0, (math.nan, 1), (-0.5, 0.5)),
        (0, (-1, 1), (-0.5, math.nan)),
    ],
)
def test_specs_that_make_no_sense(
    target: float, trigger: tuple[float, float], landing: tuple[float, float]
) -> None:
    with pytest.raises(ValueError, match=r"landing|must be numbers"):
        BandSpec(target, trigger, landing)


@pytest.mark.parametrize(
    ("trigger", "landing"),
    [
        ((-1, 1), (-1, 0.5)),
        ((-1, 1), (-2, 2)),
        ((-1, 1), OPEN),
        ((-1, 1), (0.5, -0.5)),
        ((1, -1), (-0.5, 0.5)),
        ((3, 5), (1, 2)),
        ((INF, INF), (0, 0)),
        ((-1, 1), (math.nan, 0.5)),
        ((-1, INF), (INF, INF)),
    ],
)
def test_trials_that_make_no_sense(trigger: tuple[float, float], landing: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"landing|must be numbers"):
        bands().with_row(0, trigger, landing)


@pytest.mark.parametrize(
    ("trigger", "landing"),
    [((-1, 1), (0, 0)), (OPEN, OPEN), (OPEN, (-1, 1)), ((-1, INF), (-0.5, INF)), ((-1, INF), (-0.5, 2))],
)
def test_specs_that_do(trigger: tuple[float, float], landing: tuple[float, float]) -> None:
    assert BandSpec(5.0, trigger, landing).scaled(2.0) == BandSpec(
        10.0, (trigger[0] * 2, trigger[1] * 2), (landing[0] * 2, landing[1] * 2)
    )


# ----------------------------------------------------------------------------------------------- landing room
def test_landing_must_leave_room_for_a_lot() -> None:
    """Delta's room is 1 coin a side: a lot of exactly 1 fits, a larger one does not."""
    found, steps = bands(), np.full(len(ROWS), INF)
    for step, fits in ((0.1, True), (1.0, True), (1.0 + 1e-12, True), (1.001, False)):
        steps[0] = step
        if fits:
            check_landing_room(ROWS, found, steps)
        else:
            with pytest.raises(InputError, match=r"BAND_TOO_NARROW.*delta:BTC.*observed: 1,.*at least 1.001"):
                check_landing_room(ROWS, found, steps)


def test_each_side_needs_its_room_and_an_open_one_none() -> None:
    steps = np.full(len(ROWS), 0.5)
    base = replace(DEFAULTS, gamma_usd_per_1pct=None, vega_usd_per_point=None)
    for lower, upper, fits in (
        (-100_000, INF, True),
        (-60_000, 100_000, False),
        (-100_000, 60_000, False),
        (-INF, INF, True),
    ):
        spec = BandSpec(0, (lower, upper), (max(lower, -50_000), min(upper, 50_000)))
        found = bands(replace(base, delta_usd=spec))
        if fits:
            check_landing_room(ROWS, found, steps)
        else:
            with pytest.raises(InputError, match="BAND_TOO_NARROW"):
                check_landing_room(ROWS, found, steps)
