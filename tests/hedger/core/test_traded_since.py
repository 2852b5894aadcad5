"""What was traded since a venue reported on margin, against the account reckoned anew from all its trades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hedger.core.events import Event, Tick
from hedger.core.ledger import on_trade
from hedger.core.reconcile import on_account
from hedger.core.reported_margin import reported_margin
from hedger.core.state import State
from hedger.core.turn import Turn
from pricing.contracts import Kind, Listing, Side
from pricing.daycount import NS_PER_SECOND
from risk.book import Fill
from risk.limit_request import MarginView
from tests.hedger.core.test_reported_margin import ASKED, SHARE
from tests.hedger.rig import VENUE
from venues.orders import EVERY_CURRENCY, AccountMargin, AccountReport, Order, TradeReport

RIG, ORDER, SITUATION = ASKED
AT = SITUATION.snapshot.valuation.universe.positions
LISTINGS = {x.symbol: x for x in SITUATION.snapshot.valuation.universe.listings if x.venue == VENUE}
OPTION = next(
    s for s, x in LISTINGS.items() if x.contract.kind is Kind.OPTION and x.contract.underlying == "BTC"
)
PERPETUAL = "BTC-PERPETUAL"
#: What is traded here, and one lot of it.
LOTS = {PERPETUAL: 10_000, "ETH-PERPETUAL": 10_000, OPTION: 1, "BTC_USDC": 1}
#: What the account has before all trades.
CASH = {"BTC": 50.0, "ETH": 100.0, "USDC": 3_000_000.0}
LONG = 400_000


class Look(NamedTuple):
    """What an account amounts to: free of a spot wallet, equity and requirement of a pool, USD."""

    cash: dict[str, float]
    equity: float
    required: float


class Trade(NamedTuple):
    """One execution at the mark."""

    symbol: str
    signed: int


def price_of(symbol: str) -> Decimal:
    """The mark of a listing, as its venue quotes it."""
    return Decimal(repr(float(SITUATION.market.mark[AT[VENUE, symbol]])))


def index(coin: str) -> float:
    """USD of one."""
    return float(SITUATION.snapshot.spot.get(coin, 1.0))


def forward(symbol: str) -> float:
    """USD of a coin, as the listing is valued."""
    return float(SITUATION.snapshot.valuation.forward[AT[VENUE, symbol]])


def reckoned(trades: list[Trade], rate: float, delta: float, by_position: bool, pooled: bool) -> Look:
    """An account from all its trades, none forgotten. rate: of a position's notional, that is asked for;
    delta: of the option. pooled: spot is paid from the same, not of a wallet of its own."""
    wallet, cash = dict(CASH), dict(CASH)
    held = Counter({PERPETUAL: LONG})
    for symbol, signed in trades:
        price, coins = float(price_of(symbol)), signed * float(LISTINGS[symbol].size)
        if symbol == "BTC_USDC":
            spot = cash if pooled else wallet
            spot["BTC"] += coins
            spot["USDC"] -= coins * price
        else:
            held[symbol] += signed
            cash["BTC"] -= coins * price if symbol == OPTION else 0.0
    equity = sum(amount * index(coin) for coin, amount in cash.items())
    options, premium, coin = held[OPTION], float(price_of(OPTION)), index("BTC")
    btc, eth = (held[f"{x}-PERPETUAL"] / forward(f"{x}-PERPETUAL") * index(x) for x in ("BTC", "ETH"))
    if by_position:  # options are worth nothing to the balance; one sold needs what it is worth as well
        sold = max(-options, 0) * coin * (rate + premium)
        return Look(wallet, equity, rate * (abs(btc) + abs(eth)) + sold)
    # A portfolio: the worst of three moves, in which an option bought loses no more than it is worth.
    moves = (-rate, 0.0, rate)
    losses = [-btc * move - options * coin * max(delta * move, -premium) for move in moves]
    return Look(wallet, equity + options * premium * coin, max(losses) + rate * abs(eth))


@dataclass
class Desk:
    """The engine on one side and the account on the other; time passes with everything that happens.

    asked: questions on their way, each with the margin and the positions once these were looked up.
    """

    rate: float = SHARE
    delta: float = 1.0
    by_position: bool = True
    pooled: bool = True
    state: State = field(default_factory=lambda: begun())
    seconds: int = 0
    trades: list[Trade] = field(default_factory=list)
    untold: list[TradeReport] = field(default_factory=list)
    asked: list[tuple[int, list[Look], list[dict[str, Decimal]]]] = field(default_factory=list)

    def turned(self, work: Callable[[Turn], object]) -> None:
        """The next second, with something done in it."""
        self.seconds += 1
        event = Event(self.state.seq + 1, self.now_ns, self.monotonic_ns, Tick())
        turn = Turn(replace(self.state, seq=event.seq), RIG.settings, event)
        work(turn)
        self.state = turn.state

    @property
    def now_ns(self) -> int:
        return RIG.now_ns + self.seconds * NS_PER_SECOND

    @property
    def monotonic_ns(self) -> int:
        return self.now_ns - RIG.start_ns + 50 * NS_PER_SECOND

    def look(self) -> Look:
        return reckoned(self.trades, self.rate, self.delta, self.by_position, self.pooled)

    def trade(self, symbol: str, lots: int, told: bool = True) -> None:
        """One execution, told of at once or later."""
        self.seconds += 1
        one = Trade(symbol, lots * LOTS[symbol])
        self.trades.append(one)
        side = Side.BUY if lots > 0 else Side.SELL
        listing, name = LISTINGS[symbol], f"t{len(self.trades)}"
        nothing = Decimal(0)
        fill = Fill(
            listing, side, Decimal(abs(one.signed)), price_of(symbol), nothing, "USDC", "", name, self.now_ns
        )
        self.untold.append(TradeReport("", fill))
        if told:
            self.tell()

    def tell(self) -> None:
        for report in self.untold:
            self.turned(partial(on_trade, report=report))
        self.untold = []

    def ask(self) -> None:
        self.turned(lambda turn: turn.ask_account(VENUE))
        self.asked.append((self.now_ns, [], []))

    def look_up(self, margin: bool) -> None:
        """The venue looks up one part of what the first question is about."""
        if self.asked:
            _, looks, positions = self.asked[0]
            if margin and not looks:
                looks.append(self.look())
            if not margin and not positions:
                positions.append(self.positions())

    def positions(self) -> dict[str, Decimal]:
        held = Counter({PERPETUAL: LONG})
        for symbol, signed in self.trades:
            held[symbol] += signed if symbol != "BTC_USDC" else 0
        return {s: Decimal(q) for s, q in held.items() if q}

    def answer(self) -> None:
        """The answer to the first question comes."""
        if not self.asked:
            return
        self.look_up(margin=True)
        self.look_up(margin=False)
        at_ns, (look,), (positions,) = self.asked.pop(0)
        margin = AccountMargin(look.equity, look.required, look.required, self.by_position)
        cash = None if self.pooled else look.cash
        margins = {EVERY_CURRENCY: margin}
        report = AccountReport(VENUE, "", at_ns, (), positions, {}, margins=margins, cash=cash)
        self.turned(lambda turn: on_account(turn, report))

    def view(self, symbol: str, lots: int) -> MarginView:
        """What the engine says of an order."""
        row = AT[VENUE, symbol]
        side, size = Side.BUY if lots > 0 else Side.SELL, Decimal(abs(lots) * LOTS[symbol])
        order: Order = replace(
            ORDER, listing=listing_of(row), side=side, quantity=size, price=price_of(symbol)
        )
        return reported_margin(order, replace(SITUATION, state=self.state, row=row), SHARE)


def listing_of(row: int) -> Listing:
    """By its row."""
    return SITUATION.snapshot.valuation.universe.listings[row]


def begun() -> State:
    """The engine's state before anything is traded, with nothing out."""
    venue = replace(RIG.state.venues[VENUE], reported=None, traded=None, asked_ns=None)
    return replace(RIG.state, orders={}, execution=None, venues={VENUE: venue})


def reported(**known: Any) -> Desk:
    """A desk whose account was reported on."""
    desk = Desk(**known)
    desk.ask()
    desk.answer()
    return desk


STEPS = st.one_of(
    st.tuples(st.sampled_from(sorted(LOTS)), st.integers(-5, 5).filter(bool), st.booleans()),
    st.sampled_from(["ask", "margin", "positions", "answer", "tell"]),
)


#: The position is closed while the account is looked up and opened anew, long and short; the same told late;
#: the answer to a question that was asked again; and that to the second, which nobody waits for any more.
CLOSED = ["ask", "positions", (PERPETUAL, -40, True), "margin", "answer", (PERPETUAL, 40, True)]
SHORT = [
    (PERPETUAL, -80, True),
    "ask",
    "answer",
    *((x[0], -x[1], x[2]) if isinstance(x, tuple) else x for x in CLOSED),
]
LATE = ["ask", "positions", (PERPETUAL, -40, False), "margin", "answer", "tell", (PERPETUAL, 40, True)]
AGAIN = ["ask", "margin", ("BTC_USDC", -5, True), "ask", "answer"]
UNASKED = ["ask", "ask", "answer", "margin", ("BTC_USDC", -5, True), "answer"]


@settings(max_examples=60)
@example(CLOSED, (PERPETUAL, 1), SHARE, 1.0, False, True)
@example(SHORT, (PERPETUAL, 1), SHARE, 1.0, False, True)
@example(LATE, (PERPETUAL, 1), SHARE, 1.0, False, True)
@example(AGAIN, ("BTC_USDC", -1), SHARE, 1.0, True, False)
@example(UNASKED, ("BTC_USDC", -1), SHARE, 1.0, True, False)
@given(
    st.lists(STEPS, min_size=3, max_size=16),
    st.tuples(st.sampled_from(sorted(LOTS)), st.integers(-5, 5).filter(bool)),
    st.floats(0.0, SHARE),
    st.floats(-1.0, 1.0),
    st.booleans(),
    st.booleans(),
)
def test_what_is_shown_is_never_below_the_account_reckoned_anew(
    steps: list[tuple[str, int, bool] | str],
    last: tuple[str, int],
    rate: float,
    delta: float,
    by_position: bool,
    pooled: bool,
) -> None:
    """Whatever is traded before, while and after the account is looked up, and told late or at once."""
    desk = reported(rate=rate, delta=delta, by_position=by_position, pooled=pooled)
    for step in steps:
        match step:
            case "ask":
                desk.ask()
            case "answer":
                desk.answer()
            case "tell":
                desk.tell()
            case "margin" | "positions":
                desk.look_up(step == "margin")
            case (symbol, lots, told):
                desk.trade(str(symbol), int(lots), bool(told))
    desk.tell()
    before, view = desk.look(), desk.view(*last)
    desk.trade(*last)
    after = desk.look()
    assert view.proven
    for seen, balance, initial in (
        (before, view.balance_before, view.initial_before),
        (after, view.balance_after, view.initial_after),
    ):
        if pooled:
            assert balance <= seen.equity + 1e-6 and initial >= seen.required - 1e-6
        elif last[0] == "BTC_USDC":
            drawn_on = "BTC" if last[1] < 0 else "USDC"
            assert balance <= seen.cash[drawn_on] + 1e-6
        else:
            assert initial >= seen.required - 1e-6


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("symbol", sorted(LOTS))
@pytest.mark.parametrize("sign", [1, -1])
def test_ten_small_orders_show_what_one_large_one_does(symbol: str, sign: int, pooled: bool) -> None:
    desk = reported(by_position=False, pooled=pooled)
    large = desk.view(symbol, 10 * sign)
    for _ in range(9):
        desk.trade(symbol, sign)
    small = desk.view(symbol, sign)
    for figure in ("balance_after", "initial_after", "maintenance_after"):
        assert getattr(small, figure) == pytest.approx(getattr(large, figure), rel=1e-12)
    assert (large.initial_after, large.balance_after) != (large.initial_before, large.balance_before)


def test_what_was_traded_in_another_currency_draws_on_the_same_pool() -> None:
    """200 lots of 10,000 USD in ETH, and then an order in BTC: both need their share of the notional."""
    desk = reported()
    was = desk.view(PERPETUAL, 1)
    desk.trade("ETH-PERPETUAL", 200)
    now = desk.view(PERPETUAL, 1)
    needed = 0.35 * 2_000_000 * index("ETH") / forward("ETH-PERPETUAL")
    assert now.initial_before - was.initial_before == pytest.approx(needed, rel=1e-9)


@pytest.mark.parametrize("margin_first", [True, False])
def test_an_execution_between_margin_and_positions_counts_until_the_next_report(margin_first: bool) -> None:
    desk = reported(by_position=False)
    was = desk.view(PERPETUAL, 1).initial_before
    desk.ask()
    desk.look_up(margin=margin_first)
    desk.trade(PERPETUAL, 15)
    desk.look_up(margin=not margin_first)
    desk.answer()
    needed = 0.35 * 150_000 * index("BTC") / forward(PERPETUAL)
    assert desk.view(PERPETUAL, 1).initial_before >= was + needed - 1e-6
    desk.ask()
    desk.answer()
    assert desk.view(PERPETUAL, 1).initial_before == pytest.approx(desk.look().required, rel=1e-12)


def test_the_next_report_takes_the_place_of_what_was_booked_before_it_was_asked_for() -> None:
    desk = reported()
    desk.trade("BTC_USDC", -5)
    assert desk.view("BTC_USDC", -1).balance_before == pytest.approx(
        desk.look().equity - 5 * float(price_of("BTC_USDC"))
    )
    desk.ask()
    desk.answer()
    assert desk.view("BTC_USDC", -1).balance_before == pytest.approx(desk.look().equity, rel=1e-12)
