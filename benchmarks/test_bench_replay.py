"""`hedger replay` of a tape where no hedge is due, a book of 100 options: quote rows a second.

Two tapes of the simulated market. "snapshots": every listing in each batch, as chains are recorded (about
1,200 rows a batch). "ticks": one quote a batch, as tickers come, the listings in turn.

Ours is the whole engine: the paper venue's books, index and age checks, the book valued, rows, bands, policy,
decision and digest, results with their attribution; no journal. The off-the-shelf peer (`benchmarks.chains`)
reads the same file, keeps the newest vol and forward of each option held, and compares three rows with their
bands. It is read in two ways: "snapshot", the Greeks of the book once a batch in one numpy pass; "by row", as
a chain that is fed with tickers does it, once for every quote row. A peer with one row a batch has no two
ways.

Rows a second stand in extra_info; all runs of a group have the same rows, so ratios of times are ratios of
rates.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.chains import ROWS, Desk, Floats, breached, replay_quotes
from hedger.limits_file import load_limits
from hedger.runs.lasting import set_aside
from hedger.runs.replay import replay
from hedger.settings import Settings
from pricing.daycount import NS_PER_SECOND, years_between
from venues import tape as tapes
from venues.simulated import SimulatedMarket
from venues.simulated_law import SimulationSettings
from venues.simulated_tape import tape_frames
from venues.tape import Tape

MARKET = SimulationSettings(strikes_per_expiry=35)
HELD = 100
SNAPSHOTS, SNAPSHOT_S = 200, 20.0
TICKS, TICK_S = 1_000, 0.02
ROUNDS = {"ours": 3, "snapshot": 3, "by_row": 2}
WIDE = np.tile(np.array([-1e15, 1e15]), (ROWS, 1))


def write_tape(folder: Path, ticks: bool) -> Tape:
    """A tape without depth: recorded chains have none."""
    market = SimulatedMarket(7, settings=MARKET)
    listings, quotes, _ = tape_frames(market, 2 if ticks else SNAPSHOTS, SNAPSHOT_S)
    if ticks:
        first = quotes.filter(pl.col("seq") == quotes["seq"].min())
        later = pl.concat([quotes.filter(pl.col("seq") == quotes["seq"].max())] * (TICKS // first.height + 1))
        number = pl.int_range(1, TICKS + 1, dtype=pl.Int64)
        stamp = pl.lit(int(first["local_ns"][0])) + number * round(TICK_S * NS_PER_SECOND)
        later = later.head(TICKS).with_columns(seq=first["seq"][0] + number, venue_ns=stamp, local_ns=stamp)
        quotes = pl.concat([first, later])
    tapes.write(folder, listings, quotes)
    return Tape.open(folder)


@pytest.fixture(scope="module", params=["snapshots", "ticks"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tape, Path]:
    folder = tmp_path_factory.mktemp("replay")
    tape = write_tape(folder / "tape", request.param == "ticks")
    options = [x for x in tape.universe.listings if tape.universe.is_option[tape.universe.positions[x.key]]]
    rng = np.random.default_rng(7)
    picked = [options[i] for i in np.sort(rng.choice(len(options), HELD, replace=False))]
    sizes = rng.integers(1, 40, HELD) * rng.choice([-1, 1], HELD)
    lines = [f"{x.venue},{x.symbol},{x.minimum * int(n)}," for x, n in zip(picked, sizes, strict=True)]
    lines += [f"{picked[0].venue},BTC,1000,", f"{picked[0].venue},ETH,10000,"]
    book = folder / "book.csv"
    book.write_text("\n".join(["venue,symbol,quantity,average_price", *lines]) + "\n")
    return tape, book


def settings() -> Settings:
    """Bands out of reach."""
    far = {"trigger": [-1e14, 1e14], "landing": [-1e13, 1e13]}
    keys = ("delta_usd", "gamma_usd_per_1pct", "vega_usd_per_point")
    return Settings.model_validate({"bands": {"*": dict.fromkeys(keys, far) | {"vega_bucket_multiple": 1e3}}})


def ours(folder: Path, book: Path) -> int:
    tape = Tape.open(folder)
    with set_aside():  # as the command does
        found = replay(tape, book, settings(), load_limits(None)).document
    assert found["orders"] == 0 and found["mode"] == "armed"
    assert found["marks"] == len(tape.batches.seq)
    return int(tape.counts()["quotes"])


def _book_of(tape: Tape, book: Path) -> tuple[dict[str, float], pl.DataFrame]:
    """Options held, and the peer's table of listed options."""
    universe, first_ns = tape.universe, int(tape.batches.now_ns[0])
    at = np.flatnonzero(universe.is_option)
    table = pl.DataFrame(
        {
            "symbol": [universe.listings[i].symbol for i in at],
            "strike": universe.strike[at],
            "years": years_between(first_ns, universe.expiry_ns[at]),
            "sign": universe.sign[at],
        }
    )
    held = pl.read_csv(book).filter(pl.col("symbol").is_in(table["symbol"].to_list()))
    return dict(
        zip(held["symbol"].to_list(), held["quantity"].cast(pl.Float64).to_list(), strict=True)
    ), table


def by_snapshot(folder: Path, book: Path) -> int:
    tape = Tape.open(folder)
    held, table = _book_of(tape, book)
    rows, outside = replay_quotes(tape.frame("quotes"), held, WIDE, table)
    assert outside == 0
    return rows


def by_row(folder: Path, book: Path) -> int:
    """Every quote row in turn: the newest vol and forward of its option, Greeks of the book, bands."""
    tape = Tape.open(folder)
    quantities, table = _book_of(tape, book)
    quotes = tape.frame("quotes")
    held = table.filter(pl.col("symbol").is_in(list(quantities)))
    places = {symbol: i for i, symbol in enumerate(held["symbol"].to_list())}
    strike, years, sign = (held[name].to_numpy() for name in ("strike", "years", "sign"))
    quantity = np.array([quantities[symbol] for symbol in places])
    vol, forward = np.full(HELD, np.nan), np.full(HELD, np.nan)
    nothing: Floats = np.zeros((ROWS, 2))
    desk = Desk(
        quantity, strike, years, vol, sign, forward, (), nothing, nothing, nothing, WIDE, WIDE, 1.0
    )  # fmt: skip
    outside, columns = 0, (quotes[name].to_list() for name in ("symbol", "mark_iv", "forward"))
    for symbol, iv, f in zip(*columns, strict=True):
        at = places.get(symbol)
        if at is not None:
            vol[at], forward[at] = iv, f
        outside += breached(desk)
    assert outside == 0
    return quotes.height


WAYS: dict[str, Callable[[Path, Path], int]] = {"ours": ours, "snapshot": by_snapshot, "by_row": by_row}


@pytest.mark.parametrize("name", ["ours", "snapshot", "by_row"])
def test_replay(benchmark: BenchmarkFixture, made: tuple[Tape, Path], name: str) -> None:
    tape, book = made
    counted = tape.counts()
    each = "ticks" if 10 * counted["batches"] > counted["quotes"] else "snapshots"
    benchmark.group = f"replay, no hedge due, 100 options, {each}"
    rows = benchmark.pedantic(
        lambda: WAYS[name](tape.path, book), rounds=ROUNDS[name], warmup_rounds=1 if name == "ours" else 0
    )
    assert rows == counted["quotes"]
    assert benchmark.stats is not None
    benchmark.extra_info["rows_per_s"] = round(rows / benchmark.stats.stats.median)
    benchmark.extra_info["us_per_batch"] = round(benchmark.stats.stats.median / counted["batches"] * 1e6, 1)
