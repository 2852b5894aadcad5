"""The desk's numbers by other means: textbook formulas on the raw quotes, with nothing of the house.

Simple and slow on purpose: one option at a time, `math.erfc`, the definitions of the README word for word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

DAY_NS = 86_400 * 10**9
YEAR_NS = 365 * DAY_NS
BUCKETS = (("0-7d", 0, 7), ("7-30d", 7, 30), ("30-90d", 30, 90), ("90-180d", 90, 180), ("180d+", 180, 10**9))
STABLE = {"USD", "USDC", "USDT"}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Greeks:
    """Of one coin of an option, USD numeraire; v = value in coin."""

    value: float
    delta: float
    gamma: float
    vega: float
    theta: float

    def coin(self, forward: float) -> tuple[float, float, float, float]:
        """(delta, gamma, vega, theta) in the coin numeraire: F v', F^2 v'', vega/F, theta/F with v = V/F."""
        net = self.delta - self.value / forward
        return net, forward * self.gamma - 2.0 * net, self.vega / forward, self.theta / forward


def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def black(forward: float, strike: float, years: float, vol: float, sign: int) -> Greeks:
    """Black-76, undiscounted."""
    deviation = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + 0.5 * deviation
    density = math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    return Greeks(
        value=sign * (forward * normal(sign * d1) - strike * normal(sign * (d1 - deviation))),
        delta=sign * normal(sign * d1),
        gamma=density / (forward * deviation),
        vega=forward * density * math.sqrt(years),
        theta=-forward * density * vol / (2.0 * math.sqrt(years)),
    )


@dataclass(frozen=True, slots=True)
class RawMarket:
    """The rows of one batch of a tape, read from its parquet files, and its listings."""

    now_ns: int
    quotes: Mapping[str, Row]
    listings: Mapping[str, Row]
    index: Mapping[str, float]
    depth: Mapping[tuple[str, str], list[tuple[float, float]]]

    @classmethod
    def read(cls, tape: Path, seq: int | None = None) -> RawMarket:
        quotes = pl.read_parquet(tape / "quotes.parquet")
        last = quotes["seq"].max() if seq is None else seq
        rows = {row["symbol"]: row for row in quotes.filter(pl.col("seq") == last).iter_rows(named=True)}
        listings = {
            row["symbol"]: row for row in pl.read_parquet(tape / "listings.parquet").iter_rows(named=True)
        }
        index: dict[str, list[float]] = {}
        for symbol, row in rows.items():
            if row["index"] is not None:
                index.setdefault(listings[symbol]["underlying"], []).append(row["index"])
        depth: dict[tuple[str, str], list[tuple[float, float]]] = {}
        if (tape / "depth.parquet").exists():
            levels = pl.read_parquet(tape / "depth.parquet").filter(pl.col("seq") == last).sort("level")
            for row in levels.iter_rows(named=True):
                depth.setdefault((row["symbol"], row["side"]), []).append((row["price"], row["size"]))
        return cls(
            now_ns=max(row["local_ns"] for row in rows.values()),
            quotes=rows,
            listings=listings,
            index={name: median(values) for name, values in index.items()},
            depth=depth,
        )

    def days(self, symbol: str) -> float:
        return float(self.listings[symbol]["expiry_ns"] - self.now_ns) / DAY_NS

    def greeks(self, symbol: str) -> Greeks:
        quote, listing = self.quotes[symbol], self.listings[symbol]
        years = (listing["expiry_ns"] - self.now_ns) / YEAR_NS
        sign = 1 if listing["right"] == "C" else -1
        return black(quote["forward"], listing["strike"], years, quote["mark_iv"], sign)

    def unit(self, symbol: str, numeraire: str = "USD") -> dict[str, float]:
        """What one order unit, held, adds to its rows (inverse options and futures, linear spot)."""
        quote, listing = self.quotes[symbol], self.listings[symbol]
        und = listing["underlying"]
        if listing["kind"] != "option":
            if listing["kind"] == "spot":
                return {f"delta:{und}": 1.0 if numeraire == "USD" else 0.0}
            assert listing["payoff"] == "inverse"
            per_dollar = 1.0 / quote["mark"]
            rows = {f"delta:{und}": per_dollar}
            return rows if numeraire == "USD" else rows | {f"gamma:{und}": -2.0 * per_dollar}
        assert listing["payoff"] == "inverse"
        found, days = self.greeks(symbol), self.days(symbol)
        values = (found.delta, found.gamma, found.vega, found.theta)
        delta, gamma, vega, theta = values if numeraire == "USD" else found.coin(quote["forward"])
        bucket = next(name for name, first, end in BUCKETS if first <= days < end)
        return {
            f"delta:{und}": delta,
            f"{'gamma' if days >= 2 else 'gamma_expiring'}:{und}": gamma,
            f"vega:{und}": vega,
            f"vega:{und}:{bucket}": vega,
            f"vega_weighted:{und}": vega * math.sqrt(30.0 / max(days, 1.0)),
            f"theta:{und}": theta,
        }

    def reference(self, symbol: str) -> float:
        """The mark clamped into the touch."""
        quote = self.quotes[symbol]
        mark = quote["mark"] if quote["mark"] is not None else (quote["bid"] + quote["ask"]) / 2
        return float(min(max(mark, quote["bid"]), quote["ask"]))

    def traded(self, symbol: str, numeraire: str = "USD") -> dict[str, float]:
        """What buying one order unit at the reference price changes, with what is paid for it."""
        rows, listing = dict(self.unit(symbol, numeraire)), self.listings[symbol]
        row = f"delta:{listing['underlying']}"
        if listing["kind"] == "option" and numeraire == "USD":
            rows[row] -= self.reference(symbol)
        if listing["kind"] == "spot" and numeraire == "coin":
            rows[row] += self.reference(symbol) / self.index[listing["underlying"]]
        return rows

    def exposures(self, book: Mapping[str, float], numeraire: str = "USD") -> dict[str, float]:
        """Rows of a book of symbols and currencies."""
        held = {self.listings[s]["underlying"] if s in self.listings else s for s in book} - STABLE
        rows: dict[str, float] = {}
        for name, amount in book.items():
            if name in self.listings:
                for row, x in self.unit(name, numeraire).items():
                    rows[row] = rows.get(row, 0.0) + amount * x
            elif numeraire == "USD" and name not in STABLE:
                rows[f"delta:{name}"] = rows.get(f"delta:{name}", 0.0) + amount
            elif numeraire == "coin" and name in STABLE:
                for und in held:
                    rows[f"delta:{und}"] = rows.get(f"delta:{und}", 0.0) - amount / self.index[und]
        return rows

    def ladder(self, symbol: str, side: str) -> list[tuple[float, float]]:
        """Displayed (price, size), best first; side "ask" is what a buyer takes."""
        quote = self.quotes[symbol]
        return self.depth.get((symbol, side), [(quote[side], quote[f"{side}_size"])])

    def cost(self, symbol: str, buys: bool, price: float) -> tuple[float, float]:
        """(USD over the reference, USD fee) of one order unit at a price, carry left out."""
        listing, sign = self.listings[symbol], 1 if buys else -1
        index, reference = self.index[listing["underlying"]], self.reference(symbol)
        rate = float(listing["taker_fee"])
        if listing["kind"] == "option":
            cap = float(listing["fee_cap"] or "inf")
            return sign * (price - reference) * index, min(rate, cap * price) * index
        if listing["payoff"] == "inverse":
            return sign * (1 / reference - 1 / price) * index, rate / price * index
        return sign * (price - reference), rate * price
