"""The fast loops against the careful functions, over their whole domain and at its borders."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pricing import kernels
from pricing.black76 import Inputs
from pricing.flat import FloatArray
from pricing.kernels import BLOCK, DONE, OVERLAP, PRICE_MAX, PRICE_MIN, TOTAL_VOL_MAX, TOTAL_VOL_MIN, TWICE
from pricing.limits import careful, careful_coin, careful_higher

CAREFUL: dict[str, tuple[Any, Any, int]] = {
    "first": (kernels.fill, careful, 5),
    "coin": (kernels.fill_coin, careful_coin, 4),
    "higher": (kernels.fill_higher, careful_higher, 6),
}


def drawn(count: int, seed: int) -> tuple[Inputs, FloatArray]:
    """Elements all over the domain of the fast loops, and how many deviations their strikes are away.

    A third is near the money (up to 40 deviations), so that not everything is 0.
    """
    rng = np.random.default_rng(seed)
    w = 10.0 ** rng.uniform(math.log10(TOTAL_VOL_MIN), math.log10(TOTAL_VOL_MAX), count)
    w = np.where(rng.random(count) < 0.3, rng.uniform(0.0, TOTAL_VOL_MAX, count) + TOTAL_VOL_MIN, w)
    years = 10.0 ** rng.uniform(-8.0, 2.0, count)
    forward = 10.0 ** rng.uniform(math.log10(PRICE_MIN), math.log10(PRICE_MAX), count)
    far = 10.0 ** rng.uniform(math.log10(PRICE_MIN), math.log10(PRICE_MAX), count)
    near = forward * np.exp(np.clip(rng.uniform(-40.0, 40.0, count) * w, -60.0, 60.0))
    strike = np.clip(np.where(rng.random(count) < 0.15, far, near), PRICE_MIN, PRICE_MAX)
    strike = np.where(rng.random(count) < 0.05, forward, strike)
    vol = w / np.sqrt(years)
    deviations = np.abs(np.log(forward) - np.log(strike)) / w
    return Inputs(forward, strike, years, vol, rng.choice([-1.0, 1.0], count)), deviations


def run(fill: Any, inputs: Inputs, fields: int) -> list[FloatArray]:
    results = [np.full(inputs.forward.size, -7.0) for _ in range(fields)]
    fill(*inputs, *results)
    return results


def one_by_one(function: Callable[..., tuple[float, ...]], inputs: Inputs) -> list[FloatArray]:
    rows = [function(*case) for case in zip(*(column.tolist() for column in inputs), strict=True)]
    return [np.array(column) for column in zip(*rows, strict=True)]


def sizes(greeks: str, inputs: Inputs, n1: FloatArray, deviations: FloatArray) -> list[FloatArray]:
    """What results are about as large as, for a density n(d1): the sum of the sizes of their terms."""
    F, K, T, σ, _ = inputs
    root = np.sqrt(T)
    w = σ * root
    gamma, vega = n1 / (F * w), F * n1 * root
    terms = 1.0 + deviations**2 + w * w
    if greeks == "first":
        return [F * n1, n1, gamma, vega, vega * σ / T]
    if greeks == "coin":
        return [
            n1 * np.maximum(K / F, 1.0),
            n1 / w + 2.0 * n1 * np.maximum(K / F, 1.0),
            n1 * root,
            n1 * σ / root,
        ]
    return [
        n1 * (deviations + w) / σ,
        vega * terms / σ,
        n1 * (deviations + w) / T,
        gamma / F * (deviations / w + 1.5),
        gamma * terms / σ,
        gamma * terms / T,
    ]


@pytest.mark.parametrize("greeks", CAREFUL)
def test_a_hundred_thousand_options_from_everywhere(greeks: str) -> None:
    """Relative to the value; where a Greek changes its sign, to its terms. Beyond 1e-240, nothing counts.

    The density n(h) turns an error of one unit in ln(F/K)/w into h² of them: the bound goes along.
    """
    fill, function, fields = CAREFUL[greeks]
    inputs, deviations = drawn(100_000, seed=5)
    assert (deviations < 33.0).mean() > 0.6
    found, wanted = run(fill, inputs, fields), one_by_one(function, inputs)
    gamma = one_by_one(careful, inputs)[2]
    n1 = gamma * inputs.forward * inputs.vol * np.sqrt(inputs.years)
    of_terms = sizes(greeks, inputs, n1, deviations)
    if greeks == "first":
        of_terms = [np.zeros_like(n1)] * fields
    elif greeks == "coin":
        of_terms = [np.zeros_like(n1), of_terms[1], *[np.zeros_like(n1)] * 2]
    nothing = sizes(greeks, inputs, np.full_like(n1, 1e-240), np.minimum(deviations, 40.0))
    # the Mills ratio is less exact below −1/2, where only total vols beyond 1 lead
    one_unit = np.where(inputs.vol * np.sqrt(inputs.years) > 1.0, 4e-14, 6e-15)
    units = one_unit * (1.0 + np.where(deviations < 40.0, deviations, 0.0) ** 2)
    for k, (one, other, terms, least) in enumerate(zip(found, wanted, of_terms, nothing, strict=True)):
        allowed = units * np.maximum(np.abs(other), terms) + least
        bad = np.flatnonzero(~(np.abs(one - other) <= allowed))
        assert not bad.size, (k, [column[bad[0]] for column in inputs], one[bad[0]], other[bad[0]])


@pytest.mark.parametrize("greeks", CAREFUL)
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 3])
def test_any_count_gives_each_element_its_own_result(greeks: str, count: int) -> None:
    """Vector loop, its remainder and the last block: whatever stands beside it, the element is the same."""
    fill, _, fields = CAREFUL[greeks]
    inputs, _ = drawn(2 * BLOCK + 3, seed=6)
    all_of_them = run(fill, inputs, fields)
    some = run(fill, Inputs(*(column[:count].copy() for column in inputs)), fields)
    for one, whole in zip(some, all_of_them, strict=True):
        np.testing.assert_allclose(one, whole[:count], rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("greeks", CAREFUL)
def test_just_inside_and_outside_of_the_domain(greeks: str) -> None:
    """Both sides of each border agree with the careful function, which alone knows the outside."""
    fill, function, fields = CAREFUL[greeks]
    rows = []
    for border in (PRICE_MIN, PRICE_MAX):
        for price in (border, np.nextafter(border, 0.0), np.nextafter(border, math.inf)):
            rows += [(price, price * 1.1, 0.25, 0.4, 1.0), (price * 0.9, price, 0.25, 0.4, -1.0)]
    for border in (TOTAL_VOL_MIN, TOTAL_VOL_MAX):
        for vol in (border, np.nextafter(border, 0.0), np.nextafter(border, math.inf)):
            rows += [(100.0, 100.0 * math.exp(0.3 * vol), 1.0, vol, 1.0), (100.0, 100.0, 1.0, vol, -1.0)]
    inputs = Inputs(*np.array(rows).T.copy())
    for one, other in zip(run(fill, inputs, fields), one_by_one(function, inputs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=0.0)


def test_shared_memory_is_reported_and_nothing_is_written() -> None:
    fill, _, _ = CAREFUL["first"]
    inputs, _ = drawn(5, seed=7)
    apart = [np.full(5, -7.0) for _ in range(5)]
    assert fill(*inputs, *apart) == DONE
    memory = np.full(9, -7.0)
    before = inputs.vol.copy()
    assert fill(*inputs, *apart[:4], inputs.vol) == OVERLAP
    np.testing.assert_array_equal(inputs.vol, before)
    assert fill(*inputs, *apart[:3], memory[:5], memory[4:]) == TWICE
    assert (memory == -7.0).all()
