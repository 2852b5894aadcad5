"""`[paper] combos` says the same to the paper venue and to the engine; without it neither knows of any."""

from __future__ import annotations

import pytest

from hedger.runs.paper_setup import engine_settings, paper_terms
from hedger.settings import Settings
from risk.limit_terms import Limits


@pytest.mark.parametrize("combos", [True, False])
def test_the_setting_reaches_both(combos: bool) -> None:
    desk = Settings.model_validate({"paper": {"combos": combos}})
    assert paper_terms(desk, "deribit", {}).combos is combos
    told = engine_settings(desk, "test", Limits(), ["deribit", "okx"])
    assert told.combos == (frozenset({"deribit", "okx"}) if combos else frozenset())


def test_by_default_paper_is_as_the_live_venues_are() -> None:
    assert not Settings().paper.combos
