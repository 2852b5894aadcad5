"""Flatten: every row to zero, as near as whole lots come, once, in reducing mode as well, with a report."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from hedger.core.actions import Alert
from hedger.core.events import Verb
from hedger.core.flattening import WAITS_S, linear_aside
from hedger.core.state import Mode
from hedger.settings import Settings
from pricing.contracts import Kind
from tests.hedger.core.test_aside import refusing
from tests.hedger.rig import VENUE, Rig, desk, option_symbol


def told(rig: Rig, code: str) -> list[str]:
    return [a.text for d in rig.decisions for a in d.actions if isinstance(a, Alert) and a.code == code]


def flattened(rig: Rig, argument: str = "", marks: int = 12) -> Rig:
    """Asked for, and worked to its end on a venue without faults."""
    rig.answer(rig.command(Verb.FLATTEN, argument))
    for _ in range(marks):
        if not rig.state.asked_for:
            break
        rig.answer(rig.mark(2.0))
    assert rig.state.asked_for == "" and rig.state.execution is None
    return rig


def rows(rig: Rig) -> dict[str, float]:
    return dict(rig.decisions[-1].exposures)


def test_a_perpetual_is_brought_to_zero_within_half_a_lot_and_what_it_paid_in_coin() -> None:
    rig = Rig({"BTC-PERPETUAL": "60000"}).armed()
    assert rig.mark(20.0).breached == ()
    flattened(rig)
    assert rig.submits() and told(rig, "FLATTENED") == ["flatten: every row is flat"]
    sold = sum((o.quantity for o in rig.submits()), Decimal(0))
    # The balance gained or lost a few dollars in coin since, which is delta: the position follows it.
    assert abs(sold - 60_000) <= 100
    index = rig.state.snapshot.spot["BTC"] if rig.state.snapshot else float("nan")
    assert abs(rows(rig)["delta:BTC"]) * index <= 100.0


def test_options_are_brought_to_zero_on_every_banded_row() -> None:
    symbol = option_symbol(Rig({}).market)
    rig = Rig({symbol: "-20"}).armed()
    rig.answer(rig.mark(20.0))
    before = rig.state.snapshot
    assert before is not None
    wide = dict(zip(before.exposure.rows, before.bands.trigger_upper.tolist(), strict=True))
    flattened(rig)
    after = rows(rig)
    assert told(rig, "FLATTENED") or told(rig, "FLATTEN_INCOMPLETE")
    for row, half in wide.items():
        if np.isfinite(half) and row in after and f"{row} " not in "".join(told(rig, "FLATTEN_INCOMPLETE")):
            assert abs(after[row]) <= max(0.02 * half, step(rig, row)) * (1 + 1e-6), row
    value = dict(zip(before.exposure.rows, before.exposure.value.tolist(), strict=True))
    for row in ("gamma:BTC", "vega:BTC"):
        assert abs(after[row]) < 0.1 * abs(value[row])


def step(rig: Rig, row: str) -> float:
    """What one lot of the option that moves a row most does to it."""
    snapshot = rig.state.snapshot
    assert snapshot is not None
    universe = snapshot.market.universe
    effect = np.abs(snapshot.exposure.traded[snapshot.exposure.rows.index(row)]) * universe.lot
    return float(np.nanmax(np.where(universe.is_option, effect, 0.0)))


def test_in_reducing_mode_as_well() -> None:
    rig = Rig({"BTC-PERPETUAL": "60000"}).armed()
    rig.command(Verb.REDUCE)
    assert rig.state.mode is Mode.REDUCING
    rig.answer(rig.mark(20.0))
    flattened(rig)
    assert told(rig, "FLATTENED") and rig.state.mode is Mode.REDUCING
    index = rig.state.snapshot.spot["BTC"] if rig.state.snapshot else float("nan")
    assert abs(rows(rig)["delta:BTC"]) * index <= 100.0


def test_asked_twice_it_is_done_once() -> None:
    rig = Rig({"BTC-PERPETUAL": "60000"}).armed()
    rig.answer(rig.mark(20.0))
    first = rig.command(Verb.FLATTEN)
    assert first.orders
    again = rig.command(Verb.FLATTEN)
    assert again.orders == () and "flattened already" in again.reason
    assert rig.state.execution is not None and rig.state.execution.id == first.seq
    rig.answer(first)
    for _ in range(6):
        rig.answer(rig.mark(2.0))
    sold = sum((o.quantity for o in rig.submits()), Decimal(0))
    assert abs(sold - 60_000) <= 100 and len(told(rig, "FLATTENED")) == 1
    flattened(rig)  # flat: nothing to do, and said
    assert sum((o.quantity for o in rig.submits()), Decimal(0)) == sold
    assert len(told(rig, "FLATTENED")) == 2


def test_asked_for_in_the_midst_of_a_hedge_it_is_done_all_the_same() -> None:
    """The hedge that was in work ends; its end is not taken for the end of what was asked for."""
    rig = Rig({"BTC-PERPETUAL": "900000"}).armed()
    hedge = rig.mark(20.0)
    assert hedge.orders and rig.state.execution is not None
    rig.command(Verb.FLATTEN)
    rig.answer(hedge)
    assert rig.state.asked_for == "flatten" and not told(rig, "FLATTEN_INCOMPLETE")
    for _ in range(12):
        rig.answer(rig.mark(2.0))
    assert rig.state.asked_for == "" and len(told(rig, "FLATTENED")) == 1
    sold = sum((o.quantity for o in rig.submits()), Decimal(0))
    assert abs(sold - 900_000) <= 1_000  # bands alone would leave 50,000


def test_a_second_wish_for_everything_outlasts_the_end_of_the_first_for_one_coin() -> None:
    rig = Rig({"BTC-PERPETUAL": "60000", "ETH-PERPETUAL": "60000"}).armed()
    rig.answer(rig.mark(20.0))
    first = rig.command(Verb.FLATTEN, "BTC")
    assert first.orders
    rig.command(Verb.FLATTEN)
    rig.answer(first)
    assert (rig.state.asked_for, rig.state.scope) == ("flatten", "")
    for _ in range(12):
        rig.answer(rig.mark(2.0))
    assert rig.state.asked_for == "" and len(told(rig, "FLATTENED")) == 1
    assert {o.listing.symbol.split("-")[0] for o in rig.submits()} == {"BTC", "ETH"}


def test_a_hedge_asked_for_twice_at_once_is_done() -> None:
    rig = Rig({"BTC-PERPETUAL": "80000"}).armed()
    rig.answer(rig.mark(20.0))
    first = rig.command(Verb.HEDGE)
    assert first.orders
    rig.truth.take(first.orders[0])
    rig.command(Verb.HEDGE)
    rig.truth.cancel(first.orders[0].client_id)
    rig.answer(rig.send(rig.truth.update(first.orders[0].client_id)))
    for _ in range(6):
        rig.answer(rig.mark(2.0))
    assert rig.state.asked_for == ""
    assert 29_000 <= 80_000 - rig.positions()["BTC-PERPETUAL"] <= 81_000  # inside the landing of 50,000


def test_one_coin_alone_leaves_the_other_as_it_is() -> None:
    rig = Rig({"BTC-PERPETUAL": "60000", "ETH-PERPETUAL": "60000"}).armed()
    assert rig.mark(20.0).breached == ()
    flattened(rig, "BTC")
    assert {o.listing.symbol.split("-")[0] for o in rig.submits()} == {"BTC"}
    assert rig.positions()["ETH-PERPETUAL"] == 60_000
    rig.command(Verb.FLATTEN, "BTC")
    if rig.state.asked_for:
        assert rig.command(Verb.FLATTEN, "ETH").orders == () and "FLATTEN_REFUSED" in rig.alerts()


def test_what_lots_cannot_bring_to_zero_is_named() -> None:
    """Only the perpetual may be traded: the options' gamma and vega stay, and the report says so."""
    symbol = option_symbol(Rig({}).market)
    settings = desk()
    universe = settings.universe
    denied = universe.deny_buy.model_copy(update={"kinds": ("spot", "future", "option")})
    universe = universe.model_copy(update={"deny_buy": denied, "deny_sell": denied})
    rig = Rig({symbol: "-3"}, settings.model_copy(update={"universe": universe})).armed()
    rig.answer(rig.mark(20.0))
    flattened(rig)
    (text,) = told(rig, "FLATTEN_INCOMPLETE")
    assert "gamma:BTC" in text and "delta:BTC" not in text
    assert rig.positions()[symbol] == -3
    snapshot = rig.state.snapshot
    assert snapshot is not None
    index = snapshot.spot["BTC"]
    assert abs(rows(rig)["delta:BTC"]) * index <= 2000.0  # 2 % of the band
    assert rig.market.universe.positions[(VENUE, symbol)] >= 0


def test_a_moving_market_is_not_chased_with_options() -> None:
    """Each option is traded one way only, what follows is delta by a perpetual, and it ends in a minute."""
    symbols = [option_symbol(Rig({}).market, coin, 5) for coin in ("BTC", "ETH")]
    rig = Rig({symbols[0]: "-20", symbols[1]: "-300"}).armed()
    rig.answer(rig.mark(20.0))
    rig.answer(rig.command(Verb.FLATTEN))
    for _ in range(60):
        if not rig.state.asked_for:
            break
        rig.answer(rig.mark(1.0))
    assert rig.state.asked_for == "" and rig.state.execution is None
    assert len(told(rig, "FLATTENED")) + len(told(rig, "FLATTEN_INCOMPLETE")) == 1
    sides: dict[str, set[str]] = {}
    for order in rig.submits():
        if order.listing.contract.kind is Kind.OPTION:
            sides.setdefault(order.listing.symbol, set()).add(str(order.side))
    assert sides and max(len(each) for each in sides.values()) == 1


def refused_for(rig: Rig, seconds: float, most: float = 200.0) -> list[tuple[float, str, Kind]]:
    """A flatten while the perpetual is refused as closed for so long: (second, symbol, kind) of orders."""
    decision, begun, found = rig.command(Verb.FLATTEN), rig.now_ns, list[tuple[float, str, Kind]]()
    while (rig.now_ns - begun) / 1e9 < most and rig.state.asked_for:
        at = (rig.now_ns - begun) / 1e9
        before = len(rig.submits()) - len(decision.orders)
        refusing(rig, decision, frozenset({"BTC-PERPETUAL"} if at < seconds else ()), "market_closed")
        found += [(at, o.listing.symbol, o.listing.contract.kind) for o in rig.submits()[before:]]
        decision = rig.mark(10.0)
    return found


def test_a_flatten_waits_for_the_perpetual_rather_than_pay_for_options() -> None:
    """Closed for 40 s, and tried at 0, 30 and 90 s: the aside is 30 s long, then twice that."""
    rig = Rig({"BTC-PERPETUAL": "400000"}, desk(slice_interval_s=0.0)).armed()
    orders = refused_for(rig, 40.0)
    assert {symbol for _, symbol, _ in orders} == {"BTC-PERPETUAL"}
    assert [at for at, _, _ in orders][:3] == [0.0, 30.0, 90.0]
    (said,) = told(rig, "LISTING_ASIDE")
    assert "the flatten waits for it" in said and told(rig, "FLATTENED")


def test_a_flatten_does_not_wait_for_ever() -> None:
    """Closed for good: by options and futures, but not before what it waits at most."""
    rig = Rig({"BTC-PERPETUAL": "400000"}, desk(slice_interval_s=0.0)).armed()
    orders = refused_for(rig, 1e9)
    others = [at for at, symbol, _ in orders if symbol != "BTC-PERPETUAL"]
    assert others and min(others) >= WAITS_S
    assert rig.state.asked_for == ""


def test_what_a_flatten_waits_for() -> None:
    """It waits on the side that it needs, and where no other linear instrument has that side open."""
    rig = Rig({"BTC-PERPETUAL": "400000"}).armed()
    rig.command(Verb.FLATTEN)
    snapshot = rig.state.snapshot
    assert snapshot is not None
    universe = snapshot.market.universe
    kinds = {x.contract.kind: at for at, x in enumerate(universe.listings) if x.contract.underlying == "BTC"}
    perpetual, spot, free = kinds[Kind.PERPETUAL], kinds[Kind.SPOT], Settings()
    assert linear_aside(snapshot, free, {(perpetual, -1), (spot, -1)}, "") == tuple(
        sorted(((perpetual, -1), (spot, -1)))
    )
    assert linear_aside(snapshot, free, {(perpetual, -1)}, "") == (), "spot is open"
    assert linear_aside(snapshot, free, {(perpetual, 1), (spot, -1)}, "") == ()
    assert linear_aside(snapshot, desk(), {(perpetual, -1)}, "") == ((perpetual, -1),)
    assert linear_aside(snapshot, desk(), {(perpetual, -1)}, "ETH") == ()
    shut = replace(snapshot, barred={(perpetual, -1): "the limits refuse it"})
    assert linear_aside(shut, free, {(spot, -1)}, "BTC") == ((spot, -1),)
    assert linear_aside(shut, desk(), {(spot, -1)}, "") == (), "the desk's lists deny spot"


def test_while_one_coin_waits_the_other_is_brought_to_zero() -> None:
    """One perpetual is refused: the other coin is flat within the second, and is not told to be all."""
    rig = Rig({"BTC-PERPETUAL": "400000", "ETH-PERPETUAL": "400000"}, desk(slice_interval_s=0.0)).armed()
    refusing(rig, rig.command(Verb.FLATTEN), frozenset({"BTC-PERPETUAL"}), "market_closed")
    assert abs(rig.positions()["ETH-PERPETUAL"]) <= 1000 and rig.positions()["BTC-PERPETUAL"] == 400_000
    assert rig.state.asked_for == "flatten" and set(rig.state.waits) == {"BTC"}
    sent = len(rig.submits())
    rig.answer(rig.mark(5.0))
    assert len(rig.submits()) == sent and not told(rig, "FLATTENED")
    rig.answer(rig.mark(30.0))
    rig.answer(rig.mark(2.0))
    assert told(rig, "FLATTENED") and not rig.state.waits


def test_a_flatten_that_nothing_but_what_is_set_aside_can_do_stays_asked_for() -> None:
    """Closed for longer than it waits, and no other is allowed: it is done when the venue opens."""
    settings = desk(slice_interval_s=0.0)
    only = settings.universe.deny_buy.model_copy(update={"kinds": ("spot", "option", "future")})
    universe = settings.universe.model_copy(update={"deny_buy": only, "deny_sell": only})
    rig = Rig({"BTC-PERPETUAL": "400000"}, settings.model_copy(update={"universe": universe})).armed()
    refused_for(rig, 100.0, most=260.0)
    assert told(rig, "FLATTENED") and not told(rig, "FLATTEN_INCOMPLETE")
    assert len(told(rig, "NOT_HEDGED")) == 1
