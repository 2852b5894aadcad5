"""The study of the delta rules: errors recomputed from the raw marks, verdicts that follow, and its page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hedger.settings import Settings
from hedger.studies.delta import Trial, conclusions, document, figures, table, trials
from pricing.delta_rules import DeltaRule
from tests.builders import plain_black
from tests.hedger.command_line import Json, hedger, make_tape, strict_json
from venues.simulated import START_NS, SimulatedMarket
from venues.simulated_tape import tape_frames
from venues.tape import Tape, write

LEARNING = Settings.model_validate({"minimum_variance": {"pairs_min": 3, "snapshots_min": 2}})
RULES = (DeltaRule.STICKY_MONEYNESS, DeltaRule.STICKY_TREE, DeltaRule.MINIMUM_VARIANCE)
DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated market every six hours for two days."""
    return make_tape(tmp_path_factory.mktemp("chain") / "tape", batches=8, seconds=6 * 3600.0)


def run(tapes: list[Path], settings: Settings = LEARNING, every: int = 1) -> list[Trial]:
    return list(trials([Tape.open(path) for path in tapes], settings, every, lambda _: None))


@pytest.fixture(scope="module")
def found(chain: Path) -> list[Trial]:
    return run([chain])


def raw(chain: Path) -> list[dict[str, Json]]:
    """Per batch, the quotes by symbol."""
    quotes = Tape.open(chain).frame("quotes")
    return [
        {row["symbol"]: row for row in batch.iter_rows(named=True)}
        for (_,), batch in quotes.sort("seq").group_by("seq", maintain_order=True)
    ]


def plain_square(
    chain: Path, number: int, underlying: str, right: str, low: float, high: float
) -> tuple[float, int]:
    """Sum of squared Black-Scholes errors of one interval and bucket, hedged with the perpetual, in coins."""
    first, second = raw(chain)[number : number + 2]
    sign, total, count = (1 if right == "C" else -1), 0.0, 0
    listings = {x.symbol: x.contract for x in Tape.open(chain).universe.listings}
    perpetual = f"{underlying}-PERPETUAL"
    moved = second[perpetual]["mark"] - first[perpetual]["mark"]
    for symbol in sorted(first.keys() & second.keys()):
        contract, q, r = listings[symbol], first[symbol], second[symbol]
        if not symbol.endswith(f"-{right}") or contract.underlying != underlying:
            continue
        expiry, strike = contract.expiry_ns, contract.strike  # type: ignore[union-attr]
        t, u = ((expiry - x["venue_ns"]) / (365 * DAY_NS) for x in (q, r))
        if u <= 0.5 / 8760:  # its settlement price is being averaged
            continue
        F, v = q["forward"], q["mark_iv"]

        def price(f: float, years: float, vol: float, k: float = strike) -> float:
            return plain_black(f, k, years, vol, sign)

        delta = (price(F * 1.0001, t, v) - price(F * 0.9999, t, v)) / (0.0002 * F)
        if not low <= abs(delta) < high:
            continue
        theta = -(price(F, t * 1.001, v) - price(F, t * 0.999, v)) / (0.002 * t)
        error = price(r["forward"], u, r["mark_iv"]) - price(F, t, v) - theta * (t - u) - delta * moved
        total, count = total + (error / F) ** 2, count + 1
    return total, count


@pytest.mark.parametrize("number", [0, 3, 6])
def test_squares_are_those_of_the_raw_marks(chain: Path, found: list[Trial], number: int) -> None:
    for underlying in ("BTC", "ETH"):
        for side, right in (("call", "C"), ("put", "P")):
            wanted, count = plain_square(chain, number, underlying, right, 0.40, 0.60)
            cell = found[number].squares[underlying, side, "40-60", "perpetual"]
            _, plain, pairs = cell[DeltaRule.STICKY_TREE]
            assert pairs == count
            assert plain == pytest.approx(wanted, rel=1e-4)


def test_every_pair_of_neighbours_is_a_trial(chain: Path, found: list[Trial]) -> None:
    assert len(found) == 7
    assert [t.day for t in found] == [(START_NS + i * DAY_NS // 4) // DAY_NS for i in range(2, 9)]
    assert len(run([chain], every=3)) == 2
    assert len(run([chain, chain])) == 14  # the last of one tape and the first of the next are no pair


def test_the_future_hedges_only_what_has_one(found: list[Trial], chain: Path) -> None:
    """Of the simulated chain's expiries a few have a listed future; the perpetual hedges all."""
    pairs = {hedge: 0 for hedge in ("perpetual", "future")}
    for trial in found:
        for key, cell in trial.squares.items():
            pairs[key[3]] += cell[DeltaRule.STICKY_TREE][2]
    assert 0 < pairs["future"] < pairs["perpetual"]


def test_coefficients_come_from_before_the_interval(found: list[Trial]) -> None:
    """Two intervals are asked for, and over when the fourth market comes: its trial is the first."""
    known = [
        any(cell[DeltaRule.MINIMUM_VARIANCE][2] > 0 for cell in trial.squares.values()) for trial in found
    ]
    assert known == [False] * 3 + [True] * 4


def test_what_was_learned_is_kept_from_tape_to_tape(chain: Path, tmp_path: Path) -> None:
    market = SimulatedMarket(9, start_ns=START_NS + 3 * DAY_NS)
    listings, quotes, depth = tape_frames(market, 2, 6 * 3600.0)
    write(tmp_path / "next", listings, quotes, depth)
    for tapes, known in (([tmp_path / "next"], False), ([chain, tmp_path / "next"], True)):
        last = run(tapes)[-1]
        assert {cell[DeltaRule.MINIMUM_VARIANCE][2] > 0 for cell in last.squares.values()} == {known}


# ------------------------------------------------------------------------------------------------ the verdict
def trial(day: int, ours: float, plain: float, rule: DeltaRule = DeltaRule.STICKY_TREE, **at: str) -> Trial:
    key = ("BTC", at.get("side", "call"), at.get("delta", "40-60"), at.get("hedge", "perpetual"))
    squares = {r: (0.0, 0.0, 0) for r in RULES} | {rule: (ours, plain, 10)}
    return Trial(day, {key: squares})


def rows(result: Json, **at: str) -> list[Json]:
    return [r for r in result["rows"] if all(r[name] == value for name, value in at.items())]


def test_a_gain_is_the_part_of_the_squares_that_went() -> None:
    result = document([trial(day, 3.0 + day % 2, 5.0) for day in range(10)])
    strict_json(json.dumps(result, allow_nan=False))
    (row,) = rows(result, side="call", delta="40-60", rule="sticky_tree")
    assert row["gain"] == pytest.approx(1.0 - 35.0 / 50.0)
    assert row["pairs"] == 100
    assert row["sd_black_scholes"] == pytest.approx(math.sqrt(50.0 / 100.0))
    assert row["low"] <= row["gain"] <= row["high"]
    assert (result["days"], result["trials"]) == (10, 10)
    for side, delta in (("call", "all"), ("all", "all")):
        (total,) = rows(result, side=side, delta=delta, rule="sticky_tree")
        assert total["gain"] == row["gain"]
    (unknown,) = rows(result, side="call", delta="40-60", rule="sticky_moneyness")
    assert (unknown["gain"], unknown["low"], unknown["verdict"]) == (None, None, "unknown")


def test_totals_add_squares_not_gains() -> None:
    found = [trial(day, 1.0, 2.0) for day in range(5)] + [
        trial(day, 9.0, 10.0, side="put") for day in range(5)
    ]
    result = document(found)
    (total,) = rows(result, side="all", delta="all", rule="sticky_tree")
    assert total["gain"] == pytest.approx(1.0 - 10.0 / 12.0)


@pytest.mark.parametrize(
    ("squares", "verdict"),
    [
        ([(1.0, 2.0), (1.5, 2.0)], "wins"),
        ([(2.0, 1.0), (2.0, 1.5)], "loses"),
        ([(1.0, 2.0), (3.0, 2.0)], "no difference"),
    ],
)
def test_a_rule_wins_only_if_nearly_every_resampling_of_days_says_so(
    squares: list[tuple[float, float]], verdict: str
) -> None:
    """Days of two kinds in turn: what is drawn is how many of the first kind."""
    days = 20
    result = document([trial(day, *squares[day % 2]) for day in range(days)])
    (row,) = rows(result, side="all", delta="all", rule="sticky_tree")
    assert row["verdict"] == verdict

    def gain(first: int) -> float:
        """With so many days of the first kind among the twenty drawn."""
        ours, plain = (float(first * s + (days - first) * t) for s, t in zip(*squares, strict=True))
        return 1.0 - ours / plain

    # their number is binomial; its 2.5 and 97.5 % points are 6 and 14, and resampling may miss by a day
    low, high = sorted((gain(5), gain(7))), sorted((gain(13), gain(15)))
    if gain(6) > gain(14):
        low, high = high, low
    assert low[0] <= row["low"] <= low[1]
    assert high[0] <= row["high"] <= high[1]


@pytest.mark.parametrize(("days", "verdict"), [(1, "unknown"), (9, "unknown"), (10, "wins")])
def test_few_days_have_a_gain_and_no_verdict(days: int, verdict: str) -> None:
    found = [trial(day, 1.0, 2.0) for day in range(days)]
    # days on which another rule alone was measured do not count
    found += [trial(100 + day, 2.0, 2.0, DeltaRule.MINIMUM_VARIANCE) for day in range(20)]
    result = document(found)
    (row,) = rows(result, side="all", delta="all", rule="sticky_tree")
    assert (row["gain"], row["days"], row["verdict"]) == (0.5, days, verdict)
    assert (row["low"] is None, row["high"] is None) == (verdict == "unknown",) * 2
    said, _ = result["conclusions"]
    assert ("sticky_tree beats" in said) == (verdict == "wins")
    assert ("too few days to tell for sticky_moneyness and sticky_tree" in said) == (verdict == "unknown")
    shown = [bar for _, _, figure in figures(result) for bar in figure.data if bar.name == "sticky_tree"]
    assert np.isfinite(shown[0].error_y.array).tolist() == [verdict == "wins"]


def test_without_enough_days_nothing_is_said_to_beat_or_to_be_beaten() -> None:
    """The future was never there: no cell at all; the perpetual on three days."""
    result = document([trial(day, 1.0, 2.0) for day in range(3)])
    for said in conclusions(result):
        assert "too few days to tell" in said and "beat" not in said and "wins" not in said
    columns, lines = table(result)
    assert {line[columns.index("verdict")] for line in lines} == {"unknown"}
    page = document([trial(day, 1.0, 2.0, hedge="future") for day in range(12)])
    perpetual, future = conclusions(page)
    assert "perpetual: over all deltas there are too few days to tell" in perpetual
    assert "future: over all deltas sticky_tree beats black_scholes" in future


def test_several_winners_are_a_plural() -> None:
    found = [trial(day, 1.0, 2.0, rule) for day in range(12) for rule in RULES[:2]]
    assert "sticky_moneyness and sticky_tree beat black_scholes" in conclusions(document(found))[0]


def test_conclusions_follow_from_the_verdicts() -> None:
    days = range(20)
    found = [trial(day, 1.0, 2.0) for day in days]
    found += [trial(day, 3.0, 2.0, DeltaRule.STICKY_MONEYNESS, side="put", delta="20-40") for day in days]
    found += [
        trial(day, 1.9 + 0.2 * (day % 2), 2.0, DeltaRule.MINIMUM_VARIANCE, hedge="future") for day in days
    ]
    result = document(found)
    perpetual, future = result["conclusions"] = conclusions(result)
    assert perpetual.startswith("BTC with the perpetual: ")
    assert "sticky_tree beats black_scholes" in perpetual
    assert "sticky_moneyness loses to it" in perpetual
    assert "sticky_tree wins for calls 40-60 % (+50 %)" in perpetual
    assert "too few days to tell for minimum_variance;" in perpetual
    assert future == (
        "BTC with the future: over all deltas nothing beats black_scholes, "
        "too few days to tell for sticky_moneyness and sticky_tree."
    )


def test_the_table_and_the_charts_have_every_cell(found: list[Trial]) -> None:
    result = document(found)
    columns, lines = table(result)
    # 2 coins, calls, puts and both together, 2 hedges, 3 rules
    assert len(lines) == 2 * 3 * 2 * 3
    assert {len(line) for line in lines} == {len(columns)}
    made = figures(result)
    assert len(made) == 4
    for _, _, figure in made:
        assert len(figure.data) == 3
        for bar in figure.data:
            assert len(bar.x) == len(bar.y) == len(bar.error_y.array)
            assert all(np.isfinite(bar.y))
            assert np.isnan(np.asarray(bar.error_y.array, dtype=float)).all()  # two days: no interval


def test_nothing_recorded_is_nothing_concluded() -> None:
    result = document([])
    assert (result["rows"], result["conclusions"], result["trials"]) == ([], [], 0)
    assert table(result)[1] == [] and figures(result) == []


# --------------------------------------------------------------------------------------------------- the verb
def test_the_verb_and_its_page(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "delta.html"
    ran = hedger(capsys, "study", "delta", chain, "--json", "--picture", page)
    assert ran.code == 0
    assert (ran.json["trials"], ran.json["days"]) == (7, 2)
    assert {r["rule"] for r in ran.json["rows"]} == set(map(str, RULES))
    text = page.read_text(encoding="utf-8")
    assert text.count('class="plotly-graph-div"') == 4
    assert "<td>BTC call</td>" in text
    for sentence in ran.json["conclusions"]:
        assert sentence in text
    shown = hedger(capsys, "study", "delta", chain)
    words = " ".join(shown.out.split())
    for sentence in ran.json["conclusions"]:
        assert sentence.split(":")[0] in words


def test_a_tape_of_one_batch_has_no_interval(
    chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_tape(tmp_path / "one", batches=1)
    ran = hedger(capsys, "study", "delta", one, "--json")
    assert (ran.code, ran.json["trials"], ran.json["rows"]) == (0, 0, [])
    assert hedger(capsys, "study", "delta", one).code == 0


def test_what_is_no_tape_is_refused(tmp_path: Path, chain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "study", "delta", chain, tmp_path / "none", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err and "none" in ran.err
    assert hedger(capsys, "study", "delta").code == 2
