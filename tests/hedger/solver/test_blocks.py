"""Blocks that share no column, and priorities whose slack is searched to a gap: against brute force."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedger.optimizer import SolverSettings, Status, solve
from hedger.solver.blocks import block_of, elastic_by_blocks
from hedger.solver.frame import frame_of
from hedger.solver.hedge_problem import HedgeProblem
from hedger.solver.lot_search import components
from hedger.solver.lots import Found, Lots
from hedger.solver.relaxation import relax
from hedger.solver.trial import Trial
from pricing.universe import IntArray
from tests.hedger.test_optimizer import (
    Floats,
    assert_sound,
    brute_force,
    least_slack,
    lot_choices,
    one_level,
    problem,
    random_problem,
    row_weight,
    weighted_slack,
    whole_lots,
)

SEEDS = st.integers(0, 10**6)


def side_by_side(parts: list[HedgeProblem]) -> HedgeProblem:
    """One problem of several that share neither a row nor a column."""
    m, n = sum(len(p.rows) for p in parts), sum(len(p.columns) for p in parts)
    effect, g, i = np.zeros((m, n)), 0, 0
    for p in parts:
        effect[g : g + len(p.rows), i : i + len(p.columns)] = p.per_unit
        g, i = g + len(p.rows), i + len(p.columns)
    arrays = (
        "exposure",
        "lower",
        "upper",
        "lot",
        "min_size",
        "max_buy",
        "max_sell",
        "priority",
        "fixed_cost",
    )
    together = {name: np.concatenate([np.asarray(getattr(p, name)) for p in parts]) for name in arrays}
    return HedgeProblem(
        rows=[f"{row}:{k}" for k, p in enumerate(parts) for row in p.rows],
        columns=[f"{name}-{k}" for k, p in enumerate(parts) for name in p.columns],
        per_unit=effect,
        ladders=[ladder for p in parts for ladder in p.ladders],
        **together,
    )


def shuffled(p: HedgeProblem, rows: IntArray, columns: IntArray) -> HedgeProblem:
    """The same with its rows and columns in another order."""
    changed = {name: getattr(p, name)[rows] for name in ("exposure", "lower", "upper", "priority")}
    changed |= {name: getattr(p, name)[columns] for name in ("lot", "min_size", "max_buy", "max_sell")}
    return replace(
        p,
        rows=[p.rows[g] for g in rows],
        columns=[p.columns[i] for i in columns],
        ladders=[p.ladders[i] for i in columns],
        per_unit=p.per_unit[np.ix_(rows, columns)],
        fixed_cost=np.asarray(p.fixed_cost)[columns],
        **changed,
    )


def drawn(seed: int, blocks: int) -> list[HedgeProblem]:
    """Blocks of which some can be met, some not: out by up to twice what they reach."""
    rng = np.random.default_rng(seed)
    shapes = [(int(rng.integers(1, 4)), int(rng.integers(1, 4))) for _ in range(blocks)]
    return [random_problem(rng, m, n, width_factor=1.0, out=3.0) for m, n in shapes]


def least(parts: list[HedgeProblem]) -> tuple[dict[int, float], float] | None:
    """The least weighted slack of each priority, then the least cost, each block by brute force, added up."""
    sums: dict[int, float] = {}
    cost = 0.0
    for p in parts:
        found = brute_force(p)
        if found is None:
            return None
        for rank, value in zip(np.unique(np.asarray(p.priority)).tolist(), found[0], strict=True):
            sums[rank] = sums.get(rank, 0.0) + value
        cost += found[1]
    return sums, cost


def searched(p: HedgeProblem) -> tuple[Lots, Trial]:
    """The search for whole lots on every column, and doing nothing."""
    frame = frame_of(p)
    every = np.arange(len(p.columns))
    lots = Lots.on(p, frame, every, 1e-3, relax(frame))
    return lots, Trial.of(p, frame, np.zeros(len(every), dtype=np.int64))


def assert_same(one: Found, other: Found) -> None:
    """Bit for bit."""
    assert one.best is not None and other.best is not None
    for field in fields(Trial):
        np.testing.assert_array_equal(getattr(one.best, field.name), getattr(other.best, field.name))
    assert (one.proven, one.seconds, one.nodes, one.fallbacks) == (
        other.proven,
        other.seconds,
        other.nodes,
        other.fallbacks,
    )


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(2, 3))
def test_blocks_solved_apart_are_the_least_of_all(seed: int, blocks: int) -> None:
    """Whole lots of every block by brute force, in any order of rows and columns."""
    parts = drawn(seed, blocks)
    expected = least(parts)
    p, rng = side_by_side(parts), np.random.default_rng(seed)
    p = shuffled(p, rng.permutation(len(p.rows)), rng.permutation(len(p.columns)))
    plan = solve(p, SolverSettings(time_limit_s=5.0))
    assert_sound(p, plan)
    if expected is None:
        return
    ranks = np.unique(np.asarray(p.priority)).tolist()
    slack = dict(zip(ranks, weighted_slack(p, plan), strict=True))
    assert slack == pytest.approx(expected[0], rel=1e-7, abs=1e-7)
    if plan.status is not Status.no_trade:
        assert plan.cost == pytest.approx(expected[1], rel=1e-7, abs=1e-7)
    assert plan.lower_bound <= expected[1] + 1e-7 * (1 + abs(expected[1]))


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_a_row_across_the_blocks_keeps_them_together(seed: int) -> None:
    """The plan is then the least of the whole by brute force, which the blocks alone would miss."""
    parts = drawn(seed, 2)
    p = side_by_side(parts)
    rng = np.random.default_rng(seed)
    across = rng.normal(size=len(p.columns))
    p = replace(
        p,
        rows=[*p.rows, "delta:all"],
        exposure=np.append(p.exposure, 6.0),
        lower=np.append(p.lower, -0.5),
        upper=np.append(p.upper, 0.5),
        per_unit=np.vstack([p.per_unit, across]),
        priority=np.append(np.asarray(p.priority), 0),
    )
    frame = frame_of(p)
    live = np.flatnonzero(frame.cap_buy + frame.cap_sell > 0)
    tied = [columns for _, columns in components(frame) if len(columns)]
    assert not len(live) or [c.tolist() for c in tied] == [live.tolist()]
    lots, book = searched(p)
    assert_same(elastic_by_blocks(lots, book, 5.0), lots.elastic(book, 5.0))
    expected = brute_force(p)
    if expected is None:
        return
    plan = solve(p, SolverSettings(time_limit_s=5.0))
    assert_sound(p, plan)
    assert weighted_slack(p, plan) == pytest.approx(expected[0], rel=1e-7, abs=1e-7)
    assert plan.status is Status.no_trade or plan.cost == pytest.approx(expected[1], rel=1e-7, abs=1e-7)


def test_one_block_is_searched_as_it_is() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        lots, book = searched(random_problem(rng, 3, 5, out=4.0))
        if book.slack.any():
            assert_same(elastic_by_blocks(lots, book, 1.0), lots.elastic(book, 1.0))


def test_a_block_has_the_rows_goals_and_prices_of_the_whole() -> None:
    """Each row and each column is in one block at most; the goals of the blocks add up to the whole's."""
    compared = 0
    for seed in range(60):
        lots, _ = searched(side_by_side(drawn(seed, 3)))
        goals = np.zeros(lots.frame.ranks)
        seen_rows: list[int] = []
        for rows, columns in components(lots.frame):
            block = block_of(lots, rows, columns)
            np.add.at(goals, lots.frame.rank[rows][np.unique(block.frame.rank, return_index=True)[1]],
                      block.bound.goals)  # fmt: skip
            np.testing.assert_array_equal(block.frame.weight, lots.frame.weight[rows])
            np.testing.assert_array_equal(block.frame.price, lots.frame.price[
                np.isin(lots.frame.column, columns)])  # fmt: skip
            seen_rows += rows.tolist()
        assert len(set(seen_rows)) == len(seen_rows)
        compared += len(seen_rows) > 0
        np.testing.assert_allclose(goals, lots.bound.goals, rtol=1e-6, atol=1e-6)
    assert compared >= 50


def option_book(seed: int, coins: int) -> HedgeProblem:
    """Coins of 16 options and a perpetual each; the buckets' vega is beyond what is displayed, delta, gamma
    and the total can be met."""
    parts = []
    for coin in range(coins):
        rng = np.random.default_rng([seed, coin])
        columns = {"perp": ([1e-4, 0.0, 0.0, 0.0, 0.0], one_level(1e-4, 1e6))}
        for i in range(16):
            near = i < 8
            vega = rng.uniform(30.0, 60.0) * (1.0 if near else 2.5)
            gamma = rng.uniform(0.5, 1.5) * (1e-5 if near else 4e-6)
            effect = [rng.uniform(-1, 1), gamma, vega, vega * near, vega * (not near)]
            columns[f"option-{i}"] = (
                effect,
                one_level(rng.uniform(20, 90), float(rng.integers(50, 200)) / 10),
            )
        rows = {
            "delta": (5.0, -0.1, 0.1),
            "gamma": (-4e-4, -3e-5, 3e-5),
            "vega": (3000.0, -800.0, 800.0),
            "vega:X:near": (-12000.0, -800.0, 800.0),
            "vega:X:far": (15000.0, -800.0, 800.0),
        }
        parts.append(problem(rows, columns, lot=0.1))
    return side_by_side(parts)


@pytest.mark.parametrize("seed", range(4))
def test_two_coins_are_each_coins_own_plan(seed: int) -> None:
    """Lots, nodes and slack are those of each coin by itself, within the gap of scipy's least slack."""
    both = option_book(seed, 2)
    frame, every = frame_of(both), np.arange(len(both.columns))
    lots = Lots.on(both, frame, every, 5e-3, relax(frame, 5e-3))
    found = elastic_by_blocks(lots, Trial.of(both, frame, 0 * every), 4.0)
    assert found.best is not None and found.proven
    nodes = 0
    blocks = components(frame)
    assert len(blocks) == 2
    for rows, columns in blocks:
        block = block_of(lots, rows, columns)
        alone = block.elastic(Trial.of(block.problem, block.frame, 0 * columns), 2.0)
        assert alone.best is not None
        np.testing.assert_array_equal(found.best.lots[columns], alone.best.lots)
        np.testing.assert_allclose(found.best.slack[rows], alone.best.slack, rtol=1e-9)
        nodes += alone.nodes
        own = shuffled(both, rows, columns)
        for got, least in zip(alone.best.sums, least_slack(own), strict=True):
            assert got <= least * (1 + 5e-3) + 0.05
    assert found.nodes == nodes
    plan = solve(both, SolverSettings(time_limit_s=4.0, gap=5e-3))
    assert_sound(both, plan)
    assert plan.status is Status.relaxed


# --------------------------------------------------------------------------- slack that is searched to a gap


def every_lots(p: HedgeProblem) -> Floats:
    """(rows, choices) weighted slack of all whole lots."""
    choices = [lot_choices(p, i) for i in range(len(p.columns))]
    _, after = whole_lots(p, choices)
    over = np.maximum(np.maximum(p.lower[:, None] - after, after - p.upper[:, None]), 0.0)
    weight = row_weight(p)[:, None]
    return np.asarray(np.where(over > 1e-9 * weight, over / weight, 0.0))


@pytest.mark.parametrize("gap", [1e-3, 0.05, 0.3])
def test_slack_searched_to_a_gap_is_within_it_and_leaves_no_row_out_that_the_least_meets(gap: float) -> None:
    """One priority, three rows, all whole lots looked at: the sum is within the gap of the least, or more of
    what fractions meet is met; all that fractions meet is met where no more slack than the plan's does it.
    """
    compared = meeting = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        p = random_problem(rng, 3, 4, lot_factor=4.0, width_factor=0.3, out=2.5)
        p = replace(p, priority=np.zeros(3, dtype=np.int64))
        frame = frame_of(p)
        book = Trial.of(p, frame, np.zeros(4, dtype=np.int64))
        bound = relax(frame, gap)
        if not book.slack.any() or bound.fallbacks:
            continue
        found = Lots(p, frame, np.arange(4), gap, bound).elastic(book, 5.0)
        assert found.best is not None and found.proven, seed
        over = every_lots(p)
        least = float(over.sum(axis=0).min())
        total, free = over.sum(axis=0), over[~bound.met].sum(axis=0)
        # what counts: slack where fractions have none, and of the rest what is above theirs by the gap
        counts = over[bound.met].sum(axis=0) + np.maximum(free - bound.goals[0] * (1 + gap), 0.0)
        mine = found.best.slack / frame.weight
        held = mine[bound.met].sum() + max(mine[~bound.met].sum() - bound.goals[0] * (1 + gap), 0.0)
        within = total <= least * (1 + gap) + 1e-9
        assert mine.sum() <= least * (1 + gap) + 1e-8 or held <= counts[within].max() + 1e-8, seed
        compared += least > 0
        good = total <= mine.sum() * (1 + 1e-12)
        if least > 0 and bound.met.any() and (over[bound.met][:, good] == 0.0).all(axis=0).any():
            assert not found.best.slack[bound.met].any(), seed
            meeting += 1
    assert compared >= 25 and meeting >= 6


@pytest.mark.parametrize("seed", [194, 266])
def test_a_gap_on_the_slack_leaves_no_row_out_that_can_be_met(seed: int) -> None:
    """A fifth of the slack is as much as the second row is out by, where the search stops at once."""
    rng = np.random.default_rng(seed)
    p = random_problem(rng, 3, 6, width_factor=0.3, out=2.5)
    p = replace(p, priority=np.zeros(3, dtype=np.int64))
    frame = frame_of(p)
    bound = relax(frame, 0.2)
    book = Trial.of(p, frame, np.zeros(6, dtype=np.int64))
    found = Lots(p, frame, np.arange(6), 0.2, bound).elastic(book, 5.0)
    assert found.best is not None and found.best.slack.any() and bound.met.any()
    assert found.best.slack[bound.met].tolist() == [0.0] * int(bound.met.sum())
