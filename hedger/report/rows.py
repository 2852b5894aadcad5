"""What the words of a journal come to as rows of the report's tables: plain values, None where not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hedger.core.usage import Usage
from hedger.desk.follow import Follower
from hedger.documents import number
from hedger.journal.entries import Configuration, Record
from hedger.problem.snapshot import Snapshot, equity_usd
from pricing.contracts import Kind
from risk.attribution import Attribution
from risk.bands import row_factor
from risk.standing import worth
from venues.orders import TradeReport

Json = dict[str, Any]
Row = dict[str, Any]
TEXT_MAX = 300
#: Behind a text of which a part was left out.
_MORE = " .."


def shortened(text: str) -> str:
    """A text of at most TEXT_MAX characters: cut between words, so that no code in it is half a code, and
    told. A word longer than that is cut all the same.

    >>> shortened("short"), shortened("a " * 160)[-8:], len(shortened("x" * 400))
    ('short', 'a a a ..', 300)
    """
    if len(text) <= TEXT_MAX:
        return text
    head = text[: TEXT_MAX - len(_MORE) + 1]
    kept = head.rpartition(" ")[0] if " " in head else head[:-1]
    return kept.rstrip(" ;,:") + _MORE


def filled(record: Record, report: TradeReport, execution: int | None, spot: Mapping[str, float]) -> Row:
    """A fill. Turnover is the price paid for options and spot, the notional of perpetuals and futures; it and
    the fee are taken at the indexes of that moment, USD by coin."""
    fill = report.fill
    contract, price = fill.listing.contract, float(fill.price)
    index = spot.get(contract.underlying, math.nan)
    units = float(fill.listing.size) * float(fill.quantity)
    if contract.kind in (Kind.OPTION, Kind.SPOT):
        turnover = units * price * (index if contract.inverse else 1.0)
    else:
        turnover = units * (index / price if contract.inverse else price)
    fee_price = worth(fill.fee_currency, spot)
    return {
        "now_ns": record.now_ns,
        "execution": execution,
        "venue": fill.listing.venue,
        "symbol": fill.listing.symbol,
        "trade_id": fill.trade_id,
        "underlying": contract.underlying,
        "kind": Kind(contract.kind).name.lower(),
        "side": str(fill.side),
        "quantity": str(fill.quantity),
        "price": str(fill.price),
        "fee": str(fill.fee),
        "fee_currency": fill.fee_currency,
        "maker": report.maker,
        "index_usd": number(index),
        "turnover_usd": number(abs(turnover)),
        "fee_usd": number(float(fill.fee) * fee_price),
    }


def verified(now_ns: int, found: Json, begun_ns: int | None, asked: Json, orders: int, fills: int) -> Row:
    """A hedge that is over, as the engine checked it against its ticket. asked: what began it."""
    ticket = asked.get("ticket") or {}
    fee, slippage, expected = (found[k] for k in ("fee_usd", "slippage_usd", "expected_usd"))
    cost = None if fee is None or slippage is None else fee + slippage
    return {
        "execution": int(found["execution"]),
        "begun_ns": begun_ns,
        "now_ns": now_ns,
        "trigger": shortened(str(asked.get("trigger", ""))),
        "ended": shortened(str(found["ended"])),
        **{name: bool(found[name]) for name in ("filled", "inside")},
        "replans": int(found["replans"]),
        "orders": orders,
        "fills": fills,
        "expected_usd": expected,
        "lower_bound_usd": ticket.get("lower_bound_usd"),
        "fee_usd": fee,
        "slippage_usd": slippage,
        "cost_usd": cost,
        "difference_usd": None if cost is None or expected is None else cost - expected,
        "turnover_usd": found["turnover_usd"],
        **{f"because_{name}_usd": x for name, x in (found.get("cost") or {}).items()},
    }


def valued(now_ns: int, snapshot: Snapshot, total: Attribution | None) -> Row:
    """A valuation: what the book is worth, and what it gained since the first one, by cause; None while
    something held has no worth, for what is told then is of a moment before."""
    total = None if snapshot.missing else total
    parts = {} if total is None else total.total.as_dict()
    return {
        "now_ns": now_ns,
        "equity_usd": None if snapshot.missing else number(equity_usd(snapshot)),
        "missing": len(snapshot.missing),
        "pnl_usd": None if total is None else number(total.equity_change),
        "transfers_usd": None if total is None else number(total.transfers),
        **{f"{part}_usd": number(x) for part, x in parts.items() if part != "pnl"},
    }


def edges(snapshot: Snapshot, follower: Follower) -> dict[str, tuple[float, ...]]:
    """Every row's band and desk units per unit; bands set by command stand before those of the settings."""
    bands = snapshot.bands
    found: dict[str, tuple[float, ...]] = {}
    for i, row in enumerate(snapshot.exposure.rows):
        greek, underlying, *_ = row.split(":")
        spot = snapshot.spot[underlying]
        scale = 1.0 / row_factor(greek, spot, snapshot.numeraire) if math.isfinite(spot) else math.nan
        trigger = (float(bands.trigger_lower[i]), float(bands.trigger_upper[i]))
        landing = (float(bands.landing_lower[i]), float(bands.landing_upper[i]))
        trigger, landing = follower.overrides.get(row, (trigger, landing))
        found[row] = (float(bands.target[i]), *trigger, *landing, scale)
    return found


def started(record: Record, word: Configuration) -> Row:
    """A start of an engine."""
    names = (
        "version", "settings_sha256", "limits_sha256", "tape_sha256", "book_sha256", "seed", "user", "reason",
    )  # fmt: skip
    return {"now_ns": record.now_ns, **{name: getattr(word, name) for name in names}}


def steered(record: Record, kind: str, what: str, user: str, reason: str, outcome: str = "") -> Row:
    """A change of mode, a command or the kill latch. outcome: what came of a wish, as far as is known yet."""
    words = {"kind": kind, "what": what, "user": user, "reason": shortened(reason), "outcome": outcome}
    return {"now_ns": record.now_ns, **words}


def used(record: Record, word: Usage) -> Row:
    """What the day's budgets stood at."""
    counters = word.counters
    sums = {
        "turnover_usd": counters.turnover_usd,
        "fees_usd": counters.fees_usd,
        "slippage_usd": counters.slippage_usd,
        "pnl_usd": counters.pnl_usd,
        "pnl_low_usd": counters.pnl_low_usd,
        "equity_open_usd": counters.equity_open_usd,
    }
    return {"now_ns": record.now_ns, "day": counters.day, **{name: number(x) for name, x in sums.items()}}
