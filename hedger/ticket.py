"""What a trader reads in three seconds: numbers in the desk's USD terms, dressed here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from hedger.amounts import amount
from hedger.documents import expiries, plain
from hedger.planning import HedgePlan, PlanStatus
from hedger.problem.alternatives import Alternative
from hedger.problem.limited import what_binds
from hedger.problem.live_bands import band_rules_said
from hedger.problem.objective import OptionLeg
from hedger.problem.snapshot import NOTHING_MOVES, Snapshot
from hedger.problem.valuing import delta_rule_said
from hedger.width_table import Fitted
from pricing.daycount import iso
from pricing.oracle import Verdict
from pricing.universe import FloatArray
from pricing.valuation import Numeraire
from risk.bands import row_factor
from risk.interval_words import interval_words

_DRESS = {
    "delta": "delta",
    "gamma": "gamma per 1 %",
    "gamma_expiring": "gamma expiring per 1 %",
    "vega": "vega per point",
    "vega_weighted": "vega weighted per point",
    "theta": "theta per day",
    "pnl": "P&L in",
}
_HEADLINES = {
    PlanStatus.HEDGE: "HEDGE",
    PlanStatus.NO_TRADE: "NO TRADE",
    PlanStatus.RELAXED: "HEDGE, NOT ALL ROWS",
    PlanStatus.BLOCKED: "BLOCKED, DO NOT TRADE",
}


def dressed(row: str, value: float, spot: Mapping[str, float], numeraire: Numeraire) -> float:
    """A row's value in the desk's USD terms (delta in USD, gamma per 1 %, vega per point, theta per day)."""
    greek, underlying, *_ = row.split(":")
    return value / row_factor(greek, spot[underlying], numeraire)


def _name(row: str) -> str:
    greek, underlying, *bucket = row.split(":")
    return f"{underlying} {_DRESS[greek]}{' ' + bucket[0] if bucket else ''}"


def usd(x: float) -> str:
    """USD for people: thousands separated, no cents above 1,000.

    >>> usd(1234567.8), usd(-12.3), usd(float("inf"))
    ('1,234,568', '-12.30', '-')
    """
    return amount(x, None, unknown="-")


def grouped(quantity: Decimal) -> str:
    """A quantity for people: exact, thousands separated.

    >>> grouped(Decimal("1519740")), grouped(Decimal("-381.6990"))
    ('1,519,740', '-381.699')
    """
    whole, dot, rest = plain(quantity).partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole not in ("-0", "0") else plain(quantity)


def _range(low: float, high: float) -> str:
    """An interval; "" where both sides are open."""
    return "" if math.isinf(low) and math.isinf(high) else interval_words(low, high, _edge)


def _edge(x: float) -> str:
    return f"{x:z,.0f}" if abs(x) >= 100 else f"{x:z,.2f}"


def risk_view(snapshot: Snapshot) -> RenderableType:
    """Exposures against their bands, by row and by expiry, then what is missing."""
    exposure, bands = snapshot.exposure, snapshot.bands
    breached = bands.breached(exposure.value)
    title = f"EXPOSURES {iso(snapshot.market.now_ns)}, {snapshot.numeraire} numeraire, in USD terms"
    table = Fitted(["", "row"], ["value", "trigger"], title=title, folds=["row", "trigger"])
    for i, row in enumerate(exposure.rows):
        value, low, high = _dressed(snapshot, row, exposure.value, bands.trigger_lower, bands.trigger_upper)
        style = "bold" if breached[i] else ""
        table.add_row("OUT" if breached[i] else "", _name(row), _whole(value), _range(low, high), style=style)
    # a table of no rows is as wide as its heads alone, and its title no wider
    why = f": {NOTHING_MOVES}" * snapshot.unmoved
    nothing = Group(Text(title, style="bold"), Text(f"no rows{why}"))
    parts: list[RenderableType] = [table if exposure.rows else nothing, *_band_lines(snapshot)]
    by_expiry = expiries(snapshot)
    if by_expiry:
        greeks = ["delta", "gamma", "vega", "theta"]
        right = ["forward", *greeks]
        title, left = "By expiry, in USD terms", ["expiry", "forward from"]
        spare = ["forward from", "forward"]
        expiry_table = Fitted(left, right, title=title, folds=["expiry"], spare=spare)
        for e in by_expiry:
            figures = [
                _whole(dressed(f"{greek}:{e['underlying']}", x, snapshot.spot, snapshot.numeraire))
                if (x := e[greek]) is not None
                else "-"
                for greek in ("delta", "gamma", "vega", "theta")
            ]
            forward = usd(e["forward"]) if e["forward"] is not None else "-"
            source = (e["forward_source"] or "-").split("_")[0]
            expiry_table.add_row(f"{e['underlying']} {e['expiry'][:10]}", source, forward, *figures)
        parts.append(expiry_table)
    parts += _index_lines(snapshot, Verdict.BAD, Verdict.DEGRADED)
    parts += _delta_rule_lines(snapshot)
    if snapshot.missing:
        parts.append(_missing_view(snapshot))
    return Group(*parts)


def _band_lines(snapshot: Snapshot) -> list[Text]:
    """What the bands follow that are not simply as configured, a line each."""
    return [Text(line) for line in band_rules_said(snapshot.exposure.rows, snapshot.band_rules)]


def _index_lines(snapshot: Snapshot, *verdicts: Verdict) -> list[Text]:
    """What is wrong with the indexes of some verdicts, a line each."""
    return [
        Text(
            f"{name} index {reading.verdict}: {', '.join(reading.reasons)}",
            style="bold red" if reading.verdict is Verdict.BAD else "",
        )
        for name in snapshot.underlyings
        if (reading := snapshot.readings[name]).verdict in verdicts
    ]


def _delta_rule_lines(snapshot: Snapshot) -> list[Text]:
    """The delta rule where it is not the default, and what it could not be applied to, a line each."""
    held = snapshot.quantities != 0
    return [Text(line) for line in delta_rule_said(snapshot.valuation, snapshot.rules, held)]


def _whole(x: float) -> str:
    """A figure of a column whose numbers are read against each other: no decimals."""
    return amount(x, unknown="-")


def _dressed(snapshot: Snapshot, row: str, *columns: FloatArray) -> list[float]:
    """One row of several arrays over the rows, in USD terms."""
    i = snapshot.exposure.rows.index(row)
    return [dressed(row, float(column[i]), snapshot.spot, snapshot.numeraire) for column in columns]


def _missing_view(snapshot: Snapshot) -> RenderableType:
    lines = [
        f"{m.venue} {m.symbol}: {m.reason}" + (f", age {m.age_s:z,.0f} s" if math.isfinite(m.age_s) else "")
        for m in snapshot.missing
    ]
    return Panel.fit(
        "\n".join(lines), title="BOOK INCOMPLETE: not counted, not zero", border_style="bold red"
    )


def ticket_view(plan: HedgePlan) -> RenderableType:
    """The ticket: what is out, what to do, what it costs, what it leaves, what the next best was."""
    snapshot = plan.snapshot
    title = f"HEDGE TICKET {iso(snapshot.market.now_ns)}: {_HEADLINES[plan.status]}"
    relaxed = plan.status is PlanStatus.RELAXED
    why = plan.decision.reason if relaxed else plan.reason
    parts: list[RenderableType] = [Text(why), Text()]
    rows = _rows_view(plan)
    if rows is not None:
        parts.append(rows)
    parts += _band_lines(snapshot)
    if plan.trades:
        parts += [_trades_view(plan), Text(_cost_line(plan))]
        parts += [Text(f"Limits:{said[1:]}.")] if (said := what_binds(plan.limits, plan.capped)) else []
    if relaxed:
        parts.append(Text(f"Not all rows: {plan.reason}."))
    if plan.status in (PlanStatus.HEDGE, PlanStatus.RELAXED):
        parts.append(Text(_alternatives_lines(plan)))
    complete = plan.status is not PlanStatus.BLOCKED and not snapshot.missing
    if complete and plan.waiting.excess_now.any():
        parts.append(Text(_waiting_line(plan)))
    parts += _index_lines(snapshot, Verdict.DEGRADED)  # the reason names the bad ones
    parts += _delta_rule_lines(snapshot)
    if snapshot.missing:
        parts.append(_missing_view(snapshot))
    return Panel.fit(Group(*parts), title=title)


def _rows_view(plan: HedgePlan) -> RenderableType | None:
    """Rows that are out, that bind, or that the plan leaves outside."""
    snapshot = plan.snapshot
    breached = snapshot.bands.breached(snapshot.exposure.value)
    shown = [i for i in range(len(breached)) if breached[i] or plan.binding[i] or plan.slack[i] > 0]
    if not shown:
        return None
    title, right = "What is out, what it leaves (USD terms)", ["before", "after", "must end in"]
    table = Fitted(["", "row"], right, title=title, folds=["row", "must end in"])
    for i in shown:
        row = snapshot.exposure.rows[i]
        before, after, low, high = _dressed(
            snapshot, row, snapshot.exposure.value, plan.after, plan.required_lower, plan.required_upper
        )
        note = "STAYS OUT" if plan.slack[i] > 0 else "OUT" if breached[i] else "edge"
        if breached[i] and row not in plan.decision.called:
            note = "STICKY" if any(row in s.rows for s in plan.decision.sticky) else "WAITS"
        style = "bold red" if plan.slack[i] > 0 else ""
        table.add_row(note, _name(row), _whole(before), _whole(after), _range(low, high), style=style)
    return table


def _trades_view(plan: HedgePlan) -> RenderableType:
    """The legs; the venue stands in the title when there is only one."""
    venues = sorted({trade.listing.venue for trade in plan.trades})
    title = f"What to do, on {venues[0]}" if len(venues) == 1 else "What to do"
    right = ["quantity", "limit", "expected", "cost USD"]
    left, spare = ["side", "instrument"], ["expected"]
    table = Fitted(left, right, title=title, folds=["instrument", "quantity"], spare=spare)
    for trade in plan.trades:
        listing = trade.listing
        table.add_row(
            str(trade.side).upper(),
            listing.symbol if len(venues) == 1 else f"{listing.venue} {listing.symbol}",
            f"{grouped(trade.quantity)} {listing.unit}",
            plain(trade.limit_price),
            f"{trade.expected_price:.7g}",
            f"{trade.cost.total:z,.2f}",
        )
    return table


def _cost_line(plan: HedgePlan) -> str:
    parts = ", ".join(f"{name} {usd(x)}" for name, x in plan.cost.as_dict().items() if x)
    weighed = plan.objective
    if weighed.weighed:
        return (
            f"Costs {usd(plan.cost.total)} USD ({parts}), {usd(weighed.amortised_cost_usd)} of it within "
            f"{weighed.horizon_h:.3g} h, over which\nrisk is priced at {usd(weighed.risk_before_usd)} USD "
            f"before and {usd(weighed.risk_after_usd)} USD after. No plan has less of both together\n"
            f"than {usd(weighed.bound_usd)} USD (gap {plan.gap:z.2%}, {plan.priced} instruments priced)."
        )
    return (
        f"Costs {usd(plan.cost.total)} USD ({parts}).\n"
        f"No plan costs less than {usd(plan.lower_bound_usd)} USD (gap {plan.gap:z.2%}, in whole lots "
        f"{plan.certified_gap:z.2%}; {plan.priced} instruments priced)."
    )


def _alternatives_lines(plan: HedgePlan) -> str:
    """The next best, and what a delta hedger would do with what that leaves out."""
    lines = [f"Next best, perpetual and one option: {_words(plan.runner_up)}."]
    if plan.objective.weighed:
        lines = [_leg_words(leg) for leg in plan.objective.legs]
    delta_only = plan.delta_only
    line = f"Delta only, perpetuals: {_words(delta_only)}"
    if delta_only is not None:
        left = _left_out(plan, delta_only)
        line += f", leaves out {', '.join(_name(row) for row in left)}" if left else ", leaves nothing out"
    return "\n".join([*lines, f"{line}."])


def _leg_words(leg: OptionLeg) -> str:
    benefit, cost = usd(leg.benefit_usd), usd(leg.cost_usd)
    return f"{leg.symbol}: takes off risk worth {benefit} USD while held, costs {cost} USD."


def _waiting_line(plan: HedgePlan) -> str:
    """What waiting does, against hedging now."""
    w = plan.waiting
    drift = [
        f"{_name(row)} {dressed(row, float(x), plan.snapshot.spot, plan.snapshot.numeraire):+z,.0f}"
        for row, x in zip(plan.snapshot.exposure.rows, w.drift, strict=False)
        if row.startswith("delta:")
    ]
    return (
        f"Waiting {w.horizon_h:g} h: {', '.join(drift)} USD by itself. Hedging then is expected to cost "
        f"{usd(w.expected_cost_later_usd)} USD, and the risk meanwhile "
        f"{usd(w.risk_cost_usd if plan.trades else w.risk_carried_usd)} USD; "
        f"hedging now costs {usd(w.cost_now_usd)} USD."
    )


def _words(alternative: Alternative | None) -> str:
    if alternative is None:
        return "none meets the rows"
    legs = ", ".join(
        f"{t.side} {grouped(t.quantity)} {t.listing.unit} {t.listing.symbol}" for t in alternative.trades
    )
    return f"{usd(alternative.cost_usd)} USD ({legs})" if legs else "no trade"


def _left_out(plan: HedgePlan, alternative: Alternative) -> list[str]:
    """Rows that an alternative leaves outside what the plan was asked for."""
    before = plan.snapshot.exposure.value
    after = before + sum((t.effect for t in alternative.trades), np.zeros(before.size))
    rounding = 1e-9 * (1.0 + np.abs(before))
    outside = (after < plan.required_lower - rounding) | (after > plan.required_upper + rounding)
    return [plan.snapshot.exposure.rows[i] for i in np.flatnonzero(outside)]
