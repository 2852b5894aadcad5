"""All that the engine knows between two events, as one frozen value.

A new fact makes a new State; the big parts (market, book, trades seen) are shared with the old one. Whoever
folds `decide` over the journal's events from the same first State gets the same last one: there is nothing
else to remember.

Mode is what commands and breakers have made it; how the engine acts (`acting`) is never freer than that:
while a venue's account differs from the book without a reason, or P&L is explained by nothing, an armed
engine only reduces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from hedger.core.by_hand import NOTHING_BY_HAND, ByHand
from hedger.core.changed import changer
from hedger.core.execution import Execution
from hedger.core.glance import Glance
from hedger.core.order_life import ZERO, OrderRecord
from hedger.core.previewed import Previewed
from hedger.core.trades_seen import TradesSeen
from hedger.moment import Memory
from hedger.problem.snapshot import BandOverrides, Snapshot
from hedger.settings import Settings
from pricing.market import Market
from pricing.oracle import LastGood
from pricing.universe import FloatArray, Universe
from risk.book import Book, Fill, Position, PositionKey
from risk.flows import NO_FLOWS, Flows
from risk.standing import Standing
from risk.throttle import Hedge
from venues.orders import AccountMargin, Link


class Mode(StrEnum):
    """What the engine may do. Cancels and questions are allowed in all of them."""

    OBSERVE = "observe"  # decides nothing that leaves
    ARMED = "armed"
    REDUCING = "reducing"  # only orders that bring rows nearer to their landing
    HALTED = "halted"  # nothing new, until a person arms it again
    KILLED = "killed"  # nothing new, and every order is cancelled until the venues show none

    @property
    def sends(self) -> bool:
        """Whether new orders may leave."""
        return self in (Mode.ARMED, Mode.REDUCING)

    @property
    def said(self) -> str:
        """What an engine in this mode is or does, after its name: "the engine only observes"."""
        return "only observes" if self is Mode.OBSERVE else f"is {self}"


def frozen(items: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A mapping that nobody changes any more."""
    return MappingProxyType(dict(items))


def nothing() -> Mapping[Any, Any]:
    """A mapping of nothing."""
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Traded:
    """What was traded of a listing since a venue was asked for its account, order units. net: bought less
    sold; least, most: what of that its answer may hold; dearest: the highest price of a buy, 0: none."""

    net: Decimal = ZERO
    least: Decimal = ZERO
    most: Decimal = ZERO
    dearest: Decimal = ZERO

    def with_fill(self, fill: Fill, in_doubt: bool) -> Traded:
        """With one more. in_doubt: the answer may hold it, or not."""
        signed = fill.signed
        return Traded(
            self.net + signed,
            self.least + min(signed, ZERO) if in_doubt else self.least,
            self.most + max(signed, ZERO) if in_doubt else self.most,
            max(self.dearest, fill.price) if signed > 0 else self.dearest,
        )


NOTHING_TRADED = Traded()


@dataclass(frozen=True, slots=True)
class ReportedMargin:
    """An account's margin by currency as its venue tells it, and the positions that this is of: order units,
    by symbol, absent = flat. cash: what is free of a spot wallet of its own; None: there is none. traded: by
    symbol, since it was asked for. heard_ns: when it came, UTC."""

    account: str
    margins: Mapping[str, AccountMargin]
    positions: Mapping[str, Decimal]
    cash: Mapping[str, float] | None = None
    traded: Mapping[str, Traded] = field(default_factory=nothing)
    heard_ns: int = 0

    def with_fill(self, fill: Fill) -> ReportedMargin:
        """With what was traded since: what is stamped before it came may be in it, though told later."""
        return replace(self, traded=with_traded(self.traded, fill, fill.time_ns <= self.heard_ns))


def with_traded(traded: Mapping[str, Traded], fill: Fill, in_doubt: bool) -> Mapping[str, Traded]:
    """What was traded, by symbol, with one execution more."""
    symbol = fill.listing.symbol
    return frozen({**traded, symbol: traded.get(symbol, NOTHING_TRADED).with_fill(fill, in_doubt)})


@dataclass(frozen=True, slots=True)
class VenueState:
    """What is known of one venue. Times `_ns` are monotonic, `venue_ns` is the venue's own.

    asked_ns: when the account was last asked for, and not answered since; failures: questions in a row that
    failed. reconciled_ns: the last report that agreed with the book; None: none since the link last came up,
    or since one was not taken for its stamp (misdated), and nothing is sent there. drift: reports in a row
    that differ without a reason, and their differences; unindexed_differences: those in coins without an
    index, which are no drift. since_ns: trades are asked for from here on. next_ns: the next question is due.
    zero_reads: reports in a row without open orders, since the kill. frozen: why nothing may be sent there,
    "" where it may. gaps, maintenance, gone: as the venue last told them (`VenueStatus`); altered: symbols
    that are another contract by now, and how. clock_offset_ns: our clock less the venue's, as the last report
    measured it; None: the age of its stamp when it came is the most that it can be. reported: of the last
    report that was taken, what the venue says of the account's margin; None before it. traded: by symbol,
    since the first question that no report has come after; None: there is none.
    """

    link: Link = Link.UP
    asked_ns: int | None = None
    failures: int = 0
    reconciled_ns: int | None = None
    venue_ns: int = 0
    clock_offset_ns: int | None = None
    since_ns: int = 0
    next_ns: int = 0
    drift: int = 0
    differences: tuple[tuple[str, Decimal], ...] = ()
    cash_differences: tuple[tuple[str, Decimal], ...] = ()
    unindexed_differences: tuple[tuple[str, Decimal], ...] = ()
    misdated: bool = False
    zero_reads: int = 0
    cancel_all_ns: int | None = None
    frozen: str = ""
    gaps: frozenset[str] = frozenset()
    maintenance: tuple[tuple[int, int], ...] = ()
    altered: tuple[tuple[str, str], ...] = ()
    gone: frozenset[str] = frozenset()
    reported: ReportedMargin | None = None
    traded: Mapping[str, Traded] | None = None

    @property
    def takes_orders(self) -> bool:
        """Whether orders may be sent there."""
        return self.link is Link.UP and self.reconciled_ns is not None and not self.frozen


@dataclass(frozen=True, slots=True)
class Counters:
    """Sums of the UTC day `day`, counted from 1970, for budgets: USD, and numbers of things.

    equity_low_usd, equity_high_usd: what the book is worth at least and at most with what has no mark;
    equity_open_high_usd: the most that it was worth when the day began or the engine was started.
    unpriced: fees by currency that were paid while their currency had no price, as before the first mark of a
    start; until it has one, fees_usd is NaN, and priced_usd is what all the others came to.
    wallet: balances without any index as the day began, None before the first mark; no equity holds them.
    wallet_loss_usd: what they have lost since at most; bounded_usd: so much of the fees is the most that fees
    paid in such coins can have been; worth_at_most: of such a coin, by fills (`hedger.core.wallet`).
    """

    day: int = 0
    turnover_usd: float = 0.0
    fees_usd: float = 0.0
    slippage_usd: float = 0.0
    orders: int = 0
    fills: int = 0
    executions: int = 0
    refused: int = 0
    equity_open_usd: float = float("nan")
    equity_usd: float = float("nan")
    equity_low_usd: float = float("nan")
    equity_high_usd: float = float("nan")
    equity_open_high_usd: float = float("nan")
    priced_usd: float = 0.0
    unpriced: tuple[tuple[str, Decimal], ...] = ()
    wallet: tuple[tuple[str, Decimal], ...] | None = None
    wallet_loss_usd: float = 0.0
    bounded_usd: float = 0.0
    worth_at_most: tuple[tuple[str, float], ...] = ()

    @property
    def pnl_usd(self) -> float:
        """Since the day began or the engine was started; NaN while it is not known."""
        return self.equity_usd - self.equity_open_usd

    @property
    def pnl_low_usd(self) -> float:
        """The P&L, or the least that it can be while something has no mark; NaN where it has no bound."""
        known = math.isfinite(self.equity_open_usd)
        low = self.equity_low_usd - (self.equity_open_usd if known else self.equity_open_high_usd)
        low -= self.wallet_loss_usd
        return low if math.isfinite(low) else math.nan


@dataclass(frozen=True, slots=True)
class Booked:
    """An execution booked of late, at_ns of our monotonic clock; stamp_ns: as the venue stamps it. signed:
    order units."""

    venue: str
    account: str
    symbol: str
    stamp_ns: int
    at_ns: int
    signed: Decimal


@dataclass(frozen=True, slots=True)
class Aside:
    """A side of a listing that is left out of plans, until_ns of the monotonic clock; times: refusals in a
    row; code: of the last; since_ns: of the first, monotonic."""

    until_ns: int
    times: int
    code: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Unfit:
    """Orders on a side of a listing that were refused for their own form; times: in a row; at_ns: of the
    last, monotonic. most: half of the last that was too large, order units, None where none was."""

    times: int
    at_ns: int
    most: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """A plan that was told and could not be begun. verdict: what it came to and why, without its figures;
    out: how far its rows stood outside their landing then, in widths of their bands, by name. since_ns: UTC,
    when it was told; times: how often it came to the same."""

    verdict: str
    out: tuple[tuple[str, float], ...]
    since_ns: int
    times: int = 1


class StaysOut(StrEnum):
    """What keeps rows outside their triggers: a hedge in work, a book that cannot be valued, a mode that
    sends nothing, a pause, or what the policy and the plan came to."""

    WORK = "work"
    VALUE = "value"
    MODE = "mode"
    PAUSED = "paused"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Outside:
    """Rows outside their triggers, and why they stay there; rows empty: none is. since_ns: UTC, since when
    any is."""

    rows: tuple[str, ...] = ()
    why: str = ""
    since_ns: int = 0
    cause: StaysOut = StaysOut.POLICY


@dataclass(frozen=True, slots=True)
class Settled:
    """A position that expired, as it was, and the price at which it was booked, USD per coin."""

    position: Position
    price: Decimal


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """P&L that nothing explains (`hedger.core.residual`). looked_ns: monotonic, of the last look; usd: summed
    over the UTC day `day`, counted from 1970, or since a person armed the engine. beyond: looks in a row at
    which that was more than is borne. standing: the book at the last look; flows: what moved it since."""

    looked_ns: int | None = None
    day: int = 0
    usd: float = 0.0
    beyond: int = 0
    standing: Standing | None = None
    flows: Flows = NO_FLOWS


NOTHING_LEFT_OVER = Residual()
NOTHING_SEEN = TradesSeen()
NOTHING_COUNTED = Counters()
NO_MEMORY = Memory()
ALL_INSIDE = Outside()


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything between two events.

    seq, now_ns, monotonic_ns: of the last event. market, book, trades: as they stand. orders: ours, by
    client id, those that ended for as long as `forget_s`. execution: the one in work. seen: the book at
    the last mark (`snapshot`), seen_under: the bands set by command that were in force; moved: (m,) what
    fills have added to its rows since; fault: why the book cannot be valued. memory: the pace of hedging;
    hedges: those of late, with the risk before and after each. last_good: indexes. regimes: the vol
    regimes in force. venues: by name. counters: of the day. by_hand: bands set by command, and who set
    them. asked_for: what a person asked for ("hedge" or "flatten") and is not done, on one
    underlying (scope) or on all; previewed: what he had seen of that hedge, None where nothing. averages:
    (sum, count) of the index in settlement windows. indexes: (ns, USD) seen, where bands or triggers look
    back. commands: ids of those done. strangers: open orders of others, told of, by (venue, account, name).
    others: other engines seen at work, monotonic, by (venue, account, tag). touched: the venue's time of
    the last fill, by (venue, symbol); booked: executions of the last seconds. accrued: funding not booked
    yet, > 0 owed, by (venue, account, currency). marked_ns: monotonic, of the last mark.
    width: (m,) of the desk's own bands while a flatten has narrower ones in force; None: those in force.
    settled: expiries of late, and what they were booked at. desk: settings that a `reload` has put in the
    place of those of the start. residual: P&L that nothing explains. aside: sides of listings that were
    refused, by (venue, symbol, sign of the trade); unfit: those where orders were for their own form, by the
    same. undone: the plan that was told last and could not be begun, None where the last one was. outside:
    its rows, and why. withheld: a hedge was due at the last question, and the mode, a pause, the venues or a
    flatten that waits stood against it. waits: coins for which the flatten in work
    has waited for what is set aside, and until when it may, monotonic.
    """

    market: Market
    book: Book
    seq: int = -1
    now_ns: int = 0
    monotonic_ns: int = 0
    mode: Mode = Mode.OBSERVE
    paused: bool = False
    reason: str = "started"
    trades: TradesSeen = NOTHING_SEEN
    orders: Mapping[str, OrderRecord] = field(default_factory=nothing)
    execution: Execution | None = None
    seen: Snapshot | Glance | None = None
    seen_under: BandOverrides | None = None
    moved: FloatArray | None = None
    fault: str = ""
    memory: Memory = NO_MEMORY
    last_good: LastGood = field(default_factory=dict)
    regimes: Mapping[str, float] = field(default_factory=nothing)
    venues: Mapping[str, VenueState] = field(default_factory=nothing)
    counters: Counters = NOTHING_COUNTED
    by_hand: ByHand = NOTHING_BY_HAND
    asked_for: str = ""
    scope: str = ""
    previewed: Previewed | None = None
    averages: Mapping[tuple[str, int], tuple[float, int]] = field(default_factory=nothing)
    indexes: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=nothing)
    commands: frozenset[str] = frozenset()
    strangers: frozenset[tuple[str, str, str]] = frozenset()
    others: Mapping[tuple[str, str, str], int] = field(default_factory=nothing)
    touched: Mapping[tuple[str, str], int] = field(default_factory=nothing)
    booked: tuple[Booked, ...] = ()
    accrued: Mapping[tuple[str, str, str], Decimal] = field(default_factory=nothing)
    marked_ns: int | None = None
    hedges: tuple[Hedge, ...] = ()
    width: FloatArray | None = None
    settled: Mapping[PositionKey, Settled] = field(default_factory=nothing)
    desk: Settings | None = None
    residual: Residual = NOTHING_LEFT_OVER
    aside: Mapping[tuple[str, str, int], Aside] = field(default_factory=nothing)
    unfit: Mapping[tuple[str, str, int], Unfit] = field(default_factory=nothing)
    undone: Undone | None = None
    outside: Outside = ALL_INSIDE
    withheld: bool = False
    waits: Mapping[str, int] = field(default_factory=nothing)

    @classmethod
    def fresh(cls, universe: Universe, book: Book, venues: Mapping[str, int], **known: Any) -> State:
        """Before the first event. venues: by name, the venue's time from which trades are asked for.

        known: whatever recovery knows more (trades, orders, mode, memory, ...), by the fields' names.
        """
        states = {name: VenueState(since_ns=since_ns) for name, since_ns in venues.items()}
        return cls(market=Market.empty(universe), book=book, venues=frozen(states), **known)

    @property
    def acting(self) -> Mode:
        """The mode as it acts now."""
        if self.mode is Mode.ARMED and (self.residual.beyond or any(v.drift for v in self.venues.values())):
            return Mode.REDUCING
        return self.mode

    @property
    def overrides(self) -> BandOverrides:
        """The bands set by command, by row."""
        return self.by_hand.overrides

    @property
    def snapshot(self) -> Snapshot | None:
        """The book as the last mark valued it; None before there is one, or where it could not be."""
        return self.seen.snapshot.get() if isinstance(self.seen, Glance) else self.seen

    @property
    def value(self) -> FloatArray | None:
        """The rows (m,) as they stand, with the fills since the last mark; None before there is a mark."""
        seen = self.seen
        if seen is None:
            return None
        value = seen.value if isinstance(seen, Glance) else seen.exposure.value
        return value if self.moved is None else value + self.moved

    def live_orders(self, venue: str | None = None) -> Iterator[OrderRecord]:
        """Orders that are not over, of one venue or of all."""
        return (r for r in self.orders.values() if r.live and venue in (None, r.venue))

    def unsettled(self, execution: int) -> tuple[OrderRecord, ...]:
        """The orders of an execution that may still fill."""
        return tuple(r for r in self.orders.values() if r.execution == execution and not r.settled)

    def reserved(self, venue: str, symbol: str) -> tuple[Decimal, Decimal]:
        """What orders on a listing may still buy and sell at worst, order units, both unsigned."""
        buy, sell = ZERO, ZERO
        for record in self.orders.values():
            order = record.order
            if (order.listing.venue, order.listing.symbol) == (venue, symbol) and record.reserved:
                buy += record.reserved if order.side.sign > 0 else ZERO
                sell += record.reserved if order.side.sign < 0 else ZERO
        return buy, sell

    def having(self, **changes: Any) -> State:
        """With some fields changed: `dataclasses.replace` in half its time, since every event asks for it."""
        return _changed(self, **changes)

    def with_order(self, record: OrderRecord) -> State:
        """With an order as it is now known."""
        return replace(self, orders=frozen({**self.orders, record.order.client_id: record}))

    def with_venue(self, name: str, **changes: Any) -> State:
        """With something else known of a venue."""
        venue = self.venues.get(name, VenueState())
        return replace(self, venues=frozen({**self.venues, name: replace(venue, **changes)}))

    def turned(self, mode: Mode, reason: str) -> State:
        """In another mode."""
        return replace(self, mode=mode, reason=reason)


_changed = changer(State)
with_counts = changer(Counters)
