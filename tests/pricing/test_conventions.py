"""What venues published, from our raw Greeks: the worst element, to the venues' own rounding."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from pricing.black76 import greeks
from pricing.conventions import (
    Display,
    binance_display,
    bybit_display,
    deribit_display,
    okx_bs_display,
    okx_display,
)
from pricing.flat import FloatArray
from pricing.inverse import coin_greeks

MS_PER_YEAR = 1_000.0 * 86_400.0 * 365.0
GREEKS = ("delta", "gamma", "vega", "theta")
DERIBIT_WORST = {"delta": 1.5e-4, "gamma": 6e-6, "vega": 2e-3, "theta": 0.03}  # 5 decimals, vol to 0.01 point


def years_left(row: dict[str, Any]) -> float:
    return float(row["expiry_ms"] - row["ts_ms"]) / MS_PER_YEAR


def venue_rows(shared_data: Path, venue: str) -> list[dict[str, Any]]:
    rows = json.loads((shared_data / "vectors/venue_greeks.json").read_text())["rows"]
    return [row for row in rows if row["venue"] == venue]


def worst(display: Display, published: list[dict[str, float]]) -> dict[str, float]:
    return {
        name: float(np.max(np.abs(getattr(display, name) - np.array([row[name] for row in published]))))
        for name in GREEKS
    }


def test_deribit_book_of_2020_09_12(shared_data: Path) -> None:
    """358 options, each at its own timestamp."""
    book = json.loads((shared_data / "options/deribit_btc_ticker_book_2020-09-12.json").read_text())
    assert len(book) == 358

    def column(key: str) -> FloatArray:
        return np.array([row[key] for row in book], dtype=np.float64)

    forward, mark = column("underlying_price"), column("mark_price")
    years = (column("expiration_timestamp") - column("timestamp")) / MS_PER_YEAR
    sign = np.array([1 if row["option_type"] == "call" else -1 for row in book])
    raw = greeks(forward, column("strike"), years, column("mark_iv") / 100.0, sign)
    errors = worst(deribit_display(raw, mark, forward, years), [row["greeks"] for row in book])
    assert all(errors[name] <= DERIBIT_WORST[name] for name in GREEKS), errors
    assert np.max(np.abs(raw.price / forward - mark)) <= 1e-4


def test_deribit_rows(shared_data: Path) -> None:
    rows = venue_rows(shared_data, "deribit")
    assert len(rows) == 90
    for row in rows:
        years, sign = years_left(row), 1 if row["type"] == "call" else -1
        raw = greeks(row["forward"], row["strike"], years, row["sigma"], sign)
        errors = worst(deribit_display(raw, row["mark_coin"], row["forward"], years), [row["published"]])
        assert all(errors[name] <= DERIBIT_WORST[name] for name in GREEKS), (row, errors)


def test_deribit_theta_is_scaled_in_the_last_day_and_capped_by_the_mark() -> None:
    raw = greeks(60_000.0, 60_000.0, np.array([0.25, 2.0]) / 365.0, 0.6, 1)
    generous = deribit_display(raw, 1.0, 60_000.0, np.array([0.25, 2.0]) / 365.0).theta
    assert generous[0] == raw.theta[0] / 365.0 * 0.25
    assert generous[1] == raw.theta[1] / 365.0
    assert deribit_display(raw, 0.0001, 60_000.0, np.array([0.25, 2.0]) / 365.0).theta.tolist() == [
        -6.0,
        -6.0,
    ]
    assert math.isnan(deribit_display(raw, math.nan, 60_000.0, 0.1).theta[0])


def test_bybit_rows(shared_data: Path) -> None:
    """Published marks are as fresh as the tickers let them be: 1.5e-3 of each Greek, and 8 decimals."""
    rows = venue_rows(shared_data, "bybit")
    assert {years_left(row) * 365.0 < 1.0 for row in rows} == {True, False}
    for row in rows:
        raw = greeks(
            row["forward"], row["strike"], years_left(row), row["sigma"], 1 if row["type"] == "call" else -1
        )
        shown = bybit_display(raw, years_left(row))
        for name in GREEKS:
            assert float(getattr(shown, name)) == pytest.approx(
                row["published"][name], rel=1.5e-3, abs=5e-9
            ), name
        assert float(raw.price) == pytest.approx(row["mark_usd"], rel=1.5e-3)


def test_binance_rows(shared_data: Path) -> None:
    """On the index; sigma has 8 decimals, the index of the second row was taken a little earlier or later."""
    rows = venue_rows(shared_data, "binance")
    assert len(rows) == 3
    for row in rows:
        raw = greeks(
            row["index"], row["strike"], years_left(row), row["sigma"], 1 if row["type"] == "call" else -1
        )
        shown = binance_display(raw)
        for name in GREEKS:
            assert float(getattr(shown, name)) == pytest.approx(
                row["published"][name], rel=1.2e-5, abs=5.1e-9
            ), name


def okx_case(row: dict[str, Any]) -> tuple[tuple[float, float, float, float, int], float]:
    """Recover forward and spot, which OKX does not publish beside the Greeks, by inverting two of its own.

    deltaBS gives d1, hence F; vegaBS = S n(d1) √T/100 then gives S.
    """
    years, sign, published = years_left(row), 1 if row["type"] == "call" else -1, row["published"]
    w = row["sigma"] * math.sqrt(years)
    d1 = float(ndtri(published["deltaBS"] + (0.0 if sign > 0 else 1.0)))
    forward = row["strike"] * math.exp(d1 * w - w * w / 2.0)
    spot = (
        published["vegaBS"] * 100.0 / math.sqrt(years) / (math.exp(-d1 * d1 / 2.0) / math.sqrt(2.0 * math.pi))
    )
    return (forward, row["strike"], years, row["sigma"], sign), spot


def test_okx_rows(shared_data: Path) -> None:
    """To 0.4 %: forward and spot are recovered, the tickers of 2021 mix quote times."""
    rows = venue_rows(shared_data, "okx")
    assert len(rows) == 4
    for row in rows:
        case, spot = okx_case(row)
        if row["forward"] is not None:
            assert case[0] == pytest.approx(row["forward"], rel=1e-4)
        coin, raw, years, published = coin_greeks(*case), greeks(*case), case[2], row["published"]
        shown = okx_display(coin, years)
        plain = okx_bs_display(raw, coin, case[0], spot, years)
        for name in GREEKS:
            assert float(getattr(shown, name)) == pytest.approx(published[name], rel=4e-3), (row, name)
        for name in ("delta", "gamma", "vega"):
            assert float(getattr(plain, name)) == pytest.approx(published[name + "BS"], rel=7e-3), (row, name)
        if years * 365.0 > 1.0:
            assert float(plain.theta) == pytest.approx(published["thetaBS"], rel=0.02), row


def test_okx_gamma_is_the_premium_adjusted_one(shared_data: Path) -> None:
    """gamma = S gammaBS − 2 delta among OKX's own numbers: the same S on all rows of one second."""
    rows = [row for row in venue_rows(shared_data, "okx") if row["instrument"].startswith("ETH-USD-2112")]
    spots = [
        (row["published"]["gamma"] + 2 * row["published"]["delta"]) / row["published"]["gammaBS"]
        for row in rows
    ]
    assert spots[0] == pytest.approx(spots[1], rel=1e-4)
    assert spots[2] == pytest.approx(okx_case(rows[2])[1], rel=1e-4)
