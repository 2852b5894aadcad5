"""The risk term of a snapshot, and utility mode as users see it: `hedger plan` with [objective] in force."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hedger.optimizer import solve
from hedger.planning import PlanStatus, make_plan
from hedger.problem.delta_legs import amortised
from hedger.problem.hedge_universe import hedge_universe
from hedger.problem.risk_term import band_horizon_years, leaned, remember, risk_model
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.sample import market_maker_book
from hedger.settings import Settings
from hedger.solver.hedge_problem import RiskTerm
from pricing.market import Market
from pricing.universe import IntArray
from pricing.valuation import value
from risk.costs import CostModel, cost_model
from risk.factor_history import FactorHistory, FactorMark
from tests.hedger.command_line import Json, hedger, make_book, make_tape, refused, ticket
from tests.hedger.solver.test_utility import ladder, problem_of
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings
from venues.tape import Tape

UTILITY = "[objective]\nmode = 'utility'\nrisk_aversion = 1e-5\n"
HOUR_NS = 3_600_000_000_000


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three expiries of four strikes, two coins, eight batches six hours apart."""
    chain = SimulationSettings(tenor_days=(5, 25, 90), strikes_per_expiry=4, futures=1)
    return make_tape(tmp_path_factory.mktemp("risk_term") / "tape", chain, batches=8, seconds=6 * 3600.0)


@pytest.fixture
def book(tmp_path: Path, tape: Path) -> Path:
    """Short options of both coins, long spot."""
    listed = {x.symbol for x in Tape.open(tape).universe.listings}
    options = sorted(s for s in listed if s.startswith("BTC-") and s.endswith(("-C", "-P")))
    far = options[len(options) // 2]
    return make_book(tmp_path / "book.csv", [(far, -40), (options[-1], -15), ("BTC", 3), ("ETH", 20)])


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    path = tmp_path / "desk.toml"
    path.write_text(UTILITY)
    return path


def chosen(text: str = UTILITY) -> Settings:
    import tomllib

    return Settings.model_validate(tomllib.loads(text))


def snapshot_of(settings: Settings, seed: int = 4) -> tuple[Snapshot, CostModel, IntArray]:
    simulated = SimulatedMarket(seed)
    market = Market.empty(simulated.universe).apply(simulated.step(60.0))
    book = market_maker_book(market, value(market, settings.age_s_max), seed, settings.age_s_max)
    taken = take_snapshot(book, market, settings)
    tradable, _ = hedge_universe(taken, settings)
    costs = cost_model(taken.market, taken.valuation, tradable, settings.cost_settings())
    return taken, costs, tradable


def past(snapshot: Snapshot, days: int = 40, seed: int = 0) -> FactorHistory:
    """Daily marks before a snapshot: vols fall 0.5 points when spot rises 1 %."""
    r = np.random.default_rng(seed)
    found = FactorHistory(snapshot.underlyings)
    u = len(snapshot.underlyings)
    log, level = np.zeros(u), np.full(u, 0.6)
    for day in range(days, 0, -1):
        move = 0.03 * r.normal(0, 1, u)
        log, level = log + move, level - 0.5 * move + 0.002 * r.normal(0, 1, u)
        now = snapshot.market.now_ns - (day + 1) * 24 * HOUR_NS  # no move leads to the snapshot itself
        spot = tuple(snapshot.spot[n] * math.exp(x) for n, x in zip(snapshot.underlyings, log, strict=True))
        found = found.with_mark(FactorMark(now, spot, tuple(level), (0.02,) * u))
    return found


def test_the_horizon_makes_one_step_trade_outside_the_optimal_band() -> None:
    """|delta| > w exactly, w^3 = (3/2) cost rate S gamma^2 / risk aversion (Whalley and Wilmott 1997)."""
    spot, vol, gamma, aversion, rate = 60_000.0, 0.55, 4.2e-5, 1e-4, 5e-4
    horizon = band_horizon_years(gamma, spot, vol, rate * spot, aversion)
    width = (1.5 * rate * spot * gamma**2 / aversion) ** (1 / 3)
    scale = vol * spot * math.sqrt(aversion * horizon)
    problem = problem_of([ladder(rate * spot)], lot=1e-7)
    inside, outside = (
        solve(problem, risk=RiskTerm(["r"], np.array([x * width * scale]), np.array([[scale]])))
        for x in (0.999, 1.5)
    )
    assert not inside.quantity.any()
    assert 1.5 * width + outside.quantity[0] == pytest.approx(width, rel=1e-4)
    assert band_horizon_years(0.0, spot, vol, rate * spot, aversion) == math.inf


def test_a_model_prices_what_a_plan_leaves() -> None:
    settings = chosen()
    taken, costs, tradable = snapshot_of(settings)
    model = risk_model(taken, settings, costs, past(taken))
    term = model.term(tradable)
    assert term.names[-2:] == ("jump:+8%", "jump:-8%")
    assert len(term.names) == 4 * len(taken.underlyings) + 2
    options = taken.market.universe.is_option
    horizon = 365 * 24 * model.horizon_years
    assert 6.0 <= horizon <= 7 * 24.0
    assert model.share[options] == pytest.approx(horizon / (7 * 24.0))
    assert model.share[~options].max() == pytest.approx(1.0)
    assert term.usd(np.zeros(len(tradable))) > 0
    # twice as averse over the same time: twice the price
    fixed = [chosen(UTILITY.replace("1e-5", x) + "horizon_h = 24\n") for x in ("1e-5", "2e-5")]
    prices = [
        risk_model(taken, s, costs, past(taken)).term(tradable).usd(np.zeros(len(tradable))) for s in fixed
    ]
    assert prices[1] == pytest.approx(2 * prices[0])


def test_a_plan_weighs_and_says_so() -> None:
    settings = chosen()
    taken, _, _ = snapshot_of(settings)
    plan = make_plan(taken, settings, factors=past(taken))
    cost = make_plan(taken, Settings())
    assert plan.status is PlanStatus.HEDGE
    found = plan.objective
    assert found.weighed and not cost.objective.weighed
    assert found.risk_after_usd + found.amortised_cost_usd <= found.risk_before_usd * (1 + 1e-9)
    assert found.bound_usd <= found.risk_after_usd + found.amortised_cost_usd
    assert found.gap < 1e-2
    assert found.amortised_cost_usd <= plan.cost.total * (1 + 1e-9)
    assert plan.lower_bound_usd <= plan.cost.total
    assert any("risk aversion 1e-05" in said for said in plan.assumptions)
    assert any("moves over 24 h" in said for said in plan.assumptions)
    low, high = taken.bands.trigger_lower, taken.bands.trigger_upper
    assert ((plan.after >= low - 1e-6 * np.abs(low)) & (plan.after <= high + 1e-6 * np.abs(high))).all()
    for leg in found.legs:  # an option leg is worth its cost, up to its lots
        assert leg.benefit_usd > 0.8 * leg.cost_usd


def test_without_a_past_the_defaults_are_named() -> None:
    settings = chosen()
    taken, _, _ = snapshot_of(settings)
    plan = make_plan(taken, settings)
    assert any("no sufficient history, so the defaults of risk_term" in said for said in plan.assumptions)


def test_marks_are_taken_a_few_times_a_step() -> None:
    settings = chosen()
    taken, _, _ = snapshot_of(settings)
    history = FactorHistory(taken.underlyings)
    start = taken.market.now_ns
    for minute in range(0, 24 * 60, 10):
        now = start + minute * 60_000_000_000
        market = replace(taken.market, now_ns=now, venue_ns=np.full_like(taken.market.venue_ns, now))
        history = remember(history, market, settings)
    assert len(history.marks) == 7  # every four hours of a step of 24, with a tenth of room


def test_leaning_moves_the_delta_bands_against_the_vol_that_comes_with_spot() -> None:
    settings = chosen("[objective]\nlean_spot_vol = true\n")
    taken, _, _ = snapshot_of(settings)
    moved, said = leaned(taken, settings, past(taken))
    for name in taken.underlyings:
        at = taken.exposure.rows.index(f"delta:{name}")
        shift = moved.bands.target[at] - taken.bands.target[at]
        vega = taken.exposure.row(f"vega_weighted:{name}")
        # cov / var is -0.5 vol per unit return, less what the prior keeps of it
        assert 0.2 < shift / (0.5 * vega / taken.spot[name]) < 1.05
        for end in ("trigger_lower", "trigger_upper", "landing_lower", "landing_upper"):
            assert getattr(moved.bands, end)[at] - getattr(taken.bands, end)[at] == pytest.approx(shift)
        gamma = taken.exposure.rows.index(f"gamma:{name}")
        assert moved.bands.trigger_upper[gamma] == taken.bands.trigger_upper[gamma]
        assert any(f"delta target of {name} leans by" in text for text in said)
    still, nothing = leaned(taken, settings, None)
    assert nothing == () and (still.bands.target == taken.bands.target).all()


def test_amortised_costs_leave_sizes_alone() -> None:
    problem = problem_of([ladder(2.0, 3.0), ladder(4.0)], fixed_cost=np.array([1.0, 2.0]))
    part = amortised(problem, np.array([0.5, 1.0]))
    assert [float(x.buy_cost[0]) for x in part.ladders] == [1.0, 4.0]
    assert [float(x.sell_cost[0]) for x in part.ladders] == [1.5, 4.0]
    assert np.asarray(part.fixed_cost).tolist() == [0.5, 2.0]
    assert part.ladders[0].buy_size.tolist() == problem.ladders[0].buy_size.tolist()


# -------------------------------------------------------------------------------------- the command line


def check_objective(document: Json) -> None:
    objective = document["objective"]
    total = objective["risk_after_usd"] + objective["amortised_cost_usd"]
    assert objective["bound_usd"] <= total * (1 + 1e-9)
    assert total <= objective["risk_before_usd"] * (1 + 1e-9)
    names = [line["factor"] for line in objective["factors"]]
    assert names[:4] == ["return:BTC", "square:BTC", "vol:BTC", "slope:BTC"]
    assert names[-2:] == ["jump:+8%", "jump:-8%"]
    legs = {leg["symbol"] for leg in objective["option_legs"]}
    assert legs == {t["symbol"] for t in document["trades"] if t["symbol"].endswith(("-C", "-P"))}


def test_plan_in_utility_mode(capsys: pytest.CaptureFixture[str], tape: Path, book: Path, desk: Path) -> None:
    document = ticket(capsys, tape, book, "--config", desk)
    assert document["objective"]["mode"] == "utility"
    assert document["status"] == "hedge"
    check_objective(document)
    assert document["runner_up"] is None
    assert document["gap"] == document["objective"]["gap"]
    shown = hedger(capsys, "plan", "--book", book, "--market", tape, "--config", desk)
    assert shown.code == 0 and "risk is priced at" in shown.out.replace("\n", " ")
    plain = ticket(capsys, tape, book)
    assert plain["objective"] == {"mode": "cost"}


def test_what_the_calendar_calls_is_weighed_although_every_row_is_inside(
    capsys: pytest.CaptureFixture[str], tape: Path, book: Path, tmp_path: Path
) -> None:
    wide = tmp_path / "wide.toml"
    bands = "\n".join(
        f"{row} = {{trigger = [-1e9, 1e9], landing = [-1e8, 1e8]}}"
        for row in ("delta_usd", "gamma_usd_per_1pct", "vega_usd_per_point")
    )
    policy = "[policy]\nwhen = {calendar = {every_min = 30, grace_s = 1800}}\n"
    wide.write_text(f"{UTILITY}{policy}[bands.'*']\n{bands}\n")
    document = ticket(capsys, tape, book, "--config", wide)
    assert not any(row["breached"] for row in document["rows"])
    assert document["status"] == "hedge" and document["trades"]
    check_objective(document)
    wide.write_text(f"{UTILITY}[bands.'*']\n{bands}\n")  # nothing is due
    document = ticket(capsys, tape, book, "--config", wide)
    assert document["status"] == "no_trade" and document["objective"] == {"mode": "utility"}


def test_lean_is_said_in_the_ticket(
    capsys: pytest.CaptureFixture[str], tape: Path, book: Path, tmp_path: Path
) -> None:
    lean = tmp_path / "lean.toml"
    lean.write_text("[objective]\nlean_spot_vol = true\n[risk_term]\nstep_h = 6.0\n")
    document = ticket(capsys, tape, book, "--config", lean)
    assert any("delta target of BTC leans by" in text for text in document["assumptions"])
    plain = ticket(capsys, tape, book)
    rows = [next(r for r in d["rows"] if r["row"] == "delta:BTC") for d in (document, plain)]
    assert rows[0]["trigger"] != rows[1]["trigger"]


@pytest.mark.parametrize(
    "text",
    [
        "[objective]\nmode = 'risk'\n",
        "[objective]\nrisk_aversion = 0\n",
        "[objective]\njump = {size = 1.0}\n",
        "[objective]\nhorizon_h = -3\n",
        "[risk_term]\ncorrelation = 1.0\n",
        "[risk_term]\nstep_h = nan\n",
    ],
)
def test_senseless_settings_are_refused(
    capsys: pytest.CaptureFixture[str], tape: Path, book: Path, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    ran = hedger(capsys, "plan", "--book", book, "--market", tape, "--config", path)
    refused(ran, "CONFIG_INVALID")
