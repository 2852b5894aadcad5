"""What a paper run closes with: what happened, on which assumptions, and what paper cannot know."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from decimal import Decimal

from venues.orders import OrderState
from venues.paper_calibration import BESIDE_S, HORIZONS_S, Calibrated
from venues.paper_exchange import PaperExchange
from venues.paper_log import Happened
from venues.paper_terms import FeeModel, StatedTerms

#: What no paper venue knows, whatever its feed.
NEVER_KNOWN = (
    "our own impact: the market moved as if we had not traded",
    "hidden and iceberg liquidity: only what is displayed is there",
    "queue priority: we join behind all that is displayed; the venue's own order of cancels is not known",
    "answers of others to our orders: no one is drawn in, no one steps back",
    "the venue's own outages and rejects beyond the faults that were asked for",
)


#: An average of fewer values of the index is not the venue's, which takes one every few seconds.
SAMPLES_MIN = 30


@dataclass(frozen=True, slots=True)
class PaperReport:
    """figures: by name, amounts as decimal strings. assumptions: as stated. unknown: what cannot be known.

    maker_edge_bps: by how much makers' fills beat taking at the same moment, mean, bps of the price; what the
    queue model can have flattered by, where it is positive; None: no maker was filled.
    """

    venue: str
    figures: dict[str, int]
    rejected: dict[str, int]
    faults: dict[str, int]
    fees: dict[str, str]
    funding: dict[str, str]
    assumptions: tuple[str, ...]
    unknown: tuple[str, ...]
    maker_edge_bps: float | None
    calibrated: Calibrated

    def document(self) -> dict[str, object]:
        """For JSON."""
        return {
            "venue": self.venue,
            "mode": "paper",
            **self.figures,
            "rejected": self.rejected,
            "faults": self.faults,
            "fees": self.fees,
            "funding": self.funding,
            "maker_edge_bps": self.maker_edge_bps,
            "calibration": _calibration(self.calibrated),
            "assumptions": list(self.assumptions),
            "cannot_know": list(self.unknown),
        }

    def text(self) -> str:
        """For people."""
        figures = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in self.figures.items() if n)
        parts = [figures or "nothing happened"]
        for name, found in (
            ("rejected", self.rejected),
            ("faults", self.faults),
            ("fees paid", self.fees),
            ("funding received", self.funding),
        ):
            if found:
                parts.append(f"{name}: " + ", ".join(f"{key} {n}" for key, n in found.items()))
        if self.maker_edge_bps is not None:
            parts.append(
                f"makers' fills were {self.maker_edge_bps:z.2f} bps better than taking at the same moment, "
                "in the mean: where that is positive, paper optimism is that much at most"
            )
        parts.append(_told(self.calibrated))
        lines = [f"PAPER on {self.venue}: no order left this process", *parts, "assumed:"]
        lines += [f"- {text}" for text in self.assumptions]
        lines += ["cannot be known on paper:", *(f"- {text}" for text in self.unknown)]
        return "\n".join(textwrap.fill(line, 100, subsequent_indent="  ") for line in lines)


def closing_report(exchange: PaperExchange) -> PaperReport:
    """The closing report of a paper venue as it stands now."""
    core, log = exchange.core, exchange.log
    counts = core.counts
    fees: dict[str, Decimal] = {}
    funding: dict[str, Decimal] = {}
    for fact in log:
        if fact.fee is not None:
            fees[fact.currency] = fees.get(fact.currency, Decimal(0)) + fact.fee
        if fact.what is Happened.FUNDING and fact.amount is not None:
            funding[fact.currency] = funding.get(fact.currency, Decimal(0)) + fact.amount
    edges = counts.maker_edge_bps
    states = [order.state for order in core.every_order]
    return PaperReport(
        venue=core.venue,
        figures={
            "batches": counts.batches,
            "trades_in_the_feed": counts.trades_seen,
            "orders_received": len(log.of(Happened.RECEIVED)),
            "orders_accepted": len(states),
            "orders_filled": states.count(OrderState.FILLED),
            "orders_open": states.count(OrderState.OPEN),
            "fills_taken": counts.taken,
            "fills_made_by_trades": counts.made_by_trades,
            "fills_made_by_touch": counts.made_by_touch,
            "external_trades": len(log.of(Happened.EXTERNAL)),
            "settlements": len([f for f in log.of(Happened.SETTLED) if f.code == "expiry"]),
            "feed_gaps_with_orders": counts.gaps,
            "news_missed_without_session": exchange.missed,
        },
        rejected=dict(sorted(counts.rejected.items())),
        faults=dict(sorted(exchange.fault_counts.items())),
        fees={currency: f"{amount:f}" for currency, amount in sorted(fees.items())},
        funding={currency: f"{amount:f}" for currency, amount in sorted(funding.items())},
        assumptions=_assumptions(exchange.terms),
        unknown=(*_unknown(exchange), *NEVER_KNOWN),
        maker_edge_bps=sum(edges) / len(edges) if edges else None,
        calibrated=core.calibration.result(),
    )


def _calibration(found: Calibrated) -> dict[str, object]:
    """For JSON; what could not be compared is null."""
    return {
        "optimism_bps": _or_none(found.optimism_bps),
        "taker_fills": found.taken,
        "taker_fills_compared": found.compared,
        "taker_bps": _or_none(found.taker_bps),
        "maker_fills_compared": found.made,
        "recorded_trades_compared": found.made_by_others,
        "maker_markout_bps": {str(h): _or_none(x) for h, x in found.markout_bps.items()},
        "recorded_markout_bps": {str(h): _or_none(x) for h, x in found.markout_of_others_bps.items()},
    }


def _told(found: Calibrated) -> str:
    """For people."""
    if math.isnan(found.optimism_bps):
        return "paper optimism = unknown: no fill could be held against a recorded trade"
    parts = []
    if found.compared:
        parts.append(
            f"takers' fills {found.taker_bps:+z.2f} bps against those who took on that side within "
            f"{BESIDE_S:g} s ({found.compared} of {found.taken} fills)"
        )
    if found.made:
        ours, theirs = (
            "/".join("unknown" if math.isnan(x) else f"{x:+z.2f}" for x in markouts.values())
            for markouts in (found.markout_bps, found.markout_of_others_bps)
        )
        seconds = "/".join(map(str, HORIZONS_S))
        parts.append(
            f"makers' markouts after {seconds} s {ours} bps ({found.made} fills), of those who really made "
            f"{theirs} bps ({found.made_by_others} trades)"
        )
    return f"paper optimism = {found.optimism_bps:+z.2f} bps: " + "; ".join(parts)


def _or_none(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _assumptions(terms: StatedTerms) -> tuple[str, ...]:
    rules, queue = terms.rules, terms.queue
    renewed = (
        "never by time alone" if queue.refresh_s is None else f"after {queue.refresh_s:g} s at the latest"
    )
    cancels = "none" if queue.cancels_ahead == 0 else f"{queue.cancels_ahead} of them"
    fees = "the listings' rates with their caps" if terms.fees is FeeModel.LISTING else "none, as stated"
    latency = terms.latency
    combos = "filled on the books of their legs, in the ratio" if rules.combos else "not offered"
    return (
        f"fees: {fees}",
        f"latency: feed {latency.feed}, orders {latency.order_entry}, answers {latency.response}",
        f"liquidity taken is renewed when its displayed size rises or its price comes back, {renewed}",
        f"queue: joined at the back; unexplained cancels that were ahead of us: {cancels}",
        f"quotes older than {rules.quote_age_s_max:g} s are not taken from",
        f"price band: {'none' if rules.price_band is None else rules.price_band}",
        f"combos: {combos}",
        f"rate limit: {rules.order_rate:g} orders a second, {rules.order_burst} at once; cancels are free",
    )


def _unknown(exchange: PaperExchange) -> list[str]:
    """What this run in particular could not know."""
    counts, found = exchange.core.counts, []
    if exchange.terms.margin is None:
        named = exchange.terms.rules.margin_unknown
        no_table = f"the {named} model is named, but no table of {exchange.core.venue} is known"
        found.append(
            f"margin: not modelled, {no_table if named else 'as stated'}; no order was refused for it and no "
            "position liquidated"
        )
    elif unknown := exchange.core.checks.margin_unknown:
        found.append(f"margin: {unknown} orders passed although it could not be told")
    if not counts.trades_seen:
        found.append(
            "queues: the feed brought no trades; makers were filled only where the other side's displayed "
            "price reached theirs"
        )
    if counts.gaps:
        found.append(
            f"gaps: {counts.gaps} times the feed was silent for over {exchange.terms.rules.gap_s:g} s while "
            "orders rested; what would have filled in between is not known"
        )
    if counts.crossed:
        found.append(f"books: {counts.crossed} crossed displays, on which nothing was filled")
    unknown_ns = exchange.core.account.funding_unknown_ns
    if unknown_ns:
        found.append(
            f"funding: no rate was known for {unknown_ns / 3.6e12:.1f} position-hours; counted as none"
        )
    thin = [n for n in counts.settled_on.values() if n < SAMPLES_MIN]
    if thin:
        found.append(
            f"settlement: {len(thin)} of {len(counts.settled_on)} expiries ended on an average of fewer than "
            f"{SAMPLES_MIN} values of the index, {min(thin)} at the least"
        )
    return found
