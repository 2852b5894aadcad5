"""`[pnl]`, and the shocks of `[[scenarios]]`, as the pure half takes them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hedger.sections.limits import ScenarioConfig
from hedger.sections.profit import ProfitConfig
from hedger.settings import Settings
from risk.scenarios import Shock
from risk.unexplained import Tolerance


def test_the_tolerance_is_that_of_the_settings() -> None:
    settings = Settings.model_validate({"pnl": {"unexplained_usd": 250.0}})
    assert settings.pnl.tolerance() == Tolerance(usd=250.0, share=0.1)


@pytest.mark.parametrize(
    "wrong",
    [{"unexplained_usd": -1.0}, {"unexplained_share": 1.5}, {"unexplained": 1.0}, {"unexplained_usd": "5"}],
)
def test_a_tolerance_that_is_none_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProfitConfig.model_validate(wrong)


def test_a_scenario_may_tilt_the_smile_and_the_terms() -> None:
    told = ScenarioConfig(name="x", spot=-0.2, vol=0.1, hours=2.0, skew=0.03, term=-0.05)
    assert told.scenario().shock == Shock(spot=-0.2, vol=0.1, hours=2.0, skew=0.03, term=-0.05)
