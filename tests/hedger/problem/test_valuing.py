"""How a desk values options: which vol, which delta, what the regression has learned, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hedger.problem.valuing import (
    DeltaHistory,
    coefficients,
    delta_rule_said,
    learn,
    option_marks,
    valuation_rules,
)
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND
from pricing.flat import FloatArray
from pricing.market import Market
from pricing.surface import FitStatus
from pricing.universe import Universe
from pricing.valuation import MarkStatus, Valuation, VolSource, value
from tests.builders import NAN, NOW_NS, Quote, listing, market_of, option, perpetual, plain_black
from tests.hedger.command_line import Json, exposures, hedger, refused, ticket
from tests.pricing.test_surface import chain, quote, smile_of, terms, vol_of

F = 60_000.0
HOUR_NS = 3600 * NS_PER_SECOND


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def greeks(strike: float, years: float, vol: float, sign: int) -> tuple[float, float, float]:
    """Delta, vega and theta by differences of the textbook's price."""

    def price(forward: float = F, t: float = years, v: float = vol) -> float:
        return plain_black(forward, strike, t, v, sign)

    return (
        (price(F + 6.0) - price(F - 6.0)) / 12.0,
        (price(v=vol + 1e-4) - price(v=vol - 1e-4)) / 2e-4,
        -(price(t=years * 1.001) - price(t=years * 0.999)) / (0.002 * years),
    )


# ----------------------------------------------------------------------------------------------- option marks
@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize("size", ["1", "0.01"])
def test_marks_are_per_coin_and_of_the_forward(inverse: bool, size: str) -> None:
    """Whatever the settlement and the size of the unit; index and forward 1 % apart."""
    quotes = [replace(q, index=F / 1.01) for q in chain(30.0, inverse=inverse, count=9, width=1.5)]
    quotes = [
        replace(q, listing=listing(q.listing.contract, f"O{i}", size=size)) for i, q in enumerate(quotes)
    ]
    marks = option_marks(value(market_of(quotes), 600.0))
    for i, q in enumerate(quotes):
        strike, right = terms(q)
        sign, years = 1 if right == "C" else -1, 30 / 365
        delta, vega, theta = greeks(strike, years, q.mark_iv, sign)
        assert marks.value[i] == pytest.approx(plain_black(F, strike, years, q.mark_iv, sign), rel=1e-9)
        assert marks.delta[i] == pytest.approx(delta, abs=1e-7)
        assert marks.vega[i] == pytest.approx(vega, rel=1e-5)
        assert marks.theta[i] == pytest.approx(theta, rel=1e-5)
        assert (marks.forward[i], marks.vol[i], marks.sign[i]) == (F, q.mark_iv, sign)
        assert marks.years[i] == pytest.approx(years, rel=1e-12)


def test_what_is_no_option_or_has_no_mark_is_unknown() -> None:
    known = chain(30.0, count=5)[0]
    settling = Quote(  # a quarter of an hour to go: part of its settlement price is known
        listing(option(F, "C", 0.25 / 24)), mark_iv=0.5, forward=F, index=F
    )
    future = Quote(listing(perpetual()), bid=F, ask=F + 1, mark=F, index=F)
    unmarked = replace(known, listing=listing(option(61_000.0, "C", 30.0)), mark=NAN, mark_iv=NAN, bid=NAN)
    market = market_of([known, settling, future, unmarked])
    marks = option_marks(value(market, 600.0))
    assert value(market, 600.0).status.tolist()[1] == MarkStatus.OK
    for name in ("value", "delta", "vega", "theta", "forward", "years", "vol"):
        assert np.isnan(getattr(marks, name)).tolist() == [False, True, True, True], name


# ------------------------------------------------------------------------------------------------- regression
def history_of(markets: list[Market], own: Settings) -> DeltaHistory:
    history = DeltaHistory()
    for market in markets:
        history = learn(history, market, own)
    return history


def walk(steps: int, seed: int = 5) -> tuple[list[Market], list[list[tuple[float, float, float, float]]]]:
    """Markets six hours apart; and per market and option: strike, years, vol, forward."""
    rng = np.random.default_rng(seed)
    base = [*chain(30.0, count=15, width=1.8), *chain(90.0, count=15, width=1.8)]
    days = [30.0] * 30 + [90.0] * 30
    markets, truth = [], []
    forward, level = F, 0.0
    for step in range(steps):
        hours = 6.0 * step
        quotes, rows = [], []
        for q, own in zip(base, days, strict=True):
            strike, right = terms(q)
            vol = vol_of(smile_of(own), strike, own, forward) + level + 0.002 * rng.normal()
            left = own - hours / 24
            quotes.append(replace(quote(strike, right, left, vol, forward=forward), listing=q.listing))
            rows.append((strike, left / 365, vol, forward))
        markets.append(market_of(quotes, NOW_NS + round(hours * HOUR_NS)))
        truth.append(rows)
        move = 0.02 * rng.normal()
        forward *= math.exp(move)
        level += -1.5 * move + 0.002 * rng.normal()
    return markets, truth


def regression(truth: list[list[tuple[float, float, float, float]]], sign: int) -> tuple[FloatArray, int]:
    """Hull and White's coefficients by numpy, from prices and differences of the textbook's formula."""
    x, y = [], []
    for first, second in pairwise(truth):
        for i in range(0 if sign > 0 else 1, len(first), 2):
            strike, years, vol, forward = first[i]
            _, later, after_vol, moved = second[i]

            def price(f: float, t: float, v: float, k: float = strike) -> float:
                return plain_black(f, k, t, v, sign)

            delta = (price(forward + 6, years, vol) - price(forward - 6, years, vol)) / 12
            if not 0.02 <= abs(delta) <= 0.98:
                continue
            vega = (price(forward, years, vol + 1e-4) - price(forward, years, vol - 1e-4)) / 2e-4
            theta = -(price(forward, years * 1.001, vol) - price(forward, years * 0.999, vol)) / (
                0.002 * years
            )
            left = price(moved, later, after_vol) - price(forward, years, vol)
            left -= delta * (moved - forward) + theta * (years - later)
            scale = vega / math.sqrt(years) * (moved / forward - 1.0) / forward
            x.append([scale, scale * delta, scale * delta * delta])
            y.append(left / forward)
    return np.linalg.lstsq(np.array(x), np.array(y), rcond=None)[0], len(y)


MARKETS, TRUTH = walk(12)


def test_coefficients_are_learned_from_the_markets_seen() -> None:
    own = settings(minimum_variance={"pairs_min": 3, "snapshots_min": 1})
    found = coefficients(history_of(MARKETS, own), MARKETS[-1].now_ns, own)
    assert found.keys() == {("BTC", 1), ("BTC", -1)}
    for sign in (1, -1):
        wanted, pairs = regression(TRUTH, sign)
        ours = found["BTC", sign]
        assert (ours.a, ours.b, ours.c) == pytest.approx(wanted, rel=1e-3, abs=1e-4)
        assert (ours.pairs, ours.snapshots) == (pairs, 11)
        middle = 0.5 * sign
        assert ours.a + middle * (ours.b + middle * ours.c) < 0.0  # vols fall as the forward rises


def test_what_is_older_than_the_window_is_forgotten() -> None:
    own = settings(minimum_variance={"pairs_min": 3, "snapshots_min": 1, "window_days": 1.0})
    history = history_of(MARKETS, own)
    assert {len(seen) for seen in history.equations.values()} == {4}  # six hours apart
    found = coefficients(history, MARKETS[-1].now_ns, own)
    wanted, pairs = regression(TRUTH[-5:], 1)
    assert (found["BTC", 1].a, found["BTC", 1].b, found["BTC", 1].c) == pytest.approx(
        wanted, rel=2e-3, abs=1e-3
    )
    assert found["BTC", 1].pairs == pairs


def test_too_little_seen_is_nothing_learned() -> None:
    count = regression(TRUTH, 1)[1]
    for key, enough, short in (("pairs_min", count, count + 1), ("snapshots_min", 11, 12)):
        for least, known in ((enough, True), (short, False)):
            own = settings(minimum_variance={"pairs_min": 3, "snapshots_min": 1} | {key: least})
            found = coefficients(history_of(MARKETS, own), MARKETS[-1].now_ns, own)
            assert (("BTC", 1) in found) == known
    assert coefficients(DeltaHistory(), NOW_NS, Settings()) == {}


def test_another_universe_starts_new_pairs_but_keeps_what_was_learned() -> None:
    own = settings(minimum_variance={"pairs_min": 3, "snapshots_min": 1})
    history = history_of(MARKETS, own)
    other = learn(history, market_of(chain(30.0, count=7), MARKETS[-1].now_ns), own)
    assert other.equations == history.equations
    assert other.last is not None and other.last.value.shape == (14,)


# ---------------------------------------------------------------------------------------------- vols by order
def one_unquoted(**known: float) -> list[Quote]:
    """A chain at 50 %, one of whose options is only known by what is given."""
    quotes = chain(30.0, smile_of(30.0, rho=0.0, eta=0.2))
    nothing: dict[str, Any] = {"mark": NAN, "mark_iv": NAN, "bid": NAN, "ask": NAN}
    return [replace(quotes[20], **(nothing | known)), *quotes[:20], *quotes[21:]]


AT = one_unquoted()[0]
MARK = quote(*terms(AT), 30.0, 0.40).mark
MID = quote(*terms(AT), 30.0, 0.45)
EVERYTHING = {"mark_iv": 0.35, "mark": MARK, "bid": MID.bid, "ask": MID.ask}
SEEN = {
    VolSource.VENUE_MARK: (("mark_iv",), 0.35),
    VolSource.IMPLIED_MARK: (("mark",), 0.40),
    VolSource.IMPLIED_MID: (("bid", "ask"), 0.45),
    VolSource.SURFACE: ((), 0.50),
}


@pytest.mark.parametrize(
    "order",
    [
        ["venue_mark", "implied_mark", "implied_mid", "surface"],
        ["surface", "venue_mark"],
        ["implied_mid", "surface", "implied_mark"],
        ["implied_mark", "venue_mark"],
    ],
    ids=" ".join,
)
def test_a_vol_is_the_first_known_of_the_order(order: list[str]) -> None:
    """What each source says differs; take away the first, and the next is asked."""
    own = settings(vol_order=order)
    left = dict(EVERYTHING)
    for source in own.vol_order:
        market = market_of(one_unquoted(**left))
        found = value(market, 600.0, valuation_rules(market, own))
        assert found.vol_source[0] == source
        assert found.vol[0] == pytest.approx(SEEN[source][1], abs=5e-3)
        for name in SEEN[source][0]:
            left.pop(name)
        if source == VolSource.SURFACE:
            return
    market = market_of(one_unquoted(**left))
    assert value(market, 600.0, valuation_rules(market, own)).status[0] == MarkStatus.NO_VOL


def test_by_default_nobody_speaks_for_an_option_that_is_not_quoted() -> None:
    market = market_of(one_unquoted())
    assert value(market, 600.0, valuation_rules(market, Settings())).status[0] == MarkStatus.NO_VOL


def test_the_surface_is_fitted_only_where_it_is_asked_for() -> None:
    known, unknown = market_of(chain(30.0)), market_of(one_unquoted())
    last = settings(vol_order=["venue_mark", "surface"])
    assert valuation_rules(known, Settings()).surface is None
    assert valuation_rules(unknown, Settings()).surface is None
    assert valuation_rules(known, last).surface is None
    assert valuation_rules(unknown, last).surface is not None
    assert valuation_rules(known, settings(vol_order=["surface", "venue_mark"])).surface is not None
    assert valuation_rules(known, settings(delta_rule="minimum_variance")).surface is None
    for rule in ("sticky_moneyness", "sticky_tree"):
        surface = valuation_rules(known, settings(delta_rule=rule)).surface
        assert surface is not None
        again = valuation_rules(known, settings(delta_rule=rule), before=surface).surface
        assert again is not None and again.smiles["BTC"][0].status == FitStatus.CARRIED


# ----------------------------------------------------------------------------------------- what is said of it
def said(
    rule: str, quotes: list[Quote], history: DeltaHistory | None = None
) -> tuple[tuple[str, ...], Valuation]:
    own = settings(delta_rule=rule, minimum_variance={"pairs_min": 3, "snapshots_min": 1})
    market = market_of(quotes) if history is None else MARKETS[-1]
    rules = valuation_rules(market, own, history)
    valuation = value(market, 600.0, rules)
    held = np.zeros(len(market.universe), dtype=np.bool_)
    held[:6] = True
    return delta_rule_said(valuation, rules, held), valuation


def test_a_ticket_says_which_deltas_are_not_by_the_rule() -> None:
    assert said("black_scholes", chain(30.0))[0] == ()
    (line,) = said("sticky_tree", chain(30.0))[0]
    assert "sticky_tree: 6 of 6" in line
    first, second = said("minimum_variance", chain(30.0))[0]
    assert "minimum_variance: 0 of 6" in first
    assert second.startswith("6 options held keep their Black-Scholes delta")
    own = settings(minimum_variance={"pairs_min": 3, "snapshots_min": 1})
    lines, valuation = said("minimum_variance", [], history_of(MARKETS, own))
    assert "minimum_variance: 6 of 6" in lines[0]
    assert len(lines) == 3  # and the coefficients of calls and of puts
    plain = value(MARKETS[-1], 600.0)
    assert not np.isclose(valuation.usd.delta, plain.usd.delta).any()


# ----------------------------------------------------------------------------------------------- command line
def config(folder: Path, text: str) -> Path:
    path = folder / "desk.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ('delta_rule = "sticky"', "CONFIG_INVALID", "key delta_rule"),
        ('delta_rule = "Black_Scholes"', "CONFIG_INVALID", "key delta_rule"),
        ("delta_rule = 1", "CONFIG_INVALID", "key delta_rule"),
        ('vol_order = ["surface", "surface"]', "CONFIG_INVALID", "key vol_order"),
        ('vol_order = ["venue_mark", "none"]', "CONFIG_INVALID", "key vol_order"),
        ('vol_order = ["mark"]', "CONFIG_INVALID", "key vol_order"),
        ("vol_order = []", "CONFIG_INVALID", "key vol_order"),
        ('vol_order = "surface"', "CONFIG_INVALID", "key vol_order"),
        ("vol_order = [0]", "CONFIG_INVALID", "key vol_order"),
        ("vol_order = [1]", "CONFIG_INVALID", "key vol_order.0"),
        ("[minimum_variance]\nwindow_days = 0", "CONFIG_INVALID", "key minimum_variance.window_days"),
        ("[minimum_variance]\nwindow_days = inf", "CONFIG_INVALID", "key minimum_variance.window_days"),
        ("[minimum_variance]\npairs_min = 2", "CONFIG_INVALID", "key minimum_variance.pairs_min"),
        ("[minimum_variance]\npairs_min = 3.5", "CONFIG_INVALID", "key minimum_variance.pairs_min"),
        ("[minimum_variance]\nsnapshots_min = 0", "CONFIG_INVALID", "key minimum_variance.snapshots_min"),
        ("[minimum_variance]\ndays = 3", "CONFIG_UNKNOWN_KEY", "key minimum_variance.days"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    text: str, code: str, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, text)
    ran = hedger(capsys, "risk", "--config", path, "--book", "none", "--market", "none", "--json")
    assert where in refused(ran, code)


def test_a_source_of_vols_goes_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the fault allows, and the default in the schema, are what the file takes."""
    names = ["venue_mark", "implied_mark", "implied_mid", "surface"]
    for wrong in ('"mid"', '"none"', "1"):
        ran = hedger(capsys, "config", "validate", "--config", config(tmp_path, f"vol_order = [{wrong}]"))
        assert ran.code == 1 and f"allowed: one of {', '.join(names)};" in ran.out
    shown = hedger(capsys, "config", "schema").json["properties"]["vol_order"]
    assert shown["default"] == names[:3] and shown["items"]["enum"] == names
    assert settings(vol_order=shown["default"]).vol_order == Settings().vol_order


def deltas(document: Json) -> dict[str, float]:
    return {p["symbol"]: p["delta"] for p in document["positions"] if p["symbol"].endswith(("-C", "-P"))}


@pytest.mark.parametrize("rule", ["sticky_moneyness", "sticky_tree"])
def test_the_rule_of_the_settings_is_the_rule_of_the_exposures(
    rule: str, tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = exposures(capsys, tape, book)
    assert plain["delta_rule"] == {"rule": "black_scholes", "options": 5, "by_rule": 0, "coefficients": []}
    ours = exposures(capsys, tape, book, "--config", config(tmp_path, f'delta_rule = "{rule}"'))
    assert ours["delta_rule"] == {"rule": rule, "options": 5, "by_rule": 5, "coefficients": []}
    for symbol, delta in deltas(ours).items():
        assert delta != pytest.approx(deltas(plain)[symbol], rel=1e-4), symbol
    for name in ("gamma", "vega", "theta"):
        for one, other in zip(ours["underlyings"], plain["underlyings"], strict=True):
            assert one[name] == other[name]


def test_sticky_rules_move_deltas_apart_from_black_scholes_to_both_sides(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """dσ/dF is −(K/F) dσ/dK under one, +dσ/dK under the other: what they add has the ratio −K/F."""
    plain = deltas(exposures(capsys, tape, book))
    rules = ("sticky_moneyness", "sticky_tree")
    moneyness, tree = (
        deltas(exposures(capsys, tape, book, "--config", config(tmp_path, f'delta_rule = "{rule}"')))
        for rule in rules
    )
    document = exposures(capsys, tape, book)
    forward = {(e["underlying"], e["expiry"][:10]): e["forward"] for e in document["expiries"]}
    days = {"27MAR26": "2026-03-27", "24APR26": "2026-04-24", "3MAR26": "2026-03-03", "26JUN26": "2026-06-26"}
    for symbol, delta in plain.items():
        coin, day, strike, _ = symbol.split("-")
        ratio = (moneyness[symbol] - delta) / (tree[symbol] - delta)
        assert ratio == pytest.approx(-float(strike) / forward[coin, days[day]], rel=1e-6)


def test_what_was_not_learned_is_said_and_hedged_as_black_scholes(
    tape: Path, book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two intervals are too few for the default window; a window that asks for less has its coefficients."""
    path = config(tmp_path, 'delta_rule = "minimum_variance"')
    plain, ours = exposures(capsys, tape, book), exposures(capsys, tape, book, "--config", path)
    assert ours["delta_rule"] == {"rule": "minimum_variance", "options": 5, "by_rule": 0, "coefficients": []}
    assert ours["rows"] == plain["rows"]
    plan = ticket(capsys, tape, book, "--config", path)
    assert any("5 options held keep their Black-Scholes delta" in line for line in plan["assumptions"])
    for verb in ("plan", "risk"):
        shown = hedger(capsys, verb, "--book", book, "--market", tape, "--config", path)
        words = " ".join(shown.out.replace("│", " ").split())
        assert "deltas by minimum_variance: 0 of 5 options held" in words
        assert "5 options held keep their Black-Scholes delta: coefficients unknown" in words
        assert "BTC index degraded: 1 source of 2" in words
        assert "deltas by" not in hedger(capsys, verb, "--book", book, "--market", tape).out
    few = config(
        tmp_path, 'delta_rule = "minimum_variance"\n[minimum_variance]\npairs_min = 3\nsnapshots_min = 2'
    )
    known = exposures(capsys, tape, book, "--config", few)["delta_rule"]
    assert known["by_rule"] == 5
    assert [(c["underlying"], c["right"]) for c in known["coefficients"]] == [
        ("BTC", "put"), ("BTC", "call"), ("ETH", "put"), ("ETH", "call"),
    ]  # fmt: skip
    assert all(c["snapshots"] == 2 and math.isfinite(c["a"]) for c in known["coefficients"])


def test_options_of_another_universe_are_not_paired() -> None:
    """As many options, others: what was one option's change of vol would be the difference of two options."""
    markets, _ = walk(3)
    last, own = markets[-1], settings()
    renamed = [replace(x, symbol=f"X{i}") for i, x in enumerate(last.universe.listings)]
    other = replace(last, universe=Universe.of(renamed), now_ns=last.now_ns + 60 * 10**9)
    before = history_of(markets, own)
    assert learn(before, other, own).equations == before.equations
    assert learn(before, replace(last, now_ns=other.now_ns), own).equations != before.equations
