"""Measured latencies: drawn as they were measured, and refused with their place where they are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hedger.runs.latencies import read_latencies
from hedger.runs.paper_setup import paper_terms
from hedger.settings import Settings
from pricing.errors import InputError
from venues.paper_terms import Empirical, PriceBand


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_each_way_is_drawn_from_its_own_column(tmp_path: Path) -> None:
    file = written(tmp_path / "l.csv", "feed_ms,order_ms,answer_ms,note\n1,20,30,x\n2.5,,40,\n")
    found = read_latencies(file)
    dice = np.random.default_rng(1)
    assert {found.feed.draw(dice) for _ in range(50)} == {1_000_000, 2_500_000}
    assert {found.order_entry.draw(dice) for _ in range(50)} == {20_000_000}
    assert {found.response.draw(dice) for _ in range(50)} == {30_000_000, 40_000_000}
    terms = paper_terms(Settings.model_validate({"paper": {"latency_file": str(file)}}), "v", {})
    assert isinstance(terms.stated().latency.feed, Empirical)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "LATENCY_COLUMNS"),
        ("feed_ms,order_ms\n1,2\n", "LATENCY_COLUMNS"),
        ("feed_ms,order_ms,answer_ms\n1,2,\n", "LATENCY_EMPTY"),
        ("feed_ms,order_ms,answer_ms\n1,2,-3\n", "LATENCY_VALUE"),
        ("feed_ms,order_ms,answer_ms\n1,2,nan\n", "LATENCY_VALUE"),
        ("feed_ms,order_ms,answer_ms\n1,2,1e12\n", "LATENCY_VALUE"),
        ("feed_ms,order_ms,answer_ms\n1,soon,3\n", "LATENCY_VALUE"),
        ("feed_ms,order_ms,answer_ms\n1\n", "LATENCY_EMPTY"),
        ("feed_ms,order_ms,answer_ms,feed_ms\n1,2,3,4\n", "COLUMN_TWICE"),
    ],
)
def test_what_is_no_latency_is_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(InputError, match=code):
        read_latencies(written(tmp_path / "l.csv", text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LATENCY_UNREADABLE"):
        read_latencies(tmp_path / "none.csv")


def test_prices_are_banded_where_the_settings_say_so() -> None:
    terms = paper_terms(Settings.model_validate({"paper": {"price_band_bps": 150.0}}), "v", {})
    assert isinstance(terms.price_band, PriceBand) and float(terms.price_band.fraction) == 0.015
    assert paper_terms(Settings(), "v", {}).price_band is None
