"""Bands that follow what hedging costs, on books in markets: widths, middles, floors, regimes, tickets."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hedger.planning import PlanStatus, make_plan
from hedger.problem.live_bands import index_history
from hedger.problem.snapshot import Snapshot, take_snapshot
from hedger.settings import Settings
from pricing.market import ForwardKind, Market, Marks
from pricing.universe import Universe
from pricing.valuation import Numeraire
from risk.band_rules import AppliedBand
from risk.band_schedule import PriceHistory
from risk.band_widths import hedge_error_usd_per_day, mixed_policy, zakamouline
from risk.bands import landing, whalley_wilmott
from risk.book import Book, CashKey, Position
from tests.builders import (
    NOW_NS,
    Quote,
    listing,
    market_of,
    marks_of,
    option,
    perpetual,
    plain_black,
)
from tests.hedger.command_line import exposures, hedger, ticket

S = 50_000.0
VOL = 0.6
PERP = Quote(
    listing(perpetual(), lot="10", taker="0.0005"),
    S - 2.5,
    S + 2.5,
    S,
    index=S,
    bid_size=1e9,
    ask_size=1e9,
)
RATE = 5.5e-4  # half a spread of 5 in 50,000, and the fee
LOT = 10 / S


def call(strike: float, days: float = 30.0, right: str = "C", *, inverse: bool = True, s: float = S) -> Quote:
    value = plain_black(s, strike, days / 365, VOL, 1 if right == "C" else -1) / (s if inverse else 1.0)
    contract = listing(option(strike, right, days, inverse=inverse))
    return Quote(contract, value * 0.98, value * 1.02, value, VOL, s, s, forward_kind=ForwardKind.SYNTHETIC)


ATM, UP, PUT = call(50_000.0), call(60_000.0), call(48_000.0, right="P", inverse=False)
WW = {"width": "whalley_wilmott", "risk_aversion": 1e-4, "uncertainty_sds": 0}


def book_of(*positions: tuple[Quote, object], **cash: object) -> Book:
    held = [Position(quote.listing, "", Decimal(str(quantity))) for quote, quantity in positions]
    balances: dict[CashKey, Decimal] = {("deribit", "", name): Decimal(str(x)) for name, x in cash.items()}
    return Book.of(held, balances)


def chosen(band: dict[str, Any], key: str = "delta_usd", **more: Any) -> Settings:
    return Settings.model_validate({"bands": {"BTC": {key: band}}} | more)


def market(*more: Quote, perp: Quote = PERP, now_ns: int = NOW_NS) -> Market:
    quotes = {q.listing.key: q for q in (ATM, UP, PUT, perp, *more)}
    return market_of(list(quotes.values()), now_ns)


def seen(book: Book, settings: Settings, where: Market | None = None, **more: Any) -> Snapshot:
    return take_snapshot(book, market() if where is None else where, settings, **more)


def band_of(snapshot: Snapshot, row: str = "delta:BTC") -> tuple[AppliedBand, float, float, float]:
    """Where a row's band comes from, its middle, trigger and landing half widths (symmetric to rounding)."""
    i = snapshot.exposure.rows.index(row)
    bands, applied = snapshot.bands, snapshot.band_rules[i]
    assert applied is not None
    middle = float(bands.target[i])
    trigger, inner = float(bands.trigger_upper[i]) - middle, float(bands.landing_upper[i]) - middle
    assert float(bands.trigger_lower[i]) == pytest.approx(middle - trigger, abs=1e-9)
    assert float(bands.landing_lower[i]) == pytest.approx(middle - inner, abs=1e-9)
    return applied, middle, trigger, inner


def net_gamma(snapshot: Snapshot) -> float:
    return snapshot.exposure.row("gamma:BTC") + snapshot.exposure.row("gamma_expiring:BTC")


# -------------------------------------------------------------------------------------- Whalley and Wilmott
def test_the_band_of_a_book_is_the_formula_on_its_net_gamma_and_live_costs() -> None:
    snapshot = seen(book_of((ATM, -20)), chosen(WW))
    applied, middle, trigger, inner = band_of(snapshot)
    w = (1.5 * RATE * S * net_gamma(snapshot) ** 2 / 1e-4) ** (1 / 3)
    assert applied.rule == "whalley_wilmott" and applied.risk_aversion == 1e-4
    assert applied.cost_rate == pytest.approx(RATE, rel=1e-4)
    x, y = mixed_policy(LOT / 2 / w)
    assert (middle, trigger, inner) == pytest.approx((0.0, w * float(x), w * float(y)), rel=1e-4)
    assert applied.half_width == pytest.approx(trigger)
    assert applied.error_usd_per_day == pytest.approx(
        hedge_error_usd_per_day(trigger, inner, S, VOL), rel=1e-3
    )


def test_net_gamma_counts_not_gross() -> None:
    """Sold and owned options whose gammas almost cancel: the band of the rest, not of the sum."""
    settings = chosen(WW, costs={"holding_h": 0})  # without the floor by holding time
    one = band_of(seen(book_of((ATM, -10)), settings))[2]
    spread = seen(book_of((ATM, -110), (PUT, 110)), settings)
    gross = band_of(seen(book_of((ATM, -220)), settings))[2]
    net = band_of(spread)[2]
    assert abs(net_gamma(spread)) < 0.05 * 220 * 5e-5
    assert net < 0.3 * gross
    ratio = abs(net_gamma(spread) / net_gamma(seen(book_of((ATM, -10)), settings)))
    assert net / one == pytest.approx(ratio ** (2 / 3), rel=0.05)


@pytest.mark.parametrize("numeraire", list(Numeraire))
def test_a_hundred_times_the_book_has_a_band_of_100_to_the_two_thirds(numeraire: Numeraire) -> None:
    settings = chosen(WW, costs={"holding_h": 0}, numeraire=numeraire)
    fine = market(perp=replace(PERP, listing=listing(perpetual(), lot="0.00001", taker="0.0005")))
    one, many = (band_of(seen(book_of((ATM, -q)), settings, fine))[2] for q in (10, 1000))
    assert many / one == pytest.approx(100 ** (2 / 3), rel=1e-3)


def test_a_coin_desks_width_follows_what_its_own_delta_does() -> None:
    """Coin numeraire, hedged: the delta's change for a relative move, by valuing again, over the index, is
    the gamma of the formula."""
    step = 1e-4
    settings = chosen(WW, costs={"holding_h": 0}, numeraire="coin")
    hedge = seen(book_of((ATM, -40)), settings).exposure.row("delta:BTC")
    book = book_of((ATM, -40), (PERP, round(-hedge * S)))

    def delta(move: float) -> float:
        s = S * (1 + move)
        quotes = [replace(q, forward=s, index=s, mark=math.nan) for q in (ATM, UP, PUT)]
        perp = replace(PERP, bid=s - 2.5, ask=s + 2.5, mark=s, index=s)
        return seen(book, settings, market_of([*quotes, perp])).exposure.row("delta:BTC")

    assert abs(delta(0.0)) < 1e-4
    gamma = (delta(step) - delta(-step)) / (2 * step) / S
    applied, _, trigger, _ = band_of(seen(book, settings))
    w = (1.5 * applied.cost_rate * S * gamma**2 / 1e-4) ** (1 / 3)
    x, _ = mixed_policy(LOT / 2 / w)
    assert trigger == pytest.approx(w * float(x), rel=1e-4)


def test_a_deeper_trade_costs_more_and_widens_the_band() -> None:
    """The rate is that of a trade of the band's own size: through thin depth it is dearer than the touch."""
    deep = replace(
        PERP, bids=[(S - 2.5, 1000.0), (S - 102.5, 1e9)], asks=[(S + 2.5, 1000.0), (S + 102.5, 1e9)]
    )
    book = book_of((ATM, -1000))
    thin = band_of(seen(book, chosen(WW), market(perp=deep)))
    touch = band_of(seen(book, chosen(WW)))
    assert thin[0].cost_rate == pytest.approx(5e-4 + 102.5 / S, rel=0.01)
    assert thin[2] / touch[2] == pytest.approx((thin[0].cost_rate / RATE) ** (1 / 3), rel=0.01)


def test_the_desk_may_name_the_cost() -> None:
    own = band_of(seen(book_of((ATM, -20)), chosen(WW | {"cost_rate_bps": 44})))
    live = band_of(seen(book_of((ATM, -20)), chosen(WW)))
    assert own[0].cost_rate == pytest.approx(44e-4)
    assert own[2] / live[2] == pytest.approx(2.0, rel=0.02)  # 8 times the cost


# --------------------------------------------------------------------------------------------------- floors
def test_a_band_does_not_fall_below_a_lot() -> None:
    wide = replace(PERP, listing=listing(perpetual(), lot="5000", taker="0.0005"))
    applied, _, trigger, inner = band_of(
        seen(book_of((ATM, "-0.1")), chosen(WW | {"risk_aversion": 10.0}), market(perp=wide))
    )
    assert applied.floor == pytest.approx(0.1, rel=1e-3)
    assert "floored by a lot" in applied.why
    assert trigger >= 0.1 and inner <= trigger - 0.1 * (1 - 1e-3)


def test_a_band_does_not_fall_below_what_is_not_worth_its_cost_over_the_holding_time() -> None:
    """Without gamma: λ/(γ S σ² h)."""
    applied, _, trigger, _ = band_of(seen(book_of((PERP, 100)), chosen(WW | {"vol": VOL})))
    floor = RATE / (1e-4 * S * VOL**2 / 365)
    assert applied.floor == pytest.approx(floor, rel=1e-3) and floor <= trigger <= 1.2 * floor
    assert "holding time" in applied.why


def test_a_band_does_not_fall_below_what_is_not_known_of_the_delta() -> None:
    """2 sd of the delta when vols are 5 points and forwards 50 bp off, by valuing the book again."""
    up = call(70_000.0, 20)
    book = book_of((up, -300), (UP, -200))
    band = WW | {"risk_aversion": 10.0, "uncertainty_sds": 2.0}
    snapshot = seen(book, chosen(band, robust={"vol_error": 0.05, "forward_error_bps": 50}), market(up))
    applied, _, trigger, _ = band_of(snapshot)

    def delta(vol_up: float, forward: float) -> float:
        quotes = [replace(q, mark_iv=VOL + vol_up, forward=S * (1 + forward)) for q in (up, UP)]
        return seen(book, Settings(), market(*quotes)).exposure.row("delta:BTC")

    step = 1e-3
    by_vol = (delta(step, 0) - delta(-step, 0)) / (2 * step) * 0.05
    by_forward = (delta(0, step) - delta(0, -step)) / (2 * step) * 0.005
    assert applied.floor == pytest.approx(2 * math.hypot(by_vol, by_forward), rel=1e-2)
    assert trigger >= applied.floor and "not known of the delta" in applied.why
    fixed = {"trigger": [-10, 10], "landing": [-5, 5], "uncertainty_sds": 2.0}
    snapshot = seen(book, chosen(fixed, robust={"vol_error": 0.05, "forward_error_bps": 50}), market(up))
    assert band_of(snapshot)[2] == pytest.approx(applied.floor, rel=1e-9)


# --------------------------------------------------------------------------------- targets and hedge ratios
@pytest.mark.parametrize("width", [WW, {"trigger": [-10_000, 10_000], "landing": [-5_000, 5_000]}])
@pytest.mark.parametrize(("ratio", "sign"), [(r, s) for r in (0.0, 0.5, 1.0, 1.5) for s in (1, -1)])
def test_the_middle_leaves_the_part_of_the_options_that_is_not_hedged(
    width: dict[str, Any], ratio: float, sign: int
) -> None:
    """Options' delta +-D, perpetuals and coins beside it: the middle is target + (1 − ratio) D."""
    book = book_of((ATM, 30 * sign), (PERP, -200_000), BTC=2)
    snapshot = seen(book, chosen(width | {"hedge_ratio": ratio, "target": 25_000}))
    options = seen(book_of((ATM, 30 * sign)), Settings()).exposure.row("delta:BTC")
    assert sign * options > 10
    assert band_of(snapshot)[1] == pytest.approx(25_000 / S + (1 - ratio) * options, rel=1e-9)


@pytest.mark.parametrize(("ratio", "sign"), [(0.5, 1), (0.5, -1), (1.5, 1), (1.5, -1), (0.0, 1)])
def test_a_plan_hedges_that_share_and_then_rests(ratio: float, sign: int) -> None:
    settings = (
        chosen(WW | {"hedge_ratio": ratio}) if ratio else chosen(WW | {"hedge_ratio": ratio, "vol": VOL})
    )
    open_bands: dict[str, Any] = {"trigger": {}, "landing": {}}
    bands = settings.model_dump()["bands"]["BTC"]["delta_usd"]
    settings = Settings.model_validate(
        {
            "bands": {
                "BTC": {
                    "delta_usd": {k: v for k, v in bands.items() if v is not None},
                    "gamma_usd_per_1pct": open_bands,
                    "vega_usd_per_point": open_bands,
                }
            }
        }
    )
    book = book_of((ATM, 30 * sign))
    before = seen(book, settings)
    options = before.exposure.row("delta:BTC")
    plan = make_plan(before, settings)
    traded = sum(float(t.quantity) * t.side.sign for t in plan.trades) / S
    inner = band_of(before)[3]
    if ratio == 0.0:
        assert traded == 0.0
        return
    # to the nearer edge of the landing: a little less than the share
    assert -traded * sign == pytest.approx(ratio * abs(options) - inner, abs=2.5 * LOT)
    after = seen(book_of((ATM, 30 * sign), (PERP, round(traded * S, -1))), settings)
    assert not after.bands.breached(after.exposure.value)[0]
    assert make_plan(after, settings).trades == ()


# ---------------------------------------------------------------------------------------------- Zakamouline
def test_zakamoulines_band_lies_around_the_delta_at_his_vol() -> None:
    for sign in (-1, 1):
        book = book_of((ATM, 20 * sign), (UP, 5 * sign))
        snapshot = seen(book, chosen(WW | {"width": "zakamouline"}))
        applied, middle, trigger, _ = band_of(snapshot)
        band = zakamouline(net_gamma(snapshot), S, applied.cost_rate, 1e-4, VOL, 30 / 365)
        assert trigger == pytest.approx(float(band.half_width), rel=0.06)  # and a little by the lot
        vol = VOL * float(band.vol_factor)
        there = [replace(q, mark_iv=vol) for q in (ATM, UP)]
        shift = seen(book, Settings(), market(*there)).exposure.row("delta:BTC") - snapshot.exposure.row(
            "delta:BTC"
        )
        # hedged against the delta at his vol: what the row shows then is minus the difference
        assert middle == pytest.approx(-shift, rel=1e-6)
        assert (vol > VOL) == (sign < 0)


def test_zakamouline_is_refused_for_gammas_of_both_signs() -> None:
    """Looked at with Whalley and Wilmott's band, which is what stands in, and not traded on."""
    settings, book = chosen(WW | {"width": "zakamouline"}), book_of((ATM, -20), (UP, 1))
    snapshot = seen(book, settings)
    applied, *band = band_of(snapshot)
    assert applied.rule == "whalley_wilmott" and "both signs" in applied.refused
    assert applied.why.startswith("zakamouline refused: gammas of both signs")
    assert band == list(band_of(seen(book, chosen(WW)))[1:])
    plan = make_plan(snapshot, settings)
    assert plan.status is PlanStatus.BLOCKED and not plan.trades
    assert "delta:BTC" in plan.reason and "both signs" in plan.reason
    free = make_plan(seen(book, chosen(WW)), chosen(WW))
    assert free.trades  # the book does need a hedge
    # long and short of one listing are one position
    assert band_of(seen(book_of((ATM, -20)), chosen(WW | {"width": "zakamouline"})))[2] > 0


# ---------------------------------------------------------------------------------------------- risk budget
def test_a_budget_is_solved_for_and_solved_again() -> None:
    """The band's error is the budget, the aversion shown asks for its width, and it moves with the coin."""
    budget = {"width": "risk_budget", "error_usd_per_day": 2_000.0, "uncertainty_sds": 0}
    aversions = []
    for s in (50_000.0, 55_000.0):
        quotes = [call(50_000.0, s=s), call(60_000.0, s=s), call(48_000.0, right="P", inverse=False, s=s)]
        perp = replace(PERP, bid=s - 2.5, ask=s + 2.5, mark=s, index=s)
        snapshot = seen(book_of((ATM, -40)), chosen(budget), market(*quotes, perp=perp))
        applied, _, trigger, inner = band_of(snapshot)
        assert hedge_error_usd_per_day(trigger, inner, s, VOL) == pytest.approx(2_000.0, rel=1e-3)
        assert applied.error_usd_per_day == pytest.approx(2_000.0, rel=1e-6)
        w = whalley_wilmott(net_gamma(snapshot), s, applied.cost_rate, applied.risk_aversion)
        assert [float(p) for p in landing(w, s, applied.cost_rate, lot=10 / s)] == pytest.approx(
            [trigger, inner], rel=1e-6
        )
        aversions.append(applied.risk_aversion)
    assert aversions[0] != pytest.approx(aversions[1], rel=0.05)


def test_a_budget_is_a_ceiling() -> None:
    """What would widen it does not; what tightens it does; a floor that breaks it is said."""
    budget = {"width": "risk_budget", "error_usd_per_day": 2_000.0, "uncertainty_sds": 0}
    book = book_of((ATM, -40))
    plain = band_of(seen(book, chosen(budget)))[2]
    for factor, expected in ((3.0, 1.0), (0.5, 0.5)):
        windows = {"windows": [{"begin": "00:00", "end": "24:00", "factor": factor}]}
        assert band_of(seen(book, chosen(budget | windows)))[2] == pytest.approx(expected * plain, rel=0.02)
    wide = replace(PERP, listing=listing(perpetual(), lot="50000", taker="0.0005"))
    applied = band_of(seen(book, chosen(budget | {"error_usd_per_day": 100.0}), market(perp=wide)))[0]
    assert "above the budget of 100" in applied.why


# ---------------------------------------------------------------------------------------- what is not known
def test_without_a_cost_the_default_band_stands_in_and_says_so() -> None:
    for perp in (replace(PERP, age_s=700.0), replace(PERP, ask=math.nan)):
        applied, _, trigger, inner = band_of(
            seen(book_of((ATM, -20), BTC=1), chosen(WW | {"hedge_ratio": 1.0}), market(perp=perp))
        )
        assert applied.rule == "fixed" and "cost is unknown" in applied.why
        assert (trigger, inner) == pytest.approx((100_000 / S, 50_000 / S))
    own = chosen(WW | {"cost_rate_bps": 5})  # a rate, and nothing to trade at it
    assert band_of(seen(book_of((ATM, -20)), own, market_of([ATM])))[0].rule == "fixed"
    denied = chosen(WW, universe={d: {"kinds": ["perpetual"]} for d in ("deny_buy", "deny_sell")})
    assert band_of(seen(book_of((ATM, -20)), denied))[0].rule == "fixed"


def test_without_a_vol_a_budget_stands_in() -> None:
    budget = {"width": "risk_budget", "error_usd_per_day": 2_000.0}
    bare = market_of([PERP])
    assert "no option tells the vol" in band_of(seen(book_of((PERP, 100)), chosen(budget), bare))[0].why
    own = band_of(seen(book_of((PERP, 100)), chosen(budget | {"vol": VOL}), bare))[0]
    assert own.rule == "risk_budget" and math.isnan(own.risk_aversion)  # no gamma: no aversion asks for it


def test_without_an_index_there_is_no_band() -> None:
    blind = market_of([replace(q, index=math.nan) for q in (ATM, PERP)])
    assert set(seen(book_of((ATM, -20)), chosen(WW), blind).band_rules) == {None}


# --------------------------------------------------------------------------------------- scaled fixed bands
FIXED = {"trigger": [-100_000, 50_000], "landing": [-50_000, 20_000]}


def scaled(factor: float) -> dict[str, Any]:
    return {"windows": [{"begin": "00:00", "end": "24:00", "factor": factor}]}


def test_a_fixed_band_scales_on_both_sides_and_keeps_a_lot_of_room() -> None:
    book = book_of((ATM, -1))
    for factor in (0.5, 2.0):
        b = seen(book, chosen(FIXED | scaled(factor))).bands
        got = [float(x[0]) for x in (b.trigger_lower, b.landing_lower, b.landing_upper, b.trigger_upper)]
        assert got == pytest.approx([x * factor / S for x in (-100_000, -50_000, 20_000, 50_000)])
    snapshot = seen(book, chosen(FIXED | scaled(1e-6)))
    b, applied = snapshot.bands, snapshot.band_rules[0]
    assert applied is not None and "floored by a lot" in applied.why
    assert float(b.trigger_upper[0]) == pytest.approx(LOT, rel=1e-3)
    assert (float(b.landing_lower[0]), float(b.landing_upper[0])) == (0.0, 0.0)
    assert make_plan(snapshot, chosen(FIXED | scaled(1e-6))).status  # there is room for a plan


def test_a_tenors_band_scales_with_the_totals() -> None:
    vega = {"trigger": [-5_000, 5_000], "landing": [-4_000, 4_000], "hedge_ratio": 0.5} | scaled(0.5)
    snapshot = seen(book_of((ATM, -100)), chosen(vega, "vega_usd_per_point"))
    rows = snapshot.exposure.rows
    value, total = snapshot.exposure.row("vega:BTC"), rows.index("vega:BTC")
    assert snapshot.bands.target[total] == pytest.approx(0.5 * value)
    assert snapshot.bands.trigger_upper[total] == pytest.approx(0.5 * value + 250_000)
    for name in rows:
        if name.startswith("vega:BTC:"):
            i = rows.index(name)
            assert (snapshot.bands.target[i], snapshot.bands.trigger_upper[i]) == pytest.approx(
                (0.0, 500_000)
            )


def test_an_expiry_that_comes_near_tightens_the_band() -> None:
    near = call(51_000.0, 0.5)
    band = FIXED | {"before_expiry": [{"hours": 24, "factor": 0.5}]}
    for book, factor in ((book_of((near, 1)), 0.5), (book_of((ATM, 1)), 1.0)):
        snapshot = seen(book, chosen(band), market(near))
        assert float(snapshot.bands.trigger_upper[0]) == pytest.approx(factor * 50_000 / S)


# ---------------------------------------------------------------------------------------------- vol regimes
def history(vol: float, hours: int = 200) -> dict[str, PriceHistory]:
    """Equal moves up and down, an hour apart, of a realised vol."""
    move = vol / math.sqrt(8760)
    prices = S * np.exp(move * (np.arange(hours + 1) % 2))
    stamps = NOW_NS - (hours - np.arange(hours + 1)) * 3600 * 10**9
    return {"BTC": PriceHistory(stamps.astype(np.int64), prices)}


def test_a_regime_follows_realised_over_implied_vol_with_hysteresis() -> None:
    settings = chosen(FIXED | {"regime": {"hysteresis": 0.2}})
    book = book_of((ATM, 1))
    before: dict[str, float] = {}
    for vol, factor in ((0.6, 1.0), (0.7, 1.0), (0.9, 1.5), (0.8, 1.5), (6.0, 2.0), (0.6, 1.0), (0.06, 0.5)):
        snapshot = seen(book, settings, history=history(vol), regimes=before)
        applied = snapshot.band_rules[0]
        assert applied is not None and applied.scale == pytest.approx(factor, rel=1e-6)
        assert float(snapshot.bands.trigger_upper[0]) == pytest.approx(factor * 50_000 / S, rel=1e-6)
        before = snapshot.regimes
        assert before == {"delta:BTC": pytest.approx(factor, rel=1e-6)}


def test_without_history_the_regime_is_not_applied_and_says_so() -> None:
    snapshot = seen(book_of((ATM, 1)), chosen(FIXED | {"regime": {}}), history=history(0.9, 20))
    applied = snapshot.band_rules[0]
    assert applied is not None and applied.scale == 1.0
    assert applied.why == "vol regime not applied: too little index history"
    assert snapshot.regimes == {}


def test_the_index_history_is_what_was_known() -> None:
    """The median of each batch in the window and of the last before it; nothing of what came later."""
    quotes = [ATM, UP, PERP]
    universe = Universe.of(q.listing for q in quotes)

    def batch(hours: float, *indexes: float) -> Marks:
        at = NOW_NS + round(hours * 3600) * 10**9
        return marks_of([replace(q, index=x) for q, x in zip(quotes, indexes, strict=True)], [0, 1, 2], at)

    batches = [
        batch(-40, 1, 1, 1),
        batch(-30, 48_000, 48_000, 48_000),
        batch(-2, 49_000, 50_000, 99_000),
        batch(-1, math.nan, math.nan, math.nan),
        batch(0, 51_000, math.nan, 53_000),
        batch(1, 7, 7, 7),
    ]
    found = index_history(batches, universe, NOW_NS, 24.0)
    known = found["BTC"]
    assert ((known.time_ns - NOW_NS) // (3600 * 10**9)).tolist() == [-30, -2, 0]
    assert known.price.tolist() == [48_000.0, 50_000.0, 52_000.0]
    cut = index_history(batches[:5], universe, NOW_NS, 24.0)["BTC"]
    assert np.array_equal(cut.time_ns, known.time_ns) and np.array_equal(cut.price, known.price)


# ----------------------------------------------------------------------------------------------- invariants
@examples(max_examples=60, deadline=None)
@given(
    positions=st.tuples(*[st.integers(-200, 200)] * 3),
    perp=st.integers(-50, 50),
    width=st.sampled_from(["whalley_wilmott", "risk_budget"]),
    appetite=st.floats(-8, 2),
    ratio=st.floats(0, 1.5),
    factor=st.floats(0.01, 100),
    numeraire=st.sampled_from(Numeraire),
)
def test_whatever_the_book_the_band_is_a_band(
    positions: tuple[int, int, int],
    perp: int,
    width: str,
    appetite: float,
    ratio: float,
    factor: float,
    numeraire: Numeraire,
) -> None:
    """Landing at least a lot inside trigger, both around the middle, floors kept, all of it numbers."""
    key = "risk_aversion" if width == "whalley_wilmott" else "error_usd_per_day"
    band = {"width": width, key: 10.0**appetite, "hedge_ratio": ratio} | scaled(factor)
    held = [(q, n) for q, n in zip((ATM, UP, PUT), positions, strict=True) if n]
    book = book_of(*held, (PERP, perp * 10_000), BTC=1)
    applied, middle, trigger, inner = band_of(seen(book, chosen(band, numeraire=numeraire)))
    assert applied.rule == width
    assert math.isfinite(middle) and 0 <= inner <= trigger - LOT * (1 - 1e-3)
    assert trigger >= applied.floor * (1 - 1e-9) and applied.floor >= LOT * (1 - 1e-3)


# ----------------------------------------------------------------------------------------- the command line
def config(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_documents_say_where_a_band_comes_from(
    capsys: pytest.CaptureFixture[str], tape: Path, book: Path, tmp_path: Path
) -> None:
    plain = exposures(capsys, tape, book)
    for row in plain["rows"]:
        if row["trigger"] is None:
            assert row["band"] is None
        else:
            assert row["band"]["rule"] == "fixed" and row["band"]["why"] == "as configured"
            assert row["band"]["cost_rate"] is row["band"]["risk_aversion"] is row["band"]["floor"] is None
            assert row["band"]["half_width"] == pytest.approx(row["trigger"][1])
    file = config(
        tmp_path / "desk.toml",
        '[bands."*"]\ndelta_usd = { width = "whalley_wilmott", risk_aversion = 1e-4 }\n',
    )
    for document, name in (
        (exposures(capsys, tape, book, "--config", file), "value"),
        (ticket(capsys, tape, book, "--config", file), "before"),
    ):
        rows = {row["row"]: row for row in document["rows"]}
        for coin in ("BTC", "ETH"):
            row = rows[f"delta:{coin}"]
            band = row["band"]
            assert band["rule"] == "whalley_wilmott" and band["risk_aversion"] == 1e-4
            assert 1e-5 < band["cost_rate"] < 2e-3
            assert row["trigger"] == pytest.approx([-band["half_width"], band["half_width"]])
            gamma = rows[f"gamma:{coin}"][name] + rows[f"gamma_expiring:{coin}"][name]
            index = next(u["index"] for u in plain["underlyings"] if u["underlying"] == coin)
            w = (1.5 * band["cost_rate"] * index * gamma**2 / 1e-4) ** (1 / 3)
            assert max(w, band["floor"]) <= band["half_width"] <= 1.6 * max(w, band["floor"])
    assert any(said.startswith("band of delta:BTC: whalley_wilmott") for said in document["assumptions"])
    assert document["status"] == "hedge"


def test_the_text_says_it_shortly(
    capsys: pytest.CaptureFixture[str], tape: Path, book: Path, tmp_path: Path
) -> None:
    file = config(
        tmp_path / "desk.toml",
        '[bands."*"]\ndelta_usd = { width = "risk_budget", error_usd_per_day = 3000 }\n',
    )
    shown = hedger(capsys, "risk", "--book", book, "--market", tape, "--config", file).out
    assert "band of delta:BTC: risk_budget" in shown and "band of delta:ETH" in shown
    planned = hedger(capsys, "plan", "--book", book, "--market", tape, "--config", file).out
    assert "band of delta:BTC: risk_budget" in planned
    assert "band of" not in hedger(capsys, "risk", "--book", book, "--market", tape).out


def test_a_refused_width_is_shown_and_blocks_the_plan(
    capsys: pytest.CaptureFixture[str], tape: Path, book: Path, tmp_path: Path
) -> None:
    file = config(
        tmp_path / "desk.toml",
        '[bands.ETH]\ndelta_usd = { width = "zakamouline", risk_aversion = 1e-4 }\n',
    )
    shown = hedger(capsys, "risk", "--book", book, "--market", tape, "--config", file, "--json")
    band = next(row["band"] for row in shown.json["rows"] if row["row"] == "delta:ETH")
    assert shown.code == 0 and band["rule"] == "whalley_wilmott" and "both signs" in band["refused"]
    planned = hedger(capsys, "plan", "--book", book, "--market", tape, "--config", file, "--json")
    assert planned.code == 3 and planned.json["status"] == "blocked" and planned.json["trades"] == []
    assert "delta:ETH" in planned.json["reason"] and "both signs" in planned.json["reason"]


def test_a_regime_reads_the_tape_up_to_the_time_asked(
    capsys: pytest.CaptureFixture[str], tape: Path, book: Path, tmp_path: Path
) -> None:
    """Three minutes are no week: not applied, and said."""
    file = config(
        tmp_path / "desk.toml",
        '[bands."*".delta_usd]\ntrigger = [-1e5, 1e5]\nlanding = [-5e4, 5e4]\nregime = {}\n',
    )
    rows = exposures(capsys, tape, book, "--config", file)["rows"]
    assert rows[0]["band"]["why"] == "vol regime not applied: too little index history"
    assert rows[0]["band"]["scale"] == 1.0
