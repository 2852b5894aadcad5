"""The surface: known smiles found again, no arbitrage whatever is quoted, only what moved fitted again."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.contracts import Option
from pricing.daycount import NS_PER_SECOND
from pricing.flat import FloatArray
from pricing.forwards import forwards
from pricing.market import ForwardKind, Market
from pricing.surface import FitStatus, Repair, Smile, Surface, SurfaceSettings, refit
from pricing.universe import Universe
from tests.builders import (
    AGE_S_MAX,
    NAN,
    NOW_NS,
    Quote,
    after,
    listing,
    market_of,
    marks_of,
    option,
    plain_black,
)
from venues.import_options import ImportOptions
from venues.tape import Tape
from venues.tape_import import import_tape

F = 60_000.0
DAYS = (1.0, 7.0, 30.0, 90.0, 365.0)
HALF = 0.003  # of the spread, vol

Parameters = tuple[float, float, float, float, float]


def w_of(p: FloatArray | Parameters, k: float) -> float:
    """Gatheral's formula."""
    a, b, rho, m, s = p
    return float(a + b * (rho * (k - m) + math.sqrt((k - m) ** 2 + s * s)))


def smile_of(days: float, vol: float = 0.5, rho: float = -0.3, eta: float = 1.2) -> Parameters:
    """A slice of SSVI with power-law φ = η/√(θ (1 + θ)), free of arbitrage for η (1 + |ρ|) <= 2.

    Source: Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", section 4 and lemma 3.1.
    """
    theta = vol * vol * days / 365
    phi, root = eta / math.sqrt(theta * (1.0 + theta)), math.sqrt(1.0 - rho * rho)
    return (theta / 2 * root * root, theta * phi / 2, rho, -rho / phi, root / phi)


def vol_of(p: FloatArray | Parameters, strike: float, days: float, forward: float = F) -> float:
    return math.sqrt(w_of(p, math.log(strike / forward)) * 365 / days)


def quote(
    strike: float, right: str, days: float, vol: float, half: float = HALF, *,
    forward: float = F, inverse: bool = True, underlying: str = "BTC",
) -> Quote:  # fmt: skip
    """An option quoted at vol -+ half, marked at vol."""
    sign, unit = 1 if right == "C" else -1, forward if inverse else 1.0
    bid, mark, ask = (
        plain_black(forward, strike, days / 365, v, sign) / unit for v in (vol - half, vol, vol + half)
    )
    return Quote(
        listing(option(strike, right, days, underlying, inverse=inverse)),
        bid=bid, ask=ask, mark=mark, mark_iv=vol,
        forward=forward, forward_kind=ForwardKind.SYNTHETIC, index=forward,
    )  # fmt: skip


def chain(
    days: float, p: Parameters | None = None, half: float = HALF, count: int = 21, width: float = 2.5, *,
    forward: float = F, inverse: bool = True, underlying: str = "BTC",
) -> list[Quote]:  # fmt: skip
    """Calls and puts at strikes up to `width` deviations away, on a smile."""
    known = smile_of(days) if p is None else p
    deviation = math.sqrt(w_of(known, 0.0))
    strikes = [forward * math.exp(z * deviation) for z in np.linspace(-width, width, count).tolist()]
    return [
        quote(k, right, days, vol_of(known, k, days, forward), half,
              forward=forward, inverse=inverse, underlying=underlying)
        for k in strikes for right in "CP"
    ]  # fmt: skip


def fit(
    quotes: list[Quote] | Market, previous: Surface | None = None, settings: SurfaceSettings | None = None
) -> Surface:
    market = quotes if isinstance(quotes, Market) else market_of(quotes)
    return refit(previous, market, forwards(market, AGE_S_MAX).forward, AGE_S_MAX, settings)


def terms(q: Quote) -> tuple[float, str]:
    """Strike and right of an option."""
    contract = q.listing.contract
    assert isinstance(contract, Option)
    return contract.strike, contract.right.value


def strikes_of(quotes: list[Quote]) -> list[float]:
    return sorted({terms(q)[0] for q in quotes})


def only(surface: Surface, underlying: str = "BTC") -> Smile:
    (smile,) = surface.smiles[underlying]
    return smile


def vols(surface: Surface, strikes: list[float], days: float, forward: float = F) -> FloatArray:
    ones = np.ones(len(strikes))
    expiry = np.full(len(strikes), after(days))
    return surface.vols("BTC", np.array(strikes), expiry, days / 365 * ones, forward * ones)[0]


# --------------------------------------------------------------------------------- arbitrage, found otherwise
def check_butterflies(smile: Smile, points: int = 301) -> None:
    """No butterfly on the fitted range has a negative price, by Black-76 of the smile's own vols.

    Three strikes a hundredth of a deviation apart, the out-of-the-money side, whose price keeps its digits;
    beyond 7 deviations no price is left to speak of.
    """
    p, years = smile.parameters, smile.years

    def price(k: float, sign: int) -> float:
        return plain_black(1.0, math.exp(k), years, math.sqrt(w_of(p, k) / years), sign)

    for k in np.linspace(smile.k_low, smile.k_high, points).tolist():
        deviation = math.sqrt(w_of(p, k))
        if abs(k) > 7.0 * deviation:
            continue
        strike, sign = math.exp(k), 1 if k >= 0.0 else -1
        step = 0.01 * deviation
        below, above = math.log(strike * (1.0 - step)), math.log(strike * (1.0 + step))
        middle = price(k, sign)
        assert price(below, sign) + price(above, sign) - 2.0 * middle >= -1e-11 * middle, (smile, k)


def check_calendar(smiles: tuple[Smile, ...], points: int = 401) -> None:
    """Total variance at equal moneyness does not fall from an expiry to the next where either is quoted."""
    known = [smile for smile in smiles if smile.status != FitStatus.NONE]
    for first, second in pairwise(known):
        low, high = min(first.k_low, second.k_low), max(first.k_high, second.k_high)
        near = [
            np.linspace(smile.k_low, smile.k_high, points) for smile in (first, second)
        ]  # the earlier of the two is narrow
        for k in np.concatenate([np.linspace(low, high, points), *near]).tolist():
            assert w_of(first.parameters, k) <= w_of(second.parameters, k), (first, second, k)


def check(surface: Surface) -> None:
    """What holds whatever was quoted."""
    for smiles in surface.smiles.values():
        assert [s.expiry_ns for s in smiles] == sorted({s.expiry_ns for s in smiles})
        for smile in smiles:
            assert smile.reason or smile.status in (FitStatus.FITTED, FitStatus.CARRIED)
            if smile.status == FitStatus.NONE:
                assert np.isnan(smile.parameters).all()
                continue
            p = smile.parameters
            assert np.isfinite(p).all()
            assert np.isfinite([smile.k_low, smile.k_high, smile.forward, smile.years]).all()
            assert np.isfinite([smile.error_rms, smile.error_worst, smile.g_min, smile.repair_cost]).all()
            assert 0.0 <= smile.error_rms <= smile.error_worst
            assert smile.used >= 5
            assert smile.free_of_arbitrage
            assert smile.repair != Repair.FAILED
            assert p[1] * (1.0 + abs(p[2])) < 2.0  # Lee (2004)
            check_butterflies(smile)
        check_calendar(smiles)


# ----------------------------------------------------------------------------------------- known smiles found
@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize(("rho", "eta"), [(-0.3, 1.2), (0.4, 1.0), (0.0, 0.6), (-0.6, 1.2)])
def test_a_known_surface_is_found_from_its_quotes(rho: float, eta: float, inverse: bool) -> None:
    known = {days: smile_of(days, rho=rho, eta=eta) for days in DAYS}
    surface = fit([q for days in DAYS for q in chain(days, known[days], inverse=inverse)])
    check(surface)
    assert len(surface.smiles["BTC"]) == len(DAYS)
    for days, smile in zip(DAYS, surface.smiles["BTC"], strict=True):
        assert smile.status == FitStatus.FITTED
        assert (smile.reason, smile.repair, smile.used, smile.refused) == ("", Repair.NOT_NEEDED, 21, 21)
        assert smile.error_worst < 1e-5
        strikes = [F * math.exp(k) for k in np.linspace(smile.k_low, smile.k_high, 31).tolist()]
        wanted = [vol_of(known[days], strike, days) for strike in strikes]
        assert vols(surface, strikes, days) == pytest.approx(wanted, abs=1e-4)


@given(
    st.floats(0.2, 1.5), st.floats(-0.5, 0.5), st.floats(0.3, 1.2), st.integers(8, 30), st.floats(0.2, 200)
)
def test_any_arbitrage_free_smile_is_found(
    vol: float, rho: float, eta: float, count: int, days: float
) -> None:
    known = smile_of(days, vol, rho, eta)
    quotes = chain(days, known, count=count)
    surface = fit(quotes)
    assert only(surface).status == FitStatus.FITTED
    strikes = strikes_of(quotes)
    wanted = np.array([vol_of(known, strike, days) for strike in strikes])
    assert np.max(np.abs(vols(surface, strikes, days) - wanted)) < 5e-3 * vol  # mostly below 1e-9


def test_the_slope_is_that_of_the_vol() -> None:
    surface = fit([q for days in (7.0, 90.0) for q in chain(days)])
    for days in (3.0, 7.0, 30.0, 90.0, 200.0):
        strikes = np.array([45_000.0, 55_000.0, 60_000.0, 66_000.0, 80_000.0])
        ones, step = np.ones(5), 1.0
        arguments = np.full(5, after(days)), days / 365 * ones, F * ones
        _, slope = surface.vols("BTC", strikes, *arguments)
        up, down = (surface.vols("BTC", strikes + s, *arguments)[0] for s in (step, -step))
        assert slope == pytest.approx((up - down) / (2.0 * step), rel=1e-6)


def test_a_smile_lies_between_bid_and_ask_where_they_allow_it() -> None:
    """Mids off by a random part of half a spread: no tight quote is missed for a wide one."""
    rng = np.random.default_rng(1)
    known = smile_of(30.0)
    quotes = []
    for q in chain(30.0, known, count=31):
        half = float(rng.choice([0.002, 0.004, 0.01]))
        vol = q.mark_iv + half * rng.uniform(-0.8, 0.8)
        quotes.append(quote(*terms(q), 30.0, vol, half))
    smile = only(fit(quotes))
    strikes = smile.strikes.tolist()
    found = vols(fit(quotes), strikes, 30.0)
    truth = np.array([vol_of(known, strike, 30.0) for strike in strikes])
    assert np.max(np.abs(found - truth)) < 0.0025  # about the tight spread, a quarter of the wide one


# ------------------------------------------------------------------------------------------------------- dirt
def spoiled(quotes: list[Quote], share: float, seed: int) -> tuple[list[Quote], set[float]]:
    """A share of the quotes made junk; and the strikes where nothing is."""
    rng = np.random.default_rng(seed)
    result, dirty = list(quotes), set()
    for i in rng.choice(len(quotes), round(share * len(quotes)), replace=False).tolist():
        q = quotes[i]
        strike, right = terms(q)
        wrong = q.mark_iv * math.exp(float(rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 1.5)))
        kinds = [
            quote(strike, right, 30.0, wrong),
            replace(q, ask=0.9),
            replace(q, bid=q.ask * 1.2),
            replace(q, ask=NAN),
            replace(q, bid=NAN),
            replace(q, bid=0.0, ask=0.0),
            replace(q, bid=0.0),
            replace(q, bid=-1.0),
            replace(q, ask=math.inf),
            replace(q, bid=1e-300),
            replace(q, bid=5.0, ask=6.0),
        ]
        result[i] = kinds[int(rng.integers(len(kinds)))]
        dirty.add(strike)
    return result, dirty


def test_a_fifth_of_junk_does_not_move_the_fit() -> None:
    """At every strike whose own quotes are sound: a tenth of a point, where the spread is 0.6."""
    known = smile_of(30.0)
    sound = chain(30.0, known, count=30)
    for seed in range(60):
        quotes, dirty = spoiled(sound, 0.2, seed)
        surface = fit(quotes)
        check(surface)
        assert only(surface).status == FitStatus.FITTED
        strikes = sorted(set(strikes_of(sound)) - dirty)
        wanted = np.array([vol_of(known, strike, 30.0) for strike in strikes])
        assert np.max(np.abs(vols(surface, strikes, 30.0) - wanted)) < 0.001, seed


def test_more_junk_than_a_fit_can_bear_falls_back_and_says_so() -> None:
    rng = np.random.default_rng(2)
    quotes = [
        replace(quote(*terms(q), 30.0, float(rng.uniform(0.1, 2.0))), mark_iv=q.mark_iv) for q in chain(30.0)
    ]
    smile = only(fit(quotes))
    assert smile.status == FitStatus.VENUE_MARK
    assert "usable quotes" in smile.reason
    junk = [replace(q, mark_iv=float(rng.uniform(0.1, 2.0))) for q in quotes]
    smile = only(fit(junk))
    assert smile.status == FitStatus.NONE
    assert "usable quotes" in smile.reason and "venue mark vols" in smile.reason


@pytest.mark.parametrize(
    "news",
    [
        {"bid": NAN}, {"ask": NAN}, {"bid": 0.0}, {"bid": 0.0, "ask": 0.0}, {"bid": 2.0, "ask": 1.0},
        {"bid": 1e9, "ask": 2e9}, {"ask": math.inf}, {"bid": -1.0}, {"forward": NAN},
    ],
)  # fmt: skip
def test_quotes_that_cannot_be_used_leave_the_venue_marks_or_nothing(news: dict[str, float]) -> None:
    quotes = [replace(q, **news) for q in chain(30.0)]  # type: ignore[arg-type]
    smile = only(fit(quotes))
    if "forward" in news:
        return check(fit(quotes))
    assert smile.status == FitStatus.VENUE_MARK
    assert smile.reason.startswith("0 usable quotes of 42 listings")
    assert vols(fit(quotes), [55_000.0, 60_000.0], 30.0) == pytest.approx(
        [vol_of(smile_of(30.0), k, 30.0) for k in (55_000.0, 60_000.0)], abs=1e-6
    )
    smile = only(fit([replace(q, mark_iv=NAN) for q in quotes]))
    assert smile.status == FitStatus.NONE
    assert smile.reason


def test_wide_quotes_do_not_make_a_smile() -> None:
    smile = only(fit(chain(30.0, half=0.02)))
    assert smile.status == FitStatus.VENUE_MARK
    assert "wider than" in smile.reason
    assert (
        only(fit(chain(30.0, half=0.02), settings=SurfaceSettings(half_spread_max=0.03))).status
        == FitStatus.FITTED
    )


def test_stale_quotes_do_not_count() -> None:
    quotes = [replace(q, age_s=AGE_S_MAX + 1.0) for q in chain(30.0)]
    assert only(fit(quotes)).status == FitStatus.NONE


def test_four_quotes_are_too_few_for_five_parameters() -> None:
    four = [q for q in chain(30.0, count=4, width=1.0)]
    smile = only(fit(four))
    assert smile.status == FitStatus.NONE
    assert "4 usable quotes of 8 listings, needed 5" in smile.reason
    assert only(fit(chain(30.0, count=5, width=1.0))).status == FitStatus.FITTED


def test_an_expiry_passed_has_no_smile() -> None:
    surface = fit(
        [
            *chain(30.0),
            *[replace(q, listing=listing(option(60_000.0 + i, "C", -1.0))) for i, q in enumerate(chain(7.0))],
        ]
    )
    assert [s.expiry_ns for s in surface.smiles["BTC"]] == [after(30.0)]


def test_nothing_quoted_gives_no_smile_and_no_vol() -> None:
    market = Market.empty(Universe.of(q.listing for q in chain(30.0)), NOW_NS)
    surface = fit(market)
    assert surface.smiles == {"BTC": ()}
    assert np.isnan(vols(surface, [60_000.0], 30.0)).all()
    unknown = surface.vols("SOL", np.array([1.0]), np.array([after(1)]), np.array([0.1]), np.array([1.0]))
    assert np.isnan(unknown).all()


# ----------------------------------------------------------------------------------------------- no arbitrage
def test_crossing_expiries_are_pulled_apart() -> None:
    """Seven days quoted above thirty in total variance: one of the two gives way, and says by how much."""
    short, long = smile_of(7.0, vol=1.0), smile_of(30.0, vol=0.4)
    surface = fit([*chain(7.0, short, count=31), *chain(30.0, long, count=15)])
    check(surface)
    first, second = surface.smiles["BTC"]
    assert first.status == FitStatus.FITTED and first.repair == Repair.NOT_NEEDED  # it has more quotes
    assert second.reason or second.repair == Repair.REFITTED


def test_a_mild_crossing_is_repaired_where_it_is() -> None:
    """At the money the shorter would lie 1 % of w above: the repair costs about half of that in vol."""
    short, long = smile_of(29.0, vol=0.50), smile_of(30.0, vol=0.489)
    surface = fit([*chain(29.0, short, count=31), *chain(30.0, long, count=15)])
    check(surface)
    first, second = surface.smiles["BTC"]
    assert (first.status, second.status) == (FitStatus.FITTED, FitStatus.FITTED)
    assert second.repair == Repair.REFITTED
    assert 0.001 < second.repair_cost < 0.01


def test_quotes_with_butterfly_arbitrage_are_repaired() -> None:
    """Axel Vogt's smile (Gatheral and Jacquier 2014, section 5), T = 1."""
    vogt = (-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
    strikes = [F * math.exp(k) for k in np.linspace(-1.2, 1.2, 31).tolist()]
    quotes = [quote(k, r, 365.0, vol_of(vogt, k, 365.0), 0.01) for k in strikes for r in "CP"]
    surface = fit(quotes)
    check(surface)
    smile = only(surface)
    assert (smile.status, smile.repair) == (FitStatus.FITTED, Repair.REFITTED)
    assert 1e-4 < smile.repair_cost < 0.03
    assert smile.error_worst < 0.03


def test_wings_do_not_explode() -> None:
    """Ten times as far as the quotes go: no negative variance, and slower than Lee's bound allows."""
    surface = fit([q for days in DAYS for q in chain(days)])
    for days, smile in zip(DAYS, surface.smiles["BTC"], strict=True):
        for side in (smile.k_low, smile.k_high):
            k = np.linspace(side, 10.0 * side, 50)
            vol = vols(surface, (F * np.exp(k)).tolist(), days)
            w = vol**2 * days / 365
            assert (w > 0.0).all()
            assert (np.abs(np.diff(w) / np.diff(k)) < 2.0).all()


numbers = st.one_of(
    st.floats(0.0, 0.2), st.sampled_from([NAN, 0.0, -1.0, math.inf, -math.inf, 1e-300, 1e300, 5e-324])
)


@st.composite
def hostile(draw: st.DrawFn) -> list[Quote]:
    """Expiries from minutes to years, some near a smile, some at random, spoiled here and there."""
    quotes = []
    for days in draw(
        st.lists(
            st.sampled_from([0.01, 0.05, 0.5, 1.0, 2.0, 7.0, 30.0, 365.0]),
            min_size=1,
            max_size=4,
            unique=True,
        )
    ):
        base = draw(st.floats(0.1, 2.0))
        skew, bend = draw(st.floats(-0.3, 0.3)), draw(st.floats(-0.1, 0.2))
        noise = draw(st.sampled_from([0.0, 0.01, 0.3]))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        width = draw(st.floats(0.5, 5.0))
        for z in np.unique(rng.uniform(-width, width, draw(st.integers(3, 16)))).tolist():
            strike = F * math.exp(z * base * math.sqrt(days / 365))
            vol = base * (1.0 + skew * z + bend * z * z) * math.exp(noise * rng.normal())
            vol, half = min(max(vol, 0.02), 4.9), float(rng.choice([0.001, 0.004, 0.01]))
            quotes += [quote(strike, right, days, vol, half) for right in "CP"]
    for _ in range(draw(st.integers(0, len(quotes) // 4))):
        at = draw(st.integers(0, len(quotes) - 1))
        field = draw(st.sampled_from(["bid", "ask", "mark_iv", "forward", "mark"]))
        quotes[at] = replace(quotes[at], **{field: draw(numbers)})  # type: ignore[arg-type]
    return quotes


@given(hostile())
def test_whatever_is_quoted_there_is_no_arbitrage(quotes: list[Quote]) -> None:
    check(fit(quotes))


@given(hostile(), st.floats(0.0, 3.0), st.integers(0, 2**32 - 1))
def test_nor_is_there_after_things_have_moved(quotes: list[Quote], days: float, seed: int) -> None:
    """Time passes, quotes go and move; smiles are carried, fitted from where they were, or kept."""
    market = market_of(quotes)
    surface = fit(market)
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(rng.uniform(size=len(quotes)) < rng.uniform()).tolist()
    kinds = rng.integers(4, size=len(quotes))
    changes: list[dict[str, float]] = [
        {},
        {"bid": NAN},
        {"ask": NAN, "mark_iv": NAN},
        {"mark_iv": 3.0, "bid": 0.0},
    ]
    news = [replace(quotes[i], **changes[kinds[i]]) for i in rows]
    now_ns = NOW_NS + round(days * 86_400 * NS_PER_SECOND)
    later = market.apply(marks_of(news, rows, now_ns, seq=2))
    check(refit(surface, later, forwards(later, AGE_S_MAX).forward, AGE_S_MAX))


# ---------------------------------------------------------------------------------------- only what has moved
def by_days(surface: Surface) -> dict[float, Smile]:
    return dict(zip(DAYS, surface.smiles["BTC"], strict=True))


CHAIN = [q for days in DAYS for q in chain(days)]
CHAIN_DAYS = [days for days in DAYS for _ in chain(days)]


def moved(days: float, by: float) -> list[Quote]:
    """The chain with one expiry quoted at other vols."""
    return [
        quote(*terms(q), own, q.mark_iv + by) if own == days else q
        for q, own in zip(CHAIN, CHAIN_DAYS, strict=True)
    ]


def test_where_nothing_moved_every_smile_is_carried_vol_for_vol() -> None:
    surface = fit(CHAIN)
    again = fit(CHAIN, surface)
    check(again)
    for smile, carried in zip(surface.smiles["BTC"], again.smiles["BTC"], strict=True):
        assert carried.status == FitStatus.CARRIED
        assert carried.parameters.tolist() == smile.parameters.tolist()
        assert (carried.error_rms, carried.error_worst) == (smile.error_rms, smile.error_worst)


def test_a_smile_that_made_room_is_carried_as_it_is() -> None:
    """Twice and three times: room is made once."""
    quotes = [*chain(29.0, smile_of(29.0, 0.5), count=31), *chain(30.0, smile_of(30.0, 0.489), count=15)]
    first = fit(quotes)
    second = fit(quotes, first)
    third = fit(quotes, second)
    check(third)
    for one, other in zip(second.smiles["BTC"], third.smiles["BTC"], strict=True):
        assert other.status == FitStatus.CARRIED
        assert other.parameters.tolist() == one.parameters.tolist()


def test_only_the_expiry_that_moved_is_fitted_again() -> None:
    surface = fit(CHAIN)
    for days in DAYS:
        again = fit(moved(days, 0.002), surface)
        check(again)
        for other, smile in by_days(again).items():
            before = by_days(surface)[other]
            if other == days:
                assert smile.status == FitStatus.FITTED
                wanted = np.array([vol_of(smile_of(days), k, days) + 0.002 for k in smile.strikes.tolist()])
                assert vols(again, smile.strikes.tolist(), days) == pytest.approx(wanted, abs=5e-4)
            else:
                assert smile.status == FitStatus.CARRIED
                assert smile.parameters.tolist() == before.parameters.tolist()


def test_a_move_within_the_limit_is_no_move() -> None:
    surface = fit(CHAIN)
    assert by_days(fit(moved(30.0, 0.0004), surface))[30.0].status == FitStatus.CARRIED
    assert by_days(fit(moved(30.0, 0.0006), surface))[30.0].status == FitStatus.FITTED
    crept = fit(moved(30.0, 0.0004), surface)  # twice half a limit is a move
    assert by_days(fit(moved(30.0, 0.0008), crept))[30.0].status == FitStatus.FITTED


def test_the_neighbour_of_an_expiry_that_moved_into_it_follows() -> None:
    """Seven days at twice the variance of thirty: thirty must move; the others have no reason to."""
    surface = fit(CHAIN)
    again = by_days(fit(moved(7.0, 1.0), surface))
    check(fit(moved(7.0, 1.0), surface))
    assert again[7.0].status == FitStatus.FITTED
    assert again[30.0].status != FitStatus.CARRIED
    for days in (1.0, 365.0):
        assert again[days].status == FitStatus.CARRIED


def test_a_forward_that_moved_is_a_reason_to_fit_again() -> None:
    """The same vols at the same strikes, 3 basis points higher or 1."""
    surface = fit(CHAIN)
    for ratio, status in ((1.0003, FitStatus.FITTED), (1.0001, FitStatus.CARRIED)):
        quotes = [
            quote(*terms(q), days, q.mark_iv, forward=F * ratio)
            for q, days in zip(CHAIN, CHAIN_DAYS, strict=True)
        ]
        assert {s.status for s in fit(quotes, surface).smiles["BTC"]} == {status}


def test_vols_stand_still_while_time_passes() -> None:
    """The same vols quoted six hours later: nothing has moved, and variance is less by the time passed."""
    hours = 6.0
    surface = fit(CHAIN)
    now_ns = NOW_NS + round(hours * 3600 * NS_PER_SECOND)
    left = [days - hours / 24 for days in CHAIN_DAYS]
    later = [
        replace(quote(*terms(q), days, q.mark_iv), listing=q.listing)
        for q, days in zip(CHAIN, left, strict=True)
    ]
    again = fit(market_of(later, now_ns), surface)
    check(again)
    for days, smile in by_days(again).items():
        assert smile.status == FitStatus.CARRIED
        strikes = smile.strikes.tolist()
        assert vols(again, strikes, days) == pytest.approx(vols(surface, strikes, days), rel=1e-12)
        assert smile.years == pytest.approx((days - hours / 24) / 365, rel=1e-12)


def test_a_smile_is_kept_when_neither_quotes_nor_marks_make_one() -> None:
    surface = fit(chain(30.0))
    gone = [replace(q, bid=NAN, mark_iv=NAN) for q in chain(30.0)]
    again = fit(gone, surface)
    smile = only(again)
    assert smile.status == FitStatus.PREVIOUS
    assert "0 usable quotes" in smile.reason and "0 venue mark vols" in smile.reason
    assert vols(again, [55_000.0], 30.0)[0] == vols(surface, [55_000.0], 30.0)[0]


def test_the_order_of_the_rows_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    wanted = fit(CHAIN).smiles["BTC"]
    for _ in range(3):
        shuffled = [CHAIN[i] for i in rng.permutation(len(CHAIN)).tolist()]
        for smile, other in zip(wanted, fit(shuffled).smiles["BTC"], strict=True):
            assert other.parameters.tolist() == smile.parameters.tolist()
            assert (other.used, other.refused) == (smile.used, smile.refused)


def test_underlyings_do_not_mix() -> None:
    alone = fit(chain(30.0))
    eth = chain(30.0, smile_of(30.0, 0.9), forward=2_000.0, underlying="ETH")
    both = fit([*eth, *chain(30.0)])
    assert only(both).parameters.tolist() == only(alone).parameters.tolist()
    assert only(both, "ETH").parameters.tolist() == only(fit(eth), "ETH").parameters.tolist()


# ------------------------------------------------------------------------------------------- between expiries
@given(st.integers(1, 358 * 86_400 - 1), st.floats(-0.5, 0.5), st.floats(0.9, 1.1))
def test_total_variance_is_linear_in_seconds_between_expiries(second: int, k: float, ratio: float) -> None:
    surface = PAIR
    first, last = surface.smiles["BTC"]
    expiry = after(7.0) + second * NS_PER_SECOND
    years = (expiry - NOW_NS) / (365 * 86_400 * NS_PER_SECOND)
    share = second / (358 * 86_400)
    w = (1.0 - share) * w_of(first.parameters, k) + share * w_of(last.parameters, k)
    forward = F * ratio  # of its own expiry; equal moneyness, not equal strike
    strike = forward * math.exp(k)
    found, _ = surface.vols("BTC", *(np.array([x]) for x in (strike, expiry, years, forward)))
    assert found[0] == pytest.approx(math.sqrt(w / years), rel=1e-10)


PAIR = fit([*chain(7.0), *chain(365.0, smile_of(365.0, 0.7))])


def test_outside_the_expiries_the_vol_stands_still() -> None:
    for days, nearest in ((1.0, 7.0), (6.99, 7.0), (366.0, 365.0), (1000.0, 365.0)):
        found = vols(PAIR, [50_000.0, 60_000.0, 75_000.0], days)
        assert found == pytest.approx(vols(PAIR, [50_000.0, 60_000.0, 75_000.0], nearest), rel=1e-12)


def test_an_expiry_without_a_smile_is_read_from_its_neighbours() -> None:
    unquoted = [replace(q, bid=NAN, ask=NAN, mark_iv=NAN) for q in chain(30.0)]
    surface = fit([*chain(7.0), *unquoted, *chain(90.0)])
    assert [s.status for s in surface.smiles["BTC"]] == [FitStatus.FITTED, FitStatus.NONE, FitStatus.FITTED]
    assert vols(surface, [55_000.0], 30.0) == pytest.approx(
        vols(fit([*chain(7.0), *chain(90.0)]), [55_000.0], 30.0)
    )


def test_unknown_stays_unknown() -> None:
    market = [np.array([x]) for x in (60_000.0, after(30.0), 30 / 365, F)]
    for at, bad in ((0, NAN), (0, -1.0), (2, 0.0), (2, -1.0), (3, NAN), (3, 0.0)):
        arguments = [np.array([bad]) if i == at else x for i, x in enumerate(market)]
        vol, slope = PAIR.vols("BTC", *arguments)
        assert np.isnan(vol[0]) and np.isnan(slope[0])


# --------------------------------------------------------------------------------------------- real snapshots
def real_tape(shared_data: Path, folder: Path, month: str, count: int) -> tuple[Tape, pl.DataFrame]:
    """Some snapshots of a month, evenly spread, as a tape and as the raw rows."""
    chain = pl.read_parquet(shared_data / f"options/deribit_chain_6h_2026-{month}.parquet")
    stamps = chain["ts"].unique().sort().to_list()
    picked = [stamps[(2 * i + 1) * len(stamps) // (2 * count)] for i in range(count)]
    source = folder / "chain.parquet"
    chosen = chain.filter(pl.col("ts").is_in(picked))
    chosen.write_parquet(source)
    import_tape([source], "deribit-chain", folder / "tape", ImportOptions({"BTC": 10.0, "ETH": 100.0}))
    return Tape.open(folder / "tape"), chosen


def mark_errors(tape: Tape, rows: pl.DataFrame) -> list[tuple[str, float, float]]:
    """Per snapshot and coin: time, median and 95th percentile of |surface - mark vol|, vol points.

    Deltas between 5 and 95 %, both as the venue publishes them.
    """
    result = []
    market, surface = Market.empty(tape.universe), None
    at = {x.symbol: i for i, x in enumerate(tape.universe.listings)}
    snapshots = rows.sort("ts").group_by("ts", maintain_order=True)
    for marks, ((stamp,), mine) in zip(tape.marks(), snapshots, strict=True):
        market = market.apply(marks)
        forward = forwards(market, AGE_S_MAX).forward
        surface = refit(surface, market, forward, AGE_S_MAX)
        check(surface)
        for currency in ("BTC", "ETH"):
            chosen = mine.filter(
                (pl.col("currency") == currency) & (pl.col("mark_iv") > 0),
                pl.col("delta").abs().is_between(0.05, 0.95),
            )
            own = np.array([at[name] for name in chosen["instrument"]])
            expiry = tape.universe.expiry_ns[own]
            years = (expiry - market.now_ns) / (365 * 86_400 * NS_PER_SECOND)
            vol, _ = surface.vols(currency, chosen["strike"].to_numpy(), expiry, years, forward[own])
            error = 100 * np.abs(vol - chosen["mark_iv"].to_numpy())
            assert error.size > 200
            result.append((f"{stamp:%Y-%m-%dT%H}", float(np.median(error)), float(np.quantile(error, 0.95))))
    return result


@pytest.mark.parametrize("month", ["01", "02", "03", "04", "05"])
def test_real_chains_against_the_venues_mark_vols(shared_data: Path, tmp_path: Path, month: str) -> None:
    """A few snapshots of every month; `hedger study surface` takes them all."""
    for stamp, median, p95 in mark_errors(*real_tape(shared_data, tmp_path, month, 4)):
        assert median <= 0.3, stamp
        assert p95 <= 1.5, stamp


def test_the_fall_of_february(shared_data: Path, tmp_path: Path) -> None:
    """BTC fell by an eighth that day: half of the quotes are wider than 3 points and the marks cross."""
    errors = mark_errors(*real_tape(shared_data, tmp_path, "02", 3))
    (btc, eth) = [e for e in errors if e[0] == "2026-02-05T21"]
    assert btc[1] < 0.8 and btc[2] < 3.0
    assert eth[1] < 0.5 and eth[2] < 2.5


def test_absurd_quotes_of_the_testnet_are_not_accepted(shared_data: Path, tmp_path: Path) -> None:
    """Deribit's testnet of 2021: asks of ten coins, vols of 999 %, expiries that cross."""
    source = shared_data / "options/deribit_testnet_btc_ticker_book_2021-02-11.json"
    import_tape([source], "deribit-tickers", tmp_path / "tape", ImportOptions({"BTC": 1.0}))
    tape = Tape.open(tmp_path / "tape")
    market = Market.empty(tape.universe)
    surface: Surface | None = None
    for marks in tape.marks():
        market = market.apply(marks)
        surface = refit(surface, market, forwards(market, AGE_S_MAX).forward, AGE_S_MAX)
        check(surface)
    assert surface is not None
    smiles = surface.smiles["BTC"]
    assert len(smiles) >= 9
    for smile in smiles:
        assert smile.status in (FitStatus.NONE, FitStatus.VENUE_MARK)  # no spread there is below 3 vol points
        assert smile.reason
        own = [k for k in (-0.2, 0.0, 0.2) if smile.k_low <= k <= smile.k_high]
        assert all(0.01 < math.sqrt(w_of(smile.parameters, k) / smile.years) < 5.0 for k in own)
