"""Memory used again: never while anything refers to it."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pricing.black76 import greeks
from pricing.memory import KEPT_BYTES_MAX, KEPT_BYTES_MIN, fresh

LARGE = KEPT_BYTES_MIN // 8


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_that_nobody_holds_is_used_again() -> None:
    first = fresh(1, LARGE)[0]
    where = address(first)
    del first
    assert address(fresh(1, LARGE)[0]) == where


def test_a_view_of_a_view_holds_its_block() -> None:
    fields = fresh(5, LARGE)
    held = fields[3][::7][2:9].view(np.int64)
    held[:] = 42
    del fields
    for _ in range(5):
        for field in fresh(5, LARGE):
            field[:] = -1.0
    assert (held == 42).all()


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.booleans()), max_size=25))
def test_results_in_use_never_share_memory(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever is asked for, kept and dropped in whatever order: what is kept keeps its numbers."""
    held: list[tuple[float, np.ndarray]] = []
    for number, (count, extra, drop) in enumerate(steps):
        for field in fresh(count, LARGE // 4 + extra):
            field[:] = number
            held.append((float(number), field))
        if drop:
            del held[:: 1 + extra]
    assert all((field == number).all() for number, field in held)
    for i, (_, one) in enumerate(held):
        assert not any(np.shares_memory(one, other) for _, other in held[i + 1 :])


def test_small_and_huge_results_are_plain_arrays() -> None:
    assert all(field.base is None for field in fresh(2, 10))
    assert all(field.base is None for field in fresh(2, KEPT_BYTES_MAX // 8))


def test_a_result_outlives_later_calls_and_threads() -> None:
    strikes = np.linspace(40_000.0, 90_000.0, 60_000)
    expected = {vol: greeks(60_000.0, strikes[:100], 0.1, vol, 1) for vol in (0.3, 0.5, 0.7, 0.9)}
    wrong: list[float] = []

    def work(vol: float) -> None:
        last = greeks(60_000.0, strikes, 0.1, vol, 1)
        for _ in range(20):
            now = greeks(60_000.0, strikes, 0.1, vol, 1)
            for result in (last, now):
                if any((a[:100] != b).any() for a, b in zip(result, expected[vol], strict=True)):
                    wrong.append(vol)
            last = now

    threads = [threading.Thread(target=work, args=(vol,)) for vol in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
