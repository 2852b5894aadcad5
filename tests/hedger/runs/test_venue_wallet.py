"""What the doctor has to say of a wallet, at every exchange on loopback."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from hedger.runs.checks import Check
from hedger.runs.venue_setup import Adapter
from hedger.runs.venue_wallet import wallet_notes
from tests.venues.products import PRODUCTS, Product, market_of
from venues.errors import Unreachable

BY_VENUE = {product.venue: product for product in PRODUCTS}


async def _notes(name: str, venue: Adapter) -> list[Check]:
    return await wallet_notes(name, venue, await venue.account(await venue.time_ns()))


def test_a_wallet_that_cannot_be_read_is_told() -> None:
    async def work() -> None:
        async with market_of(PRODUCTS[0]) as market:
            gone = Unreachable("NO_ANSWER", "no answer")
            (note, *_) = await wallet_notes("v", market.venue, gone)
            assert note.what == "v, balances" and "no answer" in note.text

    asyncio.run(asyncio.wait_for(work(), 20.0))


@pytest.mark.parametrize("product", BY_VENUE.values(), ids=list(BY_VENUE))
def test_a_coin_that_nothing_is_listed_on_is_named_and_nothing_else_is(product: Product) -> None:
    async def work() -> None:
        async with market_of(product) as market:
            assert await _notes(product.venue, market.venue) == []
            exchange = market.scene.host.exchange
            for account in exchange.accounts:
                exchange.transfer(account, "XYZ", Decimal("0.00000001"))
            notes = await _notes(product.venue, market.venue)
            if not notes:  # the venue keeps no balance but those it settles in
                assert "XYZ" not in (await market.venue.account(0)).balances
                return
            assert [str(note.finding) for note in notes] == ["note"]
            assert "XYZ is known here" in notes[0].text and "BALANCE_UNPRICED" in notes[0].text

    asyncio.run(asyncio.wait_for(work(), 20.0))


@pytest.mark.parametrize(
    ("venue", "mode"), [("binanceusdm", "feeBurn"), ("binance", "spotBNBBurn"), ("binancecoinm", "feeBurn")]
)
def test_fees_that_are_paid_in_bnb_are_told(venue: str, mode: str) -> None:
    """COIN-M has no such setting."""

    async def work() -> None:
        async with market_of(BY_VENUE[venue]) as market:
            assert await market.venue.fee_coin() == ""
            market.scene.host.exchange.modes[mode] = True
            notes = await _notes(venue, market.venue)
            told = [note for note in notes if note.what == f"{venue}, fees"]
            assert len(told) == (venue != "binancecoinm")
            assert all("BNB" in note.text and str(note.finding) == "note" for note in told)

    asyncio.run(asyncio.wait_for(work(), 20.0))
