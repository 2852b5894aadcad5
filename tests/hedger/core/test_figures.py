"""What moves in a sentence is a figure; what it speaks of is none."""

from __future__ import annotations

import pytest

from hedger.core.figures import without_figures


@pytest.mark.parametrize(
    "text",
    [
        "", "plain words", "delta:BTC", "buy BTC-27MAR26-70000-C (MARGIN_INITIAL)", "BTC-5MAR26-80000-C",
        "BTC/USD:BTC-260327-70000-C", "refused as C4_ORDER_SIZE", "unlisted:51008", "deribit:10009",
        "hk3x9-12-0-0",
    ],
)  # fmt: skip
def test_names_and_codes_stay(text: str) -> None:
    assert without_figures(text) == text


def test_another_contract_and_another_reason_is_another_sentence() -> None:
    one = "deribit refused to buy BTC-27MAR26-70000-C (MARGIN_INITIAL) at 0.0123, 2 times"
    assert without_figures(one) == without_figures(
        one.replace("0.0123", "0.02").replace("2 times", "31 times")
    )
    for other in ("BTC-5MAR26-80000-C", "BTC-27MAR26-80000-C"):
        assert without_figures(one) != without_figures(one.replace("BTC-27MAR26-70000-C", other))
    assert without_figures(one) != without_figures(one.replace("MARGIN_INITIAL", "MARGIN_UNKNOWN"))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("hk3x9-12-0-0: 1,000 filled of 990.5 at -0.000001 BTC", "hk3x9-12-0-0: # filled of # at # BTC"),
        ("next at 2026-01-31T08:00:00Z, or 2026-01-31T08:00:00.125Z", "next at #, or #"),
        ("2.5e-07 (+12.5 %) of 30%", "# (# %) of #"),
    ],
)
def test_numbers_and_times_go(text: str, left: str) -> None:
    assert without_figures(text) == left
