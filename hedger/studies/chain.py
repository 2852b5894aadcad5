"""Hedging policies on recorded chains: what they cost, what risk they leave, and what that is at equal cost.

`hedger.studies.chain_tapes` carries a market maker's flow to settlement under every policy; here stands what
came of it: the document, its tables and its picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hedger.studies.chain_policies import CENTRING
from hedger.studies.chain_tapes import Coin, Question
from hedger.studies.chain_walk import PARTS
from hedger.studies.picture import COLOURS
from pricing.daycount import iso
from pricing.universe import FloatArray

EQUAL = (
    "Over the better of fixed band and Whalley-Wilmott at the same cost; c0 centres delta at every snapshot"
)
#: The measure of equal cost, and the policies compared at it.
YARDSTICKS = ("fixed_edge", "whalley_wilmott")
OURS = ("ours_perp", "ours_mix")
TAIL = 0.05
#: A grid's dearest setting counts as of equal cost up to this much above.
COST_SLACK = 1.02


def document(coins: Sequence[Coin], question: Question) -> dict[str, Any]:
    """The study as JSON: per policy over the books of a coin, per book, and against the yardsticks."""
    rows: list[dict[str, Any]] = []
    books: list[dict[str, Any]] = []
    equal: list[dict[str, Any]] = []
    normal: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for coin in coins:
        daily = _Daily.of(coin)
        for lane in range(len(coin.walk.lanes)):
            mine = [_figures(coin, daily, b, lane) for b in range(len(coin.books))]
            books += mine
            rows.append(_together(coin, mine))
        found = _at_equal_cost(coin, daily)
        equal += found
        for one in found:
            normal.setdefault((one["policy"], str(one["parameters"])), []).append(one)
    return {
        "model": "chain",
        "seed": question.seed if question.flow is None else None,
        "seeds": question.seeds if question.flow is None else None,
        "paths": sum(len(coin.books) for coin in coins),
        "unit": "USD a day; sd and mean of the worst 5 % of days of the P&L after costs, gains positive",
        "coins": [_coin(coin) for coin in coins],
        "assumptions": list(ASSUMPTIONS),
        "rows": rows,
        "books": books,
        "at_equal_cost": equal,
        "pooled": [_pooled(found) for found in normal.values()],
    }


ASSUMPTIONS = (
    "settlement is `assumed`: at the first spot known after an expiry, without the venue's averaging and "
    "without its delivery fee",
    "the perpetual's displayed price holds for any size: there are hours between snapshots; options trade "
    "no more than is displayed",
    "funding is unknown on a recorded chain and counts 0",
    "positions still open at the end stand at their marks",
    "customers pay half of the displayed spread over the mark; it is in the P&L of every policy alike",
)


@dataclass(frozen=True, slots=True, eq=False)
class _Daily:
    """P&L, cost and parts by day, (days, B, lanes), parts (days, 4, B, lanes)."""

    pnl: FloatArray
    cost: FloatArray
    trades: FloatArray
    parts: FloatArray
    edge: FloatArray

    @classmethod
    def of(cls, coin: Coin) -> _Daily:
        """From the last snapshot of a day to that of the next; the first, begun in part, is left out."""
        days = coin.walk.days

        def rises(name: str) -> FloatArray:
            return np.diff(np.array([getattr(day, name) for day in days]), axis=0)

        return cls(*(rises(name) for name in ("wealth", "cost", "trades", "parts", "edge")))


def _figures(coin: Coin, daily: _Daily, b: int, lane: int) -> dict[str, Any]:
    """One book under one policy."""
    customers, seed = coin.books[b]
    head = {
        "underlying": coin.contracts.underlying, "customers": customers, "seed": seed,
        "policy": coin.walk.lanes[lane].policy, "parameters": dict(coin.walk.lanes[lane].parameters),
    }  # fmt: skip
    days = len(daily.pnl)
    if coin.walk.refused[b, lane] or days < 2:
        reason = (
            "the book held gammas of both signs, or costs beyond the fit: the formula is of one option"
            if days >= 2
            else "fewer than three days with a snapshot"
        )
        return {**head, **dict.fromkeys(FIGURES), "shares": None, "refused": reason}
    pnl, cost = daily.pnl[:, b, lane], daily.cost[:, b, lane]
    return {
        **head,
        "mean_cost": float(cost.mean()),
        "mean_pnl": float(pnl.mean()),
        "sd_gross": float((pnl + cost).std()),
        "sd_net": float(pnl.std()),
        "es5_net": shortfall(pnl),
        "worst_day": float(pnl.min()),
        "trades": float(daily.trades[:, b, lane].mean()),
        "shares": _shares(pnl, daily.parts[:, :, b, lane]),
    }


FIGURES = ("mean_cost", "mean_pnl", "sd_gross", "sd_net", "es5_net", "worst_day", "trades")


def shortfall(pnl: FloatArray) -> float:
    """Mean of the worst 5 % of days, at least one.

    >>> shortfall(np.array([1.0, -3.0, 2.0]))
    -3.0
    """
    return float(np.sort(pnl)[: max(1, math.ceil(TAIL * pnl.size))].mean())


def _shares(pnl: FloatArray, parts: FloatArray) -> dict[str, float] | None:
    """What each part has in the variance: cov(part, P&L) / var(P&L); they add up to one with the edge and
    cost
    in `rest`."""
    centred = pnl - pnl.mean()
    variance = float(centred @ centred)
    if not variance > 0:
        return None
    shares = {
        name: float((parts[:, i] - parts[:, i].mean()) @ centred) / variance
        for i, name in enumerate(PARTS[:-1])
    }
    return {**shares, "rest": 1.0 - sum(shares.values())}


def _together(coin: Coin, books: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A policy over the books of a coin: mean cost, root mean square of sds, mean shortfall, worst day."""
    head = {key: books[0][key] for key in ("policy", "parameters", "underlying")}
    head["cost_bps"] = 1e4 * float(np.mean(coin.rates))
    refused = [book["refused"] for book in books if "refused" in book]
    if refused:
        told = {"refused": f"{len(refused)} of {len(books)} books: {refused[0]}"}
        return {**head, **dict.fromkeys(FIGURES), "shares": None, **told}

    def column(name: str) -> FloatArray:
        return np.array([book[name] for book in books])

    shares = [book["shares"] for book in books if book["shares"] is not None]
    return {
        **head,
        "mean_cost": float(column("mean_cost").mean()),
        "mean_pnl": float(column("mean_pnl").mean()),
        "sd_gross": float(np.sqrt((column("sd_gross") ** 2).mean())),
        "sd_net": float(np.sqrt((column("sd_net") ** 2).mean())),
        "es5_net": float(column("es5_net").mean()),
        "worst_day": float(column("worst_day").min()),
        "trades": float(column("trades").mean()),
        "shares": {part: float(np.mean([x[part] for x in shares])) for part in PARTS} if shares else None,
    }


def _at_equal_cost(coin: Coin, daily: _Daily) -> list[dict[str, Any]]:
    """Each of our settings, book by book, over the better yardstick that costs as much.

    Of each yardstick the dearest setting that costs at most 2 % more than ours (its width 0 is centring at
    every snapshot); `best_width` is harder: the least sd of any width up to that cost, known in hindsight.
    """
    if len(daily.pnl) < 2:
        return []
    cost, sd = daily.cost.mean(axis=0), daily.pnl.std(axis=0)
    lanes = coin.walk.lanes
    found = []
    for lane, ours in enumerate(lanes):
        if ours.policy not in OURS:
            continue
        books = []
        for b, (customers, seed) in enumerate(coin.books):
            cheap = [
                i
                for i, other in enumerate(lanes)
                if (other.policy in YARDSTICKS or i == CENTRING) and cost[b, i] <= COST_SLACK * cost[b, lane]
            ]
            if not cheap or not (sd[b, cheap] > 0).all():
                continue
            same = [
                max(mine, key=cost[b].__getitem__)
                for policy in YARDSTICKS
                if (mine := [i for i in cheap if lanes[i].policy == policy or i == CENTRING])
            ]
            against = min(same, key=sd[b].__getitem__)
            pnl, theirs = daily.pnl[:, b, lane], daily.pnl[:, b, against]
            books.append({
                "customers": customers, "seed": seed,
                "cost_over_c0": _ratio(cost[b, lane], cost[b, CENTRING]),
                "edge_over_c0": _ratio(daily.edge[:, b].mean(), cost[b, CENTRING]),
                "against": lanes[against].policy, "against_parameters": dict(lanes[against].parameters),
                "sd_ratio": float(sd[b, lane] / sd[b, against]),
                "es5_ratio": _ratio(shortfall(pnl), shortfall(theirs)),
                "sd_ratio_best_width": float(sd[b, lane] / sd[b, cheap].min()),
                "_ours": pnl / sd[b, against], "_theirs": theirs / sd[b, against],
            })  # fmt: skip
        if books:
            found.append({
                "underlying": coin.contracts.underlying, "policy": ours.policy,
                "parameters": dict(ours.parameters), **_pool(books), "books": books,
            })  # fmt: skip
    return found


def _ratio(a: float, b: float) -> float | None:
    return float(a / b) if b != 0 else None


def _pool(books: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Books put together, each in units of its yardstick's sd."""
    ours = np.concatenate([book["_ours"] for book in books])
    theirs = np.concatenate([book["_theirs"] for book in books])
    known = [book["cost_over_c0"] for book in books if book["cost_over_c0"] is not None]
    return {
        "sd_ratio": float(np.sqrt(np.mean([book["sd_ratio"] ** 2 for book in books]))),
        "es5_ratio": _ratio(shortfall(ours), shortfall(theirs)),
        "sd_ratio_best_width": float(np.sqrt(np.mean([b["sd_ratio_best_width"] ** 2 for b in books]))),
        "worst_book": max(book["sd_ratio"] for book in books),
        "cost_over_c0": float(np.mean(known)) if known else None,
    }


def _pooled(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One setting over all coins; the daily figures that served for it are dropped here."""
    books = [book for one in found for book in one["books"]]
    result = {
        "policy": found[0]["policy"],
        "parameters": found[0]["parameters"],
        **_pool(books),
        "books": len(books),
    }
    for book in books:
        del book["_ours"], book["_theirs"]
    return result


def _coin(coin: Coin) -> dict[str, Any]:
    walk = coin.walk
    return {
        "underlying": coin.contracts.underlying, "from": iso(coin.first_ns), "to": iso(coin.last_ns),
        "days": max(len(walk.days) - 1, 0), "snapshots": walk.snapshots, "marks_between": walk.marks_between,
        "books": len(coin.books), "deals": coin.deals,
        "settlements": {"booked": walk.settled, "status": "assumed"},
        "ledger_gap_usd": walk.worst_gap_usd,
    }  # fmt: skip


def table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Every policy over the books of every coin; shares of the variance by delta, gamma and vega."""
    columns = ["policy", "setting", "coin", "cost", "sd", "es5", "Δ/Γ/vega %"]
    lines = []
    for row in result["rows"]:
        setting = " ".join(f"{v:g}" for v in row["parameters"].values() if v is not None)
        shares = row["shares"]
        lines.append([
            row["policy"], setting or "-", row["underlying"],
            *(_shown(row[name]) for name in ("mean_cost", "sd_net", "es5_net")),
            "/".join(f"{100 * shares[part]:z.0f}" for part in PARTS[:3]) if shares else "-",
        ])  # fmt: skip
    return columns, lines


def equal_table(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Ours over the better of fixed band and Whalley-Wilmott at equal cost."""
    columns = ["policy", "setting", "coin", "books", "cost/c0", "sd", "es5", "worst book", "sd, best width"]
    lines = []
    for row in [*result["at_equal_cost"], *({**x, "underlying": "all"} for x in result["pooled"])]:
        count = row["books"] if isinstance(row["books"], int) else len(row["books"])
        ratios = (
            row[k] for k in ("cost_over_c0", "sd_ratio", "es5_ratio", "worst_book", "sd_ratio_best_width")
        )
        setting = " ".join(f"{k}={v:g}" for k, v in row["parameters"].items())
        lines.append([
            row["policy"], setting, row["underlying"], str(count),
            *("-" if x is None else f"{x:z.2f}" for x in ratios),
        ])  # fmt: skip
    return columns, lines


def _shown(x: float | None) -> str:
    return "-" if x is None else f"{x:z,.0f}"


def figures(result: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Cost against risk of every policy, one chart per coin."""
    from plotly.graph_objects import Figure

    made = []
    for coin in result["coins"]:
        figure = Figure()
        mine = [
            row
            for row in result["rows"]
            if row["underlying"] == coin["underlying"]
            and row["sd_net"] is not None
            and row["policy"] != "none"
        ]  # fmt: skip
        for number, policy in enumerate(dict.fromkeys(row["policy"] for row in mine)):
            points = sorted((r for r in mine if r["policy"] == policy), key=lambda r: r["mean_cost"])
            figure.add_scatter(
                x=[r["mean_cost"] for r in points], y=[r["sd_net"] for r in points], name=policy,
                mode="lines+markers", marker_color=COLOURS[number % len(COLOURS)],
                marker_symbol=("circle", "diamond")[number // len(COLOURS) % 2],
                text=[str(r["parameters"]) for r in points],
            )  # fmt: skip
        figure.update_xaxes(title="cost, USD a day")
        figure.update_yaxes(title="sd of the daily P&L after costs, USD")
        caption = f"{coin['books']} books, {coin['days']} days from {coin['from']}; down and left is better."
        made.append((f"{coin['underlying']}: cost against risk", caption, figure))
    return made
