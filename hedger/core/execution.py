"""A ticket in work as a value: its legs, what came of them, and what the news of fills and ends make of it.

`hedger.core.working` says what it does next, `hedger.core.unwinding` how it gets back, `hedger.core.slicing`
what its next order is. A plan that is made anew for the rest stays under the same execution: its legs get new
numbers, and what was asked for of a display stays asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from hedger.core.leg_margin import NO_MODELS, Models, margin_after
from hedger.core.legs import Interim, LegOrder, UnwindLeg, leg_order, unwind, unwind_text
from hedger.core.order_life import ZERO, OrderRecord
from hedger.core.slicing import WorkLeg
from hedger.moment import Moment
from hedger.planning import HedgePlan
from hedger.problem.objective import Objective
from hedger.sections.execution import ExecutionConfig
from hedger.settings import Settings
from pricing.contracts import Listing
from pricing.universe import FloatArray
from risk.book import Fill
from risk.costs import reference_price
from venues.orders import OrderState, TimeInForce

EVERY_LEG_FILLED = "every leg is filled"


@dataclass(frozen=True, slots=True, eq=False)
class Execution:
    """A ticket in work. id: the event that started it. moment: the book then. rows: those that were called.

    legs: of the present plan, in their order; earlier: of the plans before it. first: the number of the
    present plan's first leg. before, promised, slack: of that plan, by row; weighed: what it weighed, in
    utility mode. cost_usd: of the first ticket, as far as fills tell it. unwind, interim: the way back, and
    how the book stands after each leg. ending: why it is over, "" while it is not; failed: it did not end as
    it was meant to. superseded: a person has asked for something else meanwhile, which its end does not
    answer. unwinding: its legs are taken back. singly: a combo of it was refused or found nothing, and its
    legs go one by one from then on. replanning: why it must be planned anew; barren: plans in a row that
    nothing was filled of. to_zero: it flattens: a plan is worked to its end, and what the market moved
    meanwhile is mended after it. held: tries in a row that a passing reason refused. waiting: why it sends
    nothing at this moment, "" where it does. again_ns: nothing is sent before, monotonic; shut_out:
    no plan for the rest could be made without what is set aside. others: what trades of others changed since
    the present plan, order units by listing.
    """

    id: int
    moment: Moment
    rows: tuple[str, ...]
    legs: tuple[WorkLeg, ...]
    started_ns: int
    before: Mapping[str, float]
    promised: Mapping[str, float]
    slack: Mapping[str, float]
    cost_usd: float
    unwind: tuple[UnwindLeg, ...] = ()
    interim: tuple[Interim, ...] = ()
    earlier: tuple[WorkLeg, ...] = ()
    first: int = 0
    ending: str = ""
    failed: bool = False
    superseded: bool = False
    unwinding: bool = False
    singly: bool = False
    replanning: str = ""
    weighed: Objective | None = None
    replans: int = 0
    barren: int = 0
    rejects: int = 0
    to_zero: bool = False
    held: int = 0
    waiting: str = ""
    again_ns: int = 0
    shut_out: bool = False
    others: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)

    @property
    def every_leg(self) -> tuple[WorkLeg, ...]:
        """Those of all its plans, and of its unwinding."""
        return (*self.earlier, *self.legs)

    @property
    def since_plan(self) -> tuple[WorkLeg, ...]:
        """Those of the present plan, and those that take legs back."""
        return tuple(leg for leg in self.every_leg if leg.number >= self.first)

    @property
    def planned(self) -> tuple[WorkLeg, ...]:
        """Those of the present plan."""
        return tuple(leg for leg in self.since_plan if not leg.back)

    @property
    def filled(self) -> bool:
        """Whether every leg of the present plan is, as far as its venue took orders when it was planned."""
        return all(leg.left == 0 and not leg.cut_off for leg in self.planned)

    def ended(self, why: str, failed: bool = True) -> Execution:
        """With a reason to end; the first one stands."""
        return self if self.ending else replace(self, ending=why, failed=failed)


# -------------------------------------------------------------------------------------------------- starting


def start(
    plan: HedgePlan,
    settings: Settings,
    moment: Moment,
    seq: int,
    now_ns: int,
    models: Models = NO_MODELS,
    width: FloatArray | None = None,
) -> Execution:
    """The execution of a plan's trades, its legs in the order of least interim risk, its unwind written.

    moment: as the policy saw it. seq: of the event that it comes from. now_ns: the monotonic clock. models:
    how venues margin the account. width: (m,) what counts as one band; the bands' own where None.
    """
    legs, order, way_back = _legs(plan, settings, 0, models, width)
    return Execution(
        id=seq,
        moment=moment,
        rows=tuple(sorted(plan.decision.called)),
        legs=legs,
        started_ns=now_ns,
        before=_by_row(plan, plan.snapshot.exposure.value),
        promised=_by_row(plan, plan.after),
        slack=_by_row(plan, plan.slack),
        cost_usd=plan.cost.spread + plan.cost.depth + plan.cost.fee,
        unwind=way_back,
        interim=order.states,
        weighed=plan.objective if plan.objective.weighed else None,
    )


def planned_anew(
    execution: Execution,
    plan: HedgePlan,
    settings: Settings,
    models: Models = NO_MODELS,
    width: FloatArray | None = None,
) -> Execution:
    """The same execution with another plan for the rest."""
    done = execution.every_leg
    legs, order, way_back = _legs(plan, settings, len(done), models, width)
    fruitless = all(leg.filled == 0 for leg in execution.legs)
    return replace(
        execution,
        earlier=done,
        legs=tuple(replace(_with_display_taken(leg, done), plan=execution.replans + 1) for leg in legs),
        first=len(done),
        before=_by_row(plan, plan.snapshot.exposure.value),
        promised=_by_row(plan, plan.after),
        slack=_by_row(plan, plan.slack),
        unwind=way_back,
        interim=order.states,
        weighed=plan.objective if plan.objective.weighed else None,
        replanning="",
        replans=execution.replans + 1,
        barren=execution.barren + 1 if fruitless else 0,
        others={},
    )


def planned_again(execution: Execution, why: str, config: ExecutionConfig) -> Execution:
    """To be planned anew, or ended where that was done often enough: a flatten then says how far it came."""
    if execution.ending or execution.replanning:
        return execution
    if execution.barren >= config.replans_max or execution.replans >= config.replans_all_max:
        text = f"{why}; planned anew {execution.replans} times already"
        return execution.ended(text, failed=not execution.to_zero)
    return replace(execution, replanning=why)


def taken_up(execution: Execution, terms: Mapping[tuple[str, str], Listing]) -> Execution:
    """With every leg on the listings as they are now: what is left of it, its next orders and its way back
    are in the new steps. A wait after a refusal is over where the leg that it is for is among them."""

    def anew(leg: WorkLeg) -> WorkLeg:
        if leg.listing.key not in terms:
            return leg
        least = leg.least or max(leg.listing.lot, leg.listing.minimum)
        return replace(leg, listing=terms[leg.listing.key], least=least)

    legs, earlier = (tuple(map(anew, legs)) for legs in (execution.legs, execution.earlier))
    first = next((leg for leg in execution.legs if leg.left > 0), None)
    again_ns = 0 if first is not None and first.listing.key in terms else execution.again_ns
    return replace(execution, legs=legs, earlier=earlier, again_ns=again_ns)


def _with_display_taken(leg: WorkLeg, earlier: Sequence[WorkLeg]) -> WorkLeg:
    """A new leg with what was asked for of its book already: no plan takes the same display twice."""
    same = [x for x in earlier if x.listing.key == leg.listing.key and x.side is leg.side and x.book_ns]
    if not same:
        return leg
    last = max(same, key=lambda x: (x.book_ns, x.number))
    return replace(leg, book_ns=last.book_ns, taken=last.taken)


def _by_row(plan: HedgePlan, values: FloatArray) -> dict[str, float]:
    return dict(zip(plan.snapshot.exposure.rows, values.tolist(), strict=True))


def _legs(
    plan: HedgePlan, settings: Settings, first: int, models: Models, width: FloatArray | None
) -> tuple[tuple[WorkLeg, ...], LegOrder, tuple[UnwindLeg, ...]]:
    """The legs of a plan in the order to trade them, how the book stands on the way, and the way back."""
    trades, snapshot = plan.trades, plan.snapshot
    if not trades:
        return (), LegOrder((), ()), ()
    rows = [t.row for t in trades]
    signed = np.array([t.side.sign * float(t.quantity) for t in trades])
    order = leg_order(
        np.array([t.effect for t in trades]),
        snapshot.exposure.value,
        snapshot.bands,
        margin_after(snapshot, rows, signed, models, settings.costs.margin.rates()),
        (signed > 0).tolist(),
        width,
    )
    reference, spot = reference_price(snapshot.market), snapshot.valuation.spot_of_listing()
    legs = tuple(
        WorkLeg(
            number=first + place,
            listing=trades[i].listing,
            side=trades[i].side,
            quantity=trades[i].quantity,
            limit=trades[i].limit_price,
            expected_price=trades[i].expected_price,
            reference=float(reference[trades[i].row]),
            index=float(spot[trades[i].row]),
            fair=float(snapshot.valuation.price[trades[i].row]),
            fee_usd=trades[i].cost.fee,
            slippage_usd=trades[i].cost.spread + trades[i].cost.depth,
        )
        for place, i in enumerate(order.legs)
    )
    told = [(leg.listing, leg.side, leg.quantity, leg.limit) for leg in legs]
    return legs, order, unwind(told, settings.execution.price_limit_bps)


def unwind_lines(execution: Execution) -> tuple[str, ...]:
    """The written unwind."""
    return unwind_text(execution.unwind, execution.interim)


# ------------------------------------------------------------------------------------------------------ news


def with_fill(execution: Execution, leg: int, fill: Fill, reference: float) -> Execution:
    """After a fill of one of its legs. reference: the price costs are reckoned from, as it is now."""

    def filled(work: WorkLeg) -> WorkLeg:
        fees = dict(work.fees)
        fees[fill.fee_currency] = fees.get(fill.fee_currency, ZERO) + fill.fee
        return replace(
            work,
            filled=work.filled + fill.quantity,
            paid=work.paid + fill.quantity * fill.price,
            referred=work.referred + float(fill.quantity) * reference,
            fees=tuple(sorted(fees.items())),
            dry=0,
        )

    return on_leg(execution, leg, filled)


def with_other(execution: Execution, fill: Fill) -> Execution:
    """After a trade on the book that is none of its own."""
    key = fill.listing.key
    known = execution.others.get(key, ZERO)
    return replace(execution, others={**execution.others, key: known + fill.signed})


def with_end(execution: Execution, record: OrderRecord) -> Execution:
    """After one of its orders has come to its end."""
    if record.order.combo:
        return _with_combo_end(execution, record)
    refused = record.state in (OrderState.REJECTED, OrderState.DENIED)

    def ended(leg: WorkLeg) -> WorkLeg:
        if refused and leg.taken:  # nothing of the display was taken
            leg = replace(leg, taken=max(leg.taken - record.order.quantity, ZERO))
        if record.order.time_in_force is not TimeInForce.IOC:
            return leg
        short = ZERO < record.booked < record.order.quantity
        dry = leg.dry if record.booked else leg.dry + 1
        return replace(leg, dry=dry, short=short, resting_ns=None)

    found = on_leg(execution, record.order.leg, ended)
    return replace(found, rejects=found.rejects + refused)


def _with_combo_end(execution: Execution, record: OrderRecord) -> Execution:
    """After a leg of a combo has come to its end. One that brought nothing took nothing of the display."""
    if record.booked:
        short = record.booked < record.order.quantity
        return on_leg(execution, record.order.leg, lambda leg: replace(leg, dry=0, short=short))

    def untouched(leg: WorkLeg) -> WorkLeg:
        return replace(leg, taken=max(leg.taken - record.order.quantity, ZERO), next_ns=0)

    return replace(on_leg(execution, record.order.leg, untouched), singly=True)


def on_leg(execution: Execution, number: int, change: Callable[[WorkLeg], WorkLeg]) -> Execution:
    """With one of its legs changed."""

    def changed(legs: tuple[WorkLeg, ...]) -> tuple[WorkLeg, ...]:
        return tuple(change(leg) if leg.number == number else leg for leg in legs)

    return replace(execution, legs=changed(execution.legs), earlier=changed(execution.earlier))
