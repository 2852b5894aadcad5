"""Bands in the configuration: what a desk may write, what it gets, and what it is refused."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hedger.config import load
from hedger.settings import Settings
from pricing.errors import InputError
from risk.band_rules import RowRule, WidthRule
from risk.band_schedule import BeforeExpiry, DayWindow, Regime
from risk.bands import BandSpec

WW = {"width": "whalley_wilmott", "risk_aversion": 1e-5}
FIXED: dict[str, Any] = {"trigger": [-10.0, 10.0], "landing": [-5.0, 5.0]}


def settings(band: Any, key: str = "delta_usd", underlying: str = "*", **more: Any) -> Settings:
    return Settings.model_validate({"bands": {underlying: {key: band}}} | more)


def rule(band: Any, key: str = "delta_usd", greek: str = "delta") -> RowRule:
    return settings(band, key).band_rules_of("BTC")[greek]


def test_by_default_no_band_has_a_rule() -> None:
    assert Settings().band_rules_of("BTC") == {}
    assert settings(FIXED).band_rules_of("BTC") == {}
    assert settings(FIXED | {"width": "fixed"}) == settings(FIXED)
    assert Settings().vol_window_h() == 0.0


def test_the_widths() -> None:
    found = rule(WW)
    assert (found.width, found.risk_aversion) == (WidthRule.WHALLEY_WILMOTT, 1e-5)
    assert math.isnan(found.cost_rate) and math.isnan(found.vol)
    assert (found.hedge_ratio, found.uncertainty_sds) == (1.0, 2.0)
    assert (found.vol_error, found.forward_error) == (0.01, 2e-4)  # those of [robust]
    own = rule({"width": "zakamouline", "risk_aversion": 2e-5, "cost_rate_bps": 3, "vol": 0.5})
    assert (own.width, own.vol) == (WidthRule.ZAKAMOULINE, 0.5)
    assert own.cost_rate == pytest.approx(3e-4)
    budget = rule({"width": "risk_budget", "error_usd_per_day": 5000.0, "uncertainty_sds": 0})
    assert (budget.width, budget.error_usd_per_day) == (WidthRule.RISK_BUDGET, 5000.0)
    assert budget.uncertainty_sds == 0


def test_what_stands_in_for_a_width_is_the_default_band_around_the_target() -> None:
    found = settings(WW | {"target": 20_000.0}).bands_of("BTC").delta_usd
    assert found == BandSpec(20_000.0, (-100_000.0, 100_000.0), (-50_000.0, 50_000.0))


def test_what_every_row_may_say() -> None:
    more: dict[str, Any] = {
        "hedge_ratio": 0.5,
        "windows": [{"begin": "22:00", "end": "06:30", "days": ["sat", "sun"], "factor": 1.5}],
        "before_expiry": [{"hours": 24, "factor": 0.5}],
        "regime": {"window_h": 48.0, "power": -1.0},
    }
    for key, greek in (
        ("delta_usd", "delta"),
        ("gamma_usd_per_1pct", "gamma"),
        ("vega_usd_per_point", "vega"),
        ("gamma_expiring_usd_per_1pct", "gamma_expiring"),
        ("vega_weighted_usd_per_point", "vega_weighted"),
        ("theta_usd_per_day", "theta"),
    ):
        found = rule(FIXED | more, key, greek)
        assert found.width is WidthRule.FIXED
        assert found.hedge_ratio == 0.5
        assert found.windows == (DayWindow(22 * 60, 6 * 60 + 30, 1.5, frozenset({5, 6})),)
        assert found.before_expiry == (BeforeExpiry(24.0, 0.5),)
        assert found.regime == Regime(window_h=48.0, power=-1.0)
    assert settings(FIXED | more).vol_window_h() == 48.0
    assert settings(FIXED | more, underlying="ETH").vol_window_h() == 48.0


def test_an_underlyings_band_replaces_the_common_one_whole() -> None:
    chosen = Settings.model_validate({"bands": {"*": {"delta_usd": WW}, "ETH": {"delta_usd": FIXED}}})
    assert set(chosen.band_rules_of("BTC")) == {"delta"}
    assert chosen.band_rules_of("ETH") == {}
    assert chosen.bands_of("ETH").delta_usd == BandSpec(0.0, (-10.0, 10.0), (-5.0, 5.0))


@pytest.mark.parametrize(
    ("band", "place"),
    [
        ({"width": "whalley-wilmott", "risk_aversion": 1.0}, "width"),
        ({"width": 1}, "width"),
        ({"width": "whalley_wilmott"}, "risk_aversion"),
        (WW | {"risk_aversion": 0}, "risk_aversion"),
        (WW | {"risk_aversion": "1e-5"}, "risk_aversion"),
        (WW | {"risk_aversion": math.inf}, "risk_aversion"),
        (WW | {"trigger": [-1, 1]}, "trigger"),
        (WW | {"error_usd_per_day": 1.0}, "error_usd_per_day"),
        ({"width": "risk_budget"}, "error_usd_per_day"),
        ({"width": "risk_budget", "error_usd_per_day": -1}, "error_usd_per_day"),
        (WW | {"cost_rate_bps": -1}, "cost_rate_bps"),
        (WW | {"vol": 0}, "vol"),
        (WW | {"hedge_ratio": 1.6}, "hedge_ratio"),
        (WW | {"hedge_ratio": -0.1}, "hedge_ratio"),
        (WW | {"target": math.nan}, "target"),
        (FIXED | {"risk_aversion": 1e-5}, "risk_aversion"),
        (FIXED | {"landing": [-20, 5]}, ""),
        (FIXED | {"uncertainty_sds": -1}, "uncertainty_sds"),
        (FIXED | {"windows": [{"begin": "6:00", "end": "07:00", "factor": 1}]}, "windows.0.begin"),
        (FIXED | {"windows": [{"begin": "06:00", "end": "24:01", "factor": 1}]}, "windows.0.end"),
        (FIXED | {"windows": [{"begin": "24:00", "end": "06:00", "factor": 1}]}, "windows.0"),
        (FIXED | {"windows": [{"begin": "06:00", "end": "06:00", "factor": 1}]}, "windows.0"),
        (FIXED | {"windows": [{"begin": "06:00", "end": "07:00", "factor": 0}]}, "windows.0.factor"),
        (FIXED | {"windows": [{"begin": "06:00", "end": "07:00"}]}, "windows.0.factor"),
        (
            FIXED | {"windows": [{"begin": "06:00", "end": "07:00", "factor": 1, "days": ["Sat"]}]},
            "windows.0.days.0",
        ),
        (FIXED | {"before_expiry": [{"hours": 0, "factor": 1}]}, "before_expiry.0.hours"),
        (FIXED | {"regime": {"lower": 3.0}}, "regime"),
        (FIXED | {"regime": {"hysteresis": -1.0}}, "regime.hysteresis"),
        (FIXED | {"regime": {"window": 3.0}}, "regime.window"),
    ],
)
def test_a_wrong_band_is_refused_by_its_key(band: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(band)
    where = ".".join(str(part) for part in caught.value.errors()[0]["loc"])
    assert where == f"bands.*.delta_usd.{place}".rstrip(".")


@pytest.mark.parametrize("more", [WW, FIXED | {"hedge_ratio": 1.2}, FIXED | {"uncertainty_sds": 2}])
def test_what_belongs_to_delta_is_refused_elsewhere(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(more, "vega_usd_per_point")
    assert caught.value.errors()[0]["loc"][:3] == ("bands", "*", "vega_usd_per_point")


def test_a_file_and_what_it_is_told(tmp_path: Path) -> None:
    """Inline or as a section, shown as it was read; a fault names file and key."""
    file = tmp_path / "desk.toml"
    for text in (
        '[bands."*"]\ndelta_usd = { width = "whalley_wilmott", risk_aversion = 1e-5 }\n',
        '[bands."*".delta_usd]\nwidth = "whalley_wilmott"\nrisk_aversion = 1e-5\n',
    ):
        file.write_text(text)
        assert load(file, env={}).settings == settings(WW)
    file.write_text('[bands."*"]\ndelta_usd = { width = "whalley_wilmott" }\n')
    with pytest.raises(InputError, match=r"CONFIG_INVALID.*desk.toml, key bands.\*.delta_usd.risk_aversion"):
        load(file, env={})


def test_every_band_that_the_configuration_shows_is_a_band() -> None:
    """The commented examples of config.toml, uncommented."""
    text = (Path(__file__).resolve().parents[3] / "config.toml").read_text("utf-8")
    found = 0
    for line in text.splitlines():
        shown = line.removeprefix("#").strip()
        if not line.startswith("#"):
            continue
        if shown.startswith("delta_usd = {"):
            settings(tomllib.loads(shown[: shown.index("}") + 1])["delta_usd"])
            found += 1
        for key, end in (("windows", "]    "), ("before_expiry", "]    "), ("regime", "}    ")):
            if shown.startswith(f"{key} = "):
                example = tomllib.loads(shown[: shown.index(end) + 1])
                assert not settings(FIXED | example).band_rules_of("BTC")["delta"].plain
                found += 1
    assert found == 6


def test_rules_are_those_of_the_settings_asked_whatever_was_asked_before() -> None:
    """They are kept by the table of bands that they belong to; a copy with another has its own."""
    one = settings(WW, underlying="BTC")
    first = one.band_rules_of("BTC")
    assert first and one.band_rules_of("BTC") == first and one.band_rules_of("ETH") == {}
    first.clear()
    assert one.band_rules_of("BTC"), "what is handed out is the asker's own"
    assert one.model_copy(update={"bands": settings(FIXED).bands}).band_rules_of("BTC") == {}
    robust = one.robust.model_copy(update={"vol_error": 0.125})
    assert one.model_copy(update={"robust": robust}).band_rules_of("BTC")["delta"].vol_error == 0.125
