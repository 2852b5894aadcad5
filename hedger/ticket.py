"""What a trader reads in three seconds: numbers in the desk's USD terms, dressed here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hedger.alternatives import Alternative
from hedger.documents import expiries, numeraire_of, plain
from hedger.inputs import iso
from hedger.planning import HedgePlan, PlanStatus
from hedger.snapshot import Snapshot
from pricing.valuation import Numeraire
from risk.bands import row_factor

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
    numeraire = numeraire_of(snapshot)
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
    by_expiry = Table(title="By expiry")
    for column in ("underlying", "expiry", "forward", "source", "delta", "gamma", "vega", "theta"):
        by_expiry.add_column(
            column, justify="left" if column in ("underlying", "expiry", "source") else "right"
        )
    for e in expiries(snapshot):
        figures = [f"{e[k]:.6g}" if e[k] is not None else "-" for k in ("delta", "gamma", "vega", "theta")]
        forward = usd(e["forward"]) if e["forward"] is not None else "-"
        by_expiry.add_row(e["underlying"], e["expiry"][:10], forward, e["forward_source"] or "-", *figures)
    parts: list[RenderableType] = [table, by_expiry]
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
    snapshot, numeraire = plan.snapshot, numeraire_of(plan.snapshot)
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
