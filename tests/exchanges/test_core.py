"""The matching core against arithmetic done by hand, and what must hold whatever is sent to it."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchanges.clock import NS, Clock
from tests.exchanges.core import Exchange
from tests.exchanges.deribit_market import option, perpetual, spot
from tests.exchanges.words import (
    BookNews,
    DuplicateRule,
    Instrument,
    Life,
    Mark,
    News,
    PostOnly,
    Reason,
    Refusal,
    Side,
    TimeInForce,
)
from tests.exchanges.world import World

PERP = perpetual("BTC")
LINEAR = perpetual("BTC", inverse=False)
CALL = option("BTC", 1_800_000_000 * NS, 60_000, "C")
USDC_PUT = option("BTC", 1_800_000_000 * NS, 60_000, "P", inverse=False)
SPOT = spot("BTC")


def make(duplicates: DuplicateRule = DuplicateRule.ALLOWED) -> Exchange:
    exchange = Exchange(
        [PERP, LINEAR, CALL, USDC_PUT, SPOT],
        clock=Clock(1_790_000_000 * NS, running=False),
        duplicates=duplicates,
    )
    for account in ("a", "b"):
        exchange.transfer(account, "BTC", D(10))
        exchange.transfer(account, "USDC", D(1_000_000))
    exchange.set_index("BTC", D(60_000))
    for i in (PERP, LINEAR):
        exchange.set_mark(i.symbol, Mark(D(60_000)))
    exchange.set_mark(CALL.symbol, Mark(D("0.05")))
    exchange.set_mark(USDC_PUT.symbol, Mark(D(3000)))
    return exchange


def refusal(exchange: Exchange, *args: object, **terms: object) -> Reason:
    with pytest.raises(Refusal) as caught:
        exchange.submit(*args, **terms)  # type: ignore[arg-type]
    return caught.value.reason


def test_price_then_time_decides_who_fills() -> None:
    x = make()
    first, _ = x.submit("a", PERP.symbol, Side.BUY, D(100), D(59_000))
    second, _ = x.submit("b", PERP.symbol, Side.BUY, D(100), D(59_000))
    better, _ = x.submit("b", PERP.symbol, Side.BUY, D(100), D("59_000.5"))
    x.trade(PERP.symbol, Side.SELL, D(150))
    assert [better.filled, first.filled, second.filled] == [D(100), D(50), D(0)]


def test_the_house_in_front_fills_first_and_keeps_its_place_when_it_shrinks() -> None:
    x = make()
    x.quote(PERP.symbol, [(D(59_000), D(500))], [])
    mine, _ = x.submit("a", PERP.symbol, Side.BUY, D(100), D(59_000))
    assert x.ahead(mine) == 500
    x.quote(PERP.symbol, [(D(59_000), D(900))], [])  # more of it stands behind us
    assert x.ahead(mine) == 500
    x.quote(PERP.symbol, [(D(59_000), D(300))], [])  # what left was behind us first
    assert x.ahead(mine) == 300
    x.trade(PERP.symbol, Side.SELL, D(350))
    assert mine.filled == 50


def test_less_keeps_its_place_more_or_another_price_loses_it() -> None:
    x = make()
    mine, _ = x.submit("a", PERP.symbol, Side.BUY, D(100), D(59_000))
    x.submit("b", PERP.symbol, Side.BUY, D(100), D(59_000))
    x.amend("a", mine.order_id, D(50))
    assert x.ahead(mine) == 0
    x.amend("a", mine.order_id, D(60))
    assert x.ahead(mine) == 100
    x.amend("a", mine.order_id, price=D(59_001))
    assert x.ahead(mine) == 0
    assert [r["quantity"] for r in x.truth.of("amended")] == ["50", "60", "60"]


def test_an_inverse_perpetual_gains_in_coins() -> None:
    x = make()
    x.quote(PERP.symbol, [], [(D(60_000), D(60_000))])
    x.submit("a", PERP.symbol, Side.BUY, D(60_000), D(60_000))
    x.quote(PERP.symbol, [(D(64_000), D(60_000))], [])
    _, fills = x.submit("a", PERP.symbol, Side.SELL, D(60_000), D(64_000))
    gain = D(60_000) / D(60_000) - D(60_000) / D(64_000)  # 1/16 coin
    assert fills[0].realised == gain == D("0.0625")
    fees = D("0.0005") * (1 + D(60_000) / D(64_000))
    assert x.account("a").balances["BTC"] == 10 + gain - fees
    assert not x.positions("a")


def test_a_short_option_pays_what_it_is_worth_at_expiry() -> None:
    x = make()
    x.quote(CALL.symbol, [(D("0.05"), D(5))], [])
    x.submit("a", CALL.symbol, Side.SELL, D(2), D("0.05"))
    cash = 10 + 2 * D("0.05") - 2 * D("0.0003")  # premium, and the fee below its cap of 12.5 %
    assert x.account("a").balances["BTC"] == cash
    x.settle(CALL.symbol, D(75_000))
    assert x.account("a").balances["BTC"] == cash - 2 * D(15_000) / D(75_000)
    assert not x.positions("a")
    assert refusal(x, "a", CALL.symbol, Side.BUY, D(1), D("0.05")) is Reason.NOT_TRADING


def test_a_usdc_put_pays_in_usdc_and_its_fee_follows_the_index() -> None:
    x = make()
    x.quote(USDC_PUT.symbol, [], [(D(3000), D(5))])
    x.submit("a", USDC_PUT.symbol, Side.BUY, D(1), D(3000))
    paid = D(3000) + D("0.0003") * 60_000
    assert x.account("a").balances["USDC"] == 1_000_000 - paid
    x.settle(USDC_PUT.symbol, D(50_000))
    assert x.account("a").balances["USDC"] == 1_000_000 - paid + 10_000


def test_a_cheap_option_pays_no_more_than_an_eighth_of_its_premium() -> None:
    x = make()
    x.quote(CALL.symbol, [], [(D("0.0001"), D(5))])
    _, fills = x.submit("a", CALL.symbol, Side.BUY, D(1), D("0.0001"))
    assert fills[0].fee == D("0.0001") / 8


def test_spot_moves_both_currencies() -> None:
    x = make()
    x.quote(SPOT.symbol, [], [(D(60_000), D(1))])
    x.submit("a", SPOT.symbol, Side.BUY, D("0.5"), D(60_000))
    assert x.account("a").balances == {"BTC": D("10.5"), "USDC": D(970_000)}


def test_funding_goes_from_longs_to_shorts() -> None:
    x = make()
    x.submit("b", LINEAR.symbol, Side.SELL, D(1), D(60_000))
    x.submit("a", LINEAR.symbol, Side.BUY, D(1), D(60_000))
    before = {n: x.account(n).balances["USDC"] for n in "ab"}
    x.fund(LINEAR.symbol, D("0.0001"))
    assert x.account("a").balances["USDC"] == before["a"] - 6
    assert x.account("b").balances["USDC"] == before["b"] + 6


def test_margin_is_deribits_standard_one() -> None:
    x = make()
    x.quote(CALL.symbol, [(D("0.05"), D(5))], [])
    x.quote(PERP.symbol, [], [(D(60_000), D(60_000))])
    x.submit("a", CALL.symbol, Side.SELL, D(2), D("0.05"))  # at the money: 0.15 of a coin, and the mark
    assert x.summary("a", "BTC").initial_margin == 2 * (D("0.15") + D("0.05"))
    assert x.summary("a", "BTC").maintenance_margin == 2 * (D("0.075") + D("0.05"))
    x.set_index("BTC", D(50_000))  # 20 % out of the money: no less than 0.1
    assert x.summary("a", "BTC").initial_margin == 2 * (D("0.1") + D("0.05"))
    x.submit("a", PERP.symbol, Side.BUY, D(60_000), D(60_000))
    assert x.summary("a", "BTC").initial_margin == 2 * D("0.15") + D("0.02")
    x.submit("a", PERP.symbol, Side.BUY, D(60_000), D(50_000))  # a resting order binds as much as its fill
    assert x.summary("a", "BTC").order_margin == D("0.02")


def test_a_sessions_settlement_turns_gains_into_cash_and_changes_no_worth() -> None:
    x = make()
    x.quote(PERP.symbol, [], [(D(60_000), D(60_000))])
    x.submit("a", PERP.symbol, Side.BUY, D(60_000), D(60_000))
    x.set_mark(PERP.symbol, Mark(D(64_000)))
    before = x.summary("a", "BTC")
    assert before.futures_upl == D("0.0625")
    x.settle(PERP.symbol, D(64_000))
    after = x.summary("a", "BTC")
    assert (after.equity, after.futures_upl, after.futures_rpl) == (before.equity, D(0), D(0))
    assert x.positions("a")[0].quantity == 60_000


def test_the_world_settles_what_has_expired() -> None:
    x = make()
    x.quote(CALL.symbol, [], [(D("0.05"), D(5))])
    x.submit("a", CALL.symbol, Side.BUY, D(1), D("0.05"))
    world = World(x, {"BTC": 75_000.0})
    assert CALL.expiry_ns is not None
    x.clock.advance((CALL.expiry_ns - x.now_ns) / NS + 1)
    before = x.account("a").balances["BTC"]
    world.step(1, trades=0)
    assert x.account("a").balances["BTC"] - before == D(15_000) / D(75_000)
    assert not x.instruments[CALL.symbol].active and not x.books[CALL.symbol].asks.levels()


def test_one_seed_one_market() -> None:
    def tale(seed: int) -> list[tuple[str, D, D]]:
        x = make()
        world = World(x, {"BTC": 60_000.0}, vols={"BTC": 0.6}, seed=seed)
        for _ in range(20):
            world.step(10, trades=3)
        return [(s, t.price, t.quantity) for s, rows in x.trades.items() for t in rows]

    assert tale(1) == tale(1) != tale(2)
    assert len(tale(1)) >= 60


def test_immediate_fill_or_kill_and_post_only() -> None:
    x = make()
    x.quote(PERP.symbol, [(D(59_990), D(100))], [(D(60_000), D(100))])
    part, _ = x.submit("a", PERP.symbol, Side.BUY, D(150), D(60_000), time_in_force=TimeInForce.IOC)
    assert (part.life, part.filled, part.why) == (Life.CANCELLED, D(100), "ioc")
    x.quote(PERP.symbol, [(D(59_990), D(100))], [(D(60_000), D(100))])
    none, _ = x.submit("a", PERP.symbol, Side.BUY, D(150), D(60_000), time_in_force=TimeInForce.FOK)
    assert (none.life, none.filled) == (Life.CANCELLED, D(0))
    terms = (PERP.symbol, Side.BUY, D(100), D(60_000))
    assert refusal(x, "a", *terms, post_only=PostOnly.REJECT) is Reason.WOULD_TAKE
    moved, _ = x.submit("a", *terms, post_only=PostOnly.REPRICE)
    assert (moved.price, moved.filled) == (D("59_999.5"), D(0))
    ended, _ = x.submit("a", *terms, post_only=PostOnly.CANCEL)
    assert (ended.life, ended.why) == (Life.CANCELLED, "post_only")


def test_reduce_only_never_opens_and_never_turns() -> None:
    x = make()
    x.quote(PERP.symbol, [(D(59_990), D(1000))], [(D(60_000), D(1000))])
    assert refusal(x, "a", PERP.symbol, Side.SELL, D(10), D(59_990), reduce_only=True) is Reason.NOT_REDUCING
    x.submit("a", PERP.symbol, Side.BUY, D(100), D(60_000))
    assert refusal(x, "a", PERP.symbol, Side.BUY, D(10), D(60_000), reduce_only=True) is Reason.NOT_REDUCING
    x.submit("a", PERP.symbol, Side.SELL, D(500), D(59_990), reduce_only=True)
    assert not x.positions("a")


def test_a_resting_reduce_only_order_ends_where_there_is_nothing_left_to_reduce() -> None:
    x = make()
    x.quote(PERP.symbol, [(D(59_990), D(1000))], [(D(60_000), D(1000))])
    x.submit("a", PERP.symbol, Side.BUY, D(100), D(60_000))
    resting, _ = x.submit("a", PERP.symbol, Side.SELL, D(100), D("59999.5"), reduce_only=True)
    x.submit("a", PERP.symbol, Side.SELL, D(70), D(59_990))
    x.trade(PERP.symbol, Side.BUY, D(50))
    assert (resting.filled, x.positions("a")) == (D(30), [])
    x.trade(PERP.symbol, Side.BUY, D(50))
    assert (resting.life, resting.why, resting.filled) == (Life.CANCELLED, "reduce_only", D(30))


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        (D(15), D(60_000), Reason.BAD_LOT),
        (D(0), D(60_000), Reason.BAD_LOT),
        (D("-10"), D(60_000), Reason.BAD_LOT),
        (D("NaN"), D(60_000), Reason.BAD_LOT),
        (D(10), D("60000.3"), Reason.BAD_TICK),
        (D(10), D(-1), Reason.BAD_PRICE),
        (D(10), D("Infinity"), Reason.BAD_PRICE),
        (D(100_000_000), D(60_000), Reason.NO_FUNDS),
    ],
)
def test_what_is_refused_changes_nothing(quantity: D, price: D, reason: Reason) -> None:
    x = make()
    assert refusal(x, "a", PERP.symbol, Side.BUY, quantity, price) is reason
    assert not x.open_orders("a") and not x.truth.of("order")
    assert [r["reason"] for r in x.truth.of("refused")] == [reason.value]


def test_the_tick_grows_with_the_price() -> None:
    x = make()
    x.submit("a", CALL.symbol, Side.BUY, D(1), D("0.0049"))
    assert refusal(x, "a", CALL.symbol, Side.BUY, D(1), D("0.0051")) is Reason.BAD_TICK
    x.submit("a", CALL.symbol, Side.BUY, D(1), D("0.0055"))


@pytest.mark.parametrize("rule", list(DuplicateRule))
def test_a_client_id_twice(rule: DuplicateRule) -> None:
    x = make(rule)
    order, _ = x.submit("a", PERP.symbol, Side.BUY, D(10), D(50_000), client_id="one")
    while_open = while_closed = Reason.DUPLICATE
    if rule is DuplicateRule.ALLOWED:
        x.submit("a", PERP.symbol, Side.BUY, D(10), D(50_000), client_id="one")
        assert len(x.by_client_id("a", "one")) == 2
        return
    assert refusal(x, "a", PERP.symbol, Side.BUY, D(10), D(50_000), client_id="one") is while_open
    x.cancel("a", order.order_id)
    if rule is DuplicateRule.EVER:
        assert refusal(x, "a", PERP.symbol, Side.BUY, D(10), D(50_000), client_id="one") is while_closed
    else:
        x.submit("a", PERP.symbol, Side.BUY, D(10), D(50_000), client_id="one")


def test_ones_own_order_in_the_way_is_cancelled() -> None:
    x = make()
    resting, _ = x.submit("a", PERP.symbol, Side.BUY, D(10), D(60_000))
    taker, fills = x.submit("a", PERP.symbol, Side.SELL, D(10), D(60_000))
    assert (resting.life, resting.why) == (Life.CANCELLED, "self_trade")
    assert taker.life is Life.OPEN and not fills


def test_the_countdown_cancels_once_and_can_be_pushed_back() -> None:
    x = make()
    x.submit("a", PERP.symbol, Side.BUY, D(10), D(50_000))
    other, _ = x.submit("b", PERP.symbol, Side.BUY, D(10), D(50_000))
    x.arm_countdown("a", "", 10)
    x.clock.advance(9)
    x.pass_time()
    x.arm_countdown("a", "", 10)
    x.clock.advance(9)
    x.pass_time()
    assert len(x.open_orders("a")) == 1
    x.clock.advance(1)
    x.pass_time()
    assert not x.open_orders("a") and other.life is Life.OPEN
    assert len(x.truth.of("countdown fired")) == 1


# ---- what must hold whatever is sent

_PRICES = st.integers(59_990, 60_010).map(D)
_QUANTITIES = st.integers(1, 20).map(lambda n: D(10 * n))
_SIDES = st.sampled_from(list(Side))
_STEPS = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from("ab"),
        _SIDES,
        _QUANTITIES,
        _PRICES,
        st.sampled_from(list(TimeInForce)),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("amend"), st.integers(0, 30), _QUANTITIES, _PRICES),
    st.tuples(st.just("trade"), _SIDES, _QUANTITIES),
    st.tuples(st.just("quote"), st.integers(59_992, 60_008), _QUANTITIES),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(_STEPS, max_size=40))
def test_books_positions_and_the_record_agree(steps: list[tuple[object, ...]]) -> None:
    x = make()
    news: list[News] = []
    x.listeners.append(news.append)
    for step in steps:
        _do(x, PERP, step)
    book = x.books[PERP.symbol]
    bid, ask = book.bids.best(), book.asks.best()
    assert bid is None or ask is None or bid < ask
    for name in "ab":
        fills = x.fills(name)
        net = sum((f.quantity * f.side.sign for f in fills), D(0))
        held = x.account(name).positions.get(PERP.symbol)
        assert net == (held.quantity if held else 0)
        told = x.truth.of("fill", account=name)
        assert [(r["trade_id"], r["quantity"]) for r in told] == [
            (f.trade_id, str(f.quantity)) for f in fills
        ]
        for order in (o for o in x.orders.values() if o.account == name):
            assert order.filled == sum((f.quantity for f in fills if f.order_id == order.order_id), D(0))
            assert order.filled <= order.quantity
            assert (order.life is Life.OPEN) == (order in x.open_orders(name))
    assert len({(f.account, f.trade_id) for f in x.fills("a") + x.fills("b")}) == len(
        x.fills("a") + x.fills("b")
    )
    _replay_books(x, [n for n in news if isinstance(n, BookNews)])


def _do(x: Exchange, i: Instrument, step: tuple[object, ...]) -> None:
    """One step; refusals are answers too."""
    try:
        match step:
            case ("order", str(name), Side() as side, D() as quantity, D() as price, TimeInForce() as tif):
                x.submit(name, i.symbol, side, quantity, price, time_in_force=tif)
            case ("cancel" | "amend", int(n), *rest) if n < len(x.orders):
                order = list(x.orders.values())[n]
                if rest:
                    x.amend(order.account, order.order_id, *rest)  # type: ignore[arg-type]
                else:
                    x.cancel(order.account, order.order_id)
            case ("trade", Side() as side, D() as quantity):
                x.trade(i.symbol, side, quantity)
            case ("quote", int(mid), D() as quantity):
                x.quote(i.symbol, [(D(mid - 1), quantity)], [(D(mid + 1), quantity)])
    except Refusal:
        pass


def _replay_books(x: Exchange, told: list[BookNews]) -> None:
    """The chain of changes, applied from nothing, gives the book."""
    levels: dict[tuple[Side, D], D] = {}
    previous = None
    for news in told:
        assert previous is None or news.prev_change_id == previous
        previous = news.change_id
        for side, price, now, before in news.changes:
            assert levels.get((side, price), D(0)) == before
            levels[side, price] = now
    book = x.books[PERP.symbol]
    for side in Side:
        assert {p: q for (s, p), q in levels.items() if s is side and q} == dict(book.side(side).levels())
