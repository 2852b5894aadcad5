"""What Deribit's account summaries say of margin; a currency that does not tell all of it is left out."""

from __future__ import annotations

import pytest

from venues.errors import Malformed
from venues.orders import AccountMargin
from venues.wire.deribit import margins

WHOLE = {
    "currency": "BTC",
    "margin_balance": 99.5,
    "initial_margin": 1.25,
    "maintenance_margin": 0.75,
    "margin_model": "segregated_sm",
}


@pytest.mark.parametrize(
    ("model", "by_position"),
    [
        ("segregated_sm", True),
        ("cross_sm", True),
        ("cross_pm", False),
        ("segregated_pm", False),
        (None, False),
    ],
)
def test_the_figures_and_whether_each_position_stands_by_itself(model: str | None, by_position: bool) -> None:
    found = margins([WHOLE | {"margin_model": model}])
    assert found == {"BTC": AccountMargin(99.5, 1.25, 0.75, by_position)}


@pytest.mark.parametrize("name", ["margin_balance", "initial_margin", "maintenance_margin"])
def test_a_missing_figure_is_unknown_and_never_zero(name: str) -> None:
    assert margins([WHOLE | {name: None}, WHOLE | {"currency": "ETH"}]).keys() == {"ETH"}
    with pytest.raises(Malformed):
        margins([WHOLE | {name: "much"}])
