"""How much of each hard limit was used, moment by moment: positions, margin, order rate, Greeks, budgets.

Positions and margin are those at each valuation, of what was booked and whatever might still have come of the
orders that were out, UNKNOWN ones included, each as the limits count it: notionals gross at the worse end,
accounts not netted (C6); requirements by the venue's model between both ends, as a share of the margin
balance less the premiums that might have to be paid (C9). The order rate counts messages that left: the legs
of a combo are one (C13). Greeks are the book's as decided on, without those orders (C7): what they led to is
told by the refusals. Budgets are what the engine itself counted of the day (C15): fees and slippage whenever
they change, up to the end of the record; the loss also at each valuation, from what the day began with.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from hedger.core.leg_margin import Models
from hedger.core.order_life import OrderRecord
from hedger.core.order_margin import margin_balance, reserve
from hedger.problem.snapshot import Snapshot
from hedger.report.words import desk_unit
from pricing.contracts import Listing
from pricing.daycount import NS_PER_DAY, NS_PER_SECOND
from risk.costs import coins_per_unit
from risk.limit_terms import Limits, RateLimits
from risk.margin import margins, premiums
from risk.throttle import TokenBucket

Row = dict[str, Any]
#: Of a Greek its key in [greeks].
KEYS = {
    "delta": "delta_usd_max",
    "gamma": "gamma_usd_per_1pct_max",
    "gamma_expiring": "gamma_expiring_usd_per_1pct_max",
    "vega": "vega_usd_per_point_max",
}
#: Kinds of limit, in the order in which they are shown.
CONTROLS = ("position", "margin", "order rate", "Greek", "budget of the day")
SCHEMA = {
    "now_ns": pl.Int64,
    "control": pl.String,
    "limit": pl.String,
    "unit": pl.String,
    "use": pl.Float64,
    "allowed": pl.Float64,
    "share": pl.Float64,
    "note": pl.String,
}
_SHARE = "of the balance"


# ----------------------------------------------------------------------------------------- at a valuation


def positions_and_margin_used(
    now_ns: int, snapshot: Snapshot, models: Models, out: Sequence[OrderRecord] = ()
) -> Iterator[Row]:
    """What positions and orders use at a moment, without what is allowed; null where it is not known.
    out: the orders of which something may still be filled."""
    by_instrument, sums = _notionals(snapshot, out)
    for (limit, key), usd in sums.items():
        yield _used(now_ns, "position", limit, "USD", usd, key)
    if by_instrument:
        largest = max(by_instrument, key=lambda name: (math.isnan(by_instrument[name]), by_instrument[name]))
        usd = by_instrument[largest]  # one that is not known stands before all others
        yield _used(now_ns, "position", "largest instrument", "USD", usd, "instrument_usd_max", largest)
    yield from _margin(now_ns, snapshot, models, out)


def _notionals(
    snapshot: Snapshot, out: Sequence[OrderRecord]
) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Gross notionals, USD: by instrument, and by (limit, key of [position]); NaN where one of their
    positions has no price."""
    valuation, places = snapshot.valuation, snapshot.market.universe.positions
    unit_usd = coins_per_unit(valuation) * valuation.spot_of_listing()
    by_instrument: dict[str, float] = {}
    found: dict[tuple[str, str], float] = {}
    for listing, quantity in _worst_sizes(snapshot, out):
        at = places.get(listing.key)
        usd = math.nan if at is None else float(quantity) * float(unit_usd[at])
        instrument = f"{listing.venue} {listing.symbol}"
        by_instrument[instrument] = by_instrument.get(instrument, 0.0) + usd
        for limit, key in (
            (f"all of {listing.contract.underlying}", "underlying_usd_max"),
            (f"all on {listing.venue}", "venue_usd_max"),
            ("everything", "firm_usd_max"),
        ):
            found[limit, key] = found.get((limit, key), 0.0) + usd
    return by_instrument, found


def _worst_sizes(snapshot: Snapshot, out: Sequence[OrderRecord]) -> Iterator[tuple[Listing, Decimal]]:
    """Of each listing on each account the larger size that it may come to, order units; none of 0."""
    none = Decimal(0)
    booked = snapshot.book.positions.values()
    ends = {(p.listing.key, p.account): (p.listing, p.quantity, p.quantity) for p in booked}
    for record in out:
        order, signed = record.order, record.reserved * record.order.side.sign
        listing, low, high = ends.get((order.listing.key, order.account), (order.listing, none, none))
        ends[order.listing.key, order.account] = listing, low + min(signed, none), high + max(signed, none)
    for listing, low, high in ends.values():
        if low or high:
            yield listing, max(abs(low), abs(high))


def _margin(now_ns: int, snapshot: Snapshot, models: Models, out: Sequence[OrderRecord]) -> Iterator[Row]:
    """Requirements of each account as shares of its balance, by settlement currency."""
    book, valuation = snapshot.book, snapshot.valuation
    universe = valuation.universe
    accounts = dict.fromkeys((p.listing.venue, p.account) for p in book.positions.values() if p.quantity)
    accounts |= dict.fromkeys((r.venue, r.order.account) for r in out)
    for venue, account in accounts:
        of = f"{venue} {account}".strip()
        if venue not in models:
            note = f"no margin model of {venue} is known, or `paper.margin` is none"
            for which in ("initial", "maintenance"):
                yield _used(now_ns, "margin", f"{which}, {of}", _SHARE, math.nan, which, note)
            continue
        own = book.part(venue, account)
        mine = [r for r in out if (r.venue, r.order.account) == (venue, account)]
        listings = [p.listing for p in own.positions.values() if p.quantity] + [r.order.listing for r in mine]
        if any(listing.key not in universe.positions for listing in listings):
            continue  # off the market: its requirement is not known, nor is in what currency
        quantities = own.quantities(universe)
        low, high, prices = quantities.copy(), quantities.copy(), np.zeros(quantities.size)
        for r in mine:
            row, signed = universe.positions[r.order.listing.key], r.reserved * r.order.side.sign
            reserve(low, high, prices, row, signed, r.order.price)
        model, terms = models[venue]
        for currency, due in margins(valuation, low, high, venue, model, terms).items():
            balance = margin_balance(own, quantities, snapshot, currency, model)
            balance -= premiums(valuation, quantities, high, prices, currency)
            note = "; ".join(due.reasons)
            if due.known and balance <= 0:
                note = "; ".join([note] * bool(note) + ["the balance is not above zero: it covers nothing"])
            for which, required in (("initial", due.initial), ("maintenance", due.maintenance)):
                share = _share(required, balance)
                yield _used(now_ns, "margin", f"{which}, {of} {currency}", _SHARE, share, which, note)


def _share(required: float, balance: float) -> float:
    """Margin over its balance, as C9 reckons it; NaN where the balance is none."""
    if math.isnan(required) or math.isnan(balance):
        return math.nan
    return 0.0 if required <= 0 else required / balance if balance > 0 else math.nan


def _used(now_ns: int, control: str, limit: str, unit: str, use: float, key: str, note: str = "") -> Row:
    """A row before it is known what is allowed. key: of the limit."""
    known = None if math.isnan(use) else use
    return {
        **{"now_ns": now_ns, "control": control, "limit": limit, "unit": unit},
        **{"use": known, "key": key, "note": note},
    }


# -------------------------------------------------------------------------------------------- all together


def limit_use(
    rows: list[Row],
    sent: Mapping[str, list[int]],
    exposures: pl.DataFrame,
    usage: pl.DataFrame,
    valuations: pl.DataFrame,
    limits: Limits | None,
    width_ns: int,
    to_ns: int,
) -> pl.DataFrame:
    """A line per limit and moment, share: use of what is allowed. Empty where the limits are not known.

    Args:
        rows: what `positions_and_margin_used` gave. sent: when messages left, by venue, in order. exposures,
            usage, valuations: tables of the report. width_ns: the order rate is told once in so long, at its
            highest. to_ns: the end of the record.
    """
    if limits is None:
        return pl.DataFrame(schema=SCHEMA)
    found = [{**row, "allowed": _allowed(row, limits)} for row in rows]
    for venue, stamps in sorted(sent.items()):
        found += _rate(venue, stamps, limits.rate_of(venue), width_ns, to_ns)
    frames = [
        pl.DataFrame(found, schema={name: kind for name, kind in SCHEMA.items() if name != "share"}),
        *_greeks(exposures, limits),
        *_budgets(usage, valuations, limits, to_ns),
    ]
    allowed = pl.when(pl.col("allowed") > 0).then(pl.col("allowed"))
    return (
        pl.concat(frames, how="diagonal")
        .with_columns(share=pl.col("use") / allowed, note=pl.col("note").fill_null(""))
        .select(*SCHEMA)
    )


def _allowed(row: Row, limits: Limits) -> float:
    if row["control"] == "position":
        return float(getattr(limits.position, row["key"]))
    return float(getattr(limits.margin, f"{row['key']}_share_max"))


def _rate(venue: str, stamps: list[int], rate: RateLimits, width_ns: int, to_ns: int) -> list[Row]:
    """Messages within the window, and credits that were used up, at the highest of every `width_ns`; and what
    is left of both where a window has passed without any, and at the end."""
    window_ns = round(rate.window_s * NS_PER_SECOND)
    bucket = TokenBucket.full(rate.orders_per_s, rate.burst, stamps[0])
    most: dict[int, list[float]] = {}
    quiet: dict[int, tuple[float, float]] = {}
    for i, (stamp, then) in enumerate(zip(stamps, [*stamps[1:], None], strict=True)):
        bucket = bucket.after(1, stamp)
        within = i + 1 - bisect_left(stamps, stamp - window_ns, hi=i + 1)
        worst = most.setdefault(stamp // width_ns * width_ns, [0.0, 0.0])
        worst[0], worst[1] = max(worst[0], float(within)), max(worst[1], rate.burst - bucket.tokens)
        over = stamp + window_ns + 1
        if over <= (to_ns if then is None else then - 1):
            quiet[over] = 0.0, rate.burst - bucket.at(over).tokens
    within = len(stamps) - bisect_left(stamps, to_ns - window_ns)
    quiet[to_ns] = float(within), rate.burst - bucket.at(to_ns).tokens
    names = (
        (f"{venue}, orders in {rate.window_s:g} s", "orders", float(rate.messages_max)),
        (f"{venue}, credits of a burst", "credits", float(rate.burst - rate.cancel_reserve)),
    )
    return [
        {
            **{"now_ns": at, "control": "order rate", "limit": limit, "unit": unit},
            **{"use": use, "allowed": allowed, "note": ""},
        }
        for at, uses in sorted([*most.items(), *quiet.items()], key=lambda told: told[0])
        for (limit, unit, allowed), use in zip(names, uses, strict=True)
    ]


def _greeks(exposures: pl.DataFrame, limits: Limits) -> Iterator[pl.DataFrame]:
    size = pl.max_horizontal(pl.col("lowest").abs(), pl.col("highest").abs()) * pl.col("scale")
    for (row,), mine in exposures.group_by(["row"], maintain_order=True):
        greek, coin, *bucket = str(row).split(":")
        if bucket or greek not in KEYS:
            continue
        allowed = float(getattr(limits.greeks_of(coin), KEYS[greek]))
        yield mine.select(
            **{"now_ns": "from_ns"},
            **_words("Greek", str(row), desk_unit(str(row))),
            **{"use": size, "allowed": pl.lit(allowed)},
        )


def _budgets(
    usage: pl.DataFrame, valuations: pl.DataFrame, limits: Limits, to_ns: int
) -> Iterator[pl.DataFrame]:
    budget = limits.budget
    counted = {
        "loss of the day": (-pl.col("pnl_low_usd").clip(upper_bound=0), budget.loss_usd_max),
        "fees of the day": (pl.col("fees_usd"), budget.fee_usd_max),
        "slippage of the day": (pl.col("slippage_usd"), budget.slippage_usd_max),
    }
    for limit, (use, allowed) in counted.items():
        told = usage.select(now_ns="now_ns", use=use)
        if limit == "loss of the day":
            told = pl.concat([told, _losses(usage, valuations)]).sort("now_ns", maintain_order=True)
        yield _to_the_end(told, to_ns).select(
            "now_ns",
            **_words("budget of the day", limit, "USD"),
            use="use",
            allowed=pl.lit(float(allowed)),
        )


def _losses(usage: pl.DataFrame, valuations: pl.DataFrame) -> pl.DataFrame:
    """What the book is worth less than when its day began, at the valuations of a day that was begun."""
    begun = usage.select("now_ns", "day", "equity_open_usd").sort("now_ns")
    return (
        valuations.select("now_ns", "equity_usd")
        .sort("now_ns")
        .join_asof(begun, on="now_ns")
        .filter(pl.col("day") == pl.col("now_ns") // NS_PER_DAY)
        .select("now_ns", use=(pl.col("equity_open_usd") - pl.col("equity_usd")).clip(lower_bound=0))
        .drop_nulls("use")
    )


def _to_the_end(told: pl.DataFrame, to_ns: int) -> pl.DataFrame:
    """The same up to the end of the record: what a day has used stays until it is over."""
    if told.is_empty() or told["now_ns"][-1] >= to_ns:
        return told
    same_day = told["now_ns"][-1] // NS_PER_DAY == to_ns // NS_PER_DAY
    end = told.tail(1).with_columns(now_ns=pl.lit(to_ns, dtype=pl.Int64))
    return pl.concat([told, end if same_day else end.with_columns(use=pl.lit(0.0))])


def _words(control: str, limit: str, unit: str) -> dict[str, pl.Expr]:
    return {"control": pl.lit(control), "limit": pl.lit(limit), "unit": pl.lit(unit)}
