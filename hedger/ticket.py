"""What `risk` and `plan` print: JSON documents, and text a trader reads in three seconds.

Numbers are raw in JSON (units beside them) and dressed here for the screen; null stands for open or unknown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hedger.inputs import cash_keys, iso
from hedger.planning import Alternative, HedgePlan, PlanStatus, Snapshot, Trade
from pricing.contracts import STABLE_CURRENCIES
from pricing.market import ForwardKind
from pricing.valuation import MarkStatus, Numeraire, VolSource
from risk.bands import row_factor

Json = dict[str, Any]


def number(x: float) -> float | None:
    """A finite number, or None: JSON has no NaN and no infinity."""
    value = float(x)
    return value if math.isfinite(value) else None


def _interval(low: float, high: float) -> list[float | None] | None:
    """[low, high] with None for an open side; None where both are open."""
    return None if math.isinf(low) and math.isinf(high) else [number(low), number(high)]


def plain(amount: Decimal) -> str:
    """A decimal as a venue takes it: no exponent, no trailing zeros.

    >>> plain(Decimal("1.234E+4")), plain(Decimal("0.1000"))
    ('12340', '0.1')
    """
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def risk_document(snapshot: Snapshot) -> Json:
    """The `risk` document of interfaces."""
    exposure, bands, valuation = snapshot.exposure, snapshot.bands, snapshot.valuation
    breached = bands.breached(exposure.value)
    rows = [
        {
            "row": name,
            "unit": exposure.units[i],
            "value": number(exposure.value[i]),
            "trigger": _interval(bands.trigger_lower[i], bands.trigger_upper[i]),
            "breached": bool(breached[i]),
        }
        for i, name in enumerate(exposure.rows)
    ]
    return {
        "as_of": iso(snapshot.market.now_ns),
        "numeraire": str(valuation_numeraire(snapshot)),
        "rows": rows,
        "underlyings": [_underlying(snapshot, name) for name in snapshot.underlyings],
        "expiries": _expiries(snapshot),
        "positions": _positions(snapshot) + _balances(snapshot),
        "missing": missing_list(snapshot),
    }


def valuation_numeraire(snapshot: Snapshot) -> Numeraire:
    """The numeraire of a snapshot's rows."""
    return Numeraire.COIN if set(snapshot.exposure.units) == {"coin"} else Numeraire.USD


def missing_list(snapshot: Snapshot) -> list[Json]:
    """Positions that cannot be valued, with their reason and age."""
    return [
        {"venue": m.venue, "symbol": m.symbol, "reason": m.reason, "age_s": number(m.age_s)}
        for m in snapshot.missing
    ]


def _underlying(snapshot: Snapshot, name: str) -> Json:
    rows = {greek: number(snapshot.exposure.row(f"{greek}:{name}")) for greek in ("delta", "vega", "theta")}
    gamma = snapshot.exposure.row(f"gamma:{name}") + snapshot.exposure.row(f"gamma_expiring:{name}")
    return {
        "underlying": name,
        "index": number(snapshot.spot[name]),
        "delta": rows["delta"],
        "gamma": number(gamma),
        "vega": rows["vega"],
        "theta": rows["theta"],
    }


def _totals(snapshot: Snapshot, picked: Iterable[int]) -> Json:
    """Greeks of some positions together, in the numeraire of the rows."""
    greeks = snapshot.valuation.greeks(valuation_numeraire(snapshot))
    at = [i for i in picked if snapshot.valuation.status[i] == MarkStatus.OK]
    q = snapshot.quantities[at]
    return {name: number(q @ getattr(greeks, name)[at]) for name in ("delta", "gamma", "vega", "theta")}


def _expiries(snapshot: Snapshot) -> list[Json]:
    """Greeks by underlying and expiry, of the positions that expire."""
    universe, valuation = snapshot.market.universe, snapshot.valuation
    groups: dict[tuple[str, int], list[int]] = {}
    for i in np.flatnonzero(snapshot.quantities).tolist():
        if universe.expiry_ns[i]:
            key = universe.underlyings[universe.underlying[i]], int(universe.expiry_ns[i])
            groups.setdefault(key, []).append(i)
    documents = []
    for (name, expiry_ns), rows in sorted(groups.items()):
        valued = [i for i in rows if valuation.status[i] == MarkStatus.OK]
        options = [i for i in valued if universe.is_option[i]]
        forward = float(np.median(valuation.forward[options or valued])) if valued else math.nan
        source = ForwardKind(valuation.forward_source[options[0]]) if options else ForwardKind.LISTED_FUTURE
        documents.append(
            {
                "underlying": name,
                "expiry": iso(expiry_ns),
                "forward": number(forward),
                "forward_source": source.label if valued else None,
                **_totals(snapshot, rows),
            }
        )
    return documents


def _positions(snapshot: Snapshot) -> list[Json]:
    """Every position with its mark, vol, age and total Greeks."""
    universe, valuation, market = snapshot.market.universe, snapshot.valuation, snapshot.market
    age = market.age_s
    documents = []
    for position in snapshot.book.positions.values():
        i = universe.positions[position.listing.key]
        ok = valuation.status[i] == MarkStatus.OK
        greeks = valuation.greeks(valuation_numeraire(snapshot))
        quantity = float(position.quantity)
        source = VolSource(valuation.vol_source[i])
        documents.append(
            {
                "venue": position.listing.venue,
                "symbol": position.listing.symbol,
                "account": position.account,
                "quantity": quantity,
                "unit": position.listing.unit,
                "mark": number(market.mark[i] if math.isfinite(market.mark[i]) else valuation.price[i]),
                "vol": number(valuation.vol[i]),
                "vol_source": source.label if source is not VolSource.NONE else None,
                "age_s": number(age[i]),
                **{
                    name: number(quantity * getattr(greeks, name)[i]) if ok else None
                    for name in ("delta", "gamma", "vega", "theta")
                },
            }
        )
    return documents


def _balances(snapshot: Snapshot) -> list[Json]:
    """Cash as rows beside the positions; its delta is null where several coins would count it."""
    numeraire = valuation_numeraire(snapshot)
    documents = []
    for (venue, account, currency), amount in cash_keys(snapshot.book).items():
        delta: float | None = (
            float(amount) if numeraire is Numeraire.USD and currency in snapshot.spot else 0.0
        )
        if numeraire is Numeraire.COIN and currency in STABLE_CURRENCIES:
            one = snapshot.underlyings[0] if len(snapshot.underlyings) == 1 else None
            delta = number(-float(amount) / snapshot.spot[one]) if one else None
        documents.append(
            {
                "venue": venue,
                "symbol": currency,
                "account": account,
                "quantity": float(amount),
                "unit": currency,
                "mark": number(
                    snapshot.spot.get(currency, 1.0 if currency in STABLE_CURRENCIES else math.nan)
                ),
                "vol": None,
                "vol_source": None,
                "age_s": None,
                "delta": delta,
                "gamma": 0.0,
                "vega": 0.0,
                "theta": 0.0,
            }
        )
    return documents


def plan_document(plan: HedgePlan, timings_ms: Mapping[str, float]) -> Json:
    """The `plan` document of interfaces."""
    snapshot = plan.snapshot
    exposure, bands = snapshot.exposure, snapshot.bands
    breached = bands.breached(exposure.value)
    rows = [
        {
            "row": name,
            "unit": exposure.units[i],
            "before": number(exposure.value[i]),
            "trigger": _interval(bands.trigger_lower[i], bands.trigger_upper[i]),
            "landing": _interval(bands.landing_lower[i], bands.landing_upper[i]),
            "required": _interval(plan.required_lower[i], plan.required_upper[i]),
            "after": number(plan.after[i]),
            "breached": bool(breached[i]),
            "shadow_price_usd": number(plan.shadow_price[i]),
            "binding": {-1: "lower", 0: None, 1: "upper"}[int(plan.binding[i])],
            "slack": number(plan.slack[i]),
        }
        for i, name in enumerate(exposure.rows)
    ]
    return {
        "as_of": iso(snapshot.market.now_ns),
        "numeraire": str(valuation_numeraire(snapshot)),
        "status": str(plan.status),
        "reason": plan.reason,
        "rows": rows,
        "trades": [_trade(trade, exposure.rows) for trade in plan.trades],
        "cost_usd": plan.cost.total,
        "lower_bound_usd": plan.lower_bound_usd,
        "gap": plan.gap,
        "universe": {"priced": plan.priced, "kept": plan.kept, "refused": dict(plan.refused)},
        "runner_up": _alternative(plan.runner_up, exposure.rows),
        "delta_only": _alternative(plan.delta_only, exposure.rows),
        "assumptions": list(plan.assumptions),
        "missing": missing_list(snapshot),
        "timings_ms": dict(timings_ms),
    }


def _trade(trade: Trade, rows: tuple[str, ...]) -> Json:
    return {
        "venue": trade.listing.venue,
        "symbol": trade.listing.symbol,
        "side": str(trade.side),
        "quantity": plain(trade.quantity),
        "unit": trade.listing.unit,
        "limit_price": plain(trade.limit_price),
        "expected_price": trade.expected_price,
        "cost_usd": trade.cost.as_dict(),
        "effect": {name: float(x) for name, x in zip(rows, trade.effect, strict=True) if x != 0.0},
    }


def _alternative(alternative: Alternative | None, rows: tuple[str, ...]) -> Json | None:
    if alternative is None:
        return None
    return {"cost_usd": alternative.cost_usd, "trades": [_trade(t, rows) for t in alternative.trades]}


# --- the screen --------------------------------------------------------------------------------------------

_DRESS = {
    "delta": ("delta", "USD"),
    "gamma": ("gamma, delta per 1 %", "USD"),
    "gamma_expiring": ("gamma expiring, per 1 %", "USD"),
    "vega": ("vega per point", "USD"),
    "vega_weighted": ("vega weighted, per point", "USD"),
    "theta": ("theta per day", "USD"),
}


def dressed(row: str, value: float, spot: Mapping[str, float], numeraire: Numeraire) -> float:
    """A row's value in the desk's USD terms (delta in USD, gamma per 1 %, vega per point, theta per day)."""
    greek, underlying, *_ = row.split(":")
    return value / row_factor(greek, spot[underlying], numeraire)


def _name(row: str) -> str:
    greek, underlying, *bucket = row.split(":")
    return f"{underlying} {_DRESS[greek][0]}{' ' + bucket[0] if bucket else ''}"


def usd(x: float) -> str:
    """USD for people: thousands separated, no cents above 1,000.

    >>> usd(1234567.8), usd(-12.3), usd(float("inf"))
    ('1,234,568', '-12.30', '-')
    """
    if not math.isfinite(x):
        return "-"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:,.2f}"


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    return f"{usd(low) if math.isfinite(low) else 'open'} .. {usd(high) if math.isfinite(high) else 'open'}"


def risk_view(snapshot: Snapshot) -> RenderableType:
    """Exposures against their bands, by row and by expiry, then what is missing."""
    numeraire = valuation_numeraire(snapshot)
    exposure, bands = snapshot.exposure, snapshot.bands
    breached = bands.breached(exposure.value)
    table = Table(title=f"Exposures at {iso(snapshot.market.now_ns)}, {numeraire} numeraire, in USD terms")
    for column in ("row", "value", "trigger", ""):
        table.add_column(column, justify="right" if column in ("value", "trigger") else "left")
    for i, row in enumerate(exposure.rows):
        low, high = (
            dressed(row, x, snapshot.spot, numeraire)
            for x in (bands.trigger_lower[i], bands.trigger_upper[i])
        )
        value = dressed(row, float(exposure.value[i]), snapshot.spot, numeraire)
        table.add_row(
            _name(row),
            usd(value),
            _range(low, high),
            "OUT" if breached[i] else "",
            style="bold" if breached[i] else "",
        )
    expiries = Table(title="By expiry")
    for column in ("underlying", "expiry", "forward", "source", "delta", "gamma", "vega", "theta"):
        expiries.add_column(
            column, justify="left" if column in ("underlying", "expiry", "source") else "right"
        )
    for e in _expiries(snapshot):
        figures = [f"{e[k]:.6g}" if e[k] is not None else "-" for k in ("delta", "gamma", "vega", "theta")]
        forward = usd(e["forward"]) if e["forward"] is not None else "-"
        expiries.add_row(e["underlying"], e["expiry"][:10], forward, e["forward_source"] or "-", *figures)
    parts: list[RenderableType] = [table, expiries]
    if snapshot.missing:
        parts.append(_missing_view(snapshot))
    return Group(*parts)


def _missing_view(snapshot: Snapshot) -> RenderableType:
    lines = [
        f"{m.venue} {m.symbol}: {m.reason}" + (f", age {m.age_s:,.0f} s" if math.isfinite(m.age_s) else "")
        for m in snapshot.missing
    ]
    return Panel("\n".join(lines), title="BOOK INCOMPLETE: not counted, not zero", border_style="bold red")


def ticket_view(plan: HedgePlan) -> RenderableType:
    """The ticket: what is out, what to do, what it costs, what it leaves, what the next best was."""
    snapshot, numeraire = plan.snapshot, valuation_numeraire(plan.snapshot)
    title = f"HEDGE TICKET {iso(snapshot.market.now_ns)}  {str(plan.status).upper().replace('_', ' ')}"
    parts: list[RenderableType] = [Text(plan.reason)]
    rows = _rows_view(plan, numeraire)
    if rows is not None:
        parts.append(rows)
    if plan.trades:
        parts += [_trades_view(plan), Text(_cost_line(plan))]
    if plan.status is not PlanStatus.NO_TRADE:
        parts.append(Text(_alternatives_line(plan)))
    if snapshot.missing:
        parts.append(_missing_view(snapshot))
    return Panel(Group(*parts), title=title)


def _rows_view(plan: HedgePlan, numeraire: Numeraire) -> RenderableType | None:
    """Rows that are out, that bind, or that the plan leaves outside."""
    snapshot = plan.snapshot
    bands, exposure = snapshot.bands, snapshot.exposure
    breached = bands.breached(exposure.value)
    shown = [i for i in range(len(exposure.rows)) if breached[i] or plan.binding[i] or plan.slack[i] > 0]
    if not shown:
        return None
    table = Table(title="What is out (USD terms)")
    for column in ("row", "before", "after", "must end in", ""):
        table.add_column(column, justify="left" if column in ("row", "") else "right")
    for i in shown:
        row = exposure.rows[i]
        before, after, low, high = (
            dressed(row, float(x), snapshot.spot, numeraire)
            for x in (exposure.value[i], plan.after[i], plan.required_lower[i], plan.required_upper[i])
        )
        note = "OUT" if breached[i] else "binds"
        if plan.slack[i] > 0:
            note = f"STAYS OUT by {usd(dressed(row, float(plan.slack[i]), snapshot.spot, numeraire))}"
        table.add_row(_name(row), usd(before), usd(after), _range(low, high), note)
    return table


def _trades_view(plan: HedgePlan) -> RenderableType:
    table = Table(title="What to do")
    for column in ("side", "quantity", "unit", "instrument", "limit", "expected", "cost USD"):
        table.add_column(
            column, justify="right" if column in ("quantity", "limit", "expected", "cost USD") else "left"
        )
    for trade in plan.trades:
        table.add_row(
            str(trade.side).upper(),
            plain(trade.quantity),
            trade.listing.unit,
            f"{trade.listing.venue} {trade.listing.symbol}",
            plain(trade.limit_price),
            f"{trade.expected_price:.8g}",
            usd(trade.cost.total),
        )
    return table


def _cost_line(plan: HedgePlan) -> str:
    parts = ", ".join(f"{name} {usd(x)}" for name, x in plan.cost.as_dict().items() if x)
    return (
        f"Costs {usd(plan.cost.total)} USD ({parts}). No plan costs less than {usd(plan.lower_bound_usd)}: "
        f"gap {plan.gap:.3%}, {plan.priced} instruments priced."
    )


def _alternatives_line(plan: HedgePlan) -> str:
    def words(name: str, alternative: Alternative | None) -> str:
        if alternative is None:
            return f"{name}: cannot do it"
        legs = "; ".join(f"{t.side} {plain(t.quantity)} {t.listing.symbol}" for t in alternative.trades)
        return f"{name}: {usd(alternative.cost_usd)} USD ({legs or 'no trade'})"

    return (
        f"Next best, {words('perp and at most one option', plan.runner_up)}.\n"
        f"{words('Delta only, perpetuals', plan.delta_only)}."
    )
