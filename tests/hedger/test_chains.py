"""The benchmark's peers do the work they are compared for: same exposures, optimum and order as each other's
and ours."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from benchmarks.chains import (
    CHAINS,
    LEVELS,
    Answer,
    Desk,
    make_desk,
    replay_quotes,
    ticker_message,
)
from hedger.optimizer import HedgeProblem, Ladder, solve
from pricing.black76 import greeks


def answers(desk: Desk, spot: float) -> dict[str, Answer]:
    return {name: chain(desk).tick(ticker_message(spot)) for name, chain in CHAINS.items()}


def our_rows(desk: Desk, spot: float) -> tuple[np.ndarray, np.ndarray]:
    """Exposure of the book and of one coin of each instrument by our kernel."""
    g = greeks(spot * desk.ratio, desk.strike, desk.years, desk.vol, desk.sign)
    stacked = np.stack([g.delta, g.gamma, g.vega])
    n = desk.positions
    perpetual = np.array([[1.0], [0.0], [0.0]])
    return stacked[:, :n] @ desk.quantity, np.concatenate([stacked[:, n:], perpetual], axis=1)


@pytest.mark.parametrize(("positions", "seed"), [(100, 7), (100, 8), (1_000, 9), (10_000, 7)])
def test_the_chains_agree_with_each_other_and_with_us(positions: int, seed: int) -> None:
    desk = make_desk(positions, seed)
    spot = desk.spot * 1.0002
    chains = dict(CHAINS) if positions < 10_000 else {k: v for k, v in CHAINS.items() if k != "naive_vollib"}
    found = {name: chain(desk).tick(ticker_message(spot)) for name, chain in chains.items()}
    exposure, per_unit = our_rows(desk, round(spot, 2))
    orders = set()
    for answer in found.values():
        assert answer.exposure == pytest.approx(exposure, rel=1e-9, abs=1e-9 * np.abs(exposure).max())
        assert answer.unmet == 0.0
        order = json.loads(answer.order)
        orders.add((order["method"], order["params"]["instrument_name"], order["params"]["amount"]))
    assert len(orders) == 1
    price = round(spot, 2)
    ladders = [
        Ladder(size[:LEVELS], price * cost[:LEVELS], size[LEVELS:], price * cost[LEVELS:])
        for cost, size in zip(desk.cost, desk.size, strict=True)
    ]
    anything = np.full(len(desk.names), np.inf)
    problem = HedgeProblem(
        ["delta:BTC", "gamma:BTC", "vega:BTC"], exposure, desk.landing[:, 0], desk.landing[:, 1],
        list(desk.names), per_unit, ladders, desk.lot, desk.lot, anything, anything,
    )  # fmt: skip
    bound = solve(problem).lower_bound
    for answer in found.values():
        assert answer.cost == pytest.approx(bound, rel=1e-7)


def test_a_quiet_book_sends_nothing() -> None:
    desk = make_desk(100, breached=False)
    for answer in answers(desk, desk.spot).values():
        assert answer.order == b"" and answer.cost == 0.0


def test_ticks_follow_the_spot_whatever_came_before() -> None:
    desk = make_desk(100)
    chain, messages = (
        CHAINS["off_the_shelf"](desk),
        [ticker_message(desk.spot * x) for x in (1.0, 1.01, 0.99)],
    )
    warm = [chain.tick(message) for message in messages]
    cold = [CHAINS["naive"](desk).tick(message) for message in messages]
    for a, b in zip(warm, cold, strict=True):
        assert a.cost == pytest.approx(b.cost, rel=1e-9)
        assert a.exposure == pytest.approx(b.exposure, rel=1e-9)


def test_the_replay_reads_every_row_and_sees_a_breach() -> None:
    symbols, strike = ["A", "B", "X"], [60_000.0, 65_000.0, 70_000.0]
    options = pl.DataFrame(
        {"symbol": symbols, "strike": strike, "years": [0.1] * 3, "sign": [1.0, -1.0, 1.0]}
    )
    quotes = pl.DataFrame(
        {
            "seq": [0, 0, 0, 1, 1, 2],
            "symbol": ["A", "B", "X", "A", "X", "B"],
            "mark_iv": [0.5, 0.5, 0.5, 0.6, 0.5, 0.7],
            "forward": [62_000.0, 62_000.0, 62_000.0, 64_000.0, 64_000.0, 64_000.0],
        }
    )
    book = {"A": 2.0, "B": -1.0}

    def rows(forward: float, a: float, b: float) -> np.ndarray:
        both = [greeks(forward, k, 0.1, v, s) for k, v, s in ((60_000.0, a, 1), (65_000.0, b, -1))]
        return np.array([[float(getattr(g, x)) for x in ("delta", "gamma", "vega")] for g in both]).T @ [
            2,
            -1,
        ]

    wide = np.array([[-1e9, 1e9]] * 3)
    assert replay_quotes(quotes, book, wide, options) == (6, 0)
    first, last = rows(62_000.0, 0.5, 0.5), rows(64_000.0, 0.6, 0.7)
    between = 0.5 * (first[0] + last[0])  # only the first batch lies below
    assert first[0] < between < last[0]
    assert replay_quotes(quotes, book, np.array([[between, 1e9], *wide[1:]]), options)[1] == 1
