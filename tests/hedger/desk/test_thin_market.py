"""A thin market by hand, and windows of past prices."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hedger.desk.returns import read_returns
from hedger.desk.stressed import thinned
from pricing.errors import InputError
from tests.builders import Quote, listing, market_of, option, perpetual
from tests.hedger.command_line import make_tape
from venues.tape import Tape


def test_prices_go_outward_to_the_tick_and_sizes_shrink() -> None:
    """Middle 0.0502, half a spread of 0.0003: three times is 0.0009; on ticks of 0.0005 that is 0.049 and
    0.0515. A book: each level three times as far. A bid that would be below nothing is gone. One side: as it
    is."""
    ticks = "0:0.0005"
    quoted = Quote(
        listing(option(60_000.0, "C", 30.0), ticks=ticks), bid=0.0499, ask=0.0505, mark=0.05, mark_iv=0.5,
        forward=60_000.0, index=60_000.0, bid_size=6.0, ask_size=9.0,
    )  # fmt: skip
    deep = Quote(
        listing(perpetual(), ticks="0:0.5"), bid=59_990.0, ask=60_010.0, bid_size=300.0, ask_size=300.0,
        mark=60_000.0, index=60_000.0, bids=[(59_990.0, 300.0), (59_900.0, 900.0)], asks=[(60_010.0, 300.0)],
    )  # fmt: skip
    wing = Quote(
        listing(option(90_000.0, "C", 30.0), ticks=ticks), bid=0.0005, ask=0.0025, bid_size=1.0, ask_size=3.0,
        mark=0.001, mark_iv=0.5, forward=60_000.0, index=60_000.0,
    )  # fmt: skip
    alone = Quote(
        listing(option(80_000.0, "C", 30.0), ticks=ticks), ask=0.0025, ask_size=3.0, mark=0.001, mark_iv=0.5,
        forward=60_000.0, index=60_000.0,
    )  # fmt: skip
    market = market_of([quoted, deep, wing, alone])
    found = thinned(market, 3.0)
    assert (found.bid[0], found.ask[0]) == (pytest.approx(0.049), pytest.approx(0.0515))
    assert (found.bid_size[0], found.ask_size[0]) == (2.0, 3.0)
    bids, asks = found.depth[1]
    assert bids.price.tolist() == [59_970.0, 59_700.0] and bids.size.tolist() == [100.0, 300.0]
    assert asks.price.tolist() == [60_030.0] and asks.size.tolist() == [100.0]
    assert (
        math.isnan(found.bid[2]) and math.isnan(found.bid_size[2]) and found.ask[2] == pytest.approx(0.0045)
    )
    assert found.ask[3] == 0.0025 and found.ask_size[3] == 1.0
    np.testing.assert_array_equal(found.mark, market.mark)
    np.testing.assert_array_equal(thinned(market, 1.0).bid, market.bid)
    for bad in (0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match="at least 1"):
            thinned(market, bad)


def test_windows_of_prices_overlap_and_gaps_are_no_returns(tmp_path: Path) -> None:
    """Hours 0, 1, 2, 3, 9: over two hours 0-2 and 1-3; 2 and 3 have nothing but 9, six hours on."""
    file = tmp_path / "bars.parquet"
    hours, prices = [0, 1, 2, 3, 9], [100.0, 110.0, 120.0, 99.0, 50.0]
    rows = [
        {"ts": f"2026-01-01T{h:02}:00:00", "open": x * k, "symbol": name}
        for name, k in (("BTC-PERPETUAL", 1.0), ("ETH_USDT", 0.1))
        for h, x in zip(hours, prices, strict=True)
    ]
    pl.DataFrame(rows).with_columns(pl.col("ts").str.to_datetime()).write_parquet(file)
    found = read_returns(file, ["BTC", "ETH", "SOL"], 2.0, 600.0)
    assert list(found.moves) == ["BTC", "ETH"] and (found.count, found.apart) == (2, 1)
    for moves in found.moves.values():
        assert moves.tolist() == pytest.approx([0.2, 99 / 110 - 1])


def bars(file: Path, *symbols: str) -> Path:
    """Three hours of prices that rise by 10 % each; without symbols the file has no such column."""
    rows = [
        {"ts": f"2026-01-01T0{h}:00:00", "open": x} | ({"symbol": symbol} if symbol else {})
        for symbol in symbols or ("",)
        for h, x in enumerate((100.0, 110.0, 121.0))
    ]
    pl.DataFrame(rows).write_csv(file)
    return file


@pytest.mark.parametrize(
    "symbols",
    [
        ("BTCUSDT", "ETHUSDT"), ("BTCUSD", "ETHUSD"), ("BTC/USDT:USDT", "ETH/USDC:USDC"), ("BTC", "ETH"),
        ("btcusd_perp", "ethfdusd"), ("BTC-USDT-SWAP", "ETH_USDT", "WBTCUSDT", "ETHBTC", "ETH/BTC"),
    ],
)  # fmt: skip
def test_a_coin_is_known_however_its_venue_writes_the_symbol(
    tmp_path: Path, symbols: tuple[str, ...]
) -> None:
    found = read_returns(bars(tmp_path / "bars.csv", *symbols), ["BTC", "ETH"], 1.0, 600.0)
    assert {name: moves.tolist() for name, moves in found.moves.items()} == {
        name: pytest.approx([0.1, 0.1]) for name in ("BTC", "ETH")
    }


@pytest.mark.parametrize(
    ("symbols", "coin", "told"),
    [
        (("SOLUSDT", "ETHBTC"), "ETH", "ETHBTC, SOLUSDT"),
        ((), "ETH", "no column symbol, so BTC"),
        (("BTCUSDT", "BTC-PERPETUAL", "SOLUSDT"), "BTC", "BTC-PERPETUAL, BTCUSDT"),
    ],
)
def test_symbols_that_tell_no_coin_or_one_twice_are_refused_and_named(
    tmp_path: Path, symbols: tuple[str, ...], coin: str, told: str
) -> None:
    with pytest.raises(InputError) as refused:
        read_returns(bars(tmp_path / "bars.csv", *symbols), [coin], 1.0, 600.0)
    assert (refused.value.code, refused.value.observed) == ("FILE_SYMBOLS", told)
    assert read_returns(tmp_path / "bars.csv", [], 1.0, 600.0).moves == {}  # a book that holds no coin


def test_every_file_of_prices_at_hand_tells_returns(shared_data: Path) -> None:
    files = sorted((shared_data / "ohlcv").glob("*.parquet"))
    for file in files:
        coins = ["BTC"] if "deribit" in file.name else ["BTC", "ETH"]
        found = read_returns(file, coins, 24.0, 600.0)
        assert list(found.moves) == coins and found.count > 100, file.name
    assert files


def test_returns_of_a_tape_are_those_of_its_index(tmp_path: Path) -> None:
    folder = make_tape(tmp_path / "tape", batches=7, seconds=60.0)
    found = read_returns(folder, ["BTC", "ETH"], 0.05, 600.0)
    tape = Tape.open(folder)
    frame = tape.frame("quotes").filter(pl.col("symbol").str.starts_with("BTC")).group_by("seq").agg(
        pl.col("index").median()
    ).sort("seq")  # fmt: skip
    index = frame["index"].to_list()
    assert found.moves["BTC"].tolist() == pytest.approx(
        [b / a - 1 for a, b in zip(index, index[3:], strict=False)]
    )
    assert (found.count, found.apart) == (4, 2)
