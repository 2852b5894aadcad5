"""The peers of the engine's tick alone: ticker bytes to order bytes, hedging and quiet, by size of the book.

They are here so that the engine's own benchmark has something to be compared with. Before anything is timed
they must agree with each other (`tests/hedger/test_chains.py` holds them to our kernel and program as well).
Run with `make bench`.
"""

from __future__ import annotations

from itertools import cycle

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.chains import CHAINS, make_desk, ticker_message

SIZES = (100, 1_000, 10_000)
#: Spots the messages go through, by basis points of the first.
STEPS_BPS = (0.0, 3.0, -2.0, 5.0, 1.0, -4.0, 2.0, -1.0)


@pytest.mark.parametrize("positions", SIZES)
@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("breached", [True, False], ids=["hedging", "quiet"])
def test_chain(benchmark: BenchmarkFixture, name: str, positions: int, breached: bool) -> None:
    desk = make_desk(positions, breached=breached)
    messages = [ticker_message(desk.spot * (1 + bps * 1e-4), n) for n, bps in enumerate(STEPS_BPS)]
    chain, reference = CHAINS[name](desk), CHAINS["naive"](desk)
    for message in messages[:2]:
        found, expected = chain.tick(message), reference.tick(message)
        assert found.exposure == pytest.approx(expected.exposure, rel=1e-9)
        assert found.cost == pytest.approx(expected.cost, rel=1e-9)
        assert bool(found.order) == breached
    benchmark.group = f"tick without an engine, {'hedging' if breached else 'quiet'}, {positions:,} positions"
    stream = cycle(messages)
    rounds = 5 if name == "naive_vollib" and positions == SIZES[-1] else 30
    benchmark.pedantic(lambda: chain.tick(next(stream)), rounds=rounds, warmup_rounds=2)
