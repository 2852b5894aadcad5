"""A mark at a glance is the mark in full: rows, bands, index, equity, policy and memory, whatever comes.

The reference is the full look at the very same market: `take_snapshot`, the oracle, `moment_of`, `ask` and
`advance`, none of which knows of glances.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hedger.core.by_hand import ByHand, HandBand
from hedger.core.by_hand_file import file_band
from hedger.core.decision import Decision, canonical
from hedger.core.events import Tick, Verb
from hedger.core.glance import Glance
from hedger.core.marking import price_history, snapshot_of
from hedger.core.state import Mode, State
from hedger.policy.pace import advance
from hedger.policy.triggering import ask, moment_of
from hedger.problem.snapshot import equity_usd
from hedger.settings import Settings
from pricing.contracts import Kind
from pricing.market import ForwardKind, Market, Marks
from pricing.oracle import remember
from pricing.universe import Universe
from risk.bands import Interval
from risk.book import Book, Position
from tests.builders import (
    NOW_NS,
    Quote,
    future,
    listing,
    marks_of,
    option,
    perpetual,
    plain_black,
    spot,
)
from tests.hedger.rig import SECOND, Rig, desk, option_symbol

FAR = {"trigger": {"lower": -1e12, "upper": 1e12}, "landing": {"lower": -1e11, "upper": 1e11}}
WIDE = {
    "delta_usd": FAR, "gamma_usd_per_1pct": FAR, "vega_usd_per_point": FAR, "vega_bucket_multiple": 10.0,
}  # fmt: skip


def desk_of(policy: Mapping[str, Any] | None = None, bands: Mapping[str, Any] | None = None) -> Settings:
    """A desk whose bands are out of reach, unless it says otherwise."""
    document: dict[str, Any] = {"bands": {"*": WIDE | dict(bands or {})}}
    if policy:
        document["policy"] = {"when": dict(policy)}
    given = Settings.model_validate(document)
    return desk().model_copy(update={"bands": given.bands, "policy": given.policy})


def by_hand(row: str, trigger: Interval, landing: Interval) -> ByHand:
    """One band that a person set."""
    return ByHand((HandBand(row, trigger, landing, "ann", "", NOW_NS, file_band(desk(), row)),))


def symbols(rig: Rig, kind: Kind) -> list[str]:
    return [x.symbol for x in rig.market.universe.listings if x.contract.kind is kind]


def mixed_book(rig: Rig) -> dict[str, str]:
    """Options of two coins and several expiries, futures and perpetuals of both settlements."""
    options, rows = symbols(rig, Kind.OPTION), {}
    for n, symbol in enumerate(options[::3]):
        rows[symbol] = str((-1) ** n * (n % 5 + 1))
    for n, symbol in enumerate([*symbols(rig, Kind.PERPETUAL), *symbols(rig, Kind.FUTURE)]):
        rows[symbol] = str((-1) ** n * 1000 * (n + 1))
    return rows


def mixed(settings: Settings | None = None) -> Rig:
    """An armed engine on such a book."""
    rows = mixed_book(Rig({}))
    return Rig(rows, settings or desk_of()).armed()


def only(marks: Marks, at: list[int], **changes: Any) -> Marks:
    """Some rows of a batch; changes: functions of a column."""
    place = [int(np.flatnonzero(marks.rows == row)[0]) for row in at]
    columns = {
        f.name: getattr(marks, f.name)[place]
        for f in fields(Marks)
        if f.name not in ("seq", "now_ns", "depth")
    }
    columns |= {name: np.asarray(change(columns[name])) for name, change in changes.items()}
    return replace(marks, depth={row: marks.depth[row] for row in at if row in marks.depth}, **columns)


def perpetuals(rig: Rig) -> list[int]:
    return np.flatnonzero(rig.market.universe.kind == Kind.PERPETUAL).tolist()


def quoted(rig: Rig, at: list[int], factor: float = 1.0, seconds: float = 0.001, **changes: Any) -> Decision:
    """A batch of these rows alone, their prices and index moved by a factor, stamped now."""
    now_ns = rig.now_ns + round(seconds * SECOND)
    moved = dict.fromkeys(("bid", "ask", "mark", "index"), lambda x: x * factor)
    stamp = {"venue_ns": lambda x: np.full(x.shape, now_ns)}
    marks = only(rig.market.marks(), at, **(moved | stamp | changes))
    return rig.send(replace(marks, now_ns=now_ns), seconds)


def check(rig: Rig, before: State, decision: Decision, marks: Marks | None = None) -> bool:
    """Compare the state after a mark with the full look at its market; whether it was a glance."""
    state = rig.state
    glance = state.seen
    if not isinstance(glance, Glance):
        return False
    if marks is not None:
        _same_market(before.market.apply(replace(marks, now_ns=decision.now_ns)), state.market)
    full = snapshot_of(
        replace(before, market=state.market, book=state.book), rig.settings.desk, state.overrides
    )
    assert state.snapshot is not None and full.missing == ()
    assert np.array_equal(state.snapshot.exposure.value, full.exposure.value)
    held = np.flatnonzero(full.quantities)
    gross = np.abs(full.exposure.owned[:, held]) @ np.abs(full.quantities[held]) + np.abs(full.exposure.cash)
    assert tuple(name for name, _ in decision.exposures) == full.exposure.rows
    value = np.array([x for _, x in decision.exposures])
    assert np.max(np.abs(value - full.exposure.value) - 1e-12 * gross, initial=0.0) <= 0.0
    for name, edge in zip(("target", "trigger_lower", "trigger_upper", "landing_lower", "landing_upper"),
                          glance.edges, strict=True):  # fmt: skip
        np.testing.assert_allclose(edge, getattr(full.bands, name), rtol=1e-14, atol=0.0)
    out = full.bands.breached(full.exposure.value)
    assert decision.breached == tuple(full.exposure.rows[i] for i in np.flatnonzero(out))
    worth = np.abs(full.quantities[held]) @ np.abs(full.valuation.value_usd[held])
    worth += sum(abs(x) * full.spot.get(c, 1.0) for c, x in full.balances.items())
    assert state.counters.equity_usd == pytest.approx(
        equity_usd(full), rel=0.0, abs=1e-12 * float(worth) + 1e-9
    )
    assert not full.bad_indexes
    known = remember(before.last_good, full.readings.values(), decision.now_ns)
    assert dict(state.last_good) == known
    policy = rig.settings.desk.policy
    moment = moment_of(full, price_history(before))
    asked, _ = ask(moment, policy, before.memory)
    assert (decision.trigger, decision.due) == (asked.reason, asked.due)
    if not asked.due:
        assert state.memory == advance(before.memory, moment, policy, asked)
    return True


def _same_market(one: Market, other: Market) -> None:
    for f in fields(Market):
        a, b = getattr(one, f.name), getattr(other, f.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
        elif f.name not in ("depth", "universe"):
            assert a == b, f.name
    assert one.depth.keys() == other.depth.keys()


# ------------------------------------------------------------------------------------------- what it is for


def test_marks_of_perpetuals_are_taken_at_a_glance_for_a_minute() -> None:
    rig = mixed()
    at, seen = perpetuals(rig), []
    for n in range(130):
        before = rig.state
        decision = quoted(rig, [at[n % len(at)]], 1.0 + 1e-4 * ((-1) ** n), seconds=0.5)
        seen.append(check(rig, before, decision))
    # one full look a minute, and one more where its clock was set by the quotes of before
    assert seen.count(False) <= 3 and seen[:50].count(False) == 0


def test_quotes_of_anything_else_are_looked_at_in_full() -> None:
    rig = mixed()
    quoted(rig, perpetuals(rig)[:1])
    assert isinstance(rig.state.seen, Glance)
    row = int(np.flatnonzero(rig.market.universe.kind == Kind.SPOT)[0])
    quoted(rig, [row])
    assert not isinstance(rig.state.seen, Glance)
    quoted(rig, [perpetuals(rig)[0], row])
    assert not isinstance(rig.state.seen, Glance)


def options(rig: Rig) -> list[int]:
    return np.flatnonzero(rig.market.universe.is_option).tolist()


def test_quotes_of_options_are_taken_at_a_glance() -> None:
    """Held or not, one by one or a few together; mark and vol move as they do from tick to tick."""
    rig, seen = mixed(), []
    rows, at = options(rig), perpetuals(rig)
    for n in range(60):
        before, few = rig.state, [rows[(7 * n + i) % len(rows)] for i in range(1 + n % 3)]
        batch = sorted({*few, *at[: n % 2]})
        factor, step = 1.0 + 2e-4 * (n % 5 - 2), 1.0 + 3e-3 * (n % 7 - 3)
        decision = quoted(
            rig, batch, factor, seconds=0.05, mark_iv=lambda x, step=step: x * step,
            mark=lambda x, step=step: x * (1 + 0.02 * (step - 1)),
            bid=lambda x: x * 1.0, ask=lambda x: x * 1.0, forward=lambda x, factor=factor: x * factor,
        )  # fmt: skip
        seen.append(check(rig, before, decision))
    assert seen.count(False) <= 2


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("mark_iv", float("nan")), ("mark_iv", 9.0), ("mark_iv", 0.0), ("forward", float("nan")),
        ("forward", 0.0), ("forward", 1.0), ("forward_kind", int(ForwardKind.INDEX)), ("index", -1.0),
        ("venue_ns", 1),
    ],
)  # fmt: skip
def test_a_quote_of_an_option_that_is_off_is_looked_at_in_full(column: str, told: float) -> None:
    """Its option then has another vol or none, or the forward of others hangs on it."""
    rig = mixed()
    quoted(rig, perpetuals(rig)[:1])
    assert rig.state.snapshot is not None
    held = next(i for i in options(rig) if rig.state.snapshot.quantities[i])
    before = rig.state
    changes: dict[str, Any] = {column: lambda x: np.full(x.shape, told, dtype=x.dtype)}
    decision = quoted(rig, [held], **changes)
    if check(rig, before, decision):  # an older quote, or an index that its venue's median leaves out
        assert column in ("venue_ns", "index")


def test_an_index_ten_times_too_high_is_looked_at_in_full_and_decides_nothing() -> None:
    rig = mixed()
    at = perpetuals(rig)
    quoted(rig, at[:1])
    # every row of the venue tells it, so that its median does
    now = rig.market.marks()
    decision = rig.send(replace(now, index=now.index * 10.0, now_ns=rig.now_ns))
    assert not isinstance(rig.state.seen, Glance) and not decision.due
    quoted(rig, at[:1])
    assert not isinstance(rig.state.seen, Glance)


@pytest.mark.parametrize("edge", range(-3, 4))
@pytest.mark.parametrize("landing", [False, True], ids=["trigger", "landing"])
def test_on_the_edge_of_a_band_the_answer_is_the_full_look_s(edge: int, landing: bool) -> None:
    rig = mixed()
    at = perpetuals(rig)[:1]
    quoted(rig, at)
    start = rig.state, rig.now_ns, rig.seq
    quoted(rig, at, 1.0002)
    assert rig.state.snapshot is not None
    row = "delta:BTC"
    x = rig.state.snapshot.exposure.row(row)
    on = x + edge * float(np.spacing(abs(x)))
    trigger = (-abs(on) * 9, abs(on) * 9) if landing else (on - 10 * abs(on), on)
    inner = (on - 5 * abs(on), on) if landing else (on - 5 * abs(on), on - 1 * abs(on))
    state, rig.now_ns, rig.seq = start
    rig.state = replace(state, by_hand=by_hand(row, trigger, inner))
    quoted(rig, at, 1.0, seconds=0.0)  # a full look: the bands are others
    assert not isinstance(rig.state.seen, Glance)
    before = rig.state
    decision = quoted(rig, at, 1.0002)
    full = rig.state.snapshot
    assert full is not None
    out = full.bands.breached(full.exposure.value)
    assert decision.breached == tuple(full.exposure.rows[i] for i in np.flatnonzero(out))
    assert not check(rig, before, decision)  # rounding could put it on either side


def test_after_flatten_the_bands_are_the_desk_s_again() -> None:
    rig = mixed()
    at = perpetuals(rig)
    decision = rig.answer(rig.command(Verb.FLATTEN))
    for _ in range(6):
        decision = rig.answer(rig.mark(20.0))
    assert rig.state.asked_for == "" or decision is not None
    for n in range(4):
        before = rig.state
        check(rig, before, quoted(rig, at[n : n + 1], 1.0 + 1e-4 * n))


def test_bands_set_by_command_are_in_force_at_once() -> None:
    rig = mixed()
    at = perpetuals(rig)[:1]
    quoted(rig, at)
    rig.command(Verb.BANDS, "delta:BTC=-1e9,1e9/-1e8,1e8")
    for _ in range(3):
        before = rig.state
        check(rig, before, quoted(rig, at, 1.0001))
    glance = rig.state.seen
    assert isinstance(glance, Glance)
    row = glance.rows.index("delta:BTC")
    assert glance.edges[1:, row].tolist() == [-1e9, 1e9, -1e8, 1e8]


def test_a_row_that_leaves_its_band_is_hedged_by_a_plan_of_this_mark() -> None:
    rig = mixed()
    at = perpetuals(rig)[:1]
    first, then = (dict(quoted(rig, at, seconds=1.0).exposures)["delta:BTC"] for _ in range(2))
    way = 1.0 if then > first else -1.0  # options lose their time: the row drifts
    low, high = sorted((then + way * 5.5 * abs(then - first), then - way * 1e6))
    inner_low, inner_high = sorted((then - way * 2.0, then - way * 1e5))
    rig.state = replace(rig.state, by_hand=by_hand("delta:BTC", (low, high), (inner_low, inner_high)))
    sent = [quoted(rig, at, seconds=1.0) for _ in range(7)]
    assert [d.due for d in sent] == [False] * 5 + [True] + [False]
    due = sent[5]
    assert due.breached == ("delta:BTC",) and due.plan is not None and len(due.orders) == 1
    assert due.plan.snapshot.market.now_ns == due.now_ns


def test_funding_runs_up_at_a_glance_as_in_full() -> None:
    rig, twin = mixed(), mixed()
    at = perpetuals(rig)[:1]
    cash = int(np.flatnonzero(rig.market.universe.kind == Kind.SPOT)[0])
    for n in range(20):
        quoted(rig, at, 1.0 + 1e-5 * n, seconds=1.0, funding_rate=lambda x: np.full(x.shape, 1e-4))
        quoted(twin, [*at, cash], 1.0 + 1e-5 * n, seconds=1.0, funding_rate=lambda x: np.full(x.shape, 1e-4))
    assert isinstance(rig.state.seen, Glance) and not isinstance(twin.state.seen, Glance)
    assert rig.state.accrued and dict(rig.state.accrued) == dict(twin.state.accrued)


def test_time_without_marks_changes_nothing_of_what_was_seen() -> None:
    rig = mixed()
    quoted(rig, perpetuals(rig)[:1])
    seen, exposures = rig.state.seen, rig.decisions[-1].exposures
    decision = rig.send(Tick(), 1.0)
    assert rig.state.seen is seen and decision.exposures == exposures


# ------------------------------------------------------------------------------------------- whatever comes

PRICES = st.sampled_from(
    [1.0, 1.0 + 1e-9, 1.0001, 0.9997, 1.004, 0.996, 1.02, 0.9, 10.0, 0.1, 0.0, -1.0, float("nan")]
)
CALM = st.sampled_from([1.0, 1.0 + 1e-9, 1.0001, 0.9997, 1.003, 0.998])
STAMPS = st.sampled_from([0.0, 0.0, 0.0, -0.5, -5.0, -15.0, -700.0, 5.0, 30.0, 100.0])
STEPS = st.sampled_from([0.0, 0.001, 0.001, 0.2, 5.0, 59.0, 61.0, 700.0, 3600.0, 2.1 * 86_400, 5.0 * 86_400])
POLICIES: st.SearchStrategy[Mapping[str, Any]] = st.sampled_from(
    [
        {"breach": {}},
        {"breach": {"rows": ["delta:*"], "side": "above", "beyond": 0.2}},
        {"breach": {"until_landing": True}},
        {"any": [{"breach": {}}, {"calendar": {"every_min": 1}}]},
        {"all": [{"breach": {}}, {"not": {"breach": {"rows": ["vega:*"]}}}]},
        {"all": [{"breach": {}}, {"cost_benefit": {}}]},
        {"any": [{"breach": {}}, {"age": {"hedge_h": 0.5}}]},
        {"any": [{"breach": {}}, {"age": {"mark_s": 30.0}}]},
        {"any": [{"breach": {}}, {"realised_move": {"move": 0.01, "window_min": 10.0, "then": "act"}}]},
        {"projected_breach": {"sigmas": 1.0, "horizon_h": 1.0}},
        {"any": [{"breach": {}}, {"expiry": {"within_h": 24.0, "pin": 0.01}}]},
    ]
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_quoted_the_answer_is_the_full_look_s(data: st.DataObject) -> None:
    rig = Rig({})
    listings = [x.symbol for x in rig.market.universe.listings if x.contract.kind is not Kind.SPOT]
    held = data.draw(st.dictionaries(st.sampled_from(listings), st.integers(-9, 9).filter(bool), max_size=12))
    tight = data.draw(st.booleans())
    bands = {"delta_usd": {"trigger": (-3e4, 3e4), "landing": (-1e4, 1e4)}} if tight else {}
    rig = Rig({s: str(q * 10) for s, q in held.items()}, desk_of(data.draw(POLICIES), bands))
    rig.answer(rig.mark())  # observes: what is due is told and not sent
    at, n = perpetuals(rig), len(rig.market.universe)
    for _ in range(7):
        if data.draw(st.integers(0, 9)) == 0:
            before = rig.state
            check(rig, before, rig.mark(data.draw(st.sampled_from([0.0, 1.0]))))
        calm = data.draw(st.booleans())
        few = st.one_of(st.sampled_from(at), st.sampled_from(at + options(rig)))
        rows = data.draw(st.lists(few, min_size=1, max_size=3, unique=True))
        if not calm and data.draw(st.integers(0, 5)) == 0:
            rows = sorted({*rows, data.draw(st.integers(0, n - 1))})
        values = CALM if calm else PRICES
        moves = {c: data.draw(values) for c in ("mark", "bid", "ask", "index", "forward", "mark_iv")}
        if calm or data.draw(st.booleans()):
            moves = dict.fromkeys(moves, moves["mark"])
        step = data.draw(st.sampled_from([0.0, 0.001, 1.0]) if calm else STEPS)
        old = 0.0 if calm else data.draw(STAMPS)
        now_ns = rig.now_ns + round(step * SECOND)
        marks = only(
            rig.market.marks(),
            rows,
            venue_ns=lambda x: np.full(x.shape, now_ns + round(old * SECOND)),  # noqa: B023
            **{c: (lambda x, f=f: x * f) for c, f in moves.items()},
        )
        before = rig.state
        decision = rig.send(replace(marks, now_ns=now_ns), step)
        check(rig, before, decision, marks)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 3), CALM), min_size=3, max_size=20), st.integers(0, 3))
def test_whoever_looks_the_digests_are_the_same(quotes: list[tuple[int, float]], looks: int) -> None:
    rig, shy = mixed(), mixed()
    at = perpetuals(rig)
    for place, factor in quotes:
        one = quoted(rig, [at[place % len(at)]], factor)
        other = quoted(shy, [at[place % len(at)]], factor)
        assert one.digest == other.digest
        if place == looks:
            assert rig.state.snapshot is not None  # a screen asks


# ----------------------------------------------------------------------------------------------- its digest

NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(10**12), 10**12).map(float),
    st.sampled_from([1e9, 123456789.0, 1e16, 1e-5, 5e-324]),
)
NAMES = st.text(max_size=8)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(NAMES, NUMBERS), max_size=5), NAMES, st.lists(NAMES, max_size=2), st.booleans())
def test_a_quiet_digest_is_that_of_the_document(
    exposures: list[tuple[str, float]], words: str, breached: list[str], flag: bool
) -> None:
    decision = Decision(
        7, 10**18, Mode.ARMED, flag, tuple(exposures), tuple(breached), words, flag, reason=words[::-1]
    )
    assert decision.quiet
    text = canonical(decision.document())
    assert decision.made_digest() == hashlib.sha256(text.encode()).hexdigest()


def test_a_book_of_one_option_is_seen_at_a_glance() -> None:
    rig = Rig({option_symbol(Rig({}).market): "-3"}, desk_of()).armed()
    before = rig.state
    assert check(rig, before, quoted(rig, perpetuals(rig)[:1], 1.0003))


def test_a_book_without_options_is_seen_at_a_glance() -> None:
    rig = Rig({symbols(Rig({}), Kind.PERPETUAL)[0]: "1000"}, desk_of()).armed()
    for row in (perpetuals(rig)[0], options(rig)[0]):
        before = rig.state
        assert check(rig, before, quoted(rig, [row], 1.0003))


# ---------------------------------------------------------------------------- settled in dollars, two venues

SPOT, LATER = 60_000.0, 60_600.0


def made_quotes(days_far: float) -> list[Quote]:
    """One coin on two venues: spot, perpetuals, dated futures and options of both settlements."""
    cash: dict[str, Any] = {"index": SPOT, "age_s": 0.5}
    near: dict[str, Any] = {"bid": SPOT - 5, "ask": SPOT + 5, "mark": SPOT, "funding_rate": 1e-5}
    far: dict[str, Any] = {"bid": LATER - 5, "ask": LATER + 5, "mark": LATER}
    quotes = [
        Quote(listing(spot()), **cash | near),
        Quote(listing(perpetual(), size="10", lot="1"), **cash | near),
        Quote(listing(perpetual(inverse=False), venue="okx"), **cash | near),
        Quote(listing(future(days_far), size="10", lot="1"), **cash | far),
        Quote(listing(future(days_far, inverse=False), venue="okx"), **cash | far),
    ]
    for days, inverse in ((10, True), (days_far, True), (1.5, True), (days_far, False), (8, False)):
        for strike in (54_000.0, 60_000.0, 66_000.0):
            for right in "CP":
                contract = option(strike, right, days, inverse=inverse)
                ahead = SPOT + (LATER - SPOT) * days / days_far
                price = plain_black(ahead, strike, days / 365, 0.6, contract.right.sign)
                unit = ahead if inverse else 1.0
                found = listing(contract, venue="deribit" if inverse else "okx")
                quotes.append(
                    Quote(
                        found, 0.98 * price / unit, 1.02 * price / unit, price / unit, 0.6, ahead,
                        forward_kind=ForwardKind.SYNTHETIC, **cash,
                    )
                )  # fmt: skip
    return quotes


class Made:
    """A market as written, for a rig."""

    def __init__(self, days_far: float) -> None:
        self.quotes, self.now_ns = made_quotes(days_far), NOW_NS
        self.universe = Universe.of(q.listing for q in self.quotes)

    def marks(self) -> Marks:
        return marks_of(self.quotes, range(len(self.quotes)), self.now_ns)


class MadeRig(Rig):
    """A rig on that market, its book of everything on it."""

    def __init__(self, sizes: list[int], days_far: float, settings: Settings) -> None:
        super().__init__({}, settings)
        made = Made(days_far)
        self.market = made  # type: ignore[assignment]
        self.now_ns = self.start_ns = made.now_ns
        held = zip(made.quotes, sizes, strict=True)
        positions = [Position(q.listing, "", Decimal(n)) for q, n in held if n]
        cash = {("deribit", "", "BTC"): Decimal(3), ("okx", "", "USDC"): Decimal(-50_000)}
        book = Book.of(positions, cash).opened_at({q.listing.key: 59_000.0 for q in made.quotes})
        self.state = State.fresh(made.universe, book, {"deribit": self.start_ns, "okx": self.start_ns})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.integers(-30, 30), min_size=35, max_size=35),
    st.sampled_from([30.0, 31.0, 120.0]),
    st.lists(
        st.tuples(
            st.sampled_from([[1], [2], [1, 2], [6], [11, 30], [1, 17], [20, 21, 22]]),
            CALM,
            st.sampled_from([0.0, 0.3, 9.0]),
        ),
        min_size=6,
    ),
)
def test_two_venues_and_both_settlements_at_a_glance(
    sizes: list[int], days: float, quotes: list[tuple[list[int], float, float]]
) -> None:
    rig = MadeRig(sizes, days, desk_of())
    rig.send(rig.market.marks())
    seen = []
    for rows, factor, seconds in quotes[:12]:
        before = rig.state
        seen.append(check(rig, before, quoted(rig, rows, factor, seconds)))
    if days == 30.0:
        assert not seen[0]  # on the edge of a tenor: a moment later the option is in another
    else:
        assert seen[0], "the first mark of a perpetual after a full look is a glance"


# ---------------------------------------------------------------------- quotes that drift apart, one by one

OPTION_ROWS = list(range(5, 35))


def drifted(rng: np.random.Generator, marks: Marks, expiry_ns: np.ndarray) -> Marks:
    """A start that is not clean: expiries whose forwards are published by another way or off their parity,
    options with a forward of their own, quotes of minutes ago."""
    forward, kind, mark, stamp = (
        getattr(marks, name).copy() for name in ("forward", "forward_kind", "mark", "venue_ns")
    )
    for expiry in np.unique(expiry_ns[OPTION_ROWS]):
        own = np.flatnonzero((expiry_ns == expiry) & np.isin(np.arange(stamp.size), OPTION_ROWS))
        if rng.random() < 0.1:
            kind[own] = rng.choice([ForwardKind.LISTED_FUTURE, ForwardKind.INDEX])
        if rng.random() < 0.15:
            forward[own] *= 1 + rng.choice([0.004, -0.004, 0.0075, -0.0085])
        if rng.random() < 0.2:
            forward[own] *= 1 + rng.normal(0, rng.choice([1e-4, 1e-3, 3e-3]), own.size)
        if rng.random() < 0.1:
            mark[own] *= 1 + rng.normal(0, rng.choice([1e-3, 1e-2, 5e-2]), own.size)
        if rng.random() < 0.05:
            mark[own[rng.random(own.size) < 0.4]] = np.nan
    if rng.random() < 0.3:
        stamp[rng.random(stamp.size) < 0.3] -= int(rng.choice([3, 8, 12, 400, 590])) * SECOND
    return replace(marks, forward=forward, forward_kind=kind, mark=mark, venue_ns=stamp)


def moved(rng: np.random.Generator, quotes: dict[str, np.ndarray], rows: list[int], calm: bool) -> None:
    """Each of some quotes on its own way from where it stood: forward, mark, vol and index apart."""
    together = 1 + rng.choice([0, 1e-4, -2e-4, 1e-3, 2e-3, -2e-3, 4.5e-3])
    odd = {
        "mark": [0.0, -1.0, np.nan, np.inf], "mark_iv": [np.nan, 0.01, 0.0099, 5.0, 5.01],
        "forward": [np.nan, 0.0, 2 * SPOT, 1.02 * SPOT], "bid": [np.nan],
    }  # fmt: skip
    for row in rows:
        size = rng.choice([1e-4, 1e-4, 1e-3, 3e-3])
        if row not in OPTION_ROWS:
            for name in ("bid", "ask", "mark"):
                quotes[name][row] *= together
        else:
            quotes["forward"][row] *= together * (1 + rng.choice([0, 1]) * rng.normal(0, size))
            quotes["mark"][row] *= 1 + rng.choice([0, 1]) * rng.normal(0, 5 * size)
            quotes["mark_iv"][row] *= 1 + rng.normal(0, 3 * size)
            for name, numbers in odd.items():
                if not calm and rng.random() < 0.05:
                    quotes[name][row] = rng.choice(numbers)
        if rng.random() < 0.4:
            quotes["index"][row] *= rng.choice([together, 1 + rng.normal(0, 1e-3)])


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**9))
def test_however_quotes_drift_apart_the_answer_is_the_full_look_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rig = MadeRig(
        [int(n) for n in rng.integers(-30, 31, 35)], float(rng.choice([9.0, 29.0, 31.0, 120.0])), desk_of()
    )
    expiry_ns, calm = rig.market.universe.expiry_ns, bool(rng.random() < 0.7)
    start = drifted(rng, rig.market.marks(), expiry_ns)
    rig.send(start)
    quotes = {
        f.name: getattr(start, f.name).copy()
        for f in fields(Marks)
        if f.name not in ("seq", "now_ns", "rows", "venue_ns", "depth")
    }
    for step in range(10):
        rows = sorted({int(x) for x in rng.choice([1, 2, *OPTION_ROWS], int(rng.integers(1, 5)))})
        if rng.random() < 0.25:  # several of one expiry
            expiry = rng.choice(np.unique(expiry_ns[OPTION_ROWS]))
            rows = [row for row in OPTION_ROWS if expiry_ns[row] == expiry][: int(rng.integers(2, 7))]
        moved(rng, quotes, rows, calm)
        seconds = float(rng.choice([0.0, 1e-3, 0.3, 2.0, 9.0, 20.0]))
        now_ns, at = rig.now_ns + round(seconds * SECOND), np.array(rows, dtype=np.int64)
        old_s = (
            0 if rng.random() < 0.9 else int(rng.choice([-1, -5, -9, -11, -300, -599, -601, 3, 9, 11, 50]))
        )
        marks = Marks(
            seq=start.seq + 1 + step,
            now_ns=now_ns,
            rows=at,
            venue_ns=np.full(at.size, now_ns + old_s * SECOND),
            **{name: column[at] for name, column in quotes.items()},
        )
        before = rig.state
        check(rig, before, rig.send(marks, seconds), marks)
