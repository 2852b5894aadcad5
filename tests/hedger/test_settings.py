"""Settings: what a desk may ask for, and what it is refused."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hedger.settings import Settings
from pricing.contracts import Fees
from pricing.universe import Universe
from pricing.valuation import Numeraire
from risk.bands import BandSpec
from tests.builders import listing, option, perpetual


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def band(low: float, high: float, target: float = 0.0) -> dict[str, Any]:
    """A trigger, and a landing half as wide."""
    return {"target": target, "trigger": [low, high], "landing": [low / 2, high / 2]}


def test_the_defaults_are_those_that_are_promised() -> None:
    chosen = Settings()
    assert chosen.numeraire is Numeraire.USD
    assert (chosen.age_s_max, chosen.gamma_days_min) == (600.0, 2.0)
    bands = chosen.bands_of("BTC")
    assert bands == chosen.bands_of("ETH")
    assert bands.delta_usd == BandSpec(0.0, (-100_000.0, 100_000.0), (-50_000.0, 50_000.0))
    assert bands.gamma_usd_per_1pct == BandSpec(0.0, (-100_000.0, 100_000.0), (-75_000.0, 75_000.0))
    assert bands.vega_usd_per_point == BandSpec(0.0, (-5_000.0, 5_000.0), (-4_000.0, 4_000.0))
    assert bands.vega_bucket_multiple == 2.0
    assert bands.gamma_expiring_usd_per_1pct is bands.vega_weighted_usd_per_point is bands.theta_usd_per_day
    assert bands.theta_usd_per_day is None
    solver = chosen.solver_settings()
    assert (solver.time_limit_s, solver.gap, solver.columns) == (1.0, 1e-3, 60)
    costs = chosen.cost_settings()
    assert (costs.holding_h, costs.fixed_usd) == (24.0, 0.0)


def test_an_underlyings_own_keys_override_the_common_ones_key_by_key() -> None:
    chosen = settings(bands={"*": {"delta_usd": band(-10, 10)}, "BTC": {"vega_usd_per_point": band(-7, 7)}})
    btc, eth = chosen.bands_of("BTC"), chosen.bands_of("ETH")
    assert btc.delta_usd == eth.delta_usd == BandSpec(0.0, (-10.0, 10.0), (-5.0, 5.0))
    assert btc.vega_usd_per_point == BandSpec(0.0, (-7.0, 7.0), (-3.5, 3.5))
    assert eth.vega_usd_per_point == BandSpec(0.0, (-5_000.0, 5_000.0), (-4_000.0, 4_000.0))


@pytest.mark.parametrize("bands", [{}, {"BTC": {"vega_bucket_multiple": 3.0}}, {"*": {}}])
def test_a_key_left_out_keeps_its_default(bands: dict[str, Any]) -> None:
    """A file that only says something of BTC must not leave ETH without bands, unhedged and unnoticed."""
    assert settings(bands=bands).bands_of("ETH") == Settings().bands_of("ETH")


def test_a_band_can_be_taken_away() -> None:
    opened: dict[str, Any] = {"trigger": {}, "landing": {}}
    chosen = settings(bands={"ETH": {"delta_usd": opened}})
    assert chosen.bands_of("ETH").delta_usd == BandSpec()
    assert settings(bands={"ETH": {"delta_usd": None}}).bands_of("ETH").delta_usd is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([-5, 7], (-5.0, 7.0)),
        ({"lower": -5}, (-5.0, math.inf)),
        ({"upper": 7}, (-math.inf, 7.0)),
        ({"lower": -5, "upper": 7}, (-5.0, 7.0)),
        ([-math.inf, 7], (-math.inf, 7.0)),
        ([None, 7], (-math.inf, 7.0)),
    ],
)
def test_an_open_side_is_left_out(written: object, read: tuple[float, float]) -> None:
    landing = {
        side: edge / 2 for side, edge in zip(("lower", "upper"), read, strict=True) if math.isfinite(edge)
    }
    chosen = settings(bands={"*": {"delta_usd": {"trigger": written, "landing": landing}}})
    assert chosen.bands_of("BTC").delta_usd == BandSpec(0.0, read, (read[0] / 2, read[1] / 2))
    shown = chosen.model_dump(mode="json")["bands"]["*"]["delta_usd"]["trigger"]
    assert shown == [edge if math.isfinite(edge) else None for edge in read]


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"age_s_max": "600"}, "age_s_max"),
        ({"age_s_max": True}, "age_s_max"),
        ({"age_s_max": 0}, "age_s_max"),
        ({"age_s_max": math.inf}, "age_s_max"),
        ({"gamma_days_min": -1}, "gamma_days_min"),
        ({"gamma_days_min": math.nan}, "gamma_days_min"),
        ({"numeraire": "EUR"}, "numeraire"),
        ({"numeraire": ["USD"]}, "numeraire"),
        ({"stable_underlying": 1}, "stable_underlying"),
        ({"solver": {"time_limit_s": 0}}, "solver.time_limit_s"),
        ({"solver": {"gap": 1}}, "solver.gap"),
        ({"solver": {"gap": math.nan}}, "solver.gap"),
        ({"solver": {"columns": 0}}, "solver.columns"),
        ({"solver": {"columns": 60.0}}, "solver.columns"),
        ({"solver": {"columns": True}}, "solver.columns"),
        ({"solver": 1}, "solver"),
        ({"costs": {"holding_h": -1}}, "costs.holding_h"),
        ({"costs": {"fixed_usd": math.inf}}, "costs.fixed_usd"),
        ({"missing": {"vol_min": 0}}, "missing.vol_min"),
        ({"missing": {"vol_min": 4}}, "missing"),
        ({"missing": {"forward_ratio_max": 0.5}}, "missing"),
        ({"universe": {"deny_buy": {"kinds": "spot"}}}, "universe.deny_buy.kinds"),
        ({"universe": {"deny_buy": {"kinds": ["swap"]}}}, "universe.deny_buy.kinds.0"),
        ({"universe": {"deny_sell": {"symbols": [1]}}}, "universe.deny_sell.symbols.0"),
        ({"fees": {"deribit": {"swap": {}}}}, "fees.deribit.swap.[key]"),
        ({"fees": {"deribit": {"option": {"taker": -0.1}}}}, "fees.deribit.option.taker"),
        ({"fees": {"deribit": {"option": {"taker": "NaN"}}}}, "fees.deribit.option.taker"),
        ({"fees": {"deribit": {"option": {"cap": 2}}}}, "fees.deribit.option.cap"),
        ({"bands": {"*": {"delta_usd": {"trigger": [-1, 1]}}}}, "bands.*.delta_usd.landing"),
        (
            {"bands": {"*": {"delta_usd": band(-1, 1) | {"trigger": [-1, "1"]}}}},
            "bands.*.delta_usd.trigger.1",
        ),
        ({"bands": {"*": {"delta_usd": band(-1, 1) | {"trigger": [-1]}}}}, "bands.*.delta_usd.trigger.1"),
        ({"bands": {"*": {"delta_usd": band(-1, 1) | {"landing": [-1, 1]}}}}, "bands.*.delta_usd"),
        ({"bands": {"*": {"delta_usd": band(-1, 1) | {"landing": [0.1, 0.5]}}}}, "bands.*.delta_usd"),
        ({"bands": {"*": {"delta_usd": band(-1, 1) | {"trigger": [math.nan, 1]}}}}, "bands.*.delta_usd"),
        ({"bands": {"*": {"delta_usd": band(-1, 1) | {"target": math.inf}}}}, "bands.*.delta_usd.target"),
        ({"bands": {"*": {"vega_bucket_multiple": 0}}}, "bands.*.vega_bucket_multiple"),
        ({"bands": {"BTC": {"delta": band(-1, 1)}}}, "bands.BTC.delta"),
        ({"ages": 1}, "ages"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(values: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(values)
    assert ".".join(str(part) for part in caught.value.errors()[0]["loc"]) == place


@given(
    st.dictionaries(
        st.sampled_from([*Settings.model_fields, "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["*", "BTC", "delta_usd", "trigger", "landing", "lower", "gap", "x"]),
                    inner,
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_any_tree_is_settings_or_a_named_fault(tree: dict[str, Any]) -> None:
    try:
        Settings.model_validate(tree)
    except ValidationError as error:
        assert error.error_count() > 0


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().age_s_max = 1.0


def test_a_fee_tier_replaces_what_it_names() -> None:
    call, perp = listing(option(70_000.0, "C", 30)), listing(perpetual(), taker="0.0005")
    elsewhere = listing(option(70_000.0, "C", 30), venue="okx", taker="0.0002")
    universe = Universe.of([call, perp, elsewhere])
    chosen = settings(
        fees={"deribit": {"option": {"taker": "0.0001", "cap": 0.1}, "perpetual": {"maker": -0.00001}}}
    )
    option_fees, perp_fees, other_fees = (x.fees for x in chosen.with_fees(universe).listings)
    assert option_fees == Fees(call.fees.maker, Decimal("0.0001"), Decimal("0.1"), call.fees.combo)
    assert perp_fees == Fees(Decimal("-0.00001"), Decimal("0.0005"))
    assert other_fees == elsewhere.fees
    assert Settings().with_fees(universe) is universe


def test_the_risk_aversion_is_said_once() -> None:
    """What a trigger takes risk to cost follows the objective, unless it is given its own."""
    assert Settings().policy.risk.risk_aversion == Settings().objective.risk_aversion
    averse = {"objective": {"risk_aversion": 3e-6}}
    assert Settings.model_validate(averse).policy.risk.risk_aversion == 3e-6
    own = Settings.model_validate(averse | {"policy": {"risk": {"risk_aversion": 2e-5}}})
    assert (own.policy.risk.risk_aversion, own.objective.risk_aversion) == (2e-5, 3e-6)
