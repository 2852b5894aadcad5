"""The JSON documents of `risk` and `plan`: raw numbers with their units; null stands for open or unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import numpy as np

from hedger.moment import Answer, Decision, Sticky
from hedger.planning import HedgePlan, PlanStatus
from hedger.policy.waiting import Waiting
from hedger.problem.alternatives import Alternative
from hedger.problem.assembly import Trade
from hedger.problem.limited import LimitOutcome
from hedger.problem.objective import Objective
from hedger.problem.snapshot import Snapshot
from pricing.contracts import STABLE_CURRENCIES
from pricing.daycount import iso
from pricing.market import ForwardKind
from pricing.valuation import DeltaSource, MarkStatus, Numeraire, VolSource
from risk.band_rules import AppliedBand

Json = dict[str, Any]
_GREEKS = ("delta", "gamma", "vega", "theta")


def number(x: float) -> float | None:
    """A finite number, or None: JSON has no NaN and no infinity, and nothing is below zero by its sign alone.

    >>> number(-0.0), number(math.inf)
    (0.0, None)
    """
    value = float(x)
    return value + 0.0 if math.isfinite(value) else None


def _interval(low: float, high: float) -> list[float | None] | None:
    """[low, high] with None for an open side; None where both are open."""
    return None if math.isinf(low) and math.isinf(high) else [number(low), number(high)]


def plain(amount: Decimal) -> str:
    """A decimal as a venue takes it: no exponent, no trailing zeros.

    >>> plain(Decimal("1.234E+4")), plain(Decimal("0.1000"))
    ('12340', '0.1')
    """
    text = format(amount, "zf")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _band(band: AppliedBand | None) -> Json | None:
    """Where a row's band comes from, in the row's unit; null for a row without one."""
    if band is None:
        return None
    return {
        "rule": band.rule,
        "half_width": number(band.half_width),
        "risk_aversion": number(band.risk_aversion),
        "cost_rate": number(band.cost_rate),
        "floor": number(band.floor),
        "scale": number(band.scale),
        "error_usd_per_day": number(band.error_usd_per_day),
        "why": band.why,
        "refused": band.refused or None,
    }


def risk_document(snapshot: Snapshot) -> Json:
    """The document that `risk --json` prints."""
    exposure, bands = snapshot.exposure, snapshot.bands
    breached = bands.breached(exposure.value)
    rows = [
        {
            "row": name,
            "unit": exposure.units[i],
            "value": number(exposure.value[i]),
            "trigger": _interval(bands.trigger_lower[i], bands.trigger_upper[i]),
            "breached": bool(breached[i]),
            "band": _band(snapshot.band_rules[i]),
        }
        for i, name in enumerate(exposure.rows)
    ]
    return {
        "as_of": iso(snapshot.market.now_ns),
        "numeraire": str(snapshot.numeraire),
        "delta_rule": _delta_rule(snapshot),
        "rows": rows,
        "underlyings": [_underlying(snapshot, name) for name in snapshot.underlyings],
        "expiries": expiries(snapshot),
        "positions": _positions(snapshot) + _balances(snapshot),
        "missing": missing_list(snapshot),
    }


def _delta_rule(snapshot: Snapshot) -> Json:
    """The delta rule in force, on how many of the options held it could be used, and what it learned."""
    valuation = snapshot.valuation
    held = (snapshot.quantities != 0) & valuation.universe.is_option & (valuation.status == MarkStatus.OK)
    return {
        "rule": str(snapshot.rules.delta_rule),
        "options": int(held.sum()),
        "by_rule": int((held & (valuation.delta_source == DeltaSource.RULE)).sum()),
        "coefficients": [
            {"underlying": underlying, "right": "call" if sign > 0 else "put", **asdict(found)}
            for (underlying, sign), found in sorted(snapshot.rules.coefficients.items())
        ],
    }


def missing_list(snapshot: Snapshot) -> list[Json]:
    """Positions that cannot be valued, with their reason and age."""
    return [
        {"venue": m.venue, "symbol": m.symbol, "reason": m.reason, "age_s": number(m.age_s)}
        for m in snapshot.missing
    ]


def _underlying(snapshot: Snapshot, name: str) -> Json:
    rows = {greek: number(snapshot.exposure.row(f"{greek}:{name}")) for greek in ("delta", "vega", "theta")}
    reading = snapshot.readings[name]
    gamma = snapshot.exposure.row(f"gamma:{name}") + snapshot.exposure.row(f"gamma_expiring:{name}")
    return {
        "underlying": name,
        "index": number(snapshot.spot[name]),
        "index_verdict": str(reading.verdict),
        "index_age_s": number(reading.age_s),
        "index_reasons": list(reading.reasons),
        "index_sources": [
            {
                "source": s.name,
                "value": number(s.value),
                "age_s": number(s.age_s),
                "refused": s.refused or None,
            }
            for s in reading.sources
        ],
        "delta": rows["delta"],
        "gamma": number(gamma),
        "vega": rows["vega"],
        "theta": rows["theta"],
        "incomplete": name in _incomplete(snapshot),
    }


def _incomplete(snapshot: Snapshot) -> set[str]:
    """Underlyings whose sums lack a position that cannot be valued."""
    universe = snapshot.market.universe
    return {universe.underlyings[universe.underlying[i]] for i in snapshot.exposure.missing}


def _totals(snapshot: Snapshot, picked: Iterable[int]) -> Json:
    """Greeks of some positions together, in the numeraire of the rows; null where none can be valued."""
    greeks = snapshot.valuation.greeks(snapshot.numeraire)
    at = [i for i in picked if snapshot.valuation.status[i] == MarkStatus.OK]
    q = snapshot.quantities[at]
    return {name: number(q @ getattr(greeks, name)[at]) if at else None for name in _GREEKS}


def expiries(snapshot: Snapshot) -> list[Json]:
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
                **_forward_support(snapshot, options[0] if options else None),
                **_totals(snapshot, rows),
            }
        )
    return documents


def _forward_support(snapshot: Snapshot, option: int | None) -> Json:
    """How the forward of an option's expiry is supported: the confidence in it and every candidate."""
    key = None
    if option is not None:
        listing = snapshot.market.universe.listings[option]
        key = listing.venue, listing.contract.underlying, listing.expiry_ns, listing.contract.inverse
    for found in snapshot.valuation.expiries:
        if (found.venue, found.underlying, found.expiry_ns, found.inverse) == key:
            return {
                "forward_confidence": found.confidence.label,
                "forward_candidates": {
                    kind.label if kind is not ForwardKind.NONE else "unnamed": number(x)
                    for kind, x in found.candidates.items()
                },
                "forward_outvoted": [kind.label for kind in found.outvoted],
            }
    return {"forward_confidence": None, "forward_candidates": {}, "forward_outvoted": []}


def _positions(snapshot: Snapshot) -> list[Json]:
    """Every position with its mark, vol, age and total Greeks."""
    universe, valuation, market = snapshot.market.universe, snapshot.valuation, snapshot.market
    age = market.age_s
    documents = []
    for position in snapshot.book.positions.values():
        i = universe.positions[position.listing.key]
        ok = valuation.status[i] == MarkStatus.OK
        greeks = valuation.greeks(snapshot.numeraire)
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
                **{name: number(quantity * getattr(greeks, name)[i]) if ok else None for name in _GREEKS},
            }
        )
    return documents


def _balances(snapshot: Snapshot) -> list[Json]:
    """Margin balances, with the gains of perpetuals and futures, as rows beside the positions; the delta is
    null where several coins count it."""
    documents = []
    for (venue, account, currency), amount in snapshot.margin_balances.items():
        delta: float | None = 0.0
        if snapshot.numeraire is Numeraire.USD and currency in snapshot.spot:
            delta = float(amount)
        elif snapshot.numeraire is Numeraire.COIN and currency in STABLE_CURRENCIES:
            one = snapshot.meaning.stable_underlying
            counted = (one,) if one else snapshot.underlyings
            delta = number(float(-amount) / snapshot.spot[counted[0]]) if len(counted) == 1 else None
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
    """The document that `plan --json` prints."""
    snapshot = plan.snapshot
    exposure, bands = snapshot.exposure, snapshot.bands
    blocked = plan.status is PlanStatus.BLOCKED
    unknown = blocked or bool(snapshot.missing)
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
            "band": _band(snapshot.band_rules[i]),
        }
        for i, name in enumerate(exposure.rows)
    ]
    return {
        "as_of": iso(snapshot.market.now_ns),
        "numeraire": str(snapshot.numeraire),
        "status": str(plan.status),
        "reason": plan.reason,
        "trigger": _trigger(plan.decision, snapshot),
        "rows": rows,
        "trades": [_trade(trade, exposure.rows) for trade in plan.trades],
        # a blocked plan has no price: nothing was planned, which is not a hedge for nothing
        "cost_usd": None if blocked else number(plan.cost.total),
        "lower_bound_usd": None if blocked else number(plan.lower_bound_usd),
        "gap": plan.gap,
        "certified_gap": plan.certified_gap,
        "universe": {"priced": plan.priced, "kept": plan.kept, "refused": dict(plan.refused)},
        # programs that HiGHS had to solve in our solver's place; nodes of the search
        "solver": {"fallbacks": plan.solved.fallbacks, "nodes": plan.solved.nodes},
        "objective": _objective(plan.objective),
        "limits": [_limit(limit) for limit in plan.limits],
        "capped": [
            {"venue": c.venue, "symbol": c.symbol, "side": str(c.side), "cap": number(c.cap), "why": c.why}
            for c in plan.capped
        ],
        "runner_up": _alternative(plan.runner_up, exposure.rows),
        "delta_only": _alternative(plan.delta_only, exposure.rows),
        # what an incomplete book drifts by is not known
        "waiting": None if unknown else _waiting(plan.waiting, exposure.rows),
        "assumptions": list(plan.assumptions),
        "missing": missing_list(snapshot),
        "timings_ms": dict(timings_ms),
    }


def _trigger(decision: Decision, snapshot: Snapshot) -> Json:
    """Why now, or why not: what each trigger said of each underlying, and what held it."""
    bad = {reading.underlying for reading in snapshot.bad_indexes}
    names = [name for name in snapshot.underlyings if name not in bad]
    return {
        "due": decision.due,
        "reason": decision.reason,
        "called": [row for row in snapshot.exposure.rows if row in decision.called],
        "answers": [
            {"underlying": name, **_answer(answer)}
            for name, answer in zip(names, decision.answers, strict=True)
        ],
        "guards": [_answer(answer) for answer in decision.guards],
        "sticky": [_sticky(sticky) for sticky in decision.sticky],
    }


def _answer(answer: Answer) -> Json:
    return {
        "trigger": answer.name,
        "yes": answer.yes,
        "reason": answer.sentence,
        "rows": list(answer.rows),
        "until": None if answer.until_ns is None else iso(answer.until_ns),
        "parts": [_answer(part) for part in answer.parts],
    }


def _sticky(sticky: Sticky) -> Json:
    return {
        "rows": list(sticky.rows),
        "cost_usd": number(sticky.cost_usd),
        "trades_at_usd": number(sticky.worth_usd),
        "trades_at_usd_per_unit": {row: number(x) for row, x in sticky.per_unit_usd.items()},
    }


def _objective(objective: Objective) -> Json:
    """What the plan minimised; of cost mode, and where nothing was due, the mode alone."""
    if not objective.weighed:
        return {"mode": str(objective.mode)}
    return {
        "mode": str(objective.mode),
        "horizon_h": number(objective.horizon_h),
        "risk_aversion": number(objective.risk_aversion),
        "risk_before_usd": number(objective.risk_before_usd),
        "risk_after_usd": number(objective.risk_after_usd),
        "amortised_cost_usd": number(objective.amortised_cost_usd),
        "bound_usd": number(objective.bound_usd),
        "gap": number(objective.gap),
        "factors": [
            {
                "factor": line.name,
                "before_usd": number(line.before),
                "after_usd": number(line.after),
                "sd_before_usd_per_day": number(line.sd_before_usd),
                "sd_after_usd_per_day": number(line.sd_after_usd),
                "marginal_usd": number(line.marginal_usd),
            }
            for line in objective.factors
        ],
        "option_legs": [asdict(leg) for leg in objective.legs],
    }


def _waiting(waiting: Waiting, rows: tuple[str, ...]) -> Json:
    """The cost of waiting; null where it is not known. excess: what is to be traded, by row, in its unit."""
    excess = zip(rows, waiting.excess_now, waiting.excess_later, strict=True)
    return {
        "horizon_h": waiting.horizon_h,
        "drift": {row: number(x) for row, x in zip(rows, waiting.drift, strict=False)},
        "excess": {
            row: {"now": number(now), "later": number(later)} for row, now, later in excess if now or later
        },
        "cost_now_usd": number(waiting.cost_now_usd),
        "expected_cost_later_usd": number(waiting.expected_cost_later_usd),
        "risk_cost_usd": number(waiting.risk_cost_usd),
        "risk_carried_usd": number(waiting.risk_carried_usd),
        "net_usd": number(waiting.net_usd),
    }


def _limit(limit: LimitOutcome) -> Json:
    """A limit beside the bands; required: the interval in which it must end."""
    return {
        "row": limit.row,
        "unit": limit.unit,
        "before": number(limit.before),
        "required": _interval(limit.lower, limit.upper),
        "after": number(limit.after),
        "shadow_price_usd": number(limit.shadow_price),
        "binding": {-1: "lower", 0: None, 1: "upper"}[limit.binding],
        "slack": number(limit.slack),
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
