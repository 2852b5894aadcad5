"""Delta hedged on two venues, of which one fails in the middle (F34); and the judge of it judged."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from tests.exchanges.clock import Clock
from tests.exchanges.server import serve
from tests.exchanges.story.delta import Watch, delta_usd
from tests.exchanges.story.lines import Stamped
from tests.exchanges.story.places import CASTS
from tests.exchanges.story.play import told
from tests.exchanges.story.schedule import draw
from tests.exchanges.story.stage import Stage
from tests.exchanges.words import Side

CAST = CASTS["hyperliquid+deribit"]


@pytest.mark.parametrize(("pair", "seed", "fails"), [("hyperliquid+deribit", 2, 0), ("okx+deribit", 3, 1)])
def test_the_other_venue_hedges_while_one_fails(pair: str, seed: int, fails: int, tmp_path: Path) -> None:
    """First the one of which the perpetual is alone, then the one that holds the book as well."""
    cast = CASTS[pair]
    story = asyncio.run(told(draw(seed, cast[0], ("F34",), second=cast[1], fails=fails), cast, tmp_path))
    assert story.violations == ()
    assert story.orders > 0 and story.struck["F34"] > 0


async def both() -> list[Stage]:
    """Hyperliquid and Deribit, each with an account as a story begins, served no more."""
    stages = []
    for place in CAST:
        truth = Stamped(place)
        dialect, world = place.make(Clock(), truth, 7)
        async with serve(dialect) as host:
            stages.append(Stage(place, host, world, truth))
    return stages


def test_delta_is_that_of_all_exchanges_and_an_execution_that_goes_too_far_is_found() -> None:
    """By hand, at 60,000 USD a coin: 40 coins of cash on Deribit; 0.5 coins bought on Hyperliquid are 30,000
    USD more; 2,400,000 USD of the inverse perpetual sold, a little above the index, are a little less."""

    async def scene() -> None:
        stages = await both()
        first, second = stages
        assert delta_usd(stages) == pytest.approx(40 * 60_000)
        watch = Watch(stages, stages[0])

        def bought(stage: Stage, quantity: str, price: str, side: Side = Side.BUY) -> None:
            exchange, place = stage.host.exchange, stage.place
            exchange.submit(
                place.account, place.perpetual, side, Decimal(quantity), Decimal(price), client_id="a"
            )

        bought(first, "0.5", "61000")
        assert delta_usd(stages) == pytest.approx(40.5 * 60_000, rel=1e-6)
        assert len(watch.found) == 1 and watch.elsewhere == 0
        bought(second, "100000", "59000", Side.SELL)
        assert delta_usd(stages) == pytest.approx(40.5 * 60_000 - 100_000, rel=1e-4)
        assert len(watch.found) == 1 and watch.elsewhere == 1

    asyncio.run(scene())


def test_what_a_person_moves_on_the_failing_account_need_not_be_known() -> None:
    """By hand, in coins at 60,000 USD: 41 sold against 40 of cash are -1. Five come in unseen: it is +4, and
    who believes -1 may buy 1; who buys half of one more goes too far whatever he believes."""

    async def scene() -> None:
        stages = await both()
        first, second = stages
        watch = Watch(stages, second)

        def traded(side: Side, quantity: str) -> None:
            first.host.exchange.outside(
                first.place.account, first.place.perpetual, side, Decimal(quantity), Decimal(60000), "trade"
            )

        def ordered(quantity: str) -> None:
            first.host.exchange.submit(
                first.place.account,
                first.place.perpetual,
                Side.BUY,
                Decimal(quantity),
                Decimal(61000),
                client_id="a",
            )

        traded(Side.SELL, "41")
        assert delta_usd(stages) == pytest.approx(-60_000, rel=1e-3)
        second.host.exchange.transfer(second.place.account, "BTC", Decimal(5))
        ordered("1")
        assert watch.found == []
        ordered("0.5")
        assert len(watch.found) == 1

    asyncio.run(scene())
