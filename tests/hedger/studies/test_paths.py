"""Simulated paths against the models' own distributions, and option values against published ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from hedger.studies.normals import normals
from hedger.studies.path_models import (
    Gbm,
    Heston,
    Merton,
    Model,
    call_price,
    delta_vol,
    reversion_share,
    usual,
)
from hedger.studies.paths import Paths, simulate
from pricing.universe import FloatArray

MODELS = [usual(name, 0.6) for name in ("gbm", "heston", "jump")]
YEARS = 30 / 365


def final_prices(model: Model, paths: int, steps: int, years: float = YEARS) -> FloatArray:
    parts = [
        simulate(model, 100.0, years, steps, min(500, paths - first), 3, first).price[-1]
        for first in range(0, paths, 500)
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_options_on_the_paths_are_worth_their_value(model: Model) -> None:
    final = final_prices(model, 20_000, 240)
    for strike in (80.0, 95.0, 100.0, 110.0, 130.0):
        payoff = np.maximum(final - strike, 0.0)
        error = payoff.std() / math.sqrt(payoff.size)
        assert abs(payoff.mean() - call_price(model, 100.0, strike, YEARS)) < 4.0 * error
    assert abs(final.mean() - 100.0) < 4.0 * final.std() / math.sqrt(final.size)


def test_gbm_is_its_normal_numbers() -> None:
    price = simulate(Gbm(0.6, drift=0.1), 100.0, YEARS, 50, 7, seed=9).price
    dt = YEARS / 50
    steps = (0.1 - 0.18) * dt + 0.6 * math.sqrt(dt) * normals(9, 50, 7)
    assert price[0] == pytest.approx(100.0)
    assert price[1:] == pytest.approx(100.0 * np.exp(np.cumsum(steps, axis=0)), rel=1e-13)


def test_drift_is_the_expected_growth() -> None:
    for model in (Gbm(0.2, 0.13), Heston(0.2, 5.0, 0.5, -0.4, 0.13), Merton(0.2, 12.0, -0.01, 0.02, 0.13)):
        final = final_prices(model, 20_000, 20, years=1.0)
        assert abs(final.mean() / 100.0 - math.exp(0.13)) < 4.0 * final.std() / 100.0 / math.sqrt(final.size)


def test_heston_variance_reverts_and_leans_on_the_price() -> None:
    model = Heston(0.6, 5.0, 0.6, -0.4)
    steps, years = 400, 0.4
    paths = simulate(model, 100.0, years, steps, 20_000, seed=5)
    v, kappa, mean, xi = paths.variance[-1], 5.0, 0.36, 0.6
    wanted = xi**2 * mean / (2 * kappa) * (1 - math.exp(-2 * kappa * years))  # Cox, Ingersoll and Ross (1985)
    assert v.mean() == pytest.approx(mean, abs=4.0 * v.std() / math.sqrt(v.size))
    assert v.var() == pytest.approx(wanted, rel=0.05)
    moves = np.diff(np.log(paths.price[:40]), axis=0), np.diff(paths.variance[:40], axis=0)
    assert np.corrcoef(moves[0].ravel(), moves[1].ravel())[0, 1] == pytest.approx(-0.4, abs=0.01)
    assert (paths.variance >= 0).all()


def test_jumps_have_their_number_and_size() -> None:
    model = Merton(0.6, 40.0, -0.02, 0.01)
    moves = np.diff(np.log(simulate(model, 100.0, 1.0, 2000, 500, seed=5).price), axis=0)
    diffusive = math.sqrt(model.diffusive_variance / 2000)
    # cumulants of a step: variance and the third, which only jumps have
    expected = 40.0 / 2000
    second = diffusive**2 + expected * (0.02**2 + 0.01**2)
    third = expected * (-(0.02**3) - 3 * 0.02 * 0.01**2)
    centred = moves - moves.mean()
    count = moves.size
    assert (centred**2).mean() == pytest.approx(second, abs=4.5 * (centred**2).std() / math.sqrt(count))
    assert (centred**3).mean() == pytest.approx(third, abs=4.5 * (centred**3).std() / math.sqrt(count))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_path_does_not_depend_on_its_neighbours(model: Model) -> None:
    together = simulate(model, 100.0, YEARS, 31, 50, seed=7)
    alone = simulate(model, 100.0, YEARS, 31, 3, seed=7, first_path=21)
    assert (alone.price == together.price[:, 21:24]).all()
    assert (alone.variance == together.variance[:, 21:24]).all()
    into = Paths(np.empty((32, 3)), np.empty((32, 3)))
    again = simulate(model, 100.0, YEARS, 31, 3, seed=7, first_path=21, into=into)
    assert again.price is into.price
    assert (again.price == alone.price).all()
    assert not (
        simulate(model, 100.0, YEARS, 31, 3, seed=8, first_path=21).price[1:] == alone.price[1:]
    ).any()


# Fang and Oosterlee, "A novel pricing method for European options based on Fourier-cosine series expansions",
# SIAM J. Sci. Comput. 31 (2008), eq. (53): reversion 1.5768, vol of vol 0.5751, mean 0.0398, v0 0.0175,
# rho -0.5711
@pytest.mark.parametrize(("years", "expected"), [(1.0, 5.785155450), (10.0, 22.318945791)])
def test_heston_values_are_the_published_ones(years: float, expected: float) -> None:
    model = Heston(math.sqrt(0.0398), 1.5768, 0.5751, -0.5711)
    assert call_price(model, 100.0, 100.0, years, 0.0175) == pytest.approx(expected, abs=1e-6)


def test_merton_values_are_those_of_its_characteristic_function() -> None:
    model = usual("jump", 0.6)
    assert isinstance(model, Merton)

    def characteristic(u: complex) -> complex:
        jump = np.exp(1j * u * model.jump_mean - 0.5 * u**2 * model.jump_sd**2) - 1 - 1j * u * model.mean_jump
        diffusion = -0.5 * model.diffusive_variance * (u**2 + 1j * u)
        return complex(np.exp(YEARS * (diffusion + model.jumps_per_year * jump)))

    for strike in (80.0, 100.0, 125.0):
        k = math.log(strike / 100.0)
        integral, _ = quad(
            lambda u, k=k: (np.exp(-1j * u * k) * characteristic(u - 0.5j)).real / (u**2 + 0.25),
            0,
            400,
            limit=400,
        )
        wanted = 100.0 - math.sqrt(100.0 * strike) / math.pi * integral
        assert call_price(model, 100.0, strike, YEARS) == pytest.approx(wanted, abs=1e-8)


def test_vol_of_deltas() -> None:
    model = Heston(0.6, 5.0, 1.5, -0.4)
    # mean over the life of the expected variance, summed up
    for years in (0.01, 0.3, 2.0):
        t = (np.arange(100_000) + 0.5) / 100_000 * years
        expected = np.mean(0.36 + (0.5 - 0.36) * np.exp(-5.0 * t))
        assert delta_vol(model, 0.5, years) == pytest.approx(math.sqrt(expected), rel=1e-8)
    assert reversion_share(model, 0.0) == 1.0
    assert (delta_vol(usual("jump", 0.6), np.array([0.2, 0.3]), 0.1) == 0.6).all()


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (Gbm(0.6), {"spot": 0.0}),
        (Gbm(0.6), {"years": math.inf}),
        (Gbm(math.nan), {}),
        (Gbm(0.6), {"steps": 0}),
        (Gbm(0.6), {"paths": 0}),
        (Gbm(0.6), {"seed": -1}),
        (Heston(0.6, 5.0, 1.5, -1.1), {}),
        (Merton(0.6, 1e6, 0.0, 0.01), {}),
        (Merton(0.6, 12.0, -0.5, 0.1), {}),
    ],
)
def test_what_no_path_can_have_is_refused(model: Model, wrong: dict[str, float]) -> None:
    asked = {"spot": 100.0, "years": YEARS, "steps": 10, "paths": 2, "seed": 1} | wrong
    with pytest.raises(ValueError, match=r"PATHS|SEED"):
        simulate(
            model, asked["spot"], asked["years"], int(asked["steps"]), int(asked["paths"]), int(asked["seed"])
        )


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValueError, match="MODEL"):
        usual("sabr", 0.6)
