"""Forwards: what is published, parity where only the index is, and every way to fall back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pricing.contracts import Option, Right
from pricing.forwards import Confidence, ExpiryForward, forwards
from pricing.market import ForwardKind, Market, mid_or_nan
from pricing.parity import parity_forward
from tests.builders import (
    AGE_S_MAX,
    NAN,
    Quote,
    after,
    future,
    listing,
    market_of,
    option,
    perpetual,
    plain_black,
    spot,
)
from venues.deribit_names import forward_kind

INDEX = 60_000.0
HIDDEN = INDEX * 1.00014  # 1.4 bp away, the median of recorded chains
DAYS = 3.0
YEARS = DAYS / 365
STRIKES = [float(k) for k in range(54_000, 66_001, 1_000)]


def price(forward: float, strike: float, sign: int, inverse: bool, vol: float = 0.5) -> float:
    dollars = plain_black(forward, strike, YEARS, vol, sign)
    return dollars / forward if inverse else dollars


def pair(
    strike: float,
    forward: float = HIDDEN,
    *,
    inverse: bool = True,
    published: float = INDEX,
    kind: ForwardKind = ForwardKind.INDEX,
    days: float = DAYS,
    underlying: str = "BTC",
) -> list[Quote]:
    """Call and put of a strike, marked on `forward`."""
    return [
        Quote(
            listing(option(strike, right, days, underlying, inverse=inverse)),
            mark=price(forward, strike, sign, inverse),
            forward=published,
            forward_kind=kind,
            index=INDEX,
        )
        for right, sign in (("C", 1), ("P", -1))
    ]


def chain(strikes: list[float] = STRIKES, **kwargs: object) -> list[Quote]:
    return [q for k in strikes for q in pair(k, **kwargs)]  # type: ignore[arg-type]


def chosen(quotes: list[Quote]) -> tuple[list[float], list[ForwardKind]]:
    found = forwards(market_of(quotes), AGE_S_MAX)
    return found.forward.tolist(), [ForwardKind(code) for code in found.source]


@pytest.mark.parametrize("kind", [ForwardKind.LISTED_FUTURE, ForwardKind.SYNTHETIC])
def test_a_published_forward_is_taken_as_it_is(kind: ForwardKind) -> None:
    """Even beside marks that say otherwise: the venue computes its own marks on it."""
    values, sources = chosen(chain(published=61_234.5, kind=kind))
    assert set(values) == {61_234.5}
    assert set(sources) == {kind}


@pytest.mark.parametrize("inverse", [True, False])
def test_parity_finds_the_hidden_forward(inverse: bool) -> None:
    values, sources = chosen(chain(inverse=inverse))
    assert values == pytest.approx([HIDDEN] * len(values), rel=1e-12)
    assert set(sources) == {ForwardKind.PARITY}


Junk = Callable[[list[Quote]], list[Quote]]


def _spoil(quotes: list[Quote], rows: range, **news: float) -> list[Quote]:
    return [replace(q, **news) if i in rows else q for i, q in enumerate(quotes)]  # type: ignore[arg-type]


@pytest.mark.parametrize("inverse", [True, False])
@pytest.mark.parametrize(
    "junk",
    [
        lambda quotes: _spoil(quotes, range(0, 4), mark=0.9),
        lambda quotes: _spoil(quotes, range(0, 24, 12), mark=0.0),
        lambda quotes: _spoil(quotes, range(5, 12, 3), mark=NAN),
        lambda quotes: _spoil(quotes, range(12, 14), mark=1e9),
        lambda quotes: _spoil(quotes, range(0, 6), forward=6.0),
        lambda quotes: _spoil(quotes, range(8, 12), age_s=601.0, mark=0.5),
        lambda quotes: [*quotes, replace(quotes[0], listing=listing(option(9e9, "C", DAYS)), mark=1e-9)],
    ],
)
def test_junk_among_the_quotes_does_not_move_parity(inverse: bool, junk: Junk) -> None:
    quotes = junk(chain(inverse=inverse))
    found = forwards(market_of(quotes), AGE_S_MAX)
    good = [i for i, q in enumerate(quotes) if q.listing.contract.inverse == inverse and not q.age_s]
    assert found.forward[good] == pytest.approx(HIDDEN, rel=1e-9)
    assert (found.source[good] == ForwardKind.PARITY).all()


@pytest.mark.parametrize("inverse", [True, False])
def test_more_junk_than_parity_can_bear_leaves_the_index(inverse: bool) -> None:
    """Every call marked at random: better the index than a forward that only junk supports."""
    quotes = chain(inverse=inverse)
    coin = 1.0 if inverse else INDEX
    draws = np.random.default_rng(5).uniform(0.0, 0.6, len(STRIKES))
    for i, junk in zip(range(0, len(quotes), 2), draws.tolist(), strict=True):
        quotes[i] = replace(quotes[i], mark=junk * coin)
    values, sources = chosen(quotes)
    assert set(values) == {INDEX}
    assert set(sources) == {ForwardKind.INDEX}


def test_two_junk_strikes_at_the_money_do_not_move_parity() -> None:
    """The junk claims the smallest C - P of all, 5 % off."""
    quotes = chain()
    for i in (0, 1, 24, 25):
        quotes[i] = replace(quotes[i], mark=0.01)
    assert chosen(quotes)[0] == pytest.approx([HIDDEN] * len(quotes), rel=1e-12)


def test_too_few_pairs_leave_the_index() -> None:
    values, sources = chosen(chain(STRIKES[:2]))
    assert values == [INDEX] * 4
    assert set(sources) == {ForwardKind.INDEX}
    values, sources = chosen(chain(STRIKES[:3]))
    assert values == pytest.approx([HIDDEN] * 6)


def test_calls_without_puts_leave_the_index() -> None:
    values, sources = chosen(chain()[::2])
    assert set(values) == {INDEX}
    assert set(sources) == {ForwardKind.INDEX}


def test_parity_too_far_from_the_index_leaves_the_index() -> None:
    """2 % is the limit: beyond it the marks and the index are not of one moment."""
    assert set(chosen(chain(forward=INDEX * 1.019))[1]) == {ForwardKind.PARITY}
    values, sources = chosen(chain(forward=INDEX * 1.021))
    assert set(values) == {INDEX}
    assert set(sources) == {ForwardKind.INDEX}


def test_strikes_that_disagree_leave_the_index() -> None:
    """Each strike marked on another forward, up to 1 % apart."""
    quotes = [q for i, k in enumerate(STRIKES) for q in pair(k, INDEX * (1 + 0.01 * (i % 4 - 1.5)))]
    values, sources = chosen(quotes)
    assert set(values) == {INDEX}
    assert set(sources) == {ForwardKind.INDEX}


def test_mids_serve_where_marks_are_missing() -> None:
    quotes = [replace(q, mark=NAN, bid=q.mark * 0.99, ask=q.mark * 1.01) for q in chain()]
    values, sources = chosen(quotes)
    assert values == pytest.approx([HIDDEN] * len(values), rel=1e-9)
    assert set(sources) == {ForwardKind.PARITY}


def test_an_unpublished_forward_is_that_of_the_expiry() -> None:
    """Some rows of the expiry know it; coin- and USD-settled options are asked apart."""
    quotes = chain(kind=ForwardKind.SYNTHETIC, published=60_500.0)
    quotes[3] = replace(quotes[3], forward=NAN, forward_kind=ForwardKind.NONE)
    quotes[8] = replace(quotes[8], forward=-1.0)
    values, sources = chosen(quotes)
    assert set(values) == {60_500.0}
    assert set(sources) == {ForwardKind.SYNTHETIC}


def test_an_unpublished_forward_is_the_listed_future_of_its_expiry() -> None:
    unpublished = chain(published=NAN, kind=ForwardKind.NONE)
    own, other = (
        Quote(listing(future(d)), mark=m, index=INDEX) for d, m in ((DAYS, 60_400.0), (DAYS + 1, 77_000.0))
    )
    values, sources = chosen([*unpublished, own, other])
    assert values == [60_400.0] * len(unpublished) + [60_400.0, 77_000.0]
    assert set(sources[:-2]) == {ForwardKind.LISTED_FUTURE}
    stale = replace(own, age_s=601.0)
    assert set(chosen([*unpublished, stale])[1][:-1]) == {ForwardKind.PARITY}


def test_an_unpublished_forward_is_parity_without_future_and_nothing_without_pairs() -> None:
    values, sources = chosen(chain(published=NAN, kind=ForwardKind.NONE))
    assert values == pytest.approx([HIDDEN] * len(values))
    assert set(sources) == {ForwardKind.PARITY}
    values, sources = chosen(chain(STRIKES[:2], published=NAN, kind=ForwardKind.NONE))
    assert all(math.isnan(f) for f in values)
    assert set(sources) == {ForwardKind.NONE}


def test_expiries_and_underlyings_do_not_mix() -> None:
    """Another expiry's and another coin's quotes, on other forwards, change nothing."""
    groups = [
        chain(),
        chain(forward=INDEX * 0.99, days=DAYS + 7),
        chain(forward=INDEX * 0.995, underlying="ETH"),
        chain(forward=INDEX * 1.01, inverse=False),
    ]
    values, _ = chosen([q for group in groups for q in group])
    hidden = [f for f in (HIDDEN, INDEX * 0.99, INDEX * 0.995, INDEX * 1.01) for _ in groups[0]]
    assert values == pytest.approx(hidden, rel=1e-12)


@pytest.mark.parametrize(
    "contract", [perpetual(), perpetual(inverse=False), future(30), future(30, inverse=False)]
)
def test_futures_stand_on_their_own_mark_else_mid(contract: object) -> None:
    item = listing(contract)  # type: ignore[arg-type]
    quote = Quote(item, bid=60_010.0, ask=60_020.0, mark=60_013.0, index=INDEX)
    assert chosen([quote])[0] == [60_013.0]
    for bad in (NAN, 0.0, -1.0, math.inf):
        assert chosen([replace(quote, mark=bad)])[0] == [60_015.0]
    assert math.isnan(chosen([replace(quote, mark=NAN, ask=NAN)])[0][0])
    assert math.isnan(chosen([replace(quote, mark=NAN, ask=60_010.0)])[0][0])


def test_spot_stands_on_the_index() -> None:
    """Of its coin, not of its own row."""
    quotes = [
        Quote(listing(spot(), f"S{i}"), bid=1.0, ask=2.0, mark=1.5, index=x)
        for i, x in enumerate((INDEX, NAN))
    ]
    assert chosen(quotes)[0] == [INDEX, INDEX]


def test_mid_needs_two_sound_sides() -> None:
    touches = [(1.0, 3.0), (3.0, 3.0), (4.0, 3.0), (NAN, 3.0), (1.0, NAN), (0.0, 3.0), (-1.0, 3.0)]
    market = market_of(
        [Quote(listing(perpetual(), f"P{i}"), bid=b, ask=a) for i, (b, a) in enumerate(touches)]
    )
    mids = mid_or_nan(market)
    assert mids[0] == 2.0
    assert np.isnan(mids[1:]).all()


# ---------------------------------------------------------------------------------------------- real chains
def snapshots(folder: Path, month: str, count: int) -> list[pl.DataFrame]:
    """Some snapshots of a month, evenly spread."""
    chain = pl.read_parquet(folder / f"options/deribit_chain_6h_2026-{month}.parquet")
    stamps = chain["ts"].unique().sort()
    picked = stamps.gather_every(max(len(stamps) // count, 1))[:count]
    return [chain.filter(pl.col("ts") == ts) for ts in picked]


def market_of_chain(frame: pl.DataFrame) -> Market:
    """The raw rows as quotes; nothing of ours reads them."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)

    def stamp(moment: datetime) -> int:
        return round((moment - epoch).total_seconds() * 1e6) * 1000

    quotes = [
        Quote(
            listing(
                Option(
                    row["currency"],
                    row["currency"],
                    True,
                    stamp(row["expiry"]),
                    row["strike"],
                    Right(row["option_type"]),
                ),
                row["instrument"],
            ),
            mark=row["mark"],
            mark_iv=row["mark_iv"],
            forward=row["underlying_price"],
            forward_kind=forward_kind(row["underlying_index"]),
            index=row["index_price"],
        )
        for row in frame.iter_rows(named=True)
    ]
    return market_of(quotes, stamp(frame["ts"][0]))


def parity_table(frame: pl.DataFrame) -> pl.DataFrame:
    """K/(1 - (C - P)) of every strike with two marks, and the median per expiry of the nearest half."""
    keys = ["currency", "expiry", "strike"]
    sides = [
        frame.filter(pl.col("option_type") == right).select(
            *keys, "underlying_index", "underlying_price", "mark"
        )
        for right in ("C", "P")
    ]
    both = sides[0].join(sides[1].select(*keys, put="mark"), on=keys).drop_nulls(["mark", "put"])
    gap = pl.col("mark") - pl.col("put")
    per_strike = both.with_columns(hidden=pl.col("strike") / (1 - gap), gap=gap.abs())
    near = per_strike.filter(pl.col("gap") <= pl.col("gap").median().over("currency", "expiry"))
    return near.group_by("currency", "expiry", "underlying_index").agg(
        pl.col("hidden").median(), pl.col("underlying_price").median().alias("published"), pairs=pl.len()
    )


@pytest.mark.parametrize("month", ["04", "05"])
def test_real_chains_hide_the_forward_a_basis_point_from_the_index(shared_data: Path, month: str) -> None:
    """Data README: parity lies 1.4 bp (median; p95 5 bp) from `underlying_price` of `index_price` expiries.

    Those expiries get a forward on which calls and puts agree; the named ones keep what is published.
    """
    distances: list[float] = []
    for frame in snapshots(shared_data, month, 12):
        found = forwards(market_of_chain(frame), AGE_S_MAX)
        ours = frame.select("currency", "expiry", "underlying_index", "underlying_price").with_columns(
            forward=pl.Series(found.forward), source=pl.Series(found.source.astype(np.int64))
        )
        named = ours.filter(pl.col("underlying_index") != "index_price")
        assert (named["forward"] == named["underlying_price"]).all()
        assert named["source"].is_in([ForwardKind.SYNTHETIC, ForwardKind.LISTED_FUTURE]).all()
        table = parity_table(frame).filter(
            (pl.col("underlying_index") == "index_price") & (pl.col("pairs") >= 5)
        )
        got = (
            ours.filter(pl.col("source") == ForwardKind.PARITY)
            .group_by("currency", "expiry")
            .agg(pl.col("forward").unique())
        )
        joined = table.join(got, on=["currency", "expiry"])
        assert joined.height >= 0.8 * table.height
        for row in joined.iter_rows(named=True):
            assert len(row["forward"]) == 1
            assert row["forward"][0] == pytest.approx(row["hidden"], rel=2e-5)
            distances.append(abs(row["forward"][0] / row["published"] - 1) * 1e4)
    assert len(distances) >= 40
    assert 0.3 < float(np.median(distances)) < 4.0
    assert float(np.quantile(distances, 0.95)) < 20.0


def test_real_synthetic_forwards_are_the_parity_of_their_marks(shared_data: Path) -> None:
    """Data README: for `SYN.` expiries F' equals `underlying_price`; so the formula is the venue's.

    The rows of a snapshot are gathered over seconds, hence a median and a p90 rather than each expiry.
    """
    distances: list[float] = []
    for frame in snapshots(shared_data, "02", 12):
        named = frame.filter(pl.col("underlying_index").str.starts_with("SYN."))
        for _, rows in named.group_by("currency", "expiry"):
            calls, puts = (rows.filter(pl.col("option_type") == right) for right in ("C", "P"))
            both = calls.join(puts, on="strike", suffix="_put").drop_nulls(["mark", "mark_put"])
            if both.height >= 5:
                strike, call, put = (both[c].to_numpy() for c in ("strike", "mark", "mark_put"))
                found = parity_forward(strike, call, put, True)
                published = float(np.median(rows["underlying_price"].to_numpy()))
                distances.append(abs(found.forward / published - 1) * 1e4)
    assert len(distances) >= 40
    assert float(np.median(distances)) < 0.01
    assert float(np.quantile(distances, 0.9)) < 1.0


def expiry_choice(quotes: list[Quote], days: float = DAYS) -> ExpiryForward:
    """The choice for the expiry so many days away."""
    found = forwards(market_of(quotes), AGE_S_MAX).expiries
    (mine,) = (e for e in found if e.expiry_ns == after(days))
    return mine


def perp(price: float = INDEX) -> Quote:
    return Quote(listing(perpetual()), mark=price, index=INDEX)


def test_a_choice_carries_its_rivals_and_is_confirmed_by_them() -> None:
    kind = ForwardKind.LISTED_FUTURE
    found = expiry_choice([*chain(published=HIDDEN, kind=kind), perp()])
    assert (found.venue, found.underlying, found.inverse) == ("deribit", "BTC", True)
    assert (found.forward, found.source) == (HIDDEN, ForwardKind.LISTED_FUTURE)
    assert set(found.candidates) == {ForwardKind.LISTED_FUTURE, ForwardKind.PARITY}
    assert found.candidates[ForwardKind.PARITY] == pytest.approx(HIDDEN, rel=1e-12)
    assert (found.confidence, found.outvoted) == (Confidence.HIGH, ())
    alone = expiry_choice(chain([STRIKES[0]], published=HIDDEN, kind=kind))
    assert set(alone.candidates) == {ForwardKind.LISTED_FUTURE}
    assert alone.confidence is Confidence.MEDIUM
    contradicted = expiry_choice(chain(published=HIDDEN * 1.03, kind=ForwardKind.SYNTHETIC))
    assert (contradicted.source, contradicted.confidence) == (ForwardKind.SYNTHETIC, Confidence.LOW)
    bare = expiry_choice(chain([STRIKES[0]]))
    assert (bare.source, bare.confidence) == (ForwardKind.INDEX, Confidence.LOW)


def test_the_perpetual_plus_the_basis_of_the_other_expiries() -> None:
    """Log basis 1 % at 10 days and 3 % at 40: at 20 days 1.67 %, at 3 days 0.3 %, at 60 days 4.5 %."""
    quotes = [perp()]
    for days, basis in ((10.0, 0.01), (40.0, 0.03)):
        quotes += [
            Quote(
                listing(option(INDEX, "C", days)),
                forward=INDEX * math.exp(basis),
                forward_kind=ForwardKind.SYNTHETIC,
                index=INDEX,
            )
        ]
    for days, basis in ((20.0, 0.05 / 3), (3.0, 0.003), (60.0, 0.045)):
        asked = Quote(listing(option(INDEX, "C", days)), index=INDEX)
        found = forwards(market_of([*quotes, asked]), AGE_S_MAX)
        assert found.forward[-1] == pytest.approx(INDEX * math.exp(basis), rel=1e-12)
        assert found.source[-1] == ForwardKind.PERPETUAL_BASIS
        choice = expiry_choice([*quotes, asked], days)
        assert (choice.source, choice.confidence) == (ForwardKind.PERPETUAL_BASIS, Confidence.LOW)


def test_without_another_expiry_the_basis_is_unknown_not_zero() -> None:
    found = forwards(market_of([perp(), Quote(listing(option(INDEX, "C", 3.0)), index=INDEX)]), AGE_S_MAX)
    assert math.isnan(found.forward[1])
    assert found.expiries[0].confidence is Confidence.NONE
    assert found.expiries[0].candidates == {}


def test_a_published_forward_that_two_others_contradict_is_passed_over() -> None:
    """Parity and the perpetual plus basis agree; what is published lies 5 % off (a glitch of the feed)."""
    other = chain(days=9.0, published=HIDDEN, kind=ForwardKind.LISTED_FUTURE)
    wrong = chain(published=HIDDEN * 1.05, kind=ForwardKind.SYNTHETIC)
    quotes = [*wrong, *other, perp()]
    found = expiry_choice(quotes)
    assert (found.source, found.outvoted) == (ForwardKind.PARITY, (ForwardKind.SYNTHETIC,))
    assert found.forward == pytest.approx(HIDDEN, rel=1e-12)
    everything = forwards(market_of(quotes), AGE_S_MAX)
    assert everything.forward[: len(wrong)] == pytest.approx(HIDDEN, rel=1e-12)
    assert (everything.source[: len(wrong)] == ForwardKind.PARITY).all()


def test_one_row_off_takes_the_forward_of_its_expiry() -> None:
    quotes = chain(published=HIDDEN, kind=ForwardKind.LISTED_FUTURE)
    quotes[5] = replace(quotes[5], forward=HIDDEN * 1.04)
    quotes[6] = replace(quotes[6], forward=HIDDEN * 1.01)  # within what capture times explain
    found = forwards(market_of(quotes), AGE_S_MAX).forward
    assert found[5] == pytest.approx(HIDDEN, rel=1e-12)
    assert found[6] == HIDDEN * 1.01


def test_hours_before_expiry_tell_no_basis_and_no_basis_is_wild() -> None:
    """0.8 bp at a quarter of an hour would be 29 % in 60 days; a wrong synthetic would be anything."""
    asked = Quote(listing(option(INDEX, "C", 60.0)), index=INDEX)
    for days, forward in ((0.01, INDEX * 1.00008), (10.0, INDEX * 1.2)):
        told = Quote(
            listing(option(INDEX, "C", days)),
            forward=forward,
            forward_kind=ForwardKind.SYNTHETIC,
            index=INDEX,
        )
        assert math.isnan(forwards(market_of([perp(), told, asked]), AGE_S_MAX).forward[-1])


def test_an_index_that_is_not_believed_is_no_forward() -> None:
    quotes = [*chain([STRIKES[0]], published=INDEX * 1.03)]
    found = forwards(market_of(quotes), AGE_S_MAX, np.array([INDEX]))
    assert np.isnan(found.forward).all()
